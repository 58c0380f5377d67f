"""Any output of any tool has a readable form, in HTML and in Markdown, and no text of the data leaves its place."""

from __future__ import annotations

import html.parser
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planloom import ToolContext
from planloom.analysis import DataError
from planloom.analysis.output_tools import draw_chart, report
from planloom.analysis.rendering import MAX_ROWS, blocks_of, methods_in
from planloom.analysis.report_markdown import cell_text, escaped

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=8), inner, max_size=5),
    max_leaves=30,
)


class Tags(html.parser.HTMLParser):
    """Every tag of a page, in order, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("two\n\nparagraphs", [("text", ["two", "paragraphs"])]),
        (None, [("text", ["–"])]),
        (12345.678, [("text", ["12,346"])]),
        ([1, None, "x"], [("list", ["1", "–", "x"])]),
        ({"n": 3, "method": "by hand"}, [("facts", [["n", "3"]]), ("method", ["by hand"])]),
        ([{"a": 1, "b": {"c": 2}}, {"a": 3}], [("table", [["a", "b › c"], ["1", "2"], ["3", ""]])]),
        ({"x": {"n": 1}, "y": {"n": 2}}, [("table", [["", "n"], ["x", "1"], ["y", "2"]])]),
        ({"a": {"b": 1, "c": 2}, "b": {"a": 1, "c": 3}, "c": {"a": 2, "b": 3}},  # a matrix by name, whatever the order
         [("table", [["", "a", "b", "c"], ["a", "–", "1", "2"], ["b", "1", "–", "3"], ["c", "2", "3", "–"]])]),
        ({"rows": [[1, 2], [3, 4]]}, [("table", [["1", "2"], ["1", "2"], ["3", "4"]])]),
        ({"top": [{"v": [{"value": "West", "count": 118}, {"value": None, "count": 2}]}]},
         [("table", [["v"], ["West (118); – (2)"]])]),
        ({"a": {"b": {"c": {"d": {"e": {"f": 1}}}}}}, [("json", ['{\n  "e": {\n    "f": 1\n  }\n}'])]),
        ({}, [("text", ["nothing"])]),
        ([], [("list", ["nothing"])]),
    ],
)  # fmt: skip
def test_blocks(value: Any, expected: list[Any]) -> None:
    """Facts, tables, lists and texts are told apart by shape; what is too deep is JSON."""
    found: list[Any] = []
    for block in blocks_of(value):
        cells = [[cell.text for cell in row] for row in block.rows]
        found.append((block.kind, [list(block.head), *cells] if block.head else cells or list(block.lines)))
    assert expected == found


def test_bounds() -> None:
    """A long table is cut, and what was left out is counted."""
    (block,) = blocks_of([{f"c{n}": n for n in range(40)}] * 500)
    assert (MAX_ROWS, 24) == (len(block.rows), len(block.head))
    assert "300 more rows not shown, 16 more columns not shown" == block.hidden


def test_methods() -> None:
    """How an output was made is found wherever the tool said it."""
    output = {
        "methods": {"std": "ddof 1"},
        "columns": {"a": {"test": "t"}},
        "parts": [{"method": "m"}, {"method": "m"}],
    }
    assert ["std: ddof 1", "t", "m"] == methods_in(output)
    assert [] == methods_in("text")


@settings(max_examples=60, deadline=None)
@given(value=VALUES)
def test_any_value_is_a_page(value: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whatever a step gives becomes a well-formed page without a tag of its own."""
    context = ToolContext(workdir=tmp_path_factory.mktemp("run"))
    hostile = {"<script>": value, "text": "<img src=x onerror=alert(1)>"}
    handle = report("<b>", [{"heading": "<i>", "content": hostile}, {"heading": "x", "content": value}], context)
    page = Tags((context.workdir / f"{handle['artifact']}.html").read_text(encoding="utf-8"))
    assert set() == {"script", "img", "b", "i"} & set(page.tags)
    assert page.tags.count("table") == page.tags.count("caption")


def test_report_tool(load: Any, context: ToolContext) -> None:
    """A report holds its charts as drawings, tables as tables and handles in words; it needs a section."""
    table = load("a,b\n1,x\n2,y\n3,x\n")
    chart = draw_chart(table, "bar", context, x="b")
    parts = [{"heading": "Charts", "content": [chart, chart]}, {"heading": "Table", "content": {"data": table, "n": 3}}]
    handle = report("A page", parts, context)  # pyright: ignore[reportArgumentType]
    page = (context.workdir / f"{handle['artifact']}.html").read_text(encoding="utf-8")
    assert 2 == page.count("<svg ")
    assert len(page.encode()) == handle["bytes"]
    text = Tags(page).text
    for words in ("Bar chart of the number of rows per b", "a (integer), b (text)", "Separator: comma."):
        assert words in text.replace("\n", " ")
    with pytest.raises(DataError, match="empty list"):
        report("A page", [], context)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a|b", "a\\|b"), ("two\nlines", "two lines"), ("=1+1", "'=1+1"), ("@SUM(A1)", "'@SUM(A1)"), ("+cmd", "'+cmd"),
        ("-cmd|' /C calc'!A0", "'-cmd\\|' /C calc'\\!A0"), ("-5", "-5"), ("-1,234.5", "-1,234.5"), ("-3 %", "-3 %"),
        ("-5 to 7", "-5 to 7"), ("<b>", "&lt;b&gt;"), ("[x](y:1)", "\\[x\\](y:1)"), ("`x`", "\\`x\\`"),
        ("\t=x", "'=x"), ("# head", "\\# head"), ("\\", "\\\\"), ("a & b", "a &amp; b"),
    ],
)  # fmt: skip
def test_markdown_cells(text: str, expected: str) -> None:
    """A cell of Markdown shows its text, stays in its table, and is no formula in a spreadsheet."""
    assert expected == cell_text(text)


@given(st.text())
def test_markdown_is_one_line(text: str) -> None:
    """No text breaks a line or a cell."""
    written = escaped(text)
    assert "\n" not in written
    assert written.count("|") == written.count("\\|")
    assert "<" not in written


def test_page_in_markdown(tmp_path: Path) -> None:
    """The report in Markdown has every part of the page, and tables whose rows have as many cells as their head."""
    import asyncio

    from planloom.analysis import analyse
    from planloom.analysis.report import page_of
    from planloom.analysis.report_markdown import markdown_of

    path = tmp_path / "odd|name.csv"
    path.write_text('"a|b","=cmd","<i>"\n' + "".join(f"{n},x|{n % 3},=1+{n % 2}\n" for n in range(30)))
    analysis = asyncio.run(analyse(path, charts=2))
    text = markdown_of(page_of(analysis))
    heads = [line for line in text.splitlines() if line.startswith("## ")]
    assert "## Key findings" == heads[0]
    assert "## How each number was made" == heads[-1]
    cells = [len(line.replace("\\|", "").split("|")) for line in text.splitlines() if line.startswith("|")]
    lines = text.splitlines()
    for place, line in enumerate(lines):
        if line.startswith("|---"):
            width = line.count("|")
            for row in (lines[place - 1], *lines[place + 1 : place + 3]):
                assert not row.startswith("|") or width == row.replace("\\|", "").count("|")
    assert cells
    assert "'=1+" in text
    assert json.dumps(analysis.plan.goal)[1:20] in text
