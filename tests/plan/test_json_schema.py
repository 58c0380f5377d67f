"""The JSON Schema of a plan: strict, and with one branch per tool for whatever holds tools."""

from __future__ import annotations

import subprocess
import sys
import types
from typing import Any

import pytest
from jsonschema_rs import validator_for

from planloom import Plan, Tool, Toolbox, ToolDefinitionError, tool


def search(query: str, limit: int = 10) -> list[str]:
    """Find pages."""
    raise AssertionError("a schema runs nothing")


@tool
def save(path: str) -> None:
    """Write a file."""
    raise AssertionError("a schema runs nothing")


MODULE = types.ModuleType("some_tools")
MODULE.__dict__.update(search=Tool.from_function(search), save=save, other=search)
# each way to name the same two tools
SOURCES: dict[str, Any] = {
    "a toolbox": Toolbox([search, save]),
    "a dict of functions": {"search": search, "save": save},
    "a dict of tools": {"search": Tool.from_function(search), "save": save},
    "a list": [search, save],
    "a generator": (each for each in (search, save)),
    "a toolbox in a list": [search, Toolbox([save])],
    "a module": MODULE,
}


def fits(schema: dict[str, Any], *steps: dict[str, Any]) -> bool:
    complete = [{"description": "d", "depends_on": [], **step} for step in steps]
    return validator_for(schema, offline=True).is_valid({"version": 1, "goal": "g", "steps": complete})


@pytest.mark.parametrize("name", SOURCES)
def test_whatever_holds_tools_is_a_toolbox(name: str) -> None:
    """The schema is the same however the tools are given."""
    assert Plan.json_schema(Toolbox([search, save])) == Plan.json_schema(SOURCES[name])


def test_a_step_is_one_of_the_tools() -> None:
    """Tools, names and types of arguments are fixed, and a reference may stand for any value."""
    schema = Plan.json_schema({"search": search})
    assert fits(schema, {"id": "a", "tool": "search", "args": {"query": "tea", "limit": "{{inputs.limit}}"}})
    for args in ({}, {"query": "tea", "limit": "three"}, {"query": "tea", "more": 1}):
        assert not fits(schema, {"id": "a", "tool": "search", "args": args})
    assert not fits(schema, {"id": "a", "tool": "save", "args": {"path": "x"}})


def test_the_name_in_the_dict_is_the_one_that_plans_use() -> None:
    """A function or tool under another name is called by that name."""
    for source in (search, Tool.from_function(search)):
        schema = Plan.json_schema({"look.up": source})
        assert fits(schema, {"id": "a", "tool": "look.up", "args": {"query": "tea"}})
        assert not fits(schema, {"id": "a", "tool": "search", "args": {"query": "tea"}})


def test_one_function_is_a_toolbox_of_one() -> None:
    """A function or tool alone will do."""
    assert Plan.json_schema([search]) == Plan.json_schema(search)


@pytest.mark.parametrize("empty", [{}, [], Toolbox()], ids=str)
def test_without_tools_there_are_no_steps(empty: Any) -> None:
    """With a toolbox that holds nothing only a plan without steps is valid."""
    assert fits(Plan.json_schema(empty))
    assert not fits(Plan.json_schema(empty), {"id": "a", "tool": "search", "args": {}})


def test_without_a_toolbox_any_tool_may_be_called() -> None:
    """Fields are strict, arguments are open."""
    assert fits(Plan.json_schema(), {"id": "a", "tool": "any", "args": {"x": [1]}})
    assert not fits(Plan.json_schema(), {"id": "a", "tool": "any", "args": {}, "extra": 1})


@pytest.mark.parametrize("source", [{"search": 3}, [None], "search", 5], ids=str)
def test_what_is_no_tool_is_refused(source: Any) -> None:
    """The caller's mistake is an exception that says what a toolbox is made of."""
    with pytest.raises(ToolDefinitionError, match="a toolbox holds tools and functions"):
        Plan.json_schema(source)


@pytest.mark.parametrize("home", ["planloom", "planloom.plan.model"])
def test_functions_will_do_before_anything_else_is_imported(home: str) -> None:
    """The tools are loaded when functions are to become tools, whichever way the plan came in, and not before."""
    program = (
        f"import sys; from {home} import Plan; Plan.json_schema(); assert 'planloom.tools' not in sys.modules; "
        "print(Plan.json_schema({'f': lambda x: x})['properties']['steps']['items']['oneOf'][0]['properties']['tool'])"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, timeout=60)
    assert ("{'const': 'f'}\n", "") == (done.stdout, done.stderr)
