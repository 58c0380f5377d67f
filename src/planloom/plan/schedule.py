"""Which step may start next: decided here, in pure code, and acted on by `planloom.engine`.

Event-driven: a step that ends hands back the steps it has freed; nothing is polled and there is no barrier
between waves. Under a limit the unit with the longest remaining path goes first (highest level first;
Hu 1961, Graham 1969). Ties go to the earlier step, so that the order never depends on the hash seed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from heapq import heappop, heappush
from typing import NamedTuple

from planloom.plan.graph import PlanGraph
from planloom.plan.state import END_STATUSES, StepStatus, next_status


class Unit(NamedTuple):
    """One call to make: a step, or the element `index` of a step with `for_each` (else -1).

    The fields are in the order in which units are compared: what is smallest goes first.
    """

    priority: float
    position: int
    index: int


class Schedule:
    """The states of all steps, and the queue of those that may start.

    The caller loops: `take` a unit and start it; `release` its slot when its call has ended; `settle` the
    step when it has ended for good. Slots: at most `max_concurrency` units at a time (None: no limit), and at
    most `limits[group]` units of one group, such as a tool or a pool of threads. `groups[i]` names the limited
    groups that step i belongs to.
    """

    def __init__(
        self,
        graph: PlanGraph,
        remaining: Sequence[float],
        max_concurrency: int | None = None,
        groups: Sequence[tuple[str, ...]] = (),
        limits: Mapping[str, int] | None = None,
    ) -> None:
        self.graph = graph
        self.statuses: list[StepStatus] = [StepStatus.PENDING] * len(graph.ids)
        self.running = 0
        """Units that hold a slot."""
        self._remaining = remaining
        self._unmet = [len(needed) for needed in graph.dependencies]
        self._max = max_concurrency
        self._limits = dict(limits or {})
        self._groups = groups if self._limits else ()
        self._taken = dict.fromkeys(self._limits, 0)
        self._ready: list[Unit] = []
        self._parked: dict[str, list[Unit]] = {name: [] for name in self._limits}

    def roots(self) -> list[int]:
        """Return the steps that wait for nothing."""
        return [position for position, unmet in enumerate(self._unmet) if not unmet]

    def move(self, position: int, status: StepStatus) -> None:
        """Change the state of a step, as the transition table allows."""
        self.statuses[position] = next_status(self.statuses[position], status)

    def enqueue(self, position: int, index: int = -1) -> None:
        """Put a step, or one element of it, into the queue."""
        heappush(self._ready, Unit(-self._remaining[position], position, index))

    def take(self) -> Unit | None:
        """Return the next unit to start and give it a slot, or None when none is ready or no slot is free."""
        ready = self._ready
        while ready and (self._max is None or self.running < self._max):
            unit = heappop(ready)
            if self._groups and not self._enter_groups(unit):
                continue
            self.running += 1
            return unit
        return None

    def _enter_groups(self, unit: Unit) -> bool:
        """Take a slot in every group of the unit, or park it with the first group that is full."""
        groups = self._groups[unit.position]
        for group in groups:
            if self._taken[group] >= self._limits[group]:
                heappush(self._parked[group], unit)
                return False
        for group in groups:
            self._taken[group] += 1
        return True

    def release(self, position: int) -> None:
        """Give back the slots of a unit whose call has ended."""
        self.running -= 1
        if self._groups:
            for group in self._groups[position]:
                self._taken[group] -= 1
                if self._parked[group]:
                    heappush(self._ready, heappop(self._parked[group]))

    def settle(self, position: int, status: StepStatus) -> list[int]:
        """End a step; return the pending steps whose dependencies have now all ended well.

        `status` is succeeded, or skipped by condition. Call `doom` for an end that takes descendants along.
        """
        self.move(position, status)
        freed: list[int] = []
        unmet, statuses = self._unmet, self.statuses
        for dependent in self.graph.dependents[position]:
            unmet[dependent] -= 1
            if not unmet[dependent] and statuses[dependent] is StepStatus.PENDING:
                freed.append(dependent)
        return freed

    def doom(self, position: int) -> list[int]:
        """Return every pending descendant of a step that did not end well, nearest first, now skipped."""
        doomed: list[int] = []
        pending = [position]
        for current in pending:
            for dependent in self.graph.dependents[current]:
                if self.statuses[dependent] is StepStatus.PENDING:
                    self.move(dependent, StepStatus.SKIPPED)
                    doomed.append(dependent)
                    pending.append(dependent)
        return doomed

    def drop_queue(self) -> list[Unit]:
        """Empty the queue and return what was in it, in order: nothing more is to start."""
        dropped = [*self._ready, *(unit for units in self._parked.values() for unit in units)]
        self._ready.clear()
        for units in self._parked.values():
            units.clear()
        return sorted(dropped)

    @property
    def queued(self) -> int:
        """Units that could start as soon as there is a slot."""
        return len(self._ready) + sum(map(len, self._parked.values()))

    def open_steps(self) -> list[int]:
        """Return the steps that have not ended."""
        return [position for position, status in enumerate(self.statuses) if status not in END_STATUSES]
