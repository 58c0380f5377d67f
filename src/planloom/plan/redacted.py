"""Results, errors, plans and issues without secrets: what of them is text is cleaned, and the rest is as it was."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

from planloom.plan.issues import Issue
from planloom.plan.model import Plan
from planloom.plan.redaction import Redactor
from planloom.plan.results import RunResult, StepError, StepResult


def clean_data(data: tuple[Any, ...], redactor: Redactor) -> tuple[Any, ...]:
    """Return the fields of an event without secrets; a `RunResult` is cleaned where it is made."""
    return tuple([clean_part(part, redactor) for part in data])


def clean_part(part: Any, redactor: Redactor | None) -> Any:
    """Return one field without secrets; as it is when there are none."""
    if redactor is None:
        return part
    if isinstance(part, StepError):
        return clean_error(part, redactor)
    if isinstance(part, Plan):
        return clean_plan(part, redactor)
    if isinstance(part, Issue):
        return clean_issue(part, redactor)
    if isinstance(part, tuple):
        return clean_data(cast("tuple[Any, ...]", part), redactor)
    return redactor.clean(part)


def clean_error(error: StepError, redactor: Redactor) -> StepError:
    """Return an error without secrets."""
    message = redactor.text(error.message)
    elements = error.elements and {index: clean_error(part, redactor) for index, part in error.elements.items()}
    return error if message is error.message and not elements else replace(error, message=message, elements=elements)


def clean_issue(issue: Issue, redactor: Redactor) -> Issue:
    """Return an issue without secrets."""
    hint = None if issue.hint is None else redactor.text(issue.hint)
    return replace(issue, path=redactor.text(issue.path), message=redactor.text(issue.message), hint=hint)


def clean_plan(plan: Plan, redactor: Redactor) -> Plan:
    """Return a plan without secrets; the same one when it has none."""
    written = plan.to_dict()
    cleaned = redactor.clean(written)
    return plan if cleaned is written else Plan.from_json(cleaned)


def clean_step(step: StepResult, redactor: Redactor, *, with_output: bool = True) -> StepResult:
    """Return the result of a step without secrets."""
    output = redactor.clean(step.output) if with_output else step.output
    error = None if step.error is None else clean_error(step.error, redactor)
    reason = None if step.reason is None else redactor.text(step.reason)
    elements = tuple([clean_step(element, redactor, with_output=with_output) for element in step.elements])
    is_same = output is step.output and error is step.error and reason is step.reason and not elements
    return step if is_same else replace(step, output=output, error=error, reason=reason, elements=elements)


def clean_result(result: RunResult, redactor: Redactor) -> RunResult:
    """Return a whole run without secrets. Outputs were cleaned when they came, so only later secrets are looked for."""
    with_output = redactor.has_learned
    return replace(
        result,
        answer=redactor.clean(result.answer),
        plan=clean_plan(result.plan, redactor),
        steps={name: clean_step(step, redactor, with_output=with_output) for name, step in result.steps.items()},
        error=None if result.error is None else clean_error(result.error, redactor),
    )
