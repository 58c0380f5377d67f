"""What the run keeps of a step and of a call: small mutable records, changed by the run alone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Literal

from planloom.engine.failures import Failure
from planloom.engine.timers import Timer
from planloom.plan.model import Step
from planloom.plan.resolve import Scope
from planloom.plan.results import StepError, StepResult
from planloom.plan.schedule import Unit
from planloom.plan.state import StepStatus
from planloom.tools import Tool

Cause = Literal["timeout", "cancelled"]


class Record:
    """What a run knows of one step, or of one element of a `for_each`."""

    # class attributes are the defaults: most records and attempts never set most of them, and making one is hot
    status = StepStatus.PENDING
    attempts = 0
    started: float | None = None
    ended: float | None = None
    output: Any = None
    error: StepError | None = None
    reason: str | None = None
    scope: Scope | None = None
    """Of an element: the run's values with its item and index."""
    elements: list[Record] | None = None
    items: Sequence[Any] = ()
    """Of a step with `for_each`: what it runs for."""
    adopted: StepResult | None = None
    """Of a step that an earlier run has finished: its result."""
    is_plain = False
    """Of a step whose call has just succeeded: it has an output, and nothing else to tell."""
    open_elements = 0
    """Of a step with `for_each`: elements that have not ended."""
    cache_key: str | None = None
    """What the output may be found by again."""
    reused_from: str | None = None
    """The run that the output was taken from."""

    @property
    def latency_ms(self) -> float:
        """The time from the first start to the end; 0.0 before that."""
        return 0.0 if self.started is None or self.ended is None else (self.ended - self.started) * 1_000

    def to_result(self, step_id: str, began: float) -> StepResult:
        """Return the record as a frozen result; times become seconds since the run `began`."""
        if self.adopted is not None:
            return self.adopted
        started, ended, elements = self.started, self.ended, self.elements
        if self.is_plain and started is not None and ended is not None:
            latency_ms = (ended - started) * 1_000
            return StepResult.plain(step_id, self.output, self.attempts, latency_ms, started - began, ended - began)
        return StepResult(
            step_id,
            self.status,
            self.output,
            self.error,
            self.attempts,
            0.0 if started is None or ended is None else (ended - started) * 1_000,
            None if started is None else started - began,
            None if ended is None else ended - began,
            self.reason,
            tuple([element.to_result(f"{step_id}[{i}]", began) for i, element in enumerate(elements)])
            if elements
            else (),
            self.reused_from,
        )


class Attempt:
    """One call under way. When `is_live` is False its outcome is dropped."""

    task: asyncio.Task[None] | None = None
    """The task that makes the call, for tools on the loop."""
    kill: Callable[[], None] | None = None
    """Kills the process that makes the call, for tools in a process."""
    grace: Timer | None = None
    """Runs from the moment the call was asked to end."""
    cause: Cause | None = None
    """Why the call was asked to end, if it was."""
    has_begun = False
    """Whether the tool may have been reached."""
    is_reading = False
    """Whether a thread reads the tables that the call takes, which is then made on the loop."""
    is_live = True

    def __init__(self, unit: Unit, record: Record, tool: Tool, step_id: str, timeout_s: float, expires: float) -> None:
        self.unit = unit
        self.record = record
        self.tool = tool
        self.step_id = step_id
        self.timeout_s = timeout_s
        self.expires = expires

    @property
    def number(self) -> int:
        """Which attempt of the step this is, from 1: the next one begins only when this one is over."""
        return self.record.attempts

    @property
    def is_ending(self) -> bool:
        """Whether the call was asked to end."""
        return self.cause is not None

    @property
    def may_have_acted(self) -> bool:
        """Whether being cut off leaves open what happened: an effect that is not idempotent."""
        return self.has_begun and not (self.tool.read_only or self.tool.idempotent)

    def cut_off(self) -> Failure:
        """Return the failure of this call, which was asked to end."""
        if self.cause == "timeout":
            message = f"timed out after {self.timeout_s:g} s (limit `timeout_s`)"
            return Failure("timeout", "TimeoutError", message, is_passing=True)
        return Failure("cancelled", "CancelledError", "cancelled while it was running")


def time_limit(step: Step, tool: Tool) -> float:
    """Return how long one attempt of a step may take, in seconds."""
    return tool.timeout_s if step.timeout_s is None else min(step.timeout_s, tool.timeout_s)
