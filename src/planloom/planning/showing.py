"""Values as a model is shown them: short ones whole, long ones as their shape and beginning. Pure text, bounded.

Rule: what comes out is one line of data that cannot end the fence it stands in (`<` is escaped as JSON allows),
and the work is bounded by what is shown, not by the size of the value.
"""

from __future__ import annotations

import json
from typing import Any, Final, cast

from planloom.plan.issues import shorten

MAX_VALUE_CHARS: Final = 400
"""How much of one value a model sees; longer values are shown as their shape and their beginning."""
_MAX_SHAPE_KEYS: Final = 20
_MAX_SHAPE_DEPTH: Final = 3
_MAX_DEPTH: Final = 20


def show_value(value: Any, limit: int = MAX_VALUE_CHARS) -> str:
    """Return a value as JSON when that has at most `limit` characters, else its shape with its beginning."""
    beginning = _Beginning(limit)
    text = _json(beginning.of(value))
    if not beginning.is_cut and len(text) <= limit:
        return as_data(text)
    if isinstance(value, str):
        shape = f"text of {len(value):,} characters"
    else:
        shape = shorten(shape_of(value), max(limit // 2, 20))
    return as_data(f"{shape} beginning {text[: max(limit - len(shape) - 20, 0)]}…")


def as_data(text: str) -> str:
    """Return text in which no mark of a fence can stand; inside JSON text it means the same."""
    return text.replace("<", "\\u003c")


def fenced(name: str, text: str) -> str:
    """Return text between the marks of a fence; `text` is made of what `show_value` and `as_data` return."""
    return f"<{name}>\n{text}\n</{name}>"


def shape_of(value: Any, depth: int = 0) -> str:
    """Return the shape of a JSON value: `list of 200 {id: number, name: text}`."""
    if isinstance(value, list):
        elements = cast("list[Any]", value)
        inner = shape_of(elements[0], depth + 1) if elements and depth < _MAX_SHAPE_DEPTH else "anything"
        return f"list of {len(elements)} {inner}"
    if isinstance(value, dict):
        if depth >= _MAX_SHAPE_DEPTH:
            return "object"
        fields = cast("dict[str, Any]", value)
        parts: list[str] = []
        for key, part in fields.items():
            if len(parts) == _MAX_SHAPE_KEYS:
                parts.append(f"… {len(fields) - _MAX_SHAPE_KEYS} more")
                break
            parts.append(f"{shorten(str(key), 40)}: {shape_of(part, depth + 1)}")
        return "{" + ", ".join(parts) + "}"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number"
    return "null" if value is None else "text"


class _Beginning:
    """Copies the beginning of a value, about `limit` characters of its JSON text, and notes whether that was all."""

    def __init__(self, limit: int) -> None:
        self.is_cut = False
        self._left = limit

    def of(self, value: Any, depth: int = 0) -> Any:
        """Return the part of a value that may still be shown."""
        self._left -= 1
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, dict):
            shown: dict[str, Any] = {}
            for key, part in cast("dict[Any, Any]", value).items():
                if self._left <= 0 or depth >= _MAX_DEPTH:
                    self.is_cut = True
                    break
                name = self._text(str(key))
                shown[name] = self.of(part, depth + 1)
            return shown
        if isinstance(value, list | tuple):
            listed: list[Any] = []
            for part in cast("list[Any]", value):
                if self._left <= 0 or depth >= _MAX_DEPTH:
                    self.is_cut = True
                    break
                listed.append(self.of(part, depth + 1))
            return listed
        if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 4 * max(self._left, 0) + 64:
            self.is_cut = True
            return "a large number"
        return value

    def _text(self, text: str) -> str:
        room = max(self._left, 0)
        self._left -= len(text) + 2
        if len(text) > room:
            self.is_cut = True
            return text[:room]
        return text


def _json(value: Any) -> str:
    """Return JSON text in one line, whatever letters are in it."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    # half surrogates cannot be sent, and some line ends are not JSON's
    return text if text.isprintable() else "".join(one if one.isprintable() else _escaped(one) for one in text)


def _escaped(letter: str) -> str:
    return json.dumps(letter)[1:-1]
