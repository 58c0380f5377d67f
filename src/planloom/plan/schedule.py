"""Which step may start next: decided here, in pure code, and acted on by `planloom.engine`.

Event-driven: a step that ends hands back the steps it has freed; nothing is polled and there is no barrier
between waves. Under a limit the unit with the longest remaining path goes first (highest level first;
Hu 1961, Graham 1969). Ties go to the earlier step, so that the order never depends on the hash seed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from heapq import heappop, heappush
from typing import Final, NamedTuple, cast

from planloom.plan.graph import PlanGraph
from planloom.plan.state import END_STATUSES, TRANSITIONS, StepStatus, next_status

# an enum looks its members up with a function of its own, and these are needed for every step
_PENDING: Final = StepStatus.PENDING
_READY: Final = StepStatus.READY
_RUNNING: Final = StepStatus.RUNNING
_make = cast("Callable[[type[Unit], tuple[float, int, int]], Unit]", tuple.__new__)  # pyright: ignore[reportUnknownMemberType]


class Unit(NamedTuple):
    """One call to make: a step, or the element `index` of a step with `for_each` (else -1).

    The fields are in the order in which units are compared: what is smallest goes first.
    """

    priority: float
    position: int
    index: int  # pyright: ignore[reportIncompatibleMethodOverride] - no unit is searched for its fields


class Schedule:
    """The states of all steps, and the queue of those that may start.

    The caller loops: `take` a unit and start it; `release` its slot when its call has ended; `settle` the
    step when it has ended for good. Slots: at most `max_concurrency` units at a time (None: no limit), and at
    most `limits[group]` units of one group, such as a tool or a pool of threads. `groups[i]` names the limited
    groups that step i belongs to. `remaining` may be None when nothing is limited: then no order is needed.

    Units of the same groups wait in one queue, so a group that is full holds up nobody else.
    """

    def __init__(
        self,
        graph: PlanGraph,
        remaining: Sequence[float] | None = None,
        max_concurrency: int | None = None,
        groups: Sequence[tuple[str, ...]] = (),
        limits: Mapping[str, int] | None = None,
    ) -> None:
        self._dependents = graph.dependents
        self.statuses: list[StepStatus] = [StepStatus.PENDING] * len(graph.ids)
        self.running = 0
        """Units that hold a slot; not counted when nothing is limited."""
        self._remaining = remaining
        self._unmet = [len(needed) for needed in graph.dependencies]
        self._max = max_concurrency
        self._limits = dict(limits or {})
        self._groups = groups if self._limits else ()
        self._taken = dict.fromkeys(self._limits, 0)
        self._queues: dict[tuple[str, ...], list[Unit]] = {(): [], **{group: [] for group in self._groups}}
        self._ungrouped = self._queues[()]
        self.is_limited = max_concurrency is not None or bool(self._limits)
        self._ready: deque[Unit] = deque()
        """The queue when nothing is limited: all that is ready starts at once, so first come is first served."""

    def roots(self) -> list[int]:
        """Return the steps that wait for nothing."""
        return [position for position, unmet in enumerate(self._unmet) if not unmet]

    def move(self, position: int, status: StepStatus) -> None:
        """Change the state of a step, as the transition table allows."""
        if status not in TRANSITIONS[self.statuses[position]]:
            next_status(self.statuses[position], status)  # raises, and says what was allowed
        self.statuses[position] = status

    def enqueue(self, positions: Sequence[int]) -> None:
        """Put pending steps, which are ready now, into the queue."""
        statuses, is_limited = self.statuses, self.is_limited
        for position in positions:
            if statuses[position] is not _PENDING:
                next_status(statuses[position], _READY)
            statuses[position] = _READY
            if is_limited:
                self.enqueue_element(position, -1)
            else:
                # half the time of Unit(…)
                self._ready.append(_make(Unit, (0.0, position, -1)))

    def enqueue_element(self, position: int, index: int) -> None:
        """Put one element of a running step into the queue."""
        priority = 0.0 if self._remaining is None else -self._remaining[position]
        self.put_back(Unit(priority, position, index))

    def put_back(self, unit: Unit) -> None:
        """Put a unit into the queue that has been there before, such as one whose back-off is over."""
        if not self.is_limited:
            self._ready.append(unit)
        else:
            heappush(self._queues[self._groups[unit.position]] if self._groups else self._ungrouped, unit)

    def take(self) -> Unit | None:
        """Return the next unit to start and give it a slot, or None when none is ready or no slot is free.

        A step is running from here on.
        """
        unit = self._take_limited() if self.is_limited else self._ready.popleft() if self._ready else None
        if unit is not None and unit[2] < 0:
            position, statuses = unit[1], self.statuses
            if statuses[position] is not _READY:
                next_status(statuses[position], _RUNNING)
            statuses[position] = _RUNNING
        return unit

    def _take_limited(self) -> Unit | None:
        if self._max is not None and self.running >= self._max:
            return None
        queue = self._best_queue() if self._groups else self._ungrouped
        if not queue:
            return None
        self.running += 1
        unit = heappop(queue)
        if self._groups:
            for group in self._groups[unit.position]:
                self._taken[group] += 1
        return unit

    def _best_queue(self) -> list[Unit]:
        """Return the queue whose first unit goes first, of those with a free slot in all their groups."""
        best: list[Unit] = []
        for groups, queue in self._queues.items():
            if queue and (not best or queue[0] < best[0]) and self._has_slot(groups):
                best = queue
        return best

    def _has_slot(self, groups: tuple[str, ...]) -> bool:
        return all(self._taken[group] < self._limits[group] for group in groups)

    def release(self, position: int) -> None:
        """Give back the slots of a unit whose call has ended."""
        if not self.is_limited:
            return
        self.running -= 1
        if self._groups:
            for group in self._groups[position]:
                self._taken[group] -= 1

    def settle(self, position: int, status: StepStatus) -> list[int]:
        """End a step; return the pending steps whose dependencies have now all ended well.

        `status` is succeeded, or skipped by condition. Call `doom` for an end that takes descendants along.
        """
        unmet, statuses = self._unmet, self.statuses
        if statuses[position] is not _RUNNING:
            next_status(statuses[position], status)
        statuses[position] = status
        freed: list[int] = []
        for dependent in self._dependents[position]:
            left = unmet[dependent] = unmet[dependent] - 1
            if not left and statuses[dependent] is _PENDING:
                freed.append(dependent)
        return freed

    def doom(self, position: int) -> list[int]:
        """Return every pending descendant of a step that did not end well, nearest first, now skipped."""
        doomed: list[int] = []
        pending = [position]
        for current in pending:
            for dependent in self._dependents[current]:
                if self.statuses[dependent] is StepStatus.PENDING:
                    self.move(dependent, StepStatus.SKIPPED)
                    doomed.append(dependent)
                    pending.append(dependent)
        return doomed

    def drop_queue(self) -> list[Unit]:
        """Empty the queue and return what was in it, in order: nothing more is to start."""
        dropped = sorted([*self._ready, *(unit for queue in self._queues.values() for unit in queue)])
        self._ready.clear()
        for queue in self._queues.values():
            queue.clear()
        return dropped

    def open_steps(self) -> list[int]:
        """Return the steps that have not ended."""
        return [position for position, status in enumerate(self.statuses) if status not in END_STATUSES]
