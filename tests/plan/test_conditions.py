"""`when`: what may be written, what it means, and that nothing else is ever executed."""

# ruff: noqa: E501 - one case is one line

from __future__ import annotations

import re
import warnings
from typing import Any

import pytest

from planloom.plan.conditions import ConditionError, read_condition
from planloom.plan.references import ReferenceSyntaxError

DECIDED: list[tuple[str, dict[str, Any], bool]] = [
    ("true", {}, True),
    ("False", {}, False),
    ("null", {}, False),
    ("not null", {}, True),
    ("1 < 2", {}, True),
    ("1 < 2 < 3", {}, True),
    ("1 < 3 < 2", {}, False),
    ("1 + 2 * 3 == 7", {}, True),
    ("(1 + 2) * 3 == 9", {}, True),
    ("7 // 2 == 3 and 7 % 2 == 1 and 7 / 2 == 3.5", {}, True),
    ("-1 < +1", {}, True),
    ("'a' + 'b' == \"ab\"", {}, True),
    ("'a' in 'abc'", {}, True),
    ("'x' not in ['a', 'b']", {}, True),
    ("1 in (1, 2)", {}, True),
    ("{{a}} > 0", {"a": 1}, True),
    ("{{a}}>0", {"a": 1}, True),
    ("{{ a.output }} == 'csv'", {"a": "csv"}, True),
    ('{{a}} == "csv" or {{b}} == 1', {"a": "x", "b": 1}, True),
    ("{{a}} and not {{b}}", {"a": [1], "b": []}, True),
    ("len({{a}}) == 3", {"a": "abc"}, True),
    ("len({{a}}) == 3", {"a": [1, 2, 3]}, True),
    ("len({{a}}) == 1", {"a": {"k": 1}}, True),
    ("{{a}} is null", {"a": None}, True),
    ("{{a}} is not None", {"a": 0}, True),
    ("{{a}} == null", {"a": None}, True),
    ("{{a}} in ['x', 'y']", {"a": "x"}, True),
    ("'k' in {{a}}", {"a": {"k": 1}}, True),
    ("{{a}} == true", {"a": True}, True),
    ("{{a}} == [1, 2]", {"a": [1, 2]}, True),
    ("{{a}}", {"a": 0}, False),
    ("{{a}}", {"a": "false"}, True),
    ("{{a}} or {{b}} > 1", {"a": True, "b": None}, True),
    ("  {{a}}  ", {"a": 1}, True),
    ("{{a}} == 'x\\'y'", {"a": "x'y"}, True),
    ("{{a}} == 'C:\\data'", {"a": "C:\\data"}, True),
    ("{{a}} == 1 # one", {"a": 1}, True),
    ("{{a}} + {{b}} > 2.5", {"a": 1, "b": 2}, True),
    ("{{a}} != '__import__(\"os\")'", {"a": '__import__("os")'}, False),
]


@pytest.mark.parametrize(("text", "values", "expected"), DECIDED)
def test_conditions_are_decided(text: str, values: dict[str, Any], expected: bool) -> None:
    """Comparison, arithmetic, and/or/not/in, len, constants of Python and of JSON; references are values."""
    condition = read_condition(text)
    assert expected is condition.decide([values[reference.operands[0].root] for reference in condition.references])


