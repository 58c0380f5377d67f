"""What goes to stdout while a run goes on: every event as a line of JSON, or the answer as it is written.

Both are written by a thread of their own, so that a reader who does not read cannot stop the run.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from planloom.cli.documents import write_line
from planloom.cli.driver import Reporter
from planloom.cli.lines import Writer
from planloom.cli.terminal import Terminal
from planloom.cli.text import visible
from planloom.plan.events import AnswerDelta, Event


class EventStream:
    """Every event as a line of JSON on stdout, as it happens, written by a thread of its own."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._writer: Writer | None = None
        self.on_error: Callable[[], None] = lambda: None

    def start(self) -> None:
        """Begin."""
        self._writer = Writer(self._write, self.on_error)

    def on_event(self, event: Event) -> None:
        """Write an event soon."""
        if self._writer is not None:
            self._writer.put(event)

    def pause(self) -> None:
        """Nothing is on the screen."""

    def resume(self) -> None:
        """Nothing was taken off it."""

    def stop(self) -> None:
        """Nothing to show any more; what is written goes on until `close`."""

    def close(self) -> None:
        """Return when everything has been written. Raises OutputError when it could not be."""
        if self._writer is not None:
            writer, self._writer = self._writer, None
            writer.close()
            if writer.error is not None:
                raise writer.error

    def _write(self, event: Event) -> None:
        self._terminal.stream(write_line(event.to_dict()))


class AnswerStream:
    """The answer on stdout while it is written, below the display, which it ends. For a person at a terminal."""

    def __init__(self, terminal: Terminal, inner: Reporter) -> None:
        self._terminal = terminal
        self._inner = inner
        self._writer: Writer | None = None
        self._pieces: list[str] = []

    def start(self) -> None:
        """Begin with the display."""
        self._inner.start()

    def on_event(self, event: Event) -> None:
        """Show an event, or write the next piece of the answer."""
        if not isinstance(event, AnswerDelta):
            self._inner.on_event(event)
            return
        if self._writer is None:
            self._inner.stop()
            if self._terminal.is_interactive:
                self._terminal.say("")
            self._writer = Writer(self._write)
        self._pieces.append(event.text)
        self._writer.put(event)

    def pause(self) -> None:
        """Let a person be asked something."""
        self._inner.pause()

    def resume(self) -> None:
        """Go on after a question."""
        self._inner.resume()

    def stop(self) -> None:
        """Show the end of the display."""
        self._inner.stop()

    def close(self, answer: Any) -> bool:
        """Return whether `answer` has been written as it came, once it is. Raises OutputError."""
        if self._writer is None:
            return False
        writer, self._writer = self._writer, None
        writer.close()
        if writer.error is not None:
            raise writer.error
        text = "".join(self._pieces)
        if not text.endswith("\n"):
            self._terminal.stream("\n")
        return isinstance(answer, str) and answer.strip() == text.strip()

    def _write(self, event: Event) -> None:
        assert isinstance(event, AnswerDelta)
        self._terminal.stream(visible(event.text))
