"""A run as plain lines on stderr, for logs and pipes: one per start, end, retry and skip.

Elements of a `for_each` are counted, not listed: only their failures and retries get a line. Lines are written
by a thread of their own, so that a reader who does not read cannot stop the run.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Final

from planloom.cli.ledger import Ledger
from planloom.cli.progress import said_of_mending, said_of_mends, said_of_refusal, said_of_replan, said_of_round
from planloom.cli.terminal import Terminal
from planloom.cli.text import counted, first_line, first_reason, one_line, reused, seconds, took
from planloom.plan import events
from planloom.plan.events import Event
from planloom.plan.graph import graph_of

MAX_FLUSH_S: Final = 1.0
_WIDTH: Final = 7


class Writer:
    """A thread that writes what it is given, in order. What the writing raises is kept in `error`."""

    def __init__(self, write: Callable[[Event], None], on_error: Callable[[], None] = lambda: None) -> None:
        self.error: Exception | None = None
        self._write = write
        self._on_error = on_error
        self._queue: SimpleQueue[Event | threading.Event | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="planloom-writer", daemon=True)
        self._thread.start()

    def put(self, event: Event) -> None:
        """Write this event soon."""
        self._queue.put(event)

    def flush(self) -> None:
        """Return when everything so far has been written, or after a while when it cannot be."""
        written = threading.Event()
        self._queue.put(written)
        written.wait(MAX_FLUSH_S)

    def close(self) -> None:
        """Return when everything has been written."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (event := self._queue.get()) is not None:
            if isinstance(event, threading.Event):
                event.set()
                continue
            if self.error is not None:
                continue
            try:
                self._write(event)
            except Exception as error:  # noqa: BLE001 - whatever it is, the run must end in order and then say it
                self.error = error
                self._on_error()


_TROUBLE: Final = (
    events.StepRetrying, events.StepFailed, events.StepUnknown, events.StepCancelled, events.StepWaiting,
    events.CallAbandoned, events.ReplanStarted, events.Replanned, events.ReplanRefused, events.PlanMending,
)  # fmt: skip


class LineReporter:
    """Says in lines what happens; when `is_quiet` only what goes wrong or waits."""

    def __init__(self, terminal: Terminal, ledger: Ledger, *, is_quiet: bool = False) -> None:
        self._is_quiet = is_quiet
        self._terminal = terminal
        self._ledger = ledger
        self._writer: Writer | None = None

    def start(self) -> None:
        """Begin."""
        self._writer = Writer(self._write)

    def on_event(self, event: Event) -> None:
        """Take note of an event."""
        if self._writer is not None:
            self._writer.put(event)

    def pause(self) -> None:
        """Let a person be asked something: what was to be said before is out."""
        if self._writer is not None:
            self._writer.flush()

    def resume(self) -> None:
        """Nothing was stopped."""

    def stop(self) -> None:
        """Return when the last line is out."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _write(self, event: Event) -> None:
        if self._is_quiet and not isinstance(event, _TROUBLE):
            return
        for line in _lines_of_goal(event):
            self._terminal.say(line)
        line = self._line(event)
        if line is not None:
            self._terminal.say(line)

    def _line(self, event: Event) -> str | None:
        name = one_line(event.step_id)
        is_element = event.step_id is not None and event.step_id not in self._ledger.steps
        match event:
            case events.RunStarted():
                goal = f": {one_line(event.goal, 120)}" if event.goal else ""
                steps = f", {counted(event.steps, 'step')}" if event.steps else ""
                return f"run {event.run_id}{steps}{goal}"
            case events.StepWaiting():
                return _said("waits", f"{name}: {first_line(event.question)}")
            case events.StepStarted() if not is_element:
                again = f", attempt {event.attempt}" if event.attempt > 1 else ""
                return _said("start", f"{name} ({one_line(event.tool, 80)}{again})")
            case events.StepExpanded():
                return _said("start", f"{name}, {counted(event.elements, 'element')}")
            case events.StepSucceeded() if not is_element:
                how = reused(event.reused_from) or f"in {took(event.latency_ms)}"
                return _said("done", f"{name} {how}")
            case events.StepRetrying():
                why = first_reason(event.error.message)
                return _said("retry", f"{name} in {seconds(event.delay_s)}, attempt {event.attempt} failed: {why}")
            case events.StepSkipped():
                return _said("skip", f"{name}: {first_line(event.reason)}")
            case events.StepFailed():
                return _said("failed", f"{name} after {took(event.latency_ms)}: {first_reason(event.error.message)}")
            case events.StepUnknown():
                return _said("unknown", f"{name}: {first_reason(event.error.message)}")
            case events.StepCancelled() if (
                not is_element and event.attempts
            ):  # what never started is counted at the end
                return _said("stopped", f"{name}: {first_reason(event.error.message)}")
            case events.CallAbandoned():
                return _said("left", f"{name}: {first_line(event.message)}")
            case _:
                return None


def _lines_of_goal(event: Event) -> list[str]:
    """What happens to the goal as a whole."""
    match event:
        case events.PlanningStarted():
            return [_said("plan", f"asking {one_line(event.model, 80)}")]
        case events.PlanMending():
            return [_said("plan", said_of_mending(event))]
        case events.PlanCreated():
            ready = f"{counted(len(event.plan.steps), 'step')}, {counted(len(graph_of(event.plan).waves()), 'wave')}"
            return [*(_said("plan", text) for text in said_of_mends(event)), _said("plan", ready)]
        case events.ReplanStarted():
            why = first_line(event.reason.message)
            held = counted(len(event.held), "step")
            return [_said("replan", f"{one_line(event.step_id)} failed ({why}); {held} held")]
        case events.Replanned():
            return [_said("replan", said_of_replan(event).removeprefix("replanned: "))]
        case events.ReplanRefused():
            return [_said("replan", said_of_refusal(event))]
        case events.RoundStarted():
            return [_said("more", said_of_round(event))]
        case events.JoinStarted():
            return [_said("answer", f"asking {one_line(event.model, 80)}")]
        case _:
            return []


def _said(word: str, rest: str) -> str:
    return f"{word.ljust(_WIDTH)} {rest}"
