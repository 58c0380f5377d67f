"""Steps that wait for a person: approval before effects, questions of tools, denial, no answer, and every stop."""

from __future__ import annotations

import asyncio
import contextvars
from typing import Any

import pytest
from engine_cases import kinds, statuses, tool_of
from live_cases import Live, Person, Planner, cancel, good, step

from planloom import Plan, Tool
from planloom.errors import AskPerson
from planloom.plan.budget import Account, Budget
from planloom.plan.results import StepError
from planloom.testing import HANG, PlanBuilder, ScriptedTool

PAY = PlanBuilder().step("a", "pay", n=1).step("b", "good", v="{{a.output.n}}").step("c", "good", n=2).build()
ASK = PlanBuilder().step("a", "ask").step("b", "good", v="{{a.output}}").step("c", "good", n=2).build()


def pay(takes_s: float = 1.0, **facts: Any) -> ScriptedTool:
    """A tool with an effect."""
    return ScriptedTool("pay", [], takes_s, **facts)


def ask(question: str = "which?") -> Tool:
    """A tool that asks a person."""

    async def ask() -> str:
        raise AskPerson(question)

    return tool_of(ask)


class Rude(Person):
    """A person who is asked by plain functions, which raise."""

    def approve(self, request: Any) -> Any:
        """Raise at once."""
        raise RuntimeError(f"no {request.step_id}")

    def answer(self, step_id: str, question: str) -> Any:
        """Give back what cannot be awaited."""
        return f"{step_id} {question}"


# ---- no word --------------------------------------------------------------------------------------------

SILENCES: dict[str, Any] = {
    "None": lambda: Person(a=None),
    "an exception": lambda: Person(a=ValueError("gone")),
    "an exit": lambda: Person(a=SystemExit(1)),
    "a cancellation of its own": lambda: Person(a=asyncio.CancelledError()),
    "not awaitable": Rude,
}


@pytest.mark.parametrize("silence", SILENCES)
@pytest.mark.parametrize("plan", [PAY, ASK], ids=["approval", "question"])
def test_no_word_leaves_the_step_waiting(silence: str, plan: Plan) -> None:
    """The run goes on with the rest and ends `waiting`; nobody is told of an end, and nothing was called."""
    tool = pay()
    live = Live(plan, tool, good(), ask(), person=SILENCES[silence]())
    result = live.play()
    assert ("waiting", None) == (result.status, result.answer)
    assert {"a": "waiting", "b": "pending", "c": "succeeded"} == statuses(result)
    assert [("c", "succeeded")] == live.told
    assert ([], 1) == (tool.calls, len(live.of("step-waiting")))
    assert 1.0 == live.ended_at_s
    assert (silence != "None") == bool(live.of("callback-failed"))


def test_a_question_when_nobody_is_there() -> None:
    """Without a person the run waits at once; effects are not asked about."""
    tool = pay()
    live = Live(PlanBuilder().step("a", "ask").step("p", "pay", n=1).build(), ask(), tool)
    assert {"a": "waiting", "p": "succeeded"} == statuses(live.play())
    assert ["which?"] == [event.question for event in live.of("step-waiting")]


@pytest.mark.parametrize("plan", [PAY, ASK], ids=["approval", "question"])
@pytest.mark.parametrize("at_s", [0.5, 2.0])
def test_cancelled_while_a_person_thinks(plan: Plan, at_s: float) -> None:
    """The run does not wait for the word."""
    tool = pay()
    live = Live(plan, tool, good(), ask(), person=Person(a=HANG))
    result = live.play((at_s, cancel))
    c = "cancelled" if at_s < 1 else "succeeded"
    assert ("cancelled", {"a": "cancelled", "b": "cancelled", "c": c}) == (result.status, statuses(result))
    assert ([], at_s) == (tool.calls, live.ended_at_s)
    assert "run-finished" == live.events[-1].type


def test_cancelled_twice_while_a_person_thinks() -> None:
    """The second one changes nothing when the first has ended the run, whatever the person does."""

    class Deaf(Person):
        async def approve(self, request: Any) -> bool | None:
            try:
                await asyncio.sleep(100)
            except asyncio.CancelledError:
                await asyncio.sleep(50)
            return True

    tool = pay()
    live = Live(PAY, tool, good(), person=Deaf())
    result = live.play((0.5, cancel), (0.5, cancel), leaves_tasks=True)
    assert ("cancelled", [], 0.5) == (result.status, tool.calls, live.ended_at_s)


