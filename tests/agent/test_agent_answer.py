"""The answer in the type that the caller wants: a pydantic model, a dataclass, any annotation."""

from __future__ import annotations

import datetime as dt
import enum
import json
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

import pytest
from agent_cases import Goal, look, plan_text, purposes, ref, said_to, step
from pydantic import BaseModel, field_validator

from planloom import RunStatus, UsageError
from planloom.plan.events import AnswerReady


class Offer(BaseModel):
    """What a shop has."""

    name: str
    price: float


class Strict(BaseModel):
    """With a rule that no JSON Schema says."""

    name: str

    @field_validator("name")
    @classmethod
    def _is_green(cls, name: str) -> str:
        if name == "boom":
            raise KeyError(name)
        if name != "green":
            raise ValueError("only green")
        return name


@dataclass
class Plain:
    """A dataclass."""

    name: str


class Colour(enum.Enum):
    """An enumeration."""

    GREEN = "green"


@pytest.mark.parametrize("wanted", [object(), "Nowhere"])
def test_a_type_without_a_schema_is_refused_when_the_agent_is_made(wanted: Any) -> None:
    """Nothing is planned for an answer that can never be read."""
    with pytest.raises(UsageError, match="output_type"):
        Goal([look()], [], output_type=wanted)


def test_the_plans_own_answer_in_the_wanted_type() -> None:
    """An answer that fits is taken as it is, and no joiner is called."""
    made = Goal([look({"name": "tea", "price": 3})], [plan_text(step("a"), answer=ref("a"))], output_type=Offer)
    result = made.run()
    assert Offer(name="tea", price=3) == result.answer
    assert {"name": "tea", "price": 3.0} == result.to_dict()["answer"]
    ready = next(event for event in made.events if isinstance(event, AnswerReady))
    assert {"name": "tea", "price": 3.0} == ready.answer
    json.dumps(made.events[-1].to_dict())


@pytest.mark.parametrize("output", [{"name": "tea"}, "tea", None])
def test_an_answer_of_the_plan_that_does_not_fit_is_joined(output: Any) -> None:
    """The joiner makes the wanted type from the outputs."""
    made = Goal(
        [look(output)], [plan_text(step("a"), answer=ref("a"))], ['{"name": "tea", "price": 2}'], output_type=Offer
    )
    result = made.run()
    assert (RunStatus.SUCCEEDED, Offer(name="tea", price=2)) == (result.status, result.answer)
    assert [] == [event for event in made.events if event.type == "answer-delta"]


def test_the_joiner_writes_the_wanted_type_and_may_mend_it_once() -> None:
    """What does not fit the schema goes back with its problems."""
    made = Goal([look("A")], [plan_text(step("a"))], ['{"name": 1}', '{"name": "tea", "price": 2}'], output_type=Offer)
    assert Offer(name="tea", price=2) == made.run().answer
    assert ["join", "join"] == purposes(made.worker)
    assert "price" in said_to(made.worker.requests[1])


def test_the_joiner_may_still_ask_for_more() -> None:
    """A request for another round is none of the wanted type, and is understood."""
    made = Goal(
        [look("A", "B")],
        [plan_text(step("a")), plan_text(step("b"))],
        ["MORE: the price", '{"name": "tea", "price": 2}'],
        output_type=Offer,
    )
    assert Offer(name="tea", price=2) == made.run().answer


@pytest.mark.parametrize("replies", [["no", "no"], ['{"name": "red"}'], ['{"name": "boom"}']])
def test_an_answer_that_never_fits_costs_no_finished_work(replies: list[str]) -> None:
    """The run failed because of the model, with one sentence; the steps are there. A validator may raise anything."""
    made = Goal([look("A")], [plan_text(step("a"))], replies, output_type=Strict)
    result = made.run()
    assert result.error is not None
    assert (RunStatus.FAILED, "model", "A") == (result.status, result.error.kind, result.steps["a"].output)


def test_a_validator_that_breaks_on_the_plans_answer_lets_the_joiner_try() -> None:
    """Whatever the type's own code raises, the work of the plan is not lost."""
    made = Goal(
        [look({"name": "boom"})], [plan_text(step("a"), answer=ref("a"))], ['{"name": "green"}'], output_type=Strict
    )
    assert Strict(name="green") == made.run().answer


@pytest.mark.parametrize(
    ("wanted", "output", "answer", "written"),
    [
        (Plain, {"name": "tea"}, Plain("tea"), {"name": "tea"}),
        (list[Offer], [{"name": "a", "price": 1}], [Offer(name="a", price=1)], [{"name": "a", "price": 1.0}]),
        (int, 3, 3, 3),
        (Literal["a", "b"], "b", "b", "b"),
        (dt.date, "2026-01-02", dt.date(2026, 1, 2), "2026-01-02"),
        (Decimal, "1.10", Decimal("1.10"), "1.10"),
        (set[int], [3], {3}, [3]),
        (Colour, "green", Colour.GREEN, "green"),
        (Offer | None, None, None, None),
    ],
    ids=str,
)
def test_any_annotation_will_do(wanted: Any, output: Any, answer: Any, written: Any) -> None:
    """The answer is of that type in Python, and plain JSON wherever it is written."""
    made = Goal([look({"it": output})], [plan_text(step("a"), answer="{{a.output.it}}")], output_type=wanted)
    result = made.run()
    assert (RunStatus.SUCCEEDED, answer) == (result.status, result.answer)
    assert written == result.to_dict()["answer"]
    json.dumps([event.to_dict() for event in made.events])


def test_a_schema_that_is_too_large_is_refused_when_the_agent_is_made() -> None:
    """Not after the plan has run, when the joiner would be asked."""
    wanted = Literal[tuple(f"a rather long word {number}" for number in range(4_000))]  # type: ignore[valid-type]
    with pytest.raises(UsageError, match="characters"):
        Goal([look()], [], output_type=wanted)
