"""Looks at the cells of a text table and settles each column's format.

First a sample with every format, then the whole column with the few that are left, and once more in detail where that
does not settle it. The rules are in `formats`; here is only the counting. Many columns are counted as rows of
(position, cell): one query that grows with the columns would spend its time being planned.
"""

# ruff: noqa: S608 (names and texts enter SQL through `identifier` and `literal` alone)
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from planloom.analysis.database import Database, batches, count_where, literal
from planloom.analysis.formats import (
    BLANKS,
    ENGLISH,
    EUROPEAN,
    FORMATS,
    INFINITIES,
    INTEGER,
    LONGEST_WORD,
    MISSING_IN_TEXT,
    MISSING_WORDS,
    NUMBER,
    PLAIN,
    TEXT,
    WRITTEN,
    ColumnCounts,
    Format,
    choose_format,
    is_european,
    may_be_written,
    swapped_day,
)
from planloom.analysis.wording import quoted

SAMPLE_CELLS = 200_000
SAMPLE_ROWS = 1_000
EXAMPLES = 10
"""Columns of which unreadable cells are shown."""
SHOWN_CELLS = 3
CELL_CHARACTERS = 40

_HAS_DIGIT = "regexp_matches(x, '\\d')"
_LEADING_ZERO = "regexp_full_match(x, '[+-]?0\\d+')"
_PHONE = "regexp_full_match(x, '\\+\\d{8,}')"
_FILLED, _BLANK, _NOT_AVAILABLE, _WORD_IN_TEXT, _INFINITE, _WORD = range(6)


@dataclass(frozen=True, slots=True)
class CellReport:
    """One column of a text table: how its cells are read, and what was counted on the way."""

    position: int
    name: str
    format: Format
    counts: ColumnCounts
    sampled: ColumnCounts
    """What the first rows alone show, by more formats than the whole column was held to."""
    trim: bool = False
    """Whether some cell has blanks around it or a word for no value, so that each cell must be looked at."""
    ambiguous: bool = False
    """Whether day and month could be the other way round."""
    examples: tuple[str, ...] = ()
    """Cells that did not fit the format and became missing."""
    remark: str = ""
    """What else must be said: why it stays text though much of it reads as numbers or dates, signs that differ."""

    @property
    def value_sql(self) -> str:
        """The typed value of a raw cell, NULL where it is missing."""
        cell = f"c{self.position}"
        if self.format is not TEXT:
            return self.format.value_sql(trimmed_sql(cell) if self.trim else cell, all_fit=not self.trim)
        if not self.trim:
            return f"nullif({cell}, '')"
        words = [*MISSING_IN_TEXT, *(["na"] if self.na_is_missing else [])]
        return f"CASE WHEN NOT {_is_one_of(trimmed_sql(cell), ['', *words])} THEN {trimmed_sql(cell)} END"

    @property
    def is_empty(self) -> bool:
        """Whether no cell holds anything but blanks."""
        return self.counts.filled == 0 and self.counts.words == 0

    @property
    def na_is_missing(self) -> bool:
        """`NA` means no value, except among two-letter codes, where it is Namibia or North America."""
        return self.counts.longest != len("NA")

    @property
    def misfits(self) -> int:
        """Cells that hold something that the format cannot read."""
        return 0 if self.format is TEXT else self.counts.filled - self.counts.fits[self.format.name]

    @property
    def words_read_as_missing(self) -> int:
        """Cells with a word such as `-` or `NA` that are missing now."""
        if self.format is not TEXT:
            return self.counts.words - self.counts.infinite
        return self.counts.words_in_text + (self.counts.not_available if self.na_is_missing else 0)


def decide_formats(database: Database, rows: str, names: Sequence[str]) -> list[CellReport]:
    """One report per column of the raw table `rows`, whose columns are `c0`, `c1`…, in order."""
    sampled, candidates = likely_formats(database, rows, len(names))
    counted, odd = _whole_columns(database, rows, candidates, sampled)
    if odd:
        likely = {item for position in odd for item in candidates[position]}
        formats = [item for item in FORMATS if item in (*PLAIN, ENGLISH, EUROPEAN) or item in likely]
        counted.update(_count(database, rows, odd, formats))
    european = is_european(list(counted.values()))
    if european:
        counted.update(_count_thousands(database, rows, counted))
    reports: list[CellReport] = []
    for position, name in enumerate(names):
        counts = counted[position]
        chosen = choose_format(counts, european=european)
        if chosen is TEXT:  # a reason to stay text that the sample showed was not counted again
            counts = replace(counts, leading_zero=max(counts.leading_zero, sampled[position].leading_zero))
        ambiguous, trim = swapped_day(counts, chosen) is not None, position in odd
        remark = _thousands_remark(name) if chosen is EUROPEAN and _has_points(sampled[position]) else ""
        reports.append(
            CellReport(position, name, chosen, counts, sampled[position], trim, ambiguous=ambiguous, remark=remark)
        )
    return _with_examples(database, rows, reports)


