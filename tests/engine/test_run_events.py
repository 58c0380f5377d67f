"""Events and callbacks: order, content, and that none of them can hurt the run."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from typing import Any

import pytest
from engine_cases import lines, run, run_with_events, tool_of

from planloom import RunResult, StepResult, ToolContext, stream_plan
from planloom.plan import events as event_types
from planloom.plan.results import StepError
from planloom.testing import HANG, InlineWorkers, PlanBuilder, ScriptedTool, VirtualClock

DIAMOND = (
    PlanBuilder("a diamond")
    .step("a", "work", n=1)
    .step("b", "work", n="{{a.output.n}}")
    .step("c", "work", n="{{a.output.n}}")
    .step("d", "work", n=["{{b.output.n}}", "{{c.output.n}}"])
    .build()
)


def test_events_of_a_run_in_order() -> None:
    """Every event in its place, numbered without gaps, timed by the clock, with the run's id."""
    work = ScriptedTool("work", takes_s=1, read_only=True)
    result, events = run_with_events(DIAMOND, work.tool)
    assert [
        "run-started",
        "step-started a",
        "step-succeeded a",
        "step-started b",
        "step-started c",
        "step-succeeded b",
        "step-succeeded c",
        "step-started d",
        "step-succeeded d",
        "run-finished",
    ] == lines(events)
    assert list(range(1, 11)) == [event.seq for event in events]
    assert {"run"} == {event.run_id for event in events}
    began = events[0].at
    assert [0, 0, 1, 1, 1, 2, 2, 2, 3, 3] == [event.at - began for event in events]
    assert ("a diamond", 4) == (events[0].goal, events[0].steps)
    assert ("work", 1) == (events[1].tool, events[1].attempt)
    assert ({"n": 1}, 1, 1_000) == (events[2].output, events[2].attempts, events[2].latency_ms)
    assert events[-1].result is result
    assert result.status is events[-1].status


def test_events_of_everything_that_can_go_wrong() -> None:
    """Retries, failures, skips, timeouts and unknown effects each have their event, in order."""
    flaky = ScriptedTool("flaky", [ConnectionError("down"), ValueError("broken")], read_only=True)
    hang = ScriptedTool("hang", [HANG], timeout_s=5)
    plan = (
        PlanBuilder()
        .step("flaky", "flaky")
        .step("doomed", "work", v="{{flaky.output}}")
        .step("pay", "hang")
        .step("cond", "work", when="1 > 2")
        .build()
    )
    _, events = run_with_events(plan, flaky.tool, hang.tool, ScriptedTool("work").tool)
    assert [
        "run-started",
        "step-skipped cond",
        "step-started flaky",
        "step-retrying flaky",
        "step-started pay",
        "step-started flaky",
        "step-failed flaky",
        "step-skipped doomed",
        "step-unknown pay",
        "run-finished",
    ] == lines(events)
    by_type = {event.type: event for event in events}
    assert ("its condition is false: 1 > 2", None) == (events[1].reason, events[1].error)
    assert ("skipped because `flaky` failed", "skipped") == (events[7].reason, events[7].error.kind)
    assert (1, "ConnectionError: down") == (by_type["step-retrying"].attempt, by_type["step-retrying"].error.message)
    assert (2, "ValueError: broken") == (by_type["step-failed"].attempts, by_type["step-failed"].error.message)
    assert "unknown" == by_type["step-unknown"].error.kind


