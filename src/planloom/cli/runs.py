"""A run as a command shows it: progress while it happens, and then one document, a stream, or words for people."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from planloom.cli.documents import write_answer, write_document
from planloom.cli.driver import Driver, Reporter, Start
from planloom.cli.keeping import questions
from planloom.cli.ledger import Ledger, StepView
from planloom.cli.lines import LineReporter
from planloom.cli.options import Mode
from planloom.cli.progress import said_of_usage
from planloom.cli.streams import AnswerStream, EventStream
from planloom.cli.terminal import OutputError, Terminal
from planloom.cli.text import counted, first_line, one_line, took
from planloom.engine.watchdog import OnBlocked
from planloom.errors import BudgetExceededError, ModelError, PlanValidationError, UsageError
from planloom.plan.events import Event
from planloom.plan.model import Plan
from planloom.plan.results import RunResult, StepError
from planloom.plan.state import RunStatus, StepStatus
from planloom.tools import Tool

if TYPE_CHECKING:
    from planloom.cli.people import TerminalPerson

_OPTION_OF: Final = {"model_calls": "--max-model-calls", "tokens": "--max-tokens", "cost_usd": "--max-cost"}
_BOUND: Final = re.compile(rf"Budget\(({'|'.join(_OPTION_OF)})=([\d.]+)\)")
MAX_QUESTIONS: Final = 20
"""Open questions that are said at the end of a run that waits."""


def drive(
    terminal: Terminal,
    mode: Mode,
    plan: Plan,
    tools: Mapping[str, Tool],
    start: Start,
    show: Callable[[RunResult], None],
    time_limit_s: float | None = None,
    prepare: Callable[[RunResult], dict[str, Any]] = lambda _: {},
    *,
    person: TerminalPerson | None = None,
    streams_answer: bool = False,
    outcome: Callable[[Terminal, RunResult], None] | None = None,
    say_how_to_go_on: Callable[[Terminal, RunResult], None] | None = None,
    ledger: Ledger | None = None,
    keeps_display: bool = True,
    is_quiet: bool = False,
    show_also: Callable[[RunResult], None] | None = None,
) -> int:
    """Run, report and deliver; return the exit code.

    `show` writes the result for people, in that mode. `prepare` comes before that in every mode; what it returns
    is added to the document. An OutputError of it is raised after the rest has been delivered. `person` is asked
    between the frames of the display. With `streams_answer` a person at a terminal sees the answer as it is written,
    and `show` is for what was not seen that way. `outcome` says on stderr how it went, by default `say_outcome`, and
    `say_how_to_go_on` follows the open questions of a run that is kept.
    `ledger` is one that the start of the run knows too. Without `keeps_display` nothing of the display is left; when
    `is_quiet`, lines say only what goes wrong, where there is no display.
    `show_also` writes what follows the answer for people.
    """
    ledger = Ledger(plan, tools) if ledger is None else ledger
    stream = EventStream(terminal) if mode == "events" else None
    reporter = stream or _reporter(terminal, ledger, keeps=keeps_display, is_quiet=is_quiet)
    answers: AnswerStream | None = None
    if streams_answer and mode == "people" and terminal.data_is_terminal:
        reporter = answers = AnswerStream(terminal, reporter)
    if person is not None:
        person.pause, person.resume = reporter.pause, reporter.resume

    delivery = _Delivery(
        terminal, mode, ledger, show, prepare, outcome or say_outcome, show_also, stream, answers, say_how_to_go_on
    )
    driver = Driver(terminal, ledger, reporter, delivery.deliver, time_limit_s)
    if stream is not None:
        stream.on_error = driver.stop
    return driver.run(delivery.guarded(start))


@dataclass(slots=True)
class _Delivery:
    """What becomes of the result of one run: a document, the end of a stream, or words."""

    terminal: Terminal
    mode: Mode
    ledger: Ledger
    show: Callable[[RunResult], None]
    prepare: Callable[[RunResult], dict[str, Any]]
    outcome: Callable[[Terminal, RunResult], None]
    show_also: Callable[[RunResult], None] | None
    stream: EventStream | None
    answers: AnswerStream | None
    say_how_to_go_on: Callable[[Terminal, RunResult], None] | None
    rejected: dict[str, Any] = field(default_factory=dict[str, Any])
    """What the document says of a plan that was not valid."""

    def deliver(self, result: RunResult) -> None:
        """Write and say everything. Raises OutputError."""
        added: dict[str, Any] = {}
        problem: OutputError | None = None
        try:
            added = self.prepare(result)
        except OutputError as error:
            problem = error
        self._write(result, added)
        self.outcome(self.terminal, result)
        for line in _open_questions(self.ledger, result, is_kept=self.say_how_to_go_on is not None):
            self.terminal.say(line)
        if self.say_how_to_go_on is not None:
            self.say_how_to_go_on(self.terminal, result)
        if "report" in added:
            self.terminal.say(f"report: {added['report']}", "green")
        if problem is not None:
            raise problem

    def _write(self, result: RunResult, added: dict[str, Any]) -> None:
        terminal = self.terminal
        if self.stream is not None:
            self.stream.close()
        elif self.mode == "json":
            document = {**result.to_dict(), **self.rejected, **added}
            if asked := questions(result, self.ledger.asked):
                document["waiting"] = asked
            terminal.data(write_document(document, for_people=terminal.data_is_terminal))
        else:
            if self.answers is None or not self.answers.close(result.answer):
                if terminal.is_interactive and terminal.data_is_terminal:
                    terminal.say("")  # room between the display and what was found
                self.show(result)
            if self.show_also is not None:
                self.show_also(result)

    def guarded(self, start: Start) -> Start:
        """Return a start that never raises what keeps a plan from being there: it is a result that says so."""

        async def begin(on_event: Callable[[Event], None], on_blocked: OnBlocked, workdir: Path) -> RunResult:
            try:
                return await start(on_event, on_blocked, workdir)
            except UsageError:  # a missing key is one too
                raise
            except (PlanValidationError, ModelError, BudgetExceededError) as error:
                if isinstance(error, PlanValidationError):
                    self.rejected.update(valid=False, issues=[issue.to_dict() for issue in error.issues])
                result = self.ledger.without_plan(error_of(error))
                for event in self.ledger.closing_events(result):
                    on_event(event)
                return result

        return begin


def error_of(error: PlanValidationError | ModelError | BudgetExceededError) -> StepError:
    """Return what kept a plan from being there as the error of a run."""
    kind = "plan" if isinstance(error, PlanValidationError) else "model" if isinstance(error, ModelError) else "budget"
    return StepError(kind, type(error).__name__, str(error))


def _reporter(terminal: Terminal, ledger: Ledger, *, keeps: bool, is_quiet: bool) -> Reporter:
    if not terminal.is_interactive:
        return LineReporter(terminal, ledger, is_quiet=is_quiet)
    from planloom.cli.live import LiveReporter  # rich takes 0.1 s to import

    return LiveReporter(terminal, ledger, keeps=keeps)


def say_outcome(terminal: Terminal, result: RunResult) -> None:
    """Say on stderr how the run went: a line when it went well, else which steps did not, and why."""
    spent = said_of_usage(result.usage)
    if result.status is RunStatus.SUCCEEDED:
        facts = f"{counted(len(result.steps), 'step')} in {took(result.duration_ms)}"
        if spent:
            terminal.say(f"run {result.run_id} succeeded: {facts}; {spent}", "dim")
        elif not terminal.is_interactive:
            terminal.say(f"run {result.run_id} succeeded: {facts}")
        return
    if result.error is not None and not result.steps and result.error.kind in ("plan", "model"):
        # nothing has run, so that there is nothing to say but why
        message = result.error.message
        terminal.say_problem(message if result.error.kind == "plan" else f"error: {message}")
        return
    colour = "red" if result.status is RunStatus.FAILED else "yellow"
    head, _, rest = _with_options(result.explain()).partition("\n")
    terminal.say(head, colour)
    if rest:
        terminal.say(rest)
    if spent:
        terminal.say(spent, "dim")


def _with_options(text: str) -> str:
    """Return a message with the options of the command line in the place of Python's bounds."""
    return _BOUND.sub(lambda found: f"{_OPTION_OF[found[1]]} {found[2]}", text)


