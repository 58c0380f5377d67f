"""One run of one plan: asks the pure schedule what may start, starts it, and tells it what ended.

Rule: everything in here happens on the loop's thread, between two awaits, so there are no locks. Whatever a
tool does ends as that step's state; a fault of the engine itself ends the run with that fault, never in
silence.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from planloom.engine.attempt import Attempt
from planloom.engine.base import Clock, MakeWorkers
from planloom.engine.calls import GRACE_S, Calls
from planloom.engine.clock import time_of
from planloom.engine.context import Supplies
from planloom.engine.emitter import Emitter
from planloom.engine.failures import Failure, backoff_s, describe_exception
from planloom.engine.ledger import Ledger
from planloom.engine.outcome import elements_outcome, not_finished
from planloom.engine.slots import make_schedule
from planloom.engine.timers import Timer, Timers
from planloom.engine.watchdog import WATCHDOG, OnBlocked, Watched
from planloom.plan import events
from planloom.plan.conditions import ConditionError
from planloom.plan.graph import graph_of
from planloom.plan.issues import shorten
from planloom.plan.limits import Limits
from planloom.plan.model import Plan, Step
from planloom.plan.resolve import (
    UnresolvedError,
    decide_when,
    resolve_args,
    resolve_for_each,
    skipped_reference,
)
from planloom.plan.results import RunResult, StepError
from planloom.plan.schedule import Unit
from planloom.plan.state import StepStatus
from planloom.tools import Tool


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
        max_concurrency: int | None,
        supplies: Supplies,
        timeout_s: float | None,
        seed: int | None,
        make_workers: MakeWorkers,
        on_blocked: OnBlocked | None,
    ) -> None:
        self.plan = plan
        self._steps = plan.steps
        by_name = dict(tools)
        self._tools = [by_name[step.tool] for step in plan.steps]
        self._inputs = inputs
        self._emitter = emitter
        self._clock = clock
        self._limits = limits
        self._supplies = supplies
        self._timeout_s = timeout_s
        self._make_workers = make_workers
        self._on_blocked = on_blocked
        self._seed = seed
        self._chance: random.Random | None = None
        self._schedule = make_schedule(graph_of(plan), self._tools, max_concurrency)
        self._backing_off: dict[Unit, Timer] = {}
        self._open_units = 0
        """Units that are queued, running or backing off: the run ends when there are none."""
        self._stop_reason: StepError | None = None
        self._is_pumping = False
        self._is_plain = all(step.when is None and step.for_each is None for step in plan.steps)
        """Whether no step has anything to decide before it is ready."""

    # ---- the run as a whole -------------------------------------------------------------------------

    async def execute(self) -> RunResult:
        """Run every step and return the result, whatever happens to the steps.

        When the awaiting task is cancelled, nothing more starts, running calls are asked to end within
        `GRACE_S`, and the complete result is returned with status `cancelled`. A second cancellation leaves
        at once.
        """
        loop = asyncio.get_running_loop()
        began_at = datetime.fromtimestamp(self._clock.now(), UTC)
        self._time = time_of(loop)
        self._task = asyncio.current_task()
        self._cancelled_before = self._task.cancelling() if self._task is not None else 0
        self._finished: asyncio.Future[None] = loop.create_future()
        self._ledger = Ledger(self.plan, self._inputs, self._schedule, self._emitter, self._time, began_at)
        self._timers = Timers(loop, self._crash)
        self._calls = Calls(
            loop, self._timers, self._emitter, self._limits, self._supplies, self._make_workers, self._ended
        )
        watched = None
        if not self._clock.is_virtual:
            watched = Watched(loop, self._calls.step_of, self._report_blocked, self._on_blocked)
            WATCHDOG.watch(watched)
        try:
            self._begin()
            await self._until_finished()
            result = self._ledger.result(self._stop_reason)
            await self._emitter.drain(GRACE_S)
            self._emitter.emit_last(events.RunFinished, result.status, result)
            await self._emitter.drain(GRACE_S)
            return result
        finally:
            if watched is not None:
                WATCHDOG.forget(watched)
            self._timers.close()
            self._calls.close()

    def _begin(self) -> None:
        self._emitter.emit(events.RunStarted, None, self.plan.goal, len(self._steps))
        if self._timeout_s is not None:
            message = f"the run took longer than {self._timeout_s:g} s"
            self._timers.after(self._timeout_s, self.stop, StepError("timeout", "TimeoutError", message))
        self._advance(self._schedule.roots())
        self._pump()

    async def _until_finished(self) -> None:
        try:
            await self._finished  # not shielded, for that takes another turn of the loop
        except asyncio.CancelledError:
            if self._finished.cancelled() and self._open_units:  # else the run has ended in the same moment
                self._finished = asyncio.get_running_loop().create_future()
                self.stop(StepError("cancelled", "CancelledError", "the run was cancelled"))
                await self._finished
            if self._task is not None:
                self._task.uncancel()  # the cancellation has become the result's status

    def stop(self, reason: StepError) -> None:
        """Start nothing more and ask every running call to end."""
        if self._stop_reason is not None or self._finished.done():
            return
        self._stop_reason = reason
        for unit in self._schedule.drop_queue():
            self._conclude(unit, StepStatus.CANCELLED, error=not_finished(reason))
        for unit, timer in list(self._backing_off.items()):
            self._timers.cancel(timer)
            del self._backing_off[unit]
            self._conclude(unit, StepStatus.CANCELLED, error=not_finished(reason))
        self._calls.end_all("cancelled")
        self._pump()

    def _crash(self, fault: BaseException) -> None:
        """End the run with a fault of the engine: a run that stands still would be worse."""
        if not self._finished.done():
            self._finished.set_exception(fault)

    # ---- deciding: which steps may go on ------------------------------------------------------------

    def _advance(self, freed: list[int]) -> None:
        """Decide `when` and `for_each` of steps whose dependencies have all ended, and queue them."""
        scope, steps = self._ledger.scope, self._steps
        if self._is_plain:
            self._schedule.enqueue(freed)
            self._open_units += len(freed)
            return
        for position in freed:  # grows while it is walked: a skipped step frees others
            step = steps[position]
            if step.when is None and step.for_each is None and not scope.skipped:
                self._schedule.enqueue([position])
                self._open_units += 1
                continue
            try:
                reason = self._reason_to_skip(step)
                items = None
                if reason is None and step.for_each is not None:
                    items = resolve_for_each(step, self._ledger.scope, self._limits.fan_out)
            except ConditionError as error:
                self._ledger.end(position, StepStatus.FAILED, StepError("condition", "ConditionError", error.message))
            except UnresolvedError as error:
                self._ledger.end(position, StepStatus.FAILED, StepError("reference", "UnresolvedError", str(error)))
            except Exception as error:  # too deep, or too large for the memory
                self._ledger.end(position, StepStatus.FAILED, describe_exception(error).to_error())
            else:
                if reason is not None:
                    freed.extend(self._ledger.skip(position, reason))
                elif items is None:
                    self._schedule.enqueue([position])
                    self._open_units += 1
                else:
                    freed.extend(self._expand(position, items))

    def _reason_to_skip(self, step: Step) -> str | None:
        scope = self._ledger.scope
        if scope.skipped and (source := skipped_reference(step, scope)) is not None:
            return f"it uses `{shorten(source)}`, which was skipped by its condition"
        if step.when is None or decide_when(step, scope):
            return None
        return f"its condition is false: {shorten(step.when, 200)}"

    def _expand(self, position: int, items: list[Any]) -> list[int]:
        """Turn a step with `for_each` into one unit per element; an empty list is a success at once."""
        self._schedule.move(position, StepStatus.READY)
        self._schedule.move(position, StepStatus.RUNNING)
        self._ledger.expand(position, items)
        if not items:
            return self._ledger.succeed(position, [])
        for index in range(len(items)):
            self._schedule.enqueue_element(position, index)
        self._open_units += len(items)
        return []

    # ---- acting: calls start and end ----------------------------------------------------------------

    def _pump(self) -> None:
        """Start what may start. Also where the end of the run is noticed."""
        if self._is_pumping:
            return
        # when the run is cancelled it hears of it in the loop's next turn, and nothing may start until then
        if self._task is None or self._task.cancelling() <= self._cancelled_before:
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
        _, position, index = unit
        ledger = self._ledger
        step, tool, record = self._steps[position], self._tools[position], ledger.records[position]
        scope, step_id = ledger.scope, step.id
        if index >= 0:
            assert record.elements is not None
            record = record.elements[index]
            assert record.scope is not None
            scope, step_id = record.scope, f"{step_id}[{index}]"
        record.attempts += 1
        record.status = StepStatus.RUNNING
        now = self._time()
        if record.started is None:
            record.started = now
        timeout_s = tool.timeout_s
        if step.timeout_s is not None and step.timeout_s < timeout_s:
            timeout_s = step.timeout_s
        attempt = Attempt(unit, record, tool, step_id, timeout_s, now + timeout_s)
        if self._emitter.is_listening:
            self._emitter.emit(events.StepStarted, step_id, tool.name, attempt.number)
        try:
            args = resolve_args(step, scope) if step.args else {}
            prepared = tool.prepare(args)
        except UnresolvedError as error:
            self._finish(attempt, Failure("reference", type(error).__name__, str(error)), None)
        except BaseException as error:  # the argument types of a tool may check themselves, and raise anything
            self._finish(attempt, describe_exception(error), None)
        else:
            self._calls.make(attempt, args, prepared)

    def _ended(self, attempt: Attempt, failure: Failure | None, value: Any) -> None:
        """A call is over, wherever it ran. What comes after the call was given up is dropped."""
        if not attempt.is_live:
            return
        try:
            if failure is None and attempt.cause is None and attempt.unit.index < 0:
                # what `_finish` comes to for the plain end of a plain step, by the shortest way: most calls end so
                position = attempt.unit.position
                self._calls.settle(attempt)
                self._schedule.release(position)
                self._open_units -= 1
                freed = self._ledger.succeed(position, value)
                if freed and self._stop_reason is None:
                    self._advance(freed)
                elif self._open_units and not self._schedule.is_limited:
                    return  # it has made room for nothing
            else:
                self._finish(attempt, failure, value)
            self._pump()
        except BaseException as fault:
            self._crash(fault)

    def _finish(self, attempt: Attempt, failure: Failure | None, value: Any) -> None:
        """Give back the slot of a call and decide what its outcome means for the step."""
        self._calls.settle(attempt)
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
        failure = attempt.cut_off()
        if attempt.may_have_acted:
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
        if self._chance is None:  # seeding one takes as long as a step, and most runs never need it
            self._chance = random.Random(self._seed)  # noqa: S311 - jitter is no secret
        delay_s = backoff_s(attempt.number, self._chance) if failure.after_s is None else failure.after_s
        self._emitter.emit(events.StepRetrying, attempt.step_id, attempt.number, delay_s, failure.to_error())
        if unit.index < 0:
            self._schedule.move(unit.position, StepStatus.READY)
        attempt.record.status = StepStatus.READY
        self._backing_off[unit] = self._timers.after(delay_s, self._back_in_queue, unit)
        return True

    def _back_in_queue(self, unit: Unit) -> None:
        del self._backing_off[unit]
        self._schedule.put_back(unit)
        self._pump()

    def _conclude(self, unit: Unit, status: StepStatus, *, output: Any = None, error: StepError | None = None) -> None:
        """End a unit for good: the step itself, or one element, and with the last element its step."""
        self._open_units -= 1
        position, index = unit.position, unit.index
        if index >= 0:
            elements = self._ledger.end_element(position, index, status, output, error)
            if elements is None:
                return
            status, error = elements_outcome(elements)
            output = [element.output for element in elements]
        if error is not None:
            self._ledger.end(position, status, error)
            return
        freed = self._ledger.succeed(position, output)
        if freed and self._stop_reason is None:
            self._advance(freed)

    def _report_blocked(self, step_id: str, blocked_s: float) -> None:
        self._emitter.emit(events.LoopBlocked, step_id or None, blocked_s)
