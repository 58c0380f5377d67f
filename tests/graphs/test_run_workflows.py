"""56 runs of real scientific workflows: optimal without a limit, better than a plain queue with one."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest
from graph_data import read_lines
from list_schedule import critical_path_s, first_come_first_served_s

from planloom import Plan, Step, Tool, Toolbox
from planloom.testing import VirtualClock

SLOTS = (4, 16, 64)


async def work(seconds: float) -> None:
    """Take so long."""
    await asyncio.sleep(seconds)


WORK = Tool.from_function(work, timeout_s=360 * 24 * 3600)


class Workflow:
    """One real run as a plan: a tool per distinct run time, since a tool says how long it is expected to take."""

    def __init__(self, row: dict[str, Any]) -> None:
        self.name: str = row["id"]
        tasks = row["tasks"]
        index = {task[0]: position for position, task in enumerate(tasks)}
        self.parents = [[index[parent] for parent in task[2]] for task in tasks]
        self.takes_s = [float(task[3]) for task in tasks]
        self.critical_path_s: float = row["critical_path_s"]
        self.plan = Plan(
            tuple(
                Step(f"t{i}", tool_name(seconds), {"seconds": seconds}, [f"t{parent}" for parent in self.parents[i]])
                for i, seconds in enumerate(self.takes_s)
            )
        )
        self.toolbox = Toolbox(
            WORK.with_facts(name=tool_name(seconds), expected_s=seconds or 1e-9) for seconds in set(self.takes_s)
        )

    def run_s(self, slots: int | None) -> float:
        """Return the virtual seconds that a run takes."""
        result = VirtualClock().execute(self.plan, self.toolbox, max_concurrency=slots)
        assert "succeeded" == result.status
        return result.duration_ms / 1_000


def tool_name(seconds: float) -> str:
    """Return the name of the tool that takes so long."""
    return f"work-{seconds!r}"


@pytest.fixture(scope="module")
def workflows() -> list[Workflow]:
    """All runs that were measured."""
    return [Workflow(row) for row in read_lines("wfcommons.jsonl")]


def test_without_a_limit_a_run_takes_its_critical_path(workflows: list[Workflow]) -> None:
    """Every real workflow, of 5 to 2,122 tasks, ends exactly when its longest path does."""
    assert 56 == len(workflows)
    assert (5, 2_122) == (min(len(w.takes_s) for w in workflows), max(len(w.takes_s) for w in workflows))
    late = {
        workflow.name: (workflow.critical_path_s, took_s)
        for workflow in workflows
        if not math.isclose(workflow.critical_path_s, took_s := workflow.run_s(None), rel_tol=1e-9)
    }
    assert {} == late


def test_the_data_agree_with_the_critical_path_found_here(workflows: list[Workflow]) -> None:
    """The critical path that the data give is the longest path of the graph they give."""
    assert [w.critical_path_s for w in workflows] == pytest.approx(
        [critical_path_s(w.parents, w.takes_s) for w in workflows], rel=1e-9
    )


@pytest.mark.parametrize("slots", SLOTS)
def test_with_a_limit_the_longest_path_first_beats_a_queue(workflows: list[Workflow], slots: int) -> None:
    """Under a limit a run ends earlier than first come, first served on average, and is never 2 % later."""
    gains: dict[str, float] = {}
    for workflow in workflows:
        queue_s = first_come_first_served_s(workflow.parents, workflow.takes_s, slots)
        gains[workflow.name] = 1 - workflow.run_s(slots) / queue_s
    mean = sum(gains.values()) / len(gains)
    worst = min(gains, key=gains.__getitem__)
    best = max(gains, key=gains.__getitem__)
    print(
        f"\n{slots} slots: {mean:.2%} earlier on average, "
        f"best {gains[best]:.2%} ({best}), worst {gains[worst]:.2%} ({worst})"
    )
    assert mean > 0
    assert gains[worst] >= -0.02, worst
