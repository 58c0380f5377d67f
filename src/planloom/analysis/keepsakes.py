"""What an analysis keeps of its run beyond the outputs: charts as drawings, and where an answer's numbers are from.

Drawings stand in the run's folder, which goes when the run ends, so they are read while it is there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from planloom.analysis.charts_drawing import MEDIA_TYPE, read_drawing
from planloom.analysis.tracing import trace

if TYPE_CHECKING:
    from planloom.analysis.analyst import Analysis

MAX_DRAWINGS: Final = 500
"""Charts of one analysis whose drawings are kept."""
MAX_NESTING: Final = 6


def with_drawings(analysis: Analysis, folder: Path) -> Analysis:
    """The analysis with the charts of its run, which stand in the run's folder as long as that is there."""
    outputs = [step.output for step in analysis.steps.values()]
    handles = [chart for output in outputs for chart in charts_in(output)][:MAX_DRAWINGS]
    found = {artifact: read_drawing(artifact, folder) for chart in handles if (artifact := str(chart.get("artifact")))}
    return replace(analysis, drawings={**analysis.drawings, **{key: text for key, text in found.items() if text}})


def with_figures(analysis: Analysis) -> Analysis:
    """The analysis with every number of its answer traced to the steps that gave it."""
    if analysis.question is None or not isinstance(analysis.answer, str):
        return analysis
    outputs = {step_id: step.output for step_id, step in analysis.steps.items() if step.is_success}
    args = [_numbers_of(step.args) for step in analysis.plan.steps]
    given = {"question": analysis.question, "inputs": analysis.plan.inputs, "args": args}
    return replace(analysis, figures=tuple(trace(analysis.answer, outputs, given)))


def _numbers_of(value: Any, depth: int = 0) -> Any:
    """The numbers among a step's arguments: a threshold may be repeated, a sentence of the planner proves nothing."""
    if isinstance(value, Mapping):
        value = list(cast("Mapping[str, Any]", value).values())
    if isinstance(value, list):
        return [_numbers_of(inner, depth + 1) for inner in cast("list[Any]", value)] if depth < MAX_NESTING else None
    return value if isinstance(value, int | float) else None


def charts_in(output: Any, depth: int = 0) -> Iterator[Mapping[str, Any]]:
    """Every handle to a chart in an output, wherever it stands."""
    if isinstance(output, Mapping):
        members = cast("Mapping[str, Any]", output)
        if members.get("media_type") == MEDIA_TYPE:
            yield members
        elif depth < MAX_NESTING:
            for inner in members.values():
                yield from charts_in(inner, depth + 1)
    elif isinstance(output, list) and depth < MAX_NESTING:
        for inner in cast("list[Any]", output):
            yield from charts_in(inner, depth + 1)
