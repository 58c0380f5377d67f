"""JSON in: text, bytes or objects become a `Plan`, and nothing that was written is lost on the way.

Only what is not JSON or holds no list of steps raises. A step with a field of the wrong type keeps the object
as it was written, and `defects_of` says what is wrong with it, for validation to name with its place.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple, cast

from planloom.plan.bulk import without_collections
from planloom.plan.intake import copy_json_like, format_error, parse_json
from planloom.plan.issues import Issue, IssueCode, pointer, shorten, with_article
from planloom.plan.limits import DEFAULT_LIMITS, Limits
from planloom.plan.references import describe
from planloom.plan.step import MISSING, PLAN_VERSION, Step

STEP_FIELDS: Final = ("id", "description", "tool", "args", "depends_on", "when", "for_each", "timeout_s", "retries")
PLAN_FIELDS: Final = ("version", "goal", "inputs", "steps", "answer")
WRAPPERS: Final = ("steps", "plan", "calls", "tasks", "nodes", "actions")
_MAX_WRAPPING: Final = 3
_MAX_NAMED: Final = 20
"""Number of unknown fields, or of wrong elements of `depends_on`, that are named one by one."""
_STEP_CHARS: Final = 100
"""Length of a short step."""


class Parts(NamedTuple):
    """A plan's parts as they were read, in the order in which `Plan` takes them."""

    steps: tuple[Step, ...]
    goal: str
    inputs: dict[str, Any]
    answer: Any
    version: int
    defects: tuple[Issue, ...]


def read_parts(source: Any, limits: Limits = DEFAULT_LIMITS) -> Parts:
    """Read a plan's parts; see `Plan.from_json`."""
    with without_collections(_steps_about(source)):
        if isinstance(source, str | bytes | bytearray):
            data = parse_json(source, limits)
        elif isinstance(source, Mapping | Sequence):
            data = copy_json_like(source, limits)
        else:
            raise format_error(
                f"a plan is JSON text, an object or a list of steps, not {with_article(type(source).__name__)}"
            )
        return _parts_from(data, limits)


def _steps_about(source: Any) -> int:
    """Return how many steps a plan may have, before it is read."""
    if isinstance(source, str | bytes | bytearray):
        return len(source) // _STEP_CHARS
    if isinstance(source, Mapping):
        source = cast("Mapping[Any, Any]", source).get("steps")
    return len(cast("Sequence[Any]", source)) if isinstance(source, Sequence) else 0


def _parts_from(data: Any, limits: Limits) -> Parts:
    header, raw_steps = _find_steps(data, 0)
    steps = tuple([read_step(raw) for raw in raw_steps[: limits.steps]])
    defects: list[Issue] = []
    if len(raw_steps) > limits.steps:
        defects.append(_issue("limit", "/steps", f"{len(raw_steps):,} steps are more than {limits.steps:,}"))
    version = header.get("version")
    if version is None:
        version = PLAN_VERSION
    elif type(version) is not int or version != PLAN_VERSION:
        defects.append(_wrong("/version", "version", f"{PLAN_VERSION}", version, f'write "version": {PLAN_VERSION}'))
        version = PLAN_VERSION
    goal = header.get("goal")
    if goal is None:
        goal = ""
    elif not isinstance(goal, str):
        defects.append(_wrong("/goal", "goal", "text", goal))
        goal = ""
    inputs = header.get("inputs")
    if inputs is None:
        inputs = {}
    elif not isinstance(inputs, dict):
        hint = 'write "inputs": {"name": value}'
        defects.append(_wrong("/inputs", "inputs", "an object of values by name", inputs, hint))
        inputs = {}
    defects.extend(_unknown_fields(header, PLAN_FIELDS))
    answer = header.get("answer", MISSING)
    return Parts(steps, goal, cast("dict[str, Any]", inputs), answer, version, tuple(defects))


def _find_steps(data: Any, depth: int) -> tuple[dict[str, Any], list[Any]]:
    """Return the plan's own fields and its list of steps, whatever that list is called."""
    if isinstance(data, list):
        return {}, cast("list[Any]", data)
    if not isinstance(data, dict):
        raise format_error(f"a plan is an object with `steps`, or a list of steps; this is {describe(data)}")
    fields = cast("dict[str, Any]", data)
    if "steps" in fields and not isinstance(fields["steps"], list | dict):
        raise format_error(f"`steps` is a list of steps; this is {describe(fields['steps'])}", "/steps")
    for name in WRAPPERS:
        if isinstance(fields.get(name), list):
            return _without(fields, name), fields[name]
    if "tool" in fields:
        raise format_error("this is one step, not a list of steps", hint="put it into a list: [{…}]")
    lists = [name for name, value in fields.items() if isinstance(value, list) and name not in PLAN_FIELDS]
    if len(lists) == 1:
        return _without(fields, lists[0]), fields[lists[0]]
    if len(lists) > 1:
        names = ", ".join(f"`{shorten(name, 40)}`" for name in lists[:5])
        raise format_error(f"several lists could be the steps: {names}", hint="put the steps under `steps`")
    for name in WRAPPERS:
        if isinstance(fields.get(name), dict) and depth < _MAX_WRAPPING:
            header, steps = _find_steps(fields[name], depth + 1)
            return {**_without(fields, name), **header}, steps
    raise format_error("the object holds no list of steps", hint="put the steps under `steps`")


