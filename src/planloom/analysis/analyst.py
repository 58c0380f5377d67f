"""Analyses files: binds the built-in playbook to them and runs it through the engine, without a model.

The plan is an ordinary plan and the run an ordinary run; `Analysis` only gives its parts their names. A question is
asked behind that, by way of `question.py`.
"""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from planloom.analysis.anomalies import Anomalies
from planloom.analysis.keepsakes import charts_in, with_drawings
from planloom.analysis.playbook import USUAL_CHARTS, plan_for
from planloom.analysis.statistics import Stats
from planloom.analysis.summary import Summary
from planloom.analysis.tables import Table
from planloom.analysis.tools import toolbox
from planloom.analysis.tracing import Figure
from planloom.engine.execute import execute_plan
from planloom.plan.model import Plan
from planloom.plan.results import RunResult, StepResult
from planloom.plan.state import RunStatus

PathLike = str | os.PathLike[str]


@dataclass(frozen=True, slots=True)
class TableAnalysis:
    """What was found about one file; a part is None if its step did not succeed."""

    path: str
    table: Table | None
    stats: Stats | None
    anomalies: Anomalies | None
    summary: Summary | None
    profile: Mapping[str, Any] | None = None
    """What `profile_table` found."""
    missing: Mapping[str, Any] | None = None
    """What `count_missing` found."""
    correlations: Mapping[str, Any] | None = None
    """What `correlate` found; None also for a table with fewer than two numeric columns."""
    charts: tuple[Mapping[str, Any], ...] = ()
    """Handles of the charts that `draw_chart` drew; their drawings are in the analysis."""
    suffix: str = ""
    """What the ids of this file's steps end with, such as `_2`."""

    @property
    def name(self) -> str:
        """The file's name without its folder."""
        return Path(self.path).name


@dataclass(frozen=True, slots=True)
class Analysis:
    """A finished analysis: the run, and what it found about each file.

    With a `question`, `result` is the run that answers it, and `tables` is what the playbook found before.
    """

    result: RunResult
    tables: tuple[TableAnalysis, ...]
    """One per file, in the order in which they were given."""
    question: str | None = None
    drawings: Mapping[str, str] = field(default_factory=dict[str, str])
    """The charts as SVG, by their hash."""
    figures: tuple[Figure, ...] = ()
    """Every number of the answer to the question, with the step that it comes from, or none."""

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self.result.run_id

    @property
    def status(self) -> RunStatus:
        """How the run ended."""
        return self.result.status

    @property
    def answer(self) -> Any:
        """The answer to the question; without one, the summary of each file."""
        return self.result.answer

    @property
    def plan(self) -> Plan:
        """The plan that ran, its inputs bound, ready to run again."""
        return self.result.plan

    @property
    def steps(self) -> dict[str, StepResult]:
        """Every step's state, output, error and time, by id."""
        return self.result.steps

    @property
    def summary(self) -> str:
        """Three sentences for each file that could be analysed, a paragraph each; empty if there is none."""
        return "\n\n".join(table.summary["text"] for table in self.tables if table.summary is not None)

    @property
    def stats(self) -> Stats | None:
        """The statistics of the first file; those of the others are in `tables`."""
        return self.tables[0].stats

    @property
    def anomalies(self) -> Anomalies | None:
        """The anomalies of the first file; those of the others are in `tables`."""
        return self.tables[0].anomalies

    @property
    def decisions(self) -> list[str]:
        """What was decided while the first file was read; that of the others is in `tables`."""
        table = self.tables[0].table
        return [] if table is None else table["decisions"]

    def raise_for_status(self) -> Analysis:
        """Return the analysis itself when the run succeeded; else raise `StepExecutionError`."""
        self.result.raise_for_status()
        return self

    def to_dict(self) -> dict[str, Any]:
        """The run as a JSON document, as `RunResult.to_dict` gives it; with a question also the answer's `figures`."""
        written = self.result.to_dict()
        return written if self.question is None else written | {"figures": [f.to_dict() for f in self.figures]}


