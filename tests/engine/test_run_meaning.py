"""What a run means: conditions, `??`, skipped steps, `for_each`, answers and inputs."""

from __future__ import annotations

from typing import Any

import pytest
from engine_cases import kinds, lines, run, run_with_events, statuses, tool_of

from planloom import Limits, Plan, PlanValidationError, Step, StepExecutionError, UsageError
from planloom.testing import PlanBuilder, ScriptedTool


async def echo(value: Any = None, other: Any = None) -> Any:
    """Give back what came."""
    return value


async def fail(value: Any = None) -> None:
    """Raise."""
    raise ValueError("it failed")


ECHO, FAIL = tool_of(echo), tool_of(fail)


def outputs(plan: Plan, **options: Any) -> dict[str, Any]:
    """Run, and return the output of every step that has succeeded."""
    result = run(plan, ECHO, FAIL, **options)
    return {step_id: step.output for step_id, step in result.steps.items() if step.status == "succeeded"}


# ---- when ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("when", "runs"),
    [
        ("{{a.output.n}} > 2", True),
        ("{{a.output.n}} > 3", False),
        ("{{a.output.n}} == 3 and {{a.output.kind}} == 'csv'", True),
        ("{{a.output.kind}} in ['json', 'csv']", True),
        ("'s' not in {{a.output.kind}}", False),
        ("not {{a.output.rows}}", True),
        ("len({{a.output.kind}}) == 3", True),
        ("len({{a.output.rows}})", False),
        ("{{a.output.nothing}} == null", True),
        ("{{a.output.yes}} == true", True),
        ("({{a.output.n}} + 1) * 2 - 8 / 4 == 6", True),
        ("1 < {{a.output.n}} <= 3", True),
        ("{{a.status}} == 'succeeded'", True),
        ("{{a.error}} == null", True),
        ("{{inputs.limit}} >= {{a.output.n}}", True),
        ("{{a.output}}", True),
        ("false", False),
    ],
    ids=str,
)
def test_when(when: str, runs: bool) -> None:
    """A condition decides whether its step runs; skipped by condition is a success of the run."""
    value = {"n": 3, "kind": "csv", "rows": [], "nothing": None, "yes": True}
    plan = PlanBuilder(limit=3).step("a", "echo", value=value).step("b", "echo", value=1, when=when).build()
    result = run(plan, ECHO)
    assert ("succeeded", "succeeded" if runs else "skipped") == (result.status, result.steps["b"].status)
    if not runs:
        assert f"its condition is false: {when}" == result.steps["b"].reason
        assert (None, 0, True) == (result.steps["b"].error, result.steps["b"].attempts, result.steps["b"].is_success)


def test_text_in_a_condition_is_a_value() -> None:
    """What a tool gave back is compared, never read as a part of the expression."""
    trap = ScriptedTool("trap", ["' or True or '"], read_only=True)
    plan = PlanBuilder().step("a", "trap").step("b", "echo", value=1, when="{{a.output}} == 'no'").build()
    assert "skipped" == run(plan, ECHO, trap.tool).steps["b"].status


@pytest.mark.parametrize(
    ("when", "kind", "message"),
    [
        ("{{a.output.n}} > 'text'", "condition", "cannot be decided"),
        ("{{a.output.missing}} > 1", "reference", "has no key `missing`"),
        ("{{a.output.rows[5]}} > 1", "reference", "has 0 elements"),
        ("{{a.output.n}} / 0 == 1", "condition", "division by zero"),
        ("len({{a.output.n}}) == 1", "condition", "takes text, a list or an object"),
        ("{{a.output.big}} * {{a.output.big}} > 1", "condition", "number that is too large"),
        ("{{a.output.text}} * 1000000000 == 1", "condition", "takes numbers"),
    ],
    ids=str,
)
def test_a_condition_that_cannot_be_decided(when: str, kind: str, message: str) -> None:
    """An error in a condition fails its step and takes its descendants along; the tool is never called."""
    value = {"n": 3, "rows": [], "big": 10**301, "text": "x"}
    never = ScriptedTool("never")
    plan = (
        PlanBuilder()
        .step("a", "echo", value=value)
        .step("b", "never", when=when)
        .step("c", "echo", value="{{b.output}}")
        .step("d", "echo", value=1)
        .build()
    )
    result = run(plan, ECHO, never.tool)
    assert {"a": "succeeded", "b": "failed", "c": "skipped", "d": "succeeded"} == statuses(result)
    assert {"a": None, "b": kind, "c": "skipped", "d": None} == kinds(result)
    error = result.steps["b"].error
    assert error is not None
    assert message in error.message
    assert [] == never.calls


