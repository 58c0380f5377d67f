"""What was changed in a model's plan, change by change. A mend that is not listed here must not be made."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Final

from planloom.plan.issues import pointer, shorten

MAX_NOTED: Final = 100_000
"""Number of different changes remembered for one text."""
MAX_MENDS: Final = 1_000
"""Number of mends listed for one text; the rest is counted in a last one."""

MAX_PLACES: Final = 10
"""Number of places up to which one and the same change is listed for each of them."""

Place = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Mend:
    """One change that was made so that a plan could be read or could be valid.

    `path` is a JSON pointer (RFC 6901) into the plan that came out, "" for the text as a whole.
    """

    path: str
    message: str

    def to_dict(self) -> dict[str, str]:
        """Return the mend as a JSON object."""
        return {"path": self.path, "message": self.message}


class MendLog:
    """Collects mends in order; the same change at the same place is listed once, with its number."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], int] = {}
        self._dropped = 0

    def add(self, place: Place, message: str, times: int = 1) -> None:
        """Note a change at `place` in the plan."""
        key = (pointer(*(shorten(part, 200) if isinstance(part, str) else part for part in place)), message)
        if key in self._counts:
            self._counts[key] += times
        elif len(self._counts) < MAX_NOTED:
            self._counts[key] = times
        else:
            self._dropped += times

    def __len__(self) -> int:
        return len(self._counts)

    def mends(self) -> list[Mend]:
        """Return what was noted, the text as a whole first and then in the order of the plan."""
        places = Counter(message for _, message in self._counts)
        told: dict[tuple[str, str], int] = {}
        for (path, message), times in self._counts.items():
            # what is the same at many steps is told once
            where = "/steps" if places[message] > MAX_PLACES and path.startswith("/steps") else path
            told[where, message] = told.get((where, message), 0) + times
        listed = [
            Mend(path, message if times == 1 else f"{message} ({times:,} times)")
            for (path, message), times in told.items()
        ]
        listed.sort(key=_order)
        dropped = self._dropped + max(0, len(listed) - MAX_MENDS)
        if dropped:
            listed[MAX_MENDS:] = [Mend("", f"{dropped:,} more mends are not listed (limit {MAX_MENDS:,})")]
        return listed


def _order(mend: Mend) -> tuple[int, int]:
    """Sort the text as a whole first, then the steps as a list, then step by step, then the other fields."""
    first, _, rest = mend.path[1:].partition("/")
    number = rest.partition("/")[0]
    if first != "steps":
        return (2 if first else 0, 0)
    return (1, int(number) if number.isdecimal() else -1)
