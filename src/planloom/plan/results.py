"""What a run leaves behind: every step's state, output, error, attempts and time, and the run's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from planloom.errors import StepExecutionError
from planloom.plan.issues import shorten, split_hint
from planloom.plan.model import Plan
from planloom.plan.state import RunStatus, StepStatus
from planloom.plan.values import normalise_output

_MAX_NAMED = 8
_SUCCEEDED = StepStatus.SUCCEEDED


@dataclass(frozen=True, slots=True)
class StepError:
    """Why a step did not succeed.

    `kind` is stable: exception, timeout, arguments, reference, condition, output, worker, limit, elements, cancelled,
    skipped, unknown, budget, denied; of a whole run also model and react-limit. `type` names the exception's class,
    `message` is for a person. `elements` holds the error of each failed element of a `for_each`, by index.
    """

    kind: str
    type: str
    message: str
    elements: dict[int, StepError] = field(default_factory=dict[int, "StepError"])

    @classmethod
    def from_dict(cls, written: Mapping[str, Any]) -> StepError:
        """Read back what `to_dict` has written."""
        elements = {int(index): cls.from_dict(error) for index, error in written.get("elements", {}).items()}
        return cls(written["kind"], written["type"], written["message"], elements)

    def to_dict(self) -> dict[str, Any]:
        """Return the error as a JSON object."""
        written: dict[str, Any] = {"kind": self.kind, "type": self.type, "message": self.message}
        if self.elements:
            written["elements"] = {str(index): error.to_dict() for index, error in self.elements.items()}
        return written


@dataclass(frozen=True, init=False)
class StepResult:
    """One step at the end of a run.

    `latency_ms` is the time from its first start to its end, retries and their waits included; 0.0 when it
    never started. `started_s` and `ended_s` are seconds since the run began. `reason` says why a step was
    skipped. `elements` holds the results of a `for_each`, in order, with ids such as `fetch[0]`. `reused_from` is
    the run that the output was taken from when the tool was not called.
    """

    step_id: str
    status: StepStatus
    output: Any = None
    error: StepError | None = None
    attempts: int = 0
    latency_ms: float = 0.0
    started_s: float | None = None
    ended_s: float | None = None
    reason: str | None = None
    elements: tuple[StepResult, ...] = ()
    reused_from: str | None = None

    def __init__(
        self,
        step_id: str,
        status: StepStatus,
        output: Any = None,
        error: StepError | None = None,
        attempts: int = 0,
        latency_ms: float = 0.0,
        started_s: float | None = None,
        ended_s: float | None = None,
        reason: str | None = None,
        elements: tuple[StepResult, ...] = (),
        reused_from: str | None = None,
    ) -> None:
        # all at once: a run makes one result per step, and this takes less than half the time
        _set_fields(
            self,
            {
                "step_id": step_id,
                "status": status,
                "output": output,
                "error": error,
                "attempts": attempts,
                "latency_ms": latency_ms,
                "started_s": started_s,
                "ended_s": ended_s,
                "reason": reason,
                "elements": elements,
                "reused_from": reused_from,
            },
        )

    @staticmethod
    def plain(step_id: str, output: Any, attempts: int, latency_ms: float, started_s: float, ended_s: float) -> Any:
        """Return the result of a step that has succeeded, and nothing else: nearly all are, and the class has the rest.

        It is a `StepResult`, in half the time.
        """
        made = _new(StepResult)
        _set_fields(
            made,
            {
                "step_id": step_id,
                "status": _SUCCEEDED,
                "output": output,
                "attempts": attempts,
                "latency_ms": latency_ms,
                "started_s": started_s,
                "ended_s": ended_s,
            },
        )
        return made

    @classmethod
    def unknown(cls, step_id: str, attempts: int, message: str) -> StepResult:
        """Return the result of a step of which nobody knows whether it had its effect."""
        return cls(step_id, StepStatus.UNKNOWN, error=StepError("unknown", "Interrupted", message), attempts=attempts)

    @property
    def id(self) -> str:
        """The step's id."""
        return self.step_id

    @property
    def is_success(self) -> bool:
        """Whether the step succeeded or was skipped by its condition, which counts as a success."""
        return self.status is StepStatus.SUCCEEDED or (self.status is StepStatus.SKIPPED and self.error is None)

    def later(self, offset_s: float) -> StepResult:
        """Return the same result with its times counted from `offset_s` seconds before."""
        started_s = None if self.started_s is None else self.started_s + offset_s
        ended_s = None if self.ended_s is None else self.ended_s + offset_s
        elements = tuple([element.later(offset_s) for element in self.elements])
        return replace(self, started_s=started_s, ended_s=ended_s, elements=elements)

    def to_dict(self) -> dict[str, Any]:
        """Return the step's part of the result document."""
        written: dict[str, Any] = {
            "status": self.status.value,
            "output": self.output,
            "error": None if self.error is None else self.error.to_dict(),
            "attempts": self.attempts,
            "latency_ms": round(self.latency_ms, 3),
        }
        if self.reason is not None:
            written["reason"] = self.reason
        if self.reused_from is not None:
            written["reused_from"] = self.reused_from
        return written


