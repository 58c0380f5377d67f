"""Notices a last row that sums up the rows above it: kept, it counts everything twice. It is named, never dropped."""

# ruff: noqa: S608 (names and texts enter SQL through `identifier` and `literal` alone)
from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from planloom.analysis.columns import number_sql
from planloom.analysis.database import Database, identifier
from planloom.analysis.dialect import listed
from planloom.analysis.tables import Column, is_numeric
from planloom.analysis.wording import quoted

MAX_COLUMNS: Final = 500
"""Columns that are looked at, the first of the table."""
MIN_ROWS: Final = 3
MIN_UNLABELLED_ROWS: Final = 5
"""Without a word for a total, fewer rows would sum up by chance."""
PRECISION: Final = 1e-6
"""Relative: a printed total is rounded."""
_LABEL: Final = re.compile(
    r"(grand |sub-?|sub |over-?all )?(totals?|sum|summe|gesamt(summe)?|insgesamt|somme|suma|soma|totale|totaal|toplam"
    r"|итого|всего|合计|总计|合計)( general| général| generale)?[:. ]*",
    re.IGNORECASE,
)


def total_row(database: Database, written: Path, columns: Sequence[Column], rows: int) -> list[str]:
    """A sentence about the last row of a Parquet file if it is probably a total; else none."""
    numbers = [column["name"] for column in columns[:MAX_COLUMNS] if is_numeric(column["type"])]
    others = [column["name"] for column in columns[:MAX_COLUMNS] if column["type"] == "text"]
    if rows < MIN_ROWS or not numbers:
        return []
    timed = [column["name"] for column in columns[:MAX_COLUMNS] if column["type"] in ("date", "time", "boolean")]
    source = database.parquet(written)
    texts_sql = [f"{identifier(name)}::VARCHAR" for name in others]  # a UUID and an enumeration are text too
    empty_sql = " OR ".join(f"{identifier(name)} IS NULL" for name in timed) or "false"
    wanted = ", ".join([*map(number_sql, numbers), *texts_sql, empty_sql])
    *last, has_empty = database.row(f"SELECT {wanted} FROM {source} LIMIT 1 OFFSET {rows - 1}")
    values, texts = dict(zip(numbers, last, strict=False)), [text for text in last[len(numbers) :] if text]
    label = next((text for text in texts if _LABEL.fullmatch(text.strip())), None)
    # its word, if it had one, may have been read as missing: a date column has no place for it
    is_bare = not texts and (None in last or has_empty)
    if label is None and not (is_bare and rows >= MIN_UNLABELLED_ROWS):
        return []
    filled = [name for name, value in values.items() if value is not None]
    if not filled:
        return []
    sums = database.row(f"SELECT {', '.join(f'fsum({number_sql(name)})' for name in filled)} FROM {source}")
    summed = [
        name
        for name, total in zip(filled, sums, strict=True)
        if values[name] != 0 and math.isclose(total - values[name], values[name], rel_tol=PRECISION)
    ]
    if not summed or (label is None and len(summed) * 2 < len(filled)):
        return []
    called = f" ({quoted(label)})" if label is not None else ""
    return [
        f"The last row, row {rows:,}{called}, is probably a total: its value of {listed(summed)} is the sum of the "
        "rows above it, so sums, means and counts of the table count everything twice. It was kept; leave it out with "
        "filter_rows before calculating."
    ]
