"""Numbers of an answer lead back to the steps; what no step produced is flagged, what is no figure is left alone."""

from __future__ import annotations

import pytest
from figure_cases import FORMS, LENGTHS, NO_FIGURES, QUESTION, ROUNDING, SIGNS, SKIPPED_BEFORE
from figure_cases import OUTPUTS as CASE_OUTPUTS

from planloom.analysis.tracing import trace, untraced

OUTPUTS = {
    "load": {"rows": 1234, "columns": [{"name": "a"}, {"name": "b"}, {"name": "c"}, {"name": "d"}, {"name": "e"}]},
    "stats": {"numeric": {"price": {"mean": 39.2071, "std": 14.05, "max": 1_250_000}, "odd key": {"mean": -0.4512}}},
    "test": {"p_value": 0.000123, "statistic": -7.25, "note": "the share is 12.5 %"},
    "groups": [{"share": 0.0734, "value": 8.5}, {"share": 0.333333, "value": 2.5e9}],
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The mean is 39.2071.", "stats.numeric.price.mean"),
        ("The mean is 39.21.", "stats.numeric.price.mean"),
        ("It is 39, rounded.", "stats.numeric.price.mean"),
        ("There are 1,234 rows.", "load.rows"),
        ("There are 1234 rows.", "load.rows"),
        ("There are 1 234 rows.", "load.rows"),
        ("There are 1\u202f234 rows.", "load.rows"),
        ("There are 1'234 rows.", "load.rows"),
        ("It reaches 1.25 million.", "stats.numeric.price.max"),
        ("It reaches 1.25M.", "stats.numeric.price.max"),
        ("It reaches $1,250,000.", "stats.numeric.price.max"),
        ("It reaches 1,250k.", "stats.numeric.price.max"),
        ("It reaches 2.5 billion.", "groups[1].value"),
        ("A share of 7.34 %.", "groups[0].share"),
        ("A share of 7.3%.", "groups[0].share"),
        ("A share of 33 percent.", "groups[1].share"),
        ("A share of 33.3 per cent.", "groups[1].share"),
        ("It fell by 45 %.", 'stats.numeric["odd key"].mean'),
        ("The mean is -0.45.", 'stats.numeric["odd key"].mean'),
        ("The mean is −0.45.", 'stats.numeric["odd key"].mean'),
        ("p = 0.000123", "test.p_value"),
        ("p = 1.23e-4", "test.p_value"),
        ("p = 1.2E-04", "test.p_value"),
        ("t = -7.25, so", "test.statistic"),
        ("t(20) is 7.25 in size", "test.statistic"),
        ("12.5 % of them", "test.note"),
        ("It has 5 columns.", "load.columns"),
        ("About 1,200 rows.", "load.rows"),
        ("~1,200 rows.", "load.rows"),
        ("(8.5)", "groups[0].value"),
        ("8.5x as much", "groups[0].value"),
        ("**39.21**", "stats.numeric.price.mean"),
    ],
)  # fmt: skip
def test_traced(text: str, expected: str) -> None:
    """A number is traced to the value that it is a rounding of, however it is written."""
    traced = [figure for figure in trace(text, OUTPUTS) if figure.status == "traced"]
    assert [expected] == [f"{figure.step}{figure.path}" for figure in traced]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The mean is 39.3.", ["39.3"]),
        ("The mean is 39.2072.", ["39.2072"]),
        ("There are 1,235 rows.", ["1,235"]),
        ("There are 1,200 rows.", ["1,200"]),
        ("A share of 9.9 %.", ["9.9 %"]),
        ("About 1,500 rows.", ["1,500"]),
        ("It sold 77 in Oslo and 39.21 in Rome.", ["77"]),
        ("R² is 0.87, p < 0.05.", ["0.87"]),
        ("Total: -512", ["-512"]),
        ("between 60-70 units", ["60", "70"]),
        ("It costs €4,096.", ["4,096"]),
        ("It grew 12.7 percent.", ["12.7 percent"]),
        ("42", ["42"]),
        ("It has 4 groups.", ["4"]),
    ],
)
def test_untraced(text: str, expected: list[str]) -> None:
    """A number that no output rounds to is flagged, near as it may be."""
    assert expected == [figure.text.lstrip() for figure in untraced(trace(text, OUTPUTS))]


