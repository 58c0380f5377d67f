"""Faults of the engine itself: they end the run with what went wrong, never in silence."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from engine_cases import run, sleeper, tool_of

from planloom import execute_plan
from planloom.engine.lane import Lane
from planloom.engine.ledger import Ledger
from planloom.engine.stepping import Stepping
from planloom.plan.schedule import Schedule
from planloom.testing import HANG, PlanBuilder, ScriptedTool, VirtualClock

PLAN = PlanBuilder().step("a", "work").step("b", "work", after=["a"]).build()
FIRST = ("_set_aside", "begin", "_work_off", "_start")
"""What breaks at its first call, the others at the second."""


@pytest.mark.parametrize(
    ("where", "name"),
    [
        (Ledger, "succeed"),
        (Lane, "begin"),
        (Lane, "_work_off"),
        (Schedule, "release"),
        (Stepping, "_start"),
        (Stepping, "_set_aside"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_a_fault_is_raised(where: type, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever part breaks, whoever awaits the run gets the fault, and no call goes on behind it."""
    calls: list[int] = []
    real = getattr(where, name)

    def broken(self: Any, *args: Any, **options: Any) -> Any:
        calls.append(1)
        if len(calls) == (1 if name in FIRST else 2):
            raise ZeroDivisionError("a fault of the engine")
        return real(self, *args, **options)

    monkeypatch.setattr(where, name, broken)
    work = ScriptedTool("work", [ConnectionError("x")] if name == "_set_aside" else (), takes_s=1, read_only=True)
    clock = VirtualClock()

    async def main() -> None:
        with pytest.raises(ZeroDivisionError, match="a fault of the engine"):
            await execute_plan(PLAN, [work.tool], clock=clock)
        await asyncio.sleep(0)
        assert {asyncio.current_task()} == asyncio.all_tasks()

    clock.run(main())


def test_a_fault_in_a_timer_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    """A retry that cannot be queued ends the run too."""

    def broken(self: Any, unit: Any) -> None:
        raise ZeroDivisionError("a fault of the engine")

    monkeypatch.setattr(Stepping, "_back_in_queue", broken)
    work = ScriptedTool("work", [ConnectionError("x"), HANG], read_only=True)
    with pytest.raises(ZeroDivisionError, match="a fault of the engine"):
        run(PLAN, work.tool)


def test_unknown_options() -> None:
    """A misspelt option is named."""
    with pytest.raises(TypeError, match="unexpected keyword argument 'max_concurency'"):
        run(PLAN, sleeper(), max_concurency=4)


def test_short_words_for_long_results() -> None:
    """The `repr` of a result stays short: asyncio writes it into messages that nobody reads."""

    async def work() -> list[str]:
        return ["x" * 1_000] * 1_000

    result = run(PLAN, tool_of(work))
    assert "<RunResult run succeeded, 2 steps>" == repr(result)
