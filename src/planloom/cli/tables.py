"""Tables for people, on stdout: as wide as the terminal, plain where there is none. Cells are untrusted text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from typing import Literal

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from planloom.cli.terminal import Terminal
from planloom.cli.text import visible


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `share` is its part of the room that is left; None keeps it as wide as its cells."""

    name: str
    style: str = ""
    align: Literal["left", "right"] = "left"
    share: int | None = None
    is_whole: bool = False
    """Never break its cells into lines."""


def table_text(columns: Sequence[Column], rows: Sequence[Sequence[str]], terminal: Terminal, title: str = "") -> str:
    """Return a table as text that ends with a newline."""
    table = Table(
        box=box.SIMPLE_HEAD if terminal.is_unicode else box.ASCII2,
        title=Text(visible(title), style="bold") if title else None,
        title_justify="left",
        pad_edge=False,
        show_edge=False,
        header_style="bold",
    )
    for column in columns:
        table.add_column(
            Text(visible(column.name)),
            style=column.style,
            justify=column.align,
            ratio=column.share,
            overflow="fold",
            no_wrap=column.is_whole,
            min_width=min(6, len(column.name)),
        )
    for row in rows:
        table.add_row(*[Text(visible(cell)) for cell in row])
    return render(table, terminal)


def render(renderable: object, terminal: Terminal) -> str:
    """Return anything that rich can draw as text, with colours where stdout wants them."""
    written = StringIO()
    console = Console(
        file=written,
        width=terminal.width,
        force_terminal=terminal.data_has_colour,
        no_color=not terminal.data_has_colour,
        color_system="auto" if terminal.data_has_colour else None,
        highlight=False,
        markup=False,
        emoji=False,
        legacy_windows=False,
    )
    console.print(renderable)
    return "\n".join(line.rstrip() for line in written.getvalue().splitlines()) + "\n"
