"""A plan as plain text for a terminal: waves from top to bottom, a line per step and what it waits for.

No colour codes and no control characters, whatever the plan holds; colours are for the caller to add.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from planloom.drawing.outline import DrawnStep, Outline, facts, outline_of, status_of
from planloom.drawing.words import NO_ID, cells, count, fit_cells, name_some, pad_cells

if TYPE_CHECKING:
    from planloom.plan.model import Plan

DEFAULT_WIDTH: Final = 100
"""Columns when the caller names none."""
MIN_WIDTH: Final = 40
MAX_TEXT_STEPS: Final = 2_000
"""Steps with a line of their own; the rest is counted per wave."""
MAX_SOURCES_NAMED: Final = 12

_BLOCKED: Final = "blocked"
_SOURCES_CELLS: Final = 24
_MIN_NOTE_CELLS: Final = 20
_MAX_ID_CELLS: Final = 32
_MAX_TOOL_CELLS: Final = 24
_MAX_STATUS_CELLS: Final = 9

STATUS_MARKS: Final = {
    "succeeded": ("✓", "+"),
    "running": ("▶", ">"),
    "ready": ("◉", "o"),
    "pending": ("○", "."),
    "waiting": ("‖", "="),
    "held": ("…", "~"),
    "unknown": ("?", "?"),
    "failed": ("✗", "x"),
    "skipped": ("»", "-"),
    "cancelled": ("⊘", "/"),
}
"""The mark before a step's id, by state: with Unicode and in ASCII."""


@dataclass(frozen=True, slots=True)
class _Signs:
    """The signs of one drawing, in Unicode or in ASCII."""

    single: str
    first: str
    middle: str
    last: str
    stem: str
    blank: str
    from_: str
    after: str
    to: str
    ellipsis: str


_UNICODE: Final = _Signs("── ", "┬─ ", "├─ ", "└─ ", "│  ", "   ", "←", "⇠", "→", "…")
_ASCII: Final = _Signs("-- ", "+- ", "+- ", "`- ", "|  ", "   ", "<-", "<~", "->", "...")


def plan_text(
    plan: Plan, statuses: Mapping[str, str] | None = None, width: int | None = None, ascii: bool = False
) -> str:
    """Return the plan as lines of at most `width` columns (`DEFAULT_WIDTH` when None), ending with a newline.

    A line names the step, its tool, its description and what it waits for: after "←" the steps whose output it
    uses, after "⇠" those it only waits for. `when` and `for each` stand on lines of their own. `statuses` maps
    step ids to states and adds a mark and a word per step. With `ascii` every character is ASCII. Never raises,
    however broken the plan is; lines narrower than `MIN_WIDTH` are not tried.
    """
    outline = outline_of(plan)
    if ascii:
        outline = replace(outline, goal=_in_ascii(outline.goal), steps=tuple(map(_step_in_ascii, outline.steps)))
    drawing = _TextDrawing(outline, statuses, max(MIN_WIDTH, width or DEFAULT_WIDTH), ascii)
    return "\n".join(line.rstrip() for line in drawing.lines()) + "\n"


def _step_in_ascii(step: DrawnStep) -> DrawnStep:
    return replace(
        step,
        id=_in_ascii(step.id),
        tool=_in_ascii(step.tool),
        description=_in_ascii(step.description),
        when=_in_ascii(step.when),
        for_each=_in_ascii(step.for_each),
        unknown=tuple(map(_in_ascii, step.unknown)),
    )


def _in_ascii(text: str) -> str:
    return text.encode("ascii", "replace").decode("ascii")


