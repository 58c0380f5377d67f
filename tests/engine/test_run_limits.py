"""How many calls run at once, and which go first."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from engine_cases import run, tool_of

from planloom import Plan, Step, Tool, UsageError
from planloom.engine.slots import MAX_THREADS
from planloom.plan.graph import build_graph
from planloom.plan.schedule import Schedule
from planloom.plan.state import TRANSITIONS, StepStatus, TransitionError, next_status
from planloom.testing import PlanBuilder, ScriptedTool, fan


class Gauge:
    """Counts calls under way, by tool, and remembers the most and the order of the starts."""

    def __init__(self) -> None:
        self.now: dict[str, int] = {}
        self.most: dict[str, int] = {}
        self.total = 0
        self.most_total = 0
        self.order: list[str] = []

    def tool(self, name: str, seconds: float = 1.0, **facts: Any) -> Tool:
        """An async tool that takes so long and is counted."""

        async def work(label: str = "") -> str:
            self.order.append(label or name)
            self.now[name] = self.now.get(name, 0) + 1
            self.total += 1
            self.most[name] = max(self.most.get(name, 0), self.now[name])
            self.most_total = max(self.most_total, self.total)
            await asyncio.sleep(seconds)
            self.now[name] -= 1
            self.total -= 1
            return label

        return tool_of(work, name=name, **facts)


@pytest.mark.parametrize(("limit", "takes_s"), [(None, 1), (1, 12), (5, 3), (12, 1), (100, 1)], ids=str)
def test_limit_of_the_run(limit: int | None, takes_s: int) -> None:
    """`max_concurrency` bounds the calls of the whole run; None is no bound for async tools."""
    gauge = Gauge()
    builder = PlanBuilder()
    for number in range(6):
        builder.step(f"s{number}", "a").step(f"each{number}", "b", for_each=[str(number)], label="{{item}}")
    result = run(builder.build(), gauge.tool("a"), gauge.tool("b"), max_concurrency=limit)
    assert ("succeeded", takes_s * 1_000) == (result.status, result.duration_ms)
    assert min(limit or 12, 12) == gauge.most_total


@pytest.mark.parametrize("limit", [0, -1, 1.5, True, "4"], ids=str)
def test_a_limit_that_is_none(limit: Any) -> None:
    """What is no whole number above 0 is the caller's mistake."""
    with pytest.raises(UsageError, match="max_concurrency is a whole number above 0"):
        run([], ScriptedTool("a").tool, max_concurrency=limit)


def test_limit_of_a_tool_holds_up_nobody_else() -> None:
    """A tool at its own limit waits; every other tool goes on, whatever its priority."""
    gauge = Gauge()
    builder = PlanBuilder()
    for number in range(8):
        builder.step(f"n{number}", "narrow", label=f"n{number}")
    for number in range(8):
        builder.step(f"w{number}", "wide", label=f"w{number}")
    tools = [gauge.tool("narrow", 10, max_concurrency=2, expected_s=100), gauge.tool("wide", 1, expected_s=1)]
    result = run(builder.build(), *tools)
    assert {"narrow": 2, "wide": 8} == gauge.most
    assert 40_000 == result.duration_ms
    assert all(result.steps[f"w{number}"].ended_s == 1 for number in range(8))


def test_limits_of_run_and_tool_together() -> None:
    """Under both limits the free slots of the run go to whoever may use them."""
    gauge = Gauge()
    builder = PlanBuilder()
    for number in range(6):
        builder.step(f"n{number}", "narrow").step(f"w{number}", "wide")
    tools = [gauge.tool("narrow", 1, max_concurrency=1, expected_s=9), gauge.tool("wide", 1)]
    result = run(builder.build(), *tools, max_concurrency=3)
    assert (3, 1, 6_000) == (gauge.most_total, gauge.most["narrow"], result.duration_ms)
    assert 3_000 == 1_000 * max(result.steps[f"w{number}"].ended_s or 0 for number in range(6))


def test_waiting_for_another_try_holds_no_slot() -> None:
    """While one step waits for its next attempt, another has its slot."""
    flaky = ScriptedTool("flaky", [ConnectionError("down"), "there"], takes_s=1, read_only=True)
    work = ScriptedTool("work", takes_s=0.1, read_only=True)
    plan = PlanBuilder().step("a", "flaky").step("b", "work").step("c", "work").build()
    result = run(plan, flaky.tool, work.tool, max_concurrency=1)
    assert [1.0, 1.1] == [call.at_s for call in work.calls]
    assert (2, "succeeded") == (result.steps["a"].attempts, result.status)


def test_the_parent_of_a_for_each_holds_no_slot() -> None:
    """Only elements hold slots: a step with `for_each` runs even with one."""
    work = ScriptedTool("work", takes_s=1, read_only=True)
    plan = PlanBuilder().step("a", "work", for_each=[1, 2, 3], n="{{item}}").build()
    assert 3_000 == run(plan, work.tool, max_concurrency=1).duration_ms


def test_the_longest_remaining_path_goes_first() -> None:
    """Under a limit, the ready step with the longest way to the end starts, by expected seconds."""
    gauge = Gauge()
    tools = [gauge.tool("quick", 1, expected_s=1), gauge.tool("slow", 50, expected_s=50)]
    plan = Plan(
        (
            Step("short", "quick", {"label": "short"}),
            Step("long", "slow", {"label": "long"}),
            Step("first", "quick", {"label": "first"}),
            Step("then", "slow", {"label": "then"}, ["first"]),
        )
    )
    run(plan, *tools, max_concurrency=1)
    assert ["first", "long", "then", "short"] == gauge.order


