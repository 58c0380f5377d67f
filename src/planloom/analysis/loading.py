"""Reads one file into a table of the run, and says every decision it took on the way.

The text is cut into cells by DuckDB as text only, kept as a temporary Parquet file, looked at in full, and then written
with its types. Two passes, so that a type rests on every cell and not on a sample, and memory stays bounded.
Rule: nothing is dropped, renamed or read as missing without a sentence in `decisions`.
"""

# ruff: noqa: S608 (names and texts enter SQL through `identifier` and `literal` alone)
from __future__ import annotations

import csv
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from planloom.analysis.cells import CellReport, decide_formats
from planloom.analysis.clean import read_clean
from planloom.analysis.database import PARQUET, Database, count_where, identifier, literal, open_database
from planloom.analysis.decisions import cell_decisions
from planloom.analysis.dialect import COLUMNS, NO_SEPARATOR, SAMPLE_CHARACTERS, Dialect, listed, read_dialect
from planloom.analysis.doubts import explain_doubts
from planloom.analysis.formats import PADDING
from planloom.analysis.json_lines import read_json
from planloom.analysis.source import Source, inspect_source
from planloom.analysis.tables import Column, Table, keep_table, kind_of, new_table_file
from planloom.analysis.totals import total_row
from planloom.analysis.wording import count
from planloom.analysis.zones import explain_zones
from planloom.errors import DataError

SAMPLE_LIMIT = 16 * 1024 * 1024
"""Characters read to find the dialect of a file whose lines are very long."""
ROWS_NAMED = 5
"""Rows with too few or too many cells that one sentence names."""

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """What the caller says about a file instead of letting it be found out."""

    separator: str | None = None
    encoding: str | None = None
    header: bool | None = None
    sheet: str | None = None


def load_table(path: str, folder: Path, options: ReadOptions, report: Report) -> Table:
    """Read `path`, write its table into `folder`, and return the handle. Raises `DataError`.

    `report` gets a short text before each long part.
    """
    report("looking at the file")
    source = inspect_source(path, folder, encoding=options.encoding, sheet=options.sheet)
    written = new_table_file(folder)
    try:
        with open_database(folder, source=source.path) as database:
            if source.kind == "parquet":
                decisions = _copy_parquet(path, database, source, written)
            elif source.kind == "json":
                report("reading the objects")
                decisions = _read_objects(path, database, source, folder, written)
            else:
                decisions = _read_text(path, database, source, folder, options, written, report)
            columns, rows = described(database, written)
            decisions += total_row(database, written, columns, rows)
        artifact = keep_table(written)
    finally:
        written.unlink(missing_ok=True)
        if source.copied:
            source.path.unlink(missing_ok=True)
    if rows == 0:
        decisions.append("The table has a header and no rows.")
    return {
        "artifact": artifact,
        "name": Path(path).name,
        "columns": columns,
        "rows": rows,
        "decisions": [*source.decisions, *decisions],
    }


def described(database: Database, written: Path) -> tuple[list[Column], int]:
    """The columns and the number of rows of a Parquet file of the run."""
    columns: list[Column] = [{"name": name, "type": kind_of(kind)} for name, kind in database.columns(written)]
    (rows,) = database.row(f"SELECT count(*) FROM {database.parquet(written)}")
    return columns, int(rows)


def _read_objects(path: str, database: Database, source: Source, folder: Path, written: Path) -> list[str]:
    raw = new_table_file(folder)
    try:
        return read_json(path, database, source.path, raw, written)
    finally:
        raw.unlink(missing_ok=True)


