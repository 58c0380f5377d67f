"""Cancellation, at every moment: what comes back is complete, and nothing goes on behind it."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Coroutine
from typing import Any

import pytest
from engine_cases import kinds, sleeper, statuses, tool_of

from planloom import RunResult, Tool, ToolContext, execute_plan, stream_plan
from planloom.testing import HANG, InlineWorkers, PlanBuilder, ScriptedTool, VirtualClock

THREE = PlanBuilder().step("a", "work").step("b", "work", after=["a"]).step("c", "work", after=["b"]).build()


def on(clock: VirtualClock, plan: Any, *tools: Any, **options: Any) -> Coroutine[Any, Any, RunResult]:
    """A run on the given clock, to be made a task of."""
    return execute_plan(plan, list(tools), clock=clock, workers=InlineWorkers, run_id="run", **options)


def cancelled_after(seconds: float, plan: Any, *tools: Any, **options: Any) -> RunResult:
    """Start a run, cancel the task that awaits it, and return what comes back."""
    clock = VirtualClock()

    async def main() -> RunResult:
        task = asyncio.ensure_future(on(clock, plan, *tools, **options))
        await asyncio.sleep(seconds)
        task.cancel()
        result = await task
        assert {asyncio.current_task()} == asyncio.all_tasks()
        return result

    return clock.run(main())


def test_cancelled_in_the_middle() -> None:
    """What ended keeps its result, what runs is cancelled, what had not started is cancelled too."""
    result = cancelled_after(1.5, THREE, sleeper(read_only=True))
    assert "cancelled" == result.status
    assert {"a": "succeeded", "b": "cancelled", "c": "cancelled"} == statuses(result)
    assert ["work", None, None] == [step.output for step in result.steps.values()]
    messages = [step.error.message if step.error else None for step in result.steps.values()]
    assert [None, "cancelled while it was running", "not finished: the run was cancelled"] == messages
    assert [1, 1, 0] == [step.attempts for step in result.steps.values()]
    assert 1_500 == result.duration_ms
    assert result.error is None
    assert "run run was cancelled" in result.explain()


def test_nothing_starts_once_a_run_is_cancelled() -> None:
    """Also not in the moment between the cancellation and the run's hearing of it."""
    called: list[str] = []
    tasks: list[asyncio.Task[RunResult]] = []
    events: list[Any] = []

    async def cancel_run() -> None:
        tasks[0].cancel()

    async def pay() -> None:
        called.append("pay")

    clock = VirtualClock()

    async def main() -> RunResult:
        plan = PlanBuilder().step("a", "cancel_run").step("b", "pay", after=["a"]).step("c", "pay", after=["a"]).build()
        tools = [tool_of(cancel_run), Tool.from_function(pay)]
        tasks.append(asyncio.ensure_future(on(clock, plan, *tools, on_event=lambda e: events.append(e))))
        return await tasks[0]

    result = clock.run(main())
    assert {"a": "succeeded", "b": "cancelled", "c": "cancelled"} == statuses(result)
    assert ("cancelled", 0.0) == (result.status, result.duration_ms)
    assert ["step-cancelled"] * 2 == [event.type for event in events if event.step_id in ("b", "c")]
    assert ([], 0) == (called, result.steps["b"].attempts)


def test_a_run_inside_a_task_that_was_cancelled_before() -> None:
    """A task that has been cancelled once and goes on, to clean up, can still run a plan."""
    clock = VirtualClock()

    async def clean_up() -> RunResult:
        try:
            await asyncio.sleep(100)
        except asyncio.CancelledError:
            return await on(clock, THREE, sleeper(read_only=True))
        raise AssertionError("it was not cancelled")

    async def main() -> RunResult:
        task = asyncio.ensure_future(clean_up())
        await asyncio.sleep(1)
        task.cancel()
        return await task

    assert "succeeded" == clock.run(main()).status


