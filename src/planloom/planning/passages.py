"""Where in a model's reply the JSON stands: in fences, between prose, in one piece or several.

Strict JSON is tried first at every place, so that what is valid is taken as it is. Prose has brackets too:
what begins like JSON and does not go on like it is passed over. The work is bounded by the length of the text.
"""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple

from planloom.planning.locating import locate_steps
from planloom.planning.mends import Place
from planloom.planning.relaxed import Note, Stop, read_relaxed
from planloom.planning.step_fields import looks_like_step
from planloom.planning.strict import read_strict, repeated_places

MAX_PASSAGES: Final = 10_000
"""Number of JSON values looked at in one reply; a plan in JSON Lines has one per step."""
_WORK_PER_CHAR: Final = 12
_FREE_WORK: Final = 200_000
_MAX_UNWRAPPED: Final = 3
_OPENING = re.compile(r"[{\[]")
_OPENS_LIKE_JSON = re.compile(
    r"""\{\s*(?: [\"'“‘`}] | [A-Za-z_$][\w$.-]*\s*[:=] | //|\#|/\* | \{\s*[\"'] ) | \[\s*(?: [{\]\"'“] | //|\#|/\* )""",
    re.VERBOSE,
)
THOUGHTS = re.compile(r"<(?:think|thinking|reasoning|thought)>", re.IGNORECASE)
END_OF_THOUGHTS = re.compile(r"</(?:think|thinking|reasoning|thought)>", re.IGNORECASE)
_LONE_END_OF_THOUGHTS = re.compile(END_OF_THOUGHTS.pattern + r"(?![\"'\\,])", re.IGNORECASE)


class Passage(NamedTuple):
    """One JSON value in a reply, from `start` to `end`, and what had to be done to read it."""

    value: Any
    start: int
    end: int
    notes: tuple[tuple[Note, int], ...] = ()
    elisions: tuple[Place, ...] = ()
    repeated: tuple[tuple[Place, tuple[str, ...]], ...] = ()
    stop: Stop | None = None
    lost: tuple[tuple[Place, Any], ...] = ()


def find_passages(text: str) -> list[Passage]:
    """Return the objects and lists in `text` in order; the last may be cut off or unreadable from some place on."""
    whole = _whole(text)
    if whole is not None:
        return [whole]
    closing = END_OF_THOUGHTS.search(text)
    if closing is not None and THOUGHTS.match(text.lstrip()) is not None:
        return _passages_from(text, closing.end())
    closing = _LONE_END_OF_THOUGHTS.search(text)
    if closing is None:
        return _passages_from(text, 0)
    # some servers drop the opening tag; inside a plan's own text the closing one means nothing
    found = _passages_from(text, 0)
    is_torn = any(passage.stop is not None and passage.start < closing.start() for passage in found)
    return _passages_from(text, closing.end()) or found if is_torn else found


def _passages_from(text: str, position: int) -> list[Passage]:
    found: list[Passage] = []
    work_left = _WORK_PER_CHAR * len(text) + _FREE_WORK
    while work_left > 0 and len(found) < MAX_PASSAGES:
        opening = _OPENING.search(text, position)
        if opening is None:
            break
        start = opening.start()
        position = start + 1
        if _OPENS_LIKE_JSON.match(text, start) is None:
            continue
        passage, looked_at = _read_at(text, start)
        work_left -= looked_at
        if passage is not None:
            found.append(passage)
            position = passage.end if _holds_something(passage) else position
    return found


def _holds_something(passage: Passage) -> bool:
    """Return whether to go on behind a passage: where reading broke before any step, steps may stand inside it."""
    if passage.stop is None or passage.stop.kind == "cut":
        return True
    return looks_like_step(passage.value) or locate_steps(passage.value) is not None


def _whole(text: str) -> Passage | None:
    """Return the passage of a text that is JSON from end to end; JSON text inside a JSON string is unwrapped."""
    body = text.removeprefix("\ufeff")
    shift = len(text) - len(body)
    start = len(body) - len(body.lstrip(" \t\r\n"))
    if start == len(body):
        return None
    read = read_strict(body, start)
    if read is None or body[read.end :].strip(" \t\r\n"):
        return None
    value, repeated = read.value, read.repeated
    notes: tuple[tuple[Note, int], ...] = ()
    for _ in range(_MAX_UNWRAPPED):
        if not isinstance(value, str):
            break
        inner = read_strict(value, len(value) - len(value.lstrip()))
        if inner is None or value[inner.end :].strip():
            return None
        value, repeated = inner.value, inner.repeated
        notes = ((Note((), "JSON inside a JSON string was taken out", False), 1),)
    places = tuple(repeated_places(value, repeated))
    return Passage(value, start + shift, read.end + shift, notes=notes, repeated=places)


def _read_at(text: str, start: int) -> tuple[Passage | None, int]:
    """Read the value at `start`; return it, or None, and how many characters were looked at."""
    strict = read_strict(text, start)
    if strict is not None:
        places = tuple(repeated_places(strict.value, strict.repeated))
        return Passage(strict.value, start, strict.end, repeated=places), strict.end - start
    relaxed = read_relaxed(text, start)
    looked_at = 2 * relaxed.looked_at + 1
    if relaxed.stop is not None and relaxed.stop.kind == "unreadable" and not relaxed.value:
        return None, looked_at
    places = tuple(repeated_places(relaxed.value, relaxed.repeated))
    end = relaxed.end if relaxed.stop is None else relaxed.stop.position
    notes = tuple(relaxed.notes.items())
    passage = Passage(relaxed.value, start, end, notes, relaxed.elisions, places, relaxed.stop, relaxed.lost)
    return passage, looked_at
