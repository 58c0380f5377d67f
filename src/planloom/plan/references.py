r"""References: `{{load.output.rows[0]}}` read from text into values, once, with the whole path grammar.

    reference = "{{" operand ( "??" operand )* "}}"
    operand   = root path            root: a step id, `inputs`, `item` or `index`
    path      = ( ".key" | "[0]" | "[-1]" | "[*]" | '["odd key"]' )*

A string that is one reference stands for that value; inside longer text a reference is rendered. `\{{` is a
literal `{{`. What a tool gave back is data and never comes here. Reading is linear in the text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final, Literal, NamedTuple

from planloom.plan.issues import shorten
from planloom.plan.limits import DEFAULT_LIMITS

RESERVED_IDS: Final = frozenset({"inputs", "item", "index"})
STEP_ID = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")

Facet = Literal["output", "status", "error", "inputs", "item", "index"]
_STEP_FACETS: Final = ("output", "status", "error")


class Star:
    """The segment `[*]`: go on with every element of a list."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "[*]"


STAR: Final = Star()
Segment = str | int | Star


class Operand(NamedTuple):
    """One alternative of a reference: where the value comes from and the path into it.

    `root` is the step's id when `facet` is output, status or error, else it equals `facet`.
    """

    root: str
    facet: Facet
    path: tuple[Segment, ...]

    @property
    def step_id(self) -> str | None:
        """The id of the step it reads from, or None for inputs, item and index."""
        return self.root if self.facet in _STEP_FACETS else None

    def __str__(self) -> str:
        head = self.root if self.facet == self.root else f"{self.root}.{self.facet}"
        return head + "".join(map(render_segment, self.path))


class Reference(NamedTuple):
    """A whole `{{…}}`: the operands in the order in which they are tried, and the text as written."""

    operands: tuple[Operand, ...]
    text: str


class Template(NamedTuple):
    """Text with references inside: literal parts and references in order."""

    parts: tuple[str | Reference, ...]

    @property
    def references(self) -> Iterator[Reference]:
        """The references in the text, in order."""
        return (part for part in self.parts if isinstance(part, Reference))


class ReferenceSyntaxError(ValueError):
    """Text inside `{{…}}` that is not a reference; `hint` says what was probably meant."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


def render_segment(segment: Segment) -> str:
    """Write one path segment the way a plan would."""
    if isinstance(segment, Star):
        return "[*]"
    if isinstance(segment, int):
        return f"[{segment}]"
    return f".{segment}" if _KEY.fullmatch(segment) else f"[{json.dumps(segment, ensure_ascii=False)}]"


_KEY = re.compile(r"[^\W\d][\w-]*")
_ROOT = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_-]*)")
_SEGMENT = re.compile(
    r"""\.(?P<key>[\w$@-]+)                       # .key, and .0 on a list
      | \[\s*(?P<index>-?\d{1,9})\s*\]            # [0], [-1]
      | (?P<star>\[\s*\*\s*\])                    # [*]
      | \[\s*(?P<quoted>"(?:[^"\\]|\\.)*+"|'(?:[^'\\]|\\.)*+')\s*\]   # ["odd key"]""",
    re.VERBOSE,
)
_SIMPLE = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_-]*)\.output((?:\.[A-Za-z_][A-Za-z0-9_-]*)*+)\s*\}\}")
_GAP = re.compile(r"\s*")


def read_template(text: str, *, max_references: int = DEFAULT_LIMITS.references) -> Reference | Template | None:
    """Read the references in `text`.

    Returns None when there is nothing to replace, a `Reference` when the text is exactly one reference, else
    a `Template`. Raises `ReferenceSyntaxError` for the first malformed one, or when there are more than
    `max_references`.
    """
    if "{{" not in text:
        return None
    simple = _SIMPLE.fullmatch(text)
    if simple is not None and simple[1] not in RESERVED_IDS:
        path = simple[2]
        return Reference((Operand(simple[1], "output", tuple(path[1:].split(".")) if path else ()),), text)
    parts: list[str | Reference] = []
    literal: list[str] = []
    position = 0
    while True:
        opening = text.find("{{", position)
        if opening < 0:
            literal.append(text[position:])
            break
        if opening > position and text[opening - 1] == "\\":
            literal.append(text[position : opening - 1] + "{{")
            position = opening + 2
            continue
        literal.append(text[position:opening])
        reference, position = _read_reference(text, opening)
        if joined := "".join(literal):
            parts.append(joined)
        literal.clear()
        parts.append(reference)
        if len(parts) > 2 * max_references:
            raise ReferenceSyntaxError(f"more than {max_references} references in one text")
    if tail := "".join(literal):
        parts.append(tail)
    if len(parts) == 1 and isinstance(parts[0], Reference):
        return parts[0]
    return Template(tuple(parts))


def _read_reference(text: str, opening: int) -> tuple[Reference, int]:
    """Read the reference whose `{{` stands at `opening`; return it and the place behind its `}}`."""
    position = opening + 2
    operands: list[Operand] = []
    while True:
        operand, position = _read_operand(text, opening, position)
        operands.append(operand)
        position = _end(_GAP.match(text, position))
        if text.startswith("??", position):
            position += 2
            continue
        if text.startswith("}}", position):
            return Reference(tuple(operands), text[opening : position + 2]), position + 2
        raise _syntax_error(text, opening, position)


