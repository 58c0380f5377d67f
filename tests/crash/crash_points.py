"""Processes that die at a call of the system, by strace."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

CHILD = Path(__file__).with_name("crash_goal.py")
WRITES = (
    "write", "writev", "pwrite64", "pwritev", "fsync", "fdatasync", "ftruncate", "fallocate", "rename", "renameat",
    "renameat2", "unlink", "unlinkat", "mkdir", "mkdirat", "rmdir", "link", "linkat",
)  # fmt: skip
"""Every call that changes a file or a folder, or makes that durable."""
CHILD_S = 60
_CALL = re.compile(r"(?:\d+ +)?(\w+)\(")


@dataclass(frozen=True, order=True)
class KillPoint:
    """The `number`th call of a name, counted from 1.

    `part` is "journal" (the thread that writes the journal's file and its log) or "main" (the thread of the loop, which
    writes artifacts, and what the outside sees).
    """

    part: str
    call: str
    number: int


def journal_paths(journal: Path) -> list[str]:
    """Return the options of strace that mean the files of a journal, and its folder."""
    names = [journal, *(journal.with_name(f"{journal.name}-{suffix}") for suffix in ("wal", "shm", "journal"))]
    return [word for path in (*names, journal.parent) for word in ("-P", str(path))]


def command(strace: str, part: str, journal: Path, *options: str) -> list[str]:
    """Return the beginning of a command that watches one part of a process."""
    # without -f only the thread that began is seen; a filter in the kernel would lose signals
    chosen = ["-f", *journal_paths(journal)] if part == "journal" else []
    return [strace, *chosen, *options]


def goal(journal: Path, calls: Path) -> list[str]:
    """Return the command of the goal."""
    return [sys.executable, str(CHILD), str(journal), str(calls), "r1"]


def surroundings() -> dict[str, str]:
    """Return an environment in which hundreds of processes that begin compile each module once."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPYCACHEPREFIX": str(Path(tempfile.gettempdir()) / f"planloom-crash-{os.getuid()}")}


def run(words: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        words,
        capture_output=True,
        text=True,
        timeout=CHILD_S,
        check=False,
        env=surroundings(),
        stdin=subprocess.DEVNULL,
    )


def counted(strace: str, part: str, folder: Path) -> Counter[str]:
    """Return how often an undisturbed goal makes each of the calls."""
    journal, log = folder / "runs.db", folder / "log"
    watched = ["-o", str(log), "-e", "trace=" + ",".join(f"?{name}" for name in WRITES)]
    done = run([*command(strace, part, journal, *watched), *goal(journal, folder / "calls")])
    assert 0 == done.returncode, done.stderr
    return Counter(found[1] for line in log.read_text().splitlines() if (found := _CALL.match(line)) is not None)


def killed(strace: str, point: KillPoint, folder: Path) -> bool:
    """Run the goal until it dies at a point; return whether it did, and did not end before."""
    journal = folder / "runs.db"
    inject = ["-o", "/dev/null", "-e", f"trace={point.call}"]
    inject += ["-e", f"inject={point.call}:signal=SIGKILL:when={point.number}"]
    done = run([*command(strace, point.part, journal, *inject), *goal(journal, folder / "calls")])
    assert done.returncode in (0, -9), done.stderr
    return done.returncode == -9
