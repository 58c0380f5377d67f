"""A dot plot as plain SVG: a row per contender, a mark per graph, a logarithmic axis. Legible on light and dark."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

WIDTH = 860
_LEFT = 275
_RIGHT = 30
_ROW = 26
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6bb1", "#a6761d", "#666666")
"""Told apart by people who see colours differently; shapes say the same again."""
STYLE = """
  text { font: 12px system-ui, sans-serif; fill: #1f2328; }
  .title { font-size: 15px; font-weight: 600; }
  .quiet { fill: #59636e; }
  .grid { stroke: #d1d9e0; stroke-width: 1; }
  .row { stroke: #eaeef2; stroke-width: 1; }
  .back { fill: #ffffff; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; } .quiet { fill: #9198a1; } .grid { stroke: #3d444d; } .row { stroke: #262c36; }
    .back { fill: #0d1117; }
  }
"""


@dataclass(frozen=True)
class Plot:
    """What is drawn: `points` maps a row and a series to a positive value; what is missing is left out."""

    title: str
    axis: str
    rows: Sequence[str]
    series: Sequence[str]
    points: Mapping[tuple[str, str], float]


def draw(plot: Plot) -> str:
    """Return the SVG document; without points, one that says so."""
    values = [value for value in plot.points.values() if value > 0]
    lines_of_legend = _legend(plot.series)
    top = 44 + 20 * (lines_of_legend[-1][1] + 1 if lines_of_legend else 0)
    height = top + _ROW * len(plot.rows) + 52
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-labelledby="title description">',
        f'<title id="title">{escape(plot.title)}</title>',
        f'<desc id="description">{escape(_description(plot))}</desc>',
        f"<style>{STYLE}</style>",
        f'<rect class="back" width="{WIDTH}" height="{height}"/>',
        f'<text class="title" x="16" y="26">{escape(plot.title)}</text>',
    ]
    for number, (x, line) in enumerate(lines_of_legend):
        y = 48 + 20 * line
        parts += [mark(number, x, y - 4), f'<text x="{x + 10}" y="{y}">{escape(plot.series[number])}</text>']
    if not values:
        return "\n".join([*parts, f'<text x="{_LEFT}" y="{top + 16}">nothing was measured</text>', "</svg>", ""])
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)) + 1e-9)
    high = max(high, low + 1)
    bottom = top + _ROW * len(plot.rows)

    def place(value: float) -> float:
        return _LEFT + (math.log10(value) - low) / (high - low) * (WIDTH - _LEFT - _RIGHT)

    for power in range(low, high + 1):
        x = place(10.0**power)
        parts.append(f'<line class="grid" x1="{x:.1f}" y1="{top}" x2="{x:.1f}" y2="{bottom}"/>')
        parts.append(f'<text class="quiet" x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{_number(power)}</text>')
    middle = (_LEFT + WIDTH - _RIGHT) / 2
    parts.append(f'<text class="quiet" x="{middle}" y="{bottom + 40}" text-anchor="middle">{escape(plot.axis)}</text>')
    for number, row in enumerate(plot.rows):
        y = top + _ROW * number + _ROW / 2
        parts.append(f'<line class="row" x1="{_LEFT}" y1="{y}" x2="{WIDTH - _RIGHT}" y2="{y}"/>')
        parts.append(f'<text x="{_LEFT - 12}" y="{y + 4}" text-anchor="end">{escape(row)}</text>')
        for index, series in enumerate(plot.series):
            if (value := plot.points.get((row, series), 0)) > 0:
                parts.append(mark(index, place(value), y, f"{row}, {series}: {value:,.3g}"))
    return "\n".join([*parts, "</svg>", ""])


def _number(power: int) -> str:
    return f"{10.0**power:,.0f}" if power >= 0 else f"{10.0**power:g}"


def _legend(series: Sequence[str]) -> list[tuple[int, int]]:
    """Return where each entry stands: x, and in which line."""
    found: list[tuple[int, int]] = []
    x, line = 22, 0
    for name in series:
        wide = 40 + 7 * len(name)
        if x + wide > WIDTH and found:
            x, line = 22, line + 1
        found.append((x, line))
        x += wide
    return found


def mark(number: int, x: float, y: float, says: str = "") -> str:
    color = COLORS[number % len(COLORS)]
    shape = (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5"',
        f'<rect x="{x - 4:.1f}" y="{y - 4:.1f}" width="8" height="8"',
        f'<path d="M{x:.1f} {y - 5:.1f} l5 9 h-10 z"',
        f'<path d="M{x:.1f} {y - 5.5:.1f} l5.5 5.5 l-5.5 5.5 l-5.5 -5.5 z"',
    )[number % 4]
    return (
        f'{shape} fill="{color}" fill-opacity="0.85"'
        + (f"><title>{escape(says)}</title>" if says else ">")
        + (f"</{shape[1:].split(' ')[0]}>")
    )


def _description(plot: Plot) -> str:
    said = "; ".join(f"{row}, {series}: {value:,.3g}" for (row, series), value in plot.points.items())
    return f"{plot.axis}. {said}"
