"""What others write while a display moves: caught from both streams, child processes included, and handed on by lines.

Descriptors 1 and 2 lead into a pipe for that time; who owns the display writes to a copy of the real stderr.
"""

from __future__ import annotations

import codecs
import os
import re
import sys
import threading
from collections.abc import Callable
from typing import Final

from planloom.cli import signals

_END: Final = b"\0planloom: end of what was caught\0"
_CHUNK_BYTES: Final = 65536
_MAX_LINE_CHARS: Final = 10_000
_DRAIN_S: Final = 1.0
_COLOUR: Final = re.compile(r"\x1b\[[0-9;]*m")


class Capture:
    """The two streams, caught from `start` to `stop`; `hand_on` gets whole lines, on a thread of its own."""

    def __init__(self, hand_on: Callable[[str], None]) -> None:
        self._hand_on = hand_on
        self._is_drained = threading.Event()
        self._rest = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.real = -1
        """A descriptor of the real stderr."""
        self._entry = -1

    def start(self) -> None:
        """Let descriptors 1 and 2 lead here."""
        _flush()
        self.real = signals.words_descriptor = os.dup(2)
        exit_, self._entry = os.pipe()
        os.dup2(self._entry, 1)
        os.dup2(self._entry, 2)
        threading.Thread(target=self._read, args=(exit_,), name="planloom-capture", daemon=True).start()

    def drain(self) -> None:
        """Return when everything that was written so far has been handed on."""
        _flush()
        os.write(self._entry, _END)
        self._is_drained.wait(_DRAIN_S)

    def stop(self) -> None:
        """Give the descriptors back."""
        _flush()
        os.dup2(self.real, 2)
        os.dup2(self.real, 1)
        os.close(self._entry)
        signals.words_descriptor = 2

    def _read(self, exit_: int) -> None:
        """Hand on until nobody can write any more; a child that was left behind may do so after `stop`."""
        pending = b""
        while chunk := os.read(exit_, _CHUNK_BYTES):
            pending += chunk
            before, end, after = pending.partition(_END)
            if end:
                self._take(before)
                self._take_rest()
                self._is_drained.set()
                pending = after
            else:  # the mark may be cut in two
                keep = len(_END) - 1 if b"\0" in pending[-len(_END) :] else 0
                self._take(pending[: len(pending) - keep])
                pending = pending[len(pending) - keep :]
        os.close(exit_)

    def _take(self, content: bytes) -> None:
        """Hand on the lines that are complete. Of one written over and over, as progress bars do, the last state."""
        *lines, rest = (self._rest + _COLOUR.sub("", self._decoder.decode(content))).split("\n")
        self._rest = rest.rpartition("\r")[2][:_MAX_LINE_CHARS]
        if lines:
            self._hand_on("\n".join(line.rstrip("\r").rpartition("\r")[2] for line in lines))

    def _take_rest(self) -> None:
        rest, self._rest = self._rest, ""
        if rest:
            self._hand_on(rest)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            continue
