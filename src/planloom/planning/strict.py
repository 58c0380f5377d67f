"""JSON as RFC 8259 has it, read from any place in a text. What it accepts is never altered.

The one thing it adds to the standard library is that keys which stand twice in one object are noticed:
they are how a forgotten `},{` between two steps looks, and the first of the two would be lost without a word.
"""

from __future__ import annotations

import json
import math
from typing import Any, NamedTuple, cast

from planloom.planning.mends import Place


class Strict(NamedTuple):
    """A JSON value, the place behind it, and the objects in it that have one key twice, by identity."""

    value: Any
    end: int
    repeated: dict[int, tuple[str, ...]]


def read_strict(text: str, start: int = 0) -> Strict | None:
    """Read one JSON value that begins exactly at `start`; None when there is none."""
    repeated: dict[int, tuple[str, ...]] = {}
    kept: list[dict[str, Any]] = []  # so that no identity in `repeated` is used a second time

    def object_of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        fields = dict(pairs)
        if len(fields) != len(pairs):
            seen: set[str] = set()
            twice = [name for name, _ in pairs if name in seen or seen.add(name)]
            repeated[id(fields)] = tuple(dict.fromkeys(twice))
            kept.append(fields)
        return fields

    decoder = json.JSONDecoder(object_pairs_hook=object_of, parse_constant=_refuse, parse_float=_finite)
    try:
        value, end = decoder.raw_decode(text, start)
    except (ValueError, RecursionError):
        return None
    return Strict(value, end, repeated)


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"{digits} is too large for a number")
    return number


def repeated_places(value: Any, repeated: dict[int, tuple[str, ...]]) -> list[tuple[Place, tuple[str, ...]]]:
    """Return where in `value` keys stand twice: the object's place and the keys."""
    if not repeated:
        return []
    found: list[tuple[Place, tuple[str, ...]]] = []
    pending: list[tuple[Place, Any]] = [((), value)]
    while pending:
        place, part = pending.pop()
        if isinstance(part, dict):
            fields = cast("dict[str, Any]", part)
            if id(fields) in repeated:
                found.append((place, repeated[id(fields)]))
            pending.extend([((*place, key), inner) for key, inner in fields.items()])
        elif isinstance(part, list):
            pending.extend([((*place, index), inner) for index, inner in enumerate(cast("list[Any]", part))])
    return found
