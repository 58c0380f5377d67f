"""What a column does over time: values per period, its trend, its change from row to row.

Rule: time is a column of dates, or of numbers for a trend (such as a year); rows without a time are left out, and said.
"""

# ruff: noqa: S608 (names and texts enter SQL through `identifier` and `literal` alone)
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

from planloom.analysis.columns import (
    COUNTABLE,
    GROUPING,
    NUMERIC,
    column_kinds,
    new_column,
    one_column,
    several_columns,
)
from planloom.analysis.database import Database, identifier, literal, open_database
from planloom.analysis.statistics import VALUES_PER_QUERY, number_sql
from planloom.analysis.tables import Kind, Table, table_path
from planloom.analysis.wording import count, quoted
from planloom.analysis.writing import write_table
from planloom.errors import DataError

Every = Literal["minute", "hour", "day", "week", "month", "quarter", "year"]
PeriodMeasure = Literal["mean", "sum", "median", "min", "max", "count", "std", "first", "last"]
ChangeKind = Literal["difference", "percent", "log", "rolling-mean", "cumulative-sum"]
MAX_PERIODS: Final = 1_000_000
"""Periods, the empty ones counted, in one resampled table."""
MAX_SERIES_COLUMNS: Final = 200
DATES: Final[frozenset[Kind]] = frozenset(("date",))
TIMES: Final[frozenset[Kind]] = frozenset(("date", "time", "integer", "number"))
"""Columns that rows can be put in order by."""
_STEPS: Final[dict[Every, str]] = {
    "minute": "1 minute", "hour": "1 hour", "day": "1 day", "week": "7 days",
    "month": "1 month", "quarter": "3 months", "year": "1 year",
}  # fmt: skip


def resample_table(
    table: Table,
    folder: Path,
    time: str,
    every: Every,
    columns: Sequence[str] | None,
    measure: PeriodMeasure,
    by: Sequence[str] | None,
) -> Table:
    """One row per period (named by its start; weeks start on Monday), empty ones too unless `by` splits the series.

    A period without values is missing, but 0 for sum and count. Raises `DataError`.
    """
    path = table_path(table, folder)
    with open_database(folder) as database:
        kinds = column_kinds(database, path)
        when = one_column(kinds, time, kinds_allowed=DATES, argument="time")
        keys = several_columns(kinds, by, allowed=GROUPING, argument="by") if by else []
        rest: dict[str, Kind] = {name: kind for name, kind in kinds.items() if name not in (when, *keys)}
        allowed = GROUPING if measure == "count" else COUNTABLE
        names = several_columns(rest, columns, allowed=allowed, unless_named=NUMERIC)
        if len(names) > MAX_SERIES_COLUMNS:
            raise DataError(f"{len(names):,} columns are to be resampled, more than {MAX_SERIES_COLUMNS}")
        source = database.parquet(path)
        stamp = f"{identifier(when)}::TIMESTAMP"
        first, last, total, timed = database.row(
            f"SELECT date_trunc({literal(every)}, min({stamp})), max({stamp}), count(*), count({stamp}) FROM {source}"
        )
        if not timed:
            raise DataError(f"{quoted(when)} has no values, so there is no period\nhint: take another column as `time`")
        step = f"INTERVAL '{_STEPS[every]}'"
        (periods,) = database.row(f"SELECT date_diff({literal(every)}, {_stamp(first)}, {_stamp(last)}) + 1")
        if periods > MAX_PERIODS:
            raise DataError(
                f"{quoted(when)} spans {periods:,} periods of one {every}, more than {MAX_PERIODS:,}\n"
                "hint: take longer periods, or check for a wrong date with profile_table"
            )
        if measure == "median" and timed * len(names) > VALUES_PER_QUERY:
            query = _one_by_one(database, _Resampling(source, stamp, when, keys, names, every, measure))
        else:
            query = _resampled(_Resampling(source, stamp, when, keys, names, every, measure))
        if not keys:
            every_period = (
                f"SELECT unnest(range({_stamp(first)}, {_stamp(last)} + INTERVAL '1 microsecond', {step})) AS p"
            )
            cells = ", ".join(
                f"{f'coalesce(v{number}, 0)' if measure in ('sum', 'count') else f'v{number}'} AS {identifier(name)}"
                for number, name in enumerate(names)
            )
            named = _period(when, every)
            query = f"SELECT {named}, {cells} FROM ({every_period}) LEFT JOIN ({query}) USING (p) ORDER BY p"
        else:
            named = _period(when, every)
            cells = ", ".join(f"v{number} AS {identifier(name)}" for number, name in enumerate(names))
            groups = ", ".join(f"g{number} AS {identifier(name)}" for number, name in enumerate(keys))
            order = ", ".join(f"g{number}" for number in range(len(keys)))
            query = f"SELECT {named}, {groups}, {cells} FROM ({query}) ORDER BY p, {order}"
        missing = f", {count(total - timed, 'row')} without a time left out" if total - timed else ""
        gaps = "" if keys else "; empty periods are rows too" + (" with 0" if measure in ("sum", "count") else "")
        sentence = f"Resampled by {every} of {quoted(when)} ({measure} of values that are there{missing}{gaps})."
        return write_table(database, folder, query, parent=table, decisions=[sentence])


