"""What the tests of the engine share: runs in virtual time, with all their events."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from planloom import RunResult, Tool
from planloom.testing import VirtualClock


def run(plan: Any, *tools: Any, **options: Any) -> RunResult:
    """Run a plan in virtual time."""
    return VirtualClock().execute(plan, list(tools), **options)


def run_with_events(plan: Any, *tools: Any, **options: Any) -> tuple[RunResult, list[Any]]:
    """Run a plan in virtual time and return its events too."""
    events: list[Any] = []
    result = run(plan, *tools, on_event=lambda event: events.append(event), **options)
    return result, events


def lines(events: list[Any]) -> list[str]:
    """Events as `type step`, short enough to compare a whole run."""
    return [f"{event.type} {event.step_id}" if event.step_id else event.type for event in events]


def statuses(result: RunResult) -> dict[str, str]:
    """The state of every step."""
    return {step_id: step.status.value for step_id, step in result.steps.items()}


def kinds(result: RunResult) -> dict[str, str | None]:
    """The kind of every step's error."""
    return {step_id: step.error.kind if step.error else None for step_id, step in result.steps.items()}


def sleeper(name: str = "work", seconds: float = 1.0, **facts: Any) -> Tool:
    """An async tool without arguments that takes so long."""

    async def work() -> str:
        await asyncio.sleep(seconds)
        return name

    return Tool.from_function(work, **{"name": name, **facts})


def tool_of(function: Callable[..., Any], **facts: Any) -> Tool:
    """A tool of a function, read-only unless the facts say something else."""
    return Tool.from_function(function, **{"read_only": "destructive" not in facts, **facts})
