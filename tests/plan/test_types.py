"""Types of values that do not exist yet: what a JSON Schema allows, where paths lead in it, what fits what."""

from __future__ import annotations

from typing import Any

import pytest

from planloom.plan.paths import STAR, PathError
from planloom.plan.types import UNKNOWN, describe_type, elements_of, fits, follow_type, literal_type, type_of

TEXT, INTEGER, NUMBER, BOOLEAN, NULL = ({"type": t} for t in ("string", "integer", "number", "boolean", "null"))
OBJECT, LIST = {"type": "object"}, {"type": "array"}


def list_of(items: Any) -> dict[str, Any]:
    return {"type": "array", "items": items}


def object_of(*required: str, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required)}


TREE = {
    "$ref": "#/$defs/tree",
    "$defs": {
        "tree": {"type": "object", "properties": {"value": INTEGER, "children": list_of({"$ref": "#/$defs/tree"})}}
    },
}
ANY_TREE = {
    "$defs": {
        "t": {"anyOf": [INTEGER, {"type": "object", "properties": {n: {"$ref": "#/$defs/t"} for n in "abcdefgh"}}]}
    },
    "$ref": "#/$defs/t",
}

OPEN = [
    {}, True, False, None, 5, "string", [], {"description": "x"}, {"anyOf": [TEXT, {}]}, {"oneOf": [{}, TEXT]},
    {"allOf": [TEXT, {"minLength": 1}]}, {"$ref": "#/$defs/missing"}, {"$ref": "http://x/y"}, {"$ref": "#anchor"},
    {"$ref": "#"}, {"type": []}, {"type": 7}, {"enum": []}, {"not": TEXT}, {"if": TEXT, "then": TEXT},
]  # fmt: skip


@pytest.mark.parametrize("schema", OPEN, ids=str)
def test_what_a_schema_leaves_open_is_unknown(schema: Any) -> None:
    """Anything goes into and out of the unknown; nothing about it is an error."""
    assert UNKNOWN == type_of(schema)
    assert fits(type_of(schema), type_of(TEXT))
    assert fits(type_of(TEXT), type_of(schema))
    assert UNKNOWN == follow_type(type_of(schema), ("a", 0, STAR, "b"), "x")


FITTING: list[tuple[Any, Any, bool]] = [
    (TEXT, TEXT, True),
    (TEXT, INTEGER, False),
    (INTEGER, NUMBER, True),
    (NUMBER, INTEGER, True),
    (INTEGER, TEXT, False),
    (BOOLEAN, INTEGER, False),
    (NULL, TEXT, False),
    (NULL, {"type": ["string", "null"]}, True),
    ({"type": ["string", "null"]}, TEXT, True),
    ({"type": ["integer", "null"]}, TEXT, False),
    ({"type": ["integer", "string"]}, TEXT, True),
    ({"anyOf": [INTEGER, BOOLEAN]}, TEXT, False),
    ({"anyOf": [INTEGER, BOOLEAN]}, {"oneOf": [TEXT, NUMBER]}, True),
    (LIST, TEXT, False),
    (TEXT, LIST, False),
    (LIST, list_of(TEXT), True),
    (list_of(TEXT), LIST, True),
    (list_of(TEXT), list_of(TEXT), True),
    (list_of(TEXT), list_of(INTEGER), False),
    (list_of(list_of(TEXT)), list_of(list_of(INTEGER)), False),
    (list_of({}), list_of(INTEGER), True),
    ({"type": "array", "prefixItems": [TEXT]}, list_of(INTEGER), True),
    (OBJECT, TEXT, False),
    (OBJECT, object_of("a", a=TEXT), True),
    (object_of(a=TEXT), object_of("a", a=TEXT), True),
    (object_of(b=TEXT), object_of("a", a=TEXT), False),
    (object_of(b=TEXT), object_of(a=TEXT), True),
    (object_of(a=INTEGER), object_of("a", a=TEXT), False),
    (object_of(a=INTEGER), object_of(a=TEXT), False),
    ({**object_of(b=TEXT), "additionalProperties": True}, object_of("a", a=TEXT), True),
    ({"type": "object", "additionalProperties": INTEGER}, object_of("a", a=TEXT), False),
    ({"type": "object", "additionalProperties": TEXT}, object_of("a", a=TEXT), True),
    ({"type": "object", "patternProperties": {"^a": INTEGER}}, object_of("a", a=TEXT), True),
    ({"properties": {"a": TEXT}}, object_of("a", a=TEXT), True),
    ({"const": "a"}, {"enum": ["a", "b"]}, True),
    ({"const": "c"}, {"enum": ["a", "b"]}, False),
    ({"enum": ["a", "c"]}, {"enum": ["a", "b"]}, True),
    ({"enum": [1, 2]}, TEXT, False),
    ({"enum": ["a", 1]}, TEXT, True),
    (TEXT, {"enum": ["a", "b"]}, True),
    ({"const": None}, NULL, True),
    ({"allOf": [TEXT]}, INTEGER, False),
    (TREE, object_of("value", value=INTEGER), True),
    (TREE, object_of("value", value=TEXT), False),
    (TREE, TREE, True),
    (TREE, object_of(children=list_of(object_of(children=list_of(object_of(value=TEXT))))), False),
    (ANY_TREE, ANY_TREE, True),
    (ANY_TREE, TEXT, False),
]


@pytest.mark.parametrize(("source", "target", "expected"), FITTING, ids=str)
def test_fits(source: Any, target: Any, expected: bool) -> None:
    """A type fits where at least one of its values could be accepted; only what is provably wrong does not."""
    assert expected is fits(type_of(source), type_of(target))


