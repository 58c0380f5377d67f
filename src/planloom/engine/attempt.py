"""What the run keeps of a step and of a call: small mutable records, changed by `run.py` alone."""

from __future__ import annotations

import asyncio
from typing import Any, Literal

from planloom.engine.failures import Failure
from planloom.engine.timers import Timer
from planloom.plan.resolve import Scope
from planloom.plan.results import StepError, StepResult
from planloom.plan.schedule import Unit
from planloom.plan.state import StepStatus
from planloom.tools import Tool

Cause = Literal["timeout", "cancelled"]


class Record:
    """What a run knows of one step, or of one element of a `for_each`."""

    __slots__ = ("attempts", "elements", "ended", "error", "open_elements", "output", "reason", "scope", "started", "status")

    def __init__(self) -> None:
        self.status = StepStatus.PENDING
        self.attempts = 0
        self.started: float | None = None
        self.ended: float | None = None
        self.output: Any = None
        self.error: StepError | None = None
        self.reason: str | None = None
        self.scope: Scope | None = None
        """Of an element: the run's values with its item and index."""
        self.elements: list[Record] | None = None
        self.open_elements = 0
        """Of a step with `for_each`: elements that have not ended."""

    def to_result(self, step_id: str, status: StepStatus, began: float) -> StepResult:
        """Return the record as a frozen result; times become seconds since the run `began`."""
        started, ended = self.started, self.ended
        return StepResult(
            step_id,
            status,
            self.output,
            self.error,
            self.attempts,
            0.0 if started is None or ended is None else (ended - started) * 1_000,
            None if started is None else started - began,
            None if ended is None else ended - began,
            self.reason,
            tuple(
                element.to_result(f"{step_id}[{index}]", element.status, began)
                for index, element in enumerate(self.elements or ())
            ),
        )


class Attempt:
    """One call under way. When `is_live` is False its outcome is dropped."""

    __slots__ = ("cause", "is_live", "number", "record", "step_id", "task", "timer", "tool", "unit")

    def __init__(self, unit: Unit, record: Record, tool: Tool, step_id: str) -> None:
        self.unit = unit
        self.record = record
        self.tool = tool
        self.step_id = step_id
        self.number = record.attempts
        self.task: asyncio.Task[None] | None = None
        """The task that makes the call, for async tools and processes; None on a thread."""
        self.timer: Timer | None = None
        self.cause: Cause | None = None
        """Why the call was asked to end, if it was."""
        self.is_live = True

    @property
    def has_effect(self) -> bool:
        """Whether being cut off leaves open what happened: an effect that is not idempotent."""
        return not (self.tool.read_only or self.tool.idempotent)


def cut_off(attempt: Attempt, timeout_s: float) -> Failure:
    """Return the failure of a call that was asked to end."""
    if attempt.cause == "timeout":
        return Failure("timeout", "TimeoutError", f"timed out after {timeout_s:g} s (limit `timeout_s`)", is_passing=True)
    return Failure("cancelled", "CancelledError", "cancelled while it was running")
