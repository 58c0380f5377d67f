"""References become values: by structure, once, copied. Text that a tool gave back is never scanned."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

from planloom.plan.issues import shorten
from planloom.plan.model import Plan, Step
from planloom.plan.references import Operand, PathError, Reference, Template, describe, follow_path
from planloom.plan.results import StepError
from planloom.plan.state import StepStatus
from planloom.plan.values import copy_json
from planloom.plan.wiring import Binding, read_bindings


class UnresolvedError(LookupError):
    """A reference whose value is not there. It never reaches a tool."""


class Scope:
    """The values that references stand for, while a run goes on.

    `outputs` holds the output of every step that succeeded, `statuses` the state of every step that
    ended, `errors` the errors of those that have one.
    """

    __slots__ = ("errors", "index", "inputs", "item", "outputs", "skipped", "statuses")

    def __init__(self, inputs: Mapping[str, Any]) -> None:
        self.inputs = inputs
        self.outputs: dict[str, Any] = {}
        self.statuses: dict[str, StepStatus] = {}
        self.errors: dict[str, StepError] = {}
        self.skipped: set[str] = set()
        """Steps that were skipped by condition, which is a success without an output."""
        self.item: Any = None
        self.index: int | None = None

    def for_element(self, item: Any, index: int) -> Scope:
        """Return the same values with `{{item}}` and `{{index}}` set."""
        scope = Scope.__new__(Scope)
        scope.inputs, scope.outputs, scope.statuses = self.inputs, self.outputs, self.statuses
        scope.errors, scope.skipped = self.errors, self.skipped
        scope.item, scope.index = item, index
        return scope

    def value(self, reference: Reference) -> Any:
        """Return what a reference stands for, not copied. Raises `UnresolvedError`."""
        operands = reference.operands
        return self._operand(operands[0] if len(operands) == 1 else self.choose(reference))

    def choose(self, reference: Reference) -> Operand:
        """Return the first operand that has a value, else the last one."""
        *first, last = reference.operands
        for operand in first:
            if operand.facet != "output" or operand.root in self.outputs:
                return operand
        return last

    def _operand(self, operand: Operand) -> Any:
        root, facet, path = operand
        if facet == "output":
            try:
                value = self.outputs[root]
            except KeyError:
                raise UnresolvedError(f"{{{{{operand}}}}}: step `{shorten(root)}` has no output") from None
        elif facet == "inputs":
            name = str(path[0])
            if name not in self.inputs:
                raise UnresolvedError(f"{{{{{operand}}}}}: there is no input `{shorten(name)}`")
            value, path = self.inputs[name], path[1:]
        elif facet == "item":
            value = self.item
        elif facet == "index":
            return self.index
        elif facet == "status":
            if root not in self.statuses:
                raise UnresolvedError(f"{{{{{operand}}}}}: step `{shorten(root)}` has not ended")
            return str(self.statuses[root])
        else:
            error = self.errors.get(root)
            value = None if error is None else error.to_dict()
            if value is None:
                return None
        if not path:
            return value
        try:
            return follow_path(value, path, shorten(root) if facet != "output" else f"{shorten(root)}.output")
        except PathError as error:
            hint = f" ({error.hint})" if error.hint else ""
            raise UnresolvedError(f"{{{{{shorten(str(operand))}}}}}: {error.message}{hint}") from None


def resolve_args(step: Step, scope: Scope) -> dict[str, Any]:
    """Return the step's arguments with every reference replaced by a copy of its value."""
    wiring = step.wiring()
    args = dict(step.args) if wiring.flat else cast("dict[str, Any]", copy_json(step.args))
    for place, source in wiring.args:
        value = _fill(source, scope)
        if len(place) == 1:
            args[cast("str", place[0])] = value
        else:
            _put(args, place, value)
    return args


def resolve_value(value: Any, bindings: tuple[Binding, ...] | list[Binding], scope: Scope) -> Any:
    """Return a copy of any JSON value with its references replaced."""
    copied = copy_json(value)
    for place, source in bindings:
        filled = _fill(source, scope)
        if not place:
            return filled
        _put(copied, place, filled)
    return copied


def _fill(source: Reference | Template, scope: Scope) -> Any:
    if isinstance(source, Reference):
        return copy_json(scope.value(source))
    return "".join([part if isinstance(part, str) else render_value(scope.value(part)) for part in source.parts])


def render_value(value: Any) -> str:
    """Write a value into text: text as it is, anything else as JSON."""
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, ensure_ascii=False)
    except ValueError as error:  # a whole number of more than 4,300 digits
        raise UnresolvedError(f"a value cannot be written into text: {error}") from None


def _put(container: Any, place: tuple[str | int, ...], value: Any) -> None:
    for segment in place[:-1]:
        container = container[segment]
    container[place[-1]] = value


def decide_when(step: Step, scope: Scope) -> bool:
    """Return whether the step's `when` holds. Raises `UnresolvedError` or `ConditionError`."""
    condition = step.wiring().when
    assert condition is not None
    return condition.decide([scope.value(reference) for reference in condition.references])


def resolve_for_each(step: Step, scope: Scope, fan_out: int) -> list[Any]:
    """Return the elements that the step runs for. Raises `UnresolvedError` when they are no list."""
    value = resolve_value(step.for_each, step.wiring().for_each, scope)
    if not isinstance(value, list):
        raise UnresolvedError(f"`for_each` needs a list, and {shorten(str(step.for_each))} is {describe(value)}")
    elements = cast("list[Any]", value)
    if len(elements) > fan_out:
        raise UnresolvedError(f"`for_each` got {len(elements):,} elements, more than {fan_out:,} (limit `fan_out`)")
    return elements


def skipped_reference(step: Step, scope: Scope) -> str | None:
    """Return the step skipped by condition whose output this step cannot do without, if there is one."""
    if scope.skipped.isdisjoint(step.wiring().step_ids):
        return None
    for _, reference, _ in step.wiring().places():
        chosen = scope.choose(reference)
        if chosen.facet == "output" and chosen.root in scope.skipped:
            return chosen.root
    return None


def resolve_answer(plan: Plan, scope: Scope) -> Any:
    """Return the plan's `answer` with its values, or None when something it refers to is not there."""
    bindings, _ = read_bindings(plan.answer)
    try:
        return resolve_value(plan.answer, bindings, scope)
    except UnresolvedError:
        return None
