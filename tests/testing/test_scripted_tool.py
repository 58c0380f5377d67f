"""Scripted tools and the plan builder: what a test of a plan stands on."""

from __future__ import annotations

import pytest

from planloom import Plan, ToolDefinitionError
from planloom.testing import HANG, Call, PlanBuilder, ScriptedTool, VirtualClock

PLAN = PlanBuilder().step("a", "work", n=1).step("b", "work", n="{{a.output}}").build()


def test_outcomes_in_order() -> None:
    """Values are returned and exceptions raised, call by call; calls are kept with their times."""
    work = ScriptedTool("work", [ConnectionError("down"), "first", "second"], takes_s=[1, 2, 3], read_only=True)
    result = VirtualClock().execute(PLAN, [work.tool])
    assert "second" == result.answer
    assert [{"n": 1}, {"n": 1}, {"n": "first"}] == [call.args for call in work.calls]
    assert Call({"n": 1}, 0.0) == work.calls[0]
    assert 1 < work.calls[1].at_s < 3
    work.assert_finished()


def test_without_a_script_a_tool_gives_back_its_arguments() -> None:
    """However often it is called; there is nothing to finish."""
    work = ScriptedTool("work")
    assert {"n": {"n": 1}} == VirtualClock().execute(PLAN, [work.tool]).answer
    work.assert_finished()


def test_a_call_too_many() -> None:
    """It fails its step, and `assert_finished` too, though the run has swallowed the first."""
    work = ScriptedTool("work", ["only one"])
    result = VirtualClock().execute(PLAN, [work.tool])
    error = result.steps["b"].error
    assert error is not None
    assert "`work` was called 2 times, and its script has 1 outcomes" in error.message
    with pytest.raises(AssertionError, match="was called 2 times, and its script has 1 outcomes"):
        work.assert_finished()


def test_a_call_too_few() -> None:
    """Outcomes that nobody asked for are found."""
    work = ScriptedTool("work", [1, 2, 3])
    VirtualClock().execute(PLAN, [work.tool])
    with pytest.raises(AssertionError, match="was called 2 times, and its script has 3 outcomes"):
        work.assert_finished()


def test_a_hang() -> None:
    """`HANG` never ends by itself, and says so in messages."""
    work = ScriptedTool("work", [HANG], timeout_s=5, read_only=True, retries=0)
    result = VirtualClock().execute(PLAN, [work.tool])
    assert ("failed", 5_000, "HANG") == (result.steps["a"].status, result.steps["a"].latency_ms, repr(HANG))


def test_facts_and_schemas() -> None:
    """Facts are those of every tool, and arguments are checked when there is a schema."""
    work = ScriptedTool(
        "work",
        parameters={"type": "object", "properties": {"n": {"type": "integer"}}},
        returns={"type": "string"},
        max_concurrency=3,
    )
    assert ("work", 3, {"type": "string"}) == (work.tool.name, work.tool.max_concurrency, work.tool.returns)
    assert work.tool is work.tool
    with pytest.raises(ToolDefinitionError, match="there is no fact called `read_onyl`"):
        ScriptedTool("work", read_onyl=True)  # type: ignore[call-arg]


def test_times_must_match_the_script() -> None:
    """One time per outcome, or one for all."""
    with pytest.raises(ValueError, match="`work` has 2 outcomes and 1 times; give one per outcome"):
        ScriptedTool("work", [1, 2], takes_s=[1])


def test_the_builder() -> None:
    """What it builds is the plan that the JSON would be."""
    plan = (
        PlanBuilder("a goal", path="x.csv")
        .step("load", "read", path="{{inputs.path}}")
        .step(
            "each",
            "work",
            after=["load"],
            for_each="{{load.output}}",
            when="len({{load.output}}) > 0",
            retries=1,
            timeout_s=5,
            id=7,
        )
        .answer("{{each.output}}")
        .build()
    )
    assert Plan.from_json(plan.to_json()) == plan
    assert ({"id": 7}, ("load",), 1, 5) == (
        plan.steps[1].args,
        plan.steps[1].depends_on,
        plan.steps[1].retries,
        plan.steps[1].timeout_s,
    )
