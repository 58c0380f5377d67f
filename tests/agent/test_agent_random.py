"""Random goals: plans, failures of steps and models, budgets, limits, people, cancellations. What always holds."""

from __future__ import annotations

import asyncio
import json
import random
from typing import Any

from agent_cases import GOAL, Goal, look, plan_text, ref, send, step
from hypothesis import given
from hypothesis import strategies as st

from planloom import Budget, RunResult, RunStatus
from planloom.errors import ModelRateLimitError, PlanloomError
from planloom.models import ModelRequest
from planloom.plan.events import ReplanStarted
from planloom.testing import ScriptedModel

ENDED = {"succeeded", "failed", "skipped", "cancelled", "unknown"}
ENDS = {"step-succeeded", "step-failed", "step-skipped", "step-cancelled", "step-unknown"}


class Dice:
    """Draws what a random goal is made of. The planner and the worker write what they like, most of it sensible."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)
        self.goal: Goal | None = None
        self.steps: list[dict[str, Any]] = []
        for number in range(self.draw.randint(0, 8)):
            needs = (
                sorted({f"s{self.draw.randrange(number)}" for _ in range(self.draw.randint(0, 2))}) if number else []
            )
            used = self.draw.choice(["look", "look", "slow", "send", "fail", "sub"])
            self.steps.append(step(f"s{number}", used, needs, **{name: ref(name) for name in needs}))

    def chance(self, share: float) -> bool:
        return self.draw.random() < share

    def plan(self, request: ModelRequest) -> Any:
        if self.chance(0.05):
            return ModelRateLimitError("planner was refused")
        if request.purpose == "replan":
            return self.recovery()
        if request.purpose == "mend":
            return self.draw.choice(["no", plan_text(step("bad", "look"))])
        steps = list(self.steps)
        if self.goal is not None and any(event.type == "round-started" for event in self.goal.events):
            steps = [step("more", self.draw.choice(["look", "fail"]))]
        if self.chance(0.2):
            steps.append(step("bad", "send", to=ref("nobody")))
        answer = {"answer": "the plan's own"} if self.chance(0.3) or not steps else {}
        return plan_text(*steps, **answer)

    def recovery(self) -> Any:
        assert self.goal is not None
        if self.chance(0.2):
            return '{"steps": [], "give_up": "no way"}'
        held = [event for event in self.goal.events if isinstance(event, ReplanStarted)][-1].held
        by_id = {each["id"]: each for each in self.steps}
        failed, *rest = held
        new = {**by_id.get(failed, step(failed)), "tool": self.draw.choice(["look", "slow", "fail", "send"])}
        return plan_text(new, *(by_id[name] for name in rest if name in by_id))

    def join(self, _: ModelRequest) -> Any:
        return self.draw.choice(
            ["an answer", "an answer", "MORE: something", ModelRateLimitError("worker was refused")]
        )

    def inner(self, _: ModelRequest) -> Any:
        return self.draw.choice(
            [
                plan_text(step("a"), answer=ref("a")),
                plan_text(step("a", "slow"), step("b", "look", ["a"]), answer="inner"),
                plan_text(step("a", "send"), answer=ref("a")),
                plan_text(step("a", "fail"), answer=ref("a")),
                ModelRateLimitError("inner was refused"),
            ]
        )

    def person(self) -> Any:
        """Nobody to be asked, nobody there, or somebody who says yes, no or nothing, at once or later."""

        def say(_: Any) -> Any:
            word = self.draw.choice([True, True, True, True, False, None])
            return asyncio.sleep(1.5, word) if self.chance(0.3) else word

        return self.draw.choice([None, None, "effects", "plan", say, say])

    def budget(self) -> Budget:
        drawn = {
            "model_calls": self.draw.choice([None, None, 1, 2, 3, 5]),
            "steps": self.draw.choice([None, None, 0, 2, 4]),
            "replans": self.draw.choice([None, None, 0, 1]),
            "wall_s": self.draw.choice([None, None, 1.0, 4.0, 9.0]),
        }
        return Budget(**drawn)


@given(seed=st.integers(0, 10**9))
def test_whatever_happens_a_goal_ends_in_order(seed: int) -> None:
    """It ends, within its bounds, with every step in a final state, one last event, and no task left behind."""
    dice = Dice(seed)
    draw = dice.draw
    rate = draw.choice([None, 20.0, 200.0])
    planner = ScriptedModel([dice.plan] * 40, tokens_per_s=rate, first_token_s=draw.choice([0.0, 1.0]), name="planner")
    worker = ScriptedModel([dice.join] * 40, first_token_s=draw.choice([0.0, 1.0]), name="worker")
    tools = [look(), look(name="slow", takes_s=3.0), send(takes_s=1.0), look(*[ValueError("no")] * 40, name="fail")]
    budget = dice.budget()
    thinker = ScriptedModel([dice.inner] * 40, first_token_s=draw.choice([0.0, 1.0]), name="inner")
    inner = Goal(list(tools), thinker, approve=draw.choice([None, None, "effects"]), max_replans=0)
    made = Goal(
        [*tools, inner.agent.as_tool("sub", "helps")],
        planner,
        worker,
        budget=budget,
        approve=dice.person(),
        max_replans=draw.randint(0, 3),
        max_rounds=draw.randint(1, 3),
    )
    dice.goal = made
    options = made.options(timeout_s=draw.choice([None, None, 3.0, 8.0]))
    cancelled_at_s = draw.choice([None, None, None, 0.0, 0.5, 2.0, 5.0])

    async def main() -> RunResult | None:
        task = asyncio.ensure_future(made.agent.run(GOAL, **options))
        if cancelled_at_s is not None:
            asyncio.get_running_loop().call_at(cancelled_at_s, task.cancel)
        try:
            return await task
        except PlanloomError:
            return None
        except asyncio.CancelledError:
            assert cancelled_at_s == 0.0  # before it began
            return None
        finally:
            for _ in range(4):
                await asyncio.sleep(0)
            assert {asyncio.current_task()} == asyncio.all_tasks()

    result = made.clock.run(main())

    calls, steps = sum(len(model.requests) for model in (planner, worker, thinker)), made.types("step-started")
    assert budget.model_calls is None or calls <= budget.model_calls
    assert budget.steps is None or len(steps) <= budget.steps
    assert [*range(1, len(made.events) + 1)] == [event.seq for event in made.events]
    json.dumps([event.to_dict() for event in made.events])
    if result is None:
        assert [] == made.types("run-finished")
        return
    _check(made, result, calls)


def _check(made: Goal, result: RunResult, calls: int) -> None:
    assert ["run-started"] == [event.type for event in made.events[:1]]
    assert "run-finished" == made.events[-1].type
    assert [each.id for each in result.plan.steps] == list(result.steps)
    for name, each in result.steps.items():
        is_open = result.status is RunStatus.WAITING and each.status.value in ("waiting", "pending")
        has_not_begun = each.status.value == "pending" and made.agent._parts["approver"].kinds
        if not (is_open or has_not_begun):
            assert each.status.value in ENDED, name
            assert (each.error is None) == each.is_success, name
    assert calls == result.usage.model_calls
    assert result.replans == len(made.types("replanned"))
    good = all(each.is_success for each in result.steps.values())
    if result.status is RunStatus.SUCCEEDED:
        assert good
        assert None is result.error
        assert result.answer in ("the plan's own", "an answer", "something", "MORE: something")
        assert 1 == len(made.types("answer-ready"))
    else:
        assert [] == made.types("answer-ready")
        assert result.status is not RunStatus.FAILED or result.error is not None or not good
    # what began has ended, but for what waits
    begun, ended = made.types("step-started"), made.types(*ENDS)
    for name in {line.split()[1] for line in begun}:
        ends = sum(line.split()[1] == name and not line.startswith("step-skipped") for line in ended)
        waits = sum(line == f"step-waiting {name}" for line in made.types("step-waiting"))
        assert begun.count(f"step-started {name}") <= ends + waits, name
