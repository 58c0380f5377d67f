"""The tools that show what was found: charts, the choice of them, and a report. Signatures and words for a planner.

Every one writes into the run's own folder alone and gives a handle: the hash of what it wrote, and what that shows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, cast

from pydantic import Field
from typing_extensions import TypedDict

from planloom.analysis.charts_choice import MAX_CHARTS, USUAL_CHARTS, ChosenCharts, choose
from planloom.analysis.charts_drawing import MEDIA_TYPE, draw, keep_drawing
from planloom.analysis.charts_model import ChartAsked, ChartKind, Measure
from planloom.analysis.charts_request import chart_figures
from planloom.analysis.report_parts import ReportPart, write_report
from planloom.analysis.tables import Table
from planloom.errors import DataError
from planloom.tools import Tool, ToolContext, tool

if TYPE_CHECKING:
    from planloom.analysis.statistics import Stats

TIMEOUT_S: Final = 1800.0


class Chart(TypedDict):
    """A handle to a chart of this run, and what it shows in words."""

    artifact: Annotated[str, Field(description="Opaque hash of the drawing; pass the whole output on, to report")]
    media_type: Literal["image/svg+xml"]
    kind: ChartKind
    title: str
    alt: Annotated[str, Field(description="What the chart shows, in words with figures")]
    rows: Annotated[int, Field(description="Rows that the chart is made of")]
    missing: Annotated[int, Field(description="Rows left out for want of a value")]
    method: str


class ReportFile(TypedDict):
    """A handle to a report of this run: one HTML file that needs nothing else."""

    artifact: str
    media_type: Literal["text/html"]
    title: str
    sections: int
    bytes: int


@tool(read_only=True, calls_model=False, retries=0, timeout_s=TIMEOUT_S)
def draw_chart(  # noqa: D417 (a planner pays for every word; names and types say the rest)
    data: Table,
    kind: ChartKind,
    context: ToolContext,
    x: str | None = None,
    y: str | None = None,
    color: str | None = None,
    measure: Measure | None = None,
    columns: list[str] | None = None,
    title: str | None = None,
) -> Chart:
    """Draw a chart. `alt` says in words with figures what it shows.

    histogram: x. box: y per group x, or x alone. scatter: x, y. line: y along x (date or number). bar: y per value of
    x, without y its rows. heat-map: y and x crossed; without both, correlations of `columns` (default all numeric).

    Args:
        y: Of numbers; of groups in a heat-map.
        color: Splits scatter, line, bar; in a heat-map what is measured.
        measure: Of y in bar and line, of color in heat-map.
    """
    asked = ChartAsked(kind, x, y, color, measure, tuple(columns or ()), title)
    figures = chart_figures(data, context.workdir, asked)
    artifact = keep_drawing(draw(figures), context.workdir)
    return {
        "artifact": artifact,
        "media_type": MEDIA_TYPE,
        "kind": figures.kind,
        "title": figures.title,
        "alt": figures.alt,
        "rows": figures.rows,
        "missing": figures.missing,
        "method": figures.method,
    }


@tool(read_only=True, calls_model=False, retries=0)
def choose_charts(
    stats: dict[str, Any],
    correlations: dict[str, Any] | None = None,
    limit: Annotated[int, Field(ge=0, le=MAX_CHARTS)] = USUAL_CHARTS,
) -> ChosenCharts:
    """Choose charts worth drawing, from the outputs of compute_stats and correlate.

    `charts` is for a for_each step over draw_chart.
    """
    if not {"rows", "columns", "numeric"} <= stats.keys():
        raise DataError(
            "`stats` is not what compute_stats gives\nhint: pass its whole output, such as {{stats.output}}"
        )
    return choose(cast("Stats", stats), correlations, limit)


@tool(read_only=True, calls_model=False, retries=0)
def report(title: str, sections: list[ReportPart], context: ToolContext) -> ReportFile:
    """Write one self-contained HTML file of sections, findings first; content: text, a chart, any tool's output."""
    artifact, size = write_report(title, sections, context.workdir)
    return {
        "artifact": artifact,
        "media_type": "text/html",
        "title": title,
        "sections": len(sections),
        "bytes": size,
    }


OUTPUT_TOOLS: Final[tuple[Tool, ...]] = (choose_charts, draw_chart, report)
"""The tools of this module, for the toolbox of the analyst."""
