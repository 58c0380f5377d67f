"""Every deadline, back-off and grace of a run behind one timer of the loop.

A timer per step costs as much as the step: most never fire. Here a step costs one entry in a heap, dropped
without being looked at when its time comes and it is no longer wanted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from heapq import heapify, heappop, heappush
from typing import Any, Final

_COMPACT_AT: Final = 1_024


class Timer:
    """One thing to do later. `cancel` it when it is no longer wanted."""

    __slots__ = ("argument", "callback", "order", "when")

    def __init__(self, when: float, order: int, callback: Callable[[Any], None], argument: Any) -> None:
        self.when = when
        self.order = order
        self.callback: Callable[[Any], None] | None = callback
        self.argument = argument

    def __lt__(self, other: Timer) -> bool:
        return self.when < other.when or (self.when == other.when and self.order < other.order)


class Timers:
    """A heap of timers and the one `call_at` of the loop that wakes it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._heap: list[Timer] = []
        self._unwanted = 0
        self._made = 0
        self._handle: asyncio.TimerHandle | None = None
        self._wakes_at = float("inf")

    def after(self, delay_s: float, callback: Callable[[Any], None], argument: Any) -> Timer:
        """Call `callback(argument)` on the loop after `delay_s` seconds."""
        self._made += 1
        timer = Timer(self._loop.time() + delay_s, self._made, callback, argument)
        heappush(self._heap, timer)
        if timer.when < self._wakes_at:
            self._wake_at(timer.when)
        return timer

    def cancel(self, timer: Timer) -> None:
        """Forget a timer; nothing happens when it has already fired."""
        if timer.callback is None:
            return
        timer.callback = timer.argument = None
        self._unwanted += 1
        if self._unwanted > _COMPACT_AT and self._unwanted * 2 > len(self._heap):
            self._heap = [kept for kept in self._heap if kept.callback is not None]
            heapify(self._heap)
            self._unwanted = 0

    def close(self) -> None:
        """Forget everything."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        self._heap.clear()

    def _wake_at(self, when: float) -> None:
        if self._handle is not None:
            self._handle.cancel()
        self._wakes_at = when
        self._handle = self._loop.call_at(when, self._fire)

    def _fire(self) -> None:
        self._handle, self._wakes_at = None, float("inf")
        now = self._loop.time()
        while self._heap:
            timer = self._heap[0]
            if timer.callback is None:
                heappop(self._heap)
                self._unwanted -= 1
                continue
            if timer.when > now:
                self._wake_at(timer.when)
                return
            heappop(self._heap)
            callback, argument = timer.callback, timer.argument
            timer.callback = timer.argument = None
            callback(argument)
