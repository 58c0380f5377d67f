"""docs/benchmarks.md, its plots and the README's figures are what bench/results says, and nothing else."""

from __future__ import annotations

import importlib
import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (
    "# x\n\n<!-- speed: written by `python -m bench.page` from bench/results -->\nold\n<!-- end of speed -->\nrest\n"
)


@pytest.fixture(autouse=True)
def _root_is_importable(monkeypatch):
    """`bench` is found from the root of the repository, as `python -m bench` finds it."""
    monkeypatch.syspath_prepend(str(ROOT))


def module(name):
    return importlib.import_module(f"bench.{name}")


def row(question, ratio, bound=None, **changes):
    whole = {"question": question, "unit": "ms", "floor": 1.0, "planloom": ratio, "ratio": ratio, "bound": bound}
    met = None if bound is None else ratio <= bound
    return {**whole, "bound_on": "ratio", "spread": [ratio, ratio], "note": "", "is_met": met, **changes}


def results(folder, **questions):
    """Write an engine.json as `python -m bench --save` would."""
    machine = {"processors": 2, "processor": "p", "memory_gb": 1.0, "system": "Linux", "python": "3.11", "load": 0.1}
    head = {"date": "2026-01-01T00:00:00+00:00", "command": "c", "machine": machine, "versions": {}, "commit": "abc"}
    made = {
        name: {**head, "took_s": 1.0, "tiny": False, "about": "A?", "rows": rows} for name, rows in questions.items()
    }
    (folder / "engine.json").write_text(json.dumps({"version": 1, "questions": made}))


def rendered(tmp_path, readme=README, **questions):
    """Return the page and the README made of these rows."""
    (tmp_path / "README.md").write_text(readme)
    results(tmp_path, **questions)
    found = module("page").render(tmp_path, tmp_path)
    return found[tmp_path / "docs" / "benchmarks.md"], found[tmp_path / "README.md"]


