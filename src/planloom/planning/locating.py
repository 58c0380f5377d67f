"""Which list in a JSON value is the list of steps, whatever it is called and however it is wrapped.

The rule is one for a whole reply and for a stream: the first list in the order of the text, under names that
mean steps, that holds something like a step.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple, cast

from planloom.plan.reader import PLAN_FIELDS, WRAPPERS
from planloom.planning.mends import Place
from planloom.planning.step_fields import fold, looks_like_step

STREAMED_WRAPPERS: Final = frozenset({"steps", "plan", "calls", "tasks"})
MAX_WRAPPING: Final = 3
_EDGES: Final = frozenset({"edges", "links", "tasklinks", "connections"})
_MAPPINGS: Final = frozenset(WRAPPERS)


class Located(NamedTuple):
    """A list of steps: the plan's other fields, the steps, where they stood, and what stood beside them."""

    header: dict[str, Any]
    steps: list[Any]
    place: Place
    edges: list[Any] | None = None
    edges_name: str = ""
    """The name of a list of dependencies beside the steps; `edges` is None when it must not be used."""
    others: tuple[str, ...] = ()
    """Names of further lists of steps beside this one, which are not used."""
    is_mapping: bool = False
    """Whether the steps stood in an object by id, not in a list."""


def locate_steps(value: Any) -> Located | None:
    """Return the list of steps in `value`, or None when there is none."""
    if isinstance(value, list):
        steps = cast("list[Any]", value)
        return Located({}, steps, ()) if any(map(looks_like_step, steps)) else None
    if not isinstance(value, dict) or looks_like_step(value):
        return None
    fields = cast("dict[str, Any]", value)
    everywhere = list(_lists(fields, (), streamed=False))
    first = next(_lists(fields, (), streamed=True), everywhere[0] if everywhere else None)
    if first is None:
        name = next((name for name in WRAPPERS if isinstance(fields.get(name), list)), None)
        return _mapping(fields, ()) if name is None else _located(fields, (name,), [])
    return _located(fields, first, [place for place in everywhere if place != first])


def is_header(value: Any) -> bool:
    """Return whether this is an object with fields of a plan and no steps."""
    if not isinstance(value, dict):
        return False
    names = cast("dict[str, Any]", value).keys()
    return bool(names) and names <= set(PLAN_FIELDS) and "steps" not in names


def _lists(fields: dict[str, Any], place: Place, *, streamed: bool) -> Iterator[Place]:
    """Yield the places of lists with something like a step, in the order of the text."""
    for name, value in fields.items():
        if streamed and name not in STREAMED_WRAPPERS:
            continue
        if isinstance(value, list):
            if any(map(looks_like_step, cast("list[Any]", value))):
                yield (*place, name)
        elif isinstance(value, dict) and len(place) + 1 < MAX_WRAPPING and name not in ("answer", "inputs"):
            yield from _lists(cast("dict[str, Any]", value), (*place, name), streamed=streamed)


def _located(fields: dict[str, Any], place: Place, others: list[Place]) -> Located:
    header: dict[str, Any] = {}
    inner: Any = fields
    for name in place:
        header = {**header, **{key: value for key, value in inner.items() if key != name}}
        inner = inner[name]
    edges_name = next((name for name in header if fold(name) in _EDGES and isinstance(header[name], list)), "")
    # steps of a list that is read while it arrives are final as they stand: nothing behind it may change them
    is_streamed = all(name in STREAMED_WRAPPERS for name in place)
    edges = None if is_streamed or not edges_name else header.pop(edges_name)
    return Located(header, inner, place, edges, edges_name, tuple(".".join(map(str, other)) for other in others))


def _mapping(fields: dict[str, Any], place: Place) -> Located | None:
    """Return steps that stand in an object by id: `"steps": {"load": {…}, "sum": {…}}`."""
    for name, value in fields.items():
        if not isinstance(value, dict):
            continue
        inner = cast("dict[str, Any]", value)
        if fold(name) in _MAPPINGS and inner and all(map(looks_like_step, inner.values())):
            steps: list[Any] = [{"id": key, **step} for key, step in inner.items()]
            header = {key: other for key, other in fields.items() if key != name}
            return Located(header, steps, (*place, name), is_mapping=True)
        if len(place) + 1 < MAX_WRAPPING and (found := _mapping(inner, (*place, name))) is not None:
            return found
    return None
