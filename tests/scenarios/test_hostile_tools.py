"""Tools that do their worst beside tools that do nothing wrong: only the hostile step pays for it."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import hostile_tools
import pytest
from hostile_tools import CASES, Case

from planloom import Limits, RunResult, Tool, Toolbox, execute_plan
from planloom.engine import orphans
from planloom.engine.processes import POOL
from planloom.testing import PlanBuilder, VirtualClock

LIMITS = Limits(output_bytes=4_000_000)
"""Smaller than the default, so that the suite need not walk through what is too large."""

GUARD_S = 60
"""Nothing waits for this long; it only keeps a fault from hanging the suite."""


@pytest.fixture(autouse=True)
def nothing_is_left(caplog: pytest.LogCaptureFixture) -> Any:
    """No test leaves a task or a process with work behind, nor a complaint of asyncio's."""
    yield
    assert set() == {task for task in orphans._ORPHANS if not task.done()}
    assert set() == POOL._asked
    assert [] == [record.getMessage() for record in caplog.records if record.name == "asyncio"]


@pytest.fixture(scope="module", autouse=True)
def nothing_is_left_at_the_end() -> Any:
    """What nobody looked at, such as the exception of a task, is told when it is collected: a warning, an error."""
    yield
    POOL.close()
    with caught_log("asyncio") as complaints:
        gc.collect()
    assert [] == complaints


@contextlib.contextmanager
def caught_log(name: str) -> Iterator[list[str]]:
    """Collect what a logger is told."""
    messages: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: messages.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger(name).addHandler(handler)
    yield messages
    logging.getLogger(name).removeHandler(handler)


async def echo(value: Any = None) -> Any:
    """Give back what came."""
    await asyncio.sleep(0)
    return value


HEALTHY = Tool.from_function(echo, read_only=True)


def surrounded(name: str, **facts: Any) -> Any:
    """A plan with a hostile step among healthy ones: before it, beside it, and one that would have needed it."""
    return (
        PlanBuilder("survive")
        .step("before", "echo", value="first")
        .step("hostile", name, after=["before"], **facts)
        .step("beside", "echo", value="{{before.output}}")
        .step("behind", "echo", value="{{beside.output}}")
        .step("needs", "echo", value="{{hostile.output}}")
        .build()
    )


def execute(plan: Any, *tools: Tool, **options: Any) -> RunResult:
    """Run on a real loop, and check that the run leaves no task behind on it."""

    async def main() -> RunResult:
        async with asyncio.timeout(GUARD_S):
            result = await execute_plan(plan, Toolbox([HEALTHY, *tools]), **{"limits": LIMITS, **options})
        await asyncio.sleep(0)
        assert {asyncio.current_task()} == asyncio.all_tasks()
        return result

    return asyncio.run(main())


def assert_contained(result: RunResult, kind: str, message: str, type: str | None = None) -> None:
    """Only the hostile step failed, its error says why, and what needed it was skipped."""
    steps = result.steps
    assert ("first", "first", "first") == tuple(steps[name].output for name in ("before", "beside", "behind"))
    error = steps["hostile"].error
    assert error is not None
    assert ("failed", kind) == (steps["hostile"].status, error.kind), error
    assert message in error.message
    assert type in (None, error.type)
    assert len(error.message) <= 2_100
    assert ("skipped", "skipped because `hostile` failed") == (steps["needs"].status, steps["needs"].reason)
    assert "failed" == result.status
    assert "`hostile`" in result.explain()
    result.explain().encode()


def on_the_loop(function: Callable[[], Any]) -> Tool:
    """The tool as an async one."""

    async def hostile() -> Any:
        await asyncio.sleep(0)
        return function()

    return Tool.from_function(hostile, name="hostile")


def in_a_thread(function: Callable[[], Any]) -> Tool:
    return Tool.from_schema(name="hostile", parameters=None, function=function, run_in="thread")


def on_the_loop_sync(function: Callable[[], Any]) -> Tool:
    return Tool.from_schema(name="hostile", parameters=None, function=function, run_in="loop")


def in_a_process(function: Callable[[], Any]) -> Tool:
    return Tool.from_schema(name="hostile", parameters=None, function=function, run_in="process")


def ids(case: Any) -> str:
    return getattr(case, "name", getattr(case, "__name__", str(case)))


