"""SQLite's write-ahead log, looked at before SQLite does, for an end within a commit.

SQLite leaves out such an end without a word, which is right; here it is found out, so that it can be said. Every
commit is synced before the next one, so only the last one can be torn, or have a hole where a write is missing.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO, Final

_HEADER: Final = struct.Struct(">8I")
_FRAME: Final = struct.Struct(">6I")
_MAGIC: Final = (0x377F0682, 0x377F0683)
"""Words are summed with the last byte first, and with the first one first."""
_PAGE_BYTES: Final = (512, 65_536)
_SUMMED_BYTES: Final = 8
"""Of the header of a frame: what its checksum covers before the page."""
_MAX_SUMMED_FRAMES: Final = 1_000
"""Frames of the last commit whose checksums are looked at, the first of them: a tenth of a second."""


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
    magic, _, page_bytes, _, *salts, sum_0, sum_1 = _HEADER.unpack(header)
    if magic not in _MAGIC or not _PAGE_BYTES[0] <= page_bytes <= _PAGE_BYTES[1]:
        return size
    frame_bytes = _FRAME.size + page_bytes
    at = before = whole = written = _HEADER.size
    has_hole = False
    while at + frame_bytes <= size:
        file.seek(at)
        page, pages, *rest = _FRAME.unpack(file.read(_FRAME.size))
        at += frame_bytes
        if rest[:2] != salts:  # left from before the log was begun again, unless one of this log follows
            has_hole = True
            written = written if page else at  # no page is numbered 0: it was never written
            continue
        written = at
        if pages and not has_hole:  # the size of the database after a commit; 0 within one
            before, whole = whole, at
    if not has_hole and size > at:
        written = size
    if before > _HEADER.size:
        file.seek(before - frame_bytes)
        sum_0, sum_1 = _FRAME.unpack(file.read(_FRAME.size))[4:]
    is_big = magic == _MAGIC[1]
    return written - (whole if _is_whole(file, before, whole, page_bytes, (sum_0, sum_1), is_big) else before)


def _is_whole(file: BinaryIO, start: int, end: int, page_bytes: int, sums: tuple[int, int], is_big: bool) -> bool:
    """Return whether the frames from `start` to `end` are what was written; `sums` stand in front of them."""
    words = struct.Struct(f"{'>' if is_big else '<'}{(_SUMMED_BYTES + page_bytes) // 4}I")
    file.seek(start)
    for _ in range(min((end - start) // (_FRAME.size + page_bytes), _MAX_SUMMED_FRAMES)):
        header = file.read(_FRAME.size)
        sum_0, sum_1 = sums
        numbers = iter(words.unpack(header[:_SUMMED_BYTES] + file.read(page_bytes)))
        for first, second in zip(numbers, numbers, strict=True):
            sum_0 = (sum_0 + first + sum_1) & 0xFFFFFFFF
            sum_1 = (sum_1 + second + sum_0) & 0xFFFFFFFF
        sums = (sum_0, sum_1)
        if sums != _FRAME.unpack(header)[4:]:
            return False
    return True
