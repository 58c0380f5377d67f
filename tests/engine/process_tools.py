"""Tools for the tests of processes: at the top level of a module, where another process finds them."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel

from planloom import Retry, ToolContext, tool


@dataclass
class Deps:
    """What a caller gives to its tools."""

    url: str
    options: dict[str, int]


class Period(BaseModel):
    """A type of the function's own."""

    start: dt.date
    end: dt.date


def describe_context(context: ToolContext, label: str) -> dict[str, Any]:
    """Say everything that the context says."""
    (context.workdir / f"{context.index}.txt").write_text(label)
    context.report(0.5)
    return {
        "run_id": context.run_id,
        "step_id": context.step_id,
        "index": context.index,
        "attempt": context.attempt,
        "idempotency_key": context.idempotency_key,
        "workdir": str(context.workdir),
        "deps": context.deps,
        "pid": os.getpid(),
        "label": label,
    }


def days_between(period: Period, unit: Literal["day"]) -> str:
    """Count days."""
    return f"{(period.end - period.start).days} {unit}"


@tool(run_in="process")
def decorated_days_between(period: Period, unit: Literal["day"]) -> str:
    """Count days."""
    return days_between(period, unit)


def types_of(**values: Any) -> dict[str, str]:
    """Name the types of the arguments."""
    return {name: type(value).__name__ for name, value in values.items()}


def third_time_lucky(context: ToolContext) -> int:
    """Fail twice."""
    if context.attempt < 3:
        raise Retry(context.attempt / 100)
    return context.attempt


def process_id(n: int) -> int:
    """Say which process this is."""
    return os.getpid()


def hang_with_a_child(marker: str) -> None:
    """Start a process, write both ids down, and hang."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
    Path(marker).write_text(f"{os.getpid()} {child.pid}\n")
    time.sleep(1_000)


@tool(run_in="process", read_only=True, retries=0)
def leak_in_process(key: str, fails: bool) -> str:
    """Give back a key, or raise it."""
    if fails:
        raise ValueError(f"no {key}")
    return f"key {key}"