@pytest.mark.parametrize("place", [on_the_loop, on_the_loop_sync, in_a_thread, in_a_process], ids=ids)
@pytest.mark.parametrize("case", CASES, ids=ids)
def test_whatever_a_tool_raises_or_returns_ends_as_its_step(case: Case, place: Callable[..., Tool]) -> None:
    """Every exception and every value that is no JSON is one step's failure, wherever the tool runs."""
    if case.function is hostile_tools.raises_stop_iteration and place is on_the_loop:
        case = Case(case.function, "exception", "coroutine raised StopIteration")  # Python's own rule
    result = execute(surrounded("hostile"), place(case.function))
    assert_contained(result, case.kind, case.message, case.type)


@pytest.mark.parametrize("place", [on_the_loop, in_a_thread, in_a_process], ids=ids)
def test_odd_values_that_have_a_json_form(place: Callable[..., Tool]) -> None:
    """Sets, enums, dates, subclasses with hostile methods and odd keys become plain JSON."""
    plan = PlanBuilder().step("odd", "hostile").build()
    output = execute(plan, place(hostile_tools.odd_but_fine)).steps["odd"].output
    assert {
        "text": "text",
        "number": 5,
        "set": ["a", "b", "c"],
        "tuple": [1, 2],
        "enum": "red",
        "dataclass": {"x": 1, "when": "2024-02-29"},
        "bytes": "abc",
        "decimal": "1.50",
        "range": [0, 1, 2],
        "views": [["k"], [1]],
        "1": True,
        "null": None,
        "1.5": "float",
        "key": "hostile key",
    } == output
    assert (str, int) == (type(output["text"]), type(output["number"]))
    assert {str} == {type(key) for key in output}


def test_an_async_generator_as_a_tool() -> None:
    """A tool with `yield` in an async function cannot be awaited: its step fails and says so."""

    async def hostile() -> Any:
        yield 1

    assert_contained(
        execute(surrounded("hostile"), Tool.from_function(hostile)), "output", "is an async_generator; return a list"
    )


def test_a_generator_as_a_tool() -> None:
    """A tool with `yield` in it gives no value."""

    def hostile() -> Any:
        yield 1

    assert_contained(execute(surrounded("hostile"), Tool.from_function(hostile)), "output", "is a generator; return a")


# ---- tools that do not end ------------------------------------------------------------------------------


def test_a_hanging_async_tool() -> None:
    """A hang on the loop ends at its time limit, in virtual time, while siblings finish at once."""

    async def hostile() -> None:
        await asyncio.get_running_loop().create_future()

    tool = Tool.from_function(hostile, read_only=True, timeout_s=30, retries=0)
    result = VirtualClock().execute(surrounded("hostile"), [HEALTHY, tool])
    assert_contained(result, "timeout", "timed out after 30 s (limit `timeout_s`)", "TimeoutError")
    assert 30_000 == result.duration_ms


@pytest.mark.parametrize("deafness", ["once", "always"])
def test_a_tool_that_swallows_its_cancellation(deafness: str) -> None:
    """Heard or not, the step ends: in time when the tool gives up, after a grace when it never does."""
    release = asyncio.Event()
    events: list[Any] = []

    async def hostile() -> str:
        while True:
            try:
                await release.wait()
                return "released"
            except asyncio.CancelledError:
                if deafness == "once":
                    return "late"

    async def main() -> RunResult:
        result = await execute_plan(
            surrounded("hostile"),
            [HEALTHY, Tool.from_function(hostile, read_only=True, timeout_s=30, retries=0)],
            clock=clock,
            on_event=lambda event: events.append(event),
        )
        release.set()
        await asyncio.sleep(1)
        return result

    clock = VirtualClock()
    result = clock.run(main())
    assert_contained(result, "timeout", "timed out after 30 s")
    assert (30_000 if deafness == "once" else 32_000) == result.duration_ms
    left = [event.step_id for event in events if event.type == "call-abandoned"]
    assert ([] if deafness == "once" else ["hostile"]) == left


def test_a_hanging_thread_is_left_behind() -> None:
    """A thread cannot be stopped: at its time limit it is left behind, and its late result is dropped."""
    release, ended = threading.Event(), threading.Event()

    def hostile() -> str:
        release.wait(GUARD_S)
        ended.set()
        return "late"

    result = execute(surrounded("hostile"), Tool.from_function(hostile, read_only=True, timeout_s=0.05, retries=0))
    assert_contained(result, "timeout", "timed out after 0.05 s")
    release.set()
    assert ended.wait(GUARD_S)
    assert_threads_end()


