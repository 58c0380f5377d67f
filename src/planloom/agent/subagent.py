"""An agent as a tool of another: a goal in, an answer out, with the outer run's budget, people and cancellation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from planloom.agent.nesting import refusal_of_outer
from planloom.errors import BudgetExceededError, PlanloomError, StillWaiting
from planloom.plan.results import RunResult
from planloom.plan.state import RunStatus
from planloom.tools import Tool
from planloom.tools.facts import MAXIMUM_SECONDS

if TYPE_CHECKING:
    from planloom.agent.agent import Agent

SUBAGENT_TIMEOUT_S: Final = 3_600.0
"""How long one goal of an agent inside a plan may take; when its budget bounds `wall_s`, how long what runs then may
still take to finish."""


def make_tool(agent: Agent, name: str, description: str) -> Tool:
    """Return the tool. It is read-only, idempotent or open-world as all (or any) of the agent's tools are."""
    tools = list(agent.tools.values())

    async def reach(goal: str) -> Any:
        result = await agent.run(goal)
        if result.error is not None and result.error.kind == "budget" and (refusal := refusal_of_outer()) is not None:
            # not this agent's own bound: the run around it has nothing left to spend
            raise BudgetExceededError(refusal.limit, refusal.bound, refusal.used, refusal.wanted)
        _raise_unless_done(name, result)
        return result.to_dict()["answer"]

    is_read_only = all(tool.read_only for tool in tools)
    return Tool.from_function(
        reach,
        name=name,
        description=description or f"Reaches a goal with tools of its own: {', '.join(sorted(agent.tools))[:500]}.",
        read_only=is_read_only,
        idempotent=all(tool.read_only or tool.idempotent for tool in tools),
        destructive=any(tool.destructive for tool in tools),
        open_world=any(tool.open_world for tool in tools),
        calls_model=True,
        retries=0,
        timeout_s=min((agent.wall_s or 0.0) + SUBAGENT_TIMEOUT_S, MAXIMUM_SECONDS),
    )


def _raise_unless_done(name: str, result: RunResult) -> None:
    if result.status is RunStatus.SUCCEEDED:
        return
    if result.status is RunStatus.WAITING:
        raise StillWaiting(f"the agent `{name}` waits for a person")
    raise PlanloomError(f"the agent `{name}` did not reach its goal: {result.explain()}")
