"""What waits for the journal: steps for the results they use, calls with an effect for the record of their start, and
calls whose output may be there already for a look at what it holds.

Rule: nothing else waits. Without a journal nothing in here is called.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from functools import partial
from typing import Any

from planloom.engine.attempt import Attempt
from planloom.engine.cache import cache_key
from planloom.engine.failures import Failure
from planloom.engine.recorder import Recorder
from planloom.plan.redaction import Redactor
from planloom.plan.schedule import Schedule, Unit

Make = Callable[[Attempt, dict[str, Any], dict[str, Any]], None]


class _Held:
    """What waits for one group of records, which is being `kept`."""

    def __init__(self, kept: list[Any]) -> None:
        self.kept = kept
        self.freed: list[int] | None = None
        """Steps that its results have freed; None when it is no result that is waited for."""
        self.calls: list[tuple[Attempt, dict[str, Any], dict[str, Any]]] = []


class Durability:
    """Holds back what must not happen yet. `go_on` gets steps that are free, `make` a call that may be made.

    `on_end` gets a call that was not made because its output is known. `on_fault` gets what must not happen; the
    journal's own faults go there too, because a run that cannot be recorded must not go on.
    """

    def __init__(
        self,
        recorder: Recorder,
        loop: asyncio.AbstractEventLoop,
        schedule: Schedule,
        go_on: Callable[[list[int]], None],
        make: Make,
        on_fault: Callable[[BaseException], None],
        on_end: Callable[[Attempt, Failure | None, Any], None],
        redactor: Redactor | None,
    ) -> None:
        self._recorder = recorder
        self._loop = loop
        self._schedule = schedule
        self._go_on = go_on
        self._make = make
        self._on_fault = on_fault
        self._on_end = on_end
        self._redactor = redactor
        self._looking: set[asyncio.Task[None]] = set()
        self._caller = contextvars.copy_context()
        self._starting: dict[Unit, Attempt] = {}
        self._held: _Held | None = None
        """What waits for the records that were not given to the journal yet."""
        self._results = 0
        recorder.on_fault = on_fault

    @property
    def is_open(self) -> bool:
        """Whether a result is not durable yet on which something waits."""
        return bool(self._results)

    def free(self, freed: list[int]) -> None:
        """Let steps go on as soon as the result that freed them is durable."""
        held = self._held
        if held is None or held.kept is not self._recorder.kept:
            held = _Held(self._recorder.kept)
            held.freed = list(freed)
            self._results += 1
            self._hold(held)
        elif held.freed is None:
            held.freed = list(freed)
            self._results += 1
        else:
            held.freed += freed

    def _hold(self, held: _Held) -> None:
        """Let go of something as soon as all that is kept is durable; what comes later joins it while that is open."""
        self._held = held if held.kept else None
        self._recorder.when_durable(partial(self._let_go, held))

    def _let_go(self, held: _Held) -> None:
        try:
            for attempt, args, prepared in held.calls:
                if self._starting.pop(attempt.unit, None) is attempt:
                    attempt.expires = self._loop.time() + attempt.timeout_s
                    self._make(attempt, args, prepared)
            if held.freed is not None:
                self._results -= 1
                self._go_on([position for position in held.freed if self._schedule.is_free(position)])
        except BaseException as fault:
            self._on_fault(fault)

    def make(self, attempt: Attempt, args: dict[str, Any], prepared: dict[str, Any]) -> None:
        """Make a call, one with an effect as soon as its start is durable, one whose output is known not at all."""
        if attempt.tool.cache and (key := cache_key(attempt.tool, args, self._redactor)) is not None:
            attempt.record.cache_key = key
            self._starting[attempt.unit] = attempt
            look = self._look(key, attempt, args, prepared)
            task = self._caller.copy().run(self._loop.create_task, look)
            self._looking.add(task)
            task.add_done_callback(self._looking.discard)
            return
        if attempt.tool.read_only or attempt.tool.idempotent:
            self._make(attempt, args, prepared)
            return
        self._starting[attempt.unit] = attempt
        held = self._held
        if held is None or held.kept is not self._recorder.kept:
            held = _Held(self._recorder.kept)
            held.calls.append((attempt, args, prepared))
            self._hold(held)
        else:
            held.calls.append((attempt, args, prepared))

    async def _look(self, key: str, attempt: Attempt, args: dict[str, Any], prepared: dict[str, Any]) -> None:
        """Use the output of an earlier call, or make the call."""
        known = await self._recorder.recall(key)
        if self._starting.pop(attempt.unit, None) is not attempt:
            return
        try:
            if attempt.unit.position in self._schedule.dropped:  # its step has left the plan meanwhile
                attempt.cause = "cancelled"
                self._on_end(attempt, None, None)
            elif known is None:
                attempt.expires = self._loop.time() + attempt.timeout_s
                self._make(attempt, args, prepared)
            else:
                attempt.record.attempts -= 1
                attempt.record.reused_from = known.run_id
                output = known.output if self._redactor is None else self._redactor.clean(known.output)
                self._on_end(attempt, None, output)
        except BaseException as fault:
            self._on_fault(fault)

    def stop(self) -> list[Unit]:
        """Give up the calls that were not made yet, and return them; they hold no slot any more."""
        units = sorted(self._starting)
        self._starting.clear()
        for unit in units:
            self._schedule.release(unit.position)
        return units
