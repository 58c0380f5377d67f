"""A goal whose process is killed at every single write: to the journal, its log, the artifacts, and outside."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from crash_goal import REPLIES, seen_in
from crash_points import KillPoint, counted, goal, killed, run
from crash_proofs import check_outside, go_on, left_by, outcome

SAMPLE = 10
"""Kill points that every test run tries; `make test-crash` tries them all."""
SPARE = 3
"""Points behind the last one that was counted: how many calls there are depends on which commits come together."""


@pytest.fixture
def undisturbed(tmp_path: Path) -> dict[str, Any]:
    """What the goal comes to when nobody dies."""
    folder = tmp_path / "undisturbed"
    folder.mkdir()
    assert 0 == run(goal(folder / "runs.db", folder / "calls")).returncode
    result = go_on(folder / "runs.db", folder / "calls")
    check_outside(folder / "calls", outcome(result), result)
    assert "succeeded" == result.status
    return outcome(result)


def points(strace: str, folder: Path) -> list[KillPoint]:
    """Every point at which an undisturbed goal writes."""
    found: list[KillPoint] = []
    for part in ("journal", "main"):
        place = folder / f"counted-{part}"
        place.mkdir()
        for call, count in sorted(counted(strace, part, place).items()):
            found += [KillPoint(part, call, number) for number in range(1, count + SPARE + 1)]
    return found


def prove(strace: str, point: KillPoint, folder: Path, expected: dict[str, Any]) -> bool:
    """Kill at a point, look at what is left, go on, look at the end; return whether the process died there."""
    folder.mkdir(parents=True)
    journal, calls = folder / "runs.db", folder / "calls"
    died = killed(strace, point, folder)
    history = left_by(journal, calls)
    received = {text for texts in history.replies.values() for text in texts} if history else set()
    before = len(seen_in(calls))
    result = go_on(journal, calls)
    check_outside(calls, expected, result)
    asked = [each["ask"] for each in seen_in(calls)[before:] if "ask" in each]
    again = [purpose for purpose in asked if REPLIES[purpose] in received]
    assert [] == again, "a reply that had been received was bought again"
    shutil.rmtree(folder)
    return died


def prove_all(strace: str, chosen: Iterable[KillPoint], folder: Path, expected: dict[str, Any]) -> int:
    """Prove points two at a time, and return how many processes died."""

    faults: list[Exception] = []

    def prove_one(point: KillPoint) -> bool:
        try:
            return prove(strace, point, folder / f"{point.part}-{point.call}-{point.number}", expected)
        except Exception as fault:
            fault.add_note(f"killed at {point}")
            faults.append(fault)
            return True

    with ThreadPoolExecutor(2) as pool:
        died = sum(pool.map(prove_one, chosen))
    if faults:
        raise ExceptionGroup(f"{len(faults)} kill points", faults)
    return died


def test_killed_at_some_writes(tmp_path: Path, strace: str, undisturbed: dict[str, Any], seed: int, say: Any) -> None:
    """Nothing that was called durable is lost, nothing is paid twice, and the goal ends as if nothing had been."""
    found = points(strace, tmp_path)
    chosen = random.Random(seed).sample(found, SAMPLE)
    died = prove_all(strace, chosen, tmp_path / "killed", undisturbed)
    say(f"killed at {died} of about {len(found)} writes, seed {seed}")
    assert died >= SAMPLE // 2


@pytest.mark.crash
def test_killed_at_every_write(tmp_path: Path, strace: str, undisturbed: dict[str, Any], say: Any) -> None:
    """The same at each of them."""
    found = points(strace, tmp_path)
    died = prove_all(strace, found, tmp_path / "killed", undisturbed)
    say(f"killed at {died} writes, each one there is; {len(found) - died} tries behind the last one")
    assert died >= 200
