"""Tools in a planner's words: one line each, types as short as TypeScript's. Pure text, bounded."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, cast

from planloom.plan.issues import shorten
from planloom.tools import Tool

_KINDS: Final = {"string": "text", "integer": "int", "number": "number", "boolean": "bool", "null": "null"}
_MAX_DEPTH: Final = 4
_MAX_KEYS: Final = 30
_MAX_DESCRIPTION: Final = 600
_MIN_DESCRIPTION: Final = 10
"""Shorter words on an argument ("The text.") say no more than its name and type."""
_SCALARS: Final = ["text", "int", "number", "bool"]
_NOTHING: Final = object()
_MIN_NAMED: Final = 40
"""Characters of a type that is worth a name."""


def describe_tools(tools: Iterable[Tool]) -> str:
    """Return the tools as the planner sees them, one block each, in order.

    A long type that is met again, such as the handle of a table, is written once, in front, and then named.
    """
    known = list(tools)
    types = _Types(known)
    is_harmless = len(known) > 1 and all(tool.read_only for tool in known)
    head = ["All of them only read."] if is_harmless else []
    blocks = [_describe(tool, types, "" if is_harmless else f"  [{_effect(tool)}]") for tool in known]
    return "\n".join([*head, *types.definitions, *blocks])


class _Types:
    """Short types, with the names of those that several tools share; `definitions` says what the names stand for."""

    def __init__(self, tools: Sequence[Tool]) -> None:
        self._names: dict[str, str] = {}
        """Names by the whole text that they stand for."""
        self.definitions: list[str] = []
        met: Counter[str] = Counter()
        named: dict[str, tuple[str, Mapping[str, Any], Mapping[str, Any]]] = {}
        for tool in tools:
            if tool.returns is not None:
                met[_PLAIN.short(tool.returns, tool.returns)] += 1
            for root in (tool.parameters, tool.returns):
                for name, schema in () if root is None else _named(root, root):
                    text = _PLAIN.short(schema, cast("Mapping[str, Any]", root))
                    met[text] += 1
                    named.setdefault(text, (name, schema, cast("Mapping[str, Any]", root)))
        shared = [text for text, count in met.items() if count > 1 and len(text) >= _MIN_NAMED and text in named]
        for text in sorted(shared, key=len):  # what others are made of comes first
            name, schema, root = named[text]
            if name not in self._names.values() and name.isidentifier():
                self.definitions.append(f"{name} = {self._object(schema, root, 0)}")
                self._names[text] = name

    def short(self, schema: Any, root: Mapping[str, Any], depth: int = 0) -> str:
        """Return a JSON Schema as a short type: `text`, `[number]`, `{rows: int, names?: [text]}`, `"a" | "b"`."""
        if not isinstance(schema, Mapping) or depth > _MAX_DEPTH:
            return "anything"
        typed = cast("Mapping[str, Any]", schema)
        reference = typed.get("$ref")
        if isinstance(reference, str):
            return self.short(_resolved(reference, root), root, depth)
        if "const" in typed:
            return json.dumps(typed["const"], ensure_ascii=False)
        if isinstance(values := typed.get("enum"), Sequence):
            shown = [json.dumps(value, ensure_ascii=False) for value in cast("Sequence[Any]", values)[:20]]
            return " | ".join(shown)
        for combiner in ("anyOf", "oneOf"):
            if isinstance(branches := typed.get(combiner), Sequence):
                parts = dict.fromkeys(self.short(branch, root, depth + 1) for branch in cast("Sequence[Any]", branches))
                return _union(list(parts))
        kind = typed.get("type")
        if isinstance(kind, list):
            return _union([self.short({**typed, "type": one}, root, depth) for one in cast("list[str]", kind)])
        if kind == "array":
            return f"[{self.short(typed.get('items'), root, depth + 1)}]"
        if kind == "object" or "properties" in typed:
            name = self._names.get(_PLAIN.short(typed, root)) if self._names else None
            return name or self._object(typed, root, depth)
        return _KINDS.get(cast("str", kind), "anything")

    def _object(self, schema: Mapping[str, Any], root: Mapping[str, Any], depth: int) -> str:
        properties = schema.get("properties")
        if isinstance(properties, Mapping) and properties:
            required = set(cast("Sequence[str]", schema.get("required", ())))
            entries = list(cast("Mapping[str, Any]", properties).items())
            parts = [
                f"{name}{'' if name in required else '?'}: {self.short(part, root, depth + 1)}"
                for name, part in entries[:_MAX_KEYS]
            ]
            return "{" + ", ".join([*parts, "…"] if len(entries) > _MAX_KEYS else parts) + "}"
        extra = schema.get("additionalProperties")
        return f"{{text: {self.short(extra, root, depth + 1)}}}" if isinstance(extra, Mapping) else "object"


def _named(schema: Any, root: Mapping[str, Any], depth: int = 0) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield name and schema of every object with a name that a schema is made of, as often as it stands there."""
    if not isinstance(schema, Mapping) or depth > _MAX_DEPTH:
        return
    typed = cast("Mapping[str, Any]", schema)
    if isinstance(reference := typed.get("$ref"), str):
        target = _resolved(reference, root)
        if isinstance(target, Mapping) and "properties" in target:
            yield reference.rpartition("/")[2], cast("Mapping[str, Any]", target)
        yield from _named(target, root, depth)
        return
    parts: list[Any] = [typed.get("items"), typed.get("additionalProperties")]
    for key in ("anyOf", "oneOf"):
        parts += cast("Sequence[Any]", typed.get(key) or ())
    parts += cast("Mapping[str, Any]", typed.get("properties") or {}).values()
    for part in parts:
        yield from _named(part, root, depth + 1)


