"""Fields and ids: missing-field, wrong-field-type, unknown-field, duplicate-id, invalid-id, limit."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from planloom.plan.issues import Issue, shorten
from planloom.plan.reader import PLAN_FIELDS, STEP_FIELDS, defects_of
from planloom.plan.references import RESERVED_IDS, STEP_ID, Operand
from planloom.plan.step import MISSING, Step
from planloom.plan.validation.inspection import Inspection
from planloom.plan.wiring import read_bindings

_FILLED: Final = {
    "description": (
        "the step has no `description`; the tool's name is used",
        "say in a few words what the step is for",
    ),
    "depends_on": (
        "the step has no `depends_on`; the steps it refers to are used",
        'write "depends_on": [] for none',
    ),
}


def check_fields(inspection: Inspection) -> None:
    """Report what was wrong with the fields when the plan was read, and ids that cannot be used."""
    plan, limits = inspection.plan, inspection.limits
    for defect in plan.defects:
        inspection.add(-1, _with_hint(inspection, defect, PLAN_FIELDS))
    if len(plan.steps) > limits.steps:
        inspection.error("limit", -1, ("steps",), f"{len(plan.steps):,} steps are more than {limits.steps:,}")
    for name, value in plan.inputs.items():
        _check_input(inspection, name, value)
    first = inspection.graph.index
    valid_id = STEP_ID.fullmatch
    for position, step in enumerate(plan.steps):
        step_id = step.id
        if step.source is not MISSING:
            for defect in defects_of(step):
                inspection.add(position, _with_hint(inspection, defect, STEP_FIELDS))
        if step.filled:
            _report_filled(inspection, position, step)
        if first[step_id] != position and step_id:
            inspection.error(
                "duplicate-id", position, ("id",),
                f"`{shorten(step_id)}` is already the id of step {first[step_id]}", "give each step its own id",
            )  # fmt: skip
        if valid_id(step_id) is None or step_id in RESERVED_IDS or len(step_id) > limits.name_chars:
            _check_id(inspection, position, step)


def _with_hint(inspection: Inspection, defect: Issue, fields: tuple[str, ...]) -> Issue:
    if defect.code != "unknown-field" or defect.hint is not None:
        return defect
    hint = inspection.did_you_mean(defect.path.removeprefix("/"), fields)
    return defect if hint is None else replace(defect, hint=hint)


def _report_filled(inspection: Inspection, position: int, step: Step) -> None:
    for name in step.filled:
        if name in _FILLED:
            inspection.warn("missing-field", position, (name,), *_FILLED[name])
            continue
        checks = inspection.checks(step.tool)
        if checks is None or not checks.required:
            inspection.warn("missing-field", position, (name,), "the step has no `args`", 'write "args": {}')
        else:
            needed = ", ".join(f"`{shorten(required, 40)}`" for required in checks.required[:10])
            message = f"the step has no `args`; `{shorten(step.tool)}` needs {needed}"
            inspection.error("missing-field", position, (name,), message, 'write "args": {"name": value}')


def _check_id(inspection: Inspection, position: int, step: Step) -> None:
    if not step.id and step.source is not MISSING:
        return  # already named as missing or of the wrong type
    shown = shorten(step.id)
    if step.id in RESERVED_IDS:
        inspection.error("invalid-id", position, ("id",), f"`{shown}` is reserved for references", "choose another id")
    elif len(step.id) > inspection.limits.name_chars:
        limit = inspection.limits.name_chars
        inspection.error(
            "invalid-id", position, ("id",), f"the id `{shown}` has more than {limit} characters", "choose a shorter id"
        )
    else:
        inspection.error(
            "invalid-id", position, ("id",), f"`{shown}` cannot be an id",
            "use letters, digits, _ and -, and begin with a letter or _",
        )  # fmt: skip


def _check_input(inspection: Inspection, name: str, value: object) -> None:
    """Report an input that is too deep, or that tries to take its value from a step: inputs are there before any."""
    bindings, problems = read_bindings(value, inspection.limits)
    for problem in problems:
        if problem.code == "limit":
            inspection.error("limit", -1, ("inputs", name), problem.message)
    for binding in bindings:
        for reference in binding.references:
            if any(_is_there(inspection, operand) for operand in reference.operands):
                inspection.error(
                    "bad-reference", -1, ("inputs", name, *binding.place),
                    f"{shorten(reference.text)} stands in an input, and inputs are plain values",
                    "put the reference into the arguments of the step that needs it",
                )  # fmt: skip
                break


def _is_there(inspection: Inspection, operand: Operand) -> bool:
    if operand.facet == "inputs":
        return str(operand.path[0]) in inspection.inputs
    return operand.facet in ("item", "index") or operand.root in inspection.graph.index
