"""What reading a file must not do in silence: fill empty cells, shift times, take thousands for decimals."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import duckdb
import pytest

from planloom import ToolContext
from planloom.analysis.tables import table_path

Load = Callable[..., dict[str, Any]]


@pytest.fixture
def cells(load: Load, context: ToolContext) -> Callable[[str], tuple[list[list[Any]], str]]:
    """Load a text and give its columns below `id`, a list each, and all decisions."""

    def read(content: str, name: str = "table.csv") -> tuple[list[list[Any]], str]:
        table = load(content, name=name)
        path = table_path(cast("Any", table), Path(context.workdir))
        rows = duckdb.connect().execute("SELECT * FROM read_parquet(?)", [str(path)]).fetchall()
        return [list(column) for column in zip(*rows, strict=True)], "\n".join(table["decisions"])

    return read


Cells = Callable[..., tuple[list[list[Any]], str]]

KINDS = {
    "boolean": ["true", "False"],
    "integer": ["1", "2"],
    "number": ["1.5", "-2e3"],
    "english": ["1,234.5", "2,000.25"],
    "european": ["1.234,5", "2.000,25"],
    "date": ["2024-01-05", "2024-02-05"],
    "timestamp": ["2024-01-05 10:00:00", "2024-02-05 11:30:00"],
    "zoned": ["2024-01-05T10:00:00+02:00", "2024-02-05T11:30:00+02:00"],
    "slashed": ["01/25/2024", "01/26/2024"],
    "slashed with a time": ["01/25/2024 10:00", "01/26/2024 11:00"],
    "time": ["10:00", "11:30"],
    "text": ["x", "y"],
}


@pytest.mark.parametrize("kind", KINDS)
def test_empty_cell_is_missing(kind: str, cells: Cells) -> None:
    """An empty cell is missing in every kind of column, also where another column makes the file be read twice."""
    first, second = KINDS[kind]
    content = f'id;b;odd\n1;"{first}";5\n2;;NA\n3;"{second}";6\n'
    (_, found, _), _ = cells(content)
    assert [False, True, False] == [value is None for value in found]


THOUSANDS = {
    "thousands": (["1.000", "2.037", "3.141", "12.500"], [1000, 2037, 3141, 12500]),
    "thousands and hundreds": (["1.000", "2.037", "999", "12.500"], [1000, 2037, 999, 12500]),
    "a number that is no thousand": (["1.000", "2.037", "3.14", "12.500"], [1.0, 2.037, 3.14, 12.5]),
    "below one": (["0.125", "1.250", "1.375", "1.500"], [0.125, 1.25, 1.375, 1.5]),
}


@pytest.mark.parametrize("above", [4, 1600])
@pytest.mark.parametrize("name", THOUSANDS)
def test_points_beside_decimal_commas(name: str, above: int, cells: Cells) -> None:
    """Where other columns have decimal commas a point separates thousands, if every value can be read so."""
    written, expected = THOUSANDS[name]
    rows = "".join(f"s{row};{written[row % 4]};{row % 7},{row % 10}\n" for row in range(above))
    (_, found, margins), said = cells("shop;revenue;margin\n" + rows)
    assert expected * (above // 4) == found
    assert [float(f"{row % 7}.{row % 10}") for row in range(above)] == margins
    assert ("`revenue`: the points" in said) == (expected[0] == 1000)


def test_points_without_decimal_commas(cells: Cells) -> None:
    """Without a column of decimal commas `1.000` is one."""
    (_, found), said = cells("shop;x\na;1.000\nb;2.037\n")
    assert [1.0, 2.037] == found
    assert "thousands" not in said


def test_small_numbers_with_a_comma(cells: Cells) -> None:
    """`0,125` is never a number of thousands."""
    (_, found), _ = cells("shop;x\na;0,125\nb;0,250\nc;0,500\n")
    assert [0.125, 0.25, 0.5] == found


# name: (cells, the times kept as text, a piece of the sentence; empty: none is due)
ZONES = {
    "one offset": (["2024-03-01T00:30:00+02:00", "2024-03-02T12:00:00+0200"],
        ["2024-03-01 00:30:00", "2024-03-02 12:00:00"], "with the zone +02:00, so the times were kept"),
    "a named zone": (["2024-03-01 00:30:00 Europe/Berlin", "2024-08-02 12:00:00 Europe/Berlin"],
        ["2024-03-01 00:30:00", "2024-08-02 12:00:00"], "with the zone Europe/Berlin"),
    "UTC": (["2024-03-01T00:30:00Z", "2024-03-02 12:00:00+00"],
        ["2024-03-01 00:30:00", "2024-03-02 12:00:00"], "with the zone UTC"),
    "two offsets": (["2024-03-01T00:30:00+02:00", "2024-03-02T12:00:00-05:00"],
        ["2024-02-29 22:30:00", "2024-03-02 17:00:00"], "(`+02:00`, `-05:00`) were turned into UTC"),
    "an offset here and there": (["2024-03-01T00:30:00+02:00", "2024-03-02 12:00:00"],
        ["2024-02-29 22:30:00", "2024-03-02 12:00:00"], "1 without a zone were taken to be UTC"),
    "no zone": (["2024-03-01 00:30:00", "2024-03-02T12:00:00"], ["2024-03-01 00:30:00", "2024-03-02 12:00:00"], ""),
}  # fmt: skip


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("name", ZONES)
def test_time_zones(name: str, late: bool, cells: Cells) -> None:
    """Times of one zone are kept as written, of several turned into UTC; both are said, also far below the top."""
    written, expected, piece = ZONES[name]
    above = [written[0]] * 1500 if late else []
    (_, found), said = cells("id,t\n" + "".join(f"{n},{cell}\n" for n, cell in enumerate([*above, *written])))
    assert expected == [str(time) for time in found[-2:]]
    assert (piece in said) if piece else "zone" not in said


JSON_LINES = {
    "beyond 64 bits": ([f'{{"id": {2**70 + number}}}' for number in range(30)], "more than 15 digits in `id`"),
    "NaN": (['{"x": 1.5}', '{"x": NaN}', '{"x": 2.5}'], "1 infinite or NaN cell read as missing, in `x`"),
    "letter case": (['{"a": 1, "A": 2}', '{"a": 3, "A": 4}'], "letter case only have a number behind them: `A_1`"),
    "zones": (['{"t": "2024-03-01T00:30:00+02:00"}'] * 3, "`t`: times written with a zone were turned into UTC"),
    "a number of its own": (['{"a": 1, "a_1": 2.5}'], ""),
}


@pytest.mark.parametrize("name", JSON_LINES)
def test_json_changes_are_said(name: str, load: Load) -> None:
    """Numbers that were rounded or are none, and keys that got another name, are said."""
    lines, piece = JSON_LINES[name]
    said = "\n".join(load("\n".join(lines), name="table.jsonl")["decisions"])
    assert piece in said
    assert bool(piece) == (said.count("\n") > 1)
