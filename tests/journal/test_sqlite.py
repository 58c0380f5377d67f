"""The SQLite journal where disks, files and clocks fail."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import pytest

from planloom.errors import JournalCorruptError, JournalError, RunOwnedError
from planloom.journal import Record, SqliteJournal, open_journal, owners
from planloom.journal.owners import Owner, is_alive
from planloom.journal.sqlite_file import SCHEMA_VERSION

STEP_BYTES = 512


def record(seq, size=200):
    return Record(seq, "r1", 1.0 * seq, "step-succeeded", "s", {"n": seq, "text": "x" * size})


def run(path, work, **options):
    async def main():
        async with SqliteJournal(path, **options) as journal:
            return await work(journal)

    return asyncio.run(main())


async def write(journal, count=3):
    writer = await journal.open_run("r1", "goal", {})
    for seq in range(1, count + 1):
        await writer.append([record(seq)])
    return writer


def fails(path, match, kind=JournalError, **options):
    """Opening, listing and reading all give the same clear error."""

    async def work(journal):
        for call in (journal.open_run("r9", "goal", {}), journal.runs(), journal.read("r1"), journal.take_over("r1")):
            with pytest.raises(kind, match=match) as raised:
                await call
            assert str(path) in str(raised.value)

    run(path, work, **options)


# files that cannot be a journal


def test_a_file_that_is_no_database(tmp_path):
    """Text under the name of a journal is left alone."""
    path = tmp_path / "runs.db"
    path.write_text("not a database, and long enough to be looked at. " * 40)
    fails(path, "is damaged: file is not a database", JournalCorruptError)
    assert path.read_text().startswith("not a database")


def test_a_database_of_somebody_else(tmp_path):
    """Its tables are not touched."""
    path = tmp_path / "runs.db"
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE runs (name TEXT)")
    fails(path, "is a SQLite file, but not a journal of Planloom")


def test_a_newer_journal(tmp_path):
    """It says which version it has, which is known, and what to do."""
    path = tmp_path / "runs.db"
    run(path, write)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    fails(path, r"(?s)newer Planloom: its version is 2, and this one knows versions up to 1.*hint: pip install")


def test_a_folder_in_the_place_of_the_file(tmp_path):
    """A folder is no journal."""
    fails(tmp_path, "it cannot be opened; is it a file in a folder that may be written to")


def test_a_file_in_the_place_of_the_folder(tmp_path):
    """The path leads through a file."""
    (tmp_path / "file").write_text("")
    fails(tmp_path / "file" / "runs.db", "a part of its path is a file, not a folder")


@pytest.mark.parametrize("code", ["READONLY", "IOERR", "FULL", "CANTOPEN"])
def test_what_the_database_says_is_one_sentence(tmp_path, monkeypatch, code):
    """Errors of SQLite become one `JournalError` that names the file; the writer ends, the journal does not."""
    sentences = {
        "READONLY": "cannot be written: it may only be read",
        "IOERR": "cannot be written: the disk failed or is full",
        "FULL": "cannot be written: the disk is full",
        "CANTOPEN": "cannot be written: it cannot be opened",
    }

    class Failing(sqlite3.Connection):
        broken = False

        def executemany(self, *arguments):
            if Failing.broken:
                error = sqlite3.OperationalError("injected")
                error.sqlite_errorcode = getattr(sqlite3, f"SQLITE_{code}")
                raise error
            return super().executemany(*arguments)

    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *args, **kwargs: connect(*args, factory=Failing, **kwargs))
    path = tmp_path / "runs.db"

    async def work(journal):
        writer = await write(journal)
        Failing.broken = True
        results = await asyncio.gather(
            *[writer.append([record(seq)]) for seq in (4, 5)], writer.append([record(6)]), return_exceptions=True
        )
        assert [f"the journal {path} {sentences[code]}"] * 3 == [
            str(error).split(" (")[0].split(";")[0] for error in results
        ]
        Failing.broken = False
        with pytest.raises(JournalError):
            await writer.append([record(7)])  # a hole would follow
        with pytest.raises(JournalError):
            await writer.close()
        again = await journal.take_over("r1")  # at once: this process knows that nobody drives it
        await again.append([record(4)])
        return [kept.seq for kept in await journal.read("r1")]

    assert [1, 2, 3, 4] == run(path, work)


FULL_DISK = """
import asyncio, resource, signal, sys
from planloom.errors import JournalError
from planloom.journal import Record, SqliteJournal

