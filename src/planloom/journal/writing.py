"""The writer thread of a journal: appends of all runs are grouped into few commits, off the event loop.

Rule: the loop only queues; the thread owns the connection. A run whose write failed writes nothing more, so that
there is never a hole in its records.
"""

from __future__ import annotations

import asyncio
import atexit
import copy
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeVar, cast

from planloom.errors import JournalError
from planloom.journal.base import BEATS_PER_LEASE, MAX_COMMIT_RECORDS, MAX_PENDING_BYTES

T = TypeVar("T")
_STOP_S: Final = 10.0
"""Seconds that a journal which nobody closed may take to write what it holds when the process ends."""


@dataclass(eq=False)
class Claim:
    """What a writer may write to: a run at an epoch. `error` is set, once, by the thread that finds it lost."""

    key: int
    run_id: str
    epoch: int
    status: str
    where: str = ""
    error: JournalError | None = None


@dataclass(slots=True)
class Append:
    """Lines of one run that become durable together; `status` and `ended_at` are the run's after them."""

    claim: Claim
    lines: list[tuple[int, bytes]]
    size: int
    status: str
    ended_at: float | None
    future: asyncio.Future[None]
    keys: Sequence[tuple[str, int]] = ()
    """Under which keys which positions are found again."""


@dataclass(slots=True)
class Call:
    """Work for the thread that is no append."""

    function: Callable[[], Any]
    future: asyncio.Future[Any]


class Store(Protocol):
    """The part that differs between databases. Called on the writer thread alone; blocks."""

    def commit(self, appends: Sequence[Append]) -> None:
        """Write the appends whose claims hold, in one transaction, and set `claim.error` of those that are lost.

        Raises `JournalError` when nothing was written.
        """
        ...

    def beat(self, claims: Sequence[Claim]) -> None:
        """Say for every claim that its owner is alive, and set `claim.error` of those that are lost."""
        ...

    def close(self) -> None:
        """Let go of the connection."""
        ...


@dataclass(eq=False)
class _Shared:
    """What loop and thread share. `wake` guards the queue, its size and the flags."""

    store: Store
    beat_s: float
    wake: threading.Condition = field(default_factory=threading.Condition)
    queue: list[Append | Call] = field(default_factory=list["Append | Call"])
    pending_bytes: int = 0
    stopping: bool = False
    claims: weakref.WeakSet[Claim] = field(default_factory=weakref.WeakSet[Claim])
    commits: int = 0


_THREADS: Final[dict[threading.Thread, _Shared]] = {}
_OPEN_LOCK: Final = threading.Lock()
_OPEN_HERE: Final = weakref.WeakSet[Claim]()


def is_open_here(where: str, run_id: str, epoch: int) -> bool:
    """Return whether a writer of this process drives a run: only that keeps a run of this process from others.

    `where` is its journal, for another one may hold a run of the same name.
    """
    with _OPEN_LOCK:
        return any((claim.where, claim.run_id, claim.epoch) == (where, run_id, epoch) for claim in _OPEN_HERE)


