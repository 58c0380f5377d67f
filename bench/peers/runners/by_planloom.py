"""Planloom: a plan whose steps refer to each other's outputs, one tool, `execute_plan`.

References, checked arguments, retries and time limits are on, as by default. With `durable` every run is kept in a
SQLite journal. The tool is `read_only`: what a peer that can run a step twice after a crash would have to assume too.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from bench.peers.protocol import Request, Run, serve, work_async, work_sync
from planloom import Plan, Step, Toolbox, execute_plan, tool, validate_plan
from planloom.journal import SqliteJournal

DURABLE = "durable" in sys.argv


@tool(name="work", read_only=True)
async def async_tool(position: int, values: list[int], takes_s: float) -> int:
    """Work on the event loop."""
    return await work_async(position, values, takes_s)


@tool(name="work", read_only=True)
def sync_tool(position: int, values: list[int], takes_s: float) -> int:
    """Work on a thread."""
    return work_sync(position, values, takes_s)


@asynccontextmanager
async def build(request: Request) -> AsyncGenerator[Run]:
    """Make the plan and check it."""
    names, toolbox = request.names, Toolbox([async_tool if request.is_async else sync_tool])
    plan = Plan(
        tuple(
            Step(
                name,
                "work",
                {
                    "position": position,
                    "values": [f"{{{{{names[dependency]}.output}}}}" for dependency in needed],
                    "takes_s": takes_s,
                },
                [names[dependency] for dependency in needed],
            )
            for position, (name, needed, takes_s) in enumerate(
                zip(names, request.dependencies, request.takes_s, strict=True)
            )
        )
    )
    validate_plan(plan, toolbox)
    async with AsyncExitStack() as stack:
        journal = None
        if DURABLE:
            journal = await stack.enter_async_context(SqliteJournal(Path(request.folder) / "runs.db"))

        async def run() -> list[int]:
            result = await execute_plan(plan, toolbox, journal=journal)
            result.raise_for_status()
            return [result.steps[name].output for name in names]

        yield run


if __name__ == "__main__":
    serve(build, "planloom")
