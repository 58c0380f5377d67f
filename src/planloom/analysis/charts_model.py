"""What is asked of a chart and what is drawn in it: plain data between the query, the drawing and the words. Pure.

Rule: a chart never holds more than the named number of marks, whatever the table; what was left out is said.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from planloom.drawing.words import clean

ChartKind = Literal["histogram", "box", "scatter", "line", "bar", "heat-map"]
Measure = Literal["count", "sum", "mean", "median", "min", "max"]

MAX_BINS: Final = 40
MAX_TIME_BUCKETS: Final = 200
MAX_LINE_POINTS: Final = 400
"""Points of one line; with more different values of x, x is cut into buckets."""
MAX_SCATTER_POINTS: Final = 1_500
MAX_BARS: Final = 20
MAX_BOXES: Final = 20
MAX_BOX_DOTS: Final = 20
"""Values beyond the whiskers that are drawn on each side of a box, the farthest first."""
MAX_SERIES: Final = 7
MAX_HEAT_SIDE: Final = 15
MAX_CORRELATED: Final = 12
MAX_LABEL_CHARS: Final = 40
MAX_TITLE_CHARS: Final = 90
SAMPLE_SEED: Final = 42


@dataclass(frozen=True, slots=True)
class ChartAsked:
    """What the caller of `draw_chart` wants; columns by their exact names."""

    kind: ChartKind
    x: str | None = None
    y: str | None = None
    color: str | None = None
    measure: Measure | None = None
    columns: tuple[str, ...] = ()
    title: str | None = None


@dataclass(frozen=True, slots=True)
class ChartFigures:
    """What is drawn: `points` with short keys that `charts_specs` knows, and the words around them."""

    kind: ChartKind
    title: str
    x_title: str
    y_title: str
    points: list[dict[str, Any]]
    alt: str
    method: str
    rows: int
    missing: int
    facts: dict[str, Any] = field(default_factory=dict[str, Any])


def nice_step(width: float) -> float:
    """The smallest of 1, 2, 2.5, 5 times a power of ten that is at least `width`, which is above 0."""
    power = 10.0 ** math.floor(math.log10(width))
    for factor in (1.0, 2.0, 2.5, 5.0):
        if width <= factor * power * (1 + 1e-9):
            return factor * power
    return 10.0 * power


def label(value: Any) -> str:
    """A value of the data as one short line; what is empty is named."""
    if value is None:
        return "(missing)"
    if isinstance(value, bool):
        return "true" if value else "false"
    return clean(value, MAX_LABEL_CHARS) or "(empty)"


def labels(values: Sequence[Any]) -> list[str]:
    """A label for each value, all different: those that only look alike once cut get a number."""
    taken: dict[str, int] = {}
    found: list[str] = []
    for value in values:
        text = label(value)
        taken[text] = taken.get(text, 0) + 1
        found.append(text if taken[text] == 1 else f"{text} ({taken[text]})")
    return found


def title_of(text: str) -> str:
    """A title in one line, not too long."""
    return clean(text, MAX_TITLE_CHARS)
