"""What a tool sees of its run: the `ToolContext` of one call, and the way its progress takes to the events."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import shutil
import tempfile
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from planloom.engine.attempt import Attempt
from planloom.engine.emitter import Emitter
from planloom.plan.approvals import call_digest
from planloom.plan.events import StepProgress
from planloom.tools import ToolContext

MAX_PENDING_PROGRESS: Final = 100
"""Progress of one call from a thread that waits for the loop; when there is more, the oldest is dropped."""


@dataclass(frozen=True, slots=True)
class Supplies:
    """What the caller of a run gives to every tool. `workdir` None means a temporary folder of the run's own."""

    deps: Any = None
    worker_model: Any = None
    workdir: Path | None = None


class Contexts:
    """Makes the contexts of one run's calls, and owns the run's temporary folder."""

    def __init__(self, supplies: Supplies, emitter: Emitter, loop: asyncio.AbstractEventLoop) -> None:
        self.deps = supplies.deps
        self._worker_model = supplies.worker_model
        self._workdir = supplies.workdir
        self._own_workdir: Path | None = None
        self._is_made = self._is_closed = False
        self._lock = threading.Lock()
        self._emitter = emitter
        self._loop = loop

    def make(self, attempt: Attempt, args: Mapping[str, Any]) -> ToolContext:
        """Return the context of a call in this process."""
        return ToolContext(
            **self.fields(attempt, args),
            worker_model=self._worker_model,
            deps=self.deps,
            report=_Progress(attempt, self._emitter, self._loop),
            cancelled=lambda: attempt.cause is not None or not attempt.is_live,
        )

    def fields(self, attempt: Attempt, args: Mapping[str, Any]) -> dict[str, Any]:
        """Return the plain fields of a context, which may also go to another process.

        The idempotency key is that of the run, the step, its element, and the call itself: a recovery may use the id of
        the step that it replaces for another call, which is no repetition.
        """
        index = attempt.unit.index
        run_id, called = self._emitter.run_id, call_digest(attempt.step_id, attempt.tool.name, args)
        return {
            "run_id": run_id,
            "step_id": attempt.step_id if index < 0 else attempt.step_id.rpartition("[")[0],
            "index": None if index < 0 else index,
            "attempt": attempt.number,
            "idempotency_key": hashlib.sha256(f"{run_id}\0{called}".encode()).hexdigest()[:32],
            "workdir": str(self.folder()),
        }

    def folder(self) -> Path:
        """Return the run's folder, which is there then. May be called from any thread."""
        with self._lock:
            if self._workdir is not None:
                if not self._is_made:
                    self._workdir.mkdir(parents=True, exist_ok=True)
                    self._is_made = True
                return self._workdir
            if self._own_workdir is None:
                if self._is_closed:
                    raise FileNotFoundError("the run is over, and its folder is gone")
                self._own_workdir = Path(tempfile.mkdtemp(prefix="planloom-"))
            return self._own_workdir

    def close(self) -> None:
        """Remove the run's own folder."""
        with self._lock:
            self._is_closed = True
        if self._own_workdir is not None:
            shutil.rmtree(self._own_workdir, ignore_errors=True)


class _Progress:
    """`ToolContext.report` of one call: from whatever thread, in order, and never faster than the loop can bear."""

    def __init__(self, attempt: Attempt, emitter: Emitter, loop: asyncio.AbstractEventLoop) -> None:
        self._attempt = attempt
        self._emitter = emitter
        self._loop = loop
        self._loop_thread = threading.get_ident()
        self._pending: deque[float | str] = deque(maxlen=MAX_PENDING_PROGRESS)
        self._is_waking = False

    def __call__(self, progress: float | str) -> None:
        if not self._emitter.is_listening:
            return
        self._pending.append(progress)
        if threading.get_ident() == self._loop_thread:
            self._flush()
        elif not self._is_waking:
            self._is_waking = True
            with contextlib.suppress(RuntimeError):  # the loop is closed: an abandoned call still talks
                self._loop.call_soon_threadsafe(self._flush)

    def _flush(self) -> None:
        self._is_waking = False
        while self._pending:
            progress = self._pending.popleft()
            if self._attempt.is_live:
                self._emitter.emit(StepProgress, self._attempt.step_id, progress)
