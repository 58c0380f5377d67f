"""A run that is kept, on the command line: where, and the one line that goes on with it.

Nothing of the journal itself is imported here: a run that is not kept does not pay for it.
"""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NotRequired, TypedDict

import click

from planloom.cli.driver import Start
from planloom.cli.journals import SERVERS, command_line, is_default, journal_asked_for, shown
from planloom.cli.recalling import remembered
from planloom.cli.terminal import Terminal
from planloom.cli.text import one_line
from planloom.engine.watchdog import OnBlocked
from planloom.errors import JournalCorruptError, JournalError
from planloom.plan.events import Event, StepWaiting
from planloom.plan.history import parent_of
from planloom.plan.results import RunResult
from planloom.plan.state import RunStatus, StepStatus

MAX_KEPT_FOLDER_BYTES: Final = 64 * 1024 * 1024
"""What the tools of a run that has succeeded may have left in its folder for it to stay until the run is removed."""
_OF_THE_FILE: Final = (JournalError, JournalCorruptError)
MAX_STEPS_NAMED: Final = 8
"""Steps that need a person's word and are named in the line that goes on."""


@dataclass(frozen=True, slots=True)
class Open:
    """What a run leaves to a person: steps, and elements of steps, and perhaps its plan.

    `unknown` may or may not have had their effect, `approvals` are calls that were not made yet, `answers` questions.
    """

    unknown: tuple[str, ...] = ()
    approvals: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()
    plan: bool = False


def questions(result: RunResult, asked: Mapping[str, str]) -> dict[str, str]:
    """Return what a run asks of a person, by step and element: what was `asked`, and what may have happened."""
    unknown: dict[str, str] = {}
    for step in result.steps.values():
        if step.status is StepStatus.UNKNOWN and step.error is not None:
            elements = {f"{step.id}[{i}]": e.message for i, e in step.error.elements.items() if e.kind == "unknown"}
            unknown |= elements or {step.id: step.error.message}
    return {**asked, **unknown}


def left_open(result: RunResult, needs: Mapping[str, str]) -> Open:
    """Return what a run leaves open. `needs` says of steps that waited whether it was "approval" or "answer"."""
    unknown = list(questions(result, {}))
    waiting: list[str] = []
    for step in result.steps.values():
        if step.status is StepStatus.WAITING:
            waiting += [name for name in needs if parent_of(name) == step.id] or [step.id]
    return Open(
        tuple(unknown),
        tuple(name for name in waiting if needs.get(name) == "approval"),
        tuple(name for name in waiting if needs.get(name) != "approval"),
        result.status is RunStatus.WAITING and not unknown and not waiting,
    )


def going_on(result: RunResult, needs: Mapping[str, str], address: str) -> list[str]:
    """Return the lines that say how to go on with a run, none for one that has succeeded."""
    if result.status is RunStatus.SUCCEEDED or not result.run_id:
        return []
    resume = command_line("resume", result.run_id, address=address)
    found = left_open(result, needs)
    lines: list[str] = []
    if found.unknown:
        lines.append(
            f"step `{one_line(found.unknown[0], 80)}` may or may not have had its effect; go on: {resume} with "
            f"{_words(found.unknown[0])}{_likewise(found.unknown)}"
        )
    if found.answers:
        lines.append(
            f"step `{one_line(found.answers[0], 80)}` waits for an answer; go on: {resume} at a terminal, or with "
            f"--set {_set(found.answers[0])}{_likewise(found.answers)}"
        )
    if found.approvals or found.plan:
        approve = command_line("approve", result.run_id, *found.approvals[:1], address=address)
        what = f"step `{one_line(found.approvals[0], 80)}`" if found.approvals else "the plan"
        also = _likewise(found.approvals) if found.approvals else ""
        lines.append(f"{what} waits for approval: {approve} (or deny), and then {resume}{also}")
    denied = [step.id for step in result.steps.values() if step.error is not None and step.error.kind == "denied"]
    if denied or (result.error is not None and result.error.kind == "denied"):
        approve = command_line("approve", result.run_id, *denied[:1], address=address)
        also = _likewise(tuple(denied))
        lines.append(f"what was denied stays so; to take it back: {approve}, and then {resume}{also}")
    return lines or [f"go on: {resume}"]


def _words(name: str) -> str:
    quoted = shlex.quote(name)
    return (
        f"--retry {quoted} (call it again), --skip {quoted} (leave it out) or --set {_set(name)} "
        "(it is done, this is its output)"
    )


def _set(name: str) -> str:
    return shlex.quote(f"{name}=JSON")


