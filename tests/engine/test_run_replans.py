"""Failures that are planned around while the rest goes on: what is held, replaced, kept, refused, and when."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
from typing import Any

import pytest
from engine_cases import kinds, statuses, tool_of
from live_cases import Live, Planner, broken, cancel, good, step

from planloom import Plan, ToolContext
from planloom.engine import replans
from planloom.errors import BudgetExceededError, ReplanError
from planloom.plan.results import StepError
from planloom.testing import HANG, PlanBuilder, ScriptedTool

ONE = PlanBuilder().step("a", "bad").step("b", "good", after=["a"]).step("c", "good").build()
TWO = (
    PlanBuilder()
    .step("a", "bad")
    .step("x", "bad2")
    .step("a2", "good", after=["a"])
    .step("both", "good", after=["a2", "x"])
    .step("x2", "good", after=["x"])
    .build()
)
"""Two failures: `a` after 1 s, `x` after 1.5 s; both break `both`."""


def two(replanner: Planner, **options: Any) -> Live:
    """A run of `TWO`."""
    return Live(TWO, broken(), broken("bad2", 1.5), good(), replanner=replanner, **options)


# ---- refusals and their end -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (ReplanError("gave-up", "there is no way"), "there is no way"),
        (ValueError("oops"), "the replanner raised ValueError: oops"),
        (KeyError(), "the replanner raised KeyError"),
        (SystemExit(3), "the replanner raised SystemExit: 3"),
        (asyncio.CancelledError(), "the replanner raised CancelledError"),
        (ReplanError("invalid", "two\n  lines"), "two\n  lines"),
        ("nonsense", "the replanner gave back a value of type str, not a `Plan`"),
        (None, "the replanner gave back a value of type NoneType, not a `Plan`"),
        ([step("n", "nobody")], "the recovery plan does not fit the plan"),
        ([step("c", "good")], "the recovery plan does not fit the plan"),
        ([step("n", "good", ["nobody"])], "the recovery plan does not fit the plan"),
        ([step("n", "good", ["b"])], "the recovery plan does not fit the plan"),
        ([step("n", "good", ["m"]), step("m", "good", ["n"])], "the recovery plan does not fit the plan"),
    ],
    ids=str,
)
def test_a_refusal_skips_what_was_held(answer: Any, message: str) -> None:
    """Whatever the replanner does instead of giving a plan that fits, the run ends as it would have without it."""
    planner = Planner(answer)
    live = Live(ONE, broken(), good(), replanner=planner)
    result = live.play()
    assert "failed" == result.status
    assert {"a": "failed", "b": "skipped", "c": "succeeded"} == statuses(result)
    assert "skipped because `a` failed" == result.steps["b"].reason
    assert [message] == [event.message for event in live.of("replan-refused")]
    assert (0, 2.0) == (result.replans, live.ended_at_s)
    assert [("c", "succeeded"), ("a", "failed"), ("b", "skipped")] == sorted(live.told, key=lambda t: t[0] != "c")
    assert ONE == result.plan


def test_a_replanner_that_is_no_coroutine_function() -> None:
    """It may raise before there is anything to await."""

    def planner(_: Any) -> Any:
        raise RuntimeError("at once")

    live = Live(ONE, broken(), good(), replanner=planner)
    assert {"a": "failed", "b": "skipped", "c": "succeeded"} == statuses(live.play())
    assert ["the replanner raised RuntimeError: at once"] == [event.message for event in live.of("replan-refused")]


@pytest.mark.parametrize("error", [BudgetExceededError("tokens", 5, 5, 1)], ids=str)
def test_a_failure_that_nobody_may_plan_around(error: Exception) -> None:
    """The run's own limit is no defect of the plan."""
    planner = Planner()
    live = Live(ONE, ScriptedTool("bad", [error], 0.5), good(), replanner=planner)
    assert {"a": "failed", "b": "skipped", "c": "succeeded"} == statuses(live.play())
    assert [] == planner.requests


def test_a_replanner_that_never_ends() -> None:
    """When each recovery fails too, the engine's own bound ends the run."""
    rounds: list[str] = []

    async def planner(request: Any) -> Plan:
        rounds.append(request.failed)
        return Plan((step(f"n{len(rounds)}", "bad"),))

    live = Live(ONE, ScriptedTool("bad", [ValueError("x")] * 2_000, read_only=True), good(), replanner=planner)
    result = live.play()
    assert ("failed", replans.MAX_ROUNDS, replans.MAX_ROUNDS) == (result.status, len(rounds), result.replans)


