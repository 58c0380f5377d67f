"""What a whole run amounts to: its status, its answer, and a `for_each` from its elements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Final

from planloom.engine.attempt import Record
from planloom.plan.graph import PlanGraph
from planloom.plan.model import MISSING, Plan
from planloom.plan.resolve import Scope, resolve_answer
from planloom.plan.results import StepError, StepResult
from planloom.plan.state import END_STATUSES, RunStatus, StepStatus

_FOR_A_PERSON: Final = frozenset({StepStatus.UNKNOWN, StepStatus.WAITING})


def run_status(found: AbstractSet[StepStatus], stop_reason: StepError | None) -> RunStatus:
    """Return the status of a run whose steps have come to these ends.

    A run that was cancelled stays so. Any other waits for a person while nobody knows whether an effect has happened,
    also when it was stopped by its time limit or its budget.
    """
    if stop_reason is not None:
        if stop_reason.kind == "cancelled":
            return RunStatus.CANCELLED
        return RunStatus.WAITING if StepStatus.UNKNOWN in found else RunStatus.FAILED
    if not found.isdisjoint(_FOR_A_PERSON):
        return RunStatus.WAITING
    assert found <= END_STATUSES
    return RunStatus.FAILED if StepStatus.FAILED in found else RunStatus.SUCCEEDED


def not_finished(reason: StepError) -> StepError:
    """Return the error of a step that was not finished because the whole run was stopped."""
    return StepError("cancelled", "CancelledError", f"not finished: {reason.message}")


def answer_of(plan: Plan, graph: PlanGraph, scope: Scope, steps: Mapping[str, StepResult]) -> Any:
    """Return the plan's answer, else the output of the only last step, else of all last steps by id.

    None when something that it needs is not there.
    """
    if plan.answer is not MISSING:
        return resolve_answer(plan, scope)
    last = [steps[graph.ids[i]] for i, following in enumerate(graph.dependents) if not following]
    if not all(step.is_success for step in last):
        return None
    if len(last) == 1:
        return last[0].output
    return {step.step_id: step.output for step in last if step.status is StepStatus.SUCCEEDED}


def elements_outcome(elements: Sequence[Record]) -> tuple[StepStatus, StepError | None]:
    """Return what a step with `for_each` comes to when all its elements have ended."""
    failed = {
        index: element.error
        for index, element in enumerate(elements)
        if element.error is not None and element.status is not StepStatus.SUCCEEDED
    }
    statuses = {element.status for element in elements}
    if StepStatus.WAITING in statuses and StepStatus.UNKNOWN not in statuses:
        return StepStatus.WAITING, None
    if not failed:
        return StepStatus.SUCCEEDED, None
    first = next(iter(failed))
    message = f"{len(failed)} of {len(elements)} elements did not succeed; [{first}]: {failed[first].message}"
    if StepStatus.UNKNOWN in statuses:
        return StepStatus.UNKNOWN, StepError("unknown", "ElementsError", message, failed)
    if StepStatus.FAILED in statuses:
        return StepStatus.FAILED, StepError("elements", "ElementsError", message, failed)
    return StepStatus.CANCELLED, StepError("cancelled", "CancelledError", message, failed)
