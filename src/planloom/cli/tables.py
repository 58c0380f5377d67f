"""Tables for people, on stdout: as wide as the terminal, plain where there is none. Cells are untrusted text.

Rule: nothing is cut. Numbers and names keep to one line, text wraps between words, and a table for which the screen is
too narrow becomes records: one row below the other, a line per column.
"""

from __future__ import annotations

import re
import textwrap
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Final, Literal

from rich.cells import cell_len

from planloom.cli.terminal import Terminal, paint
from planloom.cli.text import visible

_GAP: Final = 3
"""Cells between two columns: a line or the room for one, and padding on either side."""
MIN_TEXT_CELLS: Final = 16
"""Text in narrower columns is a tower of single words."""
_BEYOND: Final = 60
"""Cells for text beside a word that is wider than the table should be, where there is no screen to keep to."""
_WORD: Final = re.compile(r"\s*\S+\s*")


@dataclass(frozen=True, slots=True)
class Column:
    """One column. Its cells keep to their lines, unless it `wraps`, between words."""

    name: str
    style: Literal["", "bold"] = ""
    align: Literal["left", "right"] = "left"
    wraps: bool = False


def table_text(columns: Sequence[Column], rows: Sequence[Sequence[str]], terminal: Terminal) -> str:
    """Return a table, or records where it does not fit, as text that ends with a newline."""
    cells = [[visible(cell).replace("\t", " ") for cell in row] for row in rows]
    least = [
        _longest([column.name, *(row[place] for row in cells)], by_word=column.wraps)
        for place, column in enumerate(columns)
    ]
    needed = sum(least) + _GAP * (len(columns) - 1)
    if terminal.data_is_terminal and needed > terminal.width:
        return "".join(_record(columns, row, terminal) for row in cells)
    room = terminal.width if needed <= terminal.width else needed + _BEYOND
    widths = _widths(columns, cells, least, room)
    return "".join(_drawn(columns, cells, widths, terminal))


def _widths(columns: Sequence[Column], cells: Sequence[Sequence[str]], least: Sequence[int], room: int) -> list[int]:
    """How wide each column is: as its longest line, but those that wrap share what room there is."""
    longest = [
        _longest([column.name, *(row[place] for row in cells)], by_word=False) if column.wraps else least[place]
        for place, column in enumerate(columns)
    ]
    room -= _GAP * (len(columns) - 1)

    def capped(cap: int) -> list[int]:
        return [max(low, min(high, cap)) for low, high in zip(least, longest, strict=True)]

    caps = range(1, max(longest) + 1)
    return capped(bisect_left(caps, True, key=lambda cap: sum(capped(cap)) > room))


def _drawn(
    columns: Sequence[Column], cells: Sequence[Sequence[str]], widths: Sequence[int], terminal: Terminal
) -> Iterator[str]:
    """Yield the lines of a table: its head, a rule, and the rows, each as high as its highest cell.

    It is drawn here because rich takes half a millisecond for a row, which is seconds for a long list of runs.
    """
    between, rule = ("   ", "─") if terminal.is_unicode else (" | ", "-")
    has_colour = terminal.data_has_colour

    def line(texts: Sequence[str], styles: Sequence[str]) -> str:
        parts: list[str] = []
        for column, text, width, style in zip(columns, texts, widths, styles, strict=True):
            padding = " " * (width - cell_len(text))
            shown = paint(text, style) if style and text and has_colour else text
            parts.append(padding + shown if column.align == "right" else shown + padding)
        return between.join(parts).rstrip() + "\n"

    yield line([column.name for column in columns], ["bold"] * len(columns))
    yield (rule * _GAP if terminal.is_unicode else "-+-").join(rule * width for width in widths) + "\n"
    styles = [column.style for column in columns]
    for row in cells:
        folded = [
            _folded(cell, width) if column.wraps else cell.split("\n")
            for column, cell, width in zip(columns, row, widths, strict=True)
        ]
        for texts in zip_longest(*folded, fillvalue=""):
            yield line(texts, styles)


def _folded(text: str, width: int) -> list[str]:
    """Break text between words into lines of at most `width` cells; no word is wider."""
    lines: list[str] = []
    for whole in text.split("\n"):
        line = ""
        for word in _WORD.findall(whole):
            if line and cell_len(line + word.rstrip()) > width:
                lines.append(line.rstrip())
                line = ""
            is_too_wide = not line and cell_len(word.rstrip()) > width
            line += word.lstrip() if is_too_wide else word  # rather no indent than a line that is too long
        lines.append(line.rstrip())
    return lines


def _longest(texts: Sequence[str], *, by_word: bool) -> int:
    """The width of the longest line; of text that wraps, what it needs to be readable."""
    lines = max(cell_len(line) for text in texts for line in text.split("\n"))
    if not by_word:
        return lines
    return max(min(lines, MIN_TEXT_CELLS), *(cell_len(word) for text in texts for word in [*text.split(), ""]))


def _record(columns: Sequence[Column], row: Sequence[str], terminal: Terminal) -> str:
    """One row as lines: the first cell, and below it every other that says something, with its column's name."""
    head, *rest = row
    names = max((cell_len(column.name) for column in columns[1:]), default=0)
    lines = [paint(head, "bold") if terminal.data_has_colour else head]
    for column, cell in zip(columns[1:], rest, strict=True):
        start = f"  {column.name.ljust(names)}  "
        for line in _wrapped(cell, terminal.width - len(start)):
            lines.append((start + line).rstrip())
            start = " " * len(start)
    return "\n".join(lines) + "\n"


def _wrapped(cell: str, width: int) -> Iterator[str]:
    for line in cell.splitlines():
        yield from textwrap.wrap(line, max(1, width), break_long_words=False, break_on_hyphens=False)