def test_every_type_of_event_is_json() -> None:
    """`to_dict` of every event writes the record of the journal, in plain JSON."""
    result = run(DIAMOND, ScriptedTool("work").tool)
    error = StepError("elements", "ElementsError", "1 of 2", {1: StepError("exception", "ValueError", "no")})
    samples: dict[type, tuple[Any, ...]] = {
        event_types.RunStarted: ("goal", 3),
        event_types.StepStarted: ("tool", 1),
        event_types.StepExpanded: (5,),
        event_types.StepProgress: (0.5,),
        event_types.StepRetrying: (1, 0.5, error),
        event_types.StepSucceeded: ({"a": [1, None]}, 1, 2.5),
        event_types.StepFailed: (error, 1, 2.5),
        event_types.StepSkipped: ("reason", None),
        event_types.StepCancelled: (error, 0, 0.0),
        event_types.StepUnknown: (error, 1, 2.5),
        event_types.CallAbandoned: ("left behind",),
        event_types.CallbackFailed: ("on_step_complete", "ValueError: no"),
        event_types.LoopBlocked: (1.5,),
        event_types.RunFinished: (result.status, result),
        event_types.PlanningStarted: ("goal", "plan", "model"),
        event_types.PlanMending: (1, ()),
        event_types.PlanCreated: (DIAMOND, 1, ("a trailing comma",)),
        event_types.StepArrived: ("tool",),
        event_types.ModelCalled: ("plan", "model", 10, 20, None, 1.5, 1, False),
        event_types.ModelReplied: ("digest", "text", "plan"),
        event_types.StepHeld: ("fetch",),
        event_types.ReplanStarted: (error, ("a", "b")),
        event_types.Replanned: (1, error, ("a",), ("b",), ("c",), DIAMOND),
        event_types.ReplanRefused: (error, "no way around"),
        event_types.StepWaiting: ("may it?", "tool", {"amount": 1}, "approval"),
        event_types.PlanWaiting: (DIAMOND, "5f"),
        event_types.ApprovalGiven: ("5f", True),
        event_types.JoinStarted: ("model",),
        event_types.AnswerDelta: ("text",),
        event_types.AnswerReady: ({"a": 1},),
        event_types.RoundStarted: (2, "more"),
    }
    kinds = {
        kind for kind in vars(event_types).values() if isinstance(kind, type) and issubclass(kind, event_types.Event)
    }
    assert kinds - {event_types.Event} == samples.keys()
    assert len(samples) == len({kind.type for kind in samples})  # type: ignore[attr-defined]
    for kind, data in samples.items():
        written = json.loads(json.dumps(kind(7, "run", 1_700_000_000.25, "a", *data).to_dict(), allow_nan=False))
        assert {"version", "seq", "run_id", "at", "type", "step_id", "data"} == written.keys()
        assert (1, 7, "run", "a", kind.type) == tuple(  # type: ignore[attr-defined]
            written[name] for name in ("version", "seq", "run_id", "step_id", "type")
        )
        assert "2023-11-14T22:13:20.250000+00:00" == written["at"]
        assert len(data) == len(written["data"])


# ---- on_step_complete ------------------------------------------------------------------------------------

MIXED = (
    PlanBuilder()
    .step("good", "work", n=1)
    .step("each", "work", for_each=[1, 2], n="{{item}}")
    .step("bad", "fail")
    .step("doomed", "work", n="{{bad.output}}")
    .step("cond", "work", when="1 > 2")
    .build()
)


def mixed_tools() -> list[Any]:
    """Tools of `MIXED`."""
    return [ScriptedTool("work", takes_s=1, read_only=True).tool, ScriptedTool("fail", [ValueError("no")]).tool]


def test_a_callback_is_called_once_per_step_at_its_end() -> None:
    """With one argument it gets the result; with two, the id and the result; elements are not steps."""
    one: list[StepResult] = []
    two: list[tuple[str, StepResult]] = []

    class Method:
        def with_two(self, step_id: str, result: StepResult) -> None:
            two.append((step_id, result))

    run(MIXED, *mixed_tools(), on_step_complete=one.append)
    result = run(MIXED, *mixed_tools(), on_step_complete=Method().with_two)
    assert ["cond", "bad", "doomed", "good", "each"] == [step.step_id for step in one]
    assert ["skipped", "failed", "skipped", "succeeded", "succeeded"] == [step.status for step in one]
    assert one == [step for _, step in two]
    assert {step.step_id: step for step in one} == result.steps
    assert [step_id for step_id, _ in two] == [step.step_id for step in one]


