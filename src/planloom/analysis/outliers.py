"""Finds values that lie far out, by four methods, and makes the table without them.

z-score: |x - mean| > threshold * std. iqr: beyond the quartiles by more than threshold * IQR (Tukey 1977). mad: the
modified z-score 0.6745 * |x - median| / MAD > threshold (Iglewicz and Hoaglin 1993). isolation-forest looks at whole
rows and is in `isolation`. Rule: bounds are stated, and counting, showing and removing use the very same bounds.
"""

# ruff: noqa: S608 (names and texts enter SQL through `identifier` and `literal` alone)
from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field
from typing_extensions import TypedDict

from planloom.analysis.columns import EVERY_KIND, NUMERIC, cell_sql, column_kinds, several_columns
from planloom.analysis.database import Database, batches, count_where, open_database
from planloom.analysis.isolation import Isolation, isolate
from planloom.analysis.moments import column_moments, float_sql
from planloom.analysis.statistics import QUARTILES, number_sql
from planloom.analysis.tables import Table, table_path
from planloom.analysis.values import Plain, finite, plain
from planloom.analysis.wording import count
from planloom.analysis.writing import write_table
from planloom.errors import DataError

Method = Literal["iqr", "z-score", "mad", "isolation-forest"]
Keep = Literal["rest", "outliers"]
THRESHOLDS: Final[dict[Method, float]] = {"iqr": 1.5, "z-score": 3.0, "mad": 3.5}
MAX_OUTLIER_COLUMNS: Final = 1_000
MAX_SHOWN_ROWS: Final = 500
MAX_SHOWN_COLUMNS: Final = 10
CHUNK: Final = 40
"""Columns per query where each needs its quartiles."""
_NORMAL_QUARTILE: Final = 0.6744897501960817
"""The upper quartile of the standard normal distribution, which makes MAD comparable with a deviation."""


class OutlierRow(TypedDict):
    """One row that lies far out: its number from 1 (the header is none), the value, and how far out it is."""

    row: int
    column: str
    value: float | None
    score: Annotated[float | None, Field(description="In units of the method: std, IQR beyond the quartile, MAD z")]
    shown: Annotated[dict[str, Plain], Field(description="The columns asked for in `show`")]


class ColumnOutliers(TypedDict):
    """The outliers of one column, and the bounds: what is below `lower` or above `upper` is one."""

    n: int
    count: int
    share: Annotated[float, Field(description="`count` over `n`, 0 to 1")]
    lower: float | None
    upper: float | None
    center: float | None
    spread: float | None
    outlier_min: float | None
    outlier_max: float | None
    outlier_mean: float | None
    outlier_median: float | None
    note: str


class Outliers(TypedDict):
    """The outliers of a table by column name, and the rows they are in, the farthest out first in each column."""

    total: Annotated[int, Field(description="Outlying values in all columns; for isolation-forest rows")]
    outlier_rows: Annotated[int, Field(description="Rows with at least one")]
    rows: int
    columns: dict[str, ColumnOutliers]
    examples: list[OutlierRow]
    left_out: int
    method: str


