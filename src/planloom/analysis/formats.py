"""What the cells of a column mean: the formats a cell may have, and the choice of one for a whole column.

A format is SQL that turns a cell's text into a value or NULL, so the same rule judges and converts. The choice is pure:
counts in, a format and sentences out. A column becomes typed only if most of its cells fit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from planloom.analysis.database import literal

TYPED_SHARE: Final = 0.95
"""So many cells of a column must fit a format; the few others are read as missing, and that is said."""
MAJORITY_SHARE: Final = 0.85
"""Of numbers and dates a clear majority is enough where the other cells are words; that is said, louder."""
DOUBTFUL_SHARE: Final = 0.5
"""A column of which so many cells read as numbers or dates and that stays text all the same gets a sentence."""

MIN_DOUBTED_CELLS: Final = 4
CURRENCIES: Final = ("$", "€", "£", "¥")

BLANKS: Final = " \t\r\n\u00a0"
PADDING: Final = "\x1a\x1a"
"""Stands for no cell at all, so that a short row can be told from an empty cell. Never occurs in sane text."""

MISSING_WORDS: Final = (
    "-", "--", "---", "–", "—", ".", "..", "...", "?", "*", "na", "n/a", "n.a.", "#n/a", "<na>", "nan", "null", "nil",
    "none", "(null)", "missing", "unknown", "#value!", "#div/0!", "#ref!", "#num!", "inf", "+inf", "-inf",
    "infinity", "-infinity",
)  # fmt: skip
"""Words for "no value" in a column of numbers or dates, in lower case."""
MISSING_IN_TEXT: Final = ("null", "nan", "n/a", "#n/a", "<na>", "(null)")
"""The fewer words that mean it in a column of text, where `-` or `none` may be an answer."""
INFINITIES: Final = ("inf", "+inf", "-inf", "infinity", "-infinity")

LONGEST_WORD: Final = max(map(len, MISSING_WORDS))

_ENGLISH = r"[+-]?[$€£¥]? ?([1-9]\d{0,2}(,\d{3})+|\d+)(\.\d+)?( ?[%€])?"
_EUROPEAN = r"[+-]?[$€£¥]? ?([1-9]\d{0,2}([. \x{a0}\x{202f}'’]\d{3})+|\d+)(,\d+)?( ?[%€$£])?"
_DATES = (
    ("%Y/%m/%d", "year/month/day"),
    ("%m/%d/%Y", "month/day/year"),
    ("%d/%m/%Y", "day/month/year"),
    ("%d.%m.%Y", "day.month.year"),
    ("%m-%d-%Y", "month-day-year"),
    ("%d-%m-%Y", "day-month-year"),
    ("%m/%d/%y", "month/day/year with two digits"),
    ("%d/%m/%y", "day/month/year with two digits"),
    ("%d %b %Y", "day month-name year"),
    ("%d-%b-%Y", "day-month-name-year"),
    ("%d-%b-%y", "day-month-name-year with two digits"),
    ("%d %B %Y", "day month-name year"),
    ("%b %d, %Y", "month-name day, year"),
    ("%B %d, %Y", "month-name day, year"),
    ("%b %d %Y", "month-name day year"),
)
_TIMES = ("%H:%M:%S", "%H:%M", "%I:%M:%S %p", "%I:%M %p")


@dataclass(frozen=True, slots=True)
class Format:
    """One way to read a cell. `{x}` in the two pieces of SQL is the cell's text, without blanks around it."""

    name: str
    type: str
    """The DuckDB type of the values."""
    test: str
    """Whether a cell fits."""
    value: str
    """The value of a cell that fits."""
    remark: str = ""
    """What must be said when this format is chosen; empty for the plain ones."""

    def test_sql(self, cell: str) -> str:
        """Whether a cell fits, as SQL."""
        return f"({self.test.replace('{x}', cell)})"

    def value_sql(self, cell: str, *, all_fit: bool = False) -> str:
        """The value of a cell as SQL, NULL where it does not fit.

        Without the test if all cells fit: planning a thousand of them takes far longer than running them.
        """
        value = self.value.replace("{x}", cell)
        return value if all_fit else f"CASE WHEN {self.test_sql(cell)} THEN {value} END"


def _whole_number(name: str, type_name: str, remark: str = "") -> Format:
    """The cast alone would round `1.5` and read `1_000`; a cell fits only if it comes back the same."""
    cast = f"TRY_CAST({{x}} AS {type_name})"
    return Format(name, type_name, f"{cast}::VARCHAR = {{x}}", cast, remark)