@pytest.mark.parametrize("how", ["timeout", "drain", "stop"])
def test_stopped_while_a_person_thinks(how: str) -> None:
    """What waits has not begun, so it does not begin."""
    tool, reason = pay(), StepError("budget", "BudgetExceededError", "spent")
    moves: list[Any] = [] if how == "timeout" else [(5, lambda live: getattr(live.run, how)(reason))]
    live = Live(PAY, tool, good(), person=Person(a=HANG), timeout_s=5 if how == "timeout" else None)
    result = live.play(*moves)
    assert ("failed", {"a": "cancelled", "b": "cancelled", "c": "succeeded"}) == (result.status, statuses(result))
    assert (5.0, []) == (live.ended_at_s, tool.calls)


def test_a_question_that_comes_while_the_run_drains() -> None:
    """Nobody is asked any more."""

    async def slow() -> None:
        await asyncio.sleep(3)
        raise AskPerson("which?")

    person = Person(a=HANG)
    live = Live(PlanBuilder().step("a", "slow").build(), tool_of(slow), person=person)
    result = live.play((1, lambda live: live.run.drain(StepError("budget", "BudgetExceededError", "spent"))))
    assert ("failed", {"a": "cancelled"}, []) == (result.status, statuses(result), person.asked)
    assert 3.0 == live.ended_at_s


# ---- approval -------------------------------------------------------------------------------------------


def test_approval_before_an_effect() -> None:
    """The person sees what will be called, with its values; the call follows, once."""
    tool, person = pay(), Person(5, a=True)
    plan = PlanBuilder().step("z", "good", n=7).step("a", "pay", n="{{z.output.n}}").build()
    live = Live(plan, tool, good(), person=person)
    result = live.play()
    assert ("succeeded", [("a", "pay", {"n": 7})]) == (result.status, person.asked)
    waiting = live.of("step-waiting")[0]
    assert ("a", "pay", {"n": 7}) == (waiting.step_id, waiting.tool, waiting.args)
    assert [
        "run-started",
        "step-started z",
        "step-succeeded z",
        "step-waiting a",
        "approval-given a",
        "step-started a",
        "step-succeeded a",
        "run-finished",
    ] == live.lines()
    assert [6.0] == [call.at_s for call in tool.calls]
    assert (1, 1_000) == (result.steps["a"].attempts, result.steps["a"].latency_ms)


def test_denial() -> None:
    """The step fails as denied, is never planned around, and takes along what needs it."""
    tool = pay()
    live = Live(PAY, tool, good(), person=Person(a=False), replanner=Planner())
    result = live.play()
    assert ("failed", {"a": "failed", "b": "skipped", "c": "succeeded"}) == (result.status, statuses(result))
    assert ("denied", []) == (kinds(result)["a"], tool.calls)


def test_a_call_that_cannot_be_made_is_not_asked_about() -> None:
    """Bad arguments fail the step without a person."""

    async def pay(n: int) -> int:
        return n

    plan = PlanBuilder().step("z", "good", n="x").step("a", "pay", n="{{z.output.n}}").build()
    person = Person()
    result = Live(plan, Tool.from_function(pay), good(), person=person).play()
    assert ("arguments", []) == (kinds(result)["a"], person.asked)


def test_one_word_is_enough_for_all_attempts() -> None:
    """A retry is the same call."""
    flaky = ScriptedTool("pay", [ConnectionError("x"), "paid"], idempotent=True)
    person = Person(a=True)
    result = Live(PAY, flaky, good(), person=person).play()
    assert (2, 1) == (result.steps["a"].attempts, len(person.asked))


def test_a_recovery_asks_again() -> None:
    """What was approved was another step, whatever its id and arguments."""
    failing = ScriptedTool("pay", [ValueError("x"), "paid"])
    person = Person(a=True)
    live = Live(PAY, failing, good(), person=person, replanner=Planner([step("a", "pay", n=1)]))
    result = live.play()
    assert ("succeeded", 2) == (result.status, len(person.asked))


def test_each_element_is_asked_about() -> None:
    """Approved ones run, denied ones fail, and those without a word keep the step waiting."""
    plan = PlanBuilder().step("a", "pay", for_each=[0, 1, 2], n="{{item}}").step("b", "good", after=["a"]).build()
    for words, status, elements in (
        ((True, True, True), "succeeded", ["succeeded"] * 3),
        ((True, False, True), "failed", ["succeeded", "failed", "succeeded"]),
        ((True, None, False), "waiting", ["succeeded", "waiting", "failed"]),
        ((None, None, None), "waiting", ["waiting"] * 3),
    ):
        tool = pay()
        person = Person(a_0=words[0], a_1=words[1], a_2=words[2])
        live = Live(plan, tool, good(), person=person, replanner=Planner(), max_concurrency=1)
        result = live.play()
        assert (status, elements) == (result.steps["a"].status, [entry.status for entry in result.steps["a"].elements])
        assert status == result.status
        assert sum(word is True for word in words) == len(tool.calls)
        assert ["a[0]", "a[1]", "a[2]"] == [request[0] for request in person.asked]


