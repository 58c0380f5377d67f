"""Values that move the mean towards themselves do not hide: a rule that they do not move, and codes by their name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from planloom import ToolContext
from planloom.analysis import find_anomalies
from planloom.analysis.sentinels import SAMPLE_ROWS

Load = Callable[..., dict[str, Any]]

CHANCE = np.random.default_rng(7)
NORMAL = [round(float(value), 2) for value in CHANCE.normal(50, 10, 300)]
AGES = [int(value) for value in CHANCE.integers(1, 90, 300)]
COUNTS = [int(value) for value in CHANCE.poisson(2, 300)]
SKEWED = [round(float(value), 1) for value in CHANCE.lognormal(3, 1, 300)]
PRICES = [int(value) * 100 - 1 for value in CHANCE.integers(1, 11, 300)]

# what is in the column, and the values that are suspected
COLUMNS: dict[str, tuple[Sequence[float], Sequence[float]]] = {
    "-999 among measurements": ([*NORMAL, *[-999] * 60], [-999]),
    "-999 is most of it": ([*NORMAL, *[-999] * 400], [-999]),
    "99999 among measurements": ([*NORMAL, *[99999] * 40], [99999]),
    "both ends": ([*NORMAL, *[-999] * 30, *[99999] * 30], [-999, 99999]),
    "two codes at one end": ([*NORMAL, *[-9999] * 30, *[-999] * 30], [-9999, -999]),
    "999 among ages": ([*AGES, *[999] * 12], [999]),
    "-1 among ages": ([*[age + 4 for age in AGES], *[-1] * 12], [-1]),
    "999999 among counts": ([*COUNTS, *[999999] * 5], [999999]),
    "999 among a constant": ([*[7] * 50, *[999] * 5], [999]),
    "no code, but far": ([*AGES, *[1000000] * 12], [1000000]),
    "measurements": (NORMAL, []),
    "counts": (COUNTS, []),
    "skewed": (SKEWED, []),
    "ages": (AGES, []),
    "prices that end in 99": (PRICES, []),
    "one outlier": ([*NORMAL, 5000], []),
    "one -999": ([*NORMAL, -999], []),
    "a flag": ([0] * 200 + [1] * 9, []),
    "signs": ([-1, 0, 1] * 40, []),
    "-1 among changes": ([*COUNTS, *[-1] * 9], []),
    "a constant": ([5] * 40, []),
    "nothing": ([], []),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_sentinels(name: str, load: Load, context: ToolContext) -> None:
    """A repeated extreme far from the rest is suspected to stand for no value, and ordinary columns have none."""
    values, expected = COLUMNS[name]
    found = find_anomalies(load("x,y\n" + "".join(f"{value},a\n" for value in values)), context)
    assert expected == sorted(sentinel["value"] for sentinel in found["sentinels"])
    rest = [value for value in values if value not in expected]
    for sentinel in found["sentinels"]:
        assert ("x", values.count(sentinel["value"])) == (sentinel["column"], sentinel["count"])
        assert sentinel["count"] / len(values) == sentinel["share"]
        assert pytest.approx([np.mean(rest), np.std(rest, ddof=1)]) == [
            sentinel["mean_without"],
            sentinel["std_without"],
        ]


def test_robust_bounds(load: Load, context: ToolContext) -> None:
    """Three sigma finds none of 60 values of -999, the outer fences all of them, and the method names both."""
    values = [*NORMAL, *[-999] * 60]
    found = find_anomalies(load("x,y\n" + "".join(f"{value},a\n" for value in values)), context)
    column = found["columns"]["x"]
    q25, q75 = np.quantile(values, [0.25, 0.75])
    assert (0, 60, 60) == (column["count"], column["robust_count"], found["robust_total"])
    assert pytest.approx([q25 - 3 * (q75 - q25), q75 + 3 * (q75 - q25)]) == [
        column["robust_lower"],
        column["robust_upper"],
    ]
    assert all(word in found["method"] for word in ("3 * std", "3 * IQR", "sentinels", "missing values left out"))


def test_large_tables_are_sampled(load: Load, context: ToolContext) -> None:
    """The fences of a large table come from a sample of fixed rows: near to the true ones, the same each time."""
    rows = 3 * SAMPLE_ROWS
    table = load("x,y\n" + "".join(f"{(row * 7919) % 100_003},a\n" for row in range(rows)))
    first, second = (find_anomalies(table, context)["columns"]["x"] for _ in range(2))
    bounds = [first["robust_lower"], first["robust_upper"]]
    assert bounds == [second["robust_lower"], second["robust_upper"]]
    assert pytest.approx([-125_000, 225_000], rel=0.03) == bounds
