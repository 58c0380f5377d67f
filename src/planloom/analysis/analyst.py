"""Analyses files: binds the built-in playbook to them and runs it through the engine, without a model.

The plan is an ordinary plan and the run an ordinary run; `Analysis` only gives its parts their names. A question is
asked behind that, by way of `question.py`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from planloom.analysis.anomalies import Anomalies
from planloom.analysis.playbook import plan_for
from planloom.analysis.statistics import Stats
from planloom.analysis.summary import Summary
from planloom.analysis.tables import Table
from planloom.analysis.tools import toolbox
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
        """The run as a JSON document, as `RunResult.to_dict` gives it."""
        return self.result.to_dict()


async def analyse(
    paths: PathLike | Sequence[PathLike],
    question: str | None = None,
    model: Any = None,
    *,
    threshold: float = 3.0,
    separator: str | None = None,
    encoding: str | None = None,
    header: bool | None = None,
    on_event: Callable[..., Any] | None = None,
    on_step_complete: Callable[..., Any] | None = None,
    max_concurrency: int | None = None,
    workdir: PathLike | None = None,
    timeout_s: float | None = None,
    on_blocked: Callable[[str, float], None] | None = None,
) -> Analysis:
    """Describe one or several files, find their anomalies, sum them up, and answer a question about them.

    Several files are analysed side by side, each in its own branch of the plan. `threshold` is in standard
    deviations. `separator`, `encoding` and `header` override what the files show. The other options are those of
    `execute_plan`. A model is asked only for a question: `model` (a name such as "groq:llama-3.3-70b-versatile" or a
    `Model`, by default that of the first provider with a key), and it sees names, types and figures of columns, never
    rows. The question is planned and answered in a run of its own, behind that of the playbook.

    Returns the `Analysis`, also of a run that failed (a missing file, say; then the question is not asked): look at
    `.status`, or call `.raise_for_status()`. Raises `UsageError` for a question without a model and a model without a
    question, `MissingExtraError` without DuckDB, and for a question what `Agent.run` raises.
    """
    if question is not None or model is not None:
        from planloom.analysis.question import check_question  # models and planning are needed for questions alone

        check_question(question, model)
    given = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
    names = [os.fspath(path) for path in given]
    asked = {"separator": separator, "encoding": encoding, "header": header}
    overrides = {name: value for name, value in asked.items() if value is not None}
    plan = plan_for(names, threshold=threshold, overrides=overrides)
    result = await execute_plan(
        plan,
        toolbox,
        on_event=on_event,
        on_step_complete=on_step_complete,
        max_concurrency=max_concurrency,
        workdir=workdir,
        timeout_s=timeout_s,
        on_blocked=on_blocked,
    )
    analysis = analysis_of(result)
    if question is None or result.status is not RunStatus.SUCCEEDED:
        return analysis
    from planloom.analysis.question import ask_about

    options: dict[str, Any] = {"on_event": on_event, "on_step_complete": on_step_complete, "timeout_s": timeout_s}
    return await ask_about(
        analysis,
        question,
        model=model,
        max_concurrency=max_concurrency,
        **options,
        workdir=workdir,
        on_blocked=on_blocked,
    )


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
            )
        )
    return Analysis(result, tuple(found))


def _output(result: RunResult, step_id: str) -> Any:
    step = result.steps.get(step_id)
    return step.output if step is not None and step.is_success else None