def assert_threads_end() -> None:
    """Every thread of a run ends soon after it, with nothing to wait for."""
    for thread in threading.enumerate():
        if thread.name == "planloom-tool":
            thread.join(GUARD_S)
    assert [] == [thread for thread in threading.enumerate() if thread.name == "planloom-tool"]


def test_threads_end_with_their_run() -> None:
    """A run that used threads leaves none."""
    tool = Tool.from_schema(name="hostile", parameters=None, function=hostile_tools.prints)
    assert "succeeded" == execute(surrounded("hostile"), tool).status
    assert_threads_end()


@pytest.mark.parametrize("function", [hostile_tools.hangs, hostile_tools.hangs_in_a_child], ids=ids)
def test_a_hanging_process_is_killed(function: Callable[[], Any]) -> None:
    """A process that hangs, or waits for a child that hangs, is killed with it, and the next one works."""
    stuck = Tool.from_schema(
        name="hostile", parameters=None, function=function, run_in="process", read_only=True, timeout_s=1.5, retries=0
    )
    result = execute(surrounded("hostile"), stuck)
    assert_contained(result, "timeout", "timed out after 1.5 s")
    assert_a_process_works()


def assert_a_process_works() -> None:
    plan = PlanBuilder().step("next", "hostile").build()
    result = execute(plan, in_a_process(hostile_tools.process_id))
    assert "succeeded" == result.status, result.explain()
    assert os.getpid() != result.steps["next"].output


@pytest.mark.parametrize(
    ("function", "how"),
    [
        (hostile_tools.exits_the_process, "exited with code 3"),
        pytest.param(
            hostile_tools.kills_the_process,
            "was killed by SIGKILL",
            marks=pytest.mark.skipif(sys.platform == "win32", reason="signals"),
        ),
        (hostile_tools.closes_its_pipes, ""),
    ],
    ids=ids,
)
def test_a_dead_process_is_replaced(function: Callable[[], Any], how: str) -> None:
    """A process that ends in the middle of its call fails its step with the way it died."""
    result = execute(surrounded("hostile"), in_a_process(function))
    assert_contained(result, "worker", f"the worker process {how}", "WorkerDied")
    assert_a_process_works()


def test_processes_are_used_again() -> None:
    """Steps of several runs share the processes that are idle."""
    POOL.close()
    plan = PlanBuilder().step("a", "hostile").step("b", "hostile", after=["a"]).build()
    tool = in_a_process(hostile_tools.process_id)
    first, second = execute(plan, tool).steps, execute(plan, tool).steps
    assert 1 == len({steps[name].output for steps in (first, second) for name in ("a", "b")})


def test_an_async_tool_that_blocks_the_loop_is_reported() -> None:
    """While `time.sleep` in an async tool stops everything, the watchdog names the step to whoever listens."""
    reported = threading.Event()
    seen: list[str] = []
    events: list[Any] = []

    def on_blocked(step_id: str, blocked_s: float) -> None:
        seen.append(step_id)
        reported.set()
        raise RuntimeError("a callback that raises does not end the watchdog")

    async def hostile() -> None:
        reported.wait(GUARD_S)
        time.sleep(0.01)

    result = execute(
        surrounded("hostile"),
        Tool.from_function(hostile, read_only=True),
        on_blocked=on_blocked,
        on_event=lambda event: events.append(event),
    )
    assert "succeeded" == result.status
    assert ["hostile"] == seen
    assert ["hostile"] == [event.step_id for event in events if event.type == "loop-blocked"]
    assert "run-finished" == events[-1].type


# ---- tools that reach for others ------------------------------------------------------------------------


def test_a_tool_that_changes_its_arguments_or_its_output() -> None:
    """Arguments are copies and so is what was returned: nobody else, the plan included, sees a change."""
    kept: list[Any] = []

    async def vandal(rows: list[Any], options: dict[str, Any]) -> Any:
        rows.append("vandalised")
        options["nested"]["list"].clear()
        kept.append(rows)
        return rows

    async def late_vandal(rows: list[Any]) -> Any:
        kept[0].append("changed after it was returned")
        rows.clear()
        return len(kept)

    plan = (
        PlanBuilder(rows=[1, [2]])
        .step("a", "vandal", rows="{{inputs.rows}}", options={"nested": {"list": [1]}})
        .step("b", "late_vandal", rows="{{a.output}}")
        .step("c", "echo", value=["{{a.output}}", "{{inputs.rows}}"], after=["b"])
        .step("d", "echo", value="{{a.output}}", after=["c"])
        .build()
    )
    before = plan.to_json()
    result = VirtualClock().execute(plan, [HEALTHY, vandal, late_vandal])
    assert [[1, [2], "vandalised"], [1, [2]]] == result.steps["c"].output
    assert [1, [2], "vandalised"] == result.steps["d"].output
    assert before == plan.to_json()


