"""Where the tests keep journals: memory, a SQLite file, and a PostgreSQL server that they start themselves."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import sqlite3
import subprocess
import time
from pathlib import Path

from planloom.journal import MemoryJournal, SqliteJournal
from planloom.journal.postgres import PostgresJournal

START_S = 30


class MemoryPlace:
    """One journal in memory; whoever opens it gets the same."""

    kind = "memory"

    def __init__(self):
        self.address = ":memory:"
        self._journal = MemoryJournal()

    def open(self, lease_s=30.0):
        return self._journal

    def tamper(self, run_id, change):
        run = self._journal._runs[run_id]
        run.lines[:] = change(list(run.lines))


class SqlitePlace:
    """A file of its own."""

    kind = "sqlite"

    def __init__(self, folder):
        self.path = folder / "runs.db"
        self.address = str(self.path)

    def open(self, lease_s=30.0):
        return SqliteJournal(self.path, lease_s=lease_s)

    def tamper(self, run_id, change):
        with contextlib.closing(sqlite3.connect(self.path)) as connection, connection:
            first = connection.execute("SELECT key FROM runs WHERE run_id = ?", (run_id,)).fetchone()[0] << 32
            rows = connection.execute(
                "SELECT id, line FROM records WHERE id BETWEEN ? AND ? ORDER BY id", (first, first + 2**32 - 1)
            ).fetchall()
            connection.executemany("DELETE FROM records WHERE id = ?", [(id,) for id, _ in rows])
            connection.executemany(
                "INSERT INTO records VALUES (?, ?)",
                [(first + position, line) for position, line in change([(id - first, line) for id, line in rows])],
            )


class PostgresPlace:
    """A schema of its own on the server that the tests share."""

    kind = "postgres"
    made = 0

    def __init__(self, server):
        PostgresPlace.made += 1
        self.schema = "planloom"
        self.address = server.database(f"journal_{PostgresPlace.made}")

    def open(self, lease_s=30.0):
        return PostgresJournal(self.address, lease_s=lease_s)

    def tamper(self, run_id, change):
        import psycopg

        with psycopg.connect(self.address) as connection:
            key = connection.execute("SELECT key FROM planloom.runs WHERE run_id = %s", (run_id,)).fetchone()[0]
            rows = connection.execute(
                "DELETE FROM planloom.records WHERE run = %s RETURNING position, line", (key,)
            ).fetchall()
            for position, line in change(sorted(rows)):
                connection.execute("INSERT INTO planloom.records VALUES (%s, %s, %s)", (key, position, line))


class PostgresServer:
    """A server of its own in a temporary folder, on a Unix socket; nothing else can reach it."""

    def __init__(self, folder, binaries):
        self.folder = folder
        self._binaries = binaries
        # PostgreSQL refuses to run as root
        self._user = "postgres" if os.geteuid() == 0 else None
        if self._user:
            os.chown(folder, pwd.getpwnam(self._user).pw_uid, -1)
        self._run(
            "initdb", "-D", folder / "data", "-U", "planloom", "-A", "trust", "-E", "UTF8", "--no-sync", "--locale=C"
        )
        options = ["-c", f"unix_socket_directories={folder}", "-c", "listen_addresses=", "-c", "fsync=off"]
        with (folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [binaries / "postgres", "-D", folder / "data", *options], stdout=log, stderr=log, user=self._user
            )
        self._wait()

    def _run(self, name, *arguments):
        subprocess.run(
            [self._binaries / name, *arguments], check=True, capture_output=True, user=self._user, timeout=60
        )

    def _wait(self):
        import psycopg

        until_s = time.monotonic() + START_S
        while True:
            try:
                psycopg.connect(self.address("postgres")).close()
                return
            except psycopg.OperationalError:
                if time.monotonic() > until_s or self._process.poll() is not None:
                    raise
            time.sleep(0.05)

    def address(self, database):
        return f"postgresql://planloom@/{database}?host={self.folder}"

    def database(self, name):
        import psycopg

        with psycopg.connect(self.address("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self.address(name)

    def stop(self):
        self._process.terminate()
        self._process.wait(START_S)


def find_binaries() -> Path | None:
    """The folder with `initdb` and `postgres`: on the path, or where Debian keeps them."""
    found = shutil.which("initdb")
    places = [Path(found).resolve().parent] if found else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((place for place in places if (place / "initdb").exists() and (place / "postgres").exists()), None)
