"""What several tools need of a table is computed once, and p-values of correlations need no SciPy."""

from __future__ import annotations

import math
import random
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from planloom import ToolContext
from planloom.analysis import compute_stats
from planloom.analysis.kept_figures import KEPT_TABLES, Kept
from planloom.analysis.probability import correlation

special = pytest.importorskip("scipy.special", reason="the extra `analysis` is not installed")

Load = Callable[..., dict[str, Any]]
SIZES = [3, 4, 5, 8, 30, 99, 102, 103, 1_000, 54_321, 2_500_000, 25_000_000]


@pytest.mark.parametrize("n", SIZES)
def test_probability_of_a_correlation(n: int) -> None:
    """The p-value is SciPy's t test of r, from hardly any correlation to nearly perfect, for few pairs and many."""
    chance = random.Random(n)
    strengths = [chance.random() ** power for power in (1, 3, 6) for _ in range(20)]
    strengths += [min(0.999999, chance.random() * 5 / math.sqrt(n)) for _ in range(40)]
    for r in (*strengths, 0.0, 0.5):
        t = r * math.sqrt((n - 2) / ((1 - r) * (1 + r)))
        expected = float(2 * special.stdtr(n - 2, -t))
        assert expected == pytest.approx(correlation(r, n), rel=1e-7, abs=1e-290)
        assert correlation(r, n) == correlation(-r, n)


@pytest.mark.parametrize(("r", "n", "expected"), [(None, 9, None), (math.nan, 9, None), (0.5, 2, None), (1.0, 9, 0.0)])
def test_probability_without_an_answer(r: float | None, n: int, expected: float | None) -> None:
    """Two pairs say nothing, and a perfect correlation leaves nothing to chance."""
    assert expected == correlation(r, n)


def test_failure_is_not_kept(tmp_path: Path) -> None:
    """What raises is computed again."""
    (tmp_path / "t").touch()
    kept, tries = Kept[int](), list[int]()

    def compute() -> int:
        tries.append(1)
        if len(tries) == 1:
            raise RuntimeError("not yet")
        return 7

    with pytest.raises(RuntimeError, match="not yet"):
        kept.get(tmp_path / "t", compute)
    assert [7, 7] == [kept.get(tmp_path / "t", compute) for _ in range(2)]
    assert 2 == len(tries)


def test_steps_side_by_side_compute_once(tmp_path: Path) -> None:
    """Who asks while it is being computed gets that value and computes nothing."""
    (tmp_path / "t").touch()
    kept, began, may_end = Kept[int](), threading.Event(), threading.Event()
    found: list[int] = []

    def slowly() -> int:
        began.set()
        may_end.wait(30)
        return 1

    first = threading.Thread(target=lambda: found.append(kept.get(tmp_path / "t", slowly)))
    first.start()
    began.wait(30)
    second = threading.Thread(target=lambda: found.append(kept.get(tmp_path / "t", lambda: 2)))
    second.start()
    may_end.set()
    first.join(30)
    second.join(30)
    assert [1, 1] == found


def test_only_the_last_tables_are_kept(tmp_path: Path) -> None:
    """Memory has a bound: the table used longest ago is forgotten."""
    kept = Kept[int]()
    paths = [tmp_path / str(number) for number in range(KEPT_TABLES + 1)]
    for number, path in enumerate(paths):
        path.touch()
        kept.get(path, lambda number=number: number)
    assert KEPT_TABLES == kept.get(paths[-1], lambda: -1)
    assert -1 == kept.get(paths[0], lambda: -1)


def test_statistics_are_nobody_elses(load: Load, context: ToolContext) -> None:
    """Changing what one step got changes nothing for the next."""
    table = load("a,b\n1,x\n2,y\n")
    first = compute_stats(table, context)
    first["columns"]["a"]["count"] = 99
    assert 2 == compute_stats(table, context)["columns"]["a"]["count"]


WHOLE = {
    "close together": ([1, 2, 2, 5], 3),
    "below zero": ([-3, -1, -1, 4], 3),
    "far apart": ([1, 10**15, 10**15], 2),
    "beyond floats": ([2**60, 2**60 + 1, 2**60 + 1], 2),
    "missing cells": (["", 7, 7, ""], 1),
    "one value": ([5], 1),
}


@pytest.mark.parametrize("name", WHOLE)
def test_different_whole_numbers(name: str, load: Load, context: ToolContext) -> None:
    """Different whole numbers are counted exactly, however they are counted."""
    cells, expected = WHOLE[name]
    table = load("id,a\n" + "".join(f"x,{cell}\n" for cell in cells))
    assert expected == compute_stats(table, context)["columns"]["a"]["distinct"]
