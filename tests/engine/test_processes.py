"""Processes for sync tools: contexts, types, the main module, and that nothing runs twice."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import process_tools
import pytest

from planloom import RunResult, Tool, Toolbox, execute_plan
from planloom.engine.processes import POOL, Worker
from planloom.testing import PlanBuilder, VirtualClock


@pytest.fixture(scope="module", autouse=True)
def end_processes() -> Iterator[None]:
    """End the processes that were kept for the next call."""
    yield
    POOL.close()


def execute(plan: Any, *tools: Any, **options: Any) -> RunResult:
    """Run on a real loop."""
    return asyncio.run(execute_plan(plan, Toolbox(tools), **options))


def test_a_context_in_another_process(tmp_path: Path) -> None:
    """Everything that is data crosses the border: ids, attempt, key, `deps`, the folder."""
    tool = Tool.from_function(process_tools.describe_context, run_in="process", idempotent=True)
    plan = PlanBuilder().step("each", "describe_context", for_each=["x", "y"], label="{{item}}").build()
    deps = process_tools.Deps("https://example.org", {"retries": 2})
    result = execute(plan, tool, deps=deps, workdir=tmp_path, run_id="run-7")
    assert "succeeded" == result.status, result.explain()
    first, second = result.steps["each"].output
    assert ("run-7", "each", 0, 1, "x", str(tmp_path)) == tuple(
        first[name] for name in ("run_id", "step_id", "index", "attempt", "label", "workdir")
    )
    assert first["idempotency_key"] != second["idempotency_key"]
    assert {"url": "https://example.org", "options": {"retries": 2}} == first["deps"]
    assert os.getpid() != first["pid"]
    assert "x" == (tmp_path / "0.txt").read_text()


def test_deps_that_cannot_cross() -> None:
    """`deps` that cannot be pickled fail the steps that need them, and say so."""
    tool = Tool.from_function(process_tools.describe_context, run_in="process")
    result = execute(PlanBuilder().step("a", "describe_context", label="x").build(), tool, deps=lambda: None)
    error = result.steps["a"].error
    assert error is not None
    assert "worker" == error.kind
    assert error.message.startswith("`deps` cannot go to another process: ")


@pytest.mark.parametrize("as_tool", [True, False], ids=["@tool", "function"])
def test_arguments_are_coerced_there_too(as_tool: bool) -> None:
    """A function gets the types that it names, whether its module holds the tool or the plain function."""
    tool = (
        process_tools.decorated_days_between
        if as_tool
        else Tool.from_function(process_tools.days_between, run_in="process", name="decorated_days_between")
    )
    plan = PlanBuilder().step(
        "a", "decorated_days_between", period={"start": "2024-02-01", "end": "2024-03-01"}, unit="day"
    )
    result = execute(plan.build(), tool)
    assert "29 day" == result.answer, result.explain()


def test_a_schema_from_elsewhere_is_not_coerced() -> None:
    """A tool made from a schema gets plain JSON, as it would here."""
    tool = Tool.from_schema(
        name="types",
        parameters={"type": "object", "properties": {"date": {"type": "string"}, "n": {"type": "number"}}},
        function=process_tools.types_of,
        run_in="process",
    )
    plan = PlanBuilder().step("a", "types", date="2024-02-01", n=1).build()
    assert {"date": "str", "n": "int"} == execute(plan, tool).answer


def test_retries_and_their_reasons_come_back() -> None:
    """`Retry`, its wait and passing errors mean the same as here; attempts are counted."""
    tool = Tool.from_function(process_tools.third_time_lucky, run_in="process", read_only=True)
    events: list[Any] = []
    result = execute(
        PlanBuilder().step("a", "third_time_lucky").build(), tool, on_event=lambda event: events.append(event)
    )
    assert ("succeeded", 3, 3) == (result.status, result.steps["a"].attempts, result.answer)
    assert [0.01, 0.02] == [event.delay_s for event in events if event.type == "step-retrying"]


def test_the_number_of_processes_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Process tools run in parallel, so many at once and not more."""
    monkeypatch.setattr("planloom.engine.slots.MAX_PROCESSES", 2)
    POOL.close()
    tool = Tool.from_function(process_tools.process_id, run_in="process", read_only=True)
    plan = PlanBuilder().step("each", "process_id", for_each=list(range(20)), n="{{item}}").build()
    pids = execute(plan, tool).answer
    assert (20, 2) == (len(pids), len(set(pids)))
    assert 2 == len(POOL._idle)


