"""The end of a run: reached once, awaited once, and what it means when the awaiting task is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Ending:
    """The end that a run comes to. Make it in the task that awaits it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._task = asyncio.current_task()
        self.cancelling: Callable[[], int] = (lambda: 0) if self._task is None else self._task.cancelling
        """Counts how often the task was cancelled; more often than `cancelled_before`, and nothing may start."""
        self.cancelled_before = self.cancelling()
        self._reached: asyncio.Future[None] = loop.create_future()

    @property
    def is_cancelled(self) -> bool:
        """Whether the task was cancelled: it hears of it in the loop's next turn, and nothing may start until then."""
        return self.cancelling() > self.cancelled_before

    @property
    def is_reached(self) -> bool:
        """Whether the run is over."""
        return self._reached.done()

    def reach(self) -> None:
        """The run is over."""
        if not self._reached.done():
            self._reached.set_result(None)

    def fail(self, fault: BaseException) -> None:
        """End the run with a fault of the engine: a run that stands still would be worse."""
        if not self._reached.done():
            self._reached.set_exception(fault)

    async def wait(self, is_open: Callable[[], bool], stop: Callable[[], None]) -> None:
        """Wait for the end. Being cancelled calls `stop` while the run is open; being cancelled again raises."""
        try:
            await self._reached  # not shielded, for that takes another turn of the loop
        except asyncio.CancelledError:
            if self._reached.cancelled() and is_open():  # else the run has ended in the same moment
                self._reached = self._loop.create_future()
                stop()
                await self._reached
            if self._task is not None:
                self._task.uncancel()  # the cancellation has become the result's status
