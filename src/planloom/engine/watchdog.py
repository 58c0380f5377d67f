"""Says when an async tool blocks the loop: one daemon thread for the whole process.

It asks each loop with a run on it for a sign of life. While a loop is blocked nothing on it can report that,
so the log line and the caller's `on_blocked` come from this thread; the event follows when the loop is back.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from typing import Any, Final

BLOCKED_AFTER_S: Final = 1.0
_LOG: Final = logging.getLogger("planloom")

OnBlocked = Callable[[str, float], None]
"""Called from the watchdog's thread with the step's id ("" when unknown) and the seconds so far."""


class Watched:
    """One run on one loop, as the watchdog sees it."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        who: Callable[[Any], str],
        report: Callable[[str, float], None],
        on_blocked: OnBlocked | None,
    ) -> None:
        self.loop = loop
        self.who = who
        self.report = report
        self.on_blocked = on_blocked
        self.asked_at: float | None = None
        self.blocked_step: str | None = None

    def answer(self) -> None:
        """Runs on the loop: it is alive. Report the block that is over, if there was one."""
        asked_at, self.asked_at = self.asked_at, None
        step_id, self.blocked_step = self.blocked_step, None
        if step_id is None or asked_at is None:
            return
        blocked_s = time.monotonic() - asked_at
        if blocked_s >= BLOCKED_AFTER_S:  # else the block ended just before it was noticed
            self.report(step_id, blocked_s)


class Watchdog:
    """The thread, and the runs it looks after."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._watched: list[Watched] = []
        self._work = threading.Event()
        self._thread: threading.Thread | None = None

    def watch(self, watched: Watched) -> None:
        """Look after a run until `forget`."""
        with self._lock:
            self._watched.append(watched)
            if self._thread is None or not self._thread.is_alive():  # after a fork it is not
                self._thread = threading.Thread(target=self._run, name="planloom-watchdog", daemon=True)
                self._thread.start()
        self._work.set()

    def forget(self, watched: Watched) -> None:
        """Stop looking after a run."""
        with self._lock:
            self._watched.remove(watched)
            if not self._watched:
                self._work.clear()

    def _run(self) -> None:
        while self._work.wait():
            with self._lock:
                watched = list(self._watched)
            while watched:  # nothing of a run that ends meanwhile is held on to
                self._look_at(watched.pop())
            time.sleep(BLOCKED_AFTER_S / 2)

    def _look_at(self, entry: Watched) -> None:
        now = time.monotonic()
        if entry.asked_at is None:
            entry.asked_at = now
            try:
                entry.loop.call_soon_threadsafe(entry.answer)
            except RuntimeError:
                return  # the loop is closed
        elif now - entry.asked_at >= BLOCKED_AFTER_S:
            blocked_s = now - entry.asked_at
            step_id = self._blocking_step(entry)
            if entry.blocked_step is None:
                entry.blocked_step = step_id
                _LOG.warning(
                    "step %s has blocked the event loop for %.1f s, so nothing else can move; "
                    "make it sync (it then runs on a thread) or await inside it",
                    f"`{step_id}`" if step_id else "(unknown)",
                    blocked_s,
                )
            if entry.on_blocked is not None:
                try:
                    entry.on_blocked(step_id, blocked_s)
                except BaseException as error:
                    _LOG.warning("on_blocked raised %s; the run goes on", type(error).__name__)
                    entry.on_blocked = None

    @staticmethod
    def _blocking_step(entry: Watched) -> str:
        try:
            return entry.who(asyncio.current_task(entry.loop))
        except RuntimeError:
            return ""


WATCHDOG: Final = Watchdog()
