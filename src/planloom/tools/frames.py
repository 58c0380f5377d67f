"""Tables of pandas, polars and Arrow as handles: written when a tool gives one back, read where a parameter is one.

No such library is imported before a value of it, or a function that names it, is there. A frame is kept as a plain
table: columns with names and one type each, and no row labels.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from planloom.errors import DataError
from planloom.plan.frames import FrameKind, TableError, kind_of_frame
from planloom.plan.redaction import Redactor
from planloom.tools.frame_secrets import clean_arrow, clean_polars
from planloom.tools.tables import Column, Kind, Table, keep_table, new_table_file, table_path

MAX_COLUMNS: Final = 10_000
MAX_TABLE_BYTES: Final = 16 * 1024**3
"""Size of one table's file."""
MAX_TABLES: Final = 1_000
"""Tables in one output."""
MAX_REASON_CHARACTERS: Final = 300
_MAX_DECIMAL_DIGITS: Final = 38
"""Of what is kept exactly by whatever reads the file."""


class Keeper:
    """Keeps the tables of one output in the run's folder, without secrets; `name` is what they are called in text."""

    def __init__(self, folder: Callable[[], Path], name: str, redactor: Redactor | None = None) -> None:
        self._folder = folder
        self._name = name
        self._redactor = redactor if redactor is not None and redactor.starts() else None
        self._kept = 0

    def __call__(self, frame: Any) -> Table:
        """Write a frame as Parquet and return its handle. Durable by then. Raises `TableError`."""
        self._kept += 1
        if self._kept > MAX_TABLES:
            raise TableError(f"is one of more than {MAX_TABLES:,} tables; return one table with all rows")
        kind = kind_of_frame(frame)
        assert kind is not None
        write, columns, rows, decisions = _READERS[kind](frame, self._redactor)
        _check_columns([column["name"] for column in columns])
        try:
            written = new_table_file(self._folder())
        except OSError as error:
            raise TableError(f"is a table that cannot be written: {error.strerror or error}") from error
        try:
            _do("is a table that cannot be written as Parquet", lambda: write(written))
            if (size := written.stat().st_size) > MAX_TABLE_BYTES:
                raise TableError(f"is a table of {size:,} bytes, more than {MAX_TABLE_BYTES:,}; return a part of it")
            artifact = _do("is a table that cannot be kept", lambda: keep_table(written))
        finally:
            written.unlink(missing_ok=True)
        return {
            "artifact": artifact,
            "name": self._name,
            "columns": columns,
            "rows": rows,
            "decisions": decisions,
        }


def read_frame(table: Table, kind: FrameKind, folder: Path) -> Any:
    """Return the table behind a handle as a frame. Raises `DataError`, also when its library is not installed."""
    path = table_path(table, folder)
    library = "pyarrow" if kind in ("arrow", "pandas") else "polars"
    try:
        if library == "polars":
            polars = import_module("polars")
            read = polars.read_parquet if kind == "polars" else polars.scan_parquet
            return read(str(path), glob=False, hive_partitioning=False)
        with import_module("pyarrow.parquet").ParquetFile(path) as file:
            arrow = file.read()
        return arrow if kind == "arrow" else arrow.to_pandas()
    except ImportError as error:
        raise DataError(f"a table cannot be read without `{library}`\nhint: pip install {library}") from error
    except Exception as error:
        raise DataError(f"the table {table['artifact'][:12]}… cannot be read: {_short(error)}") from error


Written = tuple[Callable[[Path], object], list[Column], int, list[str]]
"""What writes a frame, its columns, its number of rows, and sentences about what is not as it was."""


def _pandas(frame: Any, redactor: Redactor | None) -> Written:
    decisions: list[str] = []
    arrow = _library("pyarrow", "a pandas frame is written with it")
    if frame.columns.nlevels > 1 or frame.index.nlevels > 1:
        which, mend = "rows", "frame.reset_index()"
        if frame.columns.nlevels > 1:
            which, mend = "columns", "frame.columns = […]"
        raise TableError(f"is a pandas frame whose {which} have a MultiIndex, which no plain table has; use {mend}")
    if any(type(name) is not str for name in frame.columns):
        frame = frame.set_axis([str(name) for name in frame.columns], axis="columns")
        decisions.append("Column names became text")
    index = frame.index
    if index.name is not None or index.dtype.kind not in "iu":
        name = "index" if index.name is None else str(index.name)
        if name in frame.columns:
            raise TableError(
                f"is a pandas frame with an index and a column that are both named `{name:.80}`; "
                "rename one, or use frame.reset_index(drop=True)"
            )
        frame = frame.rename_axis(index=name).reset_index()
        decisions.append(f"The index became the column `{name}`")
    elif not index.equals(import_module("pandas").RangeIndex(len(frame))):
        decisions.append("Row numbers (an index without a name) were left out")
    _check_columns(list(frame.columns))
    table = _do(
        "is a pandas frame that cannot be written as Parquet",
        lambda: arrow.Table.from_pandas(frame, preserve_index=False),
    )
    write, columns, rows, _ = _arrow(table, redactor)
    return write, columns, rows, decisions


