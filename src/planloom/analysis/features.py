"""Makes new tables out of one: rows left out, columns derived, cut into bins, encoded, scaled, filled.

Expressions that a planner writes run in `sandbox`; everything else is SQL of our own over the Parquet file. Rule: a new
table says in its decisions what was done and with which figures, so that it can be done again elsewhere.
"""

# ruff: noqa: S608 (names and texts enter SQL through `identifier` and `literal` alone)
from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, Literal

from planloom.analysis.columns import GROUPING, NUMERIC, column_kinds, new_column, one_column, several_columns
from planloom.analysis.database import Database, identifier, literal, open_database
from planloom.analysis.loading import described
from planloom.analysis.query import joined_decisions, shortened
from planloom.analysis.sandbox import run_select
from planloom.analysis.statistics import QUARTILES, moments
from planloom.analysis.tables import Kind, Table, keep_table, new_table_file, table_path
from planloom.analysis.wording import count, number, quoted
from planloom.errors import DataError

MAX_DERIVED: Final = 50
MAX_BINS: Final = 100
MAX_CATEGORIES: Final = 100
"""Most values of one column that become columns of their own."""
MAX_CODES: Final = 100_000
"""Most values of one column that become numbers."""
SHOWN: Final = 20
"""Categories or figures that one sentence lists."""

_ROW: Final = '"planloom row"'
"""A column that remembers the order of the rows while a table is made."""

Scaling = Literal["standard", "min-max", "robust"]
Encoding = Literal["one-hot", "ordinal", "frequency"]
Filling = Literal["mean", "median", "mode", "constant", "forward", "drop"]


def make_table(database: Database, folder: Path, select: str, basis: Table, *sentences: str) -> Table:
    """Write what our own SELECT gives as a new table that follows from `basis`."""
    written = new_table_file(folder)
    try:
        database.write(select, written)
        columns, rows = described(database, written)
        artifact = keep_table(written)
    finally:
        written.unlink(missing_ok=True)
    return {
        "artifact": artifact,
        "name": basis["name"],
        "columns": columns,
        "rows": rows,
        "decisions": joined_decisions([basis], *sentences),
    }


def filter_table(data: Table, where: str, folder: Path, cancelled: Callable[[], bool]) -> Table:
    """The rows for which a condition is true. Raises `DataError`."""
    table = run_select(
        f"SELECT * FROM data WHERE (\n{where}\n)",
        {"data": data},
        folder,
        name=data["name"],
        decisions=[],
        expressions={"where": where},
        cancelled=cancelled,
    )
    kept = f"{table['rows']:,} of {count(data['rows'], 'row')} kept, where {shortened(where)} is true."
    table["decisions"] = joined_decisions([data], kept)
    return table


def derive(data: Table, columns: Mapping[str, str], folder: Path, cancelled: Callable[[], bool]) -> Table:
    """The table with columns computed from others, in order: a later one may use an earlier one. Raises `DataError`."""
    if not columns:
        raise DataError('`columns` is empty\nhint: give {"new name": "SQL expression"}')
    if len(columns) > MAX_DERIVED:
        raise DataError(f"`columns` has {len(columns)} expressions; at most {MAX_DERIVED} are taken at once")
    names = {column["name"].casefold(): column["name"] for column in data["columns"]}
    select, sentences = "SELECT * FROM data", list[str]()
    for name, expression in columns.items():
        if not name.strip() or "\x00" in name:
            raise DataError("`columns` gives a column an empty name")
        old = names.get(name.casefold())
        if old is None:
            select = f"SELECT *, (\n{expression}\n) AS {identifier(name)} FROM ({select}) AS data"
            names[name.casefold()] = name
        else:
            select = f"SELECT * REPLACE ((\n{expression}\n) AS {identifier(old)}) FROM ({select}) AS data"
        sentences.append(f"{quoted(old or name)} {'replaced by' if old else 'is'} {shortened(expression)}.")
    decisions = joined_decisions([data], *sentences)
    expressions = {f"columns.{name}": expression for name, expression in columns.items()}
    return run_select(
        select,
        {"data": data},
        folder,
        name=data["name"],
        decisions=decisions,
        expressions=expressions,
        cancelled=cancelled,
    )


