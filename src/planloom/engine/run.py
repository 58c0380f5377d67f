"""One run of one plan: asks the pure schedule what may start, starts it, and tells it what ended.

Rule: everything in here happens on the loop's thread, between two awaits, so there are no locks. Every task
it starts is kept and ended. Whatever a tool does ends as that step's state.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
import random
import shutil
import tempfile
from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from planloom.engine.attempt import Attempt, Record, cut_off
from planloom.engine.base import Clock, MakeWorkers
from planloom.engine.emitter import Emitter
from planloom.engine.failures import Failure, backoff_s, describe_exception
from planloom.engine.processes import ProcessCall, run_in_process
from planloom.engine.timers import Timers
from planloom.engine.watchdog import WATCHDOG, OnBlocked, Watched
from planloom.errors import ArgumentsError
from planloom.plan import events
from planloom.plan.conditions import ConditionError
from planloom.plan.graph import PlanGraph, graph_of
from planloom.plan.issues import shorten
from planloom.plan.limits import Limits
from planloom.plan.model import MISSING, Plan, Step
from planloom.plan.resolve import (
    Scope,
    SkippedReferenceError,
    UnresolvedError,
    decide_when,
    resolve_answer,
    resolve_args,
    resolve_for_each,
    skipped_reference,
)
from planloom.plan.results import RunResult, StepError, StepResult
from planloom.plan.schedule import Schedule, Unit
from planloom.plan.state import END_STATUSES, RunStatus, StepStatus
from planloom.plan.values import OutputError, normalise_output
from planloom.tools import Tool, ToolContext

GRACE_S: Final = 2.0
"""How long a call that was asked to end may take before it is abandoned."""
MAX_THREADS: Final = 64
MAX_PROCESSES: Final = 8
MAX_ABANDONED: Final = 64
"""Abandoned threads that a run bears before it refuses to start more calls on threads."""

_THREADS: Final = "threads"
_PROCESSES: Final = "processes"


class Run:
    """One run. Make it, then await `execute` once."""

    def __init__(
        self,
        plan: Plan,
        tools: Mapping[str, Tool],
        inputs: Mapping[str, Any],
        emitter: Emitter,
        clock: Clock,
        limits: Limits,
        *,
        max_concurrency: int | None = None,
        deps: Any = None,
        worker_model: Any = None,
        workdir: Path | None = None,
        timeout_s: float | None = None,
        seed: int | None = None,
        make_workers: MakeWorkers,
        on_blocked: OnBlocked | None = None,
    ) -> None:
        self.plan = plan
        self.run_id = emitter.run_id
        self._steps = plan.steps
        self._tools = [tools[step.tool] for step in plan.steps]
        self._emitter = emitter
        self._clock = clock
        self._limits = limits
        self._deps = deps
        self._worker_model = worker_model
        self._workdir = workdir
        self._own_workdir: Path | None = None
        self._timeout_s = timeout_s
        self._make_workers = make_workers
        self._on_blocked = on_blocked
        self._chance = random.Random(seed)
        self._graph: PlanGraph = graph_of(plan)
        self._scope = Scope({**plan.inputs, **inputs})
        self._records = [Record() for _ in plan.steps]
        self._schedule = self._make_schedule(max_concurrency)
        self._live: set[Attempt] = set()
        self._backing_off: dict[Unit, Any] = {}
        self._open_units = 0
        """Units that are queued, running or backing off: the run ends when there are none."""
        self._stop_reason: StepError | None = None
        self._is_pumping = False

    def _make_schedule(self, max_concurrency: int | None) -> Schedule:
        durations = [1.0 if tool.expected_s is None else tool.expected_s for tool in self._tools]
        limits: dict[str, int] = {}
        groups: list[tuple[str, ...]] = []
        for tool in self._tools:
            group: tuple[str, ...] = ()
            if tool.run_in == "thread" and (max_concurrency is None or max_concurrency > MAX_THREADS):
                limits[_THREADS] = MAX_THREADS
                group = (_THREADS,)
            elif tool.run_in == "process":
                limits[_PROCESSES] = MAX_PROCESSES
                group = (_PROCESSES,)
            if tool.max_concurrency is not None:
                limits[f"tool {tool.name}"] = tool.max_concurrency
                group = (f"tool {tool.name}", *group)
            groups.append(group)
        return Schedule(self._graph, self._graph.remaining(durations), max_concurrency, groups, limits)

    # ---- the run as a whole -------------------------------------------------------------------------

    async def execute(self) -> RunResult:
        """Run every step and return the result, whatever happens to the steps.

        When the awaiting task is cancelled, nothing more starts, running calls are asked to end within
        `GRACE_S`, and the complete result is returned with status `cancelled`. A second cancellation leaves
        at once.
        """
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._began_at = datetime.fromtimestamp(self._clock.now(), UTC)
        self._finished: asyncio.Future[None] = self._loop.create_future()
        self._timers = Timers(self._loop)
        self._threads = self._make_workers(self._loop, self._ended, MAX_THREADS)
        watched = None
        if not self._clock.is_virtual:
            watched = Watched(self._loop, self._step_of_task, self._report_blocked, self._on_blocked)
            WATCHDOG.watch(watched)
        try:
            self._emitter.emit(events.RunStarted, None, self.plan.goal, len(self._steps))
            if self._timeout_s is not None:
                message = f"the run took longer than {self._timeout_s:g} s"
                self._timers.after(self._timeout_s, self.stop, StepError("timeout", "TimeoutError", message))
            self._advance(self._schedule.roots())
            self._pump()
            await self._until_finished()
            result = self._result()
            self._emitter.emit(events.RunFinished, None, result.status, result)
            await self._emitter.drain(GRACE_S)
            return result
        finally:
            if watched is not None:
                WATCHDOG.forget(watched)
            self._close()

    async def _until_finished(self) -> None:
        try:
            await asyncio.shield(self._finished)
        except asyncio.CancelledError:
            self.stop(StepError("cancelled", "CancelledError", "the run was cancelled"))
            await asyncio.shield(self._finished)
            if (task := asyncio.current_task()) is not None:
                task.uncancel()  # the cancellation has become the result's status

    def stop(self, reason: StepError) -> None:
        """Start nothing more and ask every running call to end."""
        if self._stop_reason is not None:
            return
        self._stop_reason = reason
        for unit in self._schedule.drop_queue():
            self._conclude(unit, StepStatus.CANCELLED, error=_stopped(reason))
        for unit, timer in list(self._backing_off.items()):
            self._timers.cancel(timer)
            del self._backing_off[unit]
            self._conclude(unit, StepStatus.CANCELLED, error=_stopped(reason))
        for attempt in sorted(self._live, key=lambda live: live.unit):
            self._ask_to_end(attempt, "cancelled")
        self._pump()

    def _close(self) -> None:
        for attempt in self._live:  # only after a second cancellation: leave them where they are
            attempt.is_live = False
            if attempt.task is not None:
                attempt.task.cancel()
        self._timers.close()
        self._threads.close()
        if self._own_workdir is not None:
            shutil.rmtree(self._own_workdir, ignore_errors=True)

    # ---- deciding: which steps may go on ------------------------------------------------------------

    def _advance(self, freed: list[int]) -> None:
        """Decide `when` and `for_each` of steps whose dependencies have all ended, and queue them."""
        pending = deque(freed)
        while pending:
            position = pending.popleft()
            if self._schedule.statuses[position] is not StepStatus.PENDING:
                continue
            step = self._steps[position]
            if step.when is None and step.for_each is None and not self._scope.skipped:
                self._queue(position)
                continue
            try:
                reason = self._reason_to_skip(step)
                if reason is not None:
                    pending.extend(self._skip_by_condition(position, reason))
                elif step.for_each is None:
                    self._queue(position)
                else:
                    pending.extend(self._expand(position, step))
            except ConditionError as error:
                self._fail(position, StepError("condition", type(error).__name__, error.message))
            except UnresolvedError as error:
                self._fail(position, StepError("reference", type(error).__name__, str(error)))

    def _reason_to_skip(self, step: Step) -> str | None:
        if self._scope.skipped and (source := skipped_reference(step, self._scope)) is not None:
            return f"it uses `{shorten(source)}`, which was skipped by its condition"
        if step.when is None or decide_when(step, self._scope):
            return None
        return f"its condition is false: {shorten(step.when, 200)}"

    def _queue(self, position: int) -> None:
        self._schedule.move(position, StepStatus.READY)
        self._schedule.enqueue(position)
        self._open_units += 1

    def _skip_by_condition(self, position: int, reason: str) -> list[int]:
        step_id, record = self._steps[position].id, self._records[position]
        freed = self._schedule.settle(position, StepStatus.SKIPPED)
        record.reason = reason
        self._scope.skipped.add(step_id)
        self._close_step(position, StepStatus.SKIPPED)
        self._emitter.emit(events.StepSkipped, step_id, reason, None)
        return freed

    def _expand(self, position: int, step: Step) -> list[int]:
        """Turn a step with `for_each` into one unit per element; an empty list is a success at once."""
        try:
            items = resolve_for_each(step, self._scope, self._limits.fan_out)
        except SkippedReferenceError as error:
            return self._skip_by_condition(position, f"it uses `{error.step_id}`, which was skipped by its condition")
        record = self._records[position]
        self._schedule.move(position, StepStatus.READY)
        self._schedule.move(position, StepStatus.RUNNING)
        record.started = self._loop.time()
        record.elements = [Record() for _ in items]
        record.open_elements = len(items)
        self._emitter.emit(events.StepExpanded, step.id, len(items))
        if not items:
            return self._succeed(position, [])
        for index, item in enumerate(items):
            record.elements[index].scope = self._scope.for_element(item, index)
            self._schedule.enqueue(position, index)
        self._open_units += len(items)
        return []

    # ---- acting: calls start and end ----------------------------------------------------------------

    def _pump(self) -> None:
        """Start what may start. Also where the end of the run is noticed."""
        if self._is_pumping:
            return
        self._is_pumping = True
        try:
            while (unit := self._schedule.take()) is not None:
                self._start(unit)
        finally:
            self._is_pumping = False
        if not self._open_units and not self._finished.done():
            self._finished.set_result(None)

    def _start(self, unit: Unit) -> None:
        """Resolve, check and make one call. A reference that has no value never reaches the tool."""
        position, index = unit.position, unit.index
        step, tool, record = self._steps[position], self._tools[position], self._records[position]
        scope, step_id = self._scope, step.id
        if index < 0:
            self._schedule.move(position, StepStatus.RUNNING)
        else:
            assert record.elements is not None
            record = record.elements[index]
            assert record.scope is not None
            scope, step_id = record.scope, f"{step_id}[{index}]"
        record.attempts += 1
        record.status = StepStatus.RUNNING
        if record.started is None:
            record.started = self._loop.time()
        attempt = Attempt(unit, record, tool, step_id)
        self._live.add(attempt)
        self._emitter.emit(events.StepStarted, step_id, tool.name, attempt.number)
        try:
            args = resolve_args(step, scope)
            prepared = tool.prepare(args) if args or tool.parameters.get("required") else args
        except UnresolvedError as error:
            self._finish(attempt, Failure("reference", type(error).__name__, str(error)))
        except ArgumentsError as error:
            self._finish(attempt, describe_exception(error))
        except RecursionError as error:
            self._finish(attempt, describe_exception(error))
        else:
            attempt.timer = self._timers.after(self._timeout_of(step, tool), self._on_timeout, attempt)
            self._call(attempt, args, prepared)

    @staticmethod
    def _timeout_of(step: Step, tool: Tool) -> float:
        return tool.timeout_s if step.timeout_s is None else min(step.timeout_s, tool.timeout_s)

    def _call(self, attempt: Attempt, args: dict[str, Any], prepared: dict[str, Any]) -> None:
        tool = attempt.tool
        if tool.run_in == "process":
            attempt.task = self._loop.create_task(self._in_process(attempt, args))
            return
        if tool.context_parameter is not None:
            prepared = {**prepared, tool.context_parameter: self._context(attempt)}
        if tool.run_in == "loop":
            attempt.task = self._loop.create_task(self._on_loop(attempt, tool.function, prepared))
        elif self._threads.abandoned >= MAX_ABANDONED:
            message = f"{MAX_ABANDONED} abandoned calls still hold threads; no more are started"
            self._finish(attempt, Failure("limit", "RuntimeError", message))
        else:
            self._threads.submit(attempt, functools.partial(_call_on_thread, tool.function, prepared, self._limits))

    async def _on_loop(self, attempt: Attempt, function: Callable[..., Any], args: dict[str, Any]) -> None:
        try:
            value = function(**args)
            if attempt.tool.is_async:
                value = await value
            value = normalise_output(value, self._limits)
        except BaseException as error:  # also SystemExit and KeyboardInterrupt: asyncio would end the program
            self._ended(attempt, None, error)
        else:
            self._ended(attempt, value, None)

    async def _in_process(self, attempt: Attempt, args: dict[str, Any]) -> None:
        tool = attempt.tool
        assert tool.address is not None
        context = None
        if tool.context_parameter is not None:
            context = {**self._context_fields(attempt), "deps": self._deps, "workdir": str(self._folder())}
        call = ProcessCall(tool.address, args, tool.context_parameter, context, self._limits)
        try:
            value, failure = await run_in_process(call)
        except BaseException as error:
            self._ended(attempt, None, error)
        else:
            self._finish(attempt, failure, value)
            self._pump()

    def _ended(self, attempt: Attempt, value: Any, error: BaseException | None) -> None:
        """A call is over, on whatever worker. What comes after the call was given up is dropped."""
        if not attempt.is_live:
            return
        if error is None:
            self._finish(attempt, None, value)
        elif isinstance(error, OutputError):
            self._finish(attempt, Failure("output", type(error).__name__, str(error)))
        else:
            self._finish(attempt, describe_exception(error))
        self._pump()

    def _finish(self, attempt: Attempt, failure: Failure | None, value: Any = None) -> None:
        """Give back the slot of a call and decide what its outcome means for the step."""
        if not attempt.is_live:
            return
        attempt.is_live = False
        self._live.discard(attempt)
        if attempt.timer is not None:
            self._timers.cancel(attempt.timer)
        unit = attempt.unit
        self._schedule.release(unit.position)
        if attempt.cause is not None:
            self._finish_cut_off(attempt)
        elif failure is None:
            self._conclude(unit, StepStatus.SUCCEEDED, output=value)
        elif not self._try_again(attempt, failure):
            self._conclude(unit, StepStatus.FAILED, error=failure.to_error())

    def _finish_cut_off(self, attempt: Attempt) -> None:
        """Decide about a call that was asked to end; whatever it gave back since then does not count."""
        step = self._steps[attempt.unit.position]
        failure = cut_off(attempt, self._timeout_of(step, attempt.tool))
        if attempt.has_effect:
            message = f"{failure.message}; `{attempt.tool.name}` may or may not have had its effect"
            self._conclude(attempt.unit, StepStatus.UNKNOWN, error=StepError("unknown", failure.type, message))
        elif attempt.cause == "cancelled":
            self._conclude(attempt.unit, StepStatus.CANCELLED, error=failure.to_error())
        elif not self._try_again(attempt, failure):
            self._conclude(attempt.unit, StepStatus.FAILED, error=failure.to_error())

    def _try_again(self, attempt: Attempt, failure: Failure) -> bool:
        step, unit = self._steps[attempt.unit.position], attempt.unit
        retries = attempt.tool.retries if step.retries is None else min(step.retries, attempt.tool.retries)
        if not failure.is_passing or attempt.number > retries or self._stop_reason is not None:
            return False
        delay_s = backoff_s(attempt.number, self._chance) if failure.after_s is None else failure.after_s
        self._emitter.emit(events.StepRetrying, attempt.step_id, attempt.number, delay_s, failure.to_error())
        if unit.index < 0:
            self._schedule.move(unit.position, StepStatus.READY)
        attempt.record.status = StepStatus.READY
        self._backing_off[unit] = self._timers.after(delay_s, self._back_in_queue, unit)
        return True

    def _back_in_queue(self, unit: Unit) -> None:
        del self._backing_off[unit]
        self._schedule.enqueue(unit.position, unit.index)
        self._pump()

    # ---- bringing calls to an end -------------------------------------------------------------------

    def _on_timeout(self, attempt: Attempt) -> None:
        self._ask_to_end(attempt, "timeout")
        self._pump()

    def _ask_to_end(self, attempt: Attempt, cause: Any) -> None:
        """Ask a call to end. A thread that cannot hear it is abandoned at once, the rest after a grace."""
        if not attempt.is_live or attempt.cause is not None:
            return
        attempt.cause = cause
        if attempt.timer is not None:
            self._timers.cancel(attempt.timer)
        if attempt.task is not None:
            attempt.task.cancel()
        elif attempt.tool.context_parameter is None:
            self._abandon(attempt)
            return
        attempt.timer = self._timers.after(GRACE_S, self._abandon_late, attempt)

    def _abandon_late(self, attempt: Attempt) -> None:
        self._abandon(attempt)
        self._pump()

    def _abandon(self, attempt: Attempt) -> None:
        if not attempt.is_live:
            return
        if attempt.task is None:
            self._threads.abandon(attempt)
        self._emitter.emit(
            events.CallAbandoned, attempt.step_id, f"`{attempt.tool.name}` went on after it was asked to end; it was left behind"
        )
        self._finish(attempt, None)

    # ---- ends of units and steps --------------------------------------------------------------------

    def _conclude(
        self, unit: Unit, status: StepStatus, *, output: Any = None, error: StepError | None = None
    ) -> None:
        """End a unit for good: the step itself, or one element, and with the last element its step."""
        self._open_units -= 1
        position, index = unit.position, unit.index
        if index < 0:
            self._end_step(position, status, output, error)
            return
        parent = self._records[position]
        assert parent.elements is not None
        element = parent.elements[index]
        element.status, element.output, element.error, element.ended = status, output, error, self._loop.time()
        element.scope = None
        self._emit_end(f"{self._steps[position].id}[{index}]", element)
        parent.open_elements -= 1
        if not parent.open_elements:
            self._conclude_elements(position, parent.elements)

    def _conclude_elements(self, position: int, elements: list[Record]) -> None:
        self._records[position].attempts = sum(element.attempts for element in elements)
        failed = {
            index: element.error
            for index, element in enumerate(elements)
            if element.error is not None and element.status is not StepStatus.SUCCEEDED
        }
        if not failed:
            self._advance(self._succeed(position, [element.output for element in elements]))
            return
        statuses = {element.status for element in elements}
        first = next(iter(failed))
        message = f"{len(failed)} of {len(elements)} elements did not succeed; [{first}]: {failed[first].message}"
        if StepStatus.UNKNOWN in statuses:
            self._end_step(position, StepStatus.UNKNOWN, None, StepError("unknown", "ElementsError", message, failed))
        elif StepStatus.FAILED in statuses:
            self._end_step(position, StepStatus.FAILED, None, StepError("elements", "ElementsError", message, failed))
        else:
            self._end_step(position, StepStatus.CANCELLED, None, StepError("cancelled", "CancelledError", message, failed))

    def _end_step(self, position: int, status: StepStatus, output: Any, error: StepError | None) -> None:
        if status is StepStatus.SUCCEEDED:
            self._advance(self._succeed(position, output))
        elif status is StepStatus.FAILED:
            assert error is not None
            self._fail(position, error)
        else:  # unknown or cancelled: what depends on it stays pending, until a person or the end of the run
            self._schedule.move(position, status)
            self._records[position].error = error
            self._close_step(position, status)
            self._emit_end(self._steps[position].id, self._records[position])

    def _succeed(self, position: int, output: Any) -> list[int]:
        record, step_id = self._records[position], self._steps[position].id
        record.output = output
        self._scope.outputs[step_id] = output
        freed = self._schedule.settle(position, StepStatus.SUCCEEDED)
        self._close_step(position, StepStatus.SUCCEEDED)
        self._emit_end(step_id, record)
        return freed if self._stop_reason is None else []

    def _fail(self, position: int, error: StepError) -> None:
        """End a step as failed, and skip everything that would have needed it."""
        step_id, record = self._steps[position].id, self._records[position]
        self._schedule.move(position, StepStatus.FAILED)
        record.error = error
        self._close_step(position, StepStatus.FAILED)
        self._emit_end(step_id, record)
        reason = f"skipped because `{shorten(step_id)}` failed"
        for doomed in self._schedule.doom(position):
            skipped = self._records[doomed]
            skipped.reason = reason
            skipped.error = StepError("skipped", "DependencyFailed", reason)
            self._close_step(doomed, StepStatus.SKIPPED)
            self._emitter.emit(events.StepSkipped, self._steps[doomed].id, reason, skipped.error)

    def _close_step(self, position: int, status: StepStatus) -> None:
        """Write a step's end into the values that later steps may refer to, and tell who wants to know."""
        record, step_id = self._records[position], self._steps[position].id
        record.status = status
        record.ended = self._loop.time()
        self._scope.statuses[step_id] = status
        if record.error is not None:
            self._scope.errors[step_id] = record.error
        if self._emitter.wants_steps:
            self._emitter.step_complete(record.to_result(step_id, status, self._began))

    def _emit_end(self, step_id: str, record: Record) -> None:
        emitter = self._emitter
        if not emitter.is_listening:
            return
        assert record.ended is not None
        latency_ms = 0.0 if record.started is None else (record.ended - record.started) * 1_000
        if record.status is StepStatus.SUCCEEDED:
            emitter.emit(events.StepSucceeded, step_id, record.output, record.attempts, latency_ms)
        else:
            kind = _END_EVENTS[record.status]
            emitter.emit(kind, step_id, record.error, record.attempts, latency_ms)

    # ---- what tools and the result see --------------------------------------------------------------

    def _context_fields(self, attempt: Attempt) -> dict[str, Any]:
        index = attempt.unit.index
        key = hashlib.sha256(f"{self.run_id}\0{attempt.step_id}".encode()).hexdigest()[:32]
        return {
            "run_id": self.run_id,
            "step_id": self._steps[attempt.unit.position].id,
            "index": None if index < 0 else index,
            "attempt": attempt.number,
            "idempotency_key": key,
        }

    def _context(self, attempt: Attempt) -> ToolContext:
        return ToolContext(
            **self._context_fields(attempt),
            worker_model=self._worker_model,
            deps=self._deps,
            workdir=self._folder(),
            report=functools.partial(self._report_progress, attempt),
            cancelled=lambda: attempt.cause is not None or not attempt.is_live,
        )

    def _folder(self) -> Path:
        """Return the run's own folder: the caller's, or a temporary one that goes with the run."""
        if self._workdir is not None:
            return self._workdir
        if self._own_workdir is None:
            self._own_workdir = Path(tempfile.mkdtemp(prefix="planloom-"))
        return self._own_workdir

    def _report_progress(self, attempt: Attempt, progress: float | str) -> None:
        if attempt.tool.run_in == "thread":
            with contextlib.suppress(RuntimeError):  # the loop is closed: an abandoned call still talks
                self._loop.call_soon_threadsafe(self._emit_progress, attempt, progress)
        else:
            self._emit_progress(attempt, progress)

    def _emit_progress(self, attempt: Attempt, progress: float | str) -> None:
        if attempt.is_live:
            self._emitter.emit(events.StepProgress, attempt.step_id, progress)

    def _step_of_task(self, task: Any) -> str:
        return next((attempt.step_id for attempt in list(self._live) if attempt.task is task), "")

    def _report_blocked(self, step_id: str, blocked_s: float) -> None:
        self._emitter.emit(events.LoopBlocked, step_id or None, blocked_s)

    def _result(self) -> RunResult:
        if self._stop_reason is not None:
            for position in self._schedule.open_steps():
                self._schedule.move(position, StepStatus.CANCELLED)
                self._records[position].error = _stopped(self._stop_reason)
                self._close_step(position, StepStatus.CANCELLED)
                self._emit_end(self._steps[position].id, self._records[position])
        steps = {
            step.id: self._records[position].to_result(step.id, self._schedule.statuses[position], self._began)
            for position, step in enumerate(self._steps)
        }
        status = self._run_status()
        is_timeout = self._stop_reason is not None and self._stop_reason.kind != "cancelled"
        return RunResult(
            self.run_id,
            status,
            self._answer(steps),
            self.plan,
            steps,
            started_at=self._began_at,
            duration_ms=(self._loop.time() - self._began) * 1_000,
            error=self._stop_reason if is_timeout else None,
        )

    def _run_status(self) -> RunStatus:
        if self._stop_reason is not None:
            return RunStatus.CANCELLED if self._stop_reason.kind == "cancelled" else RunStatus.FAILED
        statuses = self._schedule.statuses
        if any(status is StepStatus.UNKNOWN for status in statuses):
            return RunStatus.WAITING
        assert all(status in END_STATUSES for status in statuses)
        if any(status is StepStatus.FAILED for status in statuses):
            return RunStatus.FAILED
        return RunStatus.SUCCEEDED

    def _answer(self, steps: Mapping[str, StepResult]) -> Any:
        """Return the plan's answer, else the output of the only last step, else of all last steps by id."""
        if self.plan.answer is not MISSING:
            return resolve_answer(self.plan, self._scope)
        last = [steps[self._graph.ids[i]] for i, following in enumerate(self._graph.dependents) if not following]
        if not all(step.is_success for step in last):
            return None
        if len(last) == 1:
            return last[0].output
        return {step.step_id: step.output for step in last if step.status is StepStatus.SUCCEEDED}


_END_EVENTS: Final = {
    StepStatus.FAILED: events.StepFailed,
    StepStatus.CANCELLED: events.StepCancelled,
    StepStatus.UNKNOWN: events.StepUnknown,
}


def _stopped(reason: StepError) -> StepError:
    return StepError("cancelled", "CancelledError", f"not finished: {reason.message}")


def _call_on_thread(function: Callable[..., Any], args: dict[str, Any], limits: Limits) -> Any:
    """Call and normalise on the worker's thread, so that a large output does not hold up the loop."""
    return normalise_output(function(**args), limits)
