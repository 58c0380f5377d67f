"""The calls of one run: made on the loop, on a thread or in a process, and brought to an end.

Rule: whatever a tool does, its call ends exactly once, with a value or a `Failure`, and nothing that was
started for it is lost sight of. Which call comes next, and what an end means for the step, is decided in
`run.py`.
"""

from __future__ import annotations

import asyncio
import contextvars
import pickle
import types
from collections.abc import Callable, Generator
from collections.abc import Set as AbstractSet
from functools import partial
from typing import Any, Final, Protocol, cast

from planloom.engine import orphans
from planloom.engine.attempt import Attempt, Cause
from planloom.engine.context import Contexts
from planloom.engine.emitter import Emitter
from planloom.engine.failures import Failure, describe_exception
from planloom.engine.processes import ProcessJob, locate_main
from planloom.engine.secrecy import read_output, without_secrets
from planloom.engine.settings import RunSettings
from planloom.engine.slots import MAX_PROCESSES, MAX_THREADS
from planloom.engine.tables import TableFolder
from planloom.engine.timers import LiveCalls, Timers
from planloom.engine.ways import Ways
from planloom.engine.worker import Outcome, ProcessCall
from planloom.plan.events import CallAbandoned
from planloom.plan.limits import Limits
from planloom.plan.redaction import Redactor
from planloom.plan.values import TableFoundError, normalise_output

GRACE_S: Final = 2.0
"""How long a call that was asked to end may take before it is abandoned."""
MAX_ABANDONED: Final = 64
"""Abandoned calls that a run bears before it refuses to make more on the loop or on threads."""


class SharedTask(Protocol):
    """What makes calls one after another in one task."""

    def show(self) -> None:
        """Let the call that is being made be seen among those under way."""
        ...

    def step_of(self, task: object) -> str:
        """Return the id of the step whose call a task is making, "" for none."""
        ...

    def close(self) -> None:
        """Make no more calls."""
        ...


OnEnd = Callable[[Attempt, Failure | None, Any], None]
"""Called on the loop with a call that is over, and its failure or its value."""


