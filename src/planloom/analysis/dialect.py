"""Decides how a text is cut into columns: separator, lines above the header, header, names.

Pure: a sample in, a value out. Every decision is kept as a sentence, because the reader of a report must be able to
check it. Nothing here decides what a cell means; that is `formats`.
"""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from planloom.errors import DataError

SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "pipe"}
NO_SEPARATOR = "\x1f"
"""Cuts nothing: the separator of a file with one column, whose text may well hold commas."""
SAMPLE_CHARACTERS = 256 * 1024
PREAMBLE_LINES = 20
"""Most lines above the header that are passed over."""
COLUMNS = 10_000
"""Most columns of one table."""
NAMES_SHOWN = 4
_BLANKS = " \t\r\n\u00a0\ufeff"

_NUMBER = r"[+-]?[$€£¥]? ?(\d+|\d{1,3}([,.' \u00a0]\d{3})+)([.,]\d+)?([eE][+-]?\d+)?( ?[%€])?|[+-]?[.,]\d+"
_DATE = r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([ T]\d{1,2}:\d{2}.*)?|\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?"
_TYPED = re.compile(f"({_NUMBER}|{_DATE})")
_MISSING = {"", "-", "--", ".", "?", "na", "n/a", "#n/a", "nan", "null", "none", "inf", "-inf", "true", "false"}


@dataclass(frozen=True, slots=True)
class Dialect:
    """How to cut one text file into a table."""

    separator: str
    names: tuple[str, ...]
    """Final, unique column names, one per column, in order."""
    records_before_data: int
    """Non-blank records above the first row of data: lines passed over, and the header."""
    empty_names: frozenset[int]
    """Columns without a name of their own; one without a value as well is left out later."""
    decisions: tuple[str, ...]


def read_dialect(sample: str, *, complete: bool, separator: str | None = None, header: bool | None = None) -> Dialect:
    """Decide from the beginning of a text.

    `complete` says that `sample` is the whole text. `separator` and `header` override what the text shows.
    Raises `DataError` for a text without a cell and for more than `COLUMNS` columns.
    """
    if separator is None:
        chosen, rows = _choose_separator(sample, complete=complete)
        name = SEPARATORS.get(chosen)
        decisions = [f"Separator: {name}." if name else "One column: no separator was found."]
    else:
        chosen = _asked_separator(separator)
        rows = _cut(sample, chosen, complete=complete)
        decisions = [f"Separator: {SEPARATORS.get(chosen, repr(chosen))}, as asked."]
    if not rows:
        raise DataError("the file holds no cell at all\nhint: check that the export finished")
    _check_width(_usual_width(rows))
    above, sentence = _lines_above(rows)
    decisions += sentence
    rows = rows[above:]
    has_header, sentence = _judge_header(rows, header)
    decisions.append(sentence.replace("the first line", "the first line below those") if above else sentence)
    width = max(len(rows[0]) if has_header else 0, _usual_width(rows[1:] if has_header else rows))
    _check_width(width)
    first = rows[0] if has_header else []
    first, sentence = _shift_row_names(first, rows, width)
    decisions += sentence
    names, empty, sentences = unique_names(first, width)
    decisions += sentences if has_header else [f"Columns were named `column_1` to `column_{width}`."]
    return Dialect(chosen, names, above + has_header, empty, tuple(decisions))


def _check_width(width: int) -> None:
    if width > COLUMNS:
        raise DataError(f"the table has {width:,} columns; at most {COLUMNS:,} are read\nhint: turn it on its side")


def looks_typed(cell: str) -> bool:
    """Whether a cell reads as a number, a date or a time rather than as words."""
    return _TYPED.fullmatch(cell.strip(_BLANKS)) is not None


def _cut(sample: str, separator: str, *, complete: bool) -> list[list[str]]:
    """The sample's non-blank records; the last one of an incomplete sample is left out, it may be half a record."""
    reader = csv.reader(io.StringIO(sample, newline=""), delimiter=separator)
    rows: list[list[str]] = []
    try:
        rows.extend(row for row in reader if row)
    except csv.Error:  # a cell longer than the module reads: judge by what came before it
        return rows
    return rows if complete or len(rows) < 2 else rows[:-1]


def _choose_separator(sample: str, *, complete: bool) -> tuple[str, list[list[str]]]:
    """The separator that cuts most rows to one width, and leaves most cells that read as numbers or dates."""
    best, best_score = NO_SEPARATOR, 0.0
    best_rows: list[list[str]] | None = None
    for separator in SEPARATORS:
        rows = _cut(sample, separator, complete=complete)
        width = _usual_width(rows)
        if width < 2:
            continue
        same = sum(len(row) == width for row in rows) / len(rows)
        cells = [cell for row in rows[:200] for cell in row[:200]]
        typed = sum(map(looks_typed, cells)) / len(cells)
        score = same * (1 + typed)
        if same >= 0.5 and score > best_score:
            best, best_score, best_rows = separator, score, rows
    return best, best_rows if best_rows is not None else _cut(sample, NO_SEPARATOR, complete=complete)


def _asked_separator(separator: str) -> str:
    named = {name: character for character, name in SEPARATORS.items()} | {"\\t": "\t", "space": " "}
    chosen = named.get(separator, separator)
    if len(chosen) != 1 or chosen in '"\r\n\x00':
        raise DataError(
            f"separator {separator!r} is not one character\nhint: use one of , ; | or the words comma, semicolon, tab"
        )
    return chosen


def _usual_width(rows: Sequence[Sequence[str]]) -> int:
    """The commonest number of cells; of two equally common ones, the one that comes first."""
    return Counter(map(len, rows)).most_common(1)[0][0] if rows else 0


