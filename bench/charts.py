"""Charts as plain SVG, legible on light and dark: ranges of ratios around 1, and panels of lines. Pure text."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from bench.peers.svg import COLORS, STYLE, WIDTH, mark

_ROW = 24
_RIGHT = 24
_STYLE = (
    STYLE
    + """
  .one { stroke: #1f2328; stroke-width: 1.5; }
  .bar { stroke-width: 3; stroke-opacity: 0.5; }
  @media (prefers-color-scheme: dark) { .one { stroke: #e6edf3; } .bar { stroke-opacity: 0.8; } }
"""
)


@dataclass(frozen=True)
class Ranges:
    """A row per thing; per series its least, middle and most ratio. What is right of 1 is worse."""

    title: str
    axis: str
    rows: Sequence[str]
    series: Sequence[str]
    ranges: Mapping[tuple[str, str], tuple[float, float, float]]
    left: int = 250
    """Room for the names of the rows."""


@dataclass(frozen=True)
class Panel:
    """Lines over named places; `lines` by series, None where there is nothing."""

    title: str
    axis: str
    places: Sequence[str]
    lines: Mapping[str, Sequence[float | None]]


@dataclass(frozen=True)
class Panels:
    """Rows of panels that share a logarithmic axis, and the series of all of them."""

    title: str
    unit: str
    series: Sequence[str]
    rows: Sequence[Sequence[Panel]]


def draw_ranges(chart: Ranges) -> str:
    """Return the SVG document."""
    left = chart.left
    top, bottom = 72, 72 + _ROW * len(chart.rows)
    values = [value for found in chart.ranges.values() for value in found]
    ticks = _ticks(min(values, default=0.5), max(values, default=2.0))
    low, high = math.log(ticks[0]), math.log(ticks[-1])

    def place(value: float) -> float:
        return left + (math.log(value) - low) / (high - low) * (WIDTH - left - _RIGHT)

    parts = [*_opened(chart.title, chart.axis, bottom + 52), *_legend(chart.series)]
    for tick in ticks:
        x, kind = place(tick), "one" if tick == 1 else "grid"
        parts.append(f'<line class="{kind}" x1="{x:.1f}" y1="{top}" x2="{x:.1f}" y2="{bottom}"/>')
        parts.append(_text(x, bottom + 18, f"{tick:g}x", "quiet", "middle"))
    parts.append(_text(WIDTH - _RIGHT, bottom + 40, chart.axis, "quiet", "end"))
    for number, row in enumerate(chart.rows):
        middle = top + _ROW * number + _ROW / 2
        parts.append(f'<line class="row" x1="{left}" y1="{middle}" x2="{WIDTH - _RIGHT}" y2="{middle}"/>')
        parts.append(_text(left - 12, middle + 4, _shortened(row, left), "", "end"))
        for index, series in enumerate(chart.series):
            if found := chart.ranges.get((row, series)):
                y = middle + (index - (len(chart.series) - 1) / 2) * 8
                least, median, most = found
                parts.append(
                    f'<line x1="{place(least):.1f}" y1="{y}" x2="{place(most):.1f}" y2="{y}" '
                    f'class="bar" stroke="{COLORS[index]}"/>'
                )
                says = f"{row}, {series}: {median:.2f}x, from {least:.2f}x to {most:.2f}x"
                parts.append(mark(index, place(median), y, says))
    return "\n".join([*parts, "</svg>", ""])


_CHARACTER = 6.6
"""About as wide as a letter of the charts' text."""


def _shortened(name: str, room: int) -> str:
    most = int((room - 16) / _CHARACTER)
    return name if len(name) <= most else f"{name[: most - 1]}…"


_PANEL_HEIGHT = 210
_PANEL_TOP = 34
_PANEL_LEFT = 44


def draw_panels(chart: Panels) -> str:
    """Return the SVG document."""
    top, height = 64, _PANEL_HEIGHT + 76
    parts = [*_opened(chart.title, chart.unit, top + height * len(chart.rows)), *_legend(chart.series)]
    for number, row in enumerate(chart.rows):
        values = [value for panel in row for line in panel.lines.values() for value in line if value]
        ticks = _ticks(min(values, default=1.0), max(values, default=10.0))
        width = (WIDTH - 16) / max(1, len(row))
        for column, panel in enumerate(row):
            parts += _panel(chart, panel, ticks, 8 + width * column, top + height * number, width)
    return "\n".join([*parts, "</svg>", ""])


def _panel(chart: Panels, panel: Panel, ticks: Sequence[float], x0: float, y0: float, width: float) -> list[str]:
    left, right = x0 + _PANEL_LEFT, x0 + width - 14
    top, bottom = y0 + _PANEL_TOP, y0 + _PANEL_TOP + _PANEL_HEIGHT
    low, high = math.log(ticks[0]), math.log(ticks[-1])
    step = (right - left - 24) / max(1, len(panel.places) - 1)
    parts = [_text(left, y0 + 22, panel.title, "", "start")]

    def height_of(value: float) -> float:
        return bottom - (math.log(value) - low) / (high - low) * (bottom - top)

    for tick in ticks:
        y = height_of(tick)
        parts.append(f'<line class="grid" x1="{left:.1f}" y1="{y:.1f}" x2="{right:.1f}" y2="{y:.1f}"/>')
        parts.append(_text(left - 6, y + 4, f"{tick:g}", "quiet", "end"))
    for number, name in enumerate(panel.places):
        parts.append(_text(left + 12 + step * number, bottom + 16, name, "quiet", "middle"))
    parts.append(_text((left + right) / 2, bottom + 34, panel.axis, "quiet", "middle"))
    for index, series in enumerate(chart.series):
        points = [
            (left + 12 + step * number, height_of(value), name, value)
            for number, (name, value) in enumerate(zip(panel.places, panel.lines.get(series, ()), strict=False))
            if value
        ]
        drawn = " ".join(f"{x:.1f},{y:.1f}" for x, y, _, _ in points)
        parts.append(f'<polyline points="{drawn}" fill="none" stroke="{COLORS[index]}" stroke-width="2"/>')
        parts += [mark(index, x, y, f"{series}, {name}: {value:.2f} {chart.unit}") for x, y, name, value in points]
    return parts


def _ticks(low: float, high: float) -> list[float]:
    """Return 1, 2, 5 and their powers of ten around the values."""
    every = [base * 10.0**power for power in range(-3, 7) for base in (1, 2, 5)]
    first = max(number for number, tick in enumerate(every) if tick <= low or not number)
    last = min(number for number, tick in enumerate(every) if tick >= high or number == len(every) - 1)
    return every[first : max(last, first + 1) + 1]


def _opened(title: str, description: str, height: float) -> list[str]:
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:g}" role="img" '
        f'aria-labelledby="title description">',
        f'<title id="title">{escape(title)}</title>',
        f'<desc id="description">{escape(description)}</desc>',
        f"<style>{_STYLE}</style>",
        f'<rect class="back" width="{WIDTH}" height="{height:g}"/>',
        _text(16, 26, title, "title", "start"),
    ]


def _legend(series: Sequence[str]) -> list[str]:
    parts: list[str] = []
    x = 22
    for number, name in enumerate(series):
        parts += [mark(number, x, 46), _text(x + 10, 50, name, "", "start")]
        x += 40 + 7 * len(name)
    return parts


def _text(x: float, y: float, text: str, kind: str, anchor: str) -> str:
    named = f' class="{kind}"' if kind else ""
    return f'<text{named} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
