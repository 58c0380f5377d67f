"""Rounds of parallel calls: what the tool calling of a model's provider gives without any planner. A baseline.

The model is asked for calls, all of them run at once, and it is asked again with what they gave back. It writes no
thoughts, ids or dependencies, and no engine stands between: without failures and chains it is one round and the answer.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any, Final

from planloom import Plan, RunResult, Toolbox
from planloom.models import Message, Model, ModelRequest
from planloom.models.paid import PaidModel
from planloom.plan.budget import Account
from planloom.plan.state import RunStatus
from planloom.plan.values import normalise_output

PARALLEL_FORM: Final = """\
You are a helpful assistant with tools. Call as many of them at once as you can: {"calls": [{"tool": "...", "args": \
{...}}]}. When you have what you need, answer in words.
"""
MAX_ROUNDS: Final = 64


async def parallel_calls(goal: str, tools: Toolbox, model: Model, account: Account) -> RunResult:
    """Reach a goal by rounds of parallel calls."""
    paid = PaidModel(model, account)
    messages = [Message("system", f"{PARALLEL_FORM}\n{_described(tools)}"), Message("user", goal)]
    for _ in range(MAX_ROUNDS):
        request = ModelRequest(tuple(messages), temperature=0.0, max_output_tokens=4_096)
        text = (await paid.complete(request)).text
        if not text.startswith('{"calls"'):
            return RunResult("parallel", RunStatus.SUCCEEDED, text, Plan((), goal), {}, account.usage())
        calls = json.loads(text)["calls"]
        outputs = await asyncio.gather(*[_called(tools, call) for call in calls])
        messages += [Message("assistant", text), Message("user", json.dumps(outputs, ensure_ascii=False))]
    raise AssertionError(f"no answer after {MAX_ROUNDS} rounds")


async def _called(tools: Toolbox, call: dict[str, Any]) -> dict[str, Any]:
    try:
        return {"tool": call["tool"], "output": normalise_output(await tools[call["tool"]].function(**call["args"]))}
    except LookupError as error:
        return {"tool": call["tool"], "error": str(error)}


def _described(tools: Toolbox) -> str:
    """The tools in the form in which providers take them, whose tokens are paid like any others."""
    described = [
        {"name": one.name, "description": one.description, "parameters": one.parameters} for one in tools.values()
    ]
    return json.dumps(described)
