"""Finds the trend of a column over time: a straight line by least squares, and Mann and Kendall's test.

Rule: time is in days from the first row for dates, in its own unit for numbers; rows in which either is missing are
left out. The line says how steep, Mann-Kendall whether it rises or falls at all, in whatever shape. Rows of the same
time are kept, each by itself; only what is first and last is their mean, as of equal rows none is first.
"""

# ruff: noqa: S608 (names and texts enter SQL through `identifier` and `literal` alone)
from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import Field
from typing_extensions import TypedDict

from planloom.analysis.columns import NUMERIC, cell_sql, column_kinds, one_column
from planloom.analysis.database import Database, import_extra, open_database
from planloom.analysis.moments import Moments, column_moments, column_scales, float_sql
from planloom.analysis.probability import correlation, normal, scipy_stats
from planloom.analysis.statistics import number_sql
from planloom.analysis.tables import Kind, Table, table_path
from planloom.analysis.values import Plain, finite, plain
from planloom.analysis.wording import quoted
from planloom.errors import DataError

MAX_RANKED: Final = 500_000
"""Rows up to which Mann and Kendall's test is done, in two seconds or so; with more, the line says it all."""
FEWEST: Final = 3
_TIMES: Final[frozenset[Kind]] = frozenset(("date", "integer", "number"))


class MannKendall(TypedDict):
    """Mann and Kendall's test for a rise or fall of any shape, with correction for ties and continuity."""

    s: int
    z: float | None
    p_value: float | None
    tau: Annotated[float | None, Field(description="Kendall's tau-b, -1 to 1")]


class Trend(TypedDict):
    """How a column changes over time; the line is column = intercept + slope * time."""

    n: int
    missing: int
    times: Annotated[int, Field(description="Different times among the n rows")]
    tied_rows: Annotated[int, Field(description="Rows that share their time with another row")]
    slope: float | None
    unit: Annotated[str, Field(description="What the slope is per")]
    intercept: Annotated[float | None, Field(description="At the first time for dates, at 0 for numbers")]
    r: float | None
    r2: float | None
    p_value: Annotated[float | None, Field(description="Two-sided, that the slope is 0")]
    standard_error: float | None
    mann_kendall: MannKendall | None
    first_time: Plain
    first: Annotated[float | None, Field(description="The mean of the rows of the first time")]
    last_time: Plain
    last: Annotated[float | None, Field(description="The mean of the rows of the last time")]
    change: float | None
    change_percent: float | None
    direction: Annotated[str, Field(description="rising, falling or none, by the line's p-value at alpha")]
    method: str


def find_line(table: Table, folder: Path, time: str, column: str, alpha: float) -> Trend:
    """The trend of one column. Raises `DataError` for bad columns and fewer than three rows with both."""
    path = table_path(table, folder)
    with open_database(folder) as database:
        kinds = column_kinds(database, path)
        when = one_column(kinds, time, kinds_allowed=_TIMES, argument="time")
        value = one_column(kinds, column, kinds_allowed=NUMERIC)
        if when == value:
            raise DataError(f"`time` and `column` are both {quoted(value)}\nhint: name two different columns")
        source = database.parquet(path)
        dated = kinds[when] == "date"
        cell = cell_sql(when, kinds[when])
        clock = f"epoch({cell}) / 86400.0" if dated else number_sql(when)
        held = (
            f"(SELECT {clock} AS t, {number_sql(value)} AS x, {cell} AS moment FROM {source} "
            f"WHERE {cell} IS NOT NULL AND {number_sql(value)} IS NOT NULL)"
        )
        total, n = database.row(f"SELECT (SELECT count(*) FROM {source}), count(*) FROM {held}")
        if n < FEWEST:
            raise DataError(
                f"a trend needs {FEWEST} rows with both {quoted(when)} and {quoted(value)}, but there are {n}"
            )
        first_time, last_time, start, end = database.row(f"SELECT min(moment), max(moment), min(t), max(t) FROM {held}")
        ends = (f"favg(x) FILTER (WHERE t = {float_sql(moment)})" for moment in (start, end))
        first, last = database.row(f"SELECT {', '.join(ends)} FROM {held}")
        different, tied = database.row(
            f"SELECT count(*), coalesce(sum(k) FILTER (WHERE k > 1), 0)::BIGINT "
            f"FROM (SELECT count(*) AS k FROM {held} GROUP BY t)"
        )
        times, values = (column_moments(database, held, [name])[name] for name in ("t", "x"))
        r = _correlation(database, held)
        kendall = _mann_kendall(database, held, n)
    slope, error = _slope(r, times, values, n)
    origin = start if dated else 0.0
    intercept = (
        None if slope is None or values.mean is None else finite(values.mean - slope * ((times.mean or 0) - origin))
    )
    p_value = correlation(r, n)
    change = finite(last - first)
    return {
        "n": n,
        "missing": total - n,
        "times": different,
        "tied_rows": tied,
        "slope": slope,
        "unit": "day" if dated else f"unit of {quoted(when)}",
        "intercept": intercept,
        "r": r,
        "r2": None if r is None else r * r,
        "p_value": p_value,
        "standard_error": error,
        "mann_kendall": kendall,
        "first_time": plain(first_time),
        "first": finite(first),
        "last_time": plain(last_time),
        "last": finite(last),
        "change": change,
        "change_percent": finite((last / first - 1) * 100) if first else None,
        "direction": _direction(r, p_value, alpha),
        "method": "ordinary least squares on time, two-sided t-test of the slope with n - 2 degrees of freedom; "
        f"rows in which either is missing left out; alpha {alpha:g}; {_ties(n, different, tied)}"
        + (f"; Mann-Kendall not done above {MAX_RANKED:,} rows" if kendall is None else ""),
    }


