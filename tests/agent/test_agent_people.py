"""Approvals and questions: who is asked about what, what a word means, and that no word is no yes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from agent_cases import GOAL, Goal, look, plan_text, ref, send, statuses, step

from planloom import Approval, Budget, Plan, RunStatus, tool
from planloom.errors import AskPerson, StillWaiting
from planloom.plan.events import CallbackFailed, StepWaiting
from planloom.testing import ScriptedModel

TEXT = plan_text(step("a"), step("b", "send", ["a"], to=ref("a")), answer=ref("b"))


class Person:
    """Says what its script says, and remembers what it was asked."""

    def __init__(self, *words: Any, is_async: bool = False) -> None:
        self.words = list(words)
        self.asked: list[Approval] = []
        self.is_async = is_async

    def __call__(self, approval: Approval) -> Any:
        self.asked.append(approval)
        word = self.words.pop(0)
        if isinstance(word, BaseException):
            raise word
        if self.is_async:
            return asyncio.sleep(5.0, word)
        return word

    @property
    def kinds(self) -> list[str]:
        return [approval.kind for approval in self.asked]


# ---- no word is no yes -----------------------------------------------------------------------------------


@pytest.mark.parametrize("word", [None, RuntimeError("the phone is off"), "no", "yes", 0, 1])
def test_what_is_no_word_lets_no_plan_run(word: Any) -> None:
    """None, an exception and what is neither True nor False: nobody has answered, so the run waits and nothing ran."""
    used, mail = look(), send()
    made = Goal([used, mail], [TEXT], approve=Person(word))
    result = made.run()
    assert (RunStatus.WAITING, None, None) == (result.status, result.answer, result.error)
    assert ([], []) == (used.calls, mail.calls)
    assert {"a": "pending", "b": "pending"} == statuses(result)
    assert (word is not None) == any(isinstance(event, CallbackFailed) for event in made.events)


@pytest.mark.parametrize("word", [None, RuntimeError("the phone is off"), "no", 1])
def test_what_is_no_word_makes_no_call_with_an_effect(word: Any) -> None:
    """The step waits, the others run, and the run ends waiting."""
    used, mail = look("A"), send()
    result = Goal([used, mail], [TEXT], approve=Person(True, word)).run()
    assert (RunStatus.WAITING, []) == (result.status, mail.calls)
    assert {"a": "succeeded", "b": "waiting"} == statuses(result)


@pytest.mark.parametrize("kind", ["plan", "effects"])
def test_with_nobody_there_the_run_waits(kind: Any) -> None:
    """`approve="plan"` stops before anything; `approve="effects"` before the first effect."""
    used, mail = look("A"), send()
    result = Goal([used, mail], [TEXT], approve=kind).run()
    assert (RunStatus.WAITING, []) == (result.status, mail.calls)
    assert (0 if kind == "plan" else 1) == len(used.calls)


def test_nothing_starts_early_when_the_plan_needs_approval() -> None:
    """Steps are still told as they arrive; none starts before the word."""
    model = ScriptedModel([TEXT], tokens_per_s=10, name="planner")
    made = Goal([look("A"), send("B")], model, approve=Person(True, True, is_async=True))
    result = made.run()
    assert RunStatus.SUCCEEDED is result.status
    assert made.at_s("plan-created") + 5.0 == made.at_s("step-started", "a")
    assert made.at_s("step-arrived", "a") < made.at_s("plan-created")


# ---- yes and no ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_async", [False, True])
def test_yes_lets_it_run(*, is_async: bool) -> None:
    """A callback is asked about the plan and about each call with an effect, once, with what is approved."""
    person = Person(True, True, is_async=is_async)
    mail = send("sent")
    result = Goal([look("A"), mail], [TEXT], approve=person).run()
    assert (RunStatus.SUCCEEDED, "sent") == (result.status, result.answer)
    assert ["plan", "effects"] == person.kinds
    plan, effect = person.asked
    assert isinstance(plan.plan, Plan)
    assert ("b", "send", {"to": "A"}) == (effect.step_id, effect.tool, effect.args)
    assert 64 == len(plan.digest) == len(effect.digest)
    assert plan.digest != effect.digest


def test_a_denied_plan_does_not_run() -> None:
    """The run failed because it was denied, and nothing was planned around it."""
    used = look()
    result = Goal([used, send()], [TEXT], approve=Person(False)).run()
    assert result.error is not None
    assert (RunStatus.FAILED, "denied", []) == (result.status, result.error.kind, used.calls)


def test_a_denied_effect_is_never_planned_around() -> None:
    """The step failed, its descendants are skipped, and no planner is asked for another way."""
    made = Goal([look("A"), send()], [TEXT], approve=Person(True, False))
    result = made.run()
    assert {"a": "succeeded", "b": "failed"} == statuses(result)
    assert "denied" == (result.steps["b"].error and result.steps["b"].error.kind)
    assert [] == made.types("replan-started")


def test_a_step_is_asked_about_once_for_all_its_tries() -> None:
    """Its arguments cannot change, so a retry is within the word; each element has its own."""
    mail = send(ConnectionError("down"), "sent", "sent", idempotent=True, retries=1)
    text = plan_text({**step("b", "send", to="{{item}}"), "for_each": ["x", "y"]})
    person = Person(True, True, True)
    result = Goal([mail], [text], ["ok"], approve=person).run()
    assert (RunStatus.SUCCEEDED, 3) == (result.status, len(mail.calls))
    assert [("b[0]", {"to": "x"}), ("b[1]", {"to": "y"})] == [(each.step_id, each.args) for each in person.asked[1:]]


RECOVERY = plan_text(step("b", "send", to="else"), answer=ref("b"))


@pytest.mark.parametrize(
    ("word", "status", "calls"),
    [(True, RunStatus.SUCCEEDED, 2), (False, RunStatus.FAILED, 1), (None, RunStatus.WAITING, 1)],
)
def test_a_recovery_plan_asks_again(word: Any, status: RunStatus, calls: int) -> None:
    """The word for one plan is none for another: the merged plan is shown, with a digest of its own."""
    mail = send(ValueError("no such address"), "sent")
    words = (True, True, word, True) if word else (True, True, word)
    person = Person(*words)
    made = Goal([look("A"), mail], [TEXT, RECOVERY], approve=person)

    result = made.run()

    assert (status, calls) == (result.status, len(mail.calls))
    assert ["plan", "effects", "plan"] == person.kinds[:3]
    first, third = person.asked[0], person.asked[2]
    assert first.digest != third.digest
    assert third.plan is not None
    assert ["a", "b"] == [each.id for each in third.plan.steps]
    assert (1 if word else 0) == len(made.types("replanned"))


def test_a_second_round_asks_again() -> None:
    """A plan with more steps is another plan."""
    person = Person(True, True)
    made = Goal([look("A", "B")], [plan_text(step("a")), plan_text(step("b"))], ["MORE: x", "done"], approve=person)
    assert "done" == made.run().answer
    assert [1, 2] == [len(each.plan.steps) for each in person.asked if each.plan is not None]


def test_effects_alone_leave_reading_steps_early() -> None:
    """`approve="effects"` does not hold up what only reads."""
    model = ScriptedModel([TEXT], tokens_per_s=10, name="planner")
    made = Goal([look("A"), send()], model, approve="effects")
    made.run()
    assert made.at_s("step-started", "a") < made.at_s("plan-created")
    waiting = next(event for event in made.events if isinstance(event, StepWaiting))
    assert ("b", "send", {"to": "A"}) == (waiting.step_id, waiting.tool, waiting.args)


# ---- time passes while a person thinks -------------------------------------------------------------------


@pytest.mark.parametrize(("options", "kind"), [({"timeout_s": 3.0}, "timeout"), ({}, "budget")])
def test_the_time_of_the_goal_runs_while_a_person_thinks(options: dict[str, Any], kind: str) -> None:
    """A plan that is approved too late does not begin any more, and it stands in the result."""
    used = look()
    budget = None if options else Budget(wall_s=3.0)
    made = Goal([used, send()], [TEXT], approve=Person(True, is_async=True), budget=budget)
    result = made.run(**options)
    assert result.error is not None
    assert (RunStatus.FAILED, kind, []) == (result.status, result.error.kind, used.calls)
    assert 3_000.0 == result.duration_ms
    assert {"a": "pending", "b": "pending"} == statuses(result)


def test_cancelled_while_a_person_thinks() -> None:
    """Nothing ran, and the plan is in the result."""
    used = look()
    made = Goal([used, send()], [TEXT], approve=Person(True, is_async=True))
    result = made.cancelled_at(2.0)
    assert (RunStatus.CANCELLED, []) == (result.status, used.calls)
    assert ["a", "b"] == [each.id for each in result.plan.steps]


# ---- questions -------------------------------------------------------------------------------------------


@tool(read_only=True)
async def which(subject: str) -> str:
    """Ask the user which one."""
    raise AskPerson(f"Which {subject}?")


QUESTION = plan_text(
    step("q", "which", subject="tea"), step("b", "look", ["q"], of=ref("q")), step("c"), answer=ref("b")
)


@pytest.mark.parametrize("answer", [lambda _, __: "green", lambda _, __: asyncio.sleep(3, "green")])
def test_an_answer_is_the_output_of_the_step(answer: Any) -> None:
    """`ask=` gets the step's id and the question, sync or async."""
    seen: list[tuple[str, str]] = []

    def ask(step_id: str, question: str) -> Any:
        seen.append((step_id, question))
        return answer(step_id, question)

    made = Goal([which, look()], [QUESTION], ask=ask)
    result = made.run()
    assert (RunStatus.SUCCEEDED, {"of": "green"}) == (result.status, result.answer)
    assert [("q", "Which tea?")] == seen
    assert ["step-waiting q"] == made.types("step-waiting")


