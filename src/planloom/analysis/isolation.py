"""Finds rows that lie far out in several columns at once, by an isolation forest (Liu, Ting and Zhou 2008).

Rule: seeded, so that the same table gives the same rows; rows with a missing value are not judged, and kept.
"""

# ruff: noqa: S608 (names and texts enter SQL through `identifier` and `literal` alone)
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from planloom.analysis.database import Database, identifier, import_extra
from planloom.analysis.moments import column_scales
from planloom.analysis.statistics import number_sql
from planloom.analysis.tables import Table
from planloom.analysis.values import Plain, plain
from planloom.analysis.wording import count
from planloom.analysis.writing import write_table
from planloom.errors import DataError

if TYPE_CHECKING:
    from numpy import int64
    from numpy.typing import NDArray

SEED: Final = 42
TREES: Final = 100
FEWEST_ROWS: Final = 10
BEYOND_32_BITS: Final = 1e38
MOST_ROWS: Final = 2_000_000
"""Rows that a forest judges in a minute or so."""


@dataclass(frozen=True, slots=True)
class Isolation:
    """Which rows were found: their numbers from 1, in order, with their scores (the lower the farther out)."""

    numbers: NDArray[int64]
    scores: NDArray[Any]
    judged: int
    method: str

    @property
    def count(self) -> int:
        """How many rows lie far out."""
        return len(self.numbers)

    def farthest(
        self, database: Database, source: str, wanted: Mapping[str, str], limit: int
    ) -> list[tuple[int, float, dict[str, Plain]]]:
        """Up to `limit` of the rows, the farthest out first: number, score, and the wanted columns (SQL by name)."""
        order = self.scores.argsort(kind="stable")[:limit]
        chosen = {int(self.numbers[place]): float(self.scores[place]) for place in order}
        if not chosen:
            return []
        cells = ", ".join(f"{cell} AS s{number}" for number, cell in enumerate(wanted.values()))
        rows = database.rows(
            f"SELECT * FROM (SELECT row_number() OVER () AS number, {cells} FROM {source}) "
            f"WHERE number IN ({', '.join(map(str, chosen))})"
        )
        found = {row[0]: dict(zip(wanted, map(plain, row[1:]), strict=True)) for row in rows}
        return [(number, score, found[number]) for number, score in chosen.items()]

    def table(
        self, database: Database, folder: Path, source: str, parent: Table, names: Sequence[str], *, keep_outliers: bool
    ) -> Table:
        """The table without the rows, or of them alone, in its order."""
        listed = folder / f"rows-{parent['artifact'][:16]}-{id(self):x}.csv"
        try:
            listed.write_text("\n".join(map(str, self.numbers.tolist())) + "\n", encoding="ascii")
            options = "header=false, auto_detect=false, columns={'n': 'BIGINT'}"
            far = f"SELECT n FROM read_csv({database.path(listed)}, {options})"
            number = _free_name(names=[column["name"] for column in parent["columns"]])
            wanted = "" if keep_outliers else "NOT "
            query = (
                f"SELECT * EXCLUDE ({number}) FROM (SELECT *, row_number() OVER () AS {number} FROM {source}) "
                f"WHERE {number} {wanted}IN ({far}) ORDER BY {number}"
            )
            what = "Kept only" if keep_outliers else "Left out"
            columns = ", ".join(f"`{name}`" for name in names[:5]) + (" and more" if len(names) > 5 else "")
            sentence = f"{what} {count(self.count, 'row')} far out in {columns}: {self.method}."
            return write_table(database, folder, query, parent=parent, decisions=[sentence])
        finally:
            listed.unlink(missing_ok=True)


def isolate(database: Database, source: str, names: Sequence[str], share: float | None) -> Isolation:
    """Judge the rows by the columns `names`; `share` is the expected share of outliers, None for scikit-learn's rule.

    Raises `DataError` for too few or too many rows, `MissingExtraError` without scikit-learn.
    """
    numpy = import_extra("numpy", "the isolation forest")
    scales = column_scales(database, source, names)
    empty = next((name for name, scale in scales.items() if scale is None), None)
    if empty is not None:
        raise DataError(f"`{empty}` has no values, so no row can be judged\nhint: name other `columns`")
    there = " AND ".join(f"{identifier(name)} IS NOT NULL" for name in names)
    (rows,) = database.row(f"SELECT count(*) FROM {source} WHERE {there}")
    if not FEWEST_ROWS <= rows <= MOST_ROWS:
        raise DataError(
            f"an isolation forest judges {FEWEST_ROWS} to {MOST_ROWS:,} rows, but {rows:,} have all values\n"
            "hint: " + ("name fewer `columns`, or take the iqr method" if rows < FEWEST_ROWS else "take the iqr method")
        )
    # the forest computes in 32 bits: a column beyond their range is scaled, which changes no tree
    parts = [
        scale.sql(name) if scale is not None and abs(scale.middle) + scale.size > BEYOND_32_BITS else number_sql(name)
        for name, scale in scales.items()
    ]
    cells = ", ".join(f"{part} AS c{number}" for number, part in enumerate(parts))
    held = f"SELECT row_number() OVER () AS number, {cells} FROM {source}"
    present = " AND ".join(f"c{number} IS NOT NULL" for number in range(len(names)))
    arrays = database.arrays(f"SELECT * FROM ({held}) WHERE {present}")
    numbers = arrays.pop("number").astype(numpy.int64)
    matrix = numpy.column_stack([arrays[f"c{number}"] for number in range(len(names))])
    forest = import_extra("sklearn.ensemble", "the isolation forest").IsolationForest(
        n_estimators=TREES, contamination="auto" if share is None else share, random_state=SEED
    )
    try:
        forest.fit(matrix)
        scores = forest.decision_function(matrix)
    except ValueError as error:
        reason = str(error).split("\n", 1)[0]
        raise DataError(f"the isolation forest cannot be grown: {reason}") from error
    far = scores < 0
    rule = "scikit-learn's rule" if share is None else f"the expected share {share:g}"
    method = (
        f"isolation forest of {TREES} trees, seed {SEED}, threshold by {rule}, "
        f"on {rows:,} rows without a missing value; score: scikit-learn's decision function, negative is far out"
    )
    return Isolation(numbers[far], scores[far], rows, method)


def _free_name(names: Sequence[str]) -> str:
    """A quoted column name that the table does not have."""
    taken = {name.casefold() for name in names}
    name = "row number"
    while name in taken:
        name += "_"
    return identifier(name)
