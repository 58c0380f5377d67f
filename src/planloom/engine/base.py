"""The small interfaces behind which parts of the engine can be swapped."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

Deliver = Callable[[Any, Any, BaseException | None], None]
"""Called on the loop with a job, its value, and its exception or None."""


class Clock(Protocol):
    """Wall time, for people. Durations and deadlines come from the event loop's own time."""

    is_virtual: bool
    """Whether time only moves when nothing else can happen; then a blocked loop cannot be told."""

    def now(self) -> float:
        """Return the seconds since 1970, UTC."""
        ...


class Workers(Protocol):
    """A place where sync calls run, away from the event loop. A job is any object that can be hashed."""

    abandoned: int
    """Calls that were left behind and still run."""

    def submit(self, job: Any, call: Callable[[], Any]) -> None:
        """Run `call` soon, and deliver `job` with its outcome. Raises `RuntimeError` when there is no place."""
        ...

    def abandon(self, job: Any) -> None:
        """Leave a running job behind: its worker is replaced, and its outcome is not delivered."""
        ...

    def close(self) -> None:
        """Let idle workers go; abandoned ones are daemons and go with the process."""
        ...


MakeWorkers = Callable[[asyncio.AbstractEventLoop, Deliver, int], Workers]
"""Makes the workers of one run, of at most so many threads."""
