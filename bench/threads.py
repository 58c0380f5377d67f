"""What does a sync step cost that does nothing? Calls on threads: handing over is most of it.

First against `run_in_executor`, in wall time, then against the floor of async steps, which never leave the loop, in
processor time.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from bench.floors import graph_by_hand, no_work, run_by_hand
from bench.measure import PROCESSOR, WALL, Row, compare, on_loop
from planloom import Toolbox, execute_plan, tool, validate_plan
from planloom.testing import layered

LOOP_BOUND = 4.0
_THREADS = 64
"""As many as Planloom uses at most."""


@tool
def work() -> None:
    """Do nothing."""


def rows(*, tiny: bool = False) -> list[Row]:
    """Measure a wide plan against `run_in_executor`, and against the loop alone."""
    layers, width, pairs = (2, 3, 2) if tiny else (10, 100, 12)
    plan, toolbox = layered(layers, width), Toolbox([work])
    validate_plan(plan, toolbox)
    graph = graph_by_hand(plan)
    with ThreadPoolExecutor(_THREADS) as pool, asyncio.Runner() as runner:

        async def work_by_hand(_position: int, _outputs: list[Any]) -> None:
            await asyncio.get_running_loop().run_in_executor(pool, work.function)

        async def run() -> None:
            (await execute_plan(plan, toolbox)).raise_for_status()

        compared = compare(
            on_loop(runner, lambda: run_by_hand(graph, work_by_hand), WALL), on_loop(runner, run, WALL), pairs
        )
        on_the_loop = compare(
            on_loop(runner, lambda: run_by_hand(graph, no_work), PROCESSOR), on_loop(runner, run, PROCESSOR), pairs
        )
    question, per = f"no-op sync steps on threads, layered {layers}x{width}", layers * width
    bound = None if tiny else LOOP_BOUND
    return [
        compared.row(question, per=per, unit="µs/step", scale=1e6),
        on_the_loop.row(f"{question}, against async", per=per, unit="µs/step", scale=1e6, bound=bound),
    ]