def test_a_process_in_virtual_time() -> None:
    """On a virtual clock a process call is made at once and takes no time."""
    tool = Tool.from_function(process_tools.process_id, run_in="process", read_only=True)
    result = VirtualClock().execute(PlanBuilder().step("a", "process_id", n=1).build(), [tool])
    assert ("succeeded", 0.0) == (result.status, result.duration_ms)


def test_a_cancelled_process_is_killed_with_its_children(tmp_path: Path) -> None:
    """Cancelling a run kills its processes and what they have started."""
    marker = tmp_path / "pids"

    async def main() -> RunResult:
        tool = Tool.from_function(process_tools.hang_with_a_child, run_in="process", read_only=True)
        plan = PlanBuilder().step("a", "hang_with_a_child", marker=str(marker)).build()
        task = asyncio.ensure_future(execute_plan(plan, [tool]))
        async with asyncio.timeout(60):
            while not marker.exists() or not marker.read_text().endswith("\n"):
                await asyncio.sleep(0.01)
        task.cancel()
        return await task

    result = asyncio.run(main())
    assert ("cancelled", "cancelled") == (result.status, result.steps["a"].status)
    for pid in map(int, marker.read_text().split()):
        assert not _is_running(pid)


def _is_running(pid: int) -> bool:
    status = Path(f"/proc/{pid}/stat")
    if not Path("/proc/self").exists():
        return False
    for _ in range(100_000):  # a killed process is a zombie until somebody reaps it
        if not status.exists() or status.read_text().rpartition(")")[2].split()[0] in "ZX":
            return False
        os.sched_yield()
    return True


def test_a_worker_that_died_while_idle_is_replaced() -> None:
    """Who kills an idle worker does not fail the next step."""
    tool = Tool.from_function(process_tools.process_id, run_in="process", read_only=True)
    plan = PlanBuilder().step("a", "process_id", n=1).build()
    POOL.close()
    first = execute(plan, tool).answer
    worker: Worker = POOL._idle[0]
    worker.kill()
    worker._process.wait()
    second = execute(plan, tool)
    assert "succeeded" == second.status
    assert first != second.answer


def test_no_process_can_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """The step fails with the system's reason."""
    tool = Tool.from_function(process_tools.process_id, run_in="process", read_only=True)
    POOL.close()
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    error = execute(PlanBuilder().step("a", "process_id", n=1).build(), tool).steps["a"].error
    assert error is not None
    assert "worker" == error.kind
    assert "no worker process could be started" in error.message


# ---- the main module -------------------------------------------------------------------------------------

SCRIPT = """
import asyncio, os, sys
from dataclasses import dataclass
from planloom import ToolContext, execute_plan, tool

@dataclass
class Deps:
    name: str

@tool(run_in="process", read_only=True)
def work(context: ToolContext) -> str:
    print("noise on stdout")
    return f"{context.deps.name} {type(context.deps).__name__} {os.getpid() != %(pid)s}"

async def main():
    result = await execute_plan([{"id": "a", "tool": "work", "args": {}}], [work], deps=Deps("mine"))
    print(result.explain())
    print(result.answer)

%(guard)s
    print("main runs", file=sys.stderr)
    asyncio.run(main())
"""


def run_script(tmp_path: Path, guard: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run a script that is its own tool module."""
    script = tmp_path / "own_tools.py"
    script.write_text(textwrap.dedent(SCRIPT) % {"pid": "os.getppid()", "guard": guard})
    target = ["-m", "own_tools"] if options else [str(script)]
    return subprocess.run(
        [sys.executable, *target],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("options", [(), ("-m",)], ids=["file", "module"])
def test_tools_and_deps_of_the_main_module(tmp_path: Path, options: tuple[str, ...]) -> None:
    """A script may hold its own process tools and the classes of its `deps`; its main part runs once."""
    done = run_script(tmp_path, 'if __name__ == "__main__":', *options)
    assert done.stdout.endswith("mine Deps True\n"), done.stderr + done.stdout
    assert 1 == done.stderr.count("main runs")
    assert "noise" not in done.stdout


def test_a_script_without_a_guard_does_not_run_for_ever(tmp_path: Path) -> None:
    """A script that starts its run while it is loaded fails with the line that is missing, and forks no bombs."""
    done = run_script(tmp_path, "if True:")
    assert "`work`" in done.stdout or "step `a` failed" in done.stdout, done.stderr
    assert 'if __name__ == "__main__":' in done.stdout
    assert done.stderr.count("main runs") <= 2
