"""Tools in a planner's words: one line each, types as short as TypeScript's. Pure text, bounded."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, cast

from planloom.plan.issues import shorten
from planloom.tools import Tool

_KINDS: Final = {"string": "text", "integer": "int", "number": "number", "boolean": "bool", "null": "null"}
_MAX_DEPTH: Final = 4
_MAX_KEYS: Final = 30
_MAX_DESCRIPTION: Final = 600


def describe_tools(tools: Iterable[Tool]) -> str:
    """Return the tools as the planner sees them, one block each, in order."""
    return "\n".join(describe_tool(tool) for tool in tools)


def describe_tool(tool: Tool) -> str:
    """Return one tool: its signature, effects, description, and what its arguments mean."""
    root = tool.parameters
    required = set(cast("Sequence[str]", root.get("required", ())))
    properties = cast("Mapping[str, Mapping[str, Any]]", root.get("properties", {}))
    arguments = ", ".join(_argument(name, schema, name in required, root) for name, schema in properties.items())
    returns = "anything" if tool.returns is None else short_type(tool.returns, tool.returns)
    lines = [f"- {tool.name}({arguments}) -> {returns}  [{_effect(tool)}]"]
    if tool.description:
        lines.append(f"    {shorten(tool.description, _MAX_DESCRIPTION)}")
    lines.extend(
        f"    {name}: {shorten(str(schema['description']), 200)}"
        for name, schema in properties.items()
        if isinstance(schema.get("description"), str) and schema["description"]
    )
    return "\n".join(lines)


def _effect(tool: Tool) -> str:
    if tool.read_only:
        return "only reads"
    return "has an effect, may be repeated" if tool.idempotent else "has an effect"


def _argument(name: str, schema: Mapping[str, Any], is_required: bool, root: Mapping[str, Any]) -> str:
    text = f"{name}{'' if is_required else '?'}: {short_type(schema, root)}"
    if "default" in schema and schema["default"] is not None:
        text += f" = {shorten(json.dumps(schema['default'], ensure_ascii=False, default=str), 40)}"
    return text


def short_type(schema: Any, root: Mapping[str, Any], depth: int = 0) -> str:
    """Return a JSON Schema as a short type: `text`, `[number]`, `{rows: int, names?: [text]}`, `"a" | "b"`."""
    if not isinstance(schema, Mapping) or depth > _MAX_DEPTH:
        return "anything"
    typed = cast("Mapping[str, Any]", schema)
    reference = typed.get("$ref")
    if isinstance(reference, str):
        return short_type(_resolved(reference, root), root, depth + 1)
    if "const" in typed:
        return json.dumps(typed["const"], ensure_ascii=False)
    if isinstance(values := typed.get("enum"), Sequence):
        shown = [json.dumps(value, ensure_ascii=False) for value in cast("Sequence[Any]", values)[:20]]
        return " | ".join(shown)
    for combiner in ("anyOf", "oneOf"):
        if isinstance(branches := typed.get(combiner), Sequence):
            return " | ".join(
                dict.fromkeys(short_type(branch, root, depth + 1) for branch in cast("Sequence[Any]", branches))
            )
    kind = typed.get("type")
    if isinstance(kind, list):
        return " | ".join(short_type({**typed, "type": one}, root, depth) for one in cast("list[str]", kind))
    if kind == "array":
        return f"[{short_type(typed.get('items'), root, depth + 1)}]"
    if kind == "object" or "properties" in typed:
        return _short_object(typed, root, depth)
    return _KINDS.get(cast("str", kind), "anything")


def _short_object(schema: Mapping[str, Any], root: Mapping[str, Any], depth: int) -> str:
    properties = schema.get("properties")
    if isinstance(properties, Mapping) and properties:
        required = set(cast("Sequence[str]", schema.get("required", ())))
        entries = list(cast("Mapping[str, Any]", properties).items())
        parts = [
            f"{name}{'' if name in required else '?'}: {short_type(part, root, depth + 1)}"
            for name, part in entries[:_MAX_KEYS]
        ]
        return "{" + ", ".join([*parts, "…"] if len(entries) > _MAX_KEYS else parts) + "}"
    extra = schema.get("additionalProperties")
    return f"{{text: {short_type(extra, root, depth + 1)}}}" if isinstance(extra, Mapping) else "object"


def _resolved(reference: str, root: Mapping[str, Any]) -> Any:
    target: Any = root
    for part in reference.removeprefix("#").split("/")[1:]:
        if not isinstance(target, Mapping):
            return None
        target = cast("Mapping[str, Any]", target).get(part.replace("~1", "/").replace("~0", "~"))
    return target