def _stamp(moment: object) -> str:
    return f"TIMESTAMP {literal(str(moment))}"


def _period(when: str, every: Every) -> str:
    """The start of a period, as a date where the day is enough."""
    type_name = "TIMESTAMP" if every in ("minute", "hour") else "DATE"
    return f"p::{type_name} AS {identifier(when)}"


@dataclass(frozen=True, slots=True)
class _Resampling:
    """What is asked of one table: the figures of `names` for each period of `when`, for each group of `keys`."""

    source: str
    stamp: str
    """The time as SQL."""
    when: str
    keys: Sequence[str]
    names: Sequence[str]
    every: Every
    measure: PeriodMeasure


def _resampled(asked: _Resampling) -> str:
    held = [f"date_trunc({literal(asked.every)}, {asked.stamp})::TIMESTAMP AS p", f"{asked.stamp} AS t"]
    held += [f"{identifier(name)} AS g{number}" for number, name in enumerate(asked.keys)]
    held += [
        f"{identifier(name) if asked.measure == 'count' else number_sql(name)} AS x{number}"
        for number, name in enumerate(asked.names)
    ]
    by = ", ".join(["p", *(f"g{number}" for number in range(len(asked.keys)))])
    values = ", ".join(f"{_aggregate(asked.measure, f'x{number}')} AS v{number}" for number in range(len(asked.names)))
    return (
        f"SELECT {by}, {values} FROM (SELECT {', '.join(held)} FROM {asked.source} "
        f"WHERE {identifier(asked.when)} IS NOT NULL) GROUP BY {by}"
    )


def _one_by_one(database: Database, asked: _Resampling) -> str:
    """As `_resampled`, a column after the other: medians hold their values in memory and cannot spill."""
    for number, name in enumerate(asked.names):
        database.rows(f"CREATE TEMP TABLE planloom_{number} AS {_resampled(replace(asked, names=[name]))}")
    by = ["p", *(f"g{number}" for number in range(len(asked.keys)))]
    joined = "planloom_0 AS t0"
    for number in range(1, len(asked.names)):
        same = " AND ".join(f"t{number}.{column} IS NOT DISTINCT FROM t0.{column}" for column in by)
        joined += f" JOIN planloom_{number} AS t{number} ON {same}"
    values = ", ".join(f"t{number}.v0 AS v{number}" for number in range(len(asked.names)))
    return f"SELECT {', '.join(f't0.{column}' for column in by)}, {values} FROM {joined}"