def bin_values(
    data: Table,
    column: str,
    folder: Path,
    *,
    bins: int,
    edges: Sequence[float | None] | None,
    method: Literal["width", "quantile"],
    labels: Sequence[str] | None,
    name: str | None,
) -> Table:
    """The table with a text column that says into which interval each number falls. Raises `DataError`.

    Intervals are closed on the right, `(a, b]`, and the first one also on the left. Equal widths run from the least to
    the greatest value, quantiles are interpolated linearly and equal ones are merged, as in pandas.
    """
    path = table_path(data, folder)
    with open_database(folder) as database:
        kinds = column_kinds(database, path)
        column = one_column(kinds, column, kinds_allowed=NUMERIC)
        name = new_column(kinds, name or f"{column}_bin")
        value, source = f"{identifier(column)}::DOUBLE", database.parquet(path)
        if edges is not None:
            bounds = _checked_edges(edges)
            how = "the edges given"
        else:
            if not 1 <= bins <= MAX_BINS:
                raise DataError(f"`bins` is {bins}; 1 to {MAX_BINS} are possible")
            bounds = _found_edges(database, source, column, value, bins, method)
            how = "equal widths" if method == "width" else f"quantiles ({QUARTILES.split(',')[0]})"
        names = _labels(bounds, labels)
        cases = [
            f"WHEN {value} {'>=' if n == 0 else '>'} {_float(bounds[n])} AND {value} <= {_float(bounds[n + 1])} "
            f"THEN {literal(label)}"
            for n, label in enumerate(names)
        ]
        select = f"SELECT *, CASE {' '.join(cases)} END AS {identifier(name)} FROM {source}"
        outside = f"(SELECT count({identifier(column)}) - count(CASE {' '.join(cases)} END) FROM {source})"
        (left_out,) = database.row(f"SELECT {outside}")
        sentence = (
            f"{quoted(name)} is {quoted(column)} in {count(len(names), 'interval')} by {how}, closed on the right: "
            f"edges {', '.join(number(bound) if math.isfinite(bound) else 'open' for bound in bounds[: SHOWN + 1])}"
            f"{f'; {left_out:,} values outside are missing' if left_out else ''}."
        )
        return make_table(database, folder, select, data, sentence)


def _checked_edges(edges: Sequence[float | None]) -> list[float]:
    if not 2 <= len(edges) <= MAX_BINS + 1:
        raise DataError(f"`edges` has {len(edges)} numbers; 2 to {MAX_BINS + 1} are possible")
    last = len(edges) - 1
    if any(edge is None for edge in edges[1:last]):
        raise DataError("`edges` may be null (open) at its first and last place only")
    found = [
        (-math.inf if place == 0 else math.inf) if edge is None else float(edge) for place, edge in enumerate(edges)
    ]
    if any(not lower < upper for lower, upper in itertools.pairwise(found)):
        raise DataError(f"`edges` must rise: {list(edges)}\nhint: n + 1 edges make n bins")
    return found


def _found_edges(
    database: Database, source: str, column: str, value: str, bins: int, method: Literal["width", "quantile"]
) -> list[float]:
    if method == "width":
        low, high = database.row(f"SELECT min({value}), max({value}) FROM {source}")
        bounds = [] if low is None else [low + (high - low) * step / bins for step in range(bins)] + [high]
    else:
        shares = ", ".join(repr(step / bins) for step in range(bins + 1))
        (bounds,) = database.row(f"SELECT quantile_cont({value}, [{shares}]) FROM {source}")
    found = [float(bound) for bound in dict.fromkeys(bounds or [])]
    if not found:
        raise DataError(f"`column` is {quoted(column)}, which has no value to cut into bins")
    return found if len(found) > 1 else [found[0], found[0]]


