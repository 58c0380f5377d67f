"""Finds numbers that stand for "no value" (-999, 9999, -1): one extreme value, repeated, far from all others. And
fences that such values do not move, Tukey's outer ones: three interquartile ranges beyond the quartiles.

A mean and a deviation are moved by what they are to find, so a column with many -999 has no anomaly by three sigma.
Rule: a sentinel is suspected, never removed, and the output says so.
"""

# ruff: noqa: S608 (names and texts enter SQL through `identifier` and `literal` alone)
from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Final

from pydantic import Field
from typing_extensions import TypedDict

from planloom.analysis.database import Database, batches
from planloom.analysis.statistics import finite, number_sql

FENCE: Final = 3.0
"""Interquartile ranges beyond the quartiles; Tukey (1977) calls what is beyond them "far out"."""
SAMPLE_ROWS: Final = 100_000
"""Of a larger table about so many rows give the quartiles of the fences, always the same."""
COLUMNS_PER_QUERY: Final = 40
MAX_SENTINELS: Final = 4
"""Of one column: at both ends, and one behind another (-999 and -99)."""
CODED_COUNT: Final = 2
"""How often a value that looks like a code (all nines, -1) has to stand there; others `PLAIN_COUNT` times."""
PLAIN_COUNT: Final = 3
PLAIN_RATIO: Final = 5.0
"""How much farther than the next value a sentinel lies from the median; less for what looks like a code."""
CODED_RATIO: Final = 2.0
SHORT_CODE_RATIO: Final = 1.25
"""For -9, -99… and 99, which leave less room."""
USUAL_ABOVE_MINUS_ONE: Final = 5.0
"""-1 is suspected where nothing else is negative and three quarters of the values are at least this."""
FENCE_METHOD: Final = (
    f"below q25 - {FENCE:g} * IQR or above q75 + {FENCE:g} * IQR; quartiles of all rows, in tables of more than "
    f"{2 * SAMPLE_ROWS:,} rows of a fixed sample of about {SAMPLE_ROWS:,}"
)
SENTINEL_METHOD: Final = (
    "one whole number at an end of the column, repeated and far from every other value, more readily if it is -1 or "
    "all nines; nothing was removed"
)


class Sentinel(TypedDict):
    """A value that probably stands for no value, and what the column is like without it."""

    column: str
    value: float
    count: int
    share: Annotated[float, Field(description="`count` over the number of values, 0 to 1")]
    mean_without: Annotated[float | None, Field(description="Mean of the column without its suspected sentinels")]
    std_without: Annotated[float | None, Field(description="Likewise, ddof = 1")]


@dataclass(slots=True)
class Spread:
    """Where a column's numbers lie: its ends, its quartiles, and what was taken for a sentinel."""

    count: int
    smallest: float
    largest: float
    quartiles: tuple[float, float, float] | None = None
    removed: list[tuple[float, int]] = field(default_factory=list[tuple[float, int]])

    @property
    def fences(self) -> tuple[float, float] | None:
        """Below the first and above the second a value is far out; None if half of the values are the same."""
        if self.quartiles is None:
            return None
        q25, _, q75 = self.quartiles
        lower, upper = q25 - FENCE * (q75 - q25), q75 + FENCE * (q75 - q25)
        return (lower, upper) if q25 < q75 and math.isfinite(lower) and math.isfinite(upper) else None


def read_quartiles(database: Database, source: str, spreads: Mapping[str, Spread], rows: int) -> None:
    """Fill in the quartiles of columns."""
    for batch in batches(list(spreads), COLUMNS_PER_QUERY):
        wanted = ", ".join(f"quantile_cont({number_sql(name)}, [0.25, 0.5, 0.75])" for name in batch)
        values = database.row(f"SELECT {wanted} FROM {_sample(source, rows)}")
        for name, quartiles in zip(batch, values, strict=True):
            spreads[name].quartiles = None if quartiles is None else (quartiles[0], quartiles[1], quartiles[2])


def find_sentinels(database: Database, source: str, spreads: Mapping[str, Spread], rows: int) -> list[Sentinel]:
    """The suspected sentinels of columns whose quartiles are known, column by column."""
    asked = {name: ends for name, spread in spreads.items() if (ends := _suspicious(spread))}
    for _ in range(MAX_SENTINELS):
        if not asked:
            break
        asked = _next_round(database, source, spreads, asked, rows)
    found = {name: spread for name, spread in spreads.items() if spread.removed}
    return [sentinel for name in found for sentinel in _described(database, source, name, found[name])]


def _sample(source: str, rows: int) -> str:
    if rows <= 2 * SAMPLE_ROWS:
        return source
    numbered = f"SELECT *, row_number() OVER () AS number FROM {source}"
    return f"({numbered}) WHERE hash(number) % {rows // SAMPLE_ROWS} = 0"


