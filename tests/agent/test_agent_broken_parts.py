"""Random plans in which one to three steps fail for good: what is run again is the broken part, and nothing else."""

from __future__ import annotations

import random
from typing import Any

import pytest
from agent_cases import Goal, look, plan_text, ref, statuses, step

from planloom import RunResult, RunStatus
from planloom.models import ModelRequest
from planloom.plan.events import ReplanStarted
from planloom.testing import ScriptedModel

PLANS = 60
SEEDS = range(PLANS)


def random_steps(draw: random.Random) -> list[dict[str, Any]]:
    """A graph of 10 to 50 steps; each needs up to three of the last ten before it."""
    steps: list[dict[str, Any]] = []
    for number in range(draw.randint(10, 50)):
        near = range(max(0, number - 10), number)
        needs = sorted({f"s{draw.choice(near)}" for _ in range(draw.randint(0, 3))}) if number else []
        steps.append(step(f"s{number}", f"take_{draw.randint(1, 4)}", needs, **{name: ref(name) for name in needs}))
    for broken in draw.sample(steps, draw.randint(1, 3)):
        broken["tool"] = "fail"
    return steps


def mended(seed: int) -> tuple[Goal, list[dict[str, Any]], RunResult]:
    """Run such a plan with a planner that replaces what fails and repeats what waits for it."""
    draw = random.Random(seed)
    steps = random_steps(draw)
    by_id = {each["id"]: each for each in steps}

    def recover(_: ModelRequest) -> str:
        started = [event for event in made.events if isinstance(event, ReplanStarted)][-1]
        failed, *rest = started.held
        return plan_text({**by_id[failed], "tool": "take_1"}, *(by_id[name] for name in rest))

    failing = [each for each in steps if each["tool"] == "fail"]
    tools = [look(takes_s=float(seconds), name=f"take_{seconds}") for seconds in range(1, 5)]
    fails = look(*[ValueError("gone")] * 2 * len(failing), takes_s=1.5, name="fail")
    planner = ScriptedModel([recover] * 3, first_token_s=2.0, name="planner")
    made = Goal([*tools, fails], planner, max_replans=3)
    text = plan_text(*steps, answer="done")
    result = made.clock.run(made.agent.run("mend it", **made.options(plan=text)))
    return made, steps, result


@pytest.mark.parametrize("seed", SEEDS)
def test_only_what_failed_is_run_again(seed: int) -> None:
    """Every step that finished ran once, no healthy step was cancelled, and the plan came to its end."""
    made, steps, result = mended(seed)

    assert (RunStatus.SUCCEEDED, "done") == (result.status, result.answer)
    assert {each["id"] for each in steps} == set(result.steps)
    assert {"succeeded"} == set(statuses(result).values())
    assert [] == made.types("step-cancelled", "step-skipped", "step-unknown", "replan-refused")
    starts = made.types("step-started")
    twice = {name for name in starts if starts.count(name) > 1}
    failed = {f"step-started {each['id']}" for each in steps if each["tool"] == "fail"}
    assert twice <= failed
    assert len(starts) == len(steps) + len(twice)
    assert result.replans == len(made.types("replanned")) <= len(failed)


def test_the_share_that_is_run_again_is_that_of_the_failures() -> None:
    """Over all the plans: 2 of about 30 steps fail, and those alone are called again."""
    called = planned = 0
    for seed in SEEDS:
        made, steps, _ = mended(seed)
        called += len(made.types("step-started")) - len(steps)
        planned += len(steps)
    assert called / planned < 0.08
