"""The plan's `answer`, and steps that nothing uses: unused-step, and every code of a reference in `answer`."""

from __future__ import annotations

from planloom.plan.issues import shorten
from planloom.plan.model import MISSING
from planloom.plan.validation.inspection import Inspection
from planloom.plan.validation.sources import Sources
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
    sources = Sources(inspection)
    for binding in bindings:
        place = ("answer", *binding.place)
        for reference in binding.references:
            for operand in reference.operands:
                if not sources.is_there(-1, place, operand):
                    continue
                if operand.step_id is not None:
                    inspection.used.add(inspection.graph.index[operand.root])
                sources.type_at(-1, place, operand)
    if not problems:
        _check_unused(inspection)


def _check_unused(inspection: Inspection) -> None:
    """Warn of steps that only read and whose output neither a step nor the answer uses."""
    tools = inspection.tools or {}
    dependents, index = inspection.graph.dependents, inspection.graph.index
    for position, step in inspection.steps():
        if dependents[position] or position in inspection.used:
            continue
        if step.source is not MISSING or index[step.id] != position:
            continue  # its id is lost or taken, which is why nothing can use it
        tool = tools.get(step.tool)
        if tool is not None and tool.read_only:
            inspection.warn(
                "unused-step", position, (), f"nothing uses the output of step `{shorten(step.id)}`, and it only reads",
                "remove the step, or use its output in a step or in `answer`",
            )  # fmt: skip