@pytest.mark.parametrize(
    "text",
    [
        "On 2024-03-01 it began.",
        "In 2024-03 it began.",
        "At 2024-03-01T12:30:59Z.",
        "On 1/3/2024 and 01.03.2024.",
        "At 12:30 or 12:30:59.",
        "On 14 March 2024 and March 14, 2024.",
        "Since March 2024, and in 1997.",
        "The 14th and the 21st of May.",
        "1. First\n2. Second\n(3) more",
        "See step 12, question 44 and #77.",
        "Version 1.22.333 of it.",
        "In `column_17` and `Q4 2019`, of sales2024.csv",
        "In Q4, H1N1 and covid19 and x_12",
        "Both of the 2 files, 3 in all, 0 left.",
        "With 95 % confidence, the 99% CI and the 90 % significance level.",
        "https://example.org/4711/12",
        "",
    ],
)
def test_not_figures(text: str) -> None:
    """Dates, times, ordinals, lists, names and small counts are no figures that a step must have made."""
    assert [] == untraced(trace(text, OUTPUTS))


@pytest.mark.parametrize(("text", "expected"), [*ROUNDING, *SIGNS, *FORMS, *SKIPPED_BEFORE, *LENGTHS])
def test_every_figure_and_its_source(text: str, expected: list[tuple[str, str | None]]) -> None:
    """Each figure of a text is found, and is led to the value that rounds to it, or to none."""
    figures = trace(text, CASE_OUTPUTS, {"question": QUESTION})
    sources = [None if figure.step is None else f"{figure.step}{figure.path}" for figure in figures]
    assert expected == [(figure.text, source) for figure, source in zip(figures, sources, strict=True)]


@pytest.mark.parametrize("text", NO_FIGURES)
def test_nothing_to_flag(text: str) -> None:
    """What is a date, a time, a name of the data or a number of a list is not flagged."""
    assert [] == untraced(trace(text, CASE_OUTPUTS, {"question": QUESTION}))


def test_length_of_a_list_that_was_cut() -> None:
    """The length of a list that shows a part alone is no source for a count."""
    outputs = {"q": {"rows": [{"a": 50.5}] * 12, "truncated": True, "row_count": 4000}}
    assert ["12"] == [figure.text for figure in untraced(trace("It has 12 rows.", outputs))]
    assert [] == untraced(trace("It has 4,000 rows.", outputs))


def test_given() -> None:
    """A number that the question or the inputs hold may be repeated, and is said to be given."""
    figures = trace(
        "The top 15 hold 39.21, the top 16 less.", OUTPUTS, {"question": "the top 15?", "inputs": {"n": 20}}
    )
    assert [("15", "given"), ("39.21", "traced"), ("16", "untraced")] == [(f.text, f.status) for f in figures]


def test_nearest_value_wins() -> None:
    """Of several values that fit, the nearest is the source, then the plainest, then the earlier step."""
    outputs = {"a": {"v": 10.04}, "b": {"v": 10.0}, "c": {"v": 10.0}, "d": "it is 10.0"}
    assert ["b"] == [figure.step for figure in trace("It is 10.0.", outputs)]
    assert [("d", "")] == [(figure.step, figure.path) for figure in trace("It is 7.", {"d": "7 of them"})]


def test_places_and_document() -> None:
    """A figure knows where it stands, and is plain JSON."""
    text = "Mean 39.21, but 99 elsewhere."
    first, second = trace(text, OUTPUTS)
    assert ("39.21", "99") == (text[first.start : first.end], text[second.start : second.end])
    assert {"text": "99", "value": 99.0, "status": "untraced"} == second.to_dict()
    assert ("stats", ".numeric.price.mean", 39.2071) == tuple(first.to_dict()[key] for key in ("step", "path", "found"))


def test_odd_outputs() -> None:
    """Outputs of any shape are searched: nested deep, huge whole numbers, booleans, nothing at all."""
    deep: object = 5123
    for _ in range(200):
        deep = [deep]
    outputs = {"a": deep, "b": 10**400, "c": True, "d": None, "e": float("inf"), "f": {"g": [{"h": "77 km"}]}}
    assert [("77", "f")] == [(f.text, f.step) for f in trace("77", outputs)]
    assert ["5123"] == [f.text for f in untraced(trace("5123", outputs))]
    assert [] == trace("no number", {})
