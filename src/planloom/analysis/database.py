"""A locked DuckDB connection that can see one run's folder, one input file, and nothing else.

Each call opens its own in-memory instance (12 ms, tables stay in Parquet on disk), so parallel steps share no state
and one that is abandoned takes nothing with it. No extension is installed or loaded, no other path can be opened, and
the configuration is locked before the first query. Names go through `identifier`, texts through `literal`.
"""

# ruff: noqa: S608 (names and texts enter SQL through `identifier` and `literal` alone)
from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from planloom.errors import DataError, MissingExtraError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection
    from numpy import float64
    from numpy.typing import NDArray

MEMORY_LIMIT = "700MB"
"""What one connection may hold in memory; beyond it DuckDB spills into the run's folder. Python, libraries and what
DuckDB does not count come on top of it, some 200 MB."""
COLUMNS_PER_QUERY = 200
"""Planning time grows faster than the number of expressions: 200 columns a query is the quickest for 5,000."""

PARQUET = "FORMAT parquet, COMPRESSION lz4_raw, DICTIONARY_SIZE_LIMIT 1024"
"""How tables are written: a longer dictionary is tried in vain on most columns of numbers, and takes time."""
GROUP_ROWS = 122_880
"""Rows of a row group, DuckDB's own number."""
GROUP_CELLS = 4_000_000
MIN_GROUP_ROWS = 2_048

MAX_ARRAY_CELLS = 50_000_000
"""Numbers that one query may bring into memory as arrays, at 8 bytes each."""

_GLOB = re.compile(r"[*?\[]")
_Item = TypeVar("_Item")


