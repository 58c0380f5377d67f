"""The report: one page that asks for nothing, shows what was found, and treats every text of the data as text."""

# ruff: noqa: E501 (a case reads best on one line)
from __future__ import annotations

import asyncio
import html.parser
import re
from pathlib import Path

import pytest

from planloom.analysis import analyse, render_report
from planloom.analysis.charts import box_plot
from planloom.analysis.report import page_of as page_of_analysis
from planloom.analysis.wording import number, share

REPOSITORY = Path(__file__).resolve().parents[2]

HOSTILE = (
    '"<script>alert(1)</script>","a ""q"" & <b>bold</b>",{{7*7}},"back`tick"\n'
    '<img src=x onerror=alert(2)>,"</style><script>alert(3)</script>",1,1\n'
    '<img src=x onerror=alert(2)>,"<svg onload=alert(4)>",2,x\n'
)


class Reader(html.parser.HTMLParser):
    """Collects the elements of a page and the text outside of drawings and styles."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


def page_of(*paths: Path) -> str:
    return render_report(asyncio.run(analyse(list(paths))))


@pytest.fixture(scope="module")
def page() -> str:
    """The report of the example."""
    return page_of(REPOSITORY / "examples" / "sales.csv")


def test_contents(page: str) -> None:
    """Findings come first, then tables, decisions, plan, timeline and the plan as JSON."""
    headings = [re.sub(r"<[^>]*>", "", heading) for heading in re.findall(r"<h[12].*?</h[12]>", page)]
    findings = ["Key findings", "Charts", "Anomalies", "Numbers", "Columns", "How the file was read"]
    assert ["sales.csv", *findings, "What each step gave", "How each number was made"] == headings
    text = Reader(page).text
    assert "row 58" in text
    assert text.index("The plan:") < text.index("The run:") < text.index('"load_data"')


def test_needs_nothing(page: str) -> None:
    """No script, no address, no picture from elsewhere; a policy in the page forbids them too."""
    reader = Reader(page)
    assert set() == {"script", "link", "img", "iframe", "object", "base"} & set(reader.tags)
    assert [] == re.findall(r"url\(|@import|https?://(?!www\.w3\.org/)", page)
    assert [] == [
        value for name, value in reader.attributes if name in ("src", "href") and not str(value).startswith("#")
    ]
    assert "default-src &#39;none&#39;" in page or "default-src 'none'" in page


def test_accessible(page: str) -> None:
    """Landmarks, a language, one first heading, captions, scopes and names for drawings are there."""
    reader = Reader(page)
    for tag in ("header", "main", "footer", "caption", "figcaption", "h2"):
        assert tag in reader.tags
    assert 1 == reader.tags.count("h1")
    assert ("lang", "en") in reader.attributes
    assert reader.tags.count("table") == reader.tags.count("caption")
    assert all("scope=" in head for head in re.findall(r"<th\b[^>]*>", page))
    drawings = re.findall(r"<svg\b[^>]*>(?:<title)?", page)
    assert [] == [head for head in drawings if not re.search(r"aria-label|aria-hidden|<title", head)]


def test_hostile_texts(tmp_path: Path) -> None:
    """Column names, values and file names are shown as they are and never become markup."""
    path = tmp_path / "<img src=y onerror=alert(9)>.csv"
    path.write_text(HOSTILE)
    written = page_of(path)
    reader = Reader(written)
    assert set() == {"script", "img", "b"} & set(reader.tags)
    assert [] == [name for name, _ in reader.attributes if name.startswith("on")]
    assert "<script>alert(1)</script>" in reader.text
    assert "{{7*7}}" in reader.text


def test_control_characters(tmp_path: Path) -> None:
    """No control character of the data reaches the page or its drawings; U+FFFD stands for it."""
    path = tmp_path / "controls.csv"
    rows = "".join(
        f"{number},{'a' if number % 2 else 'b'}\x1b[31m\x07,{number * number % 17}\n" for number in range(40)
    )
    path.write_text("id,na\x1bme\x01,x\x1b\n" + rows)
    written = page_of(path)
    assert [] == re.findall(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]", written)
    assert "\ufffd" in written


def test_suspected_codes_come_first(tmp_path: Path) -> None:
    """A value that looks like a code for a missing one stands at the top, with the mean with it and without."""
    path = tmp_path / "a.csv"
    path.write_text("v,t\n" + "".join(f"{value},a\n" for value in [*[11, 12, 13, 14, 15] * 9, *[-999] * 9]))
    remarks = page_of_analysis(asyncio.run(analyse(path))).sections[0].remarks
    assert (
        "`v` holds -999 9 times (17 % of its values), far from all others: probably a code for a missing value. "
        "The mean is -155.7 with it and 13 without."
    ) == remarks[0]
    assert "finds more far values than the deviation does: `v` 9." in remarks[1]  # no pair of columns stands between


def test_failed_run(tmp_path: Path) -> None:
    """A run that failed has a page with the reason and the hint on top."""
    (tmp_path / "sales.csv").write_text("a\n1\n")
    text = Reader(page_of(tmp_path / "slaes.csv")).text
    assert "What went wrong" in text
    assert "does not exist" in text
    assert "sales.csv" in text


def test_several_files(tmp_path: Path) -> None:
    """Several files have a section each and links to them."""
    (tmp_path / "a.csv").write_text("x\n1\n2\n")
    written = page_of(tmp_path / "a.csv", REPOSITORY / "examples" / "sales.csv")
    links = re.findall(r'href="([^"]*)"', written)
    assert ["#findings", "#file-1", "#file-2"] == links[:3]
    ids = re.findall(r'\bid="([^"]*)"', written)
    assert [] == [link for link in links if link.removeprefix("#") not in ids]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, "–"), (0, "0"), (12, "12"), (1234.5, "1,234"), (0.01234, "0.01234"), (1.2345e17, "1.234e+17"), (-2.5, "-2.5"),
     (99.999, "100"), (1e-9, "1e-09"), (5e-324, "4.941e-324")],
)  # fmt: skip
def test_number(value: float | None, expected: str) -> None:
    """Numbers keep four significant digits and their whole part."""
    assert expected == number(value)


@pytest.mark.parametrize(
    ("part", "whole", "expected"),
    [(0, 10, "0 %"), (1, 10_000, "under 0.1 %"), (1, 3, "33 %"), (1, 40, "2.5 %"), (10, 10, "100 %"), (9_999, 10_000, "over 99.9 %"),
     (0, 0, "0 %"), (999, 1000, "99.9 %")],
)  # fmt: skip
def test_share(part: int, whole: int, expected: str) -> None:
    """A share never rounds something to nothing or less than all to all."""
    assert expected == share(part, whole)


def test_box_plot_of_extremes() -> None:
    """A column that spans the whole range of floats is drawn inside its frame; a constant one is not drawn."""
    figures = {
        "count": 2,
        "mean": 0.0,
        "std": 1.0,
        "min": -1.7e308,
        "q25": -1e308,
        "median": 0.0,
        "q75": 1e308,
        "max": 1.7e308,
    }
    drawing = box_plot(figures, [1.7e308])
    assert drawing is not None
    assert [] == re.findall("nan|inf", drawing)
    assert box_plot({**figures, "min": 0.0, "max": 0.0}, []) is None