def test_without_expected_seconds_the_number_of_steps_decides() -> None:
    """When no tool says how long it takes, the longest chain of steps goes first; ties go by position."""
    gauge = Gauge()
    plan = Plan(
        (
            Step("x", "w", {"label": "x"}),
            Step("y", "w", {"label": "y"}),
            Step("a1", "w", {"label": "a1"}),
            Step("a2", "w", {"label": "a2"}, ["a1"]),
            Step("a3", "w", {"label": "a3"}, ["a2"]),
        )
    )
    run(plan, gauge.tool("w"), max_concurrency=1)
    assert ["a1", "a2", "x", "y", "a3"] == gauge.order


@pytest.mark.parametrize(("limit", "most"), [(None, MAX_THREADS), (70, MAX_THREADS), (3, 3)], ids=str)
def test_width_of_the_threads(limit: int | None, most: int) -> None:
    """Sync tools run on as many threads as there is work for, up to 64."""
    inside, at_most = 0, 0
    lock = threading.Lock()
    full = threading.Barrier(most)

    def work() -> None:
        nonlocal inside, at_most
        with lock:
            inside += 1
            at_most = max(at_most, inside)
        full.wait(60)  # so many must be inside at once before one may leave
        with lock:
            inside -= 1

    plan = Plan(tuple(Step(f"s{number}", "work") for number in range(most * 2)))
    result = asyncio.run(_execute(plan, tool_of(work), limit))
    assert ("succeeded", most) == (result.status, at_most)


async def _execute(plan: Plan, tool: Tool, limit: int | None) -> Any:
    from planloom import execute_plan

    return await execute_plan(plan, [tool], max_concurrency=limit)


def test_threads_and_a_limited_tool_together() -> None:
    """A limited tool on threads does not keep the others from using all the threads there are."""
    inside: dict[str, int] = {"narrow": 0, "wide": 0}
    most: dict[str, int] = {"narrow": 0, "wide": 0}
    lock = threading.Lock()
    full = threading.Barrier(MAX_THREADS - 1)

    def count(name: str) -> None:
        with lock:
            inside[name] += 1
            most[name] = max(most[name], inside[name])
        if name == "wide":
            full.wait(60)
        with lock:
            inside[name] -= 1

    def narrow() -> None:
        count("narrow")

    def wide() -> None:
        count("wide")

    steps = [Step(f"n{number}", "narrow") for number in range(100)]
    steps += [Step(f"w{number}", "wide") for number in range((MAX_THREADS - 1) * 3)]
    tools = [tool_of(narrow, max_concurrency=1, expected_s=9), tool_of(wide)]

    async def main() -> Any:
        from planloom import execute_plan

        return await execute_plan(Plan(tuple(steps)), tools)

    assert "succeeded" == asyncio.run(main()).status
    assert 1 == most["narrow"]
    assert MAX_THREADS - 1 <= most["wide"] <= MAX_THREADS


# ---- the schedule itself, without a loop -----------------------------------------------------------------


def schedule_of(plan: Plan, **options: Any) -> Schedule:
    """A schedule over a plan's graph, every step worth one second."""
    graph = build_graph(plan.steps)
    schedule = Schedule(graph, [1.0] * len(plan.steps), **options)
    schedule.enqueue(schedule.roots())
    return schedule


def test_a_free_slot_is_never_left_idle() -> None:
    """With groups that overlap, whoever can use a free slot gets it, though others wait for another group."""
    plan = Plan(tuple(Step(f"s{number}", "t") for number in range(6)))
    both, pool = ("x", "pool"), ("pool",)
    schedule = schedule_of(plan, groups=[both, both, both, pool, pool, pool], limits={"x": 1, "pool": 2})
    assert [0, 3] == [unit.position for unit in iter(schedule.take, None)]
    schedule.release(3)
    assert [4] == [unit.position for unit in iter(schedule.take, None)]
    schedule.release(0)
    assert [1] == [unit.position for unit in iter(schedule.take, None)]
    schedule.release(4)
    assert [5] == [unit.position for unit in iter(schedule.take, None)]
    schedule.release(5)
    assert [] == list(iter(schedule.take, None))
    schedule.release(1)
    assert [2] == [unit.position for unit in iter(schedule.take, None)]


def test_dropping_the_queue() -> None:
    """What was queued comes back in order, and nothing is left to take."""
    schedule = schedule_of(fan(5), groups=[("g",)] * 7, limits={"g": 1})
    assert [0] == [unit.position for unit in schedule.drop_queue()]
    assert schedule.take() is None
    assert list(range(7)) == schedule.open_steps()


def test_the_table_of_states_is_the_whole_truth() -> None:
    """Every change that the table does not name raises, with what would be allowed."""
    for current in StepStatus:
        for following in StepStatus:
            if following in TRANSITIONS[current]:
                assert following is next_status(current, following)
            else:
                with pytest.raises(TransitionError, match=f"a step that is {current} cannot become {following}"):
                    next_status(current, following)
    assert set(StepStatus) == TRANSITIONS.keys()
