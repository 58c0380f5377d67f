"""The end of the process: in order, but never held up by what tools left behind."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from typing import Final, NoReturn

GRACE_S: Final = 2.0
"""How long threads that tools started may take to end."""


def leave(code: int, known: frozenset[threading.Thread]) -> NoReturn:
    """Exit in order; but not wait longer than a grace for threads and processes that tools left behind.

    `known` are the threads that were there before, which are somebody else's.
    """
    deadline = time.monotonic() + GRACE_S
    others = [
        thread for thread in threading.enumerate()
        if not thread.daemon and thread not in known and thread is not threading.current_thread()
    ]  # fmt: skip
    for thread in others:
        thread.join(max(0.0, deadline - time.monotonic()))
    if any(thread.is_alive() for thread in others) or _children_are_alive():
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError, AttributeError):
                stream.flush()
        os._exit(code)
    sys.exit(code)


def _children_are_alive() -> bool:
    """Whether the interpreter would wait at its exit for a process that a tool started."""
    processes = sys.modules.get("multiprocessing.process")
    return processes is not None and any(not child.daemon for child in processes.active_children())
