"""Profiles a table: figures for every column, its commonest values, and what is worth knowing before more is done.

Rule: a finding says what is the case and why it matters; it never changes the data.
"""

# ruff: noqa: S608 (names and texts enter SQL through `identifier` and `literal` alone)
from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field
from typing_extensions import TypedDict

from planloom.analysis.columns import COUNTABLE, cell_sql
from planloom.analysis.database import Database, batches, count_where, identifier, open_database
from planloom.analysis.moments import Moments, column_moments
from planloom.analysis.statistics import ColumnStats, NumericStats, describe_table
from planloom.analysis.tables import Table, is_numeric, table_path
from planloom.analysis.values import Plain, plain
from planloom.analysis.wording import count, quoted, share

MAX_PROFILED_COLUMNS: Final = 200
"""Columns in the output, the first ones of the table."""
TOP_VALUES: Final = 5
MAX_FINDINGS: Final = 60
SKEWED: Final = 1.0
"""A skewness beyond this, either way, is worth knowing."""
MOSTLY_MISSING: Final = 0.5
DOMINANT: Final = 0.95
"""A value that makes up so much of a column tells rows apart hardly at all."""
NUMBERS_IN_TEXT: Final = 0.9
MIN_ROWS_TO_JUDGE: Final = 10
"""With fewer rows nothing is said of identifiers and skewness."""


class TopValue(TypedDict):
    """A value and how often it occurs; `share` is over the values that are not missing."""

    value: Plain
    count: int
    share: float


class ColumnProfile(TypedDict):
    """What a column is like; figures that make no sense for its type are null."""

    type: str
    missing: int
    missing_share: float
    distinct: int
    mean: float | None
    std: float | None
    min: Plain
    median: float | None
    max: Plain
    skewness: float | None
    top: list[TopValue]


class Profile(TypedDict):
    """A profiled table."""

    table: str
    rows: int
    column_count: int
    duplicate_rows: Annotated[int, Field(description="Rows that repeat an earlier row in every column")]
    columns: dict[str, ColumnProfile]
    findings: Annotated[list[str], Field(description="What is worth knowing, one sentence each, by column")]
    method: str


def profile(table: Table, folder: Path) -> Profile:
    """Profile a table of this run. Raises `DataError` if it is not one."""
    path = table_path(table, folder)
    stats = describe_table(table, folder)
    names = list(stats["columns"])[:MAX_PROFILED_COLUMNS]
    described = {name: stats["columns"][name] for name in names}
    rows = stats["rows"]
    with open_database(folder) as database:
        source = database.parquet(path)
        numbers = [name for name in names if is_numeric(described[name]["type"])]
        moments = column_moments(database, source, numbers)
        tops = {name: _top(database, source, name, column) for name, column in described.items()}
        texts = [name for name, column in described.items() if column["type"] == "text" and column["count"]]
        as_numbers = _numbers_in_text(database, source, texts)
        duplicates = _duplicates(database, source, list(stats["columns"]), rows)
    columns = {
        name: _column(column, stats["numeric"].get(name), moments.get(name), tops[name])
        for name, column in described.items()
    }
    findings = _findings(columns, as_numbers, rows)
    if duplicates:
        again = "row repeats an earlier one" if duplicates == 1 else "rows repeat earlier ones"
        findings.insert(0, f"{duplicates:,} {again} in every column")
    if len(names) < len(stats["columns"]):
        findings.append(f"Only the first {len(names):,} of {len(stats['columns']):,} columns are profiled")
    if len(findings) > MAX_FINDINGS:
        findings = [*findings[:MAX_FINDINGS], f"… and {len(findings) - MAX_FINDINGS:,} more findings"]
    return {
        "table": stats["table"],
        "rows": rows,
        "column_count": len(stats["columns"]),
        "duplicate_rows": duplicates,
        "columns": columns,
        "findings": findings,
        "method": f"over all rows; std: {stats['methods']['std']}; skewness: Fisher-Pearson, biased, as in SciPy",
    }


