"""The tables of a SQLite journal, and every statement on them. Runs on the writer thread, blocks.

A record's row id is its run's key and its position in one number: one tree, written at one end per run.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from itertools import chain
from pathlib import Path
from typing import Any, Final

from planloom.errors import JournalCorruptError, JournalError, RunNotFoundError
from planloom.journal.base import MAX_RECALLED, RunSummary
from planloom.journal.owners import Owner, is_alive, lost, owned
from planloom.journal.records import ARTIFACT_PATTERN, Record, RunRecords, encode, header, read_run, recalled
from planloom.journal.sqlite_file import SqliteFile, is_damage
from planloom.journal.writers import INTERRUPTED, RUNNING
from planloom.journal.writing import Append, Claim, is_open_here

_POSITION_BITS: Final = 32
_SUMMARY: Final = """SELECT run_id, goal, status, started_at, ended_at, epoch, owner, beat_at, beat_monotonic_s
    FROM runs {where} ORDER BY started_at DESC, key DESC"""


class SqliteStore:
    """One connection to one file, opened when it is first needed."""

    def __init__(self, path: Path, lease_s: float, busy_s: float) -> None:
        self._file = SqliteFile(path, busy_s)
        self._lease_s = lease_s

    @property
    def where(self) -> str:
        """The file."""
        return str(self._file.path)

    @property
    def _place(self) -> str:
        """The file, by one name however it was named."""
        return os.path.realpath(self.where)

    @property
    def notice(self) -> str | None:
        """What was noticed when the file was opened, or None."""
        torn = self._file.torn_log_bytes
        if not torn:
            return None
        return (
            f"the log of the journal {self.where} ended within a commit: its last {torn:,} bytes were left out; "
            "what they held was not called durable, unless the disk has lost something"
        )

    # what the writer thread calls

    def commit(self, appends: Sequence[Append]) -> None:
        """Write the appends whose epochs hold, in one transaction."""
        with self._file.transaction() as connection:
            held: dict[Claim, bool] = {}
            rows: list[Iterable[tuple[int, bytes]]] = []
            keys: list[tuple[str, int]] = []
            changed: dict[Claim, Append] = {}
            for append in appends:
                claim = append.claim
                if claim not in held:
                    held[claim] = self._is_held(connection, claim)
                if held[claim]:
                    first = (claim.key << _POSITION_BITS) + append.first
                    rows.append(zip(range(first, first + len(append.lines)), append.lines, strict=True))
                    if append.keys:
                        keys += [(key, (claim.key << _POSITION_BITS) | position) for key, position in append.keys]
                    if append.status != claim.status or claim in changed:
                        changed[claim] = append
            connection.executemany("INSERT INTO records (id, line) VALUES (?, ?)", chain.from_iterable(rows))
            if keys:
                connection.executemany("INSERT OR IGNORE INTO cache (key, id) VALUES (?, ?)", keys)
            if changed:
                self._keep_status(connection, changed)
        for claim, is_held in held.items():
            if not is_held:
                claim.error = lost(claim.run_id, claim.epoch, self.where)

    def beat(self, claims: Sequence[Claim]) -> None:
        """Say that the owners are alive."""
        if not claims:
            return
        now, monotonic_s = time.time(), time.monotonic()
        with self._file.transaction() as connection:
            gone = [
                claim
                for claim in claims
                if not connection.execute(
                    "UPDATE runs SET beat_at = ?, beat_monotonic_s = ? WHERE key = ? AND epoch = ?",
                    (now, monotonic_s, claim.key, claim.epoch),
                ).rowcount
            ]
        for claim in gone:
            claim.error = lost(claim.run_id, claim.epoch, self.where)

    def close(self) -> None:
        """Close the connection; the last one to do so folds the WAL into the file."""
        self._file.close()

    # what a journal calls, on the thread

    def open_run(self, run_id: str, goal: str, meta: Mapping[str, Any]) -> Claim:
        """Insert a run with its header."""
        now = time.time()
        line = encode(header(run_id, now, goal, meta), 0)
        values = (run_id, _storable(goal), RUNNING, now, 1, Owner.this_process().to_json(), now, time.monotonic())
        try:
            with self._file.transaction() as connection:
                key = connection.execute(
                    "INSERT INTO runs (run_id, goal, status, started_at, epoch, owner, beat_at, beat_monotonic_s)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    values,
                ).lastrowid
                assert key is not None
                connection.execute("INSERT INTO records (id, line) VALUES (?, ?)", (key << _POSITION_BITS, line))
        except sqlite3.IntegrityError:
            raise JournalError(f"there is a run `{run_id}` already in {self.where}") from None
        return Claim(key, run_id, 1, RUNNING, self._place)

    def take_over(self, run_id: str, drop_damaged: bool) -> tuple[Claim, RunRecords]:
        """Raise the epoch of a run that nobody drives; return the claim and its records."""
        with self._file.transaction() as connection:
            row = connection.execute(
                "SELECT key, epoch, status, owner, beat_at, beat_monotonic_s FROM runs WHERE run_id = ?", (run_id,)
            ).fetchone()
            if row is None:
                raise RunNotFoundError(run_id, self.where)
            key, epoch, status, *signs = row
            self._refuse_if_alive(run_id, epoch, *signs)
            lines, cut = self._lines(connection, key)
            if cut is not None:
                raise JournalCorruptError(f"the run `{run_id}` in {self.where} cannot go on: {cut}")
            records = read_run(run_id, lines, self.where)
            if (dropped := records.dropped) is not None:
                if not dropped.is_torn_end and not drop_damaged:
                    raise JournalCorruptError(dropped.refusal())
                self._set_aside(connection, key, dropped.position, dropped.reason)
            connection.execute(
                "UPDATE runs SET epoch = ?, owner = ?, beat_at = ?, beat_monotonic_s = ? WHERE key = ?",
                (epoch + 1, Owner.this_process().to_json(), time.time(), time.monotonic(), key),
            )
        return Claim(key, run_id, epoch + 1, status, self._place), records

    def release(self, claim: Claim) -> None:
        """Give a run up, if it is still this owner's."""
        with self._file.transaction() as connection:
            connection.execute("UPDATE runs SET owner = NULL WHERE key = ? AND epoch = ?", (claim.key, claim.epoch))

    def read(self, run_id: str) -> RunRecords:
        """Return a run's records, as far as they can be read."""
        try:
            with self._file.reading() as connection:
                return self._read(connection, run_id)
        except JournalCorruptError as damage:
            return self._salvage(run_id, damage)

    def runs(self, limit: int, status: str | None) -> list[RunSummary]:
        """Return the newest runs first."""
        stored = RUNNING if status == INTERRUPTED else status
        where = "" if stored is None else "WHERE status = :status"
        found: list[RunSummary] = []
        with self._file.reading() as connection:
            for row in connection.execute(_SUMMARY.format(where=where), {"status": stored}):
                run_id, goal, shown, started_at, ended_at, epoch, *signs = row
                if shown == RUNNING and not self._is_alive(run_id, epoch, *signs):
                    shown = INTERRUPTED
                if status is None or status == shown:
                    found.append(RunSummary(run_id, goal, shown, started_at, ended_at, epoch))
                    if len(found) >= limit:
                        break
        return found[:limit]

    def delete(self, run_ids: Sequence[str]) -> int:
        """Delete runs that nobody drives."""
        count = 0
        with self._file.transaction() as connection:
            for run_id in run_ids:
                row = connection.execute(
                    "SELECT key, epoch, owner, beat_at, beat_monotonic_s FROM runs WHERE run_id = ?", (run_id,)
                ).fetchone()
                if row is None:
                    continue
                key, epoch, *signs = row
                self._refuse_if_alive(run_id, epoch, *signs)
                for table in ("records", "dropped", "cache"):
                    connection.execute(
                        f"DELETE FROM {table} WHERE id BETWEEN ? AND ?",  # noqa: S608 (one of three names)
                        (key << _POSITION_BITS, ((key + 1) << _POSITION_BITS) - 1),
                    )
                connection.execute("DELETE FROM runs WHERE key = ?", (key,))
                count += 1
        return count

    def artifacts(self) -> frozenset[str]:
        """Return the hash of every artifact that is mentioned."""
        found: set[str] = set()
        with self._file.reading() as connection:
            for table in ("records", "dropped"):
                for (line,) in connection.execute(f"SELECT line FROM {table}"):  # noqa: S608 (one of two names)
                    found.update(match.decode() for match in ARTIFACT_PATTERN.findall(line))
        return frozenset(found)

    def recall(self, key: str) -> Record | None:
        """Return the newest success under a key."""
        with self._file.reading() as connection:
            for id, run_id, line in connection.execute(
                "SELECT cache.id, run_id, line FROM cache JOIN records ON records.id = cache.id"
                " JOIN runs ON runs.key = cache.id >> ? WHERE cache.key = ? ORDER BY cache.id DESC LIMIT ?",
                (_POSITION_BITS, key, MAX_RECALLED),
            ):
                record = recalled(line, run_id, id & ((1 << _POSITION_BITS) - 1), key)
                if record is not None:
                    return record
        return None

    # inside a transaction

    def _is_held(self, connection: sqlite3.Connection, claim: Claim) -> bool:
        row = connection.execute("SELECT epoch FROM runs WHERE key = ?", (claim.key,)).fetchone()
        return row is not None and row[0] == claim.epoch

    def _keep_status(self, connection: sqlite3.Connection, changed: Mapping[Claim, Append]) -> None:
        """Write what the list of runs shows, by the last append of each run: most commits touch the records alone."""
        for claim, append in changed.items():
            connection.execute(
                "UPDATE runs SET status = ?, ended_at = ? WHERE key = ?",
                (append.status, append.ended_at, claim.key),
            )
            claim.status = append.status

    def _read(self, connection: sqlite3.Connection, run_id: str) -> RunRecords:
        row = connection.execute("SELECT key FROM runs WHERE run_id = ?", (run_id,)).fetchone()
        if row is None:
            raise RunNotFoundError(run_id, self.where)
        lines, cut = self._lines(connection, row[0])
        return read_run(run_id, lines, self.where, cut)

    def _salvage(self, run_id: str, damage: JournalCorruptError) -> RunRecords:
        """Read what is left of a run in a file that SQLite refuses, such as one that was cut off."""
        try:
            with closing(self._file.damaged()) as connection:
                return self._read(connection, run_id)
        except (sqlite3.Error, RunNotFoundError):
            raise damage from None

    def _lines(self, connection: sqlite3.Connection, key: int) -> tuple[list[tuple[int, bytes]], str | None]:
        """Return positions and lines of a run as far as the file gives them, and why there are no more, if so."""
        first = key << _POSITION_BITS
        lines: list[tuple[int, bytes]] = []
        cut: str | None = None
        try:
            for id, line in connection.execute(
                "SELECT id, line FROM records WHERE id BETWEEN ? AND ? ORDER BY id",
                (first, first + (1 << _POSITION_BITS) - 1),
            ):
                lines.append((id - first, line if isinstance(line, bytes) else str(line).encode()))
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise
            cut = f"the file is damaged ({error})"
        return lines, cut

    def _set_aside(self, connection: sqlite3.Connection, key: int, position: int, reason: str) -> None:
        first, last = (key << _POSITION_BITS) | position, ((key + 1) << _POSITION_BITS) - 1
        connection.execute(
            "INSERT INTO dropped SELECT id, line, ?, ? FROM records WHERE id BETWEEN ? AND ?",
            (time.time(), reason, first, last),
        )
        connection.execute("DELETE FROM records WHERE id BETWEEN ? AND ?", (first, last))

    def _is_alive(self, run_id: str, epoch: int, owner: str | None, beat_at: float, beat_monotonic_s: float) -> bool:
        known = Owner.from_json(owner) if owner else None
        if known == Owner.this_process():
            return is_open_here(self._place, run_id, epoch)
        return is_alive(known, time.time() - beat_at, time.monotonic() - beat_monotonic_s, self._lease_s)

    def _refuse_if_alive(
        self, run_id: str, epoch: int, owner: str | None, beat_at: float, beat_monotonic_s: float
    ) -> None:
        if self._is_alive(run_id, epoch, owner, beat_at, beat_monotonic_s):
            raise owned(run_id, epoch, owner, self._lease_s)


def _storable(text: str) -> str:
    """Return text without halves of characters, which the list of runs can do without."""
    return text.encode(errors="replace").decode()
