"""Joins two tables of the run on equal keys, and says what matched: a join that loses or doubles rows is seen.

Keys are compared exactly; a missing key matches nothing. The sizes are counted before anything is written.
"""

# ruff: noqa: S608 (names enter SQL through `identifier` alone)
from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field
from typing_extensions import TypedDict

from planloom.analysis.columns import GROUPING, column_kinds, one_column
from planloom.analysis.database import Database, identifier, open_database
from planloom.analysis.features import make_table
from planloom.analysis.query import joined_decisions
from planloom.analysis.tables import Kind, Table, is_numeric, table_path
from planloom.analysis.wording import count, quoted
from planloom.errors import DataError

MAX_JOINED_ROWS: Final = 200_000_000
MAX_KEYS: Final = 20

How = Literal["inner", "left", "right", "outer"]
_HOW: Final[dict[How, str]] = {"inner": "INNER", "left": "LEFT", "right": "RIGHT", "outer": "FULL"}


class Joined(TypedDict):
    """The joined table, and what matched."""

    table: Annotated[Table, Field(description="The joined table; pass this on")]
    matched_left: Annotated[int, Field(description="Rows of `left` whose key is in `right`")]
    unmatched_left: int
    matched_right: int
    unmatched_right: int
    repeated_keys_left: Annotated[int, Field(description="Different keys that more than one row of `left` has")]
    repeated_keys_right: int


class _Counts(TypedDict):
    matched_left: int
    unmatched_left: int
    matched_right: int
    unmatched_right: int
    repeated_keys_left: int
    repeated_keys_right: int


def join(
    left: Table, right: Table, on: Sequence[str] | Mapping[str, str], how: How, suffix: str, folder: Path
) -> Joined:
    """Join on equal values of the key columns. Raises `DataError`.

    A key appears once, under its name on the left. Other columns of `right` whose name is taken get `suffix`.
    """
    paths = table_path(left, folder), table_path(right, folder)
    with open_database(folder) as database:
        kinds = column_kinds(database, paths[0]), column_kinds(database, paths[1])
        pairs = _keys(on, *kinds)
        sources = database.parquet(paths[0]), database.parquet(paths[1])
        counts, rows = _count(database, sources, pairs)
        rows += counts["unmatched_left"] * (how in ("left", "outer"))
        rows += counts["unmatched_right"] * (how in ("right", "outer"))
        if rows > MAX_JOINED_ROWS:
            raise DataError(
                f"the join would have {rows:,} rows; at most {MAX_JOINED_ROWS:,} are made, and keys repeat on both "
                "sides\nhint: name more keys in `on`, or group one side first so that each key is there once"
            )
        select = _select(sources, pairs, *kinds, how, suffix)
        table = make_table(database, folder, select, left)
    table["name"] = f"{left['name']} and {right['name']}"
    table["decisions"] = joined_decisions([left, right], *_sentences(left, right, pairs, how, counts, table["rows"]))
    return {"table": table, **counts}


def _keys(
    on: Sequence[str] | Mapping[str, str], left: Mapping[str, Kind], right: Mapping[str, Kind]
) -> list[tuple[str, str]]:
    """The exact names of the key columns, whose kinds must go together."""
    wanted = list(on.items()) if isinstance(on, Mapping) else [(name, name) for name in on]
    if not 1 <= len(wanted) <= MAX_KEYS:
        raise DataError(
            f"`on` names {len(wanted)} columns; 1 to {MAX_KEYS} are possible\n"
            'hint: ["key"], or {"name in left": "name in right"}'
        )
    pairs: list[tuple[str, str]] = []
    for first, second in wanted:
        pair = (
            one_column(left, first, kinds_allowed=GROUPING, argument="on (left)"),
            one_column(right, second, kinds_allowed=GROUPING, argument="on (right)"),
        )
        kinds = left[pair[0]], right[pair[1]]
        if kinds[0] != kinds[1] and not (is_numeric(kinds[0]) and is_numeric(kinds[1])):
            raise DataError(
                f"`on` compares {quoted(pair[0])}, which is {kinds[0]}, with {quoted(pair[1])}, which is {kinds[1]}\n"
                'hint: convert one of them first with derive_columns, such as "key"::VARCHAR'
            )
        pairs.append(pair)
    return pairs


