"""One SELECT on tables of the run: its rows as plain JSON, within limits, and all of them as a table.

The SQL runs in `sandbox`. Here is only what comes back: numbers that JSON has, dates as text, long cells cut. What is
shown otherwise than it is, is said in `notes`.
"""

# ruff: noqa: S608 (names and texts enter SQL through `identifier` and `literal` alone)
from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final, cast

from pydantic import Field
from typing_extensions import TypedDict

from planloom.analysis.database import Database, identifier, open_database
from planloom.analysis.sandbox import run_select
from planloom.analysis.tables import Column, Table, kind_of, table_path
from planloom.analysis.wording import count
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
_AS_TEXT: Final = "shown in `rows` as text with all digits: whole numbers beyond 64 bits"
_AS_NULL: Final = "shown in `rows` as null: no finite number (NaN or infinite)"


class QueryResult(TypedDict):
    """What a SELECT gave."""

    columns: list[Column]
    rows: Annotated[list[dict[str, Any]], Field(description="One object per row, by column name")]
    row_count: Annotated[int, Field(description="Rows of the whole result, also those not shown")]
    truncated: Annotated[bool, Field(description="Whether `rows` leaves out rows, or parts of long texts")]
    notes: Annotated[list[str], Field(description="Values that JSON cannot hold: how many, and how they are written")]
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
        rows, cut, notes = shown_rows(database, table_path(table, folder), limit)
    return {
        "columns": table["columns"],
        "rows": rows,
        "row_count": table["rows"],
        "truncated": cut or len(rows) < table["rows"],
        "notes": [*table["decisions"][len(decisions) :], *notes],
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


def shown_rows(database: Database, path: Path, limit: int) -> tuple[list[dict[str, Any]], bool, list[str]]:
    """The first rows of a table as plain JSON, whether some text was cut or a limit of size was met, and notes."""
    columns = database.columns(path)
    wanted = ", ".join(_shown_sql(name, type_name) for name, type_name in columns)
    most = min(limit, max(1, MAX_CELLS // max(1, len(columns))))
    nested = [kind_of(type_name) == "other" for _, type_name in columns]
    rows: list[dict[str, Any]] = []
    characters, cut = 0, False
    changed: Counter[str] = Counter()
    for values in database.rows(f"SELECT {wanted} FROM {database.parquet(path)} LIMIT {most}"):
        row: dict[str, Any] = {}
        for (name, _), value, is_nested in zip(columns, values, nested, strict=True):
            if isinstance(value, str):
                characters += len(value)
                cut = cut or len(value) > CELL_CHARACTERS
            row[name] = plain(value, changed, is_nested=is_nested)
        if characters > MAX_CHARACTERS:
            cut = True
            break
        rows.append(row)
    return rows, cut, [f"{count(number, 'value')} {how}." for how, number in changed.items()]


def plain(value: Any, changed: Counter[str], *, is_nested: bool = False) -> Any:
    """One cell as JSON: finite numbers, whole ones beyond 64 bits as text, texts cut, nested values parsed.

    What JSON cannot hold is counted in `changed`, by how it is written instead.
    """
    if isinstance(value, Decimal):
        value = int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, float) and not math.isfinite(value):
        changed[_AS_NULL] += 1
        return None
    if isinstance(value, int) and abs(value) > _LARGEST_WHOLE:
        changed[_AS_TEXT] += 1
        return str(value)
    if not isinstance(value, str):
        return value
    if len(value) > CELL_CHARACTERS:
        return f"{value[: CELL_CHARACTERS - 1]}…"
    if is_nested:
        try:
            read = json.loads(value, parse_constant=lambda constant: Decimal(constant.replace("Infinity", "inf")))
        except ValueError:
            return value
        return _plain_inside(read, changed)
    return value


def _plain_inside(value: Any, changed: Counter[str]) -> Any:
    """A nested value, of which the text was short, with numbers that are none as null."""
    if isinstance(value, dict):
        return {key: _plain_inside(inner, changed) for key, inner in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [_plain_inside(inner, changed) for inner in cast("list[Any]", value)]
    if isinstance(value, Decimal):
        changed[_AS_NULL] += 1
        return None
    return value


def _shown_sql(name: str, type_name: str) -> str:
    """A cell as a value that Python has; one character more than is shown tells that a text was cut."""
    cell, kind = identifier(name), kind_of(type_name)
    if kind in ("integer", "number", "boolean"):
        return cell
    if kind == "other" and type_name != "BLOB":
        return f"left(to_json({cell})::VARCHAR, {CELL_CHARACTERS + 1})"
    return f"left({cell}::VARCHAR, {CELL_CHARACTERS + 1})"
