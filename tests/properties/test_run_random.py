"""Random runs: whatever fails, hangs, skips or waits, the rules of a run hold at every moment."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import random_runs
from hypothesis import given, settings
from hypothesis import strategies as st
from random_runs import random_plan, run_random

from planloom import Plan, RunResult
from planloom.plan.graph import graph_of
from planloom.plan.state import TRANSITIONS, StepStatus

ENDS = {"step-succeeded", "step-failed", "step-skipped", "step-cancelled", "step-unknown"}
S = StepStatus

RUNS = {
    "seed": st.integers(0, 10**6),
    "count": st.one_of(st.integers(1, 40), st.integers(40, 300)),
    "trouble": st.sampled_from([0.0, 0.1, 0.5, 1.0]),
    "limit": st.sampled_from([None, 1, 3, 16]),
    "tool_limit": st.sampled_from([None, 1, 2]),
}


@settings(max_examples=120, deadline=None, derandomize=True)
@given(**RUNS, timeout_s=st.sampled_from([None, None, 0.5, 7.0, 30.0]))
def test_the_rules_of_a_run(
    seed: int, count: int, trouble: float, limit: int | None, tool_limit: int | None, timeout_s: float | None
) -> None:
    """Order, attempts, limits, states and events are right in every run, and every run ends."""
    plan = random_plan(seed, count, trouble)
    result, events, trace = run_random(plan, seed, limit, tool_limit, timeout_s)
    check_order(plan, events)
    check_attempts(plan, result, events, trace)
    check_states(plan, result, events)
    check_statuses(plan, result)
    assert trace.most.get("all", 0) <= (limit or 10**9)
    assert trace.most.get("narrow", 0) <= (tool_limit or 10**9)
    assert not any(trace.now.values())
    assert list(range(1, len(events) + 1)) == [event.seq for event in events]
    assert "run-finished" == events[-1].type


def step_of(event: Any) -> str:
    """The id of the step, for an event of an element too."""
    return event.step_id.partition("[")[0]


def check_order(plan: Plan, events: list[Any]) -> None:
    """No step starts before all it depends on has ended well."""
    graph = graph_of(plan)
    well: set[str] = set()
    for event in events:
        if event.type in ("step-started", "step-expanded"):
            needed = {graph.ids[i] for i in graph.dependencies[graph.index[step_of(event)]]}
            assert needed <= well, event
        elif event.type == "step-succeeded" or (event.type == "step-skipped" and event.error is None):
            well.add(event.step_id)


def check_attempts(plan: Plan, result: RunResult, events: list[Any], trace: Any) -> None:
    """Each unit makes its attempts one after another, counted from 1, and no more than it may."""
    attempts: dict[tuple[str, int | None], list[int]] = {}
    for step_id, index, attempt, _ in trace.calls:
        attempts.setdefault((step_id, index), []).append(attempt)
    for (step_id, index), made in attempts.items():
        step = plan.step(step_id)
        tool_retries = 0 if step.tool == "effect" else 2
        assert list(range(1, len(made) + 1)) == made
        assert len(made) <= 1 + (tool_retries if step.retries is None else min(step.retries, tool_retries))
        found = result.steps[step_id] if index is None else result.steps[step_id].elements[index]
        assert len(made) <= found.attempts <= len(made) + 1  # one more when it was cut off before its first step
    started = [event.step_id for event in events if event.type == "step-started"]
    assert len(started) == sum(
        sum(element.attempts for element in step.elements) if step.elements else step.attempts
        for step in result.steps.values()
    )


def check_states(plan: Plan, result: RunResult, events: list[Any]) -> None:
    """Each step and element takes only the ways that the table of states allows, and ends at most once."""
    states = {step.id: S.PENDING for step in plan.steps}
    ends: dict[str, int] = {}
    for event in events:
        if event.step_id is None:
            continue
        unit = event.step_id
        state = states.setdefault(unit, S.PENDING)
        path = {
            "step-expanded": (S.READY, S.RUNNING),
            "step-started": (S.RUNNING,) if state is S.READY else (S.READY, S.RUNNING),
            "step-retrying": (S.READY,),
            "step-succeeded": (S.SUCCEEDED,),
            "step-failed": (S.FAILED,),
            "step-skipped": (S.SKIPPED,),
            "step-cancelled": (S.CANCELLED,),
            "step-unknown": (S.UNKNOWN,),
        }[event.type]
        for following in path:
            assert following in TRANSITIONS[state], (unit, state, following)
            state = following
        states[unit] = state
        ends[unit] = ends.get(unit, 0) + (event.type in ENDS)
    assert {1} >= set(ends.values())
    assert {step_id: step.status for step_id, step in result.steps.items()} == {
        step.id: states[step.id] for step in plan.steps
    }
    for step_id, step in result.steps.items():
        for index, element in enumerate(step.elements):
            assert element.status is states[f"{step_id}[{index}]"]


def check_statuses(plan: Plan, result: RunResult) -> None:
    """The run's status and each step's error follow from how the steps ended."""
    graph = graph_of(plan)
    statuses = [result.steps[name].status for name in graph.ids]
    for position, name in enumerate(graph.ids):
        step = result.steps[name]
        above = {statuses[i] for i in graph.dependencies[position]}
        if step.status is S.PENDING:
            assert above & {S.PENDING, S.UNKNOWN}
            assert (None, 0) == (step.error, step.attempts)
        elif step.status is S.SKIPPED:
            assert (step.error is None) == (step.reason is not None and "failed" not in step.reason)
            assert step.attempts == 0
        elif step.status is S.SUCCEEDED:
            assert step.error is None
            assert (
                step.output["of"] == name
                if not isinstance(step.output, list)
                else len(step.output) == len(step.elements)
            )
        else:
            assert step.error is not None
    if result.error is not None:
        assert ("waiting" if S.UNKNOWN in statuses else "failed", "timeout") == (result.status, result.error.kind)
        assert S.PENDING not in statuses
    elif S.UNKNOWN in statuses:
        assert "waiting" == result.status
    else:
        assert ("failed" if S.FAILED in statuses else "succeeded") == result.status
        assert {S.SUCCEEDED, S.FAILED, S.SKIPPED} >= set(statuses)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(**RUNS)
def test_the_same_seed_gives_the_same_events(
    seed: int, count: int, trouble: float, limit: int | None, tool_limit: int | None
) -> None:
    """Two runs of one plan with one seed are equal to the last event, times included."""
    plan = random_plan(seed, count, trouble)
    first, second = (run_random(plan, seed, limit, tool_limit) for _ in range(2))
    assert [event.to_dict() for event in first[1]] == [event.to_dict() for event in second[1]]
    assert first[2].calls == second[2].calls


@settings(max_examples=25, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10**6), count=st.integers(1, 120))
def test_without_limits_and_trouble_a_run_takes_its_critical_path(seed: int, count: int) -> None:
    """When nothing fails and nothing is limited, the longest path is how long it takes."""
    plan = random_plan(seed, count, 0.0)
    result, _, _ = run_random(plan, seed, None, None)
    graph = graph_of(plan)
    longest = max(graph.remaining([step.args["takes_s"] for step in plan.steps]))
    assert ("succeeded", pytest.approx(longest * 1_000)) == (result.status, result.duration_ms)


@pytest.mark.slow
def test_events_do_not_depend_on_the_hash_seed() -> None:
    """The same runs in other processes, with other hash seeds, have the same events."""
    digests = {
        subprocess.run(
            [sys.executable, str(Path(random_runs.__file__))],
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        ).stdout
        for hash_seed in ("0", "1", "4242")
    }
    assert 1 == len(digests)
    assert 64 == len(digests.pop())
