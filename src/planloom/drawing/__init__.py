"""Drawings of plans and runs: text for a terminal, Mermaid, SVG. Pure functions that return text.

    outline   a plan read for drawing, however broken it is        words    untrusted text made fit to draw
    text      plan_text                                            look     colours, style sheet, state marks
    mermaid   plan_mermaid                                         canvas   SVG elements, escaped and cut to size
    svg       plan_svg: cards, layout, heights, bands; summary     timeline timeline_svg: the bars of a run

Imports only `planloom.plan`. No I/O, no clock: the same plan gives the same drawing.
"""

from __future__ import annotations

from planloom.drawing.mermaid import plan_mermaid
from planloom.drawing.svg import MAX_DRAWN_STEPS, plan_svg
from planloom.drawing.text import plan_text
from planloom.drawing.timeline import MAX_TIMELINE_ROWS, timeline_svg

__all__ = [
    "MAX_DRAWN_STEPS",
    "MAX_TIMELINE_ROWS",
    "plan_mermaid",
    "plan_svg",
    "plan_text",
    "timeline_svg",
]
