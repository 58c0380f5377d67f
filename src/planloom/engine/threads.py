"""Sync tools on threads: as many as the calls need, up to a limit, all daemons.

A thread cannot be stopped from outside. A call that ignores its end is abandoned: its thread is counted and
replaced, and what it gives back one day is dropped. To wake a thread, or the loop, costs more than most calls do, so
one wake-up serves many: a thread takes jobs as long as there are any, and outcomes reach the loop in batches.

Rule: no job waits behind one that takes long. Who takes a job and leaves others in the queue sees to it first that
another thread is coming, and that one tells the loop what is finished.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from planloom.engine.base import Deliver

Job = tuple[Any, Callable[[], Any]]


class ThreadWorkers:
    """Threads of one run. Not more than `max_threads` at a time, abandoned ones not counted."""

    def __init__(self, loop: asyncio.AbstractEventLoop, deliver: Deliver, max_threads: int) -> None:
        self.abandoned = 0
        self._loop = loop
        self._deliver = deliver
        self._max = max_threads
        self._jobs: deque[Job] = deque()
        self._outcomes: deque[tuple[Any, Any, BaseException | None]] = deque()
        self._is_waking = False
        self._lock = threading.Lock()
        """Held for all that follows, but never while a call is made."""
        self._open: set[Any] = set()
        """Jobs that are queued or under way, and not abandoned."""
        self._threads = 0
        self._parked: list[threading.Lock] = []
        """What each thread without a job waits for."""
        self._is_coming = False
        """Whether a thread is on its way that will look into the queue."""
        self._is_closed = False

    def submit(self, job: Any, call: Callable[[], Any]) -> None:
        """Run `call` on a thread. Raises `RuntimeError` when there is none and none can be started."""
        with self._lock:
            self._open.add(job)
            self._jobs.append((job, call))
            is_missing = not self._is_coming and not self._call_parked() and self._threads < self._max
        if not is_missing:
            return
        try:
            self._start_thread()
        except RuntimeError:
            with self._lock:
                if self._threads:
                    return  # the others will come to it
                self._jobs.remove((job, call))
                self._open.discard(job)
            raise

    def _call_parked(self) -> bool:
        """Wake a thread that has no job; False when there is none. The lock is held."""
        if not self._parked:
            return False
        self._is_coming = True
        self._parked.pop().release()
        return True

    def _start_thread(self) -> None:
        """Start one more thread for what is in the queue. On the loop's thread only."""
        with self._lock:
            self._is_coming = True
            self._threads += 1
        try:
            threading.Thread(target=self._work, name="planloom-tool", daemon=True).start()
        except RuntimeError:
            with self._lock:
                self._is_coming = False
                self._threads -= 1
            raise

    def abandon(self, job: Any) -> None:
        """Leave the thread of `job` behind; another one takes its place when there is work for it."""
        with self._lock:
            if job in self._open:  # else it has just ended, and its outcome is on its way
                self._open.discard(job)
                self.abandoned += 1
                self._threads -= 1
        self._add_thread()

    def close(self) -> None:
        """Let every idle thread go; what is still queued is not started any more."""
        with self._lock:
            self._is_closed = True
            self._threads = 0
            self._open.clear()
            self._jobs.clear()
            for parked in self._parked:
                parked.release()
            self._parked.clear()

    def _work(self) -> None:
        parked = threading.Lock()
        parked.acquire()
        is_called = True
        while True:
            with self._lock:
                if is_called:
                    self._is_coming = is_called = False
                if self._is_closed:
                    return
                entry = self._jobs.popleft() if self._jobs else None
                if entry is None:
                    self._parked.append(parked)
                    is_told = bool(self._outcomes)
                else:
                    is_followed = self._is_coming or (bool(self._jobs) and self._call_parked())
                    # what waits for the loop, or for a thread that the loop has to start, cannot wait for this call
                    is_told = not is_followed and bool(self._jobs or self._outcomes)
            if is_told:
                self._wake()
            if entry is None:
                parked.acquire()
                is_called = True
            elif not self._run(*entry):
                return

    def _run(self, job: Any, call: Callable[[], Any]) -> bool:
        """Make a call and keep its outcome; return whether the thread may go on."""
        value, error = None, None
        try:
            if job in self._open:
                value = call()
        except BaseException as raised:  # SystemExit and KeyboardInterrupt of a tool end the step, not the thread
            error = raised
        with self._lock:
            if job not in self._open:
                self.abandoned = max(0, self.abandoned - 1)
                return False
            self._open.discard(job)
            self._outcomes.append((job, value, error))
        return True

    def _wake(self) -> None:
        if self._is_waking:
            return
        self._is_waking = True
        try:
            self._loop.call_soon_threadsafe(self._flush)
        except RuntimeError:
            return  # the loop was closed; nobody waits for the outcome any more

    def _flush(self) -> None:
        self._is_waking = False
        outcomes = self._outcomes
        while outcomes:
            self._deliver(*outcomes.popleft())
        self._add_thread()

    def _add_thread(self) -> None:
        """Start a thread when jobs wait and none is coming for them. What cannot be done now waits for the others."""
        with self._lock:
            is_missing = bool(self._jobs) and not self._is_coming and not self._call_parked()
            if not is_missing or self._threads >= self._max:
                return
        with contextlib.suppress(RuntimeError):
            self._start_thread()