def _without(fields: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if key != name}


def read_step(raw: Any) -> Step:
    """Read one step. Never raises: what does not fit is kept as the step's `source`."""
    if type(raw) is dict:
        fields = cast("dict[str, Any]", raw)
        get = fields.get
        step_id, tool, args = get("id"), get("tool"), get("args")
        description, depends_on = get("description"), get("depends_on")
        # the well-formed step with nothing optional: by far the most frequent, so it is checked in one go
        if (
            type(step_id) is str
            and step_id
            and type(tool) is str
            and tool
            and type(args) is dict
            and type(depends_on) is list
            and type(description) is str
            and description
            and len(fields) == 5
        ):
            for dependency in cast("list[Any]", depends_on):
                if type(dependency) is not str:
                    break
            else:
                return Step(step_id, tool, cast("dict[str, Any]", args), cast("list[str]", depends_on), description)
        return _read_with_defects(fields, None)
    return Step("", "", {}, (), source=raw)


def defects_of(step: Step) -> list[Issue]:
    """Return what was wrong with the fields of a step as it was written, with pointers relative to the step."""
    issues: list[Issue] = []
    source: Any = step.source
    if isinstance(source, dict):
        _read_with_defects(cast("dict[str, Any]", source), issues)
    elif source is not MISSING:
        issues.append(_issue("wrong-field-type", "", f"a step is an object; this is {describe(source)}"))
    return issues


class _Notes:
    """What is wrong with a step while it is read. Issues are written only for who asked for them."""

    __slots__ = ("filled", "is_lost", "issues")

    def __init__(self, issues: list[Issue] | None) -> None:
        self.issues = issues
        self.is_lost = False
        self.filled: list[str] = []

    def missing(self, name: str, hint: str) -> None:
        self.is_lost = True
        if self.issues is not None:
            self.issues.append(_issue("missing-field", f"/{name}", f"the step has no `{name}`", hint))

    def wrong(self, name: str, expected: str, value: Any, hint: str | None = None, path: str | None = None) -> None:
        self.is_lost = True
        if self.issues is not None:
            self.issues.append(_wrong(path or f"/{name}", name, expected, value, hint))


def _read_with_defects(fields: dict[str, Any], issues: list[Issue] | None) -> Step:
    """Read a step with optional fields or with defects; list the defects when `issues` is there for them."""
    notes = _Notes(issues)
    texts: dict[str, str] = {"id": "", "tool": ""}
    for name in texts:
        value = fields.get(name)
        if isinstance(value, str) and value:
            texts[name] = value
        elif value is None or value == "":
            notes.missing(name, _MISSING_HINTS[name])
        else:
            notes.wrong(name, "text", value, 'write for example "s1"' if name == "id" else None)
    args = fields.get("args")
    if args is None:
        notes.filled.append("args")
    elif not isinstance(args, dict):
        notes.wrong("args", "an object of arguments by name", args)
    description = fields.get("description")
    if description is None or description == "":
        notes.filled.append("description")
    elif not isinstance(description, str):
        notes.wrong("description", "text", description)
    depends_on = _read_depends_on(fields.get("depends_on"), notes)
    optional = _read_optional(fields, notes)
    if issues is not None:
        issues.extend(_unknown_fields(fields, STEP_FIELDS))
    is_kept = notes.is_lost or any(name not in STEP_FIELDS for name in fields)
    return Step(
        texts["id"],
        texts["tool"],
        cast("dict[str, Any]", args) if isinstance(args, dict) else {},
        depends_on,
        description if isinstance(description, str) else "",
        **optional,
        source=fields if is_kept else MISSING,
        filled=tuple(notes.filled),
    )


_MISSING_HINTS: Final = {"id": "give it a short unique name", "tool": "name the tool that it calls"}


