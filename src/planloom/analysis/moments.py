"""Mean, deviation, skewness and kurtosis of columns, in SQL, in three scans that neither overflow nor cancel.

Rule: a column is shifted to the middle of its own range and scaled by it before anything is squared, then centred on
its mean. What cannot be said is None; a column that never changes has a deviation of exactly 0.
"""

# ruff: noqa: S608 (names and texts enter SQL through `identifier` and `literal` alone)
from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from planloom.analysis.columns import number_sql
from planloom.analysis.database import Database, batches, identifier
from planloom.analysis.tables import kind_of
from planloom.analysis.values import finite

EXACT: Final = 2.0**53
"""Whole numbers up to here are exact as floats; larger ones are shifted as whole numbers."""
MAX_WHOLE: Final = 5e37
"""Differences of larger whole numbers are beyond what the database holds exactly."""
ROUNDING: Final = 1e-30
"""A scaled variance as small as this is rounding: the values are all the same."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How a column is brought near to -1…1: `(value - middle) / size`.

    Of whole numbers beyond 2 ** 53 that differ the middle is an `int`, and exact; their ends are rounded.
    """

    middle: float
    size: float
    smallest: float
    largest: float
    count: int

    @property
    def constant(self) -> bool:
        """Whether the column has one value only."""
        return self.smallest == self.largest and not isinstance(self.middle, int)

    def sql(self, name: str) -> str:
        """The scaled column as SQL."""
        if isinstance(self.middle, int):
            difference = f"{identifier(name)}::HUGEINT - '{self.middle}'::HUGEINT"
            return f"(({difference})::DOUBLE / {float_sql(self.size)})"
        return f"(({number_sql(name)} - {float_sql(self.middle)}) / {float_sql(self.size)})"

    def back(self, value: float | None) -> float | None:
        """A scaled place as a value of the column."""
        return None if value is None else finite(self.middle + value * self.size)

    def width(self, value: float | None) -> float | None:
        """A scaled distance as a distance in the column."""
        return None if value is None else finite(value * self.size)


@dataclass(frozen=True, slots=True)
class Moments:
    """How the `n` values of a column are distributed, as far as moments say it."""

    n: int
    mean: float | None = None
    std: float | None = None
    """Of a sample, ddof = 1."""
    std_population: float | None = None
    """Of a population, ddof = 0."""
    skewness: float | None = None
    """Fisher-Pearson, m3 / m2 ** 1.5, as `scipy.stats.skew`."""
    kurtosis: float | None = None
    """Excess, m4 / m2 ** 2 - 3, as `scipy.stats.kurtosis`."""

    @property
    def skewness_unbiased(self) -> float | None:
        """Adjusted Fisher-Pearson, as pandas' `skew` and Excel's SKEW; needs three values."""
        if self.skewness is None or self.n < 3:
            return None
        return self.skewness * math.sqrt(self.n * (self.n - 1)) / (self.n - 2)

    @property
    def kurtosis_unbiased(self) -> float | None:
        """Adjusted excess, as pandas' `kurt` and Excel's KURT; needs four values."""
        n = self.n
        if self.kurtosis is None or n < 4:
            return None
        return (n - 1) / ((n - 2) * (n - 3)) * ((n + 1) * self.kurtosis + 6)


def column_scales(database: Database, source: str, names: Sequence[str]) -> dict[str, Scale | None]:
    """The scale of each column of the table expression `source`; None for a column without values."""
    found: dict[str, Scale | None] = {}
    for batch in batches(names):
        wanted = ", ".join(f"count({n}), min({n}), max({n})" for n in map(number_sql, batch))
        values = iter(database.row(f"SELECT {wanted} FROM {source}"))
        for name in batch:
            count, smallest, largest = next(values), next(values), next(values)
            if not count:
                found[name] = None
                continue
            middle = smallest / 2 + largest / 2
            found[name] = Scale(middle, max(largest - middle, middle - smallest) or 1.0, smallest, largest, count)
    return found | _whole_scales(database, source, found)


def _whole_scales(database: Database, source: str, scales: Mapping[str, Scale | None]) -> dict[str, Scale]:
    """The exact scale of columns of whole numbers that floats would round."""
    ends = {name: max(abs(item.smallest), abs(item.largest)) for name, item in scales.items() if item is not None}
    found: dict[str, Scale] = {}
    for batch in batches([name for name, end in ends.items() if EXACT < end < MAX_WHOLE]):
        wanted = ", ".join(
            f"first(typeof({cell})), min({cell}::HUGEINT), max({cell}::HUGEINT)" for cell in map(identifier, batch)
        )
        values = iter(database.row(f"SELECT {wanted} FROM {source}"))
        for name in batch:
            type_name, smallest, largest = next(values), next(values), next(values)
            known = scales[name]
            if known is not None and kind_of(type_name) == "integer" and smallest < largest:
                middle = (smallest + largest) // 2
                found[name] = replace(known, middle=middle, size=float(largest - middle))
    return found


def column_moments(database: Database, source: str, names: Sequence[str]) -> dict[str, Moments]:
    """The moments of each column of the table expression `source`, missing values left out."""
    scales = column_scales(database, source, names)
    found: dict[str, Moments] = {}
    spread: list[tuple[str, Scale]] = []
    for name, scale in scales.items():
        if scale is None:
            found[name] = Moments(0)
        elif scale.constant:
            std = 0.0 if scale.count > 1 else None
            found[name] = Moments(scale.count, float(scale.smallest), std, 0.0)
        else:
            spread.append((name, scale))
    for batch in batches(spread):
        wanted = ", ".join(f"favg({scale.sql(name)})" for name, scale in batch)
        means = database.row(f"SELECT {wanted} FROM {source}")
        centred = [f"({s.sql(name)} - {float_sql(mean)})" for (name, s), mean in zip(batch, means, strict=True)]
        wanted = ", ".join(", ".join(f"favg({power(z, exponent)})" for exponent in (2, 3, 4)) for z in centred)
        values = iter(database.row(f"SELECT {wanted} FROM {source}"))
        for (name, scale), mean in zip(batch, means, strict=True):
            found[name] = moments_of(scale, scale.count, mean, next(values), next(values), next(values))
    return {name: found[name] for name in names}


def moments_of(scale: Scale, n: int, mean: float | None, m2: float | None, m3: float, m4: float) -> Moments:
    """Moments from the scaled mean and the scaled central moments (means of the powers of z)."""
    if m2 is None or mean is None:
        return Moments(n)
    skewness, kurtosis = (m3 / m2**1.5, m4 / m2**2 - 3) if m2 > ROUNDING else (None, None)
    return Moments(
        n,
        scale.back(mean),
        scale.width(math.sqrt(m2 * n / (n - 1))) if n > 1 else None,
        scale.width(math.sqrt(m2)),
        finite(skewness),
        finite(kurtosis),
    )


def power(term: str, exponent: int) -> str:
    """A whole power as a product, which is quicker and more exact than `pow`."""
    return " * ".join([term] * exponent)


def float_sql(value: float) -> str:
    """A float as SQL, to the last bit."""
    return f"'{value!r}'::DOUBLE"
