"""Which journal an address means: a file, a PostgreSQL server, or memory."""

from __future__ import annotations

from pathlib import Path

from planloom.journal.base import Journal
from planloom.journal.memory import MemoryJournal
from planloom.journal.postgres import PostgresJournal
from planloom.journal.sqlite import SqliteJournal

_SERVER_SCHEMES = ("postgresql://", "postgres://")
IN_MEMORY = ":memory:"


def open_journal(address: str | Path | Journal) -> Journal:
    """Return the journal for `runs.db`, `postgresql://user@host/database` or `:memory:`; a journal is returned as is.

    Nothing is opened or connected yet. Raises `MissingExtraError` for a server without the extra `postgres`.
    """
    if isinstance(address, Path):
        return SqliteJournal(address)
    if not isinstance(address, str):
        return address
    if address == IN_MEMORY:
        return MemoryJournal()
    if address.startswith(_SERVER_SCHEMES):
        return PostgresJournal(address)
    return SqliteJournal(address)
