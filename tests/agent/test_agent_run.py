"""A goal from its plan to its answer: what cannot begin, what is told, what tools get, sync, streams, side by side."""

from __future__ import annotations

import asyncio
import signal
import threading
from typing import Any

import pytest
from agent_cases import GOAL, Goal, look, plan_text, purposes, ref, said_to, send, statuses, step

from planloom import (
    Agent,
    Budget,
    BudgetExceededError,
    Plan,
    PlanValidationError,
    RunStatus,
    ToolContext,
    UsageError,
    tool,
)
from planloom.errors import ModelKeyError, ModelRateLimitError
from planloom.plan.budget import Account
from planloom.plan.events import AnswerDelta, AnswerReady, RunFinished
from planloom.plan.limits import Limits
from planloom.planning.joining import UNANSWERED
from planloom.testing import HANG, ScriptedModel, VirtualClock

ONE = plan_text(step("a"), answer=ref("a"))


def down(*_: Any) -> ModelRateLimitError:
    return ModelRateLimitError("planner was refused", model="planner")


# ---- what cannot even begin ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"max_replans": -1}, "max_replans"),
        ({"max_rounds": 0}, "max_rounds"),
        ({"max_mends": True}, "max_mends"),
        ({"max_concurrency": 0}, "max_concurrency"),
        ({"approve": "all"}, "approve"),
        ({"approve": 7}, "approve"),
    ],
)
def test_settings_that_make_no_sense_are_refused_at_once(options: dict[str, Any], said: str) -> None:
    """An agent with such a setting is never made, and the message names it."""
    with pytest.raises(UsageError, match=said):
        Goal([look()], [], **options)


@pytest.mark.parametrize("goal", ["", "  ", None, 7])
def test_a_goal_is_a_text(goal: Any) -> None:
    """Nothing is asked of a model without a goal."""
    made = Goal([look()], [])
    with pytest.raises(UsageError, match="a goal is a text"):
        made.clock.run(made.agent.run(goal))
    with pytest.raises(UsageError, match="a goal is a text"):
        made.clock.run(made.agent.plan(goal))


def test_an_unknown_option_is_named() -> None:
    """A slip in an option's name is not passed over."""
    with pytest.raises(TypeError, match="'timeout'"):
        Goal([look()], []).run(timeout=3)


