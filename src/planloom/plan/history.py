"""A run as its records tell it: the fold that listing, showing and resuming are made of.

Rule: a record says what happened, so the state is what all of them come to and nothing else. Records of types that are
not known here, such as those of a later version, change nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from planloom.plan.approvals import call_digest
from planloom.plan.model import Plan
from planloom.plan.results import StepError, StepResult, Usage
from planloom.plan.state import RunStatus, StepStatus

_ELEMENT = re.compile(r"(?P<step>.+)\[(?P<index>\d+)\]\Z", re.DOTALL)


@dataclass(slots=True)
class InFlight:
    """A call that had begun and whose end was not recorded."""

    step_id: str
    tool: str
    attempt: int
    at: float


@dataclass(frozen=True, slots=True)
class PlanAsked:
    """A plan that a person was asked about, and its hash."""

    plan: Plan
    digest: str


@dataclass(frozen=True, slots=True)
class CallAsked:
    """A call that a person was asked about, and its hash."""

    tool: str
    args: Mapping[str, Any]
    digest: str


@dataclass(slots=True)
class History:
    """What is known of a run. `steps` holds every step that has ended, `fetch[0]` for an element of a `for_each`.

    `in_flight` are calls whose end was not recorded, `waiting` the questions that a person has not answered, by step.
    `plan` is the plan as it was last, None when none was received. `status` is None while the run has not ended.
    `replies` are what models answered, by the digest of what they were asked, in order. `asked` are the calls
    that a person was asked about, by step, `plan_asked` the plan that was shown last, and `approvals` the words
    that were given, by hash. `unused_recovery` is the text of a recovery plan that was received and not used yet.
    """

    run_id: str = ""
    goal: str = ""
    plan: Plan | None = None
    steps: dict[str, StepResult] = field(default_factory=dict[str, StepResult])
    in_flight: dict[str, InFlight] = field(default_factory=dict[str, InFlight])
    waiting: dict[str, str] = field(default_factory=dict[str, str])
    status: RunStatus | None = None
    error: StepError | None = None
    answer: Any = None
    has_answer: bool = False
    replans: int = 0
    rounds: int = 1
    usage: Usage = field(default_factory=Usage)
    replies: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    asked: dict[str, CallAsked] = field(default_factory=dict[str, CallAsked])
    unused_recovery: str | None = None
    plan_asked: PlanAsked | None = None
    approvals: dict[str, bool] = field(default_factory=dict[str, bool])
    began_at: float | None = None
    ended_at: float | None = None
    last_seq: int = 0

    def finished(self) -> dict[str, StepResult]:
        """Return the steps, and the elements of steps, that must never run again."""
        return {name: step for name, step in self.steps.items() if step.is_success}


@dataclass(frozen=True, slots=True)
class Words:
    """A person's words on steps that a run cannot decide about by itself, by id.

    `retry`: run it again. `skip`: leave it out, as if its condition had been false. `outputs`: it is done, and this is
    its output.
    """

    retry: frozenset[str] = frozenset()
    skip: frozenset[str] = frozenset()
    outputs: Mapping[str, Any] | None = None

    @classmethod
    def of(cls, retry: Iterable[str] = (), skip: Iterable[str] = (), outputs: Mapping[str, Any] | None = None) -> Words:
        """Make words of lists of ids, and outputs by id."""
        return cls(frozenset(retry), frozenset(skip), dict(outputs or {}))

    def named(self) -> set[str]:
        """Return the ids of all steps that a word is about."""
        return {*self.retry, *self.skip, *(self.outputs or {})}


NO_WORDS: Final = Words()
DAMAGED_KEY: Final = "$damaged"
"""In the place of an output that cannot be read, where a run is shown: why."""
BY_A_PERSON: Final = "skipped by a person's word"


class Recorded(Protocol):
    """What is read of a record: that of an event, with `at` in seconds since 1970."""

    @property
    def seq(self) -> int:
        """The place among the run's events."""
        ...

    @property
    def run_id(self) -> str:
        """The run."""
        ...

    @property
    def at(self) -> float:
        """When it happened."""
        ...

    @property
    def type(self) -> str:
        """What happened."""
        ...

    @property
    def step_id(self) -> str | None:
        """To which step, None for the run itself."""
        ...

    @property
    def data(self) -> Mapping[str, Any]:
        """What there is to know about it."""
        ...


def fold(records: Iterable[Recorded], read_value: Callable[[Any], Any] = lambda value: value) -> History:
    """Return what the records of a run come to, in the order of their `seq`.

    `read_value` turns an output as it stands in a record into the value, such as that of an artifact.
    """
    history = History()
    for record in records:
        history.run_id, history.last_seq = record.run_id, record.seq
        if record.type == "approval-given":
            history.approvals[record.data["digest"]] = record.data["approved"]
            continue
        apply = _OF_RUN.get(record.type)
        if apply is not None:
            apply(history, record.data, record.at)
        elif record.step_id is not None:
            _apply_to_step(history, record.type, record.step_id, record.data, record.at, read_value)
    return history


