"""Steps of a plan while its text still arrives, in time linear in the text.

A step leaves as its closing brace arrives, and only when nothing that may follow can change how it is read:
strict JSON, in a list of steps found by strict JSON, settled by itself (`steps.is_settled`). At the first
defect early release ends, and everything after it waits for `finish` and the lenient reader.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, NamedTuple, cast

from planloom.plan.limits import DEFAULT_LIMITS, Limits
from planloom.plan.model import Step
from planloom.plan.reader import read_step
from planloom.planning.locating import MAX_WRAPPING, STREAMED_WRAPPERS
from planloom.planning.passages import END_OF_THOUGHTS, THOUGHTS
from planloom.planning.step_fields import looks_like_step
from planloom.planning.steps import is_settled
from planloom.planning.strict import read_strict
from planloom.planning.text import PlanText, read_plan_text

_TAIL_CHARS: Final = 80
_SPACE: Final = " \t\r\n\ufeff"
_BRACKET = re.compile(r"[{}\[\]\"]")
_IN_STRING = re.compile(r"[\"\\]")
_OPENING = re.compile(r"[{\[]")
_KEY = re.compile(r"\"([^\"]*)\"[ \t\r\n]*:[ \t\r\n]*\Z")
_LITERAL = re.compile(r"[-+.0-9A-Za-z \t\r\n]+")
_JSON_LITERAL = re.compile(r"(?:true|false|null|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)[ \t\r\n]*")


class Arrived(NamedTuple):
    """A step that is complete while the plan is not: its position in the plan, as written, and as read."""

    position: int
    raw: dict[str, Any]
    step: Step


class StreamReader:
    """Reads a plan piece by piece: `feed` returns the steps that became complete, `finish` the whole plan.

    For text that is valid JSON each step that `feed` returned stands unchanged at its position in the plan of
    `finish`. For a reply with several plans in it `finish` may choose another one than the first.

    `goal` and `inputs` are those that stood before the steps, once a step was read. `characters_scanned` is
    the work done so far, in characters.
    """

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        self.goal: str | None = None
        self.inputs: dict[str, Any] = {}
        self.characters_scanned = 0
        self._limits = limits
        self._pieces: list[str] = []
        self._read: Callable[[str, int], int] | None = self._begin
        """What reads on from here; None when nothing can arrive early any more."""
        self._arrived: list[Arrived] = []
        self._head: list[str] = []
        self._tail = ""
        self._opener = ""
        self._path: list[str] = []
        self._element: list[str] = []
        self._position = 0
        self._after_element = False
        self._has_steps = False
        self._depth = 0
        self._in_string = False
        self._is_escaped = False

    @property
    def is_releasing(self) -> bool:
        """Whether a step may still arrive early."""
        return self._read is not None

    def feed(self, piece: str) -> list[Arrived]:
        """Take the next piece of the text; return the steps that it completed."""
        self._pieces.append(piece)
        position = 0
        while self._read is not None and position < len(piece):
            read_to = self._read(piece, position)
            self.characters_scanned += read_to - position
            position = read_to
        arrived, self._arrived = self._arrived, []
        return arrived

    def finish(self, *, finished: bool = True) -> PlanText:
        """Return the whole plan; see `read_plan_text` for `finished` and what is raised."""
        self._read = None
        return read_plan_text("".join(self._pieces), finished=finished, limits=self._limits)

    def _stop(self) -> None:
        self._read = None
        self._head.clear()
        self._element.clear()

    def _begin(self, piece: str, position: int) -> int:
        """Find out how the text begins: with JSON, with thoughts, or with prose."""
        self._tail += piece[position]
        start = self._tail.lstrip(_SPACE)
        if not start:
            self._tail = ""
        elif start[0] in "{[":
            self._open(start)
        elif not start.startswith("<") or start[-1] == ">" or len(start) > 12:
            self._read = self._think if THOUGHTS.fullmatch(start) else self._seek
            self._tail = ""
        return position + 1

    def _think(self, piece: str, position: int) -> int:
        """Pass over what a model writes before its reply."""
        window = self._tail + piece[position:]
        self.characters_scanned += len(self._tail)
        closing = END_OF_THOUGHTS.search(window)
        if closing is None:
            self._tail = window[-12:]
            return len(piece)
        consumed = closing.end() - len(self._tail)
        self._tail = ""
        self._read = self._seek
        return position + consumed

    def _seek(self, piece: str, position: int) -> int:
        """Pass over prose up to a bracket that goes on like JSON."""
        if not self._opener:
            opening = _OPENING.search(piece, position)
            if opening is None:
                return len(piece)
            self._opener = opening[0]
            return opening.end()
        character = piece[position]
        if character in _SPACE:
            return position + 1
        opener, self._opener = self._opener, ""
        if (opener, character) in (("{", '"'), ("[", "{")):
            self._open(opener)
            return position
        return position

    def _open(self, opener: str) -> None:
        """Begin a JSON value at top level."""
        self._path.clear()
        self._head[:] = [opener]
        self._tail = opener
        if opener == "[":
            self._open_list()
        else:
            self._read = self._members

    def _keep(self, text: str) -> None:
        self._head.append(text)
        self._tail = (self._tail + text)[-_TAIL_CHARS:]

    def _members(self, piece: str, position: int) -> int:
        """Read on in an object that is the plan or wraps it, up to the next bracket."""
        if self._in_string:
            end = self._string(piece, position)
            self._keep(piece[position:end])
            return end
        found = _BRACKET.search(piece, position)
        end = len(piece) if found is None else found.end()
        self._keep(piece[position:end])
        bracket = "" if found is None else found[0]
        if bracket == '"':
            self._in_string = True
        elif bracket in ("{", "["):
            self._open_value(bracket)
        elif bracket:
            self._close_object()
        return end

    def _open_value(self, bracket: str) -> None:
        """Decide what a bracket behind a key opens: the steps, an object around them, or something else."""
        key = _KEY.search(self._tail[:-1])
        if key is None or "\\" in key[1]:
            self._stop()
        elif key[1] in STREAMED_WRAPPERS and bracket == "[":
            self._path.append(key[1])
            self._open_list()
        elif key[1] in STREAMED_WRAPPERS and len(self._path) + 1 < MAX_WRAPPING:
            self._path.append(key[1])
        else:
            self._depth = 1
            self._read = self._other_value

    def _close_object(self) -> None:
        if self._path:
            self._path.pop()
        else:
            self._read = self._seek

    def _other_value(self, piece: str, position: int) -> int:
        """Read over a value that does not hold the steps."""
        end = self._balance(piece, position)
        if self._depth == 0:
            self._read = self._members
        self._keep(piece[position:end])
        return end

    def _open_list(self) -> None:
        """Read what stood before the list of steps, and begin to read the list."""
        self._position, self._after_element, self._has_steps = 0, False, False
        self._read = self._between
        if not self._path:
            return
        head = "".join(self._head)
        self.characters_scanned += len(head)
        read = read_strict(head + "]" + "}" * len(self._path))
        if read is None or read.repeated:
            self._stop()
            return
        fields: Any = read.value
        for name in self._path:
            goal, inputs = fields.get("goal"), fields.get("inputs")
            self.goal = goal if isinstance(goal, str) else self.goal
            self.inputs = cast("dict[str, Any]", inputs) if isinstance(inputs, dict) else self.inputs
            fields = fields[name]

    def _between(self, piece: str, position: int) -> int:
        """Read on between the elements of the list."""
        character = piece[position]
        if character in " \t\r\n":
            return position + 1
        if character == "," and self._after_element:
            self._after_element = False
        elif character == "]":
            self._close_list()
        elif self._after_element or not (character in '{["' or _LITERAL.match(character)):
            self._stop()
        else:
            self._element.clear()
            self._depth, self._in_string = 0, False
            self._read = self._object if character == "{" else self._other_element
            return position
        return position + 1

    def _close_list(self) -> None:
        if self._has_steps:
            self._stop()
        elif self._path:
            self._keep("]")
            self._path.pop()
            self._read = self._members
        else:
            self._read = self._seek

    def _other_element(self, piece: str, position: int) -> int:
        """Read over an element that is no object, and so no step."""
        if self._depth or self._in_string or piece[position] in '["':
            end = self._balance(piece, position)
            if self._depth or self._in_string:
                return end
        else:
            literal = _LITERAL.match(piece, position)
            end = position if literal is None else literal.end()
            self._element.append(piece[position:end])
            if end == len(piece):
                return end
            if _JSON_LITERAL.fullmatch("".join(self._element)) is None:
                self._stop()
                return end
        self._end_element()
        return end

    def _end_element(self) -> None:
        self._position += 1
        self._after_element = True
        self._read = self._between

    def _object(self, piece: str, position: int) -> int:
        """Read on in an element that may be a step; release it at its closing brace."""
        end = self._balance(piece, position)
        self._element.append(piece[position:end])
        if self._depth:
            return end
        text = "".join(self._element)
        self.characters_scanned += len(text)
        read = read_strict(text)
        if read is None:
            self._stop()
            return end
        self._has_steps = self._has_steps or looks_like_step(read.value)
        if not read.repeated and self._position < self._limits.steps and is_settled(read.value):
            self._arrived.append(Arrived(self._position, read.value, read_step(read.value)))
        self._end_element()
        return end

    def _balance(self, piece: str, position: int) -> int:
        """Read on until every bracket opened is closed (`_depth` is 0 then), or to the end of the piece."""
        while position < len(piece):
            if self._in_string:
                position = self._string(piece, position)
                if not self._in_string and self._depth == 0:
                    return position
                continue
            found = _BRACKET.search(piece, position)
            if found is None:
                return len(piece)
            position = found.end()
            if found[0] == '"':
                self._in_string = True
            else:
                self._depth += 1 if found[0] in "{[" else -1
                if self._depth == 0:
                    return position
        return position

    def _string(self, piece: str, position: int) -> int:
        """Read on inside a string; return the place behind its closing quote, or the end of the piece."""
        while position < len(piece):
            if self._is_escaped:
                self._is_escaped = False
                position += 1
                continue
            found = _IN_STRING.search(piece, position)
            if found is None:
                return len(piece)
            position = found.end()
            if found[0] == '"':
                self._in_string = False
                return position
            self._is_escaped = True
        return position
