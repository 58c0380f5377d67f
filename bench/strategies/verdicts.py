"""From the grid's results: how plan-and-execute stands to the others, goal by goal. Pure; no words, no drawing."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Any

from bench.strategies.cells import PLAN
from bench.strategies.grid import OUTPUT_PRICE

Line = dict[str, Any]
"""A cell of the grid as the document holds it: its key, and `rows` by strategy, each in the order of `COLUMNS`."""


@dataclass(frozen=True)
class Standing:
    """One strategy's time over another's on one goal, over all speeds of model and tool.

    `lost` of `count` cells are slower. `bill` is the median ratio of what the tokens cost.
    """

    least: float
    median: float
    most: float
    lost: int
    count: int
    bill: float
    worst: Line


def titles(grid: list[Line]) -> list[str]:
    """Return the goals' names with how many of their calls fail, in order."""
    return list(dict.fromkeys(title(line) for line in grid))


def title(line: Line) -> str:
    """Return the name of a goal with how many of its calls fail."""
    failing = line["failing"]
    return line["goal"] + ("" if not failing else ", 1 fails" if failing == 1 else f", {failing} fail")


def bill(row: list[float]) -> int:
    """Return what the tokens of a strategy cost, in input tokens."""
    _, _, input_tokens, output_tokens = row
    return int(input_tokens + OUTPUT_PRICE * output_tokens)


def standing(lines: list[Line], other: str, strategy: str = PLAN) -> Standing | None:
    """Return how a strategy stands to another, over the cells in which both reach the goal; None without any."""
    both = [line for line in lines if {strategy, other} <= line["rows"].keys()]
    if not both:
        return None
    ratios = [line["rows"][strategy][0] / line["rows"][other][0] for line in both]
    bills = [bill(line["rows"][strategy]) / bill(line["rows"][other]) for line in both]
    return Standing(
        least=min(ratios),
        median=statistics.median(ratios),
        most=max(ratios),
        lost=sum(ratio > 1 for ratio in ratios),
        count=len(ratios),
        bill=statistics.median(bills),
        worst=both[ratios.index(max(ratios))],
    )


def standings(grid: list[Line], other: str, strategy: str = PLAN) -> dict[str, Standing]:
    """Return the standing on each goal."""
    found = {name: standing([line for line in grid if title(line) == name], other, strategy) for name in titles(grid)}
    return {name: one for name, one in found.items() if one is not None}
