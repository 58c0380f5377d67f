"""What happens in a run, as frozen values. One stream feeds the terminal, the report and the journal.

An event says what happened, never what to do. `to_dict` writes the record
`version, seq, run_id, at, type, step_id, data`; `data` holds the fields of the type.
"""

from __future__ import annotations

from dataclasses import MISSING, dataclass, fields
from datetime import UTC, datetime
from functools import cache
from typing import Any, ClassVar, Final, Literal, TypeVar, cast

from planloom.plan.issues import Issue
from planloom.plan.model import Plan
from planloom.plan.results import RunResult, StepError
from planloom.plan.state import RunStatus

EVENT_VERSION: Final = 1
_PLAIN: Final = frozenset({str, int, float, bool, dict, list, type(None)})
_COMMON: Final = frozenset({"seq", "run_id", "at", "step_id"})
_Kind = TypeVar("_Kind")


@dataclass(frozen=True, slots=True)
class Event:
    """Base of all events: `seq` counts from 1 within a run, `at` is seconds since 1970 (UTC).

    `step_id` is the id of a step, `fetch[0]` for an element of a `for_each`, or None for the run itself.
    """

    seq: int
    run_id: str
    at: float
    step_id: str | None

    type: ClassVar[str] = "event"

    @property
    def data(self) -> dict[str, Any]:
        """The fields of this type of event, as JSON values."""
        return {name: _json_value(getattr(self, name)) for name in _own_fields(type(self))}

    def to_dict(self) -> dict[str, Any]:
        """Return the event as a JSON object, with `at` as ISO 8601 in UTC."""
        return {
            "version": EVENT_VERSION,
            "seq": self.seq,
            "run_id": self.run_id,
            "at": datetime.fromtimestamp(self.at, UTC).isoformat(),
            "type": self.type,
            "step_id": self.step_id,
            "data": self.data,
        }


@cache
def _own_fields(kind: type[Event]) -> tuple[str, ...]:
    """Return the names of the fields that are not those of every event."""
    return tuple(f.name for f in fields(kind) if f.name not in _COMMON)


def _json_value(value: Any) -> Any:
    if type(value) in _PLAIN:  # pyright: ignore[reportUnknownArgumentType]
        return value
    if isinstance(value, StepError | RunResult | Plan | Issue):
        return value.to_dict()
    if isinstance(value, tuple):
        return [_json_value(part) for part in cast("tuple[Any, ...]", value)]
    return value


def _quick(kind: type[_Kind]) -> type[_Kind]:
    """Let a frozen class set its slots directly when it is made, in half the time: these are made for every step."""
    own = fields(cast("Any", kind))
    names = [f.name if f.default is MISSING else f"{f.name}={f.default!r}" for f in own]
    space: dict[str, Any] = {f"_set_{f.name}": getattr(kind, f.name).__set__ for f in own}
    body = "; ".join(f"_set_{f.name}(self, {f.name})" for f in own)
    exec(f"def __init__(self, {', '.join(names)}): {body}", space)  # noqa: S102 (as the dataclass made its own)
    kind.__init__ = space["__init__"]
    return kind


@dataclass(frozen=True, slots=True)
class RunStarted(Event):
    """A run began; `steps` counts the steps of its plan."""

    goal: str
    steps: int
    type: ClassVar[str] = "run-started"


@_quick
@dataclass(frozen=True, slots=True)
class StepStarted(Event):
    """An attempt of a step began; `attempt` counts from 1."""

    tool: str
    attempt: int
    type: ClassVar[str] = "step-started"


@dataclass(frozen=True, slots=True)
class StepExpanded(Event):
    """A `for_each` met its list and will run once per element."""

    elements: int
    type: ClassVar[str] = "step-expanded"


@dataclass(frozen=True, slots=True)
class StepProgress(Event):
    """A tool said how far it is: a share from 0 to 1, or a few words."""

    progress: float | str
    type: ClassVar[str] = "step-progress"


@dataclass(frozen=True, slots=True)
class StepRetrying(Event):
    """An attempt failed and the next one starts after `delay_s` seconds."""

    attempt: int
    delay_s: float
    error: StepError
    type: ClassVar[str] = "step-retrying"


@_quick
@dataclass(frozen=True, slots=True)
class StepSucceeded(Event):
    """A step has its output.

    `reused_from` is the run that it was taken from when the tool was not called, `cache_key` what it may be found by
    again. Both are None, and not in `data`, for most steps.
    """

    output: Any
    attempts: int
    latency_ms: float
    reused_from: str | None = None
    cache_key: str | None = None
    type: ClassVar[str] = "step-succeeded"

    @property
    def data(self) -> dict[str, Any]:
        """The output, the attempts, the time, and what there is of the rest."""
        written: dict[str, Any] = {"output": self.output, "attempts": self.attempts, "latency_ms": self.latency_ms}
        if self.reused_from is not None:
            written["reused_from"] = self.reused_from
        if self.cache_key is not None:
            written["cache_key"] = self.cache_key
        return written


@dataclass(frozen=True, slots=True)
class StepFailed(Event):
    """A step failed for good."""

    error: StepError
    attempts: int
    latency_ms: float
    type: ClassVar[str] = "step-failed"


@dataclass(frozen=True, slots=True)
class StepSkipped(Event):
    """A step will not run: its condition was false, or a step before it did not succeed (`error` is set)."""

    reason: str
    error: StepError | None
    type: ClassVar[str] = "step-skipped"


@dataclass(frozen=True, slots=True)
class StepCancelled(Event):
    """A step was stopped, or never started because the run was."""

    error: StepError
    attempts: int
    latency_ms: float
    type: ClassVar[str] = "step-cancelled"


