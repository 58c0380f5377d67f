"""A plan that a person has to approve before anything of it runs, for a run without a model.

Rule: no word is no yes. Without one the run ends `waiting`, and none of its steps has begun.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Protocol

from planloom.engine.base import Clock, Person
from planloom.engine.calls import GRACE_S
from planloom.engine.emitter import Emitter
from planloom.engine.failures import describe_exception
from planloom.plan.approvals import plan_digest
from planloom.plan.events import ApprovalGiven, CallbackFailed, PlanWaiting, RunFinished, RunStarted
from planloom.plan.model import Plan
from planloom.plan.results import RunResult, StepError, StepResult
from planloom.plan.state import RunStatus, StepStatus


class PlanPerson(Person, Protocol):
    """A person who may have to approve the plan too."""

    @property
    def asks_before_plans(self) -> bool:
        """Whether a plan needs this person's approval."""
        ...

    async def approve_plan(self, plan: Plan, digest: str) -> bool | None:
        """Say whether a plan may run; None is no answer."""
        ...


async def plan_word(plan: Plan, person: PlanPerson, emitter: Emitter) -> bool | None:
    """Return a person's word for a plan; one that was given for exactly this plan before is asked for no more."""
    if not person.asks_before_plans:
        return True
    digest = plan_digest(plan)
    word = person.said(digest)
    if word is not None:
        return word
    emitter.emit(PlanWaiting, None, plan, digest)
    try:
        word = await person.approve_plan(plan, digest)
    except Exception as error:  # whatever a callback raises, it is no yes
        emitter.emit(CallbackFailed, None, "approve", describe_exception(error).message)
        word = None
    if word is not None:
        emitter.emit(ApprovalGiven, None, digest, word)
    return word


async def not_run(
    plan: Plan, word: bool | None, emitter: Emitter, clock: Clock, finished: Mapping[str, StepResult] | None
) -> RunResult:
    """Tell the result of a plan that nobody allowed to run, and return it."""
    denied = StepError("denied", "Denied", "the plan was denied by a person")
    status, error = (RunStatus.WAITING, None) if word is None else (RunStatus.FAILED, denied)
    known = finished or {}
    steps = {step.id: known.get(step.id) or StepResult(step.id, StepStatus.PENDING) for step in plan.steps}
    began_at = datetime.fromtimestamp(clock.now(), UTC)
    result = RunResult(emitter.run_id, status, None, plan, steps, started_at=began_at, error=error)
    emitter.emit(RunStarted, None, plan.goal, len(plan.steps))
    emitter.emit_last(RunFinished, status, result)
    await emitter.drain(GRACE_S)
    return result
