"""One timer of the loop for all deadlines of a run."""

from __future__ import annotations

import asyncio
import random
from typing import Any

from planloom.engine.timers import Timers
from planloom.testing import VirtualClock


def with_timers(check: Any) -> tuple[list[Any], list[BaseException]]:
    """Run a check with timers in virtual time; return what fired and what was raised."""
    fired: list[Any] = []
    faults: list[BaseException] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        timers = Timers(loop, faults.append)
        check(timers, lambda argument: fired.append((argument, loop.time())))
        await asyncio.sleep(1_000)
        timers.close()

    VirtualClock().run(main())
    return fired, faults


def test_timers_fire_in_order_and_on_time() -> None:
    """In the order of their times, ties in the order in which they were set, each exactly when it is due."""

    def check(timers: Timers, fire: Any) -> None:
        for delay in (5, 1, 3, 1, 5, 0, 2.5):
            timers.after(delay, fire, delay)

    fired, _ = with_timers(check)
    assert [(0, 0), (1, 1), (1, 1), (2.5, 2.5), (3, 3), (5, 5), (5, 5)] == fired


def test_cancelled_timers_do_not_fire() -> None:
    """A random half of many is cancelled; exactly the others fire, and the heap does not keep the dead."""
    chance = random.Random(1)
    delays = [chance.uniform(0, 100) for _ in range(5_000)]
    kept: list[float] = []

    def check(timers: Timers, fire: Any) -> None:
        made = [timers.after(delay, fire, delay) for delay in delays]
        for timer, delay in zip(made, delays, strict=True):
            if chance.random() < 0.7:
                timers.cancel(timer)
                timers.cancel(timer)
            else:
                kept.append(delay)
        assert len(timers._heap) < 4_000

    fired, _ = with_timers(check)
    assert sorted(kept) == [delay for delay, _ in fired]
    assert [delay for delay, _ in fired] == [at for _, at in fired]


def test_a_timer_set_or_cancelled_by_a_timer() -> None:
    """A callback may set timers, also for now, and cancel the one behind it."""

    def check(timers: Timers, fire: Any) -> None:
        last = timers.after(3.5, fire, "never")

        def chain(left: int) -> None:
            fire(left)
            if left:
                timers.after(0 if left == 2 else 1, chain, left - 1)
            else:
                timers.cancel(last)

        timers.after(1, chain, 3)

    fired, _ = with_timers(check)
    assert [(3, 1), (2, 2), (1, 2), (0, 3)] == fired


def test_a_callback_that_raises_does_not_keep_the_others_from_firing() -> None:
    """The fault is handed over, and every other timer fires."""

    def check(timers: Timers, fire: Any) -> None:
        def fail(_: Any) -> None:
            raise ValueError("faulty")

        timers.after(1, fail, None)
        timers.after(1, fire, "same time")
        timers.after(2, fire, "later")

    fired, faults = with_timers(check)
    assert [("same time", 1), ("later", 2)] == fired
    assert ["faulty"] == [str(fault) for fault in faults]
