"""Which of the JSON in a reply is the plan, and how its places become places in the plan."""

from __future__ import annotations

from typing import Any, NamedTuple, cast

from planloom.plan.reader import PLAN_FIELDS
from planloom.planning.locating import Located, is_header, locate_steps
from planloom.planning.mends import Place
from planloom.planning.passages import Passage
from planloom.planning.step_fields import looks_like_step


class Source(NamedTuple):
    """A passage that went into the plan, and the position of its first step there."""

    passage: Passage
    position: int


class Draft(NamedTuple):
    """The steps that were chosen, and what they were read from.

    `used` are all passages of which something is in the plan, in order; `broken` those objects of several, one
    after another, that could not be read to their end, with the position they would have had.
    """

    located: Located
    sources: tuple[Source, ...]
    used: tuple[Passage, ...]
    broken: tuple[Source, ...] = ()
    is_lines: bool = False

    def place_in_plan(self, source: Source, place: Place) -> Place:
        """Return where something stands in the plan that stands at `place` in a passage."""
        located = self.located
        if self.is_lines:
            return ("steps", source.position, *place)
        depth = len(located.place)
        if place[:depth] != located.place:
            return place
        rest = place[depth:]
        if located.is_mapping and rest:
            number = next((n for n, step in enumerate(located.steps) if step["id"] == rest[0]), len(located.steps))
            return ("steps", number, *rest[1:])
        return ("steps", *rest)


def choose_draft(passages: list[Passage]) -> Draft | None:
    """Choose the plan: the last object or list with steps, else single steps one after another."""
    drafts = [(located, passage) for passage in passages if (located := locate_steps(passage.value)) is not None]
    filled = [draft for draft in drafts if draft[0].steps] or drafts
    if filled:
        located, passage = filled[-1]
        return Draft(located, (Source(passage, 0),), (passage,))
    if any(looks_like_step(passage.value) for passage in passages):
        return _lines(passages)
    begun = [passage for passage in passages if passage.stop is not None and begins_plan(passage)]
    if begun:
        header = cast("dict[str, Any]", begun[-1].value)
        return Draft(Located(header, [], ("steps",)), (Source(begun[-1], 0),), (begun[-1],))
    return None


def _lines(passages: list[Passage]) -> Draft:
    """Put single steps one after another into a list; objects with fields of the plan may stand between them."""
    header: dict[str, Any] = {}
    steps: list[Any] = []
    sources: list[Source] = []
    broken: list[Source] = []
    used: list[Passage] = []
    for passage in passages:
        is_step = looks_like_step(passage.value)
        if passage.stop is not None:
            broken.append(Source(passage, len(steps)))
        elif is_step:
            sources.append(Source(passage, len(steps)))
            steps.append(passage.value)
        elif is_header(passage.value):
            header.update(cast("dict[str, Any]", passage.value))
        else:
            continue
        used.append(passage)
    return Draft(Located(header, steps, ()), tuple(sources), tuple(used), tuple(broken), is_lines=True)


def begins_plan(passage: Passage) -> bool:
    """Return whether the text broke off inside the fields of a plan, before the first step."""
    assert passage.stop is not None
    value: Any = passage.value
    fields = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
    return not fields.keys().isdisjoint(PLAN_FIELDS) or passage.stop.place[:1] in [(name,) for name in PLAN_FIELDS]
