"""Plans against toolboxes, as callers ask it: `find_issues` and `validate_plan`.

The verdict on a plan and a toolbox is kept with the plan; both are frozen, so it cannot change.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, cast

from planloom.errors import PlanCycleError, PlanValidationError
from planloom.plan.graph import graph_of
from planloom.plan.issues import Issue, has_errors
from planloom.plan.limits import DEFAULT_LIMITS, Limits
from planloom.plan.model import Plan, PlanLike
from planloom.plan.validation import inspect_plan
from planloom.tools.toolbox import Toolbox, ToolboxLike

_MAX_KEY_CHARS: Final = 4_000
_MAX_KEY_PARTS: Final = 500
_MAX_KEPT: Final = 8


def find_issues(
    plan: PlanLike,
    toolbox: ToolboxLike | None = None,
    *,
    inputs: Mapping[str, Any] | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> list[Issue]:
    """Return every issue of a plan, errors and warnings, in the order of the plan; [] when there is none.

    Without a toolbox, only what can be checked without one is. `inputs` are the caller's values over the
    plan's defaults. Raises `PlanFormatError` for text that is not JSON or holds no list of steps.
    """
    read = Plan.from_json(plan, limits)
    tools = None if toolbox is None else Toolbox.of(toolbox)
    key = _key(tools, inputs, limits)
    verdicts: dict[Any, tuple[Issue, ...]] = read.memo.setdefault("verdicts", {})
    if key is not None and (known := verdicts.get(key)) is not None:
        return list(known)
    issues = inspect_plan(read, tools, inputs, limits)
    if key is not None:
        if len(verdicts) >= _MAX_KEPT:
            verdicts.clear()
        verdicts[key] = tuple(issues)
    return issues


def validate_plan(
    plan: PlanLike,
    toolbox: ToolboxLike | None = None,
    *,
    inputs: Mapping[str, Any] | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> None:
    """Raise `PlanValidationError` with all issues when at least one is an error; warnings alone pass.

    A plan with a circle raises its subclass `PlanCycleError`, whose `cycle` names the whole circle.
    """
    read = Plan.from_json(plan, limits)
    issues = find_issues(read, toolbox, inputs=inputs, limits=limits)
    if not has_errors(issues):
        return
    if any(issue.code == "cycle" for issue in issues):
        graph = graph_of(read)
        raise PlanCycleError(issues, [graph.ids[position] for position in graph.circles()[0]])
    raise PlanValidationError(issues)


def _key(tools: Toolbox | None, inputs: Mapping[str, Any] | None, limits: Limits) -> Any:
    """Return what a verdict depends on besides the plan, or None when it is not worth keeping."""
    if not inputs:
        return tools, "", limits
    if not _is_small(inputs):
        return None
    try:
        written = json.dumps(dict(inputs), sort_keys=True)
    except (TypeError, ValueError, RecursionError):
        return None
    return (tools, written, limits) if len(written) <= _MAX_KEY_CHARS else None


def _is_small(inputs: Mapping[str, Any]) -> bool:
    """Return whether `inputs` has few parts at any depth, which a value that contains itself has not."""
    pending: list[Any] = [inputs]
    for _ in range(_MAX_KEY_PARTS):
        if not pending:
            return True
        value = pending.pop()
        if isinstance(value, dict):
            value = list(cast("dict[Any, Any]", value).values())
        if isinstance(value, list):
            elements = cast("list[Any]", value)
            if len(elements) > _MAX_KEY_PARTS:
                return False
            pending.extend(elements)
    return False
