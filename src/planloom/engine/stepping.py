"""From step to step: asks the pure schedule what may start, starts it, and tells it what ended.

Rule: everything in here happens on the loop's thread, between two awaits, so there are no locks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from planloom.engine.attempt import Attempt, time_limit
from planloom.engine.calls import Calls
from planloom.engine.clock import time_of
from planloom.engine.deciding import decide
from planloom.engine.durability import Durability
from planloom.engine.emitter import Emitter
from planloom.engine.ending import Ending
from planloom.engine.failures import Backoff, Failure, describe_exception
from planloom.engine.lane import Lane
from planloom.engine.ledger import Ledger
from planloom.engine.outcome import elements_outcome, not_finished
from planloom.engine.replans import Replans
from planloom.engine.running_plan import RunningPlan
from planloom.engine.secrecy import prepare
from planloom.engine.settings import RunSettings
from planloom.engine.timers import Timer, Timers
from planloom.engine.verdict import judge
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
        self._steps, self._tools = running.steps, running.tools
        self._ledger = ledger
        self._emitter, self._redactor = emitter, emitter.redactor
        self._settings = settings
        self._limits = settings.limits
        self._account = settings.hooks.account
        self._time = time_of(loop)
        self._ending = Ending(loop)
        fail, schedule = self._ending.fail, running.schedule
        self._timers = Timers(loop, fail)
        self._has_gate = settings.hooks.is_gate
        self.calls = calls = Calls(loop, self._timers, emitter, settings, self._ended)
        acts = self._succeed, self._start, self._pump
        self._lane = Lane(loop, running, ledger, emitter, calls, self._ending, *acts)
        self._waits = Waits(
            settings.hooks.person, emitter, self._limits, schedule, self._set_aside, self._conclude, self._pump, fail
        )
        self._durability: Durability | None = None
        self._make, self._free, amended = self.calls.make, self._advance, self._go_on
        if settings.recorder is not None:
            acts = self._go_on, self.calls.make, fail, self._ended, emitter.redactor
            self._durability = Durability(settings.recorder, loop, schedule, *acts)
            self._make, self._free, amended = self._durability.make, self._durability.free, self._durability.free
        find = partial(find_issues, toolbox=toolbox, inputs=inputs, limits=settings.limits)
        self._replans = Replans(running, ledger, emitter, settings.hooks.replanner, find, amended, fail)
        self._replans.is_paused = not is_whole
        self._is_whole = is_whole
        self._backoff = Backoff(settings.seed)
        self._backing_off: dict[Unit, Timer] = {}
        self._open_units = 0
        """Units that are queued, running, backing off or waiting for a person: the run goes on while there are any."""
        self.stop_reason: StepError | None = None
        self._is_pumping = False
        self._is_plain = running.is_plain
        """Whether no step has anything to decide before it is ready."""
        self._is_direct = self._is_plain and not self._schedule.is_limited and settings.recorder is None

    # ---- the run as a whole -------------------------------------------------------------------------

    def begin(self) -> None:
        """Start what waits for nothing."""
        settings = self._settings
        if settings.timeout_s is not None:
            message = f"the run took longer than {settings.timeout_s:g} s"
            self._timers.after(settings.timeout_s, self.stop, StepError("timeout", "TimeoutError", message))
        if settings.finished:
            self._ledger.adopt_all(settings.finished)
            self._is_plain = self._is_direct = False
        self._advance(self._schedule.roots())
        self._pump()

    async def until_finished(self) -> None:
        """Wait until nothing is left to do. Being cancelled stops the run; being cancelled again raises."""
        stopped = StepError("cancelled", "CancelledError", "the run was cancelled")
        await self._ending.wait(self._is_open, lambda: self.stop(stopped))

    def _is_open(self) -> bool:
        is_unwritten = self._durability is not None and self._durability.is_open
        return bool(self._open_units) or not self._is_whole or self._replans.is_open or is_unwritten

    def stop(self, reason: StepError) -> None:
        """Start nothing more and ask every running call to end."""
        if self._ending.is_reached:
            return
        self.drain(reason)
        self.calls.end_all("cancelled")
        self._pump()

    def drain(self, reason: StepError) -> None:
        """Start nothing more, and let running calls come to their end. What has not arrived is not waited for."""
        self._is_whole = True
        self._give_up(reason)
        self._pump()

    def _give_up(self, reason: StepError) -> None:
        """Start nothing more. The first reason given is the run's."""
        if self.stop_reason is not None or self._ending.is_reached:
            return
        self.stop_reason = reason
        units = [*self._lane.drop(), *self._schedule.drop_queue(), *self._backing_off, *self._waits.stop()]
        if self._durability is not None:
            units += self._durability.stop()
        self._cancel_waiting(units, not_finished(reason))
        self._replans.give_up()
        self._pump()

    def _cancel_waiting(self, units: Iterable[Unit], error: StepError) -> None:
        """End units that have not begun, or are between two attempts."""
        for unit in units:
            if unit in self._backing_off:
                self._timers.cancel(self._backing_off.pop(unit))
            self._conclude(unit, StepStatus.CANCELLED, error=error)

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
        if self._ending.is_reached:
            return
        kept = self._running.same_as(plan, self._ledger.changed_inputs(plan))
        gone = [position for step_id, position in self._running.position_of.items() if step_id not in kept]
        self._end_dropped(gone, StepError("cancelled", "CancelledError", "the whole plan does not have this step"))
        self._is_whole = True
        self._go_on(self._running.add([step for step in plan.steps if step.id not in kept], plan, self._ledger))
        self._replans.resume()
        self._pump()

    def _end_dropped(self, positions: list[int], error: StepError) -> None:
        """Take steps out of the plan, and end what they have begun."""
        self._running.drop(positions, self._ledger, error)
        gone = frozenset(positions)
        self._replans.forget(gone)
        units = [unit for unit in self._backing_off if unit.position in gone]
        units += [*self._lane.drop(gone), *self._schedule.drop_queue(gone), *self._waits.stop(gone)]
        self._cancel_waiting(units, error)
        self.calls.end_steps(gone)

    def _go_on(self, freed: list[int]) -> None:
        """Start what a change of the plan has set free."""
        self._is_plain = self._is_plain and self._running.is_plain
        self._is_direct = self._is_direct and self._is_plain
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
        self._open_units += len(items)
        for index in range(len(items)):
            known = self._ledger.known_before(position, index)
            if known is None:
                self._schedule.enqueue_element(position, index)
            else:
                self._conclude(Unit(0.0, position, index), known.status, output=known.output, error=known.error)
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
        if not self._ending.is_cancelled:
            self._is_pumping = True
            try:
                while (unit := self._schedule.take()) is not None:
                    if unit[2] >= 0 or not self._lane.takes(unit[1]):
                        self._start(unit)
            finally:
                self._is_pumping = False
        if not self._open_units and not self._is_open():
            self._ending.reach()

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
        timeout_s = time_limit(step, tool)
        attempt = Attempt(unit, record, tool, step_id, timeout_s, now + timeout_s)
        if self._emitter.is_listening:
            self._emitter.emit(events.StepStarted, step_id, tool.name, attempt.number)
        try:
            args = resolve_args(step, scope) if step.args else {}
            prepared = tool.prepare(args) if self._redactor is None else prepare(tool, args, self._redactor)
        except UnresolvedError as error:
            self._finish(attempt, Failure("reference", type(error).__name__, str(error)), None)
        except BaseException as error:  # the argument types of a tool may check themselves, and raise anything
            self._finish(attempt, describe_exception(error), None)
        else:
            self._make(attempt, args, prepared)

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
            self._give_up(spent)
            return False
        return True

    def _ended(self, attempt: Attempt, failure: Failure | None, value: Any) -> None:
        """A call is over, wherever it ran. What comes after the call was given up is dropped."""
        if not attempt.is_live:
            return
        try:
            if failure is None and attempt.cause is None and attempt.unit.index < 0:
                self.calls.settle(attempt)
                attempt.record.is_plain = attempt.record.reused_from is None
                self._succeed(attempt.unit.position, value)
            else:
                self._finish(attempt, failure, value)
                self._pump()
        except BaseException as fault:
            self._ending.fail(fault)

    def _succeed(self, position: int, value: Any) -> None:
        """What `_finish` comes to for the plain end of a plain step, by the shortest way: most calls end so."""
        schedule = self._schedule
        schedule.release(position)
        self._open_units -= 1
        freed = self._ledger.succeed(position, value)
        if freed and self.stop_reason is None:
            if self._is_direct:
                self._open_units += len(freed)
                schedule.begin(freed)
                self._lane.begin(freed)
                if self._open_units:
                    return
            else:
                self._free(freed)
        elif self._open_units and not schedule.is_limited:
            return  # it has made room for nothing
        self._pump()

    def _finish(self, attempt: Attempt, failure: Failure | None, value: Any) -> None:
        """Give back the slot of a call and decide what its outcome means for the step."""
        self.calls.settle(attempt)
        unit = attempt.unit
        self._schedule.release(unit.position)
        step, may_retry = self._steps[unit.position], self.stop_reason is None
        status, error, failure = judge(attempt, failure, step, may_retry=may_retry)
        if status is StepStatus.READY and error is not None and failure is not None:
            delay_s = self._backoff.after(attempt.number, failure)
            self._emitter.emit(events.StepRetrying, attempt.step_id, attempt.number, delay_s, error)
            self._set_aside(unit, status)
            self._backing_off[unit] = self._timers.after(delay_s, self._back_in_queue, unit)
        elif status is StepStatus.WAITING and failure is not None:
            is_asked = failure.kind == "waiting"
            self._waits.ask_question(unit, attempt.step_id, attempt.tool.name, failure.message, is_asked=is_asked)
        else:
            self._conclude(unit, status, output=value if error is None else None, error=error)
            if error is not None and error.kind == "budget":
                self._give_up(error)

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
                self._free(freed)

    def _set_aside(self, unit: Unit, status: StepStatus) -> None:
        """Change the state of a unit that goes on later. An element does so within its step, which keeps running."""
        record = self._ledger.records[unit.position]
        if unit.index < 0:
            self._schedule.move(unit.position, status)
        else:
            assert record.elements is not None
            record = record.elements[unit.index]
        record.status = status