class Database:
    """One open connection. Rows come back as tuples of Python values."""

    def __init__(
        self, connection: DuckDBPyConnection, visible: Callable[[Path], str], failure: type[Exception]
    ) -> None:
        self._connection = connection
        self._visible = visible
        self._failure = failure

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Run one statement and return all its rows. Raises `DataError` with DuckDB's reason in one line."""
        try:
            return self._connection.execute(query).fetchall()
        except self._failure as error:
            raise DataError(_reason(error)) from error

    def row(self, query: str) -> tuple[Any, ...]:
        """Run one statement that gives exactly one row."""
        (only,) = self.rows(query)
        return only

    def arrays(self, query: str) -> dict[str, NDArray[float64]]:
        """Run one SELECT and return its columns, all of numbers, as NumPy arrays of 64-bit floats; NULL becomes NaN.

        Raises `DataError` for more than `MAX_ARRAY_CELLS` cells (the rows are counted first, so nothing is fetched
        in vain), and `MissingExtraError` without NumPy.
        """
        numpy = import_extra("numpy", "statistics on arrays")
        ((count,),) = self.rows(f"SELECT count(*) FROM ({query})")
        try:
            cursor = self._connection.execute(query)
            cells = count * len(cursor.description or ())
            if cells > MAX_ARRAY_CELLS:
                raise DataError(
                    f"{cells:,} cells are needed in memory at once, more than {MAX_ARRAY_CELLS:,}\n"
                    "hint: name fewer columns, or take fewer rows with filter_rows or query first"
                )
            found = cursor.fetchnumpy()
        except self._failure as error:
            raise DataError(_reason(error)) from error
        return {
            name: numpy.ma.filled(numpy.ma.asarray(values).astype(numpy.float64), numpy.nan)
            for name, values in found.items()
        }

    def write(self, query: str, path: Path) -> None:
        """Write what a SELECT gives as a Parquet file. Wide tables get short row groups: several are held at once."""
        width = max(1, len(self.rows(f"DESCRIBE {query}")))
        group = max(MIN_GROUP_ROWS, min(GROUP_ROWS, GROUP_CELLS // width // MIN_GROUP_ROWS * MIN_GROUP_ROWS))
        self.rows(f"COPY ({query}) TO {self.path(path)} ({PARQUET}, ROW_GROUP_SIZE {group})")

    def path(self, path: Path) -> str:
        """`path` as a SQL literal that DuckDB takes literally: a `*` or `[` in it is not a pattern."""
        return literal(self._visible(path))

    def parquet(self, path: Path) -> str:
        """A table expression over one Parquet file; nothing is read out of the names of its folders."""
        return f"read_parquet({self.path(path)}, hive_partitioning=false)"

    def columns(self, path: Path) -> list[tuple[str, str]]:
        """Name and DuckDB type of each column of a Parquet file, in order."""
        return [(str(row[0]), str(row[1])) for row in self.rows(f"DESCRIBE SELECT * FROM {self.parquet(path)}")]


@contextmanager
def open_database(folder: Path, *, source: Path | None = None) -> Generator[Database]:
    """Open a connection that may read and write in `folder` and read `source`.

    Raises `MissingExtraError` without DuckDB.
    """
    duckdb = _import_duckdb()
    folder = folder.resolve()
    allowed = [folder] if source is None else [folder, source]
    spill = Path(tempfile.mkdtemp(prefix="spill-", dir=folder))
    with _plain_names(allowed) as names:
        connection = duckdb.connect(
            ":memory:", config={"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}
        )
        try:
            _lock(connection, names(folder), None if source is None else names(source), names(spill))
            yield Database(connection, names, duckdb.Error)
        finally:
            connection.close()
            shutil.rmtree(spill, ignore_errors=True)


def _lock(connection: DuckDBPyConnection, folder: str, source: str | None, spill: str) -> None:
    """Settings in this order: what is allowed, then nothing else, then no change any more."""
    files = "" if source is None else literal(source)
    for setting in (
        f"memory_limit = {literal(MEMORY_LIMIT)}",
        f"temp_directory = {literal(spill)}",
        f"allowed_directories = [{literal(folder.rstrip(os.sep) + os.sep)}]",
        f"allowed_paths = [{files}]",
        "TimeZone = 'UTC'",
        "enable_progress_bar = false",  # it would be drawn on stdout
        "enable_external_access = false",
        "lock_configuration = true",
    ):
        connection.execute(f"SET {setting}")


@contextmanager
def _plain_names(roots: Sequence[Path]) -> Generator[Callable[[Path], str]]:
    """Give each root a name without pattern characters: DuckDB expands them even in a file that exists."""
    links: list[tuple[Path, Path]] = []
    holder: Path | None = None
    try:
        for number, root in enumerate(roots):
            if not _GLOB.search(str(root)):
                continue
            if holder is None:
                holder = Path(tempfile.mkdtemp(prefix="planloom-"))
            link = holder / f"{number}{'' if root.is_dir() else '.data'}"
            link.symlink_to(root)
            links.append((root, link))

        def plain(path: Path) -> str:
            for root, link in links:
                if path == root or root in path.parents:
                    return str(link / path.relative_to(root)) if path != root else str(link)
            return str(path)

        yield plain
    finally:
        if holder is not None:
            shutil.rmtree(holder, ignore_errors=True)


def identifier(name: str) -> str:
    """`name` as a quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """`text` as a quoted SQL string."""
    return "'" + text.replace("'", "''") + "'"


def count_where(condition: str) -> str:
    """The number of rows for which `condition` is true, as SQL; DuckDB's `count_if` is NULL for NULLs alone."""
    return f"count(*) FILTER (WHERE {condition})"


def batches(items: Sequence[_Item], size: int = COLUMNS_PER_QUERY) -> Iterator[Sequence[_Item]]:
    """`items` in slices of at most `size`."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _reason(error: Exception) -> str:
    """What DuckDB said, without its list of settings, its picture of the query and its advice for SQL writers."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    found = re.search(r"CSV Error on Line: (\d+)", lines[0])
    if found is None:
        return lines[0]
    said = next((line for line in lines[1:] if not line.startswith("Original Line")), "it cannot be read")
    return f"line {found[1]}: {said}"


def import_extra(module: str, needed_for: str) -> Any:
    """Import a library of the extra `analysis` at its first use: they are heavy. Raises `MissingExtraError`."""
    try:
        return import_module(module)
    except ImportError as error:
        raise MissingExtraError("analysis", needed_for) from error


def _import_duckdb() -> Any:
    """DuckDB takes 0.25 s to import and is an extra, so it is imported at the first use."""
    try:
        import duckdb
    except ImportError as error:
        raise MissingExtraError("analysis", "reading and describing tables") from error
    return duckdb
