"""Traces every number of an answer back to the step that produced it; a number that no step produced is untraced. Pure.

A number is traced when an output holds a value that rounds to it as written (`12.3`, `1,234`, `45 %` of 0.4512, `1.2
million`), with its sign or without. Nothing is calculated: a sum that no step made is untraced, which is the point.
Dates, times, names with digits, ordinals and list numbers are not figures and are left alone.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, cast

Status = Literal["traced", "given", "untraced"]

MAX_ANSWER_CHARS: Final = 100_000
MAX_FIGURES: Final = 2_000
MAX_VALUES: Final = 200_000
"""Numbers of all outputs together that are looked at."""
MAX_TEXT_CHARS: Final = 20_000
"""Characters of one text of an output that are looked at."""
MAX_DEPTH: Final = 30
SMALL: Final = 3
"""Whole numbers up to this are words more often than figures ("both of the 2 files")."""
ABOUT_SHARE: Final = 0.05
"""How far off a figure may be that is called approximate."""

_SCALES: Final = {
    "thousand": 1e3, "k": 1e3, "million": 1e6, "m": 1e6, "mn": 1e6, "billion": 1e9, "bn": 1e9, "b": 1e9,
    "trillion": 1e12, "tn": 1e12,
}  # fmt: skip
_UNITS: Final = "x|ms|s|min|h|kg|g|km|cm|mm|mi|lb|ft|pp|px|kb|mb|gb|tb|kw|kwh|mw|usd|eur|gbp"
_NUMBER: Final = re.compile(
    r"(?<![\w.,'’])(?P<sign>[-+−–](?=[\d.]))?"
    r"(?P<digits>\d{1,3}(?:(?:,\d{3})+|(?:[’'\u00a0\u202f\u2009]\d{3})+|(?: \d{3})+(?![\d%]))(?:\.\d+)?"
    r"|\d+(?:\.\d+)?|\.\d+)"
    r"(?:[eE](?P<exponent>[-+]?\d{1,3}))?"
    r"(?P<after>\s?%|\s(?:percent|per\s?cent)\b"
    r"|\s(?:thousand|million|billion|trillion|mn|bn|tn)\b|(?:k|K|M|m|mn|bn|B|tn)\b)?"
    rf"(?=(?:{_UNITS})\b|[^\w]|$)",
    re.IGNORECASE,
)
_MONTH: Final = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)\.?"
)
_NOT_FIGURES: Final = re.compile(
    r"\d{4}-\d{2}(?:-\d{2})?(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?Z?)?(?![\d.])"  # 2024-03-01
    r"|\d{1,2}[/.]\d{1,2}[/.]\d{2,4}(?![\d])"  # 1/3/2024
    r"|\d{1,2}:\d{2}(?::\d{2})?"  # 12:30
    rf"|\b\d{{1,2}}(?:st|nd|rd|th)?\s+(?:of\s+)?{_MONTH}(?:\s*,?\s*\d{{4}})?\b"  # 1 March 2024
    rf"|\b{_MONTH}\s+\d{{1,2}}(?:st|nd|rd|th)?(?:\s*,\s*\d{{4}})?\b(?![.,]\d)|\b{_MONTH}\s+\d{{4}}\b"  # March 2024
    r"|\b\d+(?:st|nd|rd|th)\b"
    r"|(?m:^[ \t]*\(?\d{1,3}[.)](?=\s))"  # 1. of a list
    r"|#\d+\b|\b(?:step|question|figure|table|section|note|footnote|file|sheet|part|point|option)s?\s+\d+\b"
    r"|\bv?\d+\.\d+\.\d+[\w.]*"  # versions
    r"|\b[\w-]+\.(?:csv|tsv|parquet|xlsx?|json|jsonl|txt|gz|zip|html)\b"
    r"|`[^`\n]*[A-Za-z_][^`\n]*`|https?://\S+",
    re.IGNORECASE,
)
_YEAR: Final = re.compile(r"(?:19|20)\d{2}")
_ABOUT: Final = re.compile(
    r"(?:about|around|roughly|approximately|approx\.?|nearly|almost|some|circa|over|under|more than|less than|[~≈])"
    r"\s*[$€£]?$",
    re.IGNORECASE,
)
_LEVEL: Final = re.compile(r"\s*[-‑]?\s*(?:confidence|significance|level|CI\b|interval)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Figure:
    """One number of an answer: where it stands, and where it comes from.

    `status`: `traced` to the output of `step` at `path` (which holds `found`); `given` by the question or the inputs;
    `untraced`: no step produced it.
    """

    start: int
    end: int
    text: str
    value: float
    status: Status
    step: str | None = None
    path: str = ""
    found: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """The figure as a JSON object."""
        written: dict[str, Any] = {"text": self.text, "value": self.value, "status": self.status}
        return written | ({"step": self.step, "path": self.path, "found": self.found} if self.step is not None else {})


@dataclass(frozen=True, slots=True)
class _Written:
    """A number as it is written: its value, half a unit of its last digit, and what else may have been meant."""

    start: int
    end: int
    text: str
    value: float
    half_unit: float
    is_percent: bool
    is_whole: bool
    is_about: bool


@dataclass(frozen=True, slots=True)
class _Value:
    """A number in an output. `rank`: a value itself 0, a number inside a text 1, the length of a list 2."""

    size: float
    number: float
    step: str
    path: str
    rank: int


def trace(answer: str, outputs: Mapping[str, Any], given: Any = None) -> list[Figure]:
    """Every figure of `answer`, in order, with the step that produced it.

    `outputs` are the steps' outputs by id, the earlier step first. `given` is what the caller said (the question,
    inputs): numbers of it may be repeated.
    """
    index = _Index(outputs)
    allowed = _Index({"": given}) if given is not None else None
    figures: list[Figure] = []
    for written in _numbers(answer[:MAX_ANSWER_CHARS]):
        found = index.find(written)
        if found is not None:
            figures.append(_figure(written, "traced", found))
        elif allowed is not None and allowed.find(written) is not None:
            figures.append(_figure(written, "given"))
        elif not _is_word(written, answer):
            figures.append(_figure(written, "untraced"))
        if len(figures) >= MAX_FIGURES:
            break
    return figures


def untraced(figures: list[Figure]) -> list[Figure]:
    """The figures that no step produced."""
    return [figure for figure in figures if figure.status == "untraced"]


def _figure(written: _Written, status: Status, found: _Value | None = None) -> Figure:
    step, path, number = (None, "", None) if found is None else (found.step, found.path, found.number)
    return Figure(written.start, written.end, written.text, written.value, status, step, path, number)


def _is_word(written: _Written, answer: str) -> bool:
    """Whether an untraced number is no figure: a small count, a year, a usual level of confidence."""
    if written.is_percent:
        return written.value in (90, 95, 99) and _LEVEL.match(answer, written.end) is not None
    if not written.is_whole:
        return False
    return abs(written.value) <= SMALL or _YEAR.fullmatch(written.text) is not None


# ---- numbers in a text ---------------------------------------------------------------------------------------


def _numbers(text: str) -> Iterator[_Written]:
    """Every number of a text that is not part of a date, a name or a list's own numbering."""
    covered = _NOT_FIGURES.sub(lambda found: "\x00" * len(found[0]), text)
    for match in _NUMBER.finditer(covered):
        digits = re.sub(r"[^\d.]", "", match["digits"])
        after = (match["after"] or "").strip().lower()
        is_percent = after in ("%", "percent") or after.startswith("per")
        scale = _SCALES.get(after, 1.0) * 10.0 ** int(match["exponent"] or 0)
        decimals = len(digits.partition(".")[2])
        value = float(digits) * scale * (-1 if match["sign"] in ("-", "−", "–") else 1)
        yield _Written(
            match.start(),
            match.end(),
            match[0],
            value,
            0.5 * 10.0**-decimals * scale,
            is_percent,
            is_whole=decimals == 0 and scale == 1.0,
            is_about=_ABOUT.search(covered[max(0, match.start() - 20) : match.start()]) is not None,
        )


