"""What every journal promises, over memory, SQLite and PostgreSQL: failures first."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from planloom.errors import (
    JournalCorruptError,
    JournalError,
    RunNotFoundError,
    RunOwnedError,
)
from planloom.journal import Record, SqliteJournal
from planloom.journal.lines import MAX_RECORD_BYTES
from planloom.journal.records import encode

CHILD = Path(__file__).with_name("journal_child.py")
GOAL = "find the error – 找到 \N{PARTY POPPER}"
META = {"plan": {"steps": []}, "inputs": {"a": [1, 2.5, None, True]}}


def record(seq, run_id="r1", data=None, type="step-succeeded", at=None):
    return Record(
        seq, run_id, 1_700_000_000.25 + seq if at is None else at, type, f"s{seq}", {"n": seq} if data is None else data
    )


def finished(seq, status="succeeded", run_id="r1"):
    return record(seq, run_id, {"status": status}, "run-finished", at=1_700_000_100.0)


def run(place, work, **options):
    """Open the journal on a loop of its own, do the work, close it."""

    async def main():
        async with place.open(**options) as journal:
            return await work(journal)

    return asyncio.run(main())


async def written(journal, count=5, run_id="r1", status=None):
    """A run with `count` records that was given up."""
    writer = await journal.open_run(run_id, GOAL, META)
    await writer.append([record(seq, run_id) for seq in range(1, count + 1)])
    if status:
        await writer.append([finished(count + 1, status, run_id)])
    await writer.close()
    return writer


def child(command, place, lease_s):
    return subprocess.Popen(
        [sys.executable, CHILD, command, place.address, "r1", str(lease_s)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def end(process):
    process.kill()
    process.communicate()


# what is refused


def test_a_run_that_is_not_there(place):
    """Reading, taking over and listing say so; deleting deletes nothing."""

    async def work(journal):
        with pytest.raises(RunNotFoundError, match="there is no run `nobody`"):
            await journal.read("nobody")
        with pytest.raises(RunNotFoundError):
            await journal.take_over("nobody")
        assert 0 == await journal.delete(["nobody"])
        assert [] == await journal.runs()

    run(place, work)


def test_a_run_is_opened_once(place):
    """The second one of the same name is refused, and the first is not hurt."""

    async def work(journal):
        writer = await journal.open_run("r1", GOAL, META)
        with pytest.raises(JournalError, match="there is a run `r1` already"):
            await journal.open_run("r1", "another", {})
        await writer.append([record(1)])
        assert [record(1)] == await journal.read("r1")

    run(place, work)


@pytest.mark.parametrize("run_id", ["", "x" * 201, "a\nb", "a\0b"])
def test_ids_that_are_refused(place, run_id):
    """An id is short printable text."""

    async def work(journal):
        with pytest.raises(JournalError, match="cannot be the id of a run"):
            await journal.open_run(run_id, GOAL, {})

    run(place, work)


@pytest.mark.parametrize(
    ("records", "reason"),
    [
        ([record(3, data={"text": "x" * MAX_RECORD_BYTES})], r"more than 8,388,608 \(MAX_RECORD_BYTES\)"),
        ([record(3, data={"text": float("nan")})], "is not JSON"),
        ([record(3, data={"text": object()})], "is not JSON"),
        ([record(3, run_id="r2")], "a record of the run `r2` was given to the writer of `r1`"),
        ([record(2)], "2 came after 2"),
        ([record(3), record(3)], "3 came after 3"),
    ],
    ids=["huge", "nan", "object", "other-run", "old-seq", "twice"],
)
def test_records_that_are_refused(place, records, reason):
    """They are refused at once with the reason, none of their neighbours is written, and the writer can go on."""

    async def work(journal):
        writer = await journal.open_run("r1", GOAL, META)
        await writer.append([record(1), record(2)])
        with pytest.raises(JournalError, match=reason):
            writer.append([*records[:-1], records[-1]])
        await writer.append([record(9)])
        assert writer.error is None
        assert [1, 2, 9] == [kept.seq for kept in await journal.read("r1")]

    run(place, work)


def test_a_closed_writer_writes_nothing(place):
    """Closing twice is fine; appending after it is an error that says so."""

    async def work(journal):
        writer = await written(journal)
        await writer.close()
        with pytest.raises(JournalError, match="was closed"):
            writer.append([record(9)])
        assert 5 == len(await journal.read("r1"))

    run(place, work)


# owners


def test_a_live_owner_keeps_its_run(place):
    """Neither a take-over nor deleting goes through, and the owner does not notice."""

    async def work(journal):
        writer = await journal.open_run("r1", GOAL, META)
        with pytest.raises(RunOwnedError, match="the run `r1` is being driven by"):
            await journal.take_over("r1")
        await written(journal, run_id="r2")
        with pytest.raises(RunOwnedError):
            await journal.delete(["r2", "r1"])
        await writer.append([record(1)])
        assert ["r1", "r2"] == sorted(summary.run_id for summary in await journal.runs())

    run(place, work)


def test_an_owner_that_was_replaced_writes_nothing(place):
    """Its append is refused, every later one too, and closing does not take the run from the new owner."""

    async def work(journal):
        old = await journal.open_run("r1", GOAL, META)
        await old.append([record(1)])
        forget_owner(journal, old)
        new = await journal.take_over("r1")
        assert (1, 2) == (old.epoch, new.epoch)
        with pytest.raises(RunOwnedError, match="was taken over"):
            await old.append([record(2)])
        with pytest.raises(RunOwnedError):
            await old.append([record(3)])
        assert isinstance(old.error, RunOwnedError)
        with pytest.raises(RunOwnedError):
            await old.close()
        await new.append([record(2, data={"by": "new"})])
        with pytest.raises(RunOwnedError):
            await journal.take_over("r1")
        assert [{"n": 1}, {"by": "new"}] == [kept.data for kept in await journal.read("r1")]

    run(place, work)


def test_a_lost_run_does_not_hurt_its_neighbours_in_a_commit(place):
    """Appends of two runs in one turn of the loop: one is refused, the other is durable."""

    async def work(journal):
        lost, kept = await journal.open_run("r1", GOAL, META), await journal.open_run("r2", GOAL, META)
        forget_owner(journal, lost)
        await journal.take_over("r1")
        results = await asyncio.gather(lost.append([record(1)]), kept.append([record(1, "r2")]), return_exceptions=True)
        assert [RunOwnedError, type(None)] == [type(result) for result in results]
        assert (0, 1) == (len(await journal.read("r1")), len(await journal.read("r2")))

    run(place, work)


def forget_owner(journal, writer):
    """As if the owner had died, though it is there and will try to write."""
    if hasattr(journal, "drop_owners"):
        journal.drop_owners()
    else:
        journal._group.forget(writer.claim)


def test_a_run_that_was_given_up_is_taken_over_at_once(place):
    """Closing gives it up; the new owner goes on where the old one was, and `seq` must still grow."""

    async def work(journal):
        await written(journal, 3)
        writer = await journal.take_over("r1")
        assert ([record(1), record(2), record(3)], GOAL) == (writer.records, writer.records.goal)
        with pytest.raises(JournalError, match="3 came after 3"):
            writer.append([record(3)])
        await writer.append([record(4)])
        assert ([1, 2, 3, 4], 2) == ([kept.seq for kept in await journal.read("r1")], writer.epoch)

    run(place, work)


def test_closing_the_journal_gives_its_runs_up(durable_place):
    """What was appended is there, and another process need not wait for the lease."""

    async def leave(journal):
        writer = await journal.open_run("r1", GOAL, META)
        for seq in range(1, 101):
            writer.append([record(seq)])

    async def go_on(journal):
        await journal.take_over("r1")
        return len(await journal.read("r1"))

    run(durable_place, leave)
    assert 100 == run(durable_place, go_on)


@pytest.mark.parametrize("after_s", [0.15, 0.5])
def test_what_was_called_durable_survives_a_kill(durable_place, after_s):
    """A process that is killed with SIGKILL has said of some records that they are durable: all of them are there."""
    process = child("write", durable_place, 30)
    told = [int(process.stdout.readline())]
    killing = time.monotonic() + after_s
    while time.monotonic() < killing:
        told.append(int(process.stdout.readline()))
    process.kill()
    told += [int(line) for line in process.communicate()[0].splitlines()]

    async def work(journal):
        summary = (await journal.runs())[0]
        records = await journal.read("r1")
        writer = await journal.take_over("r1")  # at once: the process is known to be gone
        return summary.status, records, writer.epoch

    status, records, epoch = run(durable_place, work)
    kept = [kept.seq for kept in records]
    assert ("interrupted", 2, None) == (status, epoch, records.dropped)
    assert [] == sorted(set(told) - set(kept))
    assert list(range(1, len(kept) + 1)) == kept
    assert len(told) > 20


def test_two_processes_cannot_drive_one_run(durable_place):
    """While the other process lives, this one is refused; its own runs stand beside."""
    process = child("hold", durable_place, 30)
    try:
        assert "open\n" == process.stdout.readline()

        async def work(journal):
            with pytest.raises(RunOwnedError, match=f"process {process.pid} on "):
                await journal.take_over("r1")
            await written(journal, run_id="r2")
            return [(summary.run_id, summary.status) for summary in await journal.runs()]

        assert [("r2", "interrupted"), ("r1", "running")] == run(durable_place, work)
        process.stdin.write("\n")
        process.stdin.flush()
        assert "durable\n" == process.stdout.readline()
    finally:
        end(process)


def test_a_paused_owner_that_comes_back_writes_nothing(durable_place):
    """SIGSTOP lets its lease run out, another takes over, and after SIGCONT its append is refused."""
    lease_s = 0.3
    process = child("hold", durable_place, lease_s)
    try:
        assert "open\n" == process.stdout.readline()
        process.stdin.write("\n")
        process.stdin.flush()
        assert "durable\n" == process.stdout.readline()
        os.kill(process.pid, signal.SIGSTOP)

        async def work(journal):
            until_s = time.monotonic() + 10
            while True:
                try:
                    writer = await journal.take_over("r1")
                    break
                except RunOwnedError:
                    assert time.monotonic() < until_s
                    await asyncio.sleep(0.05)
            os.kill(process.pid, signal.SIGCONT)
            process.stdin.write("\n\n")
            process.stdin.flush()
            refused = [await asyncio.to_thread(process.stdout.readline) for _ in range(2)]
            await writer.append([record(2, data={"by": "new"})])
            return refused, [kept.data for kept in await journal.read("r1")]

        refused, data = run(durable_place, work, lease_s=lease_s)
        assert ["RunOwnedError\n"] * 2 == refused
        assert [{"output": "x"}, {"by": "new"}] == data
    finally:
        end(process)


# damage


def flip(line, at):
    return line[:at] + bytes([line[at] ^ 1]) + line[at + 1 :]


DAMAGE = {
    "flipped": (lambda lines: [*lines[:-1], (lines[-1][0], flip(lines[-1][1], 40))], 5, "checksum"),
    "torn": (lambda lines: [*lines[:-1], (lines[-1][0], lines[-1][1][:30])], 5, "checksum"),
    "empty": (lambda lines: [*lines[:-1], (lines[-1][0], b"")], 5, "torn"),
    "moved": (lambda lines: [*lines[:-1], (lines[-1][0], lines[-2][1])], 5, "position 4"),
    "other-run": (lambda lines: [*lines[:-1], (5, encode(record(5, "r2"), 5))], 5, "belongs to the run `r2`"),
    "not-a-record": (lambda lines: [*lines[:-1], (5, b"1 " + b"0" * 8 + b" 5 {}")], 5, "checksum"),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_a_torn_end_is_left_out_and_said(place, case):
    """The records before it are read, the sentence says which went and why, and the run can go on."""
    change, position, reason = DAMAGE[case]

    async def work(journal):
        await written(journal)
        place.tamper("r1", change)
        records = await journal.read("r1")
        assert [record(seq) for seq in range(1, 5)] == records
        assert (position, 1, True) == (records.dropped.position, records.dropped.count, records.dropped.is_torn_end)
        assert reason in records.dropped.message()
        writer = await journal.take_over("r1")
        await writer.append([record(5)])
        again = await journal.read("r1")
        assert ([record(seq) for seq in range(1, 6)], None) == (again, again.dropped)

    run(place, work)


@pytest.mark.parametrize(
    "change",
    [
        lambda lines: [*lines[:3], (3, flip(lines[3][1], 25)), *lines[4:]],
        lambda lines: [*lines[:3], *lines[4:]],
    ],
    ids=["flipped", "missing"],
)
def test_damage_before_whole_records_stops_a_take_over(place, change):
    """Going on would forget effects that have happened, so it must be asked for."""

    async def work(journal):
        await written(journal)
        place.tamper("r1", change)
        records = await journal.read("r1")
        assert (2, 3, 2) == (len(records), records.dropped.position, records.dropped.intact)
        with pytest.raises(JournalCorruptError, match=r"(?s)records 3 to 5.*2 of them are whole.*drop_damaged=True"):
            await journal.take_over("r1")
        writer = await journal.take_over("r1", drop_damaged=True)
        await writer.append([record(3, data={"again": True})])
        again = await journal.read("r1")
        assert ([1, 2, 3], None) == ([kept.seq for kept in again], again.dropped)

    run(place, work)


def test_a_run_without_its_header_cannot_be_read(place):
    """It says so; nothing is made up."""

    async def work(journal):
        await written(journal)
        await written(journal, run_id="r2")
        place.tamper("r1", lambda lines: [(0, flip(lines[0][1], 30)), *lines[1:]])
        with pytest.raises(JournalCorruptError, match=r"the run `r1` in .* cannot be read: record 0 is damaged"):
            await journal.read("r1")
        with pytest.raises(JournalCorruptError):
            await journal.take_over("r1")
        assert 5 == len(await journal.read("r2"))

    run(place, work)


# what is kept


def test_records_come_back_as_they_were(place):
    """Order, goal, meta, gaps in `seq`, Unicode, halves of characters, NUL, large numbers, times to the microsecond."""
    odd = {"text": "é 找 \N{PARTY POPPER} \0 \ud800 \r\n \u2028", "n": 2**70, "f": 0.1, "deep": [[{"a": [None]}]]}

    async def work(journal):
        writer = await journal.open_run("läuft–1", GOAL + "\ud800", META)
        one, two = record(3, "läuft–1", odd, at=1_700_000_000.1234567), record(70, "läuft–1", {})
        await writer.append([one, two])
        await writer.append([])
        records = await journal.read("läuft–1")
        assert [one, two] == records
        assert (GOAL + "\ud800", META, None) == (records.goal, records.meta, records.dropped)
        assert 1_700_000_000.123457 == records[0].at

    run(place, work)


def test_a_list_of_runs(place):
    """The newest first, bounded, by status; an ended run has its end, a run that nobody drives is interrupted."""

    async def work(journal):
        await written(journal, run_id="a", status="succeeded")
        await written(journal, run_id="b", status="failed")
        await written(journal, run_id="c")
        driven = await journal.open_run("d", "now", {})
        summaries = await journal.runs()
        assert ["d", "c", "b", "a"] == [summary.run_id for summary in summaries]
        assert ["running", "interrupted", "failed", "succeeded"] == [summary.status for summary in summaries]
        assert [None, None, 1_700_000_100.0, 1_700_000_100.0] == [summary.ended_at for summary in summaries]
        assert ["d", "c"] == [summary.run_id for summary in await journal.runs(2)]
        assert ["c"] == [summary.run_id for summary in await journal.runs(status="interrupted")]
        assert ["a"] == [summary.run_id for summary in await journal.runs(1, status="succeeded")]
        assert ("now", 1) == (summaries[0].goal, summaries[0].owner_epoch)
        await driven.close()

    run(place, work)


def test_a_resumed_run_runs_again(place):
    """Taking a run over changes nothing in the list; its next record makes it running, its end ends it."""

    async def work(journal):
        await written(journal, status="failed")
        writer = await journal.take_over("r1")
        assert "failed" == (await journal.runs())[0].status
        await writer.append([record(7)])
        assert ("running", None) == ((await journal.runs())[0].status, (await journal.runs())[0].ended_at)
        await writer.append([finished(8)])
        assert "succeeded" == (await journal.runs())[0].status

    run(place, work)


def test_deleted_runs_are_gone(place):
    """Their records too; a run of the same name may begin again, and the neighbours stay."""

    async def work(journal):
        for run_id in ("a", "b", "c"):
            await written(journal, run_id=run_id)
        assert 2 == await journal.delete(["a", "c", "nobody"])
        assert ["b"] == [summary.run_id for summary in await journal.runs()]
        with pytest.raises(RunNotFoundError):
            await journal.read("a")
        await journal.open_run("a", "again", {})
        assert ([], 5) == (await journal.read("a"), len(await journal.read("b")))

    run(place, work)


KEY = "ab" * 32


def cached(seq, run_id="r1", key=KEY, **data):
    return record(seq, run_id, {"output": seq, "cache_key": key, **data})


def test_a_success_is_found_by_its_key(place):
    """The newest run's newest, as soon as it is durable; nothing under another key, or for another type of record."""

    async def work(journal):
        assert await journal.recall(KEY) is None
        for run_id in ("a", "b"):
            writer = await journal.open_run(run_id, GOAL, META)
            await writer.append([cached(1, run_id), cached(2, run_id), record(3, run_id, {"cache_key": 7})])
            await writer.append([record(4, run_id, {"cache_key": "cd" * 32}, type="step-failed")])
            await writer.close()
        assert cached(2, "b") == await journal.recall(KEY)
        assert [None, None] == [await journal.recall(key) for key in ("cd" * 32, "")]

    run(place, work)