# ---- skipping --------------------------------------------------------------------------------------------

SKIPPED = PlanBuilder().step("no", "echo", value=1, when="false").step("yes", "echo", value=2)


@pytest.mark.parametrize(
    ("step", "status", "output"),
    [
        ({"args": {"value": "{{no.output}}"}}, "skipped", None),
        ({"args": {"value": "text {{no.output}}"}}, "skipped", None),
        ({"args": {"value": {"deep": ["{{no.output.x}}"]}}}, "skipped", None),
        ({"args": {"value": 1}, "for_each": "{{no.output}}"}, "skipped", None),
        ({"args": {"value": 1}, "when": "{{no.output}} == 1"}, "skipped", None),
        ({"args": {"value": 1}, "depends_on": ["no"]}, "succeeded", 1),
        ({"args": {"value": "{{no.output ?? yes.output}}"}}, "succeeded", 2),
        ({"args": {"value": "{{yes.output ?? no.output}}"}}, "succeeded", 2),
        ({"args": {"value": "{{no.output ?? no.output}}"}}, "skipped", None),
        ({"args": {"value": "{{no.output ?? inputs.spare}}"}}, "succeeded", "spare"),
        ({"args": {"value": "{{no.output ?? no.status}}"}}, "succeeded", "skipped"),
        ({"args": {"value": "{{no.output ?? yes.output}}", "other": "{{no.output}}"}}, "skipped", None),
        ({"args": {"value": "{{no.status}}"}}, "succeeded", "skipped"),
        ({"args": {"value": "{{no.error}}"}}, "succeeded", None),
        ({"args": {"value": 3}, "when": "{{no.status}} == 'skipped'"}, "succeeded", 3),
        ({"args": {"value": 3}, "when": "{{no.output ?? yes.output}} == 2"}, "succeeded", 3),
    ],
    ids=str,
)
def test_after_a_step_that_was_skipped_by_condition(step: Any, status: str, output: Any) -> None:
    """Who uses its output is skipped too, unless `??` has something else; who only depends on it runs."""
    plan = Plan((*SKIPPED.build().steps, Step("x", "echo", **step)), inputs={"spare": "spare"})
    result = run(plan, ECHO)
    assert ("succeeded", status, output) == (result.status, result.steps["x"].status, result.steps["x"].output)
    if status == "skipped":
        assert "it uses `no`, which was skipped by its condition" == result.steps["x"].reason


def test_a_skip_passes_along_a_chain_of_references() -> None:
    """Every step that needs an output that will never be there is skipped, to the end of the chain."""
    builder = PlanBuilder().step("s0", "echo", value=1, when="false")
    for number in range(1, 200):
        builder.step(f"s{number}", "echo", value=f"{{{{s{number - 1}.output}}}}")
    result = run(builder.step("end", "echo", value="done", after=["s199"]).build(), ECHO)
    assert "succeeded" == result.status
    assert {"skipped"} == {step.status.value for name, step in result.steps.items() if name != "end"}
    assert "done" == result.steps["end"].output


def test_a_failure_takes_its_descendants_and_nobody_else() -> None:
    """Descendants of a failed step are skipped with the reason, also those that only ask for its status."""
    plan = (
        PlanBuilder()
        .step("bad", "fail")
        .step("uses", "echo", value="{{bad.output}}")
        .step("names", "echo", value=1, after=["bad"])
        .step("asks", "echo", value="{{bad.status}}")
        .step("spare", "echo", value="{{bad.output ?? good.output}}")
        .step("far", "echo", value="{{uses.output}}")
        .step("good", "echo", value="good")
        .step("both", "echo", value="{{good.output}}", after=["far"])
        .step("beside", "echo", value="{{good.output}}")
        .answer({"status": "{{bad.status}}", "why": "{{bad.error.message}}", "far": "{{far.status}}"})
        .build()
    )
    result, events = run_with_events(plan, ECHO, FAIL)
    skipped = {"uses", "names", "asks", "spare", "far", "both"}
    assert skipped == {name for name, status in statuses(result).items() if status == "skipped"}
    assert {"skipped because `bad` failed"} == {result.steps[name].reason for name in skipped}
    assert ("failed", "succeeded", "succeeded") == tuple(
        result.steps[name].status for name in ("bad", "good", "beside")
    )
    assert {"status": "failed", "why": "ValueError: it failed", "far": "skipped"} == result.answer
    assert not any(result.steps[name].is_success for name in skipped)
    assert skipped == {event.step_id for event in events if event.type == "step-skipped"}
    assert 6 == len([event for event in events if event.type == "step-skipped"])
    assert "6 later steps were skipped" in result.explain()
    with pytest.raises(StepExecutionError) as caught:
        result.raise_for_status()
    assert caught.value.result is result


