"""What a reader of the figures must not miss: columns of more than one kind, totals among the rows, rows left out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from planloom.analysis.clean import read_clean

Load = Callable[..., dict[str, Any]]


def column(cells: Sequence[object]) -> str:
    """A table of a number and the column in question."""
    return "id,x\n" + "".join(f"{number},{cell}\n" for number, cell in enumerate(cells))


DAYS = [f"2024-01-{day:02}" for day in range(1, 29)]
SLASHED = [f"{day:02}/01/2024" for day in range(1, 29)]
AMOUNTS = [number + 0.25 for number in range(20)]

# name: (kind that `x` must have, cells of `x`, pieces that the decisions must hold)
DOUBTFUL: dict[str, tuple[str, Sequence[object], list[str]]] = {
    "a word in ten numbers": ("number", [1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5, 8.5, 9.5, "abc"] * 4,
        ["`x` holds numbers; 4 cells do not fit", "such as `abc`", "10 % of its 40 values"]),
    "two words in twenty numbers": ("integer", [*range(18), "n/a-ish", "abc"], ["such as `abc`, `n/a-ish`"]),
    "a third of words": ("text", [1.5, 2.5, "abc"] * 10,
        ["`x` stays text: 20 of its 30 cells (67 %) read as numbers", "such as `abc`", 'try_cast("x" AS DOUBLE)']),
    "codes among numbers": ("text", [*range(100, 118), "A1", "B2"],
        ["`x` stays text: 18 of its 20 cells (90 %)", "`A1`, `B2`"]),
    "two forms of dates": ("text", [*DAYS, *SLASHED], ["28 as year-month-day, 28 as day/month/year", "try_strptime"]),
    "a few dates in another form": ("text", [*DAYS, *SLASHED[:3]], ["28 as year-month-day, 3 as"]),
    "two currencies": ("text", ["$5", "€7"] * 5, ["mixes currencies (5 with $, 5 with €)", "stays text"]),
    "one currency": ("number", ["$5", "7.5"] * 5, ["left out"]),
    "money and percent": ("text", ["$5", "7%"] * 5, ["mixes amounts of money with percentages"]),
    "percent here and there": ("number", ["5%", "7"] * 5, ["5 of its 10 cells have a % sign"]),
    "numbers after many empty cells": ("integer", [*[""] * 1200, *range(1200)], []),
    "leading zeros far below": ("text", [*range(1200, 2400), "007", "008"], ["kept as text, because leading zeros"]),
    "telephone numbers": ("text", ["+49301234567", "+4930765432"] * 5, ["kept as text, as telephone numbers"]),
    "signed leading zeros": ("text", ["-007", "+01", "12"] * 5, ["kept as text, because leading zeros"]),
    "a telephone number among words": ("text", ["word", "other", "+49301234567", "more"] * 5, []),
    "signs": ("number", ["-0.5", "+1", "-0"] * 5, []),
    "words alone": ("text", ["a", "b"] * 10, []),
}  # fmt: skip


@pytest.mark.parametrize("name", DOUBTFUL)
def test_doubtful_column(name: str, load: Load) -> None:
    """A column of more than one kind is typed only by a clear majority, and the decisions say what it holds."""
    kind, cells, pieces = DOUBTFUL[name]
    table = load(column(cells))
    said = "\n".join(table["decisions"])
    assert kind == table["columns"][1]["type"], said
    assert [] == [piece for piece in pieces if piece not in said], said
    assert bool(pieces) == ("`x`" in said), said
    assert not ("stays text" in said and "kept as text" in said), said


ROWS = "".join(f"x{number},{amount}\n" for number, amount in enumerate(AMOUNTS))
NUMBERED = "".join(f"{number},{amount},{2 * amount}\n" for number, amount in enumerate(AMOUNTS))
DATED = "".join(f"{day},{amount}\n" for day, amount in zip(DAYS, AMOUNTS, strict=False))

# name: (content, whether the last row must be named as a total)
TOTALS: dict[str, tuple[str, bool]] = {
    "Total": (f"name,x\n{ROWS}Total,{sum(AMOUNTS)}\n", True),
    "grand total, a colon": (f"name,x\n{ROWS}Grand total:,{sum(AMOUNTS)}\n", True),
    "Summe": (f"name,x\n{ROWS}Summe,{sum(AMOUNTS)}\n", True),
    "in a column of numbers": (f"id,x,y\n{NUMBERED}Total,{sum(AMOUNTS)},{2 * sum(AMOUNTS)}\n", True),
    "without a word": (f"id,x,y\n{NUMBERED},{sum(AMOUNTS)},{2 * sum(AMOUNTS)}\n", True),
    "a word in a column of dates": (f"day,x\n{DATED}Total,{sum(AMOUNTS)}\n", True),
    "an empty date": (f"day,x\n{DATED},{sum(AMOUNTS)}\n", True),
    "a date of its own": (f"day,x\n{DATED}2024-02-01,{sum(AMOUNTS)}\n", False),
    "a name without the sum": (f"name,x\n{ROWS}Total,7\n", False),
    "the sum with a name of its own": (f"name,x\n{ROWS}Ann,{sum(AMOUNTS)}\n", False),
    "no total": (f"name,x\n{ROWS}", False),
    "too few rows to tell": ("id,x\n1,1\n2,2\n,3\n", False),
}


@pytest.mark.parametrize("name", TOTALS)
def test_total_row(name: str, load: Load) -> None:
    """A last row that sums up the others is kept and named as a probable total; any other row is not."""
    content, is_total = TOTALS[name]
    table = load(content)
    said = [sentence for sentence in table["decisions"] if "is probably a total" in sentence]
    assert is_total == bool(said)
    assert content.count("\n") - 1 == table["rows"]
    assert all(f"row {table['rows']}" in sentence and "`x`" in sentence for sentence in said)


def test_ragged_rows_are_named(load: Load) -> None:
    """Rows with too many or too few cells are counted and named wherever they stand."""
    rows = [f"{number},{number},{number}" for number in range(50)]
    rows[4], rows[20], rows[49] = "1,2,3,4", "1,2,3,4,5", "1,2,3,4"
    rows[7] = "7,7"
    table = load("a,b,c\n" + "\n".join(rows) + "\n")
    said = "\n".join(table["decisions"])
    assert 47 == table["rows"]
    assert "3 rows with more than 3 cells left out" in said
    assert "they were rows 5, 21 and 50 below the header" in said
    assert "1 row with too few cells" in said
    assert "the first was row 8 below the header" in said


# Files that one pass can read, and files with one cell that it must not decide about
CLEAN = {
    "plain": "a,b,c\n1,1.5,x\n2,2.5,y\n",
    "empty cells": "a,b,c\n1,,x\n,2.5,\n",
    "quotes": 'a,b,c\n1,1.5,"x, y"\n2,2.5,"say ""hi"""\n',
    "quoted empty cells": 'a,b,c\n1,"",""\n2,2.5,y\n',
    "dates": "a,b\n1,2024-01-05\n2,2024-02-05\n",
    "long dates": "a,b\n1,2024-01-05 10:00:00\n2,2024-02-05 11:30:00\n",
    "true and false": "a,b\n1,true\n2,False\n",
    "names of months": "a,b\n1,5 Jan 2024\n2,6 Feb 2024\n",
    "underscores": "a_1,b\n1,x_y\n2,z\n",
    "blank lines": "a,b\n1,2\n\n3,4\n",
    "no header": "1,2.5\n3,4.5\n",
    "tabs": "a\tb\n1\tx y\n2\tz\n",
    "carriage returns": "a,b\r\n1,2\r\n3,4\r\n",
    "a column without values": "a,b\n1,\n2,\n",
    "negative": "a,b\n-1,-0.5\n-2,+1e5\n",
}
ODD_CELLS = [
    "007", "-007", "+01", "-00.5", "+49301234567", "1_000", "1e3", "+5", " 5", "5 ", "inf", "nan", "-", "NA",
    "x", "0x1F", "1.", ".5", "1,5", "$5", "5%", "-0", "00.5", "99999999999999999999", "2024/01/05", "2024-1-5",
    "(null)", "\u00a0x", "infinity", "12024-01-01", "true",
]  # fmt: skip


