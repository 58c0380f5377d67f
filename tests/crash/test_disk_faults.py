"""A disk that is full, fails, or may only be read: the command says so in one sentence, and the run goes on later."""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import runpy
import shutil
import subprocess
import sysconfig
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from crash_points import command, run
from disk_shop import ANSWER, ARTIFACT_BYTES, PLAN

from planloom import execute_plan, resume_run
from planloom.errors import RunOwnedError
from planloom.journal import SqliteJournal, owners

SHOP = Path(__file__).with_name("disk_shop.py")
PLANLOOM = Path(sysconfig.get_path("scripts")) / "planloom"
CALLS_OF = {
    "journal": ("pwrite64", "pread64", "fdatasync", "fsync", "ftruncate", "openat", "unlink"),
    "main": ("fsync", "rename", "mkdir", "write"),
}
"""What may fail, by the part of the process: see `KillPoint`."""
ERRORS = ("ENOSPC", "EIO")
SAMPLE = 5
SENTENCE = re.compile(r"error: the (journal|artifact) \S*runs\.db\S* (cannot be (written|read)|is damaged): .+")


@dataclass(frozen=True)
class FaultPoint:
    """The `number`th call of a name, counted from 1, and all after it, fail."""

    part: str
    call: str
    number: int
    error: str


class Shop:
    """A folder with a plan and its tools, where a journal is kept."""

    def __init__(self, folder: Path, journal: Path | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(SHOP, folder)
        (folder / "plan.json").write_text(json.dumps(PLAN))
        self.folder = folder
        self.journal = journal or folder / "runs.db"

    def command(self) -> list[str]:
        """Return the command that runs the plan."""
        plan, tools = self.folder / "plan.json", self.folder / SHOP.name
        return [str(PLANLOOM), "execute", str(plan), "--tools", str(tools), "--journal", str(self.journal)]

    def go_on(self) -> str:
        """Go on with what is there, or begin, and return the answer; check what was put by then."""
        shop = runpy.run_path(str(self.folder / SHOP.name))
        tools = [shop["put"], shop["load"], shop["measure"]]

        async def work() -> Any:
            async with SqliteJournal(self.journal) as journal:
                runs = await journal.runs()
                if not runs:
                    assert not shop["CALLS"].exists(), "something was put before the run was durable"
                    return await execute_plan(PLAN, tools, journal=journal)
                assert 1 == len(runs)
                return await resume_run(runs[0].run_id, tools, journal=journal)

        result = asyncio.run(work())
        keyed = {tuple(line.rsplit(" ", 1)) for line in shop["CALLS"].read_text().splitlines()}
        assert ["a", "b 100000"] == sorted(name for name, _ in keyed), "something was put under two keys"
        return result.answer


def check_said(done: subprocess.CompletedProcess[str]) -> None:
    """Assert that a command ended as it does for a fault that is not its own."""
    assert 1 == done.returncode, done.stderr
    assert "" == done.stdout
    said = [line for line in done.stderr.splitlines() if line.startswith(("error", "warning"))]
    assert 1 == len(said), done.stderr
    assert SENTENCE.fullmatch(said[0]), said[0]
    assert "Traceback" not in done.stderr


def points(strace: str, folder: Path) -> list[FaultPoint]:
    """Every call on the journal's and the artifacts' files of a run whose disk does not fail."""
    found: list[FaultPoint] = []
    for part, names in CALLS_OF.items():
        shop = Shop(folder / f"counted-{part}")
        log = shop.folder / "log"
        watched = ["-o", str(log), "-e", f"trace={','.join(names)}"]
        done = run([*command(strace, part, shop.journal, *watched), *shop.command()])
        assert (0, f"{ANSWER}\n") == (done.returncode, done.stdout), done.stderr
        lines = [line for line in log.read_text().splitlines() if "resumed>" not in line]
        for name in names:
            calls = [line for line in lines if re.match(rf"(\d+ +)?{name}\(", line)]
            for number, line in enumerate(calls, 1):
                is_ours = part == "journal" or "runs.db.artifacts" in line or name == "fsync"
                if is_ours or (name == "write" and line.endswith(f"= {ARTIFACT_BYTES}")):
                    # no room is no reason for a read to fail
                    found += [FaultPoint(part, name, number, error) for error in ERRORS[name == "pread64" :]]
    return found


def prove(strace: str, point: FaultPoint, folder: Path) -> bool:
    """Let the disk fail from a point on, and go on when it is mended; return whether the command noticed."""
    shop = Shop(folder)
    # a write fails once: nothing could be said either when each one did
    forever = "" if point.call == "write" else "+"
    inject = f"inject={point.call}:error={point.error}:when={point.number}{forever}"
    options = ["-o", "/dev/null", "-e", f"trace={point.call}", "-e", inject]
    done = run([*command(strace, point.part, shop.journal, *options), *shop.command()])
    if done.returncode:
        check_said(done)
    assert ANSWER == shop.go_on()
    shutil.rmtree(folder)
    return done.returncode != 0


def prove_all(strace: str, chosen: list[FaultPoint], folder: Path) -> int:
    """Prove points two at a time; return how many were noticed."""
    faults: list[Exception] = []

    def prove_one(point: FaultPoint) -> bool:
        try:
            return prove(strace, point, folder / f"{point.part}-{point.call}-{point.number}-{point.error}")
        except Exception as fault:
            fault.add_note(str(point))
            faults.append(fault)
            return True

    with ThreadPoolExecutor(2) as pool:
        noticed = sum(pool.map(prove_one, chosen))
    if faults:
        raise ExceptionGroup(f"{len(faults)} faults of the disk", faults)
    return noticed


def test_some_calls_fail(tmp_path: Path, strace: str, seed: int, say: Any) -> None:
    """The command ends with exit code 1 and one sentence, and the run goes on when the disk is mended."""
    found = points(strace, tmp_path)
    noticed = prove_all(strace, random.Random(seed).sample(found, SAMPLE), tmp_path / "faults")
    say(f"{SAMPLE} of {len(found)} faults of the disk, {noticed} of them ended the run, seed {seed}")
    assert noticed


@pytest.mark.crash
def test_every_call_fails(tmp_path: Path, strace: str, say: Any) -> None:
    """The same for each of them."""
    found = points(strace, tmp_path)
    noticed = prove_all(strace, found, tmp_path / "faults")
    say(f"{len(found)} faults of the disk, {noticed} of them ended the run")
    assert noticed >= len(found) // 2


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk in memory with less room than a run needs."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", place], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"nothing may be mounted here: {mounted.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", place], check=True)


