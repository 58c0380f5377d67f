"""Measuring: floor and Planloom in turns, so that whatever else the machine does hits both.

Rule: a ratio is the median over adjacent pairs, never one side of today against the other of yesterday.
Questions about work count processor time, which a busy neighbour cannot stretch; questions about waiting
count wall time. Before every sample garbage is collected; during it the collector runs as it does for users.
"""

from __future__ import annotations

import asyncio
import gc
import statistics
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Literal

Clock = Callable[[], float]
Sample = Callable[[], float]
"""Does one side's work once and returns the seconds it took."""

PROCESSOR: Clock = time.process_time
WALL: Clock = time.perf_counter


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table. `bound` is on the ratio or on the value in `unit`; None: only reported.

    `spread` holds the 10th and the 90th percentile of the ratios behind the median.
    """

    question: str
    unit: str
    floor: float
    planloom: float
    ratio: float
    bound: float | None = None
    bound_on: Literal["ratio", "value"] = "ratio"
    spread: tuple[float, float] | None = None
    note: str = ""

    @property
    def is_met(self) -> bool | None:
        """Whether the bound is met, None when there is none."""
        if self.bound is None:
            return None
        return (self.ratio if self.bound_on == "ratio" else self.planloom) <= self.bound


@dataclass(frozen=True)
class Comparison:
    """What two sides took, pair by pair, in seconds."""

    floor_s: list[float]
    planloom_s: list[float]

    @property
    def ratios(self) -> list[float]:
        """Planloom over the floor, of each pair."""
        return [taken / floor for floor, taken in zip(self.floor_s, self.planloom_s, strict=True)]

    @property
    def ratio(self) -> float:
        """The median of the pairs' ratios."""
        return statistics.median(self.ratios)

    def row(
        self, question: str, *, per: int, unit: str, scale: float, bound: float | None = None, note: str = ""
    ) -> Row:
        """Make a row: a sample did `per` things, and `scale` turns seconds into `unit`."""
        return Row(
            question=question,
            unit=unit,
            floor=statistics.median(self.floor_s) / per * scale,
            planloom=statistics.median(self.planloom_s) / per * scale,
            ratio=self.ratio,
            bound=bound,
            spread=spread_of(self.ratios),
            note=note,
        )


def spread_of(ratios: list[float]) -> tuple[float, float]:
    """Return the 10th and the 90th percentile."""
    if len(ratios) < 2:
        return ratios[0], ratios[0]
    deciles = statistics.quantiles(ratios, n=10, method="inclusive")
    return deciles[0], deciles[-1]


def compare(floor: Sample, planloom: Sample, pairs: int, *, collects: bool = True) -> Comparison:
    """Take both samples `pairs` times in turns, after one of each to warm up.

    `collects` says whether the garbage collector runs during the samples, as it does for users.
    """
    for warm_up in (floor, planloom):
        warm_up()
    floor_s: list[float] = []
    planloom_s: list[float] = []
    for number in range(pairs):
        # A B B A: neither side always comes first
        for side, taken in ((floor, floor_s), (planloom, planloom_s))[:: 1 if number % 2 == 0 else -1]:
            gc.collect()
            if not collects:
                gc.disable()
            taken.append(side())
            gc.enable()
    return Comparison(floor_s, planloom_s)


def on_loop(
    runner: asyncio.Runner, make: Callable[[], Coroutine[Any, Any, Any]], clock: Clock, times: int = 1
) -> Sample:
    """Make a sample of a coroutine, run `times` in a row on a loop that is already there."""

    async def sample() -> float:
        began = clock()
        for _ in range(times):
            await make()
        return clock() - began

    return lambda: runner.run(sample())


def called(function: Callable[[], Any], clock: Clock) -> Sample:
    """Make a sample of a plain call; letting go of what it returns is not counted."""

    def sample() -> float:
        began = clock()
        kept = function()
        taken = clock() - began
        del kept
        return taken

    return sample
