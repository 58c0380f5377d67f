"""The last resort: a process in which no Python code can run any more still ends.

C code that keeps the interpreter's lock (a regular expression that backtracks for years) stops every thread, the
watchdog's included. `faulthandler` has a timer that needs no lock; it is wound up again and again while Python runs.
When it goes off it writes to stderr where every thread stands, and the process exits with 1.
"""

from __future__ import annotations

import contextlib
import faulthandler
import threading
import time
from collections.abc import Callable
from typing import Final, Self

from planloom.cli import signals

WIND_EVERY_S: Final = 1.0
STEPS_EVERY_S: Final = 0.1
"""The start of a step winds it up too, but not more often than this: it takes 0.1 ms."""


class LastResort:
    """While it is open: the process exits with 1 when no Python code has run for `allowed_s()` seconds."""

    def __init__(self, allowed_s: Callable[[], float]) -> None:
        self._allowed_s = allowed_s
        self._lock = threading.Lock()
        self._is_closed = threading.Event()
        self._next_step = 0.0

    def __enter__(self) -> Self:
        threading.Thread(target=self._keep_winding, name="planloom-last-resort", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._is_closed.set()
            faulthandler.cancel_dump_traceback_later()

    def on_step_started(self) -> None:
        """Allow for the new step's own time limit."""
        now = time.monotonic()
        if now >= self._next_step:
            self._next_step = now + STEPS_EVERY_S
            self._wind()

    def _keep_winding(self) -> None:
        while not self._is_closed.wait(WIND_EVERY_S):
            self._wind()

    def _wind(self) -> None:
        allowed_s = self._allowed_s()
        with self._lock, contextlib.suppress(ValueError, OverflowError):  # years away
            if not self._is_closed.is_set():
                faulthandler.dump_traceback_later(allowed_s, exit=True, file=signals.words_descriptor)
