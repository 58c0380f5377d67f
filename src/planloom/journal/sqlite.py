"""The journal in a SQLite file: WAL, synced at every commit, one writer thread, readable by its owner alone."""

from __future__ import annotations

from pathlib import Path

from planloom.journal.base import LEASE_S
from planloom.journal.queued import QueuedJournal
from planloom.journal.sqlite_store import SqliteStore

BUSY_S = 10.0
"""Seconds that another process may hold the file before that is an error."""


class SqliteJournal(QueuedJournal):
    """Runs in a SQLite file, which is made, with its folder, when it is first used.

    `lease_s` is how many seconds an owner that shows no sign of life keeps its run while its process still exists.
    Not for network folders: they cannot lock. `async with` closes it.
    """

    def __init__(self, path: str | Path, *, lease_s: float = LEASE_S, busy_s: float = BUSY_S) -> None:
        store = SqliteStore(Path(path), lease_s, busy_s)
        super().__init__(store, lease_s)
        self._sqlite = store

    @property
    def notice(self) -> str | None:
        """What was noticed at opening: a log that ended within a commit, as a crash leaves it; or None."""
        return self._sqlite.notice
