"""The owner of one run over a writer thread, and what every owner checks before it writes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

from planloom.errors import JournalError
from planloom.journal.records import Record, RunRecords, cached_under, encode
from planloom.journal.writing import Append, Claim, GroupWriter, again, settle

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
        self._handed: list[Append] = []
        self._last: asyncio.Future[None] | None = None
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

    def append(self, records: Iterable[Record]) -> asyncio.Future[None]:
        """Queue records, all or none."""
        if self._is_closed:
            raise JournalError(f"the run `{self.run_id}` was closed, so nothing more can be written to it")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        if self.claim.error is not None:
            settle([(future, None, again(self.claim.error))])
            return future
        keys: list[tuple[str, int]] = []
        lines, seq, last = encode_all(records, self.run_id, self._position, self._seq, keys)
        if last is None:
            future.set_result(None)
            return future
        status, ended_at = status_after(last)
        size = sum([len(line) for _, line in lines])
        self._handed.append(Append(self.claim, lines, size, status, ended_at, future, keys))
        self._position += len(lines)
        self._seq = seq
        if len(self._handed) == 1:
            # at the end of this turn of the loop: all tasks that append in one turn share one hand-over
            loop.call_soon(self._hand_over)
        self._last = future
        return future

    def _hand_over(self) -> None:
        if not self._handed:
            return
        handed, self._handed = self._handed, []
        try:
            self._group.put(handed)
        except JournalError as error:
            self.claim.error = self.claim.error or error
            settle([(append.future, None, again(error)) for append in handed])

    async def flush(self) -> None:
        """Wait until everything appended is durable."""
        if self._last is not None and not self._last.done():
            self._hand_over()
            await asyncio.wait([self._last])
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


def encode_all(
    records: Iterable[Record], run_id: str, position: int, seq: int, keys: list[tuple[str, int]]
) -> tuple[list[tuple[int, bytes]], int, Record | None]:
    """Return the lines of records that follow `position` and `seq`, the last `seq`, and the last record.

    Adds to `keys` the positions of those that are found again by a key.

    Raises `JournalError` for a record of another run, or a `seq` that does not grow.
    """
    lines: list[tuple[int, bytes]] = []
    record: Record | None = None
    for record in records:
        if record.run_id != run_id:
            raise JournalError(f"a record of the run `{record.run_id}` was given to the writer of `{run_id}`")
        if record.seq <= seq:
            raise JournalError(
                f"the records of a run have a growing `seq`: {record.seq} came after {seq} (run `{run_id}`)"
            )
        seq = record.seq
        position += 1
        lines.append((position, encode(record, position)))
        if (key := cached_under(record)) is not None:
            keys.append((key, position))
    return lines, seq, record


def status_after(record: Record) -> tuple[str, float | None]:
    """Return the status of a run whose last record this is, and when it ended."""
    if record.type == "run-finished":
        return str(record.data.get("status", RUNNING)), record.at
    return RUNNING, None