def _arrow(table: Any, redactor: Redactor | None) -> Written:
    types = _library("pyarrow.types", "an Arrow table is written with it")
    if redactor is not None:
        table = _do("is a table that cannot be read", partial(clean_arrow, table, redactor))
    columns: list[Column] = [{"name": field.name, "type": _arrow_kind(types, field.type)} for field in table.schema]

    def write(path: Path) -> None:
        with path.open("wb") as file:
            import_module("pyarrow.parquet").write_table(table, file)

    return write, columns, table.num_rows, []


def _polars(frame: Any, redactor: Redactor | None) -> Written:
    if hasattr(frame, "collect"):
        frame = _do("is a LazyFrame that cannot be collected", frame.collect)
    if redactor is not None:
        frame = _do("is a table that cannot be read", partial(clean_polars, frame, redactor))
    columns: list[Column] = [{"name": name, "type": _polars_kind(kind)} for name, kind in frame.schema.items()]
    return lambda path: frame.write_parquet(str(path)), columns, frame.height, []


_READERS: Final[dict[FrameKind, Callable[[Any, Redactor | None], Written]]] = {
    "pandas": _pandas,
    "polars": _polars,
    "polars-lazy": _polars,
    "arrow": _arrow,
}


def _arrow_kind(types: Any, kind: Any) -> Kind:
    """The kind of column that whoever reads the file sees, DuckDB above all."""
    if hasattr(kind, "extension_name"):
        if kind.extension_name in ("arrow.uuid", "arrow.json"):
            return "text" if kind.extension_name == "arrow.uuid" else "other"
        kind = kind.storage_type
    if types.is_dictionary(kind):
        kind = kind.value_type
    if types.is_boolean(kind):
        return "boolean"
    if types.is_integer(kind) or types.is_duration(kind):
        return "integer"
    if types.is_decimal(kind):
        return "integer" if kind.scale == 0 and kind.precision <= _MAX_DECIMAL_DIGITS else "number"
    if types.is_floating(kind):
        return "number"
    if types.is_date(kind) or types.is_timestamp(kind):
        return "date"
    if types.is_time(kind):
        return "time"
    is_text = types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)
    return "text" if is_text else "other"


_POLARS_KINDS: Final[dict[str, Kind]] = {
    "Boolean": "boolean", "Date": "date", "Datetime": "date", "Time": "time", "Duration": "integer",
    "String": "text", "Categorical": "text", "Enum": "text", "Float16": "number", "Float32": "number",
    "Float64": "number",
    **dict.fromkeys(("Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64"), "integer"),
}  # fmt: skip


def _polars_kind(kind: Any) -> Kind:
    name = str(kind.base_type().__name__)
    if name == "Decimal":
        return "integer" if kind.scale == 0 else "number"
    return _POLARS_KINDS.get(name, "other")


def _check_columns(names: list[str]) -> None:
    """Refuse what is no table, or one that cannot be told by the names of its columns."""
    if not names:
        raise TableError("is a table without columns")
    if len(names) > MAX_COLUMNS:
        raise TableError(f"is a table with {len(names):,} columns, more than {MAX_COLUMNS:,}")
    if len(set(names)) < len(names):
        seen: set[str] = set()
        twice = next(name for name in names if name in seen or seen.add(name))
        raise TableError(f"is a table with two columns that are both named `{twice:.80}`; rename one")


def _library(name: str, why: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        root = name.partition(".")[0]
        raise TableError(f"is a table that cannot be kept without `{root}`: {why}; pip install {root}") from error


def _do(problem: str, act: Callable[[], Any]) -> Any:
    try:
        return act()
    except Exception as error:
        raise TableError(f"{problem}: {_short(error)}; give each column one type, such as text or numbers") from error


def _short(error: Exception) -> str:
    parts = error.args if all(isinstance(part, str) for part in error.args) else (str(error),)
    return " ".join("; ".join(parts).split())[:MAX_REASON_CHARACTERS] or type(error).__name__
