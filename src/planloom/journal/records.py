"""Records: what a journal holds, one line per event, each with its own format version and checksum.

A line is `FORMAT CHECKSUM POSITION JSON`. The checksum covers the position and the JSON, so a torn, flipped,
moved or missing line is seen. Rule: only the end of a run is ever left out, and it is said what and why.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Self, cast
from zlib import crc32

from planloom.errors import JournalCorruptError, JournalError
from planloom.journal.lines import FORMAT_VERSION, framed, write_json
from planloom.plan.bulk import without_collections
from planloom.plan.events import EVENT_VERSION, Event

MAX_RUN_ID_CHARS: Final = 200
"""Length of a run's id."""
HEADER_TYPE: Final = "run-opened"
"""Type of the record at position 0, which holds the run's goal and meta."""
SUCCEEDED_TYPE: Final = "step-succeeded"
CACHE_KEY: Final = "cache_key"
"""In the data of a step's success: the key under which its output may be used again."""

ARTIFACT_PATTERN: Final = re.compile(rb'"\$artifact":"sha256:([0-9a-f]{64})"')
"""Finds the hash of every artifact in a line."""

_FIELD_COUNT: Final = 7


@dataclass(frozen=True, slots=True)
class Record:
    """One event as it is kept. `at` is seconds since 1970 (UTC), to the microsecond; `data` is a JSON object.

    `seq` grows within a run, with gaps where an event is not kept.
    """

    seq: int
    run_id: str
    at: float
    type: str
    step_id: str | None
    data: Mapping[str, Any]
    version: int = EVENT_VERSION

    def __post_init__(self) -> None:
        object.__setattr__(self, "at", round(self.at, 6))

    @classmethod
    def from_event(cls, event: Event) -> Self:
        """Return the record of an event."""
        return cls(event.seq, event.run_id, event.at, event.type, event.step_id, event.data)

    @classmethod
    def from_dict(cls, written: Mapping[str, Any]) -> Self:
        """Read what `to_dict` (or `Event.to_dict`) wrote. Raises ValueError for anything else."""
        try:
            return cls._checked(written)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not a record: {error}") from None

    @classmethod
    def _checked(cls, written: Mapping[str, Any]) -> Self:
        if len(written) != _FIELD_COUNT:
            raise ValueError("the fields are not those of a record")
        seq, run_id, type, version = written["seq"], written["run_id"], written["type"], written["version"]
        step_id, data = written["step_id"], written["data"]
        if not (
            isinstance(seq, int)
            and isinstance(version, int)
            and isinstance(run_id, str)
            and isinstance(type, str)
            and isinstance(data, dict)
            and (step_id is None or isinstance(step_id, str))
        ):
            raise ValueError("a field has the wrong type")
        at = datetime.fromisoformat(written["at"]).timestamp()
        return cls(seq, run_id, at, type, step_id, cast("dict[str, Any]", data), version)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object of the event, as `Event.to_dict` writes it."""
        return {
            "version": self.version,
            "seq": self.seq,
            "run_id": self.run_id,
            "at": datetime.fromtimestamp(self.at, UTC).isoformat(),
            "type": self.type,
            "step_id": self.step_id,
            "data": self.data,
        }


@dataclass(frozen=True, slots=True)
class Dropped:
    """The end of a run that was left out: from `position` (counted from 1), `count` records, and why.

    `intact` of them could still be read: when it is 0 the end is merely torn, else there is damage before
    records that are whole, and leaving those out may forget effects that have happened.
    """

    run_id: str
    position: int
    count: int
    intact: int
    reason: str

    @property
    def is_torn_end(self) -> bool:
        """Whether nothing that is whole was left out."""
        return self.intact == 0

    def refusal(self) -> str:
        """Say why nobody may go on with such a run unasked."""
        return (
            f"{self.message()}\nhint: the run cannot go on safely; --drop-damaged, or in Python drop_damaged=True, "
            "goes on without them all the same: what they say was done may be done again"
        )

    def message(self) -> str:
        """Say in one sentence what was left out."""
        last = self.position + self.count - 1
        which = f"record {self.position}" if self.count <= 1 else f"records {self.position} to {last}"
        whole = f"; {self.intact} of them are whole" if self.intact else ""
        return f"run `{self.run_id}`: the end was left out, {which}, because {self.reason}{whole}"


class RunRecords(list[Record]):
    """The records of one run, in order, with the run's `goal` and `meta`, and what was `dropped` (or None)."""

    def __init__(self, records: Iterable[Record], goal: str, meta: Mapping[str, Any], dropped: Dropped | None) -> None:
        super().__init__(records)
        self.goal = goal
        self.meta = meta
        self.dropped = dropped


