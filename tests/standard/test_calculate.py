"""`calculate`: arithmetic over named values that no expression can turn into code, a crash or a long wait."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planloom.errors import ArgumentsError
from planloom.standard import calculate
from planloom.standard.arithmetic import MAX_ELEMENTS

VALUES: dict[str, Any] = {"new": 5, "old": 4, "prices": [3, 1.5, 2], "none_of_it": []}

REFUSED = [
    # code and whatever looks like it
    ("__import__('os').system('true')", "it uses an attribute"),
    ("().__class__", "it uses an attribute"),
    ("new.real", "it uses an attribute"),
    ("prices[0]", "it uses an index"),
    ("open('/etc/passwd')", "no function is called `open`"),
    ("eval('1')", "no function is called `eval`"),
    ("(lambda: 1)()", "it uses a lambda"),
    ("[x for x in prices]", "it uses a comprehension"),
    ("sum(x for x in prices)", "it uses a comprehension"),
    ("(x := 3)", "it uses `:=`"),
    ("f'{new}'", "it uses an f-string"),
    ("'a' * 10**9", "it has text in it"),
    ("b'a'", "it has text in it"),
    ("3j", "it has text in it"),
    ("...", "it has text in it"),
    ("1 if new else 2", "it uses `if`"),
    ("new in prices", "it uses `in`"),
    ("new is old", "it uses `is`"),
    ("sum(*prices)", "it uses `*` before a name"),
    ("round(new, ndigits=2)", "takes its arguments without names"),
    ("{1: 2}", "it uses `Dict`"),
    ("new @ old", "it uses `MatMult`"),
    ("new << 10**9", "it uses `LShift`"),
    ("~new", "it uses `Invert`"),
    ("x = 3", "it is not an expression"),
    ("new; old", "it is not an expression"),
    ("", "it is not an expression"),
    ("import os", "it is not an expression"),
    ("1 # new\n+ 2", "it has a `#`"),
    # slips of a planner, with a hint
    ("nwe + 1", "did you mean `new`?"),
    ("max + 1", "write max(…)"),
    ("maxx(new, old)", "did you mean `max`?"),
    ("new ^ 2", "write ** for a power"),
    ("1,000 * 2", "write numbers without a comma"),
    ("null + 1", "null is no number"),
    ("None", "null is no number"),
    ("prices * 2", "`*` takes numbers, and was given a list"),
    ("prices > 2", "a comparison takes numbers, and was given a list"),
    ("prices", "it gives a list"),
    ("true + 1", "`+` takes numbers, and was given true"),
    ("(new > 1) > 0", "a comparison takes numbers, and was given true"),
    ("new and old", "take comparisons"),
    ("not new", "take comparisons"),
    ("sum(prices, 1)", "takes one list, or several numbers"),
    ("sum()", "takes one list, or several numbers"),
    ("sqrt(prices)", "`sqrt` takes one number"),
    ("abs(1, 2)", "`abs` takes one number"),
    ("round(1.5, 0.5)", "whole number of digits"),
    # numbers that do not exist or are too large
    ("new / 0", "it divides by zero"),
    ("new // 0", "it divides by zero"),
    ("new % 0.0", "it divides by zero"),
    ("0 ** -1", "it divides by zero"),
    ("(-8) ** 0.5", "has no value for"),
    ("sqrt(-1)", "has no value for"),
    ("log(0)", "has no value for"),
    ("mean(none_of_it)", "an empty list has no mean"),
    ("max(none_of_it)", "an empty list has no max"),
    ("9 ** 9 ** 9", "too large"),
    ("(-7) ** 100000000", "too large"),
    ("1e200 * 1e200", "too large"),
    ("1e999", "too large"),
    ("2.5 ** 100000", "too large"),
    ("9" * 400, "too large"),
    ("10 ** 299 * 1000", "too large"),
    # nesting and length
    ("-" * 1_900 + "1", "nested"),
    ("(" * 150 + "1" + ")" * 150 + "+ x", "nothing is called `x`"),
    ("(" * 900 + "1" + ")" * 900, "it is not an expression"),
    ("abs(" * 60 + "1" + ")" * 60, "nested deeper than 50"),
    ("1+" * 1_000 + "1", "more than 2000 characters"),
]


@pytest.mark.parametrize(("expression", "reason"), REFUSED)
def test_refused(expression: str, reason: str) -> None:
    """An expression that is not plain arithmetic is refused in one sentence, at once."""
    with pytest.raises(ArgumentsError) as raised:
        calculate(expression, VALUES)
    assert reason in str(raised.value)
    assert len(str(raised.value)) < 500


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("(new - old) / old * 100", 25.0),
        ("2 + 3 * 4 - 1", 13),
        ("2 ** 3 ** 2", 512),
        ("-2 ** 2", -4),
        ("7 // 2 + 7 % 2", 4),
        ("2 ** -1", 0.5),
        ("1 ** 10000000", 1),
        ("sum(prices)", 6.5),
        ("mean(prices) * len(prices)", 6.5),
        ("max(prices) - min(prices)", 1.5),
        ("max(new, old, 9)", 9),
        ("sum([1, 2, new])", 8),
        ("sum(none_of_it)", 0),
        ("len(none_of_it)", 0),
        ("round(2.675, 2)", 2.67),
        ("round(2.5)", 2),
        ("abs(-new)", 5),
        ("sqrt(16)", 4.0),
        ("log(100, 10)", 2.0),
        ("round(pi, 4)", 3.1416),
        ("new > old", True),
        ("1 < old < new", True),
        ("new == 5.0", True),
        ("new > old and not new > 10", True),
        ("new < old or old < new", True),
        ("new < old and 1 / 0 > 1", False),
        ("new\n +\told", 9),
        ("+".join(["1"] * 900), 900),
        ("sum([0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1])", 1.0),
        ("10**15 + 1", 10**15 + 1),
    ],
)
def test_result(expression: str, expected: object) -> None:
    """Arithmetic gives what it should; whole numbers stay whole and exact."""
    result = calculate(expression, VALUES)
    assert (expected, type(expected)) == (result, type(result))


def test_names_that_no_expression_can_use() -> None:
    """A name with a space in it is said at once, not left to be unknown."""
    with pytest.raises(ArgumentsError, match="`unit price` cannot be used as a name"):
        calculate("1", {"unit price": 3})


def test_a_value_may_have_the_name_of_a_function() -> None:
    """Names and functions are told apart by the call."""
    assert 6 == calculate("sum(sum)", {"sum": [1, 2, 3]})


def test_long_lists_are_looked_at_a_bounded_number_of_times() -> None:
    """The work of one expression is bounded, however often it names a long list."""
    prices = [1] * (MAX_ELEMENTS // 10)
    assert len(prices) == calculate("sum(p)", {"p": prices})
    with pytest.raises(ArgumentsError, match="more than 5,000,000 list elements"):
        calculate("+".join(["sum(p)"] * 200), {"p": prices})


@pytest.mark.parametrize("value", ["5", None, True, [1, None], ["1"], {"a": 1}])
def test_values_are_numbers(value: Any) -> None:
    """Text, null, true and objects are refused by the tool's schema; nothing is guessed from text."""
    with pytest.raises(ArgumentsError, match="values"):
        calculate.prepare({"expression": "x", "values": {"x": value}})


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan, 10**301])
def test_values_are_finite(value: float) -> None:
    """What JSON cannot hold is refused inside lists too."""
    for values, expression in (({"x": value}, "x + 1"), ({"x": [1, value]}, "sum(x)")):
        with pytest.raises(ArgumentsError, match="too large"):
            calculate(expression, values)


