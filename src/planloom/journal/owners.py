"""Owners of runs: which process drives one, and whether it is still alive.

On the same machine a process that is gone is known to be dead. Otherwise its last sign of life decides.
"""

from __future__ import annotations

import json
import os
import platform
import time
from dataclasses import asdict, dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Final, cast

from planloom.errors import RunOwnedError

_KNOWN_OWNERS: Final = 256
"""Owners whose text is read once: a list of runs shows the same few again and again."""
_STAT_START: Final = 19
"""Index of the start time among the fields of /proc/PID/stat that stand behind the command's name."""


@dataclass(frozen=True, slots=True)
class Owner:
    """A process: `place` is one boot of one machine (and one space of process ids), `started` tells
    apart two processes with the same id, `host` is for people.
    """

    place: str
    pid: int
    started: str
    host: str

    @classmethod
    def this_process(cls) -> Owner:
        """Return the process that asks."""
        return _this(os.getpid())

    @classmethod
    def from_json(cls, text: str) -> Owner | None:
        """Read what `to_json` wrote; None when it is damaged."""
        return _read(text)

    def to_json(self) -> str:
        """Return the owner as text."""
        return json.dumps(asdict(self), sort_keys=True)

    @property
    def is_here(self) -> bool:
        """Whether the process, if it lives, can be seen from this one."""
        return bool(self.place) and self.place == _place()

    @property
    def is_gone(self) -> bool:
        """Whether the process is known to have ended: False when it lives and when that cannot be seen."""
        if not self.is_here:
            return False
        started = _started(self.pid)
        return started is None or bool(self.started and started != self.started)

    def describe(self) -> str:
        """Name the owner for people."""
        return f"process {self.pid} on {self.host}"


def is_alive(owner: Owner | None, wall_age_s: float, monotonic_age_s: float, lease_s: float) -> bool:
    """Decide whether an owner still drives its run, from the ages of its last sign of life.

    The monotonic age counts only on the same machine, where no jump of the clock can change it. Elsewhere a sign
    of life from far in the future says as little as one from long ago.
    """
    if owner is None or owner.is_gone:
        return False
    age_s = monotonic_age_s if owner.is_here else abs(wall_age_s)
    return age_s <= lease_s


@lru_cache(maxsize=1)
def _this(pid: int) -> Owner:
    """Return the process that asks; by its id, so that a fork is another."""
    return Owner(_place(), pid, _started(pid) or "", platform.node())


@lru_cache(maxsize=_KNOWN_OWNERS)
def _read(text: str) -> Owner | None:
    try:
        written = cast("dict[str, Any]", json.loads(text))
        return Owner(str(written["place"]), int(written["pid"]), str(written["started"]), str(written["host"]))
    except (ValueError, KeyError, TypeError):
        return None


@cache
def _place() -> str:
    """Return what two processes share if and only if they see each other's ids until the next boot."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        space = os.readlink("/proc/self/ns/pid")  # noqa: PTH115 (not a path)
    except OSError:
        # without /proc: the time of the boot, to ten seconds; when in doubt the lease decides
        return f"{platform.node()}/{round((time.time() - time.monotonic()) / 10)}"
    return f"{boot}/{space}"


def _started(pid: int) -> str | None:
    """Return when a process began, in the system's own words; "" when it lives and that is not known, None if gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return _started_without_proc(pid)
    fields = text.rpartition(")")[2].split()
    if fields[0] in ("Z", "X"):  # ended, and its parent has not looked yet
        return None
    return fields[_STAT_START]


def _started_without_proc(pid: int) -> str | None:
    if Path("/proc/self/stat").exists():
        return None
    if os.name == "nt":  # there this call would end the process
        return ""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except OSError:
        return ""
    return ""


def owned(run_id: str, epoch: int, owner: str | None, lease_s: float) -> RunOwnedError:
    """Say who drives a run, and what can be done."""
    known = Owner.from_json(owner) if owner else None
    who = known.describe() if known else "another process"
    return RunOwnedError(
        run_id,
        f"the run `{run_id}` is being driven by {who} (epoch {epoch})\n"
        f"hint: wait for it to end or end it; one that shows no sign of life loses its run after {lease_s:g} s",
    )


def lost(run_id: str, epoch: int, where: str) -> RunOwnedError:
    """Say that a run went to another owner."""
    return RunOwnedError(
        run_id,
        f"the run `{run_id}` in {where} was taken over by another process or deleted (this was epoch {epoch}), "
        "so nothing more was written",
    )
