"""The figures of a chart as a Vega-Lite specification. Pure: no text of the data is ever read as code.

Fields have our own short names, so a column called `a.b["c"]` cannot break one; titles and labels are plain values.
Colours are those of `PALETTE`, which `charts_drawing` turns dark where the page is dark.
"""

from __future__ import annotations

from typing import Any, Final

from planloom.analysis.charts_model import ChartFigures

INK: Final = "#0f172a"
MUTED: Final = "#526075"
GRID: Final = "#e6eaf0"
PAPER: Final = "#ffffff"
ACCENT: Final = "#4f46e5"
BOX: Final = "#c7cbff"
ALARM: Final = "#b91c1c"
CONTRARY: Final = "#c2410c"
SERIES: Final = (ACCENT, "#d9480f", "#0e7490", "#15803d", "#a21caf", "#a16207", "#be123c", "#64748b")
PALETTE: Final = {
    INK: "#e8edf4", MUTED: "#9aa8bc", GRID: "#222c3a", PAPER: "#0d1117", ACCENT: "#9aa2ff", BOX: "#3b3f86",
    ALARM: "#ff8080", CONTRARY: "#fb9a5a", "#d9480f": "#ff9d6b", "#0e7490": "#4fd1e8", "#15803d": "#4ade80",
    "#a21caf": "#f0abfc", "#a16207": "#fbbf24", "#be123c": "#fb7185", "#64748b": "#8b9ab0",
}  # fmt: skip
"""Each colour of a drawing, and what it becomes on dark paper."""
WIDTH: Final = 400
HEIGHT: Final = 240
ROW_HEIGHT: Final = 24
CELL: Final = 46
_NUMBER: Final = "abs(datum.value) >= 1e5 ? replace(format(datum.value, '.3~s'), 'G', 'B') : format(datum.value, ',')"
_SANS: Final = 'ui-sans-serif, system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif'

CONFIG: Final[dict[str, Any]] = {
    "aria": False,
    "background": PAPER,
    "font": _SANS,
    "padding": {"left": 16, "right": 12, "top": 8, "bottom": 8},
    "view": {"stroke": None},
    "axis": {
        "labelColor": INK, "titleColor": INK, "labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": 600,
        "gridColor": GRID, "domainColor": MUTED, "tickColor": MUTED, "labelLimit": 150, "titleLimit": 360,
        "labelOverlap": "greedy", "labelSeparation": 14,
    },
    # above its axis a title can overlap no label, however long labels are in the reader's own font
    "axisY": {"titleAngle": 0, "titleAlign": "left", "titleAnchor": "end", "titleX": 0, "titleY": -9},
    "legend": {"labelColor": INK, "titleColor": INK, "labelFontSize": 12, "titleFontSize": 12, "labelLimit": 150,
               "orient": "bottom", "columns": 3, "symbolLimit": 20, "symbolOpacity": 1},
    "title": {"color": INK, "fontSize": 14, "fontWeight": 600, "anchor": "start", "limit": 460, "offset": 26},
}  # fmt: skip


def spec_of(figures: ChartFigures) -> dict[str, Any]:
    """The chart as a Vega-Lite specification with its data inside."""
    drawn = _DRAWERS[figures.kind](figures)
    return {"data": {"values": figures.points}, "title": figures.title, "config": CONFIG, **drawn}


def _histogram(figures: ChartFigures) -> dict[str, Any]:
    is_time = bool(figures.facts.get("time"))
    kind = "temporal" if is_time else "quantitative"
    bars = {
        "mark": {"type": "bar", "fill": ACCENT, "stroke": PAPER, "strokeWidth": 0.5},
        "encoding": {
            "x": _scale("a", kind, figures.x_title, zero=False) | {"axis": _axis(kind, grid=False)},
            "x2": {"field": "b"},
            "y": _scale("n", "quantitative", figures.y_title) | {"axis": _axis("quantitative") | {"tickMinStep": 1}},
            "y2": {"datum": 0},
        },
    }
    return {"width": WIDTH, "height": HEIGHT, "layer": [bars]}


