"""What a journal is: a small protocol, the summary of a run, and the limits that hold for every journal.

Rule: what `append` has called durable survives the process; an owner that lost its run writes nothing more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from planloom.errors import JournalError
from planloom.journal.lines import Brief
from planloom.journal.records import MAX_RUN_ID_CHARS, Record, RunRecords

LEASE_S: Final = 30.0
"""Seconds without a sign of life after which a run may be taken over from a process that still exists."""
BEATS_PER_LEASE: Final = 3
"""How often an owner says within one lease that it is alive."""
MAX_PENDING_BYTES: Final = 256 * 1024 * 1024
"""Bytes appended and not yet durable, over all runs of a journal."""
MAX_COMMIT_RECORDS: Final = 10_000
"""Appends in one commit."""
MAX_RECALLED: Final = 8
"""Records under one key that are tried, the newest first, until one is whole."""
DEFAULT_RUNS: Final = 100
"""Runs that `runs` lists when nothing is said."""
Told = Callable[[JournalError | None], None]
"""Called on the loop when what was appended is durable, with None, or never will be, with the reason."""


@dataclass(frozen=True, slots=True)
class RunSummary:
    """One run in a list. Times are seconds since 1970 (UTC).

    `status` is a `RunStatus` or "interrupted": not ended, and nobody drives it. `owner_epoch` counts its owners.
    """

    run_id: str
    goal: str
    status: str
    started_at: float
    ended_at: float | None
    owner_epoch: int


class RunWriter(Protocol):
    """The one owner of a run. Used on one event loop."""

    @property
    def run_id(self) -> str:
        """The run."""
        ...

    @property
    def epoch(self) -> int:
        """Which owner of the run this is, counted from 1."""
        ...

    @property
    def records(self) -> RunRecords | None:
        """What stood in the run when it was taken over, as `Journal.read` returns it; None for a new run."""
        ...

    @property
    def error(self) -> JournalError | None:
        """What ended this writer, or None while it can write."""
        ...

    def append(self, records: Iterable[Record | Brief]) -> asyncio.Future[None]:
        """Queue records, all or none, and return at once; the future is done when they are durable.

        Appends become durable in order, many in one commit. The future raises `RunOwnedError` when another owner
        took the run over (nothing was written), `JournalError` when the write failed; then every later append
        fails too. It need not be awaited: a later one says the same. Raises `JournalError` at once, and stays
        usable, for records that cannot be written: not JSON, too large, of another run, `seq` not growing.
        """
        ...

    def write(self, records: Iterable[Record | Brief], told: Told) -> None:
        """Append records that were gathered over a turn of the loop, and hand them over at once.

        `told` is called on the loop, after this has returned, with None when they are durable, else with the error
        that the future of `append` would have. Raises what `append` raises.
        """
        ...

    async def flush(self) -> None:
        """Wait until everything appended is durable; raise what went wrong."""
        ...

    async def close(self) -> None:
        """Wait for what is under way and give the run up, so that it can be taken over at once.

        Raises what went wrong with any append. Closing twice does nothing.
        """
        ...


class Journal(Protocol):
    """Runs and their records. All methods raise `JournalError` with one clear sentence."""

    @property
    def where(self) -> str:
        """The file or server, without a password, for messages."""
        ...

    async def open_run(self, run_id: str, goal: str, meta: Mapping[str, Any]) -> RunWriter:
        """Begin a run and own it. `meta` is a JSON object that `read` gives back. Durable when it returns."""
        ...

    async def read(self, run_id: str) -> RunRecords:
        """Return the run's records in order. A damaged end is left out and said in `.dropped`.

        Raises `RunNotFoundError`, and `JournalCorruptError` when not even the beginning can be read.
        """
        ...

    async def runs(self, limit: int = DEFAULT_RUNS, status: str | None = None) -> list[RunSummary]:
        """Return the newest runs first, at most `limit`, only those of a `status` if one is given."""
        ...

    async def take_over(self, run_id: str, *, drop_damaged: bool = False) -> RunWriter:
        """Become the owner of a run that nobody drives, with a new epoch.

        Raises `RunOwnedError` while its owner is alive, `RunNotFoundError`, and `JournalCorruptError` when whole
        records stand behind a damaged one, unless `drop_damaged` says to go on without them. A torn end is cut.
        """
        ...

    async def delete(self, run_ids: Sequence[str]) -> int:
        """Forget runs and return how many there were. Raises `RunOwnedError`, deleting none, if one is alive."""
        ...

    async def artifacts(self) -> frozenset[str]:
        """Return the hex hash of every artifact that any record mentions, damaged records too."""
        ...

    async def recall(self, key: str) -> Record | None:
        """Return the newest record of a step's success that was appended with `data["cache_key"]` equal to `key`.

        It is found as soon as it is durable, and goes with its run. None when there is none, or none that is whole.
        """
        ...

    async def close(self) -> None:
        """Make what was appended durable and let go of everything; runs that are open can be taken over."""
        ...


def check_run_id(run_id: str) -> None:
    """Raise `JournalError` for what cannot be the id of a run."""
    if not 0 < len(run_id) <= MAX_RUN_ID_CHARS or not run_id.isprintable():
        raise JournalError(
            f"`{run_id[:80]!s}` cannot be the id of a run: 1 to {MAX_RUN_ID_CHARS} printable characters are needed"
        )
