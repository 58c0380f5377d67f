"""What does a step cost that does nothing? Async no-op steps of an already validated plan, processor time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from bench.floors import graph_by_hand, no_work, run_by_hand
from bench.measure import PROCESSOR, Row, compare, on_loop
from planloom import Plan, Toolbox, execute_plan, tool, validate_plan
from planloom.testing import chain, layered

LAYERED_BOUND = 2.0
LISTENER_BOUND = 3.0
CHAIN_BOUND = 1.0
CHAIN_LISTENER_BOUND = 2.0


@tool
async def work() -> None:
    """Do nothing."""


TOOLBOX = Toolbox([work])


def rows(*, tiny: bool = False) -> list[Row]:
    """Measure wide and narrow plans, each without and with a listener."""
    if tiny:
        return [_row("layered 2x3", layered(2, 3), 2, 1, LAYERED_BOUND), _row("chain 3", chain(3), 2, 1, None, _listen)]
    wide, narrow = layered(10, 100), chain(100)
    return [
        _row("layered 10x100", wide, 40, 1, LAYERED_BOUND),
        _row("chain of 100", narrow, 60, 4, CHAIN_BOUND),
        _row("layered 10x100, on_event", wide, 25, 1, LISTENER_BOUND, _listen),
        _row("chain of 100, on_event", narrow, 40, 4, CHAIN_LISTENER_BOUND, _listen),
        _row("chain of 1,000", chain(1_000), 20, 1, None),
        _row("layered 100x100", layered(100, 100), 6, 1, None),
    ]


def _listen(event: object) -> None:
    pass


def _row(
    shape: str, plan: Plan, pairs: int, times: int, bound: float | None, on_event: Callable[..., Any] | None = None
) -> Row:
    validate_plan(plan, TOOLBOX)
    graph = graph_by_hand(plan)

    async def run() -> None:
        result = await execute_plan(plan, TOOLBOX, on_event=on_event)
        assert result.status == "succeeded"

    with asyncio.Runner() as runner:
        compared = compare(
            on_loop(runner, lambda: run_by_hand(graph, no_work), PROCESSOR, times),
            on_loop(runner, run, PROCESSOR, times),
            pairs,
        )
    per = len(plan.steps) * times
    return compared.row(f"no-op async steps, {shape}", per=per, unit="µs/step", scale=1e6, bound=bound)
