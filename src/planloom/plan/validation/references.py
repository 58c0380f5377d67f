"""References: bad-reference, unknown-reference, undeclared-dependency, bad-condition, reference-path, reference-type.

Also for-each-not-a-list, because what a `for_each` refers to is known here.
"""

from __future__ import annotations

from typing import Final

from planloom.plan.issues import shorten
from planloom.plan.limits import DEFAULT_LIMITS
from planloom.plan.model import Step
from planloom.plan.references import Reference, render_segment
from planloom.plan.types import Fitting, Type, describe_type, elements_of, fits, follow_type, may_be, property_names
from planloom.plan.validation.inspection import Inspection, Place
from planloom.plan.validation.sources import TEXT, Sources
from planloom.plan.wiring import read_wiring

_MAX_COMPARED_IN_A_TUPLE: Final = 16
_MAX_KEYS_TRIED: Final = 20


def check_references(inspection: Inspection) -> None:
    """Report references that name nothing, are not declared, or lead to a value of the wrong shape."""
    checker = _ReferenceChecker(inspection)
    is_default = inspection.limits == DEFAULT_LIMITS
    for position, step in inspection.steps():
        wiring = step.wiring()
        for problem in wiring.problems or (() if is_default else read_wiring(step, inspection.limits).problems):
            inspection.error(problem.code, position, problem.place, problem.message, problem.hint)
        if wiring.args or wiring.for_each or wiring.when is not None:
            checker.check_step(position, step)


class _ReferenceChecker:
    """Checks references step by step, and remembers the verdict on each pair of tool outputs and arguments."""

    def __init__(self, inspection: Inspection) -> None:
        self.inspection = inspection
        self.sources = Sources(inspection)
        self.fitting = Fitting()
        self._fits: dict[tuple[int, int], tuple[Type, Type]] = {}

    def check_step(self, position: int, step: Step) -> None:
        self._check_declared(position, step)
        checks = self.inspection.checks(step.tool)
        sources = self.sources
        for place, reference, whole in step.wiring().places():
            field = place[0]
            for operand in reference.operands:
                if not sources.is_there(position, place, operand):
                    continue
                source = sources.type_at(position, place, operand)
                if field == "args" and checks is not None:
                    target = checks.target(place[1:])
                    if target and not whole:
                        self._check_text(position, step, place, reference, target)
                    elif target and source:
                        self._check_fit(position, step, place, reference, source, target)
                elif place == ("for_each",):
                    self._check_list(position, reference, source)

    def _check_declared(self, position: int, step: Step) -> None:
        used = step.wiring().step_ids
        declared = step.depends_on
        index, marked = self.inspection.graph.index, self.inspection.used
        for step_id in used:
            if step_id in index:
                marked.add(index[step_id])
        if used == declared:
            return
        named = declared if len(declared) <= _MAX_COMPARED_IN_A_TUPLE else frozenset(declared)
        for step_id in used:
            if step_id not in named and step_id != step.id and step_id in index:
                self.inspection.warn(
                    "undeclared-dependency", position, ("depends_on",),
                    f"step `{shorten(step.id)}` uses `{shorten(step_id)}` without naming it in `depends_on`",
                    f"add `{shorten(step_id)}` to `depends_on`",
                )  # fmt: skip

    def _check_fit(
        self, position: int, step: Step, place: Place, reference: Reference, source: Type, target: Type
    ) -> None:
        key = (id(source), id(target))
        if key in self._fits:
            return
        if self.fitting.fits(source, target):
            self._fits[key] = (source, target)  # keeps both alive, so that their ids stay theirs
            return
        argument = shorten(step.tool + place_name(place[1:]))
        message = (
            f"`{argument}` expects {describe_type(target)}, {shorten(reference.text)} gives {describe_type(source)}"
        )
        self.inspection.error("reference-type", position, place, message, _mend(reference, place[-1], source, target))

    def _check_text(self, position: int, step: Step, place: Place, reference: Reference, target: Type) -> None:
        if not self.fitting.fits(TEXT, target):
            argument = shorten(step.tool + place_name(place[1:]))
            self.inspection.error(
                "reference-type", position, place,
                f"`{argument}` expects {describe_type(target)}, text with {shorten(reference.text)} inside is text",
                "a reference keeps its type when it stands alone, without text around it",
            )  # fmt: skip

    def _check_list(self, position: int, reference: Reference, source: Type) -> None:
        if not may_be(source, "array"):
            self.inspection.error(
                "for-each-not-a-list", position, ("for_each",),
                f"`for_each` needs a list, {shorten(reference.text)} gives {describe_type(source)}",
                "refer to a list inside it, or leave `for_each` out",
            )  # fmt: skip


def place_name(place: Place) -> str:
    """Write a place inside arguments the way a person would: `.options.tags[0]`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{shorten(part, 40)}" for part in place)


def _mend(reference: Reference, argument: str | int, source: Type, target: Type) -> str | None:
    """Return how to make the types agree; `argument` is the name of what asks for the value."""
    whole = reference.text[2:-2].strip()
    inner = "" if "??" in whole else f"{whole}.output" if whole == reference.operands[0].root else whole
    if may_be(source, "array") and not may_be(target, "array"):
        part = _fitting_part(elements_of(source), argument, target)
        one = f"{{{{{shorten(f'{inner}[0]{part}')}}}}}" if inner else f"with [0]{part}"
        return f'take one element, {one}, or run the step for each with "for_each"'
    if may_be(target, "array") and fits(source, elements_of(target)):
        return f'put it into a list: ["{shorten(reference.text)}"]'
    if may_be(source, "object") and not may_be(target, "object"):
        part = _fitting_part(source, argument, target)
        return f"take one key of it: {{{{{shorten(inner + part)}}}}}" if inner and part else "take one key of it"
    if may_be(source, "object") and inner and (part := _only_fitting_part(source, target)):
        return f"take the key of it that fits: {{{{{shorten(inner + part)}}}}}"
    if may_be(target, "string") and any(may_be(source, kind) for kind in ("number", "integer", "boolean")):
        return f'inside longer text it is written as text: "… {shorten(reference.text)}"'
    return None


def _only_fitting_part(source: Type, target: Type) -> str:
    """Return the path of the one key whose value would fit; nothing if none does, or if several do."""
    fitting = [
        name for name in property_names(source)[:_MAX_KEYS_TRIED] if fits(follow_type(source, (name,), ""), target)
    ]
    return render_segment(fitting[0]) if len(fitting) == 1 else ""


def _fitting_part(source: Type, argument: str | int, target: Type) -> str:
    """Return the path of a key whose value would fit, the one called like the argument first; else nothing."""
    if not source or fits(source, target):
        return ""
    names = sorted(property_names(source), key=lambda name: name != argument)
    for name in names[:_MAX_KEYS_TRIED]:
        if fits(follow_type(source, (name,), ""), target):
            return render_segment(name)
    return ""
