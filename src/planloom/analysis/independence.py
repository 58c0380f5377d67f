"""Tests whether two columns of categories depend on each other: chi-square, Cramér's V, Fisher's exact test.

Rule: the table is counted in SQL, rows in which either is missing left out; what makes the test rough is said.
"""

# ruff: noqa: S608 (names and texts enter SQL through `identifier` and `literal` alone)
from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field
from typing_extensions import TypedDict

from planloom.analysis.columns import GROUPING, cell_sql, column_kinds, one_column
from planloom.analysis.database import Database, open_database
from planloom.analysis.probability import chi_square, scipy_stats
from planloom.analysis.tables import Kind, Table, table_path
from planloom.analysis.values import Plain, finite, plain
from planloom.analysis.wording import quoted
from planloom.errors import DataError

MAX_CATEGORIES: Final = 100
"""Different values of one column that a table of counts may have."""
ENOUGH: Final = 5
"""An expected count below this makes the chi-square distribution a rough guide."""
MAX_EXACT: Final = 100_000
"""Rows up to which Fisher's exact test is done; beyond, chi-square says the same."""


class CountTable(TypedDict):
    """Counts per combination: `counts[i][j]` is for `rows[i]` of the first column and `columns[j]` of the second."""

    rows: list[Plain]
    columns: list[Plain]
    counts: list[list[int]]


class FisherExact(TypedDict):
    """Fisher's exact test of a 2x2 table, two-sided."""

    odds_ratio: Annotated[float | None, Field(description="Of the sample; null if infinite")]
    p_value: float


class Independence(TypedDict):
    """Whether two columns depend on each other."""

    n: int
    missing: int
    chi_square: float
    df: int
    p_value: float | None
    significant: Annotated[bool, Field(description="p_value < alpha: they depend on each other")]
    chi_square_uncorrected: float
    p_value_uncorrected: float | None
    cramers_v: float | None
    smallest_expected: float
    cells_expected_below_5: int
    fisher: FisherExact | None
    table: CountTable
    verdict: str
    method: str


def check_independence(table: Table, folder: Path, a: str, b: str, alpha: float, *, yates: bool) -> Independence:
    """Test two columns for independence. Raises `DataError` for bad columns, too many or too few categories."""
    path = table_path(table, folder)
    with open_database(folder) as database:
        kinds = column_kinds(database, path)
        first = one_column(kinds, a, kinds_allowed=GROUPING, argument="a")
        second = one_column(kinds, b, kinds_allowed=GROUPING, argument="b")
        if first == second:
            raise DataError(f"`a` and `b` are both {quoted(first)}\nhint: name two different columns")
        counted, total = _count(database, database.parquet(path), first, second, kinds)
    counts = counted["counts"]
    n = sum(map(sum, counts))
    rows, columns = [sum(row) for row in counts], [sum(column) for column in zip(*counts, strict=True)]
    expected = [[row * (column / n) for column in columns] for row in rows]
    df = (len(rows) - 1) * (len(columns) - 1)
    plain_statistic = _statistic(counts, expected, correction=0.0)
    corrected = yates and df == 1
    statistic = _statistic(counts, expected, correction=0.5) if corrected else plain_statistic
    p_value = chi_square(statistic, df)
    cells = [value for row in expected for value in row]
    significant = p_value is not None and p_value < alpha
    smaller = min(len(rows), len(columns)) - 1
    few = sum(value < ENOUGH for value in cells)
    return {
        "n": n,
        "missing": total - n,
        "chi_square": statistic,
        "df": df,
        "p_value": p_value,
        "significant": significant,
        "chi_square_uncorrected": plain_statistic,
        "p_value_uncorrected": chi_square(plain_statistic, df),
        "cramers_v": finite(min(1.0, math.sqrt(plain_statistic / n / smaller))),
        "smallest_expected": min(cells),
        "cells_expected_below_5": few,
        "fisher": _fisher(counts) if df == 1 and n <= MAX_EXACT else None,
        "table": counted,
        "verdict": _verdict(first, second, alpha, significant, few, df),
        "method": f"chi-square test, {'with' if corrected else 'without'} Yates's correction; Cramér's V without it; "
        "rows in which either column is missing left out",
    }


def _count(
    database: Database, source: str, first: str, second: str, kinds: Mapping[str, Kind]
) -> tuple[CountTable, int]:
    a, b = cell_sql(first, kinds[first]), cell_sql(second, kinds[second])
    total, distinct_a, distinct_b = database.row(
        f"SELECT (SELECT count(*) FROM {source}), count(DISTINCT {a}), count(DISTINCT {b}) FROM {source} "
        f"WHERE {a} IS NOT NULL AND {b} IS NOT NULL"
    )
    for name, distinct in ((first, distinct_a), (second, distinct_b)):
        if distinct > MAX_CATEGORIES:
            raise DataError(
                f"{quoted(name)} has {distinct:,} different values, more than {MAX_CATEGORIES} for a table of counts\n"
                "hint: bin it first, with bin_column, or keep the commonest values with filter_rows"
            )
        if distinct < 2:
            raise DataError(
                f"{quoted(name)} has {'one value' if distinct else 'no value'} in the rows where both are there, "
                "so nothing can depend on it\nhint: take another column"
            )
    found = database.rows(
        f"SELECT a, b, count(*) FROM (SELECT {a} AS a, {b} AS b FROM {source}) "
        f"WHERE a IS NOT NULL AND b IS NOT NULL GROUP BY a, b ORDER BY a, b"
    )
    rows = list(dict.fromkeys(row[0] for row in found))
    columns = sorted({row[1] for row in found})
    counts = {(a, b): count for a, b, count in found}
    return {
        "rows": [plain(value) for value in rows],
        "columns": [plain(value) for value in columns],
        "counts": [[counts.get((row, column), 0) for column in columns] for row in rows],
    }, total


def _statistic(counts: Sequence[Sequence[int]], expected: Sequence[Sequence[float]], correction: float) -> float:
    """Pearson's chi-square; the correction never turns a difference round, as in SciPy."""
    total = 0.0
    for row, wanted in zip(counts, expected, strict=True):
        for count, value in zip(row, wanted, strict=True):
            difference = abs(count - value)
            total += (difference - min(correction, difference)) ** 2 / value
    return total


def _fisher(counts: Sequence[Sequence[int]]) -> FisherExact:
    result = scipy_stats().fisher_exact(counts)
    return {"odds_ratio": finite(float(result.statistic)), "p_value": float(result.pvalue)}


def _verdict(first: str, second: str, alpha: float, significant: bool, few: int, df: int) -> str:
    what = "depend on each other" if significant else "are not shown to depend on each other"
    rough = f"; rough, as {few} expected counts are below {ENOUGH}" if few else ""
    rough += ", so rather take Fisher's exact test" if few and df == 1 else ""
    return f"{quoted(first)} and {quoted(second)} {what} (alpha {alpha:g}){rough}"