def _aggregate(measure: PeriodMeasure, cell: str) -> str:
    if measure == "count":
        return f"count({cell})"
    value = {
        "mean": f"favg({cell})",
        "sum": f"fsum({cell})",
        "median": f"quantile_cont({cell}, 0.5)",
        "std": f"CASE WHEN max(abs({cell})) < 1e150 THEN stddev_samp({cell}) END",
        "min": f"min({cell})",
        "max": f"max({cell})",
        "first": f"arg_min({cell}, t)",
        "last": f"arg_max({cell}, t)",
    }[measure]
    return f"CASE WHEN isfinite({value}) THEN {value} END"


def add_change(
    table: Table,
    folder: Path,
    time: str,
    column: str,
    periods: int,
    kind: ChangeKind,
    by: Sequence[str] | None,
    name: str | None,
) -> Table:
    """The table sorted by time (within each group of `by`), with a new column that says how `column` changed.

    The new value is missing where there is no earlier row, either value is missing, or the figure does not exist
    (percent of 0, logarithm of a ratio that is not positive). Raises `DataError`.
    """
    path = table_path(table, folder)
    if not 1 <= periods <= MAX_PERIODS:
        raise DataError(f"`periods` is {periods}, but it is 1 to {MAX_PERIODS:,} rows back")
    if kind == "rolling-mean" and periods < 2:
        raise DataError("`periods` is 1, but a rolling mean is over several rows\nhint: 7 for a week of days")
    with open_database(folder) as database:
        kinds = column_kinds(database, path)
        when = one_column(kinds, time, kinds_allowed=TIMES, argument="time")
        value = one_column(kinds, column, kinds_allowed=NUMERIC)
        keys = several_columns(kinds, by, allowed=GROUPING, argument="by") if by else []
        made = new_column(kinds, f"{value} {kind}" if name is None else name)
        cell = number_sql(value)
        parts = f"PARTITION BY {', '.join(map(identifier, keys))} " if keys else ""
        order = f"{parts}ORDER BY {identifier(when)}, file_row"
        earlier = f"lag({cell}, {periods}) OVER ({order})"
        changed = {
            "difference": f"{cell} - {earlier}",
            "percent": f"({cell} / nullif({earlier}, 0) - 1) * 100",
            "log": f"CASE WHEN {earlier} > 0 AND {cell} > 0 THEN ln({cell} / {earlier}) END",
            "rolling-mean": (
                f"CASE WHEN count({cell}) OVER ({order} ROWS {periods - 1} PRECEDING) = {periods} "
                f"THEN avg({cell}) OVER ({order} ROWS {periods - 1} PRECEDING) END"
            ),
            "cumulative-sum": (
                f"CASE WHEN {cell} IS NOT NULL THEN sum({cell}) OVER ({order} ROWS UNBOUNDED PRECEDING) END"
            ),
        }[kind]
        taken = {name.casefold() for name in (*kinds, made)}
        row = "file_row"
        while row in taken:
            row += "_"
        changed = changed.replace("file_row", row)
        source = database.parquet(path)
        held = f"SELECT *, row_number() OVER () AS {row} FROM {source} WHERE {identifier(when)} IS NOT NULL"
        new = identifier(made)
        query = (
            f"SELECT * EXCLUDE ({row}) REPLACE (CASE WHEN isfinite({new}) THEN {new} END AS {new}) "
            f"FROM (SELECT *, {changed} AS {new} FROM ({held})) "
            f"ORDER BY {', '.join(map(identifier, [*keys, when]))}, {row}"
        )
        (total,) = database.row(f"SELECT count(*) - count({identifier(when)}) FROM {source}")
        untimed = f"; {count(total, 'row')} without a time left out" if total else ""
        within = f" within {', '.join(map(quoted, keys))}" if keys else ""
        over = "" if kind == "cumulative-sum" else f" over {count(periods, 'row')}"
        sentence = (
            f"Added {quoted(made)}: {kind} of {quoted(value)}{over} by {quoted(when)}{within}, sorted by it{untimed}."
        )
        return write_table(database, folder, query, parent=table, decisions=[sentence])