_LEAVES = st.integers(-50, 50).map(str) | st.sampled_from(["a", "b"])
_EXPRESSIONS = st.recursive(
    _LEAVES,
    lambda inner: (
        st.tuples(inner, st.sampled_from(["+", "-", "*", "//", "%", "/", "<", "=="]), inner).map(
            lambda three: f"({three[0]}) {three[1]} ({three[2]})"
        )
        | inner.map(lambda one: f"-({one})")
        | inner.map(lambda one: f"abs({one})")
    ),
    max_leaves=12,
)


@settings(derandomize=True, deadline=None, max_examples=200)
@given(_EXPRESSIONS)
def test_agrees_with_python(expression: str) -> None:
    """Whatever it accepts has the value that Python gives it."""
    try:
        result = calculate(expression, {"a": 3, "b": -7})
    except ArgumentsError:
        return
    assert eval(expression, {"__builtins__": {"abs": abs}}, {"a": 3, "b": -7}) == result


@settings(derandomize=True, deadline=None, max_examples=200)
@given(st.text(alphabet="ab1.,()[]{}+-*/%<>=!&|^~'\"\\ \n:;#@$_éµ\0", max_size=60) | st.text(max_size=60))
def test_any_text_ends_in_a_number_or_a_sentence(expression: str) -> None:
    """No text makes it raise anything but ArgumentsError."""
    try:
        result = calculate(expression, {"a": 3, "b": 2.5})
    except ArgumentsError:
        return
    assert isinstance(result, int | float)