async def analyse(
    paths: PathLike | Sequence[PathLike],
    question: str | None = None,
    model: Any = None,
    *,
    threshold: float = 3.0,
    separator: str | None = None,
    encoding: str | None = None,
    header: bool | None = None,
    charts: int = USUAL_CHARTS,
    allow_rows: bool = False,
    on_event: Callable[..., Any] | None = None,
    on_step_complete: Callable[..., Any] | None = None,
    max_concurrency: int | None = None,
    workdir: PathLike | None = None,
    timeout_s: float | None = None,
    on_blocked: Callable[[str, float], None] | None = None,
    journal: Any = None,
    meta: Mapping[str, Any] | None = None,
) -> Analysis:
    """Describe one or several files, find their anomalies, sum them up, and answer a question about them.

    Several files are analysed side by side, each in its own branch of the plan. `threshold` is in standard
    deviations. `separator`, `encoding` and `header` override what the files show. At most `charts` charts are drawn of
    each file, 0 for none. The other options are those of `execute_plan`; a question and its run are kept in a `journal`
    too.

    A model is asked only when a question or a `model` is given (a name such as "groq:llama-3.3-70b-versatile" or a
    `Model`, by default that of the first provider with a key); without a question it is asked to describe the files. It
    is shown names, types and figures of columns, and rows only with `allow_rows`. The question is planned and answered
    in a run of its own, behind that of the playbook.

    Returns the `Analysis`, also of a run that failed (a missing file, say; then the question is not asked): look at
    `.status`, or call `.raise_for_status()`. Raises `UsageError` for a question without a model, `MissingExtraError`
    without DuckDB, and for a question what `Agent.run` raises.
    """
    worker: Any = None
    if question is not None or model is not None:
        from planloom.analysis.question import check_question, worker_of  # models are needed for questions alone

        question = check_question(question, model)
        worker = worker_of(model)
    given = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
    names = [os.fspath(path) for path in given]
    asked = {"separator": separator, "encoding": encoding, "header": header}
    overrides = {name: value for name, value in asked.items() if value is not None}
    plan = plan_for(names, threshold=threshold, overrides=overrides, charts=charts)
    options: dict[str, Any] = {
        "on_event": on_event,
        "on_step_complete": on_step_complete,
        "max_concurrency": max_concurrency,
        "timeout_s": timeout_s,
        "on_blocked": on_blocked,
        "journal": journal,
        "meta": meta,
    }
    run_id = secrets.token_hex(8)
    with _run_folder(workdir, journal, run_id) as folder:
        result = await execute_plan(plan, toolbox, **options, run_id=run_id, workdir=folder, worker_model=worker)
        analysis = with_drawings(analysis_of(result), folder)
        if question is None or result.status is not RunStatus.SUCCEEDED:
            return analysis
        from planloom.analysis.question import ask_about

        options["workdir"] = folder
        return await ask_about(analysis, question, model=model, allow_rows=allow_rows, **options)


@contextmanager
def _run_folder(given: PathLike | None, journal: Any, run_id: str) -> Generator[Path]:
    """The folder of the run: the one that was given, else one that lives as long as what may need it.

    Charts outlive the run, and with a journal tables do too.
    """
    if given is not None:
        yield Path(given)
        return
    kept = None
    if journal is not None:
        from planloom.engine.journaled import folder_of  # SQLite and all are for runs that are kept

        kept = folder_of(journal, run_id)
    if kept is not None:
        yield kept
        return
    own = tempfile.mkdtemp(prefix="planloom-")
    try:
        yield Path(own)
    finally:
        shutil.rmtree(own, ignore_errors=True)


def analysis_of(result: RunResult) -> Analysis:
    """Give the parts of a run of the playbook their names; the steps are found by their tools."""
    found: list[TableAnalysis] = []
    for step in result.plan.steps:
        if step.tool != "load_data":
            continue
        suffix = step.id.removeprefix("load")
        key = f"path{suffix}"
        found.append(
            TableAnalysis(
                path=str(result.plan.inputs.get(key, step.args.get("path", step.id))),
                table=cast("Table | None", _output(result, step.id)),
                stats=cast("Stats | None", _output(result, f"stats{suffix}")),
                anomalies=cast("Anomalies | None", _output(result, f"anomalies{suffix}")),
                summary=cast("Summary | None", _output(result, f"summary{suffix}")),
                profile=_output(result, f"profile{suffix}"),
                missing=_output(result, f"missing{suffix}"),
                correlations=_output(result, f"correlations{suffix}"),
                charts=tuple(charts_in(_output(result, f"charts{suffix}"))),
                suffix=suffix,
            )
        )
    return Analysis(result, tuple(found))


def _output(result: RunResult, step_id: str) -> Any:
    step = result.steps.get(step_id)
    return step.output if step is not None and step.is_success else None
