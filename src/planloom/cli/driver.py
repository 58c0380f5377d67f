"""One run, driven to a sure end: its loop, its signals, and the way out when the loop never comes back.

Rule: whatever a tool does, the result is delivered once and the process ends. In order where that is possible;
else another thread delivers what the ledger knows and leaves.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final, NoReturn, Protocol

from planloom.cli.frozen import LastResort
from planloom.cli.ledger import Ledger
from planloom.cli.signals import Interruption, exit_code_of, say_at_once
from planloom.cli.terminal import OutputError, Terminal
from planloom.cli.text import counted, first_line, one_line, seconds
from planloom.engine.run import GRACE_S
from planloom.engine.watchdog import OnBlocked
from planloom.plan.events import Event, StepStarted
from planloom.plan.results import RunResult, StepError
from planloom.plan.state import RunStatus

UNHEARD_S: Final = GRACE_S
"""How long the loop may take to notice that it was asked to stop."""
STOPPING_S: Final = GRACE_S + 1.5
"""How long a run may take to end after it was asked to stop."""
CLEANUP_S: Final = 0.5
"""How long tasks that tools left behind may take to be cancelled, once the result is out."""
LAST_RESORT_S: Final = 5.0
"""How long writing the last words and cleaning up may take before the process leaves without them."""
SAID_AFTER_S: Final = 5.0
"""A block that no step can be blamed for is mentioned from this length on."""

EXIT_CODES: Final = {
    RunStatus.SUCCEEDED: 0,
    RunStatus.FAILED: 1,
    RunStatus.CANCELLED: 1,
    RunStatus.RUNNING: 1,
    RunStatus.WAITING: 5,
}

CODES_BY_ERROR: Final = {"plan": 3, "model": 4, "budget": 6}
"""Of a run that failed as a whole, by the kind of its error."""

Start = Callable[[Callable[[Event], None], OnBlocked, Path], Awaitable[RunResult]]
"""Starts the run, with its listener, what to call while the loop is blocked, and its folder."""


class Reporter(Protocol):
    """Shows a run while it happens."""

    def start(self) -> None:
        """Begin."""
        ...

    def on_event(self, event: Event) -> None:
        """Take note of an event; on the loop's thread."""
        ...

    def pause(self) -> None:
        """Make room for a question to a person; on the loop's thread."""
        ...

    def resume(self) -> None:
        """Go on after a question."""
        ...

    def stop(self) -> None:
        """Show the end; from any thread, and safe to call twice."""
        ...


def exit_code_of_result(result: RunResult | None) -> int:
    """Return the exit code of a run; 1 when there is no result."""
    if result is None:
        return 1
    if result.status is RunStatus.FAILED and result.error is not None:
        return CODES_BY_ERROR.get(result.error.kind, EXIT_CODES[result.status])
    return EXIT_CODES[result.status]