def detect_outliers(
    table: Table,
    folder: Path,
    columns: Sequence[str] | None,
    method: Method,
    threshold: float | None,
    ddof: int,
    show: Sequence[str] | None,
    limit: int,
) -> Outliers:
    """Find outliers of numeric columns. Raises `DataError` for a bad handle, column, threshold or limit."""
    path = table_path(table, folder)
    limited = _check(method, threshold, ddof)
    if not 0 <= limit <= MAX_SHOWN_ROWS:
        raise DataError(f"`limit` is {limit}, but 0 to {MAX_SHOWN_ROWS} rows can be shown")
    with open_database(folder) as database:
        kinds = column_kinds(database, path)
        names = _named(several_columns(kinds, columns, allowed=NUMERIC))
        shown = several_columns(kinds, show, allowed=EVERY_KIND, argument="show") if show else []
        if len(shown) > MAX_SHOWN_COLUMNS:
            raise DataError(f"`show` names {len(shown)} columns, more than {MAX_SHOWN_COLUMNS}")
        cells = {name: cell_sql(name, kinds[name]) for name in shown}
        source = database.parquet(path)
        if method == "isolation-forest":
            found = isolate(database, source, names, threshold)
            first = {name: cell_sql(name, kinds[name]) for name in names[:MAX_SHOWN_COLUMNS]}
            return _of_forest(database, source, found, {**first, **cells}, limit, table["rows"])
        judged = _judge(database, source, names, method, limited, ddof)
        outlier_rows = _count_rows(database, source, judged)
        examples = _examples(database, source, judged, cells, limit, method)
    total = sum(column["count"] for column in judged.values())
    return {
        "total": total,
        "outlier_rows": outlier_rows,
        "rows": table["rows"],
        "columns": judged,
        "examples": examples,
        "left_out": total - len(examples),
        "method": describe_method(method, limited, ddof),
    }


def drop_outliers(
    table: Table,
    folder: Path,
    columns: Sequence[str] | None,
    method: Method,
    threshold: float | None,
    ddof: int,
    keep: Keep,
) -> Table:
    """A new table without the rows in which a column has an outlier, or of those rows alone. Raises `DataError`."""
    path = table_path(table, folder)
    limited = _check(method, threshold, ddof)
    with open_database(folder) as database:
        kinds = column_kinds(database, path)
        names = _named(several_columns(kinds, columns, allowed=NUMERIC))
        source = database.parquet(path)
        if method == "isolation-forest":
            found = isolate(database, source, names, threshold)
            return found.table(database, folder, source, table, names, keep_outliers=keep == "outliers")
        judged = _judge(database, source, names, method, limited, ddof)
        far = _any_far(judged)
        outlying = _count_rows(database, source, judged)
        kept = far if keep == "outliers" else f"NOT coalesce({far}, false)"
        listed = ", ".join(f"`{name}`" for name in names[:5]) + (" and more" if len(names) > 5 else "")
        what = "Kept only" if keep == "outliers" else "Left out"
        sentence = (
            f"{what} {count(outlying, 'row')} with an outlier in {listed}: {describe_method(method, limited, ddof)}."
        )
        return write_table(database, folder, f"SELECT * FROM {source} WHERE {kept}", parent=table, decisions=[sentence])


def describe_method(method: Method, threshold: float, ddof: int) -> str:
    """How outliers were told, in words."""
    if method == "z-score":
        return f"z-score, |x - mean| > {threshold:g} standard deviations (ddof = {ddof}), missing values left out"
    if method == "mad":
        return f"MAD, 0.6745 * |x - median| / MAD > {threshold:g}, missing values left out"
    return (
        f"IQR, below q25 - {threshold:g} * IQR or above q75 + {threshold:g} * IQR, missing values left out; "
        f"quartiles: {QUARTILES}"
    )


def _check(method: Method, threshold: float | None, ddof: int) -> float:
    """The threshold to use. Raises `DataError` for one that makes no sense."""
    if ddof not in (0, 1):
        raise DataError(f"`ddof` is {ddof}, but it is 1 (of a sample) or 0 (of a population)")
    if method == "isolation-forest":
        if threshold is not None and not 0 < threshold <= 0.5:
            raise DataError(
                f"`threshold` is {threshold}, but for isolation-forest it is the expected share of outliers\n"
                "hint: a number above 0 and up to 0.5, or leave it out"
            )
        return threshold or 0.0
    used = THRESHOLDS[method] if threshold is None else threshold
    if not (math.isfinite(used) and used > 0):
        raise DataError(f"`threshold` is {used}, not a positive number\nhint: {THRESHOLDS[method]:g} is usual")
    return used


