"""`calculate`: arithmetic over named values. An expression is read as a syntax tree and never run as code.

Every kind of node is listed here with what it does; what is not listed is refused. Numbers, nesting and the number of
list elements looked at are bounded, so that no expression can use up memory or time.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Final, TypeGuard

from pydantic import Field, StrictFloat, StrictInt

from planloom.errors import ArgumentsError
from planloom.plan.issues import shorten
from planloom.plan.suggest import did_you_mean
from planloom.tools import tool

MAX_EXPRESSION_CHARACTERS: Final = 2_000
MAX_DEPTH: Final = 50
MAX_NUMBER: Final = 10**300
MAX_ELEMENTS: Final = 5_000_000
"""List elements that one expression may look at, counted again each time."""

Number = StrictInt | StrictFloat
Real = int | float
Value = Real | bool | list[Real]


@tool(read_only=True, retries=0, timeout_s=30, version="1")
def calculate(
    expression: Annotated[str, Field(max_length=MAX_EXPRESSION_CHARACTERS)],
    values: dict[str, Number | list[Number]] | None = None,
) -> int | float | bool:
    """Do arithmetic, such as `(new - old) / old * 100` or `mean(prices) > 10`.

    Has + - * / // % **, comparison, and or not, and abs round sqrt log min max sum mean len, the last five over a
    list or over several numbers. The output is the number itself (or true or false): use `{{step.output}}`.

    Args:
        expression: Names and numbers, no code. log(x) is natural, log(x, 10) is not; round takes
            halves to the even side.
        values: A number or a list of numbers for each name, such as {"new": "{{b.output.total}}"}.
    """
    result = evaluate(expression, values or {})
    if isinstance(result, list):
        raise _problem(expression, "it gives a list, and one number is wanted", "use sum, mean, min, max or len")
    return result


class _ExpressionError(ValueError):
    """What is wrong with an expression, and how to mend it."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


def evaluate(expression: str, values: Mapping[str, Real | Sequence[Real]]) -> Value:
    """Return the value of an expression. Raises ArgumentsError that says what is wrong with it."""
    try:
        for name in values:
            if not name.isidentifier():
                raise _ExpressionError(
                    f"`{shorten(name, 40)}` cannot be used as a name", "call it `a`, or `unit_price`"
                )
        return _Evaluator(values).value(_read(expression), 0)
    except _ExpressionError as error:
        raise _problem(expression, error.message, error.hint) from None


def _problem(expression: str, message: str, hint: str | None) -> ArgumentsError:
    return ArgumentsError(f"cannot calculate `{shorten(expression)}`: {message}" + (f"\nhint: {hint}" if hint else ""))


def _read(expression: str) -> ast.expr:
    if len(expression) > MAX_EXPRESSION_CHARACTERS:
        raise _ExpressionError(
            f"it has more than {MAX_EXPRESSION_CHARACTERS} characters", "give long lists in `values`"
        )
    if "#" in expression:
        raise _ExpressionError("it has a `#`, which means nothing here")
    try:
        return ast.parse(" ".join(expression.split()), mode="eval").body
    except (MemoryError, RecursionError):
        raise _ExpressionError("it is nested too deep") from None
    except (SyntaxError, ValueError):
        raise _ExpressionError(
            "it is not an expression", "write for example `(new - old) / old * 100`, with the names in `values`"
        ) from None