def test_a_callback_with_a_default_or_any_arguments() -> None:
    """Only arguments that must be given count."""
    seen: list[Any] = []

    def with_default(result: Any, extra: Any = None) -> None:
        seen.append((result.step_id, extra))

    def with_any(*args: Any) -> None:
        seen.append(args)

    class Callable:
        def __call__(self, step_id: str, result: StepResult) -> None:
            seen.append((step_id, result.status))

    plan = PlanBuilder().step("a", "work").build()
    for callback in (with_default, with_any, Callable()):
        run(plan, ScriptedTool("work").tool, on_step_complete=callback)
    assert ("a", None) == seen[0]
    assert 1 == len(seen[1])
    assert ("a", "succeeded") == seen[2]


def test_an_async_callback_is_awaited() -> None:
    """The run waits for async callbacks before it returns, but no step waits for them."""
    ended: list[tuple[str, float]] = []

    async def callback(result: StepResult) -> None:
        await asyncio.sleep(1.5)
        ended.append((result.step_id, asyncio.get_running_loop().time()))

    result = run(DIAMOND, ScriptedTool("work", takes_s=1).tool, on_step_complete=callback)
    assert [("a", 2.5), ("b", 3.5), ("c", 3.5), ("d", 4.5)] == sorted(ended)
    assert 3_000 == result.duration_ms


class HostileError(Exception):
    """Cannot be told."""

    def __str__(self) -> str:
        raise SystemExit("mute")