_CAST = "TRY_CAST({x} AS DOUBLE)"
_PLAIN_NUMBER = (
    f"isfinite({_CAST}) AND NOT contains({{x}}, '_') AND NOT ({{x}} >= '00' AND {{x}} < '0:') "  # '0:' follows '09'
    "AND NOT ({x} >= '-00' AND {x} < '-0:') AND NOT ({x} >= '+00' AND {x} < '+0:')"
)
_IS_ENGLISH = f"regexp_full_match({{x}}, {literal(_ENGLISH)})"
_FROM_ENGLISH = "TRY_CAST(regexp_replace({x}, '[^0-9.+-]', '', 'g') AS DOUBLE)"
_FROM_EUROPEAN = "TRY_CAST(replace(regexp_replace({x}, '[^0-9,+-]', '', 'g'), ',', '.') AS DOUBLE)"


def _dated(pattern: str, words: str) -> Format:
    parsed = f"try_strptime({{x}}, {literal(pattern)})"
    test = f"{parsed} IS NOT NULL"
    if pattern.endswith("%Y"):  # `%Y` reads `14` as the year 14
        test += " AND regexp_matches({x}, '\\d{4}$')"
    return Format(f"date {pattern}", "DATE", test, f"TRY_CAST({parsed} AS DATE)", f"read as {words}")


def _stamped(pattern: str, words: str) -> Format:
    parsed = f"try_strptime({{x}}, [{', '.join(literal(f'{pattern} {time}') for time in _TIMES)}])"
    test = f"{parsed} IS NOT NULL"
    return Format(f"timestamp {pattern}", "TIMESTAMP", test, parsed, f"read as {words} with a time")


INTEGER: Final = _whole_number("integer", "BIGINT")
BIG_INTEGER: Final = _whole_number("big integer", "DECIMAL(38,0)", "whole numbers beyond 64 bits, kept exactly")
NUMBER: Final = Format("number", "DOUBLE", _PLAIN_NUMBER, _CAST)
_IS_BOOLEAN: Final = "lower({x}) IN ('true', 'false')"
BOOLEAN: Final = Format("boolean", "BOOLEAN", _IS_BOOLEAN, f"CASE WHEN {_IS_BOOLEAN} THEN lower({{x}}) = 'true' END")
ISO_DATE: Final = Format(
    "date",
    "DATE",
    "regexp_full_match({x}, '\\d{4}-\\d{1,2}-\\d{1,2}') AND TRY_CAST({x} AS DATE) IS NOT NULL",
    "TRY_CAST({x} AS DATE)",
)
ISO_TIMESTAMP: Final = Format(
    "timestamp",
    "TIMESTAMP",
    "regexp_matches({x}, '^\\d{4}-\\d\\d-\\d\\d([ T]|$)') AND TRY_CAST({x} AS TIMESTAMPTZ) IS NOT NULL",
    "TRY_CAST(TRY_CAST({x} AS TIMESTAMPTZ) AS TIMESTAMP)",
)
LOCAL_TIMESTAMP: Final = replace(ISO_TIMESTAMP, value="TRY_CAST({x} AS TIMESTAMP)")
"""Of cells that all have the same zone: the time as it is written. The cast leaves the zone out."""
TIME: Final = Format(
    "time",
    "TIME",
    "regexp_matches({x}, '^\\d{1,2}:\\d\\d(:|$)') AND TRY_CAST({x} AS TIME) IS NOT NULL",
    "TRY_CAST({x} AS TIME)",
)
ENGLISH: Final = Format(
    "english number",
    "DOUBLE",
    f"{_IS_ENGLISH} OR ({_PLAIN_NUMBER})",
    f"CASE WHEN {_IS_ENGLISH} THEN {_FROM_ENGLISH} ELSE {_CAST} END",
    "read the way 1,234.5 is written; signs such as $ and % are left out",
)
EUROPEAN: Final = Format(
    "european number",
    "DOUBLE",
    f"regexp_full_match({{x}}, {literal(_EUROPEAN)})",
    _FROM_EUROPEAN,
    "read the way 1.234,5 is written, with a decimal comma; signs such as € and % are left out",
)
TEXT: Final = Format("text", "VARCHAR", "true", "{x}")

