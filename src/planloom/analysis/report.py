"""Turns an analysis into one HTML page that can be mailed, printed and opened years later without a network.

Here is what the page shows, as plain text and numbers; how it looks is in `templates`. Every text that comes from the
data (names, values, errors) is escaped by the template; only the drawings and the style sheet of this package are not.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from planloom.analysis.analyst import Analysis, TableAnalysis, analysis_of
from planloom.analysis.anomalies import Anomalies, Extreme
from planloom.analysis.charts import box_plot, share_bar
from planloom.analysis.rendering import Block, blocks_of, chart_block, compact, methods_in
from planloom.analysis.report_answer import Paragraph, paragraphs_of
from planloom.analysis.report_parts import environment
from planloom.analysis.report_remarks import remarks_on
from planloom.analysis.statistics import ColumnStats, Methods, Stats
from planloom.analysis.tracing import Figure, untraced
from planloom.analysis.wording import count, number, printable, share
from planloom.drawing import plan_svg, timeline_svg
from planloom.drawing.words import clean
from planloom.plan.issues import split_hint
from planloom.plan.results import RunResult, StepResult

COLUMNS_SHOWN: Final = 300
"""Rows of one table in the page; the rest is counted, and is in the JSON of the run."""
VALUE_CHARACTERS: Final = 60
TITLE_CHARACTERS: Final = 200
STEPS_SHOWN: Final = 1_000
GIVEN_SHOWN: Final = 200
"""Inputs of a run, and numbers of its answer that were given, that the page names."""
ARGUMENT_CHARACTERS: Final = 600
METHOD_CHARACTERS: Final = 1_200
TOLD_TOOLS: Final = frozenset(
    ("load_data", "compute_stats", "find_anomalies", "generate_summary", "choose_charts", "draw_chart", "report")
)
"""Tools whose outputs have a place of their own in the page, or nothing to show; others are shown as they are."""


@dataclass(frozen=True, slots=True)
class Tile:
    """One of the large figures at the top."""

    label: str
    value: str
    note: str
    alarming: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """One numeric column that has anomalies."""

    name: str
    number: str
    share: str
    usual: str
    values: tuple[tuple[str, str, str], ...]
    """Value, row and distance of each example, the most extreme first."""
    more: int


@dataclass(frozen=True, slots=True)
class Section:
    """Everything the page shows about one file."""

    name: str
    sentences: tuple[str, ...]
    tiles: tuple[Tile, ...]
    threshold: str
    findings: tuple[Finding, ...]
    numeric: tuple[dict[str, Any], ...]
    columns: tuple[dict[str, Any], ...]
    hidden_numeric: int
    hidden_columns: int
    methods: Methods | None
    decisions: tuple[str, ...]
    remarks: tuple[str, ...] = ()
    """What else is worth knowing, a sentence each."""
    charts: tuple[Block, ...] = ()
    steps: Mapping[str, str] = field(default_factory=dict[str, str])
    """The ids of the steps that the figures come from, by part."""


@dataclass(frozen=True, slots=True)
class Result:
    """The output of one step that has no place of its own in the page."""

    step: str
    heading: str
    tool: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Origin:
    """How the figures of one step were made: what was called with what, and in the tool's words how it computed."""

    step: str
    description: str
    tool: str
    args: str
    method: str
    status: str
    took: str


@dataclass(frozen=True, slots=True)
class Page:
    """Everything a report says, whatever it is written in."""

    title: str
    run: Mapping[str, str]
    problems: tuple[Mapping[str, str], ...]
    question: str | None
    answer: tuple[Paragraph, ...]
    untraced: tuple[Figure, ...]
    given: tuple[str, ...]
    """Numbers of the answer that the question, an input or an argument says, each once."""
    inputs: tuple[tuple[str, str], ...]
    """What the run was given, by name."""
    drawn: tuple[Block, ...]
    """Charts of the answer to the question."""
    sections: tuple[Section, ...]
    results: tuple[Result, ...]
    origins: tuple[Origin, ...]
    plan_json: str


def render_report(analysis: Analysis | RunResult, *, title: str | None = None) -> str:
    """Return the analysis as a self-contained HTML page.

    Takes what `analyse` returns, or the `RunResult` of a run of its playbook (then without the drawings of charts,
    which stand in the run's folder). A run that failed gives a page too, with the reasons on top. Raises
    `MissingExtraError` without Jinja.
    """
    if isinstance(analysis, RunResult):
        analysis = analysis_of(analysis)
    result = analysis.result
    statuses = {step_id: step.status.value for step_id, step in result.steps.items()}
    page = environment().get_template("report.html.j2")
    written = page.render(
        page=page_of(analysis, title=title),
        plan_svg=plan_svg(result.plan, statuses),
        timeline_svg=timeline_svg(result),
    )
    return printable(written)


