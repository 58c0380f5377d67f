"""The graph of a plan by step position: dependencies, order, waves, circles, critical path.

Everything is linear in steps plus edges, without recursion, and does not depend on the hash seed. Unknown
ids are left out (validation names them), so that an invalid plan can still be drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from planloom.errors import PlanCycleError
from planloom.plan.issues import Issue, pointer, shorten
from planloom.plan.model import Plan, PlanLike, Step

_MEMO_KEY: Final = "graph"
_MAX_NAMED: Final = 60


@dataclass(frozen=True, slots=True)
class PlanGraph:
    """Who waits for whom, by position in `plan.steps`.

    `dependencies[i]` are the steps that step i waits for: `depends_on` plus every step it references, each
    once. `referenced[i]` are those it references. `order` is a topological order of the steps that are on
    or behind no circle; `len(order) < len(steps)` means that there is one.
    """

    ids: tuple[str, ...]
    index: dict[str, int]
    dependencies: tuple[tuple[int, ...], ...]
    dependents: tuple[list[int], ...]
    referenced: tuple[tuple[int, ...], ...]
    order: tuple[int, ...]

    @property
    def is_cyclic(self) -> bool:
        """Whether some steps wait for each other."""
        return len(self.order) < len(self.ids)

    def waves(self) -> list[list[int]]:
        """Return the positions by wave; steps on or behind a circle are left out."""
        level = [0] * len(self.ids)
        waves: list[list[int]] = []
        for position in self.order:
            wave = 0
            for dependency in self.dependencies[position]:
                if level[dependency] >= wave:
                    wave = level[dependency] + 1
            level[position] = wave
            if wave == len(waves):
                waves.append([])
            waves[wave].append(position)
        return [sorted(wave) for wave in waves]

    def remaining(self, weights: Sequence[float]) -> list[float]:
        """Return for each step the longest path from its start to the end of the plan, itself included."""
        return longest_paths(self.dependents, self.order, weights)

    def circles(self) -> list[list[int]]:
        """Return one shortest circle per knot of steps that wait for each other, in step order.

        Each circle is a list of positions in which every step waits for the next, the first repeated at
        the end. A step that depends on itself is a circle of one and left to `self-dependency`.
        """
        found: list[list[int]] = []
        for knot in _knots(self):
            circle = _shortest_circle(min(knot), knot, self.dependencies)
            if len(circle) > 2:
                found.append(circle)
        return sorted(found)


def longest_paths(dependents: Sequence[Sequence[int]], order: Sequence[int], weights: Sequence[float]) -> list[float]:
    """Return for each step the longest path from its start to the end, itself included, in the unit of `weights`."""
    longest = list(weights)
    for position in reversed(order):
        behind = 0.0
        for dependent in dependents[position]:
            if longest[dependent] > behind:
                behind = longest[dependent]
        longest[position] += behind
    return longest


def graph_of(plan: Plan) -> PlanGraph:
    """Return the plan's graph, built once per plan."""
    graph = plan.memo.get(_MEMO_KEY)
    if graph is None:
        graph = plan.memo[_MEMO_KEY] = build_graph(plan.steps)
    return graph


def build_graph(steps: Sequence[Step]) -> PlanGraph:
    """Build the graph of `steps`. A duplicate id means the first step that has it."""
    ids = tuple([step.id for step in steps])
    index = dict(zip(reversed(ids), range(len(ids) - 1, -1, -1), strict=True))
    dependencies: list[tuple[int, ...]] = []
    referenced: list[tuple[int, ...]] = []
    dependents: tuple[list[int], ...] = tuple([[] for _ in ids])
    for position, step in enumerate(steps):
        used = step.wiring().step_ids
        declared = step.depends_on
        sources = tuple([index[name] for name in used if name in index]) if used else ()
        if not declared or declared == used:
            merged = sources
        else:
            merged = tuple(dict.fromkeys([*[index[name] for name in declared if name in index], *sources]))
        dependencies.append(merged)
        referenced.append(sources)
        for dependency in merged:
            dependents[dependency].append(position)
    return PlanGraph(
        ids,
        index,
        tuple(dependencies),
        dependents,
        tuple(referenced),
        tuple(topological_order([len(needed) for needed in dependencies], dependents)),
    )


def topological_order(unmet: list[int], dependents: Sequence[Sequence[int]]) -> list[int]:
    """Return the steps so that each stands behind those it waits for, without those on or behind a circle.

    `unmet` counts for each step the ones it waits for; it is used up.
    """
    order = [position for position, count in enumerate(unmet) if not count]
    for position in order:  # grows while it is walked: Kahn's algorithm with the list as its queue
        for dependent in dependents[position]:
            unmet[dependent] -= 1
            if not unmet[dependent]:
                order.append(dependent)
    return order