def test_tangled_schemas_cost_a_bounded_number_of_comparisons() -> None:
    """Recursive types with many branches end; past the budget they fit."""
    other = {**ANY_TREE, "$defs": {"t": {"anyOf": [TEXT, ANY_TREE["$defs"]["t"]["anyOf"][1]]}}}
    assert fits(type_of(ANY_TREE), type_of(other)) in (True, False)


PLACES: list[tuple[Any, tuple[Any, ...], str]] = [
    (object_of(a=TEXT), ("a",), "text"),
    (object_of(a=object_of(b=INTEGER)), ("a", "b"), "a whole number"),
    (list_of(object_of(a=TEXT)), (0, "a"), "text"),
    (list_of(object_of(a=TEXT)), ("0", "a"), "text"),
    (list_of(object_of(a=TEXT)), (-1, "a"), "text"),
    (list_of(object_of(a=TEXT)), (STAR, "a"), "a list"),
    (list_of(list_of(TEXT)), (STAR, STAR), "a list"),
    (list_of(list_of(TEXT)), (STAR, 0), "a list"),
    ({"type": "array", "prefixItems": [TEXT, INTEGER]}, (1,), "a whole number"),
    ({"type": "array", "prefixItems": [TEXT]}, (5,), "anything"),
    ({"type": "object", "additionalProperties": INTEGER}, ("x",), "a whole number"),
    ({**object_of(a=TEXT), "additionalProperties": INTEGER}, ("x",), "a whole number"),
    ({**object_of(a=TEXT), "additionalProperties": True}, ("x",), "anything"),
    ({"type": "object", "patternProperties": {"^x": INTEGER}, "additionalProperties": False}, ("x",), "anything"),
    (OBJECT, ("x", "y"), "anything"),
    ({"anyOf": [object_of(a=TEXT), object_of(a=INTEGER), NULL]}, ("a",), "text or a whole number"),
    ({"anyOf": [object_of(a=TEXT), list_of(TEXT)]}, ("a",), "text"),
    ({"anyOf": [object_of(a=TEXT), OBJECT]}, ("a",), "anything"),
    (TREE, ("children", 0, "children", 3, "value"), "a whole number"),
    ({"$ref": "#/$defs/a~1b", "$defs": {"a/b": TEXT}}, (), "text"),
    ({"$ref": "#/$defs/a%20b", "$defs": {"a b": TEXT}}, (), "text"),
    ({"$ref": "#/anyOf/1", "anyOf": [TEXT, INTEGER]}, (), "a whole number"),
]


@pytest.mark.parametrize(("schema", "path", "expected"), PLACES, ids=str)
def test_paths_lead_to_types(schema: Any, path: tuple[Any, ...], expected: str) -> None:
    """As far as the schema says anything."""
    assert expected == describe_type(follow_type(type_of(schema), path, "x"))


NOWHERE: list[tuple[Any, tuple[Any, ...], str]] = [
    (TEXT, ("a",), "x gives text, which has no part .a"),
    (TEXT, (0,), "x gives text, which has no part [0]"),
    (TEXT, (STAR,), "x gives text, and [*] needs a list"),
    (object_of(a=TEXT), ("b",), "x has no key `b`"),
    (object_of(a=TEXT), (0,), "x has no key `0`"),
    (object_of(a=object_of(b=TEXT)), ("a", "c"), "x.a has no key `c`"),
    (list_of(OBJECT), ("a",), "x gives a list, and `a` is a key"),
    ({"type": "object", "additionalProperties": False}, ("a",), "x gives an object, which has no part .a"),
    ({"anyOf": [object_of(a=TEXT), object_of(b=TEXT)]}, ("c",), "x has no key `c`"),
    (list_of(object_of(a=TEXT)), (STAR, "b"), "x[*] has no key `b`"),
    (TREE, ("children", 0, "name"), "x.children[0] has no key `name`"),
]


@pytest.mark.parametrize(("schema", "path", "message"), NOWHERE, ids=str)
def test_paths_that_no_alternative_has(schema: Any, path: tuple[Any, ...], message: str) -> None:
    """The message names the place and what is there."""
    with pytest.raises(PathError) as caught:
        follow_type(type_of(schema), path, "x")
    assert message == caught.value.message


@pytest.mark.parametrize(
    ("value", "target", "expected"),
    [
        ("a", TEXT, True), (1, TEXT, False), (1, NUMBER, True), (1.5, INTEGER, True), (True, INTEGER, False),
        (None, TEXT, False), ([], list_of(TEXT), True), ([1], list_of(TEXT), False), ([1, "a"], list_of(TEXT), True),
        ([[1]], list_of(TEXT), True), ({"a": 1}, object_of("b", b=TEXT), True), ({"a": 1}, TEXT, False),
    ],
)  # fmt: skip
def test_literals_have_types(value: Any, target: Any, expected: bool) -> None:
    """An input's value stands for its type, as far as it can be told without looking at all of it."""
    assert expected is fits(literal_type(value), type_of(target))


def test_elements() -> None:
    """The elements of a union are those of its lists."""
    assert "text" == describe_type(elements_of(type_of({"anyOf": [list_of(TEXT), NULL]})))
    assert UNKNOWN == elements_of(type_of({"anyOf": [list_of(TEXT), LIST]}))
    assert UNKNOWN == elements_of(type_of(TEXT))


def test_the_same_schema_gives_the_same_type() -> None:
    """Verdicts on types are kept by identity."""
    schema = object_of(a=TEXT)
    assert type_of(schema) is type_of(schema)
    assert follow_type(type_of(schema), ("a",), "x") is follow_type(type_of(schema), ("a",), "x")
