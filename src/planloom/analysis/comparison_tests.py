"""The tests of `comparisons` as pure arithmetic: samples in, a statistic with its probability and effect size out.

Rule: all numbers are scaled to about -1…1 first (no test minds), so squares neither overflow nor vanish. What cannot
be said, as when nothing varies, is None.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from planloom.analysis.probability import (
    Alternative,
    fisher,
    quiet,
    scipy_stats,
    student,
    student_quantile,
)
from planloom.analysis.values import Plain, finite

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Sample:
    """One group: its label, its number among all groups, its sizes and figures.

    `z_mean` and `z_std` (ddof = 1) are on the scale that all the groups share.
    """

    label: Plain
    place: int
    n: int
    missing: int
    mean: float | None
    std: float | None
    median: float | None
    z_mean: float
    z_std: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a test found. `difference` and `interval` are on the scale of the samples."""

    statistic: float | None
    p_value: float | None
    method: str
    df: tuple[float, ...] = ()
    effect_size: float | None = None
    effect: str = ""
    difference: float | None = None
    interval: tuple[float, float] | None = None


def student_t(a: Sample, b: Sample, alpha: float, alternative: Alternative, *, equal_variances: bool) -> Outcome:
    """Two independent means: Student's t with pooled variance, or Welch's with each its own."""
    difference = a.z_mean - b.z_mean
    va, vb = a.z_std**2, b.z_std**2
    pooled = ((a.n - 1) * va + (b.n - 1) * vb) / (a.n + b.n - 2)
    if equal_variances:
        df: float = a.n + b.n - 2
        error = math.sqrt(pooled * (1 / a.n + 1 / b.n))
        method = "Student's t-test, equal variances assumed (pooled), ddof = 1"
    else:
        error = math.sqrt(va / a.n + vb / b.n)
        spread = (va / a.n) ** 2 / (a.n - 1) + (vb / b.n) ** 2 / (b.n - 1)
        df = (va / a.n + vb / b.n) ** 2 / spread if spread else 0.0
        method = "Welch's t-test, equal variances not assumed, ddof = 1"
    effect_size = difference / math.sqrt(pooled) if pooled else None
    return _t(difference, error, df, alpha, alternative, method, effect_size, "Cohen's d, pooled standard deviation")


def one_sample_t(sample: Sample, expected: float, alpha: float, alternative: Alternative, method: str) -> Outcome:
    """One mean against a value, both scaled; the paired test is this one on the differences against 0."""
    difference = sample.z_mean - expected
    error = sample.z_std / math.sqrt(sample.n)
    effect_size = difference / sample.z_std if sample.z_std else None
    return _t(difference, error, sample.n - 1, alpha, alternative, method, effect_size, "Cohen's d")


def _t(
    difference: float,
    error: float,
    df: float,
    alpha: float,
    alternative: Alternative,
    method: str,
    effect_size: float | None,
    effect: str,
) -> Outcome:
    if not error:
        return Outcome(None, None, method, (), None, effect, difference)
    statistic = difference / error
    if alternative == "two-sided":
        reach = student_quantile(1 - alpha / 2, df) * error
        interval = (difference - reach, difference + reach)
    else:
        interval = None
    p_value = student(statistic, df, alternative)
    return Outcome(statistic, p_value, method, (df,), effect_size, effect, difference, interval)


def anova(samples: Sequence[Sample]) -> Outcome:
    """Several independent means: one-way analysis of variance."""
    n, k = sum(sample.n for sample in samples), len(samples)
    grand = sum(sample.n * sample.z_mean for sample in samples) / n
    between = sum(sample.n * (sample.z_mean - grand) ** 2 for sample in samples)
    within = sum((sample.n - 1) * sample.z_std**2 for sample in samples)
    method, effect = "one-way ANOVA, equal variances assumed", "eta squared: share of variance between the groups"
    if not within or n <= k:
        return Outcome(None, None, method, (), None, effect)
    statistic = between / (k - 1) / (within / (n - k))
    return Outcome(
        statistic, fisher(statistic, k - 1, n - k), method, (k - 1, n - k), between / (between + within), effect
    )