def cached_under(record: Record) -> str | None:
    """Return the key under which a record is found again by `Journal.recall`, if it is the success of a cached call."""
    key = record.data.get(CACHE_KEY) if record.type == SUCCEEDED_TYPE else None
    return key if isinstance(key, str) else None


def recalled(line: bytes, run_id: str, position: int, key: str) -> Record | None:
    """Return the record of a line if it is whole and was kept under the key, else None."""
    try:
        record = decode(line, run_id, position)
    except DamagedRecordError:
        return None
    return record if cached_under(record) == key else None


class DamagedRecordError(ValueError):
    """A line that is not what was written. The message is a reason: "its checksum does not match"."""


def header(run_id: str, at: float, goal: str, meta: Mapping[str, Any]) -> Record:
    """Return the record at position 0, which says what the run is for."""
    return Record(0, run_id, at, HEADER_TYPE, None, {"goal": goal, "meta": dict(meta)})


def encode(record: Record, position: int) -> bytes:
    """Return a record's line. Raises `JournalError` for what is not JSON, and past `MAX_RECORD_BYTES`."""
    try:
        text = write_json(record.to_dict())
    except (TypeError, ValueError, RecursionError, OverflowError) as error:
        raise JournalError(f"{_named(record)} cannot be written: it is not JSON ({error})") from None
    return framed(text, position, _named(record))


def decode(line: bytes, run_id: str, position: int) -> Record:
    """Return the record of a line. Raises `DamagedRecordError` with the reason."""
    parts = line.split(b" ", 3)
    if len(parts) != 4:
        raise DamagedRecordError("it is torn")
    version, checksum, place, body = parts
    if version != b"%d" % FORMAT_VERSION:
        raise DamagedRecordError(f"its format version is not {FORMAT_VERSION}")
    if checksum != b"%08x" % crc32(body, crc32(place + b" ")):
        raise DamagedRecordError("its checksum does not match")
    if place != b"%d" % position:
        raise DamagedRecordError(f"it belongs at position {int(place)}")
    try:
        record = Record.from_dict(json.loads(body))
    except (ValueError, RecursionError) as error:
        raise DamagedRecordError(f"it is not a record ({error})") from None
    if record.run_id != run_id:
        raise DamagedRecordError(f"it belongs to the run `{record.run_id:.{MAX_RUN_ID_CHARS}}`")
    return record


def valid_prefix(
    run_id: str, lines: Sequence[tuple[int, bytes]], *, start: int = 1
) -> tuple[list[Record], Dropped | None]:
    """Return the records up to the first that is damaged or missing, and what was left out behind it.

    `lines` holds positions and lines in order; `start` is the position that the first one must have.
    """
    records: list[Record] = []
    for expected, (position, line) in enumerate(lines, start):
        try:
            if position != expected:
                raise DamagedRecordError("it is missing")
            records.append(decode(line, run_id, position))
        except DamagedRecordError as damage:
            rest = lines[expected - start :]
            count = max(rest[-1][0] - expected + 1, 1)
            intact = sum(_is_whole(line, run_id, position) for position, line in rest)
            reason = f"record {expected} is damaged: {damage}"
            return records, Dropped(run_id, expected, count, intact, reason)
    return records, None


def read_run(run_id: str, lines: Sequence[tuple[int, bytes]], where: str, cut: str | None = None) -> RunRecords:
    """Return a run from its lines, the header first; `cut` says why no more lines could be fetched, if so.

    Raises `JournalCorruptError` when not even the header can be read.
    """
    with without_collections(len(lines)):
        records, dropped = valid_prefix(run_id, lines, start=0)
    if not records or records[0].type != HEADER_TYPE:
        reason = cut or (dropped.reason if dropped else "it has no header")
        raise JournalCorruptError(f"the run `{run_id}` in {where} cannot be read: {reason}")
    if cut is not None and dropped is None:
        dropped = Dropped(run_id, len(records), 1, 0, cut)
    data = records[0].data
    return RunRecords(records[1:], data["goal"], data["meta"], dropped)


def _is_whole(line: bytes, run_id: str, position: int) -> bool:
    try:
        decode(line, run_id, position)
    except DamagedRecordError:
        return False
    return True


def _named(record: Record) -> str:
    step = f" of step `{record.step_id}`" if record.step_id else ""
    return f"the record `{record.type}`{step} (seq {record.seq}, run `{record.run_id}`)"
