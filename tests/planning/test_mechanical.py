"""Mechanical mends: made where a plan can be meant in one way only, reported, and good for validation."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plan_cases import FIXTURES, shared_lines, shared_text

from planloom import Plan, Tool, Toolbox, find_issues
from planloom.errors import PlanFormatError
from planloom.plan.issues import has_errors
from planloom.planning import Mend, mend_mechanically, read_plan_text

CASES: list[dict[str, Any]] = json.loads((FIXTURES / "mechanical.json").read_text(encoding="utf-8"))
MAX_ROUNDS = 5


def never(**arguments: Any) -> None:
    raise AssertionError("nothing is run here")


def object_of(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": [], "additionalProperties": False}


def list_of(element: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": element}


def tool(
    name: str, parameters: dict[str, Any], returns: dict[str, Any] | None = None, required: tuple[str, ...] = ()
) -> Tool:
    return Tool.from_schema(
        name=name, parameters={**parameters, "required": list(required)}, function=never, returns=returns
    )


TEXT, WHOLE, NUMBER, FLAG = ({"type": name} for name in ("string", "integer", "number", "boolean"))
HITS = list_of(object_of(title=TEXT, score=NUMBER))
TOOLS = Toolbox(
    [
        tool("web_search", object_of(query=TEXT, max_hits=WHOLE), object_of(hits=HITS, total=WHOLE), ("query",)),
        tool("summarise", object_of(texts=list_of(TEXT), ratio=NUMBER, short=FLAG, limits=list_of(WHOLE)), TEXT),
        tool("echo", object_of(value=TEXT), TEXT, ("value",)),
        tool("opaque", {"type": "object", "additionalProperties": True}),
        tool(
            "either",
            object_of(a={"anyOf": [TEXT, NUMBER]}, nested=object_of(n=WHOLE, many=list_of(object_of(n=WHOLE)))),
        ),
        tool("odd-name", object_of(**{"first name": TEXT, "First_Name": TEXT})),
    ]
)


def mended(plan: Plan, toolbox: Toolbox | None = TOOLS) -> tuple[Plan, list[Mend]]:
    """Mend and validate in turn until no mend comes back, as a caller does."""
    told: list[Mend] = []
    for _ in range(MAX_ROUNDS):
        changed, mends = mend_mechanically(plan, find_issues(plan, toolbox), toolbox)
        if not mends:
            assert changed is plan
            return plan, told
        told += mends
        plan = changed
    raise AssertionError(f"no end of mends: {mends}")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["about"])
def test_case(case: dict[str, Any]) -> None:
    """A plan becomes the expected one with the expected mends, and keeps the issues that nobody can mend."""
    before = Plan.from_json(case["plan"])
    written = json.dumps(case["plan"])
    plan, mends = mended(before)
    document = plan.to_dict()
    expected = {**case["plan"], **case.get("becomes", {})}
    assert expected["steps"] == [
        {name: value for name, value in step.items() if name in wanted}
        for step, wanted in zip(document["steps"], expected["steps"], strict=True)
    ]
    assert expected.get("answer") == document.get("answer")
    assert case["mends"] == [[mend.path, mend.message] for mend in mends]
    left = [f"{issue.code} {issue.path}" for issue in find_issues(plan, TOOLS) if issue.severity == "error"]
    assert case.get("left", []) == left
    assert json.loads(written) == case["plan"], "the plan that was given is not changed"


def test_without_toolbox_tools_are_left_alone() -> None:
    """Without a toolbox only what the plan itself shows is mended."""
    plan = Plan.from_json('[{"id": "a", "tool": "Web Search", "args": {"Query": "x"}}]')
    changed, mends = mend_mechanically(plan, find_issues(plan), None)
    assert ["/steps/0/depends_on"] == [mend.path for mend in mends]
    assert "Web Search" == changed.steps[0].tool


def test_no_issues_no_mends() -> None:
    """A plan without issues comes back as the same object."""
    plan = Plan.from_json([{"id": "a", "description": "d", "tool": "echo", "args": {"value": "x"}, "depends_on": []}])
    assert (plan, []) == mend_mechanically(plan, find_issues(plan, TOOLS), TOOLS)
    assert mend_mechanically(plan, [], TOOLS)[0] is plan


def test_issues_of_another_plan_do_no_harm() -> None:
    """Issues whose places are not in the plan are passed over."""
    broken = Plan.from_json(
        [{"id": f"s{n}", "tool": "Echo", "args": {"Value": 5}, "depends_on": ["x"]} for n in range(4)]
    )
    plan = Plan.from_json({"steps": ["text", {"id": "a", "tool": "echo", "args": {"value": "x"}, "depends_on": []}]})
    changed, _ = mend_mechanically(plan, find_issues(broken, TOOLS), TOOLS)
    assert plan.steps[1] == changed.steps[1]


def test_what_was_lost_stays_an_issue() -> None:
    """A cut-off end is not mended away: the mended plan still carries the issue."""
    plan = read_plan_text('[{"id": "a", "tool": "Echo", "args": {"value": "x"}}, {"id": "b", "to').plan
    changed, mends = mended(plan)
    assert mends
    assert [("missing-field", "/steps/1")] == [
        (i.code, i.path) for i in find_issues(changed, TOOLS) if i.severity == "error"
    ]


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.integers(3, 8), st.integers(0, 3), st.data())
def test_a_plan_counted_from_the_wrong_number_is_put_right(count: int, first: int, data: st.DataObject) -> None:
    """References that are all off by one become right when only one shift makes them so, and else nothing changes."""
    sources = [data.draw(st.integers(0, position - 1)) for position in range(1, count)]

    def plan(shift: int) -> Plan:
        steps: list[dict[str, Any]] = [
            {"id": f"s{first}", "tool": "opaque", "args": {}, "depends_on": [], "description": "d"}
        ]
        for position, source in enumerate(sources, 1):
            name = f"s{first + source + shift}"
            steps.append({"id": f"s{first + position}", "tool": "opaque", "args": {"x": f"{{{{{name}.output}}}}"}})
            steps[-1] |= {"depends_on": [name], "description": "d"}
        return Plan.from_json(steps)

    if first == 0:
        assert (plan(0), []) == mended(plan(0))
    off_by_one = plan(1)
    changed, mends = mended(off_by_one)
    # a plan that is valid as it stands, or as it would be another way, is no obvious slip
    if has_errors(find_issues(off_by_one, TOOLS)):
        assert plan(0) == changed
        assert mends
    else:
        assert off_by_one == changed


def as_a_model_writes(plan: dict[str, Any], goal: str, style: int) -> str:
    """A TaskBench plan in one of the forms that models use."""
    if style == 0:
        return json.dumps(plan)
    if style == 1:
        return f"Here is the plan:\n```json\n{json.dumps(plan, indent=2)}\n```\nHope this helps!"
    if style == 2:
        return f"plan = {plan!r}"
    steps = [
        {"id": f"s{n}", "tool": node["task"], "args": node.get("arguments"), "description": goal}
        for n, node in enumerate(plan["task_nodes"])
    ]
    if style == 3:
        return json.dumps({"goal": goal, "steps": steps})
    if style == 4:
        return "\n".join(json.dumps(step) for step in steps)
    return json.dumps({"goal": goal, "calls": steps})[: -(len(goal) % 150) - 3]


def test_every_taskbench_plan_is_mended_or_refused_with_issues() -> None:
    """986 plans that small models wrote, in one of six forms: read, mended, and valid or refused; no exception."""
    tools: list[Tool] = []
    for spec in json.loads(shared_text("taskbench_huggingface_tools.json")):
        counts: Counter[str] = Counter(spec["input-type"])
        names = [kind if n == 1 else f"{kind}_{n}" for kind in counts for n in range(1, counts[kind] + 1)]
        name = spec["id"].replace(" ", "_").lower()
        tools.append(tool(name, object_of(**dict.fromkeys(names, TEXT)), required=tuple(names)))
    toolbox = Toolbox(tools)
    figures: Counter[str] = Counter()
    for number, record in enumerate(shared_lines("taskbench_huggingface_llm.jsonl")):
        style = number % 6
        text = as_a_model_writes(record["llm_plan"], record["goal"], style)
        try:
            read = read_plan_text(text)
        except PlanFormatError:
            assert style == 5, "only what was cut off before its first step holds no plan"
            figures["no plan"] += 1
            continue
        if style < 5:
            assert len(record["llm_plan"]["task_nodes"]) == len(read.plan.steps)
        plan, mends = mended(read.plan, toolbox)
        figures["read"] += 1
        figures["mended"] += bool(mends)
        figures["valid" if not has_errors(find_issues(plan, toolbox)) else "refused with issues"] += 1
    print(f"\nTaskBench as models write: {dict(figures)}")
    assert 986 == figures["read"] + figures["no plan"]
    assert figures["valid"] >= 80
