"""Events to listeners. A listener that raises is reported once and never hurts the run."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from planloom.engine import orphans
from planloom.engine.base import Clock
from planloom.engine.clock import SystemClock
from planloom.engine.failures import read_message
from planloom.plan.events import CallbackFailed, Event, StepStarted, StepSucceeded
from planloom.plan.issues import shorten
from planloom.plan.redacted import clean_data
from planloom.plan.redaction import Redactor
from planloom.plan.results import StepResult

if TYPE_CHECKING:
    from planloom.engine.recorder import Recorder

MAX_REPORTED: Final = 100
"""Different failures of listeners that are told; after that they are silent."""
_LOG: Final = logging.getLogger("planloom")

Listener = Callable[[Event], Any]


class Emitter:
    """Numbers events and hands them to the recorder and to listeners; calls `on_step_complete` once per step.

    What `redactor` knows leaves the run by none of its events; None when there is no secret to look for. `last_seq` is
    the number of the last event of an earlier process. `is_listening` is False when nobody listens, so that the run
    does not even build events; with a recorder alone most are not built either. Listeners see the context variables of
    whoever made the emitter, never those that a tool has set.
    """

    def __init__(
        self,
        run_id: str,
        clock: Clock,
        listeners: Sequence[Listener],
        on_step_complete: Callable[..., Any] | None,
        last_seq: int = 0,
        redactor: Redactor | None = None,
        recorder: Recorder | None = None,
    ) -> None:
        self.run_id = run_id
        self.redactor = redactor
        self.is_listening = bool(listeners) or recorder is not None
        self.wants_steps = on_step_complete is not None
        self.is_calling = False
        """Whether a listener is being called: then the run is in the middle of something."""
        self._now = time.time if type(clock) is SystemClock else clock.now
        self._recorder = recorder
        self._listeners = list(listeners)
        self._on_step_complete = on_step_complete
        self._takes_id = on_step_complete is not None and _positional_count(on_step_complete) >= 2
        self._context = contextvars.copy_context()
        self._seq = last_seq
        self._pending: set[asyncio.Task[None]] = set()
        self._reported: set[str] = set()

    def emit(self, kind: Callable[..., Event], step_id: str | None, *data: Any) -> None:
        """Make an event of the given type and hand it to every listener, after the recorder."""
        if not self.is_listening:
            return
        if self.redactor is not None and kind is not StepSucceeded:  # an output was cleaned when it came
            is_start = kind is StepStarted  # its number is too small to be a secret
            data = (self.redactor.text(data[0]), data[1]) if is_start else clean_data(data, self.redactor)
        seq = self._seq = self._seq + 1
        at, recorder = self._now(), self._recorder
        is_kept = recorder is None
        if recorder is not None and step_id is not None:  # these two are nearly all that a run tells
            if kind is StepStarted:
                recorder.started(seq, at, step_id, *data)
                is_kept = True
            elif kind is StepSucceeded:
                is_kept = recorder.succeeded(seq, at, step_id, *data)
            if is_kept and not self._listeners:
                return
        event = kind(seq, self.run_id, at, step_id, *data)
        if not is_kept and recorder is not None:
            recorder(event)
        was_calling, self.is_calling = self.is_calling, True
        for listener in self._listeners:  # `_call` in place: nearly all listeners return nothing, and this is hot
            context = self._context.copy()
            try:
                returned = context.run(listener, event)
                if returned is not None:
                    self._await("on_event", returned, context)
            except BaseException as error:
                self._report("on_event", error)
        self.is_calling = was_calling

    def clean(self, value: Any) -> Any:
        """Return a JSON value without the run's secrets."""
        return value if self.redactor is None else self.redactor.clean(value)

    def emit_last(self, kind: Callable[..., Event], *data: Any) -> None:
        """Make the event after which nothing is emitted any more."""
        self.emit(kind, None, *data)
        self.is_listening = False

    def step_complete(self, result: StepResult) -> None:
        """Tell `on_step_complete` that a step has ended."""
        if self._on_step_complete is None:
            return
        args = (result.step_id, result) if self._takes_id else (result,)
        was_calling, self.is_calling = self.is_calling, True
        self._call("on_step_complete", self._on_step_complete, *args)
        self.is_calling = was_calling

    def _call(self, name: str, function: Callable[..., Any], *args: Any) -> None:
        context = self._context.copy()
        try:
            returned = context.run(function, *args)
            self._await(name, returned, context)
        except BaseException as error:  # a listener must not be able to end the run, not even with SystemExit
            self._report(name, error)

    def _await(self, name: str, returned: Any, context: contextvars.Context) -> None:
        """Let what an async listener returned go on beside the run."""
        if inspect.isawaitable(returned):
            task = asyncio.get_running_loop().create_task(self._wait_for(name, returned), context=context)
            self._pending.add(task)
            task.add_done_callback(self._pending.discard)

    async def _wait_for(self, name: str, returned: Awaitable[Any]) -> None:
        try:
            await returned
        except BaseException as error:  # on a task, SystemExit would end the program
            if not isinstance(error, asyncio.CancelledError):
                self._report(name, error)

    def _report(self, name: str, error: BaseException) -> None:
        message = f"{type(error).__name__}: {shorten(self.clean(read_message(error)), 400)}"
        if message in self._reported or len(self._reported) >= MAX_REPORTED:
            return
        self._reported.add(message)
        _LOG.warning("%s raised %s; the run goes on", name, message)
        if name == "on_step_complete":
            self.emit(CallbackFailed, None, name, message)

    async def drain(self, grace_s: float) -> None:
        """Wait for async listeners to finish, at most `grace_s` seconds; the rest is cancelled.

        A cancellation of the waiting task ends the wait and goes no further: the run it follows is over.
        """
        for _ in range(2):
            if not self._pending:
                return
            try:
                await asyncio.wait(set(self._pending), timeout=grace_s)
            except asyncio.CancelledError:
                if (waiting := asyncio.current_task()) is not None:
                    waiting.uncancel()
            for late in self._pending:
                late.cancel()
        for deaf in self._pending:
            orphans.keep(deaf)


def _positional_count(function: Callable[..., Any]) -> int:
    """Return how many positional arguments a callback must be given, 1 when that cannot be told."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return 1
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(1 for parameter in parameters if parameter.kind in kinds and parameter.default is parameter.empty)
