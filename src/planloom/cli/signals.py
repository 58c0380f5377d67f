"""Ctrl-C and SIGTERM. Before a run they end the process at once; during a run the first one stops it in order.

A thread hears of a signal through the wake-up descriptor as soon as it arrives, also while the main thread
is held up in a tool's C code. The second signal always ends the process at once.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Generator
from types import FrameType
from typing import Any, Final, NoReturn, Self

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
SLICE_S: Final = 0.02
"""What the other threads get of the main thread's time when a signal arrives."""
SLICE_EVERY_S: Final = 0.25
words_descriptor = 2
"""Where last words go: stderr itself, also while a display has put something else in its place."""
_SHOW_CURSOR: Final = b"\x1b[?25h"


def exit_code_of(signal_number: int) -> int:
    """Return the exit code that says "ended by this signal": 130 or 143."""
    return 128 + signal_number


@contextlib.contextmanager
def leave_on_signals() -> Generator[None, None, None]:
    """While it is open, both signals end the process at once, with their exit code and without a traceback."""
    earlier: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        earlier = {number: signal.signal(number, _leave) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)


def _leave(number: int, _frame: FrameType | None) -> NoReturn:
    say_at_once("interrupted" if number == signal.SIGINT else "terminated")
    os._exit(exit_code_of(number))


def say_at_once(text: str) -> None:
    """Write a line to stderr, past every buffer and lock, and show the cursor that a display may have hidden."""
    with contextlib.suppress(OSError):
        cursor = _SHOW_CURSOR if os.isatty(words_descriptor) else b""
        os.write(words_descriptor, cursor + f"\n{text}\n".encode())


class Interruption:
    """While it is open, the first signal calls `on_signal` with its number; the second ends the process.

    `on_signal` is called on another thread than the main one, except on Windows. `number` is the first signal, or None.
    """

    def __init__(self, on_signal: Callable[[int], None]) -> None:
        self.number: int | None = None
        self._on_signal = on_signal
        self._earlier: dict[int, Any] = {}
        self._earlier_descriptor = -1
        self._read = self._write = -1

    def __enter__(self) -> Self:
        if threading.current_thread() is not threading.main_thread():
            return self  # signals belong to somebody else's program
        handler = self._handle_here
        if sys.platform != "win32":
            self._read, self._write = os.pipe()
            os.set_blocking(self._write, False)
            self._earlier_descriptor = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
            threading.Thread(target=self._listen, name="planloom-signals", daemon=True).start()
            handler = _yield_to_threads
        for number in SIGNALS:
            self._earlier[number] = signal.signal(number, handler)
        if sys.platform != "win32":
            self._earlier[signal.SIGALRM] = signal.signal(signal.SIGALRM, _yield_to_threads)
        return self

    def __exit__(self, *_: object) -> None:
        if signal.SIGALRM in self._earlier:
            signal.setitimer(signal.ITIMER_REAL, 0)
        for number, earlier in self._earlier.items():
            signal.signal(number, earlier)
        if self._write >= 0:
            signal.set_wakeup_fd(self._earlier_descriptor)
            os.close(self._write)  # the thread reads the end of the pipe and is done
            self._write = -1

    def _listen(self) -> None:
        with os.fdopen(self._read, "rb", buffering=0) as pipe:
            while received := pipe.read(64):
                for number in received:
                    if number in SIGNALS:
                        self._hear(number)

    def _handle_here(self, number: int, _frame: FrameType | None) -> None:
        self._hear(number)

    def _hear(self, number: int) -> None:
        if self.number is None:
            self.number = number
            if sys.platform != "win32":  # from now on the other threads get a slice again and again
                signal.setitimer(signal.ITIMER_REAL, SLICE_EVERY_S, SLICE_EVERY_S)
            self._on_signal(number)
        else:
            _leave(number, None)


def _yield_to_threads(_number: int, _frame: FrameType | None) -> None:
    """The listening thread has been told by the descriptor. C code that keeps the lock lets it run only in here."""
    time.sleep(SLICE_S)
