"""The built-in playbooks: saved plans that need no model, and their form for several files.

The plans themselves are the JSON files in `playbooks`; this module only reads them, binds their inputs, and repeats
their steps: a branch per file.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any, Final, cast

from planloom.errors import UsageError
from planloom.plan.model import Plan, Step
from planloom.plan.playbook import Playbook

MAXIMUM_FILES: Final = 100
"""Files of one analysis; each has its own branch of the plan."""
MAXIMUM_CHARTS: Final = 60
"""Charts of all files together."""
USUAL_PLAYBOOK: Final = "analyse-csv"
SMALL_PLAYBOOK: Final = "analyse"
SUFFIX: Final = ".json"
USUAL_CHARTS: Final = 8

_REFERENCE = re.compile(r"(\{\{\s*|\?\?\s*)([A-Za-z_][A-Za-z0-9_-]*)")
_PATH = re.compile(r"\binputs\.path\b")


def load_playbook(name: str = SMALL_PLAYBOOK) -> Plan:
    """The plan of a built-in playbook, by default `analyse`: load, statistics and anomalies side by side, the summary.

    Its inputs are `path`, and `threshold` in standard deviations; `analyse-csv` has `charts` too.
    """
    return built_in_playbook(name).plan


@cache
def built_in_playbook(name: str) -> Playbook:
    """A built-in playbook by its name. Raises `UsageError` if there is none of that name."""
    if name not in built_in_names():
        raise UsageError(f"there is no built-in playbook `{name}`\nhint: there are {', '.join(built_in_names())}")
    text = resources.files("planloom.analysis").joinpath("playbooks", f"{name}{SUFFIX}").read_text(encoding="utf-8")
    return Playbook.from_json(text, name)


def built_in_names() -> list[str]:
    """The names of the built-in playbooks, in order."""
    files = resources.files("planloom.analysis").joinpath("playbooks").iterdir()
    return sorted(file.name.removesuffix(SUFFIX) for file in files if file.name.endswith(SUFFIX))


def plan_for(
    paths: Sequence[str],
    *,
    threshold: float,
    overrides: Mapping[str, Any],
    charts: int = USUAL_CHARTS,
    playbook: str = USUAL_PLAYBOOK,
) -> Plan:
    """A playbook with its inputs bound, one branch per file; it runs again as it stands.

    `overrides` are further arguments of `load_data`. Of many files fewer charts are drawn each. Raises `UsageError`
    for no file or too many, and for a value that the playbook does not take.
    """
    if not paths:
        raise UsageError('there is no file to analyse\nhint: analyse("sales.csv")')
    if len(paths) > MAXIMUM_FILES:
        raise UsageError(f"{len(paths)} files are too many for one analysis; at most {MAXIMUM_FILES} are read")
    book = built_in_playbook(playbook)
    known = {given.name for given in book.inputs}
    values = {"path": paths[0], "threshold": threshold, "charts": charts}
    book.bind({name: value for name, value in values.items() if name in known})
    plan = book.plan
    names = ", ".join(paths[:3]) + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")
    goal = f"{plan.goal}: {names}"
    inputs = {**plan.inputs, "threshold": threshold}
    inputs.pop("path", None)
    if "charts" in inputs:
        inputs["charts"] = min(charts, max(1, MAXIMUM_CHARTS // len(paths)))
    if len(paths) == 1:
        steps = [_with_overrides(step, overrides) for step in plan.steps]
        return Plan(steps=tuple(steps), goal=goal, inputs={"path": paths[0], **inputs}, answer=plan.answer)
    steps: list[Step] = []
    answers: list[str] = []
    for number, path in enumerate(paths, start=1):
        inputs[f"path_{number}"] = path
        steps += [_with_overrides(_numbered(step, plan, number), overrides) for step in plan.steps]
        answers.append(_renumber(plan.answer, plan, number))
    return Plan(steps=tuple(steps), goal=goal, inputs=inputs, answer="\n\n".join(answers))


def _numbered(step: Step, playbook: Plan, number: int) -> Step:
    return dataclasses.replace(
        step,
        id=f"{step.id}_{number}",
        args=_renumber(step.args, playbook, number),
        depends_on=[f"{name}_{number}" for name in step.depends_on],
        description=f"{step.description} (file {number})",
        when=_renumber(step.when, playbook, number),
        for_each=_renumber(step.for_each, playbook, number),
    )


def _renumber(value: Any, playbook: Plan, number: int) -> Any:
    """`value` with every reference to a step of the playbook, and to the input `path`, made that of one branch."""
    if isinstance(value, dict):
        return {key: _renumber(inner, playbook, number) for key, inner in cast("dict[str, Any]", value).items()}
    if not isinstance(value, str):
        return value
    ids = {step.id for step in playbook.steps}
    renamed = _REFERENCE.sub(lambda m: f"{m[0]}_{number}" if m[2] in ids else m[0], value)
    return _PATH.sub(f"inputs.path_{number}", renamed)


def _with_overrides(step: Step, overrides: Mapping[str, Any]) -> Step:
    if step.tool != "load_data" or not overrides:
        return step
    return dataclasses.replace(step, args={**step.args, **overrides})