class GroupWriter:
    """Owns the thread of one journal. It starts when it is first needed and ends with `stop`."""

    def __init__(self, store: Store, where: str, lease_s: float) -> None:
        self._shared = _Shared(store, lease_s / BEATS_PER_LEASE)
        self._where = where
        self._thread: threading.Thread | None = None

    @property
    def commits(self) -> int:
        """How many groups of appends were written."""
        return self._shared.commits

    def call(self, function: Callable[[], T]) -> asyncio.Future[T]:
        """Run a function on the thread, behind everything that was queued before it."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self.put([Call(function, cast("asyncio.Future[Any]", future))])
        return future

    def register(self, claim: Claim) -> None:
        """Say signs of life for a claim for as long as somebody holds it."""
        with self._shared.wake:
            self._shared.claims.add(claim)
            self._shared.wake.notify()  # the thread may wait for work without an end in sight
        with _OPEN_LOCK:
            _OPEN_HERE.add(claim)

    def forget(self, claim: Claim) -> None:
        """Say no more signs of life for a claim."""
        with self._shared.wake:
            self._shared.claims.discard(claim)
        with _OPEN_LOCK:
            _OPEN_HERE.discard(claim)

    def put(self, entries: Sequence[Append | Call]) -> None:
        """Queue entries in order. Raises `JournalError` when the journal was closed or cannot keep up."""
        shared = self._shared
        size = sum(entry.size for entry in entries if isinstance(entry, Append))
        with shared.wake:
            if shared.stopping:
                raise JournalError(f"the journal {self._where} is closed")
            if shared.pending_bytes + size > MAX_PENDING_BYTES and shared.pending_bytes:
                raise JournalError(
                    f"the journal {self._where} cannot keep up: {shared.pending_bytes:,} bytes wait to be written "
                    f"(MAX_PENDING_BYTES = {MAX_PENDING_BYTES:,})\nhint: await what `append` returns"
                )
            shared.pending_bytes += size
            shared.queue += entries
            if self._thread is None:
                self._start()
            else:
                shared.wake.notify()

    def _start(self) -> None:
        self._thread = threading.Thread(target=_work, args=(self._shared,), name="planloom-journal", daemon=True)
        self._thread.start()
        # a journal that nobody closed still writes what it holds, when it is collected or the process ends
        _THREADS[self._thread] = self._shared
        weakref.finalize(self, _stop, self._shared).atexit = False

    async def stop(self) -> None:
        """Write what is queued, close the store and end the thread."""
        thread = self._thread
        with self._shared.wake:
            self._shared.stopping = True
            self._shared.wake.notify()
        if thread is not None and thread.is_alive():
            await asyncio.to_thread(thread.join)


def _stop(shared: _Shared) -> None:
    with shared.wake:
        shared.stopping = True
        shared.wake.notify()


@atexit.register
def _stop_all() -> None:
    """Let every journal write what it holds before the process ends."""
    threads = dict(_THREADS)
    for shared in threads.values():
        _stop(shared)
    until_s = time.monotonic() + _STOP_S
    for thread in threads:
        thread.join(max(until_s - time.monotonic(), 0))


def _work(shared: _Shared) -> None:
    """Write whatever is queued, until stopped and done."""
    try:
        _write_until_stopped(shared)
    finally:
        shared.store.close()
        _THREADS.pop(threading.current_thread(), None)


def _write_until_stopped(shared: _Shared) -> None:
    last_beat_s = time.monotonic()
    while True:
        with shared.wake:
            while not shared.queue and not shared.stopping:
                wait_s = last_beat_s + shared.beat_s - time.monotonic() if shared.claims else None
                if wait_s is not None and wait_s <= 0:
                    break
                shared.wake.wait(wait_s)
            taken, shared.queue = shared.queue[:MAX_COMMIT_RECORDS], shared.queue[MAX_COMMIT_RECORDS:]
            if not taken and shared.stopping:
                break
            claims = list(shared.claims)
        _handle(shared, taken)
        if time.monotonic() >= last_beat_s + shared.beat_s:
            last_beat_s = time.monotonic()
            _beat(shared, claims)
        taken, claims = [], []  # a thread that waits keeps no journal and no writer alive


def _beat(shared: _Shared, claims: Sequence[Claim]) -> None:
    try:
        shared.store.beat([claim for claim in claims if claim.error is None])
    except JournalError:
        return  # the next append will say it; a lease that runs out is safe, for the epoch is checked then


def _handle(shared: _Shared, taken: Sequence[Append | Call]) -> None:
    """Write neighbouring appends together, and do calls where they stand between them."""
    results: list[tuple[asyncio.Future[Any], Any, BaseException | None]] = []
    group: list[Append] = []
    for entry in taken:
        if isinstance(entry, Append):
            group.append(entry)
            continue
        _commit(shared, group, results)
        group = []
        try:
            results.append((entry.future, entry.function(), None))
        except BaseException as error:  # noqa: BLE001 (it belongs to the caller, who awaits it)
            results.append((entry.future, None, error))
    _commit(shared, group, results)
    _deliver(results)


def _commit(shared: _Shared, group: list[Append], results: list[tuple[asyncio.Future[Any], Any, Any]]) -> None:
    if not group:
        return
    fine = [append for append in group if append.claim.error is None]
    failure: JournalError | None = None
    if fine:
        try:
            shared.store.commit(fine)
            shared.commits += 1
        except JournalError as error:
            failure = error
        except Exception as error:  # noqa: BLE001 (a fault here must not end the thread and leave callers waiting)
            failure = JournalError(f"the journal could not be written: {type(error).__name__}: {error}")
    with shared.wake:
        shared.pending_bytes -= sum(append.size for append in group)
    for append in group:
        claim = append.claim
        if claim.error is None and failure is not None:
            claim.error = failure
        results.append((append.future, None, again(claim.error)))


def again(error: JournalError | None) -> JournalError | None:
    """Return the same error as a new object: many tasks raise it, each with its own traceback."""
    if error is None:
        return None
    copied = copy.copy(error)
    copied.__cause__ = error.__cause__
    return copied


def _deliver(results: list[tuple[asyncio.Future[Any], Any, BaseException | None]]) -> None:
    """Tell every loop its results, all at once."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Any], Any, BaseException | None]]] = {}
    for result in results:
        by_loop.setdefault(result[0].get_loop(), []).append(result)
    for loop, settled in by_loop.items():
        try:
            loop.call_soon_threadsafe(settle, settled)
        except RuntimeError:
            continue  # the loop is closed: nobody waits


def settle(results: list[tuple[asyncio.Future[Any], Any, BaseException | None]]) -> None:
    """Give futures of this loop their values or errors."""
    for future, value, error in results:
        if future.done():  # cancelled by who awaited it; what was written stays written
            continue
        if error is None:
            future.set_result(value)
        else:
            future.set_exception(error)
            future.exception()  # an append need not be awaited: the next one, or `close`, says it again
