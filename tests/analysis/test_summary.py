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
        {"v": [10**30 + number % 10 for number in range(20)]},
        "`v` averages 1e+30 (median 1e+30, from 1e+30 to 1e+30).",
    ),
    "one value": ({"v": [10**30] * 20}, "`v` is always 1e+30."),
    "an id alone": ({"v": IDS}, "No column holds measured numbers: `v` looks like an id and was left out."),
    "an id beside text": (
        {"v": IDS, "t": ["tea"] * 50},
        "No column holds measured numbers: `v` looks like an id and was left out; "
        "the most common value of `t` is `tea`, in 50 rows.",
    ),
    "long ids": (
        {"v": [2**60 + 7 * number for number in range(20)]},
        "No column holds measured numbers: `v` looks like an id and was left out.",
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


# name: (the column, how the sentence about anomalies goes)
FAR: dict[str, tuple[list[int], str]] = {
    "nothing": ([1, 2, 3, 4, 5] * 9, "No value lies more than 3 standard deviations from the mean of its column ("),
    "a code": (
        [*[11, 12, 13, 14, 15] * 9, *[-999] * 9],
        "No value lies more than 3 standard deviations from the mean of its column; "
        "-999 stands 9 times in `v` and looks like a code for a missing value (",
    ),
    "two codes": (
        [*[11, 12, 13, 14, 15] * 9, *[-999] * 9, *[99999] * 8],
        "No value lies more than 3 standard deviations from the mean of its column; "
        "-999 stands 9 times in `v` and looks like a code for a missing value, as does 1 other value (",
    ),
    "far, but not by sigma": (
        [*[11, 12, 13, 14, 15] * 9, *range(900, 909)],
        "No value lies more than 3 standard deviations from the mean of its column, "
        "but 9 values lie more than 3 interquartile ranges beyond the quartiles (",
    ),
}


@pytest.mark.parametrize("name", FAR)
def test_far_values(name: str, load: Callable[..., Table], context: ToolContext) -> None:
    """What the deviation does not show stands beside what it shows, and it is still one sentence of three."""
    values, expected = FAR[name]
    table = load("v,t\n" + "".join(f"{value},a\n" for value in values))
    summary = summarise(compute_stats(table, context), find_anomalies(table, context), has_model=True)
    assert 3 == len(summary["sentences"])
    assert expected == summary["sentences"][2][: len(expected)]
