"""Probabilities of test statistics, by `scipy.special`, which imports in a third of the time of `scipy.stats`.

Rule: None where the statistic is None; a probability is never outside 0…1.
"""

from __future__ import annotations

import math
import threading
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Final, Literal

from planloom.analysis.database import import_extra

Alternative = Literal["two-sided", "less", "greater"]
_FILTERS: Final = threading.Lock()
NEEDED_FOR: Final = "testing hypotheses"
MAX_STEPS: Final = 10_000
"""Terms of a series; a few dozen are enough."""


def special() -> Any:
    """`scipy.special`, imported at the first use. Raises `MissingExtraError`."""
    return import_extra("scipy.special", NEEDED_FOR)


def scipy_stats() -> Any:
    """`scipy.stats`, imported at the first use: it takes a second or more. Raises `MissingExtraError`."""
    return import_extra("scipy.stats", NEEDED_FOR)


@contextmanager
def quiet() -> Generator[None]:
    """SciPy without its warnings: what they say is in the outputs. One at a time, as filters belong to the process."""
    with _FILTERS, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def student(statistic: float | None, degrees: float, alternative: Alternative = "two-sided") -> float | None:
    """The probability of a t statistic so far out, or farther."""
    if statistic is None or math.isnan(statistic) or not degrees > 0:
        return None
    below = special().stdtr
    if alternative == "two-sided":
        return _probability(2 * below(degrees, -abs(statistic)))
    return _probability(below(degrees, statistic if alternative == "less" else -statistic))


def student_quantile(share: float, degrees: float) -> float:
    """The t value below which `share` of the distribution lies."""
    return float(special().stdtrit(degrees, share))


def normal(statistic: float | None) -> float | None:
    """The two-sided probability of a z statistic."""
    if statistic is None or math.isnan(statistic):
        return None
    return _probability(2 * special().ndtr(-abs(statistic)))


def chi_square(statistic: float | None, degrees: float) -> float | None:
    """The probability of a chi-square statistic so large, or larger."""
    if statistic is None or math.isnan(statistic) or not degrees > 0:
        return None
    return _probability(special().chdtrc(degrees, statistic))


def fisher(statistic: float | None, between: float, within: float) -> float | None:
    """The probability of an F statistic so large, or larger."""
    if statistic is None or math.isnan(statistic) or not (between > 0 and within > 0):
        return None
    return _probability(special().fdtrc(between, within, statistic))


def correlation(r: float | None, n: int) -> float | None:
    """The two-sided probability of a Pearson coefficient from `n` pairs, as `scipy.stats.pearsonr` gives it.

    It is I(1 - r^2; n / 2 - 1, 1 / 2), the regularised incomplete beta function, computed here: importing SciPy takes
    longer than correlating two million rows.
    """
    if r is None or math.isnan(r) or n < 3:
        return None
    a, y, x = n / 2 - 1, r * r, (1 - abs(r)) * (1 + abs(r))
    if x <= 0:
        return 0.0
    if y == 0:
        return 1.0
    # ln B(a, 1/2); for a large `a` the difference of two logarithms of gammas is left to its series
    log_beta = 0.5 * math.log(math.pi) - _log_gamma_step(a)
    front = math.exp(a * (math.log1p(-y) if y < 0.5 else math.log(x)) + 0.5 * math.log(y) - log_beta)
    if y < 1.5 / (a + 2.5):
        return _probability(1.0 - 2 * front * _beta_series(a, y))
    return _probability(front * _beta_fraction(a, x) / a)


def _log_gamma_step(a: float) -> float:
    """Ln gamma(a + 1/2) - ln gamma(a)."""
    if a < 50:
        return math.lgamma(a + 0.5) - math.lgamma(a)
    squared = a * a
    return 0.5 * math.log(a) - (1 - (1 / 24 - (1 / 80 - 17 / 1792 / squared) / squared) / squared) / (8 * a)


def _beta_series(a: float, y: float) -> float:
    """The sum of (a + 1/2)_k / (3/2)_k y^k, which soon ends for a small `y`."""
    term = total = 1.0
    for step in range(MAX_STEPS):
        term *= (a + 0.5 + step) / (1.5 + step) * y
        total += term
        if term < total * 1e-17:
            break
    return total


def _beta_fraction(a: float, x: float) -> float:
    """The continued fraction of I(x; a, 1/2) by Lentz's method (Press et al., Numerical Recipes, 6.4)."""
    b, tiny = 0.5, 1e-300
    c, d = 1.0, 1 - (a + b) * x / (a + 1)
    d = 1 / (d if abs(d) > tiny else tiny)
    value = d
    for m in range(1, MAX_STEPS):
        change = 1.0
        for numerator in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 + numerator * d
            d = 1 / (d if abs(d) > tiny else tiny)
            c = 1 + numerator / c
            c = c if abs(c) > tiny else tiny
            change = c * d
            value *= change
        if abs(change - 1) < 1e-15:
            break
    return value


def _probability(value: Any) -> float | None:
    number = float(value)
    return None if math.isnan(number) else min(1.0, max(0.0, number))