def test_waiting_holds_no_slot() -> None:
    """With one call at a time, for the run or for the tool, the others go on; the approved one queues again."""
    plan = PlanBuilder().step("a", "pay", n=1).step("b", "pay", n=2).step("c", "good").build()
    for options, facts in (({"max_concurrency": 1}, {}), ({}, {"max_concurrency": 1})):
        tool = pay(3, **facts)
        live = Live(plan, tool, good(), person=Person(2, a=True, b=True), **options)
        assert "succeeded" == live.play().status
        assert ([2.0, 5.0], 8.0) == ([call.at_s for call in tool.calls], live.ended_at_s)
        assert 0.0 == live.at_s("step-started c")


def test_a_run_that_waits_may_have_failures_too() -> None:
    """A person may still save it."""
    plan = PlanBuilder().step("a", "ask").step("x", "bad").build()
    bad = ScriptedTool("bad", [ValueError("x")], read_only=True)
    result = Live(plan, ask(), bad, person=Person(a=None)).play()
    assert ("waiting", {"a": "waiting", "x": "failed"}) == (result.status, statuses(result))


# ---- questions ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["blue", 0, False, "", [], {"x": [1]}], ids=repr)
def test_the_answer_is_the_output(word: Any) -> None:
    """Any JSON value that is not None, also one that is false."""
    person = Person(2, a=word)
    live = Live(ASK, ask("which colour?"), good(), person=person)
    result = live.play()
    assert ("succeeded", {"v": word}) == (result.status, result.steps["b"].output)
    assert [("a", "which colour?")] == person.asked
    assert [("a", "succeeded")] == [entry for entry in live.told if entry[0] == "a"]


def test_an_answer_that_is_no_json() -> None:
    """It fails the step, as it would fail a tool."""
    result = Live(ASK, ask(), good(), person=Person(a=float("nan"))).play()
    assert {"a": "output", "b": "skipped", "c": None} == kinds(result)


def test_questions_of_elements() -> None:
    """Each element has its own question and answer."""

    async def ask(n: int) -> int:
        if n == 1:
            return 10
        raise AskPerson(f"what of {n}?")

    plan = PlanBuilder().step("a", "ask", for_each=[0, 1, 2], n="{{item}}").build()
    person = Person(a_0="zero", a_2="two")
    result = Live(plan, tool_of(ask), person=person).play()
    assert ["zero", 10, "two"] == result.steps["a"].output
    assert [("a[0]", "what of 0?"), ("a[2]", "what of 2?")] == person.asked
    waiting = Live(plan, tool_of(ask), person=Person(a_0="zero", a_2=None)).play()
    assert ("waiting", ["zero", 10, None]) == (
        waiting.status,
        [entry.output for entry in waiting.steps["a"].elements],
    )


def test_a_recovery_that_needs_a_waiting_step() -> None:
    """It starts with the answer; without one it stays as it is."""
    plan = PlanBuilder().step("a", "ask").step("x", "bad").build()
    for word, status in (("blue", "succeeded"), (None, "pending")):
        bad = ScriptedTool("bad", [ValueError("x")], read_only=True)
        live = Live(plan, ask(), bad, good(), person=Person(9, a=word), replanner=Planner([step("n", "good", ["a"])]))
        assert status == live.play().steps["n"].status


def test_a_person_and_a_budget() -> None:
    """What waits is charged when it starts, and a spent budget does not wait for a person."""
    account = Account(Budget(steps=1))
    live = Live(PAY, pay(), good(), person=Person(5, a=True), account=account)
    result = live.play()
    assert {"a": "cancelled", "b": "cancelled", "c": "succeeded"} == statuses(result)
    assert ("failed", 5.0, 1) == (result.status, live.ended_at_s, account.steps)


def test_a_person_sees_the_context_of_the_caller() -> None:
    """What a tool sets in its context variables is not what a person's function finds there."""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="of the caller")
    seen: list[str] = []

    class Looking(Person):
        async def answer(self, step_id: str, question: str) -> Any:
            seen.append(variable.get())
            return step_id

    async def ask() -> None:
        variable.set("of the tool")
        raise AskPerson("which?")

    Live(ASK, tool_of(ask), good(), person=Looking()).play()
    assert ["of the caller"] == seen
