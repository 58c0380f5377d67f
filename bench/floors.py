"""The floor: the same graph by hand in raw asyncio, as lean as it can be and still be right.

One task per step, counters of unmet dependencies, outputs kept. No checks, no states, no timeouts, no
containment: what Planloom adds is measured against this. Keep it lean; a slower floor would flatter us.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from planloom import Plan

Work = Callable[[int, list[Any]], Awaitable[Any]]
"""Does the step at a position, given the outputs so far."""


@dataclass(frozen=True)
class Graph:
    """A plan's graph by position, read from `depends_on` alone: who waits for whom, and for how many."""

    dependencies: list[list[int]]
    dependents: list[list[int]]
    unmet: list[int]
    roots: list[int]


def graph_by_hand(plan: Plan) -> Graph:
    """Return the graph of a plan that declares all its dependencies."""
    position_of = {step.id: position for position, step in enumerate(plan.steps)}
    dependencies = [[position_of[name] for name in step.depends_on] for step in plan.steps]
    dependents: list[list[int]] = [[] for _ in dependencies]
    for position, needed in enumerate(dependencies):
        for dependency in needed:
            dependents[dependency].append(position)
    unmet = [len(needed) for needed in dependencies]
    return Graph(dependencies, dependents, unmet, [i for i, count in enumerate(unmet) if not count])


async def run_by_hand(graph: Graph, work: Work) -> list[Any]:
    """Run every step as soon as its dependencies are done; return the outputs by position."""
    loop = asyncio.get_running_loop()
    create_task = loop.create_task
    dependents, unmet = graph.dependents, graph.unmet.copy()
    open_steps = len(unmet)
    outputs: list[Any] = [None] * open_steps
    tasks: list[asyncio.Task[None] | None] = [None] * open_steps  # a task that nobody holds may be collected
    finished: asyncio.Future[None] = loop.create_future()

    async def step(position: int) -> None:
        nonlocal open_steps
        outputs[position] = await work(position, outputs)
        for dependent in dependents[position]:
            unmet[dependent] -= 1
            if not unmet[dependent]:
                tasks[dependent] = create_task(step(dependent))
        open_steps -= 1
        if not open_steps:
            finished.set_result(None)

    for root in graph.roots:
        tasks[root] = create_task(step(root))
    await finished
    return outputs


async def no_work(position: int, outputs: list[Any]) -> None:
    """Do nothing, asynchronously."""


def critical_path_s(graph: Graph, takes_s: list[float]) -> float:
    """Return the length of the longest path, by hand; steps stand after what they wait for."""
    ends_s: list[float] = []
    for position, needed in enumerate(graph.dependencies):
        ends_s.append(takes_s[position] + max((ends_s[dependency] for dependency in needed), default=0.0))
    return max(ends_s)
