"""The command line in this process, with a scripted server: plans, what commands say, exit codes."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from planloom.testing import ReceivedRequest, Served

JOINER = "You write the answer to a goal"
REPLANNER = "A step of a running plan failed for good"
COMPILER = "You compile a goal"
REACT = "one tool call"
MODEL = ("--model", "openai:test")
TOOLS = ("--tools", "tools.py")


def step(name: str, tool: str, *depends_on: str, **args: Any) -> dict[str, Any]:
    return {"id": name, "description": f"do {name}", "tool": tool, "args": args, "depends_on": list(depends_on)}


def plan_text(*steps: dict[str, Any], **fields: Any) -> str:
    return json.dumps({"goal": "add up", "steps": list(steps), **fields})


SUM = plan_text(step("first", "add", a=1, b=2), step("second", "add", "first", a="{{first.output}}", b=4))
"""A plan whose answer a joiner writes."""
SUM_ALONE = plan_text(step("first", "add", a=1, b=2), answer="{{first.output}}")
"""A plan that says what its answer is."""


def answering(
    plan: str | Served = SUM,
    answer: str | Served = "The sum is 7.",
    recovery: str | Served = '{"steps": [], "give_up": "no other way"}',
    compiled: str | Served = "",
) -> Callable[[ReceivedRequest], str | Served]:
    """Answer every request by what it is for."""

    def reply(request: ReceivedRequest) -> str | Served:
        system = request.texts[0]
        if system.startswith(JOINER):
            return answer
        if system.startswith(COMPILER):
            return compiled or plan
        if any(REPLANNER in text for text in request.texts):
            return recovery
        return plan

    return reply
