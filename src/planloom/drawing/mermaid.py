"""A plan as a Mermaid flowchart, for pages that draw such charts themselves.

Every name in the chart is ours (`s0`, `s1` …); text of the plan stands in quoted labels only, with all that
Mermaid, Markdown or HTML could read as more than text written as character codes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from planloom.drawing.look import STATUS_COLOURS
from planloom.drawing.outline import DrawnStep, Outline, facts, outline_of, status_of
from planloom.drawing.words import NO_ID, count, fit_cells

if TYPE_CHECKING:
    from planloom.plan.model import Plan

MAX_MERMAID_EDGES: Final = 500
"""Mermaid refuses a chart with more edges, by default."""
MAX_MERMAID_CHARS: Final = 50_000
"""Mermaid refuses a longer chart, by default."""
MAX_MERMAID_WAVES: Final = 200
"""Waves in a summary; the last box stands for the rest."""

_MAX_LABEL_CELLS: Final = 60
_PLAIN: Final = frozenset(" ,.-_/+=!?")


def plan_mermaid(plan: Plan, statuses: Mapping[str, str] | None = None) -> str:
    """Return the plan as Mermaid text, ending with a newline.

    A solid arrow means that the output is used, a dotted one that the step only waits. A step with `when` is a
    hexagon, one with `for_each` a box with double sides. `statuses` maps step ids to states and colours the
    steps. A plan beyond Mermaid's own limits is drawn without descriptions, then as one box per wave.
    """
    outline = outline_of(plan)
    if len(outline.edges) <= MAX_MERMAID_EDGES and len(outline.steps) * 12 <= MAX_MERMAID_CHARS:
        for is_roomy in (True, False):
            text = _chart(outline, statuses, is_roomy)
            if len(text) <= MAX_MERMAID_CHARS:
                return text
    return _summary(outline)


def _chart(outline: Outline, statuses: Mapping[str, str] | None, is_roomy: bool) -> str:
    lines = ["flowchart LR"]
    for position, step in enumerate(outline.steps):
        lines.append(f"    s{position}{_shape(step, is_roomy)}")
    red: list[int] = []
    for number, edge in enumerate(outline.edges):
        arrow = "-->" if edge.carries_data else "-.->"
        lines.append(f"    s{edge.source} {arrow} s{edge.target}")
        if edge.in_circle:
            red.append(number)
    if red:
        colour = STATUS_COLOURS["failed"][0]
        lines.append(f"    linkStyle {','.join(map(str, red))} stroke:{colour},stroke-width:2px")
    if statuses is not None:
        lines += _classes([status_of(statuses, step) for step in outline.steps])
    return "\n".join(lines) + "\n"


def _shape(step: DrawnStep, is_roomy: bool) -> str:
    parts = [step.id or NO_ID]
    if is_roomy and step.description:
        parts.append(step.description)
    if step.tool:
        parts.append(step.tool)
    parts += step.notes
    label = "<br/>".join(_escape(fit_cells(part, _MAX_LABEL_CELLS)) for part in parts)
    if step.for_each:
        return f'[["{label}"]]'
    return f'{{{{"{label}"}}}}' if step.when else f'["{label}"]'


def _escape(text: str) -> str:
    """Write everything but letters, digits and harmless signs as Mermaid's character codes."""
    if "$$" in text:  # would be set as a formula, even from codes
        text = text.replace("$", "$\u200b")
    return "".join(
        character if character.isalnum() or character in _PLAIN else f"#{ord(character)};" for character in text
    )


def _classes(statuses: list[str]) -> list[str]:
    lines: list[str] = []
    for status, (colour, _, tint, _) in STATUS_COLOURS.items():
        members = [f"s{position}" for position, one in enumerate(statuses) if one == status]
        if members:
            dashes = ",stroke-dasharray:5 4" if status == "skipped" else ""
            lines.append(f"    classDef {status} fill:{tint},stroke:{colour},color:#0f172a{dashes}")
            lines.append(f"    class {','.join(members)} {status}")
    return lines


def _summary(outline: Outline) -> str:
    """One box per wave; the chart says what it is in its first box."""
    lines = ["flowchart LR", f'    about["{_escape(facts(outline))}<br/>too large to draw step by step"]']
    sizes = [(f"wave {number + 1}", len(wave)) for number, wave in enumerate(outline.waves[: outline.blocked_from])]
    blocked = sum(map(len, outline.waves[outline.blocked_from :]))
    if len(sizes) > MAX_MERMAID_WAVES:
        rest = sizes[MAX_MERMAID_WAVES - 1 :]
        later = f"waves {MAX_MERMAID_WAVES:,} to {len(sizes):,}", sum(size for _, size in rest)
        sizes = [*sizes[: MAX_MERMAID_WAVES - 1], later]
    if blocked:
        sizes.append(("blocked by a circle", blocked))
    for number, (name, size) in enumerate(sizes):
        lines.append(f'    w{number}["{_escape(name)}<br/>{_escape(count(size, "step"))}"]')
        if number:
            lines.append(f"    w{number - 1} --> w{number}")
    return "\n".join(lines) + "\n"
