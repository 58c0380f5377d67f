"""A journal over a writer thread: every method is work for the thread, so the event loop never waits for a disk."""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, Self

from planloom.journal.base import DEFAULT_RUNS, RunSummary, check_run_id
from planloom.journal.records import Record, RunRecords
from planloom.journal.writers import QueuedRunWriter
from planloom.journal.writing import Claim, GroupWriter, Store


class RunStore(Store, Protocol):
    """What a database does for a journal, on the thread. Each raises what the method of `Journal` raises."""

    @property
    def where(self) -> str:
        """The file or server, for messages."""
        ...

    def open_run(self, run_id: str, goal: str, meta: Mapping[str, Any]) -> Claim:
        """Insert a run with its header."""
        ...

    def take_over(self, run_id: str, drop_damaged: bool) -> tuple[Claim, RunRecords]:
        """Raise the epoch of a run; return the claim and what stands in the run."""
        ...

    def release(self, claim: Claim) -> None:
        """Give a run up, if it is still this claim's."""
        ...

    def read(self, run_id: str) -> RunRecords:
        """Return a run's records."""
        ...

    def runs(self, limit: int, status: str | None) -> list[RunSummary]:
        """Return the newest runs first."""
        ...

    def delete(self, run_ids: Sequence[str]) -> int:
        """Delete runs that nobody drives."""
        ...

    def artifacts(self) -> frozenset[str]:
        """Return the hash of every artifact that is mentioned."""
        ...

    def recall(self, key: str) -> Record | None:
        """Return the newest success under a key."""
        ...


class QueuedJournal:
    """A journal over a `RunStore`. See `Journal` for what each method promises."""

    def __init__(self, store: RunStore, lease_s: float) -> None:
        self._store = store
        self._group = GroupWriter(store, store.where, lease_s)
        self._writers = weakref.WeakSet[QueuedRunWriter]()

    @property
    def where(self) -> str:
        """The file or server."""
        return self._store.where

    @property
    def commits(self) -> int:
        """How many groups of records were written; appends are grouped, so they are more."""
        return self._group.commits

    async def open_run(self, run_id: str, goal: str, meta: Mapping[str, Any]) -> QueuedRunWriter:
        """Begin a run and own it."""
        check_run_id(run_id)
        meta = dict(meta)
        claim = await self._group.call(lambda: self._store.open_run(run_id, goal, meta))
        return self._writer(claim)

    async def read(self, run_id: str) -> RunRecords:
        """Return the run's records."""
        return await self._group.call(lambda: self._store.read(run_id))

    async def runs(self, limit: int = DEFAULT_RUNS, status: str | None = None) -> list[RunSummary]:
        """Return the newest runs first."""
        return await self._group.call(lambda: self._store.runs(limit, status))

    async def take_over(self, run_id: str, *, drop_damaged: bool = False) -> QueuedRunWriter:
        """Become the owner of a run that nobody drives."""
        claim, records = await self._group.call(lambda: self._store.take_over(run_id, drop_damaged))
        return self._writer(claim, records)

    async def delete(self, run_ids: Sequence[str]) -> int:
        """Forget runs."""
        wanted = list(run_ids)
        return await self._group.call(lambda: self._store.delete(wanted))

    async def artifacts(self) -> frozenset[str]:
        """Return the hash of every artifact that is mentioned."""
        return await self._group.call(self._store.artifacts)

    async def recall(self, key: str) -> Record | None:
        """Return the newest success under a key."""
        return await self._group.call(lambda: self._store.recall(key))

    async def close(self) -> None:
        """Write what was appended, give up what is open, end the thread."""
        for writer in list(self._writers):
            try:
                await writer.close()
            except Exception:  # noqa: BLE001, S112 (who appended was told)
                continue
        await self._group.stop()

    def _writer(self, claim: Claim, records: RunRecords | None = None) -> QueuedRunWriter:
        writer = QueuedRunWriter(self._group, claim, lambda: self._store.release(claim), records)
        self._writers.add(writer)
        return writer

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
