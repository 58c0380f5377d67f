"""A run as a command shows it: progress while it happens, and then one document, a stream, or words for people."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import click

from planloom.cli.documents import write_answer, write_document, write_line
from planloom.cli.driver import Driver, Reporter, Start
from planloom.cli.ledger import Ledger
from planloom.cli.lines import LineReporter, Writer
from planloom.cli.options import Mode
from planloom.cli.terminal import OutputError, Terminal
from planloom.cli.text import counted, took
from planloom.plan.events import Event
from planloom.plan.model import Plan
from planloom.plan.results import RunResult
from planloom.plan.state import RunStatus
from planloom.tools import Tool


class EventStream:
    """Every event as a line of JSON on stdout, as it happens, written by a thread of its own."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._writer: Writer | None = None
        self.on_error: Callable[[], None] = lambda: None

    def start(self) -> None:
        """Begin."""
        self._writer = Writer(self._write, self.on_error)

    def on_event(self, event: Event) -> None:
        """Write an event soon."""
        if self._writer is not None:
            self._writer.put(event)

    def stop(self) -> None:
        """Nothing to show any more; what is written goes on until `close`."""

    def close(self) -> None:
        """Return when everything has been written. Raises OutputError when it could not be."""
        if self._writer is not None:
            writer, self._writer = self._writer, None
            writer.close()
            if writer.error is not None:
                raise writer.error

    def _write(self, event: Event) -> None:
        self._terminal.stream(write_line(event.to_dict()))


def drive(
    terminal: Terminal,
    mode: Mode,
    plan: Plan,
    tools: Mapping[str, Tool],
    start: Start,
    show: Callable[[RunResult], None],
    time_limit_s: float | None = None,
    prepare: Callable[[RunResult], dict[str, Any]] = lambda _: {},
) -> int:
    """Run, report and deliver; return the exit code.

    `show` writes the result for people, in that mode. `prepare` comes before that in every mode; what it returns
    is added to the document. An OutputError of it is raised after the rest has been delivered.
    """
    ledger = Ledger(plan, tools)
    stream = EventStream(terminal) if mode == "events" else None
    reporter = stream or _reporter(terminal, ledger)

    def deliver(result: RunResult) -> None:
        added: dict[str, Any] = {}
        problem: OutputError | None = None
        try:
            added = prepare(result)
        except OutputError as error:
            problem = error
        if stream is not None:
            stream.close()
        elif mode == "json":
            terminal.data(write_document({**result.to_dict(), **added}, for_people=terminal.data_is_terminal))
        else:
            if terminal.is_interactive and terminal.data_is_terminal:
                terminal.say("")  # room between the display and what was found
            show(result)
        say_outcome(terminal, result)
        if "report" in added:
            terminal.say(f"report: {added['report']}", "green")
        if problem is not None:
            raise problem

    driver = Driver(terminal, ledger, reporter, deliver, time_limit_s)
    if stream is not None:
        stream.on_error = driver.stop
    return driver.run(start)


def _reporter(terminal: Terminal, ledger: Ledger) -> Reporter:
    if not terminal.is_interactive:
        return LineReporter(terminal, ledger)
    from planloom.cli.live import LiveReporter  # rich takes 0.1 s to import

    return LiveReporter(terminal, ledger)


def say_outcome(terminal: Terminal, result: RunResult) -> None:
    """Say on stderr how the run went: a line when it went well, else which steps did not, and why."""
    if result.status is RunStatus.SUCCEEDED:
        if not terminal.is_interactive:
            terminal.say(
                f"run {result.run_id} succeeded: {counted(len(result.steps), 'step')} in {took(result.duration_ms)}"
            )
        return
    colour = "red" if result.status is RunStatus.FAILED else "yellow"
    head, _, rest = result.explain().partition("\n")
    terminal.say(head, colour)
    if rest:
        terminal.say(rest)


def show_answer(terminal: Terminal, result: RunResult) -> None:
    """Write the answer to stdout; nothing when the run did not get that far."""
    if result.answer is not None or result.status is RunStatus.SUCCEEDED:
        terminal.data(write_answer(result.answer))


def check_time_limit(timeout: float | None) -> float | None:
    """Return the limit of the run in seconds; infinity is none. Raises click.BadParameter."""
    if timeout is not None and timeout != timeout:
        raise click.BadParameter("not a number", param_hint="--timeout")
    return None if timeout == float("inf") else timeout
