"""A budget that is spent: running steps finish, nothing new starts, the run fails for it, whatever else goes on."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest
from engine_cases import kinds, statuses, tool_of
from live_cases import Live, Person, Planner, broken, cancel, good, step

from planloom import Plan
from planloom.errors import AskPerson, BudgetExceededError
from planloom.plan.budget import Account, Budget
from planloom.plan.results import StepError
from planloom.testing import HANG, PlanBuilder, ScriptedTool, chain, fan

SPENT = BudgetExceededError("tokens", 100, 90, 20)


def account(steps: int, parent: Account | None = None) -> Account:
    """An account with so many calls."""
    return Account(Budget(steps=steps), parent)


def check_spent(live: Live, result: Any, bound: int, used: Account) -> None:
    """The run failed for its budget, and not one call too many was made or paid."""
    assert "failed" == result.status
    assert ("budget", "BudgetExceededError") == (result.error.kind, result.error.type)
    assert (bound, bound) == (used.steps, len(live.starts()))
    assert "run-finished" == live.events[-1].type
    ended = [name for name, status in live.told]
    assert len(ended) == len(set(ended))


# ---- steps ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("max_concurrency", [None, 1, 3])
@pytest.mark.parametrize("bound", [0, 1, 5, 50])
def test_parallel_branches_never_pass_the_bound(bound: int, max_concurrency: int | None) -> None:
    """Fifty branches want a call in the same moment; what runs comes to its end."""
    used = account(bound)
    plan = Plan(tuple(step(f"s{i}", "good") for i in range(50)))
    live = Live(plan, good(), account=used, max_concurrency=max_concurrency)
    result = live.play()
    if bound == 50:
        assert ("succeeded", 50) == (result.status, used.steps)
        return
    check_spent(live, result, bound, used)
    counted = sorted(statuses(result).values())
    assert ["cancelled"] * (50 - bound) + ["succeeded"] * bound == counted
    assert "not finished: the budget of" in str(next(s.error for s in result.steps.values() if s.error))


def test_a_chain_that_is_cut() -> None:
    """Each step that the budget allows runs, the rest is cancelled."""
    used = account(3)
    live = Live(chain(6, "good"), good(), account=used)
    result = live.play()
    check_spent(live, result, 3, used)
    assert ["succeeded"] * 3 + ["cancelled"] * 3 == list(statuses(result).values())
    assert 3.0 == live.ended_at_s


def test_running_steps_finish() -> None:
    """What was started before keeps its result, however long it takes."""
    plan = PlanBuilder().step("slow", "slow").step("a", "good").step("b", "good", after=["a"]).build()
    used = account(2)
    live = Live(plan, good("slow", 60), good(), account=used)
    result = live.play()
    check_spent(live, result, 2, used)
    assert {"slow": "succeeded", "a": "succeeded", "b": "cancelled"} == statuses(result)
    assert (60.0, 1.0) == (live.ended_at_s, live.at_s("step-cancelled b"))


def test_retries_and_elements_are_charged() -> None:
    """Every call that starts costs one, and a retry that cannot be paid is not made."""
    flaky = ScriptedTool("flaky", [ConnectionError("x")] * 2 + ["ok"], read_only=True)
    used = account(2)
    live = Live(PlanBuilder().step("a", "flaky").build(), flaky, account=used)
    result = live.play()
    check_spent(live, result, 2, used)
    assert ("cancelled", 2) == (result.steps["a"].status, result.steps["a"].attempts)
    used = account(2)
    live = Live(PlanBuilder().step("a", "good", for_each=[1, 2, 3]).build(), good(), account=used)
    result = live.play()
    check_spent(live, result, 2, used)
    assert ["succeeded", "succeeded", "cancelled"] == [entry.status for entry in result.steps["a"].elements]
    assert "cancelled" == result.steps["a"].status


def test_the_budget_of_a_parent() -> None:
    """What is spent by a run inside another one is spent there too."""
    parent = account(3)
    parent.charge("steps")
    live = Live(fan(4, "good"), good(), account=account(100, parent))
    result = live.play()
    assert ("failed", 3, 2) == (result.status, parent.steps, len(live.starts()))
    assert result.error is not None
    assert "budget" == result.error.kind


def test_skipped_steps_cost_nothing() -> None:
    """Only calls are charged."""
    plan = PlanBuilder().step("a", "good").step("s", "good", when="1 > 2").step("e", "good", for_each=[]).build()
    used = account(1)
    assert ("succeeded", 1) == (Live(plan, good(), account=used).play().status, used.steps)


# ---- raised by a tool -----------------------------------------------------------------------------------


@pytest.mark.parametrize("max_concurrency", [None, 2])
def test_a_tool_that_has_spent_the_budget(max_concurrency: int | None) -> None:
    """Its step fails for `budget`, is not tried again nor planned around, and the run drains."""
    plan = (
        PlanBuilder()
        .step("a", "ask_model")
        .step("b", "good", after=["a"])
        .step("slow", "slow")
        .step("c", "good", after=["slow"])
        .build()
    )
    live = Live(
        plan,
        ScriptedTool("ask_model", [SPENT], 1, read_only=True),
        good("slow", 9),
        good(),
        replanner=Planner(),
        max_concurrency=max_concurrency,
    )
    result = live.play()
    assert ("failed", "budget", 9.0) == (result.status, result.error and result.error.kind, live.ended_at_s)
    assert {"a": "budget", "b": "skipped", "slow": None, "c": "cancelled"} == kinds(result)
    assert str(SPENT).splitlines()[0] in str(result.error)


def test_many_tools_spend_the_budget_at_once() -> None:
    """The first is the run's reason, and the run ends once."""
    plan = Plan(tuple(step(f"s{i}", "ask_model") for i in range(20)))
    live = Live(plan, ScriptedTool("ask_model", [SPENT] * 20, 1, read_only=True))
    result = live.play()
    assert ({"budget"}, "failed") == (set(kinds(result).values()), result.status)
    assert 1 == len(live.of("run-finished"))