# ---- stops, at every moment -----------------------------------------------------------------------------

STOPS: dict[str, Any] = {
    "cancelled": (cancel, "cancelled"),
    "stopped": (lambda live: live.run.stop(StepError("timeout", "TimeoutError", "late")), "failed"),
    "drained": (lambda live: live.run.drain(StepError("budget", "BudgetExceededError", "spent")), "failed"),
}


@pytest.mark.parametrize("how", STOPS)
@pytest.mark.parametrize("at_s", [1.5, 2.0])
def test_stopped_while_the_replanner_hangs(how: str, at_s: float) -> None:
    """A stop ends the round; what was held is skipped."""
    move, status = STOPS[how]
    live = Live(ONE, broken(), good(takes_s=4), replanner=Planner(HANG))
    result = live.play((at_s, move))
    assert status == result.status
    ends_at_s = 4.0 if how == "drained" else at_s
    c = "succeeded" if how == "drained" else "cancelled"
    assert {"a": "failed", "b": "skipped", "c": c} == statuses(result)
    assert ends_at_s == live.ended_at_s


@pytest.mark.parametrize("how", STOPS)
@pytest.mark.parametrize("ends", ["plan", "error", "hang"])
def test_stopped_while_the_replanner_ignores_it(how: str, ends: str) -> None:
    """What a replanner comes to after the run was stopped does not count, and cannot hurt the run."""

    async def planner(_: Any) -> Any:
        try:
            await asyncio.sleep(100)
        except asyncio.CancelledError:
            if ends == "error":
                raise ValueError("late") from None
            if ends == "hang":
                await asyncio.sleep(50)
        return Plan((step("n", "good"),))

    move, status = STOPS[how]
    live = Live(ONE, broken(), good(takes_s=4), replanner=planner)
    result = live.play((2, move), leaves_tasks=ends == "hang")
    assert (status, 0) == (result.status, result.replans)
    assert ["a", "b", "c"] == list(result.steps)
    assert ("failed", "skipped") == (result.steps["a"].status, result.steps["b"].status)
    assert [] == live.of("replanned") + live.of("replan-refused")
    assert "run-finished" == live.events[-1].type


def test_cancelled_twice_during_a_replan() -> None:
    """The second cancellation leaves at once, though a deaf tool still runs."""

    async def deaf() -> None:
        for _ in range(9):
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(10)

    plan = PlanBuilder().step("a", "bad").step("b", "bad", after=["a"]).step("c", "deaf").build()
    live = Live(plan, broken(), tool_of(deaf), replanner=Planner(HANG))
    with pytest.raises(asyncio.CancelledError):
        live.play((2, cancel), (3, cancel), leaves_tasks=True)


def test_the_time_limit_of_the_run_ends_a_replan() -> None:
    """A hanging replanner is no reason to go on for ever."""
    result = Live(ONE, broken(), good(), replanner=Planner(HANG), timeout_s=60).play()
    assert ("failed", 60_000) == (result.status, result.duration_ms)
    assert result.error is not None
    assert "timeout" == result.error.kind


def test_cancelled_in_the_moment_in_which_the_replanner_answers() -> None:
    """Either way the result is whole: nothing of the recovery plan runs."""
    live = Live(ONE, broken(), good(takes_s=5), replanner=Planner([step("n", "good")]))
    result = live.play((2.0, cancel))
    assert "cancelled" == result.status
    assert not any(name == "n" for name in live.starts())
    assert "run-finished" == live.events[-1].type


# ---- one failure, planned around ------------------------------------------------------------------------


