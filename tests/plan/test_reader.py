"""JSON in: what is taken for a plan, what is refused, and that nothing written is lost."""

from __future__ import annotations

import copy
import dataclasses
import enum
import json
import pickle
from collections import OrderedDict
from types import MappingProxyType
from typing import Any

import pytest

from planloom import MISSING, Plan, PlanFormatError, Step, Toolbox, find_issues
from planloom.plan.limits import Limits

STEP = {"id": "a", "description": "d", "tool": "t", "args": {"x": "{{inputs.n}}"}, "depends_on": []}
OTHER = {"id": "b", "description": "e", "tool": "t", "args": {"y": ["{{a.output}}"]}, "depends_on": ["a"]}
PLAN = {"version": 1, "goal": "g", "inputs": {"n": 1}, "steps": [STEP, OTHER], "answer": "{{b.output}}"}

SHAPES: list[tuple[str, Any, dict[str, Any]]] = [
    ("the plan itself", PLAN, {}),
    ("as text", json.dumps(PLAN), {}),
    ("as bytes", json.dumps(PLAN).encode(), {}),
    ("as a bytearray", bytearray(json.dumps(PLAN).encode()), {}),
    ("with a byte order mark", b"\xef\xbb\xbf" + json.dumps(PLAN).encode(), {}),
    ("with a byte order mark, as text", "\ufeff" + json.dumps(PLAN), {}),
    ("with white space around", f"\n\t {json.dumps(PLAN)} \r\n", {}),
    ("with letters beyond ASCII", json.dumps(PLAN, ensure_ascii=False).encode("utf-8"), {}),
    ("a bare array", [STEP, OTHER], {"goal": "", "inputs": {}, "answer": MISSING}),
    ("a bare array as text", json.dumps([STEP, OTHER]), {"goal": "", "inputs": {}, "answer": MISSING}),
    ("a tuple of dicts", (STEP, OTHER), {"goal": "", "inputs": {}, "answer": MISSING}),
    (
        "a list of Step",
        [Step("a", "t", {"x": "{{inputs.n}}"}, [], "d"), OTHER],
        {"goal": "", "inputs": {}, "answer": MISSING},
    ),
    ("other kinds of mapping", OrderedDict(PLAN, steps=(MappingProxyType(STEP), OTHER)), {}),
    *[
        (f"under `{name}`", {"goal": "g", "inputs": {"n": 1}, name: [STEP, OTHER]}, {"answer": MISSING})
        for name in ("plan", "calls", "tasks", "nodes", "actions", "tool_calls", "my steps")
    ],
    ("wrapped once", {"plan": {"goal": "g", "inputs": {"n": 1}, "steps": [STEP, OTHER]}}, {"answer": MISSING}),
    (
        "wrapped, with fields outside",
        {"goal": "g", "plan": {"inputs": {"n": 1}, "tasks": [STEP, OTHER]}},
        {"answer": MISSING},
    ),
    ("wrapped twice", {"plan": {"steps": PLAN}}, {}),
    ("null for what is absent", {**PLAN, "version": None}, {}),
]


@pytest.mark.parametrize(("source", "differences"), [case[1:] for case in SHAPES], ids=[case[0] for case in SHAPES])
def test_what_is_a_plan(source: Any, differences: dict[str, Any]) -> None:
    """The same plan in many clothes."""
    whole = Plan((Step(**STEP), Step(**OTHER)), "g", {"n": 1}, "{{b.output}}")  # type: ignore[arg-type]
    assert dataclasses.replace(whole, **differences) == Plan.from_json(source)


