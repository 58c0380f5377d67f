"""References: bad-reference, unknown-reference, undeclared-dependency, bad-condition, reference-path, reference-type.

Also for-each-not-a-list, because what a `for_each` refers to is known here.
"""

from __future__ import annotations

from typing import Any

from planloom.plan.issues import shorten
from planloom.plan.model import Step
from planloom.plan.references import Operand, PathError, Reference, follow_path
from planloom.plan.types import (
    UNKNOWN,
    Type,
    describe_type,
    elements_of,
    fits,
    follow_type,
    list_of,
    literal_type,
    may_be,
    type_of,
)
from planloom.plan.validation.inspection import Inspection

_TEXT = type_of({"type": "string"})
_NUMBER = type_of({"type": "integer"})
_ERROR = type_of(
    {
        "type": ["object", "null"],
        "properties": {"kind": {"type": "string"}, "type": {"type": "string"}, "message": {"type": "string"}},
        "additionalProperties": True,
    }
)
Place = tuple[str | int, ...]


def check_references(inspection: Inspection) -> None:
    """Report references that name nothing, are not declared, or lead to a value of the wrong shape."""
    checker = _ReferenceChecker(inspection)
    for position, step in inspection.steps():
        wiring = step.wiring()
        for problem in wiring.problems:
            inspection.error(problem.code, position, problem.place, problem.message, problem.hint)
        if wiring.args or wiring.for_each or wiring.when is not None:
            checker.check_step(position, step)


