"""The fields of a step under the names that models give them: `function`, `parameters`, `deps`, `thought`.

A step that already has the right names is returned as it is, the very same object. A field is renamed only
where the right one is missing; what stays unknown is kept and named by the plan's own reader. Values are
unpacked (arguments that are JSON inside a string) only where the plan could not be valid otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, cast

from planloom.plan.issues import shorten
from planloom.plan.reader import STEP_FIELDS
from planloom.plan.references import STEP_ID
from planloom.planning.relaxed import read_relaxed
from planloom.planning.strict import read_strict

Note = Callable[[str, str], None]
"""Called with the field ("" for the whole step) and what was done to it."""


def fold(name: str) -> str:
    """Return a name without case, white space, `_` and `-`: what models get wrong about names."""
    return name.casefold().replace("_", "").replace("-", "").replace(" ", "")


_OWN: Final = {fold(name): name for name in STEP_FIELDS}
# in the order in which they are preferred when a step has several
_ALIASES: Final[dict[str, tuple[str, ...]]] = {
    "id": ("stepid", "taskid", "nodeid", "callid", "label", "index", "idx", "number", "step", "name"),
    "tool": ("toolname", "functionname", "function", "action", "apiname", "api", "name", "task"),
    "args": ("arguments", "parameters", "params", "argument", "toolargs", "toolarguments", "toolparameters",
             "toolinput", "actioninput", "kwargs", "input", "inputs"),
    "depends_on": ("dependencies", "dependency", "deps", "dep", "depends", "after", "requires", "prerequisites",
                   "parents", "needs", "waitfor", "predecessors"),
    "description": ("desc", "thought", "thoughts", "reason", "reasoning", "rationale", "purpose", "explanation",
                    "title", "task", "step", "name"),
    "when": ("condition", "if"),
}  # fmt: skip
_TOOL_NAMES: Final = frozenset({"tool", *_ALIASES["tool"]})
_OTHER_NAMES: Final = frozenset(
    {fold(field) for field in ("id", "args", "depends_on")}.union(*(_ALIASES[f] for f in ("id", "args", "depends_on")))
) - {"name", "step", "index"}
_CALLS: Final = ("function", "toolcall", "functioncall", "call", "action", "tool")
"""Fields under which a whole call, name and arguments, may stand as an object."""
_MAX_ARGUMENTS_CHARS: Final = 1_000_000


def looks_like_step(value: Any) -> bool:
    """Return whether this is an object that names a tool; the definition of a tool is none."""
    if not isinstance(value, dict):
        return False
    names = {fold(name): inner for name, inner in cast("dict[str, Any]", value).items()}
    if any(_is_definition(names.get(name)) for name in ("parameters", "inputschema", "function")):
        return False
    if "tool" in names or "toolname" in names or "functionname" in names:
        return True
    has_tool = any(isinstance(names.get(name), str) for name in _TOOL_NAMES)
    has_call = any(_is_call(names.get(name)) for name in _CALLS)
    return has_call or (has_tool and not _OTHER_NAMES.isdisjoint(names))


def _is_call(value: Any) -> bool:
    """Return whether this object is a call: a name and arguments."""
    if not isinstance(value, dict):
        return False
    names = {fold(name) for name in cast("dict[str, Any]", value)}
    return bool(names & {"name", "tool", "toolname", "functionname"}) and not _is_definition(value)


def _is_definition(value: Any) -> bool:
    """Return whether this is a JSON Schema, or holds one as `parameters`: a tool told back by the model."""
    if not isinstance(value, dict):
        return False
    fields = cast("dict[str, Any]", value)
    if isinstance(fields.get("parameters"), dict):
        fields = cast("dict[str, Any]", fields["parameters"])
    return fields.get("type") == "object" and isinstance(fields.get("properties"), dict)


def with_own_names(raw: dict[str, Any], note: Note) -> dict[str, Any]:
    """Return the step with its fields under their own names; `raw` itself when there was nothing to do."""
    if raw.keys() <= _OWN_NAMES and isinstance(raw.get("args"), dict) and not isinstance(raw.get("tool"), dict):
        return raw
    fields = _flattened(raw, note)
    renamed = _renamed(fields, note)
    args = renamed.get("args")
    if "args" in renamed and not isinstance(args, dict):
        unpacked = _unpacked(args, note)
        if unpacked is not None:
            renamed = {**renamed, "args": unpacked}
    return renamed


_OWN_NAMES: Final = frozenset(STEP_FIELDS)


def _flattened(raw: dict[str, Any], note: Note) -> dict[str, Any]:
    """Take a call that stands in an object of its own out of it: `{"function": {"name", "arguments"}}`."""
    for key, call in raw.items():
        if fold(key) in _CALLS and isinstance(call, dict) and _is_call(call):
            inner = cast("dict[str, Any]", call)
            outer = {name: value for name, value in raw.items() if name != key}
            if outer.get("type") == "function":
                del outer["type"]
            # a name that both have is the inner one: it is the call's
            if shadowed := [name for name in inner if name in outer]:
                note("", f"`{shorten(shadowed[0], 40)}` beside the call under `{shorten(key, 40)}` was left out")
            note("", f"the call was taken out of `{shorten(key, 40)}`")
            return {**outer, **inner}
    return raw


def _renamed(fields: dict[str, Any], note: Note) -> dict[str, Any]:
    names: dict[str, str] = {}
    taken: set[str] = set()
    folded = {fold(key): key for key in reversed(fields)}
    for field in STEP_FIELDS:
        if field in fields:
            taken.add(field)
        elif (key := folded.get(fold(field))) is not None:
            names[key] = field
            taken.add(field)
    for field in ("tool", "args", "depends_on", "id", "description", "when"):
        if field in taken:
            continue
        for alias in _ALIASES[field]:
            key = folded.get(alias)
            if key is not None and key not in names and key not in _OWN_NAMES and _may_be(field, alias, fields[key]):
                names[key] = field
                taken.add(field)
                break
    if not names:
        return fields
    for key, field in names.items():
        note(field, f"`{shorten(key, 40)}` was read as `{field}`")
    return {names.get(key, key): value for key, value in fields.items()}


def _may_be(field: str, alias: str, value: Any) -> bool:
    """Return whether the value under an alias can be the field: `step` may be a number, an id or a sentence."""
    if field == "id":
        if alias in ("step", "index", "idx", "number"):
            return type(value) is int or (isinstance(value, str) and (value.isdecimal() or _is_id(value)))
        return type(value) is int or (isinstance(value, str) and (alias != "name" or _is_id(value)))
    if field == "tool":
        return isinstance(value, str)
    if field == "description":
        return isinstance(value, str) and value != ""
    if field == "when":
        return isinstance(value, str | bool)
    if field == "depends_on":
        return alias != "requires" or isinstance(value, list | str | int)
    return True


def _is_id(value: str) -> bool:
    return STEP_ID.fullmatch(value) is not None


def _unpacked(args: Any, note: Note) -> dict[str, Any] | None:
    """Return arguments that were written as JSON text or as a list of names and values, or None."""
    if isinstance(args, str):
        body = args.strip()
        if not body.startswith("{") or len(body) > _MAX_ARGUMENTS_CHARS:
            return None
        strict = read_strict(body)
        if strict is not None and strict.end == len(body) and not strict.repeated:
            note("args", "arguments written as JSON text were read as an object")
            return cast("dict[str, Any]", strict.value)
        relaxed = read_relaxed(body, 0)
        if relaxed.stop is None and relaxed.end == len(body) and not relaxed.elisions and not relaxed.repeated:
            note("args", "arguments written as text that is nearly JSON were read as an object")
            return cast("dict[str, Any]", relaxed.value)
        return None
    if not isinstance(args, list):
        return None
    listed = cast("list[Any]", args)
    if not listed:
        note("args", "an empty list of arguments was read as an empty object")
        return {}
    pairs: dict[str, Any] = {}
    for element in listed:
        if not isinstance(element, dict):
            return None
        entry = cast("dict[str, Any]", element)
        name = entry.get("name")
        if not isinstance(name, str) or name in pairs or "value" not in entry or len(entry) != 2:
            return None
        pairs[name] = entry["value"]
    note("args", "arguments written as a list of names and values were read as an object")
    return pairs
