"""The tables of a PostgreSQL journal, and every statement on them. Runs on the writer thread, blocks.

A broken connection is made again and the work done again: positions are fixed before, so nothing is written twice.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

from planloom.errors import JournalCorruptError, JournalError, RunNotFoundError
from planloom.journal.base import MAX_RECALLED, RunSummary
from planloom.journal.owners import Owner, is_alive, lost, owned
from planloom.journal.records import ARTIFACT_PATTERN, Record, RunRecords, encode, header, read_run, recalled
from planloom.journal.writers import INTERRUPTED, RUNNING
from planloom.journal.writing import Append, Claim, is_open_here

if TYPE_CHECKING:
    import psycopg

T = TypeVar("T")
SCHEMA_VERSION: Final = 1
MAX_TRIES: Final = 3
"""How often one piece of work is tried when the connection breaks."""
_RETRY_S: Final = 0.2
_CONNECT_S: Final = 10
_FETCHED_ROWS: Final = 1_000
_SCHEMA_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
_TABLES: Final = """
CREATE SCHEMA IF NOT EXISTS {schema};
CREATE TABLE IF NOT EXISTS {schema}.journal (version integer NOT NULL);
INSERT INTO {schema}.journal SELECT {version} WHERE NOT EXISTS (SELECT 1 FROM {schema}.journal);
CREATE TABLE IF NOT EXISTS {schema}.runs (
    key bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id text NOT NULL UNIQUE,
    goal text NOT NULL,
    status text NOT NULL,
    started_at double precision NOT NULL,
    ended_at double precision,
    epoch bigint NOT NULL,
    owner text,
    beat_at timestamptz NOT NULL,
    beat_monotonic_s double precision NOT NULL
);
CREATE INDEX IF NOT EXISTS runs_by_start ON {schema}.runs (started_at);
CREATE INDEX IF NOT EXISTS runs_by_status ON {schema}.runs (status, started_at);
CREATE TABLE IF NOT EXISTS {schema}.records (
    run bigint NOT NULL REFERENCES {schema}.runs (key) ON DELETE CASCADE,
    position bigint NOT NULL,
    line bytea NOT NULL,
    PRIMARY KEY (run, position)
);
CREATE TABLE IF NOT EXISTS {schema}.dropped (
    run bigint NOT NULL REFERENCES {schema}.runs (key) ON DELETE CASCADE,
    position bigint NOT NULL,
    line bytea NOT NULL,
    reason text NOT NULL,
    dropped_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE TABLE IF NOT EXISTS {schema}.cache (
    key text NOT NULL,
    run bigint NOT NULL REFERENCES {schema}.runs (key) ON DELETE CASCADE,
    position bigint NOT NULL,
    PRIMARY KEY (key, run, position)
);
CREATE INDEX IF NOT EXISTS cache_by_run ON {schema}.cache (run);
"""
_SIGNS: Final = "owner, extract(epoch FROM clock_timestamp() - beat_at)::float8, beat_monotonic_s"


class PostgresStore:
    """One connection to one database, made when it is first needed."""

    def __init__(self, address: str, schema: str, lease_s: float) -> None:
        if not _SCHEMA_NAME.fullmatch(schema):
            raise JournalError(f"`{schema[:80]}` cannot be a schema: letters, digits and `_` are needed, at most 63")
        self._address = address
        self._schema = schema
        self._lease_s = lease_s
        self._opened: psycopg.Connection[Any] | None = None

    @property
    def where(self) -> str:
        """The server, without a password."""
        shown = re.sub(r"//([^/@:]*):[^/@]*@", r"//\1@", self._address.split("?")[0])
        return re.sub(r"password\s*=\s*('[^']*'|\S*)", "password=…", shown)

    # what the writer thread calls

    def commit(self, appends: Sequence[Append]) -> None:
        """Write the appends whose epochs hold, in one transaction."""

        def write(connection: psycopg.Connection[Any]) -> list[Claim]:
            # in the order of keys, so that two writers never wait for each other in a circle
            claims = sorted({append.claim for append in appends}, key=lambda claim: claim.key)
            held = {claim for claim in claims if self._is_held(connection, claim)}
            written = [append for append in appends if append.claim in held]
            rows = [
                (append.claim.key, position, line)
                for append in written
                for position, line in enumerate(append.lines, append.first)
            ]
            if rows:
                with connection.cursor() as cursor:
                    # there already: written before the connection broke, by this owner, at this epoch
                    cursor.executemany(
                        self._sql("INSERT INTO {schema}.records VALUES (%s, %s, %s) ON CONFLICT DO NOTHING"), rows
                    )
            keys = [(key, append.claim.key, position) for append in written for key, position in append.keys]
            if keys:
                with connection.cursor() as cursor:
                    cursor.executemany(
                        self._sql("INSERT INTO {schema}.cache VALUES (%s, %s, %s) ON CONFLICT DO NOTHING"), keys
                    )
            for append in {append.claim: append for append in written}.values():
                if append.status != append.claim.status:
                    connection.execute(
                        self._sql("UPDATE {schema}.runs SET status = %s, ended_at = %s WHERE key = %s"),
                        (append.status, append.ended_at, append.claim.key),
                    )
            return [claim for claim in claims if claim not in held]

        for claim in (gone := self._done("written", write)):
            claim.error = lost(claim.run_id, claim.epoch, self.where)
        for append in appends:
            if append.claim not in gone:
                append.claim.status = append.status

    def beat(self, claims: Sequence[Claim]) -> None:
        """Say that the owners are alive."""
        ordered = sorted(claims, key=lambda claim: claim.key)

        def write(connection: psycopg.Connection[Any]) -> list[Claim]:
            return [
                claim
                for claim in ordered
                if not connection.execute(
                    self._sql(
                        "UPDATE {schema}.runs SET beat_at = clock_timestamp(), beat_monotonic_s = %s"
                        " WHERE key = %s AND epoch = %s"
                    ),
                    (time.monotonic(), claim.key, claim.epoch),
                ).rowcount
            ]

        for claim in self._done("written", write) if ordered else ():
            claim.error = lost(claim.run_id, claim.epoch, self.where)

    def close(self) -> None:
        """Close the connection."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    # what a journal calls, on the thread

    def open_run(self, run_id: str, goal: str, meta: Mapping[str, Any]) -> Claim:
        """Insert a run with its header."""
        now = time.time()
        line = encode(header(run_id, now, goal, meta), 0)
        shown = goal.encode(errors="replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")
        values = (run_id, shown, RUNNING, now, 1, Owner.this_process().to_json(), time.monotonic())

        def write(connection: psycopg.Connection[Any]) -> int:
            row = connection.execute(
                self._sql(
                    "INSERT INTO {schema}.runs"
                    " (run_id, goal, status, started_at, epoch, owner, beat_monotonic_s, beat_at)"
                    " VALUES (%s, %s, %s, %s, %s, %s, %s, clock_timestamp()) ON CONFLICT DO NOTHING RETURNING key"
                ),
                values,
            ).fetchone()
            if row is not None:
                connection.execute(self._sql("INSERT INTO {schema}.records VALUES (%s, 0, %s)"), (row[0], line))
                return row[0]
            # its own insert of a moment ago, when the connection broke while it was committed
            row = connection.execute(
                self._sql(
                    "SELECT key FROM {schema}.runs JOIN {schema}.records ON run = key AND position = 0"
                    " WHERE run_id = %s AND epoch = 1 AND line = %s"
                ),
                (run_id, line),
            ).fetchone()
            if row is None:
                raise JournalError(f"there is a run `{run_id}` already in {self.where}")
            return row[0]

        return Claim(self._done("written", write), run_id, 1, RUNNING, self.where)

    def take_over(self, run_id: str, drop_damaged: bool) -> tuple[Claim, RunRecords]:
        """Raise the epoch of a run that nobody drives; return the claim and its records."""

        def write(connection: psycopg.Connection[Any]) -> tuple[Claim, RunRecords]:
            key, epoch, status, *signs = self._row(connection, run_id, f"key, epoch, status, {_SIGNS}", " FOR UPDATE")
            self._refuse_if_alive(run_id, epoch, *signs)
            records = read_run(run_id, self._lines(connection, key), self.where)
            if (dropped := records.dropped) is not None:
                if not dropped.is_torn_end and not drop_damaged:
                    raise JournalCorruptError(dropped.refusal())
                connection.execute(
                    self._sql(
                        "WITH gone AS (DELETE FROM {schema}.records WHERE run = %s AND position >= %s RETURNING *)"
                        " INSERT INTO {schema}.dropped (run, position, line, reason)"
                        " SELECT run, position, line, %s FROM gone"
                    ),
                    (key, dropped.position, dropped.reason),
                )
            connection.execute(
                self._sql(
                    "UPDATE {schema}.runs SET epoch = %s, owner = %s, beat_at = clock_timestamp(),"
                    " beat_monotonic_s = %s WHERE key = %s"
                ),
                (epoch + 1, Owner.this_process().to_json(), time.monotonic(), key),
            )
            return Claim(key, run_id, epoch + 1, status, self.where), records

        return self._done("written", write)

    def release(self, claim: Claim) -> None:
        """Give a run up, if it is still this owner's."""
        statement = self._sql("UPDATE {schema}.runs SET owner = NULL WHERE key = %s AND epoch = %s")
        self._done("written", lambda connection: connection.execute(statement, (claim.key, claim.epoch)) and None)

    def read(self, run_id: str) -> RunRecords:
        """Return a run's records."""

        def fetch(connection: psycopg.Connection[Any]) -> list[tuple[int, bytes]]:
            return self._lines(connection, self._row(connection, run_id, "key")[0])

        return read_run(run_id, self._done("read", fetch), self.where)

    def runs(self, limit: int, status: str | None) -> list[RunSummary]:
        """Return the newest runs first."""
        stored = RUNNING if status == INTERRUPTED else status
        where = "" if stored is None else "WHERE status = %(status)s"
        statement = self._sql(
            f"SELECT run_id, goal, status, started_at, ended_at, epoch, {_SIGNS} FROM {{schema}}.runs {where}"  # noqa: S608 (fixed words)
            " ORDER BY started_at DESC, key DESC"
        )

        def fetch(connection: psycopg.Connection[Any]) -> list[RunSummary]:
            found: list[RunSummary] = []
            with connection.cursor("runs") as cursor:
                cursor.itersize = min(max(limit, 1), _FETCHED_ROWS)
                cursor.execute(statement, {"status": stored})
                for run_id, goal, shown, started_at, ended_at, epoch, *signs in cursor:
                    if shown == RUNNING and not self._is_alive(run_id, epoch, *signs):
                        shown = INTERRUPTED
                    if status is None or status == shown:
                        found.append(RunSummary(run_id, goal, shown, started_at, ended_at, epoch))
                        if len(found) >= limit:
                            break
            return found[:limit]

        return self._done("read", fetch)

    def delete(self, run_ids: Sequence[str]) -> int:
        """Delete runs that nobody drives."""

        def write(connection: psycopg.Connection[Any]) -> int:
            rows = connection.execute(
                self._sql(
                    f"SELECT run_id, key, epoch, {_SIGNS} FROM {{schema}}.runs"  # noqa: S608 (fixed words)
                    " WHERE run_id = ANY(%s) ORDER BY key FOR UPDATE"
                ),
                (list(run_ids),),
            ).fetchall()
            for run_id, _, epoch, *signs in rows:
                self._refuse_if_alive(run_id, epoch, *signs)
            connection.execute(self._sql("DELETE FROM {schema}.runs WHERE key = ANY(%s)"), ([row[1] for row in rows],))
            return len(rows)

        return self._done("written", write)

    def artifacts(self) -> frozenset[str]:
        """Return the hash of every artifact that is mentioned."""

        def fetch(connection: psycopg.Connection[Any]) -> frozenset[str]:
            found: set[str] = set()
            with connection.cursor("lines") as cursor:
                cursor.execute(
                    self._sql("SELECT line FROM {schema}.records UNION ALL SELECT line FROM {schema}.dropped")
                )
                for (line,) in cursor:
                    found.update(match.decode() for match in ARTIFACT_PATTERN.findall(line))
            return frozenset(found)

        return self._done("read", fetch)

    def recall(self, key: str) -> Record | None:
        """Return the newest success under a key."""
        statement = self._sql(
            "SELECT run_id, cache.position, line FROM {schema}.cache"
            " JOIN {schema}.records USING (run, position) JOIN {schema}.runs ON runs.key = run"
            " WHERE cache.key = %s ORDER BY run DESC, cache.position DESC LIMIT %s"
        )
        rows = self._done("read", lambda connection: connection.execute(statement, (key, MAX_RECALLED)).fetchall())
        found = (recalled(line, run_id, position, key) for run_id, position, line in rows)
        return next((record for record in found if record is not None), None)

    # inside a transaction

    def _sql(self, statement: str) -> Any:
        return statement.replace("{schema}", self._schema)

    def _is_held(self, connection: psycopg.Connection[Any], claim: Claim) -> bool:
        row = connection.execute(
            self._sql("SELECT epoch FROM {schema}.runs WHERE key = %s FOR NO KEY UPDATE"), (claim.key,)
        ).fetchone()
        return row is not None and row[0] == claim.epoch

    def _row(self, connection: psycopg.Connection[Any], run_id: str, columns: str, lock: str = "") -> Any:
        statement = self._sql(f"SELECT {columns} FROM {{schema}}.runs WHERE run_id = %s{lock}")  # noqa: S608 (fixed words)
        row = connection.execute(statement, (run_id,)).fetchone()
        if row is None:
            raise RunNotFoundError(run_id, self.where)
        return row

    def _lines(self, connection: psycopg.Connection[Any], key: int) -> list[tuple[int, bytes]]:
        return connection.execute(
            self._sql("SELECT position, line FROM {schema}.records WHERE run = %s ORDER BY position"), (key,)
        ).fetchall()

    def _is_alive(self, run_id: str, epoch: int, owner: str | None, age_s: float, beat_monotonic_s: float) -> bool:
        known = Owner.from_json(owner) if owner else None
        if known == Owner.this_process():
            return is_open_here(self.where, run_id, epoch)
        return is_alive(known, age_s, time.monotonic() - beat_monotonic_s, self._lease_s)

    def _refuse_if_alive(
        self, run_id: str, epoch: int, owner: str | None, age_s: float, beat_monotonic_s: float
    ) -> None:
        if self._is_alive(run_id, epoch, owner, age_s, beat_monotonic_s):
            raise owned(run_id, epoch, owner, self._lease_s)

    # the connection

    def _done(self, verb: str, work: Callable[[psycopg.Connection[Any]], T]) -> T:
        """Do work in one transaction; again on a new connection when the old one broke."""
        import psycopg  # an optional library

        for tries_left in reversed(range(MAX_TRIES)):
            try:
                connection = self._connection()
                with connection.transaction():
                    return work(connection)
            except psycopg.Error as error:
                is_broken = self._opened is None or self._opened.broken or self._opened.closed
                if is_broken:
                    self._drop_connection()
                if not (is_broken and tries_left):
                    reason = " ".join(str(error).split()) or type(error).__name__
                    raise JournalError(f"the journal {self.where} cannot be {verb}: {reason}") from error
            time.sleep(_RETRY_S)
        raise AssertionError("the last try returns or raises")

    def _drop_connection(self) -> None:
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def _connection(self) -> psycopg.Connection[Any]:
        if self._opened is None:
            import psycopg  # an optional library

            connection: psycopg.Connection[Any] = psycopg.connect(
                self._address, autocommit=True, connect_timeout=_CONNECT_S, application_name="planloom"
            )
            try:
                self._prepare(connection)
            except BaseException:
                connection.close()
                raise
            self._opened = connection
        return self._opened

    def _prepare(self, connection: psycopg.Connection[Any]) -> None:
        """Make the tables of a new journal, and check the version of one that is there."""
        # the table that came last: a journal of an earlier version gets what it does not have yet
        found = connection.execute("SELECT to_regclass(%s)", (f"{self._schema}.cache",)).fetchone()
        connection.execute("SET synchronous_commit = on")
        connection.execute("SET client_min_messages = warning")
        if found is None or found[0] is None:
            with connection.transaction():
                # two processes that begin together: the second waits, and then finds the tables
                connection.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", (f"planloom {self._schema}",))
                connection.execute(self._sql(_TABLES).replace("{version}", str(SCHEMA_VERSION)))
        row = connection.execute(self._sql("SELECT version FROM {schema}.journal")).fetchone()
        version = row[0] if row else 0
        if version > SCHEMA_VERSION:
            raise JournalError(
                f"the journal {self.where} was written by a newer Planloom: its version is {version}, "
                f"and this one knows versions up to {SCHEMA_VERSION}\nhint: pip install --upgrade planloom"
            )
