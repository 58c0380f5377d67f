"""Sync tools in processes of their own: a hang is killed, a dead worker is replaced.

A call is a job for a thread, which asks a worker and waits for its reply; killing the worker ends the wait.
Idle workers are kept for the next call, of whatever run; they end when this process does.
"""

from __future__ import annotations

import atexit
import json
import os
import pickle
import signal
import subprocess
import sys
import threading
from typing import Any, Final

from planloom.engine.failures import Failure
from planloom.engine.worker import Outcome, ProcessCall, read_frame, write_frame

MAX_IDLE: Final = 8
"""Workers that are kept for later calls."""

_START: Final = (
    "import json, sys; sys.path[:] = json.loads(sys.argv.pop()); "
    "from planloom.engine.worker import main; main()"
)  # fmt: skip


def locate_main() -> tuple[str | None, str | None]:
    """Return where the main module of this process can be loaded again: its name, or its file."""
    main = sys.modules.get("__main__")
    spec = getattr(main, "__spec__", None)
    return (spec.name, None) if spec is not None else (None, getattr(main, "__file__", None))


class ProcessJob:
    """One call in a worker process, to be made on a thread. `kill` ends it from any other thread."""

    def __init__(self, call: ProcessCall) -> None:
        self._call = call
        self._worker: Worker | None = None
        self._is_killed = False
        self._lock = threading.Lock()

    def __call__(self) -> Outcome:
        """Make the call and wait for its outcome."""
        request = pickle.dumps(self._call, pickle.HIGHEST_PROTOCOL)
        try:
            worker = POOL.take()
        except OSError as error:
            return None, Failure("worker", type(error).__name__, f"no worker process could be started: {error}")
        with self._lock:
            self._worker = worker
            if self._is_killed:
                worker.kill()
        reply = worker.ask(request)
        with self._lock:
            self._worker = None
            is_reusable = reply is not None and not self._is_killed
        POOL.give_back(worker, is_reusable=is_reusable)
        return worker.death() if reply is None else pickle.loads(reply)  # noqa: S301 - from our own child

    def kill(self) -> None:
        """Kill the process that makes the call, and what it has started; it makes no other one."""
        with self._lock:
            self._is_killed = True
            if self._worker is not None:
                self._worker.kill()


class Worker:
    """A process that runs `planloom.engine.worker`, in a process group of its own: Ctrl-C does not reach it."""

    def __init__(self) -> None:
        path = json.dumps([entry for entry in sys.path if isinstance(entry, str)])  # pyright: ignore[reportUnnecessaryIsInstance]
        apart: dict[str, Any] = (
            {"process_group": 0}
            if os.name == "posix"
            else {"creationflags": getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)}
        )
        self._process = subprocess.Popen(  # noqa: S603 - nothing in it comes from a plan
            [sys.executable, "-P", "-c", _START, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, **apart
        )

    @property
    def is_alive(self) -> bool:
        """Whether it can be asked."""
        return self._process.poll() is None

    def ask(self, request: bytes) -> bytes | None:
        """Send a request and wait for the reply; None when the process has died."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            write_frame(self._process.stdin, request)
            return read_frame(self._process.stdout)
        except OSError:
            return None

    def kill(self) -> None:
        """Kill the process and its group."""
        if self._process.poll() is not None:
            return
        if os.name == "posix":
            os.killpg(self._process.pid, signal.SIGKILL)
        else:
            self._process.kill()

    def close(self) -> None:
        """Kill the process, wait for it, and give its pipes back."""
        self.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            try:
                if pipe is not None:
                    pipe.close()
            except OSError:
                pass  # what was still to be written has no reader any more
        self._process.wait()

    def death(self) -> Outcome:
        """Say how the process died."""
        code = self._process.returncode
        if code < 0:
            name = signal.Signals(-code).name if -code in signal.valid_signals() else f"signal {-code}"
            how = f"was killed by {name}"
        else:
            how = f"exited with code {code}"
        return None, Failure("worker", "WorkerDied", f"the worker process {how} before the tool returned")


class ProcessPool:
    """The workers of this process: those that are idle, and those that are asked."""

    def __init__(self) -> None:
        self._idle: list[Worker] = []
        self._asked: set[Worker] = set()
        self._lock = threading.Lock()

    def take(self) -> Worker:
        """Return a worker that nobody else uses. Raises `OSError` when none can be started."""
        while True:
            with self._lock:
                worker = self._idle.pop() if self._idle else None
            if worker is None:
                worker = Worker()
            elif not worker.is_alive:
                worker.close()
                continue
            with self._lock:
                self._asked.add(worker)
            return worker

    def give_back(self, worker: Worker, *, is_reusable: bool) -> None:
        """Keep a worker for the next call, or end it."""
        with self._lock:
            self._asked.discard(worker)
            is_kept = is_reusable and len(self._idle) < MAX_IDLE
            if is_kept:
                self._idle.append(worker)
        if not is_kept:
            worker.close()

    def close(self) -> None:
        """End every idle worker, and kill those that are asked: whoever waits for them sees them die."""
        with self._lock:
            idle, self._idle = self._idle, []
            asked = list(self._asked)
        for worker in idle:
            worker.close()
        for worker in asked:
            worker.kill()

    def forget(self) -> None:
        """After a fork: the workers belong to the parent."""
        self._lock = threading.Lock()
        self._idle, self._asked = [], set()


POOL: Final = ProcessPool()
atexit.register(POOL.close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=POOL.forget)
