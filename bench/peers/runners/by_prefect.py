"""Prefect: an async flow that awaits a task per step, or a flow that submits them to its thread pool runner.

Submitted tasks take the futures of those they depend on as arguments; async ones are awaited on the flow's own loop.
With the API server it starts itself, as a subprocess on the loopback address (the ephemeral mode), on SQLite.
Tasks are not cached and results not persisted; logs are not sent to the server. Its runner starts a thread per task
unless told otherwise; it is told.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.task_runners import ThreadPoolTaskRunner

from bench.peers.protocol import THREADS, Request, Run, serve, work_async, work_sync


@task(cache_policy=NO_CACHE)
async def step_async(position: int, values: list[int], takes_s: float) -> int:
    """Work on an event loop."""
    return await work_async(position, values, takes_s)


@task(cache_policy=NO_CACHE)
def step_sync(position: int, values: list[int], takes_s: float) -> int:
    """Work on a thread."""
    return work_sync(position, values, takes_s)


@asynccontextmanager
async def session() -> AsyncGenerator[None]:
    """Let a first flow start the server, so that no run is charged for it."""
    logging.getLogger("prefect").setLevel(logging.ERROR)
    flow(lambda: None, name="first")()
    yield


@asynccontextmanager
async def build(request: Request) -> AsyncGenerator[Run]:
    """Declare the flow."""

    @flow(name="graph", validate_parameters=False)
    async def graph_async() -> list[int]:
        running: list[asyncio.Task[int]] = []

        async def node(position: int) -> int:
            values = [await running[dependency] for dependency in request.dependencies[position]]
            return await step_async(position, values, request.takes_s[position])

        running.extend(asyncio.create_task(node(position)) for position in range(len(request.names)))
        return await asyncio.gather(*running)

    @flow(name="graph", task_runner=ThreadPoolTaskRunner(max_workers=THREADS), validate_parameters=False)
    def graph_sync() -> list[int]:
        futures = []
        for position, needed in enumerate(request.dependencies):
            given = [futures[dependency] for dependency in needed]
            futures.append(step_sync.submit(position, given, request.takes_s[position]))
        return [future.result() for future in futures]

    async def run_async() -> list[int]:
        return await graph_async()

    yield run_async if request.is_async else graph_sync


if __name__ == "__main__":
    serve(build, "prefect", session)
