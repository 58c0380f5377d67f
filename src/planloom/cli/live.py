"""A run as it happens, on a terminal: every step of a small plan, the tellable ones of a large one.

Reads the ledger ten times a second from a thread of its own, so that the clock ticks also while a tool blocks
the loop. All text goes through `one_line` and into `rich.text.Text`: nothing is read as markup.
"""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Final

from rich.console import Console, ConsoleDimensions, Group
from rich.live import Live
from rich.text import Text

from planloom.cli.capture import Capture
from planloom.cli.ledger import Ledger, StepView
from planloom.cli.terminal import Terminal
from planloom.cli.text import counted, first_line, first_reason, one_line, reused, seconds, shape_of, took
from planloom.drawing.words import cells, fit_cells, pad_cells
from planloom.plan.events import Event
from planloom.plan.state import END_STATUSES, StepStatus

if TYPE_CHECKING:
    from collections.abc import Iterable

FRAMES_PER_S: Final = 10
MAX_LISTED: Final = 40
"""Steps up to which each has a line, if the terminal is high enough."""
MAX_ID_CELLS: Final = 28
MAX_TOOL_CELLS: Final = 20
_CLOCK_CELLS: Final = 8
_BAR_CELLS: Final = 10
_LONG_BAR_CELLS: Final = 24
_MIN_NOTE_CELLS: Final = 10

_SPINNER: Final = ("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏", "|/-\\")
_MARKS: Final = {
    StepStatus.PENDING: ("○", ".", "dim"),
    StepStatus.READY: ("◌", "o", "cyan"),
    StepStatus.SUCCEEDED: ("✓", "+", "green"),
    StepStatus.FAILED: ("✗", "x", "bold red"),
    StepStatus.SKIPPED: ("»", "-", "dim"),
    StepStatus.CANCELLED: ("⊘", "/", "yellow"),
    StepStatus.UNKNOWN: ("?", "?", "bold yellow"),
    StepStatus.WAITING: ("‖", "=", "yellow"),
    StepStatus.HELD: ("…", "~", "yellow"),
}
_WORDS: Final = {
    StepStatus.RUNNING: ("running", "cyan"),
    StepStatus.FAILED: ("failed", "bold red"),
    StepStatus.UNKNOWN: ("unknown", "bold yellow"),
    StepStatus.SKIPPED: ("skipped", "dim"),
    StepStatus.CANCELLED: ("stopped", "yellow"),
    StepStatus.WAITING: ("waiting", "yellow"),
    StepStatus.HELD: ("held", "yellow"),
}


class Screen(Console):
    """The terminal behind a descriptor, at the size that it has right now."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        stderr = sys.stderr
        super().__init__(
            file=os.fdopen(descriptor, "w", encoding=getattr(stderr, "encoding", "utf-8"), errors="backslashreplace"),
            force_terminal=True,
            highlight=False,
            markup=False,
            emoji=False,
        )

    @property
    def size(self) -> ConsoleDimensions:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Columns and lines."""
        try:
            return ConsoleDimensions(*os.get_terminal_size(self._descriptor))
        except OSError:
            return ConsoleDimensions(80, 24)


