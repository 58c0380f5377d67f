"""The plan: steps, their order-free graph as data, and JSON in and out.

Reading keeps every defect so that validation can name it; only text that is not JSON, or that holds no list
of steps, raises. Plans and steps are frozen: what was validated is what runs. Do not change the dicts
inside them; make a new plan with `dataclasses.replace`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from planloom.plan.issues import Issue
from planloom.plan.json_schema import plan_schema
from planloom.plan.limits import DEFAULT_LIMITS, Limits
from planloom.plan.reader import read_parts
from planloom.plan.step import MISSING, PLAN_VERSION, Missing, Step
from planloom.plan.tool_spec import ToolsLike, tools_of

__all__ = ["MISSING", "PLAN_VERSION", "Missing", "Plan", "PlanLike", "Step"]


@dataclass(frozen=True)
class Plan:
    """A goal turned into steps. Order in `steps` means nothing; the graph is in the references.

    `inputs` are defaults that the caller of a run may override. `answer` is any JSON value with references,
    or `MISSING`.
    """

    steps: tuple[Step, ...]
    goal: str = ""
    inputs: dict[str, Any] = field(default_factory=dict[str, Any])
    answer: Any = MISSING
    version: int = PLAN_VERSION
    defects: tuple[Issue, ...] = field(default=(), compare=False, repr=False)
    """What was wrong with the plan's own fields when it was read."""
    memo: dict[Any, Any] = field(default_factory=dict[Any, Any], init=False, compare=False, repr=False)
    """Results of pure functions of this plan (its graph, verdicts), computed once. Not part of its value."""

    def __post_init__(self) -> None:
        if not isinstance(self.steps, tuple):  # pyright: ignore[reportUnnecessaryIsInstance] - a list will do
            object.__setattr__(self, "steps", tuple(self.steps))

    def __hash__(self) -> int:
        return hash((self.steps, self.goal, self.version))

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "memo": {}}

    def step(self, step_id: str) -> Step:
        """Return the step called `step_id`. Raises `KeyError`."""
        for step in self.steps:
            if step.id == step_id:
                return step
        raise KeyError(step_id)

    @staticmethod
    def from_json(source: PlanLike, limits: Limits = DEFAULT_LIMITS) -> Plan:
        """Read a plan from JSON text, bytes, or the object it parses to.

        Takes the plan object, a bare array of steps, or an object whose only list stands under another
        name (`plan`, `calls`, `tasks` …). Raises `PlanFormatError` for what is not JSON or holds no list
        of steps; every other defect is kept for `find_issues`.
        """
        return source if isinstance(source, Plan) else Plan(*read_parts(source, limits))

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as a JSON object."""
        written: dict[str, Any] = {"version": self.version, "goal": self.goal, "inputs": self.inputs}
        written["steps"] = [step.to_dict() for step in self.steps]
        if self.answer is not MISSING:
            written["answer"] = self.answer
        return written

    def to_json(self, indent: int | None = 2) -> str:
        """Return the plan as JSON text that `from_json` reads back to an equal plan."""
        return json.dumps(self.to_dict(), indent=indent, ensure_ascii=False)

    @staticmethod
    def json_schema(toolbox: ToolsLike | None = None) -> dict[str, Any]:
        """Return the strict JSON Schema (draft 2020-12) of a plan.

        With a toolbox, a step is one of its tools: one branch per tool, with that tool's arguments, where a
        reference may stand for any value. A dict of name to function will do, a list of functions or tools,
        or whatever else `Toolbox.of` takes. Raises `ToolDefinitionError` for what cannot be a tool.
        """
        return plan_schema(None if toolbox is None else tools_of(toolbox))


PlanLike = Plan | str | bytes | bytearray | Mapping[str, Any] | Sequence[Any]
