"""What a step costs, counted and not timed: tasks, turns and timers of the loop, events, blocks of memory.

The bounds stand a little above what is counted today. A change that passes one makes every run dearer: mend it, or
raise the bound here and say in docs/benchmarks.md what the users get for it.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from collections import Counter
from typing import Any

import pytest

from planloom import Plan, Step, Tool, Toolbox, execute_plan, tool, validate_plan
from planloom.engine.lane import MAX_IN_A_ROW
from planloom.testing import VirtualClock, chain, layered

ELEMENTS = 50


@tool(name="work", read_only=True)
async def no_op() -> None:
    """Do nothing."""


@tool(name="work", read_only=True)
async def waits() -> None:
    """Give the loop a turn, as nearly every real tool does."""
    await asyncio.sleep(0)


EACH = Plan((Step("all", "work", {}, [], for_each=list(range(ELEMENTS))),))


def count(plan: Plan, work: Tool, *, is_told: bool = False) -> Counter[str]:
    """Run a plan in virtual time, where no clock decides anything, and count what the loop was asked for."""
    counts: Counter[str] = Counter()
    clock, toolbox = VirtualClock(), Toolbox([work])
    validate_plan(plan, toolbox)

    def on_event(event: Any) -> None:
        counts["events"] += 1
        counts[event.type] += 1

    async def main() -> None:
        loop = asyncio.get_running_loop()

        def make_task(loop: Any, coroutine: Any, **options: Any) -> Any:
            counts["tasks"] += 1
            return asyncio.Task(coroutine, loop=loop, **options)

        for name in ("call_soon", "call_at"):  # `call_later` is made of the second
            _count_calls(loop, name, counts)
        loop.set_task_factory(make_task)
        try:
            result = await execute_plan(plan, toolbox, clock=clock, on_event=on_event if is_told else None)
        finally:
            loop.set_task_factory(None)
            for name in ("call_soon", "call_at"):
                delattr(loop, name)
        assert "succeeded" == result.status

    clock.run(main())
    return counts


def _count_calls(loop: Any, name: str, counts: Counter[str]) -> None:
    real = getattr(loop, name)

    def counted(*args: Any, **options: Any) -> Any:
        counts[name] += 1
        return real(*args, **options)

    setattr(loop, name, counted)


@pytest.mark.parametrize(
    ("plan", "steps"), [(chain(100), 100), (layered(10, 100), 1_000)], ids=["chain 100", "layered 10x100"]
)
def test_steps_that_do_not_wait_share_tasks(plan: Plan, steps: int) -> None:
    """One task, its two turns and no timer for `MAX_IN_A_ROW` steps, whatever the shape."""
    counts = count(plan, no_op)
    tasks = -(-steps // MAX_IN_A_ROW)
    assert tasks == counts["tasks"]
    assert counts["call_soon"] <= 2 * tasks + 4
    assert 0 == counts["call_at"]


@pytest.mark.parametrize(
    ("plan", "steps"), [(chain(100), 100), (layered(10, 100), 1_000)], ids=["chain 100", "layered 10x100"]
)
def test_steps_that_wait_have_one_task_each(plan: Plan, steps: int) -> None:
    """One task per step, three turns at most for a step that waits once, one timer for all of them."""
    counts = count(plan, waits)
    assert steps <= counts["tasks"] <= steps + 2
    assert counts["call_soon"] <= 2 * steps + 12
    assert counts["call_at"] <= 2


@pytest.mark.parametrize("work", [no_op, waits], ids=["no-op", "waits"])
def test_elements_have_one_task_each(work: Tool) -> None:
    """A `for_each` costs a task per element, and one timer for all of them."""
    counts = count(EACH, work)
    assert ELEMENTS == counts["tasks"]
    assert counts["call_soon"] <= 2 * ELEMENTS + 8
    assert counts["call_at"] <= 2


def test_events_per_step() -> None:
    """Two events per step or element, its start and its end, and two of the run; listeners cost no tasks or turns."""
    for plan, units, more in ((chain(100), 100, 2), (layered(10, 100), 1_000, 2), (EACH, ELEMENTS, 4)):
        counts = count(plan, no_op, is_told=True)
        assert 2 * units + more == counts["events"]
        assert units == counts["step-started"]
        quiet = count(plan, no_op)
        assert (quiet["tasks"], quiet["call_soon"]) == (counts["tasks"], counts["call_soon"])


def blocks_held(plan: Plan, work: Tool, *, while_waiting: asyncio.Event | None = None) -> int:
    """Return the blocks of memory that a run holds: at its end with its result, or while all its steps wait."""

    clock = VirtualClock()  # no watchdog looks at the run, and holds it for a moment longer

    async def main() -> int:
        toolbox = Toolbox([work])
        validate_plan(plan, toolbox)
        if while_waiting is not None:
            while_waiting.set()
        await execute_plan(plan, toolbox, clock=clock)
        gc.collect()
        before = sys.getallocatedblocks()
        if while_waiting is None:
            held: Any = await execute_plan(plan, toolbox, clock=clock)
        else:
            while_waiting.clear()
            held = asyncio.ensure_future(execute_plan(plan, toolbox, clock=clock))
            for _ in range(4):
                await asyncio.sleep(0)
        gc.collect()
        found = sys.getallocatedblocks() - before
        if while_waiting is not None:
            while_waiting.set()
            held = await held
        assert "succeeded" == held.status
        return found

    return clock.run(main())


def test_memory_that_a_result_holds() -> None:
    """A step leaves behind its result, its dict, three numbers, and a place by its id: blocks of 64 bytes or so."""
    assert blocks_held(layered(10, 100), no_op) <= 7 * 1_000


def test_memory_that_a_waiting_step_holds() -> None:
    """A call that waits holds its task, its coroutines, its context and the engine's record of it."""
    may_go_on = asyncio.Event()

    @tool(name="work", read_only=True)
    async def wait() -> None:
        await may_go_on.wait()

    assert blocks_held(layered(1, 1_000), wait, while_waiting=may_go_on) <= 22 * 1_000
