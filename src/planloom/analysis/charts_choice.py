"""Chooses what is worth drawing of a table from its statistics, by rules that are stated. Pure: figures in, a list out.

Rule: few and telling. Identifiers, constants and columns without values are never drawn; each kind of chart has a
number of its own, and the whole list is bounded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, cast

from pydantic import Field
from typing_extensions import TypedDict

from planloom.analysis.charts_model import ChartKind, Measure
from planloom.analysis.statistics import ColumnStats, NumericStats, Stats
from planloom.analysis.summary import is_running_number
from planloom.analysis.wording import number, quoted

MAX_CHARTS: Final = 20
USUAL_CHARTS: Final = 8
HISTOGRAMS: Final = 3
BARS: Final = 2
MATRIX_COLUMNS: Final = 10
DISTRIBUTIONS: Final = 4
MAX_GROUPS: Final = 12
"""Different values of a column that still make legible groups."""
MIN_STRENGTH: Final = 0.3
"""A pair of columns is drawn against each other from this correlation on."""
MIN_DATES: Final = 3
ID_ROWS: Final = 20
"""In a table with so many rows, whole numbers that all differ are taken for identifiers."""
GREATEST: Final = 1e140
"""Squares of larger numbers are beyond the range of floats."""
METHOD: Final = (
    "identifiers, constants and empty columns are left out; one line over the first date column, a correlation matrix "
    f"from three numeric columns on, a scatter plot of the strongest pair with |r| >= {MIN_STRENGTH}, up to "
    f"{HISTOGRAMS} histograms (most different values first), a box plot per group, up to {BARS} bar charts of columns "
    f"with 2 to {MAX_GROUPS} different values"
)


class ChosenChart(TypedDict):
    """The arguments of draw_chart for one chart, and why it was chosen."""

    kind: ChartKind
    x: str | None
    y: str | None
    measure: Measure | None
    columns: list[str] | None
    why: str


class ChosenCharts(TypedDict):
    """What is worth drawing, and which columns are worth a closer look."""

    charts: Annotated[list[ChosenChart], Field(description="Draw each with draw_chart, by for_each")]
    distributions: Annotated[list[str], Field(description="Numeric columns worth a closer look")]
    left_out: Annotated[int, Field(description="Charts that would have been worth it beyond the limit")]
    method: str


def choose(stats: Stats, correlations: Mapping[str, Any] | None, limit: int) -> ChosenCharts:
    """Choose at most `limit` charts of a described table; `correlations` is the output of correlate, if any."""
    measures = telling_columns(stats)
    groups = [
        name
        for name, column in stats["columns"].items()
        if name not in measures and _is_group(column, stats["numeric"].get(name))
    ]
    dates = [
        name
        for name, column in stats["columns"].items()
        if column["type"] == "date" and column["distinct"] >= MIN_DATES
    ]
    matrix = [name for name in stats["numeric"] if name in measures][:MATRIX_COLUMNS]
    charts: list[ChosenChart] = []
    if dates:
        y = next((name for name in measures if _meet(stats, dates[0], name)), None)
        charts.append(_chart("line", dates[0], y, why=f"{quoted(dates[0])} holds dates"))
    pair = strongest_pair(correlations, measures)
    if pair is not None:
        a, b, r = pair
        charts.append(_chart("scatter", a, b, why=f"these two go together most, r = {number(r)}"))
    if len(matrix) > 2:
        charts.append(_chart("heat-map", columns=matrix, why=f"{len(matrix)} columns hold measured numbers"))
    spread = [_chart("histogram", name, why=f"{quoted(name)} holds measured numbers") for name in measures[:HISTOGRAMS]]
    if measures and groups and _meet(stats, groups[0], measures[0]):
        why = f"{quoted(groups[0])} divides the rows into {stats['columns'][groups[0]]['distinct']} groups"
        spread.insert(1, _chart("box", groups[0], measures[0], why=why))
    charts += spread
    charts += [_chart("bar", name, why=f"{quoted(name)} has few different values") for name in groups[:BARS]]
    return {
        "charts": charts[:limit],
        "distributions": measures[:DISTRIBUTIONS],
        "left_out": max(0, len(charts) - limit),
        "method": f"{METHOD}; at most {limit}",
    }


def telling_columns(stats: Stats) -> list[str]:
    """Numeric columns whose figures mean something, those with the most different values first."""
    found = [
        name
        for name, figures in stats["numeric"].items()
        if _is_measure(stats["columns"][name], figures, stats["rows"])
    ]
    return sorted(found, key=lambda name: -stats["columns"][name]["distinct"])


def _meet(stats: Stats, one: str, other: str) -> bool:
    """Whether some row is sure to have a value in both columns."""
    return stats["columns"][one]["count"] + stats["columns"][other]["count"] > stats["rows"]


def _is_measure(column: ColumnStats, figures: NumericStats, rows: int) -> bool:
    low, high = figures["min"], figures["max"]
    if low is None or high is None or low == high or column["distinct"] < 3 or max(abs(low), abs(high)) > GREATEST:
        return False
    is_id = column["type"] == "integer" and column["distinct"] == figures["count"] and rows >= ID_ROWS
    return not (is_id or is_running_number(column, figures))


def _is_group(column: ColumnStats, figures: NumericStats | None) -> bool:
    is_kind = column["type"] in ("text", "boolean") or (column["type"] == "integer" and figures is not None)
    few = MAX_GROUPS if column["type"] != "integer" else 5
    return is_kind and 2 <= column["distinct"] <= few and column["count"] >= 2 * column["distinct"]


def strongest_pair(correlations: Mapping[str, Any] | None, among: Sequence[str]) -> tuple[str, str, float] | None:
    """The two columns that go together most, short of being the same thing; None below `MIN_STRENGTH`."""
    pairs = cast("list[dict[str, Any]]", (correlations or {}).get("pairs") or [])
    for pair in pairs:
        r = pair.get("r")
        if isinstance(r, int | float) and pair.get("a") in among and pair.get("b") in among:
            return (pair["a"], pair["b"], float(r)) if abs(r) >= MIN_STRENGTH else None
    return None


def _chart(
    kind: ChartKind, x: str | None = None, y: str | None = None, *, columns: list[str] | None = None, why: str
) -> ChosenChart:
    return {"kind": kind, "x": x, "y": y, "measure": None, "columns": columns, "why": why}
