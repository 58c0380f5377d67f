"""From what a model called its steps to the steps of a plan: names of fields, ids, dependencies, references.

The passes run in that order, each over all steps. A step that needs nothing comes out as the same object.
`is_settled` tells of one step alone that nothing in the rest of the text could change how it is read: only such
a step may leave a stream early.
"""

from __future__ import annotations

from typing import Any, Final, cast

from planloom.plan.issues import Issue, pointer, shorten
from planloom.plan.reader import STEP_FIELDS
from planloom.plan.references import STEP_ID
from planloom.planning.mends import MendLog, Place
from planloom.planning.naming import Numbered, StepNames, means_nothing, read_number
from planloom.planning.reference_styles import (
    ReferenceRewriter,
    candidates,
    has_own_references,
    is_plain,
    is_plain_condition,
    numbers_in,
)
from planloom.planning.step_fields import with_own_names

MAX_DOUBTS: Final = 50
"""Number of warnings about text that looks like a reference."""
_FIELDS: Final = frozenset(STEP_FIELDS)
_EDGE_ENDS: Final = (("source", "target"), ("from", "to"), ("start", "end"))


def normalise_steps(
    steps: list[Any], answer: Any, log: MendLog, issues: list[Issue], edges: list[Any] | None = None
) -> tuple[list[Any], Any]:
    """Return the steps, and the answer, as the plan's own format has them; what was done goes into `log`.

    `edges` are dependencies that the model wrote beside the steps. `issues` takes what could not be decided.
    """
    named = [_named(step, position, log) for position, step in enumerate(steps)]
    names = StepNames(named)
    for position, step_id, message in names.given_ids():
        log.add(("steps", position, "id"), message)
        named[position] = {**named[position], "id": step_id}
    uses = [(position, used) for position, step in enumerate(named) for used in _numbers_of(step, names.all_ids)]
    uses += [(len(named), used) for used in numbers_in(answer, names.all_ids)]
    names.settle_numbers(uses)
    before = len(log)
    depending = [_with_dependencies(step, position, names, log) for position, step in enumerate(named)]
    if edges:
        depending = _with_edges(depending, edges, names, log, issues)
    rewriter = _rewriter(depending, answer, names, log, issues)
    rewritten = [_with_references(step, position, rewriter) for position, step in enumerate(depending)]
    answer = rewriter.value(answer, ("answer",), set())
    if len(log) > before and names.counting is not None:
        log.add(("steps",), names.counting)
    return rewritten, answer


def is_settled(raw: Any) -> bool:
    """Return whether this step is read the same way whatever else the text holds."""
    if not isinstance(raw, dict):
        return False
    step = cast("dict[str, Any]", raw)
    step_id, args = step.get("id"), step.get("args")
    if not step.keys() <= _FIELDS or not isinstance(args, dict) or not isinstance(step.get("tool"), str):
        return False
    if not isinstance(step_id, str) or STEP_ID.fullmatch(step_id) is None:
        return False
    depends_on = step.get("depends_on")
    if depends_on is not None:
        if not isinstance(depends_on, list):
            return False
        for name in cast("list[Any]", depends_on):
            if not isinstance(name, str) or STEP_ID.fullmatch(name) is None or means_nothing(name):
                return False
    when = step.get("when")
    if isinstance(when, str) and not is_plain_condition(when):
        return False
    return is_plain(args) and is_plain(step.get("for_each"))


def _named(step: Any, position: int, log: MendLog) -> Any:
    if not isinstance(step, dict):
        return step

    def note(field: str, message: str) -> None:
        log.add(("steps", position, field) if field else ("steps", position), message)

    return with_own_names(cast("dict[str, Any]", step), note)


def _numbers_of(step: Any, ids: set[str]) -> list[Numbered]:
    """Return the numbers by which a step names other steps."""
    if not isinstance(step, dict):
        return []
    fields = cast("dict[str, Any]", step)
    depends_on = fields.get("depends_on")
    named = cast("list[Any]", depends_on) if isinstance(depends_on, list) else [depends_on]
    unknown = [name for name in named if not means_nothing(name) and not (isinstance(name, str) and name in ids)]
    numbers = [number for name in unknown if (number := read_number(name)) is not None]
    for field in ("args", "for_each"):
        numbers.extend(numbers_in(fields.get(field), ids))
    return numbers


def _with_dependencies(step: Any, position: int, names: StepNames, log: MendLog) -> Any:
    """Return the step with `depends_on` as a list of ids, as far as it can be known what is meant."""
    if not isinstance(step, dict):
        return step
    fields = cast("dict[str, Any]", step)
    written = fields.get("depends_on")
    if written is None:
        return fields
    place: Place = ("steps", position, "depends_on")
    listed = cast("list[Any]", written) if isinstance(written, list) else _split(written, names)
    if listed is None:
        return fields
    if not isinstance(written, list):
        log.add(place, f"`depends_on` was {_shown(written)} and became a list")
    resolved: list[Any] = []
    for name in listed:
        if isinstance(name, str) and name in names.all_ids:
            resolved.append(name)
        elif means_nothing(name) and names.resolve(name) is None:
            log.add(place, f"{_shown(name)} was left out of `depends_on`: it names no step")
        else:
            step_id = _resolve_dependency(name, names)
            if step_id is not None:
                log.add(place, f"{_shown(name)} in `depends_on` was read as `{shorten(step_id, 60)}`")
            if step_id is None or step_id not in resolved:
                resolved.append(name if step_id is None else step_id)
    return fields if resolved == written else {**fields, "depends_on": resolved}