async def main():
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    journal = SqliteJournal(sys.argv[1])
    writer = await journal.open_run("r1", "goal", {})
    told = 0
    await writer.append([Record(1, "r1", 1.0, "x", None, {})])
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
    try:
        for seq in range(2, 1000):
            await writer.append([Record(seq, "r1", 1.0 * seq, "x", None, {"text": "x" * 2000})])
            told = seq
    except JournalError as error:
        print(told, error)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    await journal.close()
    journal = SqliteJournal(sys.argv[1])
    writer = await journal.take_over("r1")
    kept = await journal.read("r1")
    print(kept[-1].seq, kept.dropped)
    await writer.append([Record(kept[-1].seq + 1, "r1", 0.0, "x", None, {})])
    await writer.close()
    await journal.close()

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits the size of files as Linux does")
def test_a_full_disk(tmp_path):
    """When no more can be written it is said in one sentence; what was durable is there, and there is a way on."""
    path = tmp_path / "runs.db"
    done = subprocess.run([sys.executable, "-c", FULL_DISK, path], capture_output=True, text=True, timeout=60)
    assert "" == done.stderr
    first, second = done.stdout.splitlines()
    told, sentence = first.split(" ", 1)
    kept, dropped = second.split(" ", 1)
    assert sentence.startswith(f"the journal {path} cannot be written: the disk")
    assert int(told) > 10
    assert int(told) <= int(kept) <= int(told) + 1  # a commit that failed may have been whole
    assert "None" == dropped


def test_a_file_that_another_process_holds(tmp_path):
    """After the time it may take, it is said who is in the way; then everything goes on."""
    path = tmp_path / "runs.db"

    async def work(journal):
        writer = await write(journal)
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(JournalError, match=r"another process has held it for more than 0.1 s"):
                await writer.append([record(4)])
            assert 3 == len(await journal.read("r1"))
        with pytest.raises(JournalError):
            await writer.close()
        await (await journal.take_over("r1")).append([record(4)])

    run(path, work, busy_s=0.1)


def test_the_event_loop_goes_on_while_the_file_is_held(tmp_path):
    """A wait for the file is the thread's, never the loop's."""
    path = tmp_path / "runs.db"

    async def work(journal):
        writer = await write(journal)
        turns = 0
        with contextlib.closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
            other.execute("BEGIN IMMEDIATE")
            future = writer.append([record(4)])
            for _ in range(100):
                await asyncio.sleep(0)
                turns += 1
            assert not future.done()
            other.execute("ROLLBACK")
        await future
        return turns

    assert 100 == run(path, work)


# truncated and flipped files


@pytest.fixture
def crashed(tmp_path):
    """A folder with a file and its log, as a process that was killed leaves them: 20 commits in the log alone."""
    folder = tmp_path / "crashed"

    async def work(journal):
        await write(journal, 20)
        shutil.copytree(tmp_path / "live", folder)

    run(tmp_path / "live" / "runs.db", work)
    return folder


