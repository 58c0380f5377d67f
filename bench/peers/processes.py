"""A contender's process: started in its own session, asked one line at a time, always ended with all it started.

Its environment variables switch every telemetry off, and whatever honours a proxy reaches the loopback address alone.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from bench.peers.contenders import Contender
from bench.peers.install import ROOT, environment_python

START_LIMIT_S = 120.0
GRACE_S = 10.0
_KEPT = ("PATH", "LANG", "LC_ALL", "SYSTEMROOT", "LD_LIBRARY_PATH")
_QUIET = {
    "DO_NOT_TRACK": "1",
    "HAMILTON_TELEMETRY_ENABLED": "false",
    "LANGCHAIN_TRACING_V2": "false",
    "LANGSMITH_TRACING": "false",
    "PREFECT_LOGGING_LEVEL": "ERROR",
    "PREFECT_LOGGING_TO_API_ENABLED": "false",
    "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "true",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "100",
    "HTTP_PROXY": "http://127.0.0.1:9",
    "HTTPS_PROXY": "http://127.0.0.1:9",
    "ALL_PROXY": "http://127.0.0.1:9",
    "NO_PROXY": "127.0.0.1,localhost",
}


class ContenderError(Exception):
    """A contender did not start, did not answer in time, or ended; the text says which."""


class ContenderProcess:
    """A live contender. `hello` is what it said when it was ready."""

    def __init__(self, contender: Contender, cache: Path, scratch: Path) -> None:
        home = scratch / f"home-{contender.name}"
        home.mkdir(parents=True, exist_ok=True)
        variables = {name: os.environ[name] for name in _KEPT if name in os.environ} | _QUIET
        variables |= {"HOME": str(home), "PREFECT_HOME": str(home / "prefect"), "TMPDIR": str(scratch)}
        python = environment_python(cache, contender.environment)
        command = [str(python), "-m", f"bench.peers.runners.{contender.module}", *contender.arguments]
        self._contender = contender
        self._log = scratch / f"{contender.name}.log"
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=ROOT, env=variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
                start_new_session=True, bufsize=0,
            )  # fmt: skip
        self._unread = b""
        self._started: dict[int, int] = {}
        self.hello: dict[str, Any] = {}

    def wait_until_ready(self) -> None:
        """Wait until it has imported its library and opened what it needs."""
        self.hello = self._read(START_LIMIT_S)

    def ask(self, request: dict[str, Any], limit_s: float) -> dict[str, Any]:
        """Send a request and return the answer; a contender that is too slow is ended."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
        except OSError as error:
            raise ContenderError(f"ended before it was asked: {self._last_words()}") from error
        answer = self._read(limit_s)
        self._started |= descendants_of(self._process.pid)
        if "error" in answer:
            raise ContenderError(answer["error"])
        return answer

    def end(self) -> None:
        """Close its stdin, wait, and kill what is left of it and of what it started."""
        if self._process.poll() is None:
            self._started |= descendants_of(self._process.pid)
            assert self._process.stdin is not None
            try:
                self._process.stdin.close()
                self._process.wait(GRACE_S)
            except (OSError, subprocess.TimeoutExpired):
                self._process.kill()
        for process, began in self._started.items():
            if _start_of(process) == began:  # still the one that it started, not a later one with the same number
                try:
                    os.kill(process, signal.SIGKILL)
                except ProcessLookupError:
                    continue
        self._process.wait()

    def _read(self, limit_s: float) -> dict[str, Any]:
        assert self._process.stdout is not None
        until = time.monotonic() + limit_s
        while b"\n" not in self._unread:
            left_s = until - time.monotonic()
            if left_s <= 0 or not select.select([self._process.stdout], [], [], left_s)[0]:
                self.end()
                raise ContenderError(f"no answer within {limit_s:.0f} s")
            chunk = os.read(self._process.stdout.fileno(), 1 << 16)
            if not chunk:
                self.end()
                raise ContenderError(f"its process ended: {self._last_words()}")
            self._unread += chunk
        line, self._unread = self._unread.split(b"\n", 1)
        return json.loads(line)

    def _last_words(self) -> str:
        lines = self._log.read_text(errors="replace").strip().splitlines()
        return lines[-1][:300] if lines else "nothing was said"


def descendants_of(process: int) -> dict[int, int]:
    """Return the processes that a process started, and that those started, with when; none where /proc is missing."""
    stats = {int(path.parent.name): _stat_of(path) for path in Path("/proc").glob("[0-9]*/stat")}
    family, found = {process}, 0
    while len(family) > found:
        found = len(family)
        family |= {child for child, stat in stats.items() if stat and stat[0] in family}
    return {child: stat[1] for child in family - {process} if (stat := stats[child])}


def _start_of(process: int) -> int | None:
    stat = _stat_of(Path(f"/proc/{process}/stat"))
    return stat[1] if stat else None


def _stat_of(path: Path) -> tuple[int, int] | None:
    """Return a process's parent and when it was started, in ticks; None when it has ended."""
    try:
        fields = path.read_text().rsplit(")", 1)[1].split()
    except OSError:
        return None
    return int(fields[1]), int(fields[19])
