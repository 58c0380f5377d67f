"""Mends that need no model: what the issues say is wrong and can be meant in one way only.

Each is reported, none is silent; what could be meant in two ways (duplicate ids, a reference to nothing) stays
for the model. One call mends what the given issues name: validate again and call again until no mend comes back.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, cast

from planloom.plan.issues import Issue, shorten
from planloom.plan.model import MISSING, Plan, Step
from planloom.plan.reader import read_step
from planloom.plan.references import PathError, Reference, ReferenceSyntaxError, read_template, render_segment
from planloom.plan.tool_checks import ToolChecks, checks_of
from planloom.plan.tool_spec import ToolSpec
from planloom.plan.types import Type, elements_of, fits, follow_type, list_of, literal_type, may_be
from planloom.plan.values import copy_json
from planloom.planning.counting import find_recount
from planloom.planning.mends import Mend, MendLog, Place
from planloom.planning.renaming import renamed_references
from planloom.planning.step_fields import fold

_COUNTING: Final = frozenset({"self-dependency", "cycle", "unknown-dependency", "unknown-reference"})
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,30})(?:\.[0-9]{1,30})?(?:[eE][+-]?[0-9]{1,3})?")
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,30})")
_NO_FACET = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_-]*)((?:\.[\w$@-]+|\[[^\]{}\n]{1,80}\])+)\s*\}\}")
_OUTPUT_WORDS: Final = frozenset({"result", "results", "value", "response", "return", "data", "out", "outputs"})


def mend_mechanically(
    plan: Plan, issues: Iterable[Issue], toolbox: Mapping[str, ToolSpec] | None
) -> tuple[Plan, list[Mend]]:
    """Return `plan` with the mends that its `issues` allow, and the list of them; never raises for a bad plan.

    `issues` are those of `find_issues(plan, toolbox)`. Without a toolbox nothing about tools is mended. The
    caller validates the plan that comes back; the same plan comes back when there was nothing to mend.
    """
    mender = _Mender(plan, toolbox or {})
    listed = list(issues)
    recounted = any(issue.code in _COUNTING for issue in listed) and mender.recount()
    for issue in listed:
        if not (recounted and issue.code in _COUNTING):
            mender.mend(issue)
    mender.declare()
    return mender.plan(), mender.log.mends()


class _Mender:
    """One round of mends: the steps as JSON objects, copied when they are first changed."""

    def __init__(self, plan: Plan, toolbox: Mapping[str, ToolSpec]) -> None:
        self.log = MendLog()
        self._plan = plan
        self._toolbox = toolbox
        self._written: dict[int, dict[str, Any]] = {}
        self._answer = plan.answer
        self._position_of = {step.id: position for position, step in reversed(list(enumerate(plan.steps)))}
        self._undeclared: dict[int, bool] = {}
        """Steps whose `depends_on` is to be completed, and whether it is missing altogether."""

    def plan(self) -> Plan:
        """Return the mended plan; the same object when nothing was mended."""
        if not self._written and self._answer is self._plan.answer:
            return self._plan
        steps = list(self._plan.steps)
        for position, written in self._written.items():
            steps[position] = read_step(written)
        return replace(self._plan, steps=tuple(steps), answer=self._answer)

    def mend(self, issue: Issue) -> None:
        """Mend what one issue names, if it can be meant in one way only."""
        place = _place_of(issue.path)
        mend = _MENDS.get(issue.code)
        if mend is None or not place:
            return
        if place[0] == "answer":
            if issue.code in ("bad-reference", "unknown-reference"):
                self._answer = self._mended_texts(self._answer, ("answer",), issue)
            return
        position = place[1] if place[0] == "steps" and len(place) > 1 else None
        if isinstance(position, int) and position < len(self._plan.steps) and self._as_written(position) is not None:
            mend(self, position, place[2:], issue)

    def _as_written(self, position: int) -> dict[str, Any] | None:
        """Return the step as it stands now, not to be changed; None for what is no object."""
        if position in self._written:
            return self._written[position]
        return _written(self._plan.steps[position])

    def _change(self, position: int, field: str, value: Any, place: Place, message: str) -> None:
        step = self._as_written(position)
        assert step is not None
        self._written[position] = {**step, field: value}
        self.log.add(("steps", position, *place), message)

    def _checks(self, tool: Any) -> ToolChecks | None:
        spec = self._toolbox.get(tool) if isinstance(tool, str) else None
        return None if spec is None else checks_of(spec)

    # -- dependencies

    def recount(self) -> bool:
        """Correct steps that were counted from the wrong number; return whether that was so."""
        found = find_recount(self._plan)
        if found is None:
            return False
        said = f"steps were counted from {found.counted_from}"
        for position in range(len(self._plan.steps)):
            step = self._as_written(position)
            if step is None:
                continue
            for field in ("args", "for_each", "when") if found.in_references else ():
                if field in step and (anew := renamed_references(step[field], found.ids)) is not step[field]:
                    self._change(position, field, anew, (field,), f"{said}: the references were moved by one")
            depends_on: Any = step.get("depends_on")
            if found.in_dependencies and isinstance(depends_on, list) and depends_on:
                written = cast("list[str]", depends_on)
                moved = [found.ids.get(name, name) for name in written]
                message = f"{said}: {_joined(written)} became {_joined(moved)}"
                self._change(position, "depends_on", moved, ("depends_on",), message)
        if found.in_references and (anew := renamed_references(self._answer, found.ids)) is not self._answer:
            self._answer = anew
            self.log.add(("answer",), f"{said}: the references were moved by one")
        return True

    def mark_undeclared(self, position: int, place: Place, issue: Issue) -> None:
        """Remember a step whose `depends_on` does not name everything it uses."""
        if place == ("depends_on",):
            self._undeclared[position] = issue.code == "missing-field"

    def declare(self) -> None:
        """Complete `depends_on` where it was found wanting, after all other mends."""
        for position, is_missing in self._undeclared.items():
            step = self._as_written(position)
            if step is None or not isinstance(step.get("args", {}), dict):
                continue  # what it uses is not known before its arguments are
            fresh = read_step(step)
            used = [name for name in fresh.wiring().step_ids if name in self._position_of and name != fresh.id]
            written: Any = step.get("depends_on")
            declared = cast("list[Any]", written) if isinstance(written, list) else []
            added = [name for name in used if name not in declared]
            if is_missing and written is None:
                message = f"the missing `depends_on` was written: {_joined(used) or 'none'}"
                self._change(position, "depends_on", used, ("depends_on",), message)
            elif added and isinstance(written, list):
                message = f"{_joined(added)} was added to `depends_on`, because the step uses it"
                self._change(position, "depends_on", [*declared, *added], ("depends_on",), message)

    def mend_dependency(self, position: int, place: Place, issue: Issue) -> None:  # noqa: ARG002 (one face for all)
        """Mend an id in `depends_on` that differs only in case, `_`, `-` or spaces."""
        step = self._as_written(position)
        depends_on: Any = None if step is None else step.get("depends_on")
        if len(place) != 2 or not isinstance(depends_on, list) or not isinstance(place[1], int):
            return
        listed = list(cast("list[Any]", depends_on))
        if place[1] < len(listed) and (near := _same_name(listed[place[1]], self._position_of)) is not None:
            message = f"`{shorten(listed[place[1]], 60)}` was read as `{near}`"
            listed[place[1]] = near
            self._change(position, "depends_on", listed, place, message)

    # -- references

    def mend_text(self, position: int, place: Place, issue: Issue) -> None:
        """Mend the references in the text at a place of a step."""
        step = self._as_written(position)
        if step is None or not place or not isinstance(place[0], str) or place[0] not in step:
            return
        field = place[0]
        anew = self._mended_texts(step[field], ("steps", position, field), issue)
        if anew is not step[field]:
            self._written[position] = {**step, field: anew}

    def _mended_texts(self, value: Any, place: Place, issue: Issue) -> Any:
        """Return the value with the references in all its texts mended as the issue allows; mends are noted."""
        if isinstance(value, str):
            mended = self._with_facets(value) if issue.code == "bad-reference" else self._with_near_ids(value)
            if mended != value:
                self.log.add(place, f"`{shorten(value, 60)}` became `{shorten(mended, 60)}`")
                return mended
            return value
        if isinstance(value, dict) and len(place) < 64:
            fields = cast("dict[str, Any]", value)
            renewed = {key: self._mended_texts(inner, (*place, key), issue) for key, inner in fields.items()}
            return renewed if any(renewed[key] is not inner for key, inner in fields.items()) else fields
        if isinstance(value, list) and len(place) < 64:
            elements = cast("list[Any]", value)
            anew = [self._mended_texts(inner, (*place, index), issue) for index, inner in enumerate(elements)]
            return anew if any(new is not old for new, old in zip(anew, elements, strict=True)) else elements
        return cast("Any", value)

    def _with_near_ids(self, text: str) -> str:
        try:
            source = read_template(text)
        except ReferenceSyntaxError:
            return text
        references = () if source is None else (source,) if isinstance(source, Reference) else source.references
        names = {operand.step_id for reference in references for operand in reference.operands}
        near = {name: _same_name(name, self._position_of) for name in names if name not in self._position_of}
        ids = {name: other for name, other in near.items() if name is not None and other is not None}
        return renamed_references(text, ids) if ids else text

    def _with_facets(self, text: str) -> str:
        """Put `.output` into references such as `{{search.hits}}`, where the output can have such a part."""
        return _NO_FACET.sub(lambda match: self._with_facet(match[0], match[1], match[2]), text)

    def _with_facet(self, written: str, step_id: str, path: str) -> str:
        position = self._position_of.get(step_id)
        try:
            read_template(written)
        except ReferenceSyntaxError:
            pass
        else:
            return written
        try:
            source = read_template(f"{{{{{step_id}.output{path}}}}}")
        except ReferenceSyntaxError:
            return written
        if position is None or not isinstance(source, Reference):
            return written
        segments = source.operands[0].path
        step = self._plan.steps[position]
        checks = self._checks(step.tool)
        output: Type = () if checks is None else checks.output
        if step.for_each is not None and output:
            output = list_of(output)
        means_output = str(segments[0]) in _OUTPUT_WORDS
        try:
            if not follow_type(output, segments, step_id) and means_output:
                return written  # the output may or may not have a part of that name
        except PathError:
            if not means_output:
                return written
            segments = segments[1:]
        return f"{{{{{step_id}.output{''.join(map(render_segment, segments))}}}}}"

    # -- tools and arguments

    def mend_tool(self, position: int, place: Place, issue: Issue) -> None:  # noqa: ARG002
        """Mend the name of a tool that differs only in case, `_`, `-` or spaces."""
        step = self._as_written(position)
        name: Any = None if step is None else step.get("tool")
        if (near := _same_name(name, self._toolbox)) is not None:
            self._change(position, "tool", near, ("tool",), f"the tool `{shorten(name, 60)}` was read as `{near}`")

    def mend_argument_name(self, position: int, place: Place, issue: Issue) -> None:  # noqa: ARG002
        """Mend the name of an argument that differs only in case, `_`, `-` or spaces."""
        step = self._as_written(position)
        args: Any = None if step is None else step.get("args")
        checks = None if step is None else self._checks(step.get("tool"))
        if checks is None or not isinstance(args, dict) or len(place) != 2 or place[1] not in args:
            return
        name = cast("str", place[1])
        fields = cast("dict[str, Any]", args)
        near = _same_name(name, checks.names)
        rivals = [other for other in fields if fold(other) == fold(name)]
        if near is not None and near not in fields and len(rivals) == 1:
            renamed = {near if key == name else key: value for key, value in fields.items()}
            message = f"the argument `{shorten(name, 60)}` was read as `{near}`"
            self._change(position, "args", renamed, ("args", near), message)

    def mend_argument(self, position: int, place: Place, issue: Issue) -> None:  # noqa: ARG002
        """Mend a literal of the wrong kind: a number or a truth value in quotes, one element for a list."""
        step = self._as_written(position)
        checks = None if step is None else self._checks(step.get("tool"))
        if step is None or checks is None or len(place) < 2 or place[0] != "args":
            return
        args = copy_json(step.get("args"))
        parent: Any = args
        for part in place[1:-1]:
            parent = _part(parent, part)
        value = _part(parent, place[-1])
        target = checks.target(place[1:])
        mended = _retyped(value, target)
        if value is MISSING or mended is MISSING:
            return
        parent[place[-1]] = mended
        message = f"{_json(value)} became {_json(mended)}, as the tool's schema asks"
        self._change(position, "args", args, place, message)

    def mend_bare_args(self, position: int, place: Place, issue: Issue) -> None:  # noqa: ARG002
        """Give a lone argument its name, for a tool that takes or needs just one."""
        step = self._as_written(position)
        checks = None if step is None else self._checks(step.get("tool"))
        if step is None or checks is None or place != ("args",):
            return
        names = tuple(checks.names) if len(checks.names) == 1 else checks.required
        written: Any = step.get("args")
        if len(names) != 1 or isinstance(written, dict) or written is None:
            return
        target = checks.target((names[0],))
        listed = cast("list[Any]", written) if isinstance(written, list) else [written]
        value: Any = listed[0] if len(listed) == 1 else listed
        if isinstance(written, list) and target and may_be(target, "array"):
            value = listed
        if (isinstance(value, str) and "{{" in value) or fits(literal_type(value), target):
            message = f"the lone argument {_json(written)} was read as `{names[0]}`"
            self._change(position, "args", {names[0]: value}, ("args", names[0]), message)


_Mend = Callable[[_Mender, int, Place, Issue], None]


def _mend_field(mender: _Mender, position: int, place: Place, issue: Issue) -> None:
    if issue.code == "missing-field":
        mender.mark_undeclared(position, place, issue)
    else:
        mender.mend_bare_args(position, place, issue)


_MENDS: Final[dict[str, _Mend]] = {
    "missing-field": _mend_field,
    "wrong-field-type": _mend_field,
    "undeclared-dependency": _Mender.mark_undeclared,
    "unknown-dependency": _Mender.mend_dependency,
    "unknown-reference": _Mender.mend_text,
    "bad-reference": _Mender.mend_text,
    "unknown-tool": _Mender.mend_tool,
    "unknown-argument": _Mender.mend_argument_name,
    "argument-type": _Mender.mend_argument,
}


def _written(step: Step) -> dict[str, Any] | None:
    """Return the step as it was written, without what the reader put in for missing fields."""
    if step.source is not MISSING:
        source: Any = step.source
        return cast("dict[str, Any]", source) if isinstance(source, dict) else None
    return {name: value for name, value in step.to_dict().items() if name not in step.filled}


def _place_of(path: str) -> Place:
    """Return the place that a JSON pointer names; digits are positions, except as keys of arguments."""
    parts = [part.replace("~1", "/").replace("~0", "~") for part in path.split("/")[1:]]
    return tuple([int(part) if part.isdecimal() and len(part) < 10 else part for part in parts])


def _part(container: Any, key: str | int) -> Any:
    if isinstance(container, dict):
        return cast("dict[str, Any]", container).get(str(key), MISSING)
    elements = cast("list[Any]", container) if isinstance(container, list) else []
    return elements[key] if isinstance(key, int) and key < len(elements) else MISSING


def _same_name(name: Any, known: Iterable[str]) -> str | None:
    """Return the one known name that is the same but for case, `_`, `-` and spaces, or None."""
    if not isinstance(name, str) or not name:
        return None
    same = [other for other in known if fold(other) == fold(name)]
    return same[0] if len(same) == 1 and same[0] != name else None


def _retyped(value: Any, target: Type) -> Any:
    """Return the literal as the schema wants it, or MISSING when there is no one way to do that."""
    if not target or isinstance(value, dict):
        return MISSING
    if isinstance(value, str) and not may_be(target, "string"):
        body = value.strip()
        if _INTEGER.fullmatch(body) and (may_be(target, "integer") or may_be(target, "number")):
            return int(body)
        if _NUMBER.fullmatch(body) and may_be(target, "number"):
            return float(body)
        if body.lower() in ("true", "false") and may_be(target, "boolean"):
            return body.lower() == "true"
    if not isinstance(value, list) and value is not None and may_be(target, "array") and not may_be(target, "string"):
        elements = elements_of(target)
        if elements and fits(literal_type(value), elements):
            return [value]
    return MISSING


def _json(value: Any) -> str:
    return f"`{shorten(json.dumps(value, ensure_ascii=False), 60)}`"


def _joined(names: Sequence[Any]) -> str:
    return ", ".join(f"`{shorten(str(name), 40)}`" for name in names[:10])
