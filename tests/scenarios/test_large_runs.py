"""Runs that are large in one way or another: nothing recurses, nothing grows faster than the plan."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from planloom import Plan, Step, Tool, ToolContext, execute_plan
from planloom.testing import PlanBuilder, ScriptedTool, VirtualClock, chain, fan

COUNT = 10_000


async def work() -> None:
    """Do nothing."""


async def fail() -> None:
    """Raise."""
    raise ValueError("no")


def work_on_thread() -> None:
    """Do nothing, on a thread."""


WORK = Tool.from_function(work, read_only=True)
FAIL = Tool.from_function(fail, name="fail", read_only=True)
THREAD = Tool.from_function(work_on_thread, name="thread", read_only=True)


@pytest.mark.parametrize("limit", [None, 7], ids=str)
def test_a_chain_of_ten_thousand(limit: int | None) -> None:
    """One after another, without recursion."""
    result = VirtualClock().execute(chain(COUNT), [WORK], max_concurrency=limit)
    assert ("succeeded", COUNT) == (result.status, len(result.steps))


@pytest.mark.parametrize("limit", [None, 7], ids=str)
def test_a_fan_of_ten_thousand(limit: int | None) -> None:
    """One, ten thousand at once, one."""
    result = VirtualClock().execute(fan(COUNT), [WORK], max_concurrency=limit)
    assert "succeeded" == result.status
    assert COUNT + 2 == sum(step.status == "succeeded" for step in result.steps.values())


def test_sync_steps_on_threads() -> None:
    """Thousands of sync steps share 64 threads."""
    result = asyncio.run(execute_plan(fan(3_000, "thread"), [THREAD]))
    assert "succeeded" == result.status


def test_ten_thousand_failures_at_once() -> None:
    """All fail in one moment, and each takes a step along."""
    steps = [Step(f"a{number}", "fail") for number in range(COUNT // 2)]
    steps += [Step(f"b{number}", "work", {}, [f"a{number}"]) for number in range(COUNT // 2)]
    events: list[str] = []
    result = VirtualClock().execute(Plan(tuple(steps)), [WORK, FAIL], on_event=lambda event: events.append(event.type))
    assert "failed" == result.status
    assert (COUNT // 2, COUNT // 2) == (events.count("step-failed"), events.count("step-skipped"))
    assert result.explain().count("\n") < 12


def test_a_failure_at_the_head_of_a_long_chain() -> None:
    """Ten thousand descendants are skipped without recursion."""
    plan = Plan((Step("first", "fail"), *chain(COUNT).steps[1:], Step("s0", "work", {}, ["first"])))
    result = VirtualClock().execute(plan, [WORK, FAIL])
    assert COUNT == sum(step.status == "skipped" for step in result.steps.values())


def test_ten_thousand_conditions_that_are_false() -> None:
    """Skips by condition pass along a long chain without recursion."""
    steps = [Step("s0", "work", when="1 > 2")]
    steps += [Step(f"s{n}", "work", when=f"{{{{s{n - 1}.output}}}} == null") for n in range(1, 2_000)]
    result = VirtualClock().execute(Plan(tuple(steps)), [WORK])
    assert "succeeded" == result.status
    assert {"skipped"} == {step.status.value for step in result.steps.values()}


def test_for_each_of_ten_thousand() -> None:
    """Ten thousand elements are one step, with its output in order."""

    async def double(n: int) -> int:
        return 2 * n

    plan = PlanBuilder().step("each", "double", for_each=list(range(COUNT)), n="{{item}}").build()
    result = VirtualClock().execute(plan, [double], max_concurrency=100)
    assert list(range(0, 2 * COUNT, 2)) == result.answer
    assert (COUNT, COUNT) == (result.steps["each"].attempts, len(result.steps["each"].elements))


def test_for_each_of_ten_thousand_that_fail() -> None:
    """Every error is kept, and the step's own message stays short."""
    plan = PlanBuilder().step("each", "bad", for_each=list(range(COUNT)), n="{{item}}").build()

    async def bad(n: int) -> None:
        raise ValueError(f"number {n}")

    error = VirtualClock().execute(plan, [bad]).steps["each"].error
    assert error is not None
    assert COUNT == len(error.elements)
    assert f"{COUNT} of {COUNT} elements did not succeed; [0]: ValueError: number 0" == error.message


def test_ten_thousand_steps_that_wait_for_another_try() -> None:
    """Thousands of back-offs share one timer, and come back at different times."""
    tries: dict[str, int] = {}
    times: set[float] = set()

    async def flaky(context: ToolContext) -> None:
        tries[context.step_id] = tries.get(context.step_id, 0) + 1
        times.add(asyncio.get_running_loop().time())
        if context.attempt < 3:
            raise ConnectionError("down")

    plan = Plan(tuple(Step(f"s{number}", "flaky") for number in range(2_000)))
    result = VirtualClock().execute(plan, [Tool.from_function(flaky, read_only=True)])
    assert ("succeeded", {3}) == (result.status, set(tries.values()))
    assert len(times) > 3_000


def test_cancelling_ten_thousand() -> None:
    """A run with thousands of calls under way and in the queue ends at once when it is cancelled."""
    clock = VirtualClock()

    async def main() -> Any:
        task = asyncio.ensure_future(
            execute_plan(
                fan(COUNT), [ScriptedTool("work", takes_s=10, read_only=True).tool], clock=clock, max_concurrency=5_000
            )
        )
        await asyncio.sleep(15)
        task.cancel()
        return await task

    result = clock.run(main())
    assert ("cancelled", 15_000) == (result.status, result.duration_ms)
    assert COUNT + 1 == sum(step.status == "cancelled" for step in result.steps.values())


def test_an_output_that_many_steps_use() -> None:
    """A large value is copied for every step that takes it, and for no other."""
    rows = [{"n": number} for number in range(1_000)]
    load = ScriptedTool("load", [rows], read_only=True)

    async def use(rows: list[Any]) -> int:
        rows.clear()
        return len(rows)

    builder = PlanBuilder().step("load", "load")
    for number in range(200):
        builder.step(f"u{number}", "use", rows="{{load.output}}")
    result = VirtualClock().execute(builder.build(), [load.tool, use])
    assert "succeeded" == result.status
    assert rows == result.steps["load"].output
