"""Declared dependencies: unknown-dependency, self-dependency, cycle."""

from __future__ import annotations

from planloom.plan.graph import cycle_issue
from planloom.plan.issues import shorten
from planloom.plan.validation.inspection import Inspection


def check_dependencies(inspection: Inspection) -> None:
    """Report ids in `depends_on` that are no other step, and steps that wait for each other."""
    graph = inspection.graph
    index = graph.index
    for position, step in inspection.steps():
        for place, dependency in enumerate(step.depends_on):
            if dependency not in index:
                inspection.error(
                    "unknown-dependency", position, ("depends_on", place),
                    f"step `{shorten(step.id)}` depends on `{shorten(dependency)}`, but no step is called that",
                    inspection.did_you_mean(dependency, index),
                )  # fmt: skip
            elif dependency == step.id:
                inspection.error(
                    "self-dependency", position, ("depends_on", place),
                    f"step `{shorten(step.id)}` depends on itself", "remove it from `depends_on`",
                )  # fmt: skip
    if graph.is_cyclic:
        for circle in graph.circles():
            issue = cycle_issue(graph, circle)
            inspection.add(-1, issue)