def _count(database: Database, sources: tuple[str, str], pairs: Sequence[tuple[str, str]]) -> tuple[_Counts, int]:
    """What matches, and the number of rows of an inner join."""
    keys = [", ".join(f"{identifier(pair[side])} AS k{n}" for n, pair in enumerate(pairs)) for side in (0, 1)]
    equal = " AND ".join(f"l.k{n} = r.k{n}" for n in range(len(pairs)))
    grouped = [f"(SELECT {keys[side]}, count(*) AS n FROM {sources[side]} GROUP BY ALL)" for side in (0, 1)]
    sums = "coalesce(sum(l.n), 0)::BIGINT, coalesce(sum(r.n), 0)::BIGINT, coalesce(sum(l.n::HUGEINT * r.n), 0)"
    matched_left, matched_right, rows = database.row(
        f"SELECT {sums} FROM {grouped[0]} l JOIN {grouped[1]} r ON {equal}"
    )
    totals = [database.row(f"SELECT count(*) FROM {source}")[0] for source in sources]
    filled = " AND ".join(f"k{n} IS NOT NULL" for n in range(len(pairs)))
    repeated = [database.row(f"SELECT count(*) FROM {group} WHERE n > 1 AND {filled}")[0] for group in grouped]
    counts: _Counts = {
        "matched_left": matched_left,
        "unmatched_left": totals[0] - matched_left,
        "matched_right": matched_right,
        "unmatched_right": totals[1] - matched_right,
        "repeated_keys_left": repeated[0],
        "repeated_keys_right": repeated[1],
    }
    return counts, int(rows)


def _select(
    sources: tuple[str, str],
    pairs: Sequence[tuple[str, str]],
    left: Mapping[str, Kind],
    right: Mapping[str, Kind],
    how: How,
    suffix: str,
) -> str:
    keys, right_keys = dict(pairs), {second for _, second in pairs}
    parts: list[str] = []
    for name in left:
        cell = f"l.{identifier(name)}"
        if name in keys and how in ("right", "outer"):
            cell = f"coalesce({cell}, r.{identifier(keys[name])})"
        parts.append(f"{cell} AS {identifier(name)}")
    taken = {name.casefold() for name in left}
    for name in right:
        if name in right_keys:
            continue
        new = name if name.casefold() not in taken else f"{name}{suffix}"
        if new.casefold() in taken:
            raise DataError(
                f"both tables have a column {quoted(name)}, and {quoted(new)} is taken too\nhint: give another `suffix`"
            )
        taken.add(new.casefold())
        parts.append(f"r.{identifier(name)} AS {identifier(new)}")
    equal = " AND ".join(f"l.{identifier(first)} = r.{identifier(second)}" for first, second in pairs)
    order = [
        f"(SELECT *, row_number() OVER () AS planloom_row FROM {source})" for source in sources
    ]  # the order of the left rows, then of the right ones, whatever way the rows were matched
    return (
        f"SELECT {', '.join(parts)} FROM {order[0]} l {_HOW[how]} JOIN {order[1]} r ON {equal} "
        "ORDER BY l.planloom_row NULLS LAST, r.planloom_row NULLS LAST"
    )


def _sentences(
    left: Table, right: Table, pairs: Sequence[tuple[str, str]], how: How, counts: _Counts, rows: int
) -> list[str]:
    names = ", ".join(quoted(a) if a == b else f"{quoted(a)} = {quoted(b)}" for a, b in pairs)
    sentences = [
        f"Joined ({how}) on {names}: "
        f"{counts['matched_left']:,} of {count(left['rows'], 'row')} of {quoted(left['name'])} "
        f"and {counts['matched_right']:,} of {count(right['rows'], 'row')} of {quoted(right['name'])} matched, "
        f"which gives {count(rows, 'row')}."
    ]
    if counts["repeated_keys_left"] and counts["repeated_keys_right"]:
        sentences.append(
            f"Keys repeat on both sides ({counts['repeated_keys_left']:,} and {counts['repeated_keys_right']:,}), "
            "so rows were multiplied."
        )
    return sentences
