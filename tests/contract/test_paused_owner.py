"""An owner that is stopped in the middle of an append, while another takes its run over. No timing decides anything."""

from __future__ import annotations

import asyncio
import contextlib
import threading

import pytest

from planloom.errors import JournalError, RunOwnedError
from planloom.journal import Record, SqliteJournal

DEADLINE_S = 30.0
"""For a test that would hang; no test waits for it."""


def _record(seq, data=None):
    return Record(seq, "r1", 1_700_000_000.0 + seq, "step-succeeded", f"s{seq}", data or {"n": seq})


class Pause:
    """Holds a thread at one place until it is told to go on."""

    def __init__(self):
        self._is_there, self._may_go = threading.Event(), threading.Event()

    def hold(self):
        self._is_there.set()
        assert self._may_go.wait(DEADLINE_S)

    def go_on(self):
        self._may_go.set()

    async def reached(self):
        assert await asyncio.to_thread(self._is_there.wait, DEADLINE_S)


def _hold(monkeypatch, store, name, pause, *, after):
    """Let the first call of a method of a store stop before it begins, or after it has ended."""
    method = getattr(store, name)
    is_first = threading.Lock()

    def held(*args):
        if not is_first.acquire(blocking=False):
            return method(*args)
        if after:
            result = method(*args)
            pause.hold()
            return result
        pause.hold()
        return method(*args)

    monkeypatch.setattr(store, name, held)


async def _stopped_in(journal, monkeypatch, name, *, after):
    """An owner whose second append is stopped at a method of its store; as if it were dead to others."""
    writer = await journal.open_run("r1", "a goal", {})
    await writer.append([_record(1)])
    pause = Pause()
    _hold(monkeypatch, journal._store, name, pause, after=after)
    late = writer.append([_record(2, {"by": "old"})])
    await pause.reached()
    journal._group.forget(writer.claim)
    return pause, late


def _run(work):
    async def bounded():
        await asyncio.wait_for(work(), DEADLINE_S)

    asyncio.run(bounded())


def _refused_at_once(place):
    """Whoever does not wait for the other transaction cannot take the run over meanwhile."""
    if place.kind == "sqlite":

        async def take_over():
            async with SqliteJournal(place.path, busy_s=0.0) as journal:
                await journal.take_over("r1")

        with pytest.raises(JournalError, match="another process has held it for more than 0 s"):
            asyncio.run(take_over())
        return
    import psycopg

    with psycopg.connect(place.address) as connection, pytest.raises(psycopg.errors.LockNotAvailable):
        connection.execute("SELECT epoch FROM planloom.runs WHERE run_id = 'r1' FOR UPDATE NOWAIT")


def _data(records):
    return [one.data for one in records]


def test_an_append_that_was_on_its_way_is_refused(durable_place, monkeypatch):
    """The owner has decided to write, is stopped, another takes over: when the first wakes up, nothing is written."""

    async def work():
        async with contextlib.AsyncExitStack() as stack:
            old, new = durable_place.open(), await stack.enter_async_context(durable_place.open())
            pause, late = await _stopped_in(old, monkeypatch, "commit", after=False)
            writer = await new.take_over("r1")
            assert [{"n": 1}] == _data(writer.records)
            pause.go_on()
            with pytest.raises(RunOwnedError, match="was taken over"):
                await late
            assert [{"n": 1}] == _data(await new.read("r1"))
            await writer.append([_record(2, {"by": "new"})])
            assert [{"n": 1}, {"by": "new"}] == _data(await new.read("r1"))
            await old.close()

    _run(work)


def test_a_check_that_has_passed_holds_until_the_append_is_written(durable_place, monkeypatch):
    """An owner that is stopped between its check and its append keeps others out: they come after it, and see it."""

    async def work():
        async with contextlib.AsyncExitStack() as stack:
            old, new = durable_place.open(), await stack.enter_async_context(durable_place.open())
            pause, late = await _stopped_in(old, monkeypatch, "_is_held", after=True)
            await asyncio.to_thread(_refused_at_once, durable_place)
            pause.go_on()
            await late
            writer = await new.take_over("r1")
            assert [{"n": 1}, {"by": "old"}] == _data(writer.records)
            assert [{"n": 1}, {"by": "old"}] == _data(await new.read("r1"))
            await writer.append([_record(3)])
            await old.close()

    _run(work)
