"""Cancelled once and twice, in each phase of a goal: the result says so, and no finished work is lost."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest
from agent_cases import GOAL, Goal, look, plan_text, ref, send, statuses, step

from planloom import (
    RunStatus,
    tool,
)
from planloom.testing import HANG, ScriptedModel

ONE = plan_text(step("a"), answer=ref("a"))


BROKEN = plan_text(step("a"), step("b", "fetch", ["a"], of=ref("a")), step("c", "look", ["b"], of=ref("b")), step("d"))


# ---- cancellation ----------------------------------------------------------------------------------------


def slow(*replies: Any, name: str = "planner") -> ScriptedModel:
    return ScriptedModel(replies, first_token_s=10.0, name=name)


def test_cancelled_while_planning() -> None:
    """The result says so, and no tool was called."""
    used = look()
    made = Goal([used], slow(ONE))
    result = made.cancelled_at(5.0)
    assert (RunStatus.CANCELLED, [], None) == (result.status, used.calls, result.error)
    assert "run-finished" == made.types()[-1]


def test_cancelled_while_planning_and_running() -> None:
    """What ran early is in the result: finished, or cancelled."""
    model = ScriptedModel([plan_text(step("a"), step("b"), step("c", "send"))], tokens_per_s=10, name="planner")
    made = Goal([look("A", HANG), send()], model)
    result = made.cancelled_at(6.0)
    assert RunStatus.CANCELLED is result.status
    assert {"a": "succeeded", "b": "cancelled"} == statuses(result)


def test_cancelled_while_running() -> None:
    """Every step has its state; an effect that was under way is unknown."""
    made = Goal(
        [look("A", HANG), send(HANG)], [plan_text(step("a"), step("b"), step("c", "send"), step("d", "look", ["b"]))]
    )
    result = made.cancelled_at(5.0)
    assert RunStatus.CANCELLED is result.status
    assert {"a": "succeeded", "b": "cancelled", "c": "unknown", "d": "cancelled"} == statuses(result)
    assert "run-finished" == made.types()[-1]


def test_cancelled_while_joining() -> None:
    """The outputs are there, and half an answer is none."""
    made = Goal([look("A")], [plan_text(step("a"))], slow("words", name="worker"))
    result = made.cancelled_at(5.0)
    assert (RunStatus.CANCELLED, None, {"a": "succeeded"}) == (result.status, result.answer, statuses(result))


def test_cancelled_while_replanning() -> None:
    """What was held is cancelled or skipped, and what was finished stays."""
    made = Goal([look("A", "D"), look(ValueError("404"), name="fetch")], [BROKEN, lambda _: asyncio.sleep(10, "{}")])
    result = made.cancelled_at(5.0)
    assert RunStatus.CANCELLED is result.status
    assert ("succeeded", "failed", "succeeded") == tuple(statuses(result)[name] for name in "abd")


@pytest.mark.parametrize("is_early", [True, False])
def test_cancelled_twice_leaves_at_once(*, is_early: bool) -> None:
    """As with `execute_plan`, the second cancellation is raised, and waits for nothing that does not want to end."""

    @tool(read_only=True)
    async def deaf() -> str:
        """Never listens."""
        while asyncio.get_running_loop().time() < 30:
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(1)
        return "late"

    text = plan_text(step("a", "deaf"), *(step(f"s{number}") for number in range(20)))
    made = Goal([look(), deaf], ScriptedModel([text], tokens_per_s=100 if is_early else None, name="planner"))
    left: list[float] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        task = asyncio.ensure_future(made.agent.run(GOAL, **made.options()))
        task.add_done_callback(lambda _: left.append(loop.time()))
        loop.call_at(3.2, task.cancel)
        loop.call_at(3.4, task.cancel)
        await task

    with pytest.raises(asyncio.CancelledError):
        made.clock.run(main())
    assert [3.4] == left


def test_a_time_limit_of_the_caller_ends_what_runs() -> None:
    """`timeout_s` is for all of it, and running steps are ended."""
    made = Goal([look(HANG)], slow(plan_text(step("a"))))
    result = made.run(timeout_s=12.0)
    assert result.error is not None
    assert (RunStatus.FAILED, "timeout", 12_000.0) == (result.status, result.error.kind, result.duration_ms)
    assert {"a": "cancelled"} == statuses(result)
