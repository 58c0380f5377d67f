"""Tests whether values can come from a normal distribution, each with the sample sizes it is good for.

Rule: a test that cannot be done says why and has no verdict; a p-value that is only rough says so.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Final, cast

from pydantic import Field
from typing_extensions import TypedDict

from planloom.analysis.database import import_extra
from planloom.analysis.moments import Moments
from planloom.analysis.probability import chi_square, quiet, scipy_stats, special
from planloom.analysis.values import finite

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

SHAPIRO_EXACT: Final = 5_000
"""Values up to which the p-value of the Shapiro-Wilk test is accurate (Royston 1995)."""


class NormalityTest(TypedDict):
    """One test of the null hypothesis that the values come from a normal distribution."""

    statistic: float | None
    p_value: float | None
    normal: Annotated[bool | None, Field(description="false if normality is rejected: p_value < alpha")]
    note: str


class NormalityTests(TypedDict):
    """Every test, done or not."""

    shapiro: NormalityTest
    dagostino: NormalityTest
    jarque_bera: NormalityTest
    anderson: NormalityTest
    kolmogorov_smirnov: NormalityTest


def normality_tests(moments: Moments, values: NDArray[float64], alpha: float, sampled: str) -> NormalityTests:
    """All tests by name; `values` are standardised (mean 0, std 1, ddof = 1) and sorted, `sampled` says if not all.

    K2 and Jarque-Bera are those of all values, by their moments, whatever `values` holds.
    """
    tests: dict[str, tuple[int, Callable[[], tuple[float, float | None, str]]]] = {
        "shapiro": (3, lambda: _shapiro(values, sampled)),
        "dagostino": (8, lambda: _dagostino(moments)),
        "jarque_bera": (2, lambda: _jarque_bera(moments)),
        "anderson": (8, lambda: _anderson(values, sampled)),
        "kolmogorov_smirnov": (2, lambda: _kolmogorov_smirnov(values, sampled)),
    }
    found: dict[str, NormalityTest] = {}
    for name, (fewest, run) in tests.items():
        if moments.n < fewest or moments.skewness is None:
            why = f"needs {fewest} values, has {moments.n}" if moments.n < fewest else "all values are the same"
            found[name] = {"statistic": None, "p_value": None, "normal": None, "note": f"not done: {why}"}
            continue
        statistic, p_value, note = run()
        kept = None if p_value is None else finite(p_value)
        found[name] = {
            "statistic": finite(statistic),
            "p_value": kept,
            "normal": None if kept is None else kept >= alpha,
            "note": note,
        }
    return cast("NormalityTests", found)


def _shapiro(values: NDArray[float64], sampled: str) -> tuple[float, float, str]:
    with quiet():
        result = scipy_stats().shapiro(values)
    rough = len(values) > SHAPIRO_EXACT
    note = f"Shapiro-Wilk{sampled}" + (f"; the p-value is rough above {SHAPIRO_EXACT:,} values" if rough else "")
    return float(result.statistic), float(result.pvalue), note


def _dagostino(moments: Moments) -> tuple[float, float | None, str]:
    """D'Agostino and Pearson's K2 (1973), as `scipy.stats.normaltest`."""
    assert moments.skewness is not None
    assert moments.kurtosis is not None
    statistic = _skewness_score(moments.n, moments.skewness) ** 2 + _kurtosis_score(moments.n, moments.kurtosis) ** 2
    note = "D'Agostino-Pearson K2, scipy.stats.normaltest" + ("; rough below 20 values" if moments.n < 20 else "")
    return statistic, chi_square(statistic, 2), note


def _skewness_score(n: int, skewness: float) -> float:
    """The z score of a skewness under normality (D'Agostino 1970)."""
    y = skewness * math.sqrt((n + 1) * (n + 3) / (6 * (n - 2)))
    beta = 3 * (n**2 + 27 * n - 70) * (n + 1) * (n + 3) / ((n - 2) * (n + 5) * (n + 7) * (n + 9))
    w_squared = math.sqrt(2 * (beta - 1)) - 1
    delta = 1 / math.sqrt(0.5 * math.log(w_squared))
    return delta * math.asinh(y / math.sqrt(2 / (w_squared - 1)))


def _kurtosis_score(n: int, kurtosis: float) -> float:
    """The z score of an excess kurtosis under normality (Anscombe and Glynn 1983)."""
    expected = 3 * (n - 1) / (n + 1)
    variance = 24 * n * (n - 2) * (n - 3) / ((n + 1) ** 2 * (n + 3) * (n + 5))
    x = (kurtosis + 3 - expected) / math.sqrt(variance)
    root_beta = (
        6 * (n**2 - 5 * n + 2) / ((n + 7) * (n + 9)) * math.sqrt(6 * (n + 3) * (n + 5) / (n * (n - 2) * (n - 3)))
    )
    a = 6 + 8 / root_beta * (2 / root_beta + math.sqrt(1 + 4 / root_beta**2))
    denominator = 1 + x * math.sqrt(2 / (a - 4))
    term = math.copysign(((1 - 2 / a) / abs(denominator)) ** (1 / 3), denominator) if denominator else math.inf
    return (1 - 2 / (9 * a) - term) / math.sqrt(2 / (9 * a))


def _jarque_bera(moments: Moments) -> tuple[float, float | None, str]:
    assert moments.skewness is not None
    assert moments.kurtosis is not None
    statistic = moments.n / 6 * (moments.skewness**2 + moments.kurtosis**2 / 4)
    rough = "; rough below 2,000 values" if moments.n < 2000 else ""
    return statistic, chi_square(statistic, 2), f"Jarque-Bera{rough}"


def _anderson(values: NDArray[float64], sampled: str) -> tuple[float, float, str]:
    """Anderson-Darling for a fitted normal; the p-value is Stephens's (1986), as in R's nortest and statsmodels."""
    numpy = import_extra("numpy", "testing normality")
    n = len(values)
    below: Any = special().log_ndtr(values)
    above: Any = special().log_ndtr(-values[::-1])
    statistic = -n - float(((2 * numpy.arange(1, n + 1) - 1) * (below + above)).mean())
    a = statistic * (1 + 0.75 / n + 2.25 / n**2)
    if a >= 10:
        p_value = 3.7e-24
    elif a >= 0.6:
        p_value = math.exp(1.2937 - 5.709 * a + 0.0186 * a**2)
    elif a >= 0.34:
        p_value = math.exp(0.9177 - 4.279 * a - 1.38 * a**2)
    elif a >= 0.2:
        p_value = 1 - math.exp(-8.318 + 42.796 * a - 59.938 * a**2)
    else:
        p_value = 1 - math.exp(-13.436 + 101.14 * a - 223.73 * a**2)
    return statistic, p_value, f"Anderson-Darling, mean and std from the sample, p by Stephens{sampled}"


def _kolmogorov_smirnov(values: NDArray[float64], sampled: str) -> tuple[float, float, str]:
    result = scipy_stats().kstest(values, "norm")
    note = f"Kolmogorov-Smirnov against the normal with the sample's mean and std{sampled}; so p is too large"
    return float(result.statistic), float(result.pvalue), note
