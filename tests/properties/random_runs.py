"""Random plans whose tools fail, hang, retry and skip by script; the same seed gives the same plan and run.

Run as a program, it prints a digest of the events of some runs, for a comparison between processes.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import sys
from dataclasses import dataclass, field
from typing import Any

from planloom import Plan, RunResult, Step, Tool, ToolContext
from planloom.testing import VirtualClock

OUTCOMES = ("ok", "ok", "ok", "ok", "ok", "ok", "pass", "pass", "fail", "hang")
"""Scripts are drawn from these: `pass` is a failure that can pass, `hang` runs into the time limit."""
TIMEOUT_S = 10.0


@dataclass
class Trace:
    """What the tools of one run have seen."""

    calls: list[tuple[str, int | None, int, float]] = field(default_factory=list)
    """Step, element, attempt, start."""
    now: dict[str, int] = field(default_factory=dict)
    most: dict[str, int] = field(default_factory=dict)

    def enter(self, tool: str) -> None:
        """Count a call that begins."""
        for name in (tool, "all"):
            self.now[name] = self.now.get(name, 0) + 1
            self.most[name] = max(self.most.get(name, 0), self.now[name])

    def leave(self, tool: str) -> None:
        """Count a call that ends."""
        for name in (tool, "all"):
            self.now[name] -= 1


def make_tool(trace: Trace, name: str, **facts: Any) -> Tool:
    """A tool that does what the script among its arguments says, attempt by attempt."""

    async def act(script: list[str], takes_s: float, uses: list[Any], context: ToolContext, element: int = 0) -> Any:
        trace.calls.append((context.step_id, context.index, context.attempt, asyncio.get_running_loop().time()))
        trace.enter(name)
        try:
            outcome = script[(context.attempt - 1 + element) % len(script)]
            await asyncio.sleep(1_000 if outcome == "hang" else takes_s)
        finally:
            trace.leave(name)
        if outcome == "pass":
            raise ConnectionError(f"attempt {context.attempt}")
        if outcome == "fail":
            raise ValueError("for good")
        return {"n": len(uses) + element, "rows": list(range(len(uses) % 4)), "of": context.step_id}

    return Tool.from_function(act, name=name, timeout_s=TIMEOUT_S, **facts)


def make_tools(trace: Trace, limit: int | None) -> list[Tool]:
    """A read-only tool, one with a limit of its own, and one with effects."""
    return [
        make_tool(trace, "read", read_only=True),
        make_tool(trace, "narrow", read_only=True, max_concurrency=limit, expected_s=3),
        make_tool(trace, "effect"),
    ]


def random_plan(seed: int, count: int, trouble: float) -> Plan:
    """A plan of `count` steps in random order; `trouble` from 0 to 1 is the share of steps that do not just work."""
    chance = random.Random(seed)
    steps: list[Step] = []

    def number_of(other: int) -> str:
        return f"s{other}.output" if steps[other].for_each is not None else f"s{other}.output.n"

    def rows_of(other: int) -> str:
        return f"s{other}.output" if steps[other].for_each is not None else f"s{other}.output.rows"

    for number in range(count):
        needed = chance.sample(range(number), min(number, chance.choice((0, 1, 1, 2, 3))))
        recent = [other for other in needed if chance.random() < 0.7]
        uses = [f"{{{{{number_of(other)}}}}}" for other in recent]
        if len(recent) > 1 and chance.random() < 0.2:
            uses.append(f"{{{{{number_of(recent[0])} ?? {number_of(recent[1])}}}}}")
        args: dict[str, Any] = {
            "script": chance.choices(OUTCOMES, k=chance.randint(1, 3)) if chance.random() < trouble else ["ok"],
            "takes_s": chance.choice((0.0, 0.5, 1.0, 2.5)),
            "uses": uses,
        }
        when, for_each = None, None
        if recent and chance.random() < trouble / 3:
            when = f"len({{{{{rows_of(recent[0])}}}}}) {chance.choice(('>', '<=', '=='))} {chance.randint(0, 3)}"
        if chance.random() < trouble / 4:
            from_step = recent and chance.random() < 0.5
            for_each = f"{{{{{rows_of(recent[0])}}}}}" if from_step else list(range(chance.randint(0, 4)))
            args["element"] = "{{index}}"
        steps.append(
            Step(
                f"s{number}",
                chance.choice(("read", "read", "narrow", "effect")),
                args,
                [f"s{other}" for other in needed],
                when=when,
                for_each=for_each,
                retries=chance.choice((None, None, 0, 1, 5)),
            )
        )
    chance.shuffle(steps)
    return Plan(tuple(steps), goal=f"random {seed}")


def run_random(
    plan: Plan, seed: int, limit: int | None, tool_limit: int | None, timeout_s: float | None = None
) -> tuple[RunResult, list[Any], Trace]:
    """Run a random plan in virtual time; return its result, its events and what the tools saw."""
    trace, events = Trace(), []
    result = VirtualClock().execute(
        plan,
        make_tools(trace, tool_limit),
        seed=seed,
        max_concurrency=limit,
        timeout_s=timeout_s,
        on_event=lambda event: events.append(event),
    )
    return result, events, trace


def main() -> None:
    """Print one digest over the events of some runs."""
    digest = hashlib.sha256()
    for seed in range(8):
        plan = random_plan(seed, 60, 0.6)
        _, events, _ = run_random(
            plan, seed, (None, 1, 5)[seed % 3], (None, 2)[seed % 2], 40 if seed % 4 == 3 else None
        )
        digest.update(json.dumps([event.to_dict() for event in events]).encode())
    sys.stdout.write(digest.hexdigest())


if __name__ == "__main__":
    main()
