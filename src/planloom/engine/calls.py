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
from typing import Any, Final

from planloom.engine import orphans
from planloom.engine.attempt import Attempt, Cause
from planloom.engine.base import MakeWorkers
from planloom.engine.context import Contexts, Supplies
from planloom.engine.emitter import Emitter
from planloom.engine.failures import Failure, describe_exception
from planloom.engine.processes import ProcessJob, locate_main
from planloom.engine.secrecy import read_output, without_secrets
from planloom.engine.slots import MAX_PROCESSES, MAX_THREADS
from planloom.engine.tables import TableFolder
from planloom.engine.timers import LiveCalls, Timers
from planloom.engine.worker import Outcome, ProcessCall
from planloom.plan.events import CallAbandoned
from planloom.plan.limits import Limits
from planloom.plan.redaction import Redactor
from planloom.plan.values import TableFoundError, normalise_output

GRACE_S: Final = 2.0
"""How long a call that was asked to end may take before it is abandoned."""
MAX_ABANDONED: Final = 64
"""Abandoned calls that a run bears before it refuses to make more on the loop or on threads."""
MAX_CONTINUED: Final = 64
"""Calls that one task makes after another before it gives the loop a turn."""

_COROUTINES: Final = frozenset({types.CoroutineType})

OnEnd = Callable[[Attempt, Failure | None, Any], None]
"""Called on the loop with a call that is over, and its failure or its value."""


