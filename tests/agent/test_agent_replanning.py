"""Failures that are planned around, rounds that the joiner asks for, and goals that follow an earlier one."""

from __future__ import annotations

from typing import Any

import pytest
from agent_cases import Goal, look, plan_text, purposes, ref, said_to, send, statuses, step

from planloom import (
    RunStatus,
    UsageError,
)
from planloom.errors import ModelRateLimitError, ModelReplyError
from planloom.plan.events import AnswerDelta, Replanned, ReplanRefused
from planloom.planning.joining import UNANSWERED
from planloom.testing import ScriptedModel

ONE = plan_text(step("a"), answer=ref("a"))


def down(*_: Any) -> ModelRateLimitError:
    return ModelRateLimitError("planner was refused", model="planner")


# ---- replanning ------------------------------------------------------------------------------------------


BROKEN = plan_text(step("a"), step("b", "fetch", ["a"], of=ref("a")), step("c", "look", ["b"], of=ref("b")), step("d"))


def test_only_the_broken_part_is_planned_anew() -> None:
    """Finished and healthy steps run once; the event says why, what was replaced, kept and added."""
    used = look("A", "D", "C", takes_s=(1.0, 5.0, 1.0))
    recovery = plan_text(step("b", "backup", ["a"], of=ref("a")), step("c", "look", ["b"], of=ref("b")))
    made = Goal(
        [used, look(ValueError("404"), name="fetch"), look("B", name="backup")],
        ScriptedModel([BROKEN, recovery], first_token_s=1.0, name="planner"),
        ["done"],
    )

    result = made.run()

    event = next(event for event in made.events if isinstance(event, Replanned))
    assert (1, ("b", "c"), ("a", "d"), ("b", "c")) == (event.number, event.replaced, event.kept, event.added)
    assert "404" in event.reason.message
    assert (RunStatus.SUCCEEDED, 1) == (result.status, result.replans)
    assert ["a", "d", "b", "c"] == [each.id for each in result.plan.steps] == list(result.steps)
    assert "backup" == result.plan.steps[2].tool
    assert set(statuses(result).values()) == {"succeeded"}
    assert made.at_s("replanned", "b") < made.at_s("step-succeeded", "d")
    assert ["step-started a", "step-started d", "step-started b", "step-started b", "step-started c"] == made.types(
        "step-started"
    )


def test_the_planner_sees_shapes_and_never_whole_outputs() -> None:
    """At a replan a long output is its shape and beginning, a short one is whole, and the failure is there."""
    long = [{"id": number, "text": f"row-{number}-{'x' * 40}"} for number in range(500)]
    text = plan_text(step("a"), step("s"), step("b", "fetch", ["a", "s"], of=ref("a"), s=ref("s")))
    used = look(long, "short value")
    made = Goal([used, look(ValueError("404 gone"), name="fetch")], [text, '{"steps": [], "give_up": "no way"}'])

    result = made.run()

    asked = said_to(made.planner.requests[1])
    assert "list of 500" in asked
    assert "row-0" in asked
    assert "row-499" not in asked
    assert "short value" in asked
    assert "404 gone" in asked
    assert len(asked) < 6_000
    assert (RunStatus.FAILED, 0) == (result.status, result.replans)
    refused = next(event for event in made.events if isinstance(event, ReplanRefused))
    assert "no way" in refused.message


def test_the_same_plan_back_is_refused() -> None:
    """Writing again what had failed ends replanning, and what was held is skipped."""
    again = plan_text(step("b2", "fetch", ["a"], of=ref("a")), step("c", "look", ["b2"], of=ref("b2")))
    made = Goal([look("A", "D"), look(ValueError("404"), name="fetch")], [BROKEN, again])

    result = made.run()

    assert {"a": "succeeded", "b": "failed", "c": "skipped", "d": "succeeded"} == statuses(result)
    assert (RunStatus.FAILED, 0, None) == (result.status, result.replans, result.error)
    assert ["replan-refused b"] == made.types("replan-refused", "replanned")


