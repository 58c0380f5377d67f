"""The plan: steps, their order-free graph as data, and JSON in and out.

Reading keeps every defect so that validation can name it; only text that is not JSON, or that holds no list
of steps, raises. Plans and steps are frozen: what was validated is what runs. Do not change the dicts
inside them; make a new plan with `dataclasses.replace`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from planloom.plan.issues import Issue
from planloom.plan.limits import DEFAULT_LIMITS, Limits
from planloom.plan.tool_spec import ToolSpec
from planloom.plan.wiring import Wiring, read_wiring

PLAN_VERSION: Final = 1


class Missing:
    """The type of `MISSING`: a field that the plan does not have (null is a value of its own)."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "MISSING"

    def __bool__(self) -> bool:
        return False

    def __reduce__(self) -> str:
        return "MISSING"

    def __copy__(self) -> Missing:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Missing:
        return self


MISSING: Final = Missing()


@dataclass(frozen=True, slots=True, init=False)
class Step:
    """One tool call of a plan.

    `args` may hold references at any depth. `depends_on` left out means the referenced steps.
    `for_each` is a list or a reference to one, `when` an expression; both None when absent. `timeout_s`
    (seconds per attempt) and `retries` lower the tool's own, never raise them. `description` left out
    means the tool's name.
    """

    id: str
    description: str
    tool: str
    args: dict[str, Any]
    depends_on: tuple[str, ...]
    when: str | None
    for_each: str | list[Any] | None
    timeout_s: float | None
    retries: int | None
    source: Any = field(repr=False)
    """The object as it was written, when it had defects that the fields cannot hold; else `MISSING`."""
    defects: tuple[Issue, ...] = field(compare=False, repr=False)
    """What was wrong with the fields, with pointers relative to the step."""
    _wiring: Wiring | None = field(compare=False, repr=False)

    def __init__(
        self,
        id: str,
        tool: str,
        args: dict[str, Any] | None = None,
        depends_on: Sequence[str] | None = None,
        description: str = "",
        when: str | None = None,
        for_each: str | list[Any] | None = None,
        timeout_s: float | None = None,
        retries: int | None = None,
        source: Any = MISSING,
        defects: tuple[Issue, ...] = (),
    ) -> None:
        # the slot descriptors, bound below: half the time of object.__setattr__, and plans have 100,000 steps
        _set_id(self, id)
        _set_description(self, description or tool)
        _set_tool(self, tool)
        _set_args(self, {} if args is None else args)
        _set_when(self, when)
        _set_for_each(self, for_each)
        _set_timeout_s(self, timeout_s)
        _set_retries(self, retries)
        _set_source(self, source)
        _set_defects(self, defects)
        _set_wiring(self, None)
        _set_depends_on(self, tuple(depends_on) if depends_on is not None else self.wiring().step_ids)

    def wiring(self) -> Wiring:
        """Return the references of this step, read once."""
        wiring = self._wiring
        if wiring is None:
            wiring = read_wiring(self)
            _set_wiring(self, wiring)
        return wiring

    def __hash__(self) -> int:
        return hash((self.id, self.tool, self.depends_on))

    def __getstate__(self) -> dict[str, Any]:
        return self.to_dict() if self.source is MISSING else {"source": self.source}

    def __setstate__(self, state: dict[str, Any]) -> None:
        from planloom.plan.reader import read_step

        fresh = read_step(state.get("source", state))
        for name in self.__slots__:
            object.__setattr__(self, name, getattr(fresh, name))

    def to_dict(self) -> Any:
        """Return the step as a JSON object; a step with defects comes back as it was written."""
        if self.source is not MISSING:
            return self.source
        written: dict[str, Any] = {
            "id": self.id,
            "description": self.description,
            "tool": self.tool,
            "args": self.args,
            "depends_on": list(self.depends_on),
        }
        for name in ("when", "for_each", "timeout_s", "retries"):
            if (value := getattr(self, name)) is not None:
                written[name] = value
        return written


_slot = Step.__dict__
_set_id = _slot["id"].__set__
_set_description = _slot["description"].__set__
_set_tool = _slot["tool"].__set__
_set_args = _slot["args"].__set__
_set_depends_on = _slot["depends_on"].__set__
_set_when = _slot["when"].__set__
_set_for_each = _slot["for_each"].__set__
_set_timeout_s = _slot["timeout_s"].__set__
_set_retries = _slot["retries"].__set__
_set_source = _slot["source"].__set__
_set_defects = _slot["defects"].__set__
_set_wiring = _slot["_wiring"].__set__


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
        if not isinstance(self.steps, tuple):
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
        from planloom.plan.reader import read_plan

        return read_plan(source, limits)

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
    def json_schema(toolbox: Mapping[str, ToolSpec] | None = None) -> dict[str, Any]:
        """Return the strict JSON Schema (draft 2020-12) of a plan.

        With a toolbox, a step is one of its tools: one branch per tool, with that tool's arguments, where a
        reference may stand for any value. A toolbox is anything that maps names to tools.
        """
        from planloom.plan.json_schema import plan_schema

        return plan_schema(toolbox)


PlanLike = Plan | str | bytes | bytearray | Mapping[str, Any] | Sequence[Any]
