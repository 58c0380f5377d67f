"""A goal becomes a valid plan: asked once, mended in bounded rounds, or refused with its issues."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from planloom import Plan, PlanValidationError, Toolbox, compile_plan, create_plan, execute_plan, tool
from planloom.errors import ModelReplyError
from planloom.planning.prompts import planner_messages, shape_of, show_value
from planloom.testing import ScriptedModel


@tool(read_only=True)
async def search(query: str, limit: int = 3) -> list[str]:
    """Find pages about a subject."""
    return [f"{query}-{number}" for number in range(limit)]


@tool(read_only=True)
async def fetch(url: str) -> dict[str, str]:
    """Fetch a page."""
    return {"text": f"page {url}"}


TOOLBOX = Toolbox([search, fetch])
FIND = {"id": "find", "description": "Find pages", "tool": "search", "args": {"query": "tea"}, "depends_on": []}
READ = {
    "id": "read", "description": "Read the first", "tool": "fetch", "args": {"url": "{{find.output[0]}}"},
    "depends_on": ["find"],
}  # fmt: skip
PLAN = {"goal": "tea", "steps": [FIND, READ], "answer": "{{read.output.text}}"}
BROKEN = {**READ, "args": {"link": "{{find.output}}"}}


def ask(*replies: Any, **options: Any) -> tuple[Plan, ScriptedModel]:
    """Create a plan from scripted replies, all of which must be used."""
    model = ScriptedModel(replies)
    plan = asyncio.run(create_plan("tea", TOOLBOX, model=model, **options))
    model.assert_finished()
    return plan, model


def test_a_valid_plan_takes_one_call_and_runs() -> None:
    """A valid reply is asked for once, comes back as it was written, and runs."""
    plan, model = ask(json.dumps(PLAN))
    assert Plan.from_json(PLAN) == plan
    (request,) = model.requests
    assert ("plan", 0.1) == (request.purpose, request.temperature)
    assert ["system", "user"] == [message.role for message in request.messages]
    assert "page tea-0" == asyncio.run(execute_plan(plan, TOOLBOX)).answer


def test_only_the_broken_step_is_asked_for_again() -> None:
    """Issues go back with the name of the broken step; what was right stays, whatever the reply says of it."""
    patch = {"steps": [READ, {**FIND, "args": {"query": "coffee"}}]}
    plan, model = ask("Here it is:\n" + json.dumps({**PLAN, "steps": [FIND, BROKEN]}), json.dumps(patch))
    assert Plan.from_json(PLAN) == plan
    asked = model.requests[1]
    assert "mend" == asked.purpose
    text = asked.messages[-1].text
    assert "unknown-argument" in text
    assert "Steps to write anew: `read`" in text


def test_rounds_are_bounded() -> None:
    """After the last round the issues that are left are raised, and no further call is made."""
    wrong = json.dumps({**PLAN, "steps": [FIND, BROKEN]})
    model = ScriptedModel([wrong, wrong, wrong])
    with pytest.raises(PlanValidationError) as caught:
        asyncio.run(create_plan("tea", TOOLBOX, model=model))
    assert {"unknown-argument", "missing-argument"} == {i.code for i in caught.value.issues if i.severity == "error"}
    model.assert_finished()


def test_no_round_when_none_is_allowed() -> None:
    """`max_mends=0` refuses the first invalid plan."""
    with pytest.raises(PlanValidationError):
        ask("I would rather not.", max_mends=0)


def test_a_reply_without_a_plan_gets_another_chance() -> None:
    """Prose instead of a plan is an issue that goes back like any other."""
    plan, _ = ask("I would rather not.", json.dumps(PLAN))
    assert Plan.from_json(PLAN).steps == plan.steps


def test_a_removed_step_goes() -> None:
    """A mending round may take a broken step out."""
    extra = {**READ, "id": "extra", "tool": "fech_all"}
    plan, _ = ask(json.dumps({**PLAN, "steps": [FIND, READ, extra]}), json.dumps({"steps": [], "remove": ["extra"]}))
    assert ["find", "read"] == [step.id for step in plan.steps]


def test_a_cut_off_reply_is_mended_not_lost() -> None:
    """A reply that met its length limit keeps its whole steps; the cut one is asked for again."""
    text = json.dumps(PLAN)
    cut = text[: text.index('"url"')]
    error = ModelReplyError("cut", reason="length", text=cut, reply=None, model="scripted", tries=1)
    plan, _ = ask(error, json.dumps({"steps": [READ], "answer": "{{read.output.text}}"}))
    assert ["find", "read"] == [step.id for step in plan.steps]


def test_compile_asks_once_at_temperature_0() -> None:
    """LLM Compiler: all calls in one pass; dependencies come from the references."""
    calls = [{key: step[key] for key in ("id", "tool", "args")} for step in (FIND, READ)]
    model = ScriptedModel([json.dumps({"calls": calls})])
    plan = asyncio.run(compile_plan("tea", TOOLBOX, model=model))
    assert [(), ("find",)] == [step.depends_on for step in plan.steps]
    assert ("compile", 0.0) == (model.requests[0].purpose, model.requests[0].temperature)
    assert {"text": "page tea-0"} == asyncio.run(execute_plan(plan, TOOLBOX)).answer


def test_the_prompt_names_tools_inputs_and_instructions() -> None:
    """The planner sees signatures with types and effects, the inputs' values, and the instructions."""
    system, user = planner_messages("tea", TOOLBOX.values(), {"city": "Oslo"}, "Be brief.")
    assert "All of them only read.\n" in system
    assert "- search(query: text, limit?: int = 3) -> [text]\n" in system
    assert "Be brief." in system
    assert '- {{inputs.city}}: "Oslo"' in user


def test_long_values_are_shown_as_shapes() -> None:
    """A model sees short values whole and long ones as their shape, never the whole output."""
    assert '{"a": 1}' == show_value({"a": 1})
    rows = [{"id": number, "name": "x" * 20} for number in range(200)]
    assert show_value(rows).startswith("list of 200 {id: number, name: text} beginning [")
    assert len(show_value("y" * 10_000)) < 400
    assert "{a: list of 0 anything, b: null, c: bool}" == shape_of({"a": [], "b": None, "c": True})
