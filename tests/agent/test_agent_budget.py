"""A budget is never passed: not by parallel branches or an agent inside, not while planning, running or joining."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from agent_cases import GOAL, Goal, look, plan_text, purposes, ref, send, statuses, step

from planloom import Budget, RunResult, RunStatus, Tool, ToolContext, tool
from planloom.models import ModelReply, ModelRequest, ModelUsage
from planloom.testing import HANG, ScriptedModel

BRANCHES = 50


def is_over_budget(result: RunResult, limit: str) -> bool:
    """Whether the run failed for that bound, in words that name it."""
    error = result.error
    return (
        result.status is RunStatus.FAILED
        and error is not None
        and error.kind == "budget"
        and f"`{limit}`" in error.message
    )


class Counter:
    """A worker that counts how many calls are under way and were made, each taking its time."""

    name = "counter"

    def __init__(self, takes_s: float = 1.0) -> None:
        self.takes_s = takes_s
        self.made = 0

    async def complete(self, request: ModelRequest) -> ModelReply:
        self.made += 1
        await asyncio.sleep(self.takes_s)
        return ModelReply("word", ModelUsage(10, 5), 0.01, model=self.name)

    async def stream(self, request: ModelRequest) -> Any:
        yield await self.complete(request)


@tool(read_only=True, calls_model=True, retries=0)
async def ask(number: int, context: ToolContext) -> str:
    """Ask the worker model."""
    return (await context.worker_model.complete(ModelRequest.of(f"question {number}", max_output_tokens=20))).text


def fan_text(name: str = "ask") -> str:
    return plan_text(*(step(f"s{number}", name, number=number) for number in range(BRANCHES)), answer="done")


def counted(worker: Counter, planner: list[Any], *tools: Any, **options: Any) -> Goal:
    made = Goal(list(tools), planner, **options)
    made.agent._worker_model = worker
    return made


# ---- parallel branches -----------------------------------------------------------------------------------


@pytest.mark.parametrize("calls", [0, 1, 2, 20, 50, 51])
def test_fifty_branches_never_pass_the_bound_on_calls(calls: int) -> None:
    """The planner's call counts too; not one call more is made, those under way finish, and the run failed for it."""
    worker = Counter()
    made = counted(worker, [fan_text()] if calls else [], ask, budget=Budget(model_calls=calls))

    result = made.run()

    assert max(calls - 1, 0) == worker.made
    assert calls == result.usage.model_calls
    if calls == BRANCHES + 1:
        assert (RunStatus.SUCCEEDED, "done") == (result.status, result.answer)
        return
    assert is_over_budget(result, "model_calls")
    done = [name for name, status in statuses(result).items() if status == "succeeded"]
    assert worker.made == len(done)
    assert {"succeeded", "failed", "cancelled"} >= set(statuses(result).values())


