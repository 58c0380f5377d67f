"""SQLite's write-ahead log, looked at before SQLite does, for an end within a commit.

SQLite leaves out such an end without a word, which is right; here it is found out, so that it can be said.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO, Final

_HEADER: Final = struct.Struct(">8I")
_FRAME: Final = struct.Struct(">6I")
_MAGIC: Final = (0x377F0682, 0x377F0683)
_PAGE_BYTES: Final = (512, 65_536)


def torn_bytes(path: Path) -> int:
    """Return how many bytes at the end of a log belong to no whole commit; 0 when there is no log."""
    try:
        with path.open("rb") as file:
            return _torn_bytes(file, path.stat().st_size)
    except OSError:
        return 0


def _torn_bytes(file: BinaryIO, size: int) -> int:
    header = file.read(_HEADER.size)
    if len(header) < _HEADER.size:
        return len(header)
    magic, _, page_bytes, _, *salts, _, _ = _HEADER.unpack(header)
    if magic not in _MAGIC or not _PAGE_BYTES[0] <= page_bytes <= _PAGE_BYTES[1]:
        return size
    whole = at = _HEADER.size
    while at < size:
        file.seek(at)
        frame = file.read(_FRAME.size)
        if len(frame) == _FRAME.size and list(_FRAME.unpack(frame)[2:4]) != salts:
            return at - whole  # what follows is left from before the log was begun again
        if len(frame) < _FRAME.size or at + _FRAME.size + page_bytes > size:
            return size - whole
        at += _FRAME.size + page_bytes
        if _FRAME.unpack(frame)[1]:  # the size of the database after a commit; 0 within one
            whole = at
    return size - whole