def _labels(bounds: Sequence[float], labels: Sequence[str] | None) -> list[str]:
    bins = len(bounds) - 1
    if labels is not None:
        if len(labels) != bins:
            raise DataError(f"`labels` has {len(labels)} names for {count(bins, 'bin')}\nhint: name each bin once")
        return list(labels)
    for digits in range(3, 18):  # as few digits as tell the edges apart
        shown = [f"{bound:.{digits}g}" if math.isfinite(bound) else "" for bound in bounds]
        if len(set(shown)) == len(shown):
            break
    else:
        shown = [repr(bound) for bound in bounds]
    pairs = zip(bounds, bounds[1:], shown, shown[1:], strict=False)
    return [
        f"> {low}"
        if math.isinf(upper)
        else f"<= {high}"
        if math.isinf(lower)
        else f"{'[' if n == 0 else '('}{low}, {high}]"
        for n, (lower, upper, low, high) in enumerate(pairs)
    ]


def encode(data: Table, columns: Sequence[str] | None, method: Encoding, folder: Path, *, drop_first: bool) -> Table:
    """The table with categories as numbers. Raises `DataError`.

    `one-hot` puts a column of 0 and 1 for each value in the column's place; `ordinal` adds `NAME_code`, the place
    of the value in order, from 0; `frequency` adds `NAME_frequency`, the share of filled cells with that value.
    A missing value is 0 in every one-hot column and missing in the others.
    """
    path = table_path(data, folder)
    with open_database(folder) as database:
        kinds = column_kinds(database, path)
        chosen = several_columns(kinds, columns, allowed=GROUPING, unless_named=("text", "boolean"))
        source = database.parquet(path)
        parts: dict[str, list[str]] = {name: [f"t.{identifier(name)}"] for name in kinds}
        taken, sentences, joins = set(kinds), list[str](), list[str]()
        for name in chosen:
            values = _categories(database, source, name, MAX_CATEGORIES if method == "one-hot" else MAX_CODES)
            cell = f"t.{identifier(name)}::VARCHAR"
            shown = f"{', '.join(text for text, _ in values[:SHOWN])}{' …' if len(values) > SHOWN else ''}"
            if method == "one-hot":
                taken.discard(name)
                wanted = values[1:] if drop_first else values
                added = [(new_column(taken, f"{name}_{text}"), text) for text, _ in wanted]
                parts[name] = [
                    f"coalesce({cell} = {literal(text)}, false)::INTEGER AS {identifier(new)}" for new, text in added
                ]
                taken.update(new for new, _ in added)
                left_out = f", without the first, {quoted(values[0][0])}" if drop_first and values else ""
                sentences.append(f"{quoted(name)} one-hot encoded, 0 or 1 for each of: {shown}{left_out}.")
                continue
            new = new_column(taken, f"{name}_{'code' if method == 'ordinal' else 'frequency'}")
            taken.add(new)
            joins.append(_codes_sql(source, name, method, len(joins)))
            parts[name].append(f"j{len(joins) - 1}.code AS {identifier(new)}")
            what = "the place, from 0, in" if method == "ordinal" else "the share of filled cells, of"
            sentences.append(f"{quoted(new)} is for {quoted(name)} {what}: {shown}.")
        numbered = f"(SELECT *, row_number() OVER () AS {_ROW} FROM {source})" if joins else source
        rows = f"{numbered} AS t {' '.join(joins)}"
        order = f" ORDER BY t.{_ROW}" if joins else ""
        select = f"SELECT {', '.join(part for group in parts.values() for part in group)} FROM {rows}{order}"
        return make_table(database, folder, select, data, *sentences)


def _codes_sql(source: str, name: str, method: Encoding, number: int) -> str:
    """A join that gives each value of a column its code."""
    cell = identifier(name)
    code = f"row_number() OVER (ORDER BY {cell}) - 1" if method == "ordinal" else "count(*) / sum(count(*)) OVER ()"
    codes = f"SELECT {cell} AS k, {code} AS code FROM {source} WHERE {cell} IS NOT NULL GROUP BY {cell}"
    return f"LEFT JOIN ({codes}) AS j{number} ON t.{cell} = j{number}.k"


