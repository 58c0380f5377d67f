"""What a tool may know about its run."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from planloom.tools import ToolContext
from planloom.tools.context import MAXIMUM_PROGRESS_CHARACTERS


@pytest.mark.parametrize("progress", [True, None, [], b"half", 1j])
def test_progress_of_another_type_is_refused(progress: Any) -> None:
    """The message shows what would work, even when nobody listens."""
    with pytest.raises(TypeError, match=r"hint: context.report\("):
        ToolContext().report(progress)


def test_positional_arguments_are_refused() -> None:
    """Ten values in a row could not be told apart."""
    with pytest.raises(TypeError):
        ToolContext("run")  # type: ignore[misc]


def test_everything_is_optional() -> None:
    """A user's own unit test needs only `ToolContext()`."""
    context = ToolContext()
    assert ("", "", None, 1, "", None, None, False) == (
        context.run_id,
        context.step_id,
        context.index,
        context.attempt,
        context.idempotency_key,
        context.worker_model,
        context.deps,
        context.cancelled,
    )
    context.report("nobody listens")
    assert "<ToolContext outside a run attempt=1>" == repr(context)


def test_what_is_given_is_there() -> None:
    """Values are passed on untouched."""
    deps = object()
    stop = [False]
    context = ToolContext(run_id="r", step_id="s", index=2, attempt=3, deps=deps, cancelled=lambda: stop[0])
    assert ("r", "s", 2, 3) == (context.run_id, context.step_id, context.index, context.attempt)
    assert deps is context.deps
    assert not context.cancelled
    stop[0] = True
    assert context.cancelled
    assert "<ToolContext s[2] attempt=3>" == repr(context)


@pytest.mark.parametrize(
    ("progress", "received"),
    [
        (0.5, [0.5]),
        (1, [1.0]),
        (-3, [0.0]),
        (1.0000001, [1.0]),
        (math.inf, [1.0]),
        (10**400, [1.0]),
        (math.nan, []),
        ("page 3", ["page 3"]),
        ("x" * 1_000, ["x" * MAXIMUM_PROGRESS_CHARACTERS]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_progress_is_brought_into_bounds(progress: Any, received: list[Any]) -> None:
    """A slip in a progress bar does not fail a step."""
    heard: list[Any] = []
    ToolContext(report=heard.append).report(progress)
    assert received == heard


def test_the_working_folder_is_made_on_first_use(tmp_path: Path) -> None:
    """Not before, and as often as it is asked for."""
    context = ToolContext(workdir=tmp_path / "a" / "b")
    assert not (tmp_path / "a").exists()
    assert tmp_path / "a" / "b" == context.workdir == context.workdir
    assert (tmp_path / "a" / "b").is_dir()


def test_a_temporary_working_folder_goes_with_the_process() -> None:
    """Without a folder of its own, a context leaves nothing behind and warns about nothing."""
    code = (
        "from planloom.tools import ToolContext; c = ToolContext(); (c.workdir / 'f').write_text('x');"
        "print(c.workdir if c.workdir.is_dir() else '')"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert "" == done.stderr
    assert done.stdout.strip()
    assert not Path(done.stdout.strip()).exists()
