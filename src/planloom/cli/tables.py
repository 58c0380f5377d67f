"""Tables for people, on stdout: as wide as the terminal, plain where there is none. Cells are untrusted text.

Rule: nothing is cut. Numbers and names keep to one line, text wraps between words, and a table for which the screen is
too narrow becomes records: one row below the other, a line per column.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import StringIO
from typing import Final, Literal

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from planloom.cli.terminal import Terminal, paint
from planloom.cli.text import visible

_GAP: Final = 3
"""Cells between two columns: a line or the room for one, and padding on either side."""
MIN_TEXT_CELLS: Final = 16
"""Text in narrower columns is a tower of single words."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column. Its cells keep to their lines, unless it `wraps`, between words."""

    name: str
    style: Literal["", "bold"] = ""
    align: Literal["left", "right"] = "left"
    wraps: bool = False


def table_text(columns: Sequence[Column], rows: Sequence[Sequence[str]], terminal: Terminal) -> str:
    """Return a table, or records where it does not fit, as text that ends with a newline."""
    cells = [[visible(cell) for cell in row] for row in rows]
    least = [
        _longest([column.name, *(row[place] for row in cells)], by_word=column.wraps)
        for place, column in enumerate(columns)
    ]
    needed = sum(least) + _GAP * (len(columns) - 1)
    if terminal.data_is_terminal and needed > terminal.width:
        return "".join(_record(columns, row, terminal) for row in cells)
    table = Table(
        box=box.SIMPLE_HEAD if terminal.is_unicode else box.ASCII2,
        pad_edge=False,
        show_edge=False,
        header_style="bold",
    )
    for column, width in zip(columns, least, strict=True):
        table.add_column(
            Text(column.name),
            style=column.style,
            justify=column.align,
            overflow="fold",
            no_wrap=not column.wraps,
            min_width=width,
        )
    for row in cells:
        table.add_row(*map(Text, row))
    return _render(table, terminal, max(terminal.width, needed))


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


def _render(table: Table, terminal: Terminal, width: int) -> str:
    """Return what rich draws as text, with colours where stdout wants them."""
    written = StringIO()
    console = Console(
        file=written,
        width=width,
        force_terminal=terminal.data_has_colour,
        no_color=not terminal.data_has_colour,
        color_system="auto" if terminal.data_has_colour else None,
        highlight=False,
        markup=False,
        emoji=False,
        legacy_windows=False,
    )
    console.print(table)
    return "\n".join(line.rstrip() for line in written.getvalue().splitlines()) + "\n"
