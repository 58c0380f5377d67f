"""Does the journal stay quick when there is much in it? A long run gone on with, and a list of many runs.

The floors: the same lines read and parsed by hand, and a process that asks SQLite for as many rows.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

from bench.measure import Row, compare
from planloom import Plan, execute_plan, resume_run, tool
from planloom.journal import MemoryJournal, Record, SqliteJournal
from planloom.testing import layered

RESUME_BOUND_MS = 1_000
LIST_BOUND_MS = 300
_OUTPUT = {"rows": 120, "columns": ["date", "region", "sales"], "text": "x" * 80}
_COMMAND = str(Path(sysconfig.get_path("scripts")) / "planloom")
_MANY = """INSERT INTO runs (run_id, goal, status, started_at, ended_at, epoch, owner, beat_at, beat_monotonic_s)
    WITH RECURSIVE number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < ?)
    SELECT run_id || n, goal, status, started_at + n, ended_at + n, epoch, owner, beat_at, beat_monotonic_s
    FROM runs, number"""
_LIST_BY_HAND = """import sqlite3, sys, click, rich.console
rows = sqlite3.connect(sys.argv[1]).execute("SELECT * FROM runs ORDER BY started_at DESC LIMIT 100").fetchall()
print(*rows, sep="\\n")"""


def rows(*, tiny: bool = False) -> list[Row]:
    """Measure both, in processor time."""
    layers, width, runs, pairs = (2, 3, 4, 2) if tiny else (100, 100, 10_000, 8)
    with tempfile.TemporaryDirectory(prefix="planloom-bench-") as name:
        return [_resumed(Path(name), layers, width, pairs), _listed(Path(name), runs, pairs)]


def _resumed(folder: Path, layers: int, width: int, pairs: int) -> Row:
    """From the call of `resume_run` to the first call of a tool."""
    plan = layered(layers, width)
    half = folder / "half.db"
    asyncio.run(_half_done(plan, half))
    numbers = count()

    def by_hand() -> float:
        began = time.process_time()
        with closing(sqlite3.connect(half)) as connection:
            found = [json.loads(line[line.index(b"{") :]) for (line,) in connection.execute("SELECT line FROM records")]
        taken = time.process_time() - began
        assert len(found) > len(plan.steps)
        return taken

    def resume() -> float:
        path = folder / f"half-{next(numbers)}.db"
        shutil.copy(half, path)
        taken = asyncio.run(_time_to_first_call(path))
        path.unlink()
        return taken

    question = f"a half-done run of {layers * width:,} steps goes on: to the first call"
    compared = compare(by_hand, resume, pairs)
    row = compared.row(question, per=1, unit="ms", scale=1e3, note="floor: its lines parsed")
    return replace(row, bound=RESUME_BOUND_MS, bound_on="value")


async def _half_done(plan: Plan, path: Path) -> None:
    """Keep a run as it is when half of its steps have succeeded."""

    @tool(read_only=True)
    async def work() -> dict[str, Any]:
        return _OUTPUT

    memory = MemoryJournal()
    await execute_plan(plan, [work], journal=memory, run_id="r1")
    records = await memory.read("r1")
    ended = [position for position, record in enumerate(records) if record.type == "step-succeeded"]
    async with SqliteJournal(path) as journal:
        writer = await journal.open_run("r1", records.goal, records.meta)
        await writer.append(records[: ended[len(plan.steps) // 2]])


async def _time_to_first_call(path: Path) -> float:
    """Go on with the run until a tool is called, in seconds."""
    called: list[float] = []

    @tool(read_only=True)
    async def work() -> dict[str, Any]:
        if not called:
            called.append(time.process_time())
            going_on.cancel()
        return _OUTPUT

    async with SqliteJournal(path) as journal:
        began = time.process_time()
        going_on = asyncio.ensure_future(resume_run("r1", [work], journal=journal))
        result = await going_on
    assert result.status in ("cancelled", "succeeded")  # a tiny run may be over before it hears of it
    return called[0] - began


def _listed(folder: Path, runs: int, pairs: int) -> Row:
    """`planloom runs`, as whole processes."""
    path = folder / "many.db"
    asyncio.run(_one_run(path))
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(_MANY, (runs - 1,))
    # as for users: every module was compiled before
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment = {**kept, "PYTHONPYCACHEPREFIX": str(folder / "compiled")}
    compared = compare(
        lambda: _process_s([sys.executable, "-c", _LIST_BY_HAND, str(path)], environment),
        lambda: _process_s([_COMMAND, "runs", "--journal", str(path)], environment),
        pairs,
    )
    question = f"planloom runs over {runs:,} runs, the newest 100 shown"
    note = "floor: a process with click, rich and one query"
    row = compared.row(question, per=1, unit="ms", scale=1e3, note=note)
    return replace(row, bound=LIST_BOUND_MS, bound_on="value")


async def _one_run(path: Path) -> None:
    async with SqliteJournal(path) as journal:
        writer = await journal.open_run("r", "sum up the notes of last week", {"kind": "execute"})
        ended = {"status": "succeeded", "result": {"answer": None, "error": None}}
        await writer.append([Record(1, "r", 1_700_000_000.0, "run-finished", None, ended)])


def _process_s(command: Sequence[str], environment: Mapping[str, str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, capture_output=True, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