def _box(figures: ChartFigures) -> dict[str, Any]:
    order, dots = figures.facts["order"], figures.facts["dots"]
    axis: dict[str, Any] = {"title": figures.y_title or None, "labelOverlap": False}
    if figures.facts["single"]:
        axis |= {"labels": False, "ticks": False, "domain": False}
    y = {"field": "g", "type": "nominal", "sort": order, "axis": axis}
    thick = 14

    def x(field: str) -> dict[str, Any]:
        return _scale(field, "quantitative", figures.x_title, zero=False) | {"axis": _axis("quantitative")}

    layers: list[dict[str, Any]] = [
        {
            "mark": {"type": "rule", "stroke": MUTED, "strokeWidth": 1.5},
            "encoding": {"x": x("low"), "x2": {"field": "high"}, "y": y},
        },
        {
            "mark": {"type": "bar", "height": thick, "fill": BOX, "stroke": ACCENT, "strokeWidth": 1},
            "encoding": {"x": x("a"), "x2": {"field": "b"}, "y": y},
        },
        {"mark": {"type": "tick", "thickness": 2.5, "size": thick, "fill": ACCENT}, "encoding": {"x": x("m"), "y": y}},
    ]  # fmt: skip
    if dots:
        dot = {"type": "point", "filled": True, "fill": ALARM, "stroke": PAPER, "strokeWidth": 0.5, "size": 24}
        layers.append(
            {
                "data": {"values": dots},
                "mark": dot,
                "encoding": {"x": x("v"), "y": y},
            }
        )  # fmt: skip
    height = 70 if figures.facts["single"] else {"step": ROW_HEIGHT}
    return {"width": WIDTH, "height": height, "layer": layers}


def _scatter(figures: ChartFigures) -> dict[str, Any]:
    kind = "temporal" if figures.facts["time"] else "quantitative"
    encoding: dict[str, Any] = {
        "x": _scale("x", kind, figures.x_title, zero=False) | {"axis": _axis(kind)},
        "y": _scale("y", "quantitative", figures.y_title, zero=False) | {"axis": _axis("quantitative")},
    }
    faint = 0.75 if len(figures.points) <= 200 else 0.45
    mark: dict[str, Any] = {"type": "point", "filled": True, "size": 26, "opacity": faint}
    points = {"mark": mark, "encoding": encoding | _colour(figures, "fill")}
    if not figures.facts["series"]:
        mark["fill"] = ACCENT
    layers: list[dict[str, Any]] = [points]
    if figures.facts["line"]:
        layers.append(
            {
                "data": {"values": figures.facts["line"]},
                "mark": {"type": "line", "stroke": ALARM, "strokeWidth": 2, "strokeDash": [6, 3]},
                "encoding": encoding,
            }
        )
    return {"width": WIDTH, "height": HEIGHT, "layer": layers}


def _line(figures: ChartFigures) -> dict[str, Any]:
    kind = "temporal" if figures.facts["time"] else "quantitative"
    mark: dict[str, Any] = {"type": "line", "strokeWidth": 2, "strokeJoin": "round"}
    few = len(figures.points) <= 40
    if not figures.facts["series"]:
        mark["stroke"] = ACCENT
    encoding = {
        "x": _scale("x", kind, figures.x_title, zero=False) | {"axis": _axis(kind, grid=False)},
        "y": _scale("v", "quantitative", figures.y_title, zero=False) | {"axis": _axis("quantitative")},
    }
    layers: list[dict[str, Any]] = [{"mark": mark, "encoding": encoding | _colour(figures, "stroke")}]
    if few:
        dot: dict[str, Any] = {"type": "point", "filled": True, "size": 30, "opacity": 1}
        if not figures.facts["series"]:
            dot["fill"] = ACCENT
        hidden = {"fill": _colour(figures, "fill")["fill"] | {"legend": None}} if figures.facts["series"] else {}
        layers.append({"mark": dot, "encoding": encoding | hidden})
    return {"width": WIDTH, "height": HEIGHT, "layer": layers}


