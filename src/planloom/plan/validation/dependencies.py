"""Declared dependencies: unknown-dependency, self-dependency, cycle."""

from __future__ import annotations

import re

from planloom.plan.graph import cycle_issue
from planloom.plan.issues import shorten
from planloom.plan.references import RESERVED_IDS
from planloom.plan.validation.inspection import Inspection

_AS_REFERENCE = re.compile(r"[{$<\s]*([A-Za-z_][A-Za-z0-9_-]*)(?:\.\w+)*[}>\s]*")


def check_dependencies(inspection: Inspection) -> None:
    """Report ids in `depends_on` that are no other step, and steps that wait for each other."""
    graph = inspection.graph
    index = graph.index
    for position, step in inspection.steps():
        if "depends_on" in step.filled:
            continue  # these are the referenced steps, which the reference pass looks for
        for place, dependency in enumerate(step.depends_on):
            if dependency not in index:
                inspection.error(
                    "unknown-dependency", position, ("depends_on", place),
                    f"step `{shorten(step.id)}` depends on `{shorten(dependency)}`, but no step is called that",
                    _hint(inspection, dependency),
                )  # fmt: skip
            elif index[dependency] == position:  # under a duplicate id it means the first step that has it
                inspection.error(
                    "self-dependency", position, ("depends_on", place),
                    f"step `{shorten(step.id)}` depends on itself", "remove it from `depends_on`",
                )  # fmt: skip
    if graph.is_cyclic:
        for number, circle in enumerate(graph.circles()):
            if number < inspection.limits.issues:
                inspection.add(-1, cycle_issue(graph, circle))
            else:
                inspection.error("cycle", circle[0], (), "this step waits for itself, by way of others")


def _hint(inspection: Inspection, dependency: str) -> str | None:
    index = inspection.graph.index
    if dependency in RESERVED_IDS:
        return f"`{dependency}` is no step; leave it out"
    if len(dependency) <= inspection.limits.name_chars:
        written = _AS_REFERENCE.fullmatch(dependency)
        if written is not None and written[1] in index:
            return f'write the id alone: "{written[1]}"'
    return inspection.did_you_mean(dependency, index)
