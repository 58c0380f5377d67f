"""Records as lines: every flipped bit and every torn end is seen, and only the end is left out."""

from __future__ import annotations

import asyncio
import itertools
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planloom import execute_plan
from planloom.errors import JournalCorruptError, JournalError
from planloom.journal import Record
from planloom.journal.records import (
    HEADER_TYPE,
    DamagedRecordError,
    Dropped,
    decode,
    encode,
    header,
    read_run,
    valid_prefix,
)
from planloom.testing import chain

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
ONE = Record(7, "r1", 1_700_000_000.5, "step-succeeded", "fetch[0]", {"output": "é"})


def lines(count, run_id="r1"):
    """The header and `count` records."""
    made = [header(run_id, 0.0, "goal", {"a": 1})]
    made += [Record(seq, run_id, 1.0 * seq, "step-started", "a", {"n": seq}) for seq in range(1, count + 1)]
    return [(position, encode(record, position)) for position, record in enumerate(made)]


def test_every_flipped_bit_is_seen():
    """No bit of a line can change without being noticed."""
    line = encode(ONE, 3)
    for place, bit in itertools.product(range(len(line)), range(8)):
        damaged = line[:place] + bytes([line[place] ^ (1 << bit)]) + line[place + 1 :]
        with pytest.raises(DamagedRecordError):
            decode(damaged, "r1", 3)


def test_every_torn_end_is_seen():
    """No beginning of a line is taken for a line."""
    line = encode(ONE, 3)
    for length in range(len(line)):
        with pytest.raises(DamagedRecordError):
            decode(line[:length], "r1", 3)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"", "torn"),
        (b"2 00000000 3 {}", "format version is not 1"),
        (encode(replace(ONE, run_id="r2"), 3), "belongs to the run `r2`"),
        (encode(ONE, 4), "belongs at position 4"),
    ],
)
def test_what_is_wrong_is_said(line, reason):
    """Each kind of damage has its reason."""
    with pytest.raises(DamagedRecordError, match=reason):
        decode(line, "r1", 3)


@given(st.dictionaries(st.text(), JSON, max_size=4), st.floats(0, 4e9), st.integers(1, 10**9))
def test_records_come_back(data, at, position):
    """Whatever JSON a record holds, the same record is read; the text is canonical."""
    record = Record(1, "r1", at, "x", None, data)
    line = encode(record, position)
    back = decode(line, "r1", position)
    assert (record, line) == (back, encode(back, position))


def test_events_of_a_run_come_back():
    """Every event of a real run becomes a record that says what the event said."""
    events = []
    asyncio.run(execute_plan(chain(3), {"work": lambda: {"rows": [1, 2]}}, on_event=events.append))
    assert len(events) > 6
    for position, event in enumerate(events, 1):
        back = decode(encode(Record.from_event(event), position), event.run_id, position)
        assert event.to_dict() == back.to_dict() == Record.from_dict(event.to_dict()).to_dict()


def test_the_order_of_keys_comes_back():
    """Text that is made of an output must be the same before and after a crash."""
    record = Record(1, "r1", 0.0, "step-succeeded", "a", {"output": {"n": 2, "items": [], "a": {"z": 1, "b": 2}}})
    back = decode(encode(record, 1), "r1", 1)
    assert json.dumps(dict(record.data)) == json.dumps(dict(back.data))


@pytest.mark.parametrize("data", [{"a": float("inf")}, {"a": {1, 2}}, {"a": b""}])
def test_what_is_not_json_is_refused(data):
    """The message names the record."""
    with pytest.raises(JournalError, match=r"`x` of step `s` \(seq 1, run `r1`\) cannot be written: it is not JSON"):
        encode(Record(1, "r1", 0.0, "x", "s", data), 1)


def test_data_nested_without_end_is_refused():
    """A value that is too deep for JSON is an error, not a crash."""
    deep = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(JournalError, match="not JSON"):
        encode(Record(1, "r1", 0.0, "x", None, {"deep": deep}), 1)


@given(st.integers(0, 20), st.data())
def test_only_the_end_is_left_out(count, data):
    """However lines are damaged or lost, what is read is a beginning of what was written."""
    written = lines(count)
    damaged = list(written)
    for place in data.draw(st.sets(st.integers(0, count), max_size=3)):
        line = written[place][1]
        at = data.draw(st.integers(0, len(line) - 1))
        damaged[place] = (place, line[:at] + bytes([line[at] ^ 0x10]) + line[at + 1 :])
    for place in sorted(data.draw(st.sets(st.integers(0, count), max_size=2)), reverse=True):
        del damaged[place]
    records, dropped = valid_prefix("r1", damaged, start=0)
    whole = [decode(line, "r1", position) for position, line in written]
    assert whole[: len(records)] == records
    assert (dropped is None) == (len(records) == len(damaged))
    if dropped is not None:
        assert (len(records), damaged[-1][0] + 1) == (dropped.position, dropped.position + max(dropped.count, 1))


def test_what_was_left_out_is_said_in_one_sentence():
    """It names the run, the records, the reason, and what behind it is whole."""
    written = lines(6)
    written[4] = (4, written[4][1][:-3])
    records = read_run("r1", written, "here")
    assert Dropped("r1", 4, 3, 2, "record 4 is damaged: its checksum does not match") == records.dropped
    assert (
        "run `r1`: the end was left out, records 4 to 6, because record 4 is damaged: its checksum does not match; "
        "2 of them are whole"
    ) == records.dropped.message()


def test_a_file_that_could_not_be_read_on_is_said():
    """The reason of the database is the reason of the run."""
    records = read_run("r1", lines(2), "here", "the file is damaged")
    assert (2, "the file is damaged") == (len(records), records.dropped.reason)
    with pytest.raises(JournalCorruptError, match="the run `r1` in here cannot be read: the file is damaged"):
        read_run("r1", [], "here", "the file is damaged")


def test_a_run_without_lines_is_corrupt():
    """There is always a header."""
    with pytest.raises(JournalCorruptError, match="it has no header"):
        read_run("r1", [], "here")


def test_the_header_holds_goal_and_meta():
    """It is a record like any other, at position 0."""
    assert (HEADER_TYPE, {"goal": "g", "meta": {"a": [1]}}) == (
        header("r", 0.0, "g", {"a": [1]}).type,
        dict(header("r", 0.0, "g", {"a": [1]}).data),
    )
