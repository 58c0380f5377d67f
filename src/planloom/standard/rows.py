"""The rows that `select` works on: paths into them, what kinds their values have, how they compare and order.

JSON values only, compared by kind: a number is never text, true is never 1. What cannot be compared is an error that
names the row, never a guess.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple, TypeGuard, cast

from planloom.errors import ArgumentsError
from planloom.plan.issues import shorten
from planloom.plan.references import Reference, ReferenceSyntaxError, Star, describe, read_template
from planloom.plan.suggest import did_you_mean

MAX_PATH_CHARACTERS: Final = 500
MAX_DEPTH: Final = 100

Kind = Literal["null", "boolean", "number", "text", "list", "object"]
Problem = Callable[[str, str | None], ArgumentsError]


class Row(NamedTuple):
    """One element of the list, with its place in the list as it was given, from 0."""

    number: int
    value: Any


class _Missing:
    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = _Missing()


@dataclass(frozen=True, slots=True)
class Path:
    """A way to one value inside each row."""

    text: str
    segments: tuple[str | int, ...]

    @property
    def name(self) -> str:
        """What a column made of it is called: its last key."""
        keys = [segment for segment in self.segments if isinstance(segment, str)]
        return keys[-1] if keys else "value"

    def find(self, value: Any) -> Any:
        """Return the value at the path, or MISSING."""
        for segment in self.segments:
            if isinstance(value, dict):
                value = cast("dict[str, Any]", value).get(str(segment), MISSING)
            elif isinstance(value, list) and (index := _index(segment)) is not None:
                elements = cast("list[Any]", value)
                value = elements[index] if -len(elements) <= index < len(elements) else MISSING
            else:
                return MISSING
        return value

    def get(self, value: Any) -> Any:
        """Return the value at the path, or None."""
        found = self.find(value)
        return None if found is MISSING else found

    def __str__(self) -> str:
        return f"`{shorten(self.text, 60)}`" if self.segments else "the element"


def read_path(text: str, where: str) -> Path:
    """Read `price`, `address.city`, `tags[0]` or `["odd key"]`; empty text or `.` is the row itself.

    Text that is no path is taken as one key, such as `Unit price`. Raises ArgumentsError.
    """
    if len(text) > MAX_PATH_CHARACTERS:
        raise ArgumentsError(f"`select`: {where} is a path of more than {MAX_PATH_CHARACTERS} characters")
    if text in ("", "."):
        return Path(text, ())
    try:
        # the grammar of references, so that a path means the same in both places
        read = read_template("{{item" + ("" if text.startswith("[") else ".") + text + "}}")
    except ReferenceSyntaxError:
        return Path(text, (text,))
    if not isinstance(read, Reference) or len(read.operands) != 1:
        return Path(text, (text,))
    segments: list[str | int] = []
    for segment in read.operands[0].path:
        if isinstance(segment, Star):
            raise ArgumentsError(
                f"`select`: {where} has [*] in `{shorten(text, 60)}`, and a path here leads to one value\n"
                "hint: give the inner list as `items`, for example {{step.output[*].parts}}"
            )
        segments.append(segment)
    return Path(text, tuple(segments))


def check_path(path: Path, rows: Sequence[Row], where: str) -> None:
    """Refuse a path that no row has: a wrong name must not look like a column of nulls."""
    if not rows or any(path.find(row.value) is not MISSING for row in rows):
        return
    keys: dict[str, None] = {}
    for _, value in rows[:20]:
        if isinstance(value, dict):
            keys.update(dict.fromkeys(cast("dict[str, Any]", value)))
    shown = ", ".join(f"`{shorten(key, 40)}`" for key in list(keys)[:12])
    known = f"the items have {shown}{' …' if len(keys) > 12 else ''}"
    if not keys:
        known = f"items[{rows[0].number}] is {describe(rows[0].value)}"
    first = path.segments[0]
    raise ArgumentsError(
        f"`select`: {where}: none of the {len(rows)} items has {path}\n"
        f"hint: {(did_you_mean(first, keys) if isinstance(first, str) else None) or known}"
    )


def kind_of(value: Any) -> Kind:
    """Return the kind of a JSON value; whole numbers and others are one kind."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case str():
            return "text"
        case list() | tuple():
            return "list"
        case _:
            return "object"


def freeze(value: Any, depth: int = 0) -> Any:
    """Return something hashable that is equal for equal JSON values, kinds kept apart."""
    if value is None or isinstance(value, str) or is_number(value):
        return value
    if depth > MAX_DEPTH:
        raise ArgumentsError(f"`select`: a value is nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, list | tuple):
        return ("list", tuple(freeze(element, depth + 1) for element in cast("Iterable[Any]", value)))
    if isinstance(value, dict):
        pairs = cast("dict[str, Any]", value).items()
        return ("object", frozenset((key, freeze(element, depth + 1)) for key, element in pairs))
    return ("boolean", value)  # or else true would be equal to 1


def is_number(value: Any) -> TypeGuard[int | float]:
    """Return whether the value is a number; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def one_kind(column: Iterable[tuple[Row, Any]], path: Path, where: str, allowed: tuple[Kind, ...]) -> Kind | None:
    """Return the kind that all values have, None if there are none.

    Raises ArgumentsError with the row's number for the first value of another kind, or of one that is not allowed.
    """
    first: tuple[Row, Any] | None = None
    for row, value in column:
        if kind_of(value) not in allowed:
            raise _misfit(row, value, path, where, f"it needs {' or '.join(_PLURALS[kind] for kind in allowed)}")
        if first is None:
            first = (row, value)
        elif kind_of(value) != kind_of(first[1]):
            raise _misfit(row, value, path, where, f"items[{first[0].number}] has {describe(first[1])}")
    return None if first is None else kind_of(first[1])


def _misfit(row: Row, value: Any, path: Path, where: str, against: str) -> ArgumentsError:
    return ArgumentsError(
        f"`select`: {where}: {path} is {describe(value)} in items[{row.number}], and {against}\n"
        "hint: leave such items out with `where`, or bring the values to one type in the step before"
    )


def sorted_rows(rows: Sequence[Row], path: Path, where: str, *, descending: bool) -> list[Row]:
    """Return the rows in the order of one value: stable, nulls last in both directions."""
    column = [(row, path.get(row.value)) for row in rows]
    filled = [(row, value) for row, value in column if value is not None]
    one_kind(filled, path, where, ("number", "text", "boolean"))
    filled.sort(key=lambda pair: pair[1], reverse=descending)
    return [row for row, _ in filled] + [row for row, value in column if value is None]


def _index(segment: str | int) -> int | None:
    if isinstance(segment, int):
        return segment
    return int(segment) if segment.isdecimal() and segment.isascii() and len(segment) < 10 else None


_PLURALS: Final[dict[Kind, str]] = {
    "null": "null",
    "boolean": "true or false",
    "number": "numbers",
    "text": "text",
    "list": "lists",
    "object": "objects",
}
