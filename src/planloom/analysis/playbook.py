"""The built-in playbook: a saved plan that needs no model, and its form for several files.

The plan itself is the JSON file in `playbooks`; this module only reads it, binds its inputs, and repeats it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any, Final, cast

from planloom.errors import UsageError
from planloom.plan.model import Plan, Step

MAXIMUM_FILES: Final = 100
"""Files of one analysis; each has its own branch of the plan."""

_REFERENCE = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_-]*)")


def load_playbook() -> Plan:
    """The plan `analyse`: load, then statistics and anomalies side by side, then the summary.

    Inputs: `path`, and `threshold` in standard deviations.
    """
    text = resources.files("planloom.analysis").joinpath("playbooks", "analyse.json").read_text(encoding="utf-8")
    return Plan.from_json(text)


def plan_for(paths: Sequence[str], *, threshold: float, overrides: Mapping[str, Any]) -> Plan:
    """The playbook with its inputs bound, one branch per file; it runs again as it stands.

    `overrides` are further arguments of `load_data`. Raises `UsageError` for no file or too many.
    """
    if not paths:
        raise UsageError('there is no file to analyse\nhint: analyse("sales.csv")')
    if len(paths) > MAXIMUM_FILES:
        raise UsageError(f"{len(paths)} files are too many for one analysis; at most {MAXIMUM_FILES} are read")
    playbook = load_playbook()
    names = ", ".join(paths[:3]) + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")
    goal = f"{playbook.goal}: {names}"
    if len(paths) == 1:
        steps = [_with_overrides(step, overrides) for step in playbook.steps]
        bound = {"path": paths[0], "threshold": threshold}
        return Plan(steps=tuple(steps), goal=goal, inputs=bound, answer=playbook.answer)
    steps: list[Step] = []
    inputs: dict[str, Any] = {"threshold": threshold}
    answers: list[str] = []
    for number, path in enumerate(paths, start=1):
        inputs[f"path_{number}"] = path
        steps += [_with_overrides(_numbered(step, playbook, number), overrides) for step in playbook.steps]
        answers.append(_renumber(playbook.answer, playbook, number))
    return Plan(steps=tuple(steps), goal=goal, inputs=inputs, answer="\n\n".join(answers))


def _numbered(step: Step, playbook: Plan, number: int) -> Step:
    return Step(
        id=f"{step.id}_{number}",
        tool=step.tool,
        args=_renumber(step.args, playbook, number),
        depends_on=[f"{name}_{number}" for name in step.depends_on or ()],
        description=f"{step.description} (file {number})",
    )


def _renumber(value: Any, playbook: Plan, number: int) -> Any:
    """`value` with every reference to a step of the playbook, and to the input `path`, made that of one branch."""
    if isinstance(value, dict):
        return {key: _renumber(inner, playbook, number) for key, inner in cast("dict[str, Any]", value).items()}
    if not isinstance(value, str):
        return value
    ids = {step.id for step in playbook.steps}
    renamed = _REFERENCE.sub(lambda m: f"{m[0]}_{number}" if m[1] in ids else m[0], value)
    return renamed.replace("{{inputs.path}}", f"{{{{inputs.path_{number}}}}}")


def _with_overrides(step: Step, overrides: Mapping[str, Any]) -> Step:
    if step.tool != "load_data" or not overrides:
        return step
    return Step(
        id=step.id,
        tool=step.tool,
        args={**step.args, **overrides},
        depends_on=step.depends_on,
        description=step.description,
    )
