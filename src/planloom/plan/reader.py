"""JSON in: text, bytes or objects become a `Plan`, and nothing that was written is lost on the way.

Only what is not JSON or holds no list of steps raises. A field of the wrong type is kept with its step as a
defect, for validation to name with its place.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from planloom.errors import PlanFormatError
from planloom.plan.issues import Issue, IssueCode, Severity, pointer, shorten
from planloom.plan.limits import DEFAULT_LIMITS, Limits
from planloom.plan.model import MISSING, PLAN_VERSION, Plan, Step
from planloom.plan.references import describe

STEP_FIELDS: Final = ("id", "description", "tool", "args", "depends_on", "when", "for_each", "timeout_s", "retries")
PLAN_FIELDS: Final = ("version", "goal", "inputs", "steps", "answer")
WRAPPERS: Final = ("steps", "plan", "calls", "tasks", "nodes", "actions")
_MAX_WRAPPING: Final = 3


def read_plan(source: Any, limits: Limits = DEFAULT_LIMITS) -> Plan:
    """Read a plan; see `Plan.from_json`."""
    if isinstance(source, Plan):
        return source
    if isinstance(source, str | bytes | bytearray):
        return _plan_from(parse_json(source, limits), limits)
    if isinstance(source, Mapping | Sequence):
        return _plan_from(_copy_object(source, limits), limits)
    raise _format_error(f"a plan is JSON text, an object or a list of steps, not a {type(source).__name__}")


def parse_json(text: str | bytes | bytearray, limits: Limits = DEFAULT_LIMITS) -> Any:
    """Parse strict JSON (RFC 8259: no NaN, no infinity). Raises `PlanFormatError` with the place."""
    if len(text) > limits.text_bytes:
        raise _format_error(f"the text has more than {limits.text_bytes:,} bytes", code="limit")
    if not isinstance(text, str):
        try:
            text = bytes(text).decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise _format_error(f"the text is not UTF-8 (byte {error.start})") from None
    text = text.removeprefix("\ufeff")
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        raise _format_error("the text is nested too deep to be a plan", code="limit") from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        near = shorten(text[error.pos : error.pos + 40], 40)
        what = "the text is empty" if not text.strip() else f"the text is not JSON: {error.msg} ({where}, at `{near}`)"
        raise _format_error(what) from None
    except ValueError as error:
        raise _format_error(f"the text is not JSON: {shorten(str(error))}") from None


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")


def _plan_from(data: Any, limits: Limits) -> Plan:
    header, raw_steps = _find_steps(data, 0)
    steps = tuple([read_step(raw) for raw in raw_steps[: limits.steps + 1]])
    defects: list[Issue] = []
    if len(raw_steps) > limits.steps:
        steps = steps[: limits.steps]
        defects.append(Issue("limit", "error", "/steps", f"{len(raw_steps):,} steps are more than {limits.steps:,}"))
    version = header.get("version")
    if version is None:
        version = PLAN_VERSION
    elif type(version) is not int or version != PLAN_VERSION:
        defects.append(_wrong("/version", "version", f"{PLAN_VERSION}", version))
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
        defects.append(_wrong("/inputs", "inputs", "an object", inputs))
        inputs = {}
    defects.extend(_unknown_fields(header, PLAN_FIELDS))
    return Plan(steps, goal, cast("dict[str, Any]", inputs), header.get("answer", MISSING), version, tuple(defects))


def _find_steps(data: Any, depth: int) -> tuple[dict[str, Any], list[Any]]:
    """Return the plan's own fields and its list of steps, whatever that list is called."""
    if isinstance(data, list):
        return {}, cast("list[Any]", data)
    if not isinstance(data, dict):
        raise _format_error(f"a plan is an object with `steps`, or a list of steps; this is {describe(data)}")
    fields = cast("dict[str, Any]", data)
    if "steps" in fields and not isinstance(fields["steps"], list | dict):
        raise _format_error(f"`steps` is a list of steps; this is {describe(fields['steps'])}", "/steps")
    for name in WRAPPERS:
        if isinstance(fields.get(name), list):
            return _without(fields, name), fields[name]
    if "tool" in fields:
        raise _format_error("this is one step, not a list of steps", hint="put it into a list: [{…}]")
    lists = [name for name, value in fields.items() if isinstance(value, list) and name != "answer"]
    if len(lists) == 1:
        return _without(fields, lists[0]), fields[lists[0]]
    if len(lists) > 1:
        names = ", ".join(f"`{shorten(name, 40)}`" for name in lists[:5])
        raise _format_error(f"several lists could be the steps: {names}", hint="put the steps under `steps`")
    for name in WRAPPERS:
        if isinstance(fields.get(name), dict) and depth < _MAX_WRAPPING:
            return _find_steps(fields[name], depth + 1)
    raise _format_error("the object holds no list of steps", hint="put the steps under `steps`")


