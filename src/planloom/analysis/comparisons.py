"""Compares a numeric column between groups, with another column, or with a value.

Rule: figures of the groups are SQL aggregates; only tests by rank or whole distribution fetch the values. The output
names the test that was done, and a test that was chosen for the planner says so.
"""

# ruff: noqa: S608 (names and texts enter SQL through `identifier` and `literal` alone)
from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import Field
from typing_extensions import TypedDict

from planloom.analysis import comparison_tests as tests
from planloom.analysis.columns import COUNTABLE, GROUPING, cell_sql, column_kinds, one_column
from planloom.analysis.comparison_tests import Outcome, Sample
from planloom.analysis.database import Database, identifier, open_database
from planloom.analysis.moments import Scale, column_scales
from planloom.analysis.probability import Alternative
from planloom.analysis.statistics import number_sql
from planloom.analysis.tables import Kind, Table, table_path
from planloom.analysis.values import Plain, finite, plain
from planloom.analysis.wording import quoted
from planloom.errors import DataError

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

Test = Literal[
    "auto", "t", "welch", "one-sample-t", "paired-t", "mann-whitney", "wilcoxon", "ks", "anova", "welch-anova",
    "kruskal", "levene",
]  # fmt: skip
MAX_COMPARED_GROUPS: Final = 50
"""Groups that one test compares."""
MAX_KNOWN_GROUPS: Final = 10_000
"""Groups among which the named ones are looked for."""
PAIRED: Final = frozenset(("paired-t", "wilcoxon"))
TWO: Final = frozenset(("t", "welch", "mann-whitney", "ks", *PAIRED))
ON_VALUES: Final = frozenset(("mann-whitney", "wilcoxon", "ks", "kruskal", "levene"))


class GroupFigures(TypedDict):
    """One of the groups compared; std has ddof = 1."""

    group: Plain
    n: int
    missing: int
    mean: float | None
    std: float | None
    median: float | None


