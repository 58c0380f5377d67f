"""Real time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable


class SystemClock:
    """The machine's clock."""

    is_virtual = False

    def now(self) -> float:
        """Return the seconds since 1970, UTC."""
        return time.time()


def time_of(loop: asyncio.AbstractEventLoop) -> Callable[[], float]:
    """Return what tells the time of a loop: `loop.time`, or what that calls, for half the price."""
    return time.monotonic if type(loop).time is asyncio.BaseEventLoop.time else loop.time
