"""Charts: what is drawn is what the data says, drawn safely; what cannot be drawn is said with what could be."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from planloom import ToolContext
from planloom.analysis import DataError, compute_stats
from planloom.analysis.charts_choice import choose
from planloom.analysis.charts_drawing import draw, read_drawing
from planloom.analysis.charts_model import MAX_SCATTER_POINTS, ChartAsked, ChartFigures, nice_step
from planloom.analysis.charts_request import chart_figures
from planloom.analysis.charts_specs import PALETTE, spec_of
from planloom.analysis.correlations import correlate_columns
from planloom.analysis.output_tools import choose_charts, draw_chart

Load = Callable[..., dict[str, Any]]
RANDOM = np.random.default_rng(7)
ROWS = 900
FRAME = pd.DataFrame(
    {
        "day": pd.date_range("2023-01-01", periods=ROWS, freq="D").strftime("%Y-%m-%d"),
        "size": RANDOM.normal(50, 10, ROWS).round(3),
        "group": RANDOM.choice(["a", "b", "c"], ROWS, p=[0.6, 0.3, 0.1]),
        "score": RANDOM.integers(1, 6, ROWS),
        "flag": RANDOM.choice(["true", "false"], ROWS),
    }
)
FRAME["price"] = (FRAME["size"] * 3 + RANDOM.normal(0, 5, ROWS)).round(3)
FRAME.loc[::50, "price"] = np.nan
FRAME.loc[7, "size"] = 500.0


@pytest.fixture
def table(load: Load) -> dict[str, Any]:
    """A table with dates, groups, numbers, an outlier and missing values."""
    return load(FRAME.to_csv(index=False))


@pytest.fixture
def figures(table: dict[str, Any], context: ToolContext) -> Callable[..., ChartFigures]:
    """Aggregate a chart of that table."""
    return lambda kind, **asked: chart_figures(table, context.workdir, ChartAsked(kind, **asked))


# ---- what cannot be drawn ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"kind": "histogram"}, r"needs `x`\nhint: \"x\": \"price\""),
        ({"kind": "scatter", "x": "size"}, "needs `y`"),
        ({"kind": "heat-map", "x": "group"}, "needs `y`"),
        ({"kind": "histogram", "x": "size", "y": "price"}, "takes no `y`"),
        ({"kind": "box", "x": "group", "y": "size", "color": "flag"}, "takes no `color`"),
        ({"kind": "histogram", "x": "sise"}, r"no such column\nhint: did you mean `size`"),
        ({"kind": "histogram", "x": "group"}, "a column of text"),
        ({"kind": "line", "x": "group", "y": "size"}, "a column of text"),
        ({"kind": "bar", "x": "group", "measure": "sum"}, 'the measure "sum" needs a column of numbers'),
        ({"kind": "box", "x": "size", "y": "size"}, "the same column"),
        ({"kind": "heat-map", "columns": ("size",)}, "two numeric columns"),
    ],
)
def test_refused(figures: Callable[..., ChartFigures], asked: dict[str, Any], reason: str) -> None:
    """A request that makes no chart is refused with what is wrong and what would work."""
    with pytest.raises(DataError, match=reason):
        figures(**asked)


def test_nothing_to_draw(load: Load, context: ToolContext) -> None:
    """A column without a value, and one that is too wide for an axis, say so; a constant one has a single bin."""
    table = load("a,b,c,d\n1,,5,1e308\n2,,5,-1e308\n")
    for kind, asked in (
        ("bar", {"x": "a", "y": "b"}),
        ("scatter", {"x": "a", "y": "b"}),
        ("line", {"x": "a", "y": "b"}),
    ):
        with pytest.raises(DataError, match=r"nothing to draw|column of text"):
            chart_figures(table, context.workdir, ChartAsked(kind, **asked))
    with pytest.raises(DataError, match="too far apart"):
        chart_figures(table, context.workdir, ChartAsked("histogram", x="d"))
    assert [2] == [p["n"] for p in chart_figures(table, context.workdir, ChartAsked("histogram", x="c")).points]


# ---- what is drawn -------------------------------------------------------------------------------------------


def test_histogram(figures: Callable[..., ChartFigures]) -> None:
    """The bins are those of numpy on the same edges; each value is in one; missing values are counted."""
    found = figures("histogram", x="price")
    values = FRAME["price"].dropna()
    edges = [point["a"] for point in found.points] + [found.points[-1]["b"]]
    assert list(np.histogram(values, bins=edges)[0]) == [point["n"] for point in found.points]
    assert (len(values), 18) == (found.rows, found.missing)
    assert 8 <= len(found.points) <= 40
    assert "18 rows without a value are left out" in found.alt


def test_histogram_of_whole_numbers(figures: Callable[..., ChartFigures]) -> None:
    """Few whole numbers get a bar each."""
    found = figures("histogram", x="score")
    assert list(FRAME["score"].value_counts().sort_index()) == [point["n"] for point in found.points]


def test_histogram_of_dates(figures: Callable[..., ChartFigures]) -> None:
    """Dates are counted per unit of time, the finest that gives a legible number of bars."""
    found = figures("histogram", x="day")
    weeks = pd.to_datetime(FRAME["day"]).dt.to_period("W-SUN").value_counts().sort_index()
    assert list(weeks) == [point["n"] for point in found.points]


def test_box(figures: Callable[..., ChartFigures]) -> None:
    """Quartiles are pandas', whiskers reach the farthest values within 1.5 interquartile ranges, the rest are dots."""
    found = figures("box", x="group", y="size")
    assert ["a", "b", "c"] == [point["g"] for point in found.points]
    for point in found.points:
        values = FRAME.loc[FRAME["group"] == point["g"], "size"]
        q25, median, q75 = values.quantile([0.25, 0.5, 0.75])
        within = values[values.between(q25 - 1.5 * (q75 - q25), q75 + 1.5 * (q75 - q25))]
        expected = (q25, median, q75, within.min(), within.max(), len(values) - len(within))
        assert pytest.approx(expected) == tuple(point[key] for key in ("a", "m", "b", "low", "high", "far"))
    assert 500.0 in [dot["v"] for dot in found.facts["dots"]]


