"""Describes how the values of one numeric column are distributed, and whether they can be normal.

Rule: moments and quantiles are those of all values, in SQL; only tests that need the values themselves fetch them,
and beyond a named number they fetch a sample that is the same every time.
"""

# ruff: noqa: S608 (names and texts enter SQL through `identifier` and `literal` alone)
from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Final, cast

from pydantic import Field
from typing_extensions import TypedDict

from planloom.analysis.columns import NUMERIC, column_kinds, one_column
from planloom.analysis.database import Database, open_database
from planloom.analysis.moments import Moments, Scale, column_moments, column_scales
from planloom.analysis.normality import NormalityTest, NormalityTests, normality_tests
from planloom.analysis.statistics import QUARTILES, number_sql
from planloom.analysis.tables import Table, table_path
from planloom.analysis.values import finite
from planloom.analysis.wording import quoted
from planloom.errors import DataError

MAX_TESTED_VALUES: Final = 500_000
"""Values that the tests on the values themselves look at; of more, a sample."""
MAX_BINS: Final = 200
MAX_CHOSEN_BINS: Final = 50
SYMMETRIC: Final = 0.5
"""A skewness within this, either way, is called symmetric."""
_SHARES: Final = (0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99)


class Bin(TypedDict):
    """One bar of a histogram: from (included) to (not included, but in the last)."""

    start: float
    end: float
    count: int


class Distribution(TypedDict):
    """How a column is distributed."""

    column: str
    n: int
    missing: int
    mean: float | None
    median: float | None
    std: Annotated[float | None, Field(description="ddof = 1")]
    std_population: Annotated[float | None, Field(description="ddof = 0")]
    min: float | None
    max: float | None
    iqr: float | None
    skewness: Annotated[float | None, Field(description="Fisher-Pearson, biased, as scipy.stats.skew")]
    skewness_unbiased: Annotated[float | None, Field(description="Adjusted, as pandas' skew")]
    kurtosis: Annotated[float | None, Field(description="Excess, biased, as scipy.stats.kurtosis")]
    kurtosis_unbiased: Annotated[float | None, Field(description="Excess, adjusted, as pandas' kurt")]
    quantiles: dict[str, float | None]
    normality: NormalityTests
    shape: str
    histogram: list[Bin]
    method: str


def describe_distribution(table: Table, folder: Path, column: str, alpha: float, bins: int | None) -> Distribution:
    """Describe one numeric column. Raises `DataError` for a bad column, or one without any value."""
    path = table_path(table, folder)
    if bins is not None and not 1 <= bins <= MAX_BINS:
        raise DataError(f"`bins` is {bins}, but a histogram has 1 to {MAX_BINS} of them")
    with open_database(folder) as database:
        name = one_column(column_kinds(database, path), column, kinds_allowed=NUMERIC)
        source = database.parquet(path)
        scale = column_scales(database, source, [name])[name]
        (rows,) = database.row(f"SELECT count(*) FROM {source}")
        if scale is None:
            raise DataError(f"{quoted(name)} has no values: all {rows:,} rows are missing\nhint: take another column")
        moments = column_moments(database, source, [name])[name]
        shares = ", ".join(map(str, _SHARES))
        (found,) = database.row(f"SELECT quantile_cont({number_sql(name)}, [{shares}]) FROM {source}")
        quantiles = dict(zip(_SHARES, map(finite, found), strict=True))
        q25, q75 = quantiles[0.25], quantiles[0.75]
        iqr = None if q25 is None or q75 is None else finite(q75 - q25)
        histogram = _histogram(database, source, name, scale, bins or _bins(scale, moments, iqr))
        tests = _tests(database, source, name, scale, moments, alpha)
    return {
        "column": name,
        "n": moments.n,
        "missing": rows - moments.n,
        "mean": moments.mean,
        "median": quantiles[0.5],
        "std": moments.std,
        "std_population": moments.std_population,
        "min": scale.smallest,
        "max": scale.largest,
        "iqr": iqr,
        "skewness": moments.skewness,
        "skewness_unbiased": moments.skewness_unbiased,
        "kurtosis": moments.kurtosis,
        "kurtosis_unbiased": moments.kurtosis_unbiased,
        "quantiles": {f"{share:g}": value for share, value in quantiles.items()},
        "normality": tests,
        "shape": _shape(moments, tests, alpha),
        "histogram": histogram,
        "method": f"missing values left out; quantiles: {QUARTILES}; normality rejected where p < {alpha:g}",
    }