class LiveReporter:
    """The moving display, from `start` to `stop`. What it showed last stays on the screen, if it `keeps` that."""

    def __init__(self, terminal: Terminal, ledger: Ledger, *, keeps: bool = True) -> None:
        self._terminal = terminal
        self._ledger = ledger
        self._order = ledger.step_order()
        self._revision = ledger.revision
        self._keeps = keeps
        self._is_final = False
        self._capture: Capture | None = None
        self._console: Screen
        self._live: Live

    def start(self) -> None:
        """Show the display; what is written by others meanwhile stands above it."""
        self._capture = Capture(self._terminal.say)
        self._capture.start()
        self._console = Screen(self._capture.real)
        self._ascii = self._console.options.ascii_only
        self._terminal.set_above(self._print_above)
        self._show()

    def pause(self) -> None:
        """Take the display off the screen, so that a person can be asked something."""
        if self._capture is not None and self._live.is_started:
            self._live.transient = True
            self._live.stop()

    def resume(self) -> None:
        """Put the display back on the screen."""
        if self._capture is not None and not self._live.is_started:
            self._show()

    def _show(self) -> None:
        self._live = Live(
            get_renderable=self._frame,
            console=self._console,
            refresh_per_second=FRAMES_PER_S,
            redirect_stdout=False,
            redirect_stderr=False,
            vertical_overflow="crop",
        )
        self._live.start()

    def on_event(self, event: Event) -> None:
        """Nothing to do: the ledger has it, and the next frame shows it."""

    def stop(self) -> None:
        """Show the last frame and give the terminal back."""
        if self._capture is None:
            return
        capture, self._capture = self._capture, None
        capture.drain()
        self._is_final = True
        if not self._live.is_started:  # a person was being asked
            self._show()
        self._live.transient = not self._keeps
        self._live.stop()
        self._terminal.set_above(None)
        capture.stop()
        self._console.file.flush()

    def _print_above(self, text: str, colour: str | None) -> None:
        self._console.print(Text(text, style=colour or ""), overflow="fold")

    # ---- one frame -------------------------------------------------------------------------------------

    def _frame(self) -> Group:
        width, height = self._console.size
        with self._ledger.lock:
            if self._revision != self._ledger.revision:
                self._order, self._revision = self._ledger.step_order(), self._ledger.revision
            notes = list(self._goal_lines(width - 1))
            lines = list(self._lines(width - 1, max(3, height - 5 - len(notes)), notes))
        for line in lines:
            line.no_wrap, line.overflow = True, "crop"
        return Group(*lines)

    def _lines(self, width: int, room: int, notes: list[Text]) -> Iterable[Text]:
        ledger = self._ledger
        if ledger.title:
            yield Text(fit_cells(one_line(ledger.title), width), style="bold")
        shown = self._shown(room)
        if shown:
            id_cells = min(MAX_ID_CELLS, width // 3, max(cells(one_line(name)) for name in shown))
            tool_cells = min(
                MAX_TOOL_CELLS, width // 5, max(cells(one_line(ledger.steps[name].tool)) for name in shown)
            )
            for name in shown:
                yield self._step_line(ledger.steps[name], id_cells, tool_cells, width)
        yield from notes
        if ledger.steps or not notes:
            yield self._summary(width)

    def _goal_lines(self, width: int) -> Iterable[Text]:
        """What has happened to the plan as a whole, and what a model is asked for right now."""
        goal = self._ledger.goal
        for text, style in goal.notes:
            yield Text("  " + self._fit(text, width - 2), style=style)
        if self._is_final:
            return
        for activity in (goal.planning, *goal.replanning.values(), goal.joining):
            if activity is None:
                continue
            clock = seconds(time.monotonic() - activity.since)
            line = Text(f"  {self._spin()} ", style="cyan")
            line.append(self._fit(activity.text, width - line.cell_len - len(clock) - 2))
            line.append("  " + clock, style="dim")
            yield line

    def _shown(self, room: int) -> list[str]:
        """All steps when there is room; else what runs, then what ended last, and at the end what went wrong."""
        if len(self._order) <= (MAX_LISTED if self._is_final else min(MAX_LISTED, room)):
            return self._order
        if self._is_final:
            return list(self._ledger.troubled)
        running = list(self._ledger.running)[: max(2, room - min(4, room // 3))]
        recent = [name for name in self._ledger.recent if name not in self._ledger.running]
        left = room - len(running)
        return [*(recent[-left:] if left > 0 else []), *running]

    def _step_line(self, step: StepView, id_cells: int, tool_cells: int, width: int) -> Text:
        mark, style = self._mark(step)
        quiet = "dim" if step.status in (StepStatus.PENDING, StepStatus.SKIPPED) else ""
        clock = self._clock(step)
        line = Text(f"  {mark} ", style=style)
        line.append(pad_cells(self._fit(one_line(step.id), id_cells), id_cells) + "  ", style=quiet)
        line.append(pad_cells(self._fit(one_line(step.tool), tool_cells), tool_cells), style="dim")
        line.append(clock.rjust(_CLOCK_CELLS + 2) + "  ", style=quiet)
        room = width - line.cell_len
        if room >= _MIN_NOTE_CELLS:
            note, note_style = self._note(step)
            line.append(self._fit(note, room), style=note_style)
        return line

    def _mark(self, step: StepView) -> tuple[str, str]:
        if step.status is StepStatus.RUNNING or step.retry_at is not None:
            return self._spin(), "yellow" if step.retry_at is not None else "cyan"
        unicode, ascii, style = _MARKS[step.status]
        return (ascii if self._ascii else unicode), style

    def _spin(self) -> str:
        frames = _SPINNER[self._ascii]
        return frames[int(time.monotonic() * FRAMES_PER_S) % len(frames)]

    def _clock(self, step: StepView) -> str:
        if step.started is None:
            return ""
        if step.status in END_STATUSES:
            return took(step.latency_ms)
        return seconds(time.monotonic() - step.started)

    def _note(self, step: StepView) -> tuple[str, str]:
        """What a step's line says at its end: what it waits for, how far it is, how it went."""
        match step.status:
            case StepStatus.PENDING:
                return self._waiting_for(step), "dim"
            case StepStatus.READY if step.retry_at is not None:
                left_s = max(0.0, step.retry_at - time.monotonic())
                why = "" if step.error is None else first_reason(step.error.message)
                return f"attempt {step.attempts + 1} in {seconds(left_s)}: {why}", "yellow"
            case StepStatus.READY:
                return "waits for a free slot", "dim"
            case StepStatus.RUNNING:
                return self._progress(step), "cyan"
            case StepStatus.SUCCEEDED:
                tries = f"attempt {step.attempts}, " if step.attempts > 1 and step.elements is None else ""
                how = f"{reused(step.reused_from)}: " if step.reused_from is not None else tries
                return how + shape_of(step.output), "dim"
            case StepStatus.WAITING:
                return f"waits for a person: {first_line(step.question or '')}", "yellow"
            case StepStatus.HELD if step.reason == step.id:
                return "failed" if step.error is None else first_reason(step.error.message), "yellow"
            case StepStatus.HELD:
                return f"held: `{one_line(step.reason, 40)}` failed", "yellow"
            case StepStatus.SKIPPED:
                return first_line(step.reason or ""), "dim"
            case _:
                message = "" if step.error is None else first_reason(step.error.message, 400)
                tries = f"attempt {step.attempts}: " if step.attempts > 1 and step.elements is None else ""
                return tries + message, "red" if step.status is StepStatus.FAILED else "yellow"

    def _waiting_for(self, step: StepView) -> str:
        names = self._ledger.awaited(step)
        if not names:
            return ""
        shown = ", ".join(one_line(name, 40) for name in names[:4])
        return f"waits for {shown}" + (f" and {len(names) - 4:,} more" if len(names) > 4 else "")

    def _progress(self, step: StepView) -> str:
        said: list[str] = []
        if step.elements is not None:
            failed = f", {step.elements_failed:,} failed" if step.elements_failed else ""
            said.append(f"{step.elements_ended:,} of {step.elements:,} elements{failed}")
        elif step.attempts > 1:
            said.append(f"attempt {step.attempts}")
        if isinstance(step.progress, str):
            said.append(first_line(step.progress))
        elif step.progress is not None:
            said.append(f"{self._bar(step.progress, _BAR_CELLS)} {step.progress:.0%}")
        return "  ".join(said)

    def _summary(self, width: int) -> Text:
        ledger = self._ledger
        total, ended = len(ledger.steps), ledger.done
        line = Text("  ")
        line.append(self._bar(ended / total if total else 1.0, min(_LONG_BAR_CELLS, width // 4)), style="green")
        line.append(f"  {ended:,} of {counted(total, 'step')} ended")
        for status, (word, style) in _WORDS.items():
            if number := ledger.counts[status]:
                line.append(" · " if not self._ascii else ", ")
                line.append(f"{number:,} {word}", style=style)
        if calls := ledger.goal.model_calls:
            tokens = ledger.goal.input_tokens + ledger.goal.output_tokens
            said = (", " if self._ascii else " · ") + f"{counted(calls, 'model call')}, {tokens:,} tokens"
            if line.cell_len + len(said) <= width:
                line.append(said, style="dim")
        clock = seconds(ledger.elapsed_s())
        if line.cell_len + len(clock) + 2 <= width:
            line.append("  " + clock, style="dim")
        return line

    def _bar(self, share: float, room: int) -> str:
        full = round(min(1.0, max(0.0, share)) * room)
        return "#" * full + "." * (room - full) if self._ascii else "━" * full + "┄" * (room - full)

    def _fit(self, text: str, room: int) -> str:
        if self._ascii:
            text = text.encode("ascii", "replace").decode("ascii")
        return fit_cells(text, room, "..." if self._ascii else "…")