class Comparison(TypedDict):
    """What a test found."""

    test: str
    groups: list[GroupFigures]
    statistic: float | None
    p_value: float | None
    df: Annotated[list[float], Field(description="Degrees of freedom; two of an F test, none of a test by ranks")]
    significant: Annotated[bool | None, Field(description="p_value < alpha; null if the test cannot say")]
    difference: Annotated[float | None, Field(description="Of the means, first minus second")]
    interval: Annotated[list[float] | None, Field(description="Confidence interval (1 - alpha) of the difference")]
    effect_size: float | None
    effect: Annotated[str, Field(description="What the effect size is")]
    verdict: str
    method: str


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be compared: `column` by groups, or with the column `other`, or with `value`."""

    column: str
    by: str | None
    groups: Sequence[Plain] | None
    other: str | None
    value: float | None
    test: Test
    alternative: Alternative
    alpha: float


def compare(table: Table, folder: Path, request: Request) -> Comparison:
    """Compare and test. Raises `DataError` for arguments that do not fit each other, and too few values."""
    path = table_path(table, folder)
    _check_form(request)
    with open_database(folder) as database:
        kinds = column_kinds(database, path)
        column = one_column(kinds, request.column, kinds_allowed=COUNTABLE)
        source = database.parquet(path)
        scale = column_scales(database, source, [column])[column]
        if scale is None:
            raise DataError(f"{quoted(column)} has no values\nhint: take another column")
        if request.value is not None:
            return _against_value(database, source, column, scale, request)
        if request.other is not None:
            other = one_column(kinds, request.other, kinds_allowed=COUNTABLE, argument="other")
            return _against_column(database, source, column, other, request)
        assert request.by is not None
        by = one_column(kinds, request.by, kinds_allowed=GROUPING, argument="by")
        return _by_groups(database, source, column, by, kinds[by], scale, request)


def _check_form(request: Request) -> None:
    """Raise `DataError` unless exactly one of the three forms is asked for, with a test that fits it."""
    forms = [name for name in ("by", "other", "value") if getattr(request, name) is not None]
    if len(forms) != 1:
        said = " and ".join(f"`{name}`" for name in forms) if forms else "none of `by`, `other` and `value`"
        raise DataError(
            f"{said} {'are' if forms else 'is'} given, but one of them says what {quoted(request.column)} is compared "
            "with\nhint: `by` for groups of rows, `other` for another column, `value` for an expected mean"
        )
    test, form = request.test, forms[0]
    if request.groups is not None and form != "by":
        raise DataError("`groups` name values of `by`, which is not given\nhint: leave `groups` out, or give `by`")
    if form == "value" and test not in ("auto", "one-sample-t"):
        raise DataError(f"`value` goes with the test one-sample-t, not {test}\nhint: leave `test` out")
    if test == "one-sample-t" and form != "value":
        raise DataError(
            "the test one-sample-t needs `value`, the expected mean\nhint: give `value`, not `by` or `other`"
        )
    if form == "by" and test in PAIRED:
        raise DataError(f"the test {test} needs pairs in one row\nhint: give the second column as `other`, not `by`")
    if request.value is not None and not math.isfinite(request.value):
        raise DataError(f"`value` is {request.value}, not a finite number")


def _against_value(database: Database, source: str, column: str, scale: Scale, request: Request) -> Comparison:
    assert request.value is not None
    held = f"SELECT 0 AS g, {number_sql(column)} AS x, {scale.sql(column)} AS z FROM {source}"
    samples = _samples(database, held, {0: column}, scale)
    _need(samples, 2)
    expected = (request.value - scale.middle) / scale.size
    outcome = tests.one_sample_t(
        samples[0],
        expected,
        request.alpha,
        request.alternative,
        f"one-sample t-test against {request.value:g}, ddof = 1",
    )
    return _told("one-sample-t", samples, outcome, scale, request)


def _against_column(database: Database, source: str, column: str, other: str, request: Request) -> Comparison:
    if column == other:
        raise DataError(f"`column` and `other` are both {quoted(column)}\nhint: name two different columns")
    test = "welch" if request.test == "auto" else request.test
    x, y = number_sql(column), number_sql(other)
    paired = test in PAIRED
    both = f" WHERE {x} IS NOT NULL AND {y} IS NOT NULL" if paired else ""
    together = f"SELECT 0 AS g, {x} AS x FROM {source}{both} UNION ALL SELECT 1, {y} FROM {source}{both}"
    scale = column_scales(database, f"({together})", ["x"])["x"]
    if scale is None:
        raise DataError(f"{quoted(column)} and {quoted(other)} have no row in which both are there")
    held = f"SELECT g, x, {scale.sql('x')} AS z FROM ({together})"
    samples = _samples(database, held, {0: column, 1: other}, scale)
    if not paired:
        return _test(database, held, samples, test, scale, request)
    _need(samples, 2)
    differences = f"SELECT 0 AS g, {x} - {y} AS x FROM {source}{both}"
    unit = column_scales(database, f"({differences})", ["x"])["x"]
    if unit is None or not math.isfinite(unit.size + abs(unit.middle)):
        raise DataError(f"the differences of {quoted(column)} and {quoted(other)} are too large to compute with")
    if test == "paired-t":
        (pair,) = _samples(database, f"SELECT g, x, {unit.sql('x')} AS z FROM ({differences})", {0: ""}, unit)
        method = f"paired t-test of {quoted(column)} - {quoted(other)}, ddof = 1, rows in which both are there"
        nothing = -unit.middle / unit.size
        outcome = tests.one_sample_t(pair, nothing, request.alpha, request.alternative, method)
        return _told(test, samples, outcome, unit, request)
    outcome = tests.wilcoxon(database.arrays(f"SELECT x FROM ({differences})")["x"], request.alternative)
    return _told(test, samples, outcome, scale, request)


def _by_groups(
    database: Database, source: str, column: str, by: str, kind: Kind, scale: Scale, request: Request
) -> Comparison:
    key = cell_sql(by, kind)
    found = database.rows(
        f"SELECT {key} AS g, count({identifier(column)}) FROM {source} WHERE {key} IS NOT NULL "
        f"GROUP BY {key} ORDER BY {key} LIMIT {MAX_KNOWN_GROUPS + 1}"
    )
    if len(found) > MAX_KNOWN_GROUPS:
        raise DataError(
            f"{quoted(by)} has more than {MAX_KNOWN_GROUPS:,} different values\n"
            "hint: bin it first, with bin_column, or give another column as `by`"
        )
    known = [row[0] for row in found]
    chosen = known if request.groups is None else [_named(known, group, by) for group in request.groups]
    chosen = list(dict.fromkeys(chosen))
    if len(chosen) > MAX_COMPARED_GROUPS:
        raise DataError(
            f"{quoted(by)} makes {len(chosen):,} groups, more than {MAX_COMPARED_GROUPS}\n"
            "hint: name the `groups` to compare, or bin the column first, with bin_column"
        )
    if len(chosen) < 2:
        only = f"one group, {plain(chosen[0])!r}" if chosen else "no group"
        raise DataError(
            f"{quoted(by)} gives {only}, but it takes two to compare\nhint: groups there are {_listed(known)}"
        )
    ranked = (
        f"SELECT k, dense_rank() OVER (ORDER BY k) - 1 AS place "
        f"FROM (SELECT DISTINCT {key} AS k FROM {source} WHERE {key} IS NOT NULL)"
    )
    cells = f"SELECT {key} AS k, {number_sql(column)} AS x, {scale.sql(column)} AS z FROM {source}"
    held = f"SELECT place AS g, x, z FROM ({cells}) AS cells JOIN ({ranked}) AS ranked ON cells.k = ranked.k"
    places = {known.index(value): plain(value) for value in chosen}
    held = f"SELECT * FROM ({held}) WHERE g IN ({', '.join(map(str, places))})"
    samples = _samples(database, held, places, scale)
    two = len(samples) == 2
    test = ("welch" if two else "anova") if request.test == "auto" else request.test
    return _test(database, held, samples, test, scale, request)


def _named(known: Sequence[Any], group: Plain, by: str) -> Any:
    """The group that a plan means, whether it writes 1, 1.0, "1", true or "True"."""
    shown = [(value, plain(value)) for value in known]
    for value, said in shown:
        if type(said) is type(group) and said == group:
            return value
    for value, said in shown:
        if _text(said) == _text(group):
            return value
    raise DataError(f"{quoted(by)} has no group {group!r}\nhint: groups there are {_listed(known)}")


def _text(value: Any) -> str:
    whole = isinstance(value, float) and value.is_integer()
    return str(int(value) if whole else value).strip().casefold()


def _listed(known: Sequence[Any], most: int = 10) -> str:
    more = f" and {len(known) - most:,} more" if len(known) > most else ""
    return (", ".join(repr(plain(value)) for value in known[:most]) or "none") + more


def _samples(database: Database, held: str, labels: Mapping[int, Plain], scale: Scale) -> list[Sample]:
    """The groups in the order of `labels`."""
    rows = database.rows(
        f"SELECT g, count(*), count(x), favg(z), stddev_samp(z), quantile_cont(x, 0.5), min(x) = max(x) "
        f"FROM ({held}) GROUP BY g"
    )
    found: dict[int, Sample] = {}
    for place, total, n, z_mean, z_std, median, constant in rows:
        spread = 0.0 if constant else z_std
        found[place] = Sample(
            labels[place],
            place,
            n,
            total - n,
            scale.back(z_mean),
            None if n < 2 else scale.width(spread),
            finite(median),
            z_mean or 0.0,
            spread or 0.0,
        )
    nothing = (0, 0, None, None, None, 0.0, 0.0)
    return [found.get(place) or Sample(label, place, *nothing) for place, label in labels.items()]


def _test(
    database: Database, held: str, samples: list[Sample], test: str, scale: Scale, request: Request
) -> Comparison:
    """Independent samples."""
    if test in TWO and len(samples) != 2:
        raise DataError(
            f"the test {test} compares two groups, but there are {len(samples)}: "
            f"{_listed([sample.label for sample in samples])}\n"
            "hint: name two `groups`, or take anova or kruskal for several"
        )
    if test not in TWO and request.alternative != "two-sided":
        raise DataError(f"the test {test} has no direction, so `alternative` cannot be {request.alternative}")
    _need(samples, 1 if test in ("ks", "mann-whitney", "kruskal") else 2)
    alpha, alternative = request.alpha, request.alternative
    arrays = _arrays(database, held, samples, "z" if test == "levene" else "x") if test in ON_VALUES else []
    outcomes: dict[str, Callable[[], Outcome]] = {
        "t": lambda: tests.student_t(samples[0], samples[1], alpha, alternative, equal_variances=True),
        "welch": lambda: tests.student_t(samples[0], samples[1], alpha, alternative, equal_variances=False),
        "anova": lambda: tests.anova(samples),
        "welch-anova": lambda: tests.welch_anova(samples),
        "mann-whitney": lambda: tests.mann_whitney(arrays[0], arrays[1], alternative),
        "ks": lambda: tests.kolmogorov_smirnov(arrays[0], arrays[1], alternative),
        "kruskal": lambda: tests.kruskal(arrays),
        "levene": lambda: tests.levene(arrays),
    }
    return _told(test, samples, outcomes[test](), scale, request)


def _arrays(database: Database, held: str, samples: Sequence[Sample], values: str) -> list[NDArray[float64]]:
    """The values of each group. Ranks are those of the values as they are: scaling could make small ones equal."""
    cells = database.arrays(f"SELECT g, {values} AS v FROM ({held}) WHERE x IS NOT NULL")
    return [cells["v"][cells["g"] == sample.place] for sample in samples]


def _need(samples: Sequence[Sample], fewest: int) -> None:
    short = [sample for sample in samples if sample.n < fewest]
    if short:
        said = ", ".join(f"{sample.label!r} has {sample.n}" for sample in short)
        values = "one value" if fewest == 1 else f"{fewest} values"
        raise DataError(
            f"every group needs at least {values} for this test, but {said}\n"
            "hint: name other `groups`, or leave the small ones out"
        )


def _told(test: str, samples: Sequence[Sample], outcome: Outcome, scale: Scale, request: Request) -> Comparison:
    significant = None if outcome.p_value is None else outcome.p_value < request.alpha
    interval = None
    if outcome.interval is not None:
        ends = [scale.width(end) for end in outcome.interval]
        interval = [end for end in ends if end is not None] if None not in ends else None
    chosen = "; chosen for you, as `test` was auto" if request.test == "auto" else ""
    return {
        "test": test,
        "groups": [
            {
                "group": sample.label,
                "n": sample.n,
                "missing": sample.missing,
                "mean": sample.mean,
                "std": sample.std,
                "median": sample.median,
            }
            for sample in samples
        ],
        "statistic": finite(outcome.statistic),
        "p_value": outcome.p_value,
        "df": list(outcome.df),
        "significant": significant,
        "difference": scale.width(outcome.difference),
        "interval": interval,
        "effect_size": finite(outcome.effect_size),
        "effect": outcome.effect,
        "verdict": _verdict(test, significant, request.alpha),
        "method": f"{outcome.method}; {request.alternative}; missing values left out{chosen}",
    }


def _verdict(test: str, significant: bool | None, alpha: float) -> str:
    if significant is None:
        return "the test cannot say: nothing varies within the groups"
    what = {
        "ks": "distributions",
        "levene": "variances",
        "kruskal": "ranks",
        "mann-whitney": "ranks",
        "wilcoxon": "ranks",
    }.get(test, "means")
    if test == "one-sample-t":
        differ = "the mean differs from the value" if significant else "the mean is not shown to differ from the value"
    else:
        differ = f"the {what} differ" if significant else f"the {what} are not shown to differ"
    return f"{differ} (alpha {alpha:g})"
