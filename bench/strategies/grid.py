"""The grid: every goal with every speed of model and tool, in virtual time; and a sample of it over real HTTP.

The sample has everything a few times as quick, so that it takes a minute or two; what the machine adds to a call stays
as it is, so the error of virtual time is shown larger than it is at full length.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any, Final

from bench.strategies.cells import PARALLEL, PLAN, STRATEGIES, Cell, Speed, run_really, run_virtually
from bench.strategies.goals import Goal
from planloom.agent.compare import StrategyRow

FIRST_TOKEN_S: Final = (0.2, 0.5, 1.5)
TOKENS_PER_S: Final = (25.0, 80.0, 400.0)
TOOL_S: Final = (0.1, 1.0, 10.0)
SHARES: Final = (0.0, 0.25, 0.5)
"""Of the calls that fail for good; rounded up to whole calls."""
OUTPUT_PRICE: Final = 5
"""An output token costs as much as so many input tokens, which is what most providers ask."""
SAMPLE: Final = 14
SAMPLE_FASTER: Final = 4.0
TINY_FASTER: Final = 40.0
LONGEST_S: Final = 25.0
"""A cell of the sample takes at most so long by all strategies together, before it is made quicker."""
CLEAR: Final = 0.05
"""Two strategies whose times are no further apart are as quick as each other."""
SEED: Final = 20_260_301
TYPICAL: Final = (Speed(0.5, 80.0), 1.0)


def goals(*, tiny: bool = False) -> list[Goal]:
    """Return the goals: their kinds, numbers of calls, and shares that fail."""
    if tiny:
        return [Goal("independent", 2), Goal("independent", 2, (0,)), Goal("chain", 2), Goal("reading", 2)]
    found = [_failing(Goal("independent", calls), share) for calls in (1, 2, 4, 8, 16) for share in SHARES]
    found += [Goal("listed", calls) for calls in (4, 8, 16)]
    found += [_failing(Goal("chain", calls), share) for calls in (2, 4, 8) for share in SHARES]
    found += [Goal("chains", calls) for calls in (6, 12)]
    found += [Goal("reading", calls) for calls in (2, 4, 8)]
    found += [Goal("asked", calls) for calls in (2, 4, 8)]
    return list(dict.fromkeys(found))


def _failing(goal: Goal, share: float) -> Goal:
    """Return the goal with a share of its calls failing, spread evenly."""
    count = -int(-goal.calls * share // 1)
    return Goal(goal.kind, goal.calls, tuple(number * goal.calls // count for number in range(count)))


def cells(*, tiny: bool = False) -> list[Cell]:
    """Return the whole grid."""
    speeds = [TYPICAL[0]] if tiny else [Speed(first, rate) for first in FIRST_TOKEN_S for rate in TOKENS_PER_S]
    times = (TYPICAL[1],) if tiny else TOOL_S
    return [Cell(goal, speed, tool_s) for goal in goals(tiny=tiny) for speed in speeds for tool_s in times]


def measure(say: Callable[[str], None], *, tiny: bool = False) -> dict[str, Any]:
    """Run the grid and its sample; return the part of the document that holds what came of them."""
    grid: list[tuple[Cell, dict[str, StrategyRow]]] = []
    every = cells(tiny=tiny)
    for number, cell in enumerate(every):
        if number % 100 == 0:
            say(f"virtual time: {number} of {len(every)} cells")
        grid.append((cell, run_virtually(cell)))
    sample: list[dict[str, Any]] = []
    faster = TINY_FASTER if tiny else SAMPLE_FASTER
    chosen = _sampled(grid, 1 if tiny else SAMPLE)
    for number, cell in enumerate(chosen):
        say(f"over HTTP: {number + 1} of {len(chosen)} cells, {cell.goal.name}")
        quick = cell.times(faster)
        virtual, real = run_virtually(quick), run_really(quick)
        sample += [
            {
                **_key(cell), "strategy": name, "virtual_s": virtual[name].wall_s, "real_s": row.wall_s,
                "model_calls": row.model_calls, "tool_calls_virtual": virtual[name].steps, "tool_calls_real": row.steps,
            }
            for name, row in real.items()
        ]  # fmt: skip
    return {
        "columns": COLUMNS,
        "grid": [{**_key(cell), "rows": {name: _taken(row) for name, row in rows.items()}} for cell, rows in grid],
        "sample": sample,
        "faster": faster,
        "check": check(sample),
    }


def _sampled(grid: list[tuple[Cell, dict[str, StrategyRow]]], count: int) -> list[Cell]:
    """Choose cells by chance from a fixed seed, one of each kind of goal first."""
    short = [cell for cell, rows in grid if sum(row.wall_s for row in rows.values()) <= LONGEST_S]
    random.Random(SEED).shuffle(short)
    first = {cell.goal.kind: cell for cell in reversed(short)}
    return list(dict.fromkeys([*first.values(), *short]))[:count]


def _key(cell: Cell) -> dict[str, Any]:
    goal = cell.goal
    return {
        "goal": goal.name, "kind": goal.kind, "calls": goal.calls, "failing": len(goal.failing), **asdict(cell.speed),
        "tool_s": cell.tool_s,
    }  # fmt: skip


COLUMNS: Final = ("wall_s", "model_calls", "input_tokens", "output_tokens")
"""What the document holds of a strategy in a cell, in this order."""


def _taken(row: StrategyRow) -> list[float]:
    return [round(row.wall_s, 4), row.model_calls, row.input_tokens, row.output_tokens]


def check(sample: list[dict[str, Any]]) -> dict[str, Any]:
    """Return how far virtual time is from real time: of each strategy, and of the ratio that is claimed."""
    errors = {
        name: [line["real_s"] / line["virtual_s"] - 1 for line in sample if line["strategy"] == name]
        for name in STRATEGIES
    }
    pairs = _pairs(sample)
    clear = [(plan, other) for plan, other in pairs if abs(plan["virtual_s"] / other["virtual_s"] - 1) > CLEAR]
    ratios = [
        (plan["real_s"] / other["real_s"]) / (plan["virtual_s"] / other["virtual_s"]) - 1 for plan, other in pairs
    ]
    added_ms = [(line["real_s"] - line["virtual_s"]) / line["model_calls"] * 1e3 for line in sample]
    return {
        "error": {name: [statistics.median(found), max(found, key=abs)] for name, found in errors.items() if found},
        "ratio_error": [statistics.median(ratios), max(ratios, key=abs)],
        "same_side": sum(_is_quicker(a, b, "real_s") == _is_quicker(a, b, "virtual_s") for a, b in clear),
        "clear": len(clear),
        "pairs": len(pairs),
        "added_ms_per_call": statistics.median(added_ms),
    }


def _is_quicker(plan: dict[str, Any], other: dict[str, Any], measured: str) -> bool:
    return plan[measured] < other[measured]


def _pairs(sample: list[dict[str, Any]]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    def of(strategy: str) -> Iterator[dict[str, Any]]:
        return (line for line in sample if line["strategy"] == strategy)

    return list(zip(of(PLAN), of(PARALLEL), strict=True))