def test_the_broken_part_is_replaced_while_the_rest_goes_on() -> None:
    """Held, asked for, merged, run: in this order, and `c` and `d` never notice."""
    plan = (
        PlanBuilder("g")
        .step("a", "bad")
        .step("b", "good", q="{{a.output}}")
        .step("c", "good", n=1)
        .step("d", "good", after=["c"])
        .answer("{{b.output}}")
        .build()
    )
    planner = Planner([step("a", "good", q=7), step("b", "good", q="{{a.output.q}}", c="{{c.output}}")])
    live = Live(plan, broken(), good(), replanner=planner)
    result = live.play()
    assert ("succeeded", 1, {"q": 7, "c": {"n": 1}}) == (result.status, result.replans, result.answer)
    assert ["c", "d", "a", "b"] == list(result.steps) == [entry.id for entry in result.plan.steps]
    assert {"succeeded"} == set(statuses(result).values())
    assert [
        "run-started",
        "step-started a",
        "step-started c",
        "step-failed a",
        "step-held b",
        "step-succeeded c",
        "step-started d",
        "replan-started a",
        "replanned a",
        "step-started a",
        "step-succeeded d",
        "step-succeeded a",
        "step-started b",
        "step-succeeded b",
        "run-finished",
    ] == live.lines()
    replanned = live.of("replanned")[0]
    assert (1, ("a", "b"), ("c", "d"), ("a", "b")) == (
        replanned.number,
        replanned.replaced,
        replanned.kept,
        replanned.added,
    )
    assert result.plan == replanned.plan
    assert 4.0 == live.ended_at_s
    assert [("a", "failed"), ("a", "succeeded")] == [entry for entry in live.told if entry[0] == "a"]


def test_what_the_replanner_is_shown() -> None:
    """The plan, the failure, the broken part with the failed step first, and every step as it is now."""
    planner = Planner(ReplanError("gave-up", "no"))
    plan = (
        PlanBuilder()
        .step("late", "good", after=["b"])
        .step("b", "good", after=["a"])
        .step("a", "bad")
        .step("quick", "quick")
        .step("slow", "good")
        .build()
    )
    Live(plan, broken(), good(takes_s=5), good("quick", 0.5), replanner=planner).play()
    request = planner.requests[0]
    assert ("a", ("a", "b", "late")) == (request.failed, request.held)
    assert plan == request.plan
    assert "ValueError: broken" == request.error.message
    assert {"late": "held", "b": "held", "a": "failed", "quick": "succeeded", "slow": "running"} == {
        name: entry.status.value for name, entry in request.steps.items()
    }


def test_a_recovery_that_refers_to_running_and_finished_steps() -> None:
    """It waits for what still runs, and has what is finished at once."""
    planner = Planner(
        [
            step("n", "good", fast="{{quick.output.v}}"),
            step("m", "good", both=["{{slow.output.v}}", "{{n.output.fast}}"]),
        ]
    )
    plan = PlanBuilder().step("a", "bad").step("quick", "quick", v=1).step("slow", "slow", v=2).build()
    live = Live(plan, broken(), good(), good("quick", 0.5), good("slow", 5), replanner=planner)
    result = live.play()
    assert {"both": [2, 1]} == result.steps["m"].output
    assert (2.0, 5.0) == (live.at_s("step-started n"), live.at_s("step-started m"))
    assert ["a", "quick", "slow", "n", "m"] == live.starts()


def test_a_recovery_without_steps() -> None:
    """An answer alone is enough when the other steps are."""
    planner = Planner(Plan((), answer="{{c.output.n}}"))
    plan = PlanBuilder().step("a", "bad").step("b", "good", after=["a"]).step("c", "good", n=3).build()
    result = Live(plan, broken(), good(), replanner=planner).play()
    assert ("succeeded", 3, ["c"]) == (result.status, result.answer, list(result.steps))


def test_a_recovery_that_brings_inputs() -> None:
    """They are added; what the plan or the caller says about an input stays."""
    recovery = Plan((step("n", "good", v=["{{inputs.mine}}", "{{inputs.yours}}"]),), inputs={"mine": 1, "yours": 2})
    plan = PlanBuilder(yours=3).step("a", "bad").build()
    result = Live(plan, broken(), good(), replanner=Planner(recovery), inputs={"yours": 4}).play()
    assert {"v": [1, 4]} == result.steps["n"].output


def test_a_recovery_that_fails_too() -> None:
    """A failure inside the recovery is planned around in its turn."""
    planner = Planner(
        [step("n", "bad"), step("b", "good", ["n"])],
        [step("n", "good"), step("b", "good", ["n"])],
    )
    live = Live(ONE, broken(), good(), replanner=planner)
    result = live.play()
    assert ("succeeded", 2) == (result.status, result.replans)
    assert [("a", "b"), ("n", "b")] == [request.held for request in planner.requests]
    assert ["c", "n", "b"] == list(result.steps)
    assert [1, 2] == [event.number for event in live.of("replanned")]
    assert ["a", "c", "n", "n", "b"] == live.starts()