def _open_questions(ledger: Ledger, result: RunResult, *, is_kept: bool) -> list[str]:
    """What a run that waits for a person waits for; of a run that is not kept also what to do about it."""
    if result.status is not RunStatus.WAITING:
        return []
    questions = [
        f"step `{one_line(step.id, 80)}` ({one_line(step.tool, 80)}) waits: {_question(step)}"
        for step in ledger.steps.values()
        if step.question is not None
    ]
    if questions:
        return questions[:MAX_QUESTIONS] + ([] if is_kept else ["hint: run it at a terminal, where you are asked"])
    if any(step.status is StepStatus.UNKNOWN for step in result.steps.values()):
        return []  # what may have happened has been said
    waits = "the plan waits for approval; nothing of it has run"
    hint = "hint: `planloom plan GOAL --output plan.json` writes a plan down, `planloom run --plan plan.json` runs it"
    return [waits] if is_kept else [waits, hint]


def _question(step: StepView) -> str:
    question = first_line(step.question or "", 400)
    if not step.asked_with:
        return question
    return f"{question}: {one_line(json.dumps(step.asked_with, ensure_ascii=False, default=str), 400)}"


def show_answer(terminal: Terminal, result: RunResult) -> None:
    """Write the answer to stdout; nothing when the run did not get that far."""
    if result.answer is not None or result.status is RunStatus.SUCCEEDED:
        terminal.data(write_answer(result.answer))


def check_time_limit(timeout: float | None) -> float | None:
    """Return the limit of the run in seconds; infinity is none. Raises click.BadParameter."""
    if timeout is not None and timeout != timeout:
        raise click.BadParameter("not a number", param_hint="--timeout")
    return None if timeout == float("inf") else timeout
