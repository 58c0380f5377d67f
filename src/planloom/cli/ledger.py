"""One run as its events tell it: what every step is doing right now, and what is known when the run is cut off.

Events are folded in on the loop's thread; a display reads from another, so both take the lock. When the loop
never comes back, the ledger is all there is, and a complete result is made from it.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from planloom.cli.progress import Activity, Colour, GoalProgress
from planloom.plan import events
from planloom.plan.events import Event
from planloom.plan.graph import graph_of
from planloom.plan.model import Plan
from planloom.plan.results import RunResult, StepError, StepResult
from planloom.plan.state import END_STATUSES, RunStatus, StepStatus
from planloom.tools import Tool

MAX_RECENT: Final = 12
MAX_LEFT_BEHIND_S: Final = 60.0
"""How long something that belongs to no step may block the loop when no step is running."""
_END_OF: Final[dict[type[events.StepFailed | events.StepCancelled | events.StepUnknown], StepStatus]] = {
    events.StepFailed: StepStatus.FAILED,
    events.StepCancelled: StepStatus.CANCELLED,
    events.StepUnknown: StepStatus.UNKNOWN,
}

_OF_THE_GOAL: Final = (events.ReplanStarted, events.Replanned, events.ReplanRefused)
"""They name the step that failed, and are about more than that."""
_ANSWERED: Final = (events.StepStarted, events.StepSkipped, events.StepSucceeded, *_END_OF)
"""What happens to a step that a person has been asked about once there is an answer, or nobody waits for it."""
_CLOSING: Final = {status: kind for kind, status in _END_OF.items()}


@dataclass(slots=True)
class StepView:
    """One step as it stands. Times are of the monotonic clock."""

    id: str
    tool: str
    position: int | None
    """In the plan; None while the plan still arrives."""
    status: StepStatus = StepStatus.PENDING
    attempts: int = 0
    started: float | None = None
    """The first start."""
    attempt_started: float | None = None
    ended: float | None = None
    output: Any = None
    error: StepError | None = None
    reason: str | None = None
    question: str | None = None
    """What a person is asked."""
    asked_with: dict[str, Any] = field(default_factory=dict[str, Any])
    """The arguments of the call that a person is asked about."""
    progress: float | str | None = None
    retry_at: float | None = None
    elements: int | None = None
    """Of a `for_each`: how many there are."""
    elements_ended: int = 0
    elements_failed: int = 0
    running_elements: dict[str, float] = field(default_factory=dict[str, float])
    """Starts of the elements that are running."""
    latency_ms: float = 0.0
    reused_from: str | None = None


class Ledger:
    """The fold of a run's events. `lock` guards everything in it.

    `plan` is what is known when the run begins; a plan that arrives or changes takes its place, and `revision` counts.
    """

    def __init__(self, plan: Plan, tools: Mapping[str, Tool]) -> None:
        self.plan = plan
        self.title = plan.goal
        """What the user asked for; a planner may put it in other words."""
        self.goal = GoalProgress()
        self.revision = 0
        self.lock = threading.Lock()
        self.run_id = ""
        self.began = time.monotonic()
        self.began_at = datetime.now(UTC)
        self.ended: float | None = None
        self.last_seq = 0
        self.has_abandoned = False
        self.asked: dict[str, str] = {}
        """What a person was asked and has not answered, by step, or by element of one."""
        self.steps = {step.id: StepView(step.id, step.tool, position) for position, step in enumerate(plan.steps)}
        self.counts: Counter[StepStatus] = Counter({StepStatus.PENDING: len(self.steps)})
        self.running: dict[str, None] = {}
        """Ids of running and backing-off steps, the longest-running first."""
        self.recent: deque[str] = deque(maxlen=MAX_RECENT)
        self.troubled: deque[str] = deque(maxlen=MAX_RECENT)
        self._tools = tools
        self._graph = graph_of(plan)

    # ---- a plan that arrives and changes ----------------------------------------------------------------

    def begin_again(self, activity: str) -> None:
        """Begin with another run for the same goal: nothing is known of its plan yet."""
        with self.lock:
            self._adopt(Plan((), self.title))
            self.run_id, self.ended, self.began = "", None, time.monotonic()
            notes, self.goal = self.goal.notes, GoalProgress()
            self.goal.notes.extend(notes)
            self.goal.planning = Activity(activity)

    def note(self, text: str, colour: Colour = "dim") -> None:
        """Say something that stays on the display."""
        with self.lock:
            self.goal.notes.append((text, colour))

    def _arrive(self, step_id: str, tool: str) -> None:
        if step_id not in self.steps:
            self.steps[step_id] = StepView(step_id, tool, None)
            self.counts[StepStatus.PENDING] += 1
            self.revision += 1

    def _adopt(self, plan: Plan, anew: tuple[str, ...] = ()) -> None:
        """Take a plan in the place of the last one; steps that are in both stay as they are, but for those `anew`."""
        before = self.steps
        self.steps = dict[str, StepView]()
        for position, step in enumerate(plan.steps):
            view = before.get(step.id)
            if view is None or step.id in anew or view.tool != step.tool:
                view = StepView(step.id, step.tool, position)
            view.position = position
            self.steps[step.id] = view
        self.plan, self._graph = plan, graph_of(plan)
        self.counts = Counter(view.status for view in self.steps.values())
        self.running = {name: None for name in self.running if self.steps.get(name) is before[name]}
        for names in (self.recent, self.troubled):
            kept = [name for name in names if self.steps.get(name) is before.get(name)]
            names.clear()
            names.extend(kept)
        self.revision += 1

    # ---- folding events in ---------------------------------------------------------------------------

    def apply(self, event: Event) -> None:
        """Fold one event in."""
        with self.lock:
            self.last_seq = event.seq
            self.run_id = event.run_id
            if isinstance(event, events.StepWaiting) and event.step_id is not None:
                self.asked[event.step_id] = event.question
            elif event.step_id in self.asked and isinstance(event, _ANSWERED):
                del self.asked[event.step_id]
            if isinstance(event, events.Replanned):
                self._adopt(event.plan, event.added)
            if event.step_id is None or isinstance(event, _OF_THE_GOAL):
                self._apply_to_run(event)
                return
            if isinstance(event, events.StepArrived):
                self._arrive(event.step_id, event.tool)
                return
            step = self.steps.get(event.step_id)
            if step is not None:
                self._apply_to_step(step, event)
                return
            parent = self.steps.get(event.step_id.rpartition("[")[0])
            if parent is not None:
                self._apply_to_element(parent, event.step_id, event)
            elif isinstance(event, events.StepStarted):  # a call of ReAct, which has no plan
                self._arrive(event.step_id, event.tool)
                self._apply_to_step(self.steps[event.step_id], event)

    def _apply_to_run(self, event: Event) -> None:
        if isinstance(event, events.RunStarted):
            self.began = time.monotonic()
            self.began_at = datetime.fromtimestamp(event.at, UTC)
        elif isinstance(event, events.PlanCreated):
            self._adopt(event.plan)
        elif isinstance(event, events.RunFinished):
            self.ended = time.monotonic()
        elif isinstance(event, events.ReplanStarted) and event.step_id in self.steps:
            self.steps[event.step_id].error = event.reason
        elif isinstance(event, events.ReplanRefused) and event.step_id in self.steps:
            step = self.steps[event.step_id]
            step.error = event.reason
            if step.status is StepStatus.HELD:
                self._move(step, StepStatus.FAILED)
        self.goal.apply(event)

    def _apply_to_step(self, step: StepView, event: Event) -> None:
        now = time.monotonic()
        match event:
            case events.StepStarted():
                self._move(step, StepStatus.RUNNING)
                step.attempts, step.attempt_started, step.retry_at, step.progress = event.attempt, now, None, None
                step.started = now if step.started is None else step.started
                step.question = None
                self.running[step.id] = None
            case events.StepExpanded():
                self._move(step, StepStatus.RUNNING)
                step.started, step.elements = now, event.elements
                self.running[step.id] = None
            case events.StepProgress():
                step.progress = event.progress
            case events.StepRetrying():
                self._move(step, StepStatus.READY)
                step.retry_at, step.error = now + event.delay_s, event.error
            case events.StepSucceeded():
                step.output, step.error, step.reused_from = event.output, None, event.reused_from
                self._end(step, StepStatus.SUCCEEDED, event.attempts, event.latency_ms)
            case events.StepSkipped():
                step.reason, step.error = event.reason, event.error
                self._end(step, StepStatus.SKIPPED, 0, 0.0)
            case events.StepFailed() | events.StepCancelled() | events.StepUnknown():
                step.error = event.error
                self._end(step, _END_OF[type(event)], event.attempts, event.latency_ms)
            case events.StepWaiting():
                self._set_aside(step, StepStatus.WAITING)
                step.question, step.asked_with = event.question, event.args
            case events.StepHeld():
                self._set_aside(step, StepStatus.HELD)
                step.reason = event.failed
            case events.CallAbandoned():
                self.has_abandoned = True
            case _:
                pass

    def _apply_to_element(self, step: StepView, name: str, event: Event) -> None:
        match event:
            case events.StepStarted():
                step.running_elements[name] = time.monotonic()
                step.attempts += 1
            case events.StepProgress():
                pass
            case events.StepWaiting():
                step.running_elements.pop(name, None)
                step.question, step.asked_with = event.question, event.args
            case events.StepRetrying():
                step.running_elements.pop(name, None)
            case events.CallAbandoned():
                self.has_abandoned = True
            case _:
                step.running_elements.pop(name, None)
                step.elements_ended += 1
                step.elements_failed += not isinstance(event, events.StepSucceeded)

    def _move(self, step: StepView, status: StepStatus) -> None:
        self.counts[step.status] -= 1
        self.counts[status] += 1
        step.status = status

    def _set_aside(self, step: StepView, status: StepStatus) -> None:
        self._move(step, status)
        step.retry_at = None
        self.running.pop(step.id, None)

    def _end(self, step: StepView, status: StepStatus, attempts: int, latency_ms: float) -> None:
        self._move(step, status)
        step.attempts, step.latency_ms, step.ended = attempts or step.attempts, latency_ms, time.monotonic()
        step.retry_at = step.question = None
        self.running.pop(step.id, None)
        self.recent.append(step.id)
        if status in (StepStatus.FAILED, StepStatus.UNKNOWN):
            self.troubled.append(step.id)

    # ---- reading (the caller holds the lock) -----------------------------------------------------------

    @property
    def done(self) -> int:
        """How many steps have ended by themselves; those that were cut off are not done."""
        return sum(self.counts[status] for status in END_STATUSES - {StepStatus.CANCELLED, StepStatus.UNKNOWN})

    def elapsed_s(self) -> float:
        """Seconds since the run began, until now or its end."""
        return (self.ended or time.monotonic()) - self.began

    def awaited(self, step: StepView) -> list[str]:
        """The ids of the steps that a pending step still waits for."""
        if step.position is None:
            return []
        sources = (self._graph.ids[source] for source in self._graph.dependencies[step.position])
        return [name for name in sources if self.steps[name].status not in END_STATUSES]

    def step_order(self) -> list[str]:
        """All ids, each after those it waits for."""
        placed = [self._graph.ids[position] for position in self._graph.order]
        return list(dict.fromkeys([*placed, *self.steps]))

    def without_plan(self, reason: StepError) -> RunResult:
        """Return the result of a goal for which there was no plan; what had started early of one is gone."""
        with self.lock:
            self.ended = self.ended or time.monotonic()
            plan = Plan((), self.title)
            return RunResult(
                self.run_id, RunStatus.FAILED, None, plan, {}, self.goal.usage, 0, self.began_at,
                self.elapsed_s() * 1_000, reason,
            )  # fmt: skip

    # ---- when the loop does not come back --------------------------------------------------------------

    def overrun_s(self, step_id: str, blocked_s: float) -> float:
        """Return by how many seconds the attempt that blocks the loop is over its timeout; negative while it is not.

        For an id that is not known (a task that a tool left behind) all running steps must be over theirs; where
        nothing runs at all, the block itself must be longer than `MAX_LEFT_BEHIND_S`.
        """
        now = time.monotonic()
        with self.lock:
            parent = self.steps.get(step_id) or self.steps.get(step_id.rpartition("[")[0])
            if parent is not None:
                started = parent.running_elements.get(step_id, parent.attempt_started)
                return -1.0 if started is None else now - started - self.timeout_s(parent)
            running = [self.steps[name] for name in self.running]
            return min(
                (now - (step.attempt_started or now) - self.timeout_s(step) for step in running),
                default=blocked_s - MAX_LEFT_BEHIND_S,
            )

    def longest_left_s(self) -> float:
        """Return the seconds that the running step with most time left has; `MAX_LEFT_BEHIND_S` when none runs."""
        now = time.monotonic()
        with self.lock:
            running = [self.steps[name] for name in self.running]
            left = [self.timeout_s(step) - (now - (step.attempt_started or now)) for step in running]
            return max(left, default=MAX_LEFT_BEHIND_S)

    def timeout_s(self, step: StepView) -> float:
        """The limit of one attempt of a step."""
        own = None if step.position is None else self.plan.steps[step.position].timeout_s
        limits = [own, getattr(self._tools.get(step.tool), "timeout_s", None)]
        return min((limit for limit in limits if limit is not None), default=float("inf"))

    def cut_off(self, status: RunStatus, reason: StepError, blamed: str | None = None) -> RunResult:
        """Return a complete result of a run that will not give one: every step as far as it is known.

        `blamed` is the step that failed by `reason`; what else was running is cancelled, or unknown when it may
        have had an effect: then a run that was not cancelled waits for a person.
        """
        with self.lock:
            self.ended = self.ended or time.monotonic()
            parent = None if blamed is None else blamed if blamed in self.steps else blamed.rpartition("[")[0]
            results = {
                step.id: self._final(step, reason, step.id == parent)
                for step in self.steps.values()
                if step.position is not None  # a plan that never came to be has no steps
            }
            is_open = any(result.status is StepStatus.UNKNOWN for result in results.values())
            status = RunStatus.WAITING if is_open and status is not RunStatus.CANCELLED else status
            return RunResult(
                self.run_id, status, None, self.plan, results, self.goal.usage, self.goal.replans, self.began_at,
                self.elapsed_s() * 1_000, reason,
            )  # fmt: skip

    def closing_events(self, result: RunResult) -> list[Event]:
        """Return the events that a run which was cut off owes: the ends of its open steps, and its own."""
        at, seq = time.time(), self.last_seq
        closing: list[Event] = []
        for step in self.steps.values():
            if step.id not in result.steps:
                continue
            outcome = result.steps[step.id]
            kind = _CLOSING.get(outcome.status)
            if step.status not in END_STATUSES and kind is not None and outcome.error is not None:
                seq += 1
                closing.append(kind(seq, self.run_id, at, step.id, outcome.error, outcome.attempts, outcome.latency_ms))
        return [*closing, events.RunFinished(seq + 1, self.run_id, at, None, result.status, result)]

    def _final(self, step: StepView, reason: StepError, is_blamed: bool) -> StepResult:
        status, error, latency_ms, ended = step.status, step.error, step.latency_ms, step.ended
        if status not in END_STATUSES:
            status, error = self._cut_off_step(step, reason, is_blamed)
            ended = self.ended if step.started is not None else None
            latency_ms = 0.0 if step.started is None or ended is None else (ended - step.started) * 1_000
        return StepResult(
            step.id,
            status,
            step.output,
            error,
            step.attempts,
            latency_ms,
            None if step.started is None else step.started - self.began,
            None if ended is None else ended - self.began,
            step.reason,
            reused_from=step.reused_from,
        )

    def _cut_off_step(self, step: StepView, reason: StepError, is_blamed: bool) -> tuple[StepStatus, StepError]:
        tool = self._tools.get(step.tool)
        if step.status is StepStatus.RUNNING and tool is not None and not (tool.read_only or tool.idempotent):
            message = f"{reason.message}; `{step.tool}` may or may not have had its effect"
            return StepStatus.UNKNOWN, StepError("unknown", reason.type, message)
        if is_blamed:
            message = f"timed out after {self.timeout_s(step):g} s (limit `timeout_s`) and could not be stopped"
            return StepStatus.FAILED, StepError(reason.kind, reason.type, message)
        return StepStatus.CANCELLED, StepError("cancelled", "CancelledError", f"not finished: {reason.message}")