def test_without_any_model_the_variables_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """No model named and no key: one clear sentence, before anything runs."""
    for name in ("GROQ_API_KEY", "OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GOOGLE_API_KEY", "GEMINI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("planloom.agent.agent.default_models", lambda: None)
    with pytest.raises(ModelKeyError, match="GROQ_API_KEY"):
        VirtualClock().run(Agent([look().tool]).run(GOAL))


def test_a_plan_that_is_never_valid_is_raised_with_its_issues() -> None:
    """Two rounds of mending, each told; then the issues, and nothing with an effect has run."""
    bad = plan_text(step("a"), step("b", "send", to=ref("nobody")))
    mail = send()
    made = Goal([look(), mail], [bad, "{}", "sorry"])

    with pytest.raises(PlanValidationError) as caught:
        made.run()

    assert "unknown-reference" in {issue.code for issue in caught.value.issues}
    assert ["plan", "mend", "mend"] == purposes(made.planner)
    assert 2 == len(made.types("plan-mending"))
    assert [] == mail.calls


def test_a_planner_that_fails_is_raised() -> None:
    """Without a plan there is no result: the model's error comes as it is."""
    with pytest.raises(ModelRateLimitError):
        Goal([look()], [down()]).run()


# ---- the plain way ---------------------------------------------------------------------------------------


def test_a_goal_from_plan_to_joined_answer() -> None:
    """Each event in order, the joiner sees the outputs, and the result is whole."""
    text = plan_text(step("a", q="x"), step("b", "send", ["a"], to=ref("a")))
    made = Goal([look("leaves"), send("sent")], [text], ["Tea it is."])

    result = made.run()

    assert [
        "run-started",
        "planning-started",
        "step-arrived a",
        "step-started a",
        "step-succeeded a",
        "step-arrived b",
        "plan-created",
        "step-started b",
        "step-succeeded b",
        "join-started",
        "answer-ready",
        "run-finished",
    ] == made.types()
    assert list(range(1, len(made.events) + 1)) == [event.seq for event in made.events]
    assert "Tea it is." == "".join(event.text for event in made.events if isinstance(event, AnswerDelta))
    assert (RunStatus.SUCCEEDED, "Tea it is.", 0, None) == (result.status, result.answer, result.replans, result.error)
    assert {"a": "succeeded", "b": "succeeded"} == statuses(result)
    assert [("a", "succeeded"), ("b", "succeeded")] == made.told
    assert 2 == result.usage.model_calls
    assert "leaves" in said_to(made.worker.requests[0])
    finished = made.events[-1]
    assert isinstance(finished, RunFinished)
    assert finished.result is result


def test_a_plan_that_names_its_answer_needs_no_joiner() -> None:
    """The worker model is never called, and the answer keeps its type."""
    made = Goal([look({"price": 3})], [plan_text(step("a"), answer={"costs": "{{a.output.price}}"})])
    assert {"costs": 3} == made.run().answer
    assert [] == made.types("join-started")
    assert ["answer-ready"] == made.types("answer-ready")


def test_a_plan_without_steps_answers_at_once() -> None:
    """A goal that needs no tool is answered by the plan."""
    result = Goal([look()], [plan_text(answer=42)]).run()
    assert (RunStatus.SUCCEEDED, 42, {}) == (result.status, result.answer, result.steps)


def test_inputs_reach_planner_and_steps() -> None:
    """Inputs are shown to the planner, and steps get their values."""
    tool = look()
    made = Goal([tool], [plan_text(step("a", q="{{inputs.word}}"), answer=ref("a"))])
    assert {"q": "oolong"} == made.run(inputs={"word": "oolong"}).answer
    assert "oolong" in said_to(made.planner.requests[0])


def test_instructions_reach_planner_and_joiner() -> None:
    """What the user minds stands in both prompts."""
    made = Goal([look()], [plan_text(step("a"))], ["ok"], instructions="Only green tea.")
    made.run()
    for model in (made.planner, made.worker):
        assert "Only green tea." in model.requests[0].messages[0].text


def test_a_given_plan_is_run_and_not_asked_for() -> None:
    """`plan=` skips the planner; it is validated, joined, and replanned like any other."""
    made = Goal([look()], [], ["joined"])
    assert "joined" == made.run(plan=plan_text(step("a"))).answer
    assert [] == made.types("planning-started")

    with pytest.raises(PlanValidationError):
        Goal([look()], []).run(plan=plan_text(step("a", "nothing")))


def test_plan_returns_a_plan_and_runs_nothing() -> None:
    """`agent.plan` is `create_plan` with the agent's settings."""
    used = look()
    made = Goal([used], [ONE], instructions="mind this")
    plan = made.clock.run(made.agent.plan(GOAL, inputs={"x": 1}))
    assert isinstance(plan, Plan)
    assert ([], ["a"]) == (used.calls, [each.id for each in plan.steps])
    assert "mind this" in made.planner.requests[0].messages[0].text


def test_compile_asks_once_at_temperature_zero_and_never_replans() -> None:
    """The LLM Compiler: all calls in one pass as a graph, and a failure stays a failure."""
    calls = (
        '{"calls": [{"id": "a", "tool": "look", "args": {"q": 1}},'
        ' {"id": "b", "tool": "look", "args": {"q": "{{a.output}}"}}]}'
    )
    used = look("one", ValueError("no"))
    made = Goal([used], [calls])

    result = made.run(mode="compile")

    request = made.planner.requests[0]
    assert ("compile", 0.0) == (request.purpose, request.temperature)
    assert [{"q": 1}, {"q": "one"}] == [call.args for call in used.calls]
    assert {"a": "succeeded", "b": "failed"} == statuses(result)
    assert (RunStatus.FAILED, []) == (result.status, made.types("replan-started", "replan-refused", "step-held"))


def test_compile_joins_and_takes_no_more_rounds() -> None:
    """Its joiner is told that there is no other round, even when the agent allows some."""
    made = Goal([look()], ['{"calls": [{"id": "a", "tool": "look", "args": {}}]}'], ["MORE: milk"], max_rounds=3)
    result = made.run(mode="compile")
    assert (RunStatus.SUCCEEDED, f"{UNANSWERED}: milk") == (result.status, result.answer)
    assert [] == made.types("round-started")


def test_compile_branches_and_fans_out() -> None:
    """`when` and `for_each` are the compiler's control flow."""
    calls = (
        '{"calls": [{"id": "list", "tool": "look", "args": {}},'
        ' {"id": "each", "tool": "look", "for_each": "{{list.output}}", "args": {"q": "{{item}}"}},'
        ' {"id": "never", "tool": "look", "when": "{{list.output[0]}} > 5", "args": {}}]}'
    )
    used = look([1, 2], "x", "y")
    result = Goal([used], [calls], ["ok"]).run(mode="compile")
    assert {"list": "succeeded", "each": "succeeded", "never": "skipped"} == statuses(result)
    assert (RunStatus.SUCCEEDED, ["x", "y"]) == (result.status, result.steps["each"].output)


def test_limits_of_the_caller_hold_for_the_models_plan() -> None:
    """A plan that is larger than the caller allows is an issue like any other, and goes back to the model."""
    long = plan_text(step("a"), step("b"), step("c"))
    made = Goal([look()], [long, long, long])
    with pytest.raises(PlanValidationError, match="limit"):
        made.run(limits=Limits(steps=2))


# ---- surroundings ----------------------------------------------------------------------------------------


def test_run_sync_works_inside_a_running_loop() -> None:
    """As in a notebook: the run is on a thread of its own, and its errors come through."""
    main = threading.get_ident()
    seen: list[int] = []

    @tool(read_only=True)
    async def where() -> int:
        """Say which thread."""
        seen.append(threading.get_ident())
        return 1

    def agent() -> Agent:
        return Agent([where], ScriptedModel([plan_text(step("a", "where"), answer=ref("a"))]), ScriptedModel([]))

    async def inside() -> Any:
        return agent().run_sync(GOAL).answer

    assert 1 == asyncio.run(inside())
    assert 1 == agent().run_sync(GOAL).answer
    assert (True, main) == (seen[0] != main, seen[1])

    async def failing() -> None:
        Agent([where], ScriptedModel([down()]), ScriptedModel([])).run_sync(GOAL)

    with pytest.raises(ModelRateLimitError):
        asyncio.run(failing())


def test_stream_yields_the_events_and_the_result_last() -> None:
    """The same events as `on_event` gets."""
    made = Goal([look("A")], [ONE])

    async def main() -> list[str]:
        return [event.type async for event in made.agent.stream(GOAL, **made.options())]

    types = made.clock.run(main())
    assert [event.type for event in made.events] == types
    assert "run-finished" == types[-1]


def test_leaving_a_stream_early_cancels_the_run() -> None:
    """Nothing goes on behind the back of who left."""
    made = Goal([look("A", HANG)], [plan_text(step("a"), step("b", "look", ["a"]))])

    async def main() -> int:
        async for event in (stream := made.agent.stream(GOAL, **made.options())):
            if event.type == "step-succeeded":
                break
        await stream.aclose()
        for _ in range(3):
            await asyncio.sleep(0)
        return len(asyncio.all_tasks())

    assert 1 == made.clock.run(main())
    assert "run-finished" == made.types()[-1]


def test_what_is_raised_comes_out_of_a_stream() -> None:
    """A planner that fails fails the stream, behind the events so far."""
    made = Goal([look()], [down()])
    seen: list[str] = []

    async def main() -> None:
        async for event in made.agent.stream(GOAL, **made.options()):
            seen.append(event.type)

    with pytest.raises(ModelRateLimitError):
        made.clock.run(main())
    assert ["run-started", "planning-started"] == seen


def test_two_goals_at_once_share_nothing() -> None:
    """One agent serves many goals: each has its own events, account and result."""
    made = Goal(
        [look(takes_s=1.0)], [plan_text(step("a", q=1), answer=ref("a")), plan_text(step("b", q=2), answer=ref("b"))]
    )
    first: list[Any] = []
    second: list[Any] = []

    async def main() -> list[Any]:
        options = made.options()
        return await asyncio.gather(
            made.agent.run("one", **{**options, "on_event": first.append, "run_id": "r1"}),
            made.agent.run("two", **{**options, "on_event": second.append, "run_id": "r2"}),
        )

    results = made.clock.run(main())
    assert [{"q": 1}, {"q": 2}] == [each.answer for each in results]
    assert [{"r1"}, {"r2"}] == [{event.run_id for event in seen} for seen in (first, second)]
    assert [1, 1] == [each.usage.model_calls for each in results]
    assert [1_000.0, 1_000.0] == [each.duration_ms for each in results]


def test_a_listener_that_raises_hurts_nobody() -> None:
    """The goal is reached all the same."""

    def broken(_: Any) -> None:
        raise RuntimeError("listener")

    assert "A" == Goal([look("A")], [ONE]).run(on_event=broken).answer


def test_tools_find_deps_and_worker_and_one_folder() -> None:
    """The context of a tool has what the agent was given, and one folder for all rounds, gone afterwards."""
    seen: list[Any] = []

    @tool(read_only=True)
    async def peek(context: ToolContext) -> str:
        """Look around."""
        seen.append((context.deps, context.worker_model.name, context.workdir, context.run_id))
        return "x"

    made = Goal(
        [peek], [plan_text(step("a", "peek")), plan_text(step("b", "peek"))], ["MORE: x", "done"], deps={"k": 1}
    )
    made.run()
    assert [({"k": 1}, "worker", "run")] * 2 == [(deps, name, run) for deps, name, _, run in seen]
    assert seen[0][2] == seen[1][2]
    assert not seen[0][2].exists()


def test_an_account_of_the_caller_pays_along() -> None:
    """What a goal spends is spent there too."""
    account = Account()
    Goal([look("A")], [ONE]).run(account=account)
    assert (1, 1) == (account.model_calls, account.steps)


def test_answer_ready_is_the_answer_as_json() -> None:
    """An event never holds what JSON cannot say."""
    made = Goal([look({"n": 1})], [ONE])
    made.run()
    ready = next(event for event in made.events if isinstance(event, AnswerReady))
    assert {"n": 1} == ready.answer


def test_planning_alone_is_within_the_budget() -> None:
    """`agent.plan` reserves each call too, and mending is one."""
    bad = plan_text(step("a", "nothing"))
    made = Goal([look()], [bad, ONE], budget=Budget(model_calls=1))
    with pytest.raises(BudgetExceededError):
        made.clock.run(made.agent.plan(GOAL))
    assert 1 == len(made.planner.requests)


def test_react_pays_for_agents_inside() -> None:
    """The baseline is a goal like any other: what an agent inside spends is in its usage and under its bound."""
    inner = Goal([look("x")], [plan_text(step("a"), answer=ref("a"))])
    call = '{"thought": "ask", "tool": "helper", "args": {"goal": "sub"}}'
    made = Goal([inner.agent.as_tool("helper", "")], [call, '{"answer": "done"}'], budget=Budget(model_calls=3))
    result = made.clock.run(made.agent.react(GOAL, clock=made.clock))
    assert (RunStatus.SUCCEEDED, 3) == (result.status, result.usage.model_calls)


def test_a_timeout_error_of_a_model_is_not_the_time_limit() -> None:
    """A model that is not ours may raise anything; it comes as it is, and nobody speaks of a limit that was not set."""
    with pytest.raises(TimeoutError, match="socket"):
        Goal([look()], [TimeoutError("socket")]).run()


def test_an_interrupted_run_sync_cancels_the_run() -> None:
    """Ctrl-C in a notebook: the run ends before the interruption goes on."""
    ended: list[str] = []

    @tool(read_only=True)
    async def interrupted() -> str:
        """Interrupt the waiting thread, and wait."""
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        try:
            await asyncio.sleep(30)
        finally:
            ended.append("ended")
        return "never"

    text = plan_text(step("a", "interrupted"))

    async def inside() -> None:
        Agent([interrupted], ScriptedModel([text]), ScriptedModel([])).run_sync(GOAL)

    # whoever started the tests may have told them to ignore interruptions
    earlier = signal.signal(signal.SIGINT, signal.default_int_handler)
    loop = asyncio.new_event_loop()
    try:
        with pytest.raises(KeyboardInterrupt):
            loop.run_until_complete(inside())
    finally:
        loop.close()
        signal.signal(signal.SIGINT, earlier)
    assert ["ended"] == ended


def test_compare_reaches_the_goal_by_each_strategy() -> None:
    """ReAct, plan-and-execute and compile in turn, each with an account of its own; the goal of a bad one is a row."""
    call = '{"thought": "look", "tool": "look", "args": {"q": 1}}'
    calls = '{"calls": [{"id": "a", "tool": "look", "args": {"q": 1}}], "answer": "{{a.output}}"}'
    planner = ScriptedModel([call, '{"answer": "tea"}', ONE, calls], first_token_s=1.0, name="planner")
    made = Goal([look(takes_s=2.0)], planner, budget=Budget(model_calls=2))

    compared = made.clock.run(made.agent.compare(GOAL, clock=made.clock))

    assert ["react", "plan-and-execute", "compile"] == [row.strategy for row in compared.rows]
    measured = [(row.model_calls, row.steps, row.wall_s) for row in compared.rows]
    assert [(2, 1, 4.0), (1, 1, 3.0), (1, 1, 3.0)] == measured
    assert [None] * 3 == [row.error for row in compared.rows]
    assert ["plan", "compile"] == purposes(planner)[2:]
