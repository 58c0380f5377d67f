"""From the arguments of `draw_chart` to the figures of a chart: which columns a kind of chart takes.

Everything that is wrong with a request is said before anything is computed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from planloom.analysis.charts_data import correlation_matrix, histogram, scatter
from planloom.analysis.charts_groups import bar, box, heat_map, line
from planloom.analysis.charts_model import ChartAsked, ChartFigures, ChartKind
from planloom.analysis.columns import GROUPING, NUMERIC, column_kinds, one_column, several_columns
from planloom.analysis.database import Database, open_database
from planloom.analysis.tables import Kind, Table, table_path
from planloom.errors import DataError

_AXIS: Final[frozenset[Kind]] = frozenset((*NUMERIC, "date"))
Drawer = Callable[[Database, str, Mapping[str, Kind], ChartAsked], ChartFigures]
_DRAWERS: Final[dict[ChartKind, Drawer]] = {
    "histogram": histogram, "box": box, "scatter": scatter, "line": line, "bar": bar, "heat-map": heat_map,
}  # fmt: skip
_NEEDS: Final[dict[ChartKind, tuple[str, ...]]] = {
    "histogram": ("x",), "box": ("x",), "scatter": ("x", "y"), "line": ("x",), "bar": ("x",), "heat-map": (),
}  # fmt: skip
_EXAMPLES: Final[dict[ChartKind, str]] = {
    "histogram": '"x": "price"',
    "box": '"x": "region", "y": "price", or "x": "price" alone',
    "scatter": '"x": "size", "y": "price"',
    "line": '"x": "date", "y": "price"',
    "bar": '"x": "region", "y": "price", or "x": "region" alone for the number of rows',
    "heat-map": '"x": "region", "y": "month", or neither for the correlations of the numeric columns',
}
_COLOURED: Final = frozenset(("scatter", "line", "bar", "heat-map"))


def chart_figures(table: Table, folder: Path, asked: ChartAsked) -> ChartFigures:
    """Aggregate what the chart draws. Raises `DataError` for columns that are not there or do not suit the chart."""
    path = table_path(table, folder)
    with open_database(folder) as database:
        kinds = column_kinds(database, path)
        source = database.parquet(path)
        _check(asked)
        if asked.kind == "heat-map" and asked.x is None and asked.y is None:
            names = several_columns(kinds, list(asked.columns) or None, allowed=NUMERIC)
            if len(names) < 2:
                raise DataError(
                    "a correlation matrix takes two numeric columns at least, and the table has one\n"
                    "hint: for two columns of categories give x and y"
                )
            return correlation_matrix(database, source, names, asked)
        return _DRAWERS[asked.kind](database, source, kinds, _resolved(kinds, asked))


def _check(asked: ChartAsked) -> None:
    """Refuse a request that lacks a column, or names one that this kind of chart has no use for."""
    wrong: list[str] = []
    example = f"\nhint: {_EXAMPLES[asked.kind]}"
    lacking = [name for name in _NEEDS[asked.kind] if getattr(asked, name) is None]
    if asked.kind == "heat-map" and (asked.x is None) != (asked.y is None):
        lacking = ["x"] if asked.x is None else ["y"]
    if lacking:
        wrong.append(f"needs {' and '.join(f'`{name}`' for name in lacking)}")
    if asked.kind == "histogram" and asked.y is not None:
        wrong.append("takes no `y`: it counts rows")
        example = '\nhint: for a measure of y per value of x draw a "bar" or a "line"'
    if asked.color is not None and asked.kind not in _COLOURED:
        wrong.append("takes no `color`")
        example = '\nhint: draw one "box" per group, with the groups as x and the numbers as y'
    if wrong:
        raise DataError(f'a chart of kind "{asked.kind}" {" and ".join(wrong)}{example}')
    if asked.y is None and asked.measure not in (None, "count") and asked.kind in ("bar", "line"):
        raise DataError(f'the measure "{asked.measure}" needs a column of numbers as `y`{example}')


def _resolved(kinds: Mapping[str, Kind], asked: ChartAsked) -> ChartAsked:
    """The request with the exact names of its columns, each of a kind that its place can take."""
    numbers = GROUPING if asked.measure == "count" else NUMERIC
    places: dict[ChartKind, dict[str, frozenset[Kind]]] = {
        "histogram": {"x": _AXIS},
        "box": {"x": NUMERIC} if asked.y is None else {"x": GROUPING, "y": NUMERIC},
        "scatter": {"x": _AXIS, "y": NUMERIC, "color": GROUPING},
        "line": {"x": _AXIS, "y": numbers, "color": GROUPING},
        "bar": {"x": GROUPING, "y": numbers, "color": GROUPING},
        "heat-map": {"x": GROUPING, "y": GROUPING, "color": numbers},
    }
    allowed = places[asked.kind]
    names = {
        place: one_column(kinds, given, kinds_allowed=allowed[place], argument=place)
        for place in allowed
        if (given := getattr(asked, place)) is not None
    }
    if asked.kind == "box" and asked.y is not None and names["x"] == names["y"]:
        raise DataError('x and y are the same column\nhint: for one box give "x" alone')
    return dataclasses.replace(asked, **names)
