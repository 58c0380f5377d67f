"""A goal with secrets: models see marks, tools the values, and nothing that is told or kept holds one."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from agent_cases import plan_text, step
from pydantic import SecretStr

from planloom import Agent, RunResult, ToolContext, UsageError
from planloom.testing import ScriptedModel

KEY = "canary-77x0pq/secret"
GOAL = "find tea with the key"


def texts(*models: ScriptedModel) -> str:
    """All that models were asked."""
    return "\n".join(message.text for model in models for request in model.requests for message in request.messages)


def bytes_of(folder: Path) -> bytes:
    """All that stands in files."""
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


class Shop:
    """Tools that are given a key, and what they were given."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def look(self, key: str) -> dict[str, str]:
        """Look something up."""
        self.seen.append(key)
        return {"found": f"tea for {key}"}

    def fail(self, key: str) -> str:
        """Always fail."""
        self.seen.append(key)
        raise ValueError(f"no tea for {key}")


def test_no_model_is_asked_with_a_secret(tmp_path: Path) -> None:
    """Not in the goal, the inputs, the outputs, a failure to plan around, or the finished steps of the answer."""
    shop = Shop()
    planner = ScriptedModel(
        [
            plan_text(step("a", "look", key="{{inputs.key}}"), step("b", "fail", key="{{inputs.key}}")),
            plan_text(step("c", "look", key="{{inputs.key}} again")),
        ]
    )
    worker = ScriptedModel(["there is tea"])
    events: list[Any] = []
    agent = Agent([shop.look, shop.fail], planner, worker, journal=str(tmp_path / "runs.db"))
    result = asyncio.run(
        agent.run(f"{GOAL} {KEY}", inputs={"key": SecretStr(KEY)}, on_event=events.append, run_id="r1")
    )
    assert ("succeeded", 1, [KEY, KEY, f"{KEY} again"]) == (result.status, result.replans, sorted(shop.seen))
    asked = texts(planner, worker)
    told = json.dumps([event.to_dict() for event in events]) + json.dumps(result.to_dict())
    assert "[secret inputs.key]" in asked
    assert [] == [name for name, text in (("asked", asked), ("told", told)) if KEY in text]
    assert KEY.encode() not in bytes_of(tmp_path)


def test_a_goal_that_goes_on_needs_its_secret_again(tmp_path: Path) -> None:
    """What a model answered is not asked again, because what it was asked had marks in both processes."""
    journal, shop = str(tmp_path / "runs.db"), Shop()
    planner = ScriptedModel([plan_text(step("a", "look", key="{{inputs.key}}"))])

    def down(_: Any) -> str:
        raise RuntimeError("the process is gone")

    first = Agent([shop.look], planner, ScriptedModel([down]), journal=journal)
    with pytest.raises(RuntimeError):
        asyncio.run(first.run(GOAL, inputs={"key": SecretStr(KEY)}, run_id="r1"))
    worker = ScriptedModel(["tea"])
    second = Agent([shop.look], ScriptedModel([]), worker, journal=journal)
    with pytest.raises(UsageError, match="run `r1` needs its secret input `key` again"):
        asyncio.run(second.resume("r1"))
    result = asyncio.run(second.resume("r1", inputs={"key": KEY}))
    assert ("succeeded", "tea", [KEY]) == (result.status, result.answer, shop.seen)
    assert KEY not in texts(planner, worker)
    assert KEY.encode() not in bytes_of(tmp_path)


def test_an_agent_inside_keeps_the_secrets_of_the_one_around_it(tmp_path: Path) -> None:
    """A secret that reaches an inner goal is known there, and stands in neither journal."""
    inner_planner = ScriptedModel([plan_text(step("a", "look", key="x"), answer="{{a.output.found}}")])
    shop = Shop()
    inner = Agent([shop.look], inner_planner, ScriptedModel([]), journal=str(tmp_path / "inner.db"), name="inner")
    planner = ScriptedModel([plan_text(step("i", "inner", goal="use {{inputs.key}}"), answer="{{i.output}}")])
    outer = Agent([inner.as_tool()], planner, ScriptedModel([]), journal=str(tmp_path / "outer.db"))
    result = asyncio.run(outer.run(GOAL, inputs={"key": SecretStr(KEY)}))
    assert ("succeeded", "tea for x") == (result.status, result.answer)
    assert "use [secret" in texts(inner_planner)
    assert KEY not in texts(planner, inner_planner)
    assert KEY.encode() not in bytes_of(tmp_path)


async def _reached(agent: Agent, how: str, **options: Any) -> RunResult:
    if how == "plan":
        plan = await agent.plan(GOAL, **options)
        return await agent.run(GOAL, plan=plan, **options)
    return await getattr(agent, how)(GOAL, **options)


@pytest.mark.parametrize("how", ["run", "compile", "react", "plan"])
def test_every_way_to_reach_a_goal(how: str) -> None:
    """Secrets that are said, those of the environment of `deps`, and inputs: each way gives tools the value alone."""
    shop = Shop()
    written = plan_text(step("a", "look", key="{{inputs.key}}"), answer="{{a.output.found}}")
    turns = ['{"thought": "look", "tool": "look", "args": {"key": "{{inputs.key}}"}}', '{"answer": "tea"}']
    planner = ScriptedModel(turns if how == "react" else [written])
    agent = Agent([shop.look], planner, ScriptedModel([]), secrets=["tea for"], deps={"key": SecretStr("another-one")})
    result = asyncio.run(_reached(agent, how, inputs={"key": SecretStr(KEY), "other": "x another-one"}))
    assert ("succeeded", [KEY]) == (result.status, shop.seen)
    assert [] == [secret for secret in (KEY, "another-one", "tea for") if secret in json.dumps(result.to_dict())]
    assert [] == [secret for secret in (KEY, "another-one") if secret in texts(planner)]


def test_a_tool_that_asks_the_worker_model() -> None:
    """The worker model that a tool is given is not told a secret either."""
    worker = ScriptedModel(["yes"])

    async def ask(key: str, context: ToolContext) -> str:
        """Ask the model."""
        from planloom.models import ModelRequest

        return (await context.worker_model.complete(ModelRequest.of(f"is {key} good?"))).text

    planner = ScriptedModel([plan_text(step("a", "ask", key="{{inputs.key}}"), answer="{{a.output}}")])
    result = asyncio.run(Agent([ask], planner, worker).run(GOAL, inputs={"key": SecretStr(KEY)}))
    assert ("yes", "is [secret inputs.key] good?") == (result.answer, texts(worker))


def test_secrets_that_cannot_be_looked_for_are_refused() -> None:
    """An agent says so when it is made."""
    with pytest.raises(UsageError, match="fewer than 6 characters"):
        Agent([], ScriptedModel([]), ScriptedModel([]), secrets=["1234"])
