"""What a tool sees of its run, and what it cannot see of others."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from pathlib import Path
from typing import Any

import pytest
from engine_cases import run, run_with_events, tool_of

from planloom import RunResult, Tool, ToolContext, execute_plan
from planloom.testing import PlanBuilder, ScriptedTool, VirtualClock

CURRENT: contextvars.ContextVar[str] = contextvars.ContextVar("CURRENT", default="nothing")


class Witness:
    """Makes tools that keep the contexts they are given."""

    def __init__(self) -> None:
        self.seen: list[ToolContext] = []

    def tool(self, failures: int = 0, *, sync: bool = False) -> Tool:
        """A tool whose first attempts of every step fail."""

        async def look(context: ToolContext, n: int = 0) -> str:
            return look_sync(context, n)

        def look_sync(context: ToolContext, n: int = 0) -> str:
            self.seen.append(context)
            if context.attempt <= failures:
                raise ConnectionError("again")
            return context.step_id

        return tool_of(look_sync if sync else look, name="look")


def test_fields_of_a_context() -> None:
    """Run, step, element, attempt, and whatever the caller gave for all tools."""
    witness, deps, model = Witness(), object(), object()
    plan = PlanBuilder().step("a", "look").step("each", "look", for_each=[1, 2], n="{{item}}").build()
    run(plan, witness.tool(), deps=deps, worker_model=model, run_id="run-7")
    assert [("a", None), ("each", 0), ("each", 1)] == [(c.step_id, c.index) for c in witness.seen]
    assert {"run-7"} == {c.run_id for c in witness.seen}
    assert {1} == {c.attempt for c in witness.seen}
    assert all(c.deps is deps and c.worker_model is model for c in witness.seen)


def test_a_context_after_its_call() -> None:
    """A tool that keeps its context sees that the call is over."""
    witness = Witness()
    run(PlanBuilder().step("a", "look").build(), witness.tool())
    assert witness.seen[0].cancelled


def test_idempotency_keys() -> None:
    """The same for every attempt of a step or element and for the same run; different for everything else."""
    plan = PlanBuilder().step("a", "look").step("b", "look").step("each", "look", for_each=[1, 2], n="{{item}}").build()

    def keys(run_id: str) -> dict[tuple[str, int | None], list[str]]:
        witness = Witness()
        assert "succeeded" == run(plan, witness.tool(failures=2), run_id=run_id).status
        found: dict[tuple[str, int | None], list[str]] = {}
        for context in witness.seen:
            found.setdefault((context.step_id, context.index), []).append(context.idempotency_key)
        return found

    first = keys("run-1")
    assert {("a", None), ("b", None), ("each", 0), ("each", 1)} == first.keys()
    assert {3} == {len(tries) for tries in first.values()}
    assert {1} == {len(set(tries)) for tries in first.values()}
    assert 4 == len({tries[0] for tries in first.values()})
    assert first == keys("run-1")
    assert not {k[0] for k in first.values()} & {k[0] for k in keys("run-2").values()}


def test_attempts_are_counted() -> None:
    """The context says which attempt it is."""
    witness = Witness()
    run(PlanBuilder().step("a", "look").build(), witness.tool(failures=2))
    assert [1, 2, 3] == [context.attempt for context in witness.seen]


def test_the_run_has_a_folder_of_its_own() -> None:
    """All steps of a run share one folder, which goes with the run."""
    folders: list[Path] = []

    async def write(context: ToolContext) -> str:
        folders.append(context.workdir)
        (context.workdir / "shared.txt").write_text("from " + context.step_id)
        return context.step_id

    async def read(context: ToolContext) -> str:
        return (context.workdir / "shared.txt").read_text()

    plan = PlanBuilder().step("a", "write").step("b", "read", after=["a"]).build()
    for _ in range(2):
        assert "from a" == run(plan, tool_of(write), tool_of(read)).answer
    assert 2 == len(set(folders))
    assert not any(folder.exists() for folder in folders)


def test_the_callers_folder_stays(tmp_path: Path) -> None:
    """A folder that the caller gives is made when it is used, and left alone."""
    folder = tmp_path / "new" / "folder"

    async def write(context: ToolContext) -> str:
        (context.workdir / "file.txt").write_text("x")
        return str(context.workdir)

    run(PlanBuilder().step("a", "work").build(), ScriptedTool("work").tool, workdir=folder)
    assert not folder.exists()
    assert str(folder) == run(PlanBuilder().step("a", "write").build(), tool_of(write), workdir=str(folder)).answer
    assert ["file.txt"] == [path.name for path in folder.iterdir()]


@pytest.mark.parametrize("run_in", ["loop", "thread"])
def test_progress_becomes_events(run_in: str) -> None:
    """What a tool reports arrives in order, from the loop and from a thread, and not after its end."""
    kept: list[ToolContext] = []

    def work(context: ToolContext) -> None:
        kept.append(context)
        for progress in (0.25, "half", 2, -1, float("nan")):
            context.report(progress)

    async def main() -> list[Any]:
        events: list[Any] = []
        tool = tool_of(work, run_in=run_in)
        plan = PlanBuilder().step("a", "work").build()
        await execute_plan(plan, [tool], on_event=lambda event: events.append(event))
        kept[0].report("too late")
        await asyncio.sleep(0)
        return events

    events = asyncio.run(main())
    assert [("a", 0.25), ("a", "half"), ("a", 1.0), ("a", 0.0)] == [
        (event.step_id, event.progress) for event in events if event.type == "step-progress"
    ]
    kept[0].report("the loop is closed")


def test_progress_from_a_thread_of_an_async_tool() -> None:
    """An async tool may hand its context to a thread: events still come from the loop's own thread."""
    threads: set[int] = set()

    async def work(context: ToolContext) -> None:
        await asyncio.to_thread(context.report, "from a thread")

    async def main() -> None:
        plan = PlanBuilder().step("a", "work").build()
        seen: list[Any] = []

        def on_event(event: Any) -> None:
            threads.add(threading.get_ident())
            seen.append(event.type)

        await execute_plan(plan, [tool_of(work)], on_event=on_event)
        assert "step-progress" in seen

    asyncio.run(main())
    assert {threading.get_ident()} == threads