def _apply_to_step(
    history: History, kind: str, step_id: str, data: Mapping[str, Any], at: float, read_value: Callable[[Any], Any]
) -> None:
    """Take note of what happened to a step, or to an element of one."""
    if kind == "step-started":
        history.waiting.pop(step_id, None)
        history.in_flight[step_id] = InFlight(step_id, data["tool"], data["attempt"], at)
    elif kind == "step-retrying":
        history.in_flight.pop(step_id, None)
    elif kind == "step-waiting":
        history.in_flight.pop(step_id, None)
        history.waiting[step_id] = data["question"]
        if data.get("needs", "answer") == "approval":
            tool, args = data["tool"], data["args"]
            history.asked[step_id] = CallAsked(tool, args, call_digest(step_id, tool, args))
    elif (status := _ENDS.get(kind)) is not None:
        begun = history.in_flight.pop(step_id, None)
        history.waiting.pop(step_id, None)
        error = None if data.get("error") is None else StepError.from_dict(data["error"])
        latency_ms = data.get("latency_ms", 0.0)
        began = history.began_at or at
        history.steps[step_id] = StepResult(
            step_id,
            status,
            read_value(data.get("output")),
            error,
            data.get("attempts", 0),
            latency_ms,
            None if begun is None else at - latency_ms / 1_000 - began,
            at - began,
            data.get("reason"),
            reused_from=data.get("reused_from"),
        )


def _began(history: History, data: Mapping[str, Any], at: float) -> None:
    history.goal = history.goal or data["goal"]
    history.began_at = at if history.began_at is None else history.began_at
    history.status = history.ended_at = None
    history.error = None


def _planned(history: History, data: Mapping[str, Any], _: float) -> None:
    history.plan = Plan.from_json(data["plan"])


def _replanned(history: History, data: Mapping[str, Any], _: float) -> None:
    gone = set(data["replaced"])
    for store in (history.steps, history.in_flight, history.waiting):
        for name in [name for name in store if parent_of(name) in gone]:
            del store[name]
    history.plan, history.unused_recovery = Plan.from_json(data["plan"]), None
    history.replans += 1  # the number in the record counts within a round


def _called(history: History, data: Mapping[str, Any], _: float) -> None:
    known, cost = history.usage, data["cost_usd"]
    history.usage = Usage(
        known.model_calls + 1,
        known.input_tokens + data["input_tokens"],
        known.output_tokens + data["output_tokens"],
        None if cost is None or known.cost_usd is None else known.cost_usd + cost,
    )


def _replied(history: History, data: Mapping[str, Any], _: float) -> None:
    history.replies.setdefault(data["digest"], []).append(data["text"])
    if data.get("purpose") == "replan":
        history.unused_recovery = data["text"]


def _plan_asked(history: History, data: Mapping[str, Any], _: float) -> None:
    history.plan_asked = PlanAsked(Plan.from_json(data["plan"]), data["digest"])


def _answered(history: History, data: Mapping[str, Any], _: float) -> None:
    history.answer, history.has_answer = data["answer"], True


def _next_round(history: History, data: Mapping[str, Any], _: float) -> None:
    history.rounds = data["number"]


def _ended(history: History, data: Mapping[str, Any], at: float) -> None:
    history.status, history.ended_at = RunStatus(data["status"]), at
    error = data["result"].get("error")
    history.error = None if error is None else StepError.from_dict(error)
    if not history.has_answer:
        history.answer = data["result"]["answer"]


def parent_of(step_id: str) -> str:
    """Return the id of the step that an id such as `fetch[0]` belongs to; a step's own id is returned as it is."""
    found = _ELEMENT.match(step_id)
    return step_id if found is None else found["step"]


def _refused(history: History, _: Mapping[str, Any], __: float) -> None:
    history.unused_recovery = None


_OF_RUN: Final = {
    "run-started": _began,
    "plan-created": _planned,
    "plan-waiting": _plan_asked,
    "replanned": _replanned,
    "replan-refused": _refused,
    "model-called": _called,
    "model-replied": _replied,
    "answer-ready": _answered,
    "round-started": _next_round,
    "run-finished": _ended,
}
_ENDS: Final = {
    "step-succeeded": StepStatus.SUCCEEDED,
    "step-failed": StepStatus.FAILED,
    "step-skipped": StepStatus.SKIPPED,
    "step-cancelled": StepStatus.CANCELLED,
    "step-unknown": StepStatus.UNKNOWN,
}
