"""Finds numbers that lie far from the rest of their column: |x - mean| > threshold * standard deviation.

Mean and deviation are those of `statistics`, so both tools speak of the same figures. A column that never changes has
no anomalies, whatever rounding says.
"""

# ruff: noqa: S608 (names and texts enter SQL through `identifier` and `literal` alone)
from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field
from typing_extensions import TypedDict

from planloom.analysis.database import Database, batches, count_where, open_database
from planloom.analysis.statistics import moments, number_sql
from planloom.analysis.tables import Table, is_numeric, kind_of, table_path
from planloom.errors import DataError

EXAMPLES: Final = 5
"""Values shown per column, the most extreme first."""
DEFAULT_THRESHOLD: Final = 3.0


class Extreme(TypedDict):
    """One value that lies far out."""

    row: Annotated[int, Field(description="Row number, from 1, counting rows of data only (the header is not one)")]
    value: float
    deviations: Annotated[float, Field(description="Distance from the mean in standard deviations, with its sign")]


class ColumnAnomalies(TypedDict):
    """The values of one numeric column that lie far out."""

    count: Annotated[int, Field(description="Number of anomalies")]
    share: Annotated[float, Field(description="`count` over the number of values, 0 to 1")]
    checked: Annotated[int, Field(description="Number of values that were looked at")]
    mean: float | None
    std: float | None
    lower: Annotated[float | None, Field(description="Values below this are anomalies; null if none can be")]
    upper: Annotated[float | None, Field(description="Values above this are anomalies; null if none can be")]
    values: Annotated[list[Extreme], Field(description="Up to five anomalies, the most extreme first")]


class Anomalies(TypedDict):
    """The anomalies of a table. `columns` has every numeric column by name, also those without any."""

    table: str
    rows: int
    threshold: float
    total: Annotated[int, Field(description="Number of anomalies in all columns")]
    columns: dict[str, ColumnAnomalies]


def detect_anomalies(table: Table, folder: Path, threshold: float = DEFAULT_THRESHOLD) -> Anomalies:
    """Find the anomalies of every numeric column. Raises `DataError` for a bad handle or threshold."""
    if not (math.isfinite(threshold) and threshold > 0):
        raise DataError(f"`threshold` is {threshold}, not a positive number of standard deviations\nhint: 3 is usual")
    path = table_path(table, folder)
    columns: dict[str, ColumnAnomalies] = {}
    with open_database(folder) as database:
        names = [name for name, type_name in database.columns(path) if is_numeric(kind_of(type_name))]
        source = database.parquet(path)
        for batch in batches(names):
            columns.update(_judge(database, source, list(batch), threshold))
        for name, found in columns.items():
            if found["count"]:
                found["values"] = _extremes(database, source, name, found)
    return {
        "table": table["name"],
        "rows": table["rows"],
        "threshold": threshold,
        "total": sum(found["count"] for found in columns.values()),
        "columns": columns,
    }


def _judge(database: Database, source: str, names: list[str], threshold: float) -> dict[str, ColumnAnomalies]:
    """Every column with its bounds and the number of values beyond them, but no examples yet."""
    wanted = ", ".join(f"count({n}), min({n}), max({n})" for n in map(number_sql, names))
    values = iter(database.row(f"SELECT {wanted} FROM {source}"))
    counts: dict[str, int] = {}
    ranges: dict[str, tuple[float | None, float | None]] = {}
    for name in names:
        counts[name] = next(values)
        ranges[name] = (next(values), next(values))
    found: dict[str, ColumnAnomalies] = {}
    for name, (mean, std) in moments(database, source, ranges).items():
        found[name] = {
            "count": 0,
            "share": 0.0,
            "checked": counts[name],
            "mean": mean,
            "std": std,
            "lower": None,
            "upper": None,
            "values": [],
        }
        if mean is not None and std:
            lower, upper = mean - threshold * std, mean + threshold * std
            if math.isfinite(lower) and math.isfinite(upper):
                found[name]["lower"], found[name]["upper"] = lower, upper
    bounded = [name for name in names if found[name]["lower"] is not None]
    if bounded:
        wanted = ", ".join(count_where(_beyond(number_sql(name), found[name])) for name in bounded)
        for name, count in zip(bounded, database.row(f"SELECT {wanted} FROM {source}"), strict=True):
            found[name]["count"] = count
            found[name]["share"] = count / counts[name]
    return found


def _beyond(value: str, found: ColumnAnomalies) -> str:
    return f"{value} < '{found['lower']!r}'::DOUBLE OR {value} > '{found['upper']!r}'::DOUBLE"


def _extremes(database: Database, source: str, name: str, found: ColumnAnomalies) -> list[Extreme]:
    mean, std = found["mean"], found["std"]
    assert mean is not None
    assert std
    values = f"SELECT row_number() OVER () AS number, {number_sql(name)} AS value FROM {source}"
    rows = database.rows(
        f"SELECT number, value FROM ({values}) WHERE {_beyond('value', found)} "
        f"ORDER BY abs(value - '{mean!r}'::DOUBLE) DESC, number LIMIT {EXAMPLES}"
    )
    return [{"row": row, "value": value, "deviations": (value - mean) / std} for row, value in rows]
