"""Sums a table up by groups, and counts how often values occur.

Rule: rows whose group is missing form a group of their own (null), last in every order; they are never dropped in
silence.
"""

# ruff: noqa: S608 (names and texts enter SQL through `identifier` and `literal` alone)
from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal, cast, get_args

from pydantic import Field
from typing_extensions import TypedDict

from planloom.analysis.columns import COUNTABLE, GROUPING, NUMERIC, cell_sql, column_kinds, several_columns
from planloom.analysis.database import identifier, open_database
from planloom.analysis.moments import Moments, Scale, column_scales, moments_of, power
from planloom.analysis.statistics import QUARTILES
from planloom.analysis.tables import Kind, Table, table_path
from planloom.analysis.values import Plain, finite, plain
from planloom.errors import DataError

Measure = Literal[
    "count", "missing", "distinct", "sum", "mean", "median", "std", "std_population", "min", "max", "q25", "q75",
    "iqr", "range", "skewness", "kurtosis",
]  # fmt: skip
MEASURES: Final[tuple[Measure, ...]] = ("count", "mean", "median", "std", "min", "max")
_ALL: Final = get_args(Measure)
MAX_GROUPS: Final = 1_000
"""Most groups in one output."""
MAX_GROUPED_COLUMNS: Final = 40
"""Most columns that are summed up in one call."""
ANY_KIND: Final = frozenset(("count", "missing", "distinct", "min", "max"))
"""Measures that need no numbers."""
_QUANTILES: Final = ("q25", "median", "q75")
_SHAPES: Final = frozenset(("skewness", "kurtosis"))


class Group(TypedDict):
    """One group: its values by column of `by`, and its measures."""

    group: dict[str, Plain]
    rows: int
    share: Annotated[float, Field(description="`rows` over all rows of the table, 0 to 1")]
    values: dict[str, dict[str, Plain]]


class GroupSummary(TypedDict):
    """A table summed up by groups."""

    groups: list[Group]
    group_count: int
    left_out: Annotated[int, Field(description="Groups that are not in the list")]
    method: str


class ValueCount(TypedDict):
    """How often a value, or combination of values, occurs."""

    group: dict[str, Plain]
    count: int
    share: Annotated[float, Field(description="`count` over the rows in which none of the columns is missing")]


class ValueCounts(TypedDict):
    """The values of columns, the most frequent first."""

    values: list[ValueCount]
    distinct: int
    rows: int
    missing: Annotated[int, Field(description="Rows in which one of the columns is missing; they are not counted")]
    left_out: Annotated[int, Field(description="Different values that are not in the list")]


def summarise_groups(
    table: Table,
    folder: Path,
    by: Sequence[str],
    columns: Sequence[str] | None,
    measures: Sequence[Measure],
    order_by: str,
    *,
    descending: bool,
    limit: int,
) -> GroupSummary:
    """Measures of columns per group; `by` empty: one group, the whole table. Raises `DataError`."""
    path = table_path(table, folder)
    _check_limit(limit)
    wanted = list(dict.fromkeys(measures))
    if not wanted:
        raise DataError("`measures` is an empty list\nhint: name some, or leave `measures` out")
    if order_by in _ALL and order_by not in wanted:
        wanted.append(cast("Measure", order_by))
    with open_database(folder) as database:
        kinds = column_kinds(database, path)
        keys = several_columns(kinds, by, allowed=GROUPING, argument="by") if by else []
        rest: dict[str, Kind] = {name: kind for name, kind in kinds.items() if columns is not None or name not in keys}
        allowed = GROUPING if ANY_KIND.issuperset(wanted) else COUNTABLE
        only_counts = columns is None and not any(kind in NUMERIC for kind in rest.values())
        names = [] if only_counts else several_columns(rest, columns, allowed=allowed, unless_named=NUMERIC)
        if len(names) > MAX_GROUPED_COLUMNS:
            raise DataError(
                f"{len(names)} columns are to be summed up, more than {MAX_GROUPED_COLUMNS}\nhint: name fewer `columns`"
            )
        orders = ("group", "rows", *(wanted if names else ()))
        if order_by not in orders:
            raise DataError(f"`order_by` is `{order_by}`\nhint: give one of {', '.join(orders)}")
        source = database.parquet(path)
        numbers = [name for name in names if kinds[name] in COUNTABLE]
        query = _GroupQuery(keys, names, wanted, kinds, column_scales(database, source, numbers))
        rows = database.rows(query.sql(source, order_by, limit, descending=descending))
        (total,) = database.row(f"SELECT count(*) FROM {source}")
    groups = [query.group(row, total) for row in rows]
    group_count = int(rows[0][-1]) if rows else 0
    return {"groups": groups, "group_count": group_count, "left_out": group_count - len(groups), "method": _METHOD}


