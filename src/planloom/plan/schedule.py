"""Which step may start next: decided here, in pure code, and acted on by `planloom.engine`.

Event-driven: a step that ends hands back the steps it has freed; nothing is polled and there is no barrier
between waves. Under a limit the unit with the longest remaining path goes first (highest level first;
Hu 1961, Graham 1969). Ties go to the earlier step, so that the order never depends on the hash seed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from heapq import heapify, heappop, heappush
from typing import Final, NamedTuple, cast

from planloom.plan.graph import PlanGraph, longest_paths, topological_order
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


def plain_unit(position: int) -> Unit:
    """Return the unit of a step where no order is needed, in half the time of `Unit(…)`."""
    return _make(Unit, (0.0, position, -1))


class Schedule:
    """The states of all steps, and the queue of those that may start.

    The caller loops: `take` a unit and start it; `release` its slot when its call has ended; `settle` the
    step when it has ended for good. Slots: at most `max_concurrency` units at a time (None: no limit), and at
    most `limits[group]` units of one group, such as a tool or a pool of threads. `groups[i]` names the limited
    groups that step i belongs to. `weights` says how long each step takes, in any unit; without limits no order is
    needed, and it may be left out.

    Units of the same groups wait in one queue, so a group that is full holds up nobody else.

    A plan may grow while it runs (`grow`) and lose steps (`drop`). Positions are never given twice.
    """

    def __init__(
        self,
        graph: PlanGraph,
        weights: Sequence[float] = (),
        max_concurrency: int | None = None,
        groups: Sequence[tuple[str, ...]] = (),
        limits: Mapping[str, int] | None = None,
    ) -> None:
        self._dependents: Sequence[list[int]] = graph.dependents
        self._owns_dependents = False
        """The lists belong to the plan's graph until the schedule grows."""
        self.statuses: list[StepStatus] = [StepStatus.PENDING] * len(graph.ids)
        self.dropped: set[int] = set()
        """Steps that are no longer part of the plan."""
        self.running = 0
        """Units that hold a slot; not counted when nothing is limited."""
        self._weights = list(weights)
        self._remaining = graph.remaining(weights) if weights else [0.0] * len(graph.ids)
        self._unmet = [len(needed) for needed in graph.dependencies]
        self._max = max_concurrency
        self._limits = dict(limits or {})
        self._groups = list(groups) if self._limits else []
        self._taken = dict.fromkeys(self._limits, 0)
        self._queues: dict[tuple[str, ...], list[Unit]] = {(): [], **{group: [] for group in self._groups}}
        self._ungrouped = self._queues[()]
        self.is_limited = max_concurrency is not None or bool(self._limits)
        self._ready: deque[Unit] = deque()
        """The queue when nothing is limited: all that is ready starts at once, so first come is first served."""

    def roots(self) -> list[int]:
        """Return the pending steps that wait for nothing."""
        statuses = self.statuses
        return [position for position, unmet in enumerate(self._unmet) if not unmet and statuses[position] is _PENDING]

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
                self._ready.append(plain_unit(position))

    def enqueue_element(self, position: int, index: int) -> None:
        """Put one element of a running step into the queue."""
        if not self.is_limited:
            self._ready.append(Unit(0.0, position, index))
        else:
            unit = _make(Unit, (-self._remaining[position], position, index))
            heappush(self._queues[self._groups[position]] if self._groups else self._ungrouped, unit)

    def put_back(self, unit: Unit) -> None:
        """Put a unit into the queue that has been there before, such as one whose back-off is over.

        It goes by the plan as it is now, which may have changed meanwhile.
        """
        self.enqueue_element(unit.position, unit.index)

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

    def begin(self, positions: Sequence[int]) -> None:
        """Let pending steps run that wait for nothing, past the queue: only when nothing is limited."""
        statuses = self.statuses
        for position in positions:
            if statuses[position] is not _PENDING:
                next_status(statuses[position], _READY)
            statuses[position] = _RUNNING

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
        taken, limits = self._taken, self._limits
        for groups, queue in self._queues.items():
            if queue and (not best or queue[0] < best[0]):
                for group in groups:
                    if taken[group] >= limits[group]:
                        break
                else:
                    best = queue
        return best

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

    def adopt(self, position: int, status: StepStatus, *, is_success: bool) -> None:
        """Set the state of a step that an earlier run has finished, before anything has started."""
        self.statuses[position] = _RUNNING if is_success else status
        if is_success:
            self.settle(position, status)

    def is_free(self, position: int) -> bool:
        """Whether a step is pending, and nothing is left that it waits for."""
        return self.statuses[position] is _PENDING and not self._unmet[position] and position not in self.dropped

    def doom(self, position: int) -> list[int]:
        """Return every descendant of a step that did not end well that has not begun, nearest first, now skipped."""
        return self._spread(position, frozenset({_PENDING, StepStatus.HELD}), StepStatus.SKIPPED)

    def hold(self, position: int) -> list[int]:
        """Return every descendant of a failed step that has not begun, nearest first, now held for a replan.

        Descendants that were held before, for another failure, are not among them.
        """
        return self._spread(position, frozenset({_PENDING}), StepStatus.HELD)

    def held_by(self, position: int) -> list[int]:
        """Return the descendants of a failed step that are held, or skipped for another failure, nearest first.

        What was skipped needs the failed step too: it cannot stay in the plan when that one goes.
        """
        return self._behind(position, frozenset({StepStatus.HELD, StepStatus.SKIPPED}))

    def _spread(self, position: int, unfinished: AbstractSet[StepStatus], status: StepStatus) -> list[int]:
        behind = self._behind(position, unfinished)
        for descendant in behind:
            self.move(descendant, status)
        return behind

    def _behind(self, position: int, statuses: AbstractSet[StepStatus]) -> list[int]:
        """Return the steps that are reached from one by way of steps in one of the `statuses`, nearest first."""
        found: dict[int, None] = {}
        pending = [position]
        for current in pending:  # grows while it is walked
            for dependent in self._dependents[current]:
                if dependent not in found and self.statuses[dependent] in statuses and dependent not in self.dropped:
                    found[dependent] = None
                    pending.append(dependent)
        return list(found)

    def grow(
        self,
        dependencies: Sequence[Sequence[int]],
        is_met: Callable[[int], bool],
        weights: Sequence[float] = (),
        groups: Sequence[tuple[str, ...]] = (),
    ) -> list[int]:
        """Add steps behind those that are there, and return the positions of those that wait for nothing.

        `dependencies` holds positions, of steps that are there or are being added; `is_met` says of one that is there
        whether it has ended well. `groups` are those of the added steps; their limits were known from the start. When
        there are limits, `weights` says how long each of the added steps takes.
        """
        first = len(self.statuses)
        if not self._owns_dependents:
            self._dependents = [list(dependents) for dependents in self._dependents]
            self._owns_dependents = True
        dependents = cast("list[list[int]]", self._dependents)
        dependents.extend([] for _ in dependencies)
        self.statuses.extend([_PENDING] * len(dependencies))
        for position, needed in enumerate(dependencies, first):
            unmet = [dependency for dependency in needed if dependency >= first or not is_met(dependency)]
            self._unmet.append(len(unmet))
            for dependency in unmet:
                dependents[dependency].append(position)
        if self.is_limited:
            self._order_anew(weights, groups)
        return [position for position in range(first, len(self.statuses)) if not self._unmet[position]]

    def _order_anew(self, weights: Sequence[float], groups: Sequence[tuple[str, ...]]) -> None:
        """Give all steps, those in the queue too, the priorities of the plan as it is now."""
        self._weights.extend(weights)
        if self._groups:
            self._groups.extend(groups)
            for group in groups:
                self._queues.setdefault(group, [])
        waiting_for = [0] * len(self.statuses)
        for dependents in self._dependents:
            for dependent in dependents:
                waiting_for[dependent] += 1
        order = topological_order(waiting_for, self._dependents)
        self._remaining = longest_paths(self._dependents, order, self._weights)
        for queue in self._queues.values():
            queue[:] = [Unit(-self._remaining[unit.position], unit.position, unit.index) for unit in queue]
            heapify(queue)

    def drop(self, positions: Iterable[int]) -> None:
        """Take steps out of the plan that no step which stays depends on. Nothing that they still do counts.

        Those that have not begun never will: what a step that stays frees, holds or dooms is not among them.
        """
        for position in positions:
            self.dropped.add(position)
            if self.statuses[position] in (_PENDING, StepStatus.HELD):
                self.move(position, StepStatus.CANCELLED)
            if self._weights:
                self._weights[position] = 0.0  # nobody goes first for the sake of a step that is gone

    def drop_queue(self, positions: AbstractSet[int] | None = None) -> list[Unit]:
        """Take all units, or those of some steps, out of the queue and return them in order: they are not to start."""
        dropped: list[Unit] = []
        for queue in (self._ready, *self._queues.values()):
            units = list(queue)
            kept = [] if positions is None else [unit for unit in units if unit.position not in positions]
            dropped += [unit for unit in units if positions is None or unit.position in positions]
            queue.clear()
            queue.extend(kept)  # a part of a sorted heap in the same order need not be a heap
            if isinstance(queue, list):
                heapify(queue)
        return sorted(dropped)

    def statuses_in_plan(self) -> set[StepStatus]:
        """Return the states that steps of the plan are in."""
        if not self.dropped:
            return set(self.statuses)
        return {status for position, status in enumerate(self.statuses) if position not in self.dropped}

    def open_steps(self) -> list[int]:
        """Return the steps of the plan that have not ended."""
        return [
            position
            for position, status in enumerate(self.statuses)
            if status not in END_STATUSES and position not in self.dropped
        ]
