"""The writer thread of a journal: appends of all runs are grouped into few commits, off the event loop.

Rule: the loop only queues; the thread owns the connection. A run whose write failed writes nothing more, so that
there is never a hole in its records.
"""

from __future__ import annotations

import asyncio
import atexit
import copy
import queue
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, Protocol, TypeVar

from planloom.errors import JournalError
from planloom.journal.base import BEATS_PER_LEASE, MAX_COMMIT_RECORDS, MAX_PENDING_BYTES, Told

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
    """Lines of one run that become durable together, the `first` position and those that follow it.

    `size` is how many bytes they have; `status` and `ended_at` are the run's after them.
    """

    claim: Claim
    first: int
    lines: Sequence[bytes]
    size: int
    status: str
    ended_at: float | None
    loop: asyncio.AbstractEventLoop
    told: Told
    keys: Sequence[tuple[str, int]] = ()
    """Under which keys which positions are found again."""


@dataclass(slots=True)
class Call:
    """Work for the thread that is no append."""

    function: Callable[[], Any]
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]
    size: ClassVar[int] = 0


Ended = tuple[Append | Call, Any, BaseException | None]
"""What the thread is done with, its value, and what went wrong."""


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
    """What loop and thread share. `lock` guards what is changed on both sides, and what is put into the queue.

    The queue holds what was handed over at once; a list of nothing only wakes the thread.
    """

    store: Store
    beat_s: float
    # may be taken twice: the collector may end a journal while this very thread holds it
    lock: threading.RLock = field(default_factory=threading.RLock)
    queue: queue.SimpleQueue[list[Append | Call]] = field(default_factory=queue.SimpleQueue["list[Append | Call]"])
    pending_bytes: int = 0
    stopping: bool = False
    claims: weakref.WeakSet[Claim] = field(default_factory=weakref.WeakSet[Claim])
    beats: bool = False
    """Whether there may be a claim to say signs of life for."""
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
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self.put([Call(function, loop, future)])
        return future

    def register(self, claim: Claim) -> None:
        """Say signs of life for a claim for as long as somebody holds it."""
        with self._shared.lock:
            self._shared.claims.add(claim)
            self._shared.beats = True
            self._shared.queue.put([])  # the thread may wait for work without an end in sight
        with _OPEN_LOCK:
            _OPEN_HERE.add(claim)

    def forget(self, claim: Claim) -> None:
        """Say no more signs of life for a claim."""
        with self._shared.lock:
            self._shared.claims.discard(claim)
        with _OPEN_LOCK:
            _OPEN_HERE.discard(claim)

    def put(self, entries: list[Append | Call]) -> None:
        """Queue entries in order; the list is the thread's from now on.

        Raises `JournalError` when the journal was closed or cannot keep up.
        """
        shared = self._shared
        size = 0
        for entry in entries:
            size += entry.size
        with shared.lock:
            if shared.stopping:
                raise JournalError(f"the journal {self._where} is closed")
            if shared.pending_bytes + size > MAX_PENDING_BYTES and shared.pending_bytes:
                raise JournalError(
                    f"the journal {self._where} cannot keep up: {shared.pending_bytes:,} bytes wait to be written "
                    f"(MAX_PENDING_BYTES = {MAX_PENDING_BYTES:,})\nhint: await what `append` returns"
                )
            shared.pending_bytes += size
            shared.queue.put(entries)
            if self._thread is None:
                self._start()

    def _start(self) -> None:
        self._thread = threading.Thread(target=_work, args=(self._shared,), name="planloom-journal", daemon=True)
        self._thread.start()
        # a journal that nobody closed still writes what it holds, when it is collected or the process ends
        _THREADS[self._thread] = self._shared
        weakref.finalize(self, _stop, self._shared).atexit = False

    async def stop(self) -> None:
        """Write what is queued, close the store and end the thread."""
        thread = self._thread
        _stop(self._shared)
        if thread is not None and thread.is_alive():
            await asyncio.to_thread(thread.join)


