"""The step: one tool call of a plan, frozen, with its references read once.

A step that was written with defects keeps the object as it was, so that nothing is lost and validation can
name what is wrong. Do not change the dicts inside a step; make a new one with `dataclasses.replace`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

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
    source: Any = field(init=False, repr=False)
    """The object as it was written, when it had defects that the fields cannot hold; else `MISSING`."""
    filled: tuple[str, ...] = field(init=False, compare=False, repr=False)
    """The fields that were missing and got their default, for validation to say so."""
    _wiring: Wiring | None = field(init=False, compare=False, repr=False)

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
        filled: tuple[str, ...] = (),
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
        _set_filled(self, filled)
        _set_wiring(self, None)
        if depends_on is not None:
            _set_depends_on(self, tuple(depends_on))
        else:
            _set_depends_on(self, tuple([name for name in self.wiring().step_ids if name != id]))

    def wiring(self) -> Wiring:
        """Return the references of this step, read once."""
        wiring = self._wiring
        if wiring is None:
            wiring = read_wiring(self)
            _set_wiring(self, wiring)
        return wiring

    def needs(self) -> tuple[str, ...]:
        """Return the ids of the steps that this one waits for, declared and referenced ones, each once."""
        return tuple(dict.fromkeys((*self.depends_on, *self.wiring().step_ids)))

    def __hash__(self) -> int:
        return hash((self.id, self.tool, self.depends_on))

    def __getstate__(self) -> tuple[Any, ...]:
        return tuple(getattr(self, name) for name in _PICKLED)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        for name, value in zip(_PICKLED, state, strict=True):
            object.__setattr__(self, name, value)
        _set_wiring(self, None)

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
        if self.when is not None:
            written["when"] = self.when
        if self.for_each is not None:
            written["for_each"] = self.for_each
        if self.timeout_s is not None:
            written["timeout_s"] = self.timeout_s
        if self.retries is not None:
            written["retries"] = self.retries
        return written


_PICKLED: Final = (
    "id", "description", "tool", "args", "depends_on", "when", "for_each", "timeout_s", "retries", "source", "filled",
)  # fmt: skip
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
_set_filled = _slot["filled"].__set__
_set_wiring = _slot["_wiring"].__set__