def _categories(database: Database, source: str, name: str, most: int) -> list[tuple[str, int]]:
    """The values of a column as text, in the order of the values, each with its number of cells."""
    cell = identifier(name)
    rows = database.rows(
        f"SELECT {cell}::VARCHAR, count(*) FROM {source} WHERE {cell} IS NOT NULL GROUP BY {cell} ORDER BY {cell} "
        f"LIMIT {most + 1}"
    )
    if len(rows) > most:
        raise DataError(
            f"`columns` names {quoted(name)}, which has more than {most:,} different values\n"
            'hint: use method "frequency", bin it, or leave it out'
        )
    return [(str(text), int(amount)) for text, amount in rows]


def scale(data: Table, columns: Sequence[str] | None, method: Scaling, folder: Path, ddof: Literal[0, 1]) -> Table:
    """The table with numeric columns scaled in place; a column that never changes becomes 0. Raises `DataError`."""
    path = table_path(data, folder)
    with open_database(folder) as database:
        kinds = column_kinds(database, path)
        chosen = several_columns(kinds, columns, allowed=NUMERIC)
        source = database.parquet(path)
        replaced, sentences = list[str](), list[str]()
        for name in chosen:
            middle, width, words = _scale_of(database, source, name, method, ddof)
            cell = f"{identifier(name)}::DOUBLE"
            replaced.append(f"({cell} - {_float(middle)}) / {_float(width)} AS {identifier(name)}")
            sentences.append(f"{quoted(name)} scaled: (x - {middle:.10g}) / {width:.10g}, {words}.")
        if len(sentences) > SHOWN:
            sentences = [*sentences[:SHOWN], f"{len(sentences) - SHOWN:,} more columns scaled in the same way."]
        select = f"SELECT * REPLACE ({', '.join(replaced)}) FROM {source}"
        return make_table(database, folder, select, data, *sentences)


def _scale_of(
    database: Database, source: str, name: str, method: Scaling, ddof: Literal[0, 1]
) -> tuple[float, float, str]:
    """What is subtracted, by what is divided, and what these are in words."""
    cell = f"{identifier(name)}::DOUBLE"
    filled, low, high, quartiles = database.row(
        f"SELECT count({cell}), min({cell}), max({cell}), quantile_cont({cell}, [0.25, 0.5, 0.75]) FROM {source}"
    )
    if not filled:
        return 0.0, 1.0, "as it has no value"
    if method == "min-max":
        middle, width, words = low, high - low, "from the least to the greatest value"
    elif method == "robust":
        middle, width, words = quartiles[1], quartiles[2] - quartiles[0], "the median and the interquartile range"
    else:
        mean, std = moments(database, source, {name: (low, high)})[name]
        middle, width = mean or 0.0, std or 0.0
        if ddof == 0 and filled > 1:
            width *= math.sqrt((filled - 1) / filled)
        words = f"the mean and the standard deviation (ddof = {ddof})"
    return float(middle), float(width) or 1.0, words


