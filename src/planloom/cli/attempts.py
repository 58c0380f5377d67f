"""Every attempt of every step of a kept run, and their bars in time as lines of text. Pure: records in, text out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from planloom.cli.text import counted, first_line, one_line, reused, took
from planloom.drawing.words import fit_cells, pad_cells
from planloom.plan.history import Recorded

MAX_ROWS: Final = 200
"""Attempts that the timeline shows; the others are counted."""
MAX_NAME_CELLS: Final = 28
MIN_BAR_CELLS: Final = 8
MAX_BAR_CELLS: Final = 40
MAX_NOTE_CELLS: Final = 40
_OUTCOMES: Final = {
    "step-succeeded": "succeeded",
    "step-retrying": "retried",
    "step-failed": "failed",
    "step-skipped": "skipped",
    "step-cancelled": "cancelled",
    "step-unknown": "unknown",
    "step-waiting": "waiting",
}


@dataclass(slots=True)
class Attempt:
    """One call of a step, or of an element of one. Times are seconds since the run began.

    `ended_s` is None, and `outcome` empty, while its end is not known.
    """

    step_id: str
    tool: str
    number: int
    started_s: float
    ended_s: float | None = None
    outcome: str = ""
    message: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the attempt as a JSON object."""
        return {
            "step_id": self.step_id,
            "tool": self.tool,
            "attempt": self.number,
            "started_s": round(self.started_s, 3),
            "ended_s": None if self.ended_s is None else round(self.ended_s, 3),
            "outcome": self.outcome or None,
            "message": self.message or None,
        }


def attempts_of(records: Iterable[Recorded]) -> list[Attempt]:
    """Return the attempts in the order of their starts."""
    found: list[Attempt] = []
    under_way: dict[str, Attempt] = {}
    began: float | None = None
    for record in records:
        began = record.at if began is None else began
        if record.step_id is None:
            continue
        at = record.at - began
        if record.type == "step-started":
            attempt = Attempt(record.step_id, record.data["tool"], record.data["attempt"], at)
            under_way[record.step_id] = attempt
            found.append(attempt)
        elif record.type in _OUTCOMES and (ended := under_way.pop(record.step_id, None)) is not None:
            ended.ended_s, ended.outcome = at, _OUTCOMES[record.type]
            error = record.data.get("error")
            said = reused(record.data.get("reused_from")) or str(record.data.get("question", ""))
            ended.message = first_line(error["message"] if error else said)
    return found


def timeline(attempts: Sequence[Attempt], width: int, *, ascii: bool) -> list[str]:
    """Return one line per attempt: when it began, a bar, how long it took, how it ended when that is not well."""
    rows = attempts[:MAX_ROWS]
    whole_s = max((attempt.ended_s or attempt.started_s for attempt in rows), default=0.0) or 1.0
    names = [_name(attempt) for attempt in rows]
    name_cells = min(MAX_NAME_CELLS, width // 3, max(len(name) for name in names))
    bar_cells = max(MIN_BAR_CELLS, min(MAX_BAR_CELLS, width - name_cells - 24 - width // 4))
    lines = [
        _line(attempt, name, name_cells, bar_cells, whole_s, width, ascii=ascii)
        for attempt, name in zip(rows, names, strict=True)
    ]
    left = len(attempts) - len(rows)
    return [*lines, f"  and {counted(left, 'more attempt')}"] if left else lines


def _name(attempt: Attempt) -> str:
    again = f" #{attempt.number}" if attempt.number > 1 else ""
    return one_line(attempt.step_id, 80) + again


def _line(
    attempt: Attempt, name: str, name_cells: int, bar_cells: int, whole_s: float, width: int, *, ascii: bool
) -> str:
    full, empty, open_end, cut = ("#", ".", ">", "...") if ascii else ("━", "┄", "╸", "…")
    first = min(bar_cells - 1, int(attempt.started_s / whole_s * bar_cells))
    end_s = whole_s if attempt.ended_s is None else attempt.ended_s
    last = max(first + 1, round(end_s / whole_s * bar_cells))
    bar = empty * first + full * (last - first) + empty * (bar_cells - last)
    if attempt.ended_s is None:
        bar, spent, note = bar[:-1] + open_end, "", "its end is not known"
    else:
        spent = took(max(0.0, attempt.ended_s - attempt.started_s) * 1_000)
        outcome = "" if attempt.outcome == "succeeded" else attempt.outcome
        note = ": ".join(filter(None, (outcome, attempt.message)))
    line = f"  {pad_cells(fit_cells(name, name_cells, cut), name_cells)}  {bar} {spent:>9}"
    if ascii:
        note = note.encode("ascii", "replace").decode("ascii")
    room = width - len(line) - 2
    return f"{line}  {fit_cells(note, room, cut)}" if note and room >= MIN_BAR_CELLS else line
