"""The order of the passes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from planloom.plan.bulk import without_collections
from planloom.plan.issues import Issue
from planloom.plan.limits import DEFAULT_LIMITS, Limits
from planloom.plan.model import Plan
from planloom.plan.tool_spec import ToolSpec
from planloom.plan.validation.answer import check_answer
from planloom.plan.validation.arguments import check_arguments
from planloom.plan.validation.conflicts import check_conflicts
from planloom.plan.validation.dependencies import check_dependencies
from planloom.plan.validation.fields import check_fields
from planloom.plan.validation.inspection import Inspection
from planloom.plan.validation.references import check_references

PASSES: Final[tuple[Callable[[Inspection], None], ...]] = (
    check_fields,
    check_dependencies,
    check_references,
    check_arguments,
    check_answer,
    check_conflicts,
)


def inspect_plan(
    plan: Plan,
    tools: Mapping[str, ToolSpec] | None,
    inputs: Mapping[str, Any] | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> list[Issue]:
    """Return every issue of `plan`, errors and warnings, in the order of the plan.

    `tools` maps names to tools; None checks only what can be checked without them. `inputs` are the
    caller's values, over the plan's defaults.
    """
    with without_collections(len(plan.steps)):
        inspection = Inspection(plan, tools, inputs or {}, limits)
        for check in PASSES:
            check(inspection)
        return inspection.issues()
