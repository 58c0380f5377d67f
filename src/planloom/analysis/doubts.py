"""Looks again at columns of which one may doubt how they were read, and says what it found.

Numbers in several currencies are no numbers of one kind, so they stay text. A column that stays text though much of it
reads as numbers or dates is told with its figures and with the way to convert it. Rule: no doubt is settled in silence.
"""

# ruff: noqa: S608 (texts enter SQL through `literal` alone)
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from planloom.analysis.cells import EXAMPLES, SHOWN_CELLS, CellReport, is_value_sql, shown_cells, trimmed_sql
from planloom.analysis.database import Database, batches, count_where, identifier, literal
from planloom.analysis.formats import (
    CURRENCIES,
    DATES,
    ENGLISH,
    EUROPEAN,
    NUMBERS,
    TEXT,
    Format,
    may_be_doubted,
)
from planloom.analysis.wording import quoted, share

MAX_DATE_FORMATS: Final = 6
"""Ways of writing dates that are looked for in one column."""


def explain_doubts(database: Database, rows: str, reports: Sequence[CellReport]) -> list[CellReport]:
    """The reports with what must be said of doubtful columns; `rows` is the raw table (columns `c0`, `c1`, ...)."""
    weighed = _weigh_signs(database, rows, reports)
    doubted = [report for report in weighed if report.format is TEXT and not report.remark]
    # leading zeros below the sample are reason enough, and are said as such
    doubted = [report for report in doubted if may_be_doubted(report.sampled) and not report.counts.leading_zero]
    doubted = doubted[:EXAMPLES]
    said = {report.position: _text_remark(database, rows, report) for report in doubted}
    return [replace(report, remark=said.get(report.position, report.remark)) for report in weighed]


def _weigh_signs(database: Database, rows: str, reports: Sequence[CellReport]) -> list[CellReport]:
    """Turn columns with several currencies back to text, and remark on signs that only some cells have."""
    signed = [report for report in reports if report.format in (ENGLISH, EUROPEAN)]
    found: dict[int, CellReport] = {}
    signs = (*CURRENCIES, "%")
    for batch in batches(signed):
        wanted = ", ".join(
            count_where(f"contains(c{report.position}, {literal(sign)})") for report in batch for sign in signs
        )
        values = iter(database.row(f"SELECT {wanted} FROM {rows}"))
        for report in batch:
            counts = {sign: next(values) for sign in signs}
            percent = counts.pop("%")
            used = {sign: count for sign, count in counts.items() if count}
            if len(used) > 1:
                listed = ", ".join(f"{count:,} with {sign}" for sign, count in used.items())
                found[report.position] = replace(
                    report,
                    format=TEXT,
                    remark=f"{quoted(report.name)} mixes currencies ({listed}), so it stays text: a sum or mean over "
                    "them would mean nothing. Convert them to one currency with derive_columns first.",
                )
            elif used and percent:
                found[report.position] = replace(
                    report,
                    format=TEXT,
                    remark=f"{quoted(report.name)} mixes amounts of money with percentages, so it stays text.",
                )
            elif percent and percent < report.counts.filled:
                found[report.position] = replace(
                    report,
                    remark=f"{quoted(report.name)}: {percent:,} of its {report.counts.filled:,} cells have a % sign "
                    "and the others have none; all were read as plain numbers, so check that they mean the same.",
                )
    return [found.get(report.position, report) for report in reports]


def _text_remark(database: Database, rows: str, report: CellReport) -> str:
    """Why a column stays text, with figures; empty if the whole column gives less reason than its sample."""
    cell = trimmed_sql(f"c{report.position}")
    dates = [item for item in DATES if report.sampled.fits.get(item.name, 0)]
    dates = sorted(dates, key=lambda item: -report.sampled.fits[item.name])[:MAX_DATE_FORMATS]
    is_number, is_date = _any_fits(NUMBERS), _any_fits(dates)
    filled, numbers, dated, odd, *by_format = database.row(
        f"SELECT count(*), {count_where(is_number)}, {count_where(is_date)}, "
        f"min(DISTINCT x, {SHOWN_CELLS}) FILTER (NOT ({is_number}) AND NOT ({is_date})), "
        f"{', '.join(_first_fits(dates)) or '0'} "
        f"FROM (SELECT {cell} AS x FROM {rows}) WHERE {is_value_sql('x')}"
    )
    if max(numbers, dated) * 2 < filled:
        return ""
    name, column = quoted(report.name), identifier(report.name)
    others = f", such as {shown_cells(odd)}" if odd else ""
    if dated >= numbers:
        ways = [f"{count:,} as {_words(item)}" for item, count in zip(dates, by_format, strict=False) if count]
        several = f" They are written in several ways: {', '.join(ways)}." if len(ways) > 1 else ""
        return (
            f"{name} stays text: {dated:,} of its {filled:,} cells ({share(dated, filled)}) read as dates, but in no "
            f"one form do enough{others}.{several} To use it as dates, make a column with derive_columns and "
            f"coalesce(try_strptime({column}, …), …), a form each."
        )
    return (
        f"{name} stays text: {numbers:,} of its {filled:,} cells ({share(numbers, filled)}) read as numbers, the "
        f"others do not{others}. To calculate with it, make a column with derive_columns and "
        f"try_cast({column} AS DOUBLE); what does not fit is missing then."
    )


def _fits(item: Format) -> str:
    return f"coalesce({item.test_sql('x')}, false)"


def _first_fits(formats: Sequence[Format]) -> list[str]:
    """For each format the cells that fit it and none before it: 01/02/2024 fits two."""
    return [count_where(f"{_fits(item)} AND NOT ({_any_fits(formats[:place])})") for place, item in enumerate(formats)]


def _any_fits(formats: Sequence[Format]) -> str:
    return " OR ".join(map(_fits, formats)) or "false"


def _words(item: Format) -> str:
    return item.remark.removeprefix("read as ") or "year-month-day"