@pytest.mark.parametrize("allowed", [0, 1, 2])
def test_max_replans_bounds_the_whole_goal(allowed: int) -> None:
    """Each recovery plan fails in its turn until the bound is met."""
    recoveries = [plan_text(step("b", "fetch", ["a"], of=number), answer=ref("b")) for number in range(allowed)]
    text = plan_text(step("a"), step("b", "fetch", ["a"], of=ref("a")), answer=ref("b"))
    fails = look(*[ValueError(str(number)) for number in range(allowed + 1)], name="fetch")
    made = Goal([look("A"), fails], [text, *recoveries], max_replans=allowed)

    result = made.run()

    assert (RunStatus.FAILED, allowed) == (result.status, result.replans)
    assert {"a": "succeeded", "b": "failed"} == statuses(result)
    assert 1 == len(made.types("replan-refused"))
    assert ["a"] == [call for call in ["a"] if made.types("step-started").count("step-started a") == 1]


def test_max_replans_is_for_the_goal_and_not_for_each_round() -> None:
    """What the first round has used up, the second has not."""
    first = plan_text(step("a", "fetch"))
    mended = plan_text(step("a", "look"))
    more = plan_text(step("b", "fetch", of=2))
    made = Goal(
        [look("A"), look(ValueError("1"), ValueError("2"), name="fetch")],
        [first, mended, more],
        ["MORE: milk"],
        max_replans=1,
    )
    result = made.run()
    assert (RunStatus.FAILED, 1) == (result.status, result.replans)
    assert {"a": "succeeded", "b": "failed"} == statuses(result)


def test_a_model_that_fails_during_a_replan_costs_no_finished_work() -> None:
    """The steps are in the result, healthy branches ran on, and the error says that the model failed."""
    made = Goal([look("A", "D"), look(ValueError("404"), name="fetch")], [BROKEN, down()])
    result = made.run()
    assert {"a": "succeeded", "b": "failed", "c": "skipped", "d": "succeeded"} == statuses(result)
    assert result.error is not None
    assert (RunStatus.FAILED, "model", "ModelRateLimitError") == (result.status, result.error.kind, result.error.type)


def test_a_model_that_fails_while_it_answers_costs_no_finished_work() -> None:
    """The run failed because of the model, and every output is there."""
    result = Goal([look("A")], [plan_text(step("a"))], [down()]).run()
    assert result.error is not None
    assert (RunStatus.FAILED, "model", "A") == (result.status, result.error.kind, result.steps["a"].output)


def test_a_refused_answer_costs_no_finished_work() -> None:
    """As with any failure of a model: an empty answer is none."""
    result = Goal([look("A")], [plan_text(step("a"))], [" "]).run()
    assert result.error is not None
    assert ("model", ModelReplyError.__name__) == (result.error.kind, result.error.type)


def test_a_failed_run_is_not_joined() -> None:
    """No answer is made up from half the outputs; what the plan's own answer refers to may be there."""
    made = Goal([look(ValueError("no"))], [plan_text(step("a"))], max_replans=0)
    result = made.run()
    assert (RunStatus.FAILED, None) == (result.status, result.answer)
    assert [] == made.types("join-started", "answer-ready")


# ---- two rounds ------------------------------------------------------------------------------------------


def test_the_joiner_may_ask_for_one_more_round() -> None:
    """Round two builds on the first by id, runs nothing again, is told with its reason, and then answers."""
    used = look("leaves", "milk", takes_s=1.0)
    made = Goal(
        [used],
        [plan_text(step("a")), plan_text(step("b", "look", ["a"], of=ref("a")))],
        ["MORE: the milk", "Tea with milk"],
    )

    result = made.run()

    assert (RunStatus.SUCCEEDED, "Tea with milk") == (result.status, result.answer)
    assert [{}, {"of": "leaves"}] == [call.args for call in used.calls]
    started = next(event for event in made.events if event.type == "round-started")
    assert {"number": 2, "reason": "the milk"} == started.data
    assert "the milk" in said_to(made.planner.requests[1])
    assert "Tea with milk" == "".join(event.text for event in made.events if isinstance(event, AnswerDelta))
    assert [("a", "succeeded"), ("b", "succeeded")] == made.told
    assert (0.0, 1.0) == (result.steps["a"].started_s, result.steps["b"].started_s)
    assert 1 == len(made.types("run-started")) == len(made.types("run-finished")) == len(made.types("answer-ready"))


