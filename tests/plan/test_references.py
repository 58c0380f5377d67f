"""References read from text, and paths followed into values."""

from __future__ import annotations

from typing import Any

import pytest

from planloom.plan.references import (
    STAR,
    Operand,
    PathError,
    Reference,
    ReferenceSyntaxError,
    Template,
    follow_path,
    read_template,
)


def out(root: str, *path: Any) -> Operand:
    return Operand(root, "output", path)


WHOLE = [
    ("{{a}}", [out("a")]),
    ("{{a.output}}", [out("a")]),
    ("{{ a.output }}", [out("a")]),
    ("{{\n\ta.output.x \t}}", [out("a", "x")]),
    ("{{a-b_1.output}}", [out("a-b_1")]),
    ("{{a.output.rows[0]}}", [out("a", "rows", 0)]),
    ("{{a.output.rows.0}}", [out("a", "rows", "0")]),
    ("{{a.output[-1]}}", [out("a", -1)]),
    ("{{a.output[ 3 ]}}", [out("a", 3)]),
    ("{{a.output[*].x}}", [out("a", STAR, "x")]),
    ('{{a.output["odd key"]}}', [out("a", "odd key")]),
    ("{{a.output['odd key']}}", [out("a", "odd key")]),
    ('{{a.output["]}}"].x}}', [out("a", "]}}", "x")]),
    ('{{a.output["say \\"hi\\""]}}', [out("a", 'say "hi"')]),
    ("{{a.output['it\\'s']}}", [out("a", "it's")]),
    ('{{a.output["\\u00e9"]}}', [out("a", "é")]),
    ('{{a.output[""]}}', [out("a", "")]),
    ("{{a.output.größe}}", [out("a", "größe")]),
    ("{{a.output.$ref}}", [out("a", "$ref")]),
    ("{{a.output.x-y}}", [out("a", "x-y")]),
    ("{{a.output.output}}", [out("a", "output")]),
    ("{{a.status}}", [Operand("a", "status", ())]),
    ("{{a.error}}", [Operand("a", "error", ())]),
    ("{{a.error.message}}", [Operand("a", "error", ("message",))]),
    ("{{inputs.path}}", [Operand("inputs", "inputs", ("path",))]),
    ('{{inputs["a b"][0]}}', [Operand("inputs", "inputs", ("a b", 0))]),
    ("{{item}}", [Operand("item", "item", ())]),
    ("{{item.url}}", [Operand("item", "item", ("url",))]),
    ("{{item[0]}}", [Operand("item", "item", (0,))]),
    ("{{index}}", [Operand("index", "index", ())]),
    ("{{item.output}}", [Operand("item", "item", ("output",))]),
    ("{{a.output ?? b.output}}", [out("a"), out("b")]),
    ("{{a??b??inputs.c}}", [out("a"), out("b"), Operand("inputs", "inputs", ("c",))]),
    ("{{items}}", [out("items")]),
    ("{{inputs_2}}", [out("inputs_2")]),
]


@pytest.mark.parametrize(("text", "operands"), WHOLE)
def test_one_reference_alone(text: str, operands: list[Operand]) -> None:
    """Text that is one reference is that reference, whatever the white space inside."""
    assert Reference(tuple(operands), text) == read_template(text)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("plain", None),
        ("{single}", None),
        ("}}", None),
        ("", None),
        ("a {{x}} b {{y.output.z}}", ["a ", ["x"], " b ", ["y", "z"]]),
        ("{{x}}{{y}}", [["x"], ["y"]]),
        (" {{x}}", [" ", ["x"]]),
        ("{{x}} ", [["x"], " "]),
        ("\\{{x}}", ["{{x}}"]),
        ("\\{{ and {{x}}", ["{{ and ", ["x"]]),
        ("{{x}}\\{{y}}", [["x"], "{{y}}"]),
        ("{{x}}}}", [["x"], "}}"]),
        ("{ {{x}} }", ["{ ", ["x"], " }"]),
        ("a\\b {{x}}", ["a\\b ", ["x"]]),
        ("\\\\{{x}}", ["\\{{x}}"]),
    ],
)
def test_text_with_references_inside(text: str, parts: list[Any] | None) -> None:
    """Literal parts and references in order; `\\{{` is two braces; anything else stays as it is."""
    read = read_template(text)
    if parts is None:
        assert read is None
        return
    assert isinstance(read, Template)
    expected = [part if isinstance(part, str) else (out(*part),) for part in parts]
    assert expected == [part if isinstance(part, str) else part.operands for part in read.parts]


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("{{", "close it"),
        ("{{a", "close it"),
        ("{{a}", "close it"),
        ("{{}}", "{{step.output}}"),
        ("{{ }}", "{{step.output}}"),
        ("{{1}}", "{{step.output}}"),
        ("{{a.b}}", "{{a.output.b}}"),
        ("{{a.result}}", "{{a.output}}"),
        ("{{a.outputs.x}}", "{{a.output.x}}"),
        ("{{steps.a.output.x}}", "{{a.output.x}}"),
        ("{{steps.a}}", "{{a.output}}"),
        ("{{input.x}}", "{{inputs.x}}"),
        ("{{a[0]}}", "{{a.output[0]}}"),
        ("{{a.output[}}", "a path is made of"),
        ("{{a.output[1:2]}}", "a path is made of"),
        ("{{a.output[x]}}", "a path is made of"),
        ("{{a.output.}}", "a path is made of"),
        ("{{a.output[99999999999]}}", "a path is made of"),
        ("{{a.output['x]}}", "a path is made of"),
        ("{{a.output()}}", "cannot call"),
        ("{{len(a)}}", "cannot call"),
        ("{{a.output | first}}", "without filters"),
        ("{{a.output + 1}}", "cannot calculate"),
        ("{{a.output == 1}}", "cannot calculate"),
        ("{{a.output ?? }}", "both sides"),
        ("{{a.output ?? 'none'}}", "both sides"),
        ("{{a.output ?? 0}}", "both sides"),
        ("{{a b}}", "{{step.output}}"),
        ("{{a.status.x}}", "{{a.status}}"),
        ("{{inputs}}", "{{inputs.name}}"),
        ("{{inputs[0]}}", "{{inputs.name}}"),
        ("{{index.x}}", "{{index}}"),
        ("ok {{x}} then {{{y}}}", "{{step.output}}"),
    ],
)
def test_malformed_references_say_what_was_meant(text: str, hint: str) -> None:
    """The error names the text and the hint shows what would work."""
    with pytest.raises(ReferenceSyntaxError) as caught:
        read_template(text)
    assert hint in (caught.value.hint or "")
    assert "bad-reference" == caught.value.code
    assert len(caught.value.message) < 300


