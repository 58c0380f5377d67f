"""The card of one step: how large it is, what stands on it and where.

Decides sizes before anything is placed and draws afterwards; knows nothing of edges or waves as such.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil
from typing import Final

from planloom.drawing.canvas import Canvas
from planloom.drawing.look import status_mark
from planloom.drawing.outline import DrawnStep, Outline
from planloom.drawing.words import NO_ID, escape_xml, width_px, wrap_px

MAX_ROOMY_STEPS: Final = 40
"""Up to this many steps the cards show the descriptions and the conditions too."""
CHIP_HEIGHT_PX: Final = 16.0
CHIP_RISE_PX: Final = 11.0
"""How far a chip stands out of its card, above or below."""

_PADDING_PX: Final = 12.0
_MARK_PX: Final = 22.0
_MIN_CARD_PX: Final = 112.0
_MAX_ROOMY_PX: Final = 232.0
_MAX_COMPACT_PX: Final = 188.0
_STEP_PX: Final = 20.0
_RADIUS_PX: Final = 9.0
_ID_PX: Final = 13.0
_NOTE_PX: Final = 12.0
_NOTE_LINE_PX: Final = 16.0
_MAX_NOTE_LINES: Final = 2
_TOOL_PX: Final = 11.0
_CHIP_PX: Final = 10.5
_STACK_PX: Final = 5.0


@dataclass(frozen=True, slots=True)
class Card:
    """One step's card; `width` is that of its whole wave."""

    step: DrawnStep
    width: float
    height: float
    note: tuple[str, ...]
    """The description in lines; empty on compact cards."""
    is_roomy: bool


def cards_of(outline: Outline, *, has_marks: bool) -> list[Card]:
    """Return the card of every step, by position. `has_marks` keeps room for the marks of the states."""
    roomy = len(outline.steps) <= MAX_ROOMY_STEPS
    width_of = [0.0] * len(outline.steps)
    for wave in outline.waves:
        width = _wave_width((outline.steps[position] for position in wave), roomy, has_marks)
        for position in wave:
            width_of[position] = width
    cards: list[Card] = []
    for step, width in zip(outline.steps, width_of, strict=True):
        room = width - 2 * _PADDING_PX
        note = tuple(wrap_px(step.description, room, _NOTE_PX, _MAX_NOTE_LINES)) if roomy else ()
        height = (52.0 if roomy else 44.0) + _NOTE_LINE_PX * len(note)
        cards.append(Card(step, width, height, note, roomy))
    return cards


def _wave_width(steps: Iterable[DrawnStep], roomy: bool, has_marks: bool) -> float:
    wanted = _MIN_CARD_PX
    for step in steps:
        texts = [width_px(step.id, _ID_PX, "bold") + (_MARK_PX if has_marks else 0.0)]
        texts.append(width_px(step.tool, _TOOL_PX, "mono"))
        if roomy:
            texts.append(width_px(step.description, _NOTE_PX))
        texts += [width_px(chip, _CHIP_PX, "bold") + 14 for chip in (_when(step, roomy), _below(step, roomy)[0])]
        wanted = max(wanted, max(texts) + 2 * _PADDING_PX)
    # a few widths only, so that columns of different rows look alike
    return min(_MAX_ROOMY_PX if roomy else _MAX_COMPACT_PX, ceil(wanted / _STEP_PX) * _STEP_PX)


def _when(step: DrawnStep, roomy: bool) -> str:
    return f"when {_plain(step.when)}" if step.when and roomy else "when" if step.when else ""


def _below(step: DrawnStep, roomy: bool) -> tuple[str, bool]:
    """The words on the lower edge, and whether they name something wrong with the step."""
    wrong = ["duplicate id"] if step.is_duplicate else []
    if step.unknown:
        wrong.append("unknown " + ", ".join(step.unknown))
    if wrong:
        return " · ".join(wrong), True
    if not step.for_each:
        return "", False
    return (f"for each {_plain(step.for_each)}" if roomy else "for each"), False


def _plain(expression: str) -> str:
    return " ".join(expression.replace("{{", "").replace("}}", "").split())


def draw_card(canvas: Canvas, card: Card, x: float, y: float, status: str) -> None:
    """Draw a card with its upper left corner at x, y; `status` may be ""."""
    step = card.step
    state = f" pl-{status}" if status else ""
    canvas.add(f'<g class="pl-step{state}"><title>{escape_xml(_tooltip(step, status))}</title>')
    if step.for_each:
        canvas.rect(x + _STACK_PX, y + _STACK_PX, card.width, card.height, f"pl-card{state}", _RADIUS_PX)
    canvas.rect(x, y, card.width, card.height, f"pl-card{state}", _RADIUS_PX)
    left, room = x + _PADDING_PX, card.width - 2 * _PADDING_PX
    line = y + (22 if card.is_roomy else 18)
    canvas.text(step.id or NO_ID, left, line, room - (_MARK_PX if status else 0), "pl-id", _ID_PX, "bold")
    line += 2
    for words in card.note:
        line += _NOTE_LINE_PX
        canvas.text(words, left, line, room, "pl-note", _NOTE_PX)
    canvas.text(step.tool, left, line + 16, room, "pl-tool", _TOOL_PX, "mono")
    if status:
        canvas.add(status_mark(status, x + card.width - 17, y + (17.5 if card.is_roomy else 14.5)))
    if when := _when(step, card.is_roomy):
        _chip(canvas, when, x + 10, y - CHIP_RISE_PX, card.width - 20, "")
    below, is_wrong = _below(step, card.is_roomy)
    if below:
        top = y + card.height - CHIP_HEIGHT_PX + CHIP_RISE_PX
        _chip(canvas, below, x + 10, top, card.width - 20, " pl-wrong" if is_wrong else "")
    canvas.add("</g>")


def _chip(canvas: Canvas, words: str, x: float, y: float, room: float, kind: str) -> None:
    width = min(room, width_px(words, _CHIP_PX, "bold") + 14)
    canvas.rect(x, y, width, CHIP_HEIGHT_PX, "pl-chip" + kind, CHIP_HEIGHT_PX / 2)
    canvas.text(words, x + 7, y + 11.8, width - 13.9, "pl-chip-text" + kind, _CHIP_PX, "bold")


def _tooltip(step: DrawnStep, status: str) -> str:
    lines = [
        f"{step.id} · {status}" if status else step.id,
        step.description,
        f"tool: {step.tool}",
        *step.notes,
    ]
    return "\n".join(line for line in lines if line)
