"""`select`: filter, group, sort, cut and project a list: the choice that must not be left to a model.

Conditions are data, not code. The order of work is fixed: where, group_by with aggregate, sort_by, first, fields.
The same input always gives the same output.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Final, Literal, NamedTuple, NotRequired, cast

from pydantic import ConfigDict, Field
from typing_extensions import TypedDict

from planloom.errors import ArgumentsError
from planloom.plan.issues import shorten
from planloom.plan.references import describe
from planloom.standard.rows import (
    Kind,
    Path,
    Row,
    check_path,
    freeze,
    is_number,
    kind_of,
    one_kind,
    read_path,
    sorted_rows,
)
from planloom.tools import tool

MAX_CLAUSES: Final = 50
"""Conditions, sort keys, fields, group keys or aggregates of one call."""

Comparison = Literal["==", "!=", "<", "<=", ">", ">=", "in", "not_in", "contains", "starts_with", "is_null", "not_null"]
Summing = Literal["count", "count_distinct", "sum", "mean", "median", "min", "max", "first", "last", "list"]


class Condition(TypedDict):
    """One condition on each item."""

    __pydantic_config__ = ConfigDict(extra="forbid")  # pyright: ignore[reportGeneralTypeIssues]

    path: str
    op: Comparison
    value: NotRequired[Any]


class SortKey(TypedDict):
    """One value to sort by."""

    __pydantic_config__ = ConfigDict(extra="forbid")  # pyright: ignore[reportGeneralTypeIssues]

    path: str
    descending: NotRequired[bool]


class Aggregate(TypedDict):
    """One figure over many items."""

    __pydantic_config__ = ConfigDict(extra="forbid")  # pyright: ignore[reportGeneralTypeIssues]

    op: Summing
    path: NotRequired[str]


class Selection(TypedDict):
    """`items` are the result, `count` their number; `matched` of `total` input items met `where`."""

    items: list[Any]
    count: int
    matched: int
    total: int


Paths = list[str] | dict[str, str]


@tool(read_only=True, retries=0, timeout_s=120, version="1")
def select(
    items: list[Any],
    where: Annotated[list[Condition], Field(max_length=MAX_CLAUSES)] | None = None,
    sort_by: str | Annotated[list[str | SortKey], Field(max_length=MAX_CLAUSES)] | None = None,
    descending: bool = False,
    first: Annotated[int, Field(ge=1)] | None = None,
    fields: str | Paths | None = None,
    group_by: str | Paths | None = None,
    aggregate: dict[str, Aggregate] | None = None,
) -> Selection:
    """Filter, sort, cut, project, group and sum up a list of objects, always with the same result.

    Done in this order: where, group_by with aggregate, sort_by, first, fields. The output has the result as `items`,
    and `count`, `matched`, `total`. The cheapest one: sort_by "price", first 1, then {{step.output.items[0]}}.
    Paths are `price`, `address.city`, `tags[0]`, or `.` for the element itself. A missing value is null. Text is
    compared as it is, so dates must be like 2024-12-31.

    Args:
        items: The list, usually a reference such as {{step.output.results}}.
        where: Conditions that must all hold, such as [{"path": "price", "op": "<", "value": 10}]. Null meets only
            is_null, !=, not_in and == null. `contains` is for a part of a text or an element of a list.
        sort_by: A path, or several, each also as {"path": "price", "descending": true}. Stable, nulls last.
        descending: The default direction of sort_by.
        first: Keep this many.
        fields: Keep only these paths, or {"new name": "path"}.
        group_by: One result per value of this path (or of several): its keys with the aggregates, or with
            `count` and `items`.
        aggregate: Figures per group, or over everything, such as {"total": {"op": "sum", "path": "price"}}. Nulls are
            left out. `count` needs no path.
    """
    every = [Row(number, value) for number, value in enumerate(items)]
    rows = every
    for number, condition in enumerate(where or ()):
        rows = _matching(rows, every, condition, f"where[{number}]")
    matched = len(rows)
    if group_by is not None or aggregate is not None:
        rows = every = _grouped(rows, every, _columns(group_by or (), "group_by"), aggregate)
    for where_key, key, down in reversed(_sort_keys(sort_by, descending)):
        check_path(key, every, where_key)
        rows = sorted_rows(rows, key, where_key, descending=down)
    rows = rows[:first]
    if fields is not None:
        rows = _projected(rows, every, _columns(fields, "fields"))
    chosen = [row.value for row in rows]
    return {"items": chosen, "count": len(chosen), "matched": matched, "total": len(items)}


def _matching(rows: list[Row], every: list[Row], condition: Condition, where: str) -> list[Row]:
    """Return the rows that meet one condition."""
    path, comparison = read_path(condition["path"], f"{where}.path"), condition["op"]
    if comparison in ("is_null", "not_null"):
        # no check of the path: a key that no item has is null everywhere
        return [row for row in rows if (path.get(row.value) is None) == (comparison == "is_null")]
    check_path(path, every, where)
    if "value" not in condition:
        raise ArgumentsError(
            f"`select`: {where} has no `value` to compare with\nhint: add it, or use is_null or not_null"
        )
    value = condition["value"]
    column = [(row, path.get(row.value)) for row in rows]
    filled = [(row, found) for row, found in column if found is not None]
    if comparison in ("==", "!=", "in", "not_in"):
        wanted = _wanted(comparison, value, filled, path, where)
        keep = comparison in ("==", "in")
        return [row for row, found in column if (freeze(found) in wanted) == keep]
    if comparison == "contains":
        return _containing(filled, value, path, where)
    allowed: tuple[Kind, ...] = ("text",) if comparison == "starts_with" else ("number", "text")
    if kind_of(value) not in allowed:
        raise ArgumentsError(
            f"`select`: {where}.value is {describe(value)}, and `{comparison}` needs {' or '.join(allowed)}"
        )
    against: Kind = kind_of(value)
    _check_kind(filled, against, path, f"{where} compares it with {describe(value)}", where)
    meets = _ORDERINGS[comparison]
    return [row for row, found in filled if meets(found, value)]


def _wanted(comparison: str, value: Any, filled: list[tuple[Row, Any]], path: Path, where: str) -> set[Any]:
    """Return the values that count as equal; refuse ones that could never be equal for their kind."""
    values: list[Any] = [value]
    if comparison in ("in", "not_in"):
        if not isinstance(value, list):
            raise ArgumentsError(f"`select`: {where}.value is {describe(value)}, and `{comparison}` needs a list")
        values = cast("list[Any]", value)
    kinds = {kind_of(one) for one in values} - {"null"}
    if kinds and filled and not any(kind_of(found) in kinds for _, found in filled):
        row, found = filled[0]
        raise ArgumentsError(
            f"`select`: {where} compares {path} with {describe(values[0])}, and no item has that kind of value there: "
            f"in items[{row.number}] it is {describe(found)}\n"
            "hint: write numbers without quotes and text with them"
        )
    return {freeze(one) for one in values}


def _containing(filled: list[tuple[Row, Any]], value: Any, path: Path, where: str) -> list[Row]:
    frozen = freeze(value)
    kept: list[Row] = []
    for row, found in filled:
        if isinstance(found, str) and isinstance(value, str):
            is_in = value in found
        elif isinstance(found, list):
            elements: list[Any] = found  # pyright: ignore[reportUnknownVariableType]
            is_in = any(freeze(element) == frozen for element in elements)
        else:
            raise ArgumentsError(
                f"`select`: {where}: {path} is {describe(found)} in items[{row.number}], and `contains` looks for "
                f"{describe(value)} in a list or text"
            )
        if is_in:
            kept.append(row)
    return kept


def _check_kind(filled: Sequence[tuple[Row, Any]], kind: Kind, path: Path, against: str, where: str) -> None:
    for row, found in filled:
        if kind_of(found) != kind:
            raise ArgumentsError(
                f"`select`: {where}: {path} is {describe(found)} in items[{row.number}], and {against}\n"
                "hint: leave such items out with a condition before this one, or compare with the same type"
            )


_ORDERINGS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "<": lambda found, value: found < value,
    "<=": lambda found, value: found <= value,
    ">": lambda found, value: found > value,
    ">=": lambda found, value: found >= value,
    "starts_with": lambda found, value: found.startswith(value),
}


def _sort_keys(sort_by: str | list[str | SortKey] | None, descending: bool) -> list[tuple[str, Path, bool]]:
    keys = [] if sort_by is None else [sort_by] if isinstance(sort_by, str) else sort_by
    found: list[tuple[str, Path, bool]] = []
    for number, key in enumerate(keys):
        where = "sort_by" if isinstance(sort_by, str) else f"sort_by[{number}]"
        text, down = (key, descending) if isinstance(key, str) else (key["path"], key.get("descending", descending))
        found.append((where, read_path(text, where), down))
    return found


class _Column(NamedTuple):
    name: str
    path: Path
    where: str


def _columns(paths: str | Sequence[str] | Mapping[str, str], where: str) -> list[_Column]:
    """Read paths that become columns; two of one name are refused."""
    if isinstance(paths, Mapping):
        found = [_Column(name, read_path(text, f"{where}.{name}"), f"{where}.{name}") for name, text in paths.items()]
    else:
        texts = [paths] if isinstance(paths, str) else paths
        read = [(read_path(text, f"{where}[{number}]"), number) for number, text in enumerate(texts)]
        found = [_Column(path.name, path, f"{where}[{number}]") for path, number in read]
    if len(found) > MAX_CLAUSES:
        raise ArgumentsError(f"`select`: {where} has {len(found)} paths, at most {MAX_CLAUSES} are allowed")
    names = [column.name for column in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ArgumentsError(
            f"`select`: {where} has two columns called `{shorten(twice, 40)}`\n"
            'hint: name them, {"city": "address.city", "home": "home.city"}'
        )
    return found


def _projected(rows: list[Row], every: list[Row], columns: list[_Column]) -> list[Row]:
    for column in columns:
        check_path(column.path, every, column.where)
    return [Row(row.number, {column.name: column.path.get(row.value) for column in columns}) for row in rows]


def _grouped(
    rows: list[Row], every: list[Row], keys: list[_Column], aggregate: Mapping[str, Aggregate] | None
) -> list[Row]:
    """Return one row per group, in the order in which the groups first appear."""
    for key in keys:
        check_path(key.path, every, key.where)
    figures = [_Figure(name, wanted, every) for name, wanted in (aggregate or {}).items()]
    taken = {figure.name for figure in figures} if figures else {"count", "items"} if keys else set[str]()
    clash = next((key.name for key in keys if key.name in taken), None)
    if clash is not None or len(figures) > MAX_CLAUSES:
        problem = f"two columns are called `{clash}`" if clash else f"aggregate has more than {MAX_CLAUSES} figures"
        raise ArgumentsError(
            f'`select`: {problem}\nhint: name the group keys, {{"name": "path"}}' if clash else f"`select`: {problem}"
        )
    groups: dict[Any, list[Row]] = {} if keys else {None: rows}
    for row in rows if keys else ():
        groups.setdefault(tuple(freeze(key.path.get(row.value)) for key in keys), []).append(row)
    made: list[Row] = []
    for members in groups.values():
        values: dict[str, Any] = {key.name: key.path.get(members[0].value) for key in keys}
        if figures:
            values.update((figure.name, figure.over(members)) for figure in figures)
        else:
            values.update(count=len(members), items=[member.value for member in members])
        made.append(Row(len(made), values))
    return made


class _Figure:
    """One aggregate, checked once and worked out for each group."""

    def __init__(self, name: str, wanted: Aggregate, every: list[Row]) -> None:
        self.name = name
        self.op: Summing = wanted["op"]
        self.where = f"aggregate.{shorten(name, 40)}"
        self.path = read_path(wanted["path"], f"{self.where}.path") if "path" in wanted else None
        if self.path is not None:
            check_path(self.path, every, self.where)
        elif self.op != "count":
            raise ArgumentsError(f"`select`: {self.where} has no `path` to take the {self.op} of\nhint: add it")

    def over(self, members: list[Row]) -> Any:
        if self.path is None:
            return len(members)
        column = [(row, value) for row in members if (value := self.path.get(row.value)) is not None]
        values = [value for _, value in column]
        match self.op:
            case "count":
                return len(values)
            case "count_distinct":
                return len({freeze(value) for value in values})
            case "list":
                return values
            case "first":
                return values[0] if values else None
            case "last":
                return values[-1] if values else None
            case "min" | "max":
                one_kind(column, self.path, self.where, ("number", "text"))
                choose = min if self.op == "min" else max
                return choose(values, default=None)
            case "sum" | "mean" | "median":
                one_kind(column, self.path, self.where, ("number",))
                return self._of_numbers([value for value in values if is_number(value)])

    def _of_numbers(self, numbers: list[int | float]) -> int | float | None:
        try:
            total = sum(numbers) if all(isinstance(number, int) for number in numbers) else math.fsum(numbers)
            if self.op == "sum":
                return total
            if not numbers:
                return None
            result = total / len(numbers) if self.op == "mean" else statistics.median(numbers)
        except OverflowError:
            result = math.inf
        if not math.isfinite(result):
            raise ArgumentsError(f"`select`: {self.where}: the {self.op} is too large for a number")
        return result
