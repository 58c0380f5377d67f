"""What references stand for before anything ran: whether it is there, and its type.

The reference pass asks for the steps, the answer pass for `answer`; both report in the same words.
"""

from __future__ import annotations

from typing import Any, Final

from planloom.plan.issues import shorten
from planloom.plan.model import Step
from planloom.plan.references import Operand, PathError, Segment, Star, follow_path
from planloom.plan.types import UNKNOWN, Type, elements_of, follow_type, list_of, literal_type, type_of
from planloom.plan.validation.inspection import Inspection, Place

TEXT: Final = type_of({"type": "string"})
_INDEX: Final = type_of({"type": "integer"})
_ERROR: Final = type_of(
    {
        "type": ["object", "null"],
        "properties": {"kind": {"type": "string"}, "type": {"type": "string"}, "message": {"type": "string"}},
        "additionalProperties": True,
    }
)


class Sources:
    """Looks up operands for the step at a position, or for the plan's `answer` at -1. Keeps what it found."""

    def __init__(self, inspection: Inspection) -> None:
        self.inspection = inspection
        self._index = inspection.graph.index
        self._steps = inspection.plan.steps
        self._items: dict[int, Type] = {}
        self._types: dict[Any, Type] = {}

    def is_there(self, position: int, place: Place, operand: Operand) -> bool:
        """Return whether there is what the operand names; report it when not."""
        facet, root = operand.facet, operand.root
        if facet == "output" or facet == "status" or facet == "error":
            if position >= 0 and self._index.get(root) == position:
                self.inspection.error(
                    "self-dependency", position, place,
                    f"step `{shorten(root)}` refers to itself: {_written(operand)}",
                    "refer to the step that makes the value",
                )  # fmt: skip
                return False
            if root in self._index:
                return True
            problem = f"no step is called `{shorten(root)}`"
            if root in self.inspection.inputs:
                hint = f"it is an input: write {{{{inputs.{shorten(root)}}}}}"
            else:
                hint = self.inspection.did_you_mean(root, self._index)
        elif facet == "inputs":
            name = str(operand.path[0])
            if name in self.inspection.inputs:
                return True
            problem = f"the plan has no input `{shorten(name)}`"
            hint = self.inspection.did_you_mean(name, self.inspection.inputs)
            hint = hint or f"give `{shorten(name)}` a value in `inputs`, or when the plan is run"
        else:
            step = self._steps[position] if position >= 0 else None
            if step is not None and step.for_each is not None:
                if place[0] == "args":
                    return True
                problem = f"`{place[0]}` is decided before the elements"
            else:
                problem = f"`{facet}` exists only in the `args` of a step with `for_each`"
            hint = '"for_each" runs a step once per element of a list, with {{item}} and {{index}} in its `args`'
        message = f"{self._user(position)} uses {_written(operand)}, but {problem}"
        self.inspection.error("unknown-reference", position, place, message, hint)
        return False

    def type_at(self, position: int, place: Place, operand: Operand) -> Type:
        """Return the type of what the operand stands for; report a path that leads nowhere."""
        try:
            return self._type(position, operand)
        except PathError as error:
            message = f"{self._user(position)} uses {_written(operand)}, but {error.message}"
            near = self.inspection.did_you_mean(error.key, error.known) if error.known else None
            self.inspection.error("reference-path", position, place, message, near or error.hint)
            return UNKNOWN

    def _type(self, position: int, operand: Operand) -> Type:
        facet, path = operand.facet, operand.path
        if facet == "index":
            return _INDEX
        if facet == "status":
            return TEXT
        if facet == "item":
            return follow_type(self._item_type(position), path, "item")
        source = self._steps[self._index[operand.root]] if facet == "output" else None
        key = (facet, path) if source is None else (source.tool, path, source.for_each is not None)
        known = self._types.get(key)
        if known is None:
            if source is not None:
                known = follow_type(self._output_type(source), path, f"{operand.root}.output")
            elif facet == "error":
                known = follow_type(_ERROR, path, f"{operand.root}.error")
            else:
                name = str(path[0])
                known = _literal_type_at(self.inspection.inputs[name], path[1:], f"inputs.{name}")
            self._types[key] = known
        return known

    def _output_type(self, step: Step) -> Type:
        checks = self.inspection.checks(step.tool)
        output = UNKNOWN if checks is None else checks.output
        return list_of(output) if step.for_each is not None else output

    def _item_type(self, position: int) -> Type:
        known = self._items.get(position)
        if known is not None:
            return known
        step = self._steps[position]
        bindings = step.wiring().for_each
        item = UNKNOWN
        if isinstance(step.for_each, list):
            item = UNKNOWN if bindings else elements_of(literal_type(step.for_each))
        elif bindings:
            operands = bindings[0].references[0].operands
            if len(operands) == 1 and self._is_known(position, operands[0]):
                try:
                    item = elements_of(self._type(position, operands[0]))
                except PathError:
                    item = UNKNOWN  # reported at `for_each`
        self._items[position] = item
        return item

    def _is_known(self, position: int, operand: Operand) -> bool:
        if operand.facet == "inputs":
            return str(operand.path[0]) in self.inspection.inputs
        return operand.facet == "output" and self._index.get(operand.root, position) != position

    def _user(self, position: int) -> str:
        return f"`{shorten(self._steps[position].id)}`" if position >= 0 else "`answer`"


def _literal_type_at(value: Any, path: tuple[Segment, ...], name: str) -> Type:
    """Return the type at the end of a path into a value that is already there.

    Of a list under `[*]` the first element speaks for all: if the path fails there, it fails in the run.
    """
    for position, segment in enumerate(path):
        if isinstance(segment, Star):
            whole = follow_path(value, path[:position], name)
            if not isinstance(whole, list) or not whole:
                follow_path(value, path[: position + 1], name)  # says that it is no list
                return UNKNOWN
            return list_of(_literal_type_at(whole[0], path[position + 1 :], f"{name}[0]"))
    return literal_type(follow_path(value, path, name))


def _written(operand: Operand) -> str:
    return f"{{{{{shorten(str(operand))}}}}}"