_PLAIN: Final = _Types(())


def _describe(tool: Tool, types: _Types, effect: str) -> str:
    """Return one tool: its signature, effects, description, and what its arguments mean."""
    root = tool.parameters
    required = set(cast("Sequence[str]", root.get("required", ())))
    properties = cast("Mapping[str, Mapping[str, Any]]", root.get("properties", {}))
    arguments = ", ".join(_argument(name, schema, name in required, root, types) for name, schema in properties.items())
    returns = "anything" if tool.returns is None else types.short(tool.returns, tool.returns)
    lines = [f"- {tool.name}({arguments}) -> {returns}{effect}"]
    if tool.description:
        lines.append(f"    {shorten(' '.join(tool.description.split()), _MAX_DESCRIPTION)}")
    lines.extend(
        f"    {name}: {shorten(str(schema['description']), 200)}"
        for name, schema in properties.items()
        if isinstance(schema.get("description"), str) and len(schema["description"]) >= _MIN_DESCRIPTION
    )
    return "\n".join(lines)


def _effect(tool: Tool) -> str:
    if tool.read_only:
        return "only reads"
    return "has an effect, may be repeated" if tool.idempotent else "has an effect"


def _argument(name: str, schema: Mapping[str, Any], is_required: bool, root: Mapping[str, Any], types: _Types) -> str:
    text = f"{name}{'' if is_required else '?'}: {types.short(schema, root)}"
    if not is_required and schema.get("default", _NOTHING) is None:
        text = text.removesuffix(" | null").removesuffix("?")  # leaving it out says the same
    if "default" in schema and schema["default"] is not None:
        text += f" = {shorten(json.dumps(schema['default'], ensure_ascii=False, default=str), 40)}"
    return text


def _union(parts: list[str]) -> str:
    """Return one of several types; one that may be null is `number?`, as the name of one that may be missing."""
    others = [part for part in parts if part != "null"]
    if sorted(others) == sorted(_SCALARS):
        return "scalar" if len(others) == len(parts) else "scalar?"
    if len(others) == 1 and len(parts) == 2 and others[0].isidentifier():
        return f"{others[0]}?"
    return " | ".join(parts)


def _resolved(reference: str, root: Mapping[str, Any]) -> Any:
    target: Any = root
    for part in reference.removeprefix("#").split("/")[1:]:
        if not isinstance(target, Mapping):
            return None
        target = cast("Mapping[str, Any]", target).get(part.replace("~1", "/").replace("~0", "~"))
    return target
