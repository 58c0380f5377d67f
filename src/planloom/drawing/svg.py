"""A plan as a self-contained SVG: cards in waves from left to right, lines for what waits for what.

Pure: the same plan and states give the same text. Nothing is fetched, no script, no ids; several drawings may
stand in one page. Every plan can be drawn, also one with circles or unknown steps.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from planloom.drawing.bands import Placement, place
from planloom.drawing.canvas import Canvas, LegendItem, content_width, status_items
from planloom.drawing.cards import CHIP_RISE_PX, MAX_ROOMY_STEPS, Card, cards_of, draw_card
from planloom.drawing.layout import Layout, TooManyPointsError, lay_out
from planloom.drawing.outline import STATUSES, Edge, Outline, describe, facts, outline_of, status_of
from planloom.drawing.summary import summary_svg

if TYPE_CHECKING:
    from planloom.plan.model import Plan

MAX_DRAWN_STEPS: Final = 500
"""Steps that are drawn one by one; a larger plan is drawn as a summary of its waves."""
MAX_DRAWN_EDGES: Final = 3_000
"""Dependencies that are drawn one by one."""

_ROOMY_GAP_PX: Final = 28.0
_COMPACT_GAP_PX: Final = 16.0
_HEADER_PX: Final = 32.0
_BACKWARD_SHIFT_PX: Final = -11.0
_LEGEND_TOP_PX: Final = 24.0


def plan_svg(plan: Plan, statuses: Mapping[str, str] | None = None) -> str:
    """Return the plan as SVG text, to be written to a file or put into a page as it is.

    `statuses` maps step ids to states ("succeeded", "failed" …); a step that it leaves out is pending. Without
    it no states are shown. Above `MAX_DRAWN_STEPS` steps or `MAX_DRAWN_EDGES` dependencies, or with too many
    long dependencies to follow, the waves are summed up. Never raises, however broken the plan is.
    """
    outline = outline_of(plan)
    known = [status_of(statuses, step) for step in outline.steps] if statuses is not None else None
    if not outline.steps:
        return _nothing_svg(outline)
    if len(outline.steps) > MAX_DRAWN_STEPS or len(outline.edges) > MAX_DRAWN_EDGES:
        return summary_svg(outline, known)
    cards = cards_of(outline, has_marks=known is not None)
    drawn = [edge for edge in outline.edges if edge.source != edge.target]
    pairs = [(edge.target, edge.source) if edge.is_backward else (edge.source, edge.target) for edge in drawn]
    heights = [card.height for card in cards]
    gap = _ROOMY_GAP_PX if len(cards) <= MAX_ROOMY_STEPS else _COMPACT_GAP_PX
    try:
        layout = lay_out(outline.waves, heights, pairs, gap)
    except TooManyPointsError:
        return summary_svg(outline, known)
    widths = [cards[wave[0]].width for wave in outline.waves]
    shifts = [_BACKWARD_SHIFT_PX if edge.is_backward else 0.0 for edge in drawn]
    placement = place(layout, widths, heights, shifts, _HEADER_PX)
    return _Drawing(outline, known, cards, layout, placement, dict(zip(drawn, placement.pieces, strict=True))).run()


def _nothing_svg(outline: Outline) -> str:
    canvas = Canvas()
    words = "This plan has no steps."
    canvas.text(words, 0, 16, content_width(0.0), "pl-note", 12)
    return canvas.finish(content_width(0.0), 24.0, outline.goal or "Plan", words)


class _Drawing:
    """One plan drawn on one canvas."""

    def __init__(
        self,
        outline: Outline,
        statuses: list[str] | None,
        cards: list[Card],
        layout: Layout,
        placement: Placement,
        pieces: dict[Edge, list[str]],
    ) -> None:
        self.outline, self.statuses, self.cards = outline, statuses, cards
        self.layout, self.placement, self.pieces = layout, placement, pieces
        self.canvas = Canvas()

    def run(self) -> str:
        width = content_width(self.placement.width)
        self._waves()
        self._edges()
        for position, card in enumerate(self.cards):
            x, y = self._corner(position)
            draw_card(self.canvas, card, x, y, self.statuses[position] if self.statuses is not None else "")
        height = self._legend(width)
        return self.canvas.finish(
            width,
            height,
            self.outline.goal or "Plan",
            describe(self.outline, self.statuses),
            self.statuses or (),
            has_wrong=True,
        )

    def _waves(self) -> None:
        for number, column in enumerate(self.placement.columns):
            blocked = number >= self.outline.blocked_from
            words = "blocked" if blocked else f"wave {number + 1}"
            style = "pl-wave pl-wrong" if blocked else "pl-wave"
            self.canvas.text(words, column.x + 1, column.top + 11, column.width, style, 11)

    def _edges(self) -> None:
        """Draw every piece of a line once, in the strongest of its kinds, then the arrow heads."""
        kind_of: dict[str, tuple[bool, bool]] = {}
        tips: dict[str, bool] = {}
        for edge in self.outline.edges:
            kind = edge.in_circle, edge.carries_data
            for piece in self.pieces[edge] if edge.source != edge.target else [self._loop(edge.target)]:
                kind_of[piece] = max(kind, kind_of.get(piece, kind))
            tip = self._tip(edge)
            tips[tip] = tips.get(tip, False) or edge.in_circle
        for in_circle, carries_data in ((False, False), (False, True), (True, False), (True, True)):
            path = "".join(piece for piece, kind in kind_of.items() if kind == (in_circle, carries_data))
            kinds = ("" if carries_data else " pl-order") + (" pl-circle" if in_circle else "")
            if path:
                self.canvas.add(f'<path class="pl-edge{kinds}" d="{path}"/>')
        for in_circle in (False, True):
            if path := "".join(tip for tip, red in tips.items() if red == in_circle):
                self.canvas.add(f'<path class="pl-tip{" pl-circle" if in_circle else ""}" d="{path}"/>')

    def _loop(self, position: int) -> str:
        x, y = self._corner(position)
        card = self.cards[position]
        return f"M{x + card.width - 52:.1f} {y + card.height:.1f}c0 20 34 20 34 4"

    def _tip(self, edge: Edge) -> str:
        """The arrow head; that of a line that closes a circle points back to the left."""
        x, y = self._corner(edge.target)
        card = self.cards[edge.target]
        middle = y + card.height / 2
        if edge.source == edge.target:
            return f"M{x + card.width - 18:.1f} {y + card.height:.1f}l-4.5 8h9Z"
        if edge.is_backward:
            return f"M{x + card.width:.1f} {middle + _BACKWARD_SHIFT_PX:.1f}l8-4.5v9Z"
        return f"M{x:.1f} {middle:.1f}l-8-4.5v9Z"

    def _corner(self, position: int) -> tuple[float, float]:
        column = self.placement.columns[self.layout.layer_of[position]]
        return column.x, self.placement.y[position] - self.cards[position].height / 2

    def _legend(self, width: float) -> float:
        items = [LegendItem(facts(self.outline))]
        if self.statuses is not None:
            counted = Counter(self.statuses)
            items += status_items((status, counted[status]) for status in STATUSES if counted[status])
        if len({edge.carries_data for edge in self.outline.edges}) == 2:
            items.append(_line_item("uses the output", "pl-edge"))
            items.append(_line_item("only waits", "pl-edge pl-order"))
        if self.outline.is_blocked:
            items.append(_line_item("wait for each other", "pl-edge pl-circle"))
        return self.canvas.legend(items, self.placement.height + CHIP_RISE_PX + _LEGEND_TOP_PX, width)


def _line_item(words: str, style: str) -> LegendItem:
    return LegendItem(words, f'<path class="{style}" d="M1 0H25"/>', 32.0)
