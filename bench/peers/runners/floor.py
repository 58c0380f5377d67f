"""The floor: raw asyncio, as lean as it can be and still be right. Counters of unmet dependencies, values kept.

Async bodies are a task each; sync ones go through a queue to threads that stay, and come back in batches. No checks,
states, timeouts or containment. With `durable`, values are also written by one thread in grouped commits
before any step that uses them starts. Keep it lean: a slower floor would flatter everybody else.
"""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import threading
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from queue import SimpleQueue

from bench.peers.protocol import THREADS, Request, Run, serve, work_async, work_sync

Keep = Callable[[int, int], "asyncio.Future[None]"]


@asynccontextmanager
async def build(request: Request) -> AsyncGenerator[Run]:
    """Count who waits for whom."""
    if request.is_async:
        yield make_run(request, None)
        return
    width = max(len(level) for level in request.levels)
    threads = Threads(request, min(THREADS, width))
    yield threads.run
    threads.close()


@asynccontextmanager
async def build_durable(request: Request) -> AsyncGenerator[Run]:
    """The same with a writer, one database for all runs of this request."""
    writer = BareWriter(Path(request.folder) / "floor.db")
    yield make_run(request, writer.keep)
    await asyncio.to_thread(writer.close)


def make_run(request: Request, keep: Keep | None) -> Run:
    """Return the run of a graph with async bodies."""
    dependencies, dependents, takes_s = request.dependencies, request.dependents, request.takes_s
    counts = [len(needed) for needed in dependencies]
    roots = [position for position, unmet in enumerate(counts) if not unmet]

    async def run() -> list[int]:
        loop = asyncio.get_running_loop()
        unmet, values = counts.copy(), [0] * len(counts)
        open_steps = len(counts)
        tasks: list[asyncio.Task[None] | None] = [None] * len(counts)  # a task that nobody holds may be collected
        finished: asyncio.Future[None] = loop.create_future()

        async def step(position: int) -> None:
            nonlocal open_steps
            given = [values[dependency] for dependency in dependencies[position]]
            values[position] = await work_async(position, given, takes_s[position])
            if keep is not None:
                await keep(position, values[position])
            for dependent in dependents[position]:
                unmet[dependent] -= 1
                if not unmet[dependent]:
                    tasks[dependent] = loop.create_task(step(dependent))
            open_steps -= 1
            if not open_steps:
                finished.set_result(None)

        for root in roots:
            tasks[root] = loop.create_task(step(root))
        await finished
        return values

    return run


class Threads:
    """Threads that take positions from one queue; the loop is woken once for all that have come back meanwhile."""

    def __init__(self, request: Request, count: int) -> None:
        self._dependencies, self._dependents, self._takes_s = (
            request.dependencies, request.dependents, request.takes_s,
        )  # fmt: skip
        self._queue: SimpleQueue[int | None] = SimpleQueue()
        self._done: deque[int] = deque()
        self._is_woken = False
        self._loop = asyncio.get_running_loop()
        self._threads = [threading.Thread(target=self._work) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    async def run(self) -> list[int]:
        """Run the graph once."""
        self._unmet = [len(needed) for needed in self._dependencies]
        self._values = [0] * len(self._unmet)
        self._open_steps = len(self._unmet)
        self._finished: asyncio.Future[None] = self._loop.create_future()
        for position, unmet in enumerate(self._unmet.copy()):
            if not unmet:
                self._queue.put(position)
        await self._finished
        return self._values

    def close(self) -> None:
        """End the threads."""
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while (position := self._queue.get()) is not None:
            values = self._values
            given = [values[dependency] for dependency in self._dependencies[position]]
            values[position] = work_sync(position, given, self._takes_s[position])
            self._done.append(position)
            if not self._is_woken:  # set before the loop is told, and taken back before it looks: none is overlooked
                self._is_woken = True
                self._loop.call_soon_threadsafe(self._take_back)

    def _take_back(self) -> None:
        self._is_woken = False
        while self._done:
            self._open_steps -= 1
            for dependent in self._dependents[self._done.popleft()]:
                self._unmet[dependent] -= 1
                if not self._unmet[dependent]:
                    self._queue.put(dependent)
        if not self._open_steps and not self._finished.done():
            self._finished.set_result(None)


class BareWriter:
    """A thread that takes what is queued, writes it in one synced commit, and tells the loop."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._wake = threading.Condition()
        self._queue: list[tuple[int, int, asyncio.Future[None]]] | None = []
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._work)
        self._thread.start()

    def keep(self, position: int, value: int) -> asyncio.Future[None]:
        """Queue one value."""
        future: asyncio.Future[None] = self._loop.create_future()
        with self._wake:
            assert self._queue is not None
            self._queue.append((position, value, future))
            self._wake.notify()
        return future

    def close(self) -> None:
        """End the thread; nothing may be queued any more."""
        with self._wake:
            self._queue = None
            self._wake.notify()
        self._thread.join()

    def _work(self) -> None:
        connection = sqlite3.connect(self._path, isolation_level=None)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("CREATE TABLE IF NOT EXISTS kept (id INTEGER PRIMARY KEY, position INTEGER, value INTEGER)")
        while True:
            with self._wake:
                while self._queue is not None and not self._queue:
                    self._wake.wait()
                if self._queue is None:
                    break
                taken, self._queue = self._queue, []
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("INSERT INTO kept (position, value) VALUES (?, ?)", [row[:2] for row in taken])
            connection.execute("COMMIT")
            self._loop.call_soon_threadsafe(_tell, [future for _, _, future in taken])
        connection.close()


def _tell(futures: list[asyncio.Future[None]]) -> None:
    for future in futures:
        future.set_result(None)


if __name__ == "__main__":
    serve(build_durable if "durable" in sys.argv else build)
