"""One turn of a ReAct loop: what a model writes becomes a tool call, an answer, or the reason why it is neither.

Text that is valid JSON is taken as it is. JSON with fences, prose or slips is read by the same readers as a plan,
and the older form with `Action:` and `Final Answer:` lines is understood too. Only the first call of a turn counts:
whatever a model writes after it, it has made up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple, cast

from planloom.plan.issues import shorten
from planloom.planning.locating import locate_steps
from planloom.planning.passages import Passage, find_passages
from planloom.planning.repair import repair_fields
from planloom.planning.step_fields import fold, looks_like_step, with_own_names
from planloom.planning.strict import read_strict
from planloom.tools import Tool

MAX_REPLY_CHARS: Final = 50_000
"""Length of a reply that is looked at; a turn is a few hundred characters."""

_ANSWERS: Final = ("answer", "finalanswer", "finalresponse", "finalresult", "finaloutput", "response", "final")
_FINISHERS: Final = frozenset({"answer", "finalanswer", "finish", "final", "done", "respond", "return", "submit"})
_NO_TOOL: Final = frozenset({"", "none", "null", "n/a", "no", "notool", "-"})
_STEP_FIELDS: Final = ("tool", "args", "description", "id", "depends_on", "when", "for_each", "timeout_s", "retries")
_LABELS: Final = {
    "thought": "thought",
    "action": "action",
    "action input": "input",
    "action_input": "input",
    "observation": "observation",
    "final answer": "answer",
}


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of one tool. `end` is where it ends in the reply, `has_more` whether another turn follows there."""

    tool: str
    args: dict[str, Any]
    thought: str
    end: int
    has_more: bool = False


@dataclass(frozen=True, slots=True)
class FinalAnswer:
    """The answer: text, or any JSON value."""

    value: Any


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A reply that is no turn: what is wrong with it, and whether it is words alone."""

    problem: str
    is_prose: bool = False


Turn = ToolCall | FinalAnswer | Unreadable


class _Found(NamedTuple):
    """A turn read from JSON, and how many more stood beside it."""

    turn: Turn
    has_more: bool


def read_turn(text: str, tools: Mapping[str, Tool], *, finished: bool = True) -> Turn:
    """Read a model's whole reply as one turn. Never raises.

    `tools` decide what is a tool and what a way of saying "done", and give a lone value its argument's name.
    `finished=False` says that the reply stopped at a limit, so what only looks complete is not taken.
    """
    if not text.strip():
        return Unreadable("the reply is empty")
    if len(text) > MAX_REPLY_CHARS:
        return Unreadable(f"the reply has more than {MAX_REPLY_CHARS:,} characters")
    passages = find_passages(text)
    problem: Unreadable | None = None
    for position, passage in enumerate(passages):
        found = _read_passage(text, passage, tools, finished=finished)
        if found is None:
            continue
        if isinstance(found.turn, Unreadable):
            problem = problem or found.turn
        elif isinstance(found.turn, ToolCall):
            later = passages[position + 1 :]
            has_more = found.has_more or any(_read_passage(text, other, tools, finished=True) for other in later)
            return replace(found.turn, has_more=has_more)
        else:
            return found.turn
    if problem is not None:
        return problem
    labelled = _read_labelled(text, tools)
    if labelled is not None:
        return labelled if finished else Unreadable("the reply was cut off at its limit of tokens")
    if not finished:
        return Unreadable("the reply was cut off at its limit of tokens")
    if passages:
        return Unreadable('the JSON names neither a "tool" nor an "answer"')
    return Unreadable("there is no JSON object in the reply", is_prose=True)


def _read_passage(text: str, passage: Passage, tools: Mapping[str, Tool], *, finished: bool) -> _Found | None:
    """Return the turn in one JSON value, or None when it is something else."""
    stop, value = passage.stop, passage.value
    if stop is not None and stop.kind == "unreadable":
        closing = text.rfind("}") + 1
        repaired = _repaired(text[passage.start : closing])
        found = None if repaired is None else _turn_of(repaired, tools, closing)
        if found is not None:
            return _Found(found, False)
        is_turn = _turn_of(value, tools, 0) is not None or passage.start == len(text) - len(text.lstrip())
        where = f" inside `{shorten('.'.join(map(str, stop.place)), 60)}`" if stop.place else ""
        return _Found(Unreadable(f"the reply is not JSON{where}"), False) if is_turn else None
    if stop is not None and (stop.place or not finished or not _ends_whole(text[: stop.position])):
        where = f" inside `{shorten('.'.join(map(str, stop.place)), 60)}`" if stop.place else ""
        return _Found(Unreadable(f"the reply is cut off{where}: the JSON is not closed"), False)
    turn, has_more = _turn_of(value, tools, passage.end), False
    if turn is None:
        located = locate_steps(value)
        if located is None:
            return None
        turn, has_more = _turn_of(located.steps[0], tools, passage.end), len(located.steps) > 1
        if turn is None:
            return None
    if passage.elisions:
        return _Found(Unreadable("the JSON says `...` where values belong; write everything out"), False)
    if any(not place and {"tool", "args"} & set(names) for place, names in passage.repeated):
        return _Found(Unreadable("one JSON object names two tools; make one call at a time"), False)
    return _Found(turn, has_more)


def _repaired(text: str) -> dict[str, Any] | None:
    try:
        return repair_fields(text) if text else None
    except Exception:  # noqa: BLE001 - a library that guesses: its own assertions fail on some texts
        return None


def _ends_whole(text: str) -> bool:
    """Return whether nothing was begun where the text ends, so that only a closing bracket is missing."""
    return text.rstrip()[-1:] in ("]", "}", '"')


def _turn_of(value: Any, tools: Mapping[str, Tool], end: int) -> Turn | None:
    if not isinstance(value, dict):
        return None
    fields = cast("dict[str, Any]", value)
    call = _call_of(fields, tools, end) if looks_like_step(fields) else None
    if call is not None:
        return call
    folded = {fold(name): name for name in reversed(fields)}
    name = next((folded[key] for key in _ANSWERS if key in folded and fields[folded[key]] is not None), None)
    return None if name is None else FinalAnswer(fields[name])


def _call_of(fields: dict[str, Any], tools: Mapping[str, Tool], end: int) -> Turn | None:
    own = with_own_names(fields, _unnoted)
    name: Any = own.get("tool")
    if not isinstance(name, str) or (name not in tools and fold(name) in _NO_TOOL):
        return None
    args = own["args"] if "args" in own else _arguments_beside(own, name, tools)
    if name not in tools and fold(name) in _FINISHERS:
        return FinalAnswer(_only_value(args))
    thought: Any = fields.get("thought", own.get("description"))
    return _call(name, args, thought if isinstance(thought, str) else "", end, tools)


def _unnoted(field: str, message: str) -> None:
    """A turn is not kept, so nobody reads what was changed in it."""


def _call(name: str, args: Any, thought: str, end: int, tools: Mapping[str, Tool]) -> Turn:
    if args is None:
        args = {}
    if not isinstance(args, dict):
        names = _parameters(name, tools)
        if len(names) != 1:
            return Unreadable('"args" is an object of arguments by name')
        args = {names[0]: args}
    return ToolCall(name, cast("dict[str, Any]", args), thought, end)


def _arguments_beside(own: dict[str, Any], name: str, tools: Mapping[str, Tool]) -> dict[str, Any]:
    """Return arguments that stand beside the tool's name, where they belong to the tool and to nothing else."""
    known = set(_parameters(name, tools)) - set(_STEP_FIELDS)
    return {key: value for key, value in own.items() if key in known}