# ---- for_each --------------------------------------------------------------------------------------------


def test_for_each_gives_the_list_in_order() -> None:
    """The step runs once per element, in parallel, and its output keeps the order of the list."""
    tool = ScriptedTool("slow", ["c", "a", "b"], takes_s=[3, 1, 2], read_only=True)
    plan = PlanBuilder().step("each", "slow", for_each=["x", "y", "z"], v="{{item}}", i="{{index}}").build()
    result, events = run_with_events(plan, tool.tool)
    step = result.steps["each"]
    assert (["c", "a", "b"], 3, 3_000) == (step.output, step.attempts, result.duration_ms)
    assert [{"v": v, "i": i} for i, v in enumerate("xyz")] == [call.args for call in tool.calls]
    assert [("each[0]", 3_000), ("each[1]", 1_000), ("each[2]", 2_000)] == [
        (e.step_id, e.latency_ms) for e in step.elements
    ]
    assert [
        "run-started",
        "step-expanded each",
        "step-started each[0]",
        "step-started each[1]",
        "step-started each[2]",
        "step-succeeded each[1]",
        "step-succeeded each[2]",
        "step-succeeded each[0]",
        "step-succeeded each",
        "run-finished",
    ] == lines(events)


def test_for_each_over_references() -> None:
    """A list from a step, a projection, an input, and a literal list with references in it."""
    plan = (
        PlanBuilder(names=["n1", "n2"])
        .step("a", "echo", value={"rows": [{"id": 1, "tags": ["p", "q"]}, {"id": 2, "tags": ["r"]}]})
        .step("rows", "echo", for_each="{{a.output.rows}}", value="{{item.id}}")
        .step("star", "echo", for_each="{{a.output.rows[*].id}}", value="#{{item}}/{{index}}")
        .step("tags", "echo", for_each="{{a.output.rows[*].tags}}", value="{{item[0]}}")
        .step("input", "echo", for_each="{{inputs.names}}", value="{{item}}")
        .step(
            "mixed", "echo", for_each=["x", "{{a.output.rows[0].id}}", {"k": "{{inputs.names[1]}}"}], value="{{item}}"
        )
        .step("nested", "echo", value=["{{tags.output}}", "{{rows.output[-1]}}"])
        .step("again", "echo", for_each="{{mixed.output}}", value="{{item}}")
        .build()
    )
    found = outputs(plan)
    assert [1, 2] == found["rows"]
    assert ["#1/0", "#2/1"] == found["star"]
    assert ["p", "r"] == found["tags"]
    assert ["n1", "n2"] == found["input"]
    assert ["x", 1, {"k": "n2"}] == found["mixed"] == found["again"]
    assert [["p", "r"], 2] == found["nested"]


def test_for_each_of_nothing() -> None:
    """An empty list is a success with an empty list, and calls nothing."""
    never = ScriptedTool("never")
    plan = (
        PlanBuilder(none=[])
        .step("a", "never", for_each="{{inputs.none}}", v="{{item}}")
        .step("b", "never", for_each="{{a.output}}", v="{{item}}")
        .step("c", "echo", value="{{b.output}}")
        .build()
    )
    result, events = run_with_events(plan, never.tool, ECHO)
    assert ("succeeded", [], [], []) == (result.status, *(result.steps[name].output for name in "abc"))
    assert [] == never.calls
    assert ["step-expanded a", "step-succeeded a", "step-expanded b", "step-succeeded b"] == lines(events)[1:5]


