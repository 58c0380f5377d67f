"""What does a run cost when many go on at once? A thousand concurrent runs of one validated plan of ten steps.

The floor of the first row is the same graph by hand; that of the second the same runs one after another.
"""

from __future__ import annotations

import asyncio

from bench.floors import graph_by_hand, no_work, run_by_hand
from bench.measure import PROCESSOR, Row, compare, on_loop
from bench.overhead import TOOLBOX
from planloom import execute_plan, validate_plan
from planloom.testing import layered

ALONE_BOUND = 1.5


def rows(*, tiny: bool = False) -> list[Row]:
    """Measure all runs together on one loop, against the floor and against each run alone."""
    count, pairs = (3, 2) if tiny else (1_000, 8)
    plan = layered(2, 5)
    validate_plan(plan, TOOLBOX)
    graph = graph_by_hand(plan)

    async def by_hand() -> None:
        await asyncio.gather(*[run_by_hand(graph, no_work) for _ in range(count)])

    async def run() -> None:
        results = await asyncio.gather(*[execute_plan(plan, TOOLBOX) for _ in range(count)])
        assert all(result.status == "succeeded" for result in results)

    async def one_by_one() -> None:
        for _ in range(count):
            assert (await execute_plan(plan, TOOLBOX)).status == "succeeded"

    with asyncio.Runner() as runner:
        together = on_loop(runner, run, PROCESSOR)
        compared = compare(on_loop(runner, by_hand, PROCESSOR), together, pairs)
        alone = compare(on_loop(runner, one_by_one, PROCESSOR), together, pairs)
    question, per = f"{count:,} concurrent runs of {len(plan.steps)} no-op steps", count * len(plan.steps)
    return [
        compared.row(question, per=per, unit="µs/step", scale=1e6),
        alone.row(
            f"{question}, against one by one", per=per, unit="µs/step", scale=1e6, bound=None if tiny else ALONE_BOUND
        ),
    ]
