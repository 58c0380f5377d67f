"""What do references and checked arguments add to a step? Values picked by path, copied, checked and coerced."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import date
from typing import Any

from bench.floors import graph_by_hand, run_by_hand
from bench.measure import PROCESSOR, Row, compare, on_loop
from planloom import Plan, Step, Toolbox, execute_plan, tool, validate_plan

_DAY = "2025-03-01"


@dataclass
class Measured:
    """A value, its day, and where it comes from."""

    value: int
    day: date
    source: dict[str, str]


@tool(read_only=True)
async def add(left: int, right: int, day: date, source: dict[str, str]) -> Measured:
    """Add two numbers; the date arrives as a `date`."""
    return Measured((left + right) % 1_000_003, day, source)


def rows(*, tiny: bool = False) -> list[Row]:
    """Measure a layered plan in which each step uses two outputs of the layer before."""
    layers, width, pairs = (2, 3, 2) if tiny else (10, 100, 20)
    plan, toolbox = _plan(layers, width), Toolbox([add])
    validate_plan(plan, toolbox)
    graph = graph_by_hand(plan)

    async def add_by_hand(position: int, outputs: list[Any]) -> dict[str, Any]:
        if needed := graph.dependencies[position]:
            left, right = outputs[needed[0]], outputs[needed[-1]]
            made = await add.function(left["value"], right["value"], date.fromisoformat(_DAY), dict(left["source"]))
        else:
            made = await add.function(1, position, date.fromisoformat(_DAY), {"name": "root"})
        return {"value": made.value, "day": made.day.isoformat(), "source": made.source}

    async def run() -> None:
        result = await execute_plan(plan, toolbox)
        assert [step.output for step in result.steps.values()] == expected

    with asyncio.Runner() as runner:
        expected = runner.run(run_by_hand(graph, add_by_hand))
        compared = compare(
            on_loop(runner, lambda: run_by_hand(graph, add_by_hand), PROCESSOR),
            on_loop(runner, run, PROCESSOR),
            pairs,
        )
    question = f"async steps with references, coerced arguments, layered {layers}x{width}"
    return [compared.row(question, per=layers * width, unit="µs/step", scale=1e6)]


def _plan(layers: int, width: int) -> Plan:
    return Plan(tuple(_step(y, x, width) for y in range(layers) for x in range(width)))


def _step(y: int, x: int, width: int) -> Step:
    if not y:
        return Step(f"s0_{x}", "add", {"left": 1, "right": x, "day": _DAY, "source": {"name": "root"}}, [])
    left, right = f"s{y - 1}_{x}", f"s{y - 1}_{(x + 1) % width}"
    args = {
        "left": f"{{{{{left}.output.value}}}}",
        "right": f"{{{{{right}.output.value}}}}",
        "day": _DAY,
        "source": f"{{{{{left}.output.source}}}}",
    }
    return Step(f"s{y}_{x}", "add", args, [left, right])
