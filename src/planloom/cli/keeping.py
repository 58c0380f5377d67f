"""A run that is kept, on the command line: where, and the one line that goes on with it.

Nothing of the journal itself is imported here: a run that is not kept does not pay for it.
"""

from __future__ import annotations

import shlex
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Final

from planloom.cli.driver import Start
from planloom.cli.journals import resume_line, shown
from planloom.cli.runs import say_outcome
from planloom.cli.terminal import Terminal
from planloom.cli.text import one_line
from planloom.engine.execute import RunOptions
from planloom.engine.watchdog import OnBlocked
from planloom.errors import JournalError
from planloom.plan.events import Event
from planloom.plan.history import parent_of
from planloom.plan.results import RunResult
from planloom.plan.state import RunStatus, StepStatus

MAX_STEPS_NAMED: Final = 8
"""Steps that need a person's word and are named in the line that goes on."""


def steps_for_words(result: RunResult) -> list[str]:
    """Return the ids of the steps, and elements of steps, that wait for a person's word."""
    named: list[str] = []
    for step in result.steps.values():
        if step.status is StepStatus.UNKNOWN:
            elements = step.error.elements if step.error else {}
            open_elements = [index for index, error in elements.items() if error.kind == "unknown"]
            named += [f"{step.id}[{index}]" for index in open_elements] or [step.id]
        elif step.status is StepStatus.WAITING:
            named.append(step.id)
    return named


def going_on(result: RunResult, command: str) -> str | None:
    """Return the one line that says how to go on with a run, None for one that has succeeded."""
    if result.status is RunStatus.SUCCEEDED:
        return None
    steps = steps_for_words(result)
    if not steps:
        return f"go on: {command}"
    first = shlex.quote(steps[0])
    value = shlex.quote(f"{steps[0]}=JSON")
    parent = result.steps.get(parent_of(steps[0]))
    is_waiting = parent is not None and parent.status is StepStatus.WAITING
    what = "waits for an answer" if is_waiting else "may or may not have had its effect"
    line = (
        f"step `{one_line(steps[0], 80)}` {what}; go on: {command} with --retry {first} (call it again), "
        f"--skip {first} (leave it out) or --set {value} (it is done, this is its output)"
    )
    others = steps[1:]
    if not others:
        return line
    names = ", ".join(f"`{one_line(name, 80)}`" for name in others[:MAX_STEPS_NAMED])
    more = f" and {len(others) - MAX_STEPS_NAMED:,} more" if len(others) > MAX_STEPS_NAMED else ""
    return f"{line}; likewise for {names}{more}"


class Keeper:
    """A run that is kept in a journal, as it is spoken of: its id at the start, and at the end how to go on."""

    def __init__(self, terminal: Terminal, address: str, tools: Iterable[str]) -> None:
        self.address = address
        self._terminal = terminal
        self._tools = tuple(tools)
        self._run_id: str | None = None

    def listening(self, on_event: Callable[[Event], None]) -> Callable[[Event], None]:
        """Return a listener that says at the first event where the run is kept."""

        def listen(event: Event) -> None:
            if self._run_id is None:
                self._run_id = event.run_id
                self._terminal.say(f"kept as run {event.run_id} in {shown(self.address)}", "dim")
            on_event(event)

        return listen

    def say_outcome(self, terminal: Terminal, result: RunResult) -> None:
        """Say how a run went, and how to go on with it."""
        say_outcome(terminal, result)
        line = going_on(result, self._command(result.run_id)) if result.run_id else None
        if line is not None:
            terminal.say(line, "yellow")

    def explained(self, error: JournalError) -> JournalError:
        """Return the fault of a journal with the line that goes on once its cause is gone."""
        if self._run_id is None or type(error) is not JournalError:
            return error
        return JournalError(f"{error}\ngo on when that is mended: {self._command(self._run_id)}")

    def _command(self, run_id: str) -> str:
        return resume_line(run_id, self.address, self._tools)


def starting(keeper: Keeper | None, fixed: RunOptions, begin: Callable[[RunOptions], Awaitable[RunResult]]) -> Start:
    """Return what starts a run with its options, kept by a `keeper` if there is one."""

    async def start(on_event: Callable[[Event], None], on_blocked: OnBlocked, workdir: Path) -> RunResult:
        given: RunOptions = {**fixed, "on_event": on_event, "on_blocked": on_blocked, "workdir": workdir}
        if keeper is None:
            return await begin(given)
        try:
            return await begin({**given, "on_event": keeper.listening(on_event), "journal": keeper.address})
        except JournalError as error:
            raise keeper.explained(error) from error

    return start