def test_a_flood_of_progress_is_bounded() -> None:
    """A thread that reports without end cannot fill the memory: what the loop has no time for is dropped."""
    blocked = threading.Event()

    def chatty(context: ToolContext) -> None:
        for number in range(10_000):
            context.report(str(number))
        blocked.set()

    async def block() -> None:
        assert blocked.wait(60)

    _, events = asyncio.run(_collect(PlanBuilder().step("a", "chatty").step("b", "block").build(), chatty, block))
    progress = [event.progress for event in events if event.type == "step-progress"]
    assert len(progress) <= 10_000
    assert "9999" == progress[-1]


async def _collect(plan: Any, *functions: Any) -> tuple[RunResult, list[Any]]:
    events: list[Any] = []
    tools = [tool_of(function) for function in functions]
    return await execute_plan(plan, tools, on_event=lambda event: events.append(event)), events


# ---- context variables -----------------------------------------------------------------------------------


@pytest.mark.parametrize("run_in", ["loop", "thread"])
def test_context_variables_of_the_caller_reach_every_tool(run_in: str) -> None:
    """Also those that start late: from a timer, after a thread, after a retry."""
    seen: list[str] = []

    def look(context: ToolContext) -> str:
        seen.append(CURRENT.get())
        if context.attempt == 1 and context.step_id == "b":
            raise ConnectionError("again")
        return context.step_id

    async def main() -> None:
        CURRENT.set("the caller")
        plan = PlanBuilder().step("a", "look").step("b", "look", after=["a"]).step("c", "look", after=["b"]).build()
        result = await execute_plan(plan, [tool_of(look, run_in=run_in)])
        assert "succeeded" == result.status

    asyncio.run(main())
    assert ["the caller"] * 4 == seen