class Calls:
    """Makes calls of tools, with their time limits and contexts, and ends them."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        timers: Timers,
        emitter: Emitter,
        settings: RunSettings,
        on_end: OnEnd,
    ) -> None:
        self._loop = loop
        self._timers = timers
        self._emitter = emitter
        limits = self._limits = settings.limits
        self.contexts = Contexts(settings.supplies, emitter, loop)
        self._workers = settings.make_workers(loop, self._delivered, MAX_THREADS + MAX_PROCESSES)
        redactor = self._redactor = emitter.redactor
        self.on_end = on_end if redactor is None else without_secrets(on_end, redactor)
        self.read = partial(normalise_output, limits=limits) if redactor is None else self._read_clean
        """Brings what a tool on the loop gave back into the form of an output. Raises `OutputError`."""
        self.lane: SharedTask
        """Makes the calls that need no task of their own; set by whoever makes it."""
        self.ways = Ways(redactor, settings)
        self.caller = contextvars.copy_context()
        """The context variables of the run's caller: what one tool sets there no other tool sees."""
        self._abandoned_tasks = 0
        self._live = LiveCalls[Attempt](loop, timers, self._time_out)
        self.watch = self._live.add
        """Lets a call that is under way expire, and be ended."""

    @property
    def is_full(self) -> bool:
        """Whether so many calls were abandoned that no more are made here."""
        return self._abandoned_tasks + self._workers.abandoned >= MAX_ABANDONED

    def make(self, attempt: Attempt, args: dict[str, Any], prepared: dict[str, Any]) -> None:
        """Make a call: with the `prepared` arguments in this process, with the plain `args` in another."""
        tool = attempt.tool
        self._live.add(attempt)
        if tool.run_in == "process":
            self._make_in_process(attempt, args)
            return
        if self.is_full:
            message = f"{MAX_ABANDONED} abandoned calls are still running; no more are made"
            self.on_end(attempt, Failure("limit", "TooManyAbandoned", message), None)
            return
        if tool.takes_tables:
            self._make_with_tables(attempt, args)
            return
        if tool.context_parameter is not None:
            prepared = {**prepared, tool.context_parameter: self.contexts.make(attempt, args)}
        if tool.run_in != "loop":
            context, tables = self.caller.copy(), TableFolder(self.contexts.folder, attempt.step_id)
            call: Any = partial(context.run, _call, tool.function, prepared, self._limits, self._redactor, tables)
            self._submit(attempt, call)
        else:
            self._start_task(attempt, prepared)

    def _start_task(self, attempt: Attempt, prepared: dict[str, Any]) -> None:
        call = self._call_on_loop(attempt, prepared)
        # in a copy of the caller's context variables; not by `context=`, which not every task factory takes
        attempt.task = self.caller.copy().run(self._loop.create_task, call)

    def _make_with_tables(self, attempt: Attempt, args: dict[str, Any]) -> None:
        """Read the tables among the arguments on a thread, and make the call there, or on the loop afterwards."""
        tool, limits, redactor = attempt.tool, self._limits, self._redactor
        given = {} if tool.context_parameter is None else {tool.context_parameter: self.contexts.make(attempt, args)}
        tables = TableFolder(self.contexts.folder, attempt.step_id)
        context = self.caller.copy()
        is_apart = attempt.is_reading = tool.run_in == "loop"

        def read() -> dict[str, Any]:
            return {**tables.read(tool, args), **given}

        def call() -> Any:
            return _call(tool.function, read(), limits, redactor, tables)

        self._submit(attempt, lambda: context.run(read if is_apart else call))
        attempt.has_begun = not is_apart

    def keep_tables(self, attempt: Attempt, value: Any) -> None:
        """Let a thread keep the tables that a call on the loop gave back; that is its end."""
        attempt.task = None  # it is over, or goes on with another call
        tables = TableFolder(self.contexts.folder, attempt.step_id)
        self._submit(attempt, lambda: tables.keep(value, self._limits, self._redactor))

    def _read_clean(self, value: Any) -> Any:
        assert self._redactor is not None
        return read_output(value, self._limits, self._redactor)

    async def _call_on_loop(self, attempt: Attempt, args: dict[str, Any]) -> None:
        """Make a call in a task of its own, and learn whether it has to have one."""
        attempt.task = attempt.task or asyncio.current_task()  # a task factory may start it before `make` sees it
        attempt.has_begun = True
        way, value, call, waits_for = self.ways[attempt.tool], None, cast("Any", None), None
        try:
            value = way.function(**args)
            if way.is_async:
                call = cast("Any", value if type(value) is types.CoroutineType else awaiting(value))
                try:
                    waits_for = call.send(None)
                except StopIteration as ended:
                    value, call = ended.value, None
                    way.shares = way.may_share
            if call is None:
                value = self.read(value)
        except TableFoundError:
            self.keep_tables(attempt, value)
        except BaseException as error:  # also SystemExit and KeyboardInterrupt: asyncio would end the program
            self.on_end(attempt, describe_exception(error), None)
        else:
            if call is None:
                self.on_end(attempt, None, value)
            else:
                await self.wait_for(attempt, call, waits_for)

    async def wait_for(self, attempt: Attempt, call: Any, waits_for: Any) -> None:
        """Await the rest of a call that waits for something, in the task that has begun it."""
        value = None
        try:
            value = await _rest_of(call, waits_for)
            value = self.read(value)
        except TableFoundError:
            self.keep_tables(attempt, value)
        except BaseException as error:
            self.on_end(attempt, describe_exception(error), None)
        else:
            self.on_end(attempt, None, value)

    def _make_in_process(self, attempt: Attempt, args: dict[str, Any]) -> None:
        tool = attempt.tool
        assert tool.address is not None
        try:
            folder = str(self.contexts.folder())
        except OSError as error:
            message = f"the run's folder cannot be made: {describe_exception(error).message}"
            self.on_end(attempt, Failure("worker", type(error).__name__, message), None)
            return
        context = None
        if tool.context_parameter is not None:
            try:
                context = pickle.dumps({**self.contexts.fields(attempt, args), "deps": self.contexts.deps})
            except Exception as error:
                message = f"`deps` cannot go to another process: {describe_exception(error).message}"
                self.on_end(attempt, Failure("worker", type(error).__name__, message), None)
                return
        job = ProcessJob(
            ProcessCall(
                tool.address,
                tool.coerces,
                args,
                tool.context_parameter,
                context,
                locate_main(),
                self._limits,
                folder,
                attempt.step_id,
                self._redactor,
            )
        )
        attempt.kill = job.kill
        redactor = self._redactor
        self._submit(attempt, job if redactor is None else lambda: _clean_outcome(job(), redactor))

    def _submit(self, attempt: Attempt, call: Callable[[], Any]) -> None:
        attempt.has_begun = True
        try:
            self._workers.submit(attempt, call)
        except RuntimeError as error:
            message = f"no thread could be started: {describe_exception(error).message}"
            self.on_end(attempt, Failure("limit", "RuntimeError", message), None)

    def _delivered(self, attempt: Attempt, value: Any, error: BaseException | None) -> None:
        """Take what came from a thread."""
        failure = None
        if error is not None:
            failure = describe_exception(error)
        elif attempt.kill is not None:
            value, failure = value
        elif attempt.is_reading:
            attempt.is_reading = False
            if attempt.is_live and attempt.cause is None:
                self._start_task(attempt, value)
                return
        self.on_end(attempt, failure, value)

    # ---- bringing calls to an end -------------------------------------------------------------------

    def _time_out(self, attempt: Attempt) -> None:
        self.end(attempt, "timeout")

    def end(self, attempt: Attempt, cause: Cause) -> None:
        """Ask a call to end. A thread that cannot hear it is abandoned at once, the rest after a grace."""
        if not attempt.is_live or attempt.cause is not None:
            return
        attempt.cause = cause
        if attempt.task is not None:
            attempt.task.cancel()
            if not attempt.has_begun:  # a task that is cancelled before its first step never runs
                self.on_end(attempt, None, None)
                return
        elif attempt.kill is not None:
            attempt.kill()
        elif attempt.tool.context_parameter is None:
            self._abandon(attempt)
            return
        attempt.grace = self._timers.after(GRACE_S, self._abandon, attempt)

    def end_all(self, cause: Cause) -> None:
        """Ask every call to end, in the order of the schedule."""
        self.lane.show()
        for attempt in sorted(self._live, key=lambda live: live.unit):
            self.end(attempt, cause)

    def end_steps(self, positions: AbstractSet[int]) -> None:
        """Ask the calls of some steps to end."""
        self.lane.show()
        for attempt in sorted(self._live, key=lambda live: live.unit):
            if attempt.unit.position in positions:
                self.end(attempt, "cancelled")

    def settle(self, attempt: Attempt) -> None:
        """Forget a call that is over: whatever it still gives back is dropped."""
        attempt.is_live = False
        self._live.remove(attempt)
        if attempt.grace is not None:
            self._timers.cancel(attempt.grace)

    def _abandon(self, attempt: Attempt) -> None:
        """Leave a call behind that goes on after it was asked to end."""
        if not attempt.is_live:
            return
        if attempt.task is None:
            self._workers.abandon(attempt)
        else:
            self._abandoned_tasks += 1
            attempt.task.add_done_callback(self._abandoned_task_done)
            orphans.keep(attempt.task)
        message = f"`{attempt.tool.name}` went on after it was asked to end; it was left behind"
        self._emitter.emit(CallAbandoned, attempt.step_id, message)
        self.on_end(attempt, None, None)

    def _abandoned_task_done(self, _: object) -> None:
        self._abandoned_tasks -= 1

    def step_of(self, task: object) -> str:
        """Return the id of the step that a task belongs to, "" when it is none of this run's."""
        return self.lane.step_of(task) or next(
            (attempt.step_id for attempt in list(self._live) if attempt.task is task), ""
        )

    def close(self) -> None:
        """Let go of everything; calls that are still under way are ended without waiting for them."""
        self.lane.close()
        for attempt in self._live:
            attempt.is_live = False
            if attempt.task is not None:
                attempt.task.cancel()
                orphans.keep(attempt.task)
            elif attempt.kill is not None:
                attempt.kill()
        self._live.clear()
        self._workers.close()
        self.contexts.close()


async def awaiting(value: Any) -> Any:
    """Await what is no coroutine, but may be awaited; anything else is a value: an async generator, say."""
    return await value if hasattr(value, "__await__") else value


@types.coroutine
def _rest_of(call: Any, waits_for: Any) -> Generator[Any, Any, Any]:
    """Await the rest of a coroutine that has already been started and now waits for something."""
    while True:
        try:
            yield waits_for
        except BaseException as error:
            try:
                waits_for = call.throw(error)
            except StopIteration as ended:
                return ended.value
        else:
            return (yield from call)  # pyright: ignore[reportUnknownVariableType]


def _call(
    function: Callable[..., Any], args: dict[str, Any], limits: Limits, redactor: Redactor | None, tables: TableFolder
) -> Any:
    """Call and normalise on the worker's thread, so that a large output does not hold up the loop."""
    return tables.normalise(function(**args), limits, redactor)


def _clean_outcome(outcome: Outcome, redactor: Redactor) -> Outcome:
    """Take secrets out of what a process gave back, on the worker's thread."""
    value, failure = outcome
    return redactor.clean(value), failure
