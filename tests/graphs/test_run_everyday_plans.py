"""1,598 everyday plans with the time that an optimal, fully parallel run takes, known from their source."""

from __future__ import annotations

import asyncio
import math

import pytest
from graph_data import read_lines

from planloom import Plan, Step, Tool, Toolbox
from planloom.testing import VirtualClock

CONTRADICT_THEMSELVES = {"asynchow-829", "asynchow-1113"}
"""The source gives these a longest path that is not the optimal time it gives."""

SCALE = 1e-6
"""Everyday plans take up to years, a tool's time limit is a year at most: a second here is a microsecond."""


async def work(seconds: float) -> None:
    """Take so long."""
    await asyncio.sleep(seconds * SCALE)


TOOLBOX = Toolbox([Tool.from_function(work, timeout_s=300 * 24 * 3600)])


@pytest.mark.parametrize("end", [0, 1], ids=["shortest", "longest"])
def test_everyday_plans_take_the_optimal_time(end: int) -> None:
    """Durations are ranges; with all the shortest, and with all the longest, a run takes the gold optimum."""
    rows = read_lines("asynchow.jsonl")
    wrong: dict[str, tuple[float, float]] = {}
    for row in rows:
        steps = [
            Step(step["id"], "work", {"seconds": step["duration_s"][end]}, step["depends_on"]) for step in row["plan"]
        ]
        result = VirtualClock().execute(Plan(tuple(steps)), TOOLBOX)
        took_s = result.duration_ms / 1_000 / SCALE
        optimal_s = row["expected"]["optimal_time_s"][end]
        if result.status != "succeeded" or not math.isclose(optimal_s, took_s, rel_tol=1e-9):
            wrong[row["id"]] = (optimal_s, took_s)
    assert 1_598 == len(rows)
    assert CONTRADICT_THEMSELVES >= wrong.keys(), wrong
    print(f"\n{len(rows) - len(wrong)} of {len(rows)} take exactly the gold optimum; not: {wrong}")