def test_when_is_decided_before_for_each() -> None:
    """A step whose condition is false never looks at its list."""
    plan = PlanBuilder().step("x", "echo", value="no list")
    plan = plan.step("a", "echo", when="1 > 2", for_each="{{x.output}}", value="{{item}}").build()
    assert {"x": "succeeded", "a": "skipped"} == statuses(run(plan, ECHO))


@pytest.mark.parametrize(
    ("value", "message"),
    [("text", 'the text "text"'), (5, "the number 5"), ({"a": 1}, "an object"), (None, "null"), (True, "true")],
    ids=str,
)
def test_for_each_over_something_else(value: Any, message: str) -> None:
    """What is no list fails the step and says what it was."""
    plan = (
        PlanBuilder()
        .step("a", "echo", value=value)
        .step("b", "echo", for_each="{{a.output}}", value="{{item}}")
        .step("c", "echo", value="{{b.output}}")
        .build()
    )
    result = run(plan, ECHO)
    assert {"a": "succeeded", "b": "failed", "c": "skipped"} == statuses(result)
    error = result.steps["b"].error
    assert error is not None
    assert ("reference", f"`for_each` needs a list, and {{{{a.output}}}} is {message}") == (error.kind, error.message)


def test_for_each_over_too_much() -> None:
    """The fan-out is bounded, and the bound is named."""
    plan = PlanBuilder().step("a", "echo", value=[1] * 6).step("b", "echo", for_each="{{a.output}}", value=1).build()
    error = run(plan, ECHO, limits=Limits(fan_out=5)).steps["b"].error
    assert error is not None
    assert "`for_each` got 6 elements, more than 5 (limit `fan_out`)" == error.message


def test_elements_that_fail() -> None:
    """The others finish; the step fails with an error per element, and what needs it is skipped."""

    async def odd(n: int) -> int:
        if n % 2:
            raise ValueError(f"{n} is odd")
        return n

    plan = (
        PlanBuilder()
        .step("each", "odd", for_each=[0, 1, 2, 3], n="{{item}}")
        .step("next", "echo", value="{{each.output}}")
        .answer({"error": "{{each.error}}"})
        .build()
    )
    result, events = run_with_events(plan, tool_of(odd), ECHO)
    step = result.steps["each"]
    assert {"each": "failed", "next": "skipped"} == statuses(result)
    assert step.error is not None
    assert ("elements", "ElementsError") == (step.error.kind, step.error.type)
    assert "2 of 4 elements did not succeed; [1]: ValueError: 1 is odd" == step.error.message
    assert {1: "ValueError: 1 is odd", 3: "ValueError: 3 is odd"} == {
        i: e.message for i, e in step.error.elements.items()
    }
    assert [0, None, 2, None] == [element.output for element in step.elements]
    assert ["succeeded", "failed"] * 2 == [element.status.value for element in step.elements]
    assert {"1", "3"} == result.answer["error"]["elements"].keys()
    assert ["step-failed each[1]", "step-failed each[3]", "step-failed each"] == [
        line for line in lines(events) if line.startswith("step-failed")
    ]


def test_retries_are_per_element() -> None:
    """Each element has its own retries; finished elements are never run again."""
    tries: dict[int, int] = {}

    async def flaky(n: int) -> int:
        tries[n] = tries.get(n, 0) + 1
        if tries[n] <= n:
            raise ConnectionError(f"try {tries[n]}")
        return n * 10

    plan = PlanBuilder().step("each", "flaky", for_each=[0, 1, 2, 3], n="{{item}}").build()
    step = run(plan, tool_of(flaky)).steps["each"]
    assert {0: 1, 1: 2, 2: 3, 3: 3} == tries
    assert [(0, 1), (10, 2), (20, 3), (None, 3)] == [(e.output, e.attempts) for e in step.elements]
    assert ("failed", 9) == (step.status, step.attempts)


def test_an_element_whose_effect_is_unknown() -> None:
    """One element with an unknown effect makes the step unknown and lets the run wait; the others finish."""
    tool = ScriptedTool("pay", ["a", "b", "c"], takes_s=[1, 100, 1], timeout_s=10)
    plan = (
        PlanBuilder().step("each", "pay", for_each=[1, 2, 3], n="{{item}}").step("next", "pay", after=["each"]).build()
    )
    result = run(plan, tool.tool)
    assert "waiting" == result.status
    assert {"each": "unknown", "next": "pending"} == statuses(result)
    assert ["succeeded", "unknown", "succeeded"] == [element.status.value for element in result.steps["each"].elements]