def test_context_variables_of_a_tool_stay_its_own() -> None:
    """What one tool sets, no other tool, attempt, callback or listener sees."""
    seen: dict[str, list[str]] = {"tool": [], "event": [], "step": []}

    async def loud(context: ToolContext) -> str:
        seen["tool"].append(CURRENT.get())
        CURRENT.set(f"{context.step_id} {context.attempt}")
        if context.attempt == 1:
            raise ConnectionError("again")
        return context.step_id

    def loud_sync(context: ToolContext) -> str:
        seen["tool"].append(CURRENT.get())
        CURRENT.set(f"{context.step_id} {context.attempt}")
        return context.step_id

    async def on_step(result: Any) -> None:
        seen["step"].append(CURRENT.get())
        CURRENT.set("callback")

    def on_event(event: Any) -> None:
        seen["event"].append(CURRENT.get())
        CURRENT.set("listener")

    plan = (
        PlanBuilder()
        .step("a", "loud")
        .step("b", "loud_sync", after=["a"])
        .step("c", "loud", after=["b"])
        .step("each", "loud", for_each=[1, 2], after=["c"])
        .build()
    )
    clock = VirtualClock()

    async def main() -> None:
        CURRENT.set("caller")
        result = await execute_plan(
            plan,
            [tool_of(loud), tool_of(loud_sync, run_in="loop")],
            clock=clock,
            on_event=on_event,
            on_step_complete=on_step,
        )
        assert "succeeded" == result.status
        assert "caller" == CURRENT.get()

    clock.run(main())
    assert {"caller"} == {value for values in seen.values() for value in values}
    assert (9, 4) == (len(seen["tool"]), len(seen["step"]))


def test_no_aliases_between_steps() -> None:
    """Two steps that refer to the same value get two copies, nested ones too; literals are copied per attempt."""
    ids: list[int] = []

    async def take(value: Any, context: ToolContext) -> Any:
        ids.extend((id(value), id(value["nested"])))
        keep.append(value)
        value["nested"].append(context.attempt)
        if context.attempt == 1:
            raise ConnectionError("again")
        return value

    keep: list[Any] = []
    plan = (
        PlanBuilder()
        .step("lit", "take", value={"nested": [0]})
        .step("x", "take", value="{{lit.output}}")
        .step("y", "take", value={"nested": "{{lit.output.nested}}"})
        .step("each", "take", for_each=["{{lit.output}}", "{{lit.output}}"], value="{{item}}")
        .build()
    )
    result = run(plan, tool_of(take))
    assert "succeeded" == result.status
    assert len(ids) == len(set(ids))
    assert {"nested": [0, 2]} == result.steps["lit"].output
    assert [{"nested": [0, 2, 2]}] * 2 == [result.steps[name].output for name in "xy"]
    assert [{"nested": [0, 2, 2]}] * 2 == result.steps["each"].output
    assert {"value": {"nested": [0]}} == plan.steps[0].args


def test_events_carry_the_progress_of_elements() -> None:
    """Progress of an element names the element."""

    async def work(n: int, context: ToolContext) -> int:
        context.report(n)
        return n

    plan = PlanBuilder().step("each", "work", for_each=[0, 1], n="{{item}}").build()
    _, events = run_with_events(plan, tool_of(work))
    assert ["each[0]", "each[1]"] == [event.step_id for event in events if event.type == "step-progress"]


# ---- tasks -----------------------------------------------------------------------------------------------


class Odd:
    """A value that cannot be compared, as arrays and frames cannot."""

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        raise ValueError("neither true nor false")


@pytest.mark.parametrize("value", [Odd, list], ids=["not comparable", "equal"])
def test_context_variables_are_told_apart_by_what_they_are(value: type) -> None:
    """A tool's value is its own also when it equals the caller's, or cannot be compared with it."""
    variable: contextvars.ContextVar[Any] = contextvars.ContextVar("variable")
    seen: list[Any] = []

    async def change() -> None:
        seen.append(variable.get())
        variable.set(value())

    async def main() -> None:
        variable.set(value())
        plan = PlanBuilder().step("a", "change").step("b", "change", after=["a"]).build()
        assert "succeeded" == (await execute_plan(plan, [tool_of(change)])).status
        assert [id(variable.get())] * 2 == [id(one) for one in seen]

    asyncio.run(main())


