"""Which step is meant: ids for steps that have none, and numbers, `#E1`, `step 2`, `<node-0>` as names of steps.

An id that can be used is never changed. Numbers are counted from 1 unless the plan itself shows otherwise; what
was assumed is reported. Names that look like ids of their own are taken for numbers only if no step has an id.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple, cast

from planloom.plan.issues import shorten
from planloom.plan.references import RESERVED_IDS, STEP_ID

_NUMBERED = re.compile(
    r"""[<(\[]?\s* [#$]?\s*
        (?P<word> step | task | node | resource | generated | output | result | call | action | e | s | t )?
        [\s_\#:-]* (?P<number>\d{1,6}) (?:\.output)? \s*[>)\].]?""",
    re.VERBOSE | re.IGNORECASE,
)
_FROM_ZERO: Final = frozenset({"node", "resource", "generated"})
_TRAILING_NUMBER = re.compile(r"(.*?)(\d{1,6})")
_NOT_IN_IDS = re.compile(r"[^A-Za-z0-9_-]+")
_NOTHING: Final = frozenset({"", "none", "null", "nil", "n/a", "na", "-", "-1", "[]", "nothing"})


class Numbered(NamedTuple):
    """A step named by a number: the number, and whether its style counts from 0 where nothing else is known."""

    number: int
    from_zero: bool


def read_number(name: Any) -> Numbered | None:
    """Return the number in a name such as 2, "2", "step 2", "#E2", "$2" or "<node-2>", or None."""
    if type(name) is int:
        return Numbered(name, False) if name >= 0 else None
    if not isinstance(name, str) or len(name) > 60:
        return None
    match = _NUMBERED.fullmatch(name.strip())
    if match is None:
        return None
    return Numbered(int(match["number"]), (match["word"] or "").lower() in _FROM_ZERO)


def means_nothing(name: Any) -> bool:
    """Return whether an entry of `depends_on` says that there is none: "none", "", -1."""
    return name is None or name == -1 or (isinstance(name, str) and name.strip().lower() in _NOTHING)


class StepNames:
    """The ids of a plan's steps, by position, and what other names of them stand for.

    `given` are the positions whose id was made here. Where ids have no numbers of their own, steps are counted;
    `settle_numbers` decides from where.
    """

    def __init__(self, steps: list[Any]) -> None:
        raw_ids = [_raw_id(step) for step in steps]
        self.own: set[str] = {raw for raw in raw_ids if isinstance(raw, str) and STEP_ID.fullmatch(raw)}
        self.renamed: dict[str | int, str] = {}
        self.ids: list[str | None] = []
        self.given: dict[int, str | int | None] = {}
        taken = set(self.own)
        for position, (step, raw) in enumerate(zip(steps, raw_ids, strict=True)):
            if not isinstance(step, dict) or (isinstance(raw, str) and raw in self.own):
                self.ids.append(raw if isinstance(raw, str) else None)
                continue
            known = None if raw is None else self.renamed.get(raw)
            new = known or _unused(_make_id(raw, position), taken)
            taken.add(new)
            if raw is not None:
                self.renamed[raw] = new
            self.given[position] = raw
            self.ids.append(new)
        self.all_ids: set[str] = {name for name in self.ids if name is not None}
        self.are_all_given = not self.own
        self._by_number = _numbers_of(raw_ids)
        self._count_from = 1
        self._has_counted = False

    def settle_numbers(self, uses: Iterable[tuple[int, Numbered]]) -> None:
        """Decide from where numbers count, by all places (position of the step, number) where they are used.

        Where the ids themselves have numbers nothing is left to decide.
        """
        if self._by_number is not None:
            return
        places = list(dict.fromkeys(uses))
        if not places:
            return
        from_one = all(0 < used.number <= position for position, used in places)
        from_zero = all(used.number < position for position, used in places)
        if any(used.number == 0 for _, used in places) or (from_zero and not from_one):
            self._count_from = 0
        elif from_one and not from_zero:
            self._count_from = 1
        else:
            self._count_from = 0 if all(used.from_zero for _, used in places) else 1

    @property
    def counting(self) -> str | None:
        """What to say about where numbers were counted from, once a number was resolved by counting."""
        return f"steps named by numbers were counted from {self._count_from}" if self._has_counted else None

    def by_number(self, number: int) -> str | None:
        """Return the id of the step with that number, or None."""
        if self._by_number is not None:
            position = self._by_number.get(number, -1)
        else:
            position = number - self._count_from
            self._has_counted = True
        return self.ids[position] if 0 <= position < len(self.ids) else None

    def resolve(self, name: Any) -> str | None:
        """Return the id of the step that `name` stands for, or None; an id stands for itself."""
        if isinstance(name, str) and name in self.all_ids:
            return name
        if isinstance(name, str | int) and not isinstance(name, bool) and name in self.renamed:
            return self.renamed[name]
        if isinstance(name, str) and STEP_ID.fullmatch(name) is not None and not self.are_all_given:
            return None
        numbered = read_number(name)
        return None if numbered is None else self.by_number(numbered.number)

    def given_ids(self) -> Iterator[tuple[int, str, str]]:
        """Every id made here: position, id, and what to say about it."""
        for position, raw in self.given.items():
            new = cast("str", self.ids[position])
            if raw is None:
                yield position, new, f"the step had no usable id and was called `{shorten(new, 60)}`"
            else:
                yield position, new, f"the id `{shorten(str(raw), 60)}` was changed to `{shorten(new, 60)}`"


def _raw_id(step: Any) -> str | int | None:
    raw = cast("dict[str, Any]", step).get("id") if isinstance(step, dict) else None
    if isinstance(raw, str):
        return raw if raw.strip() else None
    if isinstance(raw, float) and raw.is_integer():
        return int(raw)
    return raw if type(raw) is int and abs(raw) < 10**6 else None


def _make_id(raw: str | int | None, position: int) -> str:
    if isinstance(raw, int):
        return f"s{abs(raw)}"
    name = _NOT_IN_IDS.sub("_", raw.strip()).strip("_-") if raw is not None else ""
    if not name:
        return f"s{position + 1}"
    return name if name[0].isalpha() else f"s{name}"


def _unused(name: str, taken: set[str]) -> str:
    if name not in taken and name not in RESERVED_IDS:
        return name
    number = 2
    while f"{name}_{number}" in taken:
        number += 1
    return f"{name}_{number}"


def _numbers_of(raw_ids: list[str | int | None]) -> dict[int, int] | None:
    """Return positions by the numbers that the ids themselves have; None unless every id has its own."""
    positions: dict[int, int] = {}
    words: set[str] = set()
    for position, raw in enumerate(raw_ids):
        if raw is None:
            return None
        match = _TRAILING_NUMBER.fullmatch(str(raw).strip(" <>.)]"))
        if match is None or int(match[2]) in positions:
            return None
        words.add(match[1])
        positions[int(match[2])] = position
    return positions if len(words) == 1 else None