def test_an_element_with_a_bad_reference_fails_alone() -> None:
    """A path that one element does not have is that element's failure, and never reaches the tool."""
    tool = ScriptedTool("work", read_only=True)
    plan = (
        PlanBuilder(rows=[{"k": 1}, {}, {"k": 3}]).step("e", "work", for_each="{{inputs.rows}}", v="{{item.k}}").build()
    )
    step = run(plan, tool.tool).steps["e"]
    assert [{"v": 1}, None, {"v": 3}] == [element.output for element in step.elements]
    assert step.elements[1].error is not None
    assert ("reference", 2) == (step.elements[1].error.kind, len(tool.calls))


# ---- references and arguments ----------------------------------------------------------------------------


def test_values_keep_their_type() -> None:
    """A string that is one reference is the value itself, at any depth; inside text it is rendered."""
    value = {"n": 1, "f": 1.5, "t": True, "z": None, "l": [1, {"k": "é"}], "odd key": {"a.b": "x"}, "0": "zero"}
    cases = {
        "{{a.output}}": value,
        "{{ a }}": value,
        "{{a.output.n}}": 1,
        "{{a.output.t}}": True,
        "{{a.output.z}}": None,
        "{{a.output.l[-1].k}}": "é",
        "{{a.output.l.0}}": 1,
        '{{a.output["odd key"]["a.b"]}}': "x",
        "{{a.output.0}}": "zero",
        "n={{a.output.n}} t={{a.output.t}} z={{a.output.z}} l={{a.output.l}}": 'n=1 t=true z=null l=[1, {"k": "é"}]',
        "\\{{a.output}}": "{{a.output}}",
        "$1 {a} {{inputs.x}}": "$1 {a} x",
    }
    builder = PlanBuilder(x="x").step("a", "echo", value=value)
    for number, text in enumerate(cases):
        builder.step(f"s{number}", "echo", value={"deep": [text]})
    found = outputs(builder.build())
    assert list(cases.values()) == [found[f"s{number}"]["deep"][0] for number in range(len(cases))]


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("{{a.output.missing}}", "has no key `missing`; it has `rows`"),
        ("{{a.output.rows[7]}}", "has 1 element, so there is no [7]"),
        ("{{a.output.rows.id}}", "is a list, and `id` is a key"),
        ("{{a.output.rows[0].id.x}}", "is the number 1 and has no part .x"),
        ("{{a.output[*]}}", "is an object, and [*] needs a list"),
    ],
)
def test_a_reference_that_leads_nowhere_never_reaches_the_tool(reference: str, message: str) -> None:
    """The step fails with the path, what is there instead, and how to write it."""
    tool = ScriptedTool("work")
    plan = PlanBuilder().step("a", "echo", value={"rows": [{"id": 1}]}).step("b", "work", v=f"got {reference}").build()
    error = run(plan, ECHO, tool.tool).steps["b"].error
    assert error is not None
    assert ("reference", []) == (error.kind, tool.calls)
    assert message in error.message


def test_arguments_that_do_not_fit_never_reach_the_tool() -> None:
    """What a reference brings is checked against the tool's types before the call, and coerced."""
    called: list[Any] = []

    async def typed(n: int) -> int:
        called.append(n)
        return n

    plan = PlanBuilder().step("a", "echo", value=["5", "five"]).step("b", "typed", n="{{a.output[0]}}")
    plan = plan.step("c", "typed", n="{{a.output[1]}}").build()
    result = run(plan, ECHO, tool_of(typed))
    assert {"a": None, "b": None, "c": "arguments"} == kinds(result)
    assert [5] == called
    error = result.steps["c"].error
    assert error is not None
    assert "`n`: expected a valid integer" in error.message


