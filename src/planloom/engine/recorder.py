"""The journal of one run, as the run sees it: events go in, and it is told when they are durable.

Rule: the result of a step is durable before a step that uses it starts, and the start of a step with an effect is
durable before its call is made. Nothing else waits for the disk.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from planloom.plan import events
from planloom.plan.events import Event

if TYPE_CHECKING:
    from planloom.journal import Record, RunWriter

NOT_KEPT: Final = frozenset(
    {events.StepProgress.type, events.AnswerDelta.type, events.LoopBlocked.type, events.StepArrived.type}
)
"""Events that say nothing that a later process needs."""
Encode = Callable[[Event], "Record"]
"""Makes the record of an event: large values go elsewhere, secrets go nowhere."""


class Recorder:
    """Writes events into the journal of a run. It is a listener; call it before all others."""

    def __init__(self, writer: RunWriter, encode: Encode) -> None:
        self._writer = writer
        self._encode = encode
        self._last: asyncio.Future[None] | None = None
        self.on_fault: Callable[[BaseException], None] = lambda _: None
        """Called when the journal cannot be written any more: the run must not go on."""

    def __call__(self, event: Event) -> None:
        """Keep an event."""
        if event.type in NOT_KEPT:
            return
        try:
            self._last = self._writer.append([self._encode(event)])
        except Exception as fault:
            self.on_fault(fault)

    def when_durable(self, then: Callable[[], None]) -> None:
        """Call `then` on the loop as soon as everything kept so far is durable; at once if it is already."""
        last = self._last
        if last is None or (last.done() and not last.cancelled() and last.exception() is None):
            then()
        else:
            last.add_done_callback(lambda done: self._written(done, then))

    def _written(self, done: asyncio.Future[None], then: Callable[[], None]) -> None:
        fault = asyncio.CancelledError() if done.cancelled() else done.exception()
        if fault is not None:
            self.on_fault(fault)
        else:
            then()

    async def flush(self) -> None:
        """Wait until everything kept is durable. Raises `JournalError`."""
        await self._writer.flush()