def opened_copy(folder, target, change):
    """Copy the folder, change it, read the run. Returns the records, or the error."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(folder, target)
    change(target)

    async def work(journal):
        try:
            found = await journal.read("r1")
        except JournalError as error:
            found = error
        return found, journal.notice

    return run(target / "runs.db", work)


def cut_at(name, length):
    return lambda copy: os.truncate(copy / name, length)


@pytest.mark.slow
def test_the_log_cut_at_every_512_bytes(crashed, tmp_path):
    """Whatever is left of it, a beginning of the run is read, ever longer, and a torn end is said."""
    size = (crashed / "runs.db-wal").stat().st_size
    counts = []
    for length in range(0, size, STEP_BYTES):
        found, notice = opened_copy(crashed, tmp_path / "cut", cut_at("runs.db-wal", length))
        is_whole = length == 0 or (length - 32) % 4_120 == 0  # a header, then pages of 4,096 bytes behind 24
        assert is_whole == (notice is None), length
        if isinstance(found, JournalError):
            # the run itself was in what was cut off
            assert "there is no run `r1`" in str(found)
            assert [] == counts
            continue
        assert [record(seq) for seq in range(1, len(found) + 1)] == found
        counts.append(len(found))
    assert sorted(counts) == counts
    assert (0, True) == (counts[0], counts[-1] >= 18)


def test_a_log_that_is_whole_is_nothing_to_speak_of(crashed, tmp_path):
    """Neither one that a killed process left between two commits, nor one that has begun again."""
    found, notice = opened_copy(crashed, tmp_path / "copy", lambda copy: None)
    assert (20, None) == (len(found), notice)

    async def work(journal):
        writer = await write(journal, 40)
        with contextlib.closing(sqlite3.connect(tmp_path / "again" / "runs.db")) as other:
            other.execute("PRAGMA wal_checkpoint(RESTART)")
        await writer.append([record(41)])
        shutil.copytree(tmp_path / "again", tmp_path / "restarted")

    run(tmp_path / "again" / "runs.db", work)
    found, notice = opened_copy(tmp_path / "restarted", tmp_path / "copy", lambda copy: None)
    assert (41, None) == (len(found), notice)


def test_a_log_that_ends_within_a_commit_is_said(crashed, tmp_path):
    """How many bytes were left out, and what that means."""
    size = (crashed / "runs.db-wal").stat().st_size
    found, notice = opened_copy(crashed, tmp_path / "cut", cut_at("runs.db-wal", size - 1))
    assert 19 == len(found)
    assert "ended within a commit: its last 4,119 bytes were left out" in notice


@pytest.mark.slow
def test_the_file_cut_at_every_512_bytes(tmp_path):
    """A file that was folded and cut: a beginning of the run is read, with the reason, or none."""
    folder = tmp_path / "folded"
    run(folder / "runs.db", lambda journal: write(journal, 200))
    size = (folder / "runs.db").stat().st_size
    beginnings = []
    for length in range(STEP_BYTES, size, STEP_BYTES):
        found, _ = opened_copy(folder, tmp_path / "cut", cut_at("runs.db", length))
        if isinstance(found, JournalError):
            assert isinstance(found, JournalCorruptError) or "cannot be read" in str(found), found
            continue
        assert [record(seq) for seq in range(1, len(found) + 1)] == found
        assert len(found) < 200
        assert "damaged" in found.dropped.message()
        beginnings.append(len(found))
    assert max(beginnings) > 100


def test_flipped_bytes_anywhere(tmp_path):
    """No flipped byte of the file makes a record that was not written: it is the same, a beginning, or an error."""
    folder = tmp_path / "folded"
    run(folder / "runs.db", lambda journal: write(journal, 60))
    size = (folder / "runs.db").stat().st_size
    outcomes = set()

    def flip(copy, at):
        with (copy / "runs.db").open("r+b") as file:
            file.seek(at)
            byte = file.read(1)[0]
            file.seek(at)
            file.write(bytes([byte ^ 0x41]))

    for at in itertools.chain(range(0, 110, 3), range(110, size, 211)):
        found, _ = opened_copy(folder, tmp_path / "flipped", partial(flip, at=at))
        if isinstance(found, JournalError):
            outcomes.add("error")
            continue
        assert [record(seq) for seq in range(1, len(found) + 1)] == found
        outcomes.add("whole" if found.dropped is None else "beginning")
    assert {"error", "whole", "beginning"} == outcomes


# owners and clocks


def test_beats_keep_a_run_that_writes_nothing(tmp_path):
    """An owner that only waits keeps its lease, seen from another process."""
    path = tmp_path / "runs.db"
    script = (
        "import asyncio, sys\n"
        "from planloom.journal import SqliteJournal\n"
        "async def main():\n"
        "    try:\n"
        "        await SqliteJournal(sys.argv[1], lease_s=0.6).take_over('r1')\n"
        "    except Exception as error:\n"
        "        print(type(error).__name__)\n"
        "asyncio.run(main())\n"
    )

    async def work(journal):
        await_beats = sqlite3.connect(path)
        writer = await write(journal)
        first = await_beats.execute("SELECT beat_monotonic_s FROM runs").fetchone()[0]
        until_s = time.monotonic() + 10
        while await_beats.execute("SELECT beat_monotonic_s FROM runs").fetchone()[0] < first + 0.6:
            assert time.monotonic() < until_s
            await asyncio.sleep(0.02)
        await_beats.close()
        done = await asyncio.to_thread(
            subprocess.run, [sys.executable, "-c", script, path], capture_output=True, text=True, timeout=60
        )
        await writer.append([record(4)])
        return done.stdout

    assert "RunOwnedError\n" == run(path, work, lease_s=0.6)


def test_an_owner_whose_run_was_lost_is_told_by_its_beat(tmp_path):
    """It need not append to find out."""
    path = tmp_path / "runs.db"

    async def work(journal):
        writer = await journal.open_run("r1", "goal", {})
        await asyncio.sleep(0.01)  # the thread has nothing more to do, and waits
        with contextlib.closing(sqlite3.connect(path)) as other, other:
            other.execute("UPDATE runs SET epoch = 9")
        until_s = time.monotonic() + 10
        while writer.error is None:
            assert time.monotonic() < until_s
            await asyncio.sleep(0.01)
        assert isinstance(writer.error, RunOwnedError)

    run(path, work, lease_s=0.1)


HERE = Owner.this_process()
ELSEWHERE = Owner("another machine", 1, "1", "there")
GONE = Owner(HERE.place, 2**22 + 1, "1", HERE.host)
OTHER_WITH_ITS_ID = Owner(HERE.place, os.getpid(), "1", HERE.host)


@pytest.mark.parametrize(
    ("owner", "wall_age_s", "monotonic_age_s", "alive"),
    [
        (None, 0, 0, False),
        (GONE, 0, 0, False),
        (OTHER_WITH_ITS_ID, 0, 0, False),
        (HERE, 0, 0, True),
        (HERE, 3600, 1, True),  # the clock went an hour ahead
        (HERE, -3600, 1, True),  # and an hour back
        (HERE, 0, 31, False),  # paused
        (ELSEWHERE, 10, 10**6, True),
        (ELSEWHERE, 31, 0, False),
        (ELSEWHERE, -10, 0, True),
        (ELSEWHERE, -3600, 0, False),  # a clock that went back must not keep a run for an hour
    ],
)
def test_who_is_alive(owner, wall_age_s, monotonic_age_s, alive):
    """On this machine a process that is gone is dead, and no jump of the clock matters; elsewhere the lease decides."""
    assert alive == is_alive(owner, wall_age_s, monotonic_age_s, 30)


def test_a_process_that_ended_is_gone():
    """Also while its parent has not looked, and when nothing is known of processes but their ids."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert Owner(HERE.place, process.pid, "", HERE.host).is_gone
    assert not HERE.is_gone
    assert owners._started_without_proc(process.pid) is None
    assert None is Owner.from_json("{") is Owner.from_json('{"pid": 1}')