def _read_text(
    path: str,
    database: Database,
    source: Source,
    folder: Path,
    options: ReadOptions,
    written: Path,
    report: Report,
) -> list[str]:
    """Cut, judge and convert a text file; the sentences say how."""
    sample, complete = _sample(source.path)
    try:
        separator = source.separator or options.separator
        dialect = read_dialect(sample, complete=complete, separator=separator, header=options.header)
    except DataError as error:
        raise DataError(f"`{path}` cannot be read as a table: {error}") from error
    decisions = list(dialect.decisions[1 if source.separator else 0 :])  # a separator of our own says nothing
    report("reading the rows")
    quoted_lines = source.quotes > 0 and _has_line_breaks_in_quotes(source.path)
    clean = None if quoted_lines else read_clean(database, source, dialect, sample, written)
    if clean is not None:
        return [*decisions, *cell_decisions(clean)]
    raw = new_table_file(folder)
    try:
        report("cutting lines into cells")
        decisions += _cut_cells(path, database, source, dialect, raw, quoted_lines=quoted_lines)
        report("deciding the type of each column")
        ragged, kept_rows = _ragged_rows(database, raw, dialect)
        decisions += ragged
        cells = explain_doubts(database, kept_rows, decide_formats(database, kept_rows, dialect.names))
        cells = explain_zones(database, kept_rows, cells)
        kept = [cell for cell in cells if not (cell.position in dialect.empty_names and cell.is_empty)]
        if not kept:
            raise DataError(f"`{path}` has a header line of {count(len(cells), 'empty name')} and no value")
        left_out = [cell.name for cell in cells if cell not in kept]
        if left_out:
            decisions.append(f"Left out, as it has neither a name nor a value: {listed(left_out)}.")
        decisions += cell_decisions(kept)
        report("writing the table")
        _write_typed(database, written, kept_rows, kept)
    finally:
        raw.unlink(missing_ok=True)
    return decisions


def _sample(path: Path) -> tuple[str, bool]:
    """The beginning of the text, at least a few lines of it, and whether that is all."""
    with path.open(encoding="utf-8", errors="ignore", newline="") as file:
        text = file.read(SAMPLE_CHARACTERS)
        while text and len(text) < SAMPLE_LIMIT and text.count("\n") + text.count("\r") < 4:
            more = file.read(SAMPLE_CHARACTERS)
            if not more:
                return text, True
            text += more
        return text, not file.read(1)


def _cut_cells(
    path: str, database: Database, source: Source, dialect: Dialect, raw: Path, *, quoted_lines: bool
) -> list[str]:
    """Write every cell as text, one more column than there are names, so that rows that are too long show."""
    if source.quotes % 2:
        _refuse_open_quote(path, source.path, dialect.separator)
    columns = ", ".join(f"'c{position}': 'VARCHAR'" for position in range(len(dialect.names) + 1))

    def query(*, strict: bool) -> str:
        return (
            f"COPY (SELECT * FROM read_csv({database.path(source.path)}, auto_detect=false, header=false, "
            f"delim={literal(dialect.separator)}, quote='\"', escape='\"', columns={{{columns}}}, "
            f"null_padding=true, nullstr={literal(PADDING)}, strict_mode={str(strict).lower()}, "
            f"parallel={str(not quoted_lines).lower()})) TO {database.path(raw)} ({PARQUET})"
        )

    try:
        database.rows(query(strict=True))
        return []
    except DataError:
        pass  # most real files that break the rules of quoting or line ends still read well
    try:
        database.rows(query(strict=False))
    except DataError as error:
        raise DataError(
            f"`{path}` cannot be cut into cells: {error}\nhint: open it at that line, or give the `separator`"
        ) from error
    return _lenient_sentences(source)


def _lenient_sentences(source: Source) -> list[str]:
    if source.quotes == 0:
        return []
    return ["Some quotes stand inside cells against the rules of CSV; such cells were read leniently."]


def _has_line_breaks_in_quotes(path: Path) -> bool:
    """Whether some line has an odd number of quotes; DuckDB must then read the file with one thread."""
    with path.open("rb") as file:
        return any(b'"' in line and (line.count(b'"') % 2 or b"\r" in line[:-2]) for line in file)


def _refuse_open_quote(path: str, source: Path, separator: str) -> None:
    """Raise `DataError` if a quote is opened and never closed: everything after it would be one cell."""
    end = "\x1aend\x1a"
    start, lines = 1, 0
    row: list[str] = []
    with source.open(encoding="utf-8", newline="") as file:
        reader = csv.reader(itertools.chain(file, ["\n", end]), delimiter=separator)
        try:
            for record in reader:
                start, lines, row = lines + 1, reader.line_num, record
        except csv.Error:  # a cell too long for the module: the quote was opened in the record after the last one
            start, row = lines + 1, []
    if row != [end]:
        raise DataError(
            f"`{path}` has a quote in line {start:,} that is never closed, so the rest of the file would be one cell\n"
            'hint: close it there, or write a quote inside a cell twice ("")'
        )


