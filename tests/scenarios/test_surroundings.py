"""Where runs are started from: notebooks, threads, callbacks, tools, other runs."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from planloom import Plan, RunResult, Tool, Toolbox, execute_plan
from planloom.engine.lane import MAX_IN_A_ROW
from planloom.testing import PlanBuilder, layered


def count(n: int) -> int:
    """Add one, on a thread."""
    return n + 1


async def count_async(n: int) -> int:
    """Add one, on the loop."""
    await asyncio.sleep(0)
    return n + 1


TOOLBOX = Toolbox([Tool.from_function(count), Tool.from_function(count_async)])
PLAN = (
    PlanBuilder()
    .step("a", "count", n=1)
    .step("b", "count_async", n="{{a.output}}")
    .step("c", "count", n="{{b.output}}")
    .build()
)


def test_several_runs_on_one_loop() -> None:
    """Runs of the same plan share nothing but the plan."""

    async def main() -> list[RunResult]:
        return await asyncio.gather(*(execute_plan(PLAN, TOOLBOX) for _ in range(50)))

    results = asyncio.run(main())
    assert {4} == {result.answer for result in results}
    assert 50 == len({result.run_id for result in results})


def test_runs_on_loops_in_several_threads() -> None:
    """One frozen plan runs on many loops at once."""
    together = threading.Barrier(8)

    def on_own_loop(_: int) -> list[Any]:
        together.wait(60)
        return [asyncio.run(execute_plan(PLAN, TOOLBOX)).answer for _ in range(5)]

    with ThreadPoolExecutor(8) as pool:
        assert [[4] * 5] * 8 == list(pool.map(on_own_loop, range(8)))


def test_a_run_inside_a_running_loop() -> None:
    """As in a notebook: the loop runs for ever and cells are awaited on it."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        for _ in range(3):
            assert 4 == asyncio.run_coroutine_threadsafe(execute_plan(PLAN, TOOLBOX), loop).result(60).answer
        assert set() == asyncio.all_tasks(loop)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def test_a_tool_that_runs_a_plan() -> None:
    """Tools may run plans themselves, on the loop and on a thread with a loop of its own."""

    async def nested(n: int) -> Any:
        return (await execute_plan(PLAN, TOOLBOX)).answer + n

    def nested_on_thread(n: int) -> Any:
        return asyncio.run(execute_plan(PLAN, TOOLBOX)).answer + n

    plan = PlanBuilder().step("x", "nested", n=10).step("y", "nested_on_thread", n="{{x.output}}").build()
    assert 18 == asyncio.run(execute_plan(plan, [nested, nested_on_thread])).answer


def test_steps_that_never_give_the_loop_back() -> None:
    """A plan whose steps all end without waiting still runs in order, and lets others on the loop have turns."""
    turns: list[int] = []

    async def ticker() -> None:
        while True:
            turns.append(1)
            await asyncio.sleep(0)

    async def main() -> RunResult:
        task = asyncio.ensure_future(ticker())
        result = await execute_plan(
            layered(50, 4), {"work": Tool.from_schema(name="work", parameters=None, function=work)}
        )
        task.cancel()
        return result

    async def work() -> None:
        pass

    assert "succeeded" == asyncio.run(main()).status
    assert len(turns) >= 200 // MAX_IN_A_ROW


def test_an_empty_plan() -> None:
    """A plan of no steps ends at once with its answer."""
    result = asyncio.run(execute_plan(Plan((), answer="nothing to do"), []))
    assert ("succeeded", "nothing to do", {}) == (result.status, result.answer, result.steps)


def test_everything_that_is_a_plan_and_a_toolbox() -> None:
    """Plans come as text, objects and lists; toolboxes as lists and dicts of functions."""
    for plan in (PLAN, PLAN.to_json(), PLAN.to_json().encode(), PLAN.to_dict(), [s.to_dict() for s in PLAN.steps]):
        for toolbox in (TOOLBOX, [count, count_async], {"count": count, "count_async": count_async}):
            assert 4 == asyncio.run(execute_plan(plan, toolbox)).answer


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_ctrl_c_ends_the_run_and_gives_its_result(tmp_path: Any) -> None:
    """With `asyncio.run`, the first Ctrl-C cancels the run, kills its processes, and the program goes on."""
    script = tmp_path / "interrupted.py"
    script.write_text(
        textwrap.dedent(
            """
            import asyncio, signal, time
            from planloom import execute_plan, tool

            signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background

            @tool(read_only=True)
            async def wait_on_loop() -> None:
                await asyncio.sleep(1000)

            @tool(read_only=True)
            def wait_on_thread() -> None:
                print("ready", flush=True)
                time.sleep(1000)

            @tool(read_only=True, run_in="process")
            def wait_in_process() -> None:
                time.sleep(1000)

            if __name__ == "__main__":
                tools = [wait_on_loop, wait_on_thread, wait_in_process]
                plan = [{"id": f"s{i}", "tool": each.name, "args": {}} for i, each in enumerate(tools)]
                result = asyncio.run(execute_plan(plan, tools))
                print(result.status, *(step.status for step in result.steps.values()), flush=True)
            """
        )
    )
    import os
    import signal

    process = subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stdout is not None
    try:
        assert "ready\n" == process.stdout.readline()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    except BaseException:
        process.kill()  # what is left running would fail the tests that come after
        process.communicate()
        raise
    assert "cancelled cancelled cancelled cancelled\n" == out, err
    assert 0 == process.returncode
