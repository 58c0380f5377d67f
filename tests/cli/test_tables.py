"""Tables on screens of every width: what does not fit becomes records, and nothing is ever cut."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from rich.cells import cell_len

from planloom.cli.tables import Column, table_text

COLUMNS = [
    Column("column", style="bold"),
    Column("min", align="right"),
    Column("median", align="right"),
    Column("note", wraps=True),
]
ROWS = [
    ["revenue", "-5,028", "10,200", "Southampton and Birmingham are far apart"],
    ["東京の売上", "1.2e+17", "", ""],
]
WORDS = ["revenue", "東京の売上", "-5,028", "10,200", "1.2e+17", "Southampton", "Birmingham"]


def shown(width: int, *, is_terminal: bool = True, is_unicode: bool = True, rows: Any = ROWS) -> str:
    terminal: Any = SimpleNamespace(
        width=width, data_is_terminal=is_terminal, data_has_colour=False, is_unicode=is_unicode
    )
    return table_text(COLUMNS, rows, terminal)


@pytest.mark.parametrize("is_unicode", [True, False])
@pytest.mark.parametrize("width", [40, 41, 50, 60, 80, 120])
def test_nothing_is_cut(width: int, is_unicode: bool) -> None:
    """Every name and number stands on one line in full, and no line is wider than the screen."""
    text = shown(width, is_unicode=is_unicode)
    assert [] == [word for word in WORDS if word not in text]
    assert max(map(cell_len, text.splitlines())) <= width


def test_records() -> None:
    """Where the screen is too narrow each row is a record, without the cells that say nothing."""
    expected = """\
revenue
  min     -5,028
  median  10,200
  note    Southampton and Birmingham are
          far apart
東京の売上
  min     1.2e+17
"""
    assert expected == shown(40)


def test_a_name_wider_than_the_screen() -> None:
    """It is left to the terminal to break it."""
    assert "x" * 90 + "\n" in shown(40, rows=[["x" * 90, "1", "2", "y" * 90]])
    assert "y" * 90 + "\n" in shown(40, rows=[["x" * 90, "1", "2", "y" * 90]])


def test_no_terminal() -> None:
    """A pipe or a file has no width: the table stays a table, as wide as it must be."""
    lines = shown(100, is_terminal=False, rows=[["x" * 90, "1,234,567", "2", "y" * 90]]).splitlines()
    assert 3 == len(lines)
    assert ["x" * 90, "1,234,567", "2", "y" * 90] == lines[2].split()


def test_no_rows() -> None:
    """The head alone."""
    assert ["column", "min", "median", "note"] == shown(80, rows=[]).splitlines()[0].split()