@pytest.fixture
def long_way(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Makes every file be read in two passes from then on."""
    return lambda: monkeypatch.setattr("planloom.analysis.loading.read_clean", lambda *_: None)


@pytest.mark.parametrize("content", CLEAN.values(), ids=CLEAN)
def test_one_pass_reads_the_same(content: str, load: Load, long_way: Callable[[], None]) -> None:
    """What one pass reads is to the last byte and word what two passes read."""
    found = load(content)
    long_way()
    assert found == load(content)


@pytest.mark.parametrize("cell", ODD_CELLS)
@pytest.mark.parametrize("above", [1, 1500])
def test_one_pass_gives_up_at_an_odd_cell(cell: str, above: int, load: Load, long_way: Callable[[], None]) -> None:
    """One odd cell, in the sample or far below it, is decided about as by two passes, in every kind of column."""
    rows = [f"{number},{number / 4},2024-01-05,word" for number in range(above)]
    quoted = f'"{cell}"'
    rows += [",".join(quoted if place == odd else "" for place in range(4)) for odd in range(4)]
    content = "a,b,c,d\n" + "\n".join(rows) + "\n"
    found = load(content)
    long_way()
    assert found == load(content)


def test_one_pass_is_taken(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clean file is read by one pass, and one with an odd cell below the sample is not."""
    taken: list[bool] = []

    def watched(*arguments: Any) -> Any:
        found = read_clean(*arguments)
        taken.append(found is not None)
        return found

    monkeypatch.setattr("planloom.analysis.loading.read_clean", watched)
    clean = "a,b\n" + "1,2.5\n" * 2000
    load(clean)
    load(clean + "x,2.5\n")
    assert [True, False] == taken