_set_fields = StepResult.__dict__["__dict__"].__set__
_new = object.__new__


@dataclass(frozen=True, slots=True)
class Usage:
    """What a run cost in model calls. All zero for a run without a model; `cost_usd` None means unknown."""

    model_calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = 0.0

    def __add__(self, other: Usage) -> Usage:
        """Return what both cost together; unknown when one of them is."""
        cost = None if self.cost_usd is None or other.cost_usd is None else self.cost_usd + other.cost_usd
        return Usage(
            self.model_calls + other.model_calls,
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            cost,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the usage as a JSON object."""
        return {
            "model_calls": self.model_calls,
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "cost_usd": self.cost_usd,
        }


@dataclass(frozen=True, slots=True, repr=False)
class RunResult:
    """A whole run: always every step, whatever happened.

    `answer` is a JSON value, or an instance of the type that an agent was asked for.
    `error` says why the run as a whole did not succeed when that is not one step's doing (its time limit,
    its budget). `duration_ms` is wall time from start to end.
    """

    run_id: str
    status: RunStatus
    answer: Any
    plan: Plan
    steps: dict[str, StepResult]
    usage: Usage = Usage()
    replans: int = 0
    started_at: datetime | None = None
    duration_ms: float = 0.0
    error: StepError | None = None

    def __repr__(self) -> str:
        # short, because asyncio writes the result of a task into messages that nobody reads
        return f"<RunResult {self.run_id} {self.status.value}, {len(self.steps)} steps>"

    def raise_for_status(self) -> RunResult:
        """Return the result itself when the run succeeded; else raise `StepExecutionError` with it."""
        if self.status is not RunStatus.SUCCEEDED:
            raise StepExecutionError(self)
        return self

    def to_dict(self) -> dict[str, Any]:
        """Return the run as the JSON document of `planloom execute --json`."""
        return {
            "version": 1,
            "run_id": self.run_id,
            "status": self.status.value,
            "answer": normalise_output(self.answer),
            "plan": self.plan.to_dict(),
            "steps": {step_id: step.to_dict() for step_id, step in self.steps.items()},
            "usage": self.usage.to_dict(),
            "replans": self.replans,
            "error": None if self.error is None else self.error.to_dict(),
            "started_at": None if self.started_at is None else self.started_at.isoformat(),
            "duration_ms": round(self.duration_ms, 3),
        }

    def explain(self) -> str:
        """Say in a few lines what happened to the run: which steps failed, why, and what that took along."""
        lines = [f"run {self.run_id} {_OUTCOMES[self.status]}"]
        if self.error is not None:
            lines[0] += f": {self.error.message}"
        skipped = [name for name, step in self.steps.items() if step.error and step.error.kind == "skipped"]
        troubled = [
            step
            for step in self.steps.values()
            if step.status in (StepStatus.FAILED, StepStatus.UNKNOWN) and step.error
        ]
        for step in troubled[:_MAX_NAMED]:
            assert step.error is not None
            tries = f" on attempt {step.attempts}" if step.attempts > 1 else ""
            reason, hint = split_hint(step.error.message)
            lines.append(f"step `{shorten(step.step_id)}` {step.status.value}{tries}: {reason}")
            if hint:
                lines.append(f"hint: {hint}")
        if len(troubled) > _MAX_NAMED:
            more = len(troubled) - _MAX_NAMED
            lines.append(f"… and {more} more step{'s' if more > 1 else ''}")
        if skipped:
            names = ", ".join(f"`{shorten(name, 40)}`" for name in skipped[:_MAX_NAMED])
            more = f" and {len(skipped) - _MAX_NAMED} more" if len(skipped) > _MAX_NAMED else ""
            lines.append(f"{len(skipped)} later step{'s were' if len(skipped) > 1 else ' was'} skipped: {names}{more}")
        return "\n".join(lines)


_OUTCOMES = {
    RunStatus.RUNNING: "is running",
    RunStatus.SUCCEEDED: "succeeded",
    RunStatus.FAILED: "failed",
    RunStatus.CANCELLED: "was cancelled",
    RunStatus.WAITING: "waits for a person",
}
