"""Steps counted from 1 where ids begin at 0, or the other way round: the most frequent slip in numbered plans.

Corrected only when it is the one reading in which every step names earlier steps alone: all references and
dependencies are moved by one, or only the references towards dependencies that were right already.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple, cast

from planloom.plan.model import Plan
from planloom.plan.references import Operand, Template
from planloom.plan.wiring import read_bindings

_NUMBERED_ID = re.compile(r"(.*?)(\d{1,6})")


class Recount(NamedTuple):
    """The correction: new ids by old ones, and whether it holds for references, for `depends_on`, or both."""

    ids: dict[str, str]
    in_references: bool
    in_dependencies: bool
    counted_from: int
    """From where the model counted, given where the ids begin."""


class _Uses(NamedTuple):
    """What one step names, in its references and in a `depends_on` of its own."""

    position: int
    references: frozenset[str]
    declared: frozenset[str] | None


def find_recount(plan: Plan) -> Recount | None:
    """Return the only shift by one after which every step names earlier steps alone, or None."""
    ids = [step.id for step in plan.steps]
    numbers = _numbers_by_id(ids)
    if numbers is None:
        return None
    position_of = {step_id: position for position, step_id in enumerate(ids)}
    uses = _uses_of(plan)
    named = {name for use in uses for name in use.references | (use.declared or frozenset())}
    matches = {name: _NUMBERED_ID.fullmatch(name) for name in named}
    prefix, by_number = next(iter(numbers.values())), {int(_digits(step_id)): step_id for step_id in ids}
    if any(match is None or match[1] != prefix for match in matches.values()):
        return None
    if _is_valid(uses, {}, position_of, in_references=True, in_dependencies=True):
        return None
    found: dict[tuple[object, ...], Recount] = {}
    for shift in (-1, 1):
        moved = {name: by_number.get(int(_digits(name)) + shift, "") for name in named}
        for in_references, in_dependencies in ((True, True), (True, False), (False, True)):
            switches = {"in_references": in_references, "in_dependencies": in_dependencies}
            if _is_valid(uses, moved, position_of, **switches):
                outcome = tuple(_moved(use, moved, **switches) for use in uses)
                found.setdefault(outcome, Recount(moved, in_references, in_dependencies, 1 if shift < 0 else 0))
    return next(iter(found.values())) if len(found) == 1 else None


def _digits(step_id: str) -> str:
    match = _NUMBERED_ID.fullmatch(step_id)
    assert match is not None
    return match[2]


def _numbers_by_id(ids: list[str]) -> dict[str, str] | None:
    """Return the common prefix by id; None unless all ids are one prefix and a number, each its own."""
    matches = [_NUMBERED_ID.fullmatch(step_id) for step_id in ids]
    prefixes = {match[1] for match in matches if match is not None}
    numbers = {int(match[2]) for match in matches if match is not None}
    if not ids or None in matches or len(prefixes) != 1 or len(numbers) != len(ids):
        return None
    return dict.fromkeys(ids, prefixes.pop())


def _uses_of(plan: Plan) -> list[_Uses]:
    uses: list[_Uses] = []
    for position, step in enumerate(plan.steps):
        declared = None if "depends_on" in step.filled else frozenset(step.depends_on)
        source: Any = step.source
        # arguments that are no object are no arguments yet, but their references count
        written: Any = cast("dict[str, Any]", source).get("args") if isinstance(source, dict) else None
        references = {*step.wiring().step_ids, *_names_in(written)}
        uses.append(_Uses(position, frozenset(references), declared))
    uses.append(_Uses(len(plan.steps), frozenset(_names_in(plan.answer)), None))
    return uses


def _names_in(value: Any) -> set[str]:
    """Return the ids that references anywhere in a JSON value name."""
    operands: list[Operand] = []
    for binding in read_bindings(value)[0]:
        references = binding.source.references if isinstance(binding.source, Template) else (binding.source,)
        operands.extend(operand for reference in references for operand in reference.operands)
    return {operand.step_id for operand in operands if operand.step_id is not None}


def _moved(
    use: _Uses, moved: Mapping[str, str], *, in_references: bool, in_dependencies: bool
) -> tuple[frozenset[str], frozenset[str] | None]:
    references = frozenset(moved.get(name, name) for name in use.references) if in_references else use.references
    declared = use.declared
    if declared is not None and in_dependencies:
        declared = frozenset(moved.get(name, name) for name in declared)
    return references, declared


def _is_valid(
    uses: list[_Uses],
    moved: Mapping[str, str],
    position_of: Mapping[str, int],
    *,
    in_references: bool,
    in_dependencies: bool,
) -> bool:
    """Return whether, moved, every step names earlier steps only, and references agree with declarations."""
    for use in uses:
        references, declared = _moved(use, moved, in_references=in_references, in_dependencies=in_dependencies)
        for name in references | (declared or frozenset()):
            if position_of.get(name, len(position_of)) >= use.position:
                return False
        if in_references != in_dependencies and declared is not None and not references <= declared:
            return False
    return True
