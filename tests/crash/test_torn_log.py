"""The log of a journal as a power cut leaves it: cut off, torn, with holes where a write is missing."""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from crash_goal import seen_in
from crash_points import CHILD, run
from crash_proofs import check_outside, go_on, left_by, outcome

from planloom.journal import SqliteJournal

HEADER_BYTES, FRAME_HEADER_BYTES, PAGE_BYTES = 32, 24, 4096
FRAME_BYTES = FRAME_HEADER_BYTES + PAGE_BYTES
COMMITS_BEFORE = 2
"""The tables, and the run: commits that are not counted as records."""
SAMPLE = 30


@dataclass
class Log:
    """What a process left that reached its goal and never closed its journal."""

    folder: Path
    log: bytes
    commits: list[int]
    """Where in the log each commit ends, from 0 for none."""

    @classmethod
    def left_in(cls, folder: Path) -> Log:
        log = (folder / "runs.db-wal").read_bytes()
        assert 0 == (len(log) - HEADER_BYTES) % FRAME_BYTES
        ends = [0]
        for at in range(HEADER_BYTES, len(log), FRAME_BYTES):
            if struct.unpack(">6I", log[at : at + FRAME_HEADER_BYTES])[1]:
                ends.append(at + FRAME_BYTES)
        return cls(folder, log, ends)

    def durable(self, size: int) -> int:
        """Return how many commits are whole in so many bytes."""
        return sum(end <= size for end in self.commits) - 1

    def lay(self, place: Path, log: bytes, commits: int) -> None:
        """Make the files of a machine that stopped when so many commits were durable, with what is left of the log."""
        shutil.copytree(self.folder, place)
        (place / "runs.db-shm").unlink()
        (place / "runs.db-wal").write_bytes(log)
        seen = [each for each in seen_in(self.folder / "calls") if each["commits"] + COMMITS_BEFORE <= commits]
        (place / "calls").write_text("".join(json.dumps(each) + "\n" for each in seen))


@dataclass(frozen=True, order=True)
class Damage:
    """A log that ends at a byte, perhaps with zeros from a byte on, where a write of its last commit is missing."""

    size: int
    zeros_at: int = 0
    zeros_bytes: int = 0

    def of(self, log: bytes) -> bytes:
        cut = bytearray(log[: self.size])
        cut[self.zeros_at : self.zeros_at + self.zeros_bytes] = bytes(self.zeros_bytes)
        return bytes(cut)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Log:
    folder = tmp_path_factory.mktemp("left")
    done = run([sys.executable, str(CHILD), str(folder / "runs.db"), str(folder / "calls"), "leave"])
    assert 0 == done.returncode, done.stderr
    return Log.left_in(folder)


@pytest.fixture(scope="module")
def expected(log: Log, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the goal came to in the process that left the log."""
    place = tmp_path_factory.mktemp("whole") / "place"
    log.lay(place, log.log, len(log.commits) - 1)
    result = go_on(place / "runs.db", place / "calls")
    check_outside(place / "calls", outcome(result), result)
    return outcome(result)


def damages(log: Log) -> list[Damage]:
    """Every prefix of the log, each with half of its last frame too; and the last commit with one frame missing."""
    ends = range(HEADER_BYTES, len(log.log) + 1, FRAME_BYTES)
    found = [Damage(size) for size in (0, HEADER_BYTES // 2, *ends)]
    found += [Damage(end - FRAME_BYTES // 2) for end in ends[1:]]
    for begin, end in zip([HEADER_BYTES, *log.commits[1:]], log.commits[1:], strict=False):
        for at in range(begin, end, FRAME_BYTES):
            found.append(Damage(end, at, FRAME_BYTES))
            found.append(Damage(end, at + FRAME_BYTES // 2, FRAME_BYTES // 2))
    # zeros in the place of zeros are no damage
    return [damage for damage in found if not damage.zeros_bytes or damage.of(log.log) != log.log[: damage.size]]


def prove(log: Log, damage: Damage, place: Path, expected: dict[str, Any]) -> None:
    """Lay the damaged log, look whether it is said, go on, and look at the end."""
    commits = log.durable(damage.zeros_at or damage.size)
    log.lay(place, damage.of(log.log), commits)

    async def noticed() -> str | None:
        async with SqliteJournal(place / "runs.db") as journal:
            await journal.runs()
            return journal.notice

    notice = asyncio.run(noticed())
    is_whole = not damage.zeros_bytes and damage.size in (*log.commits, HEADER_BYTES)
    assert is_whole == (notice is None), notice
    assert commits >= COMMITS_BEFORE or left_by(place / "runs.db", place / "calls") is None
    result = go_on(place / "runs.db", place / "calls")
    check_outside(place / "calls", expected, result)
    shutil.rmtree(place)


def prove_all(log: Log, chosen: list[Damage], folder: Path, expected: dict[str, Any]) -> None:
    faults: list[Exception] = []
    for number, damage in enumerate(chosen):
        try:
            prove(log, damage, folder / f"{number}", expected)
        except Exception as fault:
            fault.add_note(str(damage))
            faults.append(fault)
    if faults:
        raise ExceptionGroup(f"{len(faults)} of {len(chosen)} damages", faults)


def test_some_torn_logs(log: Log, expected: Any, tmp_path: Path, seed: int, say: Callable[[str], None]) -> None:
    """The journal opens, says what it left out, and the goal ends as if nothing had been."""
    found = damages(log)
    prove_all(log, random.Random(seed).sample(found, SAMPLE), tmp_path, expected)
    say(f"{SAMPLE} of {len(found)} torn logs, seed {seed}")


@pytest.mark.crash
def test_every_torn_log(log: Log, expected: Any, tmp_path: Path, say: Callable[[str], None]) -> None:
    """The same for each of them."""
    found = damages(log)
    prove_all(log, found, tmp_path, expected)
    say(f"{len(found)} torn logs, over {len(log.commits) - 1} commits")
