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
