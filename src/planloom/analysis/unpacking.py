"""Unpacks what holds one file, within limits: an archive can claim to be small and unfold without end.

Rule: bytes are counted as they come out, whatever the archive says of itself; names in it are never used as paths.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Final

from planloom.errors import DataError

UNPACKED_BYTES: Final = 8 * 1024**3
"""Most that a packed file may unpack to."""
RATIO: Final = 500
"""Most that it may unfold, once it is larger than `ALWAYS_BYTES`; real tables seldom reach 100."""
ALWAYS_BYTES: Final = 64 * 1024**2
BLOCK_BYTES: Final = 1024 * 1024
ENTRIES: Final = 100_000
SHOWN: Final = 3


def check_unpacked(path: str, unpacked: int, packed: int) -> None:
    """Raise `DataError` if a file has unfolded to too much by now; both sizes in bytes."""
    if unpacked > UNPACKED_BYTES:
        raise DataError(
            f"`{path}` unpacks to more than {UNPACKED_BYTES // 1024**3} GB\n"
            "hint: unpack it and convert it to Parquet first"
        )
    if unpacked > ALWAYS_BYTES and unpacked > RATIO * max(packed, 1):
        raise DataError(
            f"`{path}` unfolds to more than {RATIO} times its size, as a zip bomb does\n"
            "hint: unpack it by hand if you trust it"
        )


def unpack_single(path: str, archive: zipfile.ZipFile, target: Path) -> str:
    """Write the one file of an archive to `target` and return its name. Raises `DataError` for any other archive."""
    entries = [entry for entry in archive.infolist()[:ENTRIES] if not _is_beside_the_point(entry)]
    if len(entries) != 1:
        names = ", ".join(f"`{entry.filename[:80]}`" for entry in entries[:SHOWN])
        what = f"{len(entries):,} files ({names}{'…' if len(entries) > SHOWN else ''})" if entries else "no file"
        raise DataError(
            f"`{path}` is a zip archive with {what}, not one table\nhint: unpack it and give the file inside"
        )
    (entry,) = entries
    if entry.flag_bits & 1:
        raise DataError(f"`{path}` is a zip archive with a password\nhint: unpack it and give the file inside")
    written = 0
    try:
        with archive.open(entry) as packed, target.open("wb") as copy:
            while block := packed.read(BLOCK_BYTES):
                written += len(block)
                check_unpacked(path, written, entry.compress_size)
                copy.write(block)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise DataError(f"`{path}` cannot be unpacked: {str(error).lower()}\nhint: unpack it by hand") from error
    return entry.filename


def _is_beside_the_point(entry: zipfile.ZipInfo) -> bool:
    """Folders, and what macOS puts beside the files."""
    name = entry.filename
    return entry.is_dir() or name.startswith("__MACOSX/") or name.rsplit("/", 1)[-1] in (".DS_Store", "Thumbs.db")
