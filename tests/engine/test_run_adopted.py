"""Results of an earlier run that a run takes over: not run again, not told again, and used like any other."""

from __future__ import annotations

from typing import Any

import pytest
from engine_cases import statuses
from live_cases import Live, Person, Planner, broken, cancel, good, step

from planloom import Plan, RunResult, StepResult
from planloom.plan.budget import Account, Budget
from planloom.plan.results import StepError
from planloom.plan.state import END_STATUSES, StepStatus
from planloom.testing import PlanBuilder, ScriptedTool

PLAN = (
    PlanBuilder()
    .step("a", "good", n=1)
    .step("b", "good", v="{{a.output.n}}", s="{{a.status}}")
    .step("c", "good", v="{{b.output.v}}")
    .answer("{{c.output.v}}")
    .build()
)


def ended(step_id: str, status: str = "succeeded", output: Any = None) -> StepResult:
    """A result of an earlier run."""
    error = None if status in ("succeeded", "skipped") else StepError("exception", "ValueError", "earlier")
    return StepResult(step_id, StepStatus(status), output, error, 3, 5_000.0, 1.0, 6.0, None)


def resume(plan: Plan, *finished: StepResult, tools: tuple[Any, ...] = (), **options: Any) -> tuple[Live, RunResult]:
    """Run a plan with these results of an earlier run."""
    live = Live(plan, good(), *tools, finished={result.step_id: result for result in finished}, **options)
    return live, live.play()


@pytest.mark.parametrize("status", ["failed", "skipped", "cancelled"])
def test_what_did_not_end_well_takes_along_what_needs_it(status: str) -> None:
    """Such a run ends too: what needs a step that will never have an output is skipped."""
    result = ended("a", status)
    if status == "skipped":
        result = StepResult("a", StepStatus.SKIPPED, error=StepError("skipped", "DependencyFailed", "earlier"))
    plan = (
        PlanBuilder().step("a", "good").step("b", "good", after=["a"]).step("c", "good", after=["b"]).step("d", "good")
    )
    live, found = resume(plan.build(), result)
    assert {"a": status, "b": "skipped", "c": "skipped", "d": "succeeded"} == statuses(found)
    assert ["d"] == live.starts()
    assert [("b", "skipped"), ("c", "skipped"), ("d", "succeeded")] == live.told


def test_a_chain_of_what_did_not_end_well() -> None:
    """Also what needs a step that the earlier run has skipped for another one."""
    plan = PlanBuilder().step("a", "good").step("b", "good", after=["a"]).step("c", "good", after=["b"]).build()
    skipped = StepResult("b", StepStatus.SKIPPED, error=StepError("skipped", "DependencyFailed", "earlier"))
    live, result = resume(plan, ended("a", "failed"), skipped)
    assert {"a": "failed", "b": "skipped", "c": "skipped"} == statuses(result)
    assert ([("c", "skipped")], "failed") == (live.told, result.status)


def test_an_unknown_effect_keeps_the_run_waiting() -> None:
    """Only a person can say what happened."""
    live, result = resume(PLAN, ended("a", "unknown"))
    assert ("waiting", {"a": "unknown", "b": "pending", "c": "pending"}) == (result.status, statuses(result))
    assert [] == live.starts()


@pytest.mark.parametrize("status", sorted(set(StepStatus) - END_STATUSES))
def test_what_had_not_ended_is_run(status: StepStatus) -> None:
    """A step that was waiting, running or held when the earlier run was left is no result."""
    live, result = resume(PLAN, StepResult("a", status))
    assert (["a", "b", "c"], 1) == (live.starts(), result.answer)


@pytest.mark.parametrize("at_s", [0.5, 1.5])
def test_cancelled(at_s: float) -> None:
    """What was adopted stays as it was."""
    live = Live(PLAN, good(), finished={"a": ended("a", output={"n": 7})})
    result = live.play((at_s, cancel))
    assert ("cancelled", "succeeded", "cancelled") == (
        result.status,
        result.steps["a"].status,
        result.steps["c"].status,
    )
    assert ended("a", output={"n": 7}) == result.steps["a"]


def test_what_was_finished_is_not_run_again() -> None:
    """Its output, status and answer are there; its result is the earlier one, and nobody is told again."""
    live, result = resume(PLAN, ended("a", output={"n": 7}))
    assert ("succeeded", 7, {"v": 7, "s": "succeeded"}) == (result.status, result.answer, result.steps["b"].output)
    assert ended("a", output={"n": 7}) == result.steps["a"]
    assert (["b", "c"], [("b", "succeeded"), ("c", "succeeded")]) == (live.starts(), live.told)
    assert "a" not in {event.step_id for event in live.events}


def test_everything_was_finished() -> None:
    """Nothing starts, and the answer is there."""
    live, result = resume(PLAN, *[ended(name, output={"v": name}) for name in "abc"])
    assert ("succeeded", "c", 0.0) == (result.status, result.answer, live.ended_at_s)
    assert ["run-started", "run-finished"] == live.lines()


