"""What waits for the journal: steps for the results they use, and calls with an effect for the record of their start.

Rule: nothing else waits. Without a journal nothing in here is called.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from planloom.engine.attempt import Attempt
from planloom.engine.recorder import Recorder
from planloom.plan.schedule import Schedule, Unit

Make = Callable[[Attempt, dict[str, Any], dict[str, Any]], None]


class Durability:
    """Holds back what must not happen yet. `go_on` gets steps that are free, `make` a call that may be made.

    `on_fault` gets what must not happen; the journal's own faults go there too, because a run that cannot be recorded
    must not go on.
    """

    def __init__(
        self,
        recorder: Recorder,
        loop: asyncio.AbstractEventLoop,
        schedule: Schedule,
        go_on: Callable[[list[int]], None],
        make: Make,
        on_fault: Callable[[BaseException], None],
    ) -> None:
        self._recorder = recorder
        self._loop = loop
        self._schedule = schedule
        self._go_on = go_on
        self._make = make
        self._on_fault = on_fault
        self._starting: dict[Unit, Attempt] = {}
        self._results = 0
        recorder.on_fault = on_fault

    @property
    def is_open(self) -> bool:
        """Whether a result is not durable yet on which something waits."""
        return bool(self._results)

    def free(self, freed: list[int]) -> None:
        """Let steps go on as soon as the result that freed them is durable."""
        self._results += 1

        def go_on() -> None:
            self._results -= 1
            self._go_on([position for position in freed if self._schedule.is_free(position)])

        self._then(go_on)

    def make(self, attempt: Attempt, args: dict[str, Any], prepared: dict[str, Any]) -> None:
        """Make a call, one with an effect as soon as its start is durable."""
        if attempt.tool.read_only or attempt.tool.idempotent:
            self._make(attempt, args, prepared)
            return
        self._starting[attempt.unit] = attempt

        def make() -> None:
            if self._starting.pop(attempt.unit, None) is attempt:
                attempt.expires = self._loop.time() + attempt.timeout_s
                self._make(attempt, args, prepared)

        self._then(make)

    def stop(self) -> list[Unit]:
        """Give up the calls that were not made yet, and return them; they hold no slot any more."""
        units = sorted(self._starting)
        self._starting.clear()
        for unit in units:
            self._schedule.release(unit.position)
        return units

    def _then(self, act: Callable[[], None]) -> None:
        def guarded() -> None:
            try:
                act()
            except BaseException as fault:
                self._on_fault(fault)

        self._recorder.when_durable(guarded)