def test_a_recovery_under_the_same_ids_has_nothing_of_the_old_steps() -> None:
    """No output, status or error of a step that was replaced is seen under its id."""
    planner = Planner(
        [
            step("a", "good", ["c"], v="{{c.output.n}}"),
            step("b", "good", status="{{a.status}}", error="{{a.error}}"),
        ]
    )
    plan = PlanBuilder().step("a", "bad").step("b", "good", after=["a"]).step("c", "good", n=1).build()
    result = Live(plan, broken(), good(), replanner=planner).play()
    assert {"status": "succeeded", "error": None} == result.steps["b"].output


def test_the_replanner_sees_the_context_of_the_caller() -> None:
    """What a tool sets in its context variables is not what the replanner finds there."""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="of the caller")
    seen: list[str] = []

    async def bad() -> None:
        variable.set("of the tool")
        raise ValueError("broken")

    async def planner(_: Any) -> Any:
        seen.append(variable.get())
        raise ReplanError("gave-up", "no")

    Live(ONE, tool_of(bad), good(), replanner=planner).play()
    assert ["of the caller"] == seen


# ---- several failures -----------------------------------------------------------------------------------


def test_later_failures_queue() -> None:
    """One round at a time, in the order of the failures; what both broke belongs to the first."""
    planner = Planner([step("n", "good")], [step("m", "good")], takes_s=2)
    live = two(planner)
    result = live.play()
    assert ("succeeded", 2) == (result.status, result.replans)
    assert [("a", "a2", "both"), ("x", "x2")] == [request.held for request in planner.requests]
    assert ["n", "m"] == list(result.steps)
    assert (3.0, 5.0) == (live.at_s("step-started n"), live.at_s("step-started m"))
    assert ["a2", "both", "x2"] == [event.step_id for event in live.of("step-held")]


def test_a_second_failure_does_not_touch_the_recovery_of_the_first() -> None:
    """Not even when the recovery has given a step the id of one that both failures had broken."""
    planner = Planner([step("a", "good"), step("both", "good", ["a"])], [step("x", "good")])
    live = two(planner)
    result = live.play()
    assert "succeeded" == result.status
    assert [("a", "a2", "both"), ("x", "x2")] == [request.held for request in planner.requests]
    assert {"a": "succeeded", "both": "succeeded", "x": "succeeded"} == statuses(result)
    assert ["a", "x", "a", "both", "x"] == live.starts()


def test_a_second_failure_without_a_way_around_does_not_touch_the_recovery_of_the_first() -> None:
    """It skips what needed it, and nothing that has taken the id of such a step."""
    planner = Planner([step("a", "good"), step("both", "good", ["a"])], ReplanError("gave-up", "no"))
    live = two(planner)
    result = live.play()
    assert {"a": "succeeded", "both": "succeeded", "x": "failed", "x2": "skipped"} == statuses(result)
    assert ["step-skipped x2"] == live.lines("step-skipped")


def test_what_a_refused_failure_has_skipped_can_be_replaced_with_the_next() -> None:
    """The second broken part has the step that both failures broke: it cannot stay when what it needs goes."""
    planner = Planner(ReplanError("gave-up", "no"), [step("m", "good")])
    live = two(planner)
    result = live.play()
    assert [("a", ["a2", "both"]), ("x", ["both", "x2"])] == [
        (request.held[0], sorted(request.held[1:])) for request in planner.requests
    ]
    assert {"a": "failed", "a2": "skipped", "m": "succeeded"} == statuses(result)
    assert "failed" == result.status


def test_a_recovery_that_refers_to_a_step_that_fails_meanwhile() -> None:
    """It is held for that failure, and replaced or skipped with it."""
    recovery = [step("n", "good", ["x"]), step("m", "good", ["n"])]
    for answer, expected in (
        ([step("y", "good")], {"y": "succeeded"}),
        (ReplanError("gave-up", "no"), {"x": "failed", "x2": "skipped", "n": "skipped", "m": "skipped"}),
    ):
        planner = Planner(recovery, answer)
        live = two(planner)
        assert expected == statuses(live.play())
        assert ("x", {"x2", "n", "m"}) == (planner.requests[1].held[0], set(planner.requests[1].held[1:]))
        assert {"x"} == {event.failed for event in live.of("step-held") if event.step_id in ("n", "m")}


