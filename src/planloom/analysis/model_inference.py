"""What the coefficients of a linear model are worth: standard errors, t tests and intervals of ordinary least squares.

Rule: the usual assumptions (errors independent, of equal variance, near normal), said beside the figures. Only for a
linear model: those of scikit-learn's logistic regression are shrunk, and a p-value of them would mean nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from typing_extensions import TypedDict

from planloom.analysis.database import import_extra
from planloom.analysis.probability import student, student_quantile

SHARE: Final = 0.95
"""Of the intervals."""
MIN_PART: Final = 1e-10
"""Of an input's spread that the others must leave unexplained; with less, its coefficient cannot be told apart."""
TESTS: Final = "coefficient_tests: two-sided t tests of ordinary least squares on the rows trained on, 95 % intervals"


class CoefficientTest(TypedDict):
    """Whether a coefficient differs from zero."""

    standard_error: float
    t: float | None
    p_value: float | None
    interval: list[float]


def coefficient_tests(
    inputs: Any, target: Any, fitted: Any, names: Sequence[str], coefficients: Sequence[float]
) -> tuple[dict[str, CoefficientTest], str]:
    """Tests by input name and an empty text; none where they are not defined, and then why.

    `inputs` is n by k, `target` and `fitted` have n values, all of the rows trained on.
    """
    numpy = import_extra("numpy", "models")
    rows, count = inputs.shape
    freedom = rows - count - 1
    if freedom < 1:
        return {}, f"No tests of the coefficients: {rows:,} rows are too few for {count:,} inputs."
    centred = inputs - inputs.mean(axis=0)
    scale = numpy.sqrt((centred**2).sum(axis=0))
    if not (scale > 0).all():
        return {}, "No tests of the coefficients: an input is constant."
    # of unit columns R has ones on its diagonal times what the columns before leave unexplained
    upper = numpy.linalg.qr(centred / scale, mode="r")
    if numpy.abs(numpy.diag(upper)).min() < MIN_PART:
        return {}, "No tests of the coefficients: an input follows from the others."
    inverse = numpy.linalg.inv(upper)
    variance = float(((target - fitted) ** 2).sum()) / freedom
    errors = numpy.sqrt(variance * (inverse**2).sum(axis=1)) / scale
    if not numpy.isfinite(errors).all():
        return {}, "No tests of the coefficients: the figures are too large."
    reach = student_quantile((1 + SHARE) / 2, freedom)
    tests = {
        name: _test(float(value), float(error), freedom, reach)
        for name, value, error in zip(names, coefficients, errors, strict=True)
    }
    return tests, ""


def _test(value: float, error: float, freedom: int, reach: float) -> CoefficientTest:
    t = value / error if error > 0 else None  # without it, of an exact fit
    return {
        "standard_error": error,
        "t": t,
        "p_value": student(t, freedom),
        "interval": [value - reach * error, value + reach * error],
    }
