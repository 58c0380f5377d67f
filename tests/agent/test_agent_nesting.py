"""Agents as tools of agents: what passes through, what does not, and how deep it may go."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest
from agent_cases import GOAL, Goal, look, plan_text, ref, send, statuses, step

from planloom import Agent, Budget, RunStatus, tool
from planloom.errors import AskPerson
from planloom.testing import HANG, ScriptedModel


def nested(depth: int, *tools: Any, **options: Any) -> Goal:
    """Agents inside each other, `depth` of them; the innermost has the tools."""
    innermost = plan_text(step("w", "look"), answer=ref("w"))
    made = Goal(list(tools), [innermost], **(options if depth == 1 else {}))
    for level in range(1, depth):
        text = plan_text(step("h", "helper", goal=f"level {level}"), answer=ref("h"))
        given = {"max_replans": 0, **(options if level == depth - 1 else {})}
        made = Goal([made.agent.as_tool("helper", "helps")], [text], **given)
    return made


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_agents_may_be_three_deep(depth: int) -> None:
    """The answer comes up, and every call of a model is in the outermost usage."""
    result = nested(depth, look("found")).run()
    assert (RunStatus.SUCCEEDED, "found", depth) == (result.status, result.answer, result.usage.model_calls)


def test_four_deep_is_refused() -> None:
    """The step says so; the innermost never calls a model."""
    used = look()
    made = nested(4, used)
    result = made.clock.run(made.agent.run(GOAL, **made.options()))
    assert (RunStatus.FAILED, []) == (result.status, used.calls)
    assert result.steps["h"].error is not None
    assert "3 deep" in result.steps["h"].error.message


def test_an_agent_that_calls_itself_ends() -> None:
    """A circle of agents is refused like any nesting that is too deep."""
    text = plan_text(step("h", "self", goal="again"), answer=ref("h"))
    model = ScriptedModel([text] * 3)
    box: dict[str, Any] = {}

    @tool(name="self", read_only=True, calls_model=True)
    async def again(goal: str) -> Any:
        """Call the agent itself."""
        return (await box["agent"].run(goal)).raise_for_status().answer

    box["agent"] = Agent([again], model, max_replans=0)
    made = Goal([look()], [])
    result = made.clock.run(box["agent"].run(GOAL))
    assert (RunStatus.FAILED, 3) == (result.status, len(model.requests))


def test_depth_is_counted_per_branch_and_forgotten_after() -> None:
    """Goals one after another, or side by side, are not inside each other."""
    inner = Goal([look("x")], [plan_text(step("w", "look"), answer=ref("w"))] * 1)
    inner.planner._replies = inner.planner._replies * 4
    inner = Goal([look()], [plan_text(step("w", "look"), answer=ref("w"))] * 4)
    outer = Goal([inner.agent.as_tool("helper", "")], [])
    text = plan_text(*(step(f"h{number}", "helper", goal="x") for number in range(4)), answer="all")
    assert "all" == outer.run(plan=text).answer


def test_the_facts_of_the_tool_are_those_of_its_tools() -> None:
    """Read-only only if all its tools are; it always calls a model, so it never starts early."""
    reads = Goal([look()], []).agent.as_tool()
    acts = Goal([look(), send(destructive=True)], []).agent.as_tool("acts", "Acts.")
    roams = Goal([look(open_world=True)], []).agent.as_tool("roams")
    careful = Goal([look(), send(idempotent=True)], []).agent.as_tool("careful")
    assert (True, True, False, False) == (reads.read_only, reads.idempotent, reads.destructive, reads.open_world)
    assert (False, False, True) == (acts.read_only, acts.idempotent, acts.destructive)
    assert (True, False, True) == (roams.open_world, careful.read_only, careful.idempotent)
    assert [False] * 4 == [each.may_start_early for each in (reads, acts, roams, careful)]
    assert [True] * 4 == [each.may_call_model for each in (reads, acts, roams, careful)]
    assert ("acts", "Acts.", "agent") == (acts.name, acts.description, reads.name)
    assert "look" in reads.description


@pytest.mark.parametrize("wall_s", [0.0, 5.0, 1e9])
def test_any_budget_makes_a_tool(wall_s: float) -> None:
    """Also one whose time is more than a tool may take."""
    assert Goal([look()], [], budget=Budget(wall_s=wall_s)).agent.as_tool("x", "").timeout_s > 0


def test_a_failure_inside_is_a_failure_of_the_step() -> None:
    """With the inner reason in its message; the outer planner may plan around it."""
    inner = Goal([look(ValueError("no leaves"))], [plan_text(step("w", "look"))], max_replans=0)
    outer = Goal(
        [inner.agent.as_tool("helper", ""), look("instead")],
        [plan_text(step("h", "helper", goal="x"), answer=ref("h")), plan_text(step("h", "look"), answer=ref("h"))],
    )
    assert ("instead", 1) == ((result := outer.run()).answer, result.replans)
    failed = next(event for event in outer.events if event.type == "step-failed")
    assert "no leaves" in str(failed.data)


@pytest.mark.parametrize("how", ["question", "effect", "plan"])
def test_waiting_passes_through(how: str) -> None:
    """What nobody answers inside makes the outer step wait, and the outer run ends waiting; nothing is replanned."""

    @tool(name="look", read_only=True)
    async def ask() -> str:
        """Ask."""
        raise AskPerson("Which tea?")

    used = {"question": ask, "effect": send(name="look"), "plan": look()}[how]
    approve = {"question": None, "effect": "effects", "plan": "plan"}[how]
    inner = Goal([used], [plan_text(step("w", "look"), answer=ref("w"))], approve=approve)
    middle = Goal([inner.agent.as_tool("helper", "")], [plan_text(step("h", "helper", goal="x"), answer=ref("h"))])
    outer = Goal([middle.agent.as_tool("helper", "")], [plan_text(step("h", "helper", goal="x"), answer=ref("h"))])
    result = outer.run()
    assert (RunStatus.WAITING, {"h": "waiting"}) == (result.status, statuses(result))
    assert [] == outer.types("replan-started")


def test_cancellation_passes_through() -> None:
    """The innermost call ends with the outer run; no task is left behind."""
    ended: list[float] = []

    @tool(name="look", read_only=True)
    async def hang() -> str:
        """Wait for its end."""
        try:
            await asyncio.sleep(100)
        finally:
            ended.append(asyncio.get_running_loop().time())
        return "never"

    made = nested(3, hang)
    result = made.cancelled_at(5.0)
    assert (RunStatus.CANCELLED, [5.0]) == (result.status, ended)
    assert {"h": "cancelled"} == statuses(result)


def test_a_cancelled_agent_with_effects_is_unknown() -> None:
    """It may have done something by then, so it is never called again by itself."""
    inner = Goal([send(HANG, name="look")], [plan_text(step("w", "look"), answer=ref("w"))])
    outer = Goal([inner.agent.as_tool("helper", "")], [plan_text(step("h", "helper", goal="x"), answer=ref("h"))])
    assert {"h": "unknown"} == statuses(outer.cancelled_at(5.0))


def test_a_sub_agent_holds_no_budget_back() -> None:
    """Its own account is inside the outer one: both are charged for its calls, steps and replans."""
    inner = Goal(
        [look(ValueError("no"), "yes")],
        [plan_text(step("w", "look"), answer=ref("w")), plan_text(step("w", "look", n=2), answer=ref("w"))],
    )
    outer = Goal(
        [inner.agent.as_tool("helper", "")],
        [plan_text(step("h", "helper", goal="x"), answer=ref("h"))],
        budget=Budget(model_calls=3, steps=3, replans=1),
    )
    result = outer.run()
    assert (RunStatus.SUCCEEDED, "yes", 3, 0) == (
        result.status,
        result.answer,
        result.usage.model_calls,
        result.replans,
    )


def test_an_agent_run_by_a_sync_tool_is_inside_too() -> None:
    """`run_sync` on a tool's thread: the depth and the account go with it."""
    inner = Agent([look("x").tool], ScriptedModel([plan_text(step("w", "look"), answer=ref("w"))]))

    @tool(read_only=True, calls_model=True)
    def helper() -> Any:
        """Reach a goal of its own."""
        return inner.run_sync("sub").answer

    outer = Agent([helper], ScriptedModel([plan_text(step("h", "helper"), answer=ref("h"))]), budget=Budget(steps=9))
    result = outer.run_sync(GOAL)
    assert ("x", 2) == (result.answer, result.usage.model_calls)


def test_cancelled_twice_leaves_an_agent_inside_at_once() -> None:
    """The second cancellation waits for nothing, however deep the call is that does not listen."""

    @tool(name="look", read_only=True)
    async def deaf() -> str:
        """Never listens."""
        while asyncio.get_running_loop().time() < 30:
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(1)
        return "late"

    made = nested(3, deaf)
    left: list[float] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        task = asyncio.ensure_future(made.agent.run(GOAL, **made.options()))
        task.add_done_callback(lambda _: left.append(loop.time()))
        loop.call_at(5.0, task.cancel)
        loop.call_at(5.5, task.cancel)
        await task

    with pytest.raises(asyncio.CancelledError):
        made.clock.run(main())
    assert [5.5] == left
