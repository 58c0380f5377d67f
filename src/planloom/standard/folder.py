"""A folder that no path gets out of: each part of a path is opened by itself, below the part before, never a link.

Nothing is decided about a name and then done by name again: what was opened is what is looked at, and a file takes its
place by a rename. So nobody who changes the folder meanwhile can lead a read or a write elsewhere.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, Literal

from planloom.errors import ArgumentsError, DataError, UsageError
from planloom.plan.issues import shorten

MAX_PATH_CHARACTERS: Final = 1_000
MAX_PARTS: Final = 32

SUPPORTED: Final = (
    hasattr(os, "O_NOFOLLOW") and {os.open, os.stat, os.mkdir, os.unlink, os.rename} <= os.supports_dir_fd
)
"""Whether this system can open a name below an open folder without following links; Windows cannot."""

WriteMode = Literal["create", "replace", "append"]

_READ: Final = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
_OPEN_FOLDER: Final = _READ | getattr(os, "O_DIRECTORY", 0)
# a FIFO must not block the open, and a terminal must not become ours
_OPEN_FILE: Final = _READ | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
_MAKE_FILE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
_KINDS: Final = (
    (stat.S_ISLNK, "a link"),
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
_appending: Final = threading.Lock()


def split_path(path: str) -> list[str]:
    """Return the parts of a path below the root. Raises ArgumentsError for one that leads, or may lead, elsewhere."""
    shown = f"`{shorten(path, 60)}`"
    if len(path) > MAX_PATH_CHARACTERS:
        raise ArgumentsError(f"the path {shown} has more than {MAX_PATH_CHARACTERS} characters")
    if any(ord(character) < 32 or ord(character) == 127 or character == "\\" for character in path):
        raise ArgumentsError(f"the path {shown} has a backslash or a control character in it\nhint: write a/b.txt")
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        raise ArgumentsError("the path is not valid Unicode") from None
    if path.startswith(("/", "~")) or path[1:2] == ":":
        raise ArgumentsError(f"{shown} is not below the root\nhint: give a path relative to it, such as notes/a.txt")
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise ArgumentsError(f"{shown} may lead out of the root\nhint: give a path relative to it, without ..")
    if any(part.startswith(".") for part in parts):
        # keys stand in them (.env, .ssh), and programs run what is written into them (.git/hooks, .bashrc)
        raise ArgumentsError(f"{shown} is hidden: names that begin with a dot are not read or written")
    if not parts or path.endswith("/"):
        raise ArgumentsError(f"{shown} names no file\nhint: give a path relative to the root, such as notes/a.txt")
    if len(parts) > MAX_PARTS:
        raise ArgumentsError(f"the path {shown} has more than {MAX_PARTS} parts")
    return parts


class Folder:
    """A root, fixed when this is made. Raises UsageError when it is no folder, or where it cannot be guarded."""

    def __init__(self, root: str | os.PathLike[str]) -> None:
        if not SUPPORTED:
            raise UsageError(
                "file tools cannot be kept inside a folder on this system\nhint: they work on Linux and macOS"
            )
        self.root: Final = Path(root).resolve()
        if not self.root.is_dir():
            raise UsageError(f"the root of the file tools, `{root}`, is not a folder")

    def read(self, path: str, max_bytes: int) -> bytes:
        """Return the content of a regular file. Raises ArgumentsError for a bad path, DataError for the rest."""
        parts = split_path(path)
        with _in_words(path), self._parent(parts, make=False) as parent:
            _check_regular(os.stat(parts[-1], dir_fd=parent, follow_symlinks=False), path)
            return _read_regular(parts[-1], parent, path, max_bytes)

    def write(self, path: str, content: bytes, mode: WriteMode, max_bytes: int) -> tuple[int, bool]:
        """Write a file in one step and return its size in bytes, and whether it is new.

        Missing folders are made. Nobody ever sees half a file. Raises like `read`, and DataError when "create" finds
        a file there.
        """
        parts = split_path(path)
        with _in_words(path), self._parent(parts, make=True) as parent:
            if mode != "append":
                return len(content), self._put(parent, parts[-1], path, content, mode)
            with _appending:  # two steps that append must not lose one of the two texts
                with suppress(FileNotFoundError):
                    _check_regular(os.stat(parts[-1], dir_fd=parent, follow_symlinks=False), path)
                    content = _read_regular(parts[-1], parent, path, max_bytes) + content
                if len(content) > max_bytes:
                    raise DataError(f"`{shorten(path)}` would be larger than {max_bytes:,} bytes, the limit")
                return len(content), self._put(parent, parts[-1], path, content, "replace")

    def _put(self, parent: int, name: str, path: str, content: bytes, mode: WriteMode) -> bool:
        """Write beside the place, then take the place; return whether nothing was there."""
        try:
            before = os.stat(name, dir_fd=parent, follow_symlinks=False)
        except FileNotFoundError:
            before = None
        if before is not None:
            _check_regular(before, path)
            if mode == "create":
                raise _exists(path)
        temporary = f".planloom-{secrets.token_hex(8)}.tmp"
        handle = os.open(temporary, _MAKE_FILE, 0o666, dir_fd=parent)
        try:
            with open(handle, "wb") as file:  # noqa: PTH123 (a handle, not a path)
                file.write(content)
                file.flush()
                if before is not None:
                    os.fchmod(handle, stat.S_IMODE(before.st_mode) & 0o777)
                os.fsync(handle)
            if mode == "create":
                _take_free_place(temporary, name, parent, path)
            else:
                os.rename(temporary, name, src_dir_fd=parent, dst_dir_fd=parent)
        finally:
            with suppress(FileNotFoundError):  # after a rename it is gone
                os.unlink(temporary, dir_fd=parent)
        return before is None

    @contextmanager
    def _parent(self, parts: Sequence[str], *, make: bool) -> Generator[int]:
        """Open the folder that holds the last part, one part at a time."""
        current = os.open(self.root, _OPEN_FOLDER & ~getattr(os, "O_NOFOLLOW", 0))
        try:
            for number, part in enumerate(parts[:-1], 1):
                inner = _open_folder(part, current, "/".join(parts[:number]), make=make)
                os.close(current)
                current = inner
            yield current
        finally:
            os.close(current)


def _open_folder(name: str, parent: int, path: str, *, make: bool) -> int:
    try:
        return os.open(name, _OPEN_FOLDER, dir_fd=parent)
    except FileNotFoundError:
        if not make:
            raise
        with suppress(FileExistsError):
            os.mkdir(name, dir_fd=parent)
        return os.open(name, _OPEN_FOLDER, dir_fd=parent)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EMLINK, errno.ENOTDIR):
            raise _wrong_kind(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode, path, "a folder") from None
        raise


def _read_regular(name: str, parent: int, path: str, max_bytes: int) -> bytes:
    handle = os.open(name, _OPEN_FILE, dir_fd=parent)
    with open(handle, "rb") as file:  # noqa: PTH123 (a handle, not a path)
        status = os.fstat(handle)
        _check_regular(status, path)
        # one byte more than allowed: a file may grow, and some say 0 and have content
        content = b"" if status.st_size > max_bytes else file.read(max_bytes + 1)
        if status.st_size > max_bytes or len(content) > max_bytes:
            size = max(status.st_size, len(content))
            raise DataError(f"`{shorten(path)}` has {size:,} bytes, more than the limit of {max_bytes:,}")
        return content


def _take_free_place(temporary: str, name: str, parent: int, path: str) -> None:
    """Give the finished file its name unless something has it by now: a rename would replace it."""
    try:
        os.link(temporary, name, src_dir_fd=parent, dst_dir_fd=parent, follow_symlinks=False)
    except FileExistsError:
        raise _exists(path) from None
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK):
            raise
        # a file system without hard links: take the place with an empty file, which is ours, and replace that
        try:
            os.close(os.open(name, _MAKE_FILE, 0o666, dir_fd=parent))
        except FileExistsError:
            raise _exists(path) from None
        os.rename(temporary, name, src_dir_fd=parent, dst_dir_fd=parent)


def _exists(path: str) -> DataError:
    return DataError(f'`{shorten(path)}` already exists\nhint: give another path, or mode "replace" or "append"')


def _check_regular(status: os.stat_result, path: str) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise _wrong_kind(status.st_mode, path, "a file")


def _wrong_kind(mode: int, path: str, wanted: str) -> ArgumentsError:
    kind = next((name for is_kind, name in _KINDS if is_kind(mode)), "a file" if stat.S_ISREG(mode) else "no file")
    reason = "links are not followed" if stat.S_ISLNK(mode) else f"{wanted} is needed there"
    return ArgumentsError(f"`{shorten(path)}` is {kind}, and {reason}")


@contextmanager
def _in_words(path: str) -> Generator[None]:
    """Turn what the system says into one sentence that names the path as it was given."""
    try:
        yield
    except FileNotFoundError:
        raise DataError(f"there is no `{shorten(path)}` below the root\nhint: paths are relative to it") from None
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise ArgumentsError(f"`{shorten(path)}` is a link, and links are not followed") from None
        raise DataError(f"`{shorten(path)}`: {(error.strerror or type(error).__name__).lower()}") from None
