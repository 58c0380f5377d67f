"""Steps that wait for a person: for the approval of an effect, or for the answer to a question.

Rule: what waits holds no slot. Without an answer the step stays as it is, and the run ends `waiting` when nothing else
is left to do; a person who fails to answer in order, by raising, has not answered.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable
from collections.abc import Set as AbstractSet
from typing import Any, Protocol

from planloom.engine import orphans
from planloom.engine.base import EffectRequest, Person
from planloom.engine.emitter import Emitter
from planloom.engine.failures import MAX_MESSAGE_CHARS, describe_exception, read_message
from planloom.engine.secrecy import shown_args
from planloom.plan.approvals import call_digest
from planloom.plan.events import ApprovalGiven, CallbackFailed, StepWaiting
from planloom.plan.issues import shorten
from planloom.plan.limits import Limits
from planloom.plan.model import Step
from planloom.plan.resolve import Scope, resolve_args
from planloom.plan.results import StepError
from planloom.plan.schedule import Schedule, Unit
from planloom.plan.state import StepStatus
from planloom.plan.values import OutputError, normalise_output
from planloom.tools import Tool


class Conclude(Protocol):
    """Ends a unit, or leaves it waiting."""

    def __call__(self, unit: Unit, status: StepStatus, *, output: Any = None, error: StepError | None = None) -> None:
        """Give a unit the status; `WAITING` is one that may go on in a later run."""
        ...


class Waits:
    """Asks a person, and acts on the word. `person` None: nobody is there to be asked.

    `set_aside` changes the state of a unit that has not ended, `conclude` ends one, and after each word `go_on`
    starts what may start.
    """

    def __init__(
        self,
        person: Person | None,
        emitter: Emitter,
        limits: Limits,
        schedule: Schedule,
        set_aside: Callable[[Unit, StepStatus], None],
        conclude: Conclude,
        go_on: Callable[[], None],
        on_fault: Callable[[BaseException], None],
    ) -> None:
        self._person = person
        self._emitter = emitter
        self._limits = limits
        self._set_aside = set_aside
        self._schedule = schedule
        self._conclude = conclude
        self._go_on = go_on
        self._on_fault = on_fault
        self._waiting: dict[Unit, asyncio.Task[None] | None] = {}
        """What waits, and the task that does it."""
        self._caller = contextvars.copy_context()
        """A person is asked with the context variables of the run's caller, never with those that a tool has set."""
        self._is_over = False
        """Whether nobody is asked any more."""
        self._approved: set[tuple[int, int]] = set()
        self.asks_before_effects = person is not None and person.asks_before_effects

    def must_wait(self, unit: Unit, step: Step, tool: Tool, scope: Scope, step_id: str) -> bool:
        """Ask before a call with an effect, and return whether it has to wait for the word.

        The arguments of a step cannot change any more, so one word is enough. What cannot be called is not asked
        about: its start will say what is wrong.
        """
        if not self.asks_before_effects or tool.read_only or (unit.position, unit.index) in self._approved:
            return False
        try:
            args = resolve_args(step, scope)
            tool.prepare(args)
            args = shown_args(tool, args, self._emitter.redactor)
        except BaseException:
            return False
        person = self._person
        assert person is not None
        request = EffectRequest(step_id, tool.name, args, call_digest(step_id, tool.name, args))
        if person.said(request.digest):
            return False
        self._schedule.release(unit.position)
        self._set_aside(unit, StepStatus.WAITING)
        question = f"may `{request.tool}` be called? It may change something"
        self._emitter.emit(StepWaiting, request.step_id, question, request.tool, request.args, "approval")
        self._wait(unit, lambda: person.approve(request), lambda word: self._hear_approval(unit, request, word))
        return True

    def _hear_approval(self, unit: Unit, request: EffectRequest, word: Any) -> None:
        if word is not None:
            self._emitter.emit(ApprovalGiven, request.step_id, request.digest, bool(word))
        if word:
            self._approved.add((unit.position, unit.index))
            self._set_aside(unit, StepStatus.READY)
            self._schedule.put_back(unit)
        elif word is None:
            self._conclude(unit, StepStatus.WAITING)
        else:
            message = f"the call of `{request.tool}` was denied by a person"
            self._conclude(unit, StepStatus.FAILED, error=StepError("denied", "Denied", message))

    def ask_question(self, unit: Unit, step_id: str, tool: str, question: str, *, is_asked: bool = False) -> None:
        """Ask a question of a tool, unless it was asked already; the answer is the output of its step."""
        if self._is_over:
            message = "not finished: the run was stopped before a person could be asked"
            self._conclude(unit, StepStatus.CANCELLED, error=StepError("cancelled", "CancelledError", message))
            return
        self._set_aside(unit, StepStatus.WAITING)
        self._emitter.emit(StepWaiting, step_id, question, tool, {}, "answer")
        person = self._person
        if person is None or is_asked:
            self._conclude(unit, StepStatus.WAITING)
        else:
            self._wait(unit, lambda: person.answer(step_id, question), lambda word: self._hear_answer(unit, word))

    def _hear_answer(self, unit: Unit, word: Any) -> None:
        if word is None:
            self._conclude(unit, StepStatus.WAITING)
            return
        self._set_aside(unit, StepStatus.RUNNING)
        try:
            output = self._emitter.clean(normalise_output(word, self._limits))
        except OutputError as error:
            self._conclude(unit, StepStatus.FAILED, error=describe_exception(error).to_error())
        else:
            self._conclude(unit, StepStatus.SUCCEEDED, output=output)

    def _wait(self, unit: Unit, ask: Callable[[], Awaitable[Any]], hear: Callable[[Any], None]) -> None:
        async def wait() -> None:
            given = failure = None
            try:
                given = await ask()
            except BaseException as error:  # also a cancellation: when it is not the run's own, nobody will answer
                failure = f"{type(error).__name__}: {shorten(read_message(error), MAX_MESSAGE_CHARS)}"
            if unit not in self._waiting:
                return  # the run was stopped meanwhile, or the step has left the plan
            del self._waiting[unit]
            try:
                if failure is not None:
                    self._emitter.emit(CallbackFailed, None, "approve", failure)
                hear(given)
                self._go_on()
            except BaseException as fault:
                self._on_fault(fault)

        self._waiting[unit] = None
        task = self._caller.copy().run(asyncio.get_running_loop().create_task, wait())
        if unit in self._waiting:  # a task factory may run the task at once, and it may be over
            self._waiting[unit] = task

    def stop(self, positions: AbstractSet[int] | None = None) -> list[Unit]:
        """Stop waiting, or stop it for the units of some steps; return what waited."""
        self._is_over = self._is_over or positions is None
        waited = sorted(unit for unit in self._waiting if positions is None or unit.position in positions)
        for unit in waited:
            task = self._waiting.pop(unit)
            if task is not None:
                task.cancel()
                orphans.keep(task)
        return waited