def _likewise(steps: tuple[str, ...]) -> str:
    names = ", ".join(f"`{one_line(name, 80)}`" for name in steps[1 : MAX_STEPS_NAMED + 1])
    more = f" and {len(steps) - 1 - MAX_STEPS_NAMED:,} more" if len(steps) > MAX_STEPS_NAMED + 1 else ""
    return f"; likewise for {names}{more}" if names else ""


class Keeper:
    """A run that is kept in a journal, as it is spoken of: its id at the start, and at the end how to go on.

    What is kept where everybody looks anyway is only spoken of when it has to go on. `meta` is what is kept with the
    run, so that the command that goes on needs no options.
    """

    def __init__(self, terminal: Terminal, address: str, meta: Mapping[str, Any]) -> None:
        self.address = address
        self.meta = dict(meta)
        self._terminal = terminal
        self._run_id: str | None = None
        self._needs: dict[str, str] = {}
        """What steps that waited have waited for."""

    def listening(self, on_event: Callable[[Event], None]) -> Callable[[Event], None]:
        """Return a listener that says at the first event where the run is kept."""

        def listen(event: Event) -> None:
            if self._run_id is None:
                self._run_id = event.run_id
                if not is_default(self.address):
                    self._terminal.say(f"kept as run {event.run_id} in {shown(self.address)}", "dim")
            if isinstance(event, StepWaiting) and event.step_id is not None:
                self._needs[event.step_id] = event.needs
            on_event(event)

        return listen

    def say_how_to_go_on(self, terminal: Terminal, result: RunResult) -> None:
        """Say how to go on with a run that did not succeed."""
        if result.status is RunStatus.SUCCEEDED:
            self._tidy(result.run_id)
        for line in going_on(result, self._needs, self.address):
            terminal.say(line, "yellow")

    def explained(self, error: JournalError) -> JournalError:
        """Return the fault of a journal with the line that goes on once its cause is gone."""
        if self._run_id is None and self.meta and is_default(self.address) and type(error) in _OF_THE_FILE:
            return JournalError(f"{error}\nhint: --no-journal runs without keeping anything")
        if self._run_id is None or type(error) is not JournalError:
            return error
        return JournalError(
            f"{error}\ngo on when that is mended: {command_line('resume', self._run_id, address=self.address)}"
        )

    def _tidy(self, run_id: str) -> None:
        """Remove the folder of a run that has succeeded when it is large: nothing has to go on with it."""
        if self.address.startswith(SERVERS) or not run_id:
            return
        from planloom.engine.journaled import folder_of  # SQLite and all, which the run has needed anyway

        folder = folder_of(self.address, run_id)
        if folder is None:
            return
        if sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) > MAX_KEPT_FOLDER_BYTES:
            shutil.rmtree(folder, ignore_errors=True)


def keeper_for(context: click.Context, terminal: Terminal, **chosen: Any) -> Keeper | None:
    """Return what keeps the run of a command, None when it is not to be kept.

    `chosen` is what else is kept, such as a model that was not named but found out. Raises `UsageError`.
    """
    address = journal_asked_for(context, lambda note: terminal.say(note, "yellow"))
    return None if address is None else Keeper(terminal, address, {"command": remembered(context, chosen)})


class Kept(TypedDict):
    """What a run is given to be kept, besides its own options."""

    journal: NotRequired[str]
    meta: NotRequired[dict[str, Any]]
    workdir: NotRequired[Path]
    on_event: Callable[[Event], None]
    on_blocked: OnBlocked


def folder_beside(kept: Kept, run_id: str) -> Path:
    """Return the folder that a kept run's tools will have, beside its journal."""
    from planloom.engine.journaled import folder_of  # SQLite and all, which the run needs anyway

    folder = folder_of(kept.get("journal", ""), run_id)
    assert folder is not None
    return folder


def starting(keeper: Keeper | None, begin: Callable[[Kept], Awaitable[RunResult]]) -> Start:
    """Return what starts a run, kept by a `keeper` if there is one; its folder is then beside the journal."""

    async def start(on_event: Callable[[Event], None], on_blocked: OnBlocked, workdir: Path) -> RunResult:
        if keeper is None:
            return await begin(Kept(on_event=on_event, on_blocked=on_blocked, workdir=workdir))
        listen = keeper.listening(on_event)
        given = Kept(on_event=listen, on_blocked=on_blocked, journal=keeper.address, meta=keeper.meta)
        if keeper.address.startswith(SERVERS):
            given["workdir"] = workdir
        try:
            return await begin(given)
        except JournalError as error:
            raise keeper.explained(error) from error

    return start
