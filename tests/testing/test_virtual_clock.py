"""Virtual time: exact, however long; a deadlock is an error, not a hang."""

from __future__ import annotations

import asyncio
import contextvars
import random
import time

import pytest

from planloom import tool
from planloom.testing import DeadlockError, PlanBuilder, ScriptedTool, VirtualClock, chain, fan, layered


def test_time_jumps_to_the_next_timer() -> None:
    """A year passes at once; wall time and the loop's time move together."""
    clock = VirtualClock()
    began = clock.now()

    async def main() -> float:
        await asyncio.sleep(365 * 24 * 3600)
        return asyncio.get_running_loop().time()

    before = time.perf_counter()
    assert 31_536_000 == clock.run(main())
    assert time.perf_counter() - before < 30
    assert 31_536_000 == clock.now() - began


def test_long_runs_are_exact() -> None:
    """Twenty thousand sleeps end exactly at their sum, as floats add up."""
    chance = random.Random(1)
    delays = [chance.uniform(0, 10) for _ in range(20_000)]

    async def main() -> float:
        for delay in delays:
            await asyncio.sleep(delay)
        return asyncio.get_running_loop().time()

    expected = 0.0
    for delay in delays:
        expected += delay
    assert expected == VirtualClock().run(main())


@pytest.mark.parametrize("start", [0.0, 1e5, 1e7, 1e9, 1e12], ids=str)
def test_far_from_the_start_time_is_still_exact(start: float) -> None:
    """Years and ages after the start a timer fires when it is due, and the loop does not spin."""

    async def main() -> list[float]:
        await asyncio.sleep(start)
        loop = asyncio.get_running_loop()
        times = []
        for delay in (1.0, 0.1, 1e-3, 12_345.678, 86_400.0 * 3):
            due = loop.time() + delay
            await asyncio.sleep(delay)
            times.append(loop.time() - due)
        return times

    assert [0.0] * 5 == VirtualClock().run(main())


def test_timers_fire_in_the_order_of_their_times() -> None:
    """Times that differ by next to nothing are still told apart."""
    fired: list[int] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        for number, when in enumerate((1.0 + 2e-16 * 4, 1.0, 1.0 + 1e-9, 1.0 - 1e-9)):
            loop.call_at(when, fired.append, number)
        await asyncio.sleep(2)

    VirtualClock().run(main())
    assert [3, 1, 0, 2] == fired


def test_everything_waits_for_ever() -> None:
    """Waiting for what cannot happen raises instead of hanging."""

    async def main() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(DeadlockError, match="everything waits and no timer is set"):
        VirtualClock().run(main())


def test_a_clock_can_be_used_again() -> None:
    """Every run begins at time 0, on a loop of its own."""
    clock = VirtualClock()
    work = ScriptedTool("work", takes_s=5)
    for _ in range(2):
        assert 15_000 == clock.execute(chain(3), [work.tool]).duration_ms
    assert [0, 5, 10, 0, 5, 10] == [call.at_s for call in work.calls]


def test_sync_tools_run_inline() -> None:
    """Sync tools run on the loop, take no time, and see the caller's context variables."""
    current: contextvars.ContextVar[str] = contextvars.ContextVar("current", default="nothing")
    current.set("caller")

    @tool
    def sync() -> str:
        """Look."""
        found = current.get()
        current.set("tool")
        return found

    plan = PlanBuilder().step("a", "sync").step("b", "sync", after=["a"]).build()
    result = VirtualClock().execute(plan, [sync])
    assert ("caller", "caller", 0.0) == (result.steps["a"].output, result.steps["b"].output, result.duration_ms)


def test_the_same_seed_gives_the_same_run() -> None:
    """`execute` fixes seed, id and times, so that two runs are equal to the last number."""
    plan = PlanBuilder().step("a", "work").build()

    def once() -> object:
        work = ScriptedTool("work", [ConnectionError(), ConnectionError(), 1], takes_s=2, read_only=True)
        return VirtualClock().execute(plan, [work.tool]).to_dict()

    assert once() == once()


@pytest.mark.parametrize(
    ("plan", "steps", "takes_s"), [(chain(5), 5, 5), (fan(5), 7, 3), (layered(4, 3), 12, 4), (layered(2, 1), 2, 2)]
)
def test_shapes(plan: object, steps: int, takes_s: int) -> None:
    """A chain, a fan and layers have the steps and the depth that they say."""
    result = VirtualClock().execute(plan, [ScriptedTool("work", takes_s=1).tool])
    assert (steps, takes_s * 1_000) == (len(result.steps), result.duration_ms)
