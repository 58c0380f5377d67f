"""Correlates numeric columns: Pearson in SQL, Spearman and Kendall on arrays.

Rule: each pair uses the rows in which both are there (pairwise deletion) and says how many those were.
"""

# ruff: noqa: S608 (names and texts enter SQL through `identifier` and `literal` alone)
from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import Field
from typing_extensions import TypedDict

from planloom.analysis.columns import COUNTABLE, column_kinds, number_sql, one_column, several_columns
from planloom.analysis.database import Database, batches, import_extra, open_database
from planloom.analysis.kept_figures import Figures, compute_figures, numeric_figures
from planloom.analysis.moments import float_sql
from planloom.analysis.probability import correlation, scipy_stats
from planloom.analysis.tables import Table, table_path
from planloom.errors import DataError

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

Method = Literal["pearson", "spearman", "kendall"]
MAX_COLUMNS: Final = 200
"""Columns that are correlated with each other in one call, 19,900 pairs."""
MAX_PAIRS: Final = 1_000
"""Pairs in one output."""
MAX_MATRIX_COLUMNS: Final = 30
PAIRS_PER_QUERY: Final = 200


class Correlation(TypedDict):
    """How two columns go together."""

    a: str
    b: str
    r: Annotated[float | None, Field(description="-1 to 1; null if it cannot be said, as one column never changes")]
    p_value: float | None
    n: int


class Correlations(TypedDict):
    """Pairs of columns, the strongest first, and the same coefficients by name."""

    pairs: list[Correlation]
    matrix: dict[str, dict[str, float | None]]
    left_out: Annotated[int, Field(description="Pairs that are not in the list, the weakest")]
    method: str


def correlate_columns(
    table: Table, folder: Path, columns: Sequence[str] | None, target: str | None, method: Method, limit: int
) -> Correlations:
    """Correlate every two of the columns, or each with `target` alone. Raises `DataError`."""
    path = table_path(table, folder)
    if not 1 <= limit <= MAX_PAIRS:
        raise DataError(f"`limit` is {limit}, but a list holds 1 to {MAX_PAIRS:,} pairs")
    with open_database(folder) as database:
        kinds = column_kinds(database, path)
        names = several_columns(kinds, columns, allowed=COUNTABLE)
        centre = None if target is None else one_column(kinds, target, kinds_allowed=COUNTABLE, argument="target")
        if centre is not None:
            names = [centre, *(name for name in names if name != centre)]
        if len(names) < 2:
            raise DataError(
                f"only `{names[0]}` is there to correlate, but it takes two columns\nhint: name two numeric columns"
            )
        if len(names) > MAX_COLUMNS and centre is None:
            raise DataError(
                f"{len(names):,} columns are to be correlated with each other, more than {MAX_COLUMNS}\n"
                "hint: name the `columns`, or give one `target` to correlate all of them with"
            )
        asked = [(centre, name) for name in names[1:]] if centre is not None else list(combinations(names, 2))
        source = database.parquet(path)
        if method == "pearson":
            pairs = _pearson(database, source, asked, _known(database, path, names))
        else:
            pairs = _by_ranks(database, source, names, asked, method)
    ordered = sorted(pairs, key=lambda pair: (pair["r"] is None, -abs(pair["r"] or 0)))
    return {
        "pairs": ordered[:limit],
        "matrix": _matrix(names, pairs) if len(names) <= MAX_MATRIX_COLUMNS else {},
        "left_out": max(0, len(ordered) - limit),
        "method": f"{_METHODS[method]}; two-sided p-values; rows in which either is missing are left out pair by pair",
    }


_METHODS: Final[dict[Method, str]] = {
    "pearson": "Pearson's r, p by the exact distribution of r under normality (t with n - 2 degrees of freedom)",
    "spearman": "Spearman's rho with average ranks for ties, p by the t distribution with n - 2 degrees of freedom",
    "kendall": "Kendall's tau-b, p exact for small samples without ties, else by the normal distribution",
}


def _known(database: Database, path: Path, names: Sequence[str]) -> dict[str, Figures | None]:
    """The figures of the columns; those of true and false are not kept with the others."""
    kept = numeric_figures(database, path)
    rest = [name for name in names if name not in kept]
    return {**kept, **compute_figures(database, database.parquet(path), rest)}


def _pearson(
    database: Database, source: str, asked: Sequence[tuple[str, str]], figures: Mapping[str, Figures | None]
) -> list[Correlation]:
    (rows,) = database.row(f"SELECT count(*) FROM {source}")
    counts = {name: 0 if known is None else known.scale.count for name, known in figures.items()}
    varied = {name: known for name, known in figures.items() if known is not None and not known.scale.constant}
    whole = {name for name in counts if counts[name] == rows}
    known = _of_whole_columns(
        database, source, [pair for pair in asked if whole.issuperset(pair) and varied.keys() >= set(pair)], varied
    )
    found: list[Correlation] = []
    for batch in batches(asked, PAIRS_PER_QUERY):
        wanted = ["count(*)"]
        for a, b in batch:
            if (a, b) in known:
                continue
            both = a in varied and b in varied
            wanted.append(f"corr({varied[a].scale.sql(a)}, {varied[b].scale.sql(b)})" if both else "NULL")
            if not whole.intersection((a, b)):  # else every row with the other one counts
                wanted.append(f"regr_count({number_sql(a)}, {number_sql(b)})")
        values = iter(database.row(f"SELECT {', '.join(wanted)} FROM {source}")[1:] if len(wanted) > 1 else ())
        for a, b in batch:
            r = known[a, b] if (a, b) in known else _coefficient(next(values))
            n = min(counts[a], counts[b]) if whole.intersection((a, b)) else next(values)
            found.append({"a": a, "b": b, "r": r, "p_value": correlation(r, n), "n": n})
    return found


