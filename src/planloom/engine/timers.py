"""Every deadline, back-off and grace of a run behind one timer of the loop.

A timer per step costs as much as the step: most never fire. Here a step costs one entry in a heap, dropped
without being looked at when its time comes and it is no longer wanted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from heapq import heapify, heappop, heappush
from itertools import chain
from typing import Any, Final, Generic, Protocol, TypeVar

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
    """A heap of timers and the one `call_at` of the loop that wakes it.

    `on_fault` gets what a callback raises, so that one faulty timer never keeps the others from firing.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, on_fault: Callable[[BaseException], None]) -> None:
        self._loop = loop
        self._on_fault = on_fault
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
            try:
                callback(argument)
            except BaseException as fault:
                self._on_fault(fault)


class Expiring(Protocol):
    """Something with a deadline. It is hashed by identity."""

    timeout_s: float
    expires: float
    """When, on the loop's clock."""

    @property
    def is_ending(self) -> bool:
        """Whether it was asked to end already."""
        ...


Call = TypeVar("Call", bound=Expiring)


class LiveCalls(Generic[Call]):
    """The calls under way and their time limits. Nearly all limits are met, so a call pays for a place in a dict.

    Calls with the same limit expire in the order in which they began, which is the order of the dict: there is no
    heap, and no timer that has to be cancelled.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, timers: Timers, expire: Callable[[Call], None]) -> None:
        self._loop = loop
        self._timers = timers
        self._expire = expire
        self._by_limit: dict[float, dict[Call, None]] = {}
        self._armed: set[float] = set()

    def __iter__(self) -> Iterator[Call]:
        return chain.from_iterable(self._by_limit.values())

    def add(self, call: Call) -> None:
        """Let `call` expire when its time has come, unless it is removed before."""
        limit_s = call.timeout_s
        try:
            self._by_limit[limit_s][call] = None
        except KeyError:
            self._by_limit[limit_s] = {call: None}
        if limit_s not in self._armed:
            self._armed.add(limit_s)
            self._timers.after(limit_s, self._look, limit_s)

    def remove(self, call: Call) -> None:
        """Forget a call; nothing happens when it is not there."""
        try:  # this is hot, and suppress() is not free
            self._by_limit[call.timeout_s].pop(call, None)
        except KeyError:  # no call with this limit was ever added
            return

    def clear(self) -> None:
        """Forget all calls."""
        for calls in self._by_limit.values():
            calls.clear()

    def _look(self, limit_s: float) -> None:
        """Expire what is due, and come back when the next one is."""
        now = self._loop.time()
        due: list[Call] = []
        next_look: float | None = None
        for call in self._by_limit[limit_s]:
            if call.expires > now:
                next_look = call.expires
                break
            if not call.is_ending:
                due.append(call)
        if next_look is None:
            self._armed.discard(limit_s)
        else:
            self._timers.after(next_look - now, self._look, limit_s)
        for call in due:
            self._expire(call)
