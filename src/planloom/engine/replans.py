"""Failures that a recovery plan may get around: held, shown to the replanner one after another, and merged.

Rule: only the failed step and what waits for it are replaced. Branches that do not need it are not touched and go on
meanwhile. When there is no way around, what was held is skipped, as it would have been at once.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections import deque
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from typing import Final

from planloom.engine import orphans
from planloom.engine.base import Replanner, ReplanRequest
from planloom.engine.emitter import Emitter
from planloom.engine.failures import MAX_MESSAGE_CHARS, read_message
from planloom.engine.ledger import Ledger
from planloom.engine.running_plan import RunningPlan
from planloom.errors import PlanloomError, ReplanError
from planloom.plan import events
from planloom.plan.amendment import merge_recovery
from planloom.plan.issues import Issue, has_errors, shorten
from planloom.plan.model import Plan
from planloom.plan.results import StepError

NEVER_REPLANNED: Final = frozenset({"denied", "budget", "question", "cancelled"})
"""Kinds of failures that are a person's word or the run's own limit, which no plan may get around."""

MAX_ROUNDS: Final = 1_000
"""Rounds of one run. A replanner ends long before; one that never does must not keep the run going for ever."""

FindIssues = Callable[[Plan], list[Issue]]


class Replans:
    """The failures of one run and the rounds they lead to, one at a time. `find_issues` judges the merged plan.

    `on_round` gets the steps that a round has freed; `on_fault` what must not happen.
    """

    def __init__(
        self,
        running: RunningPlan,
        ledger: Ledger,
        emitter: Emitter,
        replanner: Replanner | None,
        find_issues: FindIssues,
        on_round: Callable[[list[int]], None],
        on_fault: Callable[[BaseException], None],
    ) -> None:
        self._running = running
        self._ledger = ledger
        self._emitter = emitter
        self._replanner = replanner
        self._find_issues = find_issues
        self._on_round = on_round
        self._on_fault = on_fault
        self._failures: deque[int] = deque()
        self._task: asyncio.Task[None] | None = None
        self._is_busy = False
        self._round_number = 0
        """Which round is under way, from 1; when a round finds another number, the run was stopped meanwhile."""
        self._caller = contextvars.copy_context()
        """The replanner sees the context variables of the run's caller, never those that the failed tool has set."""
        self.is_paused = False
        """While the plan is not whole yet nothing is planned around."""

    @property
    def is_open(self) -> bool:
        """Whether a failure waits for its round, or has it now."""
        return bool(self._failures)

    def may_replan(self, error: StepError) -> bool:
        """Whether a failure may be planned around."""
        if self._replanner is None or error.kind in NEVER_REPLANNED:
            return False
        if self._round_number + len(self._failures) >= MAX_ROUNDS:
            return False
        return all(part.kind not in NEVER_REPLANNED for part in (error.elements or {}).values())

    def add(self, position: int) -> None:
        """Hold what waits for a step that has failed, and have it planned around when its turn comes."""
        self._failures.append(position)
        self._ledger.hold(position)
        self.proceed()

    def proceed(self) -> None:
        """Begin the next round, if none is under way."""
        if not self._failures or self._is_busy or self.is_paused:
            return
        self._is_busy = True
        self._round_number += 1
        begin = asyncio.get_running_loop().create_task
        task = self._caller.copy().run(begin, self._round(self._failures[0], self._round_number))
        if not task.done():  # a task factory may run it at once
            self._task = task

    def resume(self) -> None:
        """The plan is whole: failures may be planned around from now on."""
        self.is_paused = False
        self.proceed()

    def forget(self, gone: AbstractSet[int]) -> None:
        """Plan around no failure of a step that left the plan; no round is under way."""
        self._failures = deque(position for position in self._failures if position not in gone)

    def close(self) -> None:
        """End the round that is under way; whatever it still comes to does not count."""
        self._round_number += 1
        self._is_busy = False
        if self._task is not None:
            self._task.cancel()
            orphans.keep(self._task)
            self._task = None

    def give_up(self) -> None:
        """Skip everything that is held: the run is being stopped."""
        self.close()
        while self._failures:
            self._ledger.doom(self._failures.popleft())

    async def _round(self, failed: int, number: int) -> None:
        try:
            freed = await self._replan(failed, number)
            if number != self._round_number:
                return
            self._failures.popleft()
            self._task, self._is_busy = None, False
            self._on_round(freed)
            self.proceed()
        except BaseException as fault:
            self._on_fault(fault)

    async def _replan(self, failed: int, number: int) -> list[int]:
        """Ask for a recovery plan and merge it; return the steps that may start now."""
        running, ledger = self._running, self._ledger
        error = ledger.records[failed].error
        assert error is not None
        assert self._replanner is not None
        gone = [failed, *running.schedule.held_by(failed)]
        held = running.ids(gone)
        self._emitter.emit(events.ReplanStarted, held[0], error, held)
        try:
            recovery = await self._replanner(ReplanRequest(running.plan, held[0], held, ledger.snapshot(), error))
            if number != self._round_number:
                return []
            merged = self._merge(held, recovery)
        except BaseException as refusal:  # also a cancellation: when it is not the run's own, it is the replanner's end
            if number == self._round_number:
                self._refuse(failed, error, refusal)
            return []
        return self._amend(merged, gone, recovery, error)

    def _merge(self, held: tuple[str, ...], recovery: Plan) -> Plan:
        """Return the merged plan. Raises `ReplanError` when it is not valid, whoever wrote the recovery plan."""
        if not isinstance(recovery, Plan):  # pyright: ignore[reportUnnecessaryIsInstance] - the caller's own function
            found = type(recovery).__name__
            raise ReplanError("invalid", f"the replanner gave back a value of type {found}, not a `Plan`")
        merged = merge_recovery(self._running.plan, held, recovery)
        issues = self._find_issues(merged)
        if has_errors(issues):
            raise ReplanError("invalid", "the recovery plan does not fit the plan", issues)
        return merged

    def _refuse(self, failed: int, error: StepError, refusal: BaseException) -> None:
        message = self._emitter.clean(read_message(refusal))[:MAX_MESSAGE_CHARS]
        if not isinstance(refusal, PlanloomError):
            said = f": {shorten(message, MAX_MESSAGE_CHARS)}" if message.strip() else ""
            message = f"the replanner raised {type(refusal).__name__}{said}"
        self._emitter.emit(events.ReplanRefused, self._running.steps[failed].id, error, message)
        self._ledger.doom(failed)

    def _amend(self, merged: Plan, gone: list[int], recovery: Plan, error: StepError) -> list[int]:
        """Put the recovery plan in the place of the broken part."""
        running, ledger = self._running, self._ledger
        replaced, added = running.ids(gone), tuple(step.id for step in recovery.steps)
        kept = tuple(step.id for step in merged.steps[: len(merged.steps) - len(added)])
        ledger.replans += 1
        running.drop(gone, ledger)
        self._emitter.emit(events.Replanned, replaced[0], ledger.replans, error, replaced, kept, added, merged)
        return running.add(recovery.steps, merged, ledger)
