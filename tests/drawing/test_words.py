"""Untrusted text made fit to draw."""

from __future__ import annotations

import pytest

from planloom.drawing.words import cells, clean, duration, fit_cells, fit_px, name_some, width_px, wrap_px

CLEANED = [
    ("plain", "plain"),
    ("two\r\nlines\tand  more ", "two lines and more"),
    ("a\x00b\x1b[31mc", "a\ufffdb\ufffd[31mc"),
    ("\ud800 \ufffe", "\ufffd \ufffd"),
    ("left \u202eright", "left right"),
    ("Z\u0351\u0352\u0353\u0354\u0355", "Z\u0351\u0352\u0353"),
    ("é漢🎉", "é漢🎉"),
    (None, ""),
    (5, "5"),
    ("x" * 1000, "x" * 399 + "…"),
]


@pytest.mark.parametrize(("raw", "expected"), CLEANED)
def test_clean(raw: object, expected: str) -> None:
    """One line, nothing that controls a terminal or breaks XML, a bounded length."""
    assert expected == clean(raw)


def test_clean_survives_objects_that_cannot_say_their_name() -> None:
    """A plan made by hand may hold anything."""

    class Silent:
        def __repr__(self) -> str:
            raise RuntimeError

    assert "Silent" in clean(Silent())


DURATIONS = [
    (0, "0 ms"), (0.0001, "0.1 ms"), (0.0123, "12.3 ms"), (0.8124, "812 ms"), (1, "1 s"), (3.237, "3.24 s"),
    (31, "31 s"), (31.46, "31.5 s"), (59.96, "1 min"), (125, "2 min 5 s"), (3600, "1 h"), (4800, "1 h 20 min"),
    (172_800, "2.0 days"), (float("nan"), "?"), (-1, "?"),
]  # fmt: skip


@pytest.mark.parametrize(("seconds", "expected"), DURATIONS)
def test_duration(seconds: float, expected: str) -> None:
    """Lengths of time in the unit that fits them."""
    assert expected == duration(seconds)


@pytest.mark.parametrize(
    "text", ["WWWWWWWWWWWW", "iiiiiiiiiiiiiiiiiiiiiiiiii", "漢字漢字漢字漢字", "🎉🎉🎉🎉🎉🎉", "Ünïcödé wörds"]
)
@pytest.mark.parametrize("room", [0, 5, 20, 60, 500])
def test_fitted_text_fits(text: str, room: int) -> None:
    """A cut text is never wider than its room, in pixels and in columns."""
    assert width_px(fit_px(text, room, 12), 12) <= room
    assert cells(fit_cells(text, room)) <= room


def test_wrapping_breaks_at_blanks() -> None:
    """Lines break at blanks, long words anywhere, and the last line is cut."""
    assert ["Check the", "columns"] == wrap_px("Check the columns", 80, 12, 2)
    lines = wrap_px("漢" * 30, 120, 12, 2)
    assert ["漢" * 10, "漢" * 9 + "…"] == lines
    assert [] == wrap_px("", 80, 12, 2)


def test_naming_some() -> None:
    """A long list is named in part."""
    assert "a, b" == name_some(["a", "b"])
    assert "a, b and 1,998 more" == name_some(["a", "b", *["c"] * 1998], 2)