def _ragged_rows(database: Database, raw: Path, dialect: Dialect) -> tuple[list[str], str]:
    """Sentences about rows with too few or too many cells, and the table expression of the rows that are kept."""
    width = len(dialect.names)
    numbered = f"read_parquet({database.path(raw)}, file_row_number=true, hive_partitioning=false)"
    rows = f"(SELECT * FROM {numbered} WHERE file_row_number >= {dialect.records_before_data})"
    last, beyond = f"c{width - 1}", f"c{width}"
    too_long = f"{beyond} <> ''"
    too_short = f"{last} IS NULL"
    short, long, first_short, first_long = database.row(
        f"SELECT {count_where(too_short)}, {count_where(too_long)}, "
        f"min(file_row_number, {ROWS_NAMED}) FILTER (WHERE {too_short}), "
        f"min(file_row_number, {ROWS_NAMED}) FILTER (WHERE {too_long}) FROM {rows}"
    )
    sentences: list[str] = []
    if short and width > 1:
        sentences.append(
            f"{count(short, 'row')} with too few cells: the missing ones at the end are empty; "
            f"{_first_rows(first_short, short, dialect)}."
        )
    if long and dialect.separator != NO_SEPARATOR:
        sentences.append(
            f"{count(long, 'row')} with more than {width} cells left out, as it is not clear which cell belongs to "
            f"which column; {_first_rows(first_long, long, dialect)}."
        )
    return sentences, f"(SELECT * FROM {rows} WHERE coalesce({beyond}, '') = '')"


def _first_rows(places: Sequence[int], total: int, dialect: Dialect) -> str:
    """Which rows they were, or the first few of them."""
    *others, last = [f"{place - dialect.records_before_data + 1:,}" for place in places]
    if not others:
        return f"the first was row {last} below the header"
    which = "they were" if total == len(places) else "the first were"
    return f"{which} rows {', '.join(others)} and {last} below the header"


def _write_typed(database: Database, written: Path, rows: str, cells: Sequence[CellReport]) -> None:
    values = ", ".join(f"{cell.value_sql} AS {identifier(cell.name)}" for cell in cells)
    database.rows(f"COPY (SELECT {values} FROM {rows}) TO {database.path(written)} ({PARQUET})")


def _copy_parquet(path: str, database: Database, source: Source, written: Path) -> list[str]:
    """Take a Parquet file over as it is, except that NaN and infinity become missing."""
    try:
        columns = database.columns(source.path)
    except DataError as error:
        raise DataError(f"`{path}` is damaged: {error}\nhint: export or download the Parquet file again") from error
    if len(columns) > COLUMNS:
        raise DataError(f"`{path}` has {len(columns):,} columns; at most {COLUMNS:,} are read")
    table = database.parquet(source.path)
    floats = [name for name, kind in columns if kind in ("FLOAT", "DOUBLE")]
    sentences: list[str] = []
    if floats:
        counts = ", ".join(count_where(f"NOT isfinite({identifier(name)})") for name in floats)
        found = [
            (name, count) for name, count in zip(floats, database.row(f"SELECT {counts} FROM {table}"), strict=True)
        ]
        odd = [(name, count) for name, count in found if count]
        if odd:
            total = sum(count for _, count in odd)
            sentences.append(
                f"{total:,} infinite or NaN cells read as missing, in {listed([name for name, _ in odd])}."
            )
    values = ", ".join(
        f"CASE WHEN isfinite({identifier(name)}) THEN {identifier(name)} END AS {identifier(name)}"
        if name in floats
        else identifier(name)
        for name, _ in columns
    )
    database.rows(f"COPY (SELECT {values} FROM {table}) TO {database.path(written)} ({PARQUET})")
    return sentences