def _knots(graph: PlanGraph) -> list[list[int]]:
    """Return the strongly connected components with a circle in them (Tarjan 1972, without recursion)."""
    ordered = set(graph.order)
    number: dict[int, int] = {}
    low: dict[int, int] = {}
    stack: list[int] = []
    stacked: set[int] = set()
    knots: list[list[int]] = []
    for root in range(len(graph.ids)):
        if root in ordered or root in number:
            continue
        work: list[tuple[int, int]] = [(root, 0)]
        while work:
            position, child = work.pop()
            if child == 0:
                number[position] = low[position] = len(number)
                stack.append(position)
                stacked.add(position)
            needed = graph.dependencies[position]
            while child < len(needed):
                dependency = needed[child]
                child += 1
                if dependency in ordered:
                    continue
                if dependency not in number:
                    work.append((position, child))
                    work.append((dependency, 0))
                    break
                if dependency in stacked:
                    low[position] = min(low[position], number[dependency])
            else:
                if low[position] == number[position]:
                    knot = _pop_knot(position, stack, stacked)
                    if len(knot) > 1 or position in needed:
                        knots.append(knot)
                if work:
                    parent = work[-1][0]
                    low[parent] = min(low[parent], low[position])
    return knots


def _pop_knot(root: int, stack: list[int], stacked: set[int]) -> list[int]:
    knot: list[int] = []
    while True:
        member = stack.pop()
        stacked.discard(member)
        knot.append(member)
        if member == root:
            return knot


def _shortest_circle(start: int, knot: Sequence[int], dependencies: Sequence[Sequence[int]]) -> list[int]:
    """Return the shortest way from `start` along dependencies back to it (breadth first)."""
    members = set(knot)
    came_from: dict[int, int] = {}
    queue = [start]
    for position in queue:
        for dependency in dependencies[position]:
            if dependency == start and (position != start or len(knot) == 1):
                way = [start, position] if position != start else [start]
                while way[-1] != start:
                    way.append(came_from[way[-1]])
                way = way if len(way) > 1 else [start, start]
                return way[::-1] if way[0] == start else way
            if dependency in members and dependency not in came_from and dependency != start:
                came_from[dependency] = position
                queue.append(dependency)
    return [start]


def cycle_issue(graph: PlanGraph, circle: Sequence[int]) -> Issue:
    """Return the `cycle` issue that names the whole circle."""
    names = [shorten(graph.ids[position], 60) for position in circle]
    if len(names) > _MAX_NAMED + 2:
        shown = [*names[:_MAX_NAMED], f"… {len(names) - _MAX_NAMED - 1} more …", names[-1]]
    else:
        shown = names
    return Issue(
        "cycle",
        "error",
        pointer("steps", circle[0]),
        f"{len(names) - 1} steps wait for each other: {' -> '.join(shown)}",
        f"remove one dependency, for example `{names[1]}` from `{names[0]}`",
    )


def topological_waves(plan: PlanLike) -> list[list[Step]]:
    """Return the steps by wave: each wave holds the steps whose dependencies all lie in earlier waves.

    A wave is a way to show a plan, never a barrier of a run. Raises `PlanCycleError` with the circle.
    """
    plan = Plan.from_json(plan)
    graph = graph_of(plan)
    if graph.is_cyclic:
        circles = graph.circles()
        if not circles:
            looped = next(i for i, needed in enumerate(graph.dependencies) if i in needed)
            issue = Issue(
                "self-dependency", "error", pointer("steps", looped), f"step `{graph.ids[looped]}` depends on itself"
            )
            raise PlanCycleError([issue], [graph.ids[looped]] * 2)
        raise PlanCycleError([cycle_issue(graph, c) for c in circles], [graph.ids[i] for i in circles[0]])
    return [[plan.steps[position] for position in wave] for wave in graph.waves()]


def critical_path(plan: PlanLike, expected_s: Callable[[Step], float] | None = None) -> tuple[list[str], float]:
    """Return the ids on the longest path through the plan, and its length in the unit of `expected_s`.

    With no `expected_s` every step counts 1, so that the length is a number of steps.
    """
    plan = Plan.from_json(plan)
    graph = graph_of(plan)
    weights = [1.0 if expected_s is None else expected_s(step) for step in plan.steps]
    remaining = graph.remaining(weights)
    acyclic = set(graph.order)
    starts = [position for position in graph.order if not graph.dependencies[position]]
    if not starts:
        return [], 0.0
    position = max(starts, key=lambda i: (remaining[i], -i))
    length = remaining[position]
    path = [position]
    while following := [i for i in graph.dependents[position] if i in acyclic]:
        position = max(following, key=lambda i: (remaining[i], -i))
        path.append(position)
    return [graph.ids[i] for i in path], length
