"""What is wrong with an argument is said in words, of the branch of a union that the value comes nearest to."""

# ruff: noqa: E501 - one case is one line

from __future__ import annotations

from typing import Any

import pytest

from planloom import Tool, find_issues
from planloom.plan.patterns import pattern_in_words

TEXT, INTEGER, NULL = {"type": "string"}, {"type": "integer"}, {"type": "null"}
A = {"type": "object", "properties": {"kind": {"const": "a"}, "n": INTEGER, "k": INTEGER}, "required": ["kind", "n"]}
B = {"type": "object", "properties": {"kind": {"const": "b"}, "m": TEXT}, "required": ["kind", "m"]}
POINT = {
    "type": "object",
    "properties": {"east": INTEGER, "north": INTEGER},
    "required": ["east", "north"],
    "additionalProperties": False,
}
NAMED = {"type": "object", "properties": {"name": TEXT}, "required": ["name"]}
DATE = {"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}$"}
ODD = {"type": "string", "pattern": "^(a|b)+$"}


def any_of(*branches: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": list(branches)}


# schema of the argument x, its value, where it is wrong, the message behind the argument's name, the hint
CASES: list[tuple[dict[str, Any], Any, str, str, str | None]] = [
    # a union: the branch that is nearest
    (any_of(INTEGER, NULL), "3", "x", 'expects a whole number or null; this is the text "3"', "write 3, without quotes"),
    (any_of({**INTEGER, "maximum": 10}, NULL), 11, "x", "takes at most 10; this is the number 11", None),
    (any_of({"enum": ["red", "blue"]}, NULL), "rad", "x", 'takes one of "red", "blue"; this is the text "rad"', "did you mean `red`?"),
    (any_of(DATE, NULL), "2024", "x", 'takes 4 digits, then "-", then 2 digits, then "-", then 2 digits; this is the text "2024"',
     r"it must match the regular expression ^\d{4}-\d{2}-\d{2}$"),
    (any_of({"type": "array", "items": INTEGER}, INTEGER), [1, "a"], "x[1]", 'expects a whole number; this is the text "a"', None),
    (any_of({"type": "object", "additionalProperties": INTEGER}, {"type": "array", "items": TEXT}), [1], "x[0]",
     "expects text; this is the number 1", 'write "1", in quotes'),
    (any_of(POINT, NULL), {}, "x", "needs `east`, `north` inside", None),
    (any_of(POINT, NAMED), {"name": 1}, "x.name", "expects text; this is the number 1", 'write "1", in quotes'),
    (any_of(POINT, NULL), {"east": 1, "nort": 2, "north": 2}, "x", "takes no `nort` inside", "did you mean `north`?"),
    (any_of(POINT, NULL), {"east": 1, "north": 2, "q": 2}, "x", "takes no `q` inside", "it takes `east`, `north`"),
    (any_of(any_of(POINT, NULL), TEXT), {"east": 1, "north": "x"}, "x.north", 'expects a whole number; this is the text "x"', None),
    (any_of(A, B), {"kind": "c"}, "x.kind", 'takes one of "a", "b"; this is the text "c"', None),
    (any_of(A, B, NULL), {"kind": "b", "m": 1}, "x.m", "expects text; this is the number 1", 'write "1", in quotes'),
    (any_of({"const": "x"}, {"const": 3}), "y", "x", 'takes one of "x", 3; this is the text "y"', None),
    (any_of({**INTEGER, "minimum": 10}, {**INTEGER, "maximum": 0}), 5, "x", "takes at least 10 or at most 0; this is the number 5", None),
    ({"oneOf": [INTEGER, {"minimum": 0}]}, 1, "x", "was given the number 1, which fits more than one of the forms of which it must have one", None),
    (any_of({"type": "object", "not": NAMED}, {"type": "object", "contains": {}, "not": NAMED}), {"name": "a"}, "x",
     "was given an object, which it must not be", 'it must not fit {"properties": {"name": {"type": "string"}}, "required": ["name"], "type": "object"}'),
    # one rule after another
    ({"enum": list(range(1_000))}, -1, "x", "takes one of 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, …; this is the number -1", None),
    ({"enum": []}, -1, "x", "takes nothing; this is the number -1", None),
    (ODD, "c", "x", 'takes text of another form; this is the text "c"', "it must match the regular expression ^(a|b)+$"),
    ({"type": "string", "minLength": 3}, "a", "x", 'takes at least 3 characters; this is the text "a" with 1 character', None),
    ({"type": "string", "maxLength": 1}, "ab", "x", 'takes at most 1 character; this is the text "ab" with 2 characters', None),
    ({"type": "array", "minItems": 2}, [1], "x", "takes at least 2 elements; this is a list with 1 element", None),
    ({"type": "array", "uniqueItems": True}, [1, 1], "x", "takes no element twice; this is a list", None),
    ({"type": "array", "contains": INTEGER}, ["x"], "x", "was given a list without the elements that it must hold", None),
    ({"type": "object", "maxProperties": 1}, {"a": 1, "b": 2}, "x", "takes at most 1 key; this is an object with 2 keys", None),
    ({"type": "object", "propertyNames": {"pattern": "^[a-z]+$"}}, {"A": 1}, "x", "takes only keys that are one or more lowercase letters; this is an object",
     "it must match the regular expression ^[a-z]+$"),
    ({"type": "object", "propertyNames": {"not": {}}}, {"A": 1}, "x", "takes no key like `A` inside", None),
    ({"type": "array", "prefixItems": [INTEGER], "unevaluatedItems": False}, [1, 2], "x", "takes no more elements than it describes; this is a list", None),
    ({"exclusiveMinimum": 0}, 0, "x", "takes more than 0; this is the number 0", None),
    ({"exclusiveMaximum": 0}, 1, "x", "takes less than 0; this is the number 1", None),
    ({"multipleOf": 5}, 3, "x", "takes a multiple of 5; this is the number 3", None),
    ({"const": {"a": 1}}, 3, "x", 'takes only {"a": 1}; this is the number 3', None),
    ({"type": "object", "properties": {"a": False}}, {"a": 1}, "x.a", "was given the number 1, and takes nothing there", None),
    ({"type": "object", "dependentRequired": {"a": ["b"]}}, {"a": 1}, "x", "needs `b` inside", None),
]  # fmt: skip


@pytest.mark.parametrize("has_reference", [False, True])
@pytest.mark.parametrize(("schema", "value", "place", "message", "hint"), CASES, ids=str)
def test_words(
    schema: dict[str, Any], value: Any, place: str, message: str, hint: str | None, has_reference: bool
) -> None:
    """Whether or not another argument is a reference, the same is wrong and the same is said."""
    if has_reference and ("oneOf" in schema or '"not"' in str(schema).replace("'", '"')):
        return  # what a reference makes undecidable is left to the call
    parameters = {"type": "object", "properties": {"x": schema, "other": {}}}
    tool = Tool.from_schema(name="t", parameters=parameters, function=lambda **arguments: None)
    args = {"x": value, **({"other": "{{inputs.some}}"} if has_reference else {})}
    plan = {
        "inputs": {"some": 1},
        "steps": [{"id": "a", "description": "d", "tool": "t", "args": args, "depends_on": []}],
    }
    (issue,) = find_issues(plan, [tool])
    assert ("argument-type", f"`t.{place}` {message}", hint) == (issue.code, issue.message, issue.hint)


PATTERNS: list[tuple[str, str | None]] = [
    ("^[A-Za-z_][A-Za-z0-9_-]*$", 'one letter or "_", then any number of letters, digits, "_" or "-"'),
    ("^https?://", 'text that begins with "http", then perhaps "s", then "://"'),
    (r".*\.csv$", 'text that ends with any number of characters, then ".csv"'),
    ("[A-Z]{2,3}", "text with 2 to 3 capital letters in it"),
    (r"^\+?[0-9]{7,}$", 'perhaps "+", then 7 or more digits'),
    (r"^\s\w+@$", 'one blank, then one or more letters, digits or "_", then "@"'),
    (r"^\[x\]{2}$", '"[x", then 2 "]"'),
    ("^[a-f]{8}$", '8 characters from "a" to "f"'),
    (r"^a\$", 'text that begins with "a$"'),
    ("", None), ("^$", None), ("^(a|b)$", None), ("^[^a]$", None), ("a+?", None), (r"\p{L}", None), ("(?=x)y", None),
    ("^[]]$", None), ("[abcdefgh]", None), ("a?" * 30, None), ("a" * 300, None), ("[a", None), ("a{1", None), ("\\", None),
]  # fmt: skip


@pytest.mark.parametrize(("pattern", "words"), PATTERNS)
def test_patterns_in_words(pattern: str, words: str | None) -> None:
    """A row of characters with counts has words; whatever is more than that has none, rather than wrong ones."""
    assert words == pattern_in_words(pattern)
