"""One run of one plan, from its first event to its result.

Rule: whatever a tool does ends as that step's state; a fault of the engine itself ends the run with that fault, never
in silence. What moves from step to step stands in `stepping.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from planloom.engine.calls import GRACE_S
from planloom.engine.clock import time_of
from planloom.engine.emitter import Emitter
from planloom.engine.ledger import Ledger
from planloom.engine.running_plan import RunningPlan
from planloom.engine.settings import RunSettings
from planloom.engine.stepping import Stepping
from planloom.engine.watchdog import WATCHDOG, Watched
from planloom.plan import events
from planloom.plan.model import Plan, Step
from planloom.plan.results import RunResult, StepError
from planloom.tools import Toolbox

__all__ = ["GRACE_S", "Run"]


class Run:
    """One run. Make it, then await `execute` once.

    When `is_whole` is False the plan still arrives: `arrive` adds steps to it, and `complete` ends that.
    """

    def __init__(
        self,
        plan: Plan,
        toolbox: Toolbox,
        inputs: Mapping[str, Any],
        emitter: Emitter,
        settings: RunSettings,
        *,
        is_whole: bool = True,
    ) -> None:
        self._may_grow = settings.hooks.replanner is not None or not is_whole
        self._running = RunningPlan(plan, toolbox, settings.max_concurrency, may_grow=self._may_grow)
        self._toolbox = toolbox
        self._inputs = inputs
        self._emitter = emitter
        self._settings = settings
        self._is_whole = is_whole
        self._stepping: Stepping | None = None
        self._early: list[tuple[Sequence[Step], Plan]] = []
        """What arrived before the run began, and the whole plan if that did."""
        self._whole: Plan | None = None
        self._ends_at_once: Callable[[Stepping], None] | None = None
        """How the run is to end that was ended before it began."""

    @property
    def plan(self) -> Plan:
        """The plan as it is now."""
        return self._running.plan

    async def execute(self) -> RunResult:
        """Run every step and return the result, whatever happens to the steps.

        When the awaiting task is cancelled, nothing more starts, running calls are asked to end within
        `GRACE_S`, and the complete result is returned with status `cancelled`. A second cancellation leaves
        at once.
        """
        loop, settings = asyncio.get_running_loop(), self._settings
        began_at = datetime.fromtimestamp(settings.clock.now(), UTC)
        ledger = Ledger(self._running, self._inputs, self._emitter, time_of(loop), began_at, settings.finished)
        stepping = self._stepping = Stepping(
            loop, self._running, self._toolbox, self._inputs, ledger, self._emitter, settings, is_whole=self._is_whole
        )
        watched = None
        if not settings.clock.is_virtual:
            watched = Watched(loop, stepping.calls.step_of, self._report_blocked, settings.on_blocked)
            WATCHDOG.watch(watched)
        try:
            if not settings.is_part:
                self._emitter.emit(events.RunStarted, None, self._running.plan.goal, len(self._running.steps))
            stepping.begin()
            for steps, plan in self._early:
                stepping.arrive(steps, plan)
            if self._whole is not None:
                stepping.complete(self._whole)
            if self._ends_at_once is not None:
                self._ends_at_once(stepping)
            await stepping.until_finished()
            result = ledger.result(stepping.stop_reason)
            await self._emitter.drain(GRACE_S)
            if not settings.is_part:
                self._emitter.emit_last(events.RunFinished, result.status, result)
                await self._emitter.drain(GRACE_S)
            return result
        finally:
            if watched is not None:
                WATCHDOG.forget(watched)
            stepping.close()

    def arrive(self, steps: Sequence[Step], plan: Plan) -> None:
        """Add steps of a plan that still arrives; `plan` is what has arrived. They start when they can."""
        if self._stepping is None:
            self._early.append((steps, plan))
        else:
            self._stepping.arrive(steps, plan)

    def complete(self, plan: Plan) -> None:
        """Take the whole plan, which is valid. What has run early stays where the plan has it unchanged."""
        if self._stepping is None:
            self._whole = plan
        else:
            self._stepping.complete(plan)

    def stop(self, reason: StepError) -> None:
        """Start nothing more and ask every running call to end."""
        self._end(lambda stepping: stepping.stop(reason))

    def drain(self, reason: StepError) -> None:
        """Start nothing more, and let running calls come to their end."""
        self._end(lambda stepping: stepping.drain(reason))

    def _end(self, end: Callable[[Stepping], None]) -> None:
        """End the run now, or in the loop's next turn for a listener, which is called in the middle of something."""
        if self._stepping is None:
            self._ends_at_once = end
        elif self._emitter.is_calling:
            asyncio.get_running_loop().call_soon(end, self._stepping)
        else:
            end(self._stepping)

    def _report_blocked(self, step_id: str, blocked_s: float) -> None:
        self._emitter.emit(events.LoopBlocked, step_id or None, blocked_s)
