"""What the tests of runs that change share: a run with its hooks, and what happens to it at which second."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from itertools import groupby
from typing import Any

from planloom import Plan, RunResult, Step, StepResult, Tool, Toolbox
from planloom.engine.base import EffectRequest, Hooks, ReplanRequest
from planloom.engine.emitter import Emitter
from planloom.engine.run import Run
from planloom.engine.settings import RunSettings
from planloom.plan.budget import Account
from planloom.plan.events import Event, StepStarted
from planloom.testing import HANG, InlineWorkers, ScriptedTool, VirtualClock

Move = Callable[["Live"], Any]


class Live:
    """One run in virtual time, with its events and who was told of which end."""

    def __init__(
        self,
        plan: Plan,
        *tools: Tool | ScriptedTool,
        replanner: Any = None,
        person: Any = None,
        account: Account | None = None,
        is_whole: bool = True,
        finished: Mapping[str, StepResult] | None = None,
        max_concurrency: int | None = None,
        timeout_s: float | None = None,
        inputs: Mapping[str, Any] | None = None,
    ) -> None:
        self.clock = VirtualClock()
        self.events: list[Event] = []
        self.told: list[tuple[str, str]] = []
        self._listeners: list[Callable[[Event], Any]] = [self.events.append]
        emitter = Emitter("run", self.clock, [self._hear], self._tell)
        settings = RunSettings(
            clock=self.clock,
            max_concurrency=max_concurrency,
            timeout_s=timeout_s,
            seed=0,
            make_workers=InlineWorkers,
            hooks=Hooks(replanner, person, account),
            finished=finished,
        )
        toolbox = Toolbox([tool.tool if isinstance(tool, ScriptedTool) else tool for tool in tools])
        self.run = Run(plan, toolbox, inputs or {}, emitter, settings, is_whole=is_whole)
        self.task: asyncio.Task[RunResult] | None = None

    def listen(self, listener: Callable[[Event], Any]) -> None:
        """Let somebody else hear the events too."""
        self._listeners.append(listener)

    def _hear(self, event: Event) -> None:
        for listener in self._listeners:
            listener(event)

    def _tell(self, step_id: str, result: StepResult) -> None:
        self.told.append((step_id, result.status.value))

    def play(self, *moves: tuple[float, Move], leaves_tasks: bool = False) -> RunResult:
        """Run to the end; each move happens at its second. A run that would hang raises `DeadlockError`."""

        async def main() -> RunResult:
            loop = asyncio.get_running_loop()
            self.task = asyncio.ensure_future(self.run.execute())
            for at_s, together in groupby(moves, key=lambda move: move[0]):  # timers of one moment go off in any order
                loop.call_at(at_s, self._make_moves, [move for _, move in together])
            result = await self.task
            self.ended_at_s = loop.time()
            for _ in range(3):
                await asyncio.sleep(0)
            if not leaves_tasks:
                assert {asyncio.current_task()} == asyncio.all_tasks()
            return result

        return self.clock.run(main())

    def _make_moves(self, together: list[Move]) -> None:
        for move in together:
            move(self)

    def lines(self, *types: str) -> list[str]:
        """The events as `type step`, those of the given types alone if there are any."""
        chosen = [event for event in self.events if not types or event.type in types]
        return [f"{event.type} {event.step_id}" if event.step_id else event.type for event in chosen]

    def starts(self) -> list[str]:
        """The ids of what was started, in order."""
        return [event.step_id or "" for event in self.events if isinstance(event, StepStarted)]

    def of(self, kind: str) -> list[Any]:
        """The events of one type."""
        return [event for event in self.events if event.type == kind]

    def at_s(self, line: str) -> float:
        """When the first event of a line happened, in seconds since the start."""
        times = [event.at for event in self.events if line == f"{event.type} {event.step_id}"]
        return times[0] - self.events[0].at


def cancel(live: Live) -> None:
    """A move: cancel the task that awaits the run."""
    assert live.task is not None
    live.task.cancel()


class Planner:
    """A replanner that follows a script: recovery plans (lists of steps are), exceptions, `HANG`, or functions."""

    def __init__(self, *answers: Any, takes_s: float = 1.0) -> None:
        self.answers = answers
        self.takes_s = takes_s
        self.requests: list[ReplanRequest] = []

    async def __call__(self, request: ReplanRequest) -> Any:
        self.requests.append(request)
        assert len(self.requests) <= len(self.answers), f"nobody expected `{request.failed}` to be planned around"
        answer = self.answers[len(self.requests) - 1]
        await asyncio.sleep(self.takes_s)
        if answer is HANG:
            await asyncio.get_running_loop().create_future()
        if isinstance(answer, BaseException):
            raise answer
        return Plan(tuple(answer)) if isinstance(answer, list) else answer

    def assert_finished(self) -> None:
        """Every answer was asked for."""
        assert len(self.answers) == len(self.requests)


class Person:
    """A person who follows a script: words by step, exceptions or `HANG`; None is no answer."""

    def __init__(self, takes_s: float = 1.0, *, asks_before_effects: bool = True, **words: Any) -> None:
        self.asks_before_effects = asks_before_effects
        self.takes_s = takes_s
        self.words = words
        self.asked: list[Any] = []

    def said(self, digest: str) -> bool | None:
        """Nothing was said before."""
        assert 64 == len(digest)
        return None

    async def approve(self, request: EffectRequest) -> bool | None:
        """Give the word for a call."""
        self.asked.append((request.step_id, request.tool, request.args))
        return await self._word(request.step_id)

    async def answer(self, step_id: str, question: str) -> Any:
        """Give the word for a question."""
        self.asked.append((step_id, question))
        return await self._word(step_id)

    async def _word(self, step_id: str) -> Any:
        word = self.words[step_id.replace("[", "_").replace("]", "")]
        await asyncio.sleep(self.takes_s)
        if word is HANG:
            await asyncio.get_running_loop().create_future()
        if isinstance(word, BaseException):
            raise word
        return word


def step(step_id: str, tool: str, after: list[str] | None = None, **more: Any) -> Step:
    """A step in a line; what is no field of a step is an argument."""
    fields = {name: more.pop(name) for name in ("when", "for_each", "timeout_s", "retries") if name in more}
    return Step(step_id, tool, more, after, **fields)


def broken(name: str = "bad", takes_s: float = 1.0, **facts: Any) -> ScriptedTool:
    """A tool that always fails for good."""
    return ScriptedTool(name, [ValueError("broken")] * 50, takes_s, **{"read_only": True, **facts})


def good(name: str = "good", takes_s: float = 1.0, **facts: Any) -> ScriptedTool:
    """A tool that gives back its arguments."""
    return ScriptedTool(name, [], takes_s, **{"read_only": True, **facts})