def page_of(analysis: Analysis, *, title: str | None = None) -> Page:
    """What the report of an analysis says, as plain text and numbers."""
    result = analysis.result
    names = [table.name for table in analysis.tables]
    heading = title or (names[0] if len(names) == 1 else count(len(names), "file") if names else result.plan.goal)
    tools = {step.id: (step.tool, step.description) for step in result.plan.steps}
    results: list[Result] = []
    drawn: list[Block] = []
    for step_id, step in result.steps.items():
        tool, description = tools.get(step_id, ("", step_id))
        blocks = blocks_of(step.output, analysis.drawings.get) if step.is_success and step.output is not None else []
        if analysis.question is not None:
            drawn += [block for block in blocks if block.kind == "chart"]
            blocks = [block for block in blocks if block.kind != "chart"]
        if blocks and (tool not in TOLD_TOOLS or (analysis.question is not None and tool == "generate_summary")):
            results.append(Result(step_id, clean(description), tool, tuple(blocks)))
    return Page(
        title=clean(heading, TITLE_CHARACTERS),
        run=_run_facts(analysis),
        problems=tuple(_problems(result)),
        question=analysis.question,
        answer=() if analysis.question is None else paragraphs_of(result.to_dict()["answer"], analysis.figures),
        untraced=tuple(untraced(list(analysis.figures))),
        given=_given(analysis.figures),
        inputs=_inputs(result.plan.inputs),
        drawn=tuple(drawn),
        sections=tuple(section_of(table, analysis.drawings) for table in analysis.tables),
        results=tuple(results),
        origins=tuple(_origins(result)),
        plan_json=json.dumps(result.plan.to_dict(), indent=2, ensure_ascii=False),
    )


def _given(figures: Sequence[Figure]) -> tuple[str, ...]:
    said = dict.fromkeys(clean(figure.text.strip(), VALUE_CHARACTERS) for figure in figures if figure.status == "given")
    return tuple(said)[:GIVEN_SHOWN]


