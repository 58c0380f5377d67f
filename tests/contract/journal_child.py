"""A process that drives a run, for tests that kill or pause it: `journal_child.py write|hold ADDRESS RUN LEASE_S`."""

from __future__ import annotations

import asyncio
import itertools
import sys

from planloom.errors import JournalError
from planloom.journal import Record, SqliteJournal
from planloom.journal.postgres import PostgresJournal


def journal_at(address, lease_s):
    return (PostgresJournal if "://" in address else SqliteJournal)(address, lease_s=lease_s)


def record(run_id, seq):
    return Record(seq, run_id, 1_700_000_000.0 + seq, "step-succeeded", f"step_{seq}", {"output": "x" * (seq % 300)})


async def write(journal, run_id):
    """Append from twenty tasks for ever, and say which records were called durable."""
    writer = await journal.open_run(run_id, "be killed", {})
    numbers = itertools.count(1)

    async def work():
        while True:
            seq = next(numbers)
            await writer.append([record(run_id, seq)])
            print(seq, flush=True)

    await asyncio.gather(*[work() for _ in range(20)])


async def hold(journal, run_id):
    """Own a run, and append one record for every line on stdin."""
    writer = await journal.open_run(run_id, "be paused", {})
    print("open", flush=True)
    for seq in itertools.count(1):
        line = await asyncio.to_thread(sys.stdin.readline)
        if not line:
            break
        try:
            await writer.append([record(run_id, seq)])
            print("durable", flush=True)
        except JournalError as error:
            print(type(error).__name__, flush=True)


if __name__ == "__main__":
    command, address, run_id, lease_s = sys.argv[1:]
    asyncio.run({"write": write, "hold": hold}[command](journal_at(address, float(lease_s)), run_id))