def test_what_is_found_goes_with_its_run(place):
    """After the newest run is deleted an older one answers, and after that nobody."""

    async def work(journal):
        for run_id in ("a", "b"):
            writer = await journal.open_run(run_id, GOAL, META)
            await writer.append([cached(1, run_id)])
            await writer.close()
        await journal.delete(["b"])
        assert cached(1, "a") == await journal.recall(KEY)
        await journal.delete(["a"])
        assert await journal.recall(KEY) is None

    run(place, work)


def test_what_is_found_is_whole(place):
    """A damaged record is passed over for an older one; a record in the place of one that was cut off is not it."""

    async def work(journal):
        for run_id in ("a", "b"):
            writer = await journal.open_run(run_id, GOAL, META)
            await writer.append([cached(1, run_id)])
            await writer.close()
        place.tamper("b", lambda lines: [lines[0], (1, lines[1][1][:-4] + b"torn")])
        assert cached(1, "a") == await journal.recall(KEY)
        writer = await journal.take_over("b")
        await writer.append([record(1, "b")])
        await writer.close()
        assert cached(1, "a") == await journal.recall(KEY)

    run(place, work)


def test_an_owner_that_was_replaced_is_not_found(place):
    """What it could not write is not found by its key either."""

    async def work(journal):
        writer = await journal.open_run("r1", GOAL, META)
        forget_owner(journal, writer)
        other = await journal.take_over("r1")
        with pytest.raises(RunOwnedError):
            await writer.append([cached(1)])
        assert await journal.recall(KEY) is None
        await other.close()

    run(place, work)