_METHOD: Final = (
    "missing values are left out of every measure but `missing`; std: ddof = 1, std_population: ddof = 0; "
    f"median and quartiles: {QUARTILES}; skewness: Fisher-Pearson and kurtosis: excess, both biased as in SciPy; "
    "a missing group value makes a group of its own, null"
)


class _GroupQuery:
    """One query that finds every measure of every column, and the way back from its rows."""

    def __init__(
        self,
        keys: Sequence[str],
        names: Sequence[str],
        measures: Sequence[Measure],
        kinds: Mapping[str, Kind],
        scales: Mapping[str, Scale | None],
    ) -> None:
        self.keys, self.names, self.measures, self.kinds, self.scales = keys, names, measures, kinds, scales
        self.shapes = bool(_SHAPES.intersection(measures))

    def sql(self, source: str, order_by: str, limit: int, *, descending: bool) -> str:
        """Groups in order; the last column is the number of all groups."""
        keys = [f"{cell_sql(key, self.kinds[key])} AS g{number}" for number, key in enumerate(self.keys)]
        cells = [f"{self._raw(name)} AS x{number}" for number, name in enumerate(self.names)]
        scaled = [
            f"{scale.sql(name)} AS z{number}"
            for number, name in enumerate(self.names)
            if (scale := self.scales.get(name)) is not None
        ]
        held = f"held AS (SELECT {', '.join([*keys, *cells, *scaled, '1 AS one'])} FROM {source})"
        by = [f"g{number}" for number in range(len(keys))]
        grouped = f" GROUP BY {', '.join(by)}" if by else ""
        wanted = [*by, "count(*) AS rows"]
        for number in range(len(self.names)):
            wanted += [f"{part} AS m{number}_{index}" for index, part in enumerate(self._parts(number))]
        totals = f"totals AS (SELECT {', '.join(wanted)} FROM held{grouped})"
        order = self._order(order_by, "DESC" if descending else "ASC", by)
        shapes, joined = self._shape_sql(by) if self.shapes else ("", "totals")
        return (
            f"WITH {held}, {totals}{shapes} SELECT *, count(*) OVER () FROM {joined} "
            f"{'WHERE rows > 0 ' if not by else ''}ORDER BY {', '.join(order)} LIMIT {limit}"
        )

    def _shape_sql(self, by: Sequence[str]) -> tuple[str, str]:
        """Central moments around each group's own mean: a second look at the rows, joined to the first."""
        scaled = [number for number, name in enumerate(self.names) if self.scales.get(name) is not None]
        same = " AND ".join(f"held.{key} IS NOT DISTINCT FROM totals.{key}" for key in by) or "true"
        parts = [
            f"favg({power(f'(z{number} - m{number}_3)', exponent)}) AS s{number}_{exponent}"
            for number in scaled
            for exponent in (2, 3, 4)
        ]
        held = ", ".join([*(f"held.{key}" for key in by), *parts]) or "1"
        grouped = f" GROUP BY {', '.join(f'held.{key}' for key in by)}" if by else ""
        shapes = f", shapes AS (SELECT {held} FROM held JOIN totals ON {same}{grouped})"
        match = " AND ".join(f"totals.{key} IS NOT DISTINCT FROM shapes.{key}" for key in by) or "true"
        columns = [f"shapes.s{number}_{exponent}" for number in scaled for exponent in (2, 3, 4)]
        listed = ", ".join(["totals.*", *columns])
        return shapes, f"(SELECT {listed} FROM totals JOIN shapes ON {match})"

    def _raw(self, name: str) -> str:
        kind = self.kinds[name]
        return f"{identifier(name)}::INTEGER" if kind == "boolean" else cell_sql(name, kind)

    def _parts(self, number: int) -> list[str]:
        """The aggregates of one column; each place means the same for every column."""
        name, cell, scaled = self.names[number], f"x{number}", f"z{number}"
        has = set(self.measures)
        is_number = self.kinds[name] in COUNTABLE
        known = is_number and self.scales.get(name) is not None
        value = f"{cell}::DOUBLE"
        total = f"sum({cell})" if self.kinds[name] in ("integer", "boolean") else f"fsum({value})"
        ends = f"min({cell})", f"max({cell})"
        return [
            f"count({cell})",
            ends[0] if has & {"min", "range"} else "NULL",
            ends[1] if has & {"max", "range"} else "NULL",
            f"favg({scaled})" if known else "NULL",
            f"stddev_samp({scaled})" if known and "std" in has else "NULL",
            f"stddev_pop({scaled})" if known and "std_population" in has else "NULL",
            f"quantile_cont({value}, [0.25, 0.5, 0.75])" if known and has & {*_QUANTILES, "iqr"} else "NULL",
            total if is_number and "sum" in has else "NULL",
            f"count(DISTINCT {cell})" if "distinct" in has else "NULL",
        ]

    def _order(self, order_by: str, direction: str, by: Sequence[str]) -> list[str]:
        last = [f"{key} ASC NULLS LAST" for key in by]
        if order_by == "group":
            return [f"{key} {direction} NULLS LAST" for key in by] or ["rows"]
        # whoever takes the first group asks for the best one that has a name
        named = [f"({' OR '.join(f'{key} IS NULL' for key in by)})"] if by else []
        if order_by == "rows":
            return [*named, f"rows {direction}", *last]
        sources = {
            "count": "m0_0", "missing": "rows - m0_0", "distinct": "m0_8", "sum": "m0_7", "mean": "m0_3",
            "median": "m0_6[2]", "std": "m0_4", "std_population": "m0_5", "min": "m0_1", "max": "m0_2",
            "q25": "m0_6[1]", "q75": "m0_6[3]", "iqr": "m0_6[3] - m0_6[1]", "range": "m0_2 - m0_1",
            "skewness": "s0_3 / nullif(pow(s0_2, 1.5), 0)", "kurtosis": "s0_4 / nullif(s0_2 * s0_2, 0)",
        }  # fmt: skip
        if order_by in _SHAPES and self.scales.get(self.names[0]) is None:
            return last or ["rows"]
        return [*named, f"{sources[order_by]} {direction} NULLS LAST", *last]

    def group(self, row: Sequence[Any], total: int) -> Group:
        """One row of the query as a group."""
        values = iter(row)
        keys = {key: plain(next(values)) for key in self.keys}
        rows = next(values)
        parts = [[next(values) for _ in self._parts(number)] for number in range(len(self.names))]
        found: dict[str, dict[str, Plain]] = {}
        for name, part in zip(self.names, parts, strict=True):
            scale = self.scales.get(name)
            shape = Moments(0)
            if self.shapes and scale is not None:
                m2, m3, m4 = next(values), next(values), next(values)
                shape = moments_of(scale, part[0], part[3], m2, m3, m4)
            measured = _measured(part, rows, scale, shape)
            found[name] = {measure: measured[measure] for measure in self.measures}
        return {"group": keys, "rows": rows, "share": rows / total, "values": found}


