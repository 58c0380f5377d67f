"""A SQLite file that holds a journal: opened, checked, made durable, and its errors put into one sentence."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NoReturn

from planloom.errors import JournalCorruptError, JournalError
from planloom.journal.files import make_private_file, said
from planloom.journal.wal import torn_bytes

SCHEMA_VERSION: Final = 1
_APPLICATION_ID: Final = 0x504C4F4D  # "PLOM"
_RETRY_S: Final = 0.01
_CACHE: Final = """
CREATE TABLE IF NOT EXISTS cache (key TEXT NOT NULL, id INTEGER NOT NULL, PRIMARY KEY (key, id)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS cache_by_id ON cache (id);
"""
"""Where records are found again by a key. Journals of earlier versions get it when they are opened."""
_SCHEMA: Final = f"""
CREATE TABLE runs (
    key INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id TEXT NOT NULL UNIQUE,
    goal TEXT NOT NULL,
    status TEXT NOT NULL,
    started_at REAL NOT NULL,
    ended_at REAL,
    epoch INTEGER NOT NULL,
    owner TEXT,
    beat_at REAL NOT NULL,
    beat_monotonic_s REAL NOT NULL
);
CREATE INDEX runs_by_start ON runs (started_at);
CREATE INDEX runs_by_status ON runs (status, started_at);
CREATE TABLE records (id INTEGER PRIMARY KEY, line BLOB NOT NULL);
CREATE TABLE dropped (id INTEGER NOT NULL, line BLOB NOT NULL, dropped_at REAL NOT NULL, reason TEXT NOT NULL);
{_CACHE}
PRAGMA application_id = {_APPLICATION_ID};
PRAGMA user_version = {SCHEMA_VERSION};
"""


class SqliteFile:
    """One connection to one file, opened when it is first needed, used on one thread."""

    def __init__(self, path: Path, busy_s: float) -> None:
        self.path = path
        self._busy_s = busy_s
        self._opened: sqlite3.Connection | None = None
        self.torn_log_bytes = 0
        """Bytes at the end of the log, as it was found, that belong to no whole commit."""

    def close(self) -> None:
        """Close the connection; the last one to do so folds the log into the file."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def damaged(self) -> sqlite3.Connection:
        """Open the file to read what is left of it, even when it is shorter than it says."""
        connection = sqlite3.connect(f"{self.path.absolute().as_uri()}?mode=ro", uri=True)
        connection.execute("PRAGMA writable_schema = ON")
        return connection

    def transaction(self) -> _Transaction:
        """Begin, and commit at the end; whatever goes wrong rolls back and becomes one `JournalError`."""
        return _Transaction(self)

    @contextmanager
    def reading(self) -> Generator[sqlite3.Connection]:
        """Read; what goes wrong becomes one `JournalError`."""
        try:
            yield self.connection()
        except (sqlite3.Error, OSError) as error:
            raise self.said(error, "read") from error

    def said(self, error: sqlite3.Error | OSError, verb: str) -> Exception:
        """Return the error of a journal that says what went wrong, or an `IntegrityError` as it is."""
        if isinstance(error, sqlite3.IntegrityError):
            return error
        name = f"the journal {self.path}"
        if isinstance(error, OSError):
            return said(name, verb, error)
        code = getattr(error, "sqlite_errorcode", None)
        primary = None if code is None else code & 0xFF
        if is_damage(error):
            return JournalCorruptError(
                f"{name} is damaged: {error}\nhint: keep a copy of it, and of its -wal file; what can still be read "
                "is read run by run"
            )
        reasons = {
            sqlite3.SQLITE_BUSY: f"another process has held it for more than {self._busy_s:g} s",
            sqlite3.SQLITE_LOCKED: "it is locked",
            sqlite3.SQLITE_READONLY: "it may only be read",
            sqlite3.SQLITE_FULL: "the disk is full",
            sqlite3.SQLITE_CANTOPEN: "it cannot be opened; is it a file in a folder that may be written to?",
            sqlite3.SQLITE_IOERR: f"the disk failed or is full ({error})",
        }
        return JournalError(f"{name} cannot be {verb}: {reasons.get(primary or -1, str(error))}")

    def connection(self) -> sqlite3.Connection:
        """Return the connection, which is opened when it is first asked for."""
        if self._opened is None:
            make_private_file(self.path)
            self.torn_log_bytes = torn_bytes(self.path.with_name(f"{self.path.name}-wal"))
            connection = sqlite3.connect(
                self.path, timeout=self._busy_s, isolation_level=None, check_same_thread=False, cached_statements=64
            )
            try:
                self._prepare(connection)
            except BaseException:
                connection.close()
                raise
            self._opened = connection
        return self._opened

    def _prepare(self, connection: sqlite3.Connection) -> None:
        """Check whose file it is, make the tables of a new one, and ask for what durability needs."""
        self._check_version(connection)
        mode = self._use_wal(connection)
        if mode != "wal":
            raise JournalError(
                f"the journal {self.path} cannot have a write-ahead log, only `{mode}`: is it in a network folder?"
            )
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA fullfsync = ON")  # only macOS knows the difference
        connection.execute("BEGIN IMMEDIATE")
        try:
            for statement in filter(str.strip, (_CACHE if self._check_version(connection) else _SCHEMA).split(";")):
                connection.execute(statement)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def _use_wal(self, connection: sqlite3.Connection) -> str:
        """Turn the log on; SQLite does not wait by itself when two processes do so at once."""
        until_s = time.monotonic() + self._busy_s
        while True:
            try:
                return connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until_s:
                    raise
            time.sleep(_RETRY_S)

    def _check_version(self, connection: sqlite3.Connection) -> int:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
        identity = connection.execute("PRAGMA application_id").fetchone()[0]
        if (tables or version) and identity != _APPLICATION_ID:
            raise JournalError(f"{self.path} is a SQLite file, but not a journal of Planloom")
        if version > SCHEMA_VERSION:
            raise JournalError(
                f"the journal {self.path} was written by a newer Planloom: its version is {version}, "
                f"and this one knows versions up to {SCHEMA_VERSION}\nhint: pip install --upgrade planloom"
            )
        return version


class _Transaction:
    """One transaction on a file. No generator, for every commit of a journal goes through here."""

    def __init__(self, file: SqliteFile) -> None:
        self._file = file

    def __enter__(self) -> sqlite3.Connection:
        try:
            connection = self._file.connection()
            connection.execute("BEGIN IMMEDIATE")
        except (sqlite3.Error, OSError) as error:
            self._raise(error)
        return connection

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        connection = self._file.connection()
        try:
            if error is None:
                connection.execute("COMMIT")
        except BaseException as fault:  # noqa: BLE001 (it is raised again, after the rollback)
            error = fault
        if error is None:
            return
        try:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        except sqlite3.Error as fault:
            error = fault
        self._raise(error)

    def _raise(self, error: BaseException) -> NoReturn:
        """Raise an error as that of a journal, if it is one of the database or the system."""
        if not isinstance(error, sqlite3.Error | OSError) or (said := self._file.said(error, "written")) is error:
            raise error
        raise said from error


def is_damage(error: sqlite3.Error) -> bool:
    """Return whether an error says that the file is not what SQLite wrote."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return False
    return code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or code == sqlite3.SQLITE_IOERR_SHORT_READ
