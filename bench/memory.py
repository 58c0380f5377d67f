"""How much memory does a run of a large plan take? The peak of a process of its own, plan and result included."""

from __future__ import annotations

import asyncio
import resource
import subprocess
import sys
from pathlib import Path

from bench.floors import graph_by_hand, no_work, run_by_hand
from bench.measure import Row
from planloom.testing import layered

BOUND_MB = 100.0
_ROOT = Path(__file__).parent.parent


def rows(*, tiny: bool = False) -> list[Row]:
    """Measure both sides three times and take the median."""
    layers, width, repeats = (2, 3, 1) if tiny else (100, 100, 3)
    floor = sorted(_peak_of("floor", layers, width) for _ in range(repeats))[repeats // 2]
    planloom = sorted(_peak_of("planloom", layers, width) for _ in range(repeats))[repeats // 2]
    return [
        Row(
            question=f"peak memory of a run of {layers * width:,} steps",
            unit="MB",
            floor=floor,
            planloom=planloom,
            ratio=planloom / floor,
            bound=BOUND_MB,
            bound_on="value",
        )
    ]


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
    from planloom import execute_plan

    result = asyncio.run(execute_plan(layered(layers, width), TOOLBOX))
    assert result.status == "succeeded"
    print(_peak_mb())


def _run_floor(layers: int, width: int) -> None:
    outputs = asyncio.run(run_by_hand(graph_by_hand(layered(layers, width)), no_work))
    assert len(outputs) == layers * width
    print(_peak_mb())


if __name__ == "__main__":
    (_run_planloom if sys.argv[1] == "planloom" else _run_floor)(int(sys.argv[2]), int(sys.argv[3]))
