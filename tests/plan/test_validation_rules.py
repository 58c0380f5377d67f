"""Rules that hold for all issues: order, bounds, what is kept, what is checked without tools."""

# ruff: noqa: E501 - one case is one line

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from typing import Any

import pytest

from planloom import Plan, PlanFormatError, PlanValidationError, Step, Tool, Toolbox, find_issues, validate_plan
from planloom.plan import validation
from planloom.plan.limits import Limits
from planloom.tools import checks


def never(**arguments: Any) -> None:
    raise AssertionError("validation runs nothing")


def step(id: str, depends_on: list[str] | None = None, tool: str = "t", **more: Any) -> dict[str, Any]:
    return {"id": id, "description": "d", "tool": tool, "args": {}, "depends_on": depends_on or [], **more}


TOOL = Tool.from_schema(name="t", parameters={"type": "object"}, function=never)


def codes(issues: Any) -> list[str]:
    return [issue.code for issue in issues]


def test_issues_come_in_the_order_of_the_plan() -> None:
    """By step, and within a step by rule; the plan's own last."""
    plan = {
        "steps": [step("a", ["x"]), step("b", [], tool="u"), step("c", ["y"], colour=1), step("a")],
        "answer": "{{zzz}}",
    }
    issues = find_issues(plan, [TOOL])
    assert [
        "/steps/0/depends_on/0", "/steps/1/tool", "/steps/2/colour", "/steps/2/depends_on/0", "/steps/3/id", "/answer",
    ] == [issue.path for issue in issues]  # fmt: skip


def test_the_order_does_not_depend_on_the_hash_seed() -> None:
    """The same plan gives the same issues in every process."""
    program = textwrap.dedent(
        """
        from planloom import find_issues, Tool
        tools = [Tool.from_schema(name=n, parameters={"type": "object", "properties": {p: {} for p in "zyx"},
                 "required": list("zyx")}, function=lambda **k: None) for n in ("save", "load", "find")]
        plan = [{"id": i, "tool": t, "args": {"q" + i: "{{" + d + ".output}}"}, "depends_on": [d, "no" + d], "f" + i: 1}
                for i, t, d in (("a", "sav", "c"), ("b", "load", "a"), ("c", "lod", "b"), ("c", "find", "e"))]
        print([issue.to_dict() for issue in find_issues(plan, tools)])
        """
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program], env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True, text=True, check=True,
        ).stdout
        for seed in ("0", "1", "2")
    }  # fmt: skip
    assert 1 == len(outputs)
    assert "unknown-tool" in outputs.pop()


def test_the_verdict_is_kept_with_the_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    """One plan and one toolbox are judged once; other tools, inputs or limits are another question."""
    calls: list[Any] = []

    def counted(*args: Any) -> Any:
        calls.append(args)
        return validation.inspect_plan(*args)

    monkeypatch.setattr(checks, "inspect_plan", counted)
    plan = Plan.from_json([step("a", ["b"])])
    toolbox = Toolbox([TOOL])
    first = find_issues(plan, toolbox)
    first.append("the caller's own copy")  # type: ignore[arg-type]
    assert ["unknown-dependency"] == codes(find_issues(plan, toolbox)) == codes(find_issues(plan, Toolbox([TOOL])))
    with pytest.raises(PlanValidationError):
        validate_plan(plan, toolbox)
    assert 1 == len(calls)
    find_issues(plan)
    find_issues(plan, toolbox, inputs={"x": 1})
    find_issues(plan, toolbox, inputs={"x": 1})
    find_issues(plan, toolbox, limits=Limits(issues=5))
    assert 4 == len(calls)


def test_without_a_toolbox_only_what_needs_none_is_checked() -> None:
    """Neither tools nor arguments nor types are complained about."""
    plan = [
        step("a", tool="whatever"),
        {**step("b", ["a"]), "args": {"x": "{{a.output.anything}}", "y": "<your name>"}},
    ]
    assert ["placeholder"] == codes(find_issues(plan))
    assert ["unknown-tool", "unknown-tool", "placeholder"] == codes(find_issues(plan, []))


def test_what_may_stand_for_a_toolbox() -> None:
    """A dict of functions, a list of functions, one function."""

    def greet(name: str) -> str:
        return name

    plan = [{**step("a", tool="greet"), "args": {"name": 1}}]
    for toolbox in ({"greet": greet}, [greet], greet, Toolbox([greet])):
        assert ["argument-type"] == codes(find_issues(plan, toolbox))


