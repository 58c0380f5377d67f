"""The books of a run: every step's record, the values that later steps refer to, and who is told of an end.

Nothing is decided here. Every end of a step goes through `_close`, once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from planloom.engine.attempt import Record
from planloom.engine.emitter import Emitter
from planloom.engine.outcome import answer_of, not_finished, run_status
from planloom.plan import events
from planloom.plan.graph import graph_of
from planloom.plan.issues import shorten
from planloom.plan.model import Plan
from planloom.plan.resolve import Scope
from planloom.plan.results import RunResult, StepError
from planloom.plan.schedule import Schedule
from planloom.plan.state import StepStatus

_END_EVENTS: Final = {
    StepStatus.FAILED: events.StepFailed,
    StepStatus.CANCELLED: events.StepCancelled,
    StepStatus.UNKNOWN: events.StepUnknown,
}


class Ledger:
    """Records of all steps, by position. `time` gives the loop's seconds, `began_at` is for people."""

    def __init__(
        self,
        plan: Plan,
        inputs: Mapping[str, Any],
        schedule: Schedule,
        emitter: Emitter,
        time: Callable[[], float],
        began_at: datetime,
    ) -> None:
        self.scope = Scope({**plan.inputs, **inputs})
        self.records = [Record() for _ in plan.steps]
        self._plan = plan
        self._steps = plan.steps
        self._schedule = schedule
        self._emitter = emitter
        self._time = time
        self._began = time()
        self._began_at = began_at

    def expand(self, position: int, items: list[Any]) -> None:
        """Open one record per element of a step with `for_each`."""
        record = self.records[position]
        record.started = self._time()
        record.elements = [Record() for _ in items]
        record.open_elements = len(items)
        for index, item in enumerate(items):
            record.elements[index].scope = self.scope.for_element(item, index)
        self._emitter.emit(events.StepExpanded, self._steps[position].id, len(items))

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
            self._emit_end(step_id, record)
        return freed

    def skip(self, position: int, reason: str) -> list[int]:
        """End a step as skipped by condition, which is a success; return the steps it has freed."""
        step_id = self._steps[position].id
        self.records[position].reason = reason
        self.scope.skipped.add(step_id)
        freed = self._schedule.settle(position, StepStatus.SKIPPED)
        self._close(position)
        self._emitter.emit(events.StepSkipped, step_id, reason, None)
        return freed

    def end(self, position: int, status: StepStatus, error: StepError) -> None:
        """End a step that did not succeed. A failed one takes along everything that would have needed it."""
        record, step_id = self.records[position], self._steps[position].id
        record.error = error
        self._schedule.move(position, status)
        self._close(position)
        self._emit_end(step_id, record)
        if status is not StepStatus.FAILED:
            return  # what depends on it stays pending, until a person or the end of the run
        reason = f"skipped because `{shorten(step_id)}` failed"
        for doomed in self._schedule.doom(position):
            skipped = self.records[doomed]
            skipped.reason = reason
            skipped.error = StepError("skipped", "DependencyFailed", reason)
            self._close(doomed)
            self._emitter.emit(events.StepSkipped, self._steps[doomed].id, reason, skipped.error)

    def end_element(
        self, position: int, index: int, status: StepStatus, output: Any, error: StepError | None
    ) -> list[Record] | None:
        """End one element of a `for_each`; return all of them when it was the last."""
        parent = self.records[position]
        assert parent.elements is not None
        element = parent.elements[index]
        element.status, element.output, element.error, element.ended = status, output, error, self._time()
        element.scope = None
        parent.attempts += element.attempts
        parent.open_elements -= 1
        self._emit_end(f"{self._steps[position].id}[{index}]", element)
        return None if parent.open_elements else parent.elements

    def _close(self, position: int) -> None:
        record, step_id = self.records[position], self._steps[position].id
        record.status = self._schedule.statuses[position]
        record.ended = self._time()
        self.scope.statuses[step_id] = record.status
        if record.error is not None:
            self.scope.errors[step_id] = record.error
        if self._emitter.wants_steps:
            self._emitter.step_complete(record.to_result(step_id, self._began))

    def _emit_end(self, step_id: str, record: Record) -> None:
        emitter = self._emitter
        if not emitter.is_listening:
            return
        if record.status is StepStatus.SUCCEEDED:
            emitter.emit(events.StepSucceeded, step_id, record.output, record.attempts, record.latency_ms)
        else:
            emitter.emit(_END_EVENTS[record.status], step_id, record.error, record.attempts, record.latency_ms)

    def result(self, stop_reason: StepError | None) -> RunResult:
        """Return the whole run; what has not ended when it was stopped is cancelled now."""
        if stop_reason is not None:
            for position in self._schedule.open_steps():
                self.end(position, StepStatus.CANCELLED, not_finished(stop_reason))
        steps = {
            step.id: record.to_result(step.id, self._began)
            for step, record in zip(self._steps, self.records, strict=True)
        }
        return RunResult(
            self._emitter.run_id,
            run_status(self._schedule.statuses, stop_reason),
            answer_of(self._plan, graph_of(self._plan), self.scope, steps),
            self._plan,
            steps,
            started_at=self._began_at,
            duration_ms=(self._time() - self._began) * 1_000,
            error=None if stop_reason is None or stop_reason.kind == "cancelled" else stop_reason,
        )
