"""Playbooks: typed inputs, every problem at once, and a file that reads back as it was written."""

from __future__ import annotations

import json
from typing import Any

import pytest

from planloom import Plan, UsageError
from planloom.plan.playbook import TYPES, Playbook, PlaybookInput

PLAN = {"goal": "Greet", "steps": [{"id": "a", "tool": "greet", "args": {"name": "{{inputs.name}}"}}]}


def playbook(**inputs: Any) -> Playbook:
    return Playbook.from_json(json.dumps({"version": 1, "inputs": inputs, "plan": PLAN}), "greet")


@pytest.mark.parametrize(
    ("text", "reasons"),
    [
        ("{", ["not valid JSON"]),
        ("[]", ["not a JSON object"]),
        ("[" * 100_000, ["not valid JSON"]),
        ('{"version": 2}', ["it has no `plan`", "its version is 2"]),
        ('{"plan": 3}', ["its plan cannot be read"]),
        ('{"plan": {"steps": []}, "inputs": 3}', ["`inputs` is not an object"]),
        ('{"plan": {"steps": []}, "inputs": {"a b": "text", "c": 3, "d": {"type": "colour"}, "e": {"type": "number", '
         '"default": "x"}, "f": {"typ": 1}, "g": {"description": 1}}}',
         ["`a b` cannot name an input", "input `c` is not an object", '`d` has the type "colour"; types are text',
          'default of input `e` is "x", not a number', "`f` has an unknown member `typ`", "description of input `g`"]),
        ('{"plan": {"steps": []}, "name": "../x", "tools": 1, "steps": []}',
         ["`../x` cannot be its name", "`tools` is not text", "unknown member `steps`"]),
        ('{"plan": {"steps": []}, "inputs": {"a": {"type": "number", "minimum": "1"}, "b": {"type": "text", "maximum": '
         '2}, "c": {"enum": 3}, "d": {"type": "integer", "enum": [1, 1.5]}, "e": {"type": "number", "minimum": 2, '
         '"default": 1}, "f": {"type": "text", "enum": ["x", "y"], "default": "z"}}}',
         ['`minimum` of input `a` is "1", not a number', "`maximum` of input `b` is for numbers, and its type is text",
          "`enum` of input `c` is 3, not a list of 1 to 100", "`enum` of input `d` holds 1.5, not a whole number",
          "the default of input `e` is 1, not a number, at least 2",
          'the default of input `f` is "z", not text, one of "x", "y"']),
    ],
)  # fmt: skip
def test_unreadable(text: str, reasons: list[str]) -> None:
    """What is wrong with a playbook is said at once, in one message."""
    with pytest.raises(UsageError) as caught:
        Playbook.from_json(text, "p")
    assert [] == [reason for reason in reasons if reason not in str(caught.value)]


def test_every_problem_with_inputs_at_once() -> None:
    """Missing, wrong and unknown inputs are one sentence, with the nearest name and what to write."""
    book = playbook(path="file", rows={"type": "integer"}, share={"type": "number", "default": 0.5}, title="text")
    with pytest.raises(UsageError) as caught:
        book.bind({"pth": "x", "rows": 2.5, "share": True})
    said, _, hint = str(caught.value).partition("\n")
    assert (
        "playbook `greet`: it has no input `pth` (did you mean `path`?); input `path` (file) is missing; "
        "input `rows` takes a whole number, not 2.5; input `share` takes a number, not true; input `title` (text) is "
        "missing"
    ) == said
    assert "hint: --input path=… --input title=…" == hint


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        ("text", "", 3), ("file", "a.csv", " "), ("number", 2, "2"), ("number", -1.5, float("inf")),
        ("integer", 7, 7.5),
        ("boolean", False, 0), ("list", [], {}), ("object", {}, []), ("any", None, None),
    ],
)  # fmt: skip
def test_types(kind: str, good: Any, bad: Any) -> None:
    """Each type takes what its name says."""
    book = playbook(x={"type": kind})
    assert {"x": good} == book.bind({"x": good})
    if kind != "any":
        with pytest.raises(UsageError, match="input `x` takes"):
            book.bind({"x": bad})
    assert kind in TYPES


@pytest.mark.parametrize(
    ("facts", "good", "bad", "takes"),
    [
        ({"type": "number", "exclusiveMinimum": 0}, 0.1, 0, "a number, above 0"),
        ({"type": "integer", "minimum": 0, "maximum": 20}, 20, 21, "a whole number, at least 0, at most 20"),
        ({"type": "integer", "minimum": 0}, 0, -1, "a whole number, at least 0"),
        ({"type": "number", "exclusiveMaximum": 1}, 0.5, 1, "a number, below 1"),
        ({"type": "text", "enum": ["html", "md"]}, "md", "pdf", 'text, one of "html", "md"'),
        ({"type": "any", "enum": [1, None]}, None, True, "anything, one of 1, null"),
    ],
)
def test_constraints(facts: dict[str, Any], good: Any, bad: Any, takes: str) -> None:
    """An input may be limited as in JSON Schema, and says so; the limits are kept when the playbook is written."""
    book = playbook(x=facts)
    assert {"x": good} == book.bind({"x": good})
    with pytest.raises(UsageError) as caught:
        book.bind({"x": bad})
    assert f"playbook `greet`: input `x` takes {takes}, not {json.dumps(bad)}" == str(caught.value)
    assert facts.items() <= Playbook.from_json(book.to_json(), "greet").to_dict()["inputs"]["x"].items()


def test_whole_numbers() -> None:
    """A whole number may be written as a float and becomes an int."""
    assert {"x": 3} == playbook(x={"type": "int"}).bind({"x": 3.0})


def test_texts_of_a_command_line() -> None:
    """Text is never read as JSON, so that a code such as 007 or `true` stays as it is; other types are."""
    book = playbook(code="text", path="path", n="number", flag="bool", names="list", what="any")
    pairs = [("code", "007"), ("path", "1.50"), ("n", "2.5"), ("flag", "true"), ("names", '["a"]'), ("what", "x y")]
    read = book.read_texts(pairs)
    assert {"code": "007", "path": "1.50", "n": 2.5, "flag": True, "names": ["a"], "what": "x y"} == read
    assert read == book.bind(read)


def test_defaults() -> None:
    """A default stands in for an input that is not given, null too."""
    book = playbook(a={"type": "any", "default": None}, b={"type": "integer", "default": 4})
    assert {"a": None, "b": 4} == book.bind({})
    assert [False, False] == [given.is_required for given in book.inputs]


def test_round_trip() -> None:
    """A playbook reads back as it was written."""
    book = playbook(path={"type": "file", "description": "The file"}, n={"type": "number", "default": 3.0})
    assert book == Playbook.from_json(book.to_json(), "other")
    assert "greet" == book.name


def test_of_plan() -> None:
    """A plan becomes a playbook whose inputs have the types and the values that the plan has."""
    inputs = {"a": "x", "b": 2, "c": 2.5, "d": True, "e": [1], "f": {"g": 1}, "h": None}
    book = Playbook.of_plan(Plan.from_json({**PLAN, "inputs": inputs}), "p", tools="t.py")
    kinds = ["text", "integer", "number", "boolean", "list", "object", "any"]
    assert kinds == [given.type for given in book.inputs]
    assert inputs == book.bind({})
    assert ("Greet", "t.py") == (book.description, Playbook.from_json(book.to_json(), "p").tools)


def test_inputs_are_values() -> None:
    """Two inputs that say the same are equal."""
    assert PlaybookInput("a", "text") == PlaybookInput("a", "text")