def _bins(scale: Scale, moments: Moments, iqr: float | None) -> int:
    """The larger of Sturges's and Freedman and Diaconis's number, as NumPy's `auto`."""
    if scale.constant:
        return 1
    sturges = math.ceil(math.log2(moments.n)) + 1
    width = 2 * ((iqr or 0) / scale.size) / moments.n ** (1 / 3)
    return min(MAX_CHOSEN_BINS, max(sturges, math.ceil(2 / width) if width > 2 / MAX_CHOSEN_BINS else sturges))


def _histogram(database: Database, source: str, name: str, scale: Scale, bins: int) -> list[Bin]:
    if scale.constant:
        return [{"start": scale.smallest, "end": scale.largest, "count": scale.count}]
    place = f"greatest(0, least({bins - 1}, floor(({scale.sql(name)} + 1) / 2 * {bins})::BIGINT))"
    places = f"SELECT {place} AS place FROM {source} WHERE {number_sql(name)} IS NOT NULL"
    rows = database.rows(f"SELECT place, count(*) FROM ({places}) GROUP BY place")
    counts: dict[int, int] = dict(rows)
    inner = [scale.middle + (2 * number / bins - 1) * scale.size for number in range(1, bins)]
    edges = [scale.smallest, *inner, scale.largest]
    return [
        {"start": edges[number], "end": edges[number + 1], "count": counts.get(number, 0)} for number in range(bins)
    ]


def _tests(database: Database, source: str, name: str, scale: Scale, moments: Moments, alpha: float) -> NormalityTests:
    there = f"{source} WHERE {number_sql(name)} IS NOT NULL"
    held = f"SELECT {scale.sql(name)} AS z, row_number() OVER () AS number FROM {there}"
    sampled = ""
    if moments.n > MAX_TESTED_VALUES:
        held = f"SELECT z FROM ({held}) ORDER BY hash(number) LIMIT {MAX_TESTED_VALUES}"
        sampled = f", on {MAX_TESTED_VALUES:,} of {moments.n:,} values, the same at every run"
    z = database.arrays(f"SELECT z FROM ({held})")["z"]
    z.sort()
    if len(z) > 1 and not scale.constant:
        z = (z - z.mean()) / z.std(ddof=1)
    return normality_tests(moments, z, alpha, sampled)


def _shape(moments: Moments, tests: NormalityTests, alpha: float) -> str:
    """The distribution in words."""
    skewness, kurtosis = moments.skewness, moments.kurtosis
    if skewness is None or kurtosis is None:
        return "one value only" if moments.n < 2 else "constant"
    side = "symmetric" if abs(skewness) < SYMMETRIC else f"skewed to the {'right' if skewness > 0 else 'left'}"
    tails = "tails as of a normal" if abs(kurtosis) < SYMMETRIC else f"{'heavy' if kurtosis > 0 else 'light'} tails"
    each = cast("dict[str, NormalityTest]", tests)
    rejected = [name for name, test in each.items() if test["normal"] is False]
    kept = [name for name, test in each.items() if test["normal"]]
    verdict = [f"normality rejected at {alpha:g} by {', '.join(rejected)}"] if rejected else []
    verdict += [f"not rejected by {', '.join(kept)}"] if kept else []
    return "; ".join(
        [f"{side} (biased skewness {skewness:.3g}), {tails} (biased excess kurtosis {kurtosis:.3g})", *verdict]
    )
