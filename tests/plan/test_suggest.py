"""The nearest known name: what a person would have meant, and nothing far-fetched."""

# ruff: noqa: E501 - one case is one line

from __future__ import annotations

import pytest

from planloom.plan.suggest import Names, did_you_mean, nearest

TOOLS = ["search", "fetch", "load_data", "compute_stats", "send_email", "get_weather"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("serch", "search"), ("SEARCH", "search"), ("seacrh", "search"), ("fecth", "fetch"), ("load-data", "load_data"),
        ("loadData", "load_data"), ("load data", "load_data"), ("compute_stat", "compute_stats"), ("send_mail", "send_email"),
        ("weather", "get_weather"), ("getWeather", "get_weather"), ("teleport", None), ("x", None), ("", None),
        ("s" * 200, None), ("_", None),
    ],
)  # fmt: skip
def test_nearest(name: str, expected: str | None) -> None:
    """Case, separators and slips of one or two letters."""
    assert expected == nearest(name, TOOLS)


def test_one_letter_off_is_found_among_very_many() -> None:
    """Not only among the names that happen to come first."""
    names = Names(f"step_{i}" for i in range(100_000))
    assert "step_98765" == names.nearest("stp_98765") == names.nearest("step98765") == names.nearest("step-98765")
    assert "step_98765" == names.nearest("setp_98765")


def test_the_hint() -> None:
    """Reads as a question; what cannot be printed is escaped."""
    assert "did you mean `fetch`?" == did_you_mean("ftch", TOOLS)
    assert did_you_mean("qqq", TOOLS) is None
    assert "did you mean `a\\x1bb`?" == did_you_mean("a\x1bbx", ["a\x1bb"])
