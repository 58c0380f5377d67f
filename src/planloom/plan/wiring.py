"""What one step needs from others: its references, read once and kept with the step.

The validator asks it for problems and places, the graph for dependencies, the engine for the values to put
in. It looks at one step alone and knows neither the other steps nor any tool.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from planloom.plan.conditions import Condition, ConditionError, read_condition
from planloom.plan.issues import IssueCode, pointer, shorten
from planloom.plan.limits import DEFAULT_LIMITS, Limits
from planloom.plan.references import Operand, Reference, ReferenceSyntaxError, Template, read_template

if TYPE_CHECKING:
    from planloom.plan.model import Step

Place = tuple[str | int, ...]


class Binding(NamedTuple):
    """A place inside a value where a reference, or text with references, stands."""

    place: Place
    source: Reference | Template

    @property
    def references(self) -> tuple[Reference, ...]:
        """The references at this place."""
        return (self.source,) if isinstance(self.source, Reference) else tuple(self.source.references)


class Problem(NamedTuple):
    """Something wrong inside one value; `place` is relative to it."""

    code: IssueCode
    place: Place
    message: str
    hint: str | None


@dataclass(frozen=True, slots=True)
class Wiring:
    """All references of one step, by field, and what is wrong with them.

    `args` and `for_each` hold the places relative to that field. `step_ids` are the referenced ids in the
    order in which they appear, each once. `flat` says that `args` holds no container, so a shallow copy
    will do.
    """

    args: tuple[Binding, ...]
    for_each: tuple[Binding, ...]
    when: Condition | None
    problems: tuple[Problem, ...]
    step_ids: tuple[str, ...]
    flat: bool

    def places(self) -> list[tuple[Place, Reference, bool]]:
        """Every reference: its place in the step, itself, and whether it is the whole value there."""
        found: list[tuple[Place, Reference, bool]] = []
        for field, bindings in (("args", self.args), ("for_each", self.for_each)):
            for place, source in bindings:
                whole = isinstance(source, Reference)
                for reference in (source,) if whole else source.references:
                    found.append(((field, *place), reference, whole))
        if self.when is not None:
            found.extend((("when",), reference, True) for reference in self.when.references)
        return found


_NOTHING = Wiring((), (), None, (), (), True)


def read_wiring(step: Step, limits: Limits = DEFAULT_LIMITS) -> Wiring:
    """Read every reference in a step's `args`, `when` and `for_each`."""
    args = step.args
    flat = True
    bindings: list[Binding] = []
    problems: list[Problem] = []
    for name, value in args.items():
        kind = type(value)
        if kind is str:
            if "{{" in value:
                _read_text(value, (name,), bindings, problems, limits)
        elif kind is dict or kind is list:
            flat = False
            _read_container(value, (name,), bindings, problems, limits)
    if step.when is None and step.for_each is None:
        if not bindings and not problems:
            return _NOTHING if flat else Wiring((), (), None, (), (), False)
        return Wiring(tuple(bindings), (), None, _prefixed(problems, "args"), _step_ids(bindings), flat)
    problems = list(_prefixed(problems, "args"))
    for_each: list[Binding] = []
    if step.for_each is not None:
        for_each, found = read_bindings(step.for_each, limits)
        problems.extend(_prefixed(found, "for_each"))
        problems.extend(_fan_out_problems(step.for_each, for_each, limits))
    when = None
    if step.when is not None:
        try:
            when = read_condition(step.when, limits)
        except ConditionError as error:
            problems.append(Problem("bad-condition", ("when",), error.message, error.hint))
        except ReferenceSyntaxError as error:
            problems.append(Problem("bad-reference", ("when",), error.message, error.hint))
    operands = [operand for reference in (when.references if when else ()) for operand in reference.operands]
    return Wiring(
        tuple(bindings), tuple(for_each), when, tuple(problems), _step_ids([*bindings, *for_each], operands), flat
    )


def read_bindings(value: Any, limits: Limits = DEFAULT_LIMITS) -> tuple[list[Binding], list[Problem]]:
    """Read the references anywhere inside one JSON value, such as a plan's `answer`."""
    bindings: list[Binding] = []
    problems: list[Problem] = []
    if isinstance(value, str):
        if "{{" in value:
            _read_text(value, (), bindings, problems, limits)
    elif isinstance(value, dict | list):
        _read_container(value, (), bindings, problems, limits)
    return bindings, problems


def _read_text(text: str, place: Place, bindings: list[Binding], problems: list[Problem], limits: Limits) -> None:
    try:
        source = read_template(text, max_references=limits.references)
    except ReferenceSyntaxError as error:
        problems.append(Problem("bad-reference", place, error.message, error.hint))
    else:
        if source is not None:
            bindings.append(Binding(place, source))


def _read_container(
    container: Any, start: Place, bindings: list[Binding], problems: list[Problem], limits: Limits
) -> None:
    """Read a nested value without recursion, so that depth is a limit and never a crash."""
    pending: list[tuple[Any, Place]] = [(container, start)]
    while pending:
        value, place = pending.pop()
        if len(place) - len(start) >= limits.depth:
            problems.append(Problem("limit", start, f"nested deeper than {limits.depth} levels", None))
            return
        for key, element in value.items() if isinstance(value, dict) else enumerate(value):
            kind = type(element)
            if kind is str:
                if "{{" in element:
                    _read_text(element, (*place, key), bindings, problems, limits)
            elif kind is dict or kind is list:
                if type(key) is str and len(key) > limits.name_chars:
                    problems.append(
                        Problem(
                            "limit",
                            start,
                            f"the key `{shorten(key, 40)}` has more than {limits.name_chars} characters",
                            None,
                        )
                    )
                    return
                pending.append((element, (*place, key)))


def _fan_out_problems(value: Any, bindings: list[Binding], limits: Limits) -> list[Problem]:
    if isinstance(value, list):
        count = len(value)  # pyright: ignore[reportUnknownArgumentType]
        if count > limits.fan_out:
            return [Problem("limit", ("for_each",), f"{count} elements are more than {limits.fan_out}", None)]
        return []
    if bindings and isinstance(bindings[0].source, Reference):
        return []
    return [
        Problem(
            "for-each-not-a-list",
            ("for_each",),
            "`for_each` takes a list, or one reference to a list",
            'write "for_each": "{{step.output.items}}" or "for_each": ["a", "b"]',
        )
    ]


def _prefixed(problems: list[Problem], field: str) -> tuple[Problem, ...]:
    return tuple(problem._replace(place=(field, *problem.place)) for problem in problems)


def _step_ids(bindings: list[Binding], operands: list[Operand] | None = None) -> tuple[str, ...]:
    ids: dict[str, None] = {}
    for _, source in bindings:
        for reference in (source,) if isinstance(source, Reference) else source.references:
            for operand in reference.operands:
                if operand.facet == "output" or operand.facet == "status" or operand.facet == "error":
                    ids[operand.root] = None
    for operand in operands or ():
        if (step_id := operand.step_id) is not None:
            ids[step_id] = None
    return tuple(ids)


def place_pointer(*segments: str | int) -> str:
    """Return a JSON pointer for a place, with over-long keys shortened so that no message explodes."""
    return pointer(*(shorten(s, DEFAULT_LIMITS.name_chars) if isinstance(s, str) else s for s in segments))