def test_cancelled_just_when_it_ends() -> None:
    """A run that ends in the moment of its cancellation has succeeded."""
    clock = VirtualClock()

    async def main() -> RunResult:
        async def cancel_run() -> None:
            task.cancel()

        task = asyncio.ensure_future(on(clock, PlanBuilder().step("a", "cancel_run").build(), tool_of(cancel_run)))
        return await task

    assert "succeeded" == clock.run(main()).status


def test_cancelled_before_a_call_has_begun() -> None:
    """What is ready, and has not begun when the run is cancelled, never begins."""
    clock = VirtualClock()
    work = ScriptedTool("work")

    async def main() -> RunResult:
        async def execute_and_cancel() -> RunResult:
            task = asyncio.current_task()
            assert task is not None
            asyncio.get_running_loop().call_soon(task.cancel)
            return await on(clock, PlanBuilder().step("a", "work").build(), work.tool)

        return await asyncio.ensure_future(execute_and_cancel())

    result = clock.run(main())
    assert ("cancelled", 0, 0) == (result.status, result.steps["a"].attempts, len(work.calls))


def test_cancelled_before_it_was_awaited() -> None:
    """A task that is cancelled before it began raises, as every task does; nothing has run."""
    work = ScriptedTool("work")

    async def main() -> None:
        task = asyncio.ensure_future(on(clock, THREE, work.tool))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    clock = VirtualClock()
    clock.run(main())
    assert [] == work.calls


def test_cancelled_during_a_back_off() -> None:
    """A step that waits for its next attempt is cancelled at once and keeps its attempts."""
    tool = ScriptedTool("work", [ConnectionError("down")], read_only=True)
    result = cancelled_after(0.1, THREE, tool.tool)
    assert {"a": "cancelled", "b": "cancelled", "c": "cancelled"} == statuses(result)
    assert (1, 100) == (result.steps["a"].attempts, result.duration_ms)


def test_cancelled_while_it_waits_for_a_slot() -> None:
    """Steps in the queue are cancelled without having started."""
    plan = PlanBuilder().step("a", "work").step("b", "work").step("c", "work").build()
    result = cancelled_after(0.5, plan, sleeper(read_only=True), max_concurrency=1)
    assert {"a": "cancelled", "b": "cancelled", "c": "cancelled"} == statuses(result)
    assert [1, 0, 0] == [step.attempts for step in result.steps.values()]


def test_cancelled_during_for_each() -> None:
    """Finished elements keep their results; the step itself is cancelled and names the others."""
    tool = ScriptedTool("work", list("abcde"), takes_s=[1, 10, 1, 10, 10], read_only=True)
    plan = PlanBuilder().step("each", "work", for_each=[1, 2, 3, 4, 5, 6], n="{{item}}").build()
    step = cancelled_after(5, plan, tool.tool, max_concurrency=3).steps["each"]
    assert ("cancelled", None, 5) == (step.status, step.output, step.attempts)
    assert ["a", None, "c", None, None, None] == [element.output for element in step.elements]
    assert [1, 1, 1, 1, 1, 0] == [element.attempts for element in step.elements]
    assert {"succeeded", "cancelled"} == {element.status.value for element in step.elements}
    assert step.error is not None
    assert [1, 3, 4, 5] == sorted(step.error.elements)


def test_effects_that_were_cut_off() -> None:
    """A cancelled effect that is not idempotent is unknown; the run was cancelled all the same."""
    plan = PlanBuilder().step("pay", "pay").step("read", "read").step("next", "read", after=["pay"]).build()
    result = cancelled_after(1, plan, sleeper("pay", 10), sleeper("read", 10, read_only=True))
    assert "cancelled" == result.status
    assert {"pay": "unknown", "read": "cancelled", "next": "cancelled"} == statuses(result)
    assert {"pay": "unknown", "read": "cancelled", "next": "cancelled"} == kinds(result)