def test_scatter(figures: Callable[..., ChartFigures]) -> None:
    """Every row with both values is drawn; the correlation and the line are those of all of them."""
    found = figures("scatter", x="size", y="price", color="group")
    both = FRAME.dropna()
    slope, intercept = np.polyfit(both["size"], both["price"], 1)
    assert len(both) == len(found.points) == found.rows
    (first, last) = found.facts["line"]
    assert pytest.approx((slope, intercept)) == (
        (last["y"] - first["y"]) / (last["x"] - first["x"]), first["y"] - slope * first["x"],
    )  # fmt: skip
    assert f"{both['size'].corr(both['price']):.4f}" in found.alt
    assert ["a", "b", "c"] == found.facts["series"]


def test_scatter_of_many(load: Load, context: ToolContext) -> None:
    """Of many rows a sample is drawn, the same one each time, and it says so."""
    table = load("x,y\n" + "".join(f"{n},{n * n}\n" for n in range(5_000)))
    first, second = (chart_figures(table, context.workdir, ChartAsked("scatter", x="x", y="y")) for _ in range(2))
    assert MAX_SCATTER_POINTS == len(first.points)
    assert sorted(p["x"] for p in first.points) == sorted(p["x"] for p in second.points)
    assert "a sample of 1,500 of 5,000 rows (seed 42)" in first.alt
    assert 2_300 < np.mean([p["x"] for p in first.points]) < 2_700


def test_line(figures: Callable[..., ChartFigures]) -> None:
    """Values are put together per unit of time, as pandas does it."""
    found = figures("line", x="day", y="price", measure="sum")
    weeks = FRAME.dropna().groupby(pd.to_datetime(FRAME["day"]).dt.to_period("W-SUN"))["price"].sum()
    assert pytest.approx(list(weeks)) == [point["v"] for point in found.points]
    assert "per week" in found.title
    assert 18 == found.missing


def test_line_along_many_numbers(load: Load, context: ToolContext) -> None:
    """A numeric x with many values is cut into buckets."""
    table = load("x,y\n" + "".join(f"{n / 7},{n}\n" for n in range(3_000)))
    found = chart_figures(table, context.workdir, ChartAsked("line", x="x", y="y"))
    assert len(found.points) <= 101
    assert "per 5 of x" in found.method


