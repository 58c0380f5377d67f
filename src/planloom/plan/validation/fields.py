"""Fields and ids: missing-field, wrong-field-type, unknown-field, duplicate-id, invalid-id, limit."""

from __future__ import annotations

from planloom.plan.issues import shorten
from planloom.plan.references import RESERVED_IDS, STEP_ID
from planloom.plan.validation.inspection import Inspection
from planloom.plan.wiring import read_bindings


def check_fields(inspection: Inspection) -> None:
    """Report what was wrong with the fields when the plan was read, and ids that cannot be used."""
    plan, limits = inspection.plan, inspection.limits
    for defect in plan.defects:
        inspection.add(-1, defect)
    if len(plan.steps) > limits.steps and not any(defect.code == "limit" for defect in plan.defects):
        inspection.error("limit", -1, ("steps",), f"{len(plan.steps):,} steps are more than {limits.steps:,}")
    for name, value in plan.inputs.items():
        _check_input(inspection, name, value)
    first = inspection.graph.index
    valid_id = STEP_ID.fullmatch
    for position, step in enumerate(plan.steps):
        step_id = step.id
        if step.defects:
            for defect in step.defects:
                if defect.code != "missing-field" or defect.path != "/args":
                    inspection.add(position, defect)
        if first[step_id] != position and step_id:
            inspection.error(
                "duplicate-id", position, ("id",),
                f"`{shorten(step_id)}` is already the id of step {first[step_id]}", "give each step its own id",
            )  # fmt: skip
        if valid_id(step_id) is None or step_id in RESERVED_IDS or len(step_id) > limits.name_chars:
            _check_id(inspection, position, step_id)


def _check_id(inspection: Inspection, position: int, step_id: str) -> None:
    if any(defect.path in ("/id", "") for defect in inspection.plan.steps[position].defects):
        return  # already named as missing or of the wrong type
    shown = shorten(step_id)
    if step_id in RESERVED_IDS:
        inspection.error("invalid-id", position, ("id",), f"`{shown}` is reserved for references", "choose another id")
    elif len(step_id) > inspection.limits.name_chars:
        limit = inspection.limits.name_chars
        inspection.error("invalid-id", position, ("id",), f"the id `{shown}` has more than {limit} characters")
    else:
        inspection.error(
            "invalid-id", position, ("id",), f"`{shown}` cannot be an id",
            "use letters, digits, _ and -, and begin with a letter or _",
        )  # fmt: skip


def _check_input(inspection: Inspection, name: str, value: object) -> None:
    bindings, problems = read_bindings(value, inspection.limits)
    for problem in problems:
        if problem.code == "limit":
            inspection.error("limit", -1, ("inputs", name), problem.message)
    if bindings:
        inspection.error(
            "bad-reference", -1, ("inputs", name, *bindings[0].place),
            "inputs are plain values and cannot hold references", r"write \{{ for two literal braces",
        )  # fmt: skip
