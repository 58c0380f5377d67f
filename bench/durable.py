"""What does a durable step cost? No-op steps in a journal, against the floor with a bare writer thread.

The floor keeps two rows a step, and lets no dependent start before the row of its result is on the disk; for steps with
effects it waits for the row of the start too. Both sync every commit, in the same folder, in turns. Wall time, because
the disk is the question; `rows/s` counts the rows that Planloom made durable.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from bench.floors import Graph, critical_path_s, graph_by_hand, run_by_hand
from bench.journal import BareWriter
from bench.makespan import QUICK_S, SLOW_S
from bench.measure import WALL, Row, compare, on_loop
from planloom import Plan, Toolbox, execute_plan, tool, validate_plan
from planloom.journal import SqliteJournal
from planloom.testing import chain, layered

LAYERED_BOUND = 1.3
CHAIN_BOUND = 1.3
MAKESPAN_BOUND = 1.2
ROWS_PER_STEP = 2


@tool(read_only=True)
async def look() -> None:
    """Do nothing, without an effect."""


@tool
async def act() -> None:
    """Do nothing, with an effect as far as anybody knows."""


@tool(read_only=True)
async def rest(takes_s: float) -> None:
    """Sleep on the event loop."""
    await asyncio.sleep(takes_s)


TOOLBOX = Toolbox([look, act, rest])


def rows(*, tiny: bool = False) -> list[Row]:
    """Measure wide and narrow plans, with and without effects, and the makespan of sleeping steps."""
    wide, narrow, pairs = ((2, 3), 3, 2) if tiny else ((10, 100), 100, 15)
    with tempfile.TemporaryDirectory(prefix="planloom-bench-") as name, asyncio.Runner() as runner:
        sides = runner.run(_opened(Path(name)))
        found = [
            _row(runner, sides, "layered 10x100", layered(*wide, "look"), pairs, LAYERED_BOUND, waits=False),
            _row(runner, sides, "chain of 100", chain(narrow, "look"), pairs, CHAIN_BOUND, waits=False),
            _row(runner, sides, "layered 10x100, effects", layered(*wide, "act"), pairs, None, waits=True),
            _row(runner, sides, "chain of 100, effects", chain(narrow, "act"), pairs, None, waits=True),
            _makespan(runner, sides, *((2, 3, 2) if tiny else (10, 10, 15))),
        ]
        runner.run(_closed(sides))
        return found


@dataclass(frozen=True)
class Sides:
    """Both sides' files, opened once: a run is measured, not the making of a file."""

    writer: BareWriter
    journal: SqliteJournal


async def _opened(folder: Path) -> Sides:
    return Sides(BareWriter(folder / "bare.db"), SqliteJournal(folder / "runs.db"))


async def _closed(sides: Sides) -> None:
    await sides.writer.close()
    await sides.journal.close()


async def by_hand(writer: BareWriter, graph: Graph, *, waits: bool) -> None:
    """Run the graph with a row for every start and every result."""

    async def work(position: int, _: list[Any]) -> None:
        started = writer.append(_text(position, "step-started", {"tool": "look", "attempt": 1}))
        if waits:
            await started
        await writer.append(_text(position, "step-succeeded", {"output": None, "attempts": 1, "latency_ms": 0.1}))

    await run_by_hand(graph, work)


def _text(position: int, type: str, data: dict[str, Any]) -> bytes:
    event = {"seq": position, "run_id": "r1", "at": time.time(), "type": type, "step_id": f"s{position}", "data": data}
    return json.dumps(event).encode()


def _row(
    runner: asyncio.Runner, sides: Sides, shape: str, plan: Plan, pairs: int, bound: float | None, *, waits: bool
) -> Row:
    validate_plan(plan, TOOLBOX)
    graph = graph_by_hand(plan)

    async def durable() -> None:
        (await execute_plan(plan, TOOLBOX, journal=sides.journal)).raise_for_status()

    compared = compare(
        on_loop(runner, lambda: by_hand(sides.writer, graph, waits=waits), WALL), on_loop(runner, durable, WALL), pairs
    )
    kept = len(plan.steps) * ROWS_PER_STEP
    return compared.row(
        f"durable no-op steps, {shape}, wall time",
        per=len(plan.steps),
        unit="µs/step",
        scale=1e6,
        bound=bound,
        note=f"{kept / median(compared.planloom_s):,.0f} rows/s",
    )


def _makespan(runner: asyncio.Runner, sides: Sides, layers: int, width: int, pairs: int) -> Row:
    """Sleeping steps, one of each layer ten times as slow as the rest, in a journal and without one."""
    steps = [
        {**step.to_dict(), "args": {"takes_s": SLOW_S if n % width == n // width * 3 % width else QUICK_S}}
        for n, step in enumerate(layered(layers, width, "rest").steps)
    ]
    plan = Plan.from_json(steps)
    graph = graph_by_hand(plan)
    critical_s = critical_path_s(graph, [step.args["takes_s"] for step in plan.steps])

    async def durable() -> None:
        (await execute_plan(plan, TOOLBOX, journal=sides.journal)).raise_for_status()

    async def bare() -> None:
        await asyncio.sleep(critical_s)

    compared = compare(on_loop(runner, bare, WALL), on_loop(runner, durable, WALL), pairs)
    return compared.row(
        "makespan over critical path, sleeping steps in a journal", per=1, unit="ms", scale=1e3, bound=MAKESPAN_BOUND
    )
