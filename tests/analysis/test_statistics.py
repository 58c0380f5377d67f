"""The figures: right to the last digits, whole for odd columns, and never NaN."""

# ruff: noqa: E501 (a case reads best on one line)
from __future__ import annotations

import json
import math
import statistics
from collections.abc import Callable
from typing import Any

import pytest

from planloom import ToolContext
from planloom.analysis import compute_stats, find_anomalies

Load = Callable[..., dict[str, Any]]

NUMBERS = [3.5, 1.25, 8.0, -2.75, 100.125, 4.5, 6.0, 2.25]


def test_figures_agree_with_the_standard_library(load: Load, context: ToolContext) -> None:
    """Mean, sample deviation and inclusive quartiles are those of Python's `statistics`."""
    table = load("x\n" + "\n".join(map(str, NUMBERS)))
    found = compute_stats(table, context)["numeric"]["x"]
    q25, median, q75 = statistics.quantiles(NUMBERS, n=4, method="inclusive")
    expected = {
        "count": 8,
        "mean": statistics.fmean(NUMBERS),
        "std": statistics.stdev(NUMBERS),
        "min": -2.75,
        "q25": q25,
        "median": median,
        "q75": q75,
        "max": 100.125,
    }
    assert pytest.approx(expected, rel=1e-12) == found


# name: (column, expected figures)
ODD_COLUMNS: dict[str, tuple[list[str], dict[str, float | int | None]]] = {
    "one value": (["5"], {"count": 1, "mean": 5.0, "std": None, "min": 5.0, "max": 5.0}),
    "constant": (["0.1"] * 7, {"mean": 0.1, "std": 0.0, "q25": 0.1}),
    "constant and missing": (["7", "-", "7"], {"count": 2, "mean": 7.0, "std": 0.0}),
    "beyond the squares of floats": (["1e300", "-1e300", "1e300"], {"mean": 1e300 / 3, "std": 2e300 / math.sqrt(3)}),
    "the whole range of floats": (["1.7e308", "-1.7e308"], {"mean": 0.0, "max": 1.7e308}),
    "far from zero": (["1000000.1", "1000000.2", "1000000.3"], {"mean": 1000000.2, "std": 0.1}),
    "huge integers": (["12345678901234567890123", "12345678901234567890125"], {"count": 2, "mean": 1.2345678901234568e22}),
}  # fmt: skip


@pytest.mark.parametrize("name", ODD_COLUMNS)
def test_odd_column(name: str, load: Load, context: ToolContext) -> None:
    """Columns at the edge of arithmetic have finite figures, or None."""
    cells, expected = ODD_COLUMNS[name]
    table = load("x,y\n" + "\n".join(f"{cell},a" for cell in cells))
    found = compute_stats(table, context)["numeric"]["x"]
    for key, value in expected.items():
        assert (None if value is None else pytest.approx(value, rel=1e-7)) == found[key], key
    json.dumps([found, find_anomalies(table, context)], allow_nan=False)


@pytest.mark.parametrize("start", [2**53, 2**60, -(2**62), 10**25])
def test_whole_numbers_beyond_floats(start: int, load: Load, context: ToolContext) -> None:
    """The deviation of whole numbers that floats cannot tell apart is that of the numbers themselves."""
    values = [start + 3 * number * number for number in range(40)]
    found = compute_stats(load("x,y\n" + "".join(f"{value},a\n" for value in values)), context)["numeric"]["x"]
    assert pytest.approx(statistics.stdev([value - start for value in values]), rel=1e-12) == found["std"]
    assert float(sum(values) / len(values)) == found["mean"]


def test_every_column_is_described(load: Load, context: ToolContext) -> None:
    """Missing and distinct are counted for every type; text has its commonest value, dates their ends."""
    table = load("n,t,d,b,e\n1,x,2024-01-05,true,\n1,x,2024-03-01,false,\n2,y,,true,\n")
    columns = compute_stats(table, context)["columns"]
    assert {"n": 2, "t": 2, "d": 2, "b": 2, "e": 0} == {name: column["distinct"] for name, column in columns.items()}
    assert {"n": 0, "t": 0, "d": 1, "b": 0, "e": 3} == {name: column["missing"] for name, column in columns.items()}
    assert ("x", 2) == (columns["t"]["most_common"], columns["t"]["most_common_count"])
    assert ("2024-01-05", "2024-03-01") == (columns["d"]["first"], columns["d"]["last"])
    assert ("true", 2) == (columns["b"]["most_common"], columns["b"]["most_common_count"])
    assert 1.0 == columns["e"]["missing_share"]


def test_no_rows(load: Load, context: ToolContext) -> None:
    """A table without rows has statistics: counts of 0, and None."""
    stats = compute_stats(load("a,b\n"), context)
    assert (0, 0, 0.0) == (stats["rows"], stats["columns"]["a"]["missing"], stats["columns"]["a"]["missing_share"])


def test_many_columns(load: Load, context: ToolContext) -> None:
    """More columns than one query takes keep their order and their figures."""
    names = [f"c{n}" for n in range(450)]
    table = load("\n".join([",".join(names), *(",".join(str(row * n) for n in range(450)) for row in (1, 2, 3))]))
    stats = compute_stats(table, context)
    assert names == list(stats["numeric"])
    assert [2.0 * n for n in range(450)] == [stats["numeric"][name]["mean"] for name in names]


def test_anomalies(load: Load, context: ToolContext) -> None:
    """Values beyond the threshold are counted, the most extreme first, with rows from 1; the bound itself is inside."""
    cells = [0] * 50 + [40, -90] + [0] * 50 + [60]
    table = load("x\n" + "\n".join(map(str, cells)))
    found = find_anomalies(table, context)["columns"]["x"]
    mean, std = statistics.fmean(cells), statistics.stdev(cells)
    assert (3, 3 / 103, 103) == (found["count"], found["share"], found["checked"])
    assert pytest.approx([mean, std]) == [found["mean"], found["std"]]
    assert [(52, -90.0), (103, 60.0), (51, 40.0)] == [(value["row"], value["value"]) for value in found["values"]]
    assert pytest.approx((-90 - mean) / std) == found["values"][0]["deviations"]


def test_at_most_five_examples(load: Load, context: ToolContext) -> None:
    """Ten anomalies are counted as ten and shown as five, earlier rows first among equals."""
    table = load("x,y\n" + "\n".join(f"{9 if row % 30 == 0 else 0},a" for row in range(300)))
    found = find_anomalies(table, context)["columns"]["x"]
    assert (10, [1, 31, 61, 91, 121]) == (found["count"], [value["row"] for value in found["values"]])


def test_threshold(load: Load, context: ToolContext) -> None:
    """A lower threshold finds more; one that is no positive number is refused."""
    table = load("x\n" + "\n".join(map(str, [1, 2, 3, 4, 5, 30])))
    assert [0, 1] == [find_anomalies(table, context, threshold=t)["total"] for t in (3.0, 2.0)]
    with pytest.raises(Exception, match="not a positive number"):
        find_anomalies(table, context, threshold=0)