def _split(written: Any, names: StepNames) -> list[Any] | None:
    """Return a lone dependency, or several in one text, as a list; None when it is something else."""
    if isinstance(written, bool) or not isinstance(written, str | int):
        return None
    if means_nothing(written):
        return [written]
    if isinstance(written, str) and written not in names.all_ids and any(mark in written for mark in ",;&"):
        parts = [part.strip(" []\"'") for part in written.replace(";", ",").replace("&", ",").split(",")]
        return parts if all(_resolve_dependency(part, names) is not None for part in parts) else None
    return [written] if _resolve_dependency(written, names) is not None else None


def _resolve_dependency(name: Any, names: StepNames) -> str | None:
    step_id = names.resolve(name)
    if step_id is not None or not isinstance(name, str):
        return step_id
    found = candidates(name)
    if len(found) == 1 and found[0].is_whole and STEP_ID.fullmatch(name.strip()) is None:
        return names.resolve(found[0].name) or names.resolve(f"#{found[0].name}")
    return None


def _shown(value: Any) -> str:
    return f"`{shorten(str(value), 60)}`"


def _with_edges(steps: list[Any], edges: list[Any], names: StepNames, log: MendLog, issues: list[Issue]) -> list[Any]:
    """Return the steps with dependencies that the model wrote as edges of a graph."""
    by_tool: dict[Any, list[str]] = {}
    for step, step_id in zip(steps, names.ids, strict=True):
        if isinstance(step, dict) and step_id is not None and isinstance(step.get("tool"), str):  # pyright: ignore[reportUnknownMemberType]
            by_tool.setdefault(step["tool"], []).append(step_id)
    extended = list(steps)
    position_of = {step_id: position for position, step_id in reversed(list(enumerate(names.ids)))}
    for number, edge in enumerate(edges):
        ends = [_edge_end(name, names, by_tool) for name in _ends_of(edge)]
        if len(ends) != 2 or ends[0] is None or ends[1] is None or ends[0] == ends[1]:
            message = f"the dependency {_shown(edge)} does not say which steps it means"
            hint = "write it into `depends_on` of the later step"
            issues.append(Issue("unknown-dependency", "error", "/steps", message, hint))
            continue
        position = position_of[ends[1]]
        step = cast("dict[str, Any]", extended[position])
        depends_on: Any = step.get("depends_on") or []
        if isinstance(depends_on, list) and ends[0] not in depends_on:
            extended[position] = {**step, "depends_on": [*cast("list[Any]", depends_on), ends[0]]}
            log.add(("steps", position, "depends_on"), f"`{shorten(ends[0], 60)}` was added from edge {number + 1}")
    return extended


def _ends_of(edge: Any) -> list[Any]:
    if isinstance(edge, list) and len(cast("list[Any]", edge)) == 2:
        return cast("list[Any]", edge)
    if isinstance(edge, dict):
        for first, second in _EDGE_ENDS:
            if first in edge and second in edge:
                return [edge[first], edge[second]]
    return []


def _edge_end(name: Any, names: StepNames, by_tool: dict[Any, list[str]]) -> str | None:
    """Return the step at one end of an edge: by its id, or by its tool when only one step calls it."""
    step_id = _resolve_dependency(name, names)
    if step_id is not None:
        return step_id
    callers = by_tool.get(name, []) if isinstance(name, str) else []
    return callers[0] if len(callers) == 1 else None


def _rewriter(steps: list[Any], answer: Any, names: StepNames, log: MendLog, issues: list[Issue]) -> ReferenceRewriter:
    texts = [[cast("dict[str, Any]", step).get(field) for field in ("args", "for_each", "when")]
             for step in steps if isinstance(step, dict)]  # fmt: skip
    is_fluent = has_own_references([texts, answer], names.own)
    doubts = 0

    def doubt(place: Place, written: str, reference: str) -> None:
        nonlocal doubts
        doubts += 1
        if doubts <= MAX_DOUBTS:
            message = f"{_shown(written)} looks like a reference and was taken as text"
            hint = f"write {reference} if it is one"
            issues.append(Issue("bad-reference", "warning", pointer(*place), message, hint))

    return ReferenceRewriter(names, is_fluent=is_fluent, changed=log.add, doubt=doubt)


def _with_references(step: Any, position: int, rewriter: ReferenceRewriter) -> Any:
    """Return the step with the references in its `args`, `for_each` and `when` in the plan's own grammar."""
    if not isinstance(step, dict):
        return step
    fields = cast("dict[str, Any]", step)
    depends_on: Any = fields.get("depends_on")
    listed = cast("list[Any]", depends_on) if isinstance(depends_on, list) else []
    declared = {name for name in listed if isinstance(name, str)}
    changed: dict[str, Any] = {}
    for field in ("args", "for_each"):
        written = fields.get(field)
        anew = None if written is None else rewriter.value(written, ("steps", position, field), declared)
        if anew is not written:
            changed[field] = anew
    when = fields.get("when")
    if isinstance(when, str) and (anew := rewriter.condition(when, ("steps", position, "when"), declared)) != when:
        changed["when"] = anew
    return {**fields, **changed} if changed else fields
