"""How many calls may run at once: of the run, of a tool, of threads and of processes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from planloom.plan.graph import PlanGraph
from planloom.plan.schedule import Schedule
from planloom.tools import Tool

MAX_THREADS: Final = 64
MAX_PROCESSES: Final = 8

_THREADS: Final = "threads"
_PROCESSES: Final = "processes"


class Slots:
    """The limited groups of a run's tools, and the priorities of its steps.

    `tools` are all that the run may ever use: limits cannot be added while it goes on.
    """

    def __init__(self, tools: Iterable[Tool], max_concurrency: int | None) -> None:
        self.limits: dict[str, int] = {}
        self._groups = {tool: _groups(tool, max_concurrency, self.limits) for tool in dict.fromkeys(tools)}
        self._max = max_concurrency

    @property
    def is_limited(self) -> bool:
        """Whether it matters which step goes first."""
        return self._max is not None or bool(self.limits)

    def make_schedule(self, graph: PlanGraph, tools: Sequence[Tool]) -> Schedule:
        """Return the schedule of a plan whose steps use these `tools`, by position."""
        if not self.is_limited:
            return Schedule(graph)
        return Schedule(graph, durations(tools), self._max, self.groups(tools), self.limits)

    def groups(self, tools: Iterable[Tool]) -> list[tuple[str, ...]]:
        """Return the limited groups that calls of each tool belong to."""
        return [self._groups[tool] for tool in tools]


def durations(tools: Iterable[Tool]) -> list[float]:
    """Return how long calls are expected to take, in seconds.

    A tool that does not say counts as one second, so that a plan in which none does goes by the number of steps.
    """
    return [1.0 if tool.expected_s is None else tool.expected_s for tool in tools]


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
