"""`when`: a small Python-like expression in which references stand for values.

The syntax tree is checked against a list of what is allowed before anything is evaluated: comparison,
arithmetic, `and or not in`, `len`, constants. References become names, never text, so what a tool gave back
can never be read as code. Arithmetic is bounded, so that a condition cannot use up memory or time.
"""

from __future__ import annotations

import ast
import operator
import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from planloom.plan.issues import shorten
from planloom.plan.limits import DEFAULT_LIMITS, Limits
from planloom.plan.references import Reference, Template, read_template

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
_SAID: Final[dict[type[ast.AST], str]] = {
    ast.Attribute: "an attribute", ast.Subscript: "an index", ast.Pow: "a power", ast.JoinedStr: "an f-string",
    ast.IfExp: "`if … else`", ast.Lambda: "a function", ast.NamedExpr: "an assignment", ast.Dict: "an object",
    ast.Set: "a set", ast.ListComp: "a comprehension", ast.SetComp: "a comprehension", ast.DictComp: "a comprehension",
    ast.GeneratorExp: "a comprehension", ast.Starred: "`*`", ast.Invert: "`~`", ast.MatMult: "`@`", ast.BitOr: "`|`",
    ast.BitAnd: "`&`", ast.BitXor: "`^`", ast.LShift: "`<<`", ast.RShift: "`>>`",
}  # fmt: skip
"""What is not allowed, in the words of who wrote it."""
_MAY_WARN = re.compile(r"\\|\d[A-Za-z]")
_MAX_NUMBER: Final = 10**300
_MAX_TEXT_CHARS: Final = 1_000_000
"""Length of a text that `+` may make."""
_MAX_NESTING: Final = 100
"""Operators inside each other; deeper trees could overflow the stack of whoever evaluates them."""
_EXAMPLE: Final = 'write for example {{check.output.rows}} > 0 and {{kind.output}} == "csv"'


class ConditionError(ValueError):
    """A `when` that is not an allowed expression, or that failed while it was decided."""

    def __init__(
        self, message: str, hint: str | None = None, code: Literal["bad-condition", "limit"] = "bad-condition"
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.code: Literal["bad-condition", "limit"] = code


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
        from simpleeval import EvalWithCompoundTypes  # pyright: ignore[reportMissingTypeStubs]

        names = {f"{_MARK}{index}": value for index, value in enumerate(values)} | _CONSTANT_NAMES
        evaluator: Any = EvalWithCompoundTypes(names=names, functions={"len": _length}, operators=_OPERATORS)
        try:
            return bool(evaluator.eval(self.text, previously_parsed=self.tree))
        except ConditionError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever operators raise on values that do not fit
            raise ConditionError(f"`{shorten(self.text)}` cannot be decided: {shorten(str(error), 160)}") from None


def read_condition(text: str, limits: Limits = DEFAULT_LIMITS) -> Condition:
    """Read and check a `when` expression.

    Raises `ConditionError` for what is not allowed and `ReferenceSyntaxError` for a malformed reference.
    """
    if len(text) > limits.condition_chars:
        most = f"{limits.condition_chars:,} characters (limit `condition_chars`)"
        raise ConditionError(f"a condition may have at most {most}, this has {len(text):,}", code="limit")
    if _MARK in text:
        raise ConditionError(f"`{_MARK}` is a reserved name")
    source = read_template(text, max_references=limits.references)
    parts = source.parts if isinstance(source, Template) else (text if source is None else source,)
    references = tuple(part for part in parts if isinstance(part, Reference))
    numbers = iter(range(len(references)))
    expression = "".join(part if isinstance(part, str) else f" {_MARK}{next(numbers)} " for part in parts)
    tree = _parse(expression.strip(), text)
    callees = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    for node in ast.walk(tree):
        _check_node(node, text, called=id(node) in callees)
    _check_nesting(tree.body, text)
    return Condition(text, tree.body, references)


def _parse(expression: str, text: str) -> ast.Expression:
    try:
        if _MAY_WARN.search(expression) is None:
            return ast.parse(expression, mode="eval")
        # Python warns of odd escapes and of digits that run into words; a plan is not our source code
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(expression, mode="eval")
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise ConditionError(f"`{shorten(text)}` is not an expression", _syntax_hint(text)) from None


def _syntax_hint(text: str) -> str:
    if "&&" in text or "||" in text or text.lstrip().startswith("!"):
        return "write `and`, `or` and `not`"
    if "===" in text or "!==" in text:
        return "write == and !="
    if "=" in text and not any(sign in text for sign in ("==", "!=", "<=", ">=")):
        return "equality is written =="
    return _EXAMPLE


def _check_nesting(root: ast.AST, text: str) -> None:
    level = [root]
    for _ in range(_MAX_NESTING):
        level = [child for node in level for child in ast.iter_child_nodes(node)]
        if not level:
            return
    raise ConditionError(f"`{shorten(text)}` is nested deeper than {_MAX_NESTING} levels", code="limit")


def _check_node(node: ast.AST, text: str, *, called: bool) -> None:
    if not isinstance(node, _ALLOWED):
        what = _SAID.get(type(node), f"`{type(node).__name__}`")
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
            if len(left) + len(right) > _MAX_TEXT_CHARS:
                raise ConditionError(f"`+` makes a text of more than {_MAX_TEXT_CHARS:,} characters")
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


def _divide(left: Any, right: Any) -> Any:
    return left / right


def _divide_down(left: Any, right: Any) -> Any:
    return left // right


def _is_in(left: Any, right: Any) -> bool:
    return left in right


def _is_not_in(left: Any, right: Any) -> bool:
    return left not in right


_OPERATORS: Final[dict[type[ast.AST], Callable[..., Any]]] = {
    ast.Add: _arithmetic("+", operator.add),
    ast.Sub: _arithmetic("-", operator.sub),
    ast.Mult: _arithmetic("*", operator.mul),
    ast.Div: _arithmetic("/", _divide),
    ast.FloorDiv: _arithmetic("//", _divide_down),
    ast.Mod: _arithmetic("%", operator.mod),
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: _is_in,
    ast.NotIn: _is_not_in,
    ast.Is: operator.eq,
    ast.IsNot: operator.ne,
    ast.Not: operator.not_,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}