def _measured(part: Sequence[Any], rows: int, scale: Scale | None, shape: Moments) -> dict[str, Plain]:
    count, smallest, largest, mean, std, std_population, quartiles, total, distinct = part
    q25, median, q75 = (finite(value) for value in quartiles or (None, None, None))
    is_constant = count > 1 and scale is not None and scale.constant
    has_range = isinstance(plain(smallest), int | float) and largest is not None  # each is there only if asked for
    return {
        "count": count,
        "missing": rows - count,
        "distinct": distinct,
        "sum": plain(total),
        "mean": None if scale is None else scale.back(mean),
        "median": median,
        "std": None if scale is None or std is None else (0.0 if is_constant else scale.width(std)),
        "std_population": None if scale is None else scale.width(std_population),
        "min": plain(smallest),
        "max": plain(largest),
        "q25": q25,
        "q75": q75,
        "iqr": None if q25 is None or q75 is None else finite(q75 - q25),
        "range": plain(largest - smallest) if has_range else None,
        "skewness": shape.skewness,
        "kurtosis": shape.kurtosis,
    }


def count_column_values(table: Table, folder: Path, columns: Sequence[str], limit: int) -> ValueCounts:
    """How often each value, or combination, occurs; equally frequent ones in their own order. Raises `DataError`."""
    path = table_path(table, folder)
    _check_limit(limit)
    with open_database(folder) as database:
        kinds = column_kinds(database, path)
        names = several_columns(kinds, columns, allowed=GROUPING)
        source = database.parquet(path)
        cells = [cell_sql(name, kinds[name]) for name in names]
        present = " AND ".join(f"{cell} IS NOT NULL" for cell in cells)
        total, counted = database.row(f"SELECT count(*), count(*) FILTER (WHERE {present}) FROM {source}")
        keys = ", ".join(f"g{number}" for number in range(len(cells)))
        held = ", ".join(f"{cell} AS g{number}" for number, cell in enumerate(cells))
        rows = database.rows(
            f"SELECT *, count(*) OVER () FROM (SELECT {keys}, count(*) AS rows FROM (SELECT {held} FROM {source} "
            f"WHERE {present}) GROUP BY {keys}) ORDER BY rows DESC, {keys} LIMIT {limit}"
        )
    distinct = int(rows[0][-1]) if rows else 0
    return {
        "values": [
            {
                "group": {name: plain(value) for name, value in zip(names, row, strict=False)},
                "count": row[-2],
                "share": row[-2] / counted,
            }
            for row in rows
        ],
        "distinct": distinct,
        "rows": total,
        "missing": total - counted,
        "left_out": distinct - len(rows),
    }


def _check_limit(limit: int) -> None:
    if not 1 <= limit <= MAX_GROUPS:
        raise DataError(f"`limit` is {limit}, but a list holds 1 to {MAX_GROUPS:,} groups")