def _lines_above(rows: Sequence[Sequence[str]]) -> tuple[int, list[str]]:
    """How many records stand above the table: a title or notes, each with at most one filled cell."""
    width = _usual_width(rows)
    if width < 2 or len(rows) < 3:
        return 0, []
    above = 0
    while above < min(PREAMBLE_LINES, len(rows)) and _is_title(rows[above], width):
        above += 1
    if above in (0, len(rows)) or len(rows[above]) < width - 1:
        return 0, []
    return above, [f"{above} {'line' if above == 1 else 'lines'} above the header passed over."]


def _is_title(row: Sequence[str], width: int) -> bool:
    """Whether a record holds words in its first cell and nothing beside them."""
    title, *others = [cell.strip(_BLANKS) for cell in row]
    if any(others) or looks_typed(title):
        return False
    return len(row) < width or (width > 2 and bool(title))


def _judge_header(rows: Sequence[Sequence[str]], asked: bool | None) -> tuple[bool, str]:
    """Whether the first record names the columns, and the sentence that says why."""
    if asked is not None:
        return asked, f"Header: {'the first line' if asked else 'none'}, as asked."
    first, rest = [cell.strip(_BLANKS) for cell in rows[0]], rows[1:]
    typed_first = sum(map(looks_typed, first))
    if not rest:
        if typed_first:
            return False, "Header: none, because the only line holds values."
        return True, "Header: the first line."
    named_over_values = values_over_values = 0
    for position, cell in enumerate(first):
        column = [row[position].strip(_BLANKS) for row in rest[:500] if position < len(row)]
        filled = [value for value in column if value.lower() not in _MISSING]
        if not filled or sum(map(looks_typed, filled)) < 0.8 * len(filled):
            continue
        if looks_typed(cell):
            values_over_values += 1
        elif cell and cell.lower() not in _MISSING:
            named_over_values += 1
    if values_over_values > named_over_values and not _counts_up(first):
        return False, "Header: none, because the first line holds values like those below it."
    if named_over_values:
        return True, "Header: the first line."
    if _repeats(first, rest):
        return False, "Header: none, because the first line repeats in the rows below it."
    return True, "Header: the first line (assumed, as every column is text)."


def _counts_up(cells: Sequence[str]) -> bool:
    """Whether the cells after the first are years or numbers in steps of one, as in a pivoted table's header."""
    numbers = [int(cell) for cell in cells if cell.isascii() and cell.isdigit()]
    steps = {later - earlier for earlier, later in itertools.pairwise(numbers)}
    return len(numbers) >= max(3, len(cells) - 2) and len(steps) == 1 and steps != {0} and not cells[0].isdigit()


def _repeats(first: Sequence[str], rest: Sequence[Sequence[str]]) -> bool:
    """Whether most cells of the first record occur again below themselves (one distinct column is enough to doubt)."""
    found = 0
    for position, cell in enumerate(first):
        found += any(position < len(row) and row[position].strip(_BLANKS) == cell for row in rest[:500])
    return found > len(first) / 2


def _shift_row_names(first: list[str], rows: Sequence[Sequence[str]], width: int) -> tuple[list[str], list[str]]:
    """R writes one name less than there are columns: the row names come first and have none."""
    if not first or len(first) != width - 1:
        return first, []
    filled = [bool(row[-1].strip(_BLANKS)) for row in rows[1:] if len(row) == width]
    if not filled or sum(filled) < len(filled) / 2:
        return first, []
    return ["row_name", *first], ["The header lacks one name: the first column was named `row_name`."]


def unique_names(header: Sequence[str], width: int) -> tuple[tuple[str, ...], frozenset[int], list[str]]:
    """Unique names for `width` columns; case does not make two names different, since SQL would not see it."""
    cells = [*header, *[""] * (width - len(header))][:width]
    stripped = [" ".join(cell.strip(_BLANKS).split()) for cell in cells]
    decisions: list[str] = []
    changed = [new for old, new in zip(cells, stripped, strict=True) if old != new and new]
    if changed:
        decisions.append(f"Blanks around or doubled in {_count(changed, 'column name')} removed: {listed(changed)}.")
    names: list[str] = []
    taken: set[str] = set()
    repeated: list[str] = []
    unnamed: list[str] = []
    reserved = {name.casefold() for name in stripped if name}
    for position, wanted in enumerate(stripped):
        name = wanted or f"column_{position + 1}"
        number = 2
        while name.casefold() in taken or (name != wanted and name.casefold() in reserved):
            name = f"{wanted or f'column_{position + 1}'}_{number}"
            number += 1
        if not wanted:
            unnamed.append(name)
        elif name != wanted:
            repeated.append(name)
        taken.add(name.casefold())
        names.append(name)
    if repeated:
        decisions.append(f"{_count(repeated, 'repeated column name')} made unique: {listed(repeated)}.")
    if unnamed and len(unnamed) < width:
        decisions.append(f"{_count(unnamed, 'column')} without a name: {listed(unnamed)}.")
    return tuple(names), frozenset(i for i, name in enumerate(stripped) if not name), decisions


def listed(names: Sequence[str], shown: int = NAMES_SHOWN) -> str:
    """Names in backticks, the first few and how many more."""
    text = ", ".join(f"`{name}`" for name in names[:shown])
    return text if len(names) <= shown else f"{text} and {len(names) - shown:,} more"


def _count(items: Sequence[str], noun: str) -> str:
    return f"{len(items):,} {noun}{'' if len(items) == 1 else 's'}"
