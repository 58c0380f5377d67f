"""A recovery plan put into a running plan: which part is replaced, and what the whole looks like after.

Rule: only the broken part is replaced, that is the failed step and its unfinished descendants. Everything else,
finished or still running, stays as it is and may be referred to. A step that stays never needs one that goes: whatever
needs a broken step is broken with it, so a circle in the merged graph lies in the recovery plan alone.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final, cast

from planloom.plan.graph import PlanGraph, build_graph
from planloom.plan.issues import Issue, pointer, shorten
from planloom.plan.model import MISSING, Plan, Step
from planloom.plan.state import StepStatus

_NEVER_REPLACED: Final = frozenset({StepStatus.RUNNING, StepStatus.SUCCEEDED, StepStatus.UNKNOWN})
"""A step that was started and may have had its effect stays, whatever failed before it."""
_OF_THE_MERGE: Final = frozenset({"conflict", "cycle", "duplicate-id"})
"""Issues that a recovery plan can bring about at a step that stays."""
_REFERENCE = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_ROOT = re.compile(r"(^|\?\?)\s*([A-Za-z_][A-Za-z0-9_-]*)")


def broken_part(graph: PlanGraph, statuses: Sequence[StepStatus], failed: int) -> list[int]:
    """Return the positions of a failed step and of its unfinished descendants, in plan order."""
    part = {failed}
    pending = [failed]
    for position in pending:  # grows while it is walked
        for dependent in graph.dependents[position]:
            if dependent not in part and statuses[dependent] not in _NEVER_REPLACED:
                part.add(dependent)
                pending.append(dependent)
    return sorted(part)


def merge_recovery(plan: Plan, broken: Collection[str], recovery: Plan) -> Plan:
    """Return the plan with its broken part (ids) replaced by the recovery plan's steps, which come last.

    The merged plan has the recovery plan's `answer` if it has one, else the plan's own. Inputs of the recovery plan are
    added; a value that the plan has already stays. What was wrong with the recovery plan as it was read stays wrong.
    """
    gone = frozenset(broken)
    kept = tuple(step for step in plan.steps if step.id not in gone)
    return dataclasses.replace(
        plan,
        steps=(*kept, *recovery.steps),
        answer=plan.answer if recovery.answer is MISSING else recovery.answer,
        inputs={**recovery.inputs, **plan.inputs},
        defects=(*plan.defects, *(_moved(defect, len(kept)) for defect in recovery.defects)),
    )


def without_repeats(
    plan: Plan, broken: Collection[str], recovery: Plan, lost: Collection[str] = ()
) -> tuple[Plan, list[str]]:
    """Return the recovery plan without the steps that stay and that it only repeats, and the ids of those.

    Models like to write the whole plan again. A step under the id of one that stays (and is not `lost`) that makes the
    same call means that one.
    """
    gone = frozenset(broken) | frozenset(lost)
    kept = {step.id: step for step in plan.steps if step.id not in gone}
    repeated = [step.id for step in recovery.steps if step.id in kept and _same_call(step, kept[step.id])]
    if not repeated:
        return recovery, []
    steps = tuple(step for step in recovery.steps if step.id not in repeated)
    return dataclasses.replace(recovery, steps=steps), repeated


def _same_call(one: Step, other: Step) -> bool:
    return (one.tool, one.args, one.when, one.for_each) == (other.tool, other.args, other.when, other.for_each)


def recovery_issues(
    plan: Plan,
    broken: Collection[str],
    recovery: Plan,
    merged_issues: Iterable[Issue] = (),
    lost: Collection[str] = (),
) -> list[Issue]:
    """Return every issue of a recovery plan, with pointers into the recovery plan.

    `merged_issues` are those of the merged plan (`merge_recovery`); what they say of steps that stay is left out unless
    the recovery plan brought it about, and what they say of an inherited answer gets a hint that a recovery plan can
    follow. `lost` are ids of steps that stay and will never have an output. On its own this function names: ids of
    steps that stay, uses of an input that has another value already, steps that need a lost one, and a recovery without
    steps and answer.
    """
    gone = frozenset(broken)
    kept = {step.id for step in plan.steps if step.id not in gone}
    issues = _own_issues(plan, kept, recovery, frozenset(lost))
    known = {(issue.code, issue.path) for issue in issues}
    kept_count = sum(1 for step in plan.steps if step.id in kept)
    for issue in merged_issues:
        moved = _into_recovery(issue, kept_count, plan, recovery)
        if moved is not None and (moved.code, moved.path) not in known:
            issues.append(moved)
    return issues


def _own_issues(plan: Plan, kept: Collection[str], recovery: Plan, lost: frozenset[str]) -> list[Issue]:
    issues: list[Issue] = []
    taken = {name for name, value in recovery.inputs.items() if name in plan.inputs and plan.inputs[name] != value}
    for position, step in enumerate(recovery.steps):
        name = shorten(step.id)
        if step.id in kept:
            hint = f"choose a new id, or refer to the step that stays as {{{{{name}.output}}}} and leave this one out"
            message = f"`{name}` is the id of a step that stays in the plan"
            issues.append(Issue("duplicate-id", "error", pointer("steps", position, "id"), message, hint))
        for needed in sorted(lost.intersection(kept, step.needs())):
            message = f"step `{name}` needs `{shorten(needed)}`, which did not succeed and will not be run again"
            hint = "do without that step, or write one under a new id that does what it was for"
            issues.append(Issue("unknown-reference", "error", pointer("steps", position), message, hint))
        for place, input_name in _inputs_used(step):
            if input_name in taken:
                message = f"the input `{shorten(input_name)}` has another value already, for the steps that stay"
                path = pointer("steps", position, *place)
                issues.append(Issue("conflict", "error", path, message, "write the value itself here"))
    if not recovery.steps and recovery.answer is MISSING:
        message = "the recovery plan has no steps and no `answer`"
        hint = 'add the steps that replace the broken part, or "answer" if the other steps are enough'
        issues.append(Issue("missing-field", "error", pointer("steps"), message, hint))
    return issues


def _inputs_used(step: Step) -> list[tuple[tuple[str | int, ...], str]]:
    """Return the names of the inputs that a step refers to, each with its place."""
    return [
        (place, str(operand.path[0]))
        for place, reference, _ in step.wiring().places()
        for operand in reference.operands
        if operand.facet == "inputs" and operand.path
    ]


def _into_recovery(issue: Issue, kept_count: int, plan: Plan, recovery: Plan) -> Issue | None:
    """Return an issue of the merged plan as one of the recovery plan, or None when it is not about that."""
    field, position = _step_place(issue.path)
    if position is not None:
        if position >= kept_count:
            return _moved(issue, -kept_count)
        is_new = issue.severity == "error" and issue.code in _OF_THE_MERGE
        return dataclasses.replace(issue, path="") if is_new else None
    if field == "answer" and recovery.answer is MISSING and issue.severity == "error":
        hint = (
            'the answer was written for the plan as it was: write "answer" anew in the recovery plan, or give the step '
            "that takes the place of the one it refers to the same id"
        )
        shown = shorten(json.dumps(plan.answer, ensure_ascii=False, default=str), 200)
        return dataclasses.replace(issue, message=f"{issue.message}; the answer is {shown}", hint=hint)
    return issue


def _moved(issue: Issue, places: int) -> Issue:
    """Return the issue with its pointer to a step moved by a number of positions."""
    _, position = _step_place(issue.path)
    if position is None:
        return issue
    rest = issue.path.split("/", 3)[3:]
    return dataclasses.replace(issue, path="/".join([pointer("steps", position + places), *rest]))


def _step_place(path: str) -> tuple[str, int | None]:
    """Return the plan's field that a pointer names, and the position when it points at a step or into one."""
    parts = path.split("/")
    field = parts[1] if len(parts) > 1 else ""
    is_step = field == "steps" and len(parts) > 2 and parts[2].isdecimal()
    return field, int(parts[2]) if is_step else None


