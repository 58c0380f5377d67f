"""Does a run take as long as its critical path? Sleeping steps, one of each layer ten times as slow as the rest.

The slow steps stand in different columns, so an executor with a barrier after every layer would take several
times the critical path. Wall time, because waiting is the question.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from bench.floors import Work, critical_path_s, graph_by_hand, run_by_hand
from bench.measure import WALL, Row, compare, on_loop, spread_of
from planloom import Plan, Step, Tool, Toolbox, execute_plan, tool, validate_plan
from planloom.testing import layered

ASYNC_BOUND = 1.15
SYNC_BOUND = 1.3
QUICK_S = 0.005
SLOW_S = 0.05


@tool(read_only=True)
async def rest(takes_s: float) -> None:
    """Sleep on the event loop."""
    await asyncio.sleep(takes_s)


@tool(read_only=True)
def block(takes_s: float) -> None:
    """Sleep on a thread."""
    time.sleep(takes_s)


def rows(*, tiny: bool = False) -> list[Row]:
    """Measure async and sync tools."""
    layers, width, pairs = (2, 3, 2) if tiny else (10, 10, 25)
    takes_s = [
        SLOW_S / (10 if tiny else 1) if x == y * 3 % width else QUICK_S / (10 if tiny else 1)
        for y in range(layers)
        for x in range(width)
    ]

    async def rest_by_hand(position: int, _: list[Any]) -> None:
        await asyncio.sleep(takes_s[position])

    with ThreadPoolExecutor(width * 2) as pool:

        async def block_by_hand(position: int, _: list[Any]) -> None:
            await asyncio.get_running_loop().run_in_executor(pool, time.sleep, takes_s[position])

        return [
            _row("async", _plan(rest, layers, width, takes_s), rest, rest_by_hand, takes_s, pairs, ASYNC_BOUND),
            _row(
                "sync (threads)", _plan(block, layers, width, takes_s), block, block_by_hand, takes_s, pairs, SYNC_BOUND
            ),
        ]


def _plan(used: Tool, layers: int, width: int, takes_s: list[float]) -> Plan:
    plan = layered(layers, width, used.name)
    steps = [Step(s.id, s.tool, {"takes_s": t}, s.depends_on) for s, t in zip(plan.steps, takes_s, strict=True)]
    return replace(plan, steps=tuple(steps))


def _row(kind: str, plan: Plan, used: Tool, by_hand: Work, takes_s: list[float], pairs: int, bound: float) -> Row:
    toolbox, graph = Toolbox([used]), graph_by_hand(plan)
    validate_plan(plan, toolbox)
    shortest_s = critical_path_s(graph, takes_s)

    async def run() -> None:
        (await execute_plan(plan, toolbox)).raise_for_status()

    with asyncio.Runner() as runner:
        compared = compare(
            on_loop(runner, lambda: run_by_hand(graph, by_hand), WALL), on_loop(runner, run, WALL), pairs
        )
    ratios = [taken / shortest_s for taken in compared.planloom_s]
    by_hand_ratio = statistics.median(compared.floor_s) / shortest_s
    return Row(
        question=f"makespan over critical path, {kind} tools",
        unit="ms",
        floor=shortest_s * 1_000,
        planloom=statistics.median(compared.planloom_s) * 1_000,
        ratio=statistics.median(ratios),
        bound=bound,
        spread=spread_of(ratios),
        note=f"by hand {by_hand_ratio:.2f}",
    )
