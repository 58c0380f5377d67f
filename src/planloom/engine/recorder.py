"""The journal of one run, as the run sees it: events go in, and it is told when they are durable.

Rule: the result of a step is durable before a step that uses it starts, and the start of a step with an effect is
durable before its call is made. Nothing else waits for the disk.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

from planloom.plan import events
from planloom.plan.events import Event

if TYPE_CHECKING:
    from planloom.engine.cache import Recalled
    from planloom.journal import Record, RunWriter
    from planloom.journal.lines import Brief

NOT_KEPT: Final = frozenset(
    {events.StepProgress.type, events.AnswerDelta.type, events.LoopBlocked.type, events.StepArrived.type}
)
"""Events that say nothing that a later process needs."""
LATER_S: Final = 0.01
"""How long a record may stay in memory for which nothing waits, such as that of a progress of the run."""
_LONGEST_MS: Final = 1e12
"""A time that is longer, or no number, is left to those who say what is wrong with it."""
Encode = Callable[[Event], "Record"]
"""Makes the record of an event: large values go elsewhere, secrets go nowhere."""
Write = Callable[[Any], str | None]
"""Returns the JSON of an output, or None for one that has no place in its record, or is no JSON."""
Recall = Callable[[str], Awaitable["Recalled | None"]]
"""Finds the output of an earlier call by its key."""


class Recorder:
    """Writes events into the journal of a run. Tell it of an event before anybody else.

    What nobody waits for goes with what comes next, or alone after `LATER_S`: each commit costs as much as the disk
    takes, however many records are in it. `write` returns the JSON of an output as it is now, or None for one that has
    to go through `encode`, as part of its event.
    """

    def __init__(
        self,
        writer: RunWriter,
        encode: Encode,
        recall: Recall | None = None,
        write: Write | None = None,
    ) -> None:
        self._writer = writer
        self._encode = encode
        self._recall = recall
        self._write = write
        self._loop = asyncio.get_running_loop()
        self._context = contextvars.copy_context()
        self.kept: list[Record | Brief] = []
        """What was not given to the writer yet: another list after each time that it was."""
        self._waiting: list[Callable[[], None]] = []
        """What waits for that to be durable."""
        self._is_due = False
        """Whether it goes to the writer at the end of this turn."""
        self._unwritten = 0
        """How often something was given to the writer that is not durable yet."""
        self._waiting_for_last: list[Callable[[], None]] = []
        """What waits for the newest of that."""
        self._fault: BaseException | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.on_fault: Callable[[BaseException], None] = lambda _: None
        """Called when the journal cannot be written any more: the run must not go on."""

    def __call__(self, event: Event) -> None:
        """Keep an event."""
        if event.type in NOT_KEPT:
            return
        try:
            self.kept.append(self._encode(event))
        except Exception as fault:
            self.on_fault(fault)
            return
        if self._timer is None:
            self._start_timer()

    def started(self, seq: int, at: float, step_id: str, tool: str, attempt: int) -> None:
        """Keep a `StepStarted` that nobody has made."""
        self.kept.append((seq, at, step_id, tool, attempt))
        if self._timer is None:
            self._start_timer()

    def succeeded(
        self,
        seq: int,
        at: float,
        step_id: str,
        output: Any,
        attempts: int,
        latency_ms: float,
        reused_from: str | None = None,
        cache_key: str | None = None,
    ) -> bool:
        """Keep a `StepSucceeded` that nobody has made. False, and nothing is kept, when it has to be made."""
        if reused_from is not None or cache_key is not None or not -_LONGEST_MS < latency_ms < _LONGEST_MS:
            return False
        written = "null" if output is None else None if self._write is None else self._write(output)
        if written is None:
            return False
        self.kept.append((seq, at, step_id, written, attempts, latency_ms))
        if self._timer is None:
            self._start_timer()
        return True

    def _start_timer(self) -> None:
        # it goes on over many hand-overs: a timer for each would cost more than what it is for
        self._timer = self._loop.call_later(LATER_S, self._be_late, context=self._context)

    def _be_late(self) -> None:
        self._timer = None
        self._hand_over()

    def hand_over(self) -> None:
        """Give everything kept so far to the writer; it is durable some time after."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._hand_over()

    def _hand_over(self) -> None:
        self._is_due = False
        if not self.kept:
            return
        kept, self.kept = self.kept, []
        waiting, self._waiting = self._waiting, []
        self._waiting_for_last = waiting
        self._unwritten += 1
        context = self._context.copy()
        try:
            self._writer.write(kept, lambda fault: context.run(self._written, waiting, fault))
        except Exception as fault:
            self._unwritten -= 1
            self._fault = fault
            self.on_fault(fault)

    async def recall(self, key: str) -> Recalled | None:
        """Return the output of an earlier call; None when there is none, or it cannot be read: then it is made."""
        try:
            return None if self._recall is None else await self._recall(key)
        except Exception:  # a journal, or an artifact, that cannot be read
            return None

    def when_durable(self, then: Callable[[], None]) -> None:
        """Call `then` on the loop as soon as everything kept so far is durable; at once if it is already."""
        if self.kept:
            self._waiting.append(then)
            if not self._is_due:
                # at the end of this turn of the loop: all that is to wait by then waits for one commit
                self._is_due = True
                self._loop.call_soon(self._hand_over, context=self._context)
        elif self._fault is not None:
            self._loop.call_soon(self.on_fault, self._fault)
        elif self._unwritten:
            self._waiting_for_last.append(then)
        else:
            then()

    def _written(self, waiting: list[Callable[[], None]], fault: BaseException | None) -> None:
        self._unwritten -= 1
        if fault is not None:
            self._fault = fault
            self.on_fault(fault)
            return
        for then in waiting:
            then()

    async def flush(self) -> None:
        """Wait until everything kept is durable. Raises `JournalError`."""
        self.hand_over()
        await self._writer.flush()
