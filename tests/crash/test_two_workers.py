"""Two workers at one journal, while chance kills and pauses them: one owner at a time, and nothing lost or doubled."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chaos_worker import STEPS, plan
from crash_goal import Seen, seen_in
from crash_points import surroundings

from planloom.journal import SqliteJournal
from planloom.plan.history import fold

WORKER = Path(__file__).with_name("chaos_worker.py")
LEASE_S = 0.3
LONGEST_PAUSE_S = 3 * LEASE_S
END_S = 30.0
MIN_STEPS_PER_CYCLE = 1


class Workers:
    """Two processes, one of which now and then is paused or is another one than before."""

    def __init__(self, journal: Path, calls: Path) -> None:
        self._maker = subprocess.Popen(
            [sys.executable, str(WORKER), str(journal), str(calls), str(LEASE_S)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=surroundings(),
        )
        self.pids = [self._make(), self._make()]

    def _make(self) -> int:
        assert self._maker.stdin is not None
        assert self._maker.stdout is not None
        self._maker.stdin.write("\n")
        self._maker.stdin.flush()
        return int(self._maker.stdout.readline())

    def kill(self, which: int) -> None:
        """Kill a worker and make another one."""
        self._send(which, signal.SIGKILL)
        self.pids[which] = self._make()

    def pause(self, which: int, for_s: float) -> None:
        """Pause a worker, perhaps for longer than it keeps its run."""
        self._send(which, signal.SIGSTOP)
        time.sleep(for_s)
        self._send(which, signal.SIGCONT)

    def end(self) -> None:
        """End all of them."""
        for which in range(len(self.pids)):
            self._send(which, signal.SIGKILL)
        self._maker.communicate()

    def _send(self, which: int, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):  # it ended by a fault, which it has noted
            os.kill(self.pids[which], number)


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[Workers]:
    made = Workers(tmp_path / "runs.db", tmp_path / "calls")
    yield made
    made.end()


def disturb(workers: Workers, cycles: int, chance: random.Random) -> Counter[str]:
    """Kill and pause; return how often what was done."""
    done: Counter[str] = Counter()
    for cycle in range(cycles):
        time.sleep(chance.uniform(0, LEASE_S))
        which = chance.randrange(2)
        if chance.random() < 0.5:
            workers.kill(which)
            done["kills"] += 1
        else:
            # every other pause is longer than the lease, so that the other worker takes over
            is_long = cycle % 2 == 0
            workers.pause(which, chance.uniform(LEASE_S, LONGEST_PAUSE_S) if is_long else chance.uniform(0, LEASE_S))
            done["long pauses" if is_long else "short pauses"] += 1
    return done


def begun(calls: Path) -> int:
    return len({each["run"] for each in seen_in(calls) if "claimed" in each})


def wait_for_another_run(calls: Path) -> None:
    """Wait until the run that is under way has ended, and so another one has begun."""
    known, until_s = begun(calls), time.monotonic() + END_S
    while begun(calls) == known:
        faults = [each["fault"] for each in seen_in(calls) if "fault" in each]
        assert time.monotonic() < until_s, f"undisturbed, the workers do not end their run: {faults}"
        time.sleep(0.02)


def check_run(run_id: str, records: Any, seen: list[Seen]) -> None:
    """Assert that a run that has ended had one owner at a time, and that each step was put once and for all."""
    assert records.dropped is None
    claims = [each["claimed"] for each in seen if "claimed" in each]
    assert sorted(set(claims)) == sorted(claims), f"{run_id}: two owners had one epoch"
    ended = [record for record in records if record.type == "step-succeeded"]
    assert [] == [name for name, count in Counter(record.step_id for record in ended).items() if count > 1]
    epochs = {record.step_id: record.data["output"]["epoch"] for record in ended}
    assert list(epochs.values()) == sorted(epochs.values()), f"{run_id}: an owner wrote after it had lost the run"
    calls = [each for each in seen if "step" in each]
    for each in calls:
        assert each["epoch"] <= epochs[each["step"]], f"{run_id}: {each['step']} ran again after it had succeeded"
    keys = {(each["step"], each["key"]) for each in calls}
    assert STEPS == len(keys) == len({key for _, key in keys})
    history = fold(records)
    outputs = {name: step.output["number"] for name, step in history.steps.items()}
    assert {step.id: step.args["number"] for step in plan().steps} == outputs
    assert "succeeded" == history.status


@pytest.mark.parametrize("cycles", [12, pytest.param(300, marks=pytest.mark.crash)])
def test_two_workers(workers: Workers, cycles: int, tmp_path: Path, seed: int, say: Any) -> None:
    """However they die and sleep, each run has one owner at a time, ends, and loses and repeats nothing."""
    calls = tmp_path / "calls"
    done = disturb(workers, cycles, random.Random(seed))
    wait_for_another_run(calls)
    workers.end()
    seen = seen_in(calls)
    assert [] == [each for each in seen if "fault" in each]

    async def read() -> list[tuple[str, Any]]:
        async with SqliteJournal(tmp_path / "runs.db") as journal:
            runs = [run.run_id for run in await journal.runs(10_000) if run.status == "succeeded"]
            return [(run_id, await journal.read(run_id)) for run_id in runs]

    runs = asyncio.run(read())
    for run_id, records in runs:
        check_run(run_id, records, [each for each in seen if each["run"] == run_id])
    steps, claims = len(runs) * STEPS, sum("claimed" in each for each in seen)
    lost = sum("lost" in each for each in seen)
    counted = ", ".join(f"{count} {what}" for what, count in sorted(done.items()))
    say(f"{counted}: {steps} steps of {len(runs)} runs, {claims} claims, {lost} came back too late; seed {seed}")
    assert steps >= cycles * MIN_STEPS_PER_CYCLE
    assert lost or cycles < 100
