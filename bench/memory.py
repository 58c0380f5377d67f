"""How much memory does a run of a large plan take? The peak of a process of its own, plan and result included.

And how much does one step take that waits? What is allocated while all steps of a run wait for the same thing.
"""

from __future__ import annotations

import asyncio
import gc
import resource
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

from bench.floors import graph_by_hand, no_work, run_by_hand
from bench.measure import Row
from planloom import Toolbox, execute_plan, tool, validate_plan
from planloom.testing import layered

BOUND_MB = 100.0
_ROOT = Path(__file__).parent.parent


def rows(*, tiny: bool = False) -> list[Row]:
    """Measure both sides three times and take the median."""
    layers, width, repeats = (2, 3, 1) if tiny else (100, 100, 3)
    floor = sorted(_peak_of("floor", layers, width) for _ in range(repeats))[repeats // 2]
    planloom = sorted(_peak_of("planloom", layers, width) for _ in range(repeats))[repeats // 2]
    waiting = 10 if tiny else 10_000
    by_hand, engine = _waiting_of("floor", waiting), _waiting_of("planloom", waiting)
    return [
        Row(
            question=f"memory of one of {waiting:,} steps that wait",
            unit="KB",
            floor=by_hand,
            planloom=engine,
            ratio=engine / by_hand,
        ),
        Row(
            question=f"peak memory of a run of {layers * width:,} steps",
            unit="MB",
            floor=floor,
            planloom=planloom,
            ratio=planloom / floor,
            bound=BOUND_MB,
            bound_on="value",
        ),
    ]


def _waiting_of(side: str, steps: int) -> float:
    """Return the KB allocated per step while all of them wait, the plan and the loop not counted."""

    async def main() -> float:
        may_go_on = asyncio.Event()

        @tool(name="work")
        async def wait() -> None:
            await may_go_on.wait()

        async def wait_by_hand(_position: int, _outputs: list[Any]) -> None:
            await may_go_on.wait()

        plan, toolbox = layered(1, steps), Toolbox([wait])
        validate_plan(plan, toolbox)
        graph = graph_by_hand(plan)
        tracemalloc.start()
        run = run_by_hand(graph, wait_by_hand) if side == "floor" else execute_plan(plan, toolbox)
        task = asyncio.ensure_future(run)
        for _ in range(4):
            await asyncio.sleep(0)
        gc.collect()
        held, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        may_go_on.set()
        await task
        return held / steps / 1_000

    return asyncio.run(main())


def _peak_of(side: str, layers: int, width: int) -> float:
    command = [sys.executable, "-m", "bench.memory", side, str(layers), str(width)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True, cwd=_ROOT).stdout)


def _peak_mb() -> float:
    """Return the most memory that this process ever had, in MB."""
    status = Path("/proc/self/status")
    if status.exists():
        # not ru_maxrss: on Linux a new process inherits its parent's peak there
        peak = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(peak.split()[1]) * 1_024 / 1e6
    unit = 1 if sys.platform == "darwin" else 1_024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def _run_planloom(layers: int, width: int) -> None:
    from bench.overhead import TOOLBOX

    result = asyncio.run(execute_plan(layered(layers, width), TOOLBOX))
    assert result.status == "succeeded"
    print(_peak_mb())


def _run_floor(layers: int, width: int) -> None:
    outputs = asyncio.run(run_by_hand(graph_by_hand(layered(layers, width)), no_work))
    assert len(outputs) == layers * width
    print(_peak_mb())


if __name__ == "__main__":
    (_run_planloom if sys.argv[1] == "planloom" else _run_floor)(int(sys.argv[2]), int(sys.argv[3]))
