"""Reads the numbers that stand in a text, as they are written: value, rounding, sign, percent, scale. Pure.

Dates, times, years, ordinals, list numbers and names with digits are no figures. A number is left out only when what
stands around it says so; in doubt it is a figure, since a figure too many is looked at and one too few is believed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from planloom.analysis.figure_marks import COUNTED, CURRENCY, Known, mask

Bound = Literal["exact", "about", "over", "under", "p-below"]

SMALL: Final = 3
"""Whole numbers up to this, before a word, are words more often than figures ("both of the 2 files")."""
MAX_DIGITS: Final = 400
"""Digits of one number that are read; a longer row of digits is a name."""
WINDOW: Final = 60
"""Characters before and after a number that are looked at."""

_SCALES: Final = {
    "thousand": 1e3, "k": 1e3, "million": 1e6, "millions": 1e6, "m": 1e6, "mn": 1e6, "mio": 1e6, "billion": 1e9,
    "billions": 1e9, "bn": 1e9, "b": 1e9, "mrd": 1e9, "trillion": 1e12, "tn": 1e12,
}  # fmt: skip
_UNITS_TOO: Final = frozenset(("m", "b"))
"""Attached letters that may be a scale or a unit: `5m`."""
_PERCENT: Final = r"%|percent\b|per\s?cent\b|pct\b|prozent\b|pour\s?cent\b|percentage\s+points?\b|pp\b"
_RUN: Final = re.compile(
    r"(?<![^\W_])(?<![^\W_]_)(?:(?<![^\W_])(?<![)\]%])(?P<sign>[-+−–](?=[.\d])))?"
    r"(?P<digits>\.?\d+(?:[.,'’\u00a0\u202f\u2009]\d+)*)"
    r"(?P<spaced>(?: \d{3}(?!\d))+(?:[.,]\d+)?(?![\d%]))?"
    r"(?:[eE](?P<exponent>[-+−]?\d{1,3})(?!\w)"
    r"|\s?(?:[×x·*]|\\times)\s?10(?:\^[{(]?(?P<power>[-+−]?\d{1,3})[)}]?|(?P<raised>[⁻⁺]?[⁰¹²³⁴⁵⁶⁷⁸⁹]{1,3})))?"
    rf"(?P<after>\s?(?:{_PERCENT})|\s(?:thousand|millions?|billions?|trillion|mn|bn|tn)\b|\s(?:mio|mrd)\b\.?)?"
    r"(?P<unit>[^\W\d_²³]+)?(?![^\W²³⁰¹⁴⁵⁶⁷⁸⁹_]|_[^\W_])",
    re.IGNORECASE,
)
_RAISED: Final = str.maketrans("⁻⁺⁰¹²³⁴⁵⁶⁷⁸⁹−", "-+0123456789-")
_GROUPED: Final = re.compile(r"\d{1,3}(?:(?P<mark>[,.'’\u00a0\u202f\u2009])\d{3})(?:(?P=mark)\d{3})*")
_INDIAN: Final = re.compile(r"[1-9]\d?(?:,\d{2})+,\d{3}")
_DECIMAL_COMMA: Final = re.compile(r"(?<![\d.,])(?:\d{1,3}(?:\.\d{3})+,\d+|\d+,(?:\d{1,2}|\d{4,}))(?![\d,]|\.\d)")
_DECIMAL_POINT: Final = re.compile(r"(?<![\d.,])(?:\d+\.(?:\d{1,2}|\d{4,})|\d{1,3}(?:,\d{3})+\.\d+)(?![\d.]|,\d)")

_ABOUT: Final = r"about|around|roughly|approximately|approx\.?|some|circa|ca\.|close\s+to|or\s+so|[~≈]"
_OVER: Final = r"over|more\s+than|at\s+least|above|exceed(?:s|ed|ing)?|upwards\s+of|greater\s+than|[>≥]"
_UNDER: Final = r"under|less\s+than|fewer\s+than|nearly|almost|below|at\s+most|up\s+to|just\s+short\s+of|[<≤]"
_BOUND_WORDS: Final[dict[Bound, str]] = {"about": _ABOUT, "over": _OVER, "under": _UNDER}
_BOUNDS: Final[dict[Bound, re.Pattern[str]]] = {
    bound: re.compile(rf"(?:(?<!\w)(?:{words}))\s*[$€£¥]?\s*$", re.IGNORECASE) for bound, words in _BOUND_WORDS.items()
}
_P_BELOW: Final = re.compile(
    r"(?<!\w)p(?:[\s‑-]?values?)?(?:\s+(?:is|was|are|were|all))*\s*(?:<|≤|&lt;|below|under|(?:less|smaller)\s+than)\s*$",
    re.IGNORECASE,
)
_LESS: Final = re.compile(
    r"(?<!\w)(?:fell|fall(?:s|en|ing)?|drop\w*|declin\w*|decreas\w*|reduc\w*|los[est]\w*|losing|down(?:ward)?|lower\w*"
    r"|less|fewer|smaller|shorter|cheaper|worse|below|beneath|under|minus|negativ\w*|shr[aiu]nk\w*|s[aiu]nk\w*|slid\w*"
    r"|slump\w*|plung\w*|tumbl\w*|shed|cut|deficit|shortfall|cooler|behind|opposite|invers\w*|in\s+size|in\s+magnitude"
    r"|magnitude|absolute(?:ly)?|gesunken|fiel\w*|gefallen|rückgang\w*|weniger|niedriger|abgenommen|baiss\w*|diminu\w*"
    r"|recul\w*|moins|cay\w*|baj\w*|menos|disminu\w*)(?!\w)",
    re.IGNORECASE,
)
_MORE: Final = re.compile(
    r"(?<!\w)(?:rose|ris(?:e|es|en|ing)|gr[eo]w\w*|growth|increas\w*|gain\w*|up(?:ward)?|higher|more|above|climb\w*"
    r"|jump\w*|added|improv\w*|stieg\w*|gestiegen|mehr|hausse|augment\w*|subi\w*|aument\w*)(?!\w)",
    re.IGNORECASE,
)
_CLAUSE_END: Final = re.compile(r"[.!?;]\s|\n")
_LEVEL: Final = re.compile(r"\s*[-‑]?\s*(?:confidence|significance|level|CI\b|interval)", re.IGNORECASE)
_YEAR: Final = re.compile(r"(?:19|20)\d{2}")
_YEAR_BEFORE: Final = re.compile(
    r"(?<!\w)(?:in|since|during|until|till|through|throughout|years?|early|late|mid|FY|[QH][1-4]|seasons?|spring|summer"
    r"|autumn|winter|week\s+\d+\s+of)[\s-]*$",
    re.IGNORECASE,
)
_DATE_BEFORE: Final = re.compile(
    r"(?:^|[.!?:;,(/|–-]|\n|(?<!\w)(?:from|to|and|or|between|by|of|for|before|after|vs\.?|versus|than|with|then|against"
    r"|those\s+of|that\s+of))[\s*_]*$",
    re.IGNORECASE,
)
_AFTER_YEAR: Final = re.compile(r"\s*(?:-|–|,|/|and|or|to|through|until|vs\.?|versus)\s*$", re.IGNORECASE)
_COUNTED_AFTER: Final = re.compile(rf"\s*(?:{COUNTED}|%|[$€£¥])(?!\w)", re.IGNORECASE)
_STATED: Final = re.compile(r"(?:=|:|(?<!\w)(?:is|was|are|were|equals?|of|to|by|than))\s*[*_`'\"]*$", re.IGNORECASE)
_WORD: Final = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True, slots=True)
class Written:
    """A number as it is written, with what it may stand for."""

    start: int
    end: int
    text: str
    value: float
    """With the sign and the scale as written; a percent as the number before the sign."""
    half_unit: float
    """Half a unit of the last digit that is written."""
    about_unit: float
    """The unit of the last digit that counts when trailing zeros do not: 100 for 200."""
    unscaled: float | None
    """The value without its scale, where the letter behind it may be a unit (`5m`)."""
    is_percent: bool
    is_word: bool
    """Whether it is rather a word than a figure: a small count, a usual level of confidence."""
    may_be_less: bool
    """Whether the words around it say that a value below zero is meant ("fell by 5")."""
    bound: Bound
    words: tuple[str, ...]
    """The words that say what is counted, in their singular."""


def numbers_of(text: str, known: Known | None = None, *, in_data: bool = False) -> Iterator[Written]:
    """Every figure of a text, in order. `known` are names, years and times of the data.

    With `in_data` the text is a value and no prose: the words around a number say nothing, and a year is a number.
    """
    if not any(map(str.isdigit, text)):
        return
    known = known or Known()
    covered = mask(text, known)
    has_comma = _DECIMAL_COMMA.search(covered) is not None and _DECIMAL_POINT.search(covered) is None
    last_year = -1
    for match in _RUN.finditer(covered):
        if len(match["digits"]) > MAX_DIGITS:
            continue
        if not in_data and _is_year(text, match, known, last_year):
            last_year = match.end("digits")
            continue
        for piece in _pieces(match, has_comma=has_comma):
            yield _written("" if in_data else text, match, *piece)


def stem(word: str) -> str:
    """A noun in its singular, roughly: `categories` and `category` are one, and `rows` and `row`."""
    word = word.lower()
    return f"{word[:-3]}y" if word.endswith("ies") else word.removesuffix("s")


_Piece = tuple[int, int, str]
"""Start, end, and the digits with a point before the decimals."""


def _pieces(match: re.Match[str], *, has_comma: bool) -> Iterator[_Piece]:
    """The numbers of a row of digits: one, but for lists without blanks and blanks that part no thousands."""
    start, end = match.span("digits")
    digits, spaced = match["digits"], match["spaced"] or ""
    if spaced and re.fullmatch(r"\d{1,3}", digits):
        whole, mark, decimals = re.sub(" ", "", digits + spaced).partition("," if "," in spaced else ".")
        yield start, end + len(spaced), whole + ("." if mark else "") + decimals
        return
    read = _decimal(digits, has_comma=has_comma)
    if read is not None:
        yield start, end, read
    else:
        for part in re.finditer(r"[^,'’\u00a0\u202f\u2009]+", digits):
            yield start + part.start(), start + part.end(), part[0].strip(".")
    for part in re.finditer(r"\d+(?:[.,]\d+)?", spaced):  # blanks that do not part thousands
        yield end + part.start(), end + part.end(), part[0].replace(",", ".")


def _decimal(digits: str, *, has_comma: bool) -> str | None:
    """A row of digits with its marks as one number with a decimal point, None if it is several numbers."""
    if digits.isdigit():
        return digits
    if _INDIAN.fullmatch(digits):
        return digits.replace(",", "")
    grouped = _GROUPED.match(digits)
    if grouped is not None:
        mark, rest = grouped["mark"], digits[grouped.end() :]
        is_one = digits.count(mark) == 1 and not rest
        decimal = "," if has_comma else "."
        if not rest and not (is_one and (mark == decimal or (digits.startswith("0") and mark in ".,"))):
            return re.sub(r"\D", "", digits)
        if rest[:1] in (".", ",") and rest[:1] != mark and rest[1:].isdigit():
            return f"{re.sub(r'[^0-9]', '', grouped[0])}.{rest[1:]}"
    if re.fullmatch(r"\d*[.,]\d+", digits):
        return digits.replace(",", ".")
    return None


def _written(text: str, match: re.Match[str], start: int, end: int, digits: str) -> Written:
    is_first, is_last = start == match.start("digits"), end >= match.end("spaced" if match["spaced"] else "digits")
    after = (match["after"] or "").strip().lower() if is_last else ""
    unit = (match["unit"] or "").lower() if is_last else ""
    shift = (match["exponent"] or match["power"] or match["raised"] or "0") if is_last else "0"
    scale = _SCALES.get(after.rstrip("."), 1.0) * _SCALES.get(unit, 1.0) * 10.0 ** int(shift.translate(_RAISED))
    sign = (match["sign"] or "") if is_first else ""
    begin = start - len(sign)
    before = text[max(0, begin - WINDOW) : begin]
    if not sign and (behind := re.search(r"(?<!\w)([-−–])(?:[A-Z]{0,3})[$€£¥]\s?$", before)):
        sign = behind[1]
    whole, _, decimals = digits.partition(".")
    zeros = len(whole) - len(whole.rstrip("0")) if not decimals and whole.strip("0") else 0
    stop = end
    if is_last:
        stop = match.end("unit") if unit in _SCALES else match.end("after") if after else _end_of_power(match, end)
    is_percent = bool(after) and after.rstrip(".") not in _SCALES
    following = text[stop : stop + WINDOW]
    direction = -1 if sign in ("-", "−", "–") else 1
    is_small = not decimals and scale == 1.0 and float(digits) <= SMALL
    has_unit = bool((unit and unit != "d") or CURRENCY.search(before) or sign or is_percent)
    stands_alone = _STATED.search(before) is not None and re.match(r"\s+[^\W\d_]", following) is None
    is_level = is_percent and float(digits) in (90, 95, 99) and _LEVEL.match(following) is not None
    return Written(
        start=begin,
        end=stop,
        text=text[begin:stop],
        value=float(digits or "0") * scale * direction,
        half_unit=0.5 * 10.0 ** -len(decimals) * scale,
        about_unit=10.0 ** (zeros - len(decimals)) * scale,
        unscaled=float(digits) * direction if unit in _UNITS_TOO else None,
        is_percent=is_percent,
        is_word=is_level or (is_small and not has_unit and not stands_alone),
        may_be_less=not sign and _says_less(text, start, stop),
        bound=_bound(before, following),
        words=_words(before, following),
    )


def _end_of_power(match: re.Match[str], end: int) -> int:
    return max(end, *(match.end(name) for name in ("exponent", "power", "raised")))


def _is_year(text: str, match: re.Match[str], known: Known, last_year: int) -> bool:
    """Whether a number is a year that stands as a date: by the words around it, and as the data has it."""
    if _YEAR.fullmatch(match["digits"]) is None or match["sign"] == "+" or match["after"] or match["unit"]:
        return False
    if match["spaced"] and re.fullmatch(r"(?: \d{3})+", match["spaced"]) is None:
        return False
    start, end = match.span("digits")
    before, following = text[max(0, match.start() - WINDOW) : start], text[end : end + WINDOW]
    if CURRENCY.search(before):
        return False
    is_counted = _COUNTED_AFTER.match(following) is not None
    is_known = int(match["digits"]) in known.years
    if last_year >= 0 and _AFTER_YEAR.fullmatch(text[last_year:start]):
        return not is_counted
    if _YEAR_BEFORE.search(before):
        return is_known or not is_counted
    is_range = re.match(r"\s?[-–]\s?(?:19|20)\d{2}(?!\d)", following) is not None
    return (is_known or is_range) and not is_counted and _DATE_BEFORE.search(before) is not None


def _bound(before: str, following: str) -> Bound:
    if _P_BELOW.search(before):
        return "p-below"
    for bound, pattern in _BOUNDS.items():
        if pattern.search(before):
            return bound
    return "about" if re.match(r"\s+or\s+so\b", following) else "exact"


def _says_less(text: str, start: int, end: int) -> bool:
    """Whether the words around a number say less: the nearest word of direction before it, or one right behind it."""
    before = text[max(0, start - WINDOW) : start]
    for stop in list(_CLAUSE_END.finditer(before))[-1:]:
        before = before[stop.end() :]
    following = text[end : end + WINDOW]
    if (stop := _CLAUSE_END.search(following)) is not None:
        following = following[: stop.start()]
    behind = " ".join(re.split(r"\s+", following.lstrip(), maxsplit=3)[:3])
    if re.search(r"\d", behind) is None and _LESS.search(behind):
        return True
    less, more = (max((found.end() for found in words.finditer(before)), default=-1) for words in (_LESS, _MORE))
    return less > more


def _words(before: str, following: str) -> tuple[str, ...]:
    """What a number counts: the next three words, or the word that it is set behind (`Columns: 5`)."""
    after = re.split(r"[.,;:!?()|\n\d]", following, maxsplit=1)[0]
    named = re.search(r"([^\W\d_]+)[\s*_`]*(?:[:=|]|\bis\b|\bare\b)[\s*_`]*$", before)
    words = _WORD.findall(after)[:3] + ([named[1]] if named else [])
    return tuple(stem(word) for word in words)
