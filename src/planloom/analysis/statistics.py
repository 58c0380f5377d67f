"""Describes a table: for every column what is there and what is missing, for every numeric one its distribution.

Rule: no number is ever NaN or infinite; what cannot be said is None. Means of nothing, the deviation of one value and
sums beyond the range of floats end as None, not as an error.
"""

# ruff: noqa: S608 (names and texts enter SQL through `identifier` and `literal` alone)
from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field
from typing_extensions import TypedDict

from planloom.analysis.columns import number_sql
from planloom.analysis.database import Database, batches, identifier, open_database
from planloom.analysis.kept_figures import Figures, Kept, numeric_figures
from planloom.analysis.tables import Kind, Table, kind_of, table_path

VALUES_PER_QUERY: Final = 8_000_000
"""Quartiles and distinct counts hold a column's values in memory: so many at once, at 8 bytes each and more."""
MANY_ROWS: Final = 500_000
"""With more, different numbers are counted column by column."""
COLUMNS_PER_QUERY: Final = 40
"""With more, planning the distinct counts takes longer than running them."""
MAX_BITS: Final = 1 << 26
"""Widest range of whole numbers that is counted by a bit for each, 8 MB."""
BITS_PER_VALUE: Final = 64
_EXACT: Final = 2**53
"""Whole numbers up to here are exact as floats."""
_WHOLE_TYPES: Final = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT")
FREQUENT_COLUMNS: Final = 200
"""Text columns of which the commonest value is looked for."""
TEXT_CHARACTERS: Final = 200
"""Characters that are kept of a text value."""
DEVIATION: Final = "sample standard deviation (ddof = 1)"
QUARTILES: Final = "linear interpolation between the two nearest values, as in NumPy, pandas and Excel's QUARTILE.INC"


class ColumnStats(TypedDict):
    """What a column holds, whatever its type."""

    type: Kind
    count: Annotated[int, Field(description="Number of cells with a value")]
    missing: Annotated[int, Field(description="Number of cells without a value")]
    missing_share: Annotated[float, Field(description="`missing` over the number of rows, 0 to 1")]
    distinct: Annotated[int, Field(description="Number of different values")]
    most_common: Annotated[str | None, Field(description="The commonest value of a text or boolean column, else null")]
    most_common_count: int | None
    first: Annotated[str | None, Field(description="The earliest date or time of a date or time column, else null")]
    last: str | None


class NumericStats(TypedDict):
    """How the numbers of a column are distributed; null where it cannot be said."""

    count: int
    mean: float | None
    std: Annotated[
        float | None, Field(description="Sample standard deviation, ddof = 1; null for fewer than two values")
    ]
    min: float | None
    q25: float | None
    median: float | None
    q75: float | None
    max: float | None


class Methods(TypedDict):
    """How the figures were computed."""

    std: str
    quartiles: str


class Stats(TypedDict):
    """A described table. Both `columns` and `numeric` are keyed by column name."""

    table: str
    rows: int
    columns: dict[str, ColumnStats]
    numeric: dict[str, NumericStats]
    methods: Methods


def describe_table(table: Table, folder: Path) -> Stats:
    """Compute the statistics of a table of this run, once for each table. Raises `DataError` if it is not one."""
    path = table_path(table, folder)
    described, numeric, rows = copy.deepcopy(_DESCRIBED.get(path, lambda: _describe(path, folder)))
    return {
        "table": table["name"],
        "rows": rows,
        "columns": described,
        "numeric": numeric,
        "methods": {"std": DEVIATION, "quartiles": QUARTILES},
    }


_Described = tuple[dict[str, ColumnStats], dict[str, NumericStats], int]
_DESCRIBED: Final = Kept[_Described]()


def _describe(path: Path, folder: Path) -> _Described:
    with open_database(folder) as database:
        types = dict(database.columns(path))
        source = database.parquet(path)
        (rows,) = database.row(f"SELECT count(*) FROM {source}")
        figures = numeric_figures(database, path)
        # Dictionaries keep the order of the table's columns.
        described = _columns(database, source, types, figures, rows)
        numeric = _numeric(database, source, figures, rows)
        _add_commonest(database, source, described)
    return described, numeric, rows


def finite(value: float | None) -> float | None:
    """`value` as a float, None if it is not a finite number."""
    return float(value) if value is not None and math.isfinite(value) else None


def _columns(
    database: Database, source: str, types: Mapping[str, str], figures: Mapping[str, Figures | None], rows: int
) -> dict[str, ColumnStats]:
    described: dict[str, ColumnStats] = {}
    columns: list[tuple[str, Kind]] = [(name, kind_of(type_name)) for name, type_name in types.items()]
    for batch in batches(columns, _batch_size(rows)):
        wanted: list[str] = []
        for name, kind in batch:
            cell = identifier(name)
            ends = [f"min({cell})::VARCHAR", f"max({cell})::VARCHAR"] if kind in ("date", "time") else ["NULL", "NULL"]
            wanted += [f"count({cell})", _distinct_sql(source, name, kind, types[name], figures.get(name), rows), *ends]
        values = iter(database.row(f"SELECT {', '.join(wanted)} FROM {source}"))
        for name, kind in batch:
            count, distinct, first, last = (next(values) for _ in range(4))
            described[name] = {
                "type": kind,
                "count": count,
                "missing": rows - count,
                "missing_share": (rows - count) / rows if rows else 0.0,
                "distinct": distinct,
                "most_common": None,
                "most_common_count": None,
                "first": first,
                "last": last,
            }
    return described


