"""One cell: a goal reached by every strategy with a model of one speed, in virtual time or over a loopback server.

Both run the same code of the product and the same script. A reply's first token comes after a fixed time and the time
in which the model reads its prompt, schema included; then tokens come at a rate. A token is four characters.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from bench.strategies.goals import Goal, script
from bench.strategies.parallel import parallel_calls
from planloom import Agent, RunResult
from planloom.agent.compare import Strategy, StrategyRow, compare
from planloom.models import Model, ModelReply, ModelRequest, resolve_model
from planloom.models.base import ModelUsage, estimate_tokens
from planloom.plan.budget import Account
from planloom.testing import ModelServer, ScriptedModel, Served, VirtualClock
from planloom.testing.wire import ReceivedRequest

REACT: Final = "react"
PARALLEL: Final = "parallel calls"
PLAN: Final = "plan-and-execute"
COMPILE: Final = "compile"
STRATEGIES: Final = (REACT, PARALLEL, PLAN, COMPILE)
READS_PER_TOKEN_WRITTEN: Final = 100
"""A model reads its prompt so many times faster than it writes."""
MOST_STEPS: Final = 64
_CALLS_AT_MOST: Final = 200
_PIECE_CHARACTERS: Final = 16
"""A server's stream has pieces of four tokens: providers send several at once when they are this quick."""


@dataclass(frozen=True)
class Speed:
    """How quick a model is: seconds to the first token of an answer to nothing, and tokens written a second."""

    first_token_s: float
    tokens_per_s: float

    def before_s(self, input_tokens: int) -> float:
        """Return the seconds to the first token of an answer to a prompt."""
        return self.first_token_s + input_tokens / (self.tokens_per_s * READS_PER_TOKEN_WRITTEN)

    def times(self, factor: float) -> Speed:
        """Return a model so many times as quick."""
        return Speed(self.first_token_s / factor, self.tokens_per_s * factor)


@dataclass(frozen=True)
class Cell:
    """A goal, the model's speed, and what a tool takes."""

    goal: Goal
    speed: Speed
    tool_s: float

    def times(self, factor: float) -> Cell:
        """Return the cell with everything so many times as quick."""
        return Cell(self.goal, self.speed.times(factor), self.tool_s / factor)


def run_virtually(cell: Cell) -> dict[str, StrategyRow]:
    """Reach the goal by each strategy in virtual time."""
    clock = VirtualClock()

    async def answer(request: ModelRequest) -> ModelReply:
        texts = [message.text for message in request.messages]
        text, usage = _answered(cell.goal, texts, request.schema)
        await asyncio.sleep(cell.speed.before_s(usage[0]))
        return ModelReply(text, ModelUsage(*usage))

    def model() -> Model:
        return ScriptedModel([answer] * _CALLS_AT_MOST, tokens_per_s=cell.speed.tokens_per_s)

    return clock.run(_reach(cell, model, clock))


def run_really(cell: Cell) -> dict[str, StrategyRow]:
    """Reach the goal by each strategy over HTTP, after one request that connects and imports what is needed."""

    def answer(request: ReceivedRequest) -> Served:
        wanted: dict[str, Any] = (request.body.get("response_format") or {}).get("json_schema") or {}
        text, usage = _answered(cell.goal, request.texts, wanted.get("schema"))
        speed = cell.speed
        return Served(text, first_token_s=speed.before_s(usage[0]), tokens_per_s=speed.tokens_per_s, usage=usage)

    with ModelServer(answer, piece_characters=_PIECE_CHARACTERS) as server:
        model = resolve_model("openai:gpt-4o", base_url=server.base_url, api_key="none", environ={})

        async def measured() -> dict[str, StrategyRow]:
            quick = Cell(Goal("independent", 1), Speed(0.0, 1e6), 0.0)
            await _reach_one(PARALLEL, Agent(quick.goal.toolbox(0.0), model, model), quick.goal, Account(), model)
            return await _reach(cell, lambda: model, None)

        return asyncio.run(measured())


def _answered(goal: Goal, texts: Sequence[str], schema: Any) -> tuple[str, tuple[int, int]]:
    """Return a reply, and its tokens in and out."""
    text = script(goal, texts)
    given = estimate_tokens(texts) + (estimate_tokens([json.dumps(schema)]) if schema else 0)
    return text, (given, estimate_tokens([text]))


async def _reach(cell: Cell, make_model: Any, clock: VirtualClock | None) -> dict[str, StrategyRow]:
    """Return a row per strategy that can reach the goal at all; every answer is checked."""
    goal = cell.goal

    def strategy(name: str) -> Strategy:
        model = make_model()
        tools = goal.toolbox(cell.tool_s)
        agent = Agent(tools, model, model, max_replans=MOST_STEPS, max_rounds=goal.calls)

        async def reach(account: Account) -> RunResult:
            return await _reach_one(name, agent, goal, account, model, clock)

        return reach

    possible = [name for name in STRATEGIES if not refusal(name, goal)]
    compared = await compare(goal.text, {name: strategy(name) for name in possible})
    for row in compared.rows:
        assert row.answer == goal.answer, f"{cell}, {row.strategy}: {row.error or row.answer}"
    return {row.strategy: row for row in compared.rows}


async def _reach_one(
    name: str, agent: Agent, goal: Goal, account: Account, model: Model, clock: VirtualClock | None = None
) -> RunResult:
    if name == PARALLEL:
        return await parallel_calls(goal.text, agent.tools, model, account)
    if name == REACT:
        return await agent.react(goal.text, max_steps=MOST_STEPS, account=account, clock=clock)
    if name == PLAN:
        return await agent.run(goal.text, account=account, clock=clock)
    return await agent.compile(goal.text, account=account, clock=clock)


def refusal(strategy: str, goal: Goal) -> str:
    """Say why a strategy cannot reach a goal; empty when it can."""
    if strategy == COMPILE and goal.failing:
        return "nothing is planned again"
    if strategy == COMPILE and goal.kind == "reading":
        return "all calls are written before any result is seen"
    return ""