def test_what_is_found_survives_its_process(durable_place):
    """Another process finds it."""

    async def write(journal):
        writer = await journal.open_run("r1", GOAL, META)
        await writer.append([cached(1)])
        await writer.close()

    async def find(journal):
        assert cached(1) == await journal.recall(KEY)

    run(durable_place, write)
    run(durable_place, find)


def test_artifacts_that_are_mentioned(place):
    """Every hash in any record, of any run."""
    one, two = "1" * 64, "2" * 64

    async def work(journal):
        writer = await journal.open_run("r1", GOAL, {"table": {"$artifact": f"sha256:{one}", "bytes": 3}})
        await writer.append(
            [record(1, data={"output": [{"$artifact": f"sha256:{two}"}], "text": "sha256:" + "3" * 64})]
        )
        assert {one, two} == await journal.artifacts()

    run(place, work)


def test_many_appends_share_few_commits(place):
    """10,000 appends from 100 tasks, each waiting for its own, are all there, in order, in far fewer commits."""
    tasks, each = 100, 100

    async def work(journal):
        writer = await journal.open_run("r1", GOAL, META)
        seq = 0

        async def append():
            nonlocal seq
            for _ in range(each):
                seq += 1
                await writer.append([record(seq)])

        await asyncio.gather(*[append() for _ in range(tasks)])
        records = await journal.read("r1")
        assert list(range(1, tasks * each + 1)) == [kept.seq for kept in records]
        return getattr(journal, "commits", 0)

    assert run(place, work) <= tasks * each / 25


