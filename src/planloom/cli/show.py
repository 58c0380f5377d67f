"""`planloom show RUN`: a kept run as it stands: its plan, its steps, every attempt in time, and what it cost."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from planloom.cli import options
from planloom.cli.attempts import Attempt, attempts_of, timeline
from planloom.cli.documents import write_answer, write_document
from planloom.cli.journals import journal_to_read
from planloom.cli.keeping import going_on, questions
from planloom.cli.kept_runs import local_time
from planloom.cli.progress import said_of_usage
from planloom.cli.tables import Column, table_text
from planloom.cli.terminal import Terminal, paint
from planloom.cli.text import first_line, one_line, reused, shape_of, took, visible
from planloom.drawing import plan_text
from planloom.plan.history import DAMAGED_KEY
from planloom.plan.results import RunResult, StepResult
from planloom.plan.state import StepStatus

if TYPE_CHECKING:
    from planloom.engine.kept import KeptRun

_EPILOG = """\b
Examples:
  planloom show last
  planloom show 3f2a --json
  planloom show last --journal runs.db
"""
_COLOURS = {"succeeded": "green", "failed": "red", "running": None}


@click.command(epilog=_EPILOG, short_help="Show a kept run: plan, steps, attempts, timeline.")
@click.argument("run", metavar="RUN")
@options.journal_option
@options.json_option
@options.output_option
@click.pass_context
def show(context: click.Context, run: str, json: bool, output: Path | None, **_options: object) -> int:
    """Show a kept run: its plan, what became of each step, every attempt in time, replans and cost.

    RUN is the id of a run, the beginning of one, or `last`.
    """
    journal = journal_to_read(context)
    terminal = Terminal.open(output)
    context.call_on_close(terminal.close)
    from planloom.engine.kept import read_run  # SQLite and all

    kept = asyncio.run(read_run(journal, run))
    result, attempts = kept.result(), attempts_of(kept.records)
    for note in kept.notes:
        terminal.say(f"note: {note}", "yellow")
    if json:
        terminal.data(write_document(_document(kept, result, attempts), for_people=terminal.data_is_terminal))
        return 0
    terminal.text("\n".join(_parts(terminal, kept, result, attempts)))
    if kept.status != "running":
        asked = kept.history.asked
        needs = {name: "approval" if name in asked else "answer" for name in kept.history.waiting}
        for line in going_on(result, needs, journal):
            terminal.say(line, "yellow")
    return 0


def _document(kept: KeptRun, result: RunResult, attempts: list[Attempt]) -> dict[str, Any]:
    return {
        **result.to_dict(),
        "status": kept.status,
        "goal": kept.history.goal,
        "kind": kept.kind,
        "waiting": questions(result, kept.history.waiting),
        "attempts": [attempt.to_dict() for attempt in attempts],
    }


def _parts(terminal: Terminal, kept: KeptRun, result: RunResult, attempts: list[Attempt]) -> list[str]:
    """Return the parts for people, each ending with a newline."""
    parts = [_head(terminal, kept, result)]
    if result.plan.steps:
        drawing = plan_text(result.plan, width=terminal.width, ascii=not terminal.is_unicode)
        parts.append(drawing if drawing.endswith("\n") else drawing + "\n")
        parts.append(_steps(terminal, kept, result))
    if attempts:
        lines = timeline(attempts, terminal.width, ascii=not terminal.is_unicode)
        parts.append("\n".join([_bold(terminal, "timeline"), *lines]) + "\n")
    if result.answer is not None:
        parts.append(f"{_bold(terminal, 'answer')}\n{visible(write_answer(result.answer))}")
    return parts


def _bold(terminal: Terminal, text: str) -> str:
    return paint(text, "bold") if terminal.data_has_colour else text


def _head(terminal: Terminal, kept: KeptRun, result: RunResult) -> str:
    history = kept.history
    status = paint(kept.status, _COLOURS.get(kept.status, "yellow")) if terminal.data_has_colour else kept.status
    facts: list[tuple[str, str]] = [("run", f"{visible(kept.run_id)}  {status}")]
    if history.goal:
        facts.append(("goal", first_line(history.goal, 400)))
    if history.began_at is not None:
        facts.append(("began", f"{local_time(history.began_at)}, took {took(result.duration_ms)}"))
    if result.error is not None:
        facts.append(("error", first_line(result.error.message, 400)))
    if history.replans:
        facts.append(("replans", f"{history.replans:,}"))
    if history.rounds > 1:
        facts.append(("rounds", f"{history.rounds:,}"))
    cost = said_of_usage(result.usage)
    if cost:
        facts.append(("cost", cost))
    return "".join(f"{_bold(terminal, name.ljust(8))} {text}\n" for name, text in facts)


def _steps(terminal: Terminal, kept: KeptRun, result: RunResult) -> str:
    columns = [
        Column("step", style="bold"),
        Column("tool"),
        Column("state"),
        Column("attempts", align="right"),
        Column("took", align="right"),
        Column("what came of it", wraps=True),
    ]
    tools = {step.id: step.tool for step in result.plan.steps}
    rows = [
        [
            one_line(step.id, 80),
            one_line(tools[step.id], 80),
            _state(kept, step),
            str(step.attempts or ""),
            took(step.latency_ms) if step.latency_ms else "",
            _came_of(step),
        ]
        for step in result.steps.values()
    ]
    return table_text(columns, rows, terminal)


def _state(kept: KeptRun, step: StepResult) -> str:
    was_cut_off = kept.status == "interrupted" and step.status is StepStatus.RUNNING
    return "cut off" if was_cut_off else step.status.value


def _came_of(step: StepResult) -> str:
    if step.error is not None:
        return first_line(step.error.message, 400)
    if step.reason is not None:
        return first_line(step.reason, 400)
    output: Any = step.output
    if isinstance(output, dict) and DAMAGED_KEY in output:
        return f"damaged: {first_line(str(cast('Any', output[DAMAGED_KEY])), 400)}"
    if step.reused_from is not None:
        return f"{reused(step.reused_from)}: {shape_of(output)}"
    return shape_of(output) if step.status is StepStatus.SUCCEEDED else ""
