"""Which form of reply to ask for: JSON Schema where the model has it, else a JSON object, else plain text.

What a provider refused once is remembered for the process, so that the next call starts right. It is remembered apart
for streamed and whole replies, because some providers have a mode for one of them only, and for one schema alone when
it was the schema that was refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import takewhile
from typing import Any, Final, cast

from planloom.models.base import Message, ModelRequest, OutputMode

MAX_REMEMBERED: Final = 1000
MODES: Final[tuple[OutputMode, ...]] = ("json_schema", "json_object", "text")
"""The best first."""

_refused: set[tuple[Any, ...]] = set()


def modes_for(
    supported: Sequence[OutputMode], request: ModelRequest, place: tuple[Any, ...], *, closes_objects: bool = False
) -> list[OutputMode]:
    """Return the modes to try for this request, the best first; "text" is always the last.

    `place` is what knows the modes: the provider, the address, the model, and whether the reply is streamed. With
    `closes_objects` the provider makes every open object of a schema a closed one, which would lose what belongs there,
    so such a schema is asked for in words.
    """
    if request.schema is None:
        return ["text"]
    if closes_objects and has_open_object(request.schema):
        supported = [mode for mode in supported if mode != "json_schema"]
    known = {(*place, mode, name) for mode in MODES for name in (None, request.schema_name)} & _refused
    refused = {entry[-2] for entry in known}
    modes: list[OutputMode] = [mode for mode in MODES if mode in supported and mode not in refused and mode != "text"]
    if request.schema.get("type", "object") != "object" and "json_object" in modes:
        modes.remove("json_object")
    return [*modes, "text"]


def remember_refusal(place: tuple[Any, ...], mode: OutputMode, schema_name: str | None) -> None:
    """Keep in mind that this mode was refused here, for every schema or for one."""
    if len(_refused) >= MAX_REMEMBERED:
        _refused.clear()
    _refused.add((*place, mode, schema_name))


def forget_refusals() -> None:
    """Forget everything that was refused; for tests."""
    _refused.clear()


def has_open_object(schema: Any) -> bool:
    """Whether some object in the schema may have properties that the schema does not name."""
    return any(
        not node.get("properties") or node.get("additionalProperties", False) is not False for node in _objects(schema)
    )


def is_closed(schema: Any) -> bool:
    """Whether the schema can be enforced to the letter: each object names, requires and limits all its properties."""
    return not has_open_object(schema) and all(
        node.get("additionalProperties") is False and set(node["properties"]) <= set(node.get("required", ()))
        for node in _objects(schema)
    )


def _objects(node: Any) -> Iterator[dict[str, Any]]:
    """Every object schema in a schema, but not what its constants and examples look like."""
    if isinstance(node, list):
        for item in cast("list[Any]", node):
            yield from _objects(item)
    elif isinstance(node, dict):
        table = cast("dict[str, Any]", node)
        kind = table.get("type")
        if kind == "object" or (isinstance(kind, list) and "object" in kind):
            yield table
        for key, value in table.items():
            if key not in ("const", "default", "enum", "examples"):
                yield from _objects(value)


def messages_for(request: ModelRequest, mode: OutputMode) -> tuple[Message, ...]:
    """Return the messages, with the wanted form said in words where the provider does not enforce it."""
    if request.schema is None or mode == "json_schema":
        return request.messages
    if request.describe_schema:
        schema = json.dumps(request.schema, ensure_ascii=False, separators=(",", ":"))
        words = f"Answer with one JSON value that fits this JSON Schema, without a fence or any other text:\n{schema}"
    elif mode == "json_object" and not any("json" in message.text.lower() for message in request.messages):
        words = "Answer with one JSON object."  # providers refuse this mode when no message says JSON
    else:
        return request.messages
    system = list(takewhile(lambda message: message.role == "system", request.messages))
    return (*system, Message("system", words), *request.messages[len(system) :])
