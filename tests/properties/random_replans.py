"""Random plans in which some steps fail for good, with a replanner that writes the broken part anew."""

from __future__ import annotations

import asyncio
import dataclasses
import random
import re
from collections.abc import Callable
from itertools import groupby
from typing import Any, Final

from random_runs import Trace, make_tools, random_plan

from planloom import Plan, RunResult, Step, StepResult, Toolbox
from planloom.engine.base import Hooks, ReplanRequest
from planloom.engine.emitter import Emitter
from planloom.engine.run import Run
from planloom.engine.settings import RunSettings
from planloom.errors import ReplanError
from planloom.plan.events import Event
from planloom.testing import InlineWorkers, VirtualClock

MAX_ROUNDS: Final = 8
"""After so many rounds the scripted replanner refuses."""
_NAME = re.compile(r"\bs\d+(?:r\d+)?\b")

Move = tuple[float, Callable[[Run], Any]]


def broken_plan(seed: int, count: int, failures: int, with_retries: bool) -> Plan:
    """A plan of `count` steps, with conditions and elements, of which `failures` fail for good if they run."""
    chance = random.Random(seed)
    plan = random_plan(seed, count, 0.5)
    fails = {step.id for step in chance.sample(plan.steps, failures)}
    steps: list[Step] = []
    for step in plan.steps:
        script = ["fail"] if step.id in fails else ["ok"]
        if with_retries and step.id not in fails and step.tool != "effect" and chance.random() < 0.15:
            script = ["pass", "ok"]
        steps.append(dataclasses.replace(step, args={**step.args, "script": script}, retries=None))
    return dataclasses.replace(plan, steps=tuple(steps))


class RandomReplanner:
    """Writes the broken part again, working this time or mostly so, under the old ids or new ones."""

    def __init__(self, seed: int, takes_s: float, fails_again: float, refuses: float = 0.0) -> None:
        self._chance = random.Random(seed)
        self._takes_s = takes_s
        self._fails_again = fails_again
        self._refuses = refuses
        self.requests: list[ReplanRequest] = []

    async def __call__(self, request: ReplanRequest) -> Plan:
        self.requests.append(request)
        number = len(self.requests)
        await asyncio.sleep(self._takes_s)
        if number > MAX_ROUNDS or self._chance.random() < self._refuses:
            raise ReplanError("max-replans", "enough")
        names = {
            step_id: step_id if self._chance.random() < 0.5 else f"{step_id.partition('r')[0]}r{number}"
            for step_id in request.held
        }
        healthy = [step.id for step in request.plan.steps if step.id not in names]
        return Plan(tuple(self._rewritten(request.plan.step(step_id), names, healthy) for step_id in request.held))

    def _rewritten(self, step: Step, names: dict[str, str], healthy: list[str]) -> Step:
        script = ["fail"] if self._chance.random() < self._fails_again else ["ok"]
        after = [names.get(name, name) for name in step.depends_on or ()]
        if healthy and self._chance.random() < 0.3:
            after.append(self._chance.choice(healthy))
        return dataclasses.replace(
            step,
            id=names[step.id],
            args={**_renamed(step.args, names), "script": script},
            depends_on=tuple(dict.fromkeys(after)),
            when=_renamed(step.when, names),
            for_each=_renamed(step.for_each, names),
        )


def _renamed(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, str):
        return _NAME.sub(lambda found: names.get(found[0], found[0]), value)
    if isinstance(value, list | tuple):
        return [_renamed(part, names) for part in value]
    if isinstance(value, dict):
        return {key: _renamed(part, names) for key, part in value.items()}
    return value


def play(
    plan: Plan,
    replanner: Any,
    limit: int | None = None,
    tool_limit: int | None = None,
    *,
    is_whole: bool = True,
    moves: tuple[Move, ...] = (),
    cancel_at_s: float | None = None,
) -> tuple[RunResult, list[Event], Trace, list[tuple[str, StepResult]]]:
    """Run a plan in virtual time; return its result, events, what the tools saw, and who was told of which end."""
    trace, events, told = Trace(), list[Event](), list[tuple[str, StepResult]]()
    clock = VirtualClock()
    emitter = Emitter("run", clock, [events.append], lambda step_id, result: told.append((step_id, result)))
    settings = RunSettings(
        clock=clock, max_concurrency=limit, seed=0, make_workers=InlineWorkers, hooks=Hooks(replanner=replanner)
    )
    run = Run(plan, Toolbox(make_tools(trace, tool_limit)), {}, emitter, settings, is_whole=is_whole)

    def make_moves(together: list[Callable[[Run], Any]]) -> None:
        for move in together:
            move(run)

    async def main() -> RunResult:
        loop = asyncio.get_running_loop()
        task = asyncio.ensure_future(run.execute())
        for at_s, together in groupby(moves, key=lambda move: move[0]):  # timers of one moment go off in any order
            loop.call_at(at_s, make_moves, [move for _, move in together])
        if cancel_at_s is not None:
            loop.call_at(cancel_at_s, task.cancel)
        result = await task
        for _ in range(3):
            await asyncio.sleep(0)
        assert {asyncio.current_task()} == asyncio.all_tasks()
        return result

    return clock.run(main()), events, trace, told
