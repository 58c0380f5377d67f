"""Finds what in a text looks like a number and is none: dates, times, versions, names, list numbers. Pure.

Each is blanked, so that every other number keeps its place.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

BLANK: Final = "\x00"
MAX_NAMES_SOUGHT: Final = 500
"""Names with digits that are blanked in one text."""

COUNTED: Final = (
    "units?|rows?|cells?|records?|orders?|values?|items?|pieces?|customers?|people|persons?|users?|visit(?:or)?s?|sales"
    "|dollars?|euros?|usd|eur|gbp|chf|jpy|percent|points?|hours?|minutes?|seconds?|days?|weeks?|months?|km|kg|miles?"
    "|metres?|meters?|tons?|times|columns?|groups?|cases?|observations?|entries|missing|duplicates?|outliers?|products?"
)
"""What is counted: a number before one of these is no year."""
CURRENCY: Final = re.compile(r"[$€£¥]\s?[-−]?$|(?<!\w)(?:USD|EUR|GBP|CHF|JPY)\s?[-−]?$")

_DAY: Final = r"(?<![\w.,])(?:0?[1-9]|[12]\d|3[01])"
_YEAR: Final = r"(?:19|20)\d{2}(?!\d)"
_NAMED_MONTH: Final = (
    r"(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sept?(?:ember)?|Oct(?:ober)?"
    r"|Nov(?:ember)?|Dec(?:ember)?)\b\.?"
)
_DATES: Final = (
    r"(?<![\d.,])(?:1[5-9]|2[01])\d{2}-(?:0[1-9]|1[0-2])(?:-(?:0[1-9]|[12]\d|3[01]))?"
    r"(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?)?(?!\d|\.\d)"  # 2024-03-01T12:30:59Z
    rf"|{_DAY}(?:/(?:0?[1-9]|[12]\d|3[01])/(?:{_YEAR}|\d{{2}})|\.(?:0?[1-9]|1[0-2])\.{_YEAR})(?!\d|[.,]\d)"  # 1/3/2024
    rf"|{_DAY}(?:st|nd|rd|th)?\s+(?:of\s+)?(?i:{_NAMED_MONTH})\s*,?\s*{_YEAR}"  # 1 march 2024
    rf"|{_DAY}(?:(?:st|nd|rd|th)\s+(?:of\s+)?|\s+(?:of\s+)?){_NAMED_MONTH}(?!\w)"  # 1 March
    rf"|\b{_NAMED_MONTH}\s+(?:0?[1-9]|[12]\d|3[01])(?:st|nd|rd|th)?(?!\w|[.,]\d)(?:\s*,\s*{_YEAR})?"  # March 1, 2024
    rf"|\b{_NAMED_MONTH},?\s+{_YEAR}(?!\s+(?:{COUNTED})(?!\w))"  # March 2024
    r"|(?<![\w.,])(?:(?:19|20)\d0s|['’]\d0s)\b"  # the 1990s
)
_NAMES: Final = (
    r"\b\d+(?:st|nd|rd|th)\b"
    r"|#\d+\b|(?i:\b(?:steps?|questions?|figures?|tables?|sections?|note|footnote|file|sheet|part|option)\s+\d+\b)"
    r"(?![.,]\d|\s*%)"
    r"|\bv\d+(?:\.\d+)+|(?i:\bversions?\s+v?\d+(?:\.\d+)*)"
    r"|(?<![\w.,])(?!\d{1,3}(?:\.\d{3}){2,}(?:,\d+)?(?![\w.]))\d+\.\d+\.\d+(?:\.\d+)*\b"  # 1.2.3, not 1.234.567
    r"|(?i:\b[\w.-]+\.(?:csv|tsv|parquet|xlsx?|ods|jsonl?|ndjson|txt|gz|zip|html?|md|py)\b)|https?://\S+|\b24/7\b"
    r"|(?i:(?<![\w.,:])(?:0?[1-9]|1[0-2])\s?[ap]\.?m\b\.?)"  # 5 pm
    r"|(?<![^\W_])[^\W\d_]\w*\d\w*|\b[A-Z]+[-‑]\d+\b|(?<![\w.,])\d+_\w*[^\W\d_]\w*"  # Q4, x_12, COVID-19, 2024_sales
)
_MARKS: Final = re.compile(f"{_DATES}|{_NAMES}")
_TIME: Final = re.compile(
    r"(?<![\w.,:])(?P<time>(?:[01]?\d|2[0-4]):[0-5]\d(?::[0-5]\d)?)(?![\d:])(?P<after>\s?(?:[ap]\.?m\b|UTC|h\b|Uhr))?",
    re.IGNORECASE,
)
_TIME_BEFORE: Final = re.compile(
    r"(?<!\w)(?:at|by|from|until|till|since|before|after|around|between|to|and|or)\s+$", re.IGNORECASE
)
_LIST_NUMBER: Final = re.compile(
    r"^[ \t>#*_-]*\(?(\d{1,3})[.)](?=[\s*_])|^[ \t]*\|[ \t]*(\d{1,3})[ \t]*(?=\|)", re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class Known:
    """What the data holds that looks like a figure: names with digits, years of its dates, times of the day."""

    names: tuple[str, ...] = ()
    years: frozenset[int] = frozenset()
    times: frozenset[str] = frozenset()


def mask(text: str, known: Known) -> str:
    """The text with everything blanked that is no figure; every other character stays in its place."""
    present = [name for name in known.names if name in text][:MAX_NAMES_SOUGHT]
    if present:
        listed = "|".join(map(re.escape, sorted(present, key=len, reverse=True)))
        text = re.sub(rf"(?<!\w)(?:{listed})(?!\w)", _blanked, text)
    text = _MARKS.sub(_blanked, text)
    if ":" in text:
        text = _TIME.sub(_time_blanker(known), text)
    return _without_list_numbers(text)


def _blanked(match: re.Match[str]) -> str:
    return BLANK * len(match[0])


def _time_blanker(known: Known) -> Callable[[re.Match[str]], str]:
    """A time is one by its words, after another time, or as the data has it; else it may be a ratio."""
    last = -1

    def blank(match: re.Match[str]) -> str:
        nonlocal last
        before = match.string[max(0, match.start() - 20) : match.start()]
        follows = last >= 0 and re.fullmatch(r"\s*(?:-|–|,|and|or|to)\s*", match.string[last : match.start()])
        is_time = match["after"] or match["time"] in known.times or _TIME_BEFORE.search(before) or follows
        if not is_time and match["time"].count(":") < 2:
            return match[0]
        last = match.end()
        return BLANK * len(match[0])

    return blank


def _without_list_numbers(text: str) -> str:
    """Blank the numbers of lists and of the rows of tables: 1, and each that follows the one before."""
    last = 0

    def blank(match: re.Match[str]) -> str:
        nonlocal last
        number = int(match[1] or match[2])
        if number not in (1, last + 1):
            return match[0]
        last = number
        return BLANK * len(match[0]) if match[1] else match[0].replace(match[2], BLANK * len(match[2]))

    return _LIST_NUMBER.sub(blank, text)
