"""Traces every number of an answer back to the step that produced it; a number that no step produced is untraced. Pure.

A number is traced when an output holds a value that, rounded to the digits written, gives it (`12.3`, `1,234`, `45 %`
of 0.4512, `1.2 million`), with the sign it is written with; a percent of a share is never the share itself; "fell by 5"
may stand for -5. The length of a list counts only for a number that names what is listed. Nothing is calculated: a sum
that no step made is untraced, which is the point. What is a figure at all is read in `written_numbers`.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, cast

from planloom.analysis.figure_marks import Known
from planloom.analysis.written_numbers import Written, numbers_of, stem

Status = Literal["traced", "given", "untraced"]

MAX_ANSWER_CHARS: Final = 100_000
MAX_FIGURES: Final = 2_000
MAX_VALUES: Final = 200_000
"""Numbers of all outputs together that are looked at."""
MAX_TEXT_CHARS: Final = 20_000
"""Characters of one text of an output that are looked at."""
MAX_DEPTH: Final = 30
MAX_NAMES: Final = 20_000
"""Names with digits that are taken from the outputs."""
MAX_NAME_CHARS: Final = 80
MAX_COMPARED: Final = 10_000
"""Values of the same size that one figure is compared with."""
MAX_ITEMS_NAMED: Final = 1_000
"""Items of a list that are looked at to know what it lists."""
LARGEST_P: Final = 0.1
"""Up to here "p < 0.05" is taken to speak of a p-value."""

_DATE_YEAR: Final = re.compile(
    r"(?<![\d.])((?:19|20)\d{2})(?=-\d{2}(?!\d)|-Q\d|/\d)|(?<=[/.]\d\d[/.])((?:19|20)\d{2})(?!\d)"
)
_TIME: Final = re.compile(r"(?<!\d)\d{1,2}:\d{2}(?::\d{2})?(?!\d)")
_ONE_NAME: Final = re.compile(r"(?=\S*[^\W\d_])(?=\S*\d)\S+")
_NUMBER_AND_UNIT: Final = re.compile(r"[-+−]?[\d.,]+\s?(?:%|[^\W\d_]+)")
_NAMING_KEYS: Final = frozenset(("name", "column", "a", "b", "x", "y", "target", "feature"))
"""Members of outputs whose text is the name of a column."""
_P_KEY: Final = re.compile(r"(?:^|[._])p(?:_?values?)?$|p_value")
_FRACTION_KEY: Final = re.compile(
    r"(?<![^\W_])(?:shares?|fractions?|ratios?|proportions?|probabilit(?:y|ies))(?![^\W_])", re.IGNORECASE
)
"""Words of a path that say that 1 is the whole."""
_PERCENT_KEY: Final = re.compile(r"(?<![^\W_])(?:percent(?:ages?)?|pct|prozent)(?![^\W_])", re.IGNORECASE)


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
class _Value:
    """A number in an output. `rank`: a value itself 0, a number inside a text or a key 1, the length of a list 2."""

    number: float
    step: str
    path: str
    rank: int
    nouns: frozenset[str] = frozenset()
    """What a length counts."""


def trace(answer: str, outputs: Mapping[str, Any], given: Any = None) -> list[Figure]:
    """Every figure of `answer`, in order, with the step that produced it.

    `outputs` are the steps' outputs by id, the earlier step first. `given` is what the caller said (the question,
    inputs): numbers of it may be repeated.
    """
    index = _Index(outputs)
    allowed = _Index({"": given}) if given is not None else None
    known = index.known if allowed is None else _joined(index.known, allowed.known)
    figures: list[Figure] = []
    for written in numbers_of(answer[:MAX_ANSWER_CHARS], known):
        found = index.find(written)
        if found is not None:
            figures.append(_figure(written, "traced", found))
        elif allowed is not None and allowed.find(written) is not None:
            figures.append(_figure(written, "given"))
        elif not written.is_word:
            figures.append(_figure(written, "untraced"))
        if len(figures) >= MAX_FIGURES:
            break
    return figures


def untraced(figures: list[Figure]) -> list[Figure]:
    """The figures that no step produced."""
    return [figure for figure in figures if figure.status == "untraced"]


def _figure(written: Written, status: Status, found: _Value | None = None) -> Figure:
    step, path, number = (None, "", None) if found is None else (found.step, found.path, found.number)
    return Figure(written.start, written.end, written.text, written.value, status, step, path, number)


def _joined(known: Known, other: Known) -> Known:
    return Known(known.names + other.names, known.years | other.years, known.times | other.times)


# ---- which value a number is a rounding of -------------------------------------------------------------------


class _Index:
    """The numbers of all outputs, sorted by size, and what in the outputs only looks like one."""

    def __init__(self, outputs: Mapping[str, Any]) -> None:
        collector = _Collector()
        for step, output in outputs.items():
            collector.name(step)
            collector.collect(step, output)
        years = range(min(collector.years), max(collector.years) + 1) if collector.years else ()
        self.known = Known(tuple(collector.names), frozenset(years), frozenset(collector.times))
        self._values = sorted(collector.values, key=lambda value: value.number)  # stable: the earlier step stays first
        self._numbers = [value.number for value in self._values]

    def find(self, written: Written) -> _Value | None:
        """The value that this number is a rounding of: the nearest, of several the one that was given most plainly."""
        best: tuple[float, int] | None = None
        chosen: _Value | None = None
        for value, low, high, is_hundredth in _ranges(written):
            width = max(high - low, 5e-324)
            for found in self._between(low, high):
                if found.rank == 2 and not (found.number == value and found.nouns & set(written.words)):
                    continue
                if written.is_percent and not _may_be_percent(found, is_hundredth=is_hundredth):
                    continue
                rank = (round(abs(found.number - value) / width, 3), found.rank)
                if best is None or rank < best:
                    best, chosen = rank, found
        return chosen if chosen is not None else self._p_value(written)

    def _between(self, low: float, high: float) -> Iterator[_Value]:
        start = bisect_left(self._numbers, low)
        for place in range(start, min(len(self._numbers), start + MAX_COMPARED)):
            if self._numbers[place] > high:
                return
            yield self._values[place]

    def _p_value(self, written: Written) -> _Value | None:
        """The p-value that "p < 0.001" speaks of: the largest below it."""
        if written.bound != "p-below" or not 0 < written.value <= LARGEST_P:
            return None
        below = [value for value in self._between(0.0, written.value) if value.rank == 0 and _P_KEY.search(value.path)]
        return below[-1] if below and below[-1].number < written.value else None


def _may_be_percent(found: _Value, *, is_hundredth: bool) -> bool:
    """Whether a percent may stand for a value: of 0.0045 under `share` it is 0.45 %, of 0.45 it is 45 % alone.

    A key that says percent holds the number before the sign; under any other key both are allowed.
    """
    if _PERCENT_KEY.search(found.path):
        return not is_hundredth
    return is_hundredth or abs(found.number) > 1 or not _FRACTION_KEY.search(found.path)


def _ranges(written: Written) -> Iterator[tuple[float, float, float, bool]]:
    """What a number may stand for: the value, from where to where one rounds to it, whether a percent was divided."""
    half, unit = written.half_unit, written.about_unit
    below = above = half
    if written.bound == "about":
        below = above = max(half, unit / 2)
    elif written.bound == "over":  # more than 1,200: a value of which 1,200 is the part that is named
        above = max(half, unit)
    elif written.bound == "under":
        below = max(half, unit)
    forms = [(written.value, below, above)]
    if written.unscaled is not None:
        narrowing = abs(written.unscaled / written.value) if written.value else 1.0
        forms.append((written.unscaled, below * narrowing, above * narrowing))
    if written.is_percent:
        forms.append((written.value / 100, below / 100, above / 100))
    for place, (value, less, more) in enumerate(forms):
        is_hundredth = written.is_percent and place == len(forms) - 1
        slack = abs(value) * 1e-12 + half * 1e-9
        lower = -less + (slack if less > half and written.bound == "under" else -slack)  # under 5: not from 4 on
        upper = more + (-slack if more > half and written.bound == "over" else slack)
        if value < 0:
            lower, upper = -upper, -lower
        yield value, value + lower, value + upper, is_hundredth
        if written.may_be_less and value:
            yield -value, -value - upper, -value - lower, is_hundredth


# ---- numbers in outputs --------------------------------------------------------------------------------------


class _Collector:
    """Walks through outputs and keeps their numbers, and names, years and times that are no figures."""

    def __init__(self) -> None:
        self.values: list[_Value] = []
        self.names: dict[str, None] = {}
        self.years: set[int] = set()
        self.times: set[str] = set()

    def collect(self, step: str, value: Any, path: str = "", depth: int = 0, key: str = "") -> None:
        """Take in a value of an output, and all that is in it. `key` is what it is called."""
        if depth > MAX_DEPTH or isinstance(value, bool) or value is None or len(self.values) >= MAX_VALUES:
            return
        if isinstance(value, int | float):
            try:
                number = float(value)
            except OverflowError:
                return
            if number == number and abs(number) != float("inf"):
                self.values.append(_Value(number, step, path, 0))
        elif isinstance(value, str):
            self._text(step, value, path, is_name=key in _NAMING_KEYS)
        elif isinstance(value, Mapping):
            self._members(step, cast("Mapping[Any, Any]", value), path, depth, key)
        elif isinstance(value, list | tuple):
            items = cast("list[Any]", value)
            self._length(step, path, len(items), _nouns(key if path else step, items))
            for place, inner in enumerate(items):
                self.collect(step, inner, f"{path}[{place}]", depth + 1, key if isinstance(inner, str) else "")

    def name(self, text: str) -> None:
        """Keep a name that has a digit in it, so that the digit is no figure."""
        if len(self.names) >= MAX_NAMES or len(text) > MAX_NAME_CHARS or _NUMBER_AND_UNIT.fullmatch(text):
            return
        if any(map(str.isdigit, text)) and any(map(str.isalpha, text)):
            self.names[text] = None

    def _members(self, step: str, members: Mapping[Any, Any], path: str, depth: int, key: str) -> None:
        self._length(step, path, len(members), frozenset((_head(key),)) if key else frozenset())
        is_cut = bool(members.get("truncated") or members.get("left_out"))
        for name, inner in members.items():
            label = str(name)
            place = f"{path}.{label}" if label.isidentifier() else f'{path}["{label}"]'
            if any(map(str.isdigit, label[:MAX_NAME_CHARS])):
                self.name(label)
                self._text(step, label[:MAX_NAME_CHARS], path, is_name=True)
            before = len(self.values)
            self.collect(step, inner, place, depth + 1, label)
            if is_cut and isinstance(inner, list) and len(self.values) > before and self.values[before].rank == 2:
                del self.values[before]  # a list that was cut has a length that says nothing

    def _length(self, step: str, path: str, length: int, nouns: frozenset[str]) -> None:
        if nouns:
            self.values.append(_Value(float(length), step, path, 2, nouns))

    def _text(self, step: str, text: str, path: str, *, is_name: bool) -> None:
        if not any(map(str.isdigit, text)):
            return
        text = text[:MAX_TEXT_CHARS]
        self.years.update(int(found[1] or found[2]) for found in _DATE_YEAR.finditer(text))
        self.times.update(_TIME.findall(text))
        if is_name or _ONE_NAME.fullmatch(text):
            self.name(text)
        for written in numbers_of(text, in_data=True):
            self.values.append(_Value(written.value, step, path, 1))
            if written.is_percent:
                self.values.append(_Value(written.value / 100, step, path, 1))


def _head(name: str) -> str:
    """The noun of a name: `row` for `outlier_rows`."""
    return stem(re.split(r"[\W_]+", name.rstrip("_"))[-1])


def _nouns(name: str, items: list[Any]) -> frozenset[str]:
    """What a list may be said to hold: what it is called, and texts by which its items differ (`region`)."""
    nouns = {_head(name)}
    if items and len(items) <= MAX_ITEMS_NAMED and all(isinstance(item, Mapping) for item in items):
        rows = [cast("Mapping[str, Any]", item) for item in items]
        groups = [row.get("group") for row in rows]
        if all(isinstance(group, Mapping) for group in groups):
            rows = [cast("Mapping[str, Any]", group) for group in groups]
        for key in rows[0]:
            texts = [row.get(key) for row in rows]
            if all(isinstance(text, str) for text in texts) and len(set(texts)) == len(texts):
                nouns.add(_head(str(key)))
    return frozenset(nouns)