def _named(names: list[str]) -> list[str]:
    if len(names) > MAX_OUTLIER_COLUMNS:
        raise DataError(
            f"{len(names):,} columns are to be looked at, more than {MAX_OUTLIER_COLUMNS:,}\nhint: name the `columns`"
        )
    return names


def _judge(
    database: Database, source: str, names: Sequence[str], method: Method, threshold: float, ddof: int
) -> dict[str, ColumnOutliers]:
    """Each column with its bounds and what lies beyond them."""
    judged = {name: _nothing() for name in names}
    if method == "z-score":
        for name, moments in column_moments(database, source, names).items():
            std = moments.std if ddof == 1 else moments.std_population
            judged[name]["n"] = moments.n
            _bound(judged[name], moments.mean, std, std and threshold * std, std and threshold * std)
    elif method == "iqr":
        for batch in batches(names, CHUNK):
            for name, (n, quartiles) in _quartiles(database, source, batch).items():
                judged[name]["n"] = n
                if quartiles is not None:
                    q25, median, q75 = quartiles
                    iqr = q75 - q25
                    _bound(judged[name], median, iqr, median - q25 + threshold * iqr, q75 - median + threshold * iqr)
                    judged[name]["lower"], judged[name]["upper"] = (
                        finite(q25 - threshold * iqr),
                        finite(q75 + threshold * iqr),
                    )
    else:
        _judge_mad(database, source, names, threshold, judged)
    _count_far(database, source, judged)
    return judged


def _judge_mad(
    database: Database, source: str, names: Sequence[str], threshold: float, judged: dict[str, ColumnOutliers]
) -> None:
    for batch in batches(names, CHUNK):
        found = _quartiles(database, source, batch)
        centres = {name: quartiles[1] for name, (_, quartiles) in found.items() if quartiles is not None}
        wanted = ", ".join(
            f"quantile_cont(abs({number_sql(name)} - {float_sql(centre)}), 0.5)" for name, centre in centres.items()
        )
        spreads = database.row(f"SELECT {wanted} FROM {source}") if centres else ()
        for name, (n, _) in found.items():
            judged[name]["n"] = n
        for (name, centre), spread in zip(centres.items(), spreads, strict=True):
            reach = threshold * spread / _NORMAL_QUARTILE
            _bound(judged[name], centre, finite(spread), reach, reach)
            if spread == 0:
                judged[name]["note"] = (
                    "half of the values are the same, so MAD is 0 and tells nothing; take another method"
                )


def _nothing() -> ColumnOutliers:
    return {
        "n": 0, "count": 0, "share": 0.0, "lower": None, "upper": None, "center": None, "spread": None,
        "outlier_min": None, "outlier_max": None, "outlier_mean": None, "outlier_median": None, "note": "",
    }  # fmt: skip


def _bound(
    column: ColumnOutliers, centre: float | None, spread: float | None, below: float | None, above: float | None
) -> None:
    """Fill in the bounds; without a spread, or beyond the range of floats, nothing can be out."""
    column["center"], column["spread"] = centre, None if spread is None else finite(spread)
    if centre is None or not spread:
        column["note"] = "no values" if centre is None else "the values do not vary" if column["n"] > 1 else "one value"
    elif below is not None and above is not None:
        column["lower"], column["upper"] = finite(centre - below), finite(centre + above)


def _quartiles(
    database: Database, source: str, names: Sequence[str]
) -> dict[str, tuple[int, tuple[float, float, float] | None]]:
    wanted = ", ".join(f"count({n}), quantile_cont({n}, [0.25, 0.5, 0.75])" for n in map(number_sql, names))
    values = iter(database.row(f"SELECT {wanted} FROM {source}"))
    return {name: (next(values), next(values)) for name in names}


def _is_far(value: str, column: ColumnOutliers) -> str:
    tests = [
        f"{value} {sign} {float_sql(bound)}"
        for sign, bound in (("<", column["lower"]), (">", column["upper"]))
        if bound is not None
    ]
    return f"({' OR '.join(tests)})" if tests else "false"