def _read_operand(text: str, opening: int, position: int) -> tuple[Operand, int]:
    root = _ROOT.match(text, position)
    if root is None:
        raise _syntax_error(text, opening, position)
    name, position = root[1], root.end()
    path: list[Segment] = []
    while (segment := _SEGMENT.match(text, position)) is not None:
        path.append(_segment_value(segment))
        position = segment.end()
        if len(path) > DEFAULT_LIMITS.path_segments:
            raise ReferenceSyntaxError(f"a reference with more than {DEFAULT_LIMITS.path_segments} path segments")
    return _operand(name, path), position


def _segment_value(segment: re.Match[str]) -> Segment:
    if (key := segment["key"]) is not None:
        return key
    if (index := segment["index"]) is not None:
        return int(index)
    if (quoted := segment["quoted"]) is not None:
        inner = quoted[1:-1]
        if "\\" not in inner:
            return inner
        try:
            return json.loads(quoted if quoted[0] == '"' else '"' + inner.replace("\\'", "'").replace('"', '\\"') + '"')
        except ValueError:
            raise ReferenceSyntaxError(f"{shorten(quoted)} is not a quoted key") from None
    return STAR


def _operand(name: str, path: list[Segment]) -> Operand:
    """Decide what `name` and the first segment of its path stand for."""
    if name == "inputs":
        if not path or not isinstance(path[0], str):
            raise ReferenceSyntaxError("`inputs` needs the name of an input", "write {{inputs.name}}")
        return Operand("inputs", "inputs", tuple(path))
    if name == "item":
        return Operand("item", "item", tuple(path))
    if name == "index":
        if path:
            raise ReferenceSyntaxError("`index` is a number and has no parts", "write {{index}}")
        return Operand("index", "index", ())
    if not path:
        return Operand(name, "output", ())
    facet = path[0]
    if facet == "output":
        return Operand(name, "output", tuple(path[1:]))
    if facet == "error":
        return Operand(name, "error", tuple(path[1:]))
    if facet == "status":
        if len(path) > 1:
            raise ReferenceSyntaxError(f"`{name}.status` is one word and has no parts", f"write {{{{{name}.status}}}}")
        return Operand(name, "status", ())
    rest = "".join(map(render_segment, path))
    raise ReferenceSyntaxError(
        f"{{{{{name}{shorten(rest)}}}}} does not say which part of step `{name}` it means",
        f"write {{{{{name}.output{shorten(rest)}}}}}; a step has `output`, `status` and `error`",
    )


def _syntax_error(text: str, opening: int, position: int) -> ReferenceSyntaxError:
    closing = text.find("}}", opening, opening + 2_000)
    if closing < 0:
        return ReferenceSyntaxError(
            f"`{shorten(text[opening:], 40)}` opens a reference that never closes",
            "close it with }}, or write \\{{ for two literal braces",
        )
    written = shorten(text[opening : closing + 2])
    if not text[opening + 2 : closing].strip():
        return ReferenceSyntaxError("{{}} names nothing", "write {{step.output}}")
    rest = text[position : closing + 2]
    if rest.startswith("("):
        hint = "references are paths, they cannot call anything"
    elif rest[:1] in {".", "["}:
        hint = 'a path is made of .key, [0], [-1], [*] and ["odd key"]'
    else:
        hint = "write {{step.output}}, {{step.output.key}} or {{inputs.name}}; \\{{ for two literal braces"
    return ReferenceSyntaxError(f"{written} is not a reference", hint)


def _end(match: re.Match[str] | None) -> int:
    assert match is not None
    return match.end()


class PathError(LookupError):
    """A path that does not lead anywhere in a value; `hint` says what would."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


def follow_path(value: Any, path: tuple[Segment, ...], name: str) -> Any:
    """Return the part of `value` that `path` leads to; `name` is what messages call the value.

    `[*]` goes on with every element and keeps nesting. Raises `PathError`. Looks into objects and lists
    only: no attributes, no calls.
    """
    for position, segment in enumerate(path):
        if isinstance(segment, Star):
            if not isinstance(value, list):
                raise PathError(f"{name} is {describe(value)}, and [*] needs a list")
            rest = path[position + 1 :]
            elements: list[Any] = value  # pyright: ignore[reportUnknownVariableType]
            return [follow_path(element, rest, f"{name}[{index}]") for index, element in enumerate(elements)]
        value = _step_into(value, segment, name)
        name += render_segment(segment)
    return value


def _step_into(value: Any, segment: str | int, name: str) -> Any:
    if isinstance(value, dict):
        mapping: dict[str, Any] = value  # pyright: ignore[reportUnknownVariableType]
        key = str(segment)
        if key in mapping:
            return mapping[key]
        keys = ", ".join(f"`{shorten(known, 40)}`" for known in list(mapping)[:8]) or "nothing"
        raise PathError(f"{name} has no key `{shorten(key, 40)}`; it has {keys}{' …' if len(mapping) > 8 else ''}")
    if isinstance(value, list):
        elements: list[Any] = value  # pyright: ignore[reportUnknownVariableType]
        index = _list_index(segment)
        if index is None:
            raise PathError(
                f"{name} is a list, and `{segment}` is a key",
                f"take one element, {name}[0]{render_segment(segment)}, or all of them, {name}[*]{render_segment(segment)}",
            )
        if -len(elements) <= index < len(elements):
            return elements[index]
        raise PathError(f"{name} has {len(elements)} elements, so there is no [{index}]")
    raise PathError(f"{name} is {describe(value)} and has no part {render_segment(segment)}")


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
