"""A worker that goes on with whatever run is to be done next, and a process that makes such workers quickly.

Arguments: the journal, the file in which the outside keeps what was called, the lease in seconds. A line on stdin makes
a worker, and its process id is the answer; the end of stdin ends this process.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from crash_goal import note

from planloom import Plan, ToolContext, execute_plan, resume_run, tool
from planloom.errors import JournalError, RunNotFoundError, RunOwnedError
from planloom.journal import SqliteJournal
from planloom.journal.base import RunWriter

LAYERS, WIDTH = 6, 4
STEPS = LAYERS * WIDTH
WAIT_S = 0.01
MAX_TRIES = 100_000
"""How often a worker looks for something to do; it is killed long before."""


class Deps:
    """What the tools of one worker know: who they work for."""

    def __init__(self, calls: str) -> None:
        self.calls = calls
        self.epoch = 0


@tool(idempotent=True, retries=0)
async def put(number: int, after: Any, context: ToolContext) -> dict[str, int]:
    """Put something; before and after it the process may be paused."""
    await asyncio.sleep(random.random() / 50)
    epoch = context.deps.epoch
    note(context.deps.calls, run=context.run_id, step=context.step_id, key=context.idempotency_key, epoch=epoch)
    await asyncio.sleep(random.random() / 50)
    return {"number": number, "epoch": epoch}


def plan() -> Plan:
    """Layers of steps, each of which uses two of the layer before."""
    steps = [
        {
            "id": f"s{layer}_{place}", "description": "", "tool": "put",
            "args": {"number": layer * WIDTH + place, "after": [f"{{{{{name}.output.number}}}}" for name in before]},
            "depends_on": before,
        }
        for layer in range(LAYERS)
        for place in range(WIDTH)
        for before in [[f"s{layer - 1}_{place}", f"s{layer - 1}_{(place + 1) % WIDTH}"] if layer else []]
    ]  # fmt: skip
    return Plan.from_json({"goal": "put everything", "steps": steps})


class NotingJournal(SqliteJournal):
    """Lets the outside see every claim."""

    def __init__(self, path: str, lease_s: float, deps: Deps) -> None:
        super().__init__(path, lease_s=lease_s)
        self._deps = deps

    async def open_run(self, run_id: str, goal: str, meta: Mapping[str, Any]) -> Any:
        return self._noted(await super().open_run(run_id, goal, meta))

    async def take_over(self, run_id: str, *, drop_damaged: bool = False) -> Any:
        return self._noted(await super().take_over(run_id, drop_damaged=drop_damaged))

    def _noted(self, writer: RunWriter) -> RunWriter:
        self._deps.epoch = writer.epoch
        note(self._deps.calls, run=writer.run_id, claimed=writer.epoch, by=os.getpid())
        return writer


async def work(path: str, calls: str, lease_s: float) -> None:
    """Begin the next run, go on with one that nobody drives, wait for one that somebody does."""
    deps = Deps(calls)
    journal = NotingJournal(path, lease_s, deps)
    number = 1
    for _ in range(MAX_TRIES):
        run_id = f"r{number}"
        deps.epoch = 0
        try:
            result = await resume_run(run_id, [put], journal=journal, deps=deps)
            number += result.status == "succeeded"
        except RunNotFoundError:
            try:
                await execute_plan(plan(), [put], journal=journal, deps=deps, run_id=run_id)
            except RunOwnedError:
                note(calls, run=run_id, lost=deps.epoch, by=os.getpid())
            except JournalError as error:
                if "there is a run" not in str(error):  # the other worker was quicker
                    raise
        except RunOwnedError:
            if deps.epoch:  # it was this worker's, and another took it over
                note(calls, run=run_id, lost=deps.epoch, by=os.getpid())
            await asyncio.sleep(WAIT_S)


def make_workers(arguments: Sequence[str]) -> None:
    """Fork a worker for every line."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks what became of them
    for _ in sys.stdin:
        pid = os.fork()
        if not pid:
            random.seed(os.getpid())
            try:
                asyncio.run(work(arguments[0], arguments[1], float(arguments[2])))
            except BaseException as fault:
                note(arguments[1], fault=f"{type(fault).__name__}: {fault}")
            os._exit(1)
        print(pid, flush=True)


if __name__ == "__main__":
    make_workers(sys.argv[1:])
