"""Turns an analysis into one HTML page that can be mailed, printed and opened years later without a network.

Here is what the page shows, as plain text and numbers; how it looks is in `templates`. Every text that comes from the
data (names, values, errors) is escaped by the template; only the drawings and the style sheet of this package are not.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

from planloom.analysis.analyst import Analysis, TableAnalysis, analysis_of
from planloom.analysis.anomalies import Anomalies, Extreme
from planloom.analysis.charts import box_plot, share_bar
from planloom.analysis.statistics import ColumnStats, Methods, Stats
from planloom.analysis.wording import count, number, share
from planloom.drawing import plan_svg, timeline_svg
from planloom.errors import MissingExtraError
from planloom.plan.issues import split_hint
from planloom.plan.results import RunResult

if TYPE_CHECKING:
    from jinja2 import Environment

COLUMNS_SHOWN: Final = 300
"""Rows of one table in the page; the rest is counted, and is in the JSON of the run."""
VALUE_CHARACTERS: Final = 60
ANSWER_CHARACTERS: Final = 20_000


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


def render_report(analysis: Analysis | RunResult, *, title: str | None = None) -> str:
    """Return the analysis as a self-contained HTML page.

    Takes what `analyse` returns, or the `RunResult` of a run of its playbook. A run that failed gives a page too,
    with the reasons on top. Raises `MissingExtraError` without Jinja.
    """
    if isinstance(analysis, RunResult):
        analysis = analysis_of(analysis)
    result = analysis.result
    sections = [section_of(table) for table in analysis.tables]
    names = [table.name for table in analysis.tables]
    heading = title or (names[0] if len(names) == 1 else count(len(names), "file"))
    statuses = {step_id: step.status.value for step_id, step in result.steps.items()}
    page = _environment().get_template("report.html.j2")
    return page.render(
        title=heading,
        run=_run_facts(result),
        problems=_problems(result),
        question=analysis.question,
        answer=_answer_text(analysis),
        sections=sections,
        plan_svg=plan_svg(result.plan, statuses),
        timeline_svg=timeline_svg(result),
        plan_json=json.dumps(result.plan.to_dict(), indent=2, ensure_ascii=False),
    )


def _answer_text(analysis: Analysis) -> list[str]:
    """The paragraphs of the answer to the question, if there is one."""
    if analysis.question is None or analysis.answer is None:
        return []
    answer: Any = analysis.result.to_dict()["answer"]
    text = answer if isinstance(answer, str) else json.dumps(answer, indent=2, ensure_ascii=False)
    cut = text if len(text) <= ANSWER_CHARACTERS else f"{text[:ANSWER_CHARACTERS]}… (cut; the JSON of the run has all)"
    return [paragraph.strip() for paragraph in re.split(r"\n\s*\n", cut) if paragraph.strip()]


def section_of(table: TableAnalysis) -> Section:
    """What the page shows about one file; parts whose step did not succeed are empty."""
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


def _run_facts(result: RunResult) -> dict[str, str]:
    seconds = result.duration_ms / 1000
    return {
        "id": result.run_id,
        "status": result.status.value,
        "goal": result.plan.goal,
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


def split_code(text: str) -> list[tuple[bool, str]]:
    """Cut a sentence at its backticks: (is a name, piece) in turn, so that names can be set apart."""
    pieces: Sequence[str] = re.split(r"`([^`]*)`", text)
    return [(position % 2 == 1, piece) for position, piece in enumerate(pieces) if piece]


@cache
def _environment() -> Environment:
    """Jinja is an extra; every template escapes everything it is given."""
    try:
        from jinja2 import Environment, FunctionLoader, StrictUndefined
    except ImportError as error:
        raise MissingExtraError("analysis", "writing a report") from error

    folder = resources.files("planloom.analysis").joinpath("templates")

    def load(name: str) -> str:
        return folder.joinpath(name).read_text(encoding="utf-8")

    environment = Environment(
        loader=FunctionLoader(load), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(split_code=split_code)  # pyright: ignore[reportUnknownMemberType]
    return environment