# ---- numbers in outputs --------------------------------------------------------------------------------------


class _Index:
    """The numbers of all outputs, sorted by size."""

    def __init__(self, outputs: Mapping[str, Any]) -> None:
        values: list[_Value] = []
        for step, output in outputs.items():
            for value in _values(step, output, "", 0):
                if len(values) >= MAX_VALUES:
                    break
                values.append(value)
        self._values = sorted(values, key=lambda value: value.size)  # stable: the earlier step stays first
        self._sizes = [value.size for value in self._values]

    def find(self, written: _Written) -> _Value | None:
        """The value that this number is a rounding of: the nearest, of several the one that was given most plainly."""
        candidates = [(written.value, written.half_unit)]
        if written.is_percent:
            candidates.append((written.value / 100, written.half_unit / 100))
        best: tuple[float, int, int] | None = None
        chosen: _Value | None = None
        for value, half_unit in candidates:
            slack = half_unit * (1 + 1e-9) + abs(value) * 1e-12
            if written.is_about:
                slack = max(slack, abs(value) * ABOUT_SHARE)
            start = bisect_left(self._sizes, abs(value) - slack)
            for place in range(start, min(len(self._sizes), start + 10_000)):
                found = self._values[place]
                if found.size > abs(value) + slack:
                    break
                if written.is_whole and found.rank == 2 and found.size != abs(value):
                    continue
                same_sign = (found.number < 0) == (value < 0)
                rank = (round(abs(found.size - abs(value)) / slack, 3), found.rank, 0 if same_sign else 1)
                if best is None or rank < best:
                    best, chosen = rank, found
        return chosen


def _values(step: str, value: Any, path: str, depth: int) -> Iterator[_Value]:
    if depth > MAX_DEPTH or isinstance(value, bool) or value is None:
        return
    if isinstance(value, int | float):
        try:
            number = float(value)
        except OverflowError:
            return
        if number == number and abs(number) != float("inf"):
            yield _Value(abs(number), number, step, path, 0)
    elif isinstance(value, str):
        for written in _numbers(value[:MAX_TEXT_CHARS]):
            yield _Value(abs(written.value), written.value, step, path, 1)
            if written.is_percent:
                yield _Value(abs(written.value) / 100, written.value / 100, step, path, 1)
    elif isinstance(value, Mapping):
        members = cast("Mapping[Any, Any]", value)
        yield _Value(float(len(members)), float(len(members)), step, path, 2)
        for key, inner in members.items():
            yield from _values(
                step, inner, f"{path}.{key}" if str(key).isidentifier() else f'{path}["{key}"]', depth + 1
            )
    elif isinstance(value, list | tuple):
        items = cast("list[Any]", value)
        yield _Value(float(len(items)), float(len(items)), step, path, 2)
        for place, inner in enumerate(items):
            yield from _values(step, inner, f"{path}[{place}]", depth + 1)