def welch_anova(samples: Sequence[Sample]) -> Outcome:
    """Several independent means, variances not assumed equal (Welch 1951)."""
    method = "Welch's ANOVA, equal variances not assumed"
    if not all(sample.z_std for sample in samples):
        return Outcome(None, None, method)
    k = len(samples)
    weights = [sample.n / sample.z_std**2 for sample in samples]
    total = sum(weights)
    centre = sum(w * sample.z_mean for w, sample in zip(weights, samples, strict=True)) / total
    spread = sum((1 - w / total) ** 2 / (sample.n - 1) for w, sample in zip(weights, samples, strict=True))
    between = sum(w * (sample.z_mean - centre) ** 2 for w, sample in zip(weights, samples, strict=True)) / (k - 1)
    statistic = between / (1 + 2 * (k - 2) / (k**2 - 1) * spread)
    df = (k**2 - 1) / (3 * spread)
    return Outcome(statistic, fisher(statistic, k - 1, df), method, (k - 1, df))


def mann_whitney(x: NDArray[float64], y: NDArray[float64], alternative: Alternative) -> Outcome:
    """Two independent samples by ranks."""
    with quiet():
        result: Any = scipy_stats().mannwhitneyu(x, y, alternative=alternative)
    u = float(result.statistic)
    return Outcome(
        u,
        finite(float(result.pvalue)),
        "Mann-Whitney U of the first group; p exact for small samples without ties, else normal with corrections",
        (),
        2 * u / (len(x) * len(y)) - 1,
        "rank-biserial correlation",
    )


def wilcoxon(differences: NDArray[float64], alternative: Alternative) -> Outcome:
    """Paired samples by the ranks of their differences; pairs without a difference are left out."""
    method = "Wilcoxon signed-rank test; pairs without a difference left out"
    if not differences.any():
        return Outcome(None, None, method)
    with quiet():
        result: Any = scipy_stats().wilcoxon(differences, alternative=alternative)
    return Outcome(float(result.statistic), finite(float(result.pvalue)), method)


def kolmogorov_smirnov(x: NDArray[float64], y: NDArray[float64], alternative: Alternative) -> Outcome:
    """Two whole distributions: the largest distance between their cumulative shares."""
    with quiet():
        result: Any = scipy_stats().ks_2samp(x, y, alternative=alternative)
    method = "two-sample Kolmogorov-Smirnov test; p exact for small samples, else asymptotic"
    if alternative != "two-sided":
        method += "; `less` and `greater` are about the cumulative distribution, as in SciPy"
    statistic = float(result.statistic)
    return Outcome(statistic, finite(float(result.pvalue)), method, (), statistic, "largest distance, 0 to 1")


def kruskal(arrays: Sequence[NDArray[float64]]) -> Outcome:
    """Several independent samples by ranks."""
    method = "Kruskal-Wallis H with correction for ties"
    n, k = sum(map(len, arrays)), len(arrays)
    if all(bool((array == arrays[0][0]).all()) for array in arrays):
        return Outcome(None, None, method)
    with quiet():
        result: Any = scipy_stats().kruskal(*arrays)
    statistic = float(result.statistic)
    effect = (statistic - k + 1) / (n - k) if n > k else None
    return Outcome(
        statistic, finite(float(result.pvalue)), method, (k - 1,), effect, "eta squared of H: (H - k + 1) / (n - k)"
    )


def levene(arrays: Sequence[NDArray[float64]]) -> Outcome:
    """Several variances, around the medians (Brown-Forsythe)."""
    method = "Levene's test around the medians (Brown-Forsythe): are the variances equal?"
    if all(bool((array == array[0]).all()) for array in arrays):
        return Outcome(None, None, method)
    with quiet():
        result: Any = scipy_stats().levene(*arrays, center="median")
    n, k = sum(map(len, arrays)), len(arrays)
    return Outcome(finite(float(result.statistic)), finite(float(result.pvalue)), method, (k - 1, n - k))
