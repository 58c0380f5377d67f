"""The journal of one run, as the run sees it: events go in, and it is told when they are durable.

Rule: the result of a step is durable before a step that uses it starts, and the start of a step with an effect is
durable before its call is made. Nothing else waits for the disk.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from planloom.plan import events
from planloom.plan.events import Event

if TYPE_CHECKING:
    from planloom.engine.cache import Recalled
    from planloom.journal import Record, RunWriter

NOT_KEPT: Final = frozenset(
    {events.StepProgress.type, events.AnswerDelta.type, events.LoopBlocked.type, events.StepArrived.type}
)
"""Events that say nothing that a later process needs."""
LATER_S: Final = 0.01
"""How long a record may stay in memory for which nothing waits, such as that of a progress of the run."""
Encode = Callable[[Event], "Record"]
"""Makes the record of an event: large values go elsewhere, secrets go nowhere."""
Recall = Callable[[str], Awaitable["Recalled | None"]]
"""Finds the output of an earlier call by its key."""


class Recorder:
    """Writes events into the journal of a run. It is a listener; call it before all others.

    What nobody waits for goes with what comes next, or alone after `LATER_S`: each commit costs as much as the disk
    takes, however many records are in it.
    """

    def __init__(self, writer: RunWriter, encode: Encode, recall: Recall | None = None) -> None:
        self._writer = writer
        self._encode = encode
        self._recall = recall
        self._last: asyncio.Future[None] | None = None
        self._kept: list[Record] = []
        """What was not given to the writer yet."""
        self._waiting: list[Callable[[], None]] = []
        """What waits for that to be durable."""
        self._is_due = False
        """Whether it goes to the writer at the end of this turn."""
        self._timer: asyncio.TimerHandle | None = None
        self.on_fault: Callable[[BaseException], None] = lambda _: None
        """Called when the journal cannot be written any more: the run must not go on."""

    def __call__(self, event: Event) -> None:
        """Keep an event."""
        if event.type in NOT_KEPT:
            return
        try:
            self._kept.append(self._encode(event))
            if self._timer is None:
                self._timer = asyncio.get_running_loop().call_later(LATER_S, self.hand_over)
        except Exception as fault:
            self.on_fault(fault)

    def hand_over(self) -> None:
        """Give everything kept so far to the writer; it is durable some time after."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._is_due = False
        kept, self._kept = self._kept, []
        waiting, self._waiting = self._waiting, []
        if kept:
            try:
                self._last = self._writer.append(kept)
            except Exception as fault:
                self.on_fault(fault)
                return
        if waiting and self._last is not None:
            self._last.add_done_callback(lambda done: self._written(done, waiting))

    async def recall(self, key: str) -> Recalled | None:
        """Return the output of an earlier call; None when there is none, or it cannot be read: then it is made."""
        try:
            return None if self._recall is None else await self._recall(key)
        except Exception:  # a journal, or an artifact, that cannot be read
            return None

    def when_durable(self, then: Callable[[], None]) -> None:
        """Call `then` on the loop as soon as everything kept so far is durable; at once if it is already."""
        last = self._last
        if self._kept:
            self._waiting.append(then)
            if not self._is_due:
                # at the end of this turn of the loop: all that is to wait by then waits for one commit
                self._is_due = True
                asyncio.get_running_loop().call_soon(self.hand_over)
        elif last is None or (last.done() and not last.cancelled() and last.exception() is None):
            then()
        else:
            last.add_done_callback(lambda done: self._written(done, [then]))

    def _written(self, done: asyncio.Future[None], waiting: list[Callable[[], None]]) -> None:
        fault = asyncio.CancelledError() if done.cancelled() else done.exception()
        if fault is not None:
            self.on_fault(fault)
            return
        for then in waiting:
            then()

    async def flush(self) -> None:
        """Wait until everything kept is durable. Raises `JournalError`."""
        self.hand_over()
        await self._writer.flush()
