"""A journal in memory, for tests and for runs that need not outlive their process. It keeps lines like the others."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Self

from planloom.errors import JournalCorruptError, JournalError, RunNotFoundError
from planloom.journal.base import DEFAULT_RUNS, LEASE_S, RunSummary, Told, check_run_id
from planloom.journal.lines import Brief, BriefLines
from planloom.journal.owners import lost, owned
from planloom.journal.records import ARTIFACT_PATTERN, Record, RunRecords, encode, header, read_run, recalled
from planloom.journal.writers import INTERRUPTED, RUNNING, encode_all, status_after
from planloom.journal.writing import Claim, again, settle

_WHERE: Final = "memory"


@dataclass(eq=False)
class _Run:
    run_id: str
    goal: str
    started_at: float
    lines: list[tuple[int, bytes]]
    status: str = RUNNING
    ended_at: float | None = None
    epoch: int = 1
    writer: MemoryRunWriter | None = None
    dropped: list[tuple[int, bytes]] = field(default_factory=list["tuple[int, bytes]"])
    positions: dict[str, int] = field(default_factory=dict[str, int])
    """By the keys under which records are found again."""

    @property
    def is_driven(self) -> bool:
        return self.writer is not None and self.writer.is_alive


class MemoryJournal:
    """Runs as lists of lines. An owner is alive until it closes, or its event loop is closed."""

    def __init__(self) -> None:
        self._runs: dict[str, _Run] = {}

    @property
    def where(self) -> str:
        """What messages call it."""
        return _WHERE

    async def open_run(self, run_id: str, goal: str, meta: Mapping[str, Any]) -> MemoryRunWriter:
        """Begin a run and own it."""
        check_run_id(run_id)
        if run_id in self._runs:
            raise JournalError(f"there is a run `{run_id}` already in {_WHERE}")
        now = time.time()
        run = _Run(run_id, goal, now, [(0, encode(header(run_id, now, goal, meta), 0))])
        self._runs[run_id] = run
        run.writer = MemoryRunWriter(run, None)
        return run.writer

    async def read(self, run_id: str) -> RunRecords:
        """Return the run's records."""
        return read_run(run_id, self._run(run_id).lines, _WHERE)

    async def runs(self, limit: int = DEFAULT_RUNS, status: str | None = None) -> list[RunSummary]:
        """Return the newest runs first."""
        found = [self._summary(run) for run in reversed(self._runs.values())]
        found.sort(key=lambda summary: -summary.started_at)
        return [summary for summary in found if status in (None, summary.status)][:limit]

    async def take_over(self, run_id: str, *, drop_damaged: bool = False) -> MemoryRunWriter:
        """Become the owner of a run that nobody drives."""
        run = self._run(run_id)
        if run.is_driven:
            raise owned(run_id, run.epoch, None, LEASE_S)
        records = read_run(run_id, run.lines, _WHERE)
        if (dropped := records.dropped) is not None:
            if not dropped.is_torn_end and not drop_damaged:
                raise JournalCorruptError(dropped.refusal())
            run.dropped += run.lines[dropped.position :]
            del run.lines[dropped.position :]
        run.epoch += 1
        run.writer = MemoryRunWriter(run, records)
        return run.writer

    async def delete(self, run_ids: Sequence[str]) -> int:
        """Forget runs."""
        found = [self._runs[run_id] for run_id in dict.fromkeys(run_ids) if run_id in self._runs]
        for run in found:
            if run.is_driven:
                raise owned(run.run_id, run.epoch, None, LEASE_S)
        for run in found:
            run.epoch += 1  # whoever still writes is refused
            del self._runs[run.run_id]
        return len(found)

    async def artifacts(self) -> frozenset[str]:
        """Return the hash of every artifact that is mentioned."""
        lines = [line for run in self._runs.values() for _, line in [*run.lines, *run.dropped]]
        return frozenset(found.decode() for line in lines for found in ARTIFACT_PATTERN.findall(line))

    async def recall(self, key: str) -> Record | None:
        """Return the newest success under a key."""
        for run in reversed(self._runs.values()):
            position = run.positions.get(key)
            if position is not None and position < len(run.lines):
                record = recalled(run.lines[position][1], run.run_id, position, key)
                if record is not None:
                    return record
        return None

    async def close(self) -> None:
        """Let go of the owners. What was written stays readable as long as this object is there."""
        self.drop_owners()

    def drop_owners(self) -> None:
        """Forget who drives the runs, as if their process had been killed: they can be taken over."""
        for run in self._runs.values():
            run.writer = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def _run(self, run_id: str) -> _Run:
        run = self._runs.get(run_id)
        if run is None:
            raise RunNotFoundError(run_id, _WHERE)
        return run

    def _summary(self, run: _Run) -> RunSummary:
        status = INTERRUPTED if run.status == RUNNING and not run.is_driven else run.status
        return RunSummary(run.run_id, run.goal, status, run.started_at, run.ended_at, run.epoch)


class MemoryRunWriter:
    """The owner of one run in memory. What it appends is there at once; its future is done when it is returned."""

    def __init__(self, run: _Run, records: RunRecords | None) -> None:
        self._run = run
        self._claim = Claim(0, run.run_id, run.epoch, run.status)
        self._briefs = BriefLines(run.run_id)
        self.records = records
        self._position = len(records) if records else 0
        self._seq = records[-1].seq if records else 0
        self._loop = asyncio.get_running_loop()
        self._is_closed = False

    @property
    def is_alive(self) -> bool:
        """Whether it may still write."""
        return not self._is_closed and not self._loop.is_closed()

    @property
    def run_id(self) -> str:
        """The run."""
        return self._claim.run_id

    @property
    def epoch(self) -> int:
        """Which owner of the run this is."""
        return self._claim.epoch

    @property
    def error(self) -> JournalError | None:
        """What ended this writer, or None."""
        return self._claim.error

    def append(self, records: Iterable[Record | Brief]) -> asyncio.Future[None]:
        """Write records, all or none."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        settle(future, None, self._write(records))
        return future

    def write(self, records: Iterable[Record | Brief], told: Told) -> None:
        """Write records, all or none."""
        asyncio.get_running_loop().call_soon(told, self._write(records))

    def _write(self, records: Iterable[Record | Brief]) -> JournalError | None:
        """Write records and return None, or what keeps this owner from writing."""
        if self._is_closed:
            raise JournalError(f"the run `{self.run_id}` was closed, so nothing more can be written to it")
        keys: list[tuple[str, int]] = []
        lines, seq, last = encode_all(records, self.run_id, self._briefs, self._position, self._seq, keys)
        run, claim = self._run, self._claim
        if claim.error is None and run.epoch != claim.epoch:
            claim.error = lost(claim.run_id, claim.epoch, _WHERE)
        if claim.error is None and last is not None:
            run.lines += enumerate(lines, self._position + 1)
            run.positions.update(keys)
            run.status, run.ended_at = status_after(last)
            self._position += len(lines)
            self._seq = seq
        return again(claim.error)

    async def flush(self) -> None:
        """Raise what went wrong with an append; there is nothing to wait for."""
        error = again(self._claim.error)
        if error is not None:
            raise error

    async def close(self) -> None:
        """Give the run up."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._run.writer is self:
            self._run.writer = None
        await self.flush()