@pytest.mark.parametrize("measure", ["sum", "mean", "median", "min", "max", "count"])
def test_bar(figures: Callable[..., ChartFigures], measure: str) -> None:
    """Bars are pandas' groups, the highest first."""
    found = figures("bar", x="group", y="price", measure=measure)
    expected = FRAME.groupby("group")["price"].agg(measure).sort_values(ascending=False)
    assert list(expected.index) == [point["g"] for point in found.points]
    assert pytest.approx(list(expected)) == [point["v"] for point in found.points]


def test_bar_split(figures: Callable[..., ChartFigures]) -> None:
    """Bars that are split by another column add up to the whole."""
    found = figures("bar", x="group", color="flag")
    expected = FRAME.groupby(["group", "flag"]).size().to_dict()
    assert expected == {(point["g"], point["c"]): point["v"] for point in found.points}


def test_bar_of_many(load: Load, context: ToolContext) -> None:
    """Of many values the largest are drawn, and the rest are counted."""
    table = load("x\n" + "".join(f"v{n}\n" * (n + 1) for n in range(60)))
    found = chart_figures(table, context.workdir, ChartAsked("bar", x="x"))
    assert [60 - n for n in range(20)] == [point["v"] for point in found.points]
    assert "the 40 other values left out" in found.alt


def test_heat_map(figures: Callable[..., ChartFigures]) -> None:
    """Two columns are crossed as pandas does it."""
    found = figures("heat-map", x="group", y="score", color="size")
    expected = FRAME.groupby(["group", "score"])["size"].mean().to_dict()
    assert pytest.approx(expected) == {(p["x"], int(p["y"])): p["v"] for p in found.points}


def test_correlation_matrix(figures: Callable[..., ChartFigures]) -> None:
    """Without columns the numeric ones are correlated, each pair over the rows that have both."""
    found = figures("heat-map")
    expected = FRAME[["size", "score", "price"]].corr()
    for point in found.points:
        assert pytest.approx(expected.loc[point["y"], point["x"]]) == point["v"]
    assert "`size` with `price`" in found.alt


# ---- how it is drawn -----------------------------------------------------------------------------------------

HOSTILE = '<script>alert(1)</script>","x"" onload=""alert(2)'


@pytest.mark.parametrize(
    "asked",
    [
        {"kind": "histogram", "x": "n"}, {"kind": "box", "x": "t", "y": "n"},
        {"kind": "scatter", "x": "n", "y": "m", "color": "t"},
        {"kind": "line", "x": "n", "y": "m", "color": "t"}, {"kind": "bar", "x": "t", "y": "n", "color": "t"},
        {"kind": "heat-map", "x": "t", "y": "n"}, {"kind": "heat-map"},
    ],
)  # fmt: skip
def test_hostile_texts(load: Load, context: ToolContext, asked: dict[str, Any]) -> None:
    """Names and values with markup, quotes and expressions are drawn as text; nothing is fetched, run or animated."""
    odd = "</text><script>alert(3)</script>{{7*7}} datum['x'] \u202e"
    names = {"n": "n[0].a\"b'", "m": "m\\.x", "t": "<img src=x>"}
    frame = pd.DataFrame({names["n"]: [1, 2, 3, 4], names["m"]: [4, 3, 1, 2], names["t"]: [odd, HOSTILE, "", "&amp;"]})
    table = load(frame.to_csv(index=False))
    named = {key: names.get(value, value) for key, value in asked.items()}
    drawn = draw(chart_figures(table, context.workdir, ChartAsked(title="<b>&\"'", **named)))
    root = ET.fromstring(drawn)
    tags = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert tags <= {"svg", "title", "style", "rect", "g", "path", "line", "text", "defs", "clipPath", "tspan"}
    assert [] == [name for element in root.iter() for name in element.attrib if name.lower().startswith("on")]
    assert [] == re.findall(r"https?://(?!www\.w3\.org/)", drawn)
    assert "<b>&\"'" == root[0].text


def test_light_and_dark(table: dict[str, Any], context: ToolContext) -> None:
    """Every colour that is used is one of the palette, which has a dark one for each."""
    drawn = draw(chart_figures(table, context.workdir, ChartAsked("scatter", x="size", y="price", color="group")))
    used = set(re.findall(r'(?:fill|stroke)="(#[0-9a-f]{6}|[a-z]+)"', drawn)) - {"none", "transparent"}
    assert used <= PALETTE.keys()
    for colour in used:
        assert f'[fill="{colour}"]{{fill:{PALETTE[colour]}}}' in drawn


