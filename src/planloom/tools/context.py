"""What a tool may know about the run it is part of.

A parameter annotated `ToolContext` is filled in by the engine and hidden from the planner. The class has a
plain constructor with nothing required, so a tool can be called with a context in its own unit test.
It starts nothing and writes nothing, except the working folder on first use.
"""

from __future__ import annotations

import atexit
import math
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

MAXIMUM_PROGRESS_CHARACTERS: Final = 500
"""A progress text longer than this is cut, so that a chatty tool cannot fill the event stream."""

ReportProgress = Callable[[float | str], None]


class ToolContext:
    """One attempt of one step, seen from inside its tool.

    - `run_id`, `step_id`: where the call belongs; empty outside a run.
    - `index`: the element's position in a `for_each` step, from 0, or None.
    - `attempt`: 1 for the first try.
    - `idempotency_key`: the same for every attempt and after a resume; hand it to a service that takes one.
    - `worker_model`: the model for work inside steps, or None when none is configured.
    - `deps`: whatever the caller gave the run, untouched.
    """

    __slots__ = (
        "_cancelled",
        "_report",
        "_workdir",
        "attempt",
        "deps",
        "idempotency_key",
        "index",
        "run_id",
        "step_id",
        "worker_model",
    )

    def __init__(
        self,
        *,
        run_id: str = "",
        step_id: str = "",
        index: int | None = None,
        attempt: int = 1,
        idempotency_key: str = "",
        worker_model: Any = None,
        deps: Any = None,
        workdir: str | os.PathLike[str] | None = None,
        report: ReportProgress | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> None:
        """Make a context; every argument is optional.

        `workdir` is created on first use; without it, it is a temporary folder that
        goes when the process ends.
        `report` receives every progress, `cancelled` says whether the step should stop.
        """
        self.run_id: Final = run_id
        self.step_id: Final = step_id
        self.index: Final = index
        self.attempt: Final = attempt
        self.idempotency_key: Final = idempotency_key
        self.worker_model: Final[Any] = worker_model
        self.deps: Final[Any] = deps
        self._workdir: Path | None = None if workdir is None else Path(workdir)
        self._report: Final = report
        self._cancelled: Final = cancelled

    @property
    def workdir(self) -> Path:
        """A folder for this run's files. It exists when this returns."""
        if self._workdir is None:
            folder = tempfile.mkdtemp(prefix="planloom-")
            atexit.register(shutil.rmtree, folder, ignore_errors=True)
            self._workdir = Path(folder)
        self._workdir.mkdir(parents=True, exist_ok=True)
        return self._workdir

    @property
    def cancelled(self) -> bool:
        """True once the step should stop; a long loop in a thread looks at it between two pieces of work."""
        return self._cancelled is not None and self._cancelled()

    def report(self, progress: float | str) -> None:
        """Tell the run how far this step is: a number from 0 to 1, or a short text.

        A number outside 0..1 is moved to the nearer end and NaN is dropped: a slip in the arithmetic of a
        progress bar is no reason to fail a step. Raises TypeError for anything else.
        """
        if isinstance(progress, str):
            progress = progress[:MAXIMUM_PROGRESS_CHARACTERS]
        elif isinstance(progress, bool) or not isinstance(progress, (int, float)):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(
                f"progress is a number from 0 to 1 or a text, not {type(progress).__name__}\n"
                "hint: context.report(done / total) or context.report('reading page 3')"
            )
        elif isinstance(progress, float) and math.isnan(progress):
            return
        else:
            progress = float(min(1, max(0, progress)))
        if self._report is not None:
            self._report(progress)

    def __repr__(self) -> str:
        element = "" if self.index is None else f"[{self.index}]"
        return f"<ToolContext {self.step_id or 'outside a run'}{element} attempt={self.attempt}>"
