"""First come, first served, simulated: what a plain queue in front of N slots would make of a graph."""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappop, heappush


def first_come_first_served_s(parents: Sequence[Sequence[int]], takes_s: Sequence[float], slots: int) -> float:
    """Return when the last task ends if tasks start in the order in which they became ready."""
    children: list[list[int]] = [[] for _ in parents]
    for position, needed in enumerate(parents):
        for parent in needed:
            children[parent].append(position)
    unmet = [len(set(needed)) for needed in parents]
    queue = [(0.0, position) for position, count in enumerate(unmet) if not count]
    running: list[tuple[float, int]] = []
    now = 0.0
    while queue or running:
        while queue and len(running) < slots:
            _, position = heappop(queue)
            heappush(running, (now + takes_s[position], position))
        now, ended = heappop(running)
        for child in set(children[ended]):
            unmet[child] -= 1
            if not unmet[child]:
                heappush(queue, (now, child))
    return now


def critical_path_s(parents: Sequence[Sequence[int]], takes_s: Sequence[float]) -> float:
    """Return the length of the longest path, in whatever order the tasks stand."""
    ends: list[float | None] = [None] * len(parents)
    for start in range(len(parents)):
        stack = [start]
        while stack:
            position = stack[-1]
            missing = [parent for parent in parents[position] if ends[parent] is None]
            if missing:
                stack.extend(missing)
                continue
            stack.pop()
            ends[position] = max((ends[parent] or 0.0 for parent in parents[position]), default=0.0) + takes_s[position]
    return max((end or 0.0 for end in ends), default=0.0)