@pytest.mark.parametrize("place", [0, 1])
def test_contrast(place: int) -> None:
    """Text keeps a contrast of 4.5 to 1 on paper and on the darkest cell of a heat map, marks one of 3 to 1."""
    shade = {light: (light, dark)[place] for light, dark in PALETTE.items()}

    def luminance(colour: tuple[float, ...]) -> float:
        parts = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    def rgb(colour: str) -> tuple[float, ...]:
        return tuple(int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))

    def contrast(one: tuple[float, ...], other: tuple[float, ...]) -> float:
        light, dark = sorted((luminance(one), luminance(other)), reverse=True)
        return (light + 0.05) / (dark + 0.05)

    ink, muted, _grid, paper, accent, _box, alarm, contrary, *series = map(rgb, shade.values())
    assert 4.5 <= min(contrast(ink, paper), contrast(muted, paper))
    assert 3 <= min(contrast(colour, paper) for colour in (accent, alarm, contrary, *series))
    for colour in (accent, contrary):
        cell = tuple(0.55 * part + 0.45 * under for part, under in zip(colour, paper, strict=True))
        assert 4.5 <= contrast(ink, cell)


def test_tool(table: dict[str, Any], context: ToolContext) -> None:
    """The tool gives a handle whose drawing stands in the run's folder under its own hash, and a drawing that was
    changed is not read."""
    chart = draw_chart(table, "bar", context, x="group")
    assert ("bar", "Rows by group", ROWS, 0) == (chart["kind"], chart["title"], chart["rows"], chart["missing"])
    assert (read_drawing(chart["artifact"], context.workdir) or "").startswith("<svg")
    path = Path(context.workdir) / f"{chart['artifact']}.svg"
    path.write_text(path.read_text().replace("<svg", "<svg onload='x'"))
    assert read_drawing(chart["artifact"], context.workdir) is None
    assert read_drawing("../x", context.workdir) is None


def test_drawings_share_a_page(figures: Callable[..., ChartFigures]) -> None:
    """Ids of one drawing are not those of another, so that both can stand in one page."""
    ids = [set(re.findall(r'\bid="([^"]+)"', draw(figures("histogram", x=name)))) for name in ("size", "price")]
    assert set() == ids[0] & ids[1]


def test_specification_holds_its_data(figures: Callable[..., ChartFigures]) -> None:
    """What is given to Vega-Lite has its data inside and names no address."""
    spec = spec_of(figures("line", x="day", y="price"))
    assert {"values"} == spec["data"].keys()
    assert "url" not in str(spec)


@pytest.mark.parametrize(
    ("width", "expected"), [(1, 1), (1.2, 2), (2.2, 2.5), (3, 5), (7, 10), (0.0031, 0.005), (240, 250)]
)
def test_nice_step(width: float, expected: float) -> None:
    """Widths of bins are rounded up to numbers that people like."""
    assert pytest.approx(expected) == nice_step(width)


# ---- what is worth drawing -----------------------------------------------------------------------------------


def test_choice(table: dict[str, Any], context: ToolContext) -> None:
    """A line over dates, the strongest pair, the matrix, distributions, groups: few, stated, and within the limit."""
    stats = compute_stats(table, context)
    correlations = correlate_columns(table, context.workdir, None, None, "pearson", 20)
    chosen = choose_charts(stats, dict(correlations))
    kinds = [chart["kind"] for chart in chosen["charts"]]
    assert ["line", "scatter", "heat-map", "histogram", "box", "histogram", "histogram", "bar"] == kinds
    assert {"size", "price"} == {chosen["charts"][1]["x"], chosen["charts"][1]["y"]}
    assert 3 == len(choose(stats, None, 3)["charts"])
    assert [] == choose(stats, None, 0)["charts"]


def test_choice_leaves_out(load: Load, context: ToolContext) -> None:
    """Identifiers, constants, empty columns and numbers beyond the range of squares are not worth drawing."""
    rows = "".join(f"{n + 1000},7,,1.{n % 30}e200,name {n}\n" for n in range(40))
    stats = compute_stats(load(f"id,same,nothing,huge,name\n{rows}"), context)
    assert [] == choose(stats, None, 8)["charts"]
