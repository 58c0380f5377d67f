"""Almost-JSON as models write it: comments, other quotes, trailing commas, Python's words, a cut-off end.

A superset of JSON: JSON itself is read as the standard library reads it, without a single note. Every liberty
that is taken is noted with its place. Reading never raises: where it had to stop, `stop` says where and why,
and everything that was whole by then is kept. A broken element of a list of steps is handed to `repair` alone,
so that one bad step never costs its neighbours.
"""

from __future__ import annotations

import re
from typing import Any, Final, Literal, NamedTuple

from planloom.plan.reader import STEP_FIELDS
from planloom.planning.mends import Place
from planloom.planning.relaxed_strings import CLOSERS, QUOTED_KEY, QUOTES, CutOff, UnreadableError
from planloom.planning.relaxed_tokens import TokenReader
from planloom.planning.repair import MAX_REPAIRED_CHARS, repair_fields

_MAX_DEPTH: Final = 100
_MAX_STEP_LIST_DEPTH: Final = 3
_MAX_BOUNDARIES: Final = 20
_MAX_REPAIR_WORK: Final = MAX_REPAIRED_CHARS**2
"""What guessing may cost in one text, in characters squared: one long step, or hundreds of short ones."""
_WORK_PER_REPAIR: Final = 60_000
_MAX_EXTRA_WORK: Final = 100_000
_REFERENCE = re.compile(r"\{\{\s*[$#]?[A-Za-z_][^{}\n\":]{0,200}\}\}")
_FIRST_KEY = re.compile(r"\{\s*([\"'“]?)([A-Za-z_][\w -]{0,40})[\"'”]?\s*[:=]")
_LIST_END = re.compile(r"[}\]\"'\w]\s*(\])")


class Stop(NamedTuple):
    """Where reading had to end: the text was cut off there, or could not be read from there on."""

    kind: Literal["cut", "unreadable"]
    place: Place
    position: int


class Note(NamedTuple):
    """A liberty taken: where, what, and whether it changed the value there or only the form."""

    place: Place
    message: str
    is_value: bool


class Relaxed(NamedTuple):
    """What was read: the value (as far as it goes), the place behind it, and what was done on the way.

    `notes` say what was done, with the number of times; `elisions` the places where the text says `...`
    instead of elements; `lost` the places in front of which a broken element was left out, with what was read of
    it; `repeated` the objects with one key twice, by identity.
    """

    value: Any
    end: int
    notes: dict[Note, int]
    elisions: tuple[Place, ...]
    lost: tuple[tuple[Place, Any], ...]
    repeated: dict[int, tuple[str, ...]]
    stop: Stop | None
    looked_at: int


def read_relaxed(text: str, start: int, end: int | None = None) -> Relaxed:
    """Read one value that begins at `start` with a bracket. Never raises."""
    reader = _Reader(text, start, len(text) if end is None else end)
    stop: Stop | None = None
    try:
        reader.value(())
    except CutOff:
        stop = Stop("cut", reader.place, reader.position)
    except UnreadableError as failure:
        stop = Stop("unreadable", reader.place, failure.position)
    elisions, looked_at = tuple(reader.elisions), reader.position - start + reader.extra_work
    lost = tuple(reader.lost)
    return Relaxed(reader.root, reader.position, reader.notes, elisions, lost, reader.repeated, stop, looked_at)


