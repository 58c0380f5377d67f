"""What large tables take another way for: the figures are the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from planloom import ToolContext
from planloom.analysis import compute_stats
from planloom.analysis.database import open_database
from planloom.analysis.kept_figures import Kept
from planloom.analysis.series import resample_table
from planloom.analysis.tables import table_path

Load = Callable[..., dict[str, Any]]
CONTENT = "id,day,name,x,y\n" + "".join(
    f"{number},2024-0{1 + number % 3}-01,{'ab'[number % 2] if number % 5 else ''},{number % 7},{number / 4}\n"
    for number in range(200)
)


@pytest.mark.parametrize("by", [None, ["name"]])
def test_medians_one_by_one(
    by: list[str] | None, load: Load, context: ToolContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Medians by period are the same whether columns are resampled together or one after the other."""
    table: Any = load(CONTENT)

    def rows() -> list[tuple[Any, ...]]:
        made = resample_table(table, context.workdir, "day", "month", ["x", "y"], "median", by)
        with open_database(context.workdir) as database:
            return database.rows(f"SELECT * FROM {database.parquet(table_path(made, context.workdir))}")

    expected = rows()
    monkeypatch.setattr("planloom.analysis.series.VALUES_PER_QUERY", 1)
    assert expected == rows()


def test_different_values_counted_on_disk(load: Load, context: ToolContext, monkeypatch: pytest.MonkeyPatch) -> None:
    """Different values are the same number whether they are counted in memory or in a form that spills."""
    expected = compute_stats(load(CONTENT), context)["columns"]
    monkeypatch.setattr("planloom.analysis.statistics.VALUES_PER_QUERY", 1)
    monkeypatch.setattr("planloom.analysis.statistics.MAX_BITS", 0)
    monkeypatch.setattr("planloom.analysis.statistics._DESCRIBED", Kept())
    assert expected == compute_stats(load(CONTENT), context)["columns"]
