"""An SVG in the making: elements in order, every text escaped and cut to its room.

The only place that writes SVG text and the root element. It does not know what it draws.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from planloom.drawing.look import ROOT_CLASS, status_mark, style_of
from planloom.drawing.words import Face, escape_xml, fit_px, is_measurable, width_px

MARGIN_PX: Final = 20.0
_LEGEND_LINE_PX: Final = 20.0
_LEGEND_GAP_PX: Final = 18.0
_LEGEND_SIZE_PX: Final = 11.0
_MIN_WIDTH_PX: Final = 320.0


@dataclass
class Canvas:
    """Collects elements; `finish` wraps them up. Coordinates start inside the margin."""

    parts: list[str] = field(default_factory=list[str])

    def add(self, element: str) -> None:
        """Add one element that is already escaped."""
        self.parts.append(element)

    def text(
        self, words: str, x: float, y: float, room_px: float, style: str, size_px: float, face: Face = "plain"
    ) -> float:
        """Add one line with its left end and base line at x, y, cut to `room_px`; return the width it takes."""
        shown = fit_px(words, room_px, size_px, face)
        if not shown:
            return 0.0
        width = width_px(shown, size_px, face)
        # a script whose width nobody can foretell is fitted by the viewer
        length = "" if is_measurable(shown) else f' textLength="{width:.1f}" lengthAdjust="spacingAndGlyphs"'
        self.add(f'<text class="{style}" x="{x:.1f}" y="{y:.1f}"{length}>{escape_xml(shown)}</text>')
        return width

    def rect(self, x: float, y: float, width: float, height: float, style: str, radius: float = 0.0) -> None:
        """Add a rectangle."""
        rounded = f' rx="{radius:g}"' if radius else ""
        self.add(
            f'<rect class="{style}" x="{x:.1f}" y="{y:.1f}" width="{max(0.0, width):.1f}" '
            f'height="{max(0.0, height):.1f}"{rounded}/>'
        )

    def legend(self, items: Sequence[LegendItem], y: float, width: float) -> float:
        """Set the items in lines at most `width` wide, the first line's top at `y`; return the bottom."""
        x = 0.0
        for item in items:
            needed = item.sample_px + width_px(item.words, _LEGEND_SIZE_PX)
            if x and x + needed > width:
                x, y = 0.0, y + _LEGEND_LINE_PX
            if item.sample:
                self.add(f'<g transform="translate({x:.1f} {y + 10:.1f})">{item.sample}</g>')
            room = width - x - item.sample_px
            self.text(item.words, x + item.sample_px, y + 14, room, item.style, _LEGEND_SIZE_PX)
            x += needed + _LEGEND_GAP_PX
        return y + _LEGEND_LINE_PX if items else y

    def finish(
        self,
        width: float,
        height: float,
        title: str,
        description: str,
        statuses: Iterable[str] = (),
        *,
        has_wrong: bool = False,
    ) -> str:
        """Return the whole SVG; `width` and `height` are those of the content without the margin."""
        full_width, full_height = width + 2 * MARGIN_PX, height + 2 * MARGIN_PX
        size = f"{full_width:.0f}", f"{full_height:.0f}"
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" class="{ROOT_CLASS}" role="img" '
            f'width="{size[0]}" height="{size[1]}" viewBox="0 0 {size[0]} {size[1]}">'
            f"<title>{escape_xml(title)}</title><desc>{escape_xml(description)}</desc>"
            f"<style>{style_of(statuses, has_wrong=has_wrong)}</style>"
            f'<rect class="pl-paper" width="{size[0]}" height="{size[1]}" rx="12"/>'
            f'<g transform="translate({MARGIN_PX:g} {MARGIN_PX:g})">{"".join(self.parts)}</g></svg>\n'
        )


@dataclass(frozen=True, slots=True)
class LegendItem:
    """One entry under a drawing: an optional sample around 0,0 to the right, then words."""

    words: str
    sample: str = ""
    sample_px: float = 0.0
    style: str = "pl-small"


def status_items(counted: Iterable[tuple[str, int]]) -> list[LegendItem]:
    """Return a legend entry per state with the number of steps in it."""
    return [
        LegendItem(f"{number:,} {status}", f'<g transform="scale(.72)">{status_mark(status, 9, 0)}</g>', 18.0)
        for status, number in counted
    ]


def content_width(width: float) -> float:
    """Return the width that a drawing of this width gets, so that its legend has room."""
    return max(width, _MIN_WIDTH_PX)
