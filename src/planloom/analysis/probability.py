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
    """The two-sided probability of a Pearson coefficient from `n` pairs, as `scipy.stats.pearsonr` gives it."""
    if r is None or n < 3:
        return None
    half = n / 2 - 1
    return _probability(2 * special().betainc(half, half, 0.5 * (1 - abs(r))))


def _probability(value: Any) -> float | None:
    number = float(value)
    return None if math.isnan(number) else min(1.0, max(0.0, number))
