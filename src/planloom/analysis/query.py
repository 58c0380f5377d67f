"""One SELECT on tables of the run: its rows as plain JSON, within limits, and all of them as a table.

The SQL runs in `sandbox`. Here is only what comes back: numbers that JSON has, dates as text, long cells cut.
"""

# ruff: noqa: S608 (names and texts enter SQL through `identifier` and `literal` alone)
from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import Field
from typing_extensions import TypedDict

from planloom.analysis.database import Database, identifier, open_database
from planloom.analysis.sandbox import run_select
from planloom.analysis.tables import Column, Table, kind_of, table_path
from planloom.errors import DataError

MAX_ROWS: Final = 10_000
"""Most rows that the output of one query shows."""
MAX_CELLS: Final = 100_000
MAX_CHARACTERS: Final = 1_000_000
"""Most characters of text in all rows shown."""
CELL_CHARACTERS: Final = 500
SQL_CHARACTERS: Final = 300
"""Characters of the SQL that a table's decisions repeat."""
MAX_DECISIONS: Final = 200
_LARGEST_WHOLE: Final = 2**63 - 1


class QueryResult(TypedDict):
    """What a SELECT gave."""

    columns: list[Column]
    rows: Annotated[list[dict[str, Any]], Field(description="One object per row, by column name")]
    row_count: Annotated[int, Field(description="Rows of the whole result, also those not shown")]
    truncated: Annotated[bool, Field(description="Whether `rows` leaves out rows, or parts of long texts")]
    table: Annotated[Table, Field(description="The whole result as a table for the other tools")]


def query_tables(
    sql: str,
    tables: Mapping[str, Table],
    folder: Path,
    limit: int,
    cancelled: Callable[[], bool],
    values: Mapping[str, Any] | None = None,
) -> QueryResult:
    """Run one SELECT on `tables` (none if it only computes) and show at most `limit` rows. Raises `DataError`."""
    if not 0 <= limit <= MAX_ROWS:
        raise DataError(f"`limit` is {limit}; 0 to {MAX_ROWS:,} rows can be shown\nhint: `table` holds all of them")
    names = list(dict.fromkeys(table["name"] for table in tables.values()))
    decisions = joined_decisions(tables.values(), f"Result of the query: {shortened(sql)}")
    name = ", ".join(names) or "query"
    table = run_select(sql, tables, folder, name=name, decisions=decisions, values=values, cancelled=cancelled)
    with open_database(folder) as database:
        rows, cut = shown_rows(database, table_path(table, folder), limit)
    return {
        "columns": table["columns"],
        "rows": rows,
        "row_count": table["rows"],
        "truncated": cut or len(rows) < table["rows"],
        "table": table,
    }


def joined_decisions(tables: Iterable[Table], *sentences: str) -> list[str]:
    """The decisions of tables that a new one is made of, each once, and new sentences."""
    before = dict.fromkeys(decision for table in tables for decision in table["decisions"])
    return [*list(before)[: MAX_DECISIONS - len(sentences)], *sentences]


def shortened(sql: str) -> str:
    """SQL in one line, not too long."""
    text = " ".join(sql.split())
    return f"`{text}`" if len(text) <= SQL_CHARACTERS else f"`{text[: SQL_CHARACTERS - 1]}…`"


def shown_rows(database: Database, path: Path, limit: int) -> tuple[list[dict[str, Any]], bool]:
    """The first rows of a table as plain JSON, and whether some text was cut or a limit of size was met."""
    columns = database.columns(path)
    wanted = ", ".join(_shown_sql(name, type_name) for name, type_name in columns)
    most = min(limit, max(1, MAX_CELLS // max(1, len(columns))))
    nested = [kind_of(type_name) == "other" for _, type_name in columns]
    rows: list[dict[str, Any]] = []
    characters, cut = 0, False
    for values in database.rows(f"SELECT {wanted} FROM {database.parquet(path)} LIMIT {most}"):
        row: dict[str, Any] = {}
        for (name, _), value, is_nested in zip(columns, values, nested, strict=True):
            if isinstance(value, str):
                characters += len(value)
                cut = cut or len(value) > CELL_CHARACTERS
            row[name] = plain(value, is_nested=is_nested)
        if characters > MAX_CHARACTERS:
            return rows, True
        rows.append(row)
    return rows, cut


def plain(value: Any, *, is_nested: bool = False) -> Any:
    """One cell as JSON: finite numbers, whole ones within 64 bits, texts cut, nested values parsed."""
    if isinstance(value, Decimal):
        value = int(value) if value == value.to_integral_value() and abs(value) <= _LARGEST_WHOLE else float(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, int) and abs(value) > _LARGEST_WHOLE:
        return float(value)
    if not isinstance(value, str):
        return value
    if len(value) > CELL_CHARACTERS:
        return f"{value[: CELL_CHARACTERS - 1]}…"
    if is_nested:
        try:
            return json.loads(value, parse_constant=lambda _: None)
        except ValueError:
            return value
    return value


def _shown_sql(name: str, type_name: str) -> str:
    """A cell as a value that Python has; one character more than is shown tells that a text was cut."""
    cell, kind = identifier(name), kind_of(type_name)
    if kind in ("integer", "number", "boolean"):
        return cell
    if kind == "other" and type_name != "BLOB":
        return f"left(to_json({cell})::VARCHAR, {CELL_CHARACTERS + 1})"
    return f"left({cell}::VARCHAR, {CELL_CHARACTERS + 1})"
