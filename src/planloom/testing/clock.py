"""Time that jumps to the next timer as soon as nothing else can happen, so that no test ever sleeps."""

from __future__ import annotations

import asyncio
import math
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

from planloom.engine.base import Deliver
from planloom.engine.execute import execute_plan
from planloom.plan.model import PlanLike
from planloom.plan.results import RunResult

T = TypeVar("T")
START: Final = 1_700_000_000.0
"""What a virtual clock shows first, in seconds since 1970."""


class DeadlockError(RuntimeError):
    """Everything waits and no timer is set: on real time this would hang for ever."""


class _JumpingSelector(selectors.SelectSelector):
    """Instead of waiting for the next timer, lets the loop's time jump to it."""

    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None:
            raise DeadlockError("everything waits and no timer is set, so nothing can ever happen")
        self.loop.jump(timeout)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose `time()` starts at 0 and jumps. Threads are not waited for: use `InlineWorkers`."""

    def __init__(self) -> None:
        selector = _JumpingSelector()
        self._now = 0.0
        super().__init__(selector)
        selector.loop = self

    def time(self) -> float:
        """Return the virtual seconds since the loop was made."""
        return self._now

    @property
    def _clock_resolution(self) -> float:
        # A timer is due when its time is not later than now: exactly, and also years from the start, where
        # the usual nanosecond is less than one step of a float and the loop would spin for ever.
        return math.ulp(self._now)

    @_clock_resolution.setter
    def _clock_resolution(self, seconds: float) -> None:
        """What the base class sets is of no use here."""

    def jump(self, seconds: float) -> None:
        """Move time on to the next timer, which is due in `seconds`.

        The loop asks for `when - now` seconds, at most a day at a time; adding that to `now` may miss `when`
        by a rounding error, and then it would ask again for next to nothing. So the timer itself is the goal.
        """
        scheduled: list[asyncio.TimerHandle] = getattr(self, "_scheduled", [])
        target = scheduled[0].when() if scheduled else self._now + seconds
        self._now = max(self._now, target)


class InlineWorkers:
    """Runs the calls of sync tools on the loop itself, one after another, in virtual time."""

    def __init__(self, loop: asyncio.AbstractEventLoop, deliver: Deliver, max_threads: int) -> None:  # noqa: ARG002
        self.abandoned = 0
        self._loop = loop
        self._deliver = deliver

    def submit(self, job: Any, call: Callable[[], Any]) -> None:
        """Call now, deliver soon."""
        try:
            value, error = call(), None
        except BaseException as raised:  # as on a thread: whatever a tool raises is its outcome
            value, error = None, raised
        self._loop.call_soon(self._deliver, job, value, error)

    def abandon(self, job: Any) -> None:
        """Nothing to leave behind: the call is over when `submit` returns."""

    def close(self) -> None:
        """Nothing to let go."""


class VirtualClock:
    """The clock of a virtual loop, and a way to run something on it."""

    is_virtual = True

    def __init__(self) -> None:
        self._loop: VirtualLoop | None = None

    def now(self) -> float:
        """Return virtual wall time, in seconds since 1970."""
        return START + (0.0 if self._loop is None else self._loop.time())

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end on a new virtual loop. Raises `DeadlockError` when it can never end."""
        with asyncio.Runner(loop_factory=self._make_loop) as runner:
            return runner.run(main)

    def _make_loop(self) -> VirtualLoop:
        self._loop = VirtualLoop()
        return self._loop

    def execute(self, plan: PlanLike, toolbox: Any, **options: Any) -> RunResult:
        """Run a plan in virtual time; options as for `execute_plan`. The same seed gives the same events."""
        options = {"clock": self, "workers": InlineWorkers, "seed": 0, "run_id": "run", **options}
        return self.run(execute_plan(plan, toolbox, **options))