def test_rounds_are_bounded() -> None:
    """On the last round the joiner is told so; if it asks for more all the same, the answer says so."""
    made = Goal([look()], [plan_text(step("a"))], ["MORE: everything"], max_rounds=1)
    result = made.run()
    assert (RunStatus.SUCCEEDED, f"{UNANSWERED}: everything") == (result.status, result.answer)


def test_a_second_round_without_a_valid_plan_keeps_the_first() -> None:
    """Nothing is raised away that was paid for."""
    bad = plan_text(step("b", "nothing"))
    made = Goal([look("A")], [plan_text(step("a")), bad, bad, bad], ["MORE: milk"])
    result = made.run()
    assert result.error is not None
    assert (RunStatus.FAILED, "plan", "A") == (result.status, result.error.kind, result.steps["a"].output)


# ---- follow-up goals -------------------------------------------------------------------------------------


def test_a_follow_up_goal_refers_to_the_earlier_results() -> None:
    """New steps take finished outputs by id; those are shown as short values and not run again, nor told again."""
    first = Goal([look("leaves")], [ONE]).run()
    used = look("cup")
    made = Goal([used], [plan_text(step("b", "look", of=ref("a")), answer=ref("b"))])

    result = made.run("brew it", after=first)

    assert ("cup", [{"of": "leaves"}]) == (result.answer, [call.args for call in used.calls])
    assert {"a": "succeeded", "b": "succeeded"} == statuses(result)
    assert [("b", "succeeded")] == made.told
    assert "brew it" == result.plan.goal
    assert "leaves" in said_to(made.planner.requests[0])
    assert 1 == result.usage.model_calls


def test_a_follow_up_may_use_an_id_again_whose_step_had_failed() -> None:
    """Only what ended well is kept of the earlier run; the failed step runs anew under its old id."""
    first = Goal(
        [look("A"), look(ValueError("down"), name="fetch")], [BROKEN.replace('{"id": "d"', '{"id": "d"')], max_replans=0
    )
    earlier = first.run()
    assert "failed" == statuses(earlier)["b"]
    fetch = look("page", name="fetch")
    made = Goal([look("never"), fetch], [plan_text(step("b", "fetch", ["a"], of=ref("a")), answer=ref("b"))])

    result = made.run("once more", after=earlier)

    assert (RunStatus.SUCCEEDED, "page") == (result.status, result.answer)
    assert 1 == len(fetch.calls)


def test_a_follow_up_keeps_what_the_first_goal_was_given() -> None:
    """Finished steps that used an input of the first goal are no issue when the second does not give it."""
    first = Goal([look()], [plan_text(step("a", q="{{inputs.word}}"), answer=ref("a"))]).run(inputs={"word": "x"})
    used = look(ValueError("no"), "yes")
    made = Goal(
        [used],
        [plan_text(step("b", of=ref("a")), answer=ref("b")), plan_text(step("b", of=1), answer=ref("b"))],
    )
    result = made.run("and now", after=first)
    assert (RunStatus.SUCCEEDED, "yes", 1) == (result.status, result.answer, result.replans)


def test_a_follow_up_that_nobody_allows_keeps_what_was_there() -> None:
    """The earlier steps are still finished in the result of a plan that waits."""
    first = Goal([look("A")], [ONE]).run()
    result = Goal([look()], [plan_text(step("b", of=ref("a")))], approve="plan").run("more", after=first)
    assert RunStatus.WAITING is result.status
    assert {"a": "succeeded", "b": "pending"} == statuses(result)


