"""Tasks that ignore their cancellation. They cannot be stopped, only kept until they end by themselves.

The event loop holds its tasks weakly: one that nobody else holds may be collected in the middle of its work.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

_ORPHANS: Final[set[asyncio.Future[Any]]] = set()


def keep(task: asyncio.Future[Any]) -> None:
    """Hold a task until it is done, and look at its exception, so that nobody complains about it."""
    if not task.done():
        _ORPHANS.add(task)
    task.add_done_callback(_let_go)


def _let_go(task: asyncio.Future[Any]) -> None:
    _ORPHANS.discard(task)
    if not task.cancelled():
        task.exception()
