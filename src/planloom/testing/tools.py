"""Tools that follow a script: what to give back, what to raise, how long to take, call by call."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from planloom.tools import Tool


class _Hang:
    def __repr__(self) -> str:
        return "HANG"


HANG: Final = _Hang()
"""An outcome: the call never ends by itself."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call that a scripted tool got: its arguments, and the loop's time at its start."""

    args: dict[str, Any]
    at_s: float


@dataclass
class ScriptedTool:
    """An async tool that does what its script says.

    `outcomes` are used in order, one per call: a value to return, an exception to raise, or `HANG`. An empty
    script returns the arguments, every time. A call after the last outcome raises `AssertionError`.
    `takes_s` is how long each call takes, one number for all or one per call. `facts` are those of `@tool`.
    """

    name: str
    outcomes: Sequence[Any] = ()
    takes_s: float | Sequence[float] = 0.0
    returns: dict[str, Any] | None = None
    parameters: dict[str, Any] | None = None
    facts: dict[str, Any] = field(default_factory=dict[str, Any])
    calls: list[Call] = field(default_factory=list[Call], init=False)

    @property
    def tool(self) -> Tool:
        """The tool to put into a toolbox; always the same object."""
        made = self.__dict__.get("_tool")
        if made is None:
            made = self.__dict__["_tool"] = Tool.from_schema(
                name=self.name,
                parameters=self.parameters or {"type": "object", "additionalProperties": True},
                returns=self.returns,
                function=self._call,
                **self.facts,
            )
        return made

    async def _call(self, **args: Any) -> Any:
        number = len(self.calls)
        self.calls.append(Call(args, asyncio.get_running_loop().time()))
        takes_s = self.takes_s if isinstance(self.takes_s, int | float) else self.takes_s[number]
        if takes_s:
            await asyncio.sleep(takes_s)
        if not self.outcomes:
            return args
        if number >= len(self.outcomes):
            raise AssertionError(f"`{self.name}` was called {number + 1} times; its script has {len(self.outcomes)} outcomes")
        outcome = self.outcomes[number]
        if outcome is HANG:
            await asyncio.get_running_loop().create_future()
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    def assert_finished(self) -> None:
        """Raise `AssertionError` when some outcomes were never used."""
        if len(self.calls) < len(self.outcomes):
            raise AssertionError(f"`{self.name}` was called {len(self.calls)} times of {len(self.outcomes)} scripted")