class Calls:
    """Makes calls of tools, with their time limits and contexts, and ends them."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        timers: Timers,
        emitter: Emitter,
        limits: Limits,
        supplies: Supplies,
        make_workers: MakeWorkers,
        on_end: OnEnd,
    ) -> None:
        self._loop = loop
        self._timers = timers
        self._emitter = emitter
        self._limits = limits
        self._contexts = Contexts(supplies, emitter, loop)
        self._workers = make_workers(loop, self._delivered, MAX_THREADS + MAX_PROCESSES)
        redactor = self._redactor = emitter.redactor
        self._on_end = on_end if redactor is None else without_secrets(on_end, redactor)
        self._caller = contextvars.copy_context()
        """The context variables of the run's caller: what one tool sets there no other tool sees."""
        self._abandoned_tasks = 0
        self._live = LiveCalls[Attempt](loop, timers, self._time_out)
        self._may_continue = False
        """Whether the task that reports an end can make the next call itself."""
        self._next: tuple[Attempt, dict[str, Any]] | None = None

    def make(self, attempt: Attempt, args: dict[str, Any], prepared: dict[str, Any]) -> None:
        """Make a call: with the `prepared` arguments in this process, with the plain `args` in another."""
        tool = attempt.tool
        self._live.add(attempt)
        if tool.run_in == "process":
            self._make_in_process(attempt, args)
            return
        if (self._abandoned_tasks or self._workers.abandoned) and (
            self._abandoned_tasks + self._workers.abandoned >= MAX_ABANDONED
        ):
            message = f"{MAX_ABANDONED} abandoned calls are still running; no more are made"
            self._on_end(attempt, Failure("limit", "TooManyAbandoned", message), None)
            return
        if tool.takes_tables:
            self._make_with_tables(attempt, args)
            return
        if tool.context_parameter is not None:
            prepared = {**prepared, tool.context_parameter: self._contexts.make(attempt, args)}
        if tool.run_in != "loop":
            context, tables = self._caller.copy(), TableFolder(self._contexts.folder, attempt.step_id)
            call = _call, tool.function, prepared, self._limits, self._redactor, tables
            self._submit(attempt, lambda: context.run(*call))
        elif self._may_continue:
            self._may_continue = False
            self._next = attempt, prepared
        else:
            self._start_task(attempt, prepared)

    def _start_task(self, attempt: Attempt, prepared: dict[str, Any]) -> None:
        call = self._call_on_loop(attempt, prepared)
        # in a copy of the caller's context variables; not by `context=`, which not every task factory takes
        attempt.task = self._caller.run(self._loop.create_task, call)

    def _make_with_tables(self, attempt: Attempt, args: dict[str, Any]) -> None:
        """Read the tables among the arguments on a thread, and make the call there, or on the loop afterwards."""
        tool, limits, redactor = attempt.tool, self._limits, self._redactor
        given = {} if tool.context_parameter is None else {tool.context_parameter: self._contexts.make(attempt, args)}
        tables = TableFolder(self._contexts.folder, attempt.step_id)
        context = self._caller.copy()
        is_apart = attempt.is_reading = tool.run_in == "loop"

        def read() -> dict[str, Any]:
            return {**tables.read(tool, args), **given}

        def call() -> Any:
            return _call(tool.function, read(), limits, redactor, tables)

        self._submit(attempt, lambda: context.run(read if is_apart else call))
        attempt.has_begun = not is_apart

    def _keep_tables(self, attempt: Attempt, value: Any) -> None:
        """Let a thread keep the tables that a call on the loop gave back; that is its end."""
        attempt.task = None  # it is over, or goes on with another call
        tables = TableFolder(self._contexts.folder, attempt.step_id)
        self._submit(attempt, lambda: tables.keep(value, self._limits, self._redactor))

    async def _call_on_loop(self, attempt: Attempt, args: dict[str, Any]) -> None:
        """Make a call, and then go on with a call that its end has set free: that saves a task and a turn of the loop.

        Only a task that is as good as new goes on: its call never gave the loop back, so nothing outside can have
        got hold of the task, and it has left the context variables as they were. After `MAX_CONTINUED` calls the
        loop gets its turn, so that nothing else starves.
        """
        task = attempt.task or asyncio.current_task()  # a task factory may start the task before `make` sees it
        assert task is not None
        continued = 0
        while True:
            attempt.task, attempt.has_begun = task, True
            failure, value, has_waited, tool = None, None, False, attempt.tool
            try:
                value = tool.function(**args)
                if tool.is_async and type(value) in _COROUTINES:
                    try:
                        waits_for = value.send(None)
                    except StopIteration as ended:
                        value = ended.value
                    else:
                        has_waited = True
                        value = await _rest_of(value, waits_for)
                elif tool.is_async and hasattr(value, "__await__"):  # an async generator is not awaitable
                    has_waited = True
                    value = await value
                if self._redactor is None:
                    value = normalise_output(value, self._limits)
                else:
                    value = read_output(value, self._limits, self._redactor)
            except TableFoundError:
                self._keep_tables(attempt, value)
                return
            except BaseException as error:  # also SystemExit and KeyboardInterrupt: asyncio would end the program
                failure, value = describe_exception(error), None
            continued += 1
            self._may_continue = (
                not has_waited
                and continued < MAX_CONTINUED
                and not task.cancelling()
                and contextvars.copy_context() == self._caller
            )
            self._on_end(attempt, failure, value)
            self._may_continue = False
            if self._next is None:
                return
            (attempt, args), self._next = self._next, None

    def _make_in_process(self, attempt: Attempt, args: dict[str, Any]) -> None:
        tool = attempt.tool
        assert tool.address is not None
        try:
            folder = str(self._contexts.folder())
        except OSError as error:
            message = f"the run's folder cannot be made: {describe_exception(error).message}"
            self._on_end(attempt, Failure("worker", type(error).__name__, message), None)
            return
        context = None
        if tool.context_parameter is not None:
            try:
                context = pickle.dumps({**self._contexts.fields(attempt, args), "deps": self._contexts.deps})
            except Exception as error:
                message = f"`deps` cannot go to another process: {describe_exception(error).message}"
                self._on_end(attempt, Failure("worker", type(error).__name__, message), None)
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
            self._on_end(attempt, Failure("limit", "RuntimeError", message), None)

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
        self._on_end(attempt, failure, value)

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
                self._on_end(attempt, None, None)
                return
        elif attempt.kill is not None:
            attempt.kill()
        elif attempt.tool.context_parameter is None:
            self._abandon(attempt)
            return
        attempt.grace = self._timers.after(GRACE_S, self._abandon, attempt)

    def end_all(self, cause: Cause) -> None:
        """Ask every call to end, in the order of the schedule."""
        for attempt in sorted(self._live, key=lambda live: live.unit):
            self.end(attempt, cause)

    def end_steps(self, positions: AbstractSet[int]) -> None:
        """Ask the calls of some steps to end."""
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
        self._on_end(attempt, None, None)

    def _abandoned_task_done(self, _: object) -> None:
        self._abandoned_tasks -= 1

    def step_of(self, task: object) -> str:
        """Return the id of the step that a task belongs to, "" when it is none of this run's."""
        return next((attempt.step_id for attempt in list(self._live) if attempt.task is task), "")

    def close(self) -> None:
        """Let go of everything; calls that are still under way are ended without waiting for them."""
        for attempt in self._live:
            attempt.is_live = False
            if attempt.task is not None:
                attempt.task.cancel()
                orphans.keep(attempt.task)
            elif attempt.kill is not None:
                attempt.kill()
        self._live.clear()
        self._workers.close()
        self._contexts.close()


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