@dataclass(frozen=True, slots=True)
class StepUnknown(Event):
    """A step with an effect was cut off after its start: the effect may or may not have happened."""

    error: StepError
    attempts: int
    latency_ms: float
    type: ClassVar[str] = "step-unknown"


@dataclass(frozen=True, slots=True)
class CallAbandoned(Event):
    """A call ignored its end and was left behind; a late result of it will be dropped."""

    message: str
    type: ClassVar[str] = "call-abandoned"


@dataclass(frozen=True, slots=True)
class CallbackFailed(Event):
    """A listener raised; the run is not hurt."""

    listener: str
    message: str
    type: ClassVar[str] = "callback-failed"


@dataclass(frozen=True, slots=True)
class LoopBlocked(Event):
    """An async tool did not give the event loop back for `blocked_s` seconds, so nothing else could move."""

    blocked_s: float
    type: ClassVar[str] = "loop-blocked"


@dataclass(frozen=True, slots=True)
class RunFinished(Event):
    """A run ended; `result` is all of it."""

    status: RunStatus
    result: RunResult
    type: ClassVar[str] = "run-finished"


@dataclass(frozen=True, slots=True)
class PlanningStarted(Event):
    """A planner model is asked for a plan; `mode` is "plan", or "compile" for all calls in one pass."""

    goal: str
    mode: Literal["plan", "compile"]
    model: str
    type: ClassVar[str] = "planning-started"


@dataclass(frozen=True, slots=True)
class PlanMending(Event):
    """A plan from a model has errors, and the model is asked to mend it; `round` counts from 1."""

    round: int
    issues: tuple[Issue, ...]
    type: ClassVar[str] = "plan-mending"


@dataclass(frozen=True, slots=True)
class PlanCreated(Event):
    """A goal became a valid plan: after `rounds` of mending by the model, and with `mends` made by rule."""

    plan: Plan
    rounds: int
    mends: tuple[str, ...]
    type: ClassVar[str] = "plan-created"


@dataclass(frozen=True, slots=True)
class StepArrived(Event):
    """A step was read from a plan that is still being written."""

    tool: str
    type: ClassVar[str] = "step-arrived"


@dataclass(frozen=True, slots=True)
class ModelCalled(Event):
    """A model has answered. `cost_usd` is None when the price is not known; `estimated` tokens were counted here."""

    purpose: str
    model: str
    input_tokens: int
    output_tokens: int
    cost_usd: float | None
    latency_ms: float
    tries: int
    estimated: bool
    type: ClassVar[str] = "model-called"


@dataclass(frozen=True, slots=True)
class ModelReplied(Event):
    """What a model answered, kept in journals alone: a run that goes on later asks nothing twice.

    `digest` is a hash of everything that was asked, `purpose` what for.
    """

    digest: str
    text: str
    purpose: str = ""
    type: ClassVar[str] = "model-replied"


@dataclass(frozen=True, slots=True)
class StepHeld(Event):
    """A step waits because its part of the plan is being replaced; `failed` is the step that broke it."""

    failed: str
    type: ClassVar[str] = "step-held"


@dataclass(frozen=True, slots=True)
class ReplanStarted(Event):
    """A step failed for good and the planner is asked for a recovery plan; `held` is the broken part."""

    reason: StepError
    held: tuple[str, ...]
    type: ClassVar[str] = "replan-started"


@dataclass(frozen=True, slots=True)
class Replanned(Event):
    """The broken part was replaced. `number` counts from 1 in the run; `plan` is the whole plan as it is now."""

    number: int
    reason: StepError
    replaced: tuple[str, ...]
    kept: tuple[str, ...]
    added: tuple[str, ...]
    plan: Plan
    type: ClassVar[str] = "replanned"


@dataclass(frozen=True, slots=True)
class ReplanRefused(Event):
    """The failure was not planned around, and `message` says why; what depends on the failed step is skipped."""

    reason: StepError
    message: str
    type: ClassVar[str] = "replan-refused"


@dataclass(frozen=True, slots=True)
class StepWaiting(Event):
    """A step waits for a person's word: `question` is what to decide, `args` what the tool would be called with.

    `needs` is "approval" before a call, and "answer" where a tool asks something.
    """

    question: str
    tool: str
    args: dict[str, Any]
    needs: str = "approval"
    type: ClassVar[str] = "step-waiting"


@dataclass(frozen=True, slots=True)
class PlanWaiting(Event):
    """A plan waits for a person's approval before anything of it runs; `digest` is the hash that a word is good for."""

    plan: Plan
    digest: str
    type: ClassVar[str] = "plan-waiting"


@dataclass(frozen=True, slots=True)
class ApprovalGiven(Event):
    """A person has said yes or no to what has this hash: a plan, or one call of a step."""

    digest: str
    approved: bool
    type: ClassVar[str] = "approval-given"


@dataclass(frozen=True, slots=True)
class JoinStarted(Event):
    """A model is asked to write the answer from the outputs."""

    model: str
    type: ClassVar[str] = "join-started"


@dataclass(frozen=True, slots=True)
class AnswerDelta(Event):
    """The next piece of the answer, as it is written."""

    text: str
    type: ClassVar[str] = "answer-delta"


@dataclass(frozen=True, slots=True)
class AnswerReady(Event):
    """The answer, whole."""

    answer: Any
    type: ClassVar[str] = "answer-ready"


@dataclass(frozen=True, slots=True)
class RoundStarted(Event):
    """The outputs did not answer the goal, and one more round of planning begins; `number` counts from 1."""

    number: int
    reason: str
    type: ClassVar[str] = "round-started"
