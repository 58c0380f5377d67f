"""Threads for sync tools, on their own: books that balance, whatever is abandoned when."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from planloom.engine.threads import ThreadWorkers

GUARD_S = 60


class Job:
    """A job that can be told from every other."""


class Outcomes:
    """Collects what workers deliver."""

    def __init__(self) -> None:
        self.delivered: list[tuple[Any, Any, Any]] = []
        self.arrived = asyncio.Event()

    def deliver(self, job: Any, value: Any, error: BaseException | None) -> None:
        self.delivered.append((job, value, error))
        self.arrived.set()

    async def wait_for(self, count: int) -> None:
        """Wait until so many have arrived."""
        async with asyncio.timeout(GUARD_S):
            while len(self.delivered) < count:
                self.arrived.clear()
                await self.arrived.wait()


def with_workers(check: Callable[[ThreadWorkers, Outcomes], Any], max_threads: int = 4) -> None:
    """Run a check on a loop with workers, and see that they leave no thread behind."""

    async def main() -> None:
        outcomes = Outcomes()
        workers = ThreadWorkers(asyncio.get_running_loop(), outcomes.deliver, max_threads)
        try:
            await check(workers, outcomes)
        finally:
            workers.close()

    asyncio.run(main())
    for thread in threading.enumerate():
        if thread.name == "planloom-tool":
            thread.join(GUARD_S)
    assert [] == [thread for thread in threading.enumerate() if thread.name == "planloom-tool"]


def fail() -> None:
    raise SystemExit("a tool")


def test_outcomes_are_delivered_on_the_loop() -> None:
    """Values and exceptions of every kind come back with their job, on the loop's thread."""

    async def check(workers: ThreadWorkers, outcomes: Outcomes) -> None:
        jobs = [Job() for _ in range(100)]
        for number, job in enumerate(jobs):
            workers.submit(job, fail if number % 10 == 0 else lambda number=number: number)
        await outcomes.wait_for(100)
        by_job = {job: (value, error) for job, value, error in outcomes.delivered}
        for number, job in enumerate(jobs):
            value, error = by_job[job]
            assert isinstance(error, SystemExit) if number % 10 == 0 else value == number

    with_workers(check)


def test_threads_grow_with_the_work_and_are_used_again() -> None:
    """One thread for work that comes one by one, no more than the limit for work that comes at once."""

    async def check(workers: ThreadWorkers, outcomes: Outcomes) -> None:
        for number in range(5):
            workers.submit(Job(), threading.get_ident)
            await outcomes.wait_for(number + 1)
        assert 1 == len({value for _, value, _ in outcomes.delivered})
        together = threading.Barrier(4)
        for _ in range(12):
            workers.submit(Job(), lambda: (together.wait(GUARD_S), threading.get_ident())[1])
        await outcomes.wait_for(17)
        assert 4 == len({value for _, value, _ in outcomes.delivered[5:]})

    with_workers(check)


def test_an_abandoned_call_is_counted_until_it_ends() -> None:
    """Its thread is replaced, its outcome is dropped, and the count goes down when it ends."""
    started, release, ended = threading.Event(), threading.Event(), threading.Event()

    def hang() -> str:
        started.set()
        release.wait(GUARD_S)
        ended.set()
        return "late"

    async def check(workers: ThreadWorkers, outcomes: Outcomes) -> None:
        job = Job()
        workers.submit(job, hang)
        assert started.wait(GUARD_S)
        workers.abandon(job)
        workers.abandon(job)
        assert 1 == workers.abandoned
        workers.submit(Job(), lambda: "next")
        await outcomes.wait_for(1)
        release.set()
        assert await asyncio.to_thread(ended.wait, GUARD_S)
        async with asyncio.timeout(GUARD_S):
            while workers.abandoned:
                await asyncio.sleep(0)
        assert ["next"] == [value for _, value, _ in outcomes.delivered]

    with_workers(check, max_threads=1)


def test_a_call_that_is_abandoned_when_it_has_just_ended() -> None:
    """The outcome is on its way: nothing is counted, and the thread serves the next call."""

    async def check(workers: ThreadWorkers, outcomes: Outcomes) -> None:
        for number in range(50):
            job, ended = Job(), threading.Event()
            workers.submit(job, ended.set)
            assert ended.wait(GUARD_S)  # the loop is held: the outcome cannot have been delivered
            while job in workers._open:
                pass
            workers.abandon(job)
            assert 0 == workers.abandoned
            await outcomes.wait_for(number + 1)
        assert 1 == workers._threads

    with_workers(check, max_threads=1)


def test_what_is_queued_when_the_workers_close_is_not_started() -> None:
    """After the close, calls that no thread has taken yet are never made."""
    started, release = threading.Event(), threading.Event()
    made: list[str] = []

    async def check(workers: ThreadWorkers, outcomes: Outcomes) -> None:
        workers.submit(Job(), lambda: (started.set(), release.wait(GUARD_S)))
        assert started.wait(GUARD_S)
        workers.submit(Job(), lambda: made.append("queued"))
        workers.close()
        release.set()

    with_workers(check, max_threads=1)
    assert [] == made


def test_when_no_thread_can_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any thread the caller is told; with one, the work waits for it."""

    def refuse(self: Any) -> None:
        raise RuntimeError("can't start new thread")

    async def check(workers: ThreadWorkers, outcomes: Outcomes) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", refuse)
            with pytest.raises(RuntimeError, match="can't start new thread"):
                workers.submit(Job(), int)
        workers.submit(Job(), int)
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", refuse)
            for _ in range(3):
                workers.submit(Job(), int)
        await outcomes.wait_for(4)

    with_workers(check)


def test_a_run_without_threads_fails_its_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """When no thread can be started, sync steps fail with the reason and async ones go on."""
    from planloom import execute_plan, tool
    from planloom.testing import PlanBuilder, ScriptedTool

    @tool(read_only=True)
    def work() -> None:
        """Do nothing."""

    real_start = threading.Thread.start

    def refuse(self: threading.Thread) -> None:
        if self.name == "planloom-tool":
            raise RuntimeError("can't start new thread")
        real_start(self)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    plan = PlanBuilder().step("a", "work").step("b", "other").build()
    result = asyncio.run(execute_plan(plan, [work, ScriptedTool("other").tool]))
    error = result.steps["a"].error
    assert error is not None
    assert ("limit", "no thread could be started: RuntimeError: can't start new thread") == (error.kind, error.message)
    assert "succeeded" == result.steps["b"].status
