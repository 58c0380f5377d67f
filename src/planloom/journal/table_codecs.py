"""Codecs for arrays and tables of libraries that may be installed: NumPy as .npy, Arrow, polars, pandas as Parquet.

A library is touched only when a value of it is there, or when one was kept.
"""

from __future__ import annotations

import dataclasses
import io
from importlib import import_module
from typing import Any, Final, cast

from planloom.errors import JournalCorruptError, NotStorableError
from planloom.journal.codecs import Codec, Encoded

MAX_NAMED_COLUMNS: Final = 1_000
"""Columns that a reference names."""


@dataclasses.dataclass(frozen=True, slots=True)
class NumpyCodec:
    """NumPy arrays and single numbers; never arrays of Python objects."""

    name: str = "numpy"

    def matches(self, value: Any) -> bool:
        """Return whether it is NumPy's."""
        return _is_of("numpy", ("ndarray", "generic"), value)

    def encode(self, value: Any) -> Encoded:
        """Write it in NumPy's own format."""
        numpy = _library("numpy")
        file = io.BytesIO()
        array = numpy.asarray(value)
        try:
            numpy.save(file, array, allow_pickle=False)
        except ValueError as error:
            raise NotStorableError(f"an array of Python objects cannot be written down: {error}") from None
        facts: dict[str, Any] = {"shape": list(array.shape), "dtype": str(array.dtype)}
        if not isinstance(value, numpy.ndarray):
            facts["scalar"] = True
        return Encoded("npy", file.getvalue(), facts)

    def decode(self, encoded: Encoded) -> Any:
        """Read it."""
        array = _read(self.name, lambda: _library("numpy").load(io.BytesIO(encoded.content), allow_pickle=False))
        return array[()] if encoded.facts.get("scalar") else array


@dataclasses.dataclass(frozen=True, slots=True)
class ArrowCodec:
    """Arrow tables."""

    name: str = "arrow"

    def matches(self, value: Any) -> bool:
        """Return whether it is an Arrow table."""
        return _is_of("pyarrow", ("Table",), value)

    def encode(self, value: Any) -> Encoded:
        """Write it as Parquet, with its schema."""
        file = io.BytesIO()
        _write(self.name, lambda: _library("pyarrow.parquet").write_table(value, file))
        return Encoded("parquet", file.getvalue(), _facts(value.num_rows, value.column_names))

    def decode(self, encoded: Encoded) -> Any:
        """Read it."""
        return _read(self.name, lambda: _library("pyarrow.parquet").read_table(io.BytesIO(encoded.content)))


@dataclasses.dataclass(frozen=True, slots=True)
class PolarsCodec:
    """Polars frames."""

    name: str = "polars"

    def matches(self, value: Any) -> bool:
        """Return whether it is a polars frame; a lazy one is no value yet."""
        return _is_of("polars", ("DataFrame",), value)

    def encode(self, value: Any) -> Encoded:
        """Write it as Parquet."""
        file = io.BytesIO()
        _write(self.name, lambda: value.write_parquet(file))
        return Encoded("parquet", file.getvalue(), _facts(value.height, value.columns))

    def decode(self, encoded: Encoded) -> Any:
        """Read it."""
        return _read(self.name, lambda: _library("polars").read_parquet(io.BytesIO(encoded.content)))


@dataclasses.dataclass(frozen=True, slots=True)
class PandasCodec:
    """Pandas frames, with their index; pandas needs pyarrow to write Parquet."""

    name: str = "pandas"

    def matches(self, value: Any) -> bool:
        """Return whether it is a pandas frame."""
        return _is_of("pandas", ("DataFrame",), value)

    def encode(self, value: Any) -> Encoded:
        """Write it as Parquet."""
        file = io.BytesIO()
        _write(self.name, lambda: value.to_parquet(file))
        return Encoded("parquet", file.getvalue(), _facts(len(value), [str(name) for name in value.columns]))

    def decode(self, encoded: Encoded) -> Any:
        """Read it."""
        return _read(self.name, lambda: _library("pandas").read_parquet(io.BytesIO(encoded.content)))


TABLE_CODECS: Final[tuple[Codec, ...]] = (NumpyCodec(), ArrowCodec(), PolarsCodec(), PandasCodec())


def _is_of(library: str, names: tuple[str, ...], value: Any) -> bool:
    """Return whether a value's class, or one it inherits from, is one of a library's, without importing that."""
    return any(
        kind.__name__ in names and kind.__module__.partition(".")[0] == library
        for kind in cast("type[Any]", type(value)).__mro__
    )


def _library(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise NotStorableError(
            f"a table or array cannot be kept or read without `{name.partition('.')[0]}`\n"
            f"hint: pip install {name.partition('.')[0]}"
        ) from error


def _facts(rows: int, columns: list[str]) -> dict[str, Any]:
    return {"rows": rows, "columns": list(columns)[:MAX_NAMED_COLUMNS], "column_count": len(columns)}


def _write(name: str, write: Any) -> None:
    try:
        write()
    except NotStorableError:
        raise
    except Exception as error:
        raise NotStorableError(f"a {name} table cannot be written as Parquet: {_short(error)}") from error


def _read(name: str, read: Any) -> Any:
    try:
        return read()
    except NotStorableError:
        raise
    except Exception as error:
        raise JournalCorruptError(f"a kept {name} table or array cannot be read: {_short(error)}") from error


def _short(error: Exception) -> str:
    return " ".join((str(error) or type(error).__name__).split())[:300]