def test_a_follow_up_with_a_tool_that_is_not_there_is_refused() -> None:
    """Finished steps stay in the plan, so their tools have to be known; the message names the step and the tool."""
    first = Goal([look()], [ONE]).run()
    with pytest.raises(UsageError, match="`a` of the tool `look`"):
        Goal([send()], []).run(after=first)


# ---- more than one failure -----------------------------------------------------------------------------------------

TWO = plan_text(
    step("a", "fetch", n=1),
    step("b", "fetch", n=2),
    step("c"),
    step("join", "look", ["a", "b", "c"], of=ref("b")),
    answer=ref("join"),
)


def test_two_failures_that_meet_are_planned_around_one_after_the_other() -> None:
    """The first recovery plan may need the step whose turn is still to come; the join runs once, at the end."""
    join = step("join", "look", ["a", "b", "c"], of=ref("b"))
    used = look("C", "done")
    made = Goal(
        [used, look(ValueError("1"), ValueError("2"), name="fetch"), look("A", "B", name="backup")],
        [TWO, plan_text(step("a", "backup", n=1), join), plan_text(step("b", "backup", n=2), join)],
    )

    result = made.run()

    assert (RunStatus.SUCCEEDED, "done", 2) == (result.status, result.answer, result.replans)
    assert [{}, {"of": "B"}] == [call.args for call in used.calls]
    asked = said_to(made.planner.requests[1])
    assert "- b (fetch, failed, is written anew next; it may be needed by its id)" in asked
    assert "written anew next" not in said_to(made.planner.requests[2])


def test_two_failures_of_which_one_has_no_way_around() -> None:
    """What needs the one that stays failed is skipped, though the first was mended in the hope of it."""
    join = step("join", "look", ["a", "b", "c"], of=ref("b"))
    made = Goal(
        [look("C"), look(ValueError("1"), ValueError("2"), name="fetch"), look("A", name="backup")],
        [TWO, plan_text(step("a", "backup", n=1), join), '{"steps": [], "give_up": "no way"}'],
    )
    result = made.run()
    assert (RunStatus.FAILED, 1) == (result.status, result.replans)
    assert {"a": "succeeded", "b": "failed", "c": "succeeded", "join": "skipped"} == statuses(result)


def test_a_step_that_was_given_up_is_not_needed_any_more() -> None:
    """Once its turn is over a failed step stays failed: a later recovery plan that needs it goes back with an issue."""
    text = plan_text(step("a", "fetch"), step("b", "late", n=2), step("c", "look", ["b"], of=ref("b")), answer="x")
    needs_a = plan_text(step("b", "look", ["a"], of=ref("a")), step("c", "look", ["b"], of=ref("b")))
    good = plan_text(step("b", "look"), step("c", "look", ["b"], of=ref("b")))
    made = Goal(
        [look("B", "C"), look(ValueError("1"), name="fetch"), look(ValueError("2"), name="late", takes_s=5.0)],
        [text, '{"steps": [], "give_up": "no way"}', needs_a, good],
    )
    result = made.run()
    assert ["plan", "replan", "replan", "mend"] == purposes(made.planner)
    assert {"a": "failed", "b": "succeeded", "c": "succeeded"} == statuses(result)


def test_elements_that_have_finished_are_not_run_again() -> None:
    """A `for_each` that failed for some elements: the others keep their outputs when it is written again."""
    each = {**step("e", "fetch", n="{{item}}"), "for_each": [1, 2, 3]}
    again = {**each, "retries": 0}
    fetch = look("one", ValueError("down"), "three", "two", name="fetch")
    made = Goal([fetch, look()], [plan_text(each, answer=ref("e")), plan_text(again, answer=ref("e"))])
    result = made.run()
    assert (RunStatus.SUCCEEDED, ["one", "two", "three"]) == (result.status, result.answer)
    assert [{"n": 1}, {"n": 2}, {"n": 3}, {"n": 2}] == [call.args for call in fetch.calls]