def _any_far(judged: Mapping[str, ColumnOutliers]) -> str:
    """Whether a row has an outlier. `greatest` takes any number of arguments; a chain of OR could be too deep."""
    tests = [_is_far(number_sql(name), column) for name, column in judged.items() if column["count"]]
    return f"greatest(false, {', '.join(tests)})" if tests else "false"


def _count_rows(database: Database, source: str, judged: Mapping[str, ColumnOutliers]) -> int:
    (rows,) = database.row(f"SELECT {count_where(_any_far(judged))} FROM {source}")
    return rows


def _count_far(database: Database, source: str, judged: dict[str, ColumnOutliers]) -> None:
    for batch in batches([name for name in judged if judged[name]["n"]], CHUNK):
        parts: list[str] = []
        for name in batch:
            value = number_sql(name)
            far = f"FILTER (WHERE {_is_far(value, judged[name])})"
            parts += [f"count(*) {far}", f"min({value}) {far}", f"max({value}) {far}", f"favg({value}) {far}"]
            parts.append(f"quantile_cont({value}, 0.5) {far}")
        values = iter(database.row(f"SELECT {', '.join(parts)} FROM {source}"))
        for name in batch:
            column = judged[name]
            column["count"] = next(values)
            column["outlier_min"], column["outlier_max"] = finite(next(values)), finite(next(values))
            column["outlier_mean"], column["outlier_median"] = finite(next(values)), finite(next(values))
            column["share"] = column["count"] / column["n"]


def _examples(
    database: Database,
    source: str,
    judged: Mapping[str, ColumnOutliers],
    shown: Mapping[str, str],
    limit: int,
    method: Method,
) -> list[OutlierRow]:
    """Rows with outliers, column by column, the farthest out first."""
    examples: list[OutlierRow] = []
    for name, column in judged.items():
        left = limit - len(examples)
        if left <= 0:
            break
        if not column["count"]:
            continue
        extra = "".join(f", {cell} AS s{number}" for number, cell in enumerate(shown.values()))
        held = f"SELECT row_number() OVER () AS number, {number_sql(name)} AS value{extra} FROM {source}"
        middle = float_sql(column["center"] or 0.0)
        rows = database.rows(
            f"SELECT * FROM ({held}) WHERE {_is_far('value', column)} "
            f"ORDER BY abs(value - {middle}) DESC, number LIMIT {left}"
        )
        for number, value, *others in rows:
            cells = {other: plain(cell) for other, cell in zip(shown, others, strict=True)}
            score = _score(value, column, method)
            examples.append({"row": number, "column": name, "value": finite(value), "score": score, "shown": cells})
    return examples


def _score(value: float, column: ColumnOutliers, method: Method) -> float | None:
    """How far out: standard deviations, modified z, or IQRs beyond the bound's quartile."""
    centre, spread, lower, upper = column["center"], column["spread"], column["lower"], column["upper"]
    if centre is None or not spread:
        return None
    if method == "z-score":
        return finite((value - centre) / spread)
    if method == "mad":
        return finite(_NORMAL_QUARTILE * (value - centre) / spread)
    if lower is not None and value < lower:
        return finite((value - lower) / spread)
    return finite((value - upper) / spread) if upper is not None else None


def _of_forest(
    database: Database, source: str, found: Isolation, wanted: Mapping[str, str], limit: int, rows: int
) -> Outliers:
    examples: list[OutlierRow] = []
    for number, score, cells in found.farthest(database, source, wanted, limit):
        examples.append({"row": number, "column": "", "value": None, "score": score, "shown": cells})
    return {
        "total": found.count,
        "outlier_rows": found.count,
        "rows": rows,
        "columns": {},
        "examples": examples,
        "left_out": found.count - len(examples),
        "method": found.method,
    }