def test_the_callers_inputs_stand_over_the_plans() -> None:
    """A missing input is given by the caller; a wrong default is overridden."""
    text = Tool.from_schema(
        name="t", parameters={"type": "object", "properties": {"x": {"type": "string"}}}, function=never
    )
    plan = {
        "inputs": {"a": 1},
        "steps": [{**step("s"), "args": {"x": "{{inputs.a}}"}}, {**step("r"), "args": {"x": "{{inputs.b}}"}}],
    }
    assert ["reference-type", "unknown-reference"] == codes(find_issues(plan, [text]))
    assert [] == find_issues(plan, [text], inputs={"a": "text", "b": "more"})
    assert ["reference-type"] == codes(find_issues(plan, [text], inputs={"a": "text", "b": [1]}))


HANDLE = {"type": "object", "properties": {"artifact": {"type": "string"}, "rows": {"type": "integer"}},
          "required": ["artifact", "rows"]}  # fmt: skip
ROWS = {"type": "array", "items": {"type": "object"}}


@pytest.mark.parametrize(
    ("properties", "hint"),
    [
        ({"rows": ROWS, "table": HANDLE}, "take the key of it that fits: {{a.output.table}}"),
        ({"rows": ROWS, "odd key": HANDLE}, 'take the key of it that fits: {{a.output["odd key"]}}'),
        ({"left": HANDLE, "right": HANDLE}, None),
        ({"rows": ROWS}, None),
    ],
)
def test_an_object_for_what_it_holds(properties: dict[str, Any], hint: str | None) -> None:
    """Where an object is given for another that it holds, the hint names the one key that fits, and never guesses."""
    whole = {"type": "object", "properties": properties, "required": list(properties)}
    maker = Tool.from_schema(name="make", parameters={"type": "object"}, returns=whole, function=lambda: None)
    taker = Tool.from_schema(
        name="take",
        parameters={"type": "object", "properties": {"data": HANDLE}, "required": ["data"]},
        function=lambda data: None,
    )
    for text in ("{{a.output}}", "{{a}}"):
        plan = [{**step("a"), "tool": "make"}, {**step("b", ["a"]), "tool": "take", "args": {"data": text}}]
        (issue,) = find_issues(plan, [maker, taker])
        assert ("reference-type", hint) == (issue.code, issue.hint)


def test_errors_come_before_warnings_when_there_are_too_many() -> None:
    """A thousand warnings cannot hide the one error; the last issue counts what is not listed."""
    steps = [{"id": f"s{i}", "tool": "t", "args": {}, "depends_on": []} for i in range(50)]
    issues = find_issues([*steps, step("last", ["nobody"])], [TOOL], limits=Limits(issues=10))
    assert ["missing-field"] * 9 + ["unknown-dependency", "limit"] == codes(issues)
    assert ("warning", "41 more issues are not listed (limit `issues`: 10)") == (
        issues[-1].severity,
        issues[-1].message,
    )
    issues = find_issues([step(f"s{i}", ["nobody"]) for i in range(50)], [TOOL], limits=Limits(issues=10))
    assert ["unknown-dependency"] * 10 + ["limit"] == codes(issues)
    assert "error" == issues[-1].severity


def test_hints_are_a_budget() -> None:
    """Look-ups cost more than checks, so there are only so many."""
    steps = [step("first"), *[step(f"s{i}", ["frist"]) for i in range(20)]]
    hinted = [issue.hint for issue in find_issues(steps, limits=Limits(hints=5)) if issue.hint]
    assert ["did you mean `first`?"] * 5 == hinted


@pytest.mark.parametrize(
    ("limits", "plan", "path"),
    [
        (Limits(steps=1), [step("a"), step("b")], "/steps"),
        (Limits(depth=2), [{**step("a"), "args": {"x": [[[1]]]}}], "/steps/0/args/x"),
        (Limits(name_chars=5), [{**step("a"), "args": {"x": {"abcdef": {}}}}], "/steps/0/args/x"),
        (Limits(condition_chars=5), [step("a", when="true or true")], "/steps/0/when"),
        (Limits(references=1), [{**step("a"), "args": {"x": "{{inputs.a}}{{inputs.a}}"}}], "/steps/0/args/x"),
        (Limits(fan_out=1), [step("a", for_each=[1, 2])], "/steps/0/for_each"),
        (Limits(depth=2), {"steps": [step("a")], "answer": [[[1]]]}, "/answer"),
        (Limits(depth=2), {"steps": [step("a")], "inputs": {"x": [[[1]]]}}, "/inputs/x"),
    ],
    ids=str,
)
def test_limits_can_be_set_lower(limits: Limits, plan: Any, path: str) -> None:
    """Every bound on a plan is one field of `Limits`, and going past it is an issue at its place."""
    assert [] == [issue for issue in find_issues(plan, inputs={"a": 1}) if issue.severity == "error"]
    assert ("limit", path) in {(issue.code, issue.path) for issue in find_issues(plan, inputs={"a": 1}, limits=limits)}


