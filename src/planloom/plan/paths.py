"""Paths: `.rows[0]` into a value that is there. Objects and lists only: no attributes, no calls."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from itertools import islice
from typing import Any, Final, cast

from planloom.plan.issues import shorten

_MAX_SHOWN: Final = 120
"""Length of a path in a message."""
_KEY = re.compile(r"[^\W\d][\w-]*")


class Star:
    """The segment `[*]`: go on with every element of a list."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "[*]"


STAR: Final = Star()
Segment = str | int | Star


def render_segment(segment: Segment) -> str:
    """Write one path segment the way a plan would."""
    if isinstance(segment, Star):
        return "[*]"
    if isinstance(segment, int):
        return f"[{segment}]"
    return f".{segment}" if _KEY.fullmatch(segment) else f"[{json.dumps(segment, ensure_ascii=False)}]"


class PathError(LookupError):
    """A path that does not lead anywhere in a value; `hint` says what would.

    `key` and `known` are the key that is not there and those that are, where a nearer one may be looked for.
    """

    def __init__(self, message: str, hint: str | None = None, key: str = "", known: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.key = key
        self.known = known


def follow_path(value: Any, path: tuple[Segment, ...], name: str) -> Any:
    """Return the part of `value` that `path` leads to; `name` is what messages call the value.

    `[*]` goes on with every element and keeps nesting. Raises `PathError`. Looks into objects and lists
    only: no attributes, no calls.
    """
    return _follow(value, path, (name, ()))


_Way = tuple["str | _Way", tuple[Segment, ...]]
"""How a value was reached: a name or another way, and the segments from there. Written only into messages."""


def _follow(value: Any, path: tuple[Segment, ...], way: _Way) -> Any:
    for position, segment in enumerate(path):
        if type(segment) is str and type(value) is dict:
            mapping = cast("dict[str, Any]", value)
            if segment in mapping:
                value = mapping[segment]
                continue
        if isinstance(segment, Star):
            way, rest = (way, path[:position]), path[position + 1 :]
            if not isinstance(value, list):
                raise PathError(f"{_name(way)} is {describe(value)}, and [*] needs a list")
            elements = cast("list[Any]", value)
            if not rest:
                return list(elements)
            return [_follow(element, rest, (way, (index,))) for index, element in enumerate(elements)]
        value = _step_into(value, segment, (way, path[:position]))
    return value


def _name(way: _Way) -> str:
    parts: list[str] = []
    rest: str | _Way = way
    while not isinstance(rest, str):
        parts.append("".join(map(render_segment, rest[1])))
        rest = rest[0]
    return shorten(rest + "".join(reversed(parts)), _MAX_SHOWN)


def _step_into(value: Any, segment: str | int, way: _Way) -> Any:
    if isinstance(value, dict):
        mapping = cast("dict[str, Any]", value)
        key = str(segment)
        if key in mapping:
            return mapping[key]
        keys = ", ".join(f"`{shorten(known, 40)}`" for known in islice(mapping, 8)) or "nothing"
        more = " …" if len(mapping) > 8 else ""
        raise PathError(f"{_name(way)} has no key `{shorten(key, 40)}`; it has {keys}{more}")
    if not isinstance(value, list):
        raise PathError(f"{_name(way)} is {describe(value)} and has no part {shorten(render_segment(segment))}")
    elements = cast("list[Any]", value)
    index = _list_index(segment)
    if index is None:
        name, part = _name(way), shorten(render_segment(segment))
        raise PathError(
            f"{name} is a list, and `{shorten(str(segment))}` is a key",
            f"take one element, {name}[0]{part}, or all of them, {name}[*]{part}",
        )
    if not -len(elements) <= index < len(elements):
        count = f"{len(elements):,} element{'' if len(elements) == 1 else 's'}"
        raise PathError(f"{_name(way)} has {count}, so there is no [{index}]")
    return elements[index]


def _list_index(segment: str | int) -> int | None:
    if isinstance(segment, int):
        return segment
    return int(segment) if segment.isdecimal() and segment.isascii() and len(segment) < 10 else None


def describe(value: Any) -> str:
    """Say in words what kind of JSON value this is: "a list", "null", "an object"."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return f"the number {value!r}" if abs(value) < 10**15 else "a number"
        case str():
            return f'the text "{shorten(value, 40)}"'
        case list():
            return "a list"
        case dict():
            return "an object"
        case _:
            return f"a {type(value).__name__}"