def test_pages_are_up_to_date():
    """Rendering the committed results again gives the committed pages, plots and README."""
    stale = [
        str(path.relative_to(ROOT))
        for path, text in module("page").render().items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    assert [] == stale, "run `make bench-page`"


def test_every_plot_of_a_page_is_there_and_is_xml():
    """What a page shows exists beside it; every SVG can be parsed and says what it shows to a screen reader."""
    for page in [ROOT / "docs" / "benchmarks.md", *(ROOT / "docs" / "benchmarks").glob("*.md")]:
        for name in re.findall(r"!\[.*?\]\((.*?)\)", page.read_text(encoding="utf-8")):
            drawn = ET.fromstring((page.parent / name).read_text(encoding="utf-8"))
            assert "img" == drawn.get("role")
            assert drawn.findtext("{http://www.w3.org/2000/svg}title")


def test_speed_is_claimed_nowhere_else_in_the_readme():
    """Outside of the block that is rendered the README has no figure with a unit of time or a factor."""
    page = module("page")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    elsewhere = readme.split(page.BEGIN)[0] + readme.split(page.END)[1]
    assert [] == re.findall(r"\d[\d.,]* ?(?:µs|ms|x faster|times faster|times as fast|x)\b", elsewhere)


def test_a_missed_aim_is_said_first_and_in_its_row(tmp_path):
    """It stands in the list at the top, in its row, and in the README."""
    page, readme = rendered(tmp_path, overhead=[row("slow steps", 3.5, 3.0), row("quick steps", 1.5, 2.0)])

    assert "1 of 2 aims are met. Missed:\n\n- slow steps: 3.50x (3.50 to 3.50), at most 3x\n" in page
    assert "| slow steps | 1.00 ms | 3.50 ms | 3.50x (3.50 to 3.50) | at most 3x | **missed** |" in page
    assert "| quick steps | 1.00 ms | 1.50 ms | 1.50x (1.50 to 1.50) | at most 2x | met |" in page
    assert "| slow steps | 3.50 ms | 3.50x | at most 3x, **missed** |" in readme


def test_the_readme_keeps_what_is_around_the_block(tmp_path):
    """Only what stands between the marks is replaced."""
    _, readme = rendered(tmp_path, threads=[row("calls", 2.0)])

    assert readme.startswith("# x\n\n<!-- speed")
    assert readme.endswith("<!-- end of speed -->\nrest\n")
    assert "old" not in readme


def test_a_readme_without_a_place_is_an_error(tmp_path):
    """It is not written over, and the marks are named."""
    with pytest.raises(ValueError, match=r"has no place for its figures.*end of speed"):
        rendered(tmp_path, readme="# x\n", threads=[row("calls", 2.0)])


def test_what_has_no_results_is_said(tmp_path):
    """Questions, peers and the grid that were not measured, and small runs, are named."""
    page, _ = rendered(tmp_path, threads=[row("calls", 2.0)])

    assert "`python -m bench --only overhead` has no results yet." in page
    assert "Not measured yet: `make bench-peers`." in page
    assert "Not measured yet: `python -m bench.strategies`." in page
    assert "--only threads` has no results" not in page


def test_a_question_without_a_heading_is_shown_all_the_same(tmp_path):
    """A new benchmark comes onto the page by itself."""
    page, _ = rendered(tmp_path, brand_new=[row("news", 2.0)])

    assert "## More\n\nA?\n\n" in page
    assert "| news |" in page


def test_every_heading_has_its_questions():
    """No heading of the page is for a question that `python -m bench` does not ask."""
    named = {name for _, names in module("page_words").SECTIONS for name in names}
    assert set() == named - set(module("__main__").QUESTIONS)


def test_saving_one_question_keeps_the_others(tmp_path, monkeypatch, capsys):
    """`--save --only NAME` replaces that question's rows, with the machine and the command of that moment."""
    results(tmp_path, memory=[row("old memory", 2.0)], threads=[row("old threads", 2.0)])
    made = module("measure").Row(question="new threads", unit="ms", floor=1.0, planloom=3.0, ratio=3.0)
    monkeypatch.setattr(module("threads"), "rows", lambda *, tiny: [made])

    assert 0 == module("__main__").main(["--only", "threads", "--save", "--results", str(tmp_path)])

    kept = module("results").read_results("engine", tmp_path)["questions"]
    assert ["memory", "threads"] == list(kept)
    assert ["old memory"] == [one["question"] for one in kept["memory"]["rows"]]
    assert ["new threads"] == [one["question"] for one in kept["threads"]["rows"]]
    assert "python -m bench --save --only threads" == kept["threads"]["command"]
    assert {"processor", "processors", "python", "system", "memory_gb", "load"} == set(kept["threads"]["machine"])


def test_a_failed_question_keeps_what_it_had(tmp_path, monkeypatch, capsys):
    """A benchmark that breaks does not take its old rows away."""
    results(tmp_path, threads=[row("old threads", 2.0)])

    def break_down(*, tiny):
        raise RuntimeError("no such tool")

    monkeypatch.setattr(module("threads"), "rows", break_down)

    assert 1 == module("__main__").main(["--only", "threads", "--save", "--results", str(tmp_path)])
    kept = module("results").read_results("engine", tmp_path)["questions"]
    assert ["old threads"] == [one["question"] for one in kept["threads"]["rows"]]


def test_results_have_a_line_for_each_entry(tmp_path):
    """So that a change of one cell shows as one line."""
    document = {"version": 1, "cells": [{"a": 1}, {"a": 2}], "empty": []}
    module("results").write_results("x", document, tmp_path)

    text = (tmp_path / "x.json").read_text()
    assert document == json.loads(text)
    assert '  {"a": 1},\n  {"a": 2}\n' in text


def test_charts_take_what_is_missing():
    """A series without a value, and a chart without any, can be drawn."""
    charts = module("charts")
    panel = charts.Panel("p", "calls", ["1", "2"], {"a": [None, 2.0]})
    drawn = [
        charts.draw_ranges(charts.Ranges("t", "x", ["r & s"], ["a", "b"], {("r & s", "a"): (0.5, 1.0, 3.0)})),
        charts.draw_ranges(charts.Ranges("t", "x", [], [], {})),
        charts.draw_panels(charts.Panels("t", "s", ["a", "b"], [[panel]])),
        charts.draw_panels(charts.Panels("t", "s", ["a"], [[]])),
    ]
    for text in drawn:
        ET.fromstring(text)
    assert "r &amp; s, a: 1.00x, from 0.50x to 3.00x" in drawn[0]
