"""A layout in the plane: columns from left to right, broken into rows where that keeps it readable.

A long narrow drawing is set like text: after the last column of a row the lines run back through the gutter to
the first column of the next row. All lines stay in the gaps between boxes. Pixels everywhere; no SVG beyond
path data.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from planloom.drawing.layout import Layout

ROW_WIDTH_PX: Final = 1180.0
"""A drawing wider than this is broken into rows, if few lines cross the break."""
MAX_LANES: Final = 12
"""Lines that may run back through one gutter; with more, the drawing stays in one row."""
_FLAT: Final = 0.55
"""Only drawings that are at most this high for their width are broken."""

_GAP_PX: Final = 54.0
_STEEP_GAP_PX: Final = 90.0
_STEEPNESS: Final = 0.1
_LANE_PX: Final = 8.0
_LANE_START_PX: Final = 14.0
_CORNER_PX: Final = 8.0
_GUTTER_PX: Final = 44.0


@dataclass(frozen=True, slots=True)
class Column:
    """One layer: its left end, its width, and the top of its row."""

    x: float
    width: float
    top: float


@dataclass(frozen=True, slots=True)
class Placement:
    """Where everything is, from 0,0 at the top left."""

    columns: list[Column]
    y: list[float]
    """Middle of every point of the layout."""
    pieces: list[list[str]]
    """Path data per edge, from the right side of its left box to the left side of its right box, in pieces:
    edges that share a part of their way share the pieces too."""
    width: float
    height: float


def place(
    layout: Layout,
    widths: Sequence[float],
    heights: Sequence[float],
    shifts: Sequence[float],
    header_px: float,
) -> Placement:
    """Put the layers side by side, with `header_px` free above every row.

    `widths` are those of the layers, `heights` those of the boxes. `shifts` says per edge how far from the
    middle of its boxes it begins and ends.
    """
    segments = sorted({pair for route in layout.routes for pair in pairwise(route)})
    gaps = _gaps(layout, segments, len(widths))
    firsts = _breaks(layout, segments, widths, gaps)
    return _Placing(layout, widths, heights, gaps, firsts, segments, header_px).run(shifts)


def _gaps(layout: Layout, segments: list[tuple[int, int]], layers: int) -> list[float]:
    """The room to the right of each layer: more where lines are steep."""
    steepest = [0.0] * layers
    for left, right in segments:
        layer = layout.layer_of[left]
        steepest[layer] = max(steepest[layer], abs(layout.y[left] - layout.y[right]))
    return [_GAP_PX + min(_STEEP_GAP_PX, _STEEPNESS * steep) for steep in steepest]


def _breaks(layout: Layout, segments: list[tuple[int, int]], widths: Sequence[float], gaps: list[float]) -> list[int]:
    """Choose the first layer of each row: rows nearly full, breaks where few lines cross."""
    total = sum(widths) + sum(gaps[:-1])
    height = max(layout.y, default=0.0)
    if total <= ROW_WIDTH_PX or height > _FLAT * total:
        return [0]
    crossing: list[set[int]] = [set() for _ in widths]
    for left, _ in segments:
        crossing[layout.layer_of[left]].add(left)
    row_px = min(ROW_WIDTH_PX, total / -(-total // ROW_WIDTH_PX) + max(widths))
    best: list[tuple[float, int]] = [(0.0, 0)]  # cost of the layers before i, and where their last row begins
    for end in range(1, len(widths) + 1):
        options: list[tuple[float, int]] = []
        width = -gaps[end - 1]
        for start in range(end - 1, -1, -1):
            width += widths[start] + gaps[start]
            if width > ROW_WIDTH_PX and start < end - 1:
                break
            lanes = len(crossing[start - 1]) if start else 0
            if lanes <= MAX_LANES:
                slack = (row_px - width) / row_px
                waste = slack * slack * (0.3 if end == len(widths) else 1.0)
                options.append((best[start][0] + waste + 0.04 * lanes, start))
        best.append(min(options, default=(float("inf"), 0)))
    if best[-1][0] == float("inf"):
        return [0]
    firsts = [best[-1][1]]
    while firsts[-1]:
        firsts.append(best[firsts[-1]][1])
    return firsts[::-1]


class _Placing:
    """One placement in the making."""

    def __init__(
        self,
        layout: Layout,
        widths: Sequence[float],
        heights: Sequence[float],
        gaps: list[float],
        firsts: list[int],
        segments: list[tuple[int, int]],
        header_px: float,
    ) -> None:
        self.layout, self.widths, self.gaps, self.firsts = layout, widths, gaps, firsts
        self.half = [height / 2 for height in heights] + [0.0] * (len(layout.y) - len(heights))
        self.header_px = header_px
        self.row_of = [bisect_right(firsts, layer) - 1 for layer in range(len(widths))]
        self.lane_of = self._lanes(segments)
        self.lanes = [0] * len(firsts)
        for point, lane in self.lane_of.items():
            row = self.row_of[layout.layer_of[point]]
            self.lanes[row] = max(self.lanes[row], lane + 1)
        self.columns: list[Column] = []
        self.y = list(layout.y)
        self.bottoms: list[float] = []

    def run(self, shifts: Sequence[float]) -> Placement:
        height = self._stack_rows()
        width = max((column.x + column.width for column in self.columns), default=0.0)
        if any(self.lanes):
            width += _LANE_START_PX + max(self.lanes) * _LANE_PX
        routes = zip(self.layout.routes, shifts, strict=True)
        pieces = [self._pieces(route, shift) for route, shift in routes]
        return Placement(self.columns, self.y, pieces, width, height)

    def _lanes(self, segments: list[tuple[int, int]]) -> dict[int, int]:
        """Number the points whose lines run to the next row, lowest first, so that the lines nest."""
        layer_of, row_of = self.layout.layer_of, self.row_of
        leaving = {left for left, right in segments if row_of[layer_of[left]] != row_of[layer_of[right]]}
        lane_of: dict[int, int] = {}
        used = [0] * len(self.firsts)
        for point in sorted(leaving, key=lambda point: (-self.layout.y[point], point)):
            row = row_of[layer_of[point]]
            lane_of[point] = used[row]
            used[row] += 1
        return lane_of

    def _stack_rows(self) -> float:
        rows: list[list[int]] = [[] for _ in self.firsts]
        for point, layer in enumerate(self.layout.layer_of):
            rows[self.row_of[layer]].append(point)
        top = 0.0
        left = _LANE_START_PX + max(self.lanes) * _LANE_PX if any(self.lanes) else 0.0
        for row, points in enumerate(rows):
            upper = min(self.y[point] - self.half[point] for point in points)
            shift = top + self.header_px - upper
            for point in points:
                self.y[point] += shift
            bottom = max(self.y[point] + self.half[point] for point in points)
            self.bottoms.append(bottom)
            x = left
            last = self.firsts[row + 1] if row + 1 < len(self.firsts) else len(self.widths)
            for layer in range(self.firsts[row], last):
                self.columns.append(Column(x, self.widths[layer], top))
                x += self.widths[layer] + self.gaps[layer]
            top = bottom + _GUTTER_PX + self.lanes[row] * _LANE_PX if row + 1 < len(rows) else bottom
        return top

    def _pieces(self, route: tuple[int, ...], shift: float) -> list[str]:
        """The path data of one edge, a piece from each of its points to the next."""
        layer_of = self.layout.layer_of
        first = self.columns[layer_of[route[0]]]
        x, y = first.x + first.width, self.y[route[0]] + shift
        pieces: list[str] = []
        for left, right in pairwise(route):
            column = self.columns[layer_of[right]]
            end = self.y[right] + (shift if right == route[-1] else 0.0)
            piece = f"M{x:.1f} {y:.1f}"
            if self.row_of[layer_of[left]] != self.row_of[layer_of[right]]:
                back, piece = self._return(left, x, y, column.x, end)
                pieces.append(back)
            elif abs(y - end) < 0.5:
                piece += f"H{column.x:.1f}"
            else:
                middle = (x + column.x) / 2
                piece += f"C{middle:.1f} {y:.1f} {middle:.1f} {end:.1f} {column.x:.1f} {end:.1f}"
            pieces.append(piece)
            x, y = column.x, end
            if right != route[-1]:
                pieces.append(f"M{x:.1f} {y:.1f}h{column.width:.1f}")
                x += column.width
        return pieces

    def _return(self, point: int, x: float, y: float, x_end: float, y_end: float) -> tuple[str, str]:
        """Right of the row, down into the gutter, back to the left; then down to the target; round corners."""
        row = self.row_of[self.layout.layer_of[point]]
        lane = self.lane_of[point]
        x_right = x + _LANE_START_PX + lane * _LANE_PX
        x_left = x_end - _LANE_START_PX - (self.lanes[row] - lane) * _LANE_PX
        gutter = self.bottoms[row] + _GUTTER_PX / 2 + lane * _LANE_PX
        r = _CORNER_PX
        back = (
            f"M{x:.1f} {y:.1f}H{x_right - r:.1f}q{r:g} 0 {r:g} {r:g}V{gutter - r:.1f}q0 {r:g} {-r:g} {r:g}"
            f"H{x_left + r:.1f}q{-r:g} 0 {-r:g} {r:g}"
        )
        return back, f"M{x_left:.1f} {gutter + r:.1f}V{y_end - r:.1f}q0 {r:g} {r:g} {r:g}H{x_end:.1f}"
