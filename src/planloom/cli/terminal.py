"""The two streams of a command: data to stdout or `--output`, words for people to stderr.

Rule: only `Terminal` writes to the real stdout. What user code prints (tools, imports, child processes) goes to
stderr, so that a document on stdout stays one document. No colours and no control codes unless stderr is a
terminal that wants them.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final, TextIO

from planloom.cli import signals
from planloom.cli.text import visible
from planloom.errors import PlanloomError, UsageError

_CODES: Final = {"red": "31", "green": "32", "yellow": "33", "dim": "2", "bold": "1"}
DEFAULT_WIDTH: Final = 100
"""Columns of a table or drawing when stdout is not a terminal."""
MIN_WIDTH: Final = 40


class OutputError(PlanloomError):
    """What a command made could not be written. `is_quiet`: the reader has left, which is nobody's fault."""

    def __init__(self, where: str, error: OSError) -> None:
        super().__init__(f"cannot write to {where}: {error.strerror or error}")
        self.is_quiet = error.errno == errno.EPIPE


class Terminal:
    """The streams of one command, from `open` to `close`."""

    def __init__(self, output: Path | None = None) -> None:
        self.output = output
        self.data_is_terminal = output is None and _is_terminal(sys.stdout)
        self.data_has_colour = output is None and wants_control_codes(sys.stdout)
        self.is_interactive = wants_control_codes(sys.stderr)
        self._above: Callable[[str, str | None], None] | None = None
        self._lock = threading.RLock()
        self._stderr: TextIO | None = sys.stderr
        self._stdout: TextIO | None = sys.stdout
        self._encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
        self._data_fd: int | None = None

    @classmethod
    def open(cls, output: Path | None = None) -> Terminal:
        """Take stdout for data alone; from here on what others print goes to stderr."""
        if output is not None:
            check_writable(output)
        terminal = cls(output)
        terminal._reserve_stdout()
        return terminal

    def _reserve_stdout(self) -> None:
        """Keep the real stdout under another number, and let number 1 lead to stderr, for child processes too."""
        if _fileno(sys.stdout) != 1:
            sys.stdout = sys.stderr  # a caller in this process has put something in its place
            return
        assert sys.stdout is not None
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
        self._data_fd = os.dup(1)
        try:
            os.dup2(2, 1)
        except OSError:  # stderr is closed
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, 1)
            os.close(nowhere)
        # a new stream, because the old one still believes to be a file when it was one
        sys.stdout = os.fdopen(1, "w", 1, self._encoding, "backslashreplace", closefd=False)

    def close(self) -> None:
        """Give stdout back. Safe to call twice."""
        if self._data_fd is not None:
            for stream in (sys.stdout, sys.stderr):
                with contextlib.suppress(OSError, ValueError, AttributeError):
                    stream.flush()
            os.dup2(self._data_fd, 1)
            os.close(self._data_fd)
            self._data_fd = None
        sys.stdout = self._stdout  # pyright: ignore[reportAttributeAccessIssue] (None when it was closed from the start)

    # ---- data ----------------------------------------------------------------------------------------

    @property
    def width(self) -> int:
        """Columns for data that a person will read."""
        if not self.data_is_terminal:
            return DEFAULT_WIDTH
        named = os.environ.get("COLUMNS", "")
        try:
            columns = int(named) if named.isdigit() else os.get_terminal_size(self._data_fd or 1).columns
        except OSError:
            columns = 0
        return max(MIN_WIDTH, columns) if columns else DEFAULT_WIDTH

    @property
    def words_width(self) -> int:
        """Columns for drawings on stderr."""
        try:
            return max(MIN_WIDTH, os.get_terminal_size(signals.words_descriptor).columns)
        except OSError:
            return DEFAULT_WIDTH

    @property
    def is_unicode(self) -> bool:
        """Whether stdout can show more than ASCII."""
        return self._encoding.lower().replace("-", "").startswith("utf") or self.output is not None

    def data(self, text: str) -> None:
        """Write text to `--output` as it is, else to stdout with control characters written out.

        A reader who has left is no error, and does not change how the command ends. Raises OutputError.
        """
        self._write(text if self.output is not None else visible(text))

    def text(self, text: str) -> None:
        """Write text that was made for people, and made safe already, as `data` does."""
        self._write(text)

    def _write(self, text: str) -> None:
        try:
            if self.output is None:
                self.stream(text)
            else:
                self._write_output(self.output, text)
        except OutputError as error:
            if not error.is_quiet:
                raise

    def _write_output(self, output: Path, text: str) -> None:
        try:
            output.write_bytes(text.encode("utf-8", "backslashreplace"))
        except OSError as error:
            raise OutputError(f"`{output}`", error) from error

    def stream(self, text: str) -> None:
        """Write text to stdout at once. Raises OutputError, also when the reader has left."""
        try:
            if self._data_fd is not None:
                _write_all(self._data_fd, text.encode(self._encoding, "backslashreplace"))
            elif self._stdout is not None:
                self._stdout.write(text)
                self._stdout.flush()
            else:
                raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        except OSError as error:
            raise OutputError("stdout", error) from error

    # ---- words for people ----------------------------------------------------------------------------

    def say(self, text: str, colour: str | None = None) -> None:
        """Write a line, or several, to stderr. Never raises: nobody may be there to read it."""
        with self._lock:
            if self._above is not None:
                self._above(visible(text), colour)
            else:
                self._say(visible(text), colour)

    def say_problem(self, text: str) -> None:
        """Write an error: its first line in red, hints as they are."""
        head, newline, rest = text.partition("\n")
        self.say(head, "red")
        if newline:
            self.say(rest)

    def _say(self, text: str, colour: str | None) -> None:
        write_words(self._stderr, paint(text, colour) if self.is_interactive else text)

    def set_above(self, above: Callable[[str, str | None], None] | None) -> None:
        """While a live display is on, let `above` print lines over it; None ends that."""
        with self._lock:
            self._above = above


def paint(text: str, colour: str | None) -> str:
    """Return text in a colour of `_CODES`, for a terminal."""
    return text if colour is None else f"\x1b[{_CODES[colour]}m{text}\x1b[0m"


def write_words(stream: TextIO | None, text: str) -> None:
    """Write a line to a stream that may be closed, full, or of a narrow encoding."""
    if stream is None:
        return
    with contextlib.suppress(OSError, ValueError):
        encoding = stream.encoding or "utf-8"
        stream.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
        stream.flush()


def wants_control_codes(stream: TextIO | None) -> bool:
    """Whether a stream is a terminal that wants colours and a moving display."""
    return (
        _is_terminal(stream)
        and not os.environ.get("NO_COLOR")
        and os.environ.get("TERM", "dumb") not in ("dumb", "unknown", "")
    )


def check_writable(path: Path) -> None:
    """Refuse a file that cannot be written before any work is done for it. Raises UsageError."""
    folder = path.parent
    if path.is_dir():
        raise UsageError(f"cannot write to `{path}`: it is a folder\nhint: name a file in it")
    if not folder.is_dir():
        raise UsageError(f"cannot write to `{path}`: there is no folder `{folder}`")
    if not os.access(path if path.exists() else folder, os.W_OK):
        raise UsageError(f"cannot write to `{path}`: permission denied\nhint: name another file with --output")


def _write_all(descriptor: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _fileno(stream: TextIO | None) -> int | None:
    try:
        return None if stream is None else stream.fileno()
    except (OSError, ValueError, AttributeError):
        return None


def _is_terminal(stream: TextIO | None) -> bool:
    try:
        return stream is not None and stream.isatty()
    except (OSError, ValueError):
        return False
