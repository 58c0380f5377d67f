"""Counts missing values: by column, by row, and which columns are missing together."""

# ruff: noqa: S608 (names and texts enter SQL through `identifier` and `literal` alone)
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field
from typing_extensions import TypedDict

from planloom.analysis.columns import EVERY_KIND, column_kinds, several_columns
from planloom.analysis.database import Database, batches, identifier, open_database
from planloom.analysis.tables import Table, table_path

MAX_LISTED_COLUMNS: Final = 1_000
"""Columns in the output, those with the most missing values first."""
MAX_PATTERN_COLUMNS: Final = 60
"""Columns of which it is looked at whether they are missing together, those with the most missing values."""
PATTERNS: Final = 10


class MissingCount(TypedDict):
    """How much of a column is missing."""

    missing: int
    share: Annotated[float, Field(description="`missing` over rows, 0 to 1")]


class MissingTogether(TypedDict):
    """Rows in which these columns are missing, and none of the others."""

    columns: list[str]
    rows: int


class MissingValues(TypedDict):
    """What is missing in a table."""

    rows: int
    complete_rows: Annotated[int, Field(description="Rows without a missing value in the columns looked at")]
    rows_with_missing: int
    missing: Annotated[int, Field(description="Missing cells in all")]
    columns: dict[str, MissingCount]
    patterns: Annotated[
        list[MissingTogether], Field(description="Columns missing in the same rows, the most frequent first")
    ]
    method: str


def count_missing_values(table: Table, folder: Path, columns: Sequence[str] | None) -> MissingValues:
    """Count the missing cells of a table. Raises `DataError` for a bad handle or column."""
    path = table_path(table, folder)
    with open_database(folder) as database:
        kinds = column_kinds(database, path)
        names = several_columns(kinds, columns, allowed=EVERY_KIND)
        source = database.parquet(path)
        missing: dict[str, int] = {}
        rows = 0
        for batch in batches(names):
            wanted = ", ".join(f"count({identifier(name)})" for name in batch)
            rows, *counts = database.row(f"SELECT count(*), {wanted} FROM {source}")
            missing.update((name, rows - count) for name, count in zip(batch, counts, strict=True))
        ordered = sorted(names, key=lambda name: -missing[name])
        most = [name for name in ordered if missing[name]]
        complete = rows - _rows_with_any(database, source, most, rows)
        patterns = _patterns(database, source, most[:MAX_PATTERN_COLUMNS])
    listed = names if len(names) <= MAX_LISTED_COLUMNS else ordered[:MAX_LISTED_COLUMNS]
    method = "counted over all rows; an empty cell and a word for no value, such as NA, are missing"
    if len(listed) < len(names):
        method += f"; `columns` lists {len(listed):,} of {len(names):,} columns, those with the most missing values"
    if len(most) > MAX_PATTERN_COLUMNS:
        method += f"; `patterns` look at the {MAX_PATTERN_COLUMNS} columns with the most missing values"
    return {
        "rows": rows,
        "complete_rows": complete,
        "rows_with_missing": rows - complete,
        "missing": sum(missing.values()),
        "columns": {
            name: {"missing": missing[name], "share": missing[name] / rows if rows else 0.0} for name in listed
        },
        "patterns": patterns,
        "method": method,
    }


def _rows_with_any(database: Database, source: str, names: Sequence[str], rows: int) -> int:
    if not names:
        return 0
    if len(names) == 1 or rows == 0:
        (count,) = database.row(f"SELECT count(*) - count({identifier(names[0])}) FROM {source}")
        return count
    # `greatest` takes any number of arguments, where a chain of OR meets the parser's limit on depth
    tests = ", ".join(f"({identifier(name)} IS NULL)" for name in names)
    (count,) = database.row(f"SELECT count(*) FILTER (WHERE greatest({tests})) FROM {source}")
    return count


def _patterns(database: Database, source: str, names: Sequence[str]) -> list[MissingTogether]:
    if not names:
        return []
    mask = " + ".join(f"({identifier(name)} IS NULL)::BIGINT * {2**bit}" for bit, name in enumerate(names))
    rows = database.rows(
        f"SELECT mask, count(*) AS number FROM (SELECT {mask} AS mask FROM {source}) WHERE mask > 0 "
        f"GROUP BY mask ORDER BY number DESC, mask LIMIT {PATTERNS}"
    )
    return [
        {"columns": [name for bit, name in enumerate(names) if mask >> bit & 1], "rows": count} for mask, count in rows
    ]
