"""Toolboxes: what they are made of, how they are joined, what is refused."""

from __future__ import annotations

import json
import operator
import types
from typing import Any

import pytest

from planloom.errors import ToolDefinitionError
from planloom.tools import Tool, Toolbox, tool


def add(a: int, b: int) -> int:
    """Add."""
    return a + b


@tool(read_only=True)
def look(path: str) -> str:
    """Look."""
    return path


@tool(name="look")
def other_look(path: str) -> str:
    """Look elsewhere."""
    return path


@pytest.mark.parametrize(
    ("tools", "words"),
    [
        ([look, other_look], "two tools are called `look`"),
        ([3], "holds tools and functions, not 3"),
        (["add"], "not 'add'"),
        ("add", "not 'add'"),
        (3, "not 3"),
        (None, "not None"),
        ({"add": 3}, "not 3"),
        ({3: add}, "name must be a text"),
        ({"": add}, "name must not be empty"),
        ([lambda: 1], "a lambda has no name"),
    ],
)
def test_what_cannot_be_a_toolbox_is_refused(tools: Any, words: str) -> None:
    """One message that says what a toolbox is made of, from the constructor and from `of`."""
    for make in (Toolbox, Toolbox.of):
        with pytest.raises(ToolDefinitionError, match=words):
            make(tools)


def test_two_tools_under_one_name_are_refused_when_joined() -> None:
    """A plan could not say which it means; the same tool twice is no conflict."""
    with pytest.raises(ToolDefinitionError, match="with_facts"):
        Toolbox([look]) + Toolbox([other_look])
    assert 1 == len(Toolbox([look]) | Toolbox([look]))


def test_a_toolbox_is_a_mapping_that_cannot_change() -> None:
    """By name, in order."""
    box = Toolbox([add, look])
    assert ["add", "look"] == list(box)
    assert look is box["look"]
    assert isinstance(box["add"], Tool)
    assert (True, False, None) == ("add" in box, "sub" in box, box.get("sub"))
    with pytest.raises(TypeError):
        box["add"] = look  # type: ignore[index]
    with pytest.raises(KeyError):
        box["sub"]
    assert "<Toolbox add, look>" == repr(box)


module = types.ModuleType("holder")
module.__dict__.update(look=look, again=look, box=Toolbox([add]), plain=add, number=3, Tool=Tool)


@pytest.mark.parametrize(
    ("source", "names"),
    [
        (Toolbox([add]), ["add"]),
        ([add, look], ["add", "look"]),
        ((add, Toolbox([look])), ["add", "look"]),
        ((item for item in (add, look)), ["add", "look"]),
        (
            {"plus": add, "look": look, "peek": look, "double": lambda a: a * 2},
            ["plus", "look", "peek", "double"],
        ),
        (module, ["look", "add"]),
        (add, ["add"]),
        (look, ["look"]),
        ([], []),
        ({}, []),
    ],
)
def test_a_toolbox_of_anything(source: Any, names: list[str]) -> None:
    """Lists, dicts whose names win, modules, single tools."""
    box = Toolbox.of(source)
    assert names == list(box) == [made.name for made in box.values()]


def test_tools_are_kept_and_not_made_again() -> None:
    """Only another name makes another tool."""
    box = Toolbox.of({"look": look, "peek": look})
    assert look is box["look"]
    assert ("peek", True, look.function) == (box["peek"].name, box["peek"].read_only, box["peek"].function)
    assert box is Toolbox.of(box)


def test_boxes_are_joined_from_either_side() -> None:
    """`+` and `|` take whatever `of` takes."""
    box = Toolbox([look])
    assert ["look", "add"] == list(operator.add(box, [add])) == list(box | {"add": add})
    assert ["add", "look"] == list(operator.add([add], box)) == list({"add": add} | box)


def test_boxes_with_the_same_tools_are_equal() -> None:
    """So that a verdict about one holds for the other."""
    one, two = Toolbox([look, other_look.with_facts(name="b")]), Toolbox([look])
    assert Toolbox([look]) == two
    assert hash(Toolbox([look])) == hash(two)
    assert one != two
    assert {"look": look} != two


def test_the_description_is_json() -> None:
    """What `planloom tools --json` prints."""
    described = Toolbox([look, add]).describe()
    assert ["look", "add"] == [one["name"] for one in json.loads(json.dumps(described))]
    assert {
        "name", "description", "parameters", "returns", "read_only", "idempotent", "destructive",
        "open_world", "calls_model",
        "timeout_s", "retries", "max_concurrency", "expected_s", "run_in", "writes", "version", "cache",
    } == described[0].keys()  # fmt: skip