def test_an_element_that_has_spent_the_budget() -> None:
    """The others that run finish, those that wait do not start, and the step is not planned around."""

    async def work(n: int) -> int:
        await asyncio.sleep(n)
        if n == 1:
            raise SPENT
        return n

    plan = PlanBuilder().step("a", "work", for_each=[1, 5, 2], n="{{item}}").build()
    live = Live(plan, tool_of(work), replanner=Planner(), max_concurrency=2)
    result = live.play()
    assert ["failed", "succeeded", "cancelled"] == [entry.status for entry in result.steps["a"].elements]
    assert ("failed", "failed", 5.0) == (result.status, result.steps["a"].status, live.ended_at_s)


# ---- together with what else goes on --------------------------------------------------------------------


def test_spent_during_a_replan() -> None:
    """The round ends, what was held is skipped."""
    plan = (
        PlanBuilder().step("a", "bad").step("b", "good", after=["a"]).step("c", "good").step("d", "good", after=["c"])
    )
    used = account(2)
    live = Live(plan.build(), broken(takes_s=0.5), good(), replanner=Planner(HANG), account=used)
    result = live.play()
    check_spent(live, result, 2, used)
    assert {"a": "failed", "b": "skipped", "c": "succeeded", "d": "cancelled"} == statuses(result)


def test_a_recovery_that_cannot_be_paid() -> None:
    """It is part of the plan, and does not start."""
    plan = PlanBuilder().step("a", "bad").step("b", "good", after=["a"]).build()
    used = account(1)
    live = Live(plan, broken(), good(), replanner=Planner([step("n", "good"), step("b", "good", ["n"])]), account=used)
    result = live.play()
    check_spent(live, result, 1, used)
    assert ({"n": "cancelled", "b": "cancelled"}, 1) == (statuses(result), result.replans)


def test_a_replanner_that_has_spent_the_budget() -> None:
    """That is a refusal: the healthy branches go on."""
    plan = PlanBuilder().step("a", "bad").step("c", "good").step("d", "good", after=["c"]).build()
    result = Live(plan, broken(), good(), replanner=Planner(SPENT)).play()
    assert ({"a": "failed", "c": "succeeded", "d": "succeeded"}, None) == (statuses(result), result.error)