PLAIN: Final = (INTEGER, BIG_INTEGER, NUMBER, BOOLEAN, ISO_DATE, ISO_TIMESTAMP, TIME)
"""The formats that need no explanation; tried first, and on a column whose sample holds no value."""
WRITTEN: Final = (
    ENGLISH,
    EUROPEAN,
    *(_dated(pattern, words) for pattern, words in _DATES),
    *(_stamped(pattern, words) for pattern, words in _DATES),
)
"""The forms that people write numbers and dates in."""
NUMBERS: Final = (INTEGER, BIG_INTEGER, NUMBER, ENGLISH, EUROPEAN)
DATES: Final = (ISO_DATE, ISO_TIMESTAMP, *(item for item in WRITTEN if item.type in ("DATE", "TIMESTAMP")))
FORMATS: Final = (*PLAIN, *WRITTEN)
"""Every format, the plainest first: of formats that fit equally well, the first one is taken."""


@dataclass(frozen=True, slots=True)
class ColumnCounts:
    """What a look at a column's cells found; all are numbers of cells but `longest`."""

    filled: int
    """Cells with a value: not blank, and not a word of `MISSING_WORDS`."""
    fits: Mapping[str, int]
    """Cells that fit, by the name of the format."""
    digits: int = 0
    """Cells with at least one digit."""
    leading_zero: int = 0
    """Whole numbers written with a zero in front, as identifiers and post codes are."""
    phones: int = 0
    """Plus signs with eight digits or more behind them, as telephone numbers are written."""
    padded: int = 0
    """Cells with blanks around the value."""
    longest: int = 0
    """Characters of the longest cell; 2 where `NA` may be a code for a country."""
    words: int = 0
    """Cells with a word of `MISSING_WORDS`; the next three are part of them."""
    words_in_text: int = 0
    not_available: int = 0
    infinite: int = 0

    @property
    def are_phones(self) -> bool:
        """Whether most cells are telephone numbers."""
        return self.phones * 2 > self.filled


def may_be_written(counts: ColumnCounts) -> bool:
    """Whether a column could be numbers or dates in a written form that no plain format reads in full."""
    plain = max((counts.fits.get(item.name, 0) for item in PLAIN), default=0)
    return plain < counts.filled and counts.digits >= DOUBTFUL_SHARE * counts.filled


def is_european(columns: Sequence[ColumnCounts]) -> bool:
    """Whether some column makes sense only with a decimal comma; then `1.234` elsewhere is a thousand."""
    return any(
        counts.fits.get(EUROPEAN.name, 0) >= TYPED_SHARE * counts.filled > 0
        and counts.fits[EUROPEAN.name] > max(counts.fits.get(item.name, 0) for item in (INTEGER, NUMBER, ENGLISH))
        for counts in columns
    )


def choose_format(counts: ColumnCounts, *, european: bool) -> Format:
    """The format that most cells fit; text if too few do, or for codes and telephone numbers."""
    if counts.filled == 0 or counts.leading_zero > 0 or counts.are_phones:
        return TEXT
    order = list(FORMATS)
    if european:
        order.remove(EUROPEAN)
        order.insert(order.index(NUMBER), EUROPEAN)
    best = max(order, key=lambda item: (counts.fits.get(item.name, 0), -order.index(item)))
    fit = counts.fits.get(best.name, 0)
    # other cells with digits are codes, amounts with a unit or dates in another form: too good to be missing
    are_words = (counts.digits - fit) * 2 <= counts.filled - fit
    needed = MAJORITY_SHARE if are_words and best not in (BOOLEAN, TIME) else TYPED_SHARE
    return best if fit >= needed * counts.filled else TEXT


def may_be_doubted(counts: ColumnCounts) -> bool:
    """Whether a column that stays text could have been meant as numbers or dates, going by a sample."""
    if counts.leading_zero or counts.are_phones or counts.filled < MIN_DOUBTED_CELLS:
        return False
    numbers = max(counts.fits.get(item.name, 0) for item in NUMBERS)
    dates = sum(counts.fits.get(item.name, 0) for item in DATES)
    return max(numbers, dates) >= DOUBTFUL_SHARE * counts.filled


def swapped_day(counts: ColumnCounts, chosen: Format) -> Format | None:
    """The format with day and month exchanged, if every cell that fits `chosen` could be read that way too."""
    name = chosen.name.replace("%m", "%0").replace("%d", "%m").replace("%0", "%d")
    if name == chosen.name or counts.fits.get(name, 0) != counts.fits.get(chosen.name):
        return None
    return next((item for item in WRITTEN if item.name == name), None)
