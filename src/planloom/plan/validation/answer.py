"""The plan's `answer`, and steps that nothing uses: unused-step."""

from __future__ import annotations

from planloom.plan.issues import shorten
from planloom.plan.model import MISSING
from planloom.plan.references import Operand, PathError, follow_path
from planloom.plan.types import UNKNOWN, follow_type, list_of
from planloom.plan.validation.inspection import Inspection
from planloom.plan.wiring import read_bindings


def check_answer(inspection: Inspection) -> None:
    """Report references in `answer` that lead nowhere, and read-only steps whose output nobody looks at."""
    plan = inspection.plan
    if plan.answer is MISSING:
        if not plan.steps:
            inspection.error(
                "missing-field", -1, ("steps",), "the plan has no steps and no `answer`",
                "add a step, or an `answer` that needs none",
            )  # fmt: skip
        return
    bindings, problems = read_bindings(plan.answer, inspection.limits)
    for problem in problems:
        inspection.error(problem.code, -1, ("answer", *problem.place), problem.message, problem.hint)
    for binding in bindings:
        for reference in binding.references:
            for operand in reference.operands:
                _check_operand(inspection, ("answer", *binding.place), operand)
    if not problems:
        _check_unused(inspection)


def _check_operand(inspection: Inspection, place: tuple[str | int, ...], operand: Operand) -> None:
    shown = shorten(str(operand))
    if operand.facet in ("item", "index"):
        inspection.error("unknown-reference", -1, place, f"`answer` uses {{{{{shown}}}}} outside a `for_each`")
        return
    if operand.facet == "inputs":
        name = str(operand.path[0])
        if name not in inspection.inputs:
            inspection.error(
                "unknown-reference", -1, place, f"`answer` uses {{{{{shown}}}}}, but the plan has no input `{shorten(name)}`",
                inspection.did_you_mean(name, inspection.inputs),
            )  # fmt: skip
            return
        _check_path(
            inspection, place, shown, lambda: follow_path(inspection.inputs[name], operand.path[1:], f"inputs.{name}")
        )
        return
    position = inspection.graph.index.get(operand.root)
    if position is None:
        inspection.error(
            "unknown-reference", -1, place, f"`answer` uses {{{{{shown}}}}}, but no step is called `{shorten(operand.root)}`",
            inspection.did_you_mean(operand.root, inspection.graph.index),
        )  # fmt: skip
        return
    inspection.used.add(position)
    if operand.facet == "output":
        step = inspection.plan.steps[position]
        checks = inspection.checks(step.tool)
        output = UNKNOWN if checks is None else checks.output
        whole = list_of(output) if step.for_each is not None else output
        _check_path(inspection, place, shown, lambda: follow_type(whole, operand.path, f"{operand.root}.output"))


def _check_path(inspection: Inspection, place: tuple[str | int, ...], shown: str, follow: object) -> None:
    assert callable(follow)
    try:
        follow()
    except PathError as error:
        inspection.error("reference-path", -1, place, f"`answer` uses {{{{{shown}}}}}, but {error.message}", error.hint)


def _check_unused(inspection: Inspection) -> None:
    """Warn of steps that only read and whose output neither a step nor the answer uses."""
    tools = inspection.tools or {}
    dependents = inspection.graph.dependents
    for position, step in inspection.steps():
        if dependents[position] or position in inspection.used:
            continue
        tool = tools.get(step.tool)
        if tool is not None and tool.read_only:
            inspection.warn(
                "unused-step", position, (), f"nothing uses the output of step `{shorten(step.id)}`, and it only reads",
                "remove the step, or use its output in a step or in `answer`",
            )  # fmt: skip