@pytest.mark.parametrize(
    "error",
    [ValueError("broken"), SystemExit(3), KeyboardInterrupt(), GeneratorExit(), HostileError()],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_a_callback_that_raises(error: BaseException, is_async: bool, caplog: pytest.LogCaptureFixture) -> None:
    """It is logged and emitted once, every other step is still told, and the run goes on."""
    called: list[str] = []

    def sync_callback(result: StepResult) -> None:
        called.append(result.step_id)
        raise error

    async def async_callback(result: StepResult) -> None:
        sync_callback(result)

    with caplog.at_level(logging.WARNING, "planloom"):
        result, events = run_with_events(
            DIAMOND, ScriptedTool("work").tool, on_step_complete=async_callback if is_async else sync_callback
        )
    assert ("succeeded", ["a", "b", "c", "d"]) == (result.status, sorted(called))
    failed = [event for event in events if event.type == "callback-failed"]
    assert ["on_step_complete"] == [event.listener for event in failed]
    assert failed[0].message.startswith(type(error).__name__)
    assert 1 == len([record for record in caplog.records if "the run goes on" in record.getMessage()])
    assert "run-finished" == events[-1].type
    assert list(range(1, len(events) + 1)) == [event.seq for event in events]


def test_a_callback_that_hangs() -> None:
    """An async callback that never ends is cancelled after the grace; the run returns."""
    cancelled: list[bool] = []

    async def callback(result: StepResult) -> None:
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    clock = VirtualClock()

    async def main() -> float:
        from planloom import execute_plan

        result = await execute_plan(DIAMOND, [ScriptedTool("work").tool], clock=clock, on_step_complete=callback)
        assert "succeeded" == result.status
        assert {asyncio.current_task()} == asyncio.all_tasks()
        return asyncio.get_running_loop().time()

    assert 2.0 == clock.run(main())
    assert [True] * 4 == cancelled


def test_a_callback_that_ignores_its_cancellation() -> None:
    """It is left behind after a second grace; it ends when it ends."""
    release = asyncio.Event()

    async def callback(result: StepResult) -> None:
        while not release.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await release.wait()

    clock = VirtualClock()

    async def main() -> float:
        from planloom import execute_plan

        plan = PlanBuilder().step("a", "work").build()
        await execute_plan(plan, [ScriptedTool("work").tool], clock=clock, on_step_complete=callback)
        returned_at = asyncio.get_running_loop().time()
        release.set()
        await asyncio.sleep(1)
        assert {asyncio.current_task()} == asyncio.all_tasks()
        return returned_at

    assert clock.run(main()) <= 8


def test_a_listener_that_raises_does_not_hide_events_from_others() -> None:
    """`on_event` that raises is logged; a stream beside it gets every event all the same."""
    seen: list[str] = []

    def on_event(event: Any) -> None:
        seen.append(event.type)
        raise SystemExit("listener")

    clock = VirtualClock()

    async def main() -> list[str]:
        stream = stream_plan(DIAMOND, [ScriptedTool("work").tool], clock=clock, on_event=on_event)
        return [event.type async for event in stream]

    assert clock.run(main()) == seen
    assert 10 == len(seen)


def test_an_async_listener() -> None:
    """`on_event` may be async; the run waits for it, also for the last event."""
    seen: list[str] = []

    async def on_event(event: Any) -> None:
        await asyncio.sleep(0.5)
        seen.append(event.type)

    run(DIAMOND, ScriptedTool("work").tool, on_event=on_event)
    assert (10, "run-finished") == (len(seen), seen[-1])


def test_a_callback_that_starts_another_run() -> None:
    """A callback may run a plan itself."""
    inner: list[RunResult] = []
    clock = VirtualClock()

    async def callback(result: StepResult) -> None:
        from planloom import execute_plan

        plan = PlanBuilder().step("inner", "work", of=result.step_id).build()
        inner.append(await execute_plan(plan, [ScriptedTool("work").tool], clock=clock, workers=InlineWorkers))

    clock.execute(DIAMOND, [ScriptedTool("work").tool], on_step_complete=callback)
    assert ["a", "b", "c", "d"] == sorted(result.answer["of"] for result in inner)


# ---- streams ---------------------------------------------------------------------------------------------


def test_a_stream_gives_every_event_and_the_result() -> None:
    """`stream_plan` yields what `on_event` gets, in order; the last has the result."""
    clock, seen = VirtualClock(), []

    async def main() -> list[Any]:
        stream = stream_plan(
            DIAMOND, [ScriptedTool("work", takes_s=1).tool], clock=clock, on_event=lambda event: seen.append(event)
        )
        return [event async for event in stream]

    events = clock.run(main())
    assert seen == events
    assert ("run-finished", "succeeded") == (events[-1].type, events[-1].result.status)


def test_a_slow_reader_loses_progress_but_no_event(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that is far behind misses progress; everything else waits for it."""
    monkeypatch.setattr("planloom.engine.execute.MAX_QUEUED_EVENTS", 5)
    clock = VirtualClock()

    async def chatty(context: ToolContext) -> None:
        for number in range(100):
            context.report(number / 100)

    async def main() -> list[str]:
        plan = PlanBuilder().step("a", "chatty").step("b", "work", after=["a"]).build()
        seen = []
        async for event in stream_plan(plan, [tool_of(chatty), ScriptedTool("work").tool], clock=clock):
            seen.append(event.type)
            await asyncio.sleep(1)
        return seen

    seen = clock.run(main())
    assert {"run-started": 1, "step-started": 2, "step-succeeded": 2, "run-finished": 1} == {
        kind: seen.count(kind) for kind in set(seen) - {"step-progress"}
    }
    assert 1 <= seen.count("step-progress") < 100


def test_a_stream_of_an_invalid_plan_raises_at_once() -> None:
    """The first step of the loop raises what `execute_plan` would."""
    from planloom import PlanValidationError

    async def main() -> None:
        with pytest.raises(PlanValidationError, match="unknown-tool"):
            async for _ in stream_plan(DIAMOND, [ScriptedTool("other").tool]):
                pass

    VirtualClock().run(main())
