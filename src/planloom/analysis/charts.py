"""Small charts as inline SVG, drawn from figures alone. Pure; no text from the data enters them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from planloom.analysis.statistics import NumericStats
from planloom.analysis.wording import number

_WIDTH: Final = 150.0
_HEIGHT: Final = 24.0
_MARGIN: Final = 5.0


def box_plot(figures: NumericStats, far: Sequence[float]) -> str | None:
    """The range of a column with its middle half as a box, its median as a line and `far` values as dots.

    None when there is nothing to draw: no value, or one that never changes.
    """
    low, high = figures["min"], figures["max"]
    q25, median, q75 = figures["q25"], figures["median"], figures["q75"]
    if low is None or high is None or q25 is None or median is None or q75 is None or low == high:
        return None
    half_span = high / 2 - low / 2  # the whole span could be beyond the range of floats

    def x(value: float) -> float:
        return _MARGIN + (_WIDTH - 2 * _MARGIN) * min(1.0, max(0.0, (value / 2 - low / 2) / half_span))

    middle = _HEIGHT / 2
    dots = "".join(f'<circle cx="{x(value):.1f}" cy="{middle}" r="3"/>' for value in far)
    label = (
        f"From {number(low)} to {number(high)}; half of the values lie between {number(q25)} and {number(q75)}, "
        f"the median is {number(median)}."
    )
    return (
        f'<svg class="plot" viewBox="0 0 {_WIDTH:.0f} {_HEIGHT:.0f}" width="{_WIDTH:.0f}" height="{_HEIGHT:.0f}" '
        f'role="img" aria-label="{label}">'
        f'<path class="whisker" d="M{x(low):.1f} {middle}H{x(high):.1f}M{x(low):.1f} 8V16M{x(high):.1f} 8V16"/>'
        f'<rect class="box" x="{x(q25):.1f}" y="5" width="{max(1.5, x(q75) - x(q25)):.1f}" height="14" rx="2"/>'
        f'<path class="median" d="M{x(median):.1f} 5V19"/>{dots}</svg>'
    )


def share_bar(part: float) -> str:
    """A bar for a part of a whole, 0 to 1; the figure stands beside it, so it has no text of its own."""
    width = min(60.0, max(1.5, 60 * part))
    return (
        '<svg class="bar" viewBox="0 0 60 8" width="60" height="8" aria-hidden="true">'
        f'<rect class="whole" width="60" height="8" rx="2"/>'
        f'<rect class="part" width="{width:.1f}" height="8" rx="2"/></svg>'
    )
