"""How many calls may run at once: of the run, of a tool, of threads and of processes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from planloom.plan.graph import PlanGraph
from planloom.plan.schedule import Schedule
from planloom.tools import Tool

MAX_THREADS: Final = 64
MAX_PROCESSES: Final = 8

_THREADS: Final = "threads"
_PROCESSES: Final = "processes"


def make_schedule(graph: PlanGraph, tools: Sequence[Tool], max_concurrency: int | None) -> Schedule:
    """Return the schedule of a plan whose steps use these `tools`, by position.

    A tool that does not say how long it takes counts as one second, so that a plan in which none does goes by
    the number of steps.
    """
    limits: dict[str, int] = {}
    groups_of = {tool: _groups(tool, max_concurrency, limits) for tool in dict.fromkeys(tools)}
    if max_concurrency is None and not limits:
        return Schedule(graph)
    durations = [1.0 if tool.expected_s is None else tool.expected_s for tool in tools]
    groups = [groups_of[tool] for tool in tools]
    return Schedule(graph, graph.remaining(durations), max_concurrency, groups, limits)


def _groups(tool: Tool, max_concurrency: int | None, limits: dict[str, int]) -> tuple[str, ...]:
    """Return the limited groups that calls of a tool belong to; their sizes go into `limits`."""
    group: tuple[str, ...] = ()
    if tool.run_in == "thread" and (max_concurrency is None or max_concurrency > MAX_THREADS):
        limits[_THREADS] = MAX_THREADS
        group = (_THREADS,)
    elif tool.run_in == "process":
        limits[_PROCESSES] = MAX_PROCESSES
        group = (_PROCESSES,)
    if tool.max_concurrency is not None:
        limits[f"tool {tool.name}"] = tool.max_concurrency
        group = (f"tool {tool.name}", *group)
    return group
