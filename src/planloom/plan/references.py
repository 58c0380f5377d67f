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
from typing import Final, Literal, NamedTuple

from planloom.plan.issues import shorten
from planloom.plan.limits import DEFAULT_LIMITS
from planloom.plan.paths import STAR, PathError, Segment, Star, describe, follow_path, render_segment

__all__ = [
    "RESERVED_IDS",
    "STAR",
    "STEP_ID",
    "Facet",
    "Operand",
    "PathError",
    "Reference",
    "ReferenceSyntaxError",
    "Segment",
    "Star",
    "Template",
    "describe",
    "follow_path",
    "read_template",
    "render_segment",
]

RESERVED_IDS: Final = frozenset({"inputs", "item", "index"})
STEP_ID = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")

Facet = Literal["output", "status", "error", "inputs", "item", "index"]
_STEP_FACETS: Final = ("output", "status", "error")


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

    def __init__(
        self, message: str, hint: str | None = None, code: Literal["bad-reference", "limit"] = "bad-reference"
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.code: Literal["bad-reference", "limit"] = code


_ROOT = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_-]*)")
_SEGMENT = re.compile(
    r"""\.(?P<key>[\w$@-]+)                       # .key, and .0 on a list
      | \[\s*(?P<index>-?\d{1,9})\s*\]            # [0], [-1]
      | (?P<star>\[\s*\*\s*\])                    # [*]
      | \[\s*(?P<quoted>"(?:[^"\\]|\\.)*+"|'(?:[^'\\]|\\.)*+')\s*\]   # ["odd key"]""",
    re.VERBOSE,
)
# the reference that nearly every plan is made of, read in one go
_SIMPLE = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_-]*)\.output((?:\.[A-Za-z_][A-Za-z0-9_-]*){0,9}+)\s*\}\}")
_GAP = re.compile(r"\s*")
_MAX_OPERANDS: Final = 64


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
        return _simple_reference(simple)
    parts: list[str | Reference] = []
    literal: list[str] = []
    position = count = 0
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
        simple = _SIMPLE.match(text, opening)
        if simple is not None and simple[1] not in RESERVED_IDS:
            reference, position = _simple_reference(simple), simple.end()
        else:
            reference, position = _read_reference(text, opening)
        if joined := "".join(literal):
            parts.append(joined)
        literal.clear()
        parts.append(reference)
        count += 1
        if count > max_references:
            raise ReferenceSyntaxError(
                f"more than {max_references:,} references in one text (limit `references`)", code="limit"
            )
    if tail := "".join(literal):
        parts.append(tail)
    if len(parts) == 1 and isinstance(parts[0], Reference):
        return parts[0]
    return Template(tuple(parts))


def _simple_reference(simple: re.Match[str]) -> Reference:
    path = simple[2]
    return Reference((Operand(simple[1], "output", tuple(path[1:].split(".")) if path else ()),), simple[0])


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
            if len(operands) >= _MAX_OPERANDS:
                raise ReferenceSyntaxError(f"more than {_MAX_OPERANDS} alternatives in one reference", code="limit")
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
        if len(path) > DEFAULT_LIMITS.path_segments + 1:
            message = f"{{{{{shorten(name, 40)}…}}}} has more than {DEFAULT_LIMITS.path_segments} path segments"
            raise ReferenceSyntaxError(f"{message} (limit `path_segments`)", code="limit")
    return _operand(name, path), position


def _segment_value(segment: re.Match[str]) -> Segment:
    match segment.lastgroup:
        case "key":
            return segment[1]
        case "index":
            return int(segment[2])
        case "star":
            return STAR
        case _:
            return _unquoted(segment[4])


def _unquoted(quoted: str) -> str:
    inner = quoted[1:-1]
    if "\\" not in inner:
        return inner
    try:
        return json.loads(quoted if quoted[0] == '"' else '"' + inner.replace("\\'", "'").replace('"', '\\"') + '"')
    except ValueError:
        raise ReferenceSyntaxError(f"{shorten(quoted)} is not a quoted key") from None


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
    raise _no_facet(name, path)


_CONTAINERS: Final = frozenset({"steps", "step", "nodes", "tasks", "results", "outputs", "context", "plan"})
_OUTPUTS: Final = frozenset({"result", "results", "outputs", "out", "return", "returns", "response", "value"})


def _no_facet(name: str, path: list[Segment]) -> ReferenceSyntaxError:
    """Say what `{{name.key}}` was probably meant to be; it names no part of a step."""
    name, rest = shorten(name), "".join(map(render_segment, path))
    first = path[0] if isinstance(path[0], str) else ""
    if name == "input":
        meant = f"inputs{rest}"
    elif name in _CONTAINERS and STEP_ID.fullmatch(first):
        deeper = path[2:] if len(path) > 1 and path[1] in {"output", *_OUTPUTS} else path[1:]
        meant = f"{first}.output{''.join(map(render_segment, deeper))}"
    elif first in _OUTPUTS:
        meant = f"{name}.output{''.join(map(render_segment, path[1:]))}"
    else:
        meant = f"{name}.output{rest}"
    return ReferenceSyntaxError(
        f"{{{{{name}{shorten(rest)}}}}} does not say which part of step `{name}` it means",
        f"write {{{{{shorten(meant)}}}}}; a step has `output`, `status` and `error`; \\{{{{ is two literal braces",
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
    rest = text[position : closing + 2].lstrip()
    if rest.startswith("("):
        hint = "references are paths, they cannot call anything"
    elif rest.startswith("|"):
        hint = "references are paths without filters; {{a.output ?? b.output}} is the first that has an output"
    elif rest[:1] in {"+", "-", "*", "/", "%", "=", "<", ">", "!"}:
        hint = "references are paths and cannot calculate; let a tool do it, or write a comparison in `when`"
    elif text.rfind("??", opening, position) >= 0 and rest[:1] not in {".", "["}:
        hint = "on both sides of ?? stands a reference such as step.output, not a plain value"
    elif rest[:1] in {".", "["}:
        hint = 'a path is made of .key, [0], [-1], [*] and ["odd key"]'
    else:
        hint = "write {{step.output}}, {{step.output.key}} or {{inputs.name}}; \\{{ for two literal braces"
    return ReferenceSyntaxError(f"{written} is not a reference", hint)


def _end(match: re.Match[str] | None) -> int:
    assert match is not None
    return match.end()
