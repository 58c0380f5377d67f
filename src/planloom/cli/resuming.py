"""A kept run that goes on, whatever made it: with its plan and tools, and for a goal with its models.

Rule: what an earlier process has done is on the display from the start, and is not done again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from planloom.cli import options
from planloom.cli.keeping import Keeper, Kept, folder_beside, starting
from planloom.cli.ledger import Ledger
from planloom.cli.options import Mode
from planloom.cli.people import TerminalPerson, run_person
from planloom.cli.recalling import files_of, recall, report_of
from planloom.cli.runs import check_time_limit, drive, show_answer
from planloom.cli.sources import has_analysis, parse_inputs, tools_required
from planloom.cli.terminal import Terminal
from planloom.engine.execute import resume_run
from planloom.errors import UsageError
from planloom.plan import events
from planloom.plan.events import Event
from planloom.plan.history import Words
from planloom.plan.issues import has_errors
from planloom.plan.results import RunResult, StepResult
from planloom.plan.state import RunStatus, StepStatus
from planloom.tools import Toolbox
from planloom.tools.checks import find_issues, validate_plan

if TYPE_CHECKING:
    from planloom.cli.findings import Findings
    from planloom.engine.kept import KeptRun

EXECUTED: Final = "execute"
"""The kind of a run that was made without a model."""


MAX_NOTES: Final = 8
"""Files that are not as they were and are named."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A kept run, and where what happens with it is shown."""

    journal: str
    kept: KeptRun
    terminal: Terminal
    mode: Mode
    time_limit_s: float | None
    folder: Path
    drops_damaged: bool = False


def opened(context: click.Context, journal: str, name: str, terminal: Terminal | None = None) -> Opened:
    """Read a kept run, and the options of a command that goes on with it; `terminal` is one that is open already.

    Raises `UsageError`, `JournalError`.
    """
    mode = options.mode_of(context)
    output: Path | None = context.params.get("output")
    if mode == "events" and output is not None:
        raise click.UsageError("--events writes to stdout; it cannot be used together with --output", context)
    time_limit_s = check_time_limit(context.params.get("timeout"))
    if terminal is None:
        terminal = Terminal.open(output)
        context.call_on_close(terminal.close)
    kept = _read(journal, name, terminal)
    folder = recall(context, journal, kept.meta)
    return Opened(journal, kept, terminal, mode, time_limit_s, folder, bool(context.params.get("drop_damaged")))


def _read(journal: str, name: str, terminal: Terminal) -> KeptRun:
    from planloom.engine.kept import read_run  # SQLite and all

    kept = asyncio.run(read_run(journal, name))
    for note in kept.notes:
        terminal.say(f"note: {note}", "yellow")
    return kept


def go_on(context: click.Context, start: Opened, words: Words) -> int:
    """Go on with a run, or tell how it ended when it has succeeded; return the exit code. Raises `UsageError`."""
    named = sorted(words.named())
    if named and start.kept.status == RunStatus.SUCCEEDED:
        raise UsageError(
            f"run `{start.kept.run_id}` has succeeded, so step `{named[0][:80]}` needs no word of a person"
        )
    go = _go_on_with_plan if start.kept.kind == EXECUTED else _go_on_with_goal
    return go(context, start, words)


def _go_on_with_goal(context: click.Context, start: Opened, words: Words) -> int:
    from planloom.agent.recorded import INSTRUCTIONS_KEY
    from planloom.cli.goals import given, reach  # models and engine take a while to import

    kept, own = start.kept, _own_tools(context, start)
    what = given(
        context,
        kept.history.goal,
        terminal=start.terminal,
        folder=start.folder,
        journal=start.journal,
        own_tools=own.toolbox if own.holds_files else None,
    )
    what = replace(what, deps=own.deps, instructions=str(kept.meta.get(INSTRUCTIONS_KEY, "")))
    ledger = _ledger(kept, what.toolbox, words)

    async def begin(agent: Any, settings: Any) -> RunResult:
        result = await agent.resume(kept.run_id, words=words, drop_damaged=start.drops_damaged, **settings)
        return _told(kept, result, settings.get("on_event"))

    return reach(what, begin, kept.plan, ledger)


