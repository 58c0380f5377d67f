"""The books of a run: every step's record, the values that later steps refer to, and who is told of an end.

Nothing is decided here. Every end of a step goes through `_close`, once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from planloom.engine.attempt import Record
from planloom.engine.cache import may_be_reused
from planloom.engine.emitter import Emitter
from planloom.engine.outcome import answer_of, not_finished, run_status
from planloom.engine.reuse import FinishedElements
from planloom.engine.running_plan import RunningPlan
from planloom.plan import events
from planloom.plan.graph import graph_of
from planloom.plan.history import BY_A_PERSON
from planloom.plan.issues import shorten
from planloom.plan.model import Plan
from planloom.plan.redacted import clean_part, clean_result, clean_step
from planloom.plan.resolve import Scope
from planloom.plan.results import RunResult, StepError, StepResult
from planloom.plan.state import END_STATUSES, StepStatus

_END_EVENTS: Final = {
    StepStatus.FAILED: events.StepFailed,
    StepStatus.CANCELLED: events.StepCancelled,
    StepStatus.UNKNOWN: events.StepUnknown,
}


_BEGUN: Final = frozenset({StepStatus.READY, StepStatus.RUNNING, StepStatus.WAITING})


class Ledger:
    """Records of all steps, by position. `time` gives the loop's seconds, `began_at` is for people."""

    def __init__(
        self,
        running: RunningPlan,
        inputs: Mapping[str, Any],
        emitter: Emitter,
        time: Callable[[], float],
        began_at: datetime,
        finished: Mapping[str, StepResult] | None = None,
    ) -> None:
        self._inputs = inputs
        self.scope = Scope({**running.plan.inputs, **inputs})
        self.records = [Record() for _ in running.steps]
        self._running = running
        self._steps = running.steps
        self._schedule = running.schedule
        self._emitter = emitter
        self._time = time
        self._began = time()
        self._began_at = began_at
        self._held_for: dict[int, int] = {}
        """For each failed step that a way around is looked for, and each step that is held: the failed step."""
        self.reused = FinishedElements(finished)
        self.replans = 0
        """Recovery plans that became part of the plan."""

    def expand(self, position: int, items: list[Any]) -> None:
        """Open one record per element of a step with `for_each`."""
        record = self.records[position]
        record.started = self._time()
        record.items = items
        record.elements = [Record() for _ in items]
        record.open_elements = len(items)
        for index, item in enumerate(items):
            record.elements[index].scope = self.scope.for_element(item, index)
        self._emitter.emit(events.StepExpanded, self._steps[position].id, len(items))

    def known_before(self, position: int, index: int) -> StepResult | None:
        """Return what an element came to before, when it must not run again."""
        elements = self.records[position].elements
        assert elements is not None
        scope = elements[index].scope
        assert scope is not None
        known = self.reused.find(self._steps[position], index, scope)
        if known is not None:
            elements[index].attempts = known.attempts
        return known

    def succeed(self, position: int, output: Any) -> list[int]:
        """End a step with its output; return the steps it has freed."""
        record, step_id, scope, emitter = self.records[position], self._steps[position].id, self.scope, self._emitter
        record.output = scope.outputs[step_id] = output
        freed = self._schedule.settle(position, StepStatus.SUCCEEDED)
        record.status = scope.statuses[step_id] = StepStatus.SUCCEEDED
        record.ended = self._time()
        if emitter.wants_steps:
            emitter.step_complete(record.to_result(step_id, self._began))
        if emitter.is_listening:
            if record.cache_key is None and position not in self._schedule.dropped:  # the rule, by the shortest way
                emitter.emit(events.StepSucceeded, step_id, output, record.attempts, record.latency_ms)
            else:
                self._emit_end(position, step_id, record)
        return freed

    def skip(self, position: int, reason: str) -> list[int]:
        """End a step as skipped by condition, which is a success; return the steps it has freed."""
        step_id = self._steps[position].id
        reason = self._emitter.clean(reason)
        self.records[position].reason = reason
        self.scope.skipped.add(step_id)
        freed = self._schedule.settle(position, StepStatus.SKIPPED)
        self._close(position)
        self._emitter.emit(events.StepSkipped, step_id, reason, None)
        return freed

    def changed_inputs(self, plan: Plan) -> set[str]:
        """Return the names of the inputs that would have another value with `plan`."""
        now, later = self.scope.inputs, {**plan.inputs, **self._inputs}
        return {name for name in {*now, *later} if name not in now or name not in later or now[name] != later[name]}

    def grow(self) -> None:
        """Open records for the steps that the plan has got since."""
        self.scope.inputs = {**self._running.plan.inputs, **self._inputs}
        self.records.extend(Record() for _ in range(len(self._steps) - len(self.records)))

    def drop(self, positions: Iterable[int], error: StepError | None) -> None:
        """Let nothing refer any more to what has become of steps that leave the plan; others may get their ids.

        With an `error`, those that have begun end here for everybody, whatever their calls still do.
        """
        for position in positions:
            record, step_id = self.records[position], self._steps[position].id
            self.reused.keep(self._steps[position], record, self.scope)
            self.scope.outputs.pop(step_id, None)
            self.scope.statuses.pop(step_id, None)
            self.scope.errors.pop(step_id, None)
            self.scope.skipped.discard(step_id)
            self._held_for.pop(position, None)
            if error is not None and self._schedule.statuses[position] in _BEGUN:
                record.ended = self._time()
                self._emitter.emit(events.StepCancelled, step_id, error, record.attempts, record.latency_ms)

    def adopt_all(self, finished: Mapping[str, StepResult]) -> None:
        """Take over the steps that an earlier run has ended; what needs one that did not end well is skipped."""
        adopted = [
            position
            for position, step in enumerate(self._steps)
            if step.id in finished and finished[step.id].status in END_STATUSES
        ]
        for position in adopted:
            self._adopt(position, finished[self._steps[position].id])
        for position in adopted:
            if self.records[position].status in _PAST and not self.has_ended_well(position):
                self.doom(position)

    def _adopt(self, position: int, result: StepResult) -> None:
        """Take over a step. Nobody is told again."""
        record = self.records[position]
        if self._emitter.redactor is not None:
            result = clean_step(result, self._emitter.redactor)
        record.adopted = result
        record.status = self.scope.statuses[result.step_id] = result.status
        record.output, record.error = result.output, result.error
        self._schedule.adopt(position, result.status, is_success=result.is_success)
        if result.error is not None:
            self.scope.errors[result.step_id] = result.error
        if result.status is StepStatus.SUCCEEDED:
            self.scope.outputs[result.step_id] = result.output
        elif result.is_success:
            self.scope.skipped.add(result.step_id)

    def has_ended_well(self, position: int) -> bool:
        """Whether a step succeeded or was skipped by its condition."""
        record = self.records[position]
        return record.status is StepStatus.SUCCEEDED or (record.status is StepStatus.SKIPPED and record.error is None)

    def is_held(self, position: int) -> bool:
        """Whether a way around is still looked for: for a step that failed, or for the one that a step is held for."""
        return position in self._held_for

    def hold(self, position: int) -> None:
        """Hold what would have needed a step that failed, or is held, until a way around is found, or none."""
        failed = self._held_for.setdefault(position, position)
        for held in self._schedule.hold(position):
            self._held_for[held] = failed
            self.records[held].status = StepStatus.HELD
            self._emitter.emit(events.StepHeld, self._steps[held].id, self._steps[failed].id)

    def doom(self, position: int) -> None:
        """End everything that would have needed a step that did not succeed, and has not begun."""
        self._held_for.pop(position, None)
        name = shorten(self._steps[position].id)
        reason = f"skipped because `{name}` {_PAST[self.records[position].status]}"
        for doomed in self._schedule.doom(position):
            self._held_for.pop(doomed, None)
            skipped = self.records[doomed]
            skipped.reason = reason
            skipped.error = StepError("skipped", "DependencyFailed", reason)
            self._close(doomed)
            self._emitter.emit(events.StepSkipped, self._steps[doomed].id, reason, skipped.error)

    def end(self, position: int, status: StepStatus, error: StepError) -> None:
        """End a step that did not succeed. What would have needed it is left to `doom` or `hold`."""
        record, step_id = self.records[position], self._steps[position].id
        record.error = clean_part(error, self._emitter.redactor)
        self._schedule.move(position, status)
        self._close(position)
        self._emit_end(position, step_id, record)

    def end_element(
        self, position: int, index: int, status: StepStatus, output: Any, error: StepError | None
    ) -> list[Record] | None:
        """End one element of a `for_each`; return all of them when it was the last."""
        parent = self.records[position]
        assert parent.elements is not None
        element = parent.elements[index]
        error = clean_part(error, self._emitter.redactor)
        element.status, element.output, element.error, element.ended = status, output, error, self._time()
        if status is StepStatus.WAITING:
            element.ended = None
        else:
            element.scope = None
        parent.attempts += element.attempts
        parent.open_elements -= 1
        self._emit_end(position, f"{self._steps[position].id}[{index}]", element)
        return None if parent.open_elements else parent.elements

    def _close(self, position: int) -> None:
        record, step_id = self.records[position], self._steps[position].id
        record.status = self._schedule.statuses[position]
        record.ended = self._time()
        if position in self._schedule.dropped:
            return
        self.scope.statuses[step_id] = record.status
        if record.error is not None:
            self.scope.errors[step_id] = record.error
        if self._emitter.wants_steps:
            self._emitter.step_complete(record.to_result(step_id, self._began))

    def _emit_end(self, position: int, step_id: str, record: Record) -> None:
        emitter = self._emitter
        if not emitter.is_listening or record.status is StepStatus.WAITING or position in self._schedule.dropped:
            return
        if record.status is StepStatus.SUCCEEDED:
            key = record.cache_key
            if key is not None and not may_be_reused(record.output):
                key = None
            output, attempts = record.output, record.attempts
            emitter.emit(events.StepSucceeded, step_id, output, attempts, record.latency_ms, record.reused_from, key)
        elif record.status is StepStatus.SKIPPED:  # an element that a person has left out
            emitter.emit(events.StepSkipped, step_id, record.reason or BY_A_PERSON, record.error)
        else:
            emitter.emit(_END_EVENTS[record.status], step_id, record.error, record.attempts, record.latency_ms)

    def snapshot(self) -> dict[str, StepResult]:
        """Return every step of the plan as it is now, in the order of the plan."""
        running, records, began = self._running, self.records, self._began
        if not running.has_changed:
            pairs = zip(running.steps, records, strict=True)
            return {step.id: record.to_result(step.id, began) for step, record in pairs}
        position_of = running.position_of
        return {step.id: records[position_of[step.id]].to_result(step.id, began) for step in running.plan.steps}

    def result(self, stop_reason: StepError | None) -> RunResult:
        """Return the whole run; what has not ended when it was stopped is cancelled now."""
        schedule = self._schedule
        if stop_reason is not None:
            for position in schedule.open_steps():
                self.end(position, StepStatus.CANCELLED, not_finished(stop_reason))
        steps, plan = self.snapshot(), self._running.plan
        result = RunResult(
            self._emitter.run_id,
            run_status(schedule.statuses_in_plan(), stop_reason),
            answer_of(plan, graph_of(plan), self.scope, steps),
            plan,
            steps,
            replans=self.replans,
            started_at=self._began_at,
            duration_ms=(self._time() - self._began) * 1_000,
            error=None if stop_reason is None or stop_reason.kind == "cancelled" else stop_reason,
        )
        return result if self._emitter.redactor is None else clean_result(result, self._emitter.redactor)


_PAST: Final = {
    StepStatus.FAILED: "failed",
    StepStatus.SKIPPED: "was skipped",
    StepStatus.CANCELLED: "was cancelled",
}