# ---- answers and inputs ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("plan", "answer"),
    [
        (PlanBuilder().step("a", "echo", value=1).step("b", "echo", value="{{a.output}}2"), "12"),
        (PlanBuilder().step("a", "echo", value=1).step("b", "echo", value=2), {"a": 1, "b": 2}),
        (PlanBuilder().step("a", "echo", value=1).answer("is {{a.output}}"), "is 1"),
        (
            PlanBuilder().step("a", "echo", value=1).answer({"x": ["{{a.output}}", "{{a}}"], "n": None}),
            {"x": [1, 1], "n": None},
        ),
        (PlanBuilder().step("a", "echo", value=1).answer(None), None),
        (PlanBuilder().step("a", "echo", value=1).answer("{{a.output.x}}"), None),
        (PlanBuilder().step("a", "fail").answer("{{a.output}}"), None),
        (PlanBuilder().step("a", "fail").answer("{{a.status}}: {{a.error.message}}"), "failed: ValueError: it failed"),
        (PlanBuilder().step("a", "fail").step("b", "echo", value=2), None),
        (PlanBuilder().step("a", "fail").step("b", "echo", value=2).answer("{{b.output}}"), 2),
        (PlanBuilder().step("a", "fail").step("b", "echo", value=2).answer("{{a.output ?? b.output}}"), 2),
        (PlanBuilder().step("a", "echo", value=1, when="false"), None),
        (PlanBuilder().step("a", "echo", value=1, when="false").step("b", "echo", value=2), {"b": 2}),
        (PlanBuilder().step("a", "echo", value=1, when="false").answer("{{a.status}} {{a.error}}"), "skipped null"),
        (PlanBuilder(x=[1]).answer({"x": "{{inputs.x}}"}), {"x": [1]}),
        (PlanBuilder().answer("nothing to do"), "nothing to do"),
    ],
    ids=lambda value: value.build().to_json(None)[30:160] if isinstance(value, PlanBuilder) else None,
)
def test_answers(plan: PlanBuilder, answer: Any) -> None:
    """The plan's answer, else the only last step's output, else all last steps'; None where something is missing."""
    assert answer == run(plan.build(), ECHO, FAIL).answer


def test_the_answer_is_a_copy() -> None:
    """Changing the answer changes no step's output and no input."""
    plan = PlanBuilder(x=[1]).step("a", "echo", value=[1]).answer(["{{a.output}}", "{{inputs.x}}"]).build()
    result = run(plan, ECHO)
    result.answer[0].append(2)
    result.answer[1].append(2)
    assert ([1], {"x": [1]}) == (result.steps["a"].output, plan.inputs)


def test_inputs_override_the_defaults() -> None:
    """The caller's inputs replace the plan's, one by one, and are copied."""
    plan = PlanBuilder(a=1, b=[2]).step("s", "echo", value=["{{inputs.a}}", "{{inputs.b}}"]).build()
    given = {"b": [3]}
    result = run(plan, ECHO, inputs=given)
    assert [1, [3]] == result.steps["s"].output
    result.steps["s"].output[1].append(4)
    assert ({"b": [3]}, {"a": 1, "b": [2]}) == (given, plan.inputs)


def test_an_input_without_a_default_must_be_given() -> None:
    """A missing input is found before anything runs; given, it is as good as a default."""
    plan = PlanBuilder().step("s", "echo", value="{{inputs.a}}").build()
    with pytest.raises(PlanValidationError, match="unknown-reference"):
        run(plan, ECHO)
    assert 5 == run(plan, ECHO, inputs={"a": 5}).answer


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (float("nan"), "input `a` cannot be used: its value is nan"),
        ([object()], r"input `a` cannot be used: its value\[0\] is an object"),
        (10**5_000, "input `a` cannot be used: its value is a whole number of more than"),
    ],
    ids=["nan", "object", "number"],
)
def test_an_input_that_is_no_json(value: Any, message: str) -> None:
    """Inputs are values like any other: what has no JSON form is the caller's mistake."""
    plan = PlanBuilder().step("s", "echo", value="{{inputs.a}}").build()
    with pytest.raises(UsageError, match=message):
        run(plan, ECHO, inputs={"a": value})


def test_an_input_that_becomes_json() -> None:
    """Paths, tuples and the like are taken as what they are in JSON."""
    from pathlib import PurePosixPath

    plan = PlanBuilder().step("s", "echo", value="{{inputs.a}}").build()
    assert ["x/y.csv", [1, 2]] == run(plan, ECHO, inputs={"a": (PurePosixPath("x/y.csv"), (1, 2))}).answer
