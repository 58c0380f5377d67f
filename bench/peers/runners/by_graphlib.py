"""The standard library's `graphlib`: `get_ready` and `done`, driven by asyncio, or by a pool of threads and a queue.

As its documentation shows it: a new sorter for every run, results come back through a queue.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from graphlib import TopologicalSorter
from queue import SimpleQueue

from bench.peers.protocol import THREADS, Request, Run, serve, work_async, work_sync


@asynccontextmanager
async def build(request: Request) -> AsyncGenerator[Run]:
    """Make the mapping that a sorter takes."""
    graph = dict(enumerate(request.dependencies))

    def sorter() -> TopologicalSorter[int]:
        made = TopologicalSorter(graph)
        made.prepare()
        return made

    async def run_async() -> list[int]:
        values, ready = [0] * len(graph), sorter()
        finished: asyncio.Queue[int] = asyncio.Queue()

        async def step(position: int) -> None:
            given = [values[dependency] for dependency in graph[position]]
            values[position] = await work_async(position, given, request.takes_s[position])
            finished.put_nowait(position)

        async with asyncio.TaskGroup() as tasks:
            while ready.is_active():
                for position in ready.get_ready():
                    tasks.create_task(step(position))
                ready.done(await finished.get())
        return values

    def run_sync() -> list[int]:
        values, ready = [0] * len(graph), sorter()
        finished: SimpleQueue[int] = SimpleQueue()

        def step(position: int) -> None:
            given = [values[dependency] for dependency in graph[position]]
            values[position] = work_sync(position, given, request.takes_s[position])
            finished.put(position)

        with ThreadPoolExecutor(THREADS) as pool:
            while ready.is_active():
                for position in ready.get_ready():
                    pool.submit(step, position)
                ready.done(finished.get())
        return values

    yield run_async if request.is_async else run_sync


if __name__ == "__main__":
    serve(build)
