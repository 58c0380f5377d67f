"""`when`: a small Python-like expression in which references stand for values.

The syntax tree is checked against a list of what is allowed before anything is evaluated: comparison,
arithmetic, `and or not in`, `len`, constants. References become names, never text, so what a tool gave back
can never be read as code. Arithmetic is bounded, so that a condition cannot use up memory or time.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from planloom.plan.issues import shorten
from planloom.plan.limits import DEFAULT_LIMITS, Limits
from planloom.plan.references import Reference, ReferenceSyntaxError, Template, read_template

_MARK: Final = "reference__"
_CONSTANT_NAMES: Final[dict[str, Any]] = {
    "true": True, "false": False, "null": None, "True": True, "False": False, "None": None,
}  # fmt: skip
_ALLOWED: Final = (
    ast.Expression, ast.BoolOp, ast.And, ast.Or, ast.UnaryOp, ast.Not, ast.USub, ast.UAdd, ast.BinOp,
    ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Compare, ast.Eq, ast.NotEq, ast.Lt,
    ast.LtE, ast.Gt, ast.GtE, ast.In, ast.NotIn, ast.Is, ast.IsNot, ast.Constant, ast.Name, ast.Load,
    ast.List, ast.Tuple, ast.Call,
)  # fmt: skip
_MAX_NUMBER: Final = 10**300
_EXAMPLE: Final = 'write for example {{check.output.rows}} > 0 and {{kind.output}} == "csv"'


class ConditionError(ValueError):
    """A `when` that is not an allowed expression, or that failed while it was decided."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Condition:
    """A `when` that was read and checked: its syntax tree and the references that it names."""

    text: str
    tree: ast.expr
    references: tuple[Reference, ...]

    def decide(self, values: Sequence[Any]) -> bool:
        """Return whether the condition holds, with `values` for `references` in order.

        Raises `ConditionError` when the values do not fit the expression, such as `null > 0`.
        """
        # simpleeval takes 15 ms to import, and most plans have no condition
        from simpleeval import EvalWithCompoundTypes

        names = {f"{_MARK}{index}": value for index, value in enumerate(values)} | _CONSTANT_NAMES
        evaluator = EvalWithCompoundTypes(names=names, functions={"len": _length}, operators=_OPERATORS)
        try:
            return bool(evaluator.eval(self.text, previously_parsed=self.tree))
        except ConditionError:
            raise
        except Exception as error:
            raise ConditionError(f"`{shorten(self.text)}` cannot be decided: {shorten(str(error), 160)}") from None


def read_condition(text: str, limits: Limits = DEFAULT_LIMITS) -> Condition:
    """Read and check a `when` expression.

    Raises `ConditionError` for what is not allowed and `ReferenceSyntaxError` for a malformed reference.
    """
    if len(text) > limits.condition_chars:
        raise ConditionError(f"a condition may have at most {limits.condition_chars} characters, this has {len(text)}")
    if _MARK in text:
        raise ConditionError(f"`{_MARK}` is a reserved name")
    source = read_template(text, max_references=limits.references)
    parts: Sequence[str | Reference]
    if source is None:
        parts = [text]
    else:
        parts = source.parts if isinstance(source, Template) else [source]
    references = tuple(part for part in parts if isinstance(part, Reference))
    numbers = iter(range(len(references)))
    expression = "".join(part if isinstance(part, str) else f" {_MARK}{next(numbers)} " for part in parts)
    try:
        tree = ast.parse(expression.strip(), mode="eval")
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise ConditionError(f"`{shorten(text)}` is not an expression", _EXAMPLE) from None
    callees = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    for node in ast.walk(tree):
        _check_node(node, text, called=id(node) in callees)
    return Condition(text, tree.body, references)


def _check_node(node: ast.AST, text: str, *, called: bool) -> None:
    if not isinstance(node, _ALLOWED):
        kind = {"Attribute": "an attribute", "Subscript": "an index", "Pow": "a power", "JoinedStr": "an f-string"}
        what = kind.get(type(node).__name__, f"`{type(node).__name__}`")
        raise ConditionError(f"`{shorten(text)}` uses {what}, which a condition may not", _allowed_hint(node))
    if isinstance(node, ast.Call):
        name = node.func.id if isinstance(node.func, ast.Name) else None
        if name != "len" or len(node.args) != 1 or node.keywords:
            raise ConditionError(f"`{shorten(text)}` calls something; only len(…) may be called", _EXAMPLE)
    elif isinstance(node, ast.Name):
        if not called and node.id not in _CONSTANT_NAMES and not node.id.startswith(_MARK):
            raise ConditionError(
                f"`{shorten(text)}` uses the name `{shorten(node.id, 40)}`, which stands for nothing",
                f"write {{{{{shorten(node.id, 40)}.output}}}} for a step's output, or quotes around text",
            )
    elif isinstance(node, ast.Constant):
        if isinstance(node.value, str) and _MARK in node.value:
            raise ConditionError(
                f"`{shorten(text)}` has a reference inside quotes, where it would be plain text",
                "write the reference without quotes around it",
            )
        if not isinstance(node.value, str | int | float | bool | None):
            raise ConditionError(f"`{shorten(text)}` has a constant of a kind that JSON does not know")


def _allowed_hint(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute | ast.Subscript):
        return "put the path inside the braces: {{step.output.rows[0]}}"
    return _EXAMPLE


def _length(value: Any) -> int:
    if isinstance(value, str | list | dict):
        return len(value)  # pyright: ignore[reportUnknownArgumentType]
    raise ConditionError("len(…) takes text, a list or an object")


def _arithmetic(name: str, function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def apply(left: Any, right: Any) -> Any:
        if name == "+" and isinstance(left, str) and isinstance(right, str):
            return left + right
        for value in (left, right):
            if not isinstance(value, int | float):
                raise ConditionError(f"`{name}` takes numbers")
            if abs(value) > _MAX_NUMBER:
                raise ConditionError(f"`{name}` met a number that is too large")
        try:
            return function(left, right)
        except ZeroDivisionError:
            raise ConditionError("a division by zero") from None

    return apply


_OPERATORS: Final[dict[type[ast.AST], Callable[..., Any]]] = {
    ast.Add: _arithmetic("+", operator.add),
    ast.Sub: _arithmetic("-", operator.sub),
    ast.Mult: _arithmetic("*", operator.mul),
    ast.Div: _arithmetic("/", operator.truediv),
    ast.FloorDiv: _arithmetic("//", operator.floordiv),
    ast.Mod: _arithmetic("%", operator.mod),
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda left, right: operator.contains(right, left),
    ast.NotIn: lambda left, right: not operator.contains(right, left),
    ast.Is: operator.eq,
    ast.IsNot: operator.ne,
    ast.Not: operator.not_,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}

__all__ = ["Condition", "ConditionError", "ReferenceSyntaxError", "read_condition"]
