"""What every contender's process does: read requests, build, run, measure, answer. Standard library alone.

One JSON document per line on stdin is one request, one line on stdout is its answer; the process ends with stdin.
Only what happens between the start of a run and all its values in hand is timed, with the garbage
collector running as it does for users.
"""

from __future__ import annotations

import asyncio
import gc
import hashlib
import inspect
import json
import os
import resource
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

MODULUS = 1_000_003
THREADS = 64
"""How many threads each contender may use for sync bodies, where its library has a setting for it."""


@dataclass(frozen=True)
class Request:
    """A graph by position (dependencies stand before their dependents), and how to run it."""

    names: list[str]
    dependencies: list[list[int]]
    takes_s: list[float]
    is_async: bool
    repeats: int
    slow_s: float
    """After a repeat that took longer no further one is taken."""
    folder: str
    """For files of this request, on the disk that durability is measured on."""

    @property
    def dependents(self) -> list[list[int]]:
        """Who waits for whom."""
        found: list[list[int]] = [[] for _ in self.names]
        for position, needed in enumerate(self.dependencies):
            for dependency in needed:
                found[dependency].append(position)
        return found

    @property
    def levels(self) -> list[list[int]]:
        """Positions by the length of the longest path to them, what a barrier after every level would run."""
        level_of: list[int] = []
        for needed in self.dependencies:
            level_of.append(max((level_of[dependency] + 1 for dependency in needed), default=0))
        found: list[list[int]] = [[] for _ in range(max(level_of) + 1)]
        for position, level in enumerate(level_of):
            found[level].append(position)
        return found


def value_of(position: int, values: Sequence[int]) -> int:
    """Return what a step returns: it depends on every value the step was given, and on their order."""
    total = position + 1
    for value in values:
        total = (total * 31 + value) % MODULUS
    return total


async def work_async(position: int, values: Sequence[int], takes_s: float) -> int:
    """Do a step's work on the event loop; no time at all means nothing is awaited."""
    if takes_s:
        await asyncio.sleep(takes_s)
    return value_of(position, values)


def work_sync(position: int, values: Sequence[int], takes_s: float) -> int:
    """Do a step's work on whatever thread this is called from."""
    if takes_s:
        time.sleep(takes_s)
    return value_of(position, values)


def digest_of(values: Sequence[int]) -> str:
    """Return a short digest of all values, in the order of the steps."""
    return hashlib.sha256(json.dumps(list(values)).encode()).hexdigest()[:16]


Run = Callable[[], Any]
"""Runs the built graph once and returns the values by position; a coroutine function runs on the event loop."""
Build = Callable[[Request], AbstractAsyncContextManager[Run]]
Session = Callable[[], AbstractAsyncContextManager[Any]]


@asynccontextmanager
async def _no_session():
    yield


def serve(build: Build, distribution: str | None = None, session: Session = _no_session) -> None:
    """Answer requests until stdin ends. `session` is what lives as long as the process: a server, a cluster."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints is not an answer
    loop_state = asyncio.Runner()
    with loop_state as runner:
        began = time.perf_counter()
        opened = session()
        runner.run(_entered(opened))
        hello = {
            "ready": True,
            "session_s": time.perf_counter() - began,
            "version": installed_version(distribution) if distribution else sys.version.split()[0],
            "python": sys.version.split()[0],
        }
        print(json.dumps(hello), file=answers, flush=True)
        for line in sys.stdin:
            try:
                answer = _answer(runner, build, Request(**json.loads(line)))
            except BaseException as error:  # noqa: BLE001 (whatever a contender raises is its answer)
                traceback.print_exc()
                answer = {"error": f"{type(error).__name__}: {error}"[:500]}
            print(json.dumps(answer), file=answers, flush=True)
        runner.run(_left(opened))


async def _entered(opened: AbstractAsyncContextManager[Any]) -> Any:
    return await opened.__aenter__()


async def _left(opened: AbstractAsyncContextManager[Any]) -> None:
    await opened.__aexit__(None, None, None)


def _answer(runner: asyncio.Runner, build: Build, request: Request) -> dict[str, Any]:
    gc.collect()
    began = time.perf_counter()
    built = build(request)
    run = runner.run(_entered(built))
    build_s = time.perf_counter() - began
    run_s: list[float] = []
    digests: list[str] = []
    try:
        gc.collect()  # once: with a large library loaded it takes longer than many a run
        for _ in range(request.repeats):
            taken_s, values = runner.run(_timed(run)) if inspect.iscoroutinefunction(run) else _timed_sync(run)
            run_s.append(taken_s)
            digests.append(digest_of(values))
            if taken_s > request.slow_s:
                break
    finally:
        runner.run(_left(built))
    own_mb, children_mb = peak_memory_mb()
    return {"build_s": build_s, "run_s": run_s, "digests": digests, "own_mb": own_mb, "children_mb": children_mb}


async def _timed(run: Run) -> tuple[float, Sequence[int]]:
    began = time.perf_counter()
    values = await run()
    return time.perf_counter() - began, values


def _timed_sync(run: Run) -> tuple[float, Sequence[int]]:
    began = time.perf_counter()
    values = run()
    return time.perf_counter() - began, values


def peak_memory_mb() -> tuple[float, float]:
    """Return the most memory that this process ever had, and the sum of the same of its descendants, in MB."""
    if not Path("/proc/self/status").exists():
        unit = 1 if sys.platform == "darwin" else 1_024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6, 0.0
    parents: dict[int, int] = {}
    peaks: dict[int, float] = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            lines = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines() if ":" in line)
        except OSError:
            continue  # ended meanwhile
        parents[int(folder.name)] = int(lines["PPid"])
        peaks[int(folder.name)] = int(lines.get("VmHWM", "0 kB").split()[0]) * 1_024 / 1e6
    family, found = {os.getpid()}, 0
    while len(family) > found:
        found = len(family)
        family |= {process for process, parent in parents.items() if parent in family}
    return peaks[os.getpid()], sum(peaks[process] for process in family - {os.getpid()})
