"""More steps behind a finished plan: for what the joiner found missing, or for a goal that follows an earlier one."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from planloom.models import Model
from planloom.plan.amendment import merge_recovery
from planloom.plan.model import MISSING, Plan
from planloom.plan.results import StepResult
from planloom.planning.changing import Emit, PlanChange
from planloom.planning.create import MAX_MENDS, Planned
from planloom.planning.prompts import PLANNER, extend_message, with_tools
from planloom.tools import Toolbox


def finished_part(plan: Plan, steps: Mapping[str, StepResult]) -> Plan:
    """Return the plan with the steps alone that ended well, and without its answer: what more steps may build on."""
    kept = tuple(step for step in plan.steps if step.id in steps and steps[step.id].is_success)
    return dataclasses.replace(plan, steps=kept, answer=MISSING)


async def extend_plan(
    goal: str,
    toolbox: Toolbox,
    model: Model,
    plan: Plan,
    steps: Mapping[str, StepResult],
    *,
    missing: str = "",
    inputs: Mapping[str, Any] | None = None,
    instructions: str = "",
    max_mends: int = MAX_MENDS,
    on_event: Emit | None = None,
) -> Planned:
    """Ask for the steps that `goal` still needs behind those of `plan` that ended well; return the whole plan.

    `mends` and `rounds` of what is returned say how the new steps came about; the pointers are theirs.
    `missing` says what the outputs so far cannot answer. New steps may refer to finished ones by id and never change
    them. Raises `PlanValidationError` with the issues that are left after `max_mends` rounds, and `ModelError`.
    """
    base = finished_part(plan, steps)
    change = PlanChange(base, (), steps, toolbox, inputs or {}, on_event)
    messages = (
        with_tools(PLANNER, toolbox.values(), instructions),
        extend_message(goal, base, steps, inputs or {}, missing),
    )
    planned = await change.ask(model, messages, "plan", goal=goal, max_mends=max_mends)
    whole = dataclasses.replace(merge_recovery(base, (), planned.plan), goal=goal)
    return dataclasses.replace(planned, plan=whole)