@pytest.mark.parametrize("ask", [None, lambda _, __: None, lambda _, __: 1 / 0])
def test_without_an_answer_the_step_waits(ask: Any) -> None:
    """Nothing is planned around a question; the rest of the plan runs on."""
    made = Goal([which, look("C")], [QUESTION], ask=ask)
    result = made.run()
    assert RunStatus.WAITING is result.status
    assert {"q": "waiting", "b": "pending", "c": "succeeded"} == statuses(result)
    assert [] == made.types("replan-started", "join-started")


def test_what_still_waits_is_not_asked_again() -> None:
    """A tool whose own people did not answer leaves its step waiting without another question."""

    @tool(read_only=True)
    async def pending() -> str:
        """Wait for somebody else."""
        raise StillWaiting("somebody else was asked")

    asked: list[str] = []
    made = Goal([pending], [plan_text(step("q", "pending"))], ask=lambda _, question: asked.append(question))
    assert (RunStatus.WAITING, []) == (made.run().status, asked)


def test_a_goal_is_not_joined_while_it_waits() -> None:
    """A run that waits has no joined answer, and says nothing of one."""
    made = Goal([which], [plan_text(step("q", "which", subject=GOAL))])
    result = made.run()
    assert (RunStatus.WAITING, None) == (result.status, result.answer)
    assert [] == made.types("join-started", "answer-ready")