def fingerprint(steps: Iterable[Step], inputs: Mapping[str, Any] | None = None) -> str:
    """Return a hash of what the steps of a valid plan do, whatever their order, ids and descriptions.

    Steps that differ in nothing else are the same plan again, which is refused. `inputs` are those that the plan adds.
    """
    listed = list(steps)
    graph = build_graph(listed)
    ordered = set(graph.order)
    names: dict[str, str] = {}
    written: list[str] = []
    # what a step needs comes before it, so that references are written as what they refer to
    for position in [*graph.order, *(place for place in range(len(listed)) if place not in ordered)]:
        step = listed[position]
        needed = sorted({names.get(name, name) for name in step.needs()})
        does = [step.tool, step.args, step.when, step.for_each, step.timeout_s, step.retries, needed]
        text = json.dumps(_renamed(does, names), sort_keys=True, default=str)
        name = hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()
        names.setdefault(step.id, f"step-{name}")
        written.append(name)
    whole = json.dumps([sorted(written), dict(inputs or {})], sort_keys=True, default=str)
    return hashlib.sha256(whole.encode("utf-8", "backslashreplace")).hexdigest()


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    """Return a JSON value with other step ids in its references; validation has bounded its depth."""
    if isinstance(value, str):
        if "{{" not in value:
            return value
        return _REFERENCE.sub(lambda found: "{{" + _with_names(found[1], names) + "}}", value)
    if isinstance(value, list | tuple):
        return [_renamed(part, names) for part in cast("Sequence[Any]", value)]
    if isinstance(value, dict):
        return {key: _renamed(part, names) for key, part in cast("dict[str, Any]", value).items()}
    return value


def _with_names(body: str, names: Mapping[str, str]) -> str:
    return _ROOT.sub(lambda found: f"{found[1]}{names.get(found[2], found[2])}", body).strip()