REFUSED: list[tuple[str, Any, str, str]] = [
    ("nothing", "", "the text is empty", "wrong-field-type"),
    ("white space", " \n", "the text is empty", "wrong-field-type"),
    ("prose", "Here is your plan:", "line 1, column 1", "wrong-field-type"),
    ("a fence", "```json\n[]\n```", "line 1, column 1", "wrong-field-type"),
    ("an unclosed list", '[{"id": "a"}', "line 1, column 13", "wrong-field-type"),
    ("a trailing comma", "[1,]", "is not JSON", "wrong-field-type"),
    ("two values", "[] []", "Extra data", "wrong-field-type"),
    ("single quotes", "[{'id': 'a'}]", "line 1, column 3", "wrong-field-type"),
    ("NaN", '{"steps": [], "answer": NaN}', "NaN is not a JSON number", "wrong-field-type"),
    ("an infinity", '{"steps": [], "answer": -Infinity}', "-Infinity is not a JSON number", "wrong-field-type"),
    ("another encoding", "[]".encode("utf-16"), "is not UTF-8", "wrong-field-type"),
    ("a number", "42", "this is the number 42", "wrong-field-type"),
    ("a text", '"plan"', 'this is the text "plan"', "wrong-field-type"),
    ("null", "null", "this is null", "wrong-field-type"),
    ("an empty object", "{}", "holds no list of steps", "wrong-field-type"),
    ("no list", '{"goal": "g", "answer": [1]}', "holds no list of steps", "wrong-field-type"),
    ("a list of inputs alone", '{"inputs": [1]}', "holds no list of steps", "wrong-field-type"),
    ("steps that are text", '{"steps": "a, b"}', "`steps` is a list of steps; this is the text", "wrong-field-type"),
    (
        "steps that are null",
        '{"steps": null, "plan": []}',
        "`steps` is a list of steps; this is null",
        "wrong-field-type",
    ),
    ("one step", STEP, "one step, not a list of steps", "wrong-field-type"),
    ("two lists", {"first": [], "second": []}, "several lists could be the steps", "wrong-field-type"),
    (
        "wrapped too often",
        {"plan": {"plan": {"plan": {"plan": {"steps": []}}}}},
        "holds no list of steps",
        "wrong-field-type",
    ),
    ("too deep", "[" * 100_000, "nested too deep", "limit"),
    ("a file", 3, "not an int", "wrong-field-type"),
]