def _go_on_with_plan(context: click.Context, start: Opened, words: Words) -> int:
    params, kept, terminal = context.params, start.kept, start.terminal
    deps = _own_tools(context, start).deps
    tools: tuple[str, ...] = params.get("tools") or ()
    toolbox = tools_required(tools, context.command_path.rpartition(" ")[2])
    if kept.status != RunStatus.SUCCEEDED:
        _check_tools(terminal, kept, toolbox, is_named=bool(tools))
    keeper = Keeper(terminal, start.journal, {})
    person = TerminalPerson.at(terminal, toolbox, may_ask=not params.get("no_input"))
    findings = _findings_of(start)

    async def begin(given: Kept) -> RunResult:
        result = await resume_run(
            kept.run_id,
            toolbox,
            words=words,
            drop_damaged=start.drops_damaged,
            inputs=parse_inputs(params.get("input") or ()),
            deps=deps,
            person=run_person(frozenset(params.get("approve") or ()), person, kept.history.approvals),
            max_concurrency=params.get("max_concurrency"),
            timeout_s=start.time_limit_s,
            **given,
        )
        if findings is not None:
            findings.take(result, given.get("workdir") or folder_beside(given, kept.run_id))
        return _told(kept, result, given["on_event"])

    ledger = _ledger(kept, toolbox, words)
    if findings is not None:
        from planloom.cli.findings import drive_findings  # as in `_findings_of`

        return drive_findings(
            findings, start.mode, kept.plan, ledger, starting(keeper, begin), start.time_limit_s, keeper
        )
    return drive(
        terminal,
        start.mode,
        kept.plan,
        toolbox,
        starting(keeper, begin),
        lambda result: show_answer(terminal, result),
        start.time_limit_s,
        person=person,
        say_how_to_go_on=keeper.say_how_to_go_on,
        ledger=ledger,
    )


@dataclass(frozen=True, slots=True)
class _Own:
    """What a run has when nobody names tools: `deps` tell those of the analysis which files there are, and where.

    `holds_files`: it was given its files, so that it has the tools of the analysis alone.
    """

    deps: Any = None
    toolbox: Toolbox | None = None
    holds_files: bool = False


def _own_tools(context: click.Context, start: Opened) -> _Own:
    """Return what tools of its own a run goes on with, and say which of its files are not as they were."""
    if context.params.get("tools") or not has_analysis():
        return _Own()
    from planloom.analysis.tools import DataFiles, toolbox  # DuckDB takes 0.3 s to import

    files = files_of(start.kept.meta, start.folder)
    if files is None:
        return _Own(DataFiles(folder=start.folder))
    if start.kept.status != RunStatus.SUCCEEDED:
        for note in files.notes[:MAX_NOTES]:
            start.terminal.say(f"note: {note}", "yellow")
    return _Own(DataFiles(files.names, start.folder), toolbox, holds_files=True)


def _findings_of(start: Opened) -> Findings | None:
    """Return what shows the findings of a run that `planloom analyse` made, None for another run."""
    report = report_of(start.journal, start.kept.meta)
    if report is None or not has_analysis():
        return None
    if report.path is None:
        start.terminal.say("note: no report is written: only a journal that is a file says where it goes", "yellow")
    from planloom.cli.findings import Findings  # DuckDB takes 0.3 s to import

    return Findings(start.terminal, report.path, as_markdown=report.as_markdown)


def _check_tools(terminal: Terminal, kept: KeptRun, toolbox: Toolbox, *, is_named: bool) -> None:
    """Raise `PlanValidationError` when the tools are not those of the run."""
    inputs: dict[str, Any] = kept.meta.get("inputs") or {}
    issues = find_issues(kept.plan, toolbox, inputs=inputs)
    if has_errors(issues) and not is_named:
        terminal.say(
            "note: checked against the built-in analysis tools\nhint: name those of the run with --tools FILE.py"
        )
    validate_plan(kept.plan, toolbox, inputs=inputs)


def _ledger(kept: KeptRun, toolbox: Toolbox, words: Words) -> Ledger:
    """Return what the display shows from the start. Raises `UsageError` for words that fit no step."""
    ledger = Ledger(kept.plan, toolbox)
    for event in _known(kept, toolbox, words):
        ledger.apply(event)
    return ledger


def _known(kept: KeptRun, toolbox: Toolbox, words: Words) -> Iterable[Event]:
    """Yield what an earlier process and a person's words have settled, for the display. Raises `UsageError`."""
    from planloom.engine.journaled import effects_of, settled  # SQLite and all

    history = kept.history
    known = history.finished() if kept.status == RunStatus.SUCCEEDED else settled(history, effects_of(toolbox), words)
    steps = {step.id for step in kept.plan.steps}
    for step in known.values():
        event = _event_of(step, kept.run_id, history.last_seq) if step.id in steps else None
        if event is not None:
            yield event


def _event_of(step: StepResult, run_id: str, seq: int) -> Event | None:
    at = 0.0
    if step.status is StepStatus.SUCCEEDED:
        done = step.output, step.attempts, step.latency_ms, step.reused_from
        return events.StepSucceeded(seq, run_id, at, step.id, *done)
    if step.status is StepStatus.SKIPPED:
        return events.StepSkipped(seq, run_id, at, step.id, step.reason or "", step.error)
    if step.status is StepStatus.UNKNOWN and step.error is not None:
        return events.StepUnknown(seq, run_id, at, step.id, step.error, step.attempts, step.latency_ms)
    return None


def _told(kept: KeptRun, result: RunResult, on_event: Callable[[Event], None] | None) -> RunResult:
    """Tell the end of a run that had succeeded before: nothing else happens."""
    if kept.status == RunStatus.SUCCEEDED and on_event is not None:
        seq, at = kept.history.last_seq, kept.history.ended_at or 0.0
        on_event(events.RunFinished(seq, kept.run_id, at, None, result.status, result))
    return result