def _of_whole_columns(
    database: Database, source: str, asked: Sequence[tuple[str, str]], figures: Mapping[str, Figures]
) -> dict[tuple[str, str], float | None]:
    """Coefficients of columns without a missing value: sums of products around the mean, quicker than `corr`."""
    names = list(dict.fromkeys(name for pair in asked for name in pair))
    centred = {name: f"({figures[name].scale.sql(name)} - {float_sql(figures[name].scaled_mean)})" for name in names}
    products = _products(database, source, [*((name, name) for name in names), *asked], centred)
    found: dict[tuple[str, str], float | None] = {}
    for a, b in asked:
        width = math.sqrt(products[a, a]) * math.sqrt(products[b, b])
        found[a, b] = _coefficient(products[a, b] / width) if width else None
    return found


def _products(
    database: Database, source: str, pairs: Sequence[tuple[str, str]], centred: Mapping[str, str]
) -> dict[tuple[str, str], float]:
    """Sums of products; each column of a query is centred once, however many pairs it is in."""
    found: dict[tuple[str, str], float] = {}
    for batch in batches(pairs, PAIRS_PER_QUERY):
        places = {
            name: f"z{number}" for number, name in enumerate(dict.fromkeys(name for pair in batch for name in pair))
        }
        columns = ", ".join(f"{centred[name]} AS {place}" for name, place in places.items())
        wanted = ", ".join(f"sum({places[a]} * {places[b]})" for a, b in batch)
        found.update(zip(batch, database.row(f"SELECT {wanted} FROM (SELECT {columns} FROM {source})"), strict=True))
    return found


def _by_ranks(
    database: Database, source: str, names: Sequence[str], asked: Sequence[tuple[str, str]], method: Method
) -> list[Correlation]:
    numpy = import_extra("numpy", "correlating ranks")
    wanted = ", ".join(f"{number_sql(name)} AS c{number}" for number, name in enumerate(names))
    arrays = database.arrays(f"SELECT {wanted} FROM {source}")
    cells = {name: arrays[f"c{number}"] for number, name in enumerate(names)}
    there = {name: ~numpy.isnan(values) for name, values in cells.items()}
    complete = {name: bool(mask.all()) for name, mask in there.items()}
    ranks = (
        {name: average_ranks(values) for name, values in cells.items() if complete[name]}
        if method == "spearman"
        else {}
    )
    found: list[Correlation] = []
    for a, b in asked:
        both = there[a] & there[b]
        n = int(both.sum())
        r: float | None = None
        p_value: float | None = None
        if n >= 2 and method == "kendall":
            result = scipy_stats().kendalltau(cells[a][both], cells[b][both])
            r, p_value = _coefficient(float(result.statistic)), _coefficient(float(result.pvalue))
        elif n >= 2:
            whole = complete[a] and complete[b]
            x = ranks[a] if whole else average_ranks(cells[a][both])
            y = ranks[b] if whole else average_ranks(cells[b][both])
            r = _of_arrays(x, y)
            p_value = correlation(r, n)
        found.append({"a": a, "b": b, "r": r, "p_value": p_value, "n": n})
    return found


def average_ranks(values: NDArray[float64]) -> NDArray[float64]:
    """Ranks from 1; equal values share the mean of theirs."""
    numpy = import_extra("numpy", "ranks")
    _, places, counts = numpy.unique(values, return_inverse=True, return_counts=True)
    ends = numpy.cumsum(counts)
    return (ends - (counts - 1) / 2.0)[places]


def _of_arrays(x: Any, y: Any) -> float | None:
    x, y = x - x.mean(), y - y.mean()
    width = math.sqrt(float(x @ x)) * math.sqrt(float(y @ y))
    return _coefficient(float(x @ y) / width) if width else None


def _coefficient(value: float | None) -> float | None:
    """A coefficient within its bounds; None for one that cannot be said."""
    return None if value is None or not math.isfinite(value) else min(1.0, max(-1.0, value))


def _matrix(names: Sequence[str], pairs: Sequence[Correlation]) -> dict[str, dict[str, float | None]]:
    matrix: dict[str, dict[str, float | None]] = {name: {} for name in names}
    for pair in pairs:
        matrix[pair["a"]][pair["b"]] = matrix[pair["b"]][pair["a"]] = pair["r"]
    return matrix
