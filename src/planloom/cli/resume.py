"""`planloom resume RUN`: go on with a kept run that was cut off, failed, or waits for a person."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from planloom.cli import options
from planloom.cli.journals import journal_to_read
from planloom.cli.keeping import Keeper, starting
from planloom.cli.ledger import Ledger
from planloom.cli.runs import check_time_limit, drive, show_answer
from planloom.cli.sources import tools_required
from planloom.cli.terminal import Terminal
from planloom.engine.execute import RunOptions, resume_run
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
    from planloom.engine.kept import KeptRun

_EPILOG = """\b
Examples:
  planloom resume last --journal runs.db --tools my_tools.py
  planloom resume 3f2a --journal runs.db --tools my_tools.py --retry pay
  planloom resume 3f2a --journal runs.db --tools my_tools.py --set 'pay={"id": 7}'

\b
Exit codes: 0 done; 1 the run failed; 2 wrong usage, or another process drives
the run; 3 the plan does not fit the tools; 5 a step needs a person's word;
130, 143 interrupted.
"""


@click.command(epilog=_EPILOG, short_help="Go on with a run that was cut off, failed or waits.")
@click.argument("run", metavar="RUN")
@options.journal_option
@options.tools_option
@options.word_options
@options.json_option
@options.events_option
@options.output_option
@options.concurrency_option
@options.timeout_option
@click.pass_context
def resume(
    context: click.Context,
    run: str,
    tools: tuple[str, ...],
    output: Path | None,
    max_concurrency: int | None,
    timeout: float | None,
    **_options: object,
) -> int:
    """Go on with a kept run. RUN is its id, the beginning of it, or `last`.

    What has succeeded is never run again. A step that may or may not have had its effect waits for your word: --retry,
    --skip or --set. Failed steps are tried again. Name the same tools as for the run.
    """
    mode = options.mode_of(context)
    if mode == "events" and output is not None:
        raise click.UsageError("--events writes to stdout; it cannot be used together with --output", context)
    time_limit_s = check_time_limit(timeout)
    words = read_words(context.params)
    journal = journal_to_read(context)
    terminal = Terminal.open(output)
    context.call_on_close(terminal.close)
    from planloom.engine.kept import read_run  # SQLite and all

    kept = asyncio.run(read_run(journal, run))
    _check(kept, words)
    for note in kept.notes:
        terminal.say(f"note: {note}", "yellow")
    toolbox = tools_required(tools, "resume")
    if kept.status != RunStatus.SUCCEEDED:
        _check_tools(terminal, kept, toolbox, is_named=bool(tools))
    plan = kept.plan
    ledger = Ledger(plan, toolbox)
    for event in _known(kept, toolbox, words):
        ledger.apply(event)
    keeper = Keeper(terminal, journal, tools)

    async def begin(given: RunOptions) -> RunResult:
        on_event = given.get("on_event")
        result = await resume_run(
            kept.run_id,
            toolbox,
            words=words,
            journal=given.get("journal"),
            on_event=on_event,
            on_blocked=given.get("on_blocked"),
            workdir=given.get("workdir"),
            max_concurrency=max_concurrency,
            timeout_s=time_limit_s,
        )
        if kept.status == RunStatus.SUCCEEDED and on_event is not None:
            _tell_the_end(kept, result, on_event)
        return result

    return drive(
        terminal,
        mode,
        plan,
        toolbox,
        starting(keeper, RunOptions(), begin),
        lambda result: show_answer(terminal, result),
        time_limit_s,
        outcome=keeper.say_outcome,
        ledger=ledger,
    )


def read_words(given: Mapping[str, Any]) -> Words:
    """Return what --retry, --skip and --set say. Raises `UsageError`."""
    outputs: dict[str, Any] = {}
    for pair in given["set"]:
        step_id, equals, value = pair.partition("=")
        if not equals or not step_id:
            raise UsageError(f"--set takes STEP=JSON; got `{pair[:200]}`\nhint: --set 'pay={{\"id\": 7}}'")
        if step_id in outputs:
            raise UsageError(f"step `{step_id[:80]}` has two outputs by --set")
        outputs[step_id] = _read_json(step_id, value)
    said = [*dict.fromkeys(given["retry"]), *dict.fromkeys(given["skip"]), *outputs]
    twice = sorted({name for name in said if said.count(name) > 1})
    if twice:
        raise UsageError(f"step `{twice[0][:80]}` has more than one word: only one of --retry, --skip and --set")
    return Words.of(given["retry"], given["skip"], outputs)


def _read_json(step_id: str, text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise UsageError(
            f"--set {step_id[:80]}: `{text[:80]}` is not JSON\n"
            f"hint: text stands in quotes: --set '{step_id[:80]}=\"…\"'"
        ) from None


def _refuse(name: str) -> Any:
    raise ValueError(name)


def _check(kept: KeptRun, words: Words) -> None:
    """Raise `UsageError` for a run that this command cannot go on with."""
    if kept.kind != "execute":
        raise UsageError(
            f"run `{kept.run_id}` was made by an agent, and `planloom resume` goes on with runs of `planloom execute` "
            f"only\nhint: in Python, go on with it by agent.resume({kept.run_id!r})"
        )
    named = sorted(words.named())
    if named and kept.status == RunStatus.SUCCEEDED:
        raise UsageError(f"run `{kept.run_id}` has succeeded, so step `{named[0][:80]}` needs no word of a person")


def _check_tools(terminal: Terminal, kept: KeptRun, toolbox: Toolbox, *, is_named: bool) -> None:
    """Raise `PlanValidationError` when the tools are not those of the run."""
    inputs: dict[str, Any] = kept.meta.get("inputs") or {}
    issues = find_issues(kept.plan, toolbox, inputs=inputs)
    if has_errors(issues) and not is_named:
        terminal.say(
            "note: checked against the built-in analysis tools\nhint: name those of the run with --tools FILE.py"
        )
    validate_plan(kept.plan, toolbox, inputs=inputs)


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
        return events.StepSucceeded(seq, run_id, at, step.id, step.output, step.attempts, step.latency_ms)
    if step.status is StepStatus.SKIPPED:
        return events.StepSkipped(seq, run_id, at, step.id, step.reason or "", step.error)
    if step.status is StepStatus.UNKNOWN and step.error is not None:
        return events.StepUnknown(seq, run_id, at, step.id, step.error, step.attempts, step.latency_ms)
    return None


def _tell_the_end(kept: KeptRun, result: RunResult, on_event: Callable[[Event], None]) -> None:
    """Tell the end of a run that had succeeded before: nothing else happens."""
    history = kept.history
    on_event(events.RunFinished(history.last_seq, kept.run_id, history.ended_at or 0.0, None, result.status, result))