def test_a_step_that_waits_has_a_task_of_its_own() -> None:
    """What a library ties to a task, a session or a cancellation, never reaches another step by way of it."""
    tasks: list[Any] = []

    async def wait() -> None:
        await asyncio.sleep(0)
        tasks.append(asyncio.current_task())

    plan = PlanBuilder()
    for number in range(20):
        plan.step(f"s{number}", "wait", after=[f"s{number - 1}"] if number else [])
    run(plan.build(), tool_of(wait))
    assert 20 == len(set(tasks))


def test_a_task_that_was_cancelled_late() -> None:
    """A tool that cancels its own task in its last moment, or later, hits no other step."""
    kept: list[Any] = []

    async def last_moment() -> None:
        asyncio.current_task().cancel()  # type: ignore[union-attr]

    async def at_once() -> None:
        asyncio.get_running_loop().call_later(0.5, asyncio.current_task().cancel)  # type: ignore[union-attr]

    async def later() -> None:
        await asyncio.sleep(1)
        kept.append(asyncio.current_task())

    async def cancel_kept() -> None:
        for task in kept:
            task.cancel()
        await asyncio.sleep(1)

    plan = (
        PlanBuilder()
        .step("a", "last_moment")
        .step("a2", "at_once", after=["a"])
        .step("b", "later", after=["a2"])
        .step("c", "later", after=["b"])
        .step("d", "cancel_kept", after=["c"])
        .step("e", "later", after=["d"])
        .build()
    )
    result = run(plan, tool_of(last_moment), tool_of(at_once), tool_of(later), tool_of(cancel_kept))
    assert "succeeded" == result.status, result.explain()


def test_tasks_of_other_makers() -> None:
    """A loop with a task factory of somebody's own, which knows nothing of `context=`, runs plans as well."""
    made: list[str] = []

    def factory(loop: Any, coroutine: Any) -> Any:
        made.append(coroutine.__name__)
        return asyncio.Task(coroutine, loop=loop)

    async def look() -> str:
        await asyncio.sleep(0)
        return CURRENT.get()

    async def main() -> Any:
        CURRENT.set("caller")
        asyncio.get_running_loop().set_task_factory(factory)
        plan = PlanBuilder().step("a", "look").step("b", "look", after=["a"]).build()
        return await execute_plan(plan, [tool_of(look)])

    result = asyncio.run(main())
    assert ("caller", "caller") == (result.steps["a"].output, result.steps["b"].output)
    assert ["_work", "_call_on_loop"] == [name for name in made if name in ("_work", "_call_on_loop")]


@pytest.mark.parametrize("ending", ["returns", "raises", "is cancelled and returns", "is cancelled twice"])
def test_a_call_that_waits_in_every_way(ending: str) -> None:
    """Awaits, exceptions and cancellations reach a tool where it waits, as they would in any task."""
    heard: list[str] = []

    async def inner() -> str:
        for _ in range(3):
            await asyncio.sleep(1)
        try:
            await asyncio.wait_for(asyncio.get_running_loop().create_future(), 1)
        except TimeoutError:
            heard.append("timeout")
        if ending == "raises":
            raise ValueError("at last")
        return "done"

    async def waits() -> str:
        for _ in range(2 if ending == "is cancelled twice" else 1):
            try:
                return await inner()
            except asyncio.CancelledError:
                heard.append("cancelled")
        if ending == "is cancelled and returns":
            return "anyway"
        return await inner()

    plan = PlanBuilder().step("a", "waits").build()
    cut_off = ending.startswith("is cancelled")
    step = run(plan, tool_of(waits, timeout_s=2 if cut_off else 100, retries=0)).steps["a"]
    if cut_off:
        assert ("failed", "timeout") == (step.status, step.error and step.error.kind)
        assert "cancelled" == heard[0]
    elif ending == "raises":
        assert ("failed", "ValueError: at last") == (step.status, step.error and step.error.message)
    else:
        assert ("done", 4_000, ["timeout"]) == (step.output, step.latency_ms, heard)
