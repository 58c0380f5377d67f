"""NumPy arrays that no list of JSON holds, such as one with NaN in it: kept in the run's folder, passed as a handle.

Rule: what a handle names is content, checked by its hash, and only of this run. The journal's codecs write and read it;
whoever has no such array does not import this.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from planloom.errors import DataError, JournalError
from planloom.journal import Encoded, standard_codecs
from planloom.plan.frames import TableError
from planloom.tools.tables import HASH, keep_table, new_table_file

SUFFIX: Final = ".npy"
_CODECS: Final = standard_codecs()


def keep_array(array: Any, folder: Callable[[], Path], name: str) -> dict[str, Any]:
    """Write an array into the run's folder and return its handle. Durable by then. Raises `TableError`."""
    try:
        codec, encoded = _CODECS.encode(array)
    except JournalError as error:
        raise TableError(f"is an array that cannot be kept: {error}") from error
    try:
        written = new_table_file(folder())
        try:
            written.write_bytes(encoded.content)
            artifact = keep_table(written, SUFFIX)
        finally:
            written.unlink(missing_ok=True)
    except OSError as error:
        raise TableError(f"is an array that cannot be written: {error.strerror or error}") from error
    return {"artifact": artifact, "name": name, "codec": codec, "bytes": len(encoded.content), **encoded.facts}


def read_array(handle: Mapping[str, Any], folder: Path) -> Any:
    """Return the array behind a handle. Raises `DataError` for one that is not there, or not what was written."""
    artifact = str(handle["artifact"])
    path = folder / f"{artifact}{SUFFIX}"
    if HASH.fullmatch(artifact) is None or path.is_symlink() or not path.is_file():
        raise DataError(
            f"this run holds no array {artifact[:12]}…\n"
            "hint: pass the whole output of the step that made it; arrays belong to one run"
        )
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != artifact:
        raise DataError(f"the array {artifact[:12]}… is damaged: its content is not what was written")
    try:
        return _CODECS.decode(str(handle["codec"]), Encoded("npy", content))
    except JournalError as error:
        raise DataError(f"the array {artifact[:12]}… cannot be read: {error}") from error