def _without(fields: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if key != name}


def read_step(raw: Any) -> Step:
    """Read one step. Never raises: what does not fit is kept as `source` and named in `defects`."""
    if type(raw) is dict:
        fields = cast("dict[str, Any]", raw)
        get = fields.get
        step_id, tool, args = get("id"), get("tool"), get("args")
        description, depends_on = get("description"), get("depends_on")
        # the well-formed step with nothing optional: by far the most frequent, so it is checked in one go
        if (
            type(step_id) is str
            and type(tool) is str
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
        return _read_defective(fields)
    return Step(
        "", "", source=raw, defects=(_issue("wrong-field-type", "", f"a step is an object; this is {describe(raw)}"),)
    )


def _read_defective(fields: dict[str, Any]) -> Step:
    """Read a step with optional fields or with defects."""
    defects: list[Issue] = []
    lost = False

    def keep(issue: Issue) -> None:
        nonlocal lost
        lost = True
        defects.append(issue)

    texts: dict[str, str] = {}
    for name in ("id", "tool"):
        value = fields.get(name)
        if value is None:
            keep(_issue("missing-field", f"/{name}", f"the step has no `{name}`", _MISSING_HINTS[name]))
        elif not isinstance(value, str):
            keep(_wrong(f"/{name}", name, "text", value))
        texts[name] = value if isinstance(value, str) else ""
    args = fields.get("args")
    if args is None:
        defects.append(_issue("missing-field", "/args", "the step has no `args`", 'write "args": {}', "warning"))
    elif not isinstance(args, dict):
        keep(_wrong("/args", "args", "an object of arguments by name", args))
    description = fields.get("description")
    if description is None or description == "":
        defects.append(
            _issue("missing-field", "/description", "the step has no `description`; the tool's name is used",
                   "say in a few words what the step is for", "warning")
        )  # fmt: skip
    elif not isinstance(description, str):
        keep(_wrong("/description", "description", "text", description))
    depends_on = _read_depends_on(fields.get("depends_on"), defects, keep)
    optional = _read_optional(fields, keep)
    unknown = _unknown_fields(fields, STEP_FIELDS)
    lost = lost or bool(unknown)
    return Step(
        texts["id"],
        texts["tool"],
        cast("dict[str, Any]", args) if isinstance(args, dict) else {},
        depends_on,
        description if isinstance(description, str) else "",
        **optional,
        source=fields if lost else MISSING,
        defects=(*defects, *unknown),
    )


_MISSING_HINTS: Final = {"id": "give it a short unique name", "tool": "name the tool that it calls"}


def _read_depends_on(value: Any, defects: list[Issue], keep: Any) -> list[str] | None:
    if value is None:
        defects.append(
            _issue("missing-field", "/depends_on", "the step has no `depends_on`; the steps it refers to are used",
                   'write "depends_on": [] for none', "warning")
        )  # fmt: skip
        return None
    if not isinstance(value, list):
        hint = f'write "depends_on": [{json.dumps(value)}]' if isinstance(value, str) and len(value) < 80 else None
        keep(_wrong("/depends_on", "depends_on", "a list of step ids", value, hint))
        return None
    ids: list[str] = []
    for position, dependency in enumerate(cast("list[Any]", value)):
        if isinstance(dependency, str):
            ids.append(dependency)
        else:
            keep(_wrong(pointer("depends_on", position), "depends_on", "step ids", dependency))
    return ids


def _read_optional(fields: dict[str, Any], keep: Any) -> dict[str, Any]:
    """Read `when`, `for_each`, `timeout_s` and `retries`; null means absent, as strict providers write it."""
    optional: dict[str, Any] = {}
    when = fields.get("when")
    if isinstance(when, str):
        optional["when"] = when
    elif when is not None:
        keep(
            _wrong(
                "/when",
                "when",
                "an expression in text",
                when,
                f'write "when": "{json.dumps(when)}"' if isinstance(when, bool) else None,
            )
        )
    for_each = fields.get("for_each")
    if isinstance(for_each, str | list):
        optional["for_each"] = for_each
    elif for_each is not None:
        keep(_issue("for-each-not-a-list", "/for_each", f"`for_each` takes a list, or a reference to one; this is {describe(for_each)}",
                    'write "for_each": "{{step.output.items}}"'))  # fmt: skip
    timeout_s = fields.get("timeout_s")
    if type(timeout_s) in (int, float) and math.isfinite(timeout_s) and timeout_s > 0:
        optional["timeout_s"] = timeout_s
    elif timeout_s is not None:
        keep(_wrong("/timeout_s", "timeout_s", "a number of seconds above 0", timeout_s))
    retries = fields.get("retries")
    if type(retries) is int and retries >= 0:
        optional["retries"] = retries
    elif retries is not None:
        keep(_wrong("/retries", "retries", "a whole number, 0 or more", retries))
    return optional


def _unknown_fields(fields: Mapping[str, Any], known: Sequence[str]) -> list[Issue]:
    from planloom.plan.suggest import did_you_mean

    return [
        _issue("unknown-field", pointer(shorten(str(name))), f"`{shorten(str(name))}` is not a field here and is ignored",
               did_you_mean(str(name), known), "warning")
        for name in fields if name not in known
    ]  # fmt: skip


def _issue(code: IssueCode, path: str, message: str, hint: str | None = None, severity: Severity = "error") -> Issue:
    return Issue(code, severity, path, message, hint)


def _wrong(path: str, name: str, expected: str, value: Any, hint: str | None = None) -> Issue:
    return Issue("wrong-field-type", "error", path, f"`{name}` is {expected}; this is {describe(value)}", hint)


def _format_error(
    message: str, path: str = "", hint: str | None = None, code: IssueCode = "wrong-field-type"
) -> PlanFormatError:
    return PlanFormatError([Issue(code, "error", path, message, hint)])


def _copy_object(value: Any, limits: Limits) -> Any:
    """Copy an object that the caller may go on changing, as plain dicts and lists.

    Works without recursion and never goes deeper than JSON text of a plan could.
    """
    root: list[Any] = [value]
    pending: list[tuple[Any, Any, int]] = [(root, 0, 0)]
    while pending:
        parent, key, depth = pending.pop()
        element = parent[key]
        if isinstance(element, Step):
            parent[key] = element = element.to_dict()
        if isinstance(element, Mapping):
            copied: Any = {str(name): part for name, part in cast("Mapping[Any, Any]", element).items()}
            parts: Any = copied
        elif isinstance(element, list | tuple):
            copied = list(cast("Sequence[Any]", element))
            parts = range(len(copied))
        else:
            continue
        if depth > limits.depth + 8:
            raise _format_error(f"the plan is nested deeper than {limits.depth} levels", code="limit")
        parent[key] = copied
        pending.extend([(copied, part, depth + 1) for part in parts])
    return root[0]
