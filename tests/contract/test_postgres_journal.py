"""The PostgreSQL journal where connections break and servers are not there."""

from __future__ import annotations

import asyncio
import contextlib
from importlib import util

import pytest
from journal_places import PostgresPlace

from planloom.errors import JournalError, MissingExtraError
from planloom.journal import Record
from planloom.journal.postgres import PostgresJournal

psycopg = pytest.importorskip("psycopg")


@pytest.fixture
def place(postgres):
    return PostgresPlace(postgres)


def record(seq):
    return Record(seq, "r1", 1.0 * seq, "x", None, {"n": seq})


async def story(journal):
    """A run that is opened, written, read, given up, taken over, ended and listed."""
    writer = await journal.open_run("r1", "goal", {})
    for seq in (1, 2):
        await writer.append([record(seq)])
    await journal.read("r1")
    await writer.close()
    writer = await journal.take_over("r1")
    await writer.append([record(3), Record(4, "r1", 4.0, "step-succeeded", "s", {"cache_key": "k"})])
    assert 4 == (await journal.recall("k")).seq
    await writer.append([Record(5, "r1", 5.0, "run-finished", None, {"status": "succeeded"})])
    await writer.close()
    summary = (await journal.runs())[0]
    return [kept.seq for kept in await journal.read("r1")], summary.status


def test_a_journal_of_an_earlier_version(place):
    """One without the table in which records are found by their keys gets it when it is opened."""

    async def main():
        async with place.open() as journal:
            await journal.open_run("r0", "goal", {})
        with psycopg.connect(place.address) as connection:
            connection.execute("DROP TABLE planloom.cache")
        async with place.open() as journal:
            assert await journal.recall("k") is None
            return await story(journal), [run.run_id for run in await journal.runs()]

    assert (([1, 2, 3, 4, 5], "succeeded"), ["r1", "r0"]) == asyncio.run(main())


@pytest.mark.slow
def test_a_connection_cut_at_every_statement(place, monkeypatch):
    """Before or after any statement the server drops the connection: the work is done again, and nothing twice."""
    execute = psycopg.Cursor.execute
    executemany = psycopg.Cursor.executemany
    count, cut = 0, 0

    def cutting(real):
        def statement(self, *arguments, **options):
            nonlocal count
            if self.connection.info.get_parameters().get("application_name") != "planloom":
                return real(self, *arguments, **options)
            count += 1
            if cut == 2 * count:
                kill(self.connection)
            done = real(self, *arguments, **options)
            if cut == 2 * count + 1:
                kill(self.connection)
            return done

        return statement

    def losing_the_answer(real):
        @contextlib.contextmanager
        def transaction(self):
            nonlocal count
            with real(self) as inner:
                yield inner
            count += 1
            if cut in (2 * count, 2 * count + 1):
                self.close()
                raise psycopg.OperationalError("it was committed, and nobody was told")

        return transaction

    def kill(connection):
        with psycopg.connect(place.address, autocommit=True, application_name="cut") as other:
            other.execute("SELECT pg_terminate_backend(%s, 5000)", (connection.info.backend_pid,))

    async def main():
        async with PostgresJournal(place.address) as journal:
            return await story(journal)

    monkeypatch.setattr("planloom.journal.postgres_store._RETRY_S", 0.0)
    monkeypatch.setattr(psycopg.Cursor, "execute", cutting(execute))
    monkeypatch.setattr(psycopg.Cursor, "executemany", cutting(executemany))
    monkeypatch.setattr(psycopg.Connection, "transaction", losing_the_answer(psycopg.Connection.transaction))
    assert ([1, 2, 3, 4, 5], "succeeded") == asyncio.run(main())
    points = 2 * count + 2
    assert points > 60
    for cut in range(2, points):
        with psycopg.connect(place.address, application_name="cut") as connection:
            connection.execute("DROP SCHEMA planloom CASCADE")
        count = 0
        assert ([1, 2, 3, 4, 5], "succeeded") == asyncio.run(main()), cut
    print(f"{points - 2} cuts")


def test_a_server_that_is_not_there():
    """One sentence, and no password in it."""
    journal = PostgresJournal("postgresql://me:secret@127.0.0.1:1/none")

    async def main():
        with pytest.raises(JournalError, match=r"postgresql://me@127.0.0.1:1/none cannot be read: .*refused") as raised:
            await journal.runs()
        assert "secret" not in str(raised.value)
        await journal.close()

    asyncio.run(main())


def test_a_newer_journal(place):
    """It says which version it has and what to do."""

    async def main():
        async with PostgresJournal(place.address) as journal:
            await journal.runs()
        with psycopg.connect(place.address) as connection:
            connection.execute("UPDATE planloom.journal SET version = 2")
        async with PostgresJournal(place.address) as journal:
            with pytest.raises(JournalError, match=r"(?s)its version is 2.*hint: pip install"):
                await journal.runs()

    asyncio.run(main())


def test_two_processes_make_the_tables_at_once(place):
    """Ten journals that begin together make one set of tables."""

    async def main():
        journals = [PostgresJournal(place.address) for _ in range(10)]
        await asyncio.gather(*[journal.open_run(f"r{n}", "goal", {}) for n, journal in enumerate(journals)])
        assert 10 == len(await journals[0].runs())
        for journal in journals:
            await journal.close()

    asyncio.run(main())


@pytest.mark.parametrize("schema", ["", "a-b", "a; DROP", "1a", "a" * 64])
def test_a_schema_is_a_plain_name(schema):
    """It stands in statements, so it is checked."""
    with pytest.raises(JournalError, match="cannot be a schema"):
        PostgresJournal("postgresql://h/d", schema=schema)


def test_without_psycopg(monkeypatch):
    """The extra is named."""
    monkeypatch.setattr("planloom.journal.postgres.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'planloom\[postgres\]'"):
        PostgresJournal("postgresql://h/d")
    assert util.find_spec("psycopg") is not None
