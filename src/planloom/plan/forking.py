"""What a new run takes over from the records of another one: a rerun from a step, or a fork at one.

Rule: pure, and only results are taken over, never that something is still to be done. Approvals are not: a person's
word was for the run that it was given to.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from planloom.errors import UsageError
from planloom.plan.graph import graph_of
from planloom.plan.history import Recorded, fold, parent_of
from planloom.plan.model import Plan
from planloom.plan.suggest import did_you_mean

_OF_RUN: Final = frozenset({"plan-created", "replanned", "model-replied", "round-started"})
"""Records of the run itself that a new run needs; what the calls of models have cost is the other run's."""
_BEGINS: Final = frozenset({"step-started", "step-expanded", "step-waiting"})
_ENDS: Final = frozenset({"step-succeeded", "step-skipped", "step-unknown"})
"""Ends that stay; what had failed or was cancelled is tried again anyway."""
_ANY_END: Final = _ENDS | {"step-failed", "step-cancelled"}


@dataclass(frozen=True, slots=True)
class Copied:
    """What happened, as the new run takes it over."""

    type: str
    step_id: str | None
    data: Mapping[str, Any]


def rerun_records(records: Sequence[Recorded], given: Plan | None, step_id: str) -> list[Copied]:
    """Return what stays when a step and all that depends on it run again: the results of every other step.

    `given` is the plan that the run was given, None when it was planned. Raises `UsageError` for a step that is not in
    the plan as it was last.
    """
    plan = _plan_of(records, given)
    again = descendants(plan, [_checked(plan, step_id)])
    return _copied(records, again)


def fork_records(
    records: Sequence[Recorded], given: Plan | None, step_id: str, outputs: Collection[str] = ()
) -> list[Copied]:
    """Return what stays of a run as it was when a step began: what had begun by then, with what it came to.

    `outputs` are ids of steps that get another output, so that what depends on them does not stay either.
    Raises `UsageError` for a step that has not begun, or is not in the plan as it was then.
    """
    told = _BEGINS | _ANY_END  # in a run that is a fork itself, a step that stayed has no beginning
    cut = next((n for n, r in enumerate(records) if r.type in told and parent_of(r.step_id or "") == step_id), None)
    if cut is None:
        _checked(_plan_of(records, given), step_id)
        raise UsageError(f"step `{step_id[:80]}` has not begun, so there is nothing to fork at\nhint: resume the run")
    before = records[:cut]
    plan = _plan_of(before, given)
    for name in outputs:
        _checked(plan, parent_of(name))
    begun = {record.step_id for record in before if record.type in _BEGINS}
    later = [record for record in records[cut:] if record.type in _ANY_END and record.step_id in begun]
    set_steps = {parent_of(name) for name in outputs}
    again = (descendants(plan, set_steps) - set_steps) | descendants(plan, [step_id])
    # of a step with `for_each` only the elements that are set; the others stay done
    return [one for one in _copied([*before, *later], again) if one.step_id not in {*set_steps, *outputs}]


def descendants(plan: Plan, step_ids: Iterable[str]) -> set[str]:
    """Return the ids of steps and of every step that depends on one of them."""
    graph = graph_of(plan)
    found: set[int] = set()
    left = [graph.index[step_id] for step_id in step_ids]
    while left:
        position = left.pop()
        if position not in found:
            found.add(position)
            left += graph.dependents[position]
    return {plan.steps[position].id for position in found}


def _copied(records: Iterable[Recorded], again: Collection[str]) -> list[Copied]:
    """Return what stays when the steps `again` do not; of a call that has not ended only that it had begun."""
    kept: list[Copied] = []
    in_flight: dict[str, Copied] = {}
    for record in records:
        if record.step_id is None:
            if record.type in _OF_RUN:
                kept.append(Copied(record.type, None, record.data))
            continue
        if parent_of(record.step_id) in again:
            continue
        if record.type == "step-started":
            in_flight[record.step_id] = Copied(record.type, record.step_id, record.data)
        elif record.type in _ANY_END or record.type == "step-retrying":
            in_flight.pop(record.step_id, None)
            if record.type in _ENDS:
                kept.append(Copied(record.type, record.step_id, record.data))
    return [*kept, *in_flight.values()]


def _plan_of(records: Iterable[Recorded], given: Plan | None) -> Plan:
    plan = fold(record for record in records if record.step_id is None).plan or given
    if plan is None:
        raise UsageError("the run has no plan yet, so there is no step to begin at\nhint: resume the run")
    return plan


def _checked(plan: Plan, step_id: str) -> str:
    ids = [step.id for step in plan.steps]
    if step_id not in ids:
        hint = did_you_mean(step_id, ids) or f"its steps are {', '.join(f'`{name}`' for name in ids[:20])}"
        raise UsageError(f"the plan of the run has no step `{step_id[:80]}`\nhint: {hint}")
    return step_id
