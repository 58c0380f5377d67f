"""DBOS on SQLite: a durable workflow whose steps are recorded one by one.

A workflow has to start its steps in a fixed order. By default levels are run with `gather`, its documented way to run
steps side by side; with `wait`, `DBOS.asyncio_wait` records which steps are done, so that none waits for a level.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from dbos import DBOS

from bench.peers.protocol import Request, Run, serve, work_async

GRAPH: dict[str, Request] = {}
"""The graph that workflows run; a workflow's arguments would be recorded, and are not what is measured."""


@DBOS.step()
async def work(position: int, values: list[int], takes_s: float) -> int:
    """Work on the event loop."""
    return await work_async(position, values, takes_s)


@DBOS.workflow()
async def run_levels() -> list[int]:
    """Run one level after the other."""
    request = GRAPH["graph"]
    values = [0] * len(request.names)
    for level in request.levels:
        for position, value in zip(
            level, await asyncio.gather(*[_call(request, position, values) for position in level]), strict=True
        ):
            values[position] = value
    return values


@DBOS.workflow()
async def run_waiting() -> list[int]:
    """Run every step as soon as its dependencies are recorded as done."""
    request = GRAPH["graph"]
    dependents, unmet = request.dependents, [len(needed) for needed in request.dependencies]
    values = [0] * len(request.names)
    position_of: dict[asyncio.Task[int], int] = {}
    ready = [position for position, count in enumerate(unmet) if not count]
    while ready or position_of:
        for position in ready:
            position_of[asyncio.create_task(_call(request, position, values))] = position
        ready = []
        done, _ = await DBOS.asyncio_wait(list(position_of), return_when=asyncio.FIRST_COMPLETED)
        for task, position in [(task, at) for task, at in position_of.items() if task in done]:
            del position_of[task]
            values[position] = task.result()
            for dependent in dependents[position]:
                unmet[dependent] -= 1
                if not unmet[dependent]:
                    ready.append(dependent)
    return values


async def _call(request: Request, position: int, values: list[int]) -> int:
    given = [values[dependency] for dependency in request.dependencies[position]]
    return await work(position, given, request.takes_s[position])


@asynccontextmanager
async def session() -> AsyncGenerator[None]:
    """Launch DBOS on a database of its own."""
    with tempfile.TemporaryDirectory(prefix="dbos-") as folder:
        url = f"sqlite:///{Path(folder) / 'dbos.sqlite'}"
        DBOS(config={"name": "peers", "system_database_url": url, "log_level": "ERROR", "enable_otlp": False})
        DBOS.launch()
        yield
        DBOS.destroy()


@asynccontextmanager
async def build(request: Request) -> AsyncGenerator[Run]:
    """Workflows are declared above; a graph needs nothing more."""
    GRAPH["graph"] = request
    yield run_waiting if "wait" in sys.argv else run_levels


if __name__ == "__main__":
    serve(build, "dbos", session)
