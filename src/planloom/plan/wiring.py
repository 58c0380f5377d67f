"""What one step needs from others: its references, read once and kept with the step.

The validator asks it for problems and places, the graph for dependencies, the engine for the values to put
in. It looks at one step alone and knows neither the other steps nor any tool.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from planloom.plan.conditions import Condition, ConditionError, read_condition
from planloom.plan.issues import IssueCode, pointer, shorten
from planloom.plan.limits import DEFAULT_LIMITS, Limits
from planloom.plan.references import Operand, Reference, ReferenceSyntaxError, Template, read_template

if TYPE_CHECKING:
    from planloom.plan.model import Step

Place = tuple[str | int, ...]
_MAX_PROBLEMS: Final = 100
"""Number of problems that are kept for one value; who has more does not read them."""


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
                if isinstance(source, Reference):
                    found.append(((field, *place), source, True))
                else:
                    found.extend(((field, *place), reference, False) for reference in source.references)
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
        if type(value) is str:
            if "{{" in value:
                _read_text(value, (name,), bindings, problems, limits)
        elif type(value) is dict or type(value) is list:
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
        problems.extend(_prefixed(found or _fan_out_problems(step.for_each, for_each, limits), "for_each"))
    when = None
    if step.when is not None:
        try:
            when = read_condition(step.when, limits)
        except (ConditionError, ReferenceSyntaxError) as error:
            problems.append(Problem(error.code, ("when",), error.message, error.hint))
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
        if len(problems) < _MAX_PROBLEMS:
            problems.append(Problem(error.code, place, error.message, error.hint))
        elif len(problems) == _MAX_PROBLEMS:
            problems.append(Problem("bad-reference", place, "this and later references cannot be read", None))
    else:
        if source is not None:
            bindings.append(Binding(place, source))


def _read_container(
    container: Any, start: Place, bindings: list[Binding], problems: list[Problem], limits: Limits
) -> None:
    place: list[str | int] = list(start)
    try:
        for element in walk_leaves(container, place, limits):
            if type(element) is str and "{{" in element:
                _read_text(element, tuple(place), bindings, problems, limits)
    except LimitError as error:
        problems.append(Problem("limit", start, str(error), None))


class LimitError(ValueError):
    """A value is nested too deep or has too long a key; the message says which."""


def walk_leaves(container: Any, place: list[str | int], limits: Limits = DEFAULT_LIMITS) -> Iterator[Any]:
    """Yield everything inside a JSON value that is no object and no list, in the order of its text.

    While a leaf is looked at, `place` says where it is. Works without recursion, so that depth is a limit
    and never a crash, and holds one iterator per level, however long the lists are. Raises `LimitError`.
    """
    place.append("")
    pending = [_entries(container)]
    longest = limits.name_chars
    while pending:
        for key, element in pending[-1]:
            place[-1] = key
            if type(key) is str and len(key) > longest:
                raise LimitError(f"the key `{shorten(key, 40)}` has more than {longest} characters")
            if type(element) is dict or type(element) is list:
                if len(pending) >= limits.depth:
                    raise LimitError(f"nested deeper than {limits.depth} levels")
                if element:
                    pending.append(_entries(element))
                    place.append("")
                    break
            else:
                yield element
        else:
            pending.pop()
            place.pop()


def _entries(container: Any) -> Iterator[tuple[str | int, Any]]:
    if isinstance(container, dict):
        return iter(cast("dict[str, Any]", container).items())
    return enumerate(cast("list[Any]", container))


def _fan_out_problems(value: Any, bindings: list[Binding], limits: Limits) -> list[Problem]:
    if isinstance(value, list):
        count = len(cast("list[Any]", value))
        if count > limits.fan_out:
            message = f"{count:,} elements are more than {limits.fan_out:,} (limit `fan_out`)"
            return [Problem("limit", (), message, None)]
        return []
    if bindings and isinstance(bindings[0].source, Reference):
        return []
    return [
        Problem(
            "for-each-not-a-list",
            (),
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
    """Return a JSON pointer for a place; over-long keys are cut, so that no message explodes."""
    longest = DEFAULT_LIMITS.name_chars
    return pointer(*(shorten(s, longest) if isinstance(s, str) and len(s) > longest else s for s in segments))
