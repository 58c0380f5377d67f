"""The layered layout: order, distances, straight lines."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planloom.drawing.heights import fit_heights
from planloom.drawing.layout import MAX_POINTS, TooManyPointsError, lay_out


@st.composite
def graphs(draw: st.DrawFn) -> tuple[list[list[int]], list[float], list[tuple[int, int]]]:
    """Up to six layers with boxes of several heights, and edges to the right."""
    sizes = draw(st.lists(st.integers(1, 6), min_size=1, max_size=6))
    layers: list[list[int]] = []
    for size in sizes:
        first = sum(map(len, layers))
        layers.append(list(range(first, first + size)))
    boxes = sum(sizes)
    heights = draw(st.lists(st.sampled_from([20.0, 44.0, 68.0]), min_size=boxes, max_size=boxes))
    layer_of = {box: number for number, layer in enumerate(layers) for box in layer}
    pairs = [(a, b) for a in range(boxes) for b in range(boxes) if layer_of[a] < layer_of[b]]
    edges = draw(st.lists(st.sampled_from(pairs), max_size=25, unique=True)) if pairs else []
    return layers, heights, edges


@settings(max_examples=150, deadline=None)
@given(graphs())
def test_boxes_and_lines_keep_their_distance(
    graph: tuple[list[list[int]], list[float], list[tuple[int, int]]],
) -> None:
    """In a layer no box touches another, and no line runs through a box or along another line."""
    layers, heights, edges = graph
    layout = lay_out(layers, heights, edges, box_gap_px=26.0)
    half = [height / 2 for height in heights] + [0.0] * (len(layout.y) - len(heights))
    for number in range(len(layers)):
        points = sorted((p for p, layer in enumerate(layout.layer_of) if layer == number), key=lambda p: layout.y[p])
        for upper, lower in pairwise(points):
            assert layout.y[lower] - half[lower] - layout.y[upper] - half[upper] >= 9.0 - 1e-6
    assert 0.0 == pytest.approx(min(y - h for y, h in zip(layout.y, half, strict=True)))


@settings(max_examples=150, deadline=None)
@given(graphs())
def test_routes_pass_every_layer_between(
    graph: tuple[list[list[int]], list[float], list[tuple[int, int]]],
) -> None:
    """A route begins and ends at its boxes and has one point in each layer between."""
    layers, heights, edges = graph
    layout = lay_out(layers, heights, edges)
    for (source, target), route in zip(edges, layout.routes, strict=True):
        assert (source, target) == (route[0], route[-1])
        first = layout.layer_of[source]
        assert [layout.layer_of[point] for point in route] == list(range(first, first + len(route)))


def test_edges_that_need_not_cross_do_not() -> None:
    """Two chains given in opposite orders are untangled."""
    layout = lay_out([[0, 1], [2, 3], [4, 5]], [40.0] * 6, [(0, 3), (1, 2), (3, 4), (2, 5)])
    assert layout.y[0] == layout.y[3] == layout.y[4]
    assert layout.y[1] == layout.y[2] == layout.y[5]


def test_a_long_line_is_straight() -> None:
    """The points of a line that passes three layers stand at one height."""
    layers = [[0, 1], [2], [3], [4], [5]]
    layout = lay_out(layers, [40.0] * 6, [(0, 2), (2, 3), (3, 4), (4, 5), (1, 5)])
    (route,) = [route for route in layout.routes if route[0] == 1]
    assert 1 == len({layout.y[point] for point in route[1:-1]})


def test_long_lines_of_one_step_share_their_way() -> None:
    """Lines that leave one box and go far are one trunk with branches."""
    layers = [[0], [1], [2], [3, 4, 5]]
    layout = lay_out(layers, [40.0] * 6, [(0, 1), (1, 2), (2, 3), (0, 3), (0, 4), (0, 5)])
    assert 6 + 2 == len(layout.y)


def test_too_many_points_are_refused() -> None:
    """Lines without end are refused instead of drawn."""
    size = 200
    layers = [[number] for number in range(size)]
    edges = [(a, b) for a in range(size) for b in range(a + 1, size)]
    with pytest.raises(TooManyPointsError, match=f"{MAX_POINTS:,} points"):
        lay_out(layers, [40.0] * size, edges)


def test_heights_are_the_nearest_that_the_distances_allow() -> None:
    """Two boxes pulled to one place share it evenly: each moves half the missing distance."""
    y = fit_heights([[0], [1, 2]], [[], [0], [0]], [[1, 2], [], []], [40.0, 40.0, 40.0], 20.0, 8)
    assert [50.0, 20.0, 80.0] == pytest.approx(y)
