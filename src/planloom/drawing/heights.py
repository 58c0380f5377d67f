"""How high everything stands in a layered drawing, once the order inside each layer is known.

Every point is pulled towards its neighbours in the layers beside it; order and minimum distances are kept
exactly. Lines that pass several layers are then made straight where there is room.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import inf
from typing import Final

_MIXED_GAP_PX: Final = 19.0
_LINE_GAP_PX: Final = 9.0

# how strongly an edge pulls its ends level, by the number of its ends that are points of a line
_PULLS: Final = (1.0, 3.0, 10.0)
_HAIR_PX: Final = 8.0
"""Differences in height that look like a slip of the hand."""
_REST: Final = 0.01
"""How strongly a point stays where it is; decides only for points that nothing pulls."""


def fit_heights(
    order: Sequence[Sequence[int]],
    left: Sequence[Sequence[int]],
    right: Sequence[Sequence[int]],
    heights: Sequence[float],
    box_gap_px: float,
    sweeps: int,
) -> list[float]:
    """Return the middle of every point in px, the top of the drawing being 0.

    `order` holds the points by layer, from top to bottom; `left` and `right` their neighbours. The first
    `len(heights)` points are boxes of those heights, the others lines.
    """
    fitting = _Fitting(order, left, right, heights, box_gap_px)
    fitting.pull(sweeps)
    fitting.straighten()
    top = min((y - half for y, half in zip(fitting.y, fitting.half, strict=True)), default=0.0)
    return [y - top for y in fitting.y]


class _Fitting:
    def __init__(
        self,
        order: Sequence[Sequence[int]],
        left: Sequence[Sequence[int]],
        right: Sequence[Sequence[int]],
        heights: Sequence[float],
        box_gap_px: float,
    ) -> None:
        self.order, self.left, self.right = order, left, right
        self.boxes = len(heights)
        self.half = [height / 2 for height in heights] + [0.0] * (len(left) - self.boxes)
        self.gaps = (box_gap_px, _MIXED_GAP_PX, _LINE_GAP_PX)
        self.y = [0.0] * len(left)

    def distance(self, upper: int, lower: int) -> float:
        """How far the middles of two neighbours in one layer must be apart at least."""
        lines = (upper >= self.boxes) + (lower >= self.boxes)
        return self.half[upper] + self.half[lower] + self.gaps[lines]

    def pull(self, sweeps: int) -> None:
        """Stack the layers around one middle, then sweep to and fro."""
        rows: list[tuple[Sequence[int], list[float]]] = []
        for layer in self.order:
            offsets = [0.0] if layer else []
            for upper, lower in pairwise(layer):
                offsets.append(offsets[-1] + self.distance(upper, lower))
            for point, offset in zip(layer, offsets, strict=True):
                self.y[point] = offset - offsets[-1] / 2
            rows.append((layer, offsets))
        from_left, from_right = self._pulls(self.left), self._pulls(self.right)
        from_both = [one + other for one, other in zip(from_left, from_right, strict=True)]
        rounds = [from_left, from_right] * max(1, sweeps // 2) + [from_both, from_both]
        for sweep, pulls in enumerate(rounds):
            for layer, offsets in rows if sweep % 2 == 0 else reversed(rows):
                self._settle(layer, offsets, pulls)

    def _pulls(self, neighbours: Sequence[Sequence[int]]) -> list[list[tuple[int, float]]]:
        return [
            [(other, _PULLS[(point >= self.boxes) + (other >= self.boxes)]) for other in others]
            for point, others in enumerate(neighbours)
        ]

    def _settle(
        self, layer: Sequence[int], offsets: Sequence[float], pulls: Sequence[Sequence[tuple[int, float]]]
    ) -> None:
        """Move one layer as near to where its neighbours pull it as the distances allow.

        That is least squares under "each at least so far below the one before", which is an isotonic
        regression and solved exactly by pooling adjacent violators.
        """
        y = self.y
        blocks: list[tuple[float, float, int]] = []  # weight, weighted sum of wishes, number of points
        for point, offset in zip(layer, offsets, strict=True):
            weight, wish = _REST, _REST * (y[point] - offset)
            for other, strength in pulls[point]:
                weight += strength
                wish += strength * (y[other] - offset)
            size = 1
            while blocks and blocks[-1][1] * weight >= wish * blocks[-1][0]:
                before = blocks.pop()
                weight, wish, size = weight + before[0], wish + before[1], size + before[2]
            blocks.append((weight, wish, size))
        index = 0
        for weight, wish, size in blocks:
            for _ in range(size):
                y[layer[index]] = wish / weight + offsets[index]
                index += 1

    def straighten(self) -> None:
        """Level what is nearly level, and each long line, as far as the free room lets them."""
        above: dict[int, int] = {}
        below: dict[int, int] = {}
        for layer in self.order:
            for upper, lower in pairwise(layer):
                above[lower], below[upper] = upper, lower
        for layer in self.order:
            for point in layer:
                self._snap(point, above, below)
        for start in range(self.boxes, len(self.y)):
            if any(point >= self.boxes for point in self.left[start]):
                continue  # not the beginning of a line
            run: list[int] = []
            low, high = -inf, inf
            point: int | None = start
            while point is not None:
                point_low, point_high = self._room(point, above, below)
                if max(low, point_low) > min(high, point_high):
                    self._level(run, low, high)
                    run, low, high = [], -inf, inf
                run.append(point)
                low, high = max(low, point_low), min(high, point_high)
                point = next((other for other in self.right[point] if other >= self.boxes), None)
            self._level(run, low, high)

    def _snap(self, point: int, above: dict[int, int], below: dict[int, int]) -> None:
        """Move a point to the level of a left neighbour that it misses by a hair."""
        near = min((self.y[other] for other in self.left[point]), key=lambda y: abs(y - self.y[point]), default=None)
        if near is not None and abs(near - self.y[point]) <= _HAIR_PX:
            low, high = self._room(point, above, below)
            if low <= near <= high:
                self.y[point] = near

    def _room(self, point: int, above: dict[int, int], below: dict[int, int]) -> tuple[float, float]:
        upper, lower = above.get(point), below.get(point)
        low = -inf if upper is None else self.y[upper] + self.distance(upper, point)
        high = inf if lower is None else self.y[lower] - self.distance(point, lower)
        return low, high

    def _level(self, run: list[int], low: float, high: float) -> None:
        if run and low <= high:
            level = min(high, max(low, sum(self.y[point] for point in run) / len(run)))
            ends = [self.y[other] for other in (*self.left[run[0]], *self.right[run[-1]])]
            near = min(ends, key=lambda y: abs(y - level), default=level)
            if abs(near - level) <= _HAIR_PX and low <= near <= high:
                level = near
            for point in run:
                self.y[point] = level
