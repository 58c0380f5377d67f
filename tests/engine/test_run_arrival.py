"""A plan that arrives while it runs: what starts early, what stays when the whole plan comes, and what is ended."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import pytest
from engine_cases import statuses, tool_of
from live_cases import Live, Person, Planner, broken, cancel, good, step

from planloom import Plan, Step, StepResult
from planloom.errors import AskPerson, ReplanError
from planloom.plan.results import StepError
from planloom.plan.state import StepStatus
from planloom.testing import HANG, ScriptedTool

EMPTY = Plan(())
A, B = step("a", "good", n=1), step("b", "good", v="{{a.output.n}}")


def arriving(*tools: Any, **options: Any) -> Live:
    """A run whose plan is still to come."""
    return Live(EMPTY, *tools, is_whole=False, **options)


def arrive(*steps: Step, before: tuple[Step, ...] = ()) -> Callable[[Live], None]:
    """A move: these steps arrive, behind the ones before."""
    return lambda live: live.run.arrive(steps, Plan((*before, *steps)))


def complete(*steps: Step, **more: Any) -> Callable[[Live], None]:
    """A move: the whole plan is there."""
    return lambda live: live.run.complete(Plan(steps, **more))


# ---- stops ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("at_s", [0.0, 0.5, 1.5])
def test_cancelled_during_arrival(at_s: float) -> None:
    """A run that waits for the rest of its plan can be cancelled, and what comes after that is not heard."""
    live = arriving(good())
    result = live.play((0.1, arrive(A)), (at_s, cancel), (1.6, arrive(B, before=(A,))), (1.7, complete(A, B)))
    assert ("cancelled", at_s) == (result.status, live.ended_at_s)
    expected = {0.0: {}, 0.5: {"a": "cancelled"}, 1.5: {"a": "succeeded"}}
    assert expected[at_s] == statuses(result)


def test_cancelled_twice_during_arrival() -> None:
    """The second cancellation leaves at once."""

    async def deaf() -> None:
        for _ in range(3):
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(10)

    live = arriving(tool_of(deaf))
    with pytest.raises(asyncio.CancelledError):
        live.play((0, arrive(step("a", "deaf"))), (1, cancel), (2, cancel), leaves_tasks=True)


def test_a_plan_that_never_becomes_whole() -> None:
    """The time limit of the run holds while it waits for its plan."""
    live = arriving(good(), timeout_s=30)
    result = live.play((0, arrive(A)))
    assert ("failed", {"a": "succeeded"}, 30_000) == (result.status, statuses(result), result.duration_ms)


@pytest.mark.parametrize("is_drained", [True, False])
def test_a_plan_that_is_rejected(is_drained: bool) -> None:
    """Whoever reads the plan ends the run; with `drain` what runs comes to its end first."""
    error = StepError("model", "ModelReplyError", "the plan was cut off")
    live = arriving(good())
    stop = (lambda live: live.run.drain(error)) if is_drained else (lambda live: live.run.stop(error))
    result = live.play((0, arrive(A)), (0, arrive(B, before=(A,))), (0.5, stop))
    assert ("failed", error) == (result.status, result.error)
    assert {"a": "succeeded" if is_drained else "cancelled", "b": "cancelled"} == statuses(result)
    assert (1.0 if is_drained else 0.5) == live.ended_at_s


# ---- arriving -------------------------------------------------------------------------------------------


def test_steps_start_as_they_arrive() -> None:
    """Each starts when it and what it depends on are there; the run waits for the whole plan."""
    c = step("c", "good", ["b"])
    live = arriving(good())
    result = live.play(
        (0.5, arrive(A)),
        (0.7, arrive(B, before=(A,))),
        (3.0, arrive(c, before=(A, B))),
        (9.0, complete(A, B, c, answer="{{c.status}}", goal="the goal")),
    )
    assert [0.5, 1.5, 3.0] == [live.at_s(f"step-started {name}") for name in "abc"]
    assert ("succeeded", "succeeded", 9.0, "the goal") == (
        result.status,
        result.answer,
        live.ended_at_s,
        result.plan.goal,
    )
    assert ["a", "b", "c"] == live.starts() == list(result.steps)


def test_everything_comes_before_the_run_begins() -> None:
    """A plan that is whole before the run was awaited is no mistake."""
    live = arriving(good())
    arrive(A)(live)
    complete(A, B)(live)
    assert {"a": "succeeded", "b": "succeeded"} == statuses(live.play())
    assert ["a", "b"] == live.starts()


def test_a_whole_plan_without_steps() -> None:
    """An answer that needs none."""
    result = arriving(good()).play((1, complete(answer=42)))
    assert ("succeeded", 42, {}) == (result.status, result.answer, result.steps)


def test_several_steps_arrive_together_in_any_order() -> None:
    """Order means nothing, and all of them stay when the whole plan has them."""
    live = arriving(good())
    result = live.play((0, arrive(B, A)), (1.5, complete(A, B)))
    assert (["a", "b"], {"a": "succeeded", "b": "succeeded"}) == (live.starts(), statuses(result))


def test_a_step_arrives_that_needs_a_failed_one() -> None:
    """It is skipped, and so is what comes after it."""
    bad, c = step("a", "bad"), step("c", "good", ["b"])
    b = step("b", "good", ["a"])
    live = arriving(good(), broken())
    result = live.play(
        (0, arrive(bad)), (2, arrive(b, before=(bad,))), (3, arrive(c, before=(bad, b))), (4, complete(bad, b, c))
    )
    assert ("failed", {"a": "failed", "b": "skipped", "c": "skipped"}) == (result.status, statuses(result))
    assert [("a", "failed"), ("b", "skipped"), ("c", "skipped")] == live.told


def test_the_first_call_with_its_limit_cannot_be_made() -> None:
    """Arguments that do not fit fail the step, also when no call had its time limit before."""

    async def count(n: int) -> int:
        return n

    other = step("b", "count", n="{{a.output.n}}", timeout_s=7)
    for live in (
        Live(Plan((step("a", "good", n="x"), other)), good(), tool_of(count)),
        Live(Plan((step("b", "count", n="{{inputs.n}}", timeout_s=7),)), tool_of(count), inputs={"n": "x"}),
    ):
        result = live.play()
        assert ("failed", "failed") == (result.status, result.steps["b"].status)
        assert result.steps["b"].error is not None
        assert "arguments" == result.steps["b"].error.kind


def test_when_for_each_and_skips_while_it_arrives() -> None:
    """A step that arrives after the one it needs was skipped is decided like any other."""
    s = step("s", "good", when="1 > 2")
    t, u = step("t", "good", v="{{s.output}}"), step("u", "good", v="{{s.output ?? a.output.n}}")
    e = step("e", "good", for_each=["{{a.output.n}}", 5], v="{{item}}")
    live = arriving(good())
    result = live.play(
        (0, arrive(A)), (0, arrive(s, before=(A,))), (2, arrive(t, u, before=(A, s))), (3, complete(A, s, t, u, e))
    )
    assert {"a": "succeeded", "s": "skipped", "t": "skipped", "u": "succeeded", "e": "succeeded"} == statuses(result)
    assert [{"v": 1}, {"v": 5}] == result.steps["e"].output


@pytest.mark.parametrize("max_concurrency", [1, 2])
def test_arrival_under_a_limit(max_concurrency: int) -> None:
    """What arrives queues by the longest path of what is there."""
    tail = [step("l1", "good"), step("l2", "good", ["l1"]), step("l3", "good", ["l2"])]
    live = arriving(good(), max_concurrency=max_concurrency)
    first = [step(f"f{i}", "good") for i in range(3)]
    result = live.play((0, arrive(*first)), (0.5, arrive(*tail, before=tuple(first))), (0.6, complete(*first, *tail)))
    assert {"succeeded"} == set(statuses(result).values())
    assert "l1" == live.starts()[max_concurrency]
    assert 6 == len(live.starts())


# ---- the whole plan is another one ----------------------------------------------------------------------

CHANGED = step("a", "good", n=2)


@pytest.mark.parametrize("at_s", [0.5, 1.0, 1.5, 2.5])
def test_a_step_that_the_whole_plan_has_changed(at_s: float) -> None:
    """Whatever it has come to, it and what needs it are begun anew; everything else stays."""
    c = step("c", "good")
    live = arriving(good())
    result = live.play(
        (0, arrive(A)), (0, arrive(B, before=(A,))), (0, arrive(c, before=(A, B))), (at_s, complete(CHANGED, B, c))
    )
    assert ("succeeded", {"v": 2}, at_s + 2) == (result.status, result.steps["b"].output, live.ended_at_s)
    assert 1 == live.starts().count("c")
    assert 2 == live.starts().count("a")
    assert [] == live.of("step-skipped") + live.of("step-failed")


def test_a_dropped_step_that_waits_for_one_that_stays() -> None:
    """It has not begun and never does, though what it waited for ends well."""
    b = step("b", "good", ["a"], n=1)
    for whole in ((A,), (A, step("b", "good", ["a"], n=2))):
        live = arriving(good())
        result = live.play((0, arrive(A)), (0, arrive(b, before=(A,))), (0.5, complete(*whole)))
        assert [entry.id for entry in whole] == live.starts() == list(result.steps)
        assert "succeeded" == result.status
        assert {"n": len(whole)} == result.steps[whole[-1].id].output


def test_a_dropped_step_that_waits_for_one_that_fails() -> None:
    """Nobody hears of it; what has taken its id is skipped once."""
    bad = step("a", "bad")
    b, other = step("b", "good", ["a"]), step("b", "good", ["a"], n=2)
    live = arriving(good(), broken())
    live.play((0, arrive(bad)), (0, arrive(b, before=(bad,))), (0.5, complete(bad, other)))
    assert [("a", "failed"), ("b", "skipped")] == live.told
    assert ["step-skipped b"] == live.lines("step-skipped")


def test_the_end_of_a_dropped_step_comes_before_its_successor_starts() -> None:
    """Under one id there is one step at a time, though the call of the old one takes its time to end."""

    async def slow(n: int) -> int:
        try:
            await asyncio.sleep(5)
        except asyncio.CancelledError:
            await asyncio.sleep(1)
            raise
        return n

    live = arriving(tool_of(slow))
    result = live.play((0, arrive(step("a", "slow", n=1))), (2, complete(step("a", "slow", n=2))))
    assert [
        "run-started",
        "step-started a",
        "step-cancelled a",
        "step-started a",
        "step-succeeded a",
        "run-finished",
    ] == live.lines()
    assert (2, 1) == (result.steps["a"].output, result.steps["a"].attempts)
    assert [("a", "succeeded")] == live.told


@pytest.mark.parametrize("what", ["back-off", "queue", "elements"])
def test_a_dropped_step_that_is_not_running_just_now(what: str) -> None:
    """One that waits for its next attempt or for a slot is ended at once; so are elements."""
    flaky = ScriptedTool("flaky", [ConnectionError("x"), "late"], 0.5, read_only=True)
    old = {
        "back-off": step("x", "flaky"),
        "queue": step("x", "good"),
        "elements": step("x", "good", for_each=[1, 2, 3]),
    }[what]
    limit = None if what == "back-off" else 1
    live = arriving(flaky, good(takes_s=0.6), max_concurrency=limit)
    result = live.play((0, arrive(A)), (0, arrive(old, before=(A,))), (0.7, complete(A)))
    assert ("succeeded", ["a"]) == (result.status, list(result.steps))
    assert 0.7 == live.ended_at_s
    assert ["step-cancelled x"] == live.lines("step-cancelled", "step-succeeded")[1:]


def test_a_dropped_step_that_waits_for_a_person() -> None:
    """The word does not come any more: the run does not wait for it, and what comes late does not count."""

    async def ask() -> None:
        raise AskPerson("which?")

    for word in ("late", HANG):
        live = arriving(tool_of(ask), good(), person=Person(50, x=word, x_0=word, x_1=word))
        result = live.play(
            (0, arrive(step("x", "ask"), step("y", "ask", for_each=[]))), (2, complete(step("x", "good", n=1)))
        )
        assert ("succeeded", {"n": 1}, 3.0) == (result.status, result.steps["x"].output, live.ended_at_s)
    live = arriving(tool_of(ask), good(), person=Person(50, x_0=HANG, x_1=HANG))
    result = live.play((0, arrive(step("x", "ask", for_each=[1, 2]))), (2, complete(A)))
    assert ("succeeded", ["a"], 3.0) == (result.status, list(result.steps), live.ended_at_s)


def test_the_same_call_with_other_inputs_is_another_step() -> None:
    """A step that uses an input whose value the whole plan has changed does not stay."""
    a, c = step("a", "good", v="{{inputs.x}}"), step("c", "good", v="{{inputs.y}}")
    live = arriving(good())
    result = live.play(
        (0, lambda live: live.run.arrive([a, c], Plan((a, c), inputs={"x": 1, "y": 1}))),
        (2, complete(a, c, inputs={"x": 2, "y": 1})),
    )
    assert ({"v": 2}, {"v": 1}) == (result.steps["a"].output, result.steps["c"].output)
    assert ["a", "a", "c"] == sorted(live.starts())


def test_what_is_only_said_about_a_step_does_not_change_it() -> None:
    """Another description, or a dependency that is declared or not, is the same step."""
    old = Step("b", "good", {"v": "{{a.output.n}}"}, description="old")
    new = Step("b", "good", {"v": "{{a.output.n}}"}, ["a"], description="new")
    live = arriving(good())
    result = live.play((0, arrive(A)), (0, arrive(old, before=(A,))), (5, complete(A, new)))
    assert (["a", "b"], 5.0) == (live.starts(), live.ended_at_s)
    assert "new" == result.plan.step("b").description


# ---- failures before the plan is whole ------------------------------------------------------------------


def test_a_failure_waits_for_the_whole_plan() -> None:
    """Nothing is planned around while the plan arrives; what comes meanwhile and needs it is held."""
    bad, b = step("a", "bad"), step("b", "good", ["a"])
    planner = Planner([step("n", "good")])
    live = arriving(good(), broken(), replanner=planner)
    result = live.play((0, arrive(bad)), (2, arrive(b, before=(bad,))), (5, complete(bad, b)))
    assert ("succeeded", ["n"], 1) == (result.status, list(result.steps), result.replans)
    assert (5.0, ("a", "b")) == (live.at_s("replan-started a"), planner.requests[0].held)
    assert ["step-held b"] == live.lines("step-held")


def test_the_whole_plan_has_replaced_what_failed() -> None:
    """Then there is nothing to plan around: what takes the id of the failed step runs."""
    bad, b = step("a", "bad"), step("b", "good", ["a"])
    live = arriving(good(), broken(), replanner=Planner())
    result = live.play((0, arrive(bad)), (0, arrive(b, before=(bad,))), (5, complete(A, b)))
    assert {"a": "succeeded", "b": "succeeded"} == statuses(result)
    assert (7.0, 0) == (live.ended_at_s, result.replans)


@pytest.mark.parametrize("move", [cancel, lambda live: live.run.stop(StepError("model", "ModelError", "no plan"))])
def test_stopped_while_a_failure_waits_for_the_whole_plan(move: Any) -> None:
    """What was held is skipped."""
    bad, b = step("a", "bad"), step("b", "good", ["a"])
    live = arriving(good(), broken(), replanner=Planner())
    result = live.play((0, arrive(bad)), (0, arrive(b, before=(bad,))), (5, move))
    assert {"a": "failed", "b": "skipped"} == statuses(result)


def test_a_refusal_after_the_whole_plan() -> None:
    """Also what the whole plan has added is skipped."""
    bad, b, c = step("a", "bad"), step("b", "good", ["a"]), step("c", "good", ["b"])
    live = arriving(good(), broken(), replanner=Planner(ReplanError("gave-up", "no")))
    result = live.play((0, arrive(bad)), (0, arrive(b, before=(bad,))), (5, complete(bad, b, c)))
    assert {"a": "failed", "b": "skipped", "c": "skipped"} == statuses(result)
    assert {"a": "a"} | {"b": "a", "c": "a"} == {"a": "a"} | {e.step_id: e.failed for e in live.of("step-held")}


def test_a_long_plan_arrives_step_by_step() -> None:
    """Two thousand arrivals are handled one by one, each once."""
    count = 2_000
    steps = [step(f"s{i}", "good", [f"s{i - 1}"] if i else None) for i in range(count)]

    def move(number: int) -> Callable[[Live], None]:
        return lambda live: live.run.arrive([steps[number]], Plan(tuple(steps[: number + 1])))

    live = arriving(good(takes_s=0))
    result = live.play(*[(number / 1_000, move(number)) for number in range(count)], (3, complete(*steps)))
    assert ("succeeded", count) == (result.status, len(live.starts()))
    assert all(
        isinstance(entry, StepResult) and entry.status is StepStatus.SUCCEEDED for entry in result.steps.values()
    )