# files and threads


def test_files_are_private_and_folders_are_made(tmp_path):
    """Nobody else may read the file or its log."""
    path = tmp_path / "a" / "b" / "runs.db"

    async def work(journal):
        await write(journal)
        return [stat.S_IMODE(entry.stat().st_mode) for entry in sorted(path.parent.iterdir())]

    assert [0o600] * 3 == run(path, work)
    assert [0o700, 0o700] == [stat.S_IMODE(folder.stat().st_mode) for folder in (path.parent, path.parent.parent)]


def test_closing_leaves_one_file_and_no_thread(tmp_path):
    """The log is folded in; using a closed journal is an error; closing twice is not."""
    path = tmp_path / "runs.db"
    before = threading.active_count()

    async def main():
        journal = SqliteJournal(path)
        writer = await write(journal)
        await journal.close()
        await journal.close()
        await writer.close()
        with pytest.raises(JournalError, match=f"the journal {path} is closed"):
            await journal.runs()

    asyncio.run(main())
    assert ["runs.db"] == [entry.name for entry in tmp_path.iterdir()]
    assert before == len([thread for thread in threading.enumerate() if "asyncio" not in thread.name])


def test_a_journal_that_nobody_closed(tmp_path):
    """A process that just ends has written what it appended in earlier turns of its loop."""
    path = tmp_path / "runs.db"
    script = (
        "import asyncio, sys\n"
        "from planloom.journal import SqliteJournal, Record\n"
        "async def main():\n"
        "    writer = await SqliteJournal(sys.argv[1]).open_run('r1', 'goal', {})\n"
        "    for seq in range(1, 101):\n"
        "        writer.append([Record(seq, 'r1', 1.0, 'x', None, {})])\n"
        "    await asyncio.sleep(0)\n"
        "asyncio.run(main())\n"
    )
    command = [sys.executable, "-W", "error", "-c", script, path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert "" == done.stderr
    assert 100 == len(run(path, lambda journal: journal.read("r1")))


def test_every_commit_is_synced(tmp_path):
    """The file is asked to sync at every commit, which WAL does not do by itself."""
    journal = SqliteJournal(tmp_path / "runs.db")
    connection = journal._store._file.connection()
    try:
        asked = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("synchronous", "journal_mode")]
    finally:
        journal._store.close()
    assert [2, "wal"] == asked


def test_many_processes_begin_one_journal(tmp_path):
    """Ten at once make one file with ten runs; none fails because another makes the tables."""
    path = tmp_path / "runs.db"
    script = (
        "import asyncio, sys\n"
        "from planloom.journal import SqliteJournal\n"
        "async def main():\n"
        "    async with SqliteJournal(sys.argv[1]) as journal:\n"
        "        await journal.open_run(sys.argv[2], 'goal', {})\n"
        "asyncio.run(main())\n"
    )
    processes = [subprocess.Popen([sys.executable, "-c", script, path, f"r{number}"]) for number in range(10)]
    assert [0] * 10 == [process.wait(60) for process in processes]
    assert 10 == len(run(path, lambda journal: journal.runs()))


@pytest.mark.parametrize(
    ("address", "kind"),
    [("runs.db", "SqliteJournal"), (Path("x.db"), "SqliteJournal"), (":memory:", "MemoryJournal"),
     ("postgresql://u@h/d", "PostgresJournal"), ("postgres://u@h/d", "PostgresJournal")],
)  # fmt: skip
def test_an_address_means_a_journal(address, kind):
    """Nothing is opened yet; a journal is its own address."""
    journal = open_journal(address)
    assert kind == type(journal).__name__
    assert journal is open_journal(journal)
