"""The handle by which a table passes between steps, and the only way from a handle to a file.

A handle is plain JSON. It names a table by the hash of its content, never by a path, and is resolved inside the run's
own folder only, so a plan that a model wrote cannot reach another file through it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from typing_extensions import TypedDict

from planloom.errors import DataError

HASH: Final = re.compile(r"[0-9a-f]{64}")
_FOLDERS_ABOVE: Final = 2
"""Folders above the run's own that may be as new as that one: a run in a journal has a folder in a folder."""

Kind = Literal["integer", "number", "boolean", "date", "time", "text", "other"]
"""What a column holds. `date` includes dates with a time of day; `other` is nested or binary Parquet data."""


@dataclass(frozen=True, slots=True)
class _Described:
    """What pydantic's `Field(description=…)` says, without its import, which takes 60 ms."""

    text: str

    def __get_pydantic_json_schema__(self, core_schema: Any, handler: Any) -> dict[str, Any]:
        return {**handler(core_schema), "description": self.text}


class Column(TypedDict):
    """One column of a table."""

    name: str
    type: Kind


class Table(TypedDict):
    """A handle to a table of this run: its content's hash, columns, rows and decisions; not the data itself."""

    artifact: Annotated[str, _Described("Opaque hash of the table's content; only tools of this run can read it")]
    name: Annotated[str, _Described("What to call the table in text, usually the file's name")]
    columns: list[Column]
    rows: int
    decisions: Annotated[list[str], _Described("What was decided while reading the file, one sentence each")]


def table_path(table: Table, folder: Path) -> Path:
    """The Parquet file behind a handle. Raises `DataError` for anything but a table of this run."""
    artifact = str(table.get("artifact"))
    if HASH.fullmatch(artifact) is None:
        raise DataError(
            f"`artifact` is {artifact!r}, not the hash of a table\n"
            "hint: pass the whole output of the step that made the table, such as {{load.output}}"
        )
    path = folder / f"{artifact}.parquet"
    if path.is_symlink() or not path.is_file():
        raise DataError(
            f"this run holds no table {artifact[:12]}…\n"
            "hint: tables belong to one run; make it again in this one, as by loading its file"
        )
    return path


def new_table_file(folder: Path) -> Path:
    """An empty file in the run's folder, to be filled and then given to `keep_table`."""
    handle, name = tempfile.mkstemp(prefix="table-", suffix=".tmp", dir=folder)
    os.close(handle)
    return Path(name)


def keep_table(written: Path, suffix: str = ".parquet") -> str:
    """Rename a finished file to the hash of its content with a `suffix`, and return the hash.

    It is durable by then, its name too: a journal may say so of the step that made it.
    """
    with written.open("rb") as file:
        artifact = hashlib.file_digest(file, "sha256").hexdigest()
        os.fsync(file.fileno())
    written.replace(written.with_name(f"{artifact}{suffix}"))
    _sync_names(written.parent)
    return artifact


def _sync_names(folder: Path) -> None:
    """Make the names in a folder durable, and its own, where folders can be opened."""
    if os.name != "posix":
        return
    _sync(folder)
    for above in folder.absolute().parents[:_FOLDERS_ABOVE]:
        with contextlib.suppress(OSError):  # what may not be opened was not made by this run either
            _sync(above)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
