"""Arguments against a tool's schema, with references that may stand for any value."""

# ruff: noqa: E501 - one case is one line

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from planloom import Tool, find_issues

REF = "{{s.output}}"


def never(**arguments: Any) -> None:
    raise AssertionError("validation runs nothing")


def codes(schema: dict[str, Any], args: dict[str, Any], **root: Any) -> list[str]:
    parameters = {"type": "object", "properties": {"x": schema}, **root}
    tools = [
        Tool.from_schema(name="t", parameters=parameters, function=never),
        Tool.from_schema(name="source", parameters=None, function=never),
    ]
    plan = [
        {"id": "s", "description": "d", "tool": "source", "args": {}, "depends_on": []},
        {"id": "a", "description": "d", "tool": "t", "args": args, "depends_on": ["s"]},
    ]
    return [f"{issue.code} {issue.path.removeprefix('/steps/1/args')}" for issue in find_issues(plan, tools)]


A = {"type": "object", "properties": {"kind": {"const": "a"}, "n": {"type": "integer"}}, "required": ["kind", "n"]}
B = {"type": "object", "properties": {"kind": {"const": "b"}, "m": {"type": "string"}}, "required": ["kind", "m"]}
EITHER = {"oneOf": [A, B]}
TREE = {"$ref": "#/$defs/tree"}
DEFS = {
    "$defs": {
        "tree": {"type": "object", "properties": {"v": {"type": "integer"}, "kids": {"type": "array", "items": TREE}}}
    }
}

# schema of the argument x, its value, what is wrong, further keys of the parameters
CASES: list[tuple[dict[str, Any], Any, list[str], dict[str, Any]]] = [
    ({"type": "integer"}, REF, [], {}),
    ({"type": "integer"}, 1, [], {}),
    ({"type": "integer"}, 1.0, [], {}),
    ({"type": "integer"}, "1", ["argument-type /x"], {}),
    ({"enum": ["a"]}, REF, [], {}),
    ({"enum": ["a"]}, "b", ["argument-type /x"], {}),
    ({"const": 5}, REF, [], {}),
    ({"type": "string", "pattern": "^a"}, REF, [], {}),
    ({"type": "string", "pattern": "^a"}, "b", ["argument-type /x"], {}),
    ({"type": "string", "maxLength": 3}, REF, [], {}),
    ({"type": "array", "items": {"type": "integer"}}, REF, [], {}),
    ({"type": "array", "items": {"type": "integer"}}, [1, REF], [], {}),
    ({"type": "array", "items": {"type": "integer"}}, [1, REF, "x"], ["argument-type /x/2"], {}),
    ({"type": "array", "items": {"type": "integer"}, "minItems": 2}, [REF], ["argument-type /x"], {}),
    ({"type": "array", "prefixItems": [{"type": "integer"}]}, [REF], [], {}),
    ({"type": "array", "prefixItems": [{"type": "integer"}]}, ["x"], ["argument-type /x/0"], {}),
    ({"type": "array", "contains": {"type": "integer"}}, [REF], [], {}),
    ({"type": "array", "contains": {"type": "integer"}}, ["x"], ["argument-type /x"], {}),
    ({"type": "object", "additionalProperties": {"type": "integer"}}, {"k": REF}, [], {}),
    ({"type": "object", "additionalProperties": {"type": "integer"}}, {"k": "x"}, ["argument-type /x/k"], {}),
    ({"type": "object", "patternProperties": {"^k": {"type": "integer"}}}, {"k": REF}, [], {}),
    ({"type": "object", "propertyNames": {"maxLength": 2}}, {"kkk": 1}, ["argument-type /x"], {}),
    (EITHER, {"kind": "a", "n": 1}, [], {}),
    (EITHER, {"kind": "a", "n": "x"}, ["argument-type /x/n"], {}),
    (EITHER, {"kind": "b", "m": 1}, ["argument-type /x/m"], {}),
    (EITHER, {"kind": "c"}, ["argument-type /x/kind"], {}),
    (EITHER, {"kind": "b"}, ["argument-type /x"], {}),
    (EITHER, 3, ["argument-type /x"], {}),
    ({"anyOf": [EITHER, {"type": "null"}]}, {"kind": "b", "m": 1}, ["argument-type /x/m"], {}),
    ({"oneOf": [{"type": "integer"}, {"minimum": 0}]}, 1, ["argument-type /x"], {}),
    ({"oneOf": [{"type": "integer"}, {"minimum": 0}]}, REF, [], {}),
    (EITHER, {"kind": REF, "n": 1, "m": "x"}, [], {}),
    (EITHER, {"kind": REF, "n": REF}, [], {}),
    (EITHER, REF, [], {}),
    ({"not": {"type": "string"}}, REF, [], {}),
    ({"not": {"type": "string"}}, "x", ["argument-type /x"], {}),
    ({"not": {"properties": {"k": {"type": "string"}}, "required": ["k"]}, "type": "object"}, {"k": REF}, [], {}),
    ({"if": {"properties": {"k": {"const": 1}}}, "then": {"required": ["l"]}, "else": False}, {"k": REF}, [], {}),
    ({"if": {"properties": {"k": {"const": 1}}}, "then": {"required": ["l"]}}, {"k": 1}, ["argument-type /x"], {}),
    ({"allOf": [{"type": "object"}, {"properties": {"k": {"type": "integer"}}}]}, {"k": REF}, [], {}),
    (TREE, {"v": 1, "kids": [{"v": REF, "kids": [REF, {"v": "x"}]}]}, ["argument-type /x/kids/0/kids/1/v"], DEFS),
    (TREE, REF, [], DEFS),
    ({"$ref": "#/properties/y/properties/z"}, "x", ["argument-type /x"], {"properties": {
        "x": {"$ref": "#/properties/y/properties/z"}, "y": {"type": "object", "properties": {"z": {"type": "integer"}}}}}),
    ({"$ref": "#/properties/y/oneOf/0"}, REF, [], {"properties": {
        "x": {"$ref": "#/properties/y/oneOf/0"}, "y": {"oneOf": [{"type": "integer"}, {"type": "null"}]}}}),
    ({"type": "integer", "description": "\\{{"}, "\\{{x", ["argument-type /x"], {}),
    ({"type": ["integer", "null"]}, None, [], {}),
    ({"type": "integer"}, None, ["argument-type /x"], {}),
    ({"type": "integer", "minimum": 3}, 2, ["argument-type /x"], {}),
    ({}, {"any": ["thing", REF]}, [], {}),
]  # fmt: skip


