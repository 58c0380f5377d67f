"""What a step whose dependencies have all ended comes to before any call: it runs, is skipped, fans out, or fails."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from planloom.engine.failures import describe_exception
from planloom.plan.conditions import ConditionError
from planloom.plan.issues import shorten
from planloom.plan.model import Plan, Step
from planloom.plan.resolve import Scope, UnresolvedError, decide_when, resolve_for_each, skipped_reference
from planloom.plan.results import StepError


class Decision(NamedTuple):
    """At most one is set; none of them means that the step is ready."""

    skip_reason: str | None = None
    items: list[Any] | None = None
    """The elements of a `for_each`."""
    error: StepError | None = None


READY = Decision()
_MEMO_KEY: Final = "is-plain"


def is_plain(plan: Plan) -> bool:
    """Return whether no step of a plan has anything to decide; looked up once per plan."""
    known = plan.memo.get(_MEMO_KEY)
    if known is None:
        known = plan.memo[_MEMO_KEY] = all(step.when is None and step.for_each is None for step in plan.steps)
    return known


def decide(step: Step, scope: Scope, fan_out: int) -> Decision:
    """Decide `when` and `for_each` of a step; a list of more than `fan_out` elements is an error."""
    if step.when is None and step.for_each is None and not scope.skipped:
        return READY
    try:
        reason = _reason_to_skip(step, scope)
        if reason is not None:
            return Decision(skip_reason=reason)
        return READY if step.for_each is None else Decision(items=resolve_for_each(step, scope, fan_out))
    except ConditionError as error:
        return Decision(error=StepError("condition", "ConditionError", error.message))
    except UnresolvedError as error:
        return Decision(error=StepError("reference", "UnresolvedError", str(error)))
    except Exception as error:  # too deep, or too large for the memory
        return Decision(error=describe_exception(error).to_error())


def _reason_to_skip(step: Step, scope: Scope) -> str | None:
    if scope.skipped and (source := skipped_reference(step, scope)) is not None:
        return f"it uses `{shorten(source)}`, which was skipped by its condition"
    if step.when is None or decide_when(step, scope):
        return None
    return f"its condition is false: {shorten(step.when, 200)}"