def fill(
    data: Table, columns: Sequence[str] | None, method: Filling, value: float | str | bool | None, folder: Path
) -> Table:
    """The table with missing cells filled in place, or without the rows that have any. Raises `DataError`."""
    path = table_path(data, folder)
    if (value is not None) != (method == "constant"):
        raise DataError('`value` is for the method "constant", which needs it')
    with open_database(folder) as database:
        kinds = column_kinds(database, path)
        allowed = NUMERIC if method in ("mean", "median") else frozenset[Kind](kinds.values())
        chosen = several_columns(kinds, columns, allowed=allowed)
        source = f"(SELECT *, row_number() OVER () AS {_ROW} FROM {database.parquet(path)})"
        missing = _missing(database, database.parquet(path), chosen)
        if method == "drop":
            condition = " AND ".join(f"{identifier(name)} IS NOT NULL" for name in chosen)
            table = make_table(database, folder, f"SELECT * FROM {database.parquet(path)} WHERE {condition}", data)
            dropped = data["rows"] - table["rows"]
            which = "any column" if columns is None else ", ".join(map(quoted, chosen[:SHOWN]))
            sentence = f"{count(dropped, 'row')} with a missing value in {which} dropped, {table['rows']:,} kept."
            table["decisions"] = joined_decisions([data], sentence)
            return table
        replaced, sentences = list[str](), list[str]()
        for name in (name for name in chosen if missing[name]):
            filler, words = _filler(database, database.parquet(path), name, method, value)
            replaced.append(f"coalesce({identifier(name)}, {filler}) AS {identifier(name)}")
            sentences.append(f"{count(missing[name], 'missing cell')} of {quoted(name)} filled with {words}.")
        if not replaced:
            sentences = ["No cell was missing, so none was filled."]
        if method == "forward":
            select = f"SELECT * EXCLUDE ({_ROW}){_replace(replaced)} FROM {source}"
        else:
            select = f"SELECT *{_replace(replaced)} FROM {database.parquet(path)}"
        return make_table(database, folder, select, data, *sentences)


def _replace(replaced: Sequence[str]) -> str:
    return f" REPLACE ({', '.join(replaced)})" if replaced else ""


def _missing(database: Database, source: str, names: Sequence[str]) -> dict[str, int]:
    wanted = ", ".join(f"count(*) - count({identifier(name)})" for name in names)
    return dict(zip(names, database.row(f"SELECT {wanted} FROM {source}"), strict=True))


def _filler(
    database: Database, source: str, name: str, method: Filling, value: float | str | bool | None
) -> tuple[str, str]:
    """The SQL of what a missing cell gets, and what that is in words."""
    cell = identifier(name)
    if method == "forward":
        # a running maximum streams row by row, in order, where `last_value` would hold the table in memory
        return f"arg_max({cell}, {_ROW}) OVER (ROWS UNBOUNDED PRECEDING)", "the last value above it"
    if method == "constant":
        wanted = f"'{value!r}'::DOUBLE" if isinstance(value, float) else literal(str(value))
        kind = next(type_name for other, type_name in _types(database, source) if other == name)
        if isinstance(value, float) and value.is_integer():
            wanted = literal(str(int(value)))
        (fits,) = database.row(f"SELECT TRY_CAST({wanted} AS {kind}) IS NOT NULL")
        if not fits:
            raise DataError(
                f"`value` is {value!r}, which does not fit {quoted(name)}, a column of {kind}\n"
                "hint: give a value of that kind, or convert the column first with derive_columns"
            )
        whole = isinstance(value, float) and not value.is_integer() and kind not in ("DOUBLE", "FLOAT")
        return (wanted if whole else f"{wanted}::{kind}"), f"the constant {value!r}"
    if method == "mode":
        found = database.rows(
            f"SELECT {cell}::VARCHAR FROM {source} WHERE {cell} IS NOT NULL GROUP BY {cell} "
            f"ORDER BY count(*) DESC, {cell} LIMIT 1"
        )
        kind = next(type_name for other, type_name in _types(database, source) if other == name)
        if not found:
            return "NULL", "nothing, as the column has no value"
        return f"{literal(found[0][0])}::{kind}", f"the commonest value, {found[0][0]!r} (of equals the first)"
    figure = f"avg({cell}::DOUBLE)" if method == "mean" else f"quantile_cont({cell}::DOUBLE, 0.5)"
    (middle,) = database.row(f"SELECT {figure} FROM {source}")
    if middle is None:
        return "NULL", "nothing, as the column has no value"
    return f"{_float(middle)}", f"the {method} of the others, {middle:.10g}"


def _types(database: Database, source: str) -> list[tuple[str, str]]:
    return [(str(row[0]), str(row[1])) for row in database.rows(f"DESCRIBE SELECT * FROM {source}")]


def _float(value: float) -> str:
    return f"'{value!r}'::DOUBLE"