def test_closing_with_appends_under_way(place):
    """`close` waits for them: each future is done, each record is there."""

    async def work(journal):
        writer = await journal.open_run("r1", GOAL, META)
        futures = [writer.append([record(seq)]) for seq in range(1, 501)]
        await writer.close()
        assert all(future.done() and future.exception() is None for future in futures)
        assert 500 == len(await journal.read("r1"))

    run(place, work)


def test_a_cancelled_wait_does_not_undo_a_record(place):
    """Who waits may be cancelled; what was appended is written, and the others are told."""

    async def work(journal):
        writer = await journal.open_run("r1", GOAL, META)

        async def append(seq):
            await writer.append([record(seq)])

        waiting = [asyncio.create_task(append(seq)) for seq in (1, 2)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        results = await asyncio.gather(*waiting, return_exceptions=True)
        await writer.flush()
        assert isinstance(results[0], asyncio.CancelledError | None)
        assert (None, [1, 2]) == (results[1], [kept.seq for kept in await journal.read("r1")])

    run(place, work)


def test_a_journal_used_from_two_loops(place):
    """Runs one after another on their own event loops, as `run_sync` makes them, share one journal."""
    journal = place.open()

    async def one(run_id):
        await written(journal, run_id=run_id)
        return len(await journal.read(run_id))

    assert [5, 5] == [asyncio.run(one(run_id)) for run_id in ("a", "b")]
    asyncio.run(journal.close())


def test_the_golden_journal_is_read(tmp_path):
    """A file that an earlier version wrote is read, and its run goes on."""
    golden = Path(__file__).parents[1] / "fixtures" / "journals" / "v1.db"
    copy = tmp_path / "runs.db"
    copy.write_bytes(golden.read_bytes())

    async def main():
        async with SqliteJournal(copy) as journal:
            summaries = await journal.runs()
            records = await journal.read("golden")
            writer = await journal.take_over("golden")
            await writer.append([record(7, "golden"), cached(8, "golden")])
            assert cached(8, "golden") == await journal.recall(KEY)
            return summaries, records, len(await journal.read("golden"))

    summaries, records, count = asyncio.run(main())
    assert [("other", "succeeded"), ("golden", "interrupted")] == [(s.run_id, s.status) for s in summaries]
    assert (GOAL, META) == (records.goal, records.meta)
    assert [record(seq, "golden") for seq in range(1, 7)] == records
    assert 8 == count