def _bar(figures: ChartFigures) -> dict[str, Any]:
    series = figures.facts["series"]
    mark: dict[str, Any] = {"type": "bar"}
    y: dict[str, Any] = {
        "field": "g", "type": "nominal", "sort": figures.facts["order"],
        "axis": {"title": figures.y_title, "labelOverlap": False},
    }  # fmt: skip
    x = _scale("v", "quantitative", figures.x_title) | {"axis": _axis("quantitative")}
    encoding: dict[str, Any] = {"x": x, "y": y}
    step = ROW_HEIGHT
    if not series:
        mark["fill"] = ACCENT
    else:
        encoding |= _colour(figures, "fill")
        if not figures.facts["stacks"]:
            encoding["yOffset"] = {"field": "c", "sort": series}
            x["stack"] = None
            step = 8
    return {"width": WIDTH, "height": {"step": step}, "mark": mark, "encoding": encoding}


def _heat_map(figures: ChartFigures) -> dict[str, Any]:
    across, down = figures.facts["x"], figures.facts["y"]
    signed = figures.facts["signed"]
    most = max((abs(point["v"]) for point in figures.points if point["v"] is not None), default=1.0) or 1.0
    scale = 1.0 if signed else most
    for point in figures.points:  # the ink stays legible on both colours up to this opacity, in light and in dark
        point["o"] = 0.0 if point["v"] is None else round(0.55 * abs(point["v"]) / scale, 3)
        point["s"] = "-" if (point["v"] or 0) < 0 else "+"
    wide = max(CELL, min(WIDTH // max(1, len(across)), 90))
    below = {"title": figures.x_title or None, "labelAngle": -40, "labelLimit": 110, "labelOverlap": False}
    beside = {"title": figures.y_title or None, "labelOverlap": False}
    x = {"field": "x", "type": "nominal", "sort": across, "axis": below}
    y = {"field": "y", "type": "nominal", "sort": down, "axis": beside}
    colours = {"domain": ["+", "-"], "range": [ACCENT, CONTRARY]}
    cells = {
        "mark": {"type": "rect", "stroke": PAPER, "strokeWidth": 1},
        "encoding": {
            "x": x, "y": y,
            "fill": {"field": "s", "type": "nominal", "legend": None, "scale": colours},
            "fillOpacity": {"field": "o", "type": "quantitative", "scale": None, "legend": None},
        },
    }  # fmt: skip
    words = {
        "mark": {"type": "text", "fill": INK, "fontSize": 11, "limit": wide},
        "encoding": {"x": x, "y": y, "text": {"field": "t"}},
    }
    return {"width": {"step": wide}, "height": {"step": 28}, "layer": [cells, words]}


def _scale(field: str, kind: str, title: str, *, zero: bool = True) -> dict[str, Any]:
    scale: dict[str, Any] = {"type": "utc"} if kind == "temporal" else {"zero": zero, "nice": True}
    return {"field": field, "type": kind, "title": title or None, "scale": scale}


def _axis(kind: str, *, grid: bool = True) -> dict[str, Any]:
    axis: dict[str, Any] = {"grid": grid, "tickCount": 5}
    return axis if kind == "temporal" else axis | {"labelExpr": _NUMBER}


def _colour(figures: ChartFigures, channel: str) -> dict[str, Any]:
    series = figures.facts["series"]
    if not series:
        return {}
    return {
        channel: {
            "field": "c", "type": "nominal", "title": figures.facts["color"] or None, "sort": series,
            "scale": {"domain": series, "range": list(SERIES[: len(series)])},
        }
    }  # fmt: skip


_DRAWERS: Final = {
    "histogram": _histogram, "box": _box, "scatter": _scatter, "line": _line, "bar": _bar, "heat-map": _heat_map,
}  # fmt: skip