def test_a_recovery_that_refers_to_what_another_failure_holds() -> None:
    """It is held for the same failure."""
    planner = Planner([step("n", "good", ["x2"])], ReplanError("gave-up", "no"))
    live = two(planner)
    assert {"x": "failed", "x2": "skipped", "n": "skipped"} == statuses(live.play())
    assert {"n": "x"} == {e.step_id: e.failed for e in live.of("step-held") if e.step_id == "n"}


def test_a_recovery_that_refers_to_what_has_failed_and_been_refused() -> None:
    """It will never have an output: what needs it is skipped at once, and the run ends."""
    planner = Planner(ReplanError("gave-up", "no"), [step("n", "good", ["a2"]), step("m", "good", ["a"])])
    result = two(planner).play()
    assert {"a": "failed", "a2": "skipped", "n": "skipped", "m": "skipped"} == statuses(result)
    assert "failed" == result.status


def test_a_third_recovery_refers_to_what_was_held_for_the_second_and_skipped() -> None:
    """A step that was held once and is skipped now is not held any more."""
    plan = PlanBuilder().step("a", "bad").step("x", "bad").step("x2", "good", after=["x"]).step("z", "bad").build()
    planner = Planner(
        [step("n", "good", ["x2"])], ReplanError("gave-up", "no"), [step("m", "good", ["x2"]), step("o", "good", ["n"])]
    )
    result = Live(plan, broken(), good(), replanner=planner).play()
    assert {"x": "failed", "x2": "skipped", "n": "skipped", "m": "skipped", "o": "skipped"} == statuses(result)


def test_all_roots_fail_at_once() -> None:
    """Each gets its round, in the order in which they failed."""
    count = 12
    plan = PlanBuilder()
    for number in range(count):
        plan.step(f"a{number}", "bad").step(f"b{number}", "good", after=[f"a{number}"])
    rounds: list[str] = []

    async def planner(request: Any) -> Plan:
        await asyncio.sleep(1)
        rounds.append(request.failed)
        return Plan((step(request.failed, "good"),))

    live = Live(plan.build(), broken(), good(), replanner=planner)
    result = live.play()
    assert ("succeeded", count, count) == (result.status, result.replans, len(result.steps))
    assert [event.step_id for event in live.of("step-failed")] == rounds


# ---- with `when`, `for_each`, `??` ----------------------------------------------------------------------


def test_a_condition_that_cannot_be_decided_is_planned_around() -> None:
    """A step can fail before it has started."""
    plan = PlanBuilder().step("c", "good", n=1).step("a", "good", when="{{c.output.nobody}} > 1").build()
    planner = Planner([step("a", "good", when="{{c.output.n}} == 1"), step("z", "good", when="{{c.output.n}} == 2")])
    live = Live(plan, good(), replanner=planner)
    result = live.play()
    assert {"c": "succeeded", "a": "succeeded", "z": "skipped"} == statuses(result)
    assert "succeeded" == result.status


def test_a_recovery_that_refers_to_a_step_skipped_by_its_condition() -> None:
    """It is skipped as well, unless it has another way; one that only waits for it runs."""
    plan = PlanBuilder().step("s", "good", when="1 > 2").step("c", "good", n=1).step("a", "bad").build()
    planner = Planner(
        [
            step("n", "good", v="{{s.output}}"),
            step("m", "good", v="{{s.output ?? c.output.n}}"),
            step("o", "good", ["s"]),
            step("p", "good", ["n"]),
        ]
    )
    result = Live(plan, broken(), good(), replanner=planner).play()
    assert {"s": "skipped", "c": "succeeded", "n": "skipped", "m": "succeeded", "o": "succeeded", "p": "succeeded"} == (
        statuses(result)
    )
    assert ({"v": 1}, "succeeded") == (result.steps["m"].output, result.status)


def test_a_for_each_that_fails_in_one_element() -> None:
    """The others finish first; the step is replaced as a whole, also by one with elements."""

    async def pick(n: int) -> int:
        await asyncio.sleep(n)
        if n == 1:
            raise ValueError("one")
        return n

    plan = PlanBuilder().step("a", "pick", for_each=[0, 1, 3], n="{{item}}").step("b", "good", v="{{a.output}}").build()
    planner = Planner([step("a", "pick", for_each=[0, 2], n="{{item}}"), step("b", "good", v="{{a.output}}")])
    live = Live(plan, tool_of(pick), good(), replanner=planner)
    result = live.play()
    assert ({"v": [0, 2]}, 3.0) == (result.steps["b"].output, live.at_s("replan-started a"))
    assert "elements" == planner.requests[0].error.kind
    assert 2 == len(result.steps["a"].elements)