def _column(
    column: ColumnStats, numeric: NumericStats | None, moments: Moments | None, top: list[TopValue]
) -> ColumnProfile:
    return {
        "type": column["type"],
        "missing": column["missing"],
        "missing_share": column["missing_share"],
        "distinct": column["distinct"],
        "mean": None if numeric is None else numeric["mean"],
        "std": None if numeric is None else numeric["std"],
        "min": column["first"] if numeric is None else numeric["min"],
        "median": None if numeric is None else numeric["median"],
        "max": column["last"] if numeric is None else numeric["max"],
        "skewness": None if moments is None else moments.skewness,
        "top": top,
    }


def _top(database: Database, source: str, name: str, column: ColumnStats) -> list[TopValue]:
    """The commonest values of a column whose values repeat; of equally common ones, the first in order."""
    if column["type"] in ("other", "number") or not 0 < column["distinct"] < column["count"]:
        return []
    cell = cell_sql(name, column["type"])
    rows = database.rows(
        f"SELECT value, count(*) AS number FROM (SELECT {cell} AS value FROM {source} WHERE {cell} IS NOT NULL) "
        f"GROUP BY value ORDER BY number DESC, value LIMIT {TOP_VALUES}"
    )
    return [{"value": plain(value), "count": number, "share": number / column["count"]} for value, number in rows]


def _numbers_in_text(database: Database, source: str, names: Sequence[str]) -> dict[str, int]:
    """For each text column, how many of its values are numbers."""
    found: dict[str, int] = {}
    for batch in batches(names):
        tests = ", ".join(count_where(f"try_cast({identifier(name)}::VARCHAR AS DOUBLE) IS NOT NULL") for name in batch)
        found.update(zip(batch, database.row(f"SELECT {tests} FROM {source}"), strict=True))
    return found


def _duplicates(database: Database, source: str, names: Sequence[str], rows: int) -> int:
    """Rows that repeat an earlier one, told by a 64-bit hash: exact but for one table in millions."""
    if not rows:
        return 0
    cells = ", ".join(f"{identifier(name)}" for name in names)
    (different,) = database.row(
        f"SELECT count(*) FROM (SELECT DISTINCT hash({cells}) FROM {source})"  # spills, which count(DISTINCT) does not
    )
    return rows - different


def _findings(columns: Mapping[str, ColumnProfile], as_numbers: Mapping[str, int], rows: int) -> list[str]:
    return [
        f"{quoted(name)} {said}"
        for name, column in columns.items()
        for said in _column_findings(column, as_numbers.get(name, 0), rows)
    ]


def _column_findings(column: ColumnProfile, as_numbers: int, rows: int) -> list[str]:
    """What is worth knowing of one column; what makes the rest pointless comes alone."""
    present = rows - column["missing"]
    if not present:
        return ["is empty"]
    said: list[str] = []
    if column["missing_share"] >= MOSTLY_MISSING:
        said.append(f"is mostly missing ({share(column['missing'], rows)})")
    elif column["missing"]:
        said.append(f"misses {count(column['missing'], 'value')} ({share(column['missing'], rows)})")
    if column["distinct"] == 1 and present > 1:
        return [*said, "has the same value in every row" if not column["missing"] else "has one value only"]
    if present >= MIN_ROWS_TO_JUDGE:
        if column["distinct"] == present and column["type"] in ("integer", "text"):
            said.append("has a different value in every row, as an identifier has")
        top = column["top"][0] if column["top"] else None
        if top is not None and top["share"] >= DOMINANT:
            said.append(f"is one value in {share(top['count'], present)} of its rows: {quoted(str(top['value']))}")
        if column["type"] in COUNTABLE and abs(column["skewness"] or 0) >= SKEWED:
            skewness = column["skewness"] or 0
            said.append(f"is skewed to the {'right' if skewness > 0 else 'left'} (skewness {skewness:.2f})")
    if as_numbers >= NUMBERS_IN_TEXT * present:
        rest = present - as_numbers
        said.append("is text that reads as numbers" + (f", but for {count(rest, 'value')}" if rest else ""))
    return said