def test_a_finished_step_whose_dependency_is_not() -> None:
    """It stays finished, and the other runs."""
    live, result = resume(PLAN, ended("b", output={"v": 5}))
    assert (["a", "c"], 5, "succeeded") == (sorted(live.starts()), result.answer, result.status)


def test_a_finished_step_whose_dependency_fails_now() -> None:
    """What it has found is not lost, and what needs it alone goes on."""
    plan = PlanBuilder().step("a", "bad").step("b", "good", after=["a"]).step("c", "good", v="{{b.output}}").build()
    _, result = resume(plan, ended("b", output=5), tools=(broken(),))
    assert ({"a": "failed", "b": "succeeded", "c": "succeeded"}, {"v": 5}) == (
        statuses(result),
        result.steps["c"].output,
    )


def test_results_of_steps_that_the_plan_does_not_have() -> None:
    """They are of no interest."""
    live, result = resume(PLAN, ended("nobody"))
    assert (["a", "b", "c"], ["a", "b", "c"]) == (live.starts(), list(result.steps))


def test_a_step_that_was_skipped_by_its_condition() -> None:
    """It counts as a success without an output, as it did."""
    plan = (
        PlanBuilder()
        .step("s", "good", when="1 < 2")
        .step("t", "good", v="{{s.output}}")
        .step("u", "good", v="{{s.output ?? a.output}}")
        .step("w", "good", after=["s"])
        .step("a", "good")
        .build()
    )
    live, result = resume(plan, ended("s", "skipped"), ended("a", output=1))
    assert {"s": "skipped", "t": "skipped", "u": "succeeded", "w": "succeeded", "a": "succeeded"} == statuses(result)
    assert (["u", "w"], "succeeded") == (sorted(live.starts()), result.status)


def test_a_condition_and_elements_over_what_was_finished() -> None:
    """Whatever refers to a step finds the earlier output."""
    plan = (
        PlanBuilder()
        .step("a", "good")
        .step("yes", "good", when="len({{a.output}}) == 2")
        .step("no", "good", when="len({{a.output}}) == 3")
        .step("e", "good", for_each="{{a.output}}", v="{{item}}")
        .build()
    )
    _, result = resume(plan, ended("a", output=["x", "y"]))
    assert {"a": "succeeded", "yes": "succeeded", "no": "skipped", "e": "succeeded"} == statuses(result)
    assert [{"v": "x"}, {"v": "y"}] == result.steps["e"].output


@pytest.mark.parametrize(
    "options", [{"max_concurrency": 1}, {"account": Account(Budget(steps=2))}, {"person": Person()}]
)
def test_with_limits_budgets_and_people(options: Any) -> None:
    """What was finished takes no slot, costs nothing, and is not asked about."""
    plan = PlanBuilder().step("a", "pay").step("b", "good", v="{{a.output}}").step("c", "good", after=["b"]).build()
    live, result = resume(plan, ended("a", output=1), tools=(ScriptedTool("pay", [ValueError("again")]),), **options)
    assert ("succeeded", ["b", "c"]) == (result.status, live.starts())


def test_with_a_failure_that_is_planned_around() -> None:
    """The planner sees what was finished, the recovery may refer to it, and it stays as it is."""
    plan = PlanBuilder().step("a", "good").step("b", "bad", after=["a"]).step("c", "good", after=["b"]).build()
    planner = Planner([step("n", "good", v="{{a.output}}")])
    live, result = resume(plan, ended("a", output=5), tools=(broken(),), replanner=planner)
    assert ("succeeded", {"v": 5}, ("b", "c")) == (result.status, result.steps["n"].output, planner.requests[0].held)
    assert ended("a", output=5) == planner.requests[0].steps["a"] == result.steps["a"]
    assert ["b", "n"] == live.starts()


def test_a_recovery_that_refers_to_what_had_failed_earlier() -> None:
    """It is skipped at once, also when the earlier run had cancelled that step."""
    for status in ("failed", "cancelled"):
        plan = PlanBuilder().step("a", "good").step("x", "bad").build()
        planner = Planner([step("n", "good", ["a"])])
        _, result = resume(plan, ended("a", status), tools=(broken(),), replanner=planner)
        assert {"a": status, "n": "skipped"} == statuses(result)


def test_the_start_of_a_plan_that_arrives_was_finished() -> None:
    """The rest starts as it arrives."""
    first = step("a", "good", n=1)
    live = Live(Plan((first,)), good(), finished={"a": ended("a", output={"n": 9})}, is_whole=False)
    second = step("b", "good", v="{{a.output.n}}")
    whole = Plan((first, second))
    result = live.play((1, lambda live: live.run.arrive([second], whole)), (2, lambda live: live.run.complete(whole)))
    assert (["b"], {"v": 9}) == (live.starts(), result.steps["b"].output)
