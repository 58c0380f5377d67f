"""Reads JSON, one object a line or a list of objects, into a table: names and types are its own.

DuckDB reads it; no object is ever held by Python. Objects within objects become columns `outer.inner`, lists stay.
"""

# ruff: noqa: S608 (names and texts enter SQL through `identifier` and `literal` alone)
from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from planloom.analysis.database import PARQUET, Database, batches, count_where, identifier, literal
from planloom.analysis.dialect import COLUMNS, listed, unique_names
from planloom.analysis.moments import EXACT
from planloom.analysis.wording import count
from planloom.errors import DataError

OBJECT_BYTES: Final = 64 * 1024**2
"""Largest single object."""
DEPTH: Final = 4
"""How deep objects within objects become columns."""
START_CHARACTERS: Final = 4_096

_JSON = re.compile(r"\s*(\{\s*[\"}]|\[\s*[{\]])")
_NUMBERED = re.compile(r"(.*)_\d+")
_PLACE = re.compile(r"at byte \d+ in (?:line|record/value) (\d+): (.+?)\.?\s*$")


def looks_like_json(start: str) -> bool:
    """Whether a text begins as an object or a list of objects does."""
    return _JSON.match(start) is not None


def read_json(path: str, database: Database, source: Path, raw: Path, written: Path) -> list[str]:
    """Write the table to `written`, by way of `raw`, and return the decisions. Raises `DataError`."""
    options = f"{database.path(source)}, format='auto', maximum_object_size={OBJECT_BYTES}"
    found_out = f"{options}, sample_size=-1, map_inference_threshold=-1, convert_strings_to_integers=false"
    try:
        columns = _described(database, f"SELECT * FROM read_json({found_out})")
        if len(columns) > COLUMNS:
            raise DataError(f"`{path}` has {len(columns):,} different keys; at most {COLUMNS:,} columns are read")
        kept = ", ".join(f"{_kept_sql(name, kind)} AS {identifier(name)}" for name, kind in columns)
        reading = found_out
        if [name for name, _ in columns] != ["json"] and not _renamed(
            columns
        ):  # the types are known now, so no second look for them
            types = ", ".join(f"{literal(name)}: {literal(kind)}" for name, kind in columns)
            reading = f"{options}, records=true, columns={{{types}}}"
        database.rows(f"COPY (SELECT {kept} FROM read_json({reading})) TO {database.path(raw)} ({PARQUET})")
    except DataError as error:
        if str(error).startswith(f"`{path}`"):
            raise
        raise DataError(_reason(path, str(error))) from error
    return _write(path, database, raw, written, columns)


def _renamed(columns: Sequence[tuple[str, str]]) -> bool:
    """Whether a name may be one that DuckDB made, for a key that differs from another in letter case only."""
    names = {name.casefold() for name, _ in columns}
    stems = (_NUMBERED.fullmatch(name.casefold()) for name, _ in columns)
    return any(stem is not None and stem[1] in names for stem in stems)


def _described(database: Database, query: str) -> list[tuple[str, str]]:
    return [(str(row[0]), str(row[1])) for row in database.rows(f"DESCRIBE {query}")]


def _kept_sql(name: str, kind: str) -> str:
    """A column as Parquet can hold it; values of different kinds become text."""
    cell = identifier(name)
    if kind == "JSON":
        return f"({cell} ->> '$')"
    plain = kind.replace('"NULL"', "VARCHAR").replace("UHUGEINT", "DECIMAL(38,0)").replace("HUGEINT", "DECIMAL(38,0)")
    return cell if plain == kind else f"{cell}::{plain}"


def _write(path: str, database: Database, raw: Path, written: Path, columns: Sequence[tuple[str, str]]) -> list[str]:
    source = database.parquet(raw)
    (rows,) = database.row(f"SELECT count(*) FROM {source}")
    if [name for name, _ in columns] == ["json"] and columns[0][1] == "JSON":
        (odd,) = database.row(f"SELECT count(*) FROM {source} WHERE json <> '{{}}'")
        what = "that does not read as a list of objects" if odd else "with no object that has a key"
        raise DataError(f"`{path}` is JSON {what}, not a table\nhint: a table is a list of objects with keys")
    decisions = [f"The file is JSON with {count(int(rows), 'object')}: names and types are its own."]
    mixed = [name for name, kind in columns if kind == "JSON"]
    leaves = [(name, identifier(name), kind) for name, kind in database.columns(raw)]
    lists = [leaf for leaf in leaves if leaf[2].startswith("STRUCT(") and leaf[2].endswith("[]")]
    if rows == 1 and len(lists) == 1 and all("(" not in kind for _, _, kind in leaves if kind != lists[0][2]):
        name, cell, kind = lists[0]
        source = f"(SELECT unnest({cell}) AS item FROM {source})"
        leaves = [("", "item", kind.removesuffix("[]"))]
        decisions.append(f"The rows are the objects in the list `{name}`.")
    flat = _flattened(path, database, source, leaves)
    inner = [name for name, _, _ in flat if "." in name and name not in dict(columns)]
    if inner:
        decisions.append(f"Objects within objects became columns: {listed(inner)}.")
    if mixed:
        decisions.append(f"Values of different kinds read as text in {listed(mixed)}.")
    decisions += _renamed_sentence([name for name, _ in columns])
    zoned = [name for name, _, kind in flat if kind == "TIMESTAMP WITH TIME ZONE"]
    if zoned:
        decisions.append(f"{listed(zoned)}: times written with a zone were turned into UTC.")
    decisions += _number_sentences(database, source, flat)
    names, _, sentences = unique_names([name for name, _, _ in flat], len(flat))
    values = ", ".join(
        f"{_finite_sql(cell, kind)} AS {identifier(name)}" for name, (_, cell, kind) in zip(names, flat, strict=True)
    )
    database.rows(f"COPY (SELECT {values} FROM {source}) TO {database.path(written)} ({PARQUET})")
    return [*decisions, *sentences]