class Driver:
    """Drives one run. `deliver` gets the result, exactly once, on whatever thread is left to do it."""

    def __init__(
        self,
        terminal: Terminal,
        ledger: Ledger,
        reporter: Reporter,
        deliver: Callable[[RunResult], None],
        time_limit_s: float | None = None,
    ) -> None:
        self._terminal = terminal
        self._ledger = ledger
        self._reporter = reporter
        self._deliver = deliver
        self._time_limit_s = time_limit_s
        self._loop = asyncio.new_event_loop()
        # the run would make one itself, but would not live to remove it when it is cut off
        self._workdir = Path(tempfile.mkdtemp(prefix="planloom-"))
        self._task: asyncio.Task[RunResult] | None = None
        self._signal: int | None = None
        self._is_heard = threading.Event()
        self._is_over = threading.Event()
        self._ending = threading.Lock()
        self._last_resort = LastResort(self._frozen_after_s)
        self._blamed: set[str] = set()
        self._code: int | None = None

    def run(self, start: Start) -> int:
        """Run to the end, deliver the result, and return the exit code. What the start raises goes on."""
        self._loop.set_exception_handler(self._on_loop_exception)
        handler = _Notes(self._terminal)
        logger = logging.getLogger("planloom")
        logger.addHandler(handler)
        try:
            with Interruption(self._on_signal):
                return self._run(start)
        finally:
            shutil.rmtree(self._workdir, ignore_errors=True)
            logger.removeHandler(handler)

    def _run(self, start: Start) -> int:
        self._reporter.start()
        self._task = self._loop.create_task(self._start(start))
        try:
            with self._last_resort:
                result = self._loop.run_until_complete(self._task)
        except asyncio.CancelledError:  # stopped before it had begun
            result = self._conclude(RunStatus.CANCELLED, _stopped(self._signal))
        except BaseException:
            self._reporter.stop()
            self._is_over.set()
            self._clean_up(1)  # the loop's own threads would hold up the end of the process
            raise
        if not self._ending.acquire(blocking=False):
            threading.Event().wait()  # another thread is delivering and will leave
        self._is_over.set()
        self._code = self._exit_code(result)
        code = self._hand_over(result, self._code)
        is_clean = self._clean_up(code)
        if not is_clean or self._ledger.has_abandoned:
            self._leave(code)
        return code

    async def _start(self, start: Start) -> RunResult:
        return await start(self._on_event, self._on_blocked, self._workdir)

    def _on_event(self, event: Event) -> None:
        self._ledger.apply(event)
        if isinstance(event, StepStarted):
            self._last_resort.on_step_started()
        self._reporter.on_event(event)

    def _exit_code(self, result: RunResult) -> int:
        if self._signal is not None and result.status is RunStatus.CANCELLED:
            return exit_code_of(self._signal)
        return exit_code_of_result(result)

    # ---- being stopped -----------------------------------------------------------------------------------

    def stop(self) -> None:
        """Ask the run to end early; from any thread."""
        with contextlib.suppress(RuntimeError):  # the loop is closed: it has ended
            self._loop.call_soon_threadsafe(self._cancel)

    def _cancel(self) -> None:
        self._is_heard.set()
        if self._task is not None:
            self._task.cancel()

    def _on_signal(self, number: int) -> None:
        self._signal = number
        if self._code is not None:
            return  # the result is on its way out; the next signal leaves at once
        running = len(self._ledger.running)
        what = f"asking {counted(running, 'running step')} to end" if running else "nothing more is started"
        again = "; press Ctrl-C again to leave at once" if number == signal.SIGINT else ""
        self._terminal.say(f"stopping: {what}{again}", "yellow")
        self.stop()
        threading.Thread(target=self._see_to_the_end, name="planloom-stop", daemon=True).start()

    def _see_to_the_end(self) -> None:
        """Leave without the loop when it does not hear of the stop, or does not come to an end."""
        started = time.monotonic()
        if self._is_heard.wait(UNHEARD_S) and self._is_over.wait(STOPPING_S - (time.monotonic() - started)):
            return
        if not self._is_over.is_set():
            self._cut_off(RunStatus.CANCELLED, _stopped(self._signal))

    # ---- a loop that does not come back --------------------------------------------------------------------

    def _on_blocked(self, step_id: str, blocked_s: float) -> None:
        """Called from the watchdog's thread, again and again while the loop is blocked."""
        if step_id not in self._blamed and (step_id or blocked_s > SAID_AFTER_S):
            self._blamed.add(step_id)
            who = f"step `{one_line(step_id)}`" if step_id else "something that belongs to no step"
            self._terminal.say(
                f"{who} has blocked the event loop for {seconds(blocked_s)}: nothing else can move meanwhile\n"
                "hint: make the tool sync (it then runs on a thread), or await inside it",
                "yellow",
            )
        if self._signal is not None or self._is_over.is_set():
            return
        if self._ledger.overrun_s(step_id, blocked_s) > GRACE_S:
            who = f"step `{one_line(step_id)}`" if step_id else "a call that was left behind"
            reason = f"{who} still blocks the event loop after its time limit"
            self._cut_off(RunStatus.FAILED, StepError("timeout", "TimeoutError", reason), step_id)
        elif self._time_limit_s is not None and self._ledger.elapsed_s() > self._time_limit_s + GRACE_S:
            who = f" while step `{one_line(step_id)}` blocked the event loop" if step_id else ""
            reason = f"the run took longer than {self._time_limit_s:g} s{who}"
            self._cut_off(RunStatus.FAILED, StepError("timeout", "TimeoutError", reason))

    def _cut_off(self, status: RunStatus, reason: StepError, blamed: str | None = None) -> None:
        """Deliver what the ledger knows, from this thread, and leave the process."""
        if not self._ending.acquire(blocking=False):
            return
        is_cancelled = status is RunStatus.CANCELLED
        self._code = code = exit_code_of(self._signal or signal.SIGINT) if is_cancelled else EXIT_CODES[status]
        _leave_after(LAST_RESORT_S, code)
        try:
            result = self._conclude(status, reason, blamed)
            self._code = code = code if is_cancelled else exit_code_of_result(result)
            code = self._hand_over(result, code)
        except Exception as error:  # noqa: BLE001 - the process must end, with one sentence at least
            self._terminal.say(f"{reason.message} ({first_line(str(error))})")
        self._leave(code)

    def _conclude(self, status: RunStatus, reason: StepError, blamed: str | None = None) -> RunResult:
        """Make the result from what the ledger knows, and tell the listeners what the run did not live to tell."""
        result = self._ledger.cut_off(status, reason, blamed)
        for event in self._ledger.closing_events(result):
            self._on_event(event)
        return result

    def _hand_over(self, result: RunResult, code: int) -> int:
        """Deliver the result. What cannot be written is said, and makes a success a failure; a reader who left not."""
        self._reporter.stop()
        try:
            self._deliver(result)
        except OutputError as error:
            if error.is_quiet:
                return code
            self._terminal.say_problem(f"error: {error}")
            return code or 1
        return code

    def _frozen_after_s(self) -> float:
        """How long no Python code at all may run before the process is given up."""
        if self._signal is not None:
            return STOPPING_S + LAST_RESORT_S
        allowed_s = self._ledger.longest_left_s() + 2 * GRACE_S
        if self._time_limit_s is not None:
            allowed_s = min(allowed_s, self._time_limit_s - self._ledger.elapsed_s() + 2 * GRACE_S)
        return max(LAST_RESORT_S, allowed_s)

    # ---- the way out ---------------------------------------------------------------------------------------

    def _clean_up(self, code: int) -> bool:
        """Cancel what tools left behind on the loop; False when something does not go."""
        given_up = _leave_after(LAST_RESORT_S, code)
        try:
            left = asyncio.all_tasks(self._loop)
            for task in left:
                task.cancel()
            if left:
                self._loop.run_until_complete(asyncio.wait(left, timeout=CLEANUP_S))
            closing = self._loop.create_task(self._loop.shutdown_asyncgens())
            self._loop.run_until_complete(asyncio.wait([closing], timeout=CLEANUP_S))
            if asyncio.all_tasks(self._loop):
                return False
            self._loop.close()
            return True
        except Exception:  # noqa: BLE001 - the result is out; what tools left behind cannot hurt it any more
            return False
        finally:
            given_up.set()

    def _leave(self, code: int) -> NoReturn:
        shutil.rmtree(self._workdir, ignore_errors=True)
        self._terminal.close()
        os._exit(code)

    def _on_loop_exception(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """A task that a tool started by itself failed, and nobody looked: one line, not a traceback."""
        error = context.get("exception")
        if not self._is_over.is_set():
            what = f"{type(error).__name__}: {error}" if error is not None else str(context.get("message"))
            self._terminal.say(f"a background task of a tool failed: {first_line(what)}", "yellow")


def _stopped(number: int | None) -> StepError:
    name = signal.Signals(number).name if number is not None else "the caller"
    return StepError("cancelled", "CancelledError", f"the run was stopped by {name}")


def _leave_after(seconds_left: float, code: int) -> threading.Event:
    """Leave the process after so many seconds, unless the returned event is set."""
    calmed = threading.Event()

    def wait() -> None:
        if not calmed.wait(seconds_left):
            say_at_once("something did not end in time; leaving")
            os._exit(code)

    threading.Thread(target=wait, name="planloom-exit", daemon=True).start()
    return calmed


class _Notes(logging.Handler):
    """What the engine logs, as lines for people. The watchdog's words are said by the driver."""

    def __init__(self, terminal: Terminal) -> None:
        super().__init__(logging.WARNING)
        self._terminal = terminal

    def emit(self, record: logging.LogRecord) -> None:
        """Say one record."""
        if record.threadName != "planloom-watchdog":
            self._terminal.say(f"note: {record.getMessage()}", "yellow")