@pytest.mark.parametrize(("source", "words", "code"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_what_is_no_plan(source: Any, words: str, code: str) -> None:
    """One exception with one issue that says where the text stops being a plan."""
    with pytest.raises(PlanFormatError) as caught:
        Plan.from_json(source)
    assert [code] == [issue.code for issue in caught.value.issues]
    assert words in str(caught.value)


def test_the_size_of_the_text_is_a_limit() -> None:
    """In bytes, before anything is parsed."""
    with pytest.raises(PlanFormatError, match="more than 100 bytes"):
        Plan.from_json("[" + " " * 100 + "]", Limits(text_bytes=100))
    with pytest.raises(PlanFormatError, match="more than 100 bytes"):
        Plan.from_json([{"id": "a" * 101}], Limits(text_bytes=100))


def test_what_was_given_is_copied() -> None:
    """The caller may go on changing their dicts."""
    source = copy.deepcopy(PLAN)
    plan = Plan.from_json(source)
    source["steps"][0]["args"]["x"] = "changed"  # type: ignore[index]
    source["inputs"]["n"] = 2  # type: ignore[index]
    assert Plan.from_json(PLAN) == plan


class Colour(enum.StrEnum):
    RED = "red"


def test_objects_become_plain_json() -> None:
    """Enums of text, tuples, numbers as keys: as `json.dumps` would write them."""
    plan = Plan.from_json([{**STEP, "args": {"c": Colour.RED, "t": (1, 2), 3: "x", None: 0, True: 1, 1.5: 2}}])
    assert {"c": "red", "t": [1, 2], "3": "x", "null": 0, "true": 1, "1.5": 2} == plan.steps[0].args
    assert str is type(plan.steps[0].args["c"])


DEFECTIVE: list[Any] = [
    5, None, "text", [1], {}, {"id": 5, "tool": None, "args": [], "depends_on": "x", "when": 1, "for_each": 2},
    {**STEP, "timeout_s": 0}, {**STEP, "retries": -1}, {**STEP, "colour": "red"}, {**STEP, "depends_on": ["x", 1]},
    {**STEP, "description": 7}, {**STEP, "id": ""}, {**STEP, "args": "x"},
]  # fmt: skip


@pytest.mark.parametrize("raw", DEFECTIVE, ids=str)
def test_defective_steps_are_kept_as_they_were_written(raw: Any) -> None:
    """A defect is for validation to name; what was written comes back unchanged."""
    plan = Plan.from_json([raw, OTHER])
    assert raw == plan.to_dict()["steps"][0]
    again = Plan.from_json(plan.to_json())
    assert plan == again
    assert find_issues(plan) == find_issues(again)
    assert any(issue.path.startswith("/steps/0") for issue in find_issues(plan))
    assert plan == pickle.loads(pickle.dumps(plan)) == copy.deepcopy(plan)


@pytest.mark.parametrize("source", [PLAN, [STEP], {"steps": [], "answer": None}, [{"id": "a", "tool": "t"}]], ids=str)
def test_round_trip(source: Any) -> None:
    """`from_json(to_json())` is the same plan, and so is a pickled one."""
    plan = Plan.from_json(source)
    assert plan == Plan.from_json(plan.to_json()) == Plan.from_json(plan.to_dict())
    assert hash(plan) == hash(Plan.from_json(plan.to_json(indent=None)))
    assert plan == pickle.loads(pickle.dumps(plan))


def test_an_answer_of_null_is_an_answer() -> None:
    """Absent and null differ."""
    assert Plan.from_json({"steps": [], "answer": None}).answer is None
    assert Plan.from_json({"steps": []}).answer is MISSING
    assert "answer" not in Plan.from_json([STEP]).to_dict()


def test_missing_description_and_depends_on_are_filled_in() -> None:
    """With the tool's name and the referenced steps, in the order in which they appear; each with a warning."""
    plan = Plan.from_json(
        [
            {
                "id": "c",
                "tool": "t",
                "args": {"x": ["{{b}}", {"y": "{{a}} {{b}}"}], "z": "{{d.output}}"},
                "when": "{{e.status}} == 1",
            },
            *[{**STEP, "id": name} for name in "abde"],
        ]
    )
    assert ("t", ("b", "a", "d", "e")) == (plan.steps[0].description, plan.steps[0].depends_on)
    warnings = [(issue.code, issue.path) for issue in find_issues(plan, inputs={"n": 1}) if issue.severity == "warning"]
    assert [("missing-field", "/steps/0/description"), ("missing-field", "/steps/0/depends_on")] == warnings


def test_optional_fields_may_be_null() -> None:
    """As strict providers write what is absent."""
    step = Plan.from_json([{**STEP, "when": None, "for_each": None, "timeout_s": None, "retries": None}]).steps[0]
    assert (None, None, None, None, MISSING) == (step.when, step.for_each, step.timeout_s, step.retries, step.source)
    assert STEP == step.to_dict()


def test_a_step_can_be_replaced() -> None:
    """`dataclasses.replace` makes a step anew: its references are read again, and old defects are gone."""
    step = Plan.from_json([{**STEP, "retries": -1}]).steps[0]
    mended = dataclasses.replace(step, args={"x": "{{b.output}}"}, retries=1, depends_on=None)
    assert (("b",), 1, MISSING) == (mended.depends_on, mended.retries, mended.source)
    assert ("b",) == mended.wiring().step_ids


def test_a_plan_is_passed_on_as_it_is() -> None:
    """Reading a plan that was read costs nothing."""
    plan = Plan.from_json(PLAN)
    assert plan is Plan.from_json(plan)
    assert plan.step("b") is plan.steps[1]
    with pytest.raises(KeyError):
        plan.step("z")


def test_too_many_steps_are_a_limit() -> None:
    """The rest is not read, and that is said."""
    plan = Plan.from_json([{**STEP, "id": f"s{i}"} for i in range(5)], Limits(steps=3))
    assert 3 == len(plan.steps)
    assert [("limit", "/steps")] == [
        (issue.code, issue.path) for issue in find_issues(plan, Toolbox([]), inputs={"n": 1})
    ][-1:]


def test_defects_of_the_plan_itself_are_named() -> None:
    """Each with its place; what can be used is used."""
    plan = Plan.from_json({"version": 3, "goal": 5, "inputs": [1], "steps": [STEP], "extra": 1, "final_answer": 2})
    assert [
        ("wrong-field-type", "/version"), ("wrong-field-type", "/goal"), ("wrong-field-type", "/inputs"),
        ("unknown-field", "/extra"), ("unknown-field", "/final_answer"),
    ] == [(defect.code, defect.path) for defect in plan.defects]  # fmt: skip
    assert (1, "", {}) == (plan.version, plan.goal, plan.inputs)
