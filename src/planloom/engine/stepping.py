"""From step to step: asks the pure schedule what may start, starts it, and tells it what ended.

Rule: everything in here happens on the loop's thread, between two awaits, so there are no locks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import partial
from typing import Any

from planloom.engine.attempt import Attempt
from planloom.engine.calls import Calls
from planloom.engine.clock import time_of
from planloom.engine.deciding import decide, is_plain
from planloom.engine.emitter import Emitter
from planloom.engine.failures import Backoff, Failure, describe_exception
from planloom.engine.ledger import Ledger
from planloom.engine.outcome import elements_outcome, not_finished
from planloom.engine.replans import Replans
from planloom.engine.running_plan import RunningPlan
from planloom.engine.settings import RunSettings
from planloom.engine.timers import Timer, Timers
from planloom.engine.waits import Waits
from planloom.errors import BudgetExceededError
from planloom.plan import events
from planloom.plan.model import Plan, Step
from planloom.plan.resolve import Scope, UnresolvedError, resolve_args
from planloom.plan.results import StepError
from planloom.plan.schedule import Unit
from planloom.plan.state import StepStatus
from planloom.tools import Toolbox
from planloom.tools.checks import find_issues


class Stepping:
    """The steps of one run on their way. `begin` it, then await `until_finished`."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        running: RunningPlan,
        toolbox: Toolbox,
        inputs: Mapping[str, Any],
        ledger: Ledger,
        emitter: Emitter,
        settings: RunSettings,
        *,
        is_whole: bool,
    ) -> None:
        self._running = running
        self._schedule = running.schedule
        self._steps = running.steps
        self._tools = running.tools
        self._ledger = ledger
        self._emitter = emitter
        self._settings = settings
        self._limits = settings.limits
        self._account = settings.hooks.account
        self._time = time_of(loop)
        self._timers = Timers(loop, self._crash)
        self.calls = Calls(
            loop, self._timers, emitter, self._limits, settings.supplies, settings.make_workers, self._ended
        )
        self._waits = Waits(
            settings.hooks.person, emitter, self._limits, running.schedule,
            self._set_aside, self._conclude, self._pump, self._crash,
        )  # fmt: skip
        self._has_gate = self._waits.asks_before_effects or self._account is not None
        find = partial(find_issues, toolbox=toolbox, inputs=inputs, limits=settings.limits)
        self._replans = Replans(running, ledger, emitter, settings.hooks.replanner, find, self._go_on, self._crash)
        self._replans.is_paused = not is_whole
        self._is_whole = is_whole
        self._backoff = Backoff(settings.seed)
        self._backing_off: dict[Unit, Timer] = {}
        self._open_units = 0
        """Units that are queued, running, backing off or waiting for a person: the run goes on while there are any."""
        self.stop_reason: StepError | None = None
        self._is_pumping = False
        self._is_plain = is_plain(running.plan)
        """Whether no step has anything to decide before it is ready."""
        self._task = asyncio.current_task()
        self._cancelled_before = self._task.cancelling() if self._task is not None else 0
        self._finished: asyncio.Future[None] = loop.create_future()

    # ---- the run as a whole -------------------------------------------------------------------------

    def begin(self) -> None:
        """Start what waits for nothing."""
        settings = self._settings
        if settings.timeout_s is not None:
            message = f"the run took longer than {settings.timeout_s:g} s"
            self._timers.after(settings.timeout_s, self.stop, StepError("timeout", "TimeoutError", message))
        if settings.finished:
            self._ledger.adopt_all(settings.finished)
            self._is_plain = False
        self._advance(self._schedule.roots())
        self._pump()

    async def until_finished(self) -> None:
        """Wait until nothing is left to do. Being cancelled stops the run; being cancelled again raises."""
        try:
            await self._finished  # not shielded, for that takes another turn of the loop
        except asyncio.CancelledError:
            if self._finished.cancelled() and self._is_open:  # else the run has ended in the same moment
                self._finished = asyncio.get_running_loop().create_future()
                self.stop(StepError("cancelled", "CancelledError", "the run was cancelled"))
                await self._finished
            if self._task is not None:
                self._task.uncancel()  # the cancellation has become the result's status

    @property
    def _is_open(self) -> bool:
        return bool(self._open_units) or not self._is_whole or self._replans.is_open

    def stop(self, reason: StepError) -> None:
        """Start nothing more and ask every running call to end."""
        if self._finished.done():
            return
        self.drain(reason)
        self.calls.end_all("cancelled")
        self._pump()

    def drain(self, reason: StepError) -> None:
        """Start nothing more, and let running calls come to their end. The first reason given is the run's."""
        if self.stop_reason is not None or self._finished.done():
            return
        self.stop_reason = reason
        self._is_whole = True
        self._cancel_waiting(
            [*self._schedule.drop_queue(), *self._backing_off, *self._waits.stop()], not_finished(reason)
        )
        self._replans.give_up()
        self._pump()

    def _cancel_waiting(self, units: Iterable[Unit], error: StepError) -> None:
        """End units that have not begun, or are between two attempts."""
        for unit in units:
            if unit in self._backing_off:
                self._timers.cancel(self._backing_off.pop(unit))
            self._conclude(unit, StepStatus.CANCELLED, error=error)

    def _crash(self, fault: BaseException) -> None:
        """End the run with a fault of the engine: a run that stands still would be worse."""
        if not self._finished.done():
            self._finished.set_exception(fault)

    def close(self) -> None:
        """Let go of everything."""
        self._replans.close()
        self._waits.stop()
        self._timers.close()
        self.calls.close()

    # ---- a plan that changes while it runs -----------------------------------------------------------

    def arrive(self, steps: Sequence[Step], plan: Plan) -> None:
        """Add steps to a plan that is not whole yet; `plan` is what there is of it."""
        if self.stop_reason is None:
            self._go_on(self._running.add(steps, plan, self._ledger))

    def complete(self, plan: Plan) -> None:
        """Put the whole plan in the place of what arrived of it; steps that are the same stay as they are."""
        if self.stop_reason is not None:
            return
        kept = self._running.same_as(plan, self._ledger.changed_inputs(plan))
        gone = [position for step_id, position in self._running.position_of.items() if step_id not in kept]
        error = StepError("cancelled", "CancelledError", "the whole plan does not have this step")
        self._running.drop(gone, self._ledger, error)
        self._end_dropped(frozenset(gone), error)
        self._is_whole = True
        self._go_on(self._running.add([step for step in plan.steps if step.id not in kept], plan, self._ledger))
        self._replans.resume()
        self._pump()

    def _end_dropped(self, gone: AbstractSet[int], error: StepError) -> None:
        """End what steps that left the plan have begun."""
        self._replans.forget(gone)
        units = [unit for unit in self._backing_off if unit.position in gone]
        self._cancel_waiting([*self._schedule.drop_queue(gone), *units, *self._waits.stop(gone)], error)
        self.calls.end_steps(gone)

    def _go_on(self, freed: list[int]) -> None:
        """Start what a change of the plan has set free."""
        self._is_plain = self._is_plain and is_plain(self._running.plan)
        if self.stop_reason is None:
            self._advance(freed)
        self._pump()

    # ---- deciding: which steps may go on ------------------------------------------------------------

    def _advance(self, freed: list[int]) -> None:
        """Decide `when` and `for_each` of steps whose dependencies have all ended, and queue them."""
        if self._is_plain:
            self._schedule.enqueue(freed)
            self._open_units += len(freed)
            return
        for position in freed:  # grows while it is walked: a skipped step frees others
            decision = decide(self._steps[position], self._ledger.scope, self._limits.fan_out)
            if decision.error is not None:
                self._fail(position, decision.error)
            elif decision.skip_reason is not None:
                freed.extend(self._ledger.skip(position, decision.skip_reason))
            elif decision.items is not None:
                freed.extend(self._expand(position, decision.items))
            else:
                self._schedule.enqueue((position,))
                self._open_units += 1

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

    def _fail(self, position: int, error: StepError) -> None:
        """End a step as failed for good. What needs it is skipped, or held while a way around is looked for."""
        self._ledger.end(position, StepStatus.FAILED, error)
        if position in self._schedule.dropped:
            return
        if self.stop_reason is None and self._replans.may_replan(error):
            self._replans.add(position)
        else:
            self._ledger.doom(position)

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
        if not self._open_units and not self._is_open and not self._finished.done():
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
        if self._has_gate and not self._may_start(unit, scope, step_id):
            return
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
            self.calls.make(attempt, args, prepared)

    def _may_start(self, unit: Unit, scope: Scope, step_id: str) -> bool:
        """Ask for the approval of a call, and charge its start to the budget; without either it does not start."""
        step, tool = self._steps[unit.position], self._tools[unit.position]
        if self._waits.must_wait(unit, step, tool, scope, step_id):
            return False
        if self._account is None:
            return True
        try:
            self._account.charge("steps")
        except BudgetExceededError as error:
            self._schedule.release(unit.position)
            spent = describe_exception(error).to_error()
            self._conclude(unit, StepStatus.CANCELLED, error=not_finished(spent))
            self.drain(spent)
            return False
        return True

    def _ended(self, attempt: Attempt, failure: Failure | None, value: Any) -> None:
        """A call is over, wherever it ran. What comes after the call was given up is dropped."""
        if not attempt.is_live:
            return
        try:
            if failure is None and attempt.cause is None and attempt.unit.index < 0:
                # what `_finish` comes to for the plain end of a plain step, by the shortest way: most calls end so
                position = attempt.unit.position
                self.calls.settle(attempt)
                self._schedule.release(position)
                self._open_units -= 1
                freed = self._ledger.succeed(position, value)
                if freed and self.stop_reason is None:
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
        self.calls.settle(attempt)
        unit = attempt.unit
        self._schedule.release(unit.position)
        if attempt.cause is not None:
            self._finish_cut_off(attempt)
        elif failure is None:
            self._conclude(unit, StepStatus.SUCCEEDED, output=value)
        elif failure.kind in ("question", "waiting"):
            is_asked = failure.kind == "waiting"
            self._waits.ask_question(unit, attempt.step_id, attempt.tool.name, failure.message, is_asked=is_asked)
        elif not self._try_again(attempt, failure):
            self._conclude(unit, StepStatus.FAILED, error=failure.to_error())
            if failure.kind == "budget":
                self.drain(failure.to_error())

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
        if not failure.is_passing or attempt.number > retries or self.stop_reason is not None:
            return False
        delay_s = self._backoff.after(attempt.number, failure)
        self._emitter.emit(events.StepRetrying, attempt.step_id, attempt.number, delay_s, failure.to_error())
        self._set_aside(unit, StepStatus.READY)
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
            if status is StepStatus.WAITING:
                self._set_aside(Unit(0.0, position, -1), status)
        if status is StepStatus.WAITING:
            return
        if status is StepStatus.FAILED and error is not None:
            self._fail(position, error)
        elif error is not None:
            self._ledger.end(position, status, error)
        else:
            freed = self._ledger.succeed(position, output)
            if freed and self.stop_reason is None:
                self._advance(freed)

    def _set_aside(self, unit: Unit, status: StepStatus) -> None:
        """Change the state of a unit that goes on later. An element does so within its step, which keeps running."""
        record = self._ledger.records[unit.position]
        if unit.index < 0:
            self._schedule.move(unit.position, status)
        else:
            assert record.elements is not None
            record = record.elements[unit.index]
        record.status = status