def _ties(n: int, times: int, tied: int) -> str:
    """How rows of the same time were treated, in words."""
    if not tied:
        return "every row has a time of its own"
    return (
        f"{tied:,} of {n:,} rows share their time with others ({times:,} different times): each counts by itself in "
        "the line, Mann-Kendall corrects for them, first and last are means over their time; resample makes one row "
        "per time"
    )


def _correlation(database: Database, held: str) -> float | None:
    scales = column_scales(database, held, ["t", "x"])
    t, x = scales["t"], scales["x"]
    if t is None or x is None or t.constant or x.constant:
        return None
    (r,) = database.row(f"SELECT corr({t.sql('t')}, {x.sql('x')}) FROM {held}")
    return None if r is None or math.isnan(r) else min(1.0, max(-1.0, r))


def _slope(r: float | None, times: Moments, values: Moments, n: int) -> tuple[float | None, float | None]:
    """Slope and its standard error. A column that never changes has a slope of 0; a time that never does has none."""
    if not times.std:
        return None, None
    if r is None or values.std is None:
        return (0.0, 0.0) if values.std == 0 else (None, None)
    error = math.sqrt((1 - r * r) / (n - 2)) * (values.std / times.std)
    return finite(r * (values.std / times.std)), finite(error)


def _mann_kendall(database: Database, held: str, n: int) -> MannKendall | None:
    if n > MAX_RANKED:
        return None
    numpy = import_extra("numpy", "Mann and Kendall's test")
    arrays = database.arrays(f"SELECT t, x FROM {held}")
    t_ties, x_ties = (numpy.unique(arrays[name], return_counts=True)[1].tolist() for name in ("t", "x"))
    pairs = n * (n - 1) // 2
    t_pairs, x_pairs = (pairs - sum(k * (k - 1) // 2 for k in ties) for ties in (t_ties, x_ties))
    if not t_pairs or not x_pairs:
        return {"s": 0, "z": None, "p_value": None, "tau": None}
    tau: Any = scipy_stats().kendalltau(arrays["t"], arrays["x"]).statistic
    s = round(float(tau) * math.sqrt(t_pairs) * math.sqrt(x_pairs))
    variance = _variance(n, t_ties, x_ties)
    z = (s - (s > 0) + (s < 0)) / math.sqrt(variance) if variance > 0 else None
    return {"s": s, "z": z, "p_value": normal(z), "tau": finite(float(tau))}


def _variance(n: int, t_ties: list[int], x_ties: list[int]) -> float:
    """The variance of S with ties in both (Kendall 1970, 4.4)."""

    def total(ties: list[int], *offsets: int) -> float:
        return sum(math.prod(k + offset for offset in offsets) for k in ties)

    plain_part = n * (n - 1) * (2 * n + 5)
    for ties in (t_ties, x_ties):
        plain_part -= sum(k * (k - 1) * (2 * k + 5) for k in ties)
    triples = total(t_ties, 0, -1, -2) * total(x_ties, 0, -1, -2) / (9 * n * (n - 1) * (n - 2))
    doubles = total(t_ties, 0, -1) * total(x_ties, 0, -1) / (2 * n * (n - 1))
    return plain_part / 18 + triples + doubles


def _direction(r: float | None, p_value: float | None, alpha: float) -> str:
    if r is None or p_value is None or p_value >= alpha:
        return "none"
    return "rising" if r > 0 else "falling"