class _Evaluator:
    """Walks one syntax tree, counting the elements of lists that it looks at."""

    def __init__(self, values: Mapping[str, Real | Sequence[Real]]) -> None:
        self.values = values
        self.elements_left = MAX_ELEMENTS

    def value(self, node: ast.expr, depth: int) -> Value:
        if depth > MAX_DEPTH:
            raise _ExpressionError(f"it is nested deeper than {MAX_DEPTH} levels")
        match node:
            case ast.Constant():
                return _constant(node.value)
            case ast.Name():
                return self.named(node.id)
            case ast.BinOp():
                return self.arithmetic(node, depth)
            case ast.UnaryOp():
                return self.unary(node, depth)
            case ast.Compare():
                return self.comparison(node, depth)
            case ast.BoolOp():
                wanted = isinstance(node.op, ast.Or)
                return any(self.truth(part, depth) is wanted for part in node.values) is wanted
            case ast.Call():
                return self.call(node, depth)
            case ast.List():
                return [self.number(part, depth + 1, "a list") for part in node.elts]
            case _:
                raise _refusal(node)

    def named(self, name: str) -> Value:
        if name in self.values:
            value = self.values[name]
            if isinstance(value, Sequence):
                self.spend(len(value))
                return [_bounded(element) for element in value]
            return _bounded(value)
        if name == "pi":
            return math.pi
        if name in ("None", "null"):
            raise _ExpressionError("it has null in it, and null is no number")
        if name in ("true", "false"):
            return name == "true"
        if name in _FUNCTIONS:
            raise _ExpressionError(f"`{name}` is a function", f"write {name}(…)")
        known = ", ".join(f"`{shorten(other, 40)}`" for other in list(self.values)[:8]) or "empty"
        hint = did_you_mean(name, self.values) or f"`values` has {known}" if self.values else 'give it: values {"x": 1}'
        raise _ExpressionError(f"nothing is called `{shorten(name, 40)}`", hint)

    def number(self, node: ast.expr, depth: int, taker: str) -> Real:
        value = self.value(node, depth)
        if not _is_number(value):
            what = "a list" if isinstance(value, list) else str(value).lower()
            hint = "take sum(…), mean(…), min(…), max(…) or len(…) of it" if isinstance(value, list) else None
            raise _ExpressionError(f"{taker} takes numbers, and was given {what}", hint)
        return value

    def truth(self, node: ast.expr, depth: int) -> bool:
        value = self.value(node, depth + 1)
        if not isinstance(value, bool):
            raise _ExpressionError("`and`, `or` and `not` take comparisons", "write for example `a > 0 and b > 0`")
        return value

    def arithmetic(self, node: ast.BinOp, depth: int) -> Real:
        """Fold a chain such as `a + b + c` from the left, so that its length is no depth."""
        chain: list[tuple[ast.operator, ast.expr]] = []
        left: ast.expr = node
        while isinstance(left, ast.BinOp):
            chain.append((left.op, left.right))
            left = left.left
        symbols = [_OPERATORS.get(type(operation)) for operation, _ in chain]
        if None in symbols:
            raise _refusal(chain[symbols.index(None)][0])
        symbol, _ = _OPERATORS[type(chain[-1][0])]
        result = self.number(left, depth + 1, f"`{symbol}`")
        for operation, right in reversed(chain):
            symbol, apply = _OPERATORS[type(operation)]
            result = _applied(symbol, apply, result, self.number(right, depth + 1, f"`{symbol}`"))
        return result

    def unary(self, node: ast.UnaryOp, depth: int) -> Real | bool:
        if isinstance(node.op, ast.Not):
            return not self.truth(node.operand, depth)
        if isinstance(node.op, ast.USub):
            return -self.number(node.operand, depth + 1, "`-`")
        if isinstance(node.op, ast.UAdd):
            return self.number(node.operand, depth + 1, "`+`")
        raise _refusal(node.op)

    def comparison(self, node: ast.Compare, depth: int) -> bool:
        left = self.number(node.left, depth + 1, "a comparison")
        for operation, part in zip(node.ops, node.comparators, strict=True):
            compare = _COMPARISONS.get(type(operation))
            if compare is None:
                raise _refusal(operation)
            right = self.number(part, depth + 1, "a comparison")
            if not compare(left, right):
                return False
            left = right
        return True

    def call(self, node: ast.Call, depth: int) -> Real:
        name = node.func.id if isinstance(node.func, ast.Name) else None
        if name is None:
            raise _refusal(node.func)
        if name not in _FUNCTIONS:
            known = ", ".join(_FUNCTIONS)
            raise _ExpressionError(
                f"no function is called `{shorten(name, 40)}`", did_you_mean(name, _FUNCTIONS) or f"there are {known}"
            )
        if node.keywords:
            raise _ExpressionError(f"`{name}` takes its arguments without names")
        arguments = [self.value(part, depth + 1) for part in node.args]
        if name in _LIST_FUNCTIONS:
            return _applied(name, _FUNCTIONS[name], self.elements(name, arguments))
        fewest, most = _COUNTS[name]
        if not fewest <= len(arguments) <= most or not all(map(_is_number, arguments)):
            count = "one number" if most == 1 else "one number, or two"
            raise _ExpressionError(f"`{name}` takes {count}", "for a list, use `for_each`" if most == 1 else None)
        return _applied(name, _FUNCTIONS[name], *arguments)

    def elements(self, name: str, arguments: list[Value]) -> list[Real]:
        """The numbers for a function over a list: its one list, or all of its arguments."""
        if len(arguments) == 1 and isinstance(arguments[0], list):
            return arguments[0]
        numbers = [argument for argument in arguments if _is_number(argument)]
        if not numbers or len(numbers) < len(arguments):
            raise _ExpressionError(f"`{name}` takes one list, or several numbers")
        return numbers

    def spend(self, elements: int) -> None:
        self.elements_left -= elements
        if self.elements_left < 0:
            raise _ExpressionError(
                f"it looks at more than {MAX_ELEMENTS:,} list elements", "use `select` with `aggregate`"
            )


def _is_number(value: object) -> TypeGuard[Real]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _constant(value: object) -> Real | bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return _bounded(value)
    if value is None:
        raise _ExpressionError("it has null in it, and null is no number")
    raise _ExpressionError("it has text in it, and only numbers can be calculated with", "give names without quotes")


def _bounded(value: Real) -> Real:
    if not abs(value) <= MAX_NUMBER:  # written so that NaN is refused too
        raise _ExpressionError("a number in it is too large (more than 1e300)")
    return value