def test_warnings_alone_pass() -> None:
    """`validate_plan` raises for errors, with all issues, warnings included."""
    validate_plan([{"id": "a", "tool": "t"}], [TOOL])
    with pytest.raises(PlanValidationError) as caught:
        validate_plan([{"id": "a", "tool": "u"}], [TOOL])
    assert {"error", "warning"} == {issue.severity for issue in caught.value.issues}
    assert "plan rejected: 1 problem\n" in str(caught.value)
    with pytest.raises(PlanFormatError):
        validate_plan("no plan", [TOOL])


def test_steps_from_python_are_checked_like_any_other() -> None:
    """A plan need not come from JSON."""
    plan = Plan((Step("a", "t", {"x": "{{b.output}}"}), Step("inputs", "u", timeout_s=3)))
    assert {"unknown-dependency", "unknown-reference", "invalid-id", "unknown-tool"} == set(
        codes(find_issues(plan, [TOOL]))
    )


def writer(position: int, path: Any, depends_on: list[str] | None = None, **more: Any) -> dict[str, Any]:
    return {**step(f"w{position}", depends_on, tool="save", **more), "args": {"path": path} if path else {}}


SAVE = Tool.from_schema(
    name="save",
    parameters={
        "type": "object",
        "properties": {"path": {"type": ["string", "integer"], "default": "out.txt"}, "mode": {"type": "string"}},
    },
    writes=("file:{path}",),
    function=never,
)


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([writer(0, "a"), writer(1, "b")], []),
        ([writer(0, "a"), writer(1, "a")], ["error /steps/1/args"]),
        ([writer(0, "a"), writer(1, "a"), writer(2, "a")], ["error /steps/1/args", "error /steps/2/args"]),
        ([writer(1, "a", ["w0"]), writer(0, "a")], []),
        ([writer(0, "a"), step("m", ["w0"], tool="t"), writer(1, "a", ["m"])], []),
        ([writer(0, None), writer(1, "out.txt")], ["error /steps/1/args"]),
        ([writer(0, 7), writer(1, "7")], ["error /steps/1/args"]),
        ([writer(0, "x/../a"), writer(1, "./a")], ["error /steps/1/args"]),
        ([writer(0, "{{inputs.p}}"), writer(1, "in.txt")], ["error /steps/1/args"]),
        ([writer(0, "dir/{{t.output}}"), writer(1, "dir/a"), step("t")], ["warning /steps/1/args"]),
        ([writer(0, "dir/{{t.output}}"), writer(1, "other/a"), step("t")], []),
        ([writer(0, "{{item}}", for_each=["a", "b"])], []),
        ([writer(0, "a", for_each=["a", "b"])], ["error /steps/0/for_each"]),
        ([writer(0, "a", for_each=["a"])], []),
        ([writer(0, "a", for_each="{{t.output}}"), step("t")], ["warning /steps/0/for_each"]),
        ([writer(0, "a", when="1 > 0"), writer(1, "a", when="1 <= 0")], ["warning /steps/1/args"]),
        ([writer(0, "a", when="1 > 0"), writer(1, "a")], ["error /steps/1/args"]),
        ([writer(i, "{{t.output}}") for i in range(5)] + [step("t")], [f"warning /steps/{i}/args" for i in range(1, 5)]),
    ],
    ids=str,
)  # fmt: skip
def test_conflicts(steps: list[dict[str, Any]], expected: list[str]) -> None:
    """Two steps that may run at once and write one resource; a warning where a reference hides the resource."""
    plan = {"inputs": {"p": "in.txt"}, "steps": steps}
    issues = [issue for issue in find_issues(plan, [TOOL, SAVE]) if issue.code == "conflict"]
    assert expected == [f"{issue.severity} {issue.path}" for issue in issues], [issue.render() for issue in issues]
