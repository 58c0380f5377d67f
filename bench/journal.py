"""What does the journal cost? Durable records against a bare writer thread with grouped commits, written by hand.

The floor writes finished text into one table and checks nothing. A record here is also made canonical, checked,
fenced and counted. Both sync every commit, in the same folder, in turns.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median
from typing import Any

from bench.measure import PROCESSOR, WALL, Row, compare, on_loop
from planloom.journal import Record, SqliteJournal

APPENDS_BOUND = 2.0
DATA = {"output": {"rows": 120, "columns": ["date", "region", "sales"], "text": "x" * 80}, "attempts": 1}
Append = Callable[[int], Awaitable[Any]]


class BareWriter:
    """The floor: a thread that takes what is queued, writes it in one commit, and tells the loop."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._wake = threading.Condition()
        self._queue: list[tuple[bytes, asyncio.Future[None]]] = []
        self._stopping = False
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._work)
        self._thread.start()

    def append(self, text: bytes) -> asyncio.Future[None]:
        """Queue one row."""
        future: asyncio.Future[None] = self._loop.create_future()
        with self._wake:
            self._queue.append((text, future))
            self._wake.notify()
        return future

    def _work(self) -> None:
        connection = sqlite3.connect(self._path, isolation_level=None)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("CREATE TABLE rows (id INTEGER PRIMARY KEY, text BLOB)")
        while True:
            with self._wake:
                while not self._queue and not self._stopping:
                    self._wake.wait()
                taken, self._queue = self._queue, []
            if not taken:
                break
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("INSERT INTO rows (text) VALUES (?)", [(text,) for text, _ in taken])
            connection.execute("COMMIT")
            self._loop.call_soon_threadsafe(_tell, [future for _, future in taken])
        connection.close()

    async def close(self) -> None:
        """End the thread."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        await asyncio.to_thread(self._thread.join)


def _tell(futures: list[asyncio.Future[None]]) -> None:
    for future in futures:
        future.set_result(None)


async def by_hand(folder: Path, tasks: int, each: int) -> None:
    """Append from many tasks, every one waiting for its own row."""
    writer = BareWriter(folder / f"{time.monotonic_ns()}.db")

    def append(seq: int) -> Awaitable[Any]:
        event = {"seq": seq, "run_id": "r1", "at": 1.0 * seq, "type": "step-succeeded", "step_id": "s", "data": DATA}
        return writer.append(json.dumps(event).encode())

    await _all(append, tasks, each)
    await writer.close()


async def with_journal(folder: Path, tasks: int, each: int) -> None:
    """The same, with records."""
    async with SqliteJournal(folder / f"{time.monotonic_ns()}.db") as journal:
        writer = await journal.open_run("r1", "goal", {})
        await _all(lambda seq: writer.append([Record(seq, "r1", 1.0 * seq, "step-succeeded", "s", DATA)]), tasks, each)


async def _all(append: Append, tasks: int, each: int) -> None:
    seq = 0

    async def task() -> None:
        nonlocal seq
        for _ in range(each):
            seq += 1
            await append(seq)

    await asyncio.gather(*[task() for _ in range(tasks)])


def rows(*, tiny: bool = False) -> list[Row]:
    """Measure wide and narrow use, and reading a long run back."""
    shapes = [(2, 3, 2, WALL)] if tiny else [(100, 100, 10, PROCESSOR), (100, 50, 10, WALL), (1, 100, 10, WALL)]
    found: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="planloom-bench-") as name, asyncio.Runner() as runner:
        folder = Path(name)
        for tasks, each, pairs, clock in shapes:
            compared = compare(
                on_loop(runner, lambda t=tasks, e=each: by_hand(folder, t, e), clock),
                on_loop(runner, lambda t=tasks, e=each: with_journal(folder, t, e), clock),
                pairs,
            )
            kind = "processor" if clock is PROCESSOR else "wall"
            question = f"durable records, {tasks} tasks append {each} each, {kind} time"
            rate = f"{tasks * each / median(compared.planloom_s):,.0f} records/s" if clock is WALL else ""
            found.append(
                compared.row(question, per=tasks * each, unit="µs/record", scale=1e6, bound=APPENDS_BOUND, note=rate)
            )
        found.append(_reading(runner, folder, *((20, 2) if tiny else (10_000, 6))))
    return found


def _reading(runner: asyncio.Runner, folder: Path, count: int, pairs: int) -> Row:
    """Read a run back, against the bare rows parsed as JSON."""
    path = folder / "long.db"

    async def prepare() -> None:
        async with SqliteJournal(path) as journal:
            writer = await journal.open_run("r1", "goal", {})
            await writer.append([Record(n, "r1", 1.0 * n, "step-succeeded", "s", DATA) for n in range(1, count + 1)])

    async def bare() -> None:
        connection = sqlite3.connect(path)
        found = [json.loads(line[line.index(b"{") :]) for (line,) in connection.execute("SELECT line FROM records")]
        connection.close()
        assert len(found) == count + 1

    async def read() -> None:
        async with SqliteJournal(path) as journal:
            assert len(await journal.read("r1")) == count

    runner.run(prepare())
    compared = compare(on_loop(runner, bare, WALL), on_loop(runner, read, WALL), pairs)
    return compared.row(f"a run of {count:,} records read back", per=1, unit="ms", scale=1e3)
