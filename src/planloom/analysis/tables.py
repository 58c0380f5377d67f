"""The handle by which a table passes between steps, and the only way from a handle to a file.

A handle is plain JSON. It names a table by the hash of its content, never by a path, and is resolved inside the run's
own folder only, so a plan that a model wrote cannot reach another file through it.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field
from typing_extensions import TypedDict

from planloom.errors import DataError

HASH = re.compile(r"[0-9a-f]{64}")

Kind = Literal["integer", "number", "boolean", "date", "time", "text", "other"]
"""What a column holds. `date` includes dates with a time of day; `other` is nested or binary Parquet data."""

_KINDS: Final[dict[str, Kind]] = {
    "BOOLEAN": "boolean", "DATE": "date", "TIME": "time", "VARCHAR": "text", "UUID": "text",
    "FLOAT": "number", "DOUBLE": "number",
    **dict.fromkeys(("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT"), "integer"),
    **dict.fromkeys(("UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT"), "integer"),
}  # fmt: skip


class Column(TypedDict):
    """One column of a table."""

    name: str
    type: Kind


class Table(TypedDict):
    """A handle to a table of this run: its content's hash, columns, rows and decisions; not the data itself."""

    artifact: Annotated[
        str, Field(description="Opaque hash of the table's content; only tools of this run can read it")
    ]
    name: Annotated[str, Field(description="What to call the table in text, usually the file's name")]
    columns: list[Column]
    rows: int
    decisions: Annotated[list[str], Field(description="What was decided while reading the file, one sentence each")]


def kind_of(type_name: str) -> Kind:
    """The kind of a DuckDB type."""
    if type_name.startswith("DECIMAL"):
        return "integer" if type_name.endswith(",0)") else "number"
    if type_name.startswith("TIMESTAMP"):
        return "date"
    if type_name.startswith("TIME"):
        return "time"
    if type_name.startswith("ENUM"):
        return "text"
    return _KINDS.get(type_name, "other")


def is_numeric(kind: Kind) -> bool:
    """Whether a mean of the column makes sense."""
    return kind in ("integer", "number")


def table_path(table: Table, folder: Path) -> Path:
    """The Parquet file behind a handle. Raises `DataError` for anything but a table of this run."""
    artifact = str(table.get("artifact"))
    if HASH.fullmatch(artifact) is None:
        raise DataError(
            f"`artifact` is {artifact!r}, not the hash of a table\n"
            "hint: pass the whole output of load_data, such as {{load.output}}"
        )
    path = folder / f"{artifact}.parquet"
    if path.is_symlink() or not path.is_file():
        raise DataError(
            f"this run holds no table {artifact[:12]}…\nhint: tables belong to one run; load the file again in this one"
        )
    return path


def new_table_file(folder: Path) -> Path:
    """An empty file in the run's folder, to be filled and then given to `keep_table`."""
    handle, name = tempfile.mkstemp(prefix="table-", suffix=".tmp", dir=folder)
    os.close(handle)
    return Path(name)


def keep_table(written: Path) -> str:
    """Rename a finished Parquet file to the hash of its content, and return the hash.

    It is durable by then: a journal may say so of the step that made it.
    """
    with written.open("rb") as file:
        artifact = hashlib.file_digest(file, "sha256").hexdigest()
        os.fsync(file.fileno())
    written.replace(written.with_name(f"{artifact}.parquet"))
    return artifact
