"""`ask_person`: a question reaches the person as it was meant, and its step waits without holding up the others."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

from planloom.engine.base import EffectRequest, Hooks
from planloom.engine.clock import SystemClock
from planloom.engine.emitter import Emitter
from planloom.engine.execute import execute_plan
from planloom.engine.run import Run
from planloom.engine.settings import RunSettings
from planloom.errors import ArgumentsError, AskPerson
from planloom.plan.events import Event, StepWaiting
from planloom.plan.model import Plan
from planloom.standard import ask_person, calculate
from planloom.standard.person import MAX_ASKED_CHARACTERS, MAX_QUESTION_CHARACTERS
from planloom.tools import Toolbox

PLAN: dict[str, Any] = {
    "goal": "book the trip",
    "steps": [
        {"id": "price", "tool": "calculate", "args": {"expression": "2 * 45"}},
        {
            "id": "ask",
            "tool": "ask_person",
            "args": {"question": "It costs {{price.output}}. Which class?", "choices": ["first", "second"]},
        },
        {"id": "other", "tool": "calculate", "args": {"expression": "1 + 1"}},
        {"id": "after", "tool": "calculate", "args": {"expression": "n + 1", "values": {"n": "{{ask.output}}"}}},
    ],
}


def ask(**arguments: Any) -> str:
    """Call the tool as the engine does, and return the question that it raises."""
    prepared = ask_person.prepare(arguments)
    with pytest.raises(AskPerson) as raised:
        asyncio.run(ask_person(**prepared))
    return raised.value.question


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "question"),
        ({"question": ""}, "question"),
        ({"question": " \n "}, "nothing but blanks"),
        ({"question": "x" * (MAX_QUESTION_CHARACTERS + 1)}, "question"),
        ({"question": "Which?", "choices": "first"}, "choices"),
        ({"question": "Which?", "choices": [""]}, "choices"),
        ({"question": "Which?", "choices": ["x"] * 21}, "choices"),
        ({"question": "Which?", "choices": ["x" * 201]}, "choices"),
        ({"question": "x" * 900, "choices": ["y" * 200] * 6}, f"at most {MAX_ASKED_CHARACTERS:,} can be shown"),
    ],
)
def test_a_question_that_cannot_be_asked(arguments: dict[str, Any], words: str) -> None:
    """No person is asked nothing, or something too long to be shown."""
    with pytest.raises(ArgumentsError, match=re.escape(words)):
        asyncio.run(ask_person(**ask_person.prepare(arguments)))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"question": " Which account? "}, "Which account?"),
        ({"question": "Which?", "choices": None}, "Which?"),
        ({"question": "Which?", "choices": []}, "Which?"),
        ({"question": "Which?", "choices": [" a ", " ", "b"]}, "Which? (one of: a / b)"),
    ],
)
def test_the_question(arguments: dict[str, Any], expected: str) -> None:
    """The person sees the question and the choices."""
    assert expected == ask(**arguments)


class Answering:
    """A person who answers whatever is asked with the same word, and keeps the questions."""

    asks_before_effects = True

    def __init__(self, word: Any) -> None:
        self.word, self.questions = word, list[str]()

    async def approve(self, request: EffectRequest) -> bool | None:
        raise AssertionError(f"asking needs no approval: {request}")

    async def answer(self, step_id: str, question: str) -> Any:
        self.questions.append(f"{step_id}: {question}")
        return self.word


def test_without_an_answer_the_run_waits() -> None:
    """Nobody is there: the step and the run wait, what does not use the answer is done, and the event has it all."""
    events: list[Event] = []
    result = asyncio.run(execute_plan(PLAN, [ask_person, calculate], on_event=events.append))
    assert ("waiting", "waiting", "succeeded", 2) == (
        result.status,
        result.steps["ask"].status,
        result.steps["other"].status,
        result.steps["other"].output,
    )
    asked = [event for event in events if isinstance(event, StepWaiting)]
    assert [("ask_person", "It costs 90. Which class? (one of: first / second)")] == [
        (event.tool, event.question) for event in asked
    ]


def test_the_answer_is_the_output() -> None:
    """With its own type, and it sets free what waits for it; no approval is asked for."""
    person = Answering(41)
    settings = RunSettings(hooks=Hooks(person=person))
    emitter = Emitter("run", SystemClock(), (), None)
    result = asyncio.run(Run(Plan.from_json(PLAN), Toolbox([ask_person, calculate]), {}, emitter, settings).execute())
    assert ("succeeded", 41, 42) == (result.status, result.steps["ask"].output, result.steps["after"].output)
    assert ["ask: It costs 90. Which class? (one of: first / second)"] == person.questions