def test_spent_while_others_wait_back_off_and_arrive() -> None:
    """None of them starts any more; the plan is let arrive, so that the result says what became of each step."""

    async def ask() -> None:
        raise AskPerson("which?")

    steps = (step("q", "ask"), step("f", "flaky"), step("a", "good"), step("b", "good", ["a"]))
    flaky = ScriptedTool("flaky", [ConnectionError("x")], 0.9, read_only=True)
    used = account(3)
    live = Live(Plan(()), tool_of(ask), flaky, good(), person=Person(q=HANG), account=used, is_whole=False)
    result = live.play(
        (0, lambda live: live.run.arrive(steps, Plan(steps))), (5, lambda live: live.run.complete(Plan(steps)))
    )
    check_spent(live, result, 3, used)
    assert {"q": "cancelled", "f": "cancelled", "a": "succeeded", "b": "cancelled"} == statuses(result)
    assert 5.0 == live.ended_at_s


@pytest.mark.parametrize("at_s", [2.0, 5.0])
def test_cancelled_while_draining(at_s: float) -> None:
    """What still runs is ended; the first reason stays the run's."""
    plan = PlanBuilder().step("slow", "slow").step("a", "good").step("b", "good", after=["a"]).build()
    used = account(2)
    live = Live(plan, good("slow", 60), good(), account=used)
    result = live.play((at_s, cancel))
    check_spent(live, result, 2, used)
    assert {"slow": "cancelled", "a": "succeeded", "b": "cancelled"} == statuses(result)
    assert at_s == live.ended_at_s


def test_cancelled_twice_while_draining() -> None:
    """The second cancellation leaves at once, though a deaf tool still runs."""

    async def deaf() -> None:
        for _ in range(9):
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(10)

    plan = PlanBuilder().step("slow", "deaf").step("a", "good").step("b", "good", after=["a"]).build()
    live = Live(plan, tool_of(deaf), good(), account=account(2))
    with pytest.raises(asyncio.CancelledError):
        live.play((2, cancel), (3, cancel), leaves_tasks=True)


def test_the_time_limit_while_draining() -> None:
    """A hanging call does not keep a run that has spent its budget."""
    plan = PlanBuilder().step("slow", "slow").step("a", "good").step("b", "good", after=["a"]).build()
    used = account(2)
    live = Live(plan, ScriptedTool("slow", [HANG], read_only=True), good(), account=used, timeout_s=7)
    result = live.play()
    check_spent(live, result, 2, used)
    assert 7.0 == live.ended_at_s


def test_a_failure_while_draining_is_not_planned_around() -> None:
    """Nothing new begins, no round either."""
    plan = (
        PlanBuilder().step("x", "bad").step("y", "good", after=["x"]).step("a", "good").step("b", "good", after=["a"])
    )
    used = account(2)
    live = Live(plan.build(), broken(takes_s=3), good(), replanner=Planner(), account=used)
    result = live.play()
    check_spent(live, result, 2, used)
    assert {"x": "failed", "y": "skipped", "a": "succeeded", "b": "cancelled"} == statuses(result)


@pytest.mark.parametrize("how", ["stop", "drain"])
@pytest.mark.parametrize("seq", range(2, 19))
def test_a_listener_ends_the_run(how: str, seq: int) -> None:
    """It is called in the middle of something, whatever the event: that is brought to its end, and then the run."""
    plan = (
        PlanBuilder()
        .step("s", "good", when="1 > 2")
        .step("e", "good", for_each=[1, 2, 3], v="{{item}}")
        .step("f", "flaky")
        .step("x", "bad")
        .step("y", "good", after=["x", "e"])
        .build()
    )
    flaky = ScriptedTool("flaky", [ConnectionError("x"), "ok"], 1, read_only=True)
    live = Live(plan, broken(), flaky, good(), replanner=Planner([step("y", "good", ["e"])]), max_concurrency=2)

    def end(event: Any) -> None:
        if event.seq == seq:
            getattr(live.run, how)(StepError("budget", "BudgetExceededError", "spent"))

    live.listen(end)
    result = live.play()
    assert "run-finished" == live.events[-1].type
    if live.events[-1].seq > seq:
        assert ("failed", "budget") == (result.status, result.error and result.error.kind)
        moment = live.events[seq - 1].at
        assert not any(event.at > moment for event in live.of("step-started"))