def _parameters(name: str, tools: Mapping[str, Tool]) -> list[str]:
    if name not in tools:
        return []
    return list(cast("Mapping[str, Any]", tools[name].parameters.get("properties", {})))


def _only_value(args: Any) -> Any:
    """Return the answer in the arguments of "finish": its only value, or all of them."""
    if isinstance(args, dict) and len(values := list(cast("dict[str, Any]", args).values())) == 1:
        return values[0]
    return cast("Any", args)


class _Section(NamedTuple):
    label: str
    text: str
    end: int


def _read_labelled(text: str, tools: Mapping[str, Tool]) -> Turn | None:
    """Read `Thought:`, `Action:`, `Action Input:` and `Final Answer:`, up to the first action or answer."""
    sections = _sections(text)
    thought = ""
    for position, section in enumerate(sections):
        if section.label == "thought":
            thought = section.text
        elif section.label == "answer" and section.text:
            return FinalAnswer(_value_of(section.text))
        elif section.label == "action" and section.text:
            name = section.text.split("\n")[0].strip(" \t*`[]\"'")
            if name not in tools and fold(name) in _NO_TOOL:
                continue
            rest = sections[position + 1 :]
            has_input = bool(rest) and rest[0].label == "input"
            args: Any = _value_of(rest[0].text) if has_input else None
            turn = _call(name, args, thought, rest[0].end if has_input else section.end, tools)
            if not isinstance(turn, ToolCall):
                return turn
            return replace(turn, has_more=len(rest) > has_input)
    return None


def _sections(text: str) -> list[_Section]:
    """Return what stands behind each label that begins a line, in order."""
    found: list[_Section] = []
    label, start, position = "", 0, 0
    for line in text.splitlines(keepends=True):
        head, colon, _ = line.partition(":")
        name = _LABELS.get(head.strip(" \t*#>_").lower()) if colon and len(head) < 40 else None
        if name is not None:
            if label:
                found.append(_section(label, text, start, position))
            label, start = name, position + len(head) + 1
        position += len(line)
    return [*found, _section(label, text, start, position)] if label else found


def _section(label: str, text: str, start: int, end: int) -> _Section:
    return _Section(label, text[start:end].strip(" \t\r\n*"), end)


def _value_of(text: str) -> Any:
    """Return the object or list that a labelled text is, else the text."""
    body = text.strip()
    if body[:1] not in ("{", "[", "`"):
        return body
    strict = read_strict(body)
    if strict is not None and not body[strict.end :].strip():
        return strict.value
    passage = next(iter(find_passages(body)), None)
    return body if passage is None or passage.stop is not None else passage.value
