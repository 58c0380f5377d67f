"""NESTFUL: 300 plans over three collections of tools, 16 of them truly faulty, with the final answer."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from planloom import Issue, Tool, Toolbox, find_issues

COLLECTIONS = ("executable", "glaive", "sgd")
ARGUMENTS = ("parameters", "query_parameters", "path_parameters", "arguments")
KINDS = {
    "string": "string", "enum": "string", "file": "string", "date (yyyy-mm-dd)": "string", "number": "number",
    "float": "number", "integer": "integer", "boolean": "boolean", "array": "array", "object": "object",
}  # fmt: skip
CODES = {
    "tool not in spec": {"unknown-tool"},
    "reference to a missing label": {"unknown-reference", "unknown-dependency"},
    "duplicate label": {"duplicate-id"},
}


def never(**arguments: Any) -> None:
    raise AssertionError("validation runs nothing")


def schema_of(described: Any) -> dict[str, Any]:
    """One argument or output in any of the three notations: a type's name, a description, or allowed values."""
    if isinstance(described, str):
        described = {"type": described}
    schema: dict[str, Any] = {}
    if kind := KINDS.get(str(described.get("type", "")).lower()):
        schema["type"] = kind
    if isinstance(described.get("properties"), dict):
        schema["properties"] = {name: schema_of(part) for name, part in described["properties"].items()}
    if isinstance(described.get("items"), dict):
        schema["items"] = schema_of(described["items"])
    if isinstance(described.get("allowed_values"), list) and described["allowed_values"]:
        schema["enum"] = described["allowed_values"]
    return schema


def convert(spec: dict[str, Any]) -> Tool:
    described = {name: part for field in ARGUMENTS for name, part in spec.get(field, {}).items()}
    return Tool.from_schema(
        name=spec["name"],
        description=spec["description"],
        parameters={
            "type": "object",
            "properties": {name: schema_of(part) for name, part in described.items()},
            "required": [name for name, part in described.items() if part.get("required") is True],
        },
        returns={
            "type": "object",
            "properties": {name: schema_of(part) for name, part in spec["output_parameters"].items()},
        },
        function=never,
    )


def by_name_alone(tools: Toolbox) -> Toolbox:
    """The same names, taking and giving anything: the labels speak of tools and references, not of arguments."""
    anything = {"type": "object", "additionalProperties": True}
    return Toolbox([Tool.from_schema(name=name, parameters=anything, function=never) for name in tools])


@pytest.fixture(scope="module")
def toolboxes(data_file: Any) -> dict[str, Toolbox]:
    """The toolbox of each collection; a few tools stand in it twice."""
    return {
        name: Toolbox({spec["name"]: convert(spec) for spec in data_file(f"plans/nestful_tools_{name}.json")})
        for name in COLLECTIONS
    }


def errors_of(record: dict[str, Any], toolbox: Toolbox) -> list[Issue]:
    plan = {"goal": record["goal"], "steps": record["plan"], "answer": record["result"]["args"]}
    return [issue for issue in find_issues(plan, toolbox) if issue.severity == "error"]


def test_clean_plans_are_accepted_and_each_fault_is_named(data_file: Any, toolboxes: dict[str, Toolbox]) -> None:
    """284 of 284 clean plans without an error, and every label of the other 16 under its own code."""
    named = {collection: by_name_alone(toolbox) for collection, toolbox in toolboxes.items()}
    accepted = 0
    caught: Counter[str] = Counter()
    wrong: dict[str, Any] = {}
    for record in data_file("plans/nestful.jsonl"):
        errors = errors_of(record, named[record["id"].split("-")[1]])
        codes = {issue.code for issue in errors}
        allowed = {code for label in record["labels"] for code in CODES[label]}
        for label in record["labels"]:
            caught[label] += bool(codes & CODES[label])
        if codes - allowed:
            wrong[record["id"]] = (record["labels"], [issue.render() for issue in errors])
        accepted += not errors
    print(f"\nNESTFUL: {accepted} of 284 clean plans accepted; found {dict(caught)}")
    assert {} == wrong
    assert accepted == 284
    assert {"tool not in spec": 10, "reference to a missing label": 6, "duplicate label": 4} == dict(caught)


def test_typed_tools_find_where_the_gold_plans_break_their_own_specification(
    data_file: Any, toolboxes: dict[str, Toolbox]
) -> None:
    """With full schemas 122 of the 284 are wrong about names, kinds or outputs of arguments (read one by one).

    Such as `geoId` for `locationId`, the text "time" for a boolean, a list where one text is asked for. Nothing
    but arguments and types is complained about.
    """
    broken = 0
    about_types = {"unknown-argument", "missing-argument", "argument-type", "reference-path", "reference-type"}
    for record in data_file("plans/nestful.jsonl"):
        if not record["labels"]:
            errors = errors_of(record, toolboxes[record["id"].split("-")[1]])
            assert {issue.code for issue in errors} <= about_types
            broken += bool(errors)
    print(f"\nNESTFUL: {broken} of 284 gold plans do not fit their own tools' schemas")
    assert broken == 122
