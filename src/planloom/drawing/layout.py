"""Where things stand in a layered drawing: the order inside each layer and the height of every point.

A small Sugiyama: an edge over several layers gets a point in each layer between, layers are ordered by
barycentres, heights are fitted under exact minimum distances. Knows nothing of plans or SVG; the same input
gives the same output.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from planloom.drawing.heights import fit_heights

MAX_POINTS: Final = 12_000
"""Boxes plus the points of long edges; above it `lay_out` refuses."""
_WORK_PER_LAYOUT: Final = 400_000
"""Neighbours looked at, at most, over all sweeps of one kind: what makes large drawings end in time."""
_MAX_SWEEPS: Final = 24
_MIN_SWEEPS: Final = 3

BOX_GAP_PX: Final = 26.0


class TooManyPointsError(ValueError):
    """The long edges need more than `MAX_POINTS` points."""


@dataclass(frozen=True, slots=True)
class Layout:
    """A drawing's points: boxes first (as they were given), then the points that lines pass through."""

    layer_of: list[int]
    y: list[float]
    """Height of each point's middle in pixels; the topmost box or line touches 0."""
    routes: list[tuple[int, ...]]
    """Per edge: its points from left to right, both ends included."""


def lay_out(
    layers: Sequence[Sequence[int]],
    heights: Sequence[float],
    edges: Sequence[tuple[int, int]],
    box_gap_px: float = BOX_GAP_PX,
) -> Layout:
    """Place boxes of the given heights (px) so that none overlaps another or a line that passes by.

    Every edge goes from a box in one layer to a box in a later one. Raises `TooManyPointsError`.
    """
    layer_of = [0] * len(heights)
    for number, layer in enumerate(layers):
        for box in layer:
            layer_of[box] = number
    routes = _route(layer_of, edges)
    left, right = _neighbours(len(layer_of), routes)
    ordered = _order(_first_order(layer_of, len(layers), right), left, right)
    y = fit_heights(ordered, left, right, heights, box_gap_px, _sweeps(right))
    return Layout(layer_of, y, routes)


def _route(layer_of: list[int], edges: Sequence[tuple[int, int]]) -> list[tuple[int, ...]]:
    """Give long edges their points; appends the points' layers to `layer_of`.

    Long edges that leave one box, or that reach one box, share their points like the branches of a tree:
    whichever end has more of them owns the trunk.
    """
    long = [(source, target) for source, target in edges if layer_of[target] - layer_of[source] > 1]
    leaving, reaching = Counter(source for source, _ in long), Counter(target for _, target in long)
    points: dict[tuple[int, bool, int], int] = {}
    routes: list[tuple[int, ...]] = []
    for source, target in edges:
        by_source = leaving[source] >= reaching[target]
        route = [source]
        for layer in range(layer_of[source] + 1, layer_of[target]):
            key = (source if by_source else target, by_source, layer)
            point = points.get(key)
            if point is None:
                point = points[key] = len(layer_of)
                layer_of.append(layer)
                if len(layer_of) > MAX_POINTS:
                    raise TooManyPointsError(f"more than {MAX_POINTS:,} points")
            route.append(point)
        routes.append((*route, target))
    return routes


def _neighbours(points: int, routes: list[tuple[int, ...]]) -> tuple[list[list[int]], list[list[int]]]:
    segments = dict.fromkeys(pair for route in routes for pair in pairwise(route))
    left: list[list[int]] = [[] for _ in range(points)]
    right: list[list[int]] = [[] for _ in range(points)]
    for source, target in segments:
        right[source].append(target)
        left[target].append(source)
    return left, right


def _sweeps(neighbours: list[list[int]]) -> int:
    work = len(neighbours) + sum(map(len, neighbours))
    return max(_MIN_SWEEPS, min(_MAX_SWEEPS, _WORK_PER_LAYOUT // (work + 1)))


def _first_order(layer_of: list[int], layers: int, right: list[list[int]]) -> list[list[int]]:
    """Order by a depth-first walk from the left, which keeps what belongs together side by side."""
    order: list[list[int]] = [[] for _ in range(layers)]
    seen = [False] * len(layer_of)
    for root in sorted(range(len(layer_of)), key=layer_of.__getitem__):
        pending = [root]
        while pending:
            point = pending.pop()
            if not seen[point]:
                seen[point] = True
                order[layer_of[point]].append(point)
                pending.extend(reversed(right[point]))
    return order


def _order(order: list[list[int]], left: list[list[int]], right: list[list[int]]) -> list[list[int]]:
    """Sweep to and fro by barycentres and keep the order with the fewest crossings."""
    place = [0.0] * len(left)
    for layer in order:
        _number(layer, place)
    best, fewest = [layer[:] for layer in order], _crossings(order, right)
    for sweep in range(_sweeps(right)):
        if fewest == 0:
            break
        forward = sweep % 2 == 0
        neighbours = left if forward else right
        for layer in order if forward else reversed(order):
            layer.sort(key=lambda point: _mean(neighbours[point], place, place[point]))
            _number(layer, place)
        if (crossings := _crossings(order, right)) < fewest:
            best, fewest = [layer[:] for layer in order], crossings
    for layer in best:
        _number(layer, place)
    for _ in range(_sweeps(right) // 4):
        if not sum(_exchange(layer, left, right, place) for layer in best):  # every layer gets its turn
            break
    return best


def _exchange(layer: list[int], left: list[list[int]], right: list[list[int]], place: list[float]) -> bool:
    """Swap neighbours wherever that takes crossings away; say whether any swap did."""
    ends = {point: [sorted([place[other] for other in side[point]]) for side in (left, right)] for point in layer}
    swapped = False
    for index in range(len(layer) - 1):
        upper, lower = layer[index], layer[index + 1]
        gain = sum(
            _pairs_below(mine, theirs) - _pairs_below(theirs, mine)
            for mine, theirs in zip(ends[upper], ends[lower], strict=True)
        )
        if gain > 0:
            layer[index], layer[index + 1] = lower, upper
            swapped = True
    if swapped:
        _number(layer, place)
    return swapped


def _pairs_below(mine: list[float], theirs: list[float]) -> int:
    """Count the pairs in which one of mine lies below one of theirs; both lists are sorted."""
    pairs = passed = 0
    for end in mine:
        while passed < len(theirs) and theirs[passed] < end:
            passed += 1
        pairs += passed
    return pairs


def _number(layer: list[int], place: list[float]) -> None:
    for index, point in enumerate(layer):
        place[point] = (index + 0.5) / len(layer)


def _mean(points: list[int], values: list[float], otherwise: float) -> float:
    return sum(values[point] for point in points) / len(points) if points else otherwise


def _crossings(order: list[list[int]], right: list[list[int]]) -> int:
    """Count the pairs of edges that cross, layer by layer, in time n log n (a Fenwick tree of the ends)."""
    index = [0] * len(right)
    for layer in order:
        for number, point in enumerate(layer):
            index[point] = number
    crossings = 0
    for layer, following in pairwise(order):
        tree = [0] * (len(following) + 1)
        passed = 0
        for point in layer:
            ends = [index[target] + 1 for target in right[point]]
            for end in ends:
                crossings += passed
                while end:
                    crossings -= tree[end]
                    end &= end - 1
            for end in ends:
                passed += 1
                while end < len(tree):
                    tree[end] += 1
                    end += end & -end
    return crossings