def _applied(name: str, function: Callable[..., Real], *arguments: object) -> Real:
    """Call one of the functions below, with its failures in words."""
    try:
        return _bounded(function(*arguments))
    except _ExpressionError:
        raise
    except ZeroDivisionError:
        raise _ExpressionError("it divides by zero") from None
    except OverflowError:
        raise _ExpressionError("a number in it is too large (more than 1e300)") from None
    except ValueError:
        shown = ", ".join(shorten(repr(argument), 40) for argument in arguments)
        raise _ExpressionError(f"`{name}` has no value for {shown}") from None


def _refusal(node: ast.AST) -> _ExpressionError:
    hint = _HINTS.get(type(node))
    if hint is None and isinstance(node, ast.Tuple | ast.Dict | ast.Set):
        hint = "write numbers without a comma in them, and lists as [1, 2]"
    return _ExpressionError(
        f"it uses {_NAMES.get(type(node), f'`{type(node).__name__}`')}, which an expression may not",
        hint or "it may have + - * / // % **, parentheses, comparison and " + ", ".join(_FUNCTIONS),
    )


def _divide(left: Real, right: Real) -> Real:
    return left / right


def _divide_whole(left: Real, right: Real) -> Real:
    return left // right


def _absolute(number: Real) -> Real:
    return abs(number)


def _power(base: Real, exponent: Real) -> Real:
    if isinstance(base, int) and isinstance(exponent, int) and exponent > 0:
        if (abs(base).bit_length() - 1) * exponent > 1_000:  # told before it is worked out
            raise OverflowError
        return base**exponent
    result: object = base**exponent
    if isinstance(result, complex):
        raise ValueError
    assert _is_number(result)
    return result


def _sum(numbers: Sequence[Real]) -> Real:
    """Whole numbers exactly, others without the error that grows with each addition."""
    return sum(numbers) if all(isinstance(number, int) for number in numbers) else math.fsum(numbers)


def _mean(numbers: Sequence[Real]) -> float:
    if not numbers:
        raise _ExpressionError("an empty list has no mean", "use `when` to skip the step if there is nothing")
    return _sum(numbers) / len(numbers)


def _extreme(name: str, choose: Callable[[Sequence[Real]], Real]) -> Callable[..., Real]:
    def apply(numbers: Sequence[Real]) -> Real:
        if not numbers:
            raise _ExpressionError(f"an empty list has no {name}", "use `when` to skip the step if there is nothing")
        return choose(numbers)

    return apply


def _round(number: Real, digits: Real = 0) -> Real:
    if not isinstance(digits, int) or abs(digits) > 300:
        raise _ExpressionError("`round` takes a whole number of digits from -300 to 300")
    return round(number, digits) if digits else round(number)


_OPERATORS: Final[dict[type[ast.AST], tuple[str, Callable[..., Real]]]] = {
    ast.Add: ("+", operator.add),
    ast.Sub: ("-", operator.sub),
    ast.Mult: ("*", operator.mul),
    ast.Div: ("/", _divide),
    ast.FloorDiv: ("//", _divide_whole),
    ast.Mod: ("%", operator.mod),
    ast.Pow: ("**", _power),
}
_COMPARISONS: Final[dict[type[ast.AST], Callable[[Real, Real], bool]]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_LIST_FUNCTIONS: Final[dict[str, Callable[..., Real]]] = {
    "min": _extreme("min", min),
    "max": _extreme("max", max),
    "sum": _sum,
    "mean": _mean,
    "len": len,
}
_FUNCTIONS: Final[dict[str, Callable[..., Real]]] = {
    "abs": _absolute,
    "round": _round,
    "sqrt": math.sqrt,
    "log": math.log,
    **_LIST_FUNCTIONS,
}
_COUNTS: Final = {"abs": (1, 1), "sqrt": (1, 1), "round": (1, 2), "log": (1, 2)}
_NAMES: Final[dict[type[ast.AST], str]] = {
    ast.Attribute: "an attribute",
    ast.Subscript: "an index",
    ast.BitXor: "`^`",
    ast.Tuple: "a comma",
    ast.Lambda: "a lambda",
    ast.IfExp: "`if`",
    ast.JoinedStr: "an f-string",
    ast.ListComp: "a comprehension",
    ast.GeneratorExp: "a comprehension",
    ast.NamedExpr: "`:=`",
    ast.Starred: "`*` before a name",
    ast.In: "`in`",
    ast.NotIn: "`not in`",
    ast.Is: "`is`",
    ast.IsNot: "`is not`",
}
_PATH_HINT: Final = 'give the part under a name of its own: values {"price": "{{step.output.price}}"}'
_HINTS: Final[dict[type[ast.AST], str]] = {
    ast.Attribute: _PATH_HINT,
    ast.Subscript: _PATH_HINT,
    ast.BitXor: "write ** for a power",
    ast.IfExp: "use `when` on two steps",
}