def remount(place: Path, option: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{option}", place], check=True)


def test_a_disk_that_is_really_full(small_disk: Path, tmp_path: Path) -> None:
    """From no room to enough: the run is there, or nothing of it is, and it goes on when there is more."""
    ends: list[int] = []
    for kilobytes in range(40, 320, 40):
        remount(small_disk, f"size={kilobytes}k")
        shop = Shop(tmp_path / f"shop-{kilobytes}", small_disk / f"{kilobytes}" / "runs.db")
        done = run(shop.command())
        ends.append(done.returncode)
        if done.returncode:
            check_said(done)
        remount(small_disk, "size=10m")
        assert ANSWER == shop.go_on()
        shutil.rmtree(shop.journal.parent)
    assert sorted(ends, reverse=True) == ends, "what went with less room did not with more"
    assert (1, 0) == (ends[0], ends[-1])


def test_a_disk_that_may_only_be_read(small_disk: Path, tmp_path: Path) -> None:
    """A journal that is there already, and one that is not, are refused with the reason; later the run goes on."""
    remount(small_disk, "size=10m")
    shop = Shop(tmp_path / "shop", small_disk / "runs.db")
    remount(small_disk, "ro")
    check_said(run(shop.command()))
    remount(small_disk, "rw")
    assert ANSWER == shop.go_on()
    remount(small_disk, "ro")
    check_said(run(shop.command()))


@pytest.mark.parametrize("where", ["plan.json/runs.db", "plan.json/deep/runs.db"])
def test_a_place_where_no_journal_can_be(where: str, tmp_path: Path) -> None:
    """A file in the place of a folder is said."""
    check_said(run(Shop(tmp_path, tmp_path / where).command()))


class JumpingClock:
    """A clock that is set an hour back when it has been asked so many times."""

    is_virtual = False

    def __init__(self, asked: int) -> None:
        self._left = asked

    def now(self) -> float:
        self._left -= 1
        return 1_700_000_000.0 - (3_600.0 if self._left < 0 else 0.0)


@pytest.mark.parametrize("asked", [0, 1, 3, 5, 8])
def test_a_clock_that_jumps_an_hour_back(asked: int, tmp_path: Path) -> None:
    """Order is that of the records, whatever the time: nothing is lost, nothing runs twice, the run can be shown."""
    shop = Shop(tmp_path)
    module = runpy.run_path(str(tmp_path / SHOP.name))
    tools = [module["put"], module["load"], module["measure"]]
    first = asyncio.run(execute_plan(PLAN, tools, journal=shop.journal, run_id="r1", clock=JumpingClock(asked)))
    assert ("succeeded", ANSWER) == (first.status, first.answer)
    before = module["CALLS"].read_text()
    assert ANSWER == asyncio.run(resume_run("r1", tools, journal=shop.journal, clock=JumpingClock(0))).answer
    assert before == module["CALLS"].read_text()
    shown = run([str(PLANLOOM), "show", "r1", "--journal", str(shop.journal)])
    assert (0, "") == (shown.returncode, shown.stderr)
    assert "succeeded" in shown.stdout


def test_no_owner_is_lost_by_a_jump_of_the_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run whose owner is alive cannot be taken over because somebody set the clock."""
    this = owners.Owner.this_process()
    another = owners.Owner(this.place, os.getppid(), owners._started(os.getppid()) or "", this.host)

    async def work() -> None:
        async with SqliteJournal(tmp_path / "runs.db", lease_s=30.0) as journal:
            with monkeypatch.context() as patched:
                patched.setattr(owners, "_this", lambda pid: another)
                await journal.open_run("r1", "", {})
            for hours in (-1, 1, 24):
                with monkeypatch.context() as patched:
                    patched.setattr("time.time", partial(float, time.time() + hours * 3_600.0))
                    with pytest.raises(RunOwnedError):
                        await journal.take_over("r1")

    asyncio.run(work())