def test_text_from_a_tool_is_data() -> None:
    """References, dollars and braces in what a tool gave back are never expanded, however often they pass on."""
    trap = "{{inputs.secret}} $1 ${HOME} %s {0} \\{{x}} {{trap.output}}"
    plan = (
        PlanBuilder(secret="hunter2")
        .step("trap", "trap")
        .step("whole", "echo", value="{{trap.output}}")
        .step("inside", "echo", value="got: {{whole.output}}!")
        .step("nested", "echo", value={"deep": [{"text": "{{inside.output}}"}]})
        .step("each", "echo", for_each=["{{trap.output}}", "{{nested.output.deep[0].text}}"], value="{{item}}")
        .answer("{{each.output}} {{inputs.secret}}")
        .build()
    )

    async def trap_tool() -> str:
        return trap

    result = VirtualClock().execute(plan, {"trap": trap_tool, "echo": HEALTHY})
    assert "succeeded" == result.status, result.explain()
    assert trap == result.steps["whole"].output
    assert f"got: {trap}!" == result.steps["inside"].output
    assert [trap, f"got: {trap}!"] == result.steps["each"].output
    assert result.answer.endswith("hunter2")
    assert 1 == result.answer.count("hunter2")


def test_a_tool_that_cancels_every_task() -> None:
    """Cancelling all tasks from a tool cancels the run: it ends at once, with a state for every step."""

    async def hostile() -> None:
        for task in asyncio.all_tasks():
            task.cancel()
        await asyncio.sleep(0)

    started: list[int] = []

    async def victim() -> None:
        started.append(1)
        await asyncio.sleep(1)

    plan = PlanBuilder().step("hostile", "hostile").step("a", "victim").step("b", "victim", after=["a"]).build()
    result = VirtualClock().execute(plan, [hostile, victim])
    assert "cancelled" == result.status
    assert {"cancelled", "unknown"} >= {step.status.value for step in result.steps.values()}
    assert "cancelled" == result.steps["b"].status
    assert result.duration_ms < 2_000


def test_a_tool_that_cancels_its_sibling() -> None:
    """A task that somebody else cancels is a failed step, not a cancelled run."""
    tasks: list[asyncio.Task[Any]] = []

    async def victim() -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.append(task)
        await asyncio.sleep(100)

    async def hostile() -> None:
        await asyncio.sleep(1)
        tasks[0].cancel()

    plan = PlanBuilder().step("victim", "victim").step("hostile", "hostile").build()
    result = VirtualClock().execute(plan, [victim, hostile])
    assert ("failed", "succeeded") == (result.steps["victim"].status, result.steps["hostile"].status)
    error = result.steps["victim"].error
    assert error is not None
    assert ("exception", "CancelledError") == (error.kind, error.type)


def test_a_tool_that_prints() -> None:
    """Printing is no crime, in a process neither: what it prints never gets into the reply."""
    plan = PlanBuilder().step("a", "hostile").build()
    for place in (in_a_thread, in_a_process):
        assert "printed" == execute(plan, place(hostile_tools.prints)).steps["a"].output


def test_argument_types_that_raise() -> None:
    """A type whose own check raises, even SystemExit, fails the step before the tool is called."""
    from typing import Annotated

    from pydantic import AfterValidator

    def check(value: str) -> str:
        raise SystemExit("not today") if value == "exit" else RuntimeError("broken check")

    called: list[str] = []

    async def hostile(text: Annotated[str, AfterValidator(check)]) -> None:
        called.append(text)

    for value in ("exit", "raise"):
        plan = (
            PlanBuilder(text=value)
            .step("before", "echo", value="first")
            .step("hostile", "hostile", text="{{before.output}}{{inputs.text}}", after=["before"])
            .step("beside", "echo", value="{{before.output}}")
            .build()
        )
        result = VirtualClock().execute(plan, [HEALTHY, hostile])
        assert ("failed", "succeeded") == (result.steps["hostile"].status, result.steps["beside"].status)
    assert [] == called