@pytest.mark.parametrize(
    "text",
    ["{{a.output" + ".x" * 65 + "}}", "{{" + "a ?? " * 64 + "a}}", "{{a}}" * 1_001, "{{inputs" + "[0]" * 66 + "}}"],
)
def test_what_is_too_much_is_a_limit(text: str) -> None:
    """Length of a path, of a chain of alternatives, and references in one text are bounded."""
    with pytest.raises(ReferenceSyntaxError) as caught:
        read_template(text)
    assert "limit" == caught.value.code


def test_what_is_just_enough_is_none() -> None:
    """The limits themselves are allowed."""
    for text in ("{{a.output" + ".x" * 64 + "}}", "{{" + "a ?? " * 63 + "a}}", "{{a}}" * 1_000):
        assert read_template(text) is not None


VALUE = {"rows": [{"n": 1, "t": ["x", "y"]}, {"n": 2, "t": []}], "0": "zero", "": "empty", "none": None}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ((), VALUE),
        (("rows", 0, "n"), 1),
        (("rows", "0", "n"), 1),
        (("rows", -1, "n"), 2),
        (("rows", STAR, "n"), [1, 2]),
        (("rows", STAR, "t", STAR), [["x", "y"], []]),
        (("rows", STAR), VALUE["rows"]),
        (("rows", 1, "t", STAR, "deep"), []),
        (("0",), "zero"),
        ((0,), "zero"),
        (("",), "empty"),
        (("none",), None),
    ],
)
def test_paths_lead_to_parts(path: tuple[Any, ...], expected: Any) -> None:
    """Keys, indexes from both ends, and `[*]` that keeps nesting."""
    assert expected == follow_path(VALUE, path, "s.output")


@pytest.mark.parametrize(
    ("path", "message", "hint"),
    [
        (("row",), "s.output has no key `row`; it has `rows`, `0`, ``, `none`", None),
        (("rows", "n"), "s.output.rows is a list, and `n` is a key", "s.output.rows[0].n"),
        (("rows", 2), "s.output.rows has 2 elements, so there is no [2]", None),
        (("rows", -3), "s.output.rows has 2 elements, so there is no [-3]", None),
        (("rows", 0, "n", "x"), "s.output.rows[0].n is the number 1 and has no part .x", None),
        (("none", "x"), "s.output.none is null and has no part .x", None),
        (("0", 0), 's.output["0"] is the text "zero" and has no part [0]', None),
        ((STAR,), "s.output is an object, and [*] needs a list", None),
        (("rows", STAR, "t", STAR, "x"), 's.output.rows[0].t[0] is the text "x" and has no part .x', None),
        (("rows", STAR, "m"), "s.output.rows[0] has no key `m`; it has `n`, `t`", None),
        (("__class__",), "s.output has no key `__class__`; it has `rows`, `0`, ``, `none`", None),
    ],
)
def test_paths_that_lead_nowhere_say_where_they_end(path: tuple[Any, ...], message: str, hint: str | None) -> None:
    """The message names the value as far as the path went, and what is there instead."""
    with pytest.raises(PathError) as caught:
        follow_path(VALUE, path, "s.output")
    assert message == caught.value.message
    if hint:
        assert hint in (caught.value.hint or "")


def test_a_failing_path_under_many_stars_is_not_tried_again_and_again() -> None:
    """Sixty stars over lists of one element cost sixty steps, not 2 to the power of sixty."""
    value: Any = 1
    for _ in range(60):
        value = [value]
    with pytest.raises(PathError, match=r"has no part \.x"):
        follow_path(value, (STAR,) * 60 + ("x",), "s.output")
