"""Reads an ordinary clean text file in one pass: cut, converted and checked at once.

A sample proposes the format of each column; every cell is held to it on the way. Rule: at the first cell, row or quote
that is odd in any way nothing is decided here, and the file is read the long way, which counts and says what it found.
"""

# ruff: noqa: S608 (names and texts enter SQL through `identifier` and `literal` alone)
from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from planloom.analysis.cells import CellReport, likely_formats, text_counts_sql
from planloom.analysis.database import PARQUET, Database, batches, identifier, literal
from planloom.analysis.dialect import Dialect
from planloom.analysis.formats import (
    ENGLISH,
    EUROPEAN,
    INTEGER,
    ISO_DATE,
    ISO_TIMESTAMP,
    NUMBER,
    TEXT,
    ColumnCounts,
    Format,
    may_be_doubted,
)
from planloom.analysis.source import Source
from planloom.errors import DataError

MAX_CLEAN_COLUMNS: Final = 500
"""With more, planning one query over all columns takes longer than reading twice."""
SAMPLE_ROWS: Final = 1_000

_HEAD: Final = '"planloom head"'
_SAME_AGAIN: Final = "{v}::VARCHAR = {x}"
_NO_UNDERSCORE: Final = " AND NOT contains({x}, '_')"
_QUICK_TESTS: Final[Mapping[Format, str]] = {
    # '0:' follows '09'. An underscore would be read as a separator of thousands
    NUMBER: "isfinite({v}) AND NOT ({x} >= '00' AND {x} < '0:') AND NOT ({x} >= '-00' AND {x} < '-0:') "
    f"AND NOT ({{x}} >= '+00' AND {{x}} < '+0:'){_NO_UNDERSCORE}",
    INTEGER: _SAME_AGAIN,
    ISO_DATE: f"length({{x}}) = 10 AND {_SAME_AGAIN}",
    # a time with a zone is left to the long way, which says what becomes of it
    ISO_TIMESTAMP: "regexp_full_match({x}, '\\d{4}-\\d\\d-\\d\\d([ T][\\d:.]+)?')",
}
"""Tests that are quicker than the format's own and fit no cell that it does not; `{v}` is the value, `{x}` the text.

These formats are casts, and a cast that fails ends the pass by itself.
"""


def read_clean(
    database: Database, source: Source, dialect: Dialect, sample: str, written: Path
) -> list[CellReport] | None:
    """Write the table to `written` and say how each column was read; None if the file must be read the long way."""
    if not _may_be_clean(source, dialect, sample):
        return None
    names = dialect.names
    columns = ", ".join(f"'c{position}': 'VARCHAR'" for position in range(len(names)))
    rows = (
        f"read_csv({database.path(source.path)}, auto_detect=false, header=false, skip={dialect.records_before_data}, "
        f"delim={literal(dialect.separator)}, quote='\"', escape='\"', columns={{{columns}}})"
    )
    try:
        database.rows(f"CREATE TEMP TABLE {_HEAD} AS SELECT * FROM {rows} LIMIT {SAMPLE_ROWS}")
        sampled, candidates = likely_formats(database, _HEAD, len(names))
        if not all(_is_settled(sampled[position], formats) for position, formats in candidates.items()):
            return None
        chosen = [formats[0] if formats else TEXT for formats in candidates.values()]
        database.rows(_copy_sql(rows, names, chosen, written=database.path(written), underscores=source.underscores))
        counted = _count(database, written, names, chosen, source.blanks)
    except DataError:
        return None
    reports: list[CellReport] = []
    for position, (name, item) in enumerate(zip(names, chosen, strict=True)):
        filled, odd = counted[position]
        if odd or (filled and not sampled[position].filled):
            return None
        zeros = sampled[position].leading_zero if item is TEXT else 0
        counts = ColumnCounts(filled, {} if item is TEXT else {item.name: filled}, leading_zero=zeros)
        reports.append(CellReport(position, name, item, counts, sampled[position]))
    return reports


def _may_be_clean(source: Source, dialect: Dialect, sample: str) -> bool:
    """Whether lines are records, and nothing that was found so far needs a closer look."""
    width, above = len(dialect.names), dialect.records_before_data
    if not 1 < width <= MAX_CLEAN_COLUMNS or dialect.empty_names or source.quotes % 2:
        return False
    first_lines = sample[: 64 * 1024].splitlines()[: above + 1]
    return len(first_lines) == above + 1 and all(line.strip() and '"' not in line for line in first_lines[:above])


def _is_settled(counts: ColumnCounts, formats: Sequence[Format]) -> bool:
    """Whether the sample leaves no doubt: one format that every cell fits, no word for no value, no blanks."""
    odd = counts.padded or counts.words or len(formats) > 1 or formats[:1] in ((ENGLISH,), (EUROPEAN,))
    if odd or (not formats and may_be_doubted(counts)):
        return False
    return not formats or counts.fits[formats[0].name] == counts.filled


def _copy_sql(rows: str, names: Sequence[str], chosen: Sequence[Format], *, written: str, underscores: bool) -> str:
    """Write the values, and fail at the first cell that does not fit the format of its column."""
    values, kept, misfits = ["*"], list[str](), list[str]()
    for position, (name, item) in enumerate(zip(names, chosen, strict=True)):
        cell, value = f"c{position}", f"c{position}"
        if item is not TEXT:
            value = f"v{position}"
            test = _QUICK_TESTS.get(item)
            if test is None:
                values.append(f"{item.value_sql(cell, all_fit=True)} AS {value}")
                misfits.append(f"NOT {item.test_sql(cell)} OR ({value} IS NULL AND {cell} IS NOT NULL)")
            else:
                values.append(f"CAST({cell} AS {item.type}) AS {value}")
                test = test if underscores else test.removesuffix(_NO_UNDERSCORE)
                misfits.append(f"NOT ({test.replace('{x}', cell).replace('{v}', value)})")
        kept.append(f"{value} AS {identifier(name)}")
    checked = f" WHERE CASE WHEN {' OR '.join(misfits)} THEN error('odd cell') ELSE true END" if misfits else ""
    typed = f"SELECT {', '.join(values)} FROM {rows}"
    return f"COPY (SELECT {', '.join(kept)} FROM ({typed}){checked}) TO {written} ({PARQUET})"


def _count(
    database: Database, written: Path, names: Sequence[str], chosen: Sequence[Format], blanks: str
) -> list[tuple[int, int]]:
    """For each column how many cells have a value, and how many of a text column's need a closer look."""
    found: list[tuple[int, int]] = []
    for batch in batches(list(zip(names, chosen, strict=True))):
        wanted = ", ".join(
            ", ".join(text_counts_sql(identifier(name), blanks)) if item is TEXT else f"count({identifier(name)}), 0"
            for name, item in batch
        )
        values = database.row(f"SELECT {wanted} FROM {database.parquet(written)}")
        found += zip(values[::2], values[1::2], strict=True)
    return found
