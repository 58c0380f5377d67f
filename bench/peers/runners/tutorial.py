"""The tutorial way: levels in topological order, `gather` for each, `to_thread` for sync functions.

What most hand-written agents and blog posts do. The threads are those of `to_thread`, processors + 4 by default.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from bench.peers.protocol import Request, Run, serve, work_async, work_sync


@asynccontextmanager
async def build(request: Request) -> AsyncGenerator[Run]:
    """Sort the steps into levels."""
    levels = request.levels

    async def step(position: int, values: list[int]) -> None:
        given = [values[dependency] for dependency in request.dependencies[position]]
        takes_s = request.takes_s[position]
        if request.is_async:
            values[position] = await work_async(position, given, takes_s)
        else:
            values[position] = await asyncio.to_thread(work_sync, position, given, takes_s)

    async def run() -> list[int]:
        values = [0] * len(request.names)
        for level in levels:
            await asyncio.gather(*(step(position, values) for position in level))
        return values

    yield run


if __name__ == "__main__":
    serve(build)