class _TextDrawing:
    def __init__(self, outline: Outline, statuses: Mapping[str, str] | None, width: int, ascii: bool) -> None:
        self.outline, self.statuses, self.width, self.ascii = outline, statuses, width, ascii
        self.signs = _ASCII if ascii else _UNICODE
        steps = outline.steps
        self.id_cells = min(_MAX_ID_CELLS, max((cells(step.id or NO_ID) for step in steps), default=0), width // 3)
        self.tool_cells = min(_MAX_TOOL_CELLS, max((cells(step.tool) for step in steps), default=0), width // 4)
        label = f"wave {outline.blocked_from}"
        self.label_cells = max(len(label), len(_BLOCKED) if outline.is_blocked else 0) + 1
        self.note_cells = self._note_cells()
        self.data_sources: dict[int, list[str]] = {}
        self.order_sources: dict[int, list[str]] = {}
        for edge in outline.edges:
            sources = self.data_sources if edge.carries_data else self.order_sources
            name = steps[edge.source].id + (" (circle)" if edge.in_circle else "")
            sources.setdefault(edge.target, []).append(name)

    def lines(self) -> list[str]:
        """All lines, without their ends."""
        lines: list[str] = []
        if self.outline.goal:
            lines.append(self._fit(self.outline.goal))
        lines.append(self._fit(facts(self.outline).replace("·", "|" if self.ascii else "·")))
        if len(self.outline.longest_chain) > 1:
            lines += self._chain()
        if self.data_sources and self.order_sources:
            lines.append(f"{self.signs.from_} uses the output  {self.signs.after} only waits")
        lines.append("")
        room = MAX_TEXT_STEPS
        for number, wave in enumerate(self.outline.waves):
            if room <= 0:
                rest = self.outline.waves[number:]
                steps, waves = count(sum(map(len, rest)), "more step"), count(len(rest), "wave")
                lines.append(f"{self.signs.ellipsis} {steps} in {waves}")
                break
            label = _BLOCKED if number >= self.outline.blocked_from else f"wave {number + 1}"
            lines += self._wave(label, wave[:room], len(wave))
            room -= len(wave)
        return lines

    def _fit(self, text: str) -> str:
        return fit_cells(text, self.width, self.signs.ellipsis)

    def _chain(self) -> list[str]:
        """The longest chain on one line; of a very long one the beginning and the end."""
        names = [self.outline.steps[position].id for position in self.outline.longest_chain]
        joint = f" {self.signs.to} "
        text = joint.join(names)
        if cells(text) > self.width:
            head, tail = names[:-1], joint + self.signs.ellipsis + joint + names[-1]
            while len(head) > 1 and cells(joint.join(head)) + cells(tail) > self.width:
                head = head[: max(1, min(len(head) - 1, self.width // 4))]
            text = joint.join(head) + tail
        return [self._fit(text)]

    def _wave(self, label: str, wave: tuple[int, ...], size: int) -> list[str]:
        lines: list[str] = []
        hidden = size - len(wave)
        rows = len(wave) + (hidden > 0)
        for index in range(rows):
            branch = self.signs.middle
            if rows == 1:
                branch = self.signs.single
            elif index == 0:
                branch = self.signs.first
            elif index == rows - 1:
                branch = self.signs.last
            head = pad_cells(label if index == 0 else "", self.label_cells) + branch
            if index == len(wave):
                lines.append(f"{head}{self.signs.ellipsis} {count(hidden, 'more step')}")
                continue
            stem = self.signs.stem if index < rows - 1 else self.signs.blank
            lines += self._step(head, " " * self.label_cells + stem, wave[index])
        return lines

    def _step(self, head: str, stem: str, position: int) -> list[str]:
        step = self.outline.steps[position]
        name = self._column(step.id or NO_ID, self.id_cells)
        if self.statuses is not None:
            status = status_of(self.statuses, step)
            name = f"{STATUS_MARKS[status][self.ascii]} {name}  {pad_cells(status, _MAX_STATUS_CELLS)}"
        line = f"{head}{name}  {self._column(step.tool, self.tool_cells)}"
        if self.note_cells:
            line += "  " + self._column(step.description, self.note_cells)
        lines = [self._fit(line)]
        if sources := self._sources(position, MAX_SOURCES_NAMED):
            if cells(line) + 2 + cells(sources) <= self.width:
                lines[0] += "  " + sources
            else:
                lines.append(self._sources_line(f"{stem}  ", position))
        lines += [self._fit(f"{stem}  {note}") for note in self._notes(step)]
        return lines

    def _note_cells(self) -> int:
        """The columns for descriptions; where both would be cramped, the sources get lines of their own."""
        taken = self.label_cells + 3 + self.id_cells + 2 + self.tool_cells + 2
        if self.statuses is not None:
            taken += _MAX_STATUS_CELLS + 4
        longest = max((cells(step.description) for step in self.outline.steps), default=0)
        beside = self.width - taken - _SOURCES_CELLS
        room = beside if beside >= min(longest, _MIN_NOTE_CELLS) else self.width - taken
        return max(0, min(longest, room))

    def _column(self, text: str, room: int) -> str:
        return pad_cells(fit_cells(text, room, self.signs.ellipsis), room)

    def _sources_line(self, stem: str, position: int) -> str:
        """The sources on a line of their own: as many as fit, the rest counted."""
        for most in range(MAX_SOURCES_NAMED, 0, -1):
            line = stem + self._sources(position, most)
            if cells(line) <= self.width:
                return line
        return self._fit(stem + self._sources(position, 1))

    def _sources(self, position: int, most: int) -> str:
        kinds = ((self.signs.from_, self.data_sources), (self.signs.after, self.order_sources))
        said = [f"{sign} {name_some(sources[position], most)}" for sign, sources in kinds if position in sources]
        return "  ".join(said)

    def _notes(self, step: DrawnStep) -> list[str]:
        return [note if note.startswith(("when", "for each")) else f"! {note}" for note in step.notes]
