"""The summary's sentences about numbers: what they claim holds for the values themselves."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from planloom import ToolContext
from planloom.analysis.summary import summarise
from planloom.analysis.tables import Table
from planloom.analysis.tools import compute_stats, find_anomalies

IDS = range(50)

# name: (columns, the sentence about numbers)
NUMBERS: dict[str, tuple[dict[str, Sequence[object]], str]] = {
    "integers that are one float": (
        {"v": [10**30 + number for number in range(20)]},
        "`v` averages 1e+30 (median 1e+30, from 1e+30 to 1e+30).",
    ),
    "one value": ({"v": [10**30] * 20}, "`v` is always 1e+30."),
    "an id alone": ({"v": IDS}, "No column holds measured numbers: `v` looks like an id and was left out."),
    "an id beside text": (
        {"v": IDS, "t": ["tea"] * 50},
        "No column holds measured numbers: `v` looks like an id and was left out; "
        "the most common value of `t` is `tea`, in 50 rows.",
    ),
    "two ids": (
        {"v": IDS, "w": range(7, 57)},
        "No column holds measured numbers: `v` and `w` look like ids and were left out.",
    ),
    "three ids": (
        {"v": IDS, "w": range(7, 57), "x": IDS},
        "No column holds measured numbers: `v`, `w` and 1 more look like ids and were left out.",
    ),
    "no number": ({"t": ["tea", "cup"]}, "No column holds measured numbers."),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers(name: str, load: Callable[..., Table], context: ToolContext) -> None:
    """What is left out is said, and `always` means one value."""
    columns, expected = NUMBERS[name]
    table = load(
        "\n".join([",".join(columns), *(",".join(map(str, row)) for row in zip(*columns.values(), strict=True))])
    )
    summary = summarise(compute_stats(table, context), find_anomalies(table, context), has_model=True)
    assert expected == summary["sentences"][1]
