"""The owner of one run over a writer thread, and what every owner checks before it writes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from functools import partial
from typing import Final

from planloom.errors import JournalError
from planloom.journal.base import Told
from planloom.journal.lines import Brief, BriefLines
from planloom.journal.records import Record, RunRecords, cached_under, encode
from planloom.journal.writing import Append, Call, Claim, GroupWriter, again, settle

RUNNING: Final = "running"
INTERRUPTED: Final = "interrupted"
"""A run that has not ended and that nobody drives: what a list of runs shows, never what is stored."""


class QueuedRunWriter:
    """The owner of one run, over a `GroupWriter`. See `RunWriter` for what it promises."""

    def __init__(
        self, group: GroupWriter, claim: Claim, release: Callable[[], None], records: RunRecords | None = None
    ) -> None:
        self.claim = claim
        self._group = group
        self.records = records
        self._position = len(records) if records else 0
        self._seq = records[-1].seq if records else 0
        self._release = release
        self._loop = asyncio.get_running_loop()
        self._briefs = BriefLines(claim.run_id)
        self._handed: list[Append | Call] = []
        self._is_flushed = True
        self._is_closed = False
        group.register(claim)

    @property
    def run_id(self) -> str:
        """The run."""
        return self.claim.run_id

    @property
    def epoch(self) -> int:
        """Which owner of the run this is."""
        return self.claim.epoch

    @property
    def error(self) -> JournalError | None:
        """What ended this writer, or None."""
        return self.claim.error

    def append(self, records: Iterable[Record | Brief]) -> asyncio.Future[None]:
        """Queue records, all or none."""
        future: asyncio.Future[None] = self._loop.create_future()
        told = partial(settle, future, None)
        if not self._queue(records, told):
            told(again(self.claim.error))
        elif len(self._handed) == 1:
            # at the end of this turn of the loop: all tasks that append in one turn share one hand-over
            self._loop.call_soon(self._hand_over)
        return future

    def write(self, records: Iterable[Record | Brief], told: Told) -> None:
        """Queue records, all or none, and hand them over at once."""
        if self._queue(records, told):
            self._hand_over()
        else:
            self._loop.call_soon(told, again(self.claim.error))

    def _queue(self, records: Iterable[Record | Brief], told: Told) -> bool:
        """Queue records; return False when there is nothing to write, or it cannot be written."""
        claim = self.claim
        if self._is_closed:
            raise JournalError(f"the run `{self.run_id}` was closed, so nothing more can be written to it")
        if claim.error is not None:
            return False
        keys: list[tuple[str, int]] = []
        lines, seq, last = encode_all(records, claim.run_id, self._briefs, self._position, self._seq, keys)
        if last is None:
            return False
        status, ended_at = status_after(last)
        first = self._position + 1
        self._handed.append(Append(claim, first, lines, sum(map(len, lines)), status, ended_at, self._loop, told, keys))
        self._position += len(lines)
        self._seq = seq
        self._is_flushed = False
        return True

    def _hand_over(self) -> None:
        if not self._handed:
            return
        handed, self._handed = self._handed, []
        try:
            self._group.put(handed)
        except JournalError as error:
            self.claim.error = self.claim.error or error
            for append in handed:
                if isinstance(append, Append):
                    append.loop.call_soon(append.told, again(error))

    async def flush(self) -> None:
        """Wait until everything appended is durable."""
        if not self._is_flushed:
            self._hand_over()
            if self.claim.error is None:
                await self._group.call(_nothing)  # behind the appends
            self._is_flushed = True
        self._raise_error()

    async def close(self) -> None:
        """Wait for what is under way and give the run up."""
        if self._is_closed:
            return
        self._is_closed = True
        self._hand_over()
        self._group.forget(self.claim)
        try:
            await asyncio.shield(self._group.call(self._release))  # behind the appends
        except JournalError:
            self._raise_error()  # what came first is the better reason
            raise
        self._raise_error()

    def _raise_error(self) -> None:
        error = again(self.claim.error)
        if error is not None:
            raise error


def _nothing() -> None:
    """Be done as soon as everything before is."""


def encode_all(
    records: Iterable[Record | Brief],
    run_id: str,
    briefs: BriefLines,
    position: int,
    seq: int,
    keys: list[tuple[str, int]],
) -> tuple[list[bytes], int, Record | Brief | None]:
    """Return the lines of records that follow `position` and `seq`, the last `seq`, and the last record.

    `briefs` writes those that are brief. Adds to `keys` the positions of those that are found again by a key.
    Raises `JournalError` for a record of another run, or a `seq` that does not grow.
    """
    lines: list[bytes] = []
    record: Record | Brief | None = None
    for record in records:
        position += 1
        if isinstance(record, tuple):
            if record[0] <= seq:
                raise _out_of_order(record[0], seq, run_id)
            seq = record[0]
            lines.append(briefs.line(record, position))
            continue
        if record.seq <= seq:
            raise _out_of_order(record.seq, seq, run_id)
        seq = record.seq
        if record.run_id != run_id:
            raise JournalError(f"a record of the run `{record.run_id}` was given to the writer of `{run_id}`")
        lines.append(encode(record, position))
        if (key := cached_under(record)) is not None:
            keys.append((key, position))
    return lines, seq, record


def _out_of_order(seq: int, before: int, run_id: str) -> JournalError:
    return JournalError(f"the records of a run have a growing `seq`: {seq} came after {before} (run `{run_id}`)")


def status_after(record: Record | Brief) -> tuple[str, float | None]:
    """Return the status of a run whose last record this is, and when it ended."""
    if isinstance(record, tuple) or record.type != "run-finished":
        return RUNNING, None
    return str(record.data.get("status", RUNNING)), record.at