def _renamed_sentence(names: Sequence[str]) -> list[str]:
    """A sentence about names that DuckDB made, for keys that differ from others in letter case only."""
    known = {name.casefold() for name in names}
    found = [(name, stem[1]) for name in names if (stem := _NUMBERED.fullmatch(name)) is not None]
    renamed = [name for name, stem in found if stem.casefold() in known and stem not in names]
    if not renamed:
        return []
    return [f"Keys that differ from another in letter case only have a number behind them: {listed(renamed)}."]


def _number_sentences(database: Database, source: str, flat: Sequence[tuple[str, str, str]]) -> list[str]:
    """Sentences about numbers that are no longer what was written: too large to be exact, or none at all."""
    rounded: list[str] = []
    odd: list[tuple[str, int]] = []
    for batch in batches([(name, cell) for name, cell, kind in flat if kind in ("FLOAT", "DOUBLE")]):
        wanted = ", ".join(
            f"{count_where(f'NOT isfinite({cell})')}, {count_where(f'isfinite({cell}) AND abs({cell}) > {EXACT!r}')}"
            for _, cell in batch
        )
        values = iter(database.row(f"SELECT {wanted} FROM {source}"))
        for name, _ in batch:
            not_finite, large = next(values), next(values)
            odd += [(name, not_finite)] if not_finite else []
            rounded += [name] if large else []
    said: list[str] = []
    if odd:
        cells = count(sum(number for _, number in odd), "infinite or NaN cell")
        said.append(f"{cells} read as missing, in {listed([name for name, _ in odd])}.")
    if rounded:
        said.append(
            f"Numbers of more than 15 digits in {listed(rounded)} were rounded to floats; if they are identifiers, "
            "write them as texts, as different ones may now be equal."
        )
    return said


def _flattened(
    path: str, database: Database, source: str, leaves: Sequence[tuple[str, str, str]]
) -> list[tuple[str, str, str]]:
    """Name, SQL and type of every column, objects taken apart."""
    found = list(leaves)
    for _ in range(DEPTH):
        if not any(_is_object(kind) for _, _, kind in found):
            break
        deeper: list[tuple[str, str, str]] = []
        for name, cell, kind in found:
            if not _is_object(kind):
                deeper.append((name, cell, kind))
                continue
            for key, inner in _described(database, f"SELECT unnest({cell}) FROM {source}"):
                deeper.append((f"{name}.{key}" if name else key, f"struct_extract({cell}, {literal(key)})", inner))
            if len(deeper) > COLUMNS:
                raise DataError(f"`{path}` has more than {COLUMNS:,} different keys, which are too many columns")
        found = deeper
    return found


def _is_object(kind: str) -> bool:
    return kind.startswith("STRUCT(") and kind.endswith(")")


def _finite_sql(cell: str, kind: str) -> str:
    return f"CASE WHEN isfinite({cell}) THEN {cell} END" if kind in ("FLOAT", "DOUBLE") else cell


def _reason(path: str, said: str) -> str:
    """DuckDB's reason with the line, without the name of the copy that was read."""
    found = _PLACE.search(said)
    if found is not None:
        return f"`{path}` is not right JSON in line {int(found[1]):,}: {found[2]}\nhint: mend or remove that line"
    if "maximum_object_size" in said:
        return (
            f"`{path}` has a JSON object of more than {OBJECT_BYTES // 1024**2} MB\n"
            "hint: write one object a line (JSON Lines)"
        )
    return f"`{path}` cannot be read as JSON: {re.sub(chr(34) + '[^' + chr(34) + ']*' + chr(34), 'the file', said)}"