@pytest.mark.parametrize(("schema", "value", "expected", "root"), CASES, ids=str)
def test_arguments_and_references(
    schema: dict[str, Any], value: Any, expected: list[str], root: dict[str, Any]
) -> None:
    """A reference passes wherever some value would; what is written out is checked as the schema says."""
    assert expected == codes(schema, {"x": value}, **root)


@pytest.mark.parametrize(
    ("parameters", "args", "expected"),
    [
        ({"properties": {"a": {}}}, {"b": 1}, ["unknown-argument /b"]),
        ({"properties": {"a": {}}, "additionalProperties": True}, {"b": 1}, []),
        ({"properties": {"a": {}}, "additionalProperties": {"type": "integer"}}, {"b": "x"}, ["argument-type /b"]),
        ({"properties": {"a": {}}, "additionalProperties": False}, {"b": 1}, ["unknown-argument /b"]),
        ({"properties": {}}, {"b": 1}, ["unknown-argument /b"]),
        ({}, {"b": 1}, []),
        ({"patternProperties": {"^b": {"type": "integer"}}, "additionalProperties": False}, {"b": 1}, []),
        ({"patternProperties": {"^b": {"type": "integer"}}, "additionalProperties": False}, {"b": "x"}, ["argument-type /b"]),
        ({"properties": {"a": {}}, "anyOf": [{"properties": {"b": {}}, "required": ["b"]}]}, {"b": 1}, []),
        ({"$ref": "#/$defs/p", "$defs": {"p": {"properties": {"b": {"type": "integer"}}}}}, {"b": "x"}, ["argument-type /b"]),
        ({"properties": {"a": {}}, "required": ["a", "b"]}, {}, ["missing-argument /a", "missing-argument /b"]),
        ({"properties": {"a": {"type": "integer"}}, "required": ["a"]}, {"a": "x", "c": 1},
         ["unknown-argument /c", "argument-type /a"]),
        ({"properties": {"a": {}}, "minProperties": 1}, {}, ["argument-type "]),
        ({"properties": {"a": {}, "b": {}}, "dependentRequired": {"a": ["b"]}}, {"a": 1}, []),
    ],
    ids=str,
)  # fmt: skip
def test_names_of_arguments(parameters: dict[str, Any], args: dict[str, Any], expected: list[str]) -> None:
    """Declared properties are the whole list, unless the schema says otherwise anywhere."""
    tool = Tool.from_schema(name="t", parameters={"type": "object", **parameters}, function=never)
    plan = [{"id": "a", "description": "d", "tool": "t", "args": args, "depends_on": []}]
    found = [f"{issue.code} {issue.path.removeprefix('/steps/0/args')}" for issue in find_issues(plan, [tool])]
    assert expected == found


def test_a_schema_that_cannot_be_compiled_checks_names_alone() -> None:
    """Never an exception from `find_issues`: the call itself will tell."""

    class Odd:
        name, description, returns, read_only, writes, expected_s = "odd", "", None, False, (), None
        parameters: ClassVar = {"type": "object", "properties": {"x": {"pattern": "(?P<n>a)(?P=n"}}, "required": ["x"]}

    from planloom.plan.model import Plan
    from planloom.plan.validation import inspect_plan

    plan = Plan.from_json([{"id": "a", "description": "d", "tool": "odd", "args": {}, "depends_on": []}])
    assert ["missing-argument"] == [issue.code for issue in inspect_plan(plan, {"odd": Odd()})]
