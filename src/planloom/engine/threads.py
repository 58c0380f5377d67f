"""Sync tools on threads: as many as there is work for, up to a limit, all daemons.

A thread cannot be stopped from outside. A call that ignores its end is abandoned: its thread is counted and
replaced, and what it gives back one day is dropped. Outcomes reach the loop in batches, because waking it
costs ten times what a batch entry does.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
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
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._outcomes: deque[tuple[Any, Any, BaseException | None]] = deque()
        self._is_waking = False
        self._lock = threading.Lock()
        self._open: set[Any] = set()
        """Jobs that are queued or under way, and not abandoned."""
        self._threads = 0

    def submit(self, job: Any, call: Callable[[], Any]) -> None:
        """Run `call` on a thread. Raises `RuntimeError` when there is none and none can be started."""
        with self._lock:
            self._open.add(job)
            if len(self._open) > self._threads and self._threads < self._max:
                self._start_thread(job)
        self._jobs.put((job, call))

    def _start_thread(self, job: Any) -> None:
        try:
            threading.Thread(target=self._work, name="planloom-tool", daemon=True).start()
            self._threads += 1
        except RuntimeError:
            if not self._threads:
                self._open.discard(job)
                raise

    def abandon(self, job: Any) -> None:
        """Leave the thread of `job` behind; another one takes its place when there is work for it."""
        with self._lock:
            if job in self._open:  # else it has just ended, and its outcome is on its way
                self._open.discard(job)
                self.abandoned += 1
                self._threads -= 1

    def close(self) -> None:
        """Let every idle thread go; what is still queued is not started any more."""
        with self._lock:
            count, self._threads = self._threads, 0
            self._open.clear()
        for _ in range(count):
            self._jobs.put(None)

    def _work(self) -> None:
        while (entry := self._jobs.get()) is not None:
            job, call = entry
            value, error = None, None
            try:
                if job in self._open:
                    value = call()
            except BaseException as raised:  # SystemExit and KeyboardInterrupt of a tool end the step, not the thread
                error = raised
            with self._lock:
                if job not in self._open:
                    self.abandoned = max(0, self.abandoned - 1)
                    return
                self._open.discard(job)
            self._outcomes.append((job, value, error))
            del entry, job, call, value, error
            self._wake()

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