def _suspicious(spread: Spread) -> list[float]:
    """The ends of a column that may be sentinels, to be looked at: beyond the fences, or so many that these moved."""
    if spread.quartiles is None or spread.count < PLAIN_COUNT or spread.smallest == spread.largest:
        return []
    q25, median, q75 = spread.quartiles
    reach = FENCE * (q75 - q25)
    return [
        end
        for end, quartile, is_upper in ((spread.smallest, q25, False), (spread.largest, q75, True))
        if end.is_integer()
        and (abs(end - quartile) >= reach or end in (quartile, median) or _is_code(end, is_upper=is_upper))
    ]


def _is_code(value: float, *, is_upper: bool) -> bool:
    """Whether an end of a column looks like a code for no value: -1, -9, -999 below, 99, 99999 above."""
    text = f"{abs(value):.0f}"
    return value == -1 or (set(text) == {"9"} and (len(text) > 1 if is_upper else True) and is_upper == (value > 0))


def _next_round(
    database: Database, source: str, spreads: Mapping[str, Spread], asked: Mapping[str, list[float]], rows: int
) -> dict[str, list[float]]:
    """Judge the ends of columns; return those whose new ends have to be looked at, since an end was a sentinel."""
    again: dict[str, list[float]] = {}
    pairs = [(name, end) for name, ends in asked.items() for end in ends]
    rests: dict[tuple[str, float], _Rest] = {}
    for batch in batches(pairs, COLUMNS_PER_QUERY):
        rests.update(_rests(database, source, spreads, batch, rows))
    for (name, end), rest in rests.items():
        if rest is None or not _is_sentinel(end, *rest):
            continue
        spread = spreads[name]
        count, low, high, _, median = rest
        spread.removed.append((end, count))
        following = low if end < median else high
        if len(spread.removed) < MAX_SENTINELS and low < high and following.is_integer():
            again.setdefault(name, []).append(following)
    return {name: [end for end in ends if end not in _values(spreads[name])] for name, ends in again.items()}


_Rest = tuple[int, float, float, float, float] | None
"""How often an end of a column is there, and of all else the ends, the lower quartile and the median."""


def _rests(
    database: Database, source: str, spreads: Mapping[str, Spread], pairs: Sequence[tuple[str, float]], rows: int
) -> dict[tuple[str, float], _Rest]:
    whole: list[str] = []
    sampled: list[str] = []
    for name, end in pairs:
        value = number_sql(name)
        rest = f"FILTER (WHERE {value} NOT IN ({', '.join(map(_float, [*_values(spreads[name]), end]))}))"
        whole.append(f"count(*) FILTER (WHERE {value} = {_float(end)}), min({value}) {rest}, max({value}) {rest}")
        sampled.append(f"quantile_cont({value}, [0.25, 0.5]) {rest}")
    ends = iter(database.row(f"SELECT {', '.join(whole)} FROM {source}"))
    quartiles = database.row(f"SELECT {', '.join(sampled)} FROM {_sample(source, rows)}")
    found: dict[tuple[str, float], _Rest] = {}
    for pair, middle in zip(pairs, quartiles, strict=True):
        count, low, high = (next(ends) for _ in range(3))
        found[pair] = None if low is None or middle is None else (count, low, high, middle[0], middle[1])
    return found


def _is_sentinel(end: float, count: int, low: float, high: float, q25: float, median: float) -> bool:
    """Whether an end of a column is one; all but `count` is of the rest."""
    if end == -1:
        return count >= PLAIN_COUNT and low >= 0 and q25 >= USUAL_ABOVE_MINUS_ONE
    is_upper = end > median
    is_code = _is_code(end, is_upper=is_upper)
    following = high if is_upper else low
    if count < (CODED_COUNT if is_code else PLAIN_COUNT):
        return False
    digits = len(f"{abs(end):.0f}")
    if following == median:  # the rest never changes, or hardly
        return is_code and digits > 2
    ratio = PLAIN_RATIO
    if is_code:
        ratio = SHORT_CODE_RATIO if digits <= 2 else CODED_RATIO
    return abs(end - median) >= ratio * abs(following - median)


def _described(database: Database, source: str, name: str, spread: Spread) -> Sequence[Sentinel]:
    value = number_sql(name)
    rest = f"FILTER (WHERE {value} NOT IN ({', '.join(map(_float, _values(spread)))}))"
    mean, std = database.row(f"SELECT favg({value}) {rest}, stddev_samp({value}) {rest} FROM {source}")
    return [
        {
            "column": name,
            "value": end,
            "count": count,
            "share": count / spread.count,
            "mean_without": finite(mean),
            "std_without": finite(std),
        }
        for end, count in spread.removed
    ]


def _values(spread: Spread) -> list[float]:
    return [value for value, _ in spread.removed]


def _float(value: float) -> str:
    return f"'{value!r}'::DOUBLE"
