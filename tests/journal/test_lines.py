"""Lines: what is brief is written as the long way writes it, and what is no JSON is not written."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planloom.errors import JournalError
from planloom.journal import MemoryJournal, Record, SqliteJournal
from planloom.journal.lines import MAX_RECORD_BYTES, Brief, BriefLines, write_json
from planloom.journal.records import encode
from planloom.plan.events import Event, StepStarted, StepSucceeded

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda part: st.lists(part, max_size=3) | st.dictionaries(st.text(), part, max_size=3),
    max_leaves=8,
)
NAMES = st.text(st.characters(), min_size=1, max_size=8) | st.sampled_from(["s", "each[0]", 'a"b\\', "\udc80", "\x00"])
TIMES = st.floats(0, 4e9) | st.sampled_from([0.0, 5.0, 5.3, 1.9999996, 2.9999994, 1_700_000_000.0000001])


def long_way(event: Event, position: int) -> bytes:
    """The line of an event by way of its record."""
    return encode(Record.from_event(event), position)


@given(st.lists(st.tuples(TIMES, NAMES, JSON, st.floats(0, 1e11)), max_size=4))
def test_what_is_brief_is_written_as_the_long_way(told):
    """Starts and successes have the same line either way, whatever the step is called, and wherever the clock goes."""
    briefs = BriefLines("r1")
    for seq, (at, name, output, latency_ms) in enumerate(told, 1):
        start: Brief = (seq, at, name, name, 3)
        assert long_way(StepStarted(seq, "r1", at, name, name, 3), 7) == briefs.line(start, 7)
        success: Brief = (seq, at, name, write_json(output), 2, latency_ms)
        assert long_way(StepSucceeded(seq, "r1", at, name, output, 2, latency_ms), 8) == briefs.line(success, 8)


def test_what_is_too_long_is_refused():
    """A brief record has the limit of all records, and its step is named."""
    with pytest.raises(JournalError, match=r"the record of step `long` is 8,388,\d+ bytes, more than 8,388,608"):
        BriefLines("r1").line((1, 1.0, "long", "1" * MAX_RECORD_BYTES, 1, 1.0), 1)


CIRCLE: list[object] = []
CIRCLE.append(CIRCLE)


@pytest.mark.parametrize("value", [float("nan"), float("-inf"), {1, 2}, b"", object(), CIRCLE, {(1, 2): 3}])
def test_what_is_not_json_is_not_written(value):
    """One value that is refused does not stand in the way of the next."""
    with pytest.raises((TypeError, ValueError, RecursionError)):
        write_json({"value": value})
    assert '{"value":[1,"é"]}' == write_json({"value": [1, "é"]})


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_written_at_once(kind: str, tmp_path: Path) -> None:
    """`write` tells its caller after it has returned, in order with `append`, and takes brief records among others."""
    told: list[str] = []

    async def work() -> list[tuple[int, str]]:
        async with MemoryJournal() if kind == "memory" else SqliteJournal(tmp_path / "runs.db") as journal:
            writer = await journal.open_run("r1", "", {})
            writer.append([Record(1, "r1", 1.0, "x", None, {})]).add_done_callback(lambda _: told.append("appended"))
            writer.write([(2, 1.0, "s", "look", 1), Record(3, "r1", 1.0, "x", None, {})], lambda e: told.append(str(e)))
            writer.write([], lambda error: told.append(f"nothing, {error}"))
            assert [] == told
            with pytest.raises(JournalError, match="growing `seq`: 3 came after 3"):
                writer.write([(3, 1.0, "s", "null", 1, 0.5)], lambda error: told.append("never"))
            await writer.flush()
            await asyncio.sleep(0)
            assert {"appended", "None", "nothing, None"} == set(told)
            return [(record.seq, record.type) for record in await journal.read("r1")]

    assert [(1, "x"), (2, "step-started"), (3, "x")] == asyncio.run(work())


def test_what_cannot_be_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever writes hears why it failed, once for each time, and nothing more is written."""

    class Failing(sqlite3.Connection):
        is_broken = False

        def executemany(self, *arguments: object) -> sqlite3.Cursor:
            if Failing.is_broken:
                raise sqlite3.OperationalError("injected")
            return super().executemany(*arguments)  # pyright: ignore[reportArgumentType]

    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *args, **kwargs: connect(*args, factory=Failing, **kwargs))
    told: list[str] = []

    async def work() -> None:
        journal = SqliteJournal(tmp_path / "runs.db")
        writer = await journal.open_run("r1", "", {})
        Failing.is_broken = True
        for seq in (1, 2):
            writer.write([(seq, 1.0, "s", "look", 1)], lambda error: told.append(f"{error}"))
            with pytest.raises(JournalError, match="injected"):
                await writer.flush()
        await asyncio.sleep(0)
        Failing.is_broken = False
        await journal.close()

    asyncio.run(work())
    assert [f"the journal {tmp_path / 'runs.db'} cannot be written: injected"] * 2 == told