def _inputs(inputs: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    given = [
        (clean(name, VALUE_CHARACTERS), clean(compact(value), ARGUMENT_CHARACTERS))
        for name, value in list(inputs.items())[:GIVEN_SHOWN]
        if value is not None
    ]
    return tuple(given)


def _origins(result: RunResult) -> list[Origin]:
    plan = {step.id: step for step in result.plan.steps}
    origins: list[Origin] = []
    for step_id, step in list(result.steps.items())[:STEPS_SHOWN]:
        planned = plan.get(step_id)
        each = (
            f" for each of {clean(compact(planned.for_each), 200)}" if planned and planned.for_each is not None else ""
        )
        args = {} if planned is None else planned.args
        origins.append(
            Origin(
                step=step_id,
                description=clean(step_id if planned is None else planned.description),
                tool="" if planned is None else clean(planned.tool),
                args=clean(", ".join(f"{key} = {compact(value)}" for key, value in args.items()), ARGUMENT_CHARACTERS)
                + each,
                method=clean("; ".join(methods_in(step.output)), METHOD_CHARACTERS) if step.is_success else "",
                status=step.status.value,
                took=_took(step),
            )
        )
    return origins


def _took(step: StepResult) -> str:
    return "" if step.started_s is None else f"{step.latency_ms:,.0f} ms"


def section_of(table: TableAnalysis, drawings: Mapping[str, str] | None = None) -> Section:
    """What the page shows about one file; parts whose step did not succeed are empty."""
    known: Mapping[str, str] = {} if drawings is None else drawings
    stats, anomalies = table.stats, table.anomalies
    numeric = () if stats is None else _numeric_rows(stats, anomalies)
    columns = () if stats is None else tuple(_column_row(n, c, stats["rows"]) for n, c in stats["columns"].items())
    return Section(
        name=table.name,
        sentences=() if table.summary is None else tuple(table.summary["sentences"]),
        tiles=() if stats is None else _tiles(stats, anomalies),
        threshold="" if anomalies is None else number(anomalies["threshold"]),
        findings=() if anomalies is None else _findings(anomalies),
        numeric=numeric[:COLUMNS_SHOWN],
        columns=columns[:COLUMNS_SHOWN],
        hidden_numeric=max(0, len(numeric) - COLUMNS_SHOWN),
        hidden_columns=max(0, len(columns) - COLUMNS_SHOWN),
        methods=None if stats is None else stats["methods"],
        decisions=() if table.table is None else tuple(table.table["decisions"]),
        remarks=tuple(remarks_on(table)),
        charts=tuple(chart_block(chart, known.get) for chart in table.charts),
        steps={part: f"{part}{table.suffix}" for part in ("load", "stats", "anomalies", "profile", "correlations")},
    )


def _tiles(stats: Stats, anomalies: Anomalies | None) -> tuple[Tile, ...]:
    columns = stats["columns"].values()
    missing = sum(column["missing"] for column in columns)
    lacking = sum(column["missing"] > 0 for column in columns)
    tiles = [
        Tile("Rows", f"{stats['rows']:,}", "of data"),
        Tile("Columns", f"{len(columns):,}", f"{len(stats['numeric']):,} numeric"),
        Tile(
            "Missing",
            share(missing, stats["rows"] * len(columns)),
            f"{count(missing, 'cell')} in {count(lacking, 'column')}" if missing else "no cell is missing",
        ),
    ]
    if anomalies is not None:
        affected = sum(found["count"] > 0 for found in anomalies["columns"].values())
        note = f"in {count(affected, 'column')}" if affected else "no value stands out"
        tiles.append(Tile("Anomalies", f"{anomalies['total']:,}", note, alarming=anomalies["total"] > 0))
    return tuple(tiles)


def _findings(anomalies: Anomalies) -> tuple[Finding, ...]:
    """The columns with anomalies, the one with the farthest value first."""
    affected = [(name, found) for name, found in anomalies["columns"].items() if found["count"]]
    affected.sort(key=lambda item: -abs(item[1]["values"][0]["deviations"]))
    return tuple(
        Finding(
            name=name,
            number=f"{found['count']:,}",
            share=share(found["count"], found["checked"]),
            usual=f"{number(found['lower'])} to {number(found['upper'])}",
            values=tuple(map(_example, found["values"])),
            more=found["count"] - len(found["values"]),
        )
        for name, found in affected[:COLUMNS_SHOWN]
    )


def _example(extreme: Extreme) -> tuple[str, str, str]:
    sign = "above" if extreme["deviations"] > 0 else "below"
    return number(extreme["value"]), f"{extreme['row']:,}", f"{abs(extreme['deviations']):.1f} {sign}"


def _numeric_rows(stats: Stats, anomalies: Anomalies | None) -> tuple[dict[str, Any], ...]:
    rows: list[dict[str, Any]] = []
    for name, figures in stats["numeric"].items():
        found = anomalies["columns"].get(name) if anomalies is not None else None
        far = [extreme["value"] for extreme in found["values"]] if found is not None else []
        shown = ("mean", "std", "min", "q25", "median", "q75", "max")
        rows.append(
            {
                "name": name,
                "count": f"{figures['count']:,}",
                "figures": [number(figures[key]) for key in shown],
                "plot": box_plot(figures, far) if len(rows) < COLUMNS_SHOWN else None,
            }
        )
    return tuple(rows)


def _column_row(name: str, column: ColumnStats, rows: int) -> dict[str, Any]:
    return {
        "name": name,
        "type": column["type"],
        "count": f"{column['count']:,}",
        "missing": f"{column['missing']:,}",
        "missing_share": share(column["missing"], rows) if column["missing"] else "",
        "bar": share_bar(column["missing_share"]) if column["missing"] else None,
        "distinct": f"{column['distinct']:,}",
        "note": _column_note(column),
    }


def _column_note(column: ColumnStats) -> str:
    """What is worth knowing about a column's values, in a few words."""
    if column["count"] == 0:
        return "no value at all"
    if column["distinct"] == 1:
        return "always the same"
    if column["most_common"] is not None and column["most_common_count"] is not None:
        return f"{_shortened(column['most_common'])} ({share(column['most_common_count'], column['count'])})"
    if column["first"] is not None and column["last"] is not None:
        return f"{column['first']} to {column['last']}"
    if column["distinct"] == column["count"]:
        return "every value differs"
    return ""


def _shortened(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= VALUE_CHARACTERS else f"{line[: VALUE_CHARACTERS - 1]}…"


def _run_facts(analysis: Analysis) -> dict[str, str]:
    result = analysis.result
    seconds = result.duration_ms / 1000
    return {
        "id": result.run_id,
        "status": result.status.value,
        "goal": result.plan.goal,
        "how": "A saved plan ran without a model."
        if analysis.question is None
        else (f"A model planned this, and wrote the answer ({count(result.usage.model_calls, 'call')} of models)."),
        "started": "" if result.started_at is None else result.started_at.strftime("%d %B %Y, %H:%M %Z").strip(" ,"),
        "duration": f"{seconds:.1f} s" if seconds >= 1 else f"{result.duration_ms:.0f} ms",
        "steps": count(len(result.steps), "step"),
    }


def _problems(result: RunResult) -> list[dict[str, str]]:
    """Each failed step with its reason and hint; steps that were skipped for it are not repeated."""
    problems: list[dict[str, str]] = []
    for step_id, step in result.steps.items():
        if step.error is None or step.status.value not in ("failed", "cancelled", "unknown"):
            continue
        reason, hint = (" ".join(part.split()) for part in split_hint(step.error.message))
        problems.append({"step": step_id, "status": step.status.value, "reason": reason, "hint": hint})
    if result.error is not None:
        problems.append({"step": "", "status": "failed", "reason": result.error.message, "hint": ""})
    return problems
