"""Which form of reply is asked for, and what is said in words when the provider does not enforce it."""

from __future__ import annotations

from typing import Any

import pytest

from planloom.models import Message, ModelRequest
from planloom.models.modes import (
    MAX_REMEMBERED,
    forget_refusals,
    has_open_object,
    is_closed,
    messages_for,
    modes_for,
    remember_refusal,
)

ALL = ("json_schema", "json_object", "text")
PLACE = ("openai:x", "http://h", True)
OPEN = {"type": "object", "properties": {"args": {"type": "object"}}}
CLOSED = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}


@pytest.fixture(autouse=True)
def nothing_refused():
    """Each test starts without what others learned."""
    forget_refusals()
    yield
    forget_refusals()


@pytest.mark.parametrize(
    ("supported", "schema", "closes", "expected"),
    [
        (ALL, None, False, ["text"]),
        (ALL, OPEN, False, ["json_schema", "json_object", "text"]),
        (("json_object", "text"), OPEN, False, ["json_object", "text"]),
        (("text",), OPEN, False, ["text"]),
        (ALL, {"type": "array"}, False, ["json_schema", "text"]),
        (ALL, OPEN, True, ["json_object", "text"]),
        (ALL, CLOSED, True, ["json_schema", "json_object", "text"]),
    ],
)
def test_the_modes_in_order(supported: Any, schema: Any, closes: bool, expected: list[str]) -> None:
    """The best first, text last; an object mode only for objects; no provider gets a schema that it would spoil."""
    request = ModelRequest.of("x", schema=schema)
    assert expected == modes_for(supported, request, PLACE, closes_objects=closes)


def test_refusals_are_remembered_where_they_belong() -> None:
    """A refusal counts for its place, and for one schema only when it was that schema's fault."""
    one, two = (ModelRequest.of("x", schema=OPEN, schema_name=name) for name in ("one", "two"))
    remember_refusal(PLACE, "json_schema", "one")
    assert ["json_object", "text"] == modes_for(ALL, one, PLACE)
    assert list(ALL) == modes_for(ALL, two, PLACE)
    remember_refusal(PLACE, "json_schema", None)
    assert ["json_object", "text"] == modes_for(ALL, two, PLACE)
    assert list(ALL) == modes_for(ALL, two, ("openai:x", "http://h", False))


def test_the_memory_is_bounded() -> None:
    """Nothing that is remembered grows for ever."""
    for number in range(MAX_REMEMBERED + 5):
        remember_refusal(("model", number), "json_schema", None)
    assert list(ALL) == modes_for(ALL, ModelRequest.of("x", schema=OPEN), ("model", 0))


@pytest.mark.parametrize(
    ("schema", "is_open", "closed"),
    [
        (CLOSED, False, True),
        (OPEN, True, False),
        ({"type": "string"}, False, True),
        ({"type": "object"}, True, False),
        ({**CLOSED, "required": []}, False, False),
        ({**CLOSED, "additionalProperties": True}, True, False),
        ({**CLOSED, "additionalProperties": {"type": "string"}}, True, False),
        ({"type": "array", "items": {"anyOf": [CLOSED, {"type": ["object", "null"]}]}}, True, False),
        ({"const": {"type": "object"}}, False, True),
        ({"$defs": {"x": OPEN}, "$ref": "#/$defs/x"}, True, False),
    ],
)
def test_open_and_closed_schemas(schema: Any, is_open: bool, closed: bool) -> None:
    """Objects are found wherever a schema may hold one, and not in its constants."""
    assert (is_open, closed) == (has_open_object(schema), is_closed(schema))


def test_the_schema_in_words() -> None:
    """Where it is not enforced the schema follows the system messages; where it is, the messages are untouched."""
    request = ModelRequest((Message("system", "s"), Message("user", "u")), schema=CLOSED)
    assert request.messages == messages_for(request, "json_schema")
    for mode in ("json_object", "text"):
        system, words, user = messages_for(request, mode)
        assert ("s", "u", "system") == (system.text, user.text, words.role)
        assert '{"type":"object","properties":{"a":{"type":"string"}}' in words.text


def test_the_word_json_is_said_where_it_must_be() -> None:
    """The object mode needs JSON in some message; nothing is added where it stands already, or for text."""
    silent = ModelRequest.of("make a plan", schema=CLOSED, describe_schema=False)
    said = ModelRequest.of("make a Json plan", schema=CLOSED, describe_schema=False)
    assert "JSON" in messages_for(silent, "json_object")[0].text
    assert said.messages == messages_for(said, "json_object")
    assert silent.messages == messages_for(silent, "text")