@pytest.mark.parametrize(
    "text",
    [
        "", "   ", "1 +", "(", ")", "1 2", "if", "a b", "{{a}} {{b}}", "1 = 1", "{{a}} && {{b}}", "!{{a}}", "{{a}} === 1",
        "x", "a.b", "{{a}}.b", "{{a}}[0]", "{{a}}['k']", "{{a}}.b()", "'a'.upper()", "open('x')", "print(1)",
        "len", "len()", "len(1, 2)", "len(x=1)", "len(*[1])", "max(1, 2)", "{{a}}(1)", "(len)(1)(2)",
        "2 ** 9", "1 << 9", "1 >> 1", "1 | 2", "1 & 2", "1 ^ 2", "~1", "1 @ 2",
        "lambda: 1", "[x for x in [1]]", "{x for x in [1]}", "{1: 2}", "{1, 2}", "(x for x in [1])", "1 if 1 else 2",
        "f'{1}'", "b'x'", "1j", "...", "a := 1", "(a := 1)", "await x", "yield 1", "*[1]", "__import__('os')",
        "'{{a}}' == 'x'", "\"{{a}}\" == 'x'", "reference__0", "'reference__0'", "1; 2", "1\n2", "import os",
        "\x00", "#", "None()", "true()", "'a' % 3 if 1 else 0", "not", "1 <> 2", "'unclosed",
        "1if 1else 0", "\ud800",
    ],
)  # fmt: skip
def test_everything_else_is_refused_before_it_runs(text: str) -> None:
    """Attributes, calls, indexes, powers, comprehensions, names, text with references inside quotes, no expressions."""
    with pytest.raises(ConditionError) as caught:
        read_condition(text)
    assert "bad-condition" == caught.value.code
    assert caught.value.hint or "constant" in caught.value.message or "reserved" in caught.value.message


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("{{a}} && {{b}}", "`and`"), ("{{a}} = 1", "=="), ("{{a}} === 1", "=="), ("{{a}}.rows > 1", "inside the braces"),
        ("{{a}}[0] > 1", "inside the braces"), ("rows > 1", "{{rows.output}}"), ("'{{a}}' == 'x'", "without quotes"),
    ],
)  # fmt: skip
def test_refusals_say_what_would_work(text: str, hint: str) -> None:
    """The usual slips of people and models each have their own hint."""
    with pytest.raises(ConditionError) as caught:
        read_condition(text)
    assert hint in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1 if {{a}} else 0", "uses `if … else`,"), ("[x for x in {{a}}]", "uses a comprehension,"),
        ("{{a}} | 2", "uses `|`,"), ("{'k': 1}", "uses an object,"), ("(a := 1)", "uses an assignment,"),
    ],
)  # fmt: skip
def test_refusals_name_what_was_written(text: str, words: str) -> None:
    """In the writer's words, not in the names of Python's syntax tree."""
    with pytest.raises(ConditionError, match=re.escape(words)):
        read_condition(text)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("{{a}} > 0", [None]),
        ("{{a}} > 0", ["1"]),
        ("len({{a}}) > 0", [3]),
        ("{{a}} / {{b}} > 1", [1, 0]),
        ("{{a}} // {{b}} > 1", [1, 0]),
        ("{{a}} % {{b}} == 1", [1, 0]),
        ("{{a}} * {{b}} > 1", ["x", 10**9]),
        ("{{a}} * {{b}} > 1", [[1], 10**9]),
        ("{{a}} + {{b}} == 1", ["x", 1]),
        ("{{a}} + {{b}} == 1", [[1], [2]]),
        ("{{a}} - {{b}} == 1", [{}, 1]),
        ("{{a}} % {{b}} == 1", ["%999999999d", 1]),
        ("{{a}} in {{b}}", [1, 2]),
        ("{{a}} in {{b}}", [[1], {"x": 1}]),
        ("-{{a}} > 1", ["x"]),
        ("{{a}} * {{a}} * {{a}} > 1", [10**200, 10**200, 10**200]),
        ("{{a}} * 2.0 > 1", [10**310]),
        ("{{a}} + {{a}} == 'x'", ["x" * 600_000, "x" * 600_000]),
        ("{{a}} < {{b}}", [{}, {}]),
    ],
)
def test_values_that_do_not_fit_are_an_error_of_the_condition(text: str, values: list[Any]) -> None:
    """Never an exception of Python's, never a huge result."""
    with pytest.raises(ConditionError):
        read_condition(text).decide(values)


def test_text_from_a_tool_is_never_code() -> None:
    """What a tool gave back is compared, whatever it says."""
    condition = read_condition("{{a.output}} == 'x'")
    for hostile in ("'x'", "x' or 'x'=='x", "__import__('os').abort()", "{{b.output}}", "reference__0", "True"):
        assert condition.decide([hostile]) is False


def test_short_circuit() -> None:
    """`or` and `and` leave out what is not needed, so that a guard protects what is behind it."""
    assert read_condition("{{a}} is not null and {{a}} > 1").decide([None, None]) is False
    assert read_condition("{{a}} is null or {{a}} > 1").decide([None, None]) is True


@pytest.mark.parametrize(
    "text", ["-" * 200 + "1", "not " * 120 + "1", "+".join(["1"] * 150), "[" * 120 + "]" * 120, "1 " + "+ 1" * 900]
)
def test_depth_and_length_are_limits(text: str) -> None:
    """A tree that could overflow the stack of whoever evaluates it is refused."""
    with pytest.raises(ConditionError) as caught:
        read_condition(text)
    assert "limit" == caught.value.code


def test_reading_warns_nobody() -> None:
    """Python's own warnings about source code do not reach the user."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_condition("{{a}} == '\\d'").decide(["\\d"])
        with pytest.raises(ConditionError):
            read_condition("1if 2")
        assert read_condition("1 is 1").decide([])


def test_a_malformed_reference_is_a_bad_reference() -> None:
    """Not a bad condition: the place to mend is inside the braces."""
    with pytest.raises(ReferenceSyntaxError):
        read_condition("{{a.output > 1")
