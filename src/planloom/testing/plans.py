"""Plans in a line: a builder, and the shapes that schedulers are measured with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from planloom.plan.model import MISSING, Plan, Step


class PlanBuilder:
    """Builds a plan step by step. `build` returns it; steps may come in any order."""

    def __init__(self, goal: str = "a test", **inputs: Any) -> None:
        self._goal = goal
        self._inputs = inputs
        self._steps: list[Step] = []
        self._answer: Any = MISSING

    def step(
        self,
        id: str,
        tool: str,
        /,
        *,
        after: Sequence[str] | None = None,
        when: str | None = None,
        for_each: str | list[Any] | None = None,
        timeout_s: float | None = None,
        retries: int | None = None,
        **args: Any,
    ) -> PlanBuilder:
        """Add a step; `args` are its arguments, `after` its `depends_on` (default: what it refers to)."""
        self._steps.append(
            Step(id, tool, args, after, when=when, for_each=for_each, timeout_s=timeout_s, retries=retries)
        )
        return self

    def answer(self, answer: Any) -> PlanBuilder:
        """Set the plan's answer."""
        self._answer = answer
        return self

    def build(self) -> Plan:
        """Return the plan."""
        return Plan(tuple(self._steps), self._goal, dict(self._inputs), self._answer)


def chain(length: int, tool: str = "work") -> Plan:
    """Return a plan of `length` steps in a row: `s0` to `s…`."""
    return Plan(tuple(Step(f"s{i}", tool, {}, [f"s{i - 1}"] if i else []) for i in range(length)))


def fan(width: int, tool: str = "work") -> Plan:
    """Return a plan of one step, `width` steps after it, and one after all of those."""
    middle = [Step(f"m{i}", tool, {}, ["first"]) for i in range(width)]
    return Plan((Step("first", tool, {}, []), *middle, Step("last", tool, {}, [step.id for step in middle])))


def layered(layers: int, width: int, tool: str = "work") -> Plan:
    """Return a plan of `layers` times `width` steps; each waits for two neighbours in the layer before."""
    return Plan(
        tuple(
            Step(f"s{y}_{x}", tool, {}, sorted({f"s{y - 1}_{x}", f"s{y - 1}_{(x + 1) % width}"}) if y else [])
            for y in range(layers)
            for x in range(width)
        )
    )