def _distinct_sql(source: str, name: str, kind: Kind, type_name: str, figures: Figures | None, rows: int) -> str:
    """The number of different values; of whole numbers close together by a bit for each, which is far quicker."""
    cell = f"{identifier(name)}::VARCHAR" if kind == "other" else identifier(name)
    if figures is not None and type_name in _WHOLE_TYPES:
        scale = figures.scale
        is_exact = max(abs(scale.smallest), abs(scale.largest)) <= _EXACT
        if is_exact and scale.largest - scale.smallest < min(MAX_BITS, BITS_PER_VALUE * scale.count):
            low, high = int(scale.smallest), int(scale.largest)
            return f"coalesce(bit_count(bitstring_agg({cell}, {low}::{type_name}, {high}::{type_name})), 0)"
    # this form spills to disk, and of many different numbers it takes half the time; not so of a few texts
    if rows > VALUES_PER_QUERY or (kind == "number" and rows > MANY_ROWS):
        return f"(SELECT count(*) FROM (SELECT DISTINCT {cell} AS cell FROM {source}) WHERE cell IS NOT NULL)"
    return f"count(DISTINCT {cell})"


def _numeric(
    database: Database, source: str, figures: Mapping[str, Figures | None], rows: int
) -> dict[str, NumericStats]:
    found: dict[str, NumericStats] = {}
    for batch in batches(list(figures.items()), _batch_size(rows)):
        wanted = ", ".join(f"quantile_cont({number_sql(name)}, [0.25, 0.5, 0.75])" for name, _ in batch)
        for (name, known), quartiles in zip(batch, database.row(f"SELECT {wanted} FROM {source}"), strict=True):
            q25, median, q75 = quartiles or (None, None, None)
            found[name] = {
                "count": 0 if known is None else known.scale.count,
                "mean": None if known is None else known.mean,
                "std": None if known is None else known.std,
                "min": None if known is None else finite(known.scale.smallest),
                "q25": finite(q25),
                "median": finite(median),
                "q75": finite(q75),
                "max": None if known is None else finite(known.scale.largest),
            }
    return found


def moments(
    database: Database, source: str, ranges: dict[str, tuple[float | None, float | None]]
) -> dict[str, tuple[float | None, float | None]]:
    """Mean and sample standard deviation of columns whose smallest and largest values are known.

    Each column is shifted and scaled to its own range first: nothing overflows, and a column that never
    changes has a deviation of exactly 0.
    """
    found: dict[str, tuple[float | None, float | None]] = dict.fromkeys(ranges, (None, None))
    known: list[tuple[str, float, float]] = []
    for name, (smallest, largest) in ranges.items():
        if smallest is None or largest is None:
            continue
        middle = smallest / 2 + largest / 2
        known.append((name, middle, max(largest - middle, middle - smallest) or 1.0))
    for batch in batches(known):
        parts = [f"({number_sql(name)} - {_float(middle)}) / {_float(scale)}" for name, middle, scale in batch]
        wanted = ", ".join(f"favg({part}), stddev_samp({part})" for part in parts)
        values = iter(database.row(f"SELECT {wanted} FROM {source}"))
        for name, middle, scale in batch:
            mean, std = next(values), next(values)
            found[name] = (finite(middle + mean * scale), None if std is None else finite(std * scale))
    return found


def _float(value: float) -> str:
    return f"'{value!r}'::DOUBLE"


def _add_commonest(database: Database, source: str, described: dict[str, ColumnStats]) -> None:
    """Fill in the commonest value where values repeat; of equally common ones, the first in order."""
    repeating = [
        (name, column)
        for name, column in described.items()
        if column["type"] in ("text", "boolean") and 0 < column["distinct"] < column["count"]
    ]
    for name, column in repeating[:FREQUENT_COLUMNS]:
        cell = identifier(name)
        value, count = database.row(
            f"SELECT left({cell}::VARCHAR, {TEXT_CHARACTERS}), count(*) AS number FROM {source} "
            f"WHERE {cell} IS NOT NULL GROUP BY {cell} ORDER BY number DESC, {cell} LIMIT 1"
        )
        column["most_common"], column["most_common_count"] = value, count


def _batch_size(rows: int) -> int:
    """Columns per query, so that one query does not hold more than `VALUES_PER_QUERY` values."""
    return max(1, min(COLUMNS_PER_QUERY, VALUES_PER_QUERY // max(rows, 1)))
