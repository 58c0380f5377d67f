"""Is the analysis as quick and as small as the naive way? One pandas script against the same questions put to Planloom.

Both read a generated CSV, describe every column, find values beyond three standard deviations and correlate the numeric
columns, each in a process of its own, in turns, imports counted, both sides with their byte code ready as an installed
package has it. Wall time, peak resident memory and, as a busy machine cannot stretch it much, processor time.
"""

from __future__ import annotations

import itertools
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.measure import Row, spread_of

WALL_BOUND = 1.0
MEMORY_BOUND = 0.7
BYTES = 200_000_000
PAIRS = 3
SEED = 20_240_301
PEAK = """
print(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])
"""
"""Not what `wait4` says: on Linux a new process inherits its parent's peak there."""
NAIVE = (
    """
import sys
import pandas as pd
frame = pd.read_csv(sys.argv[1])
described = frame.describe(include="all")
numbers = frame.select_dtypes("number")
far = {name: int(((column - column.mean()).abs() > 3 * column.std()).sum()) for name, column in numbers.items()}
together = numbers.corr()
print(len(frame), sum(far.values()), round(float(together.iloc[0, 1]), 6))
"""
    + PEAK
)
PLANNED = (
    """
import asyncio, sys
from planloom import execute_plan
from planloom.analysis import toolbox
plan = [
    {"id": "load", "tool": "load_data", "args": {"path": sys.argv[1]}},
    {"id": "stats", "tool": "compute_stats", "args": {"data": "{{load.output}}"}},
    {"id": "far", "tool": "find_anomalies", "args": {"data": "{{load.output}}"}},
    {"id": "together", "tool": "correlate", "args": {"data": "{{load.output}}"}},
]
steps = asyncio.run(execute_plan(plan, toolbox)).raise_for_status().steps
matrix = steps["together"].output["matrix"]
first, second = list(matrix)[:2]
print(steps["stats"].output["rows"], steps["far"].output["total"], round(matrix[first][second], 6))
"""
    + PEAK
)


@dataclass(frozen=True)
class Taken:
    """What a process took, and what it found."""

    wall_s: float
    processor_s: float
    memory_bytes: float
    found: str


def rows(*, tiny: bool = False) -> list[Row]:
    """Measure wall time and peak memory."""
    with tempfile.TemporaryDirectory(prefix="planloom-bench-") as name:
        path = Path(name) / "generated.csv"
        with path.open("w", encoding="utf-8") as file:
            file.writelines(_lines(20_000 if tiny else BYTES))
        size = path.stat().st_size
        environment = _environment(Path(name))
        small = Path(name) / "small.csv"
        small.write_text("".join(itertools.islice(_lines(2_000), 20)))
        for script in (NAIVE, PLANNED):
            _run(script, small, environment)
        pairs: list[tuple[Taken, Taken]] = []
        for number in range(1 if tiny else PAIRS):
            sides = [_run(NAIVE, path, environment), _run(PLANNED, path, environment)] if number % 2 == 0 else [
                *reversed([_run(PLANNED, path, environment), _run(NAIVE, path, environment)])
            ]  # fmt: skip
            pairs.append((sides[0], sides[1]))
    for naive, planned in pairs:
        assert naive.found == planned.found, f"pandas found {naive.found!r}, Planloom {planned.found!r}"
    question = f"describe, 3 sigma, correlations of a CSV of {size / 1e6:,.0f} MB against pandas"
    return [
        _row(f"{question}, wall time", "s", [(a.wall_s, b.wall_s) for a, b in pairs], WALL_BOUND),
        _row(f"{question}, processor time", "s", [(a.processor_s, b.processor_s) for a, b in pairs], None),
        _row(
            f"{question}, peak memory",
            "MB",
            [(a.memory_bytes / 1e6, b.memory_bytes / 1e6) for a, b in pairs],
            MEMORY_BOUND,
        ),
    ]


def _row(question: str, unit: str, pairs: list[tuple[float, float]], bound: float | None) -> Row:
    ratios = [planned / naive for naive, planned in pairs]
    return Row(
        question=question,
        unit=unit,
        floor=statistics.median(naive for naive, _ in pairs),
        planloom=statistics.median(planned for _, planned in pairs),
        ratio=statistics.median(ratios),
        bound=bound,
        spread=spread_of(ratios),
    )


def _environment(folder: Path) -> dict[str, str]:
    """The environment of both sides: byte code is kept, in `folder`, whatever this process was told."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPYCACHEPREFIX": str(folder / "byte-code")}


def _run(script: str, path: Path, environment: dict[str, str]) -> Taken:
    """Run a script on the file in a process of its own."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    command = [sys.executable, "-c", script, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    wall_s = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    found, peak = done.stdout.splitlines()
    processor_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Taken(wall_s, processor_s, int(peak) * 1024.0, found)


def _lines(size: int) -> Iterator[str]:
    """Yield a header and rows of about `size` bytes: numbers that go together, categories, dates, missing cells."""
    chance = random.Random(SEED)
    head = "id,amount,paid,score,quantity,rate,region,product,day,note\n"
    yield head
    written = len(head)
    number = 0
    while written < size:
        number += 1
        amount = chance.gauss(100, 15)
        paid = amount * 0.9 + chance.gauss(0, 5)
        score = "" if chance.random() < 0.02 else f"{chance.gauss(0, 1):.5f}"
        line = (
            f"{number},{amount:.3f},{paid:.3f},{score},{chance.randrange(1, 50)},{chance.random():.6f},"
            f"{chance.choice('NESW')},product {chance.randrange(200)},2024-{chance.randrange(1, 13):02}-"
            f"{chance.randrange(1, 29):02},{'x' * chance.randrange(1, 20)}\n"
        )
        written += len(line)
        yield line