def likely_formats(
    database: Database, rows: str, width: int
) -> tuple[dict[int, ColumnCounts], dict[int, tuple[Format, ...]]]:
    """What a sample shows, and the format it speaks for, with its twin if day and month could be exchanged.

    The many written forms are tried only on columns that the plain ones do not fit.
    """
    limit = max(20, min(SAMPLE_ROWS, SAMPLE_CELLS // width))
    head = f"(SELECT * FROM {rows} LIMIT {limit})"
    sampled = _count(database, head, range(width), PLAIN)
    written = [position for position, counts in sampled.items() if may_be_written(counts)]
    for position, counts in _count(database, head, written, WRITTEN).items():
        sampled[position] = replace(counts, fits={**sampled[position].fits, **counts.fits})
    european = is_european(list(sampled.values()))
    if european:
        sampled.update(_count_thousands(database, head, sampled))
    candidates: dict[int, tuple[Format, ...]] = {}
    for position, counts in sampled.items():
        best = choose_format(counts, european=european)
        twin = swapped_day(counts, best)
        candidates[position] = () if best is TEXT else (best,) if twin is None else (best, twin)
    return sampled, candidates


def _count_thousands(database: Database, rows: str, counted: Mapping[int, ColumnCounts]) -> dict[int, ColumnCounts]:
    """Counts of columns that read as numbers with points, by the rule that the point separates thousands, too."""
    open_ones = [
        position for position, counts in counted.items() if _has_points(counts) and EUROPEAN.name not in counts.fits
    ]
    again = _count(database, rows, open_ones, [EUROPEAN])
    return {
        position: replace(counted[position], fits={**counted[position].fits, **counts.fits})
        for position, counts in again.items()
    }


def _has_points(counts: ColumnCounts) -> bool:
    """Whether every cell is a plain number, but not a whole one."""
    whole = counts.fits.get(INTEGER.name, 0)
    return counts.fits.get(NUMBER.name, 0) == counts.filled > whole


def _thousands_remark(name: str) -> str:
    return (
        f"{quoted(name)}: the points in its numbers were read as separators of thousands (1.000 is 1000), because "
        "other columns have decimal commas and every value of it can be read so."
    )


def _whole_columns(
    database: Database,
    rows: str,
    candidates: Mapping[int, Sequence[Format]],
    sampled: Mapping[int, ColumnCounts],
) -> tuple[dict[int, ColumnCounts], list[int]]:
    """Count each whole column as cheaply as can be, and name the columns for which that is not enough."""
    counted: dict[int, ColumnCounts] = {}
    odd: list[int] = []
    for batch in batches(list(candidates.items())):
        wanted = ", ".join(part for position, formats in batch for part in _quick_sql(f"c{position}", formats))
        values = iter(database.row(f"SELECT {wanted} FROM {rows}"))
        for position, formats in batch:
            filled = next(values)
            if formats:
                fits = {item.name: next(values) for item in formats}
                settled = fits[formats[0].name] == filled > 0
            else:
                is_unseen = filled > 0 and sampled[position].filled == 0  # the sample was empty, the column is not
                fits, settled = {}, next(values) == 0 and not is_unseen
            counted[position] = ColumnCounts(filled=filled, fits=fits)
            if not settled:
                odd.append(position)
    return counted, odd


def _quick_sql(cell: str, formats: Sequence[Format]) -> list[str]:
    """How many cells are not empty, and how many fit; without a format, how many need a closer look."""
    if formats:
        return [count_where(f"{cell} <> ''"), *(count_where(item.test_sql(cell)) for item in formats)]
    return text_counts_sql(cell)


def text_counts_sql(cell: str, blanks: str = BLANKS) -> list[str]:
    """How many cells of a text column are not empty, and how many have blanks around them or a word for no value.

    `blanks` are those that the file may hold at all: trimming every cell would take twenty times as long.
    """
    words = _is_one_of(cell, [*MISSING_IN_TEXT, "na"])
    longest = max(map(len, MISSING_IN_TEXT))
    padded = " OR ".join(
        f"starts_with({cell}, {literal(blank)}) OR ends_with({cell}, {literal(blank)})" for blank in blanks
    )
    return [
        count_where(f"{cell} <> ''"),
        count_where(f"{padded} OR CASE WHEN strlen({cell}) <= {longest} THEN {words} ELSE false END"),
    ]


def _count(
    database: Database, rows: str, positions: Sequence[int], formats: Sequence[Format]
) -> dict[int, ColumnCounts]:
    """Count the cells of some columns in every detail."""
    if not positions:
        return {}
    columns = ", ".join(f"c{position}" for position in positions)
    fits = ", ".join(count_where(item.test_sql("x")) for item in formats)
    cells = f"UNPIVOT (SELECT {columns} FROM {rows}) ON {columns} INTO NAME name VALUE cell"
    found = database.rows(
        f"SELECT name[2:]::INTEGER, kind, count(*), {count_where('length(cell) > length(x)')}, max(length(x)), "
        f"{count_where(_HAS_DIGIT)}, {count_where(_LEADING_ZERO)}, {count_where(_PHONE)}, {fits} "
        f"FROM (SELECT name, cell, x, {_kind_sql('x')} AS kind FROM "
        f"(SELECT name, cell, {trimmed_sql('cell')} AS x FROM ({cells}) WHERE cell <> '')) GROUP BY ALL"
    )
    kinds: dict[int, dict[int, tuple[int, ...]]] = {position: {} for position in positions}
    for position, kind, *numbers in found:
        kinds[position][kind] = tuple(numbers)
    return {position: _counts_of(groups, formats) for position, groups in kinds.items()}


def _counts_of(groups: Mapping[int, Sequence[int]], formats: Sequence[Format]) -> ColumnCounts:
    """Put one column's numbers together; `groups` has a tuple for each kind of cell that occurs."""
    filled, _, longest, digits, leading_zero, phones, *fits = groups.get(_FILLED, (0,) * (6 + len(formats)))
    number = {kind: numbers[0] for kind, numbers in groups.items()}
    return ColumnCounts(
        filled=filled,
        fits={item.name: count for item, count in zip(formats, fits, strict=True)},
        digits=digits,
        leading_zero=leading_zero,
        phones=phones,
        padded=sum(numbers[1] for kind, numbers in groups.items() if kind != _BLANK),
        longest=longest,
        words=sum(count for kind, count in number.items() if kind not in (_FILLED, _BLANK)),
        words_in_text=number.get(_WORD_IN_TEXT, 0),
        not_available=number.get(_NOT_AVAILABLE, 0),
        infinite=number.get(_INFINITE, 0),
    )


def _with_examples(database: Database, rows: str, reports: Sequence[CellReport]) -> list[CellReport]:
    """Add a few unreadable cells to the columns that have any, since a number alone does not let a reader judge."""
    odd = [report for report in reports if report.misfits][:EXAMPLES]
    if not odd:
        return list(reports)
    cells = {report.position: trimmed_sql(f"c{report.position}") for report in odd}
    wanted = ", ".join(
        f"min(DISTINCT {cells[item.position]}, {SHOWN_CELLS}) FILTER ({is_value_sql(cells[item.position])} "
        f"AND NOT coalesce({item.format.test_sql(cells[item.position])}, false))"
        for item in odd
    )
    found = dict(zip(cells, database.row(f"SELECT {wanted} FROM {rows}"), strict=True))
    return [replace(report, examples=tuple(found.get(report.position) or ())) for report in reports]


def shown_cells(cells: Sequence[str]) -> str:
    """Cells as a sentence shows them."""
    shown = [" ".join(cell.split()) for cell in cells]
    return ", ".join(f"`{cell}`" if len(cell) <= CELL_CHARACTERS else f"`{cell[:CELL_CHARACTERS]}…`" for cell in shown)


def is_value_sql(cell: str) -> str:
    """Whether a trimmed cell holds a value, as SQL."""
    return f"({_kind_sql(cell)}) = {_FILLED}"


def _kind_sql(cell: str) -> str:
    """What a trimmed cell is: a value, nothing, or one of the words for no value."""
    return (
        f"CASE WHEN {cell} = '' THEN {_BLANK} WHEN length({cell}) > {LONGEST_WORD} THEN {_FILLED} "
        f"WHEN lower({cell}) = 'na' THEN {_NOT_AVAILABLE} "
        f"WHEN {_is_one_of(cell, MISSING_IN_TEXT)} THEN {_WORD_IN_TEXT} "
        f"WHEN {_is_one_of(cell, INFINITIES)} THEN {_INFINITE} "
        f"WHEN {_is_one_of(cell, MISSING_WORDS)} THEN {_WORD} ELSE {_FILLED} END"
    )


def trimmed_sql(cell: str) -> str:
    """A raw cell without blanks around it; an absent cell counts as an empty one."""
    return f"trim(coalesce({cell}, ''), {literal(BLANKS)})"


def _is_one_of(cell: str, words: Sequence[str]) -> str:
    return f"lower({cell}) IN ({', '.join(map(literal, words))})"