@pytest.mark.parametrize(("budget", "limit"), [(Budget(tokens=500), "tokens"), (Budget(cost_usd=0.25), "cost_usd")])
def test_fifty_branches_never_pass_a_bound_on_tokens_or_cost(
    budget: Budget, limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is reserved is never more than what there is, at any moment, whatever runs side by side."""
    monkeypatch.setattr("planloom.models.paid.price_usd", lambda _, __, output: output / 1_000)
    worker = Counter()
    made = counted(worker, [], ask, budget=budget)
    result = made.run(plan=fan_text())
    assert is_over_budget(result, limit)
    usage = result.usage
    assert 0 < worker.made < BRANCHES
    assert usage.input_tokens + usage.output_tokens <= 500 or limit == "cost_usd"
    assert usage.cost_usd is not None
    assert usage.cost_usd <= 0.25 + 1e-9 or limit == "tokens"


def test_fifty_branches_of_an_agent_inside_never_pass_the_outer_bound() -> None:
    """The inner agent's calls are the outer one's too, and its refusal ends the outer run for the budget."""
    worker = Counter()
    inner = counted(worker, [fan_text()], ask)
    outer = Goal(
        [inner.agent.as_tool("helper", "helps")],
        [plan_text(step("h", "helper", goal="sub"), step("z", "helper", ["h"], goal="sub"), answer="x")],
        budget=Budget(model_calls=20),
    )
    result = outer.run()
    assert 18 == worker.made  # 20 less the two plans
    assert 20 == result.usage.model_calls
    assert is_over_budget(result, "model_calls")


def test_fifty_branches_that_are_agents_never_pass_the_outer_bound() -> None:
    """Each branch plans for itself; together they make exactly what is left."""
    planner = ScriptedModel([plan_text(step("a"), answer=ref("a"))] * 30, first_token_s=1.0, name="inner")
    inner = Goal([look()], planner)
    outer = Goal([inner.agent.as_tool("helper", "")], [], budget=Budget(model_calls=30))
    text = plan_text(*(step(f"s{number}", "helper", goal=f"sub {number}") for number in range(BRANCHES)), answer="done")

    result = outer.run(plan=text)

    assert 30 == len(planner.requests) == result.usage.model_calls
    assert 30 == list(statuses(result).values()).count("succeeded")
    assert is_over_budget(result, "model_calls")


def test_an_inner_bound_is_a_failure_like_any_other() -> None:
    """What only the inner agent may not spend is planned around; the outer run has plenty."""
    worker = Counter()
    inner = counted(worker, [fan_text()], ask, budget=Budget(model_calls=3))
    outer = Goal(
        [inner.agent.as_tool("helper", ""), look("instead")],
        [
            plan_text(step("h", "helper", goal="sub"), answer=ref("h")),
            plan_text(step("h", "look"), answer=ref("h")),
        ],
        budget=Budget(model_calls=100),
    )
    result = outer.run()
    assert (RunStatus.SUCCEEDED, "instead", 2) == (result.status, result.answer, worker.made)
    assert 5 == result.usage.model_calls


def test_branches_on_threads_never_pass_the_bound() -> None:
    """Sync tools that ask on their own threads share the same account."""

    @tool(read_only=True, calls_model=True, retries=0)
    def ask_here(number: int, context: ToolContext) -> str:
        """Ask the worker model from a thread."""
        return asyncio.run(context.worker_model.complete(ModelRequest.of(f"question {number}"))).text

    worker = Counter(0.001)
    made = counted(worker, [], ask_here, budget=Budget(model_calls=20))
    seen: list[Any] = []
    result = asyncio.run(made.agent.run(GOAL, plan=fan_text("ask_here"), on_event=seen.append))
    assert 20 == worker.made == result.usage.model_calls
    assert is_over_budget(result, "model_calls")
    assert list(range(1, len(seen) + 1)) == [event.seq for event in seen]
    assert 20 == sum(event.type == "model-called" for event in seen)


# ---- a spent budget: no new work, running steps finish ---------------------------------------------------


def test_spent_while_running_lets_running_steps_finish() -> None:
    """`steps` counts calls of tools; the fourth is not made, the three that run finish, and the rest is cancelled."""
    used = look(takes_s=2.0)
    made = Goal([used], [], budget=Budget(steps=3))
    result = made.run(plan=plan_text(*(step(f"s{number}") for number in range(5)), step("z", "look", ["s0"])))
    assert 3 == len(used.calls)
    assert is_over_budget(result, "steps")
    assert ["succeeded"] * 3 + ["cancelled"] * 3 == list(statuses(result).values())
    assert [] == made.types("join-started", "replan-started")


@pytest.mark.parametrize("wall_s", [1.0, 4.0, 20.0])
def test_wall_time_while_planning_running_and_joining(wall_s: float) -> None:
    """The planner takes 3 s, the step 5 s, the joiner 30 s: whatever goes on when the time is up, no more is begun."""
    planner = ScriptedModel([plan_text(step("a"), step("b", "look", ["a"]))], first_token_s=3.0, name="planner")
    used = look("A", "B", takes_s=(5.0, 5.0))
    worker = ScriptedModel(["answer"], first_token_s=30.0, name="worker")
    made = Goal([used], planner, worker, budget=Budget(wall_s=wall_s))

    result = made.clock.run(made.agent.run(GOAL, **made.options()))

    assert is_over_budget(result, "wall_s")
    expected = {
        1.0: (1_000.0, {}, 0, 0),
        4.0: (8_000.0, {"a": "succeeded", "b": "cancelled"}, 1, 0),
        20.0: (20_000.0, {"a": "succeeded", "b": "succeeded"}, 2, 1),
    }
    assert expected[wall_s] == (result.duration_ms, statuses(result), len(used.calls), len(worker.requests))
    assert None is result.answer


def test_wall_time_while_steps_run_early() -> None:
    """The plan never arrived as a whole, and the steps that ran early finished: they are in the result."""
    text = plan_text(step("a"), *(step(f"s{number}", "send") for number in range(40)))
    made = Goal(
        [look("A", takes_s=9.0), send()], ScriptedModel([text], tokens_per_s=10, name="p"), budget=Budget(wall_s=6)
    )
    result = made.run()
    assert is_over_budget(result, "wall_s")
    assert {"a": "succeeded"} == statuses(result)
    assert 11.0 < result.duration_ms / 1_000 < 13.0


def test_calls_spent_while_mending_lets_early_steps_finish() -> None:
    """The second call of the planner is one too many; what had begun meanwhile finishes."""
    text = plan_text(step("a"), step("b", "send", to=ref("nobody")))
    mail = send()
    made = Goal([look("A", takes_s=5.0), mail], [text], budget=Budget(model_calls=1))
    result = made.run()
    assert is_over_budget(result, "model_calls")
    assert ({"a": "succeeded"}, []) == (statuses(result), mail.calls)


def test_calls_spent_in_the_moment_in_which_the_last_step_arrived() -> None:
    """The refusal comes before the early step had its first turn of the loop; the run ends in order all the same."""
    text = plan_text(step("b", "send", to=ref("nobody")), step("a"))[:-2]  # as cut: it ends with the step's brace
    made = Goal([look("A"), send()], [text], budget=Budget(model_calls=1))
    assert is_over_budget(made.run(), "model_calls")


def test_steps_spent_while_the_plan_arrives() -> None:
    """Early steps are charged like others; the whole plan is in the result, and what did not run is cancelled."""
    text = plan_text(step("a"), step("b"), step("c", "send"))
    made = Goal([look("A"), send()], [text], budget=Budget(steps=1))
    result = made.run()
    assert is_over_budget(result, "steps")
    assert {"a": "succeeded", "b": "cancelled", "c": "cancelled"} == statuses(result)


def test_spent_before_the_first_call() -> None:
    """A budget of nothing: no call, no step, and a result rather than an exception."""
    made = Goal([look()], [], budget=Budget(model_calls=0))
    result = made.run()
    assert is_over_budget(result, "model_calls")
    assert ({}, 0) == (result.steps, result.usage.model_calls)
    assert "run-finished" == made.types()[-1]


def test_spent_during_a_replan_lets_healthy_steps_finish_and_starts_none() -> None:
    """The recovery plan cannot be paid: the running branch finishes, what would come after it does not begin."""
    text = plan_text(step("a", "fetch"), step("d"), step("e", "look", ["d"]))
    used = look("D", takes_s=5.0)
    made = Goal([look(ValueError("404"), name="fetch"), used], [text], budget=Budget(model_calls=1))
    result = made.run()
    assert is_over_budget(result, "model_calls")
    assert {"a": "failed", "d": "succeeded", "e": "cancelled"} == statuses(result)
    assert ["replan-refused a"] == made.types("replan-refused")
    assert 0 == result.replans


def test_replans_are_charged() -> None:
    """`Budget(replans=0)` asks for none, and says that the budget is why."""
    made = Goal([look(ValueError("404"))], [plan_text(step("a"))], budget=Budget(replans=0))
    result = made.run()
    assert is_over_budget(result, "replans")
    assert ["plan"] == purposes(made.planner)


def test_spent_while_joining_keeps_the_steps() -> None:
    """The joiner's call is one too many; every output is in the result."""
    result = Goal([look("A")], [plan_text(step("a"))], budget=Budget(model_calls=1)).run()
    assert is_over_budget(result, "model_calls")
    assert "A" == result.steps["a"].output


def test_spent_between_rounds_keeps_the_steps() -> None:
    """The second round cannot be planned; the first stays."""
    result = Goal([look("A")], [plan_text(step("a"))], ["MORE: x"], budget=Budget(model_calls=2)).run()
    assert is_over_budget(result, "model_calls")
    assert "A" == result.steps["a"].output


# ---- an agent inside, and time ---------------------------------------------------------------------------


def test_an_inner_agent_ends_when_the_outer_time_is_up() -> None:
    """It is one running step of the outer run, but what it has not begun by then it does not begin."""
    used = look(takes_s=3.0)
    inner = Goal([used], [plan_text(step("a"), step("b", "look", ["a"]), step("c", "look", ["b"]), answer=ref("c"))])
    outer = Goal([inner.agent.as_tool("helper", "")], [], budget=Budget(wall_s=4.0))
    result = outer.run(plan=plan_text(step("h", "helper", goal="sub"), answer=ref("h")))
    assert is_over_budget(result, "wall_s")
    assert (2, 6_000.0) == (len(used.calls), result.duration_ms)


def test_an_inner_bound_on_time_lets_its_running_steps_finish() -> None:
    """The tool's own time limit is not the same moment: an effect under way is not cut off."""
    mail = send("sent", takes_s=5.0)
    inner = Goal([mail], [plan_text(step("a", "send"), answer=ref("a"))], budget=Budget(wall_s=2.0))
    helper = inner.agent.as_tool("helper", "")
    assert isinstance(helper, Tool)
    outer = Goal([helper], [plan_text(step("h", "helper", goal="sub"))], max_replans=0)
    result = outer.run()
    assert {"h": "failed"} == statuses(result)
    assert 5_000.0 == result.duration_ms


def test_a_running_step_that_hangs_is_bounded_by_its_own_limit() -> None:
    """A spent budget waits for running steps, and each of those has its own time limit."""
    made = Goal([look(HANG, timeout_s=30.0)], [], budget=Budget(wall_s=4.0))
    result = made.run(plan=plan_text(step("a")))
    assert is_over_budget(result, "wall_s")
    assert ({"a": "failed"}, 30_000.0) == (statuses(result), result.duration_ms)
