"""The JSON Schema of a plan (draft 2020-12), for planner models, editors and anybody who writes plans.

Without tools, `args` is any object. With tools, a step is one branch per tool with that tool's own
arguments, loosened so that a reference may stand for any value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from planloom.plan.references import RESERVED_IDS, STEP_ID
from planloom.plan.step import PLAN_VERSION
from planloom.plan.tool_checks import REFERENCE_PATTERN, loosened
from planloom.plan.tool_spec import ToolSpec

_REFERENCE: Final = {
    "type": "string",
    "pattern": REFERENCE_PATTERN,
    "description": "A reference such as {{load.output.rows[0]}}.",
}
_LOCAL: Final = "#/$defs/"


def plan_schema(tools: Mapping[str, ToolSpec] | None = None) -> dict[str, Any]:
    """Return the schema of a plan; see `Plan.json_schema`."""
    definitions: dict[str, Any] = {}
    if tools is None:
        step = _step_schema({"type": "string", "minLength": 1}, {"type": "object"}, "One tool call.")
    else:
        step = {"oneOf": [_tool_branch(tool, definitions) for tool in tools.values()]} if tools else False
    schema: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Plan",
        "type": "object",
        "properties": {
            "version": {"const": PLAN_VERSION},
            "goal": {"type": "string"},
            "inputs": {"type": "object", "description": "Default values for {{inputs.name}}."},
            "steps": {"type": "array", "items": step},
            "answer": {"description": "Any value with references: what the run answers."},
        },
        "required": ["steps"],
        "additionalProperties": False,
    }
    if definitions:
        schema["$defs"] = definitions
    return schema


def _step_schema(tool: dict[str, Any], args: dict[str, Any], description: str) -> dict[str, Any]:
    return {
        "type": "object",
        "description": description,
        "properties": {
            "id": {"type": "string", "pattern": f"^{STEP_ID.pattern}$", "not": {"enum": sorted(RESERVED_IDS)}},
            "description": {"type": "string", "description": "What the step is for, in a few words."},
            "tool": tool,
            "args": args,
            "depends_on": {
                "type": "array",
                "items": {"type": "string"},
                "description": "Ids of the steps that must end first.",
            },
            "when": {
                "type": ["string", "null"],
                "description": "Run the step only if this holds, for example {{check.output.rows}} > 0.",
            },
            "for_each": {
                "anyOf": [{"type": "array"}, _REFERENCE, {"type": "null"}],
                "description": "Run the step once per element, with {{item}} and {{index}}.",
            },
            "timeout_s": {"type": ["number", "null"], "exclusiveMinimum": 0},
            "retries": {"type": ["integer", "null"], "minimum": 0},
        },
        "required": ["id", "description", "tool", "args", "depends_on"],
        "additionalProperties": False,
    }


def _tool_branch(tool: ToolSpec, definitions: dict[str, Any]) -> dict[str, Any]:
    parameters = _moved(loosened(tool.parameters), tool.name, definitions)
    if "properties" in parameters:
        parameters.setdefault("additionalProperties", False)
    return _step_schema({"const": tool.name}, parameters, tool.description)


def _moved(schema: Mapping[str, Any], name: str, definitions: dict[str, Any]) -> dict[str, Any]:
    """Return a tool's schema with its `$defs` moved to the plan's, under names that begin with the tool's."""
    own = {key: value for key, value in schema.items() if key != "$defs"}
    moved = cast("dict[str, Any]", _rename(own, name))
    for key, value in cast("Mapping[str, Any]", schema.get("$defs", {})).items():
        definitions[f"{name}.{key}"] = _rename(value, name)
    if _refers_to_root(schema):
        definitions[name] = moved
    return moved


def _rename(value: Any, name: str) -> Any:
    if isinstance(value, Mapping):
        renamed: dict[str, Any] = {}
        for key, part in cast("Mapping[str, Any]", value).items():
            if key == "$ref" and isinstance(part, str):
                renamed[key] = _rename_reference(part, name)
            else:
                renamed[key] = _rename(part, name)
        return renamed
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_rename(part, name) for part in cast("Sequence[Any]", value)]
    return value


def _rename_reference(reference: str, name: str) -> str:
    escaped = name.replace("~", "~0").replace("/", "~1")
    if reference.startswith(_LOCAL):
        return f"{_LOCAL}{escaped}.{reference.removeprefix(_LOCAL)}"
    return f"{_LOCAL}{escaped}" + reference.removeprefix("#") if reference.startswith("#") else reference


def _refers_to_root(value: Any) -> bool:
    if isinstance(value, Mapping):
        typed = cast("Mapping[str, Any]", value)
        reference = typed.get("$ref")
        if isinstance(reference, str) and reference.startswith("#") and not reference.startswith(_LOCAL):
            return True
        return any(_refers_to_root(part) for part in typed.values())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return any(_refers_to_root(part) for part in cast("Sequence[Any]", value))
    return False