def _stop(shared: _Shared) -> None:
    with shared.lock:
        shared.stopping = True
        shared.queue.put([])


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
    while not (shared.stopping and shared.queue.empty()):
        wait_s = max(last_beat_s + shared.beat_s - time.monotonic(), 0.0) if shared.beats else None
        taken = _take(shared.queue, wait_s)
        if taken:
            _handle(shared, taken)
        taken = None  # a thread that waits keeps no journal and no writer alive
        if shared.beats and time.monotonic() >= last_beat_s + shared.beat_s:
            last_beat_s = time.monotonic()
            _beat(shared)


def _take(waiting: queue.SimpleQueue[list[Append | Call]], wait_s: float | None) -> list[Append | Call]:
    """Wait for something to do, at most so long, and return all that there is of it, in order."""
    try:
        taken = waiting.get(timeout=wait_s)
    except queue.Empty:
        return []
    while not waiting.empty() and len(taken) < MAX_COMMIT_RECORDS:  # nobody else takes from it
        taken += waiting.get_nowait()
    return taken


def _beat(shared: _Shared) -> None:
    with shared.lock:
        claims = list(shared.claims)
        shared.beats = bool(claims)
    try:
        shared.store.beat([claim for claim in claims if claim.error is None])
    except JournalError:
        return  # the next append will say it; a lease that runs out is safe, for the epoch is checked then


def _handle(shared: _Shared, taken: Sequence[Append | Call]) -> None:
    """Write neighbouring appends together, and do calls where they stand between them."""
    ended: list[Ended] = []
    group: list[Append] = []
    for entry in taken:
        if isinstance(entry, Append):
            group.append(entry)
            if len(group) == MAX_COMMIT_RECORDS:
                _commit(shared, group, ended)
                group = []
            continue
        if group:
            _commit(shared, group, ended)
            group = []
        try:
            ended.append((entry, entry.function(), None))
        except BaseException as error:  # noqa: BLE001 (it belongs to the caller, who awaits it)
            ended.append((entry, None, error))
    if group:
        _commit(shared, group, ended)
    _deliver(ended)


def _commit(shared: _Shared, group: list[Append], ended: list[Ended]) -> None:
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
    size = 0
    for append in group:
        size += append.size
        claim = append.claim
        if failure is not None and claim.error is None:
            claim.error = failure
        ended.append((append, None, None if claim.error is None else again(claim.error)))
    with shared.lock:
        shared.pending_bytes -= size


def again(error: JournalError | None) -> JournalError | None:
    """Return the same error as a new object: many tasks raise it, each with its own traceback."""
    if error is None:
        return None
    copied = copy.copy(error)
    copied.__cause__ = error.__cause__
    return copied


def _deliver(ended: list[Ended]) -> None:
    """Tell every loop what it waits for, all at once."""
    by_loop: dict[asyncio.AbstractEventLoop, list[Ended]] = {}
    for one in ended:
        by_loop.setdefault(one[0].loop, []).append(one)
    for loop, of_loop in by_loop.items():
        try:
            loop.call_soon_threadsafe(_tell, of_loop)
        except RuntimeError:
            continue  # the loop is closed: nobody waits


def _tell(ended: list[Ended]) -> None:
    for entry, value, error in ended:
        if isinstance(entry, Append):
            entry.told(error)  # pyright: ignore[reportArgumentType] (an append ends with a JournalError or well)
        else:
            settle(entry.future, value, error)


def settle(future: asyncio.Future[Any], value: Any, error: BaseException | None) -> None:
    """Give a future of this loop its value or error."""
    if future.done():  # cancelled by who awaited it; what was written stays written
        return
    if error is None:
        future.set_result(value)
    else:
        future.set_exception(error)
        future.exception()  # an append need not be awaited: the next one, or `close`, says it again