class _Reader(TokenReader):
    """One reading. Containers hang in their parent before they are filled, so nothing whole is lost at a stop."""

    def __init__(self, text: str, position: int, end: int) -> None:
        super().__init__(text, position, end, self._add_note)
        self.place: Place = ()
        self.root: Any = None
        self.notes: dict[Note, int] = {}
        self.elisions: list[Place] = []
        self.lost: list[tuple[Place, Any]] = []
        self.repeated: dict[int, tuple[str, ...]] = {}
        self._kept: list[Any] = []
        """Objects named in `repeated`, so that no identity is used a second time."""
        self._repair_work_left = _MAX_REPAIR_WORK

    def _add_note(self, message: str, is_value: bool) -> None:
        key = Note(self.place, message, is_value)
        self.notes[key] = self.notes.get(key, 0) + 1

    def value(self, place: Place, parent: Any = None, key: Any = None) -> None:
        """Read a value and put it into its parent."""
        self.place = place
        character = self.peek()
        if character == "{" and (reference := _REFERENCE.match(self.text, self.position, self.end)) is not None:
            self.delimit(reference.end())
            self.note_value(f"`{reference[0]}` without quotes was read as text")
            self._put(parent, key, reference[0])
        elif character in "{[(":
            if len(place) > _MAX_DEPTH:
                raise UnreadableError(self.position)
            container: Any = {} if character == "{" else []
            self._put(parent, key, container)
            self.position += 1
            if character == "{":
                self._members(container, place)
            else:
                if character == "(":
                    self.note("round brackets were read as a list")
                self._elements(container, place, "]" if character == "[" else ")")
        else:
            self._put(parent, key, self.scalar("element" if isinstance(parent, list) else "member"))

    def _put(self, parent: Any, key: Any, value: Any) -> None:
        if parent is None:
            self.root = value
        elif isinstance(parent, list):
            parent.append(value)  # pyright: ignore[reportUnknownMemberType]
        else:
            if key in parent:
                self.repeated[id(parent)] = (*self.repeated.get(id(parent), ()), key)
                self._kept.append(parent)
            parent[key] = value

    def _members(self, fields: dict[str, Any], place: Place) -> None:
        after_comma = False
        while True:
            self.place = place
            character = self.peek()
            if character == "}":
                if after_comma and fields:
                    self.note("a trailing comma was left out")
                self.position += 1
                return
            if self._skip_between(character, place):
                continue
            key = self.key()
            self.place = (*place, key)
            self._colon()
            if self.peek() in ",}":
                self.note_value("a missing value was read as null")
                self._put(fields, key, None)
            else:
                self.value((*place, key), fields, key)
            self.place = place
            after_comma = self._comma("}")

    def _colon(self) -> None:
        character = self.peek()
        if character == ":":
            self.position += 1
        elif character == "=":
            self.note("`=` was read as a colon")
            self.position += 2 if self.text.startswith("=>", self.position) else 1
        elif character in "{[" or character in QUOTES:
            self.note("a missing colon was put in")
        else:
            raise UnreadableError(self.position)

    def _skip_between(self, character: str, place: Place) -> bool:
        """Skip a comma too many and `...`, which is noted as something left out by the model."""
        if character == ",":
            self.note("a comma too many was left out")
            self.position += 1
        elif character == "…" or self.text.startswith("...", self.position):
            self.elisions.append(place)
            self.position += 1 if character == "…" else 3
            if self.peek() == ",":
                self.position += 1
        else:
            return False
        return True

    def _comma(self, closer: str) -> bool:
        """Read what stands behind a member or element; return whether it was a comma."""
        character = self.peek()
        if character == ",":
            self.position += 1
            return True
        if character == closer:
            return False
        if character in CLOSERS or character in ":=":
            raise UnreadableError(self.position)
        self.note("a missing comma was put in")
        return False

    def _elements(self, elements: list[Any], place: Place, closer: str) -> None:
        holds_steps = len(place) < _MAX_STEP_LIST_DEPTH and all(isinstance(part, str) for part in place)
        after_comma = False
        while True:
            self.place = place
            character = self.peek()
            if character == closer:
                if after_comma and elements:
                    self.note("a trailing comma was left out")
                self.position += 1
                return
            if self._skip_between(character, (*place, len(elements))):
                continue
            if holds_steps and after_comma and self._goes_on(elements):
                self.place = (*place, len(elements) - 1)
                self.note("a closing brace too many was left out")
                self._members(elements[-1], self.place)
                self.place = place
                after_comma = self._comma(closer)
                continue
            start, count = self.position, len(elements)
            try:
                self.value((*place, count), elements)
                self.place = place
                while holds_steps and character == "{" and self.peek() in "})":
                    self.note("a closing bracket too many was left out")
                    self.position += 1
                after_comma = self._comma(closer)
            except UnreadableError as failure:
                if not (holds_steps and character == "{" and self._repair(elements, count, place, start, failure)):
                    raise
                after_comma = False

    def _goes_on(self, elements: list[Any]) -> bool:
        """Return whether a key stands where the next step should begin: the last one was closed too early."""
        if not elements or not isinstance(elements[-1], dict):
            return False
        key = QUOTED_KEY.match(self.text, self.position, self.end)
        return key is not None and key[0].strip("\"'“” \t\r\n:=") in STEP_FIELDS

    def _repair(self, elements: list[Any], count: int, place: Place, start: int, failure: UnreadableError) -> bool:
        """Read one broken step on its own, by guessing, or give it up alone; False when its end is not known."""
        if self._repair_work_left <= 0 or self.extra_work > _MAX_EXTRA_WORK + 4 * self.end:
            return False
        failed_place = self.place
        boundary = self._next_element(start, failure.position) or self._list_end(failure.position, len(place))
        self._repair_work_left -= _WORK_PER_REPAIR
        if boundary is None:
            self.place = failed_place
            return False
        broken = elements[count] if count < len(elements) else None
        del elements[count:]
        self.place, self.position = (*place, count), boundary
        self._forget(self.place)
        fields = None
        if boundary - start <= MAX_REPAIRED_CHARS:
            self._repair_work_left -= (boundary - start) ** 2
            fields = repair_fields(self.text[start:boundary])
        if fields is None:
            self.lost.append((self.place, broken))
        else:
            elements.append(fields)
            self.note_value("this was not JSON and was repaired by guessing")
        return True

    def _forget(self, place: Place) -> None:
        for noted in [key for key in self.notes if key.place[: len(place)] == place]:
            del self.notes[noted]

    def _next_element(self, start: int, failed: int) -> int | None:
        """Return where the next element begins: the next object that opens with the same key as this one."""
        first = _FIRST_KEY.match(self.text, start, self.end)
        if first is None:
            return None
        opening = re.compile(rf"\{{\s*[\"'“]?{re.escape(first[2])}[\"'”]?\s*[:=]")
        window = min(self.end, start + MAX_REPAIRED_CHARS + 200)
        found = opening.search(self.text, max(start + 1, failed - 1), window)
        return None if found is None else found.start()

    def _list_end(self, failed: int, depth: int) -> int | None:
        """Return where the list's closing bracket stands: the first one behind which the plan ends as it should."""
        window = min(self.end, failed + MAX_REPAIRED_CHARS)
        for tried, found in enumerate(_LIST_END.finditer(self.text, max(failed - 1, 0), window)):
            if tried == _MAX_BOUNDARIES:
                break
            if self._ends_well(found.start(1) + 1, depth):
                return found.start(1)
        return None

    def _ends_well(self, position: int, depth: int) -> bool:
        """Return whether `depth` objects close properly from `position` on, and nothing is left to close."""
        trial = _Reader(self.text, position, min(self.end, position + MAX_REPAIRED_CHARS))
        trial._repair_work_left = 0
        is_closed = False
        try:
            for _ in range(depth):
                trial.place = ()
                trial._comma("}")
                trial._members({}, ())
            is_closed = True
            return trial.peek() not in "}],"
        except (CutOff, UnreadableError):
            return is_closed
        finally:
            self.extra_work += trial.position - position + trial.extra_work
