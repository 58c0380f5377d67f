"""Files of a journal: made private, their folders made durable, and what the system says put into one sentence."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Final

from planloom.errors import JournalError

_REASONS: Final = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "it would be larger than the system allows",
    errno.EROFS: "the disk may only be read",
    errno.EACCES: "permission is denied",
    errno.EPERM: "permission is denied",
    errno.EIO: "the disk failed",
    errno.ENOTDIR: "a part of its path is a file, not a folder",
    errno.EISDIR: "it is a folder",
    errno.ENOENT: "it is not there",
}


def said(what: str, verb: str, error: OSError) -> JournalError:
    """Return what the system said as one sentence: `what` cannot be `verb`, and why."""
    reason = _REASONS.get(error.errno or 0, error.strerror or str(error))
    return JournalError(f"{what} cannot be {verb}: {reason}")


def make_private_file(path: Path) -> None:
    """Make a file that only its owner may read, with its folders, if there is none; it survives a crash."""
    if path.exists():
        return
    make_folder(path.parent)
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        return
    sync_folder(path.parent)


def make_folder(folder: Path) -> None:
    """Make a folder that only its owner may enter, and those above it, so that they survive a crash."""
    missing: list[Path] = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for folder in reversed(missing):
        folder.mkdir(mode=0o700, exist_ok=True)
        sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Make the entries of a folder durable, where folders can be opened."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
