"""Random plans that break: what is healthy goes on untouched, what is finished ran once, and every run ends."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_replans import RandomReplanner, broken_plan, play

from planloom import Plan, RunResult
from planloom.plan.graph import graph_of
from planloom.plan.state import END_STATUSES, TRANSITIONS, StepStatus

S = StepStatus
PATHS = {
    "step-expanded": (S.READY, S.RUNNING),
    "step-retrying": (S.READY,),
    "step-held": (S.HELD,),
    "step-succeeded": (S.SUCCEEDED,),
    "step-failed": (S.FAILED,),
    "step-skipped": (S.SKIPPED,),
    "step-cancelled": (S.CANCELLED,),
    "step-unknown": (S.UNKNOWN,),
}
RUNS = {
    "seed": st.integers(0, 10**6),
    "count": st.integers(10, 50),
    "failures": st.integers(1, 3),
    "takes_s": st.sampled_from([0.0, 0.5, 1.7, 20.0]),
    "limit": st.sampled_from([None, None, 1, 3]),
    "tool_limit": st.sampled_from([None, 1]),
}


def check_events(plan: Plan, result: RunResult, events: list[Any]) -> None:
    """Each step goes only the ways of the table, begins after all it needs, and ends once, until it is replaced."""
    states: dict[str, S] = {}
    needs = needs_of(plan)
    for event in events:
        if event.type == "replanned":
            for gone in event.replaced:
                for unit in [unit for unit in states if gone == unit.partition("[")[0]]:
                    del states[unit]
            needs = needs_of(event.plan)
        if event.step_id is None or event.type.startswith("replan"):
            continue
        state, unit = states.get(event.step_id, S.PENDING), event.step_id
        start = (S.RUNNING,) if state is S.READY else (S.READY, S.RUNNING)
        for following in start if event.type == "step-started" else PATHS[event.type]:
            assert following in TRANSITIONS[state], (event, state)
            state = following
        states[unit] = state
        if event.type in ("step-started", "step-expanded"):
            well = {name for name, status in states.items() if status in (S.SUCCEEDED, S.SKIPPED)}
            assert needs[unit.partition("[")[0]] <= well, event
    assert list(range(1, len(events) + 1)) == [event.seq for event in events]
    assert "run-finished" == events[-1].type
    assert {name: step.status for name, step in result.steps.items()} == {
        name: states.get(name, S.PENDING) for name in result.steps
    }


def needs_of(plan: Plan) -> dict[str, set[str]]:
    """The ids of what each step depends on."""
    graph = graph_of(plan)
    return {name: {graph.ids[i] for i in graph.dependencies[place]} for place, name in enumerate(graph.ids)}


def check_once(events: list[Any], trace: Any, told: list[Any]) -> None:
    """Every finished step ran exactly once; only what failed is under way again, as another step."""
    replaced = Counter(name for event in events if event.type == "replanned" for name in event.replaced)
    succeeded = Counter(event.step_id for event in events if event.type == "step-succeeded")
    for unit, times in succeeded.items():
        step_id, _, element = unit.partition("[")
        assert times <= 1 + (replaced[step_id] if element else 0), unit
    assert len(trace.calls) == sum(1 for event in events if event.type == "step-started")
    ends = Counter((step_id, result.status) for step_id, result in told)
    assert all(times == 1 for (_, status), times in ends.items() if status is S.SUCCEEDED)
    assert not any(trace.now.values())


def starts(events: list[Any], until: float) -> Counter[tuple[str, float]]:
    """What was started before a moment, and when."""
    return Counter((event.step_id, event.at) for event in events if event.type == "step-started" and event.at < until)


def check_healthy(events: list[Any], alone: list[Any], limit: int | None, tool_limit: int | None) -> None:
    """Without limits each healthy step starts when it would have without a replanner; with limits until the merge."""
    assert not any(event.type == "step-cancelled" for event in events)
    merged_at = min((event.at for event in events if event.type == "replanned"), default=float("inf"))
    assert starts(alone, merged_at) == starts(events, merged_at)
    if limit is None and tool_limit is None:
        assert starts(alone, float("inf")) <= starts(events, float("inf"))


@settings(max_examples=150, deadline=None, derandomize=True)
@given(**RUNS, with_retries=st.booleans(), fails_again=st.sampled_from([0.0, 0.0, 0.1, 0.4]))
def test_what_is_broken_is_replaced_and_nothing_else(
    seed: int,
    count: int,
    failures: int,
    takes_s: float,
    limit: int | None,
    tool_limit: int | None,
    with_retries: bool,
    fails_again: float,
) -> None:
    """One to three steps fail for good, and some of their replacements: the run succeeds, or says what was refused."""
    plan = broken_plan(seed, count, failures, with_retries)
    replanner = RandomReplanner(seed, takes_s, fails_again)
    result, events, trace, told = play(plan, replanner, limit, tool_limit)
    check_events(plan, result, events)
    check_once(events, trace, told)
    refused = [event for event in events if event.type == "replan-refused"]
    assert all("enough" == event.message for event in refused)
    assert ("failed" if refused else "succeeded") == result.status
    assert (
        result.replans
        == sum(1 for event in events if event.type == "replanned")
        == (len(replanner.requests) - len(refused))
    )
    assert {step.status for step in result.steps.values()} <= {S.SUCCEEDED, S.SKIPPED, S.FAILED}
    assert trace.most.get("all", 0) <= (limit or 10**9)
    assert trace.most.get("narrow", 0) <= (tool_limit or 10**9)
    if not with_retries:
        _, alone, _, _ = play(plan, None, limit, tool_limit)
        check_healthy(events, alone, limit, tool_limit)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(**RUNS, refuses=st.sampled_from([0.3, 0.7]), cancel_at_s=st.sampled_from([None, 0.0, 1.0, 1.7, 3.3, 8.0, 25.0]))
def test_refusals_and_cancellations(
    seed: int,
    count: int,
    failures: int,
    takes_s: float,
    limit: int | None,
    tool_limit: int | None,
    refuses: float,
    cancel_at_s: float | None,
) -> None:
    """Whatever is refused, and whenever it is cancelled, the run ends whole, and at once."""
    plan = broken_plan(seed, count, failures, True)
    replanner = RandomReplanner(seed, takes_s, 0.3, refuses)
    result, events, trace, told = play(plan, replanner, limit, tool_limit, cancel_at_s=cancel_at_s)
    check_events(plan, result, events)
    check_once(events, trace, told)
    assert [step.id for step in result.plan.steps] == list(result.steps)
    statuses = {step.status for step in result.steps.values()}
    if "cancelled" == result.status:
        assert cancel_at_s is not None
        assert cancel_at_s * 1_000 == pytest.approx(result.duration_ms)
        assert statuses <= END_STATUSES
    else:
        assert statuses <= {S.SUCCEEDED, S.SKIPPED, S.FAILED}
        assert ("failed" if S.FAILED in statuses else "succeeded") == result.status


@settings(max_examples=20, deadline=None, derandomize=True)
@given(**RUNS, fails_again=st.sampled_from([0.0, 0.3]))
def test_the_same_seed_gives_the_same_events(
    seed: int, count: int, failures: int, takes_s: float, limit: int | None, tool_limit: int | None, fails_again: float
) -> None:
    """Two runs are equal to the last event, plans and times included."""
    plan = broken_plan(seed, count, failures, True)
    first, second = (play(plan, RandomReplanner(seed, takes_s, fails_again), limit, tool_limit) for _ in range(2))
    assert [event.to_dict() for event in first[1]] == [event.to_dict() for event in second[1]]


@settings(max_examples=80, deadline=None, derandomize=True)
@given(**RUNS, every_s=st.sampled_from([0.0, 0.1, 0.6]), changes=st.sampled_from([0.0, 0.1, 0.5]))
def test_a_plan_that_arrives_breaks_and_changes(
    seed: int,
    count: int,
    failures: int,
    takes_s: float,
    limit: int | None,
    tool_limit: int | None,
    every_s: float,
    changes: float,
) -> None:
    """Steps arrive one by one, the whole plan has some of them changed, others gone or new, and then it is mended."""
    chance = random.Random(seed)
    whole = broken_plan(seed, count, failures, False)
    early = [whole.steps[place] for place in graph_of(whole).order if chance.random() < 0.9]
    known: set[str] = set()
    arriving: list[Any] = []
    for step in early:
        if known.issuperset(step.needs()):
            known.add(step.id)
            changed = chance.random() < changes
            arriving.append(replace(step, args={**step.args, "takes_s": 0.7}) if changed else step)
    moves: list[Any] = [
        (
            number * every_s,
            lambda run, number=number: run.arrive([arriving[number]], Plan(tuple(arriving[: number + 1]))),
        )
        for number in range(len(arriving))
    ]
    whole_at_s = len(arriving) * every_s + chance.choice((0.0, 0.4, 3.0))
    moves.append((whole_at_s, lambda run: run.complete(whole)))
    replanner = RandomReplanner(seed, takes_s, 0.1)
    result, events, trace, _ = play(Plan(()), replanner, limit, tool_limit, is_whole=False, moves=tuple(moves))
    refused = any(event.type == "replan-refused" for event in events)
    assert ("failed" if refused else "succeeded") == result.status
    assert not any(trace.now.values())
    assert all(event.at >= events[0].at + whole_at_s for event in events if event.type.startswith("replan"))
    unchanged = kept_steps(arriving, whole)
    succeeded = Counter(event.step_id for event in events if event.type == "step-succeeded")
    replaced = {name for event in events if event.type == "replanned" for name in event.replaced}
    assert all(times == 1 for unit, times in succeeded.items() if unit in unchanged - replaced)
    dropped = [event for event in events if event.type == "step-cancelled"]
    assert all(event.step_id.partition("[")[0] not in unchanged for event in dropped)
    assert not result.steps.keys() - {step.id for step in result.plan.steps}


def kept_steps(arriving: list[Any], whole: Plan) -> set[str]:
    """The ids of the steps that the whole plan has as they arrived, and all that they need too."""
    kept: set[str] = set()
    wanted = {step.id: step for step in whole.steps}
    for step in arriving:
        if step == wanted[step.id] and kept.issuperset(step.needs()):
            kept.add(step.id)
    return kept


def begins(event: Any) -> bool:
    """Whether a step, and not only one of its elements, is under way from here on."""
    is_first = event.type == "step-started" and event.attempt == 1 and "[" not in event.step_id
    return is_first or (event.type == "step-expanded" and event.elements > 0)


@pytest.mark.slow
def test_the_share_of_the_plan_that_is_run_again() -> None:
    """Only what failed is called a second time; a restart would pay again for everything that was finished."""
    steps = again = replaced = finished = runs = 0
    for seed in range(300):
        plan = broken_plan(seed, 10 + seed % 41, 1 + seed % 3, False)
        replanner = RandomReplanner(seed, 1.0, 0.0)
        result, events, _, _ = play(plan, replanner)
        assert "succeeded" == result.status
        if not replanner.requests:
            continue  # what should have failed was skipped by a condition
        runs += 1
        steps += len(plan.steps)
        begun = Counter(event.step_id.partition("r")[0] for event in events if begins(event))
        failed = sum(1 for event in events if event.type == "step-failed" and "[" not in event.step_id)
        assert failed == sum(times - 1 for times in begun.values())
        again += failed
        replaced += sum(len(request.held) for request in replanner.requests)
        last = replanner.requests[-1]
        finished += sum(1 for step in last.steps.values() if step.is_success)
    print(
        f"\n{runs} plans of {steps / runs:.0f} steps: {again / steps:.1%} of the steps were run again, "
        f"{replaced / steps:.1%} were replaced; a restart would have run {finished / steps:.1%} again"
    )
    assert again / steps < 0.1
    assert replaced / steps < 0.5
