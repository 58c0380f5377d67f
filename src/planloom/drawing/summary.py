"""The summary of a plan too large to draw step by step: one box per wave, or per group of waves.

A box shows how many steps it stands for, in which states they are, and their most frequent tools.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from planloom.drawing.canvas import Canvas, LegendItem, status_items
from planloom.drawing.outline import STATUSES, Outline, describe, facts
from planloom.drawing.words import count

MAX_SUMMARY_BOXES: Final = 40
"""Boxes in a summary; with more waves than that, a box stands for several."""
MAX_TOOLS_NAMED: Final = 4

_WIDTH_PX: Final = 860.0
_HEIGHT_PX: Final = 46.0
_GAP_PX: Final = 16.0
_HEADER_PX: Final = 34.0
_BAR_X_PX: Final = 210.0
_BAR_PX: Final = 250.0
_TOOLS_X_PX: Final = 480.0


@dataclass(frozen=True, slots=True)
class _Group:
    name: str
    steps: list[int]
    is_blocked: bool


def summary_svg(outline: Outline, statuses: Sequence[str] | None) -> str:
    """Return the summary as SVG text; `statuses` holds one state per step, or is None."""
    canvas = Canvas()
    groups = _groups(outline)
    unit = "a wave" if len(groups) >= len(outline.waves) else "a group of waves"
    note = f"Too large to draw step by step: each box sums up {unit}."
    canvas.text(note, 0, 12, _WIDTH_PX, "pl-note", 12)
    largest = max(len(group.steps) for group in groups)
    for number, group in enumerate(groups):
        y = _HEADER_PX + number * (_HEIGHT_PX + _GAP_PX)
        _draw_group(canvas, group, y, largest, outline, statuses)
        if number:
            canvas.add(f'<path class="pl-edge" d="M24 {y - _GAP_PX:.1f}v{_GAP_PX - 2:g}"/>')
            canvas.add(f'<path class="pl-tip" d="M24 {y:.1f}l-4.5-8h9Z"/>')
    bottom = _HEADER_PX + len(groups) * (_HEIGHT_PX + _GAP_PX)
    items = [LegendItem(facts(outline)), LegendItem(count(len(outline.edges), "dependency", "dependencies"))]
    if statuses is not None:
        counted = Counter(statuses)
        items += status_items((status, counted[status]) for status in STATUSES if counted[status])
    height = canvas.legend(items, bottom + 4, _WIDTH_PX)
    words = f"{note} {describe(outline, statuses)}"
    return canvas.finish(_WIDTH_PX, height, outline.goal or "Plan", words, statuses or (), has_wrong=True)


def _groups(outline: Outline) -> list[_Group]:
    boxes = MAX_SUMMARY_BOXES - outline.is_blocked
    size = max(1, -(-outline.blocked_from // boxes))
    groups: list[_Group] = []
    for first in range(0, outline.blocked_from, size):
        last = min(first + size, outline.blocked_from)
        name = f"wave {first + 1:,}" if last == first + 1 else f"waves {first + 1:,} to {last:,}"
        groups.append(_Group(name, [step for wave in outline.waves[first:last] for step in wave], False))
    if outline.is_blocked:
        blocked = [step for wave in outline.waves[outline.blocked_from :] for step in wave]
        groups.append(_Group("blocked by a circle", blocked, True))
    return groups


def _draw_group(
    canvas: Canvas, group: _Group, y: float, largest: int, outline: Outline, statuses: Sequence[str] | None
) -> None:
    canvas.rect(0, y, _WIDTH_PX, _HEIGHT_PX, "pl-card", 9)
    name_style = "pl-id pl-wrong" if group.is_blocked else "pl-id"
    canvas.text(group.name, 14, y + 20, _BAR_X_PX - 28, name_style, 13, "bold")
    canvas.text(count(len(group.steps), "step"), 14, y + 36, _BAR_X_PX - 28, "pl-small", 11)
    width = max(3.0, _BAR_PX * len(group.steps) / largest)
    if statuses is None:
        canvas.rect(_BAR_X_PX, y + 17, width, 12, "pl-amount", 3)
    else:
        counted = Counter(statuses[step] for step in group.steps)
        x = _BAR_X_PX
        for status in STATUSES:
            part = width * counted[status] / len(group.steps)
            if part:
                canvas.rect(x, y + 17, part, 12, f"pl-bar pl-{status}")
            x += part
    tools = Counter(outline.steps[step].tool for step in group.steps)
    ranked = sorted(tools.items(), key=lambda item: (-item[1], item[0]))
    named = [f"{tool} × {number:,}" for tool, number in ranked[:MAX_TOOLS_NAMED]]
    if len(tools) > MAX_TOOLS_NAMED:
        named.append(f"and {count(len(tools) - MAX_TOOLS_NAMED, 'other')}")
    canvas.text(", ".join(named), _TOOLS_X_PX, y + 27, _WIDTH_PX - _TOOLS_X_PX - 14, "pl-tool", 11, "mono")
