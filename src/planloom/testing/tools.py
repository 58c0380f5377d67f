"""Tools that follow a script: what to give back, what to raise, how long to take, call by call."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Unpack

from planloom.tools import Tool
from planloom.tools.facts import ToolFacts


class _Hang:
    def __repr__(self) -> str:
        return "HANG"


HANG: Final = _Hang()
"""An outcome: the call never ends by itself."""

_ANY_ARGUMENTS: Final[dict[str, Any]] = {"type": "object", "additionalProperties": True}


@dataclass(frozen=True, slots=True)
class Call:
    """One call that a scripted tool got: its arguments, and the loop's time at its start."""

    args: dict[str, Any]
    at_s: float


class ScriptedTool:
    """An async tool that does what its script says, and remembers its `calls`.

    - `outcomes` are used in order, one per call: a value to return, an exception to raise, or `HANG`. An empty
      script returns the arguments, every time. A call after the last outcome fails its step, and
      `assert_finished`.
    - `takes_s` is how long each call takes, one number for all or one per call.
    - `parameters` and `returns` are JSON Schemas; by default any arguments will do.
    - `facts` are those of `@tool`, such as `read_only=True`.
    """

    def __init__(
        self,
        name: str,
        /,
        outcomes: Sequence[Any] = (),
        takes_s: float | Sequence[float] = 0.0,
        *,
        parameters: dict[str, Any] | None = None,
        returns: dict[str, Any] | None = None,
        **facts: Unpack[ToolFacts],
    ) -> None:
        if not isinstance(takes_s, int | float) and len(takes_s) != len(outcomes):
            raise ValueError(f"`{name}` has {len(outcomes)} outcomes and {len(takes_s)} times; give one per outcome")
        self.name = name
        self.outcomes = tuple(outcomes)
        self.takes_s = takes_s
        self.calls: list[Call] = []
        self.tool: Final = Tool.from_schema(
            parameters=_ANY_ARGUMENTS if parameters is None else parameters,
            returns=returns,
            function=self._call,
            **{**facts, "name": name},
        )
        """The tool to put into a toolbox."""

    async def _call(self, **args: Any) -> Any:
        number = len(self.calls)
        self.calls.append(Call(args, asyncio.get_running_loop().time()))
        if self.outcomes and number >= len(self.outcomes):
            raise AssertionError(self._unexpected())
        takes_s = self.takes_s if isinstance(self.takes_s, int | float) else self.takes_s[number]
        if takes_s:
            await asyncio.sleep(takes_s)
        if not self.outcomes:
            return args
        outcome = self.outcomes[number]
        if outcome is HANG:
            await asyncio.get_running_loop().create_future()
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    def _unexpected(self) -> str:
        return f"`{self.name}` was called {len(self.calls)} times, and its script has {len(self.outcomes)} outcomes"

    def assert_finished(self) -> None:
        """Raise `AssertionError` when the script was not followed to its end, or beyond it."""
        if self.outcomes and len(self.calls) != len(self.outcomes):
            raise AssertionError(self._unexpected())

    def __repr__(self) -> str:
        return f"<ScriptedTool {self.name}, {len(self.calls)} calls>"
