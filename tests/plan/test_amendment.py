"""A recovery plan takes the place of the broken part and of nothing else; what is wrong with it can be mended."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planloom import Issue, Plan, Step, Tool, Toolbox, find_issues
from planloom.plan.amendment import broken_part, fingerprint, merge_recovery, recovery_issues, without_repeats
from planloom.plan.graph import graph_of
from planloom.plan.issues import has_errors
from planloom.plan.state import StepStatus

S = StepStatus


def never(**_: Any) -> None:
    raise AssertionError("amendment runs nothing")


def tool(name: str, *writes: str) -> Tool:
    schema = {"type": "object", "properties": {"v": {}, "path": {"type": "string"}}, "additionalProperties": False}
    return Tool.from_schema(
        name=name, description=name, parameters=schema, function=never, read_only=not writes, writes=writes
    )


TOOLBOX = Toolbox([tool("work"), tool("save", "file:{path}")])


def step(name: str, *refs: str, using: str = "work", **args: Any) -> Step:
    return Step(name, using, {"v": [f"{{{{{ref}.output}}}}" for ref in refs], **args})


PLAN = Plan(
    (
        step("load"),
        step("fetch", "load"),
        step("read", "fetch"),
        step("other"),
        step("sum", "read", "other"),
    ),
    "a goal",
    {"path": "a.csv"},
    "{{sum.output}}",
)
BROKEN = ("fetch", "read", "sum")


def issues_of(recovery: Plan, plan: Plan = PLAN, broken: tuple[str, ...] = BROKEN, **options: Any) -> list[Issue]:
    return recovery_issues(
        plan, broken, recovery, find_issues(merge_recovery(plan, broken, recovery), TOOLBOX), **options
    )


def errors_of(recovery: Plan, plan: Plan = PLAN, broken: tuple[str, ...] = BROKEN, **options: Any) -> list[Any]:
    issues = issues_of(recovery, plan, broken, **options)
    return [(issue.code, issue.path) for issue in issues if issue.severity == "error"]


GOOD = Plan((step("fetch2", "load"), step("sum", "fetch2", "other")))


@pytest.mark.parametrize(
    ("failed", "statuses", "expected"),
    [
        (1, [S.SUCCEEDED, S.FAILED, S.PENDING, S.RUNNING, S.PENDING], [1, 2, 4]),
        (1, [S.SUCCEEDED, S.FAILED, S.SKIPPED, S.SUCCEEDED, S.SKIPPED], [1, 2, 4]),
        (3, [S.SUCCEEDED, S.RUNNING, S.PENDING, S.FAILED, S.HELD], [3, 4]),
        (0, [S.FAILED, S.PENDING, S.PENDING, S.RUNNING, S.PENDING], [0, 1, 2, 4]),
        (4, [S.SUCCEEDED, S.SUCCEEDED, S.SUCCEEDED, S.SUCCEEDED, S.FAILED], [4]),
        # what was started may have had its effect, and stays
        (1, [S.SUCCEEDED, S.FAILED, S.UNKNOWN, S.SUCCEEDED, S.PENDING], [1]),
    ],
)
def test_the_broken_part(failed: int, statuses: list[StepStatus], expected: list[int]) -> None:
    """The failed step and its unfinished descendants, in plan order; never what has run or is running."""
    assert expected == broken_part(graph_of(PLAN), statuses, failed)


def test_only_the_broken_part_is_replaced() -> None:
    """Steps that stay keep their place and their identity; answer, goal and inputs are inherited."""
    merged = merge_recovery(PLAN, BROKEN, GOOD)
    assert ["load", "other", "fetch2", "sum"] == [one.id for one in merged.steps]
    assert merged.steps[0] is PLAN.steps[0]
    assert (PLAN.goal, PLAN.inputs, PLAN.answer) == (merged.goal, merged.inputs, merged.answer)
    assert [] == errors_of(GOOD)


def test_inputs_are_added_and_the_answer_may_change() -> None:
    """A recovery plan may bring its own answer and further inputs, and use those that are there."""
    recovery = Plan(
        (Step("fetch2", "work", {"v": "{{inputs.mirror}} {{inputs.path}}"}),),
        inputs={"mirror": "b.org", "path": "a.csv"},
        answer="{{fetch2.output}}",
    )
    merged = merge_recovery(PLAN, BROKEN, recovery)
    assert ({"path": "a.csv", "mirror": "b.org"}, "{{fetch2.output}}") == (merged.inputs, merged.answer)
    assert [] == errors_of(recovery)


@pytest.mark.parametrize(
    ("recovery", "expected"),
    [
        pytest.param(
            Plan((step("load"), step("sum", "load"))),
            [("duplicate-id", "/steps/0/id")],
            id="the id of a step that stays",
        ),
        pytest.param(
            Plan((step("fetch2", "load"),)), [("unknown-reference", "/answer")], id="the answer lost its step"
        ),
        pytest.param(
            Plan((Step("sum", "work", {"v": "{{read.output}}"}, []),)),
            [("unknown-reference", "/steps/0/args/v")],
            id="a step that was removed",
        ),
        pytest.param(
            Plan((step("sum", "loop"), step("loop", "sum"))), [("cycle", "/steps/0")], id="a circle in the recovery"
        ),
        pytest.param(Plan(()), [("missing-field", "/steps"), ("unknown-reference", "/answer")], id="nothing"),
        pytest.param(Plan((step("sum", using="wrok"),)), [("unknown-tool", "/steps/0/tool")], id="an unknown tool"),
        pytest.param(
            Plan((Step("sum", "work", {"v": ["{{inputs.path}}"]}),), inputs={"path": "b.csv"}),
            [("conflict", "/steps/0/args/v/0")],
            id="an input with another value",
        ),
        pytest.param(Plan((step("sum"),), inputs={"path": "b.csv"}), [], id="an input that is not used"),
    ],
)
def test_what_is_wrong_with_a_recovery(recovery: Plan, expected: list[Any]) -> None:
    """Every error of the merged plan that the recovery brought about points into the recovery plan."""
    assert expected == errors_of(recovery)


def test_hints_say_what_a_recovery_can_do() -> None:
    """A reused id and an answer that lost its step come with a hint that the planner can follow."""
    (reused,) = [issue for issue in issues_of(Plan((step("load"), step("sum")))) if issue.severity == "error"]
    assert "`load` is the id of a step that stays in the plan" == reused.message
    assert "choose a new id, or refer to the step that stays as {{load.output}} and leave this one out" == reused.hint
    (lost,) = [issue for issue in issues_of(Plan((step("fetch2", "load"),))) if issue.severity == "error"]
    assert lost.message.endswith('the answer is "{{sum.output}}"')
    assert 'write "answer" anew in the recovery plan, or give the step' in (lost.hint or "")


def test_an_empty_recovery_needs_an_answer() -> None:
    """No steps are enough when the answer can do with what is there."""
    assert [] == errors_of(Plan((), answer="{{other.output}}"))


def test_a_recovery_may_use_steps_that_finished_or_run_but_not_lost_ones() -> None:
    """A step that failed elsewhere for good never has an output: to need it is an error with a hint."""
    recovery = Plan((step("sum", "load", "other"),))
    assert [] == errors_of(recovery)
    assert [("unknown-reference", "/steps/0")] == errors_of(recovery, lost={"other"})
    (issue,) = [issue for issue in issues_of(recovery, lost={"other"}) if issue.severity == "error"]
    assert "step `sum` needs `other`, which did not succeed and will not be run again" == issue.message


def test_what_is_wrong_with_steps_that_stay_is_not_told() -> None:
    """The recovery plan cannot mend warnings and inputs of the steps that stay."""
    plan = Plan((Step("kept", "work", {"v": "{{inputs.given_by_caller}}"}), step("broken")), answer="{{broken.output}}")
    assert [] == errors_of(Plan((step("broken", "kept"),)), plan, ("broken",))


def test_a_conflict_with_a_step_that_stays_points_at_the_new_one() -> None:
    """Two steps that may write the same file at the same time are an error of the recovery plan."""
    plan = Plan((step("kept", using="save", path="a"), step("broken")))
    assert [("conflict", "/steps/0/args")] == errors_of(Plan((step("new", using="save", path="a"),)), plan, ("broken",))


def test_what_was_lost_in_reading_stays_an_issue() -> None:
    """A recovery plan that was cut off does not become whole by being merged."""
    defect = Issue("missing-field", "error", "/steps/1", "step 2 is cut off")
    recovery = Plan((step("sum"),), defects=(defect,))
    assert "/steps/3" == merge_recovery(PLAN, BROKEN, recovery).defects[0].path
    assert defect in issues_of(recovery)


def test_steps_that_are_only_repeated_are_left_out() -> None:
    """A model that writes the whole plan again means the steps that stay; another call under their id is an error."""
    whole = Plan((step("load"), step("other"), *GOOD.steps), answer="{{sum.output}}")
    assert (GOOD.steps, ["load", "other"]) == (
        without_repeats(PLAN, BROKEN, whole)[0].steps,
        without_repeats(PLAN, BROKEN, whole)[1],
    )
    assert (GOOD, []) == without_repeats(PLAN, BROKEN, GOOD)
    changed = Plan((step("load", using="save"), step("sum", "load")))
    assert (changed, []) == without_repeats(PLAN, BROKEN, changed)
    assert ["load"] == without_repeats(PLAN, BROKEN, whole, lost={"other"})[1]


SAME = [
    pytest.param(Plan((step("b", "a"), step("a"))), id="another order"),
    pytest.param(Plan((step("x"), step("y", "x"))), id="other ids"),
    pytest.param(Plan((Step("a", "work", {"v": []}, description="new"), step("b", "a"))), id="other descriptions"),
    pytest.param(Plan((step("a"), Step("b", "work", {"v": ["{{ a.output }}"]}, ["a"]))), id="white space"),
]
OTHER = [
    pytest.param(Plan((step("a"), step("b"))), id="no reference"),
    pytest.param(Plan((step("a"), step("b", "a"), step("c"))), id="one more"),
    pytest.param(Plan((step("a"),)), id="one less"),
    pytest.param(Plan((step("a", using="save"), step("b", "a"))), id="another tool"),
    pytest.param(Plan((step("a"), step("b", "load"))), id="another source"),
    pytest.param(Plan((step("a"), Step("b", "work", {"v": ["{{a.output[0]}}"]}))), id="another path"),
    pytest.param(Plan((step("a"), Step("b", "work", {"v": ["{{a.output}}"]}, when="1 > 2"))), id="a condition"),
    pytest.param(Plan((step("a"), Step("b", "work", {"v": ["{{a.output}}"]}, retries=0))), id="retries"),
    pytest.param(Plan((step("a"), step("b", "a")), inputs={"x": 1}), id="inputs"),
]
WRITTEN = Plan((step("a"), step("b", "a")))


@pytest.mark.parametrize("plan", SAME)
def test_the_same_plan_is_known_again(plan: Plan) -> None:
    """Order, ids, descriptions and white space do not make another plan."""
    assert fingerprint(WRITTEN.steps, WRITTEN.inputs) == fingerprint(plan.steps, plan.inputs)


@pytest.mark.parametrize("plan", OTHER)
def test_another_plan_is_another(plan: Plan) -> None:
    """Whatever changes what is called, with what, when and after what makes another plan."""
    assert fingerprint(WRITTEN.steps, WRITTEN.inputs) != fingerprint(plan.steps, plan.inputs)


@given(
    edges=st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11)), max_size=30),
    failed=st.integers(0, 11),
    finished=st.integers(0, 12),
    width=st.integers(0, 4),
    data=st.data(),
)
def test_a_recovery_of_kept_steps_is_always_valid(
    edges: list[tuple[int, int]], failed: int, finished: int, width: int, data: Any
) -> None:
    """In random graphs kept steps never need broken ones, and a recovery that uses kept steps merges without error."""
    needs: dict[int, set[str]] = {number: set() for number in range(12)}
    for one, other in edges:
        if one != other:
            needs[max(one, other)].add(f"s{min(one, other)}")
    plan = Plan(tuple(Step(f"s{number}", "work", {}, sorted(needs[number])) for number in range(12)))
    statuses = [S.SUCCEEDED if number < min(finished, failed) else S.PENDING for number in range(12)]
    statuses[failed] = S.FAILED
    part = broken_part(graph_of(plan), statuses, failed)
    broken = [plan.steps[position].id for position in part]
    assert failed in part
    kept = [one for one in plan.steps if one.id not in broken]
    assert not any(set(one.depends_on) & set(broken) for one in kept)
    names = [one.id for one in kept]
    recovery = Plan(
        tuple(
            step(f"new{number}", *data.draw(st.lists(st.sampled_from(names), max_size=3) if names else st.just([])))
            for number in range(width)
        )
    )
    merged = merge_recovery(plan, broken, recovery)
    assert [one.id for one in kept] == [one.id for one in merged.steps[: len(kept)]]
    assert not graph_of(merged).is_cyclic
    found = recovery_issues(plan, broken, recovery, find_issues(merged, TOOLBOX))
    assert has_errors(found) == (width == 0)
