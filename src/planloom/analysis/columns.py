"""Finds the columns that a planner means, and refuses those that cannot be used, in words that mend the plan.

Rule: an exact name wins; else blanks, letter case and line breaks are looked through, if one column alone fits.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from planloom.analysis.database import Database, identifier
from planloom.analysis.tables import Kind, kind_of
from planloom.analysis.wording import quoted
from planloom.errors import DataError
from planloom.plan.suggest import did_you_mean

NUMERIC: Final[frozenset[Kind]] = frozenset(("integer", "number"))
"""Columns of which a mean makes sense."""
COUNTABLE: Final[frozenset[Kind]] = frozenset(("integer", "number", "boolean"))
"""Columns that can be calculated with once asked for: true counts as 1, false as 0."""
GROUPING: Final[frozenset[Kind]] = frozenset(("integer", "number", "boolean", "date", "time", "text"))
"""Columns whose values can name a group."""
EVERY_KIND: Final[frozenset[Kind]] = frozenset((*GROUPING, "other"))
LISTED_NAMES: Final = 12
"""Column names that one message lists."""

_HOW_TO_CONVERT: Final[dict[Kind, str]] = {
    "text": 'convert it first, with derive_columns and try_cast("{}" AS DOUBLE) or the like',
    "boolean": 'convert it first, with derive_columns and "{}"::INTEGER',
    "date": 'convert it first, with derive_columns and epoch("{}") or year("{}")',
    "time": 'convert it first, with derive_columns and epoch("{}")',
    "integer": "",
    "number": "",
    "other": "take values out of it first, with derive_columns",
}
_HOW_TO_DATE: Final = "convert it first, with derive_columns and try_strptime(\"{}\"::VARCHAR, '%Y-%m-%d') or the like"


def column_kinds(database: Database, path: Path) -> dict[str, Kind]:
    """The kind of each column of a Parquet file, in the order of the table."""
    return {name: kind_of(type_name) for name, type_name in database.columns(path)}


def one_column(
    kinds: Mapping[str, Kind], name: str, *, kinds_allowed: Collection[Kind] | None = None, argument: str = "column"
) -> str:
    """The exact name of the column that `name` means.

    Raises `DataError`, with the nearest name or the way to convert it, for a column that is not there, is meant
    in more than one way, or whose kind is not one of `kinds_allowed` (None: any kind will do).
    """
    found = _found(kinds, name, argument)
    if kinds_allowed is not None and kinds[found] not in kinds_allowed:
        _refuse_kind(kinds, found, kinds_allowed, argument)
    return found


def several_columns(
    kinds: Mapping[str, Kind],
    names: Sequence[str] | None,
    *,
    allowed: Collection[Kind],
    argument: str = "columns",
    unless_named: Collection[Kind] | None = None,
) -> list[str]:
    """The exact names of the columns that `names` mean, each once, in the order asked for.

    None means every column whose kind is one of `unless_named` (without it, of `allowed`). Raises `DataError` as
    `one_column` does, for an empty list, and when None finds no column at all.
    """
    if names is None:
        wanted = allowed if unless_named is None else unless_named
        every = [name for name, kind in kinds.items() if kind in wanted]
        if not every:
            raise DataError(
                f"the table has no column of {_listed_kinds(wanted)}, which this tool needs; "
                f"it has {_described(kinds)}\nhint: convert columns first, with derive_columns"
            )
        return every
    if not names:
        raise DataError(f"`{argument}` is an empty list\nhint: name at least one column, or leave `{argument}` out")
    return list(dict.fromkeys(one_column(kinds, name, kinds_allowed=allowed, argument=argument) for name in names))


def cell_sql(name: str, kind: Kind) -> str:
    """A column as SQL whose values can be fetched: dates without a zone (in UTC), nested data as text."""
    cast: dict[Kind, str] = {"date": "::TIMESTAMP", "time": "::TIME", "other": "::VARCHAR"}
    return f"{identifier(name)}{cast.get(kind, '')}"


def number_sql(name: str) -> str:
    """A numeric column as a float. Tables of a run hold no NaN and no infinity: reading made them missing."""
    return f"{identifier(name)}::DOUBLE"


def new_column(kinds: Iterable[str], name: str, argument: str = "name") -> str:
    """`name`, if a table with the columns `kinds` can take a new column of that name. Raises `DataError`."""
    if not name.strip():
        raise DataError(f"`{argument}` is empty, but the new column needs a name")
    taken = next((other for other in kinds if other.casefold() == name.casefold()), None)
    if taken is not None:
        raise DataError(
            f"`{argument}` is {quoted(name)}, but the table has a column {quoted(taken)} already\n"
            "hint: give another name; letter case does not tell columns apart"
        )
    return name


def _found(kinds: Mapping[str, Kind], name: str, argument: str) -> str:
    if name in kinds:
        return name
    loosely = _loosely(name)
    matches = [other for other in kinds if _loosely(other) == loosely]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise DataError(
            f"`{argument}` is {quoted(name)}, which could be {' or '.join(repr(other) for other in matches)}\n"
            "hint: write the name exactly as in the table"
        )
    hint = did_you_mean(name, kinds) or f"the table has {_described(kinds)}"
    raise DataError(f"`{argument}` is {quoted(name)}, but the table has no such column\nhint: {hint}")


def _loosely(name: str) -> str:
    return " ".join(name.split()).casefold()


def _refuse_kind(kinds: Mapping[str, Kind], name: str, allowed: Collection[Kind], argument: str) -> None:
    kind = kinds[name]
    how = _HOW_TO_CONVERT[kind] if NUMERIC & set(allowed) else ""
    if "date" in allowed and not how:
        how = _HOW_TO_DATE
    how = how.replace("{}", name.replace('"', '""'))
    hint = f"\nhint: {how}" if how else ""
    others = [other for other, other_kind in kinds.items() if other_kind in allowed]
    choice = f"; such columns are {_described(others)}" if others else ""
    raise DataError(
        f"`{argument}` is {quoted(name)}, a column of {_KIND_WORDS[kind]}, "
        f"but only {_listed_kinds(allowed)} will do{choice}{hint}"
    )


_KIND_WORDS: Final[dict[Kind, str]] = {
    "integer": "whole numbers",
    "number": "numbers",
    "boolean": "true and false",
    "date": "dates",
    "time": "times of day",
    "text": "text",
    "other": "nested or binary data",
}


def _listed_kinds(kinds: Collection[Kind]) -> str:
    words = [word for kind, word in _KIND_WORDS.items() if kind in kinds and not (kind == "integer" and len(kinds) > 1)]
    return " or ".join(words)


def _described(names: Iterable[str]) -> str:
    every = list(names)
    shown = ", ".join(quoted(name) for name in every[:LISTED_NAMES]) or "no columns"
    more = len(every) - LISTED_NAMES
    return f"{shown} and {more:,} more" if more > 0 else shown