def test_a_step_with_two_ways_of_which_one_fails() -> None:
    """`??` is for what was skipped: a step that names a failed one is part of what broke."""
    plan = PlanBuilder().step("a", "bad").step("c", "good", n=1).step("b", "good", v="{{a.output ?? c.output}}").build()
    planner = Planner([step("b", "good", v="{{c.output}}")])
    result = Live(plan, broken(), good(), replanner=planner).play()
    assert ({"v": {"n": 1}}, ("a", "b")) == (result.steps["b"].output, planner.requests[0].held)


# ---- under limits ---------------------------------------------------------------------------------------


def test_a_round_holds_no_slot() -> None:
    """With one call at a time the healthy branch goes on while the planner thinks."""
    plan = PlanBuilder().step("a", "bad").step("b", "good", after=["a"]).step("c", "good").step("d", "good").build()
    live = Live(plan, broken(), good(), replanner=Planner([step("n", "good")], takes_s=10), max_concurrency=1)
    result = live.play()
    assert ("succeeded", 12.0) == (result.status, live.ended_at_s)
    assert 11.0 == live.at_s("step-started n")


def test_the_longest_path_of_the_merged_plan_goes_first() -> None:
    """A recovery that is long overtakes what waits; what was replaced is counted no more."""
    plan = PlanBuilder().step("a", "bad")
    for number in range(1, 6):
        plan.step(f"old{number}", "good", after=["a" if number == 1 else f"old{number - 1}"])
    plan.step("busy", "good").step("w1", "good").step("w2", "good", after=["w1"]).step("v1", "good")
    recovery = [step("n1", "good"), step("n2", "good", ["n1"]), step("n3", "good", ["n2"])]
    live = Live(plan.build(), broken(), good(), replanner=Planner(recovery, takes_s=0.5), max_concurrency=1)
    result = live.play()
    assert "succeeded" == result.status
    assert ["a", "w1", "n1", "n2"] == live.starts()[:4]


def test_the_limit_of_a_tool_that_only_the_recovery_uses() -> None:
    """Limits of all tools hold from the start, though the first plan does not use them."""
    narrow = good("narrow", max_concurrency=1)
    live = Live(ONE, broken(), good(), narrow, replanner=Planner([step(f"n{i}", "narrow") for i in range(3)]))
    live.play()
    assert [2.0, 3.0, 4.0] == [call.at_s for call in narrow.calls]


def test_a_merge_while_steps_queue_and_back_off() -> None:
    """What waits for a slot or for its next attempt keeps its turn, and nothing is started twice."""
    flaky = ScriptedTool("flaky", [ConnectionError("x"), "ok"], 0.5, read_only=True, max_concurrency=1)
    plan = (
        PlanBuilder().step("a", "bad").step("f", "flaky").step("c", "good").step("d", "good").step("e", "good").build()
    )
    live = Live(
        plan, broken(), good(takes_s=3), flaky, replanner=Planner([step("n", "good")], takes_s=0.1), max_concurrency=2
    )
    result = live.play()
    assert ("succeeded", {"succeeded"}) == (result.status, set(statuses(result).values()))
    assert ["a", "c", "d", "e", "f", "f", "n"] == sorted(live.starts())
    assert {None} == set(kinds(result).values())


def test_another_call_under_the_same_id_has_a_key_of_its_own() -> None:
    """A recovery may use the id of what it replaces; a provider must not take its other call for a repetition."""
    keys: list[tuple[int, str]] = []

    async def charge(amount: int, context: ToolContext) -> str:
        keys.append((amount, context.idempotency_key))
        if amount == 1:
            raise ValueError("too little")
        return "charged"

    plan = Plan((step("a", "charge", amount=1),))
    live = Live(plan, tool_of(charge, idempotent=True, retries=0), replanner=Planner([step("a", "charge", amount=2)]))
    assert "succeeded" == live.play().status
    assert ([1, 2], 2) == ([amount for amount, _ in keys], len({key for _, key in keys}))
