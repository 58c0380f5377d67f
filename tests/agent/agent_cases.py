"""What the tests of agents share: scripted tools, plans as a model writes them, a goal in virtual time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any

from planloom import Agent, RunResult, Tool
from planloom.models import ModelRequest
from planloom.plan.events import Event
from planloom.testing import InlineWorkers, ScriptedModel, ScriptedTool, VirtualClock

GOAL = "find tea"
Written = dict[str, Any]


def step(step_id: str, tool: str = "look", after: list[str] | None = None, **args: Any) -> Written:
    """A step as a model writes it."""
    return {"id": step_id, "description": f"do {step_id}", "tool": tool, "args": args, "depends_on": after or []}


def plan_text(*steps: Written, **fields: Any) -> str:
    """A plan as a model writes it, `fields` before the steps but for the answer."""
    answer = {"answer": fields.pop("answer")} if "answer" in fields else {}
    return json.dumps({"goal": GOAL, **fields, "steps": list(steps), **answer})


def ref(step_id: str) -> str:
    return "{{" + step_id + ".output}}"


def look(*outcomes: Any, takes_s: Any = 0.0, name: str = "look", **facts: Any) -> ScriptedTool:
    """A tool that may start early, unless the facts say otherwise."""
    return ScriptedTool(name, outcomes, takes_s, **{"read_only": True, "calls_model": False, "retries": 0, **facts})


def send(*outcomes: Any, takes_s: Any = 0.0, name: str = "send", **facts: Any) -> ScriptedTool:
    """A tool with an effect."""
    return ScriptedTool(name, outcomes, takes_s, **{"calls_model": False, **facts})


class Goal:
    """One agent, and its goals in virtual time with all that is told of them."""

    def __init__(
        self,
        tools: list[ScriptedTool | Tool | Callable[..., Any]],
        planner: ScriptedModel | list[Any],
        worker: ScriptedModel | list[Any] | None = None,
        **options: Any,
    ) -> None:
        self.planner = planner if isinstance(planner, ScriptedModel) else ScriptedModel(planner, name="planner")
        worker = [] if worker is None else worker
        self.worker = worker if isinstance(worker, ScriptedModel) else ScriptedModel(worker, name="worker")
        made = [tool.tool if isinstance(tool, ScriptedTool) else tool for tool in tools]
        self.agent = Agent(made, self.planner, self.worker, **options)
        self.clock = VirtualClock()
        self.events: list[Event] = []
        self.told: list[tuple[str, str]] = []

    def options(self, **more: Any) -> dict[str, Any]:
        return {
            "clock": self.clock,
            "workers": InlineWorkers,
            "seed": 0,
            "run_id": "run",
            "on_event": self.events.append,
            "on_step_complete": lambda step_id, result: self.told.append((step_id, result.status.value)),
            **more,
        }

    def run(self, goal: str = GOAL, *, mode: str = "run", **more: Any) -> RunResult:
        """Reach a goal; everything that the scripts hold must be used, and no task is left behind."""
        return self.alone(getattr(self.agent, mode)(goal, **self.options(**more)))

    def alone(self, work: Coroutine[Any, Any, RunResult]) -> RunResult:
        async def main() -> RunResult:
            result = await work
            for _ in range(3):
                await asyncio.sleep(0)
            assert {asyncio.current_task()} == asyncio.all_tasks()
            return result

        result = self.clock.run(main())
        for model in (self.planner, self.worker):
            model.assert_finished()
            assert len(model.requests) <= len(model._replies), f"{model!r} was asked more than its script says"
        return result

    def cancelled_at(self, *seconds: float, **more: Any) -> RunResult:
        """Reach a goal and be cancelled at those times."""

        async def main() -> RunResult:
            loop = asyncio.get_running_loop()
            task = asyncio.ensure_future(self.agent.run(GOAL, **self.options(**more)))
            for at_s in seconds:
                loop.call_at(at_s, task.cancel)
            return await task

        return self.clock.run(main())

    def types(self, *of: str) -> list[str]:
        """The types of the events in order, `type step` where there is a step; model calls and deltas left out."""
        quiet = {"model-called", "answer-delta"}
        chosen = [event for event in self.events if (event.type in of if of else event.type not in quiet)]
        return [f"{event.type} {event.step_id}" if event.step_id else event.type for event in chosen]

    def at_s(self, kind: str, step_id: str | None = None) -> float:
        """The virtual second at which something happened first."""
        first = next(event for event in self.events if event.type == kind and event.step_id == step_id)
        return round(first.at - 1_700_000_000.0, 6)


def statuses(result: RunResult) -> dict[str, str]:
    return {name: each.status.value for name, each in result.steps.items()}


def purposes(model: ScriptedModel) -> list[str]:
    return [request.purpose for request in model.requests]


def said_to(request: ModelRequest) -> str:
    """The user's part of what a model was asked: all messages but the first."""
    return "\n".join(message.text for message in request.messages[1:])