class _ReferenceChecker:
    """Checks references step by step, and remembers the verdict on each pair of tool outputs and arguments."""

    def __init__(self, inspection: Inspection) -> None:
        self.inspection = inspection
        self.index = inspection.graph.index
        self.steps = inspection.plan.steps
        self._item_types: dict[int, Type] = {}
        self._types: dict[Any, Type] = {}
        self._fitting: dict[tuple[int, int], tuple[Type, Type]] = {}

    def check_step(self, position: int, step: Step) -> None:
        self._check_declared(position, step)
        checks = self.inspection.checks(step.tool)
        for place, reference, whole in step.wiring().places():
            for operand in reference.operands:
                if not self._exists(position, step, place, operand):
                    continue
                source = self._type_at(position, place, operand)
                if place[0] == "args" and checks is not None:
                    target = checks.target(place[1:])
                    self._check_fit(position, step, place, reference, source if whole else _TEXT, target)
                elif place == ("for_each",):
                    self._check_list(position, step, reference, source)

    def _check_declared(self, position: int, step: Step) -> None:
        used = step.wiring().step_ids
        declared = step.depends_on
        index, marked = self.index, self.inspection.used
        for step_id in used:
            if step_id in index:
                marked.add(index[step_id])
        if used == declared:
            return
        for step_id in used:
            if step_id not in declared and step_id != step.id and step_id in index:
                self.inspection.warn(
                    "undeclared-dependency", position, ("depends_on",),
                    f"step `{shorten(step.id)}` uses `{shorten(step_id)}` without naming it in `depends_on`",
                    f"add `{shorten(step_id)}` to `depends_on`",
                )  # fmt: skip

    def _exists(self, position: int, step: Step, place: Place, operand: Operand) -> bool:
        """Report a reference to something that is not there; True when it is."""
        facet, inspection = operand.facet, self.inspection
        if facet == "output" or facet == "status" or facet == "error":
            if operand.root == step.id:
                inspection.error(
                    "self-dependency", position, place, f"step `{shorten(step.id)}` refers to itself: {{{{{_short(operand)}}}}}",
                    "refer to the step that makes the value",
                )  # fmt: skip
                return False
            if operand.root in self.index:
                return True
            inspection.error(
                "unknown-reference", position, place,
                f"`{shorten(step.id)}` uses {{{{{_short(operand)}}}}}, but no step is called `{shorten(operand.root)}`",
                inspection.did_you_mean(operand.root, self.index),
            )  # fmt: skip
            return False
        if facet == "inputs":
            name = str(operand.path[0])
            if name in inspection.inputs:
                return True
            inspection.error(
                "unknown-reference", position, place,
                f"`{shorten(step.id)}` uses {{{{{_short(operand)}}}}}, but the plan has no input `{shorten(name)}`",
                inspection.did_you_mean(name, inspection.inputs) or f"give it a value: --input {shorten(name)}=…",
            )  # fmt: skip
            return False
        if step.for_each is not None and place[0] == "args":
            return True
        where = (
            "outside a `for_each`"
            if step.for_each is None
            else f"in `{place[0]}`, which is decided before the elements"
        )
        inspection.error(
            "unknown-reference", position, place, f"`{shorten(step.id)}` uses {{{{{facet}}}}} {where}",
            '"for_each" runs the step once per element of a list',
        )  # fmt: skip
        return False

    def _type_at(self, position: int, place: Place, operand: Operand) -> Type:
        """Return the type of what `operand` stands for; report a path that leads nowhere."""
        facet = operand.facet
        if facet == "index":
            return _NUMBER
        if facet == "status":
            return _TEXT
        try:
            if facet == "inputs":
                return literal_type(self._input_value(operand))
            if facet == "output":
                source = self.steps[self.index[operand.root]]
                key = (source.tool, operand.path, source.for_each is not None)
                known = self._types.get(key)
                if known is None:
                    known = self._types[key] = follow_type(
                        self.output_type(source), operand.path, f"{operand.root}.output"
                    )
                return known
            if facet == "error":
                return follow_type(_ERROR, operand.path, f"{operand.root}.error")
            return follow_type(self._item_type(position), operand.path, "item")
        except PathError as error:
            name = self.steps[position].id
            self.inspection.error(
                "reference-path", position, place,
                f"`{shorten(name)}` uses {{{{{_short(operand)}}}}}, but {error.message}", error.hint,
            )  # fmt: skip
            return UNKNOWN

    def _input_value(self, operand: Operand) -> Any:
        name = str(operand.path[0])
        return follow_path(self.inspection.inputs[name], operand.path[1:], f"inputs.{name}")

    def output_type(self, step: Step) -> Type:
        """Return the type of a step's output: its tool's, or a list of those under `for_each`."""
        checks = self.inspection.checks(step.tool)
        output = UNKNOWN if checks is None else checks.output
        return list_of(output) if step.for_each is not None else output

    def _item_type(self, position: int) -> Type:
        known = self._item_types.get(position)
        if known is not None:
            return known
        self._item_types[position] = UNKNOWN  # also ends a circle of items that refer to each other
        step = self.steps[position]
        item = UNKNOWN
        if isinstance(step.for_each, list):
            item = elements_of(literal_type(step.for_each)) if not step.wiring().for_each else UNKNOWN
        elif step.wiring().for_each:
            references = step.wiring().for_each[0].references
            operand = references[0].operands[0]
            if len(references[0].operands) == 1 and operand.facet == "output" and operand.root in self.index:
                try:
                    whole = follow_type(self.output_type(self.steps[self.index[operand.root]]), operand.path, "")
                except PathError:
                    whole = UNKNOWN
                item = elements_of(whole)
        self._item_types[position] = item
        return item

    def _check_fit(
        self, position: int, step: Step, place: Place, reference: Reference, source: Type, target: Type
    ) -> None:
        if not source or not target:
            return
        key = (id(source), id(target))
        if key in self._fitting:
            return
        if fits(source, target):
            self._fitting[key] = (source, target)  # keeps both alive, so that their ids stay theirs
            return
        argument = f"{step.tool}.{'.'.join(map(str, place[1:]))}"
        self.inspection.error(
            "reference-type", position, place,
            f"`{shorten(argument)}` expects {describe_type(target)}, {shorten(reference.text)} gives {describe_type(source)}",
            _mend(reference, source, target),
        )  # fmt: skip

    def _check_list(self, position: int, step: Step, reference: Reference, source: Type) -> None:
        if not may_be(source, "array"):
            self.inspection.error(
                "for-each-not-a-list", position, ("for_each",),
                f"`for_each` needs a list, {shorten(reference.text)} gives {describe_type(source)}",
                "refer to a list inside it, or leave `for_each` out",
            )  # fmt: skip


def _mend(reference: Reference, source: Type, target: Type) -> str | None:
    if may_be(source, "array") and not may_be(target, "array"):
        inner = reference.text[2:-2].strip()
        if "??" in inner:
            return 'take one element with [0], or run the step for each with "for_each"'
        if inner == reference.operands[0].root:
            inner += ".output"
        return f'take one element, {{{{{inner}[0]}}}}, or run the step for each with "for_each"'
    if may_be(target, "array") and fits(source, elements_of(target)):
        return f"put it into a list: [{reference.text!r}]".replace("'", '"')
    if may_be(source, "object"):
        return "take one key of it, {{step.output.key}}"
    return None


def _short(operand: Operand) -> str:
    return shorten(str(operand))
