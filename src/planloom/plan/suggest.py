"""The nearest known name for a "did you mean" hint, found in bounded time.

However many names are known and however alike they are, one look-up compares closely with a handful of them.
"""

from __future__ import annotations

import difflib
import heapq
import string
from collections.abc import Iterable, Iterator
from itertools import islice, pairwise
from typing import Final

from planloom.plan.issues import printable

_MAX_NAMES: Final = 100_000
_MAX_COMPARED: Final = 2_000
_MAX_CLOSELY_COMPARED: Final = 8
_MAX_NAME_CHARS: Final = 60
_LETTERS: Final = string.ascii_lowercase + string.digits
_SEPARATORS: Final = str.maketrans("", "", "_-. ")


class Names:
    """Known names, indexed once for many look-ups. Of names past the first 100,000 nothing is said."""

    __slots__ = ("_by_letters", "_pairs")

    def __init__(self, known: Iterable[str]) -> None:
        self._by_letters: dict[str, str] = {}
        for name in islice(known, _MAX_NAMES):
            if len(name) <= _MAX_NAME_CHARS:
                self._by_letters.setdefault(_letters(name), name)
        self._pairs: list[tuple[str, set[str]]] | None = None

    def nearest(self, name: str) -> str | None:
        """Return the known name nearest to `name`, or None when none is near."""
        if not name or len(name) > _MAX_NAME_CHARS:
            return None
        letters, by_letters = _letters(name), self._by_letters
        same = by_letters.get(letters)
        if same is not None:
            return same
        if len(by_letters) > _MAX_COMPARED:  # too many to compare with; one letter off is found in any number
            for other in _one_letter_off(letters):
                if other in by_letters:
                    return by_letters[other]
        if self._pairs is None:
            self._pairs = [(other, _pairs_of(other)) for other in islice(by_letters, _MAX_COMPARED)]
        wanted = _pairs_of(letters)
        likeliest = heapq.nlargest(
            _MAX_CLOSELY_COMPARED,
            [
                (len(wanted & pairs) / len(wanted | pairs), -position, other)
                for position, (other, pairs) in enumerate(self._pairs)
                if abs(len(other) - len(letters)) <= 8
            ],
        )
        matches = difflib.get_close_matches(letters, [other for _, _, other in likeliest], n=1, cutoff=0.6)
        return by_letters[matches[0]] if matches else None


def nearest(name: str, known: Iterable[str] | Names) -> str | None:
    """Return the known name nearest to `name`, or None when none is near."""
    return (known if isinstance(known, Names) else Names(known)).nearest(name)


def did_you_mean(name: str, known: Iterable[str] | Names) -> str | None:
    """Return a hint that names the nearest known name, or None."""
    near = nearest(name, known)
    return None if near is None else f"did you mean `{printable(near)}`?"


def _letters(name: str) -> str:
    """Return what is left of a name when its spelling in upper case or with separators is ignored."""
    return name.casefold().translate(_SEPARATORS) or name


def _pairs_of(letters: str) -> set[str]:
    return {first + second for first, second in pairwise(f"^{letters}$")}


def _one_letter_off(letters: str) -> Iterator[str]:
    for place in range(len(letters) + 1):
        before, after = letters[:place], letters[place:]
        if after:
            yield before + after[1:]
            yield before + after[1:2] + after[:1] + after[2:]
            for letter in _LETTERS:
                yield before + letter + after[1:]
        for letter in _LETTERS:
            yield before + letter + after