def _read_depends_on(value: Any, notes: _Notes) -> list[str] | None:
    if value is None:
        notes.filled.append("depends_on")
        return None
    if not isinstance(value, list):
        hint = f'write "depends_on": [{json.dumps(value)}]' if isinstance(value, str) and len(value) < 80 else None
        notes.wrong("depends_on", "a list of step ids", value, hint)
        return None
    elements = cast("list[Any]", value)
    ids = [dependency for dependency in elements if isinstance(dependency, str)]
    if len(ids) < len(elements):
        wrong = [place for place, dependency in enumerate(elements) if not isinstance(dependency, str)]
        for place in wrong[:_MAX_NAMED]:
            notes.wrong("depends_on", "a list of step ids", elements[place], path=pointer("depends_on", place))
        if len(wrong) > _MAX_NAMED and notes.issues is not None:
            more = f"{len(wrong) - _MAX_NAMED:,} more elements of `depends_on` are no step ids"
            notes.issues.append(_issue("wrong-field-type", "/depends_on", more))
    return ids


def _read_optional(fields: dict[str, Any], notes: _Notes) -> dict[str, Any]:
    """Read `when`, `for_each`, `timeout_s` and `retries`; null means absent, as strict providers write it."""
    optional: dict[str, Any] = {}
    when = fields.get("when")
    if isinstance(when, str):
        optional["when"] = when
    elif when is not None:
        hint = f'write "when": "{json.dumps(when)}"' if isinstance(when, bool) else None
        notes.wrong("when", "an expression in text", when, hint)
    for_each = fields.get("for_each")
    if isinstance(for_each, str | list):
        optional["for_each"] = for_each
    elif for_each is not None:
        notes.is_lost = True
        if notes.issues is not None:
            message = f"`for_each` takes a list, or a reference to one; this is {describe(for_each)}"
            notes.issues.append(_issue("for-each-not-a-list", "/for_each", message, FOR_EACH_HINT))
    timeout_s = fields.get("timeout_s")
    if timeout_s is not None:
        if is_seconds(timeout_s):
            optional["timeout_s"] = timeout_s
        else:
            notes.wrong("timeout_s", "a number of seconds above 0", timeout_s, "leave it out for the tool's own")
    retries = fields.get("retries")
    if retries is not None:
        if type(retries) is int and retries >= 0:
            optional["retries"] = retries
        else:
            notes.wrong("retries", "a whole number, 0 or more", retries, "leave it out for the tool's own")
    return optional


FOR_EACH_HINT: Final = 'write "for_each": "{{step.output.items}}" or "for_each": ["a", "b"]'


def is_seconds(value: Any) -> bool:
    """Return whether `value` is a number of seconds that a clock can count: above 0 and finite."""
    return type(value) in (int, float) and 0 < value < math.inf and value <= _MAX_SECONDS


_MAX_SECONDS: Final = 10**15

_OTHER_NAMES: Final = {
    "args": ("arguments", "parameters", "params", "input", "inputs", "kwargs", "tool_input", "action_input"),
    "tool": ("action", "function", "tool_name", "name", "call", "task", "operation"),
    "depends_on": ("dependencies", "dependency", "deps", "after", "needs", "requires", "wait_for"),
    "id": ("step_id", "step", "label", "key", "number"),
    "description": ("desc", "thought", "reason", "purpose", "title", "rationale"),
    "when": ("condition", "if", "only_if"),
    "for_each": ("foreach", "loop", "map", "each", "over"),
    "timeout_s": ("timeout", "timeout_seconds"),
    "retries": ("retry", "max_retries", "attempts"),
    "answer": ("result", "output", "final_answer", "response"),
    "goal": ("task", "objective", "question", "query"),
}


def _unknown_fields(fields: Mapping[str, Any], known: Sequence[str]) -> Iterable[Issue]:
    unknown = [name for name in fields if name not in known]
    for name in unknown[:_MAX_NAMED]:
        shown = shorten(name)
        meant = next((right for right in known if name in _OTHER_NAMES.get(right, ()) and right not in fields), None)
        hint = f"did you mean `{meant}`?" if meant else None  # any other likeness costs more and is for validation
        yield Issue("unknown-field", "warning", pointer(shown), f"`{shown}` is not a field here and is ignored", hint)
    if len(unknown) > _MAX_NAMED:
        more = f"{len(unknown) - _MAX_NAMED:,} more fields are not known here and are ignored"
        yield Issue("unknown-field", "warning", "", more)


def _issue(code: IssueCode, path: str, message: str, hint: str | None = None) -> Issue:
    return Issue(code, "error", path, message, hint)


def _wrong(path: str, name: str, expected: str, value: Any, hint: str | None = None) -> Issue:
    return Issue("wrong-field-type", "error", path, f"`{name}` is {expected}; this is {describe(value)}", hint)
