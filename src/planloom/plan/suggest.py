"""The nearest known name for a "did you mean" hint, found in bounded time."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from itertools import islice
from typing import Final

_MAX_NAMES: Final = 2_000
_MAX_NAME_CHARS: Final = 100


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name nearest to `name`, or None when none is near."""
    if len(name) > _MAX_NAME_CHARS:
        return None
    names = [other for other in islice(known, _MAX_NAMES) if abs(len(other) - len(name)) <= 8]
    folded = {other.casefold().replace("_", "").replace("-", "").replace(" ", ""): other for other in reversed(names)}
    same = folded.get(name.casefold().replace("_", "").replace("-", "").replace(" ", ""))
    if same is not None:
        return same
    matches = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    return matches[0] if matches else None


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """Return a hint that names the nearest known name, or None."""
    near = nearest(name, known)
    return None if near is None else f"did you mean `{near}`?"