def test_cancelled_during_the_grace_of_a_deaf_tool() -> None:
    """A tool that does not hear gets the grace, no more; then it is left behind."""

    async def deaf() -> None:
        for _ in range(3):
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(10)

    events: list[Any] = []
    clock = VirtualClock()

    async def main() -> RunResult:
        task = asyncio.ensure_future(
            on(clock, PlanBuilder().step("a", "deaf").build(), tool_of(deaf), on_event=lambda e: events.append(e))
        )
        await asyncio.sleep(5)
        task.cancel()
        result = await task
        await asyncio.sleep(100)
        return result

    result = clock.run(main())
    assert ("cancelled", 7_000) == (result.steps["a"].status, result.duration_ms)
    assert ["run-started", "step-started", "call-abandoned", "step-cancelled", "run-finished"] == [
        e.type for e in events
    ]


def test_the_second_cancellation_leaves_at_once() -> None:
    """Who cancels twice does not wait for the grace; the calls are cancelled and nothing is emitted any more."""
    heard: list[str] = []
    events: list[Any] = []

    async def slow_to_end() -> None:
        try:
            await asyncio.sleep(100)
        except asyncio.CancelledError:
            heard.append("cancelled")
            await asyncio.sleep(1)
            heard.append("ended")
            raise

    clock = VirtualClock()

    async def main() -> float:
        plan = PlanBuilder().step("a", "slow_to_end").build()
        task = asyncio.ensure_future(on(clock, plan, tool_of(slow_to_end), on_event=lambda e: events.append(e)))
        await asyncio.sleep(5)
        task.cancel()
        await asyncio.sleep(0.5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        left_at = asyncio.get_running_loop().time()
        count = len(events)
        await asyncio.sleep(10)
        assert count == len(events)
        return left_at

    assert 5.5 == clock.run(main())
    assert "cancelled" == heard[0]


def test_cancelled_while_callbacks_are_still_running() -> None:
    """A run whose steps are over is over: a cancellation only ends the wait for its callbacks."""
    clock = VirtualClock()

    async def callback(step: Any) -> None:
        await asyncio.sleep(1.5)

    async def main() -> RunResult:
        task = asyncio.ensure_future(on(clock, THREE, ScriptedTool("work").tool, on_step_complete=callback))
        await asyncio.sleep(0.5)
        task.cancel()
        return await task

    result = clock.run(main())
    assert "succeeded" == result.status


# ---- the usual ways to cancel ---------------------------------------------------------------------------


def test_asyncio_timeout_around_a_run() -> None:
    """`asyncio.timeout` cancels the run; what comes back is its complete result."""
    clock = VirtualClock()

    async def main() -> tuple[RunResult, float]:
        async with asyncio.timeout(1.5) as limit:
            result = await on(clock, THREE, sleeper(read_only=True))
        assert limit.expired()
        await asyncio.sleep(1)  # the task itself is not cancelled any more
        return result, asyncio.get_running_loop().time()

    result, now = clock.run(main())
    assert ("cancelled", 3, 2.5) == (result.status, len(result.steps), now)


def test_wait_for_around_a_run() -> None:
    """`asyncio.wait_for` gets the result of the cancelled run, or raises its own error; nothing is left."""
    clock = VirtualClock()

    async def main() -> None:
        try:
            result = await asyncio.wait_for(on(clock, THREE, sleeper(read_only=True)), 1.5)
        except TimeoutError:
            pass
        else:
            assert "cancelled" == result.status
        assert {asyncio.current_task()} == asyncio.all_tasks()

    clock.run(main())


def test_a_task_group_with_a_failing_sibling() -> None:
    """In a task group, a run is cancelled with its siblings and still gives its complete result."""
    clock = VirtualClock()
    results: list[RunResult] = []

    async def execute() -> None:
        results.append(await on(clock, THREE, sleeper(read_only=True)))

    async def fail() -> None:
        await asyncio.sleep(1.5)
        raise ValueError("sibling")

    async def execute_beside_a_failure() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(execute())
            group.create_task(fail())

    async def main() -> None:
        with pytest.raises(ExceptionGroup):
            await execute_beside_a_failure()
        assert {asyncio.current_task()} == asyncio.all_tasks()

    clock.run(main())
    assert {"a": "succeeded", "b": "cancelled", "c": "cancelled"} == statuses(results[0])


def test_gather_of_runs_that_is_cancelled() -> None:
    """Several runs that are cancelled together all end, each with its own result."""
    clock = VirtualClock()

    async def main() -> list[RunResult]:
        runs = [asyncio.ensure_future(on(clock, THREE, sleeper(read_only=True))) for _ in range(3)]
        await asyncio.sleep(1.5)
        for run in runs:
            run.cancel()
        return await asyncio.gather(*runs)

    assert ["cancelled"] * 3 == [result.status for result in clock.run(main())]


# ---- threads and processes ------------------------------------------------------------------------------


def test_a_thread_that_looks_at_cancelled_ends_in_time() -> None:
    """A tool with a context gets the grace: it sees `cancelled`, ends, and its thread is not left behind."""
    seen: list[bool] = []
    events: list[Any] = []
    started = threading.Event()

    def polite(context: ToolContext) -> str:
        seen.append(context.cancelled)
        started.set()
        while not context.cancelled:
            threading.Event().wait(0.001)
        seen.append(context.cancelled)
        return "late"

    async def main() -> RunResult:
        plan = PlanBuilder().step("a", "polite").build()
        task = asyncio.ensure_future(execute_plan(plan, [tool_of(polite)], on_event=lambda e: events.append(e)))
        await asyncio.to_thread(started.wait, 60)
        task.cancel()
        return await task

    result = asyncio.run(main())
    assert ("cancelled", [False, True]) == (result.steps["a"].status, seen)
    assert "call-abandoned" not in [event.type for event in events]


# ---- streams --------------------------------------------------------------------------------------------


def test_a_stream_that_is_closed_early_cancels_its_run() -> None:
    """Leaving the loop over a stream ends the run before the stream is closed."""
    clock = VirtualClock()
    work = ScriptedTool("work", takes_s=10, read_only=True)

    async def main() -> float:
        async with contextlib.aclosing(stream_plan(THREE, [work.tool], clock=clock)) as stream:
            async for event in stream:
                if event.type == "step-succeeded":
                    break
        assert {asyncio.current_task()} == asyncio.all_tasks()
        return asyncio.get_running_loop().time()

    assert 10 == clock.run(main())
    assert 2 == len(work.calls)


def test_a_stream_whose_reader_is_cancelled() -> None:
    """Cancelling the reader of a stream ends the run as well."""
    clock = VirtualClock()

    async def read() -> None:
        async for _ in stream_plan(THREE, [ScriptedTool("work", [HANG], read_only=True).tool], clock=clock):
            pass

    async def main() -> None:
        reader = asyncio.ensure_future(read())
        await asyncio.sleep(5)
        reader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reader
        await asyncio.sleep(0)
        assert {asyncio.current_task()} == {t for t in asyncio.all_tasks() if "aclose" not in repr(t)}

    clock.run(main())


def test_a_stream_that_is_forgotten() -> None:
    """A stream that nobody closes is closed when it is collected, and its run with it."""
    clock = VirtualClock()

    async def main() -> None:
        async for _ in stream_plan(THREE, [ScriptedTool("work", [HANG], read_only=True).tool], clock=clock):
            break
        await asyncio.sleep(5)
        assert {asyncio.current_task()} == asyncio.all_tasks()

    clock.run(main())


def test_a_stream_is_cancelled_twice() -> None:
    """A second cancellation does not wait for the grace of a deaf tool."""
    clock = VirtualClock()

    async def deaf() -> None:
        for _ in range(3):
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(10)

    async def read() -> None:
        async for _ in stream_plan(PlanBuilder().step("a", "deaf").build(), [tool_of(deaf)], clock=clock):
            pass

    async def main() -> float:
        reader = asyncio.ensure_future(read())
        await asyncio.sleep(5)
        reader.cancel()
        await asyncio.sleep(1)
        reader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reader
        left_at = asyncio.get_running_loop().time()
        await asyncio.sleep(100)
        return left_at

    assert 6 == clock.run(main())
