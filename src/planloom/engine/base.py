"""The small interfaces behind which parts of the engine can be swapped."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from planloom.plan.budget import Account
from planloom.plan.model import Plan
from planloom.plan.results import StepError, StepResult

Deliver = Callable[[Any, Any, BaseException | None], None]
"""Called on the loop with a job, its value, and its exception or None."""


class Clock(Protocol):
    """Wall time, for people. Durations and deadlines come from the event loop's own time."""

    is_virtual: bool
    """Whether time only moves when nothing else can happen; then a blocked loop cannot be told."""

    def now(self) -> float:
        """Return the seconds since 1970, UTC."""
        ...


class Workers(Protocol):
    """A place where sync calls run, away from the event loop. A job is any object that can be hashed."""

    abandoned: int
    """Calls that were left behind and still run."""

    def submit(self, job: Any, call: Callable[[], Any]) -> None:
        """Run `call` soon, and deliver `job` with its outcome. Raises `RuntimeError` when there is no place."""
        ...

    def abandon(self, job: Any) -> None:
        """Leave a running job behind: its worker is replaced, and its outcome is not delivered."""
        ...

    def close(self) -> None:
        """Let idle workers go; abandoned ones are daemons and go with the process."""
        ...


MakeWorkers = Callable[[asyncio.AbstractEventLoop, Deliver, int], Workers]
"""Makes the workers of one run, of at most so many threads."""


@dataclass(frozen=True, slots=True)
class ReplanRequest:
    """A failure that a recovery plan may get around.

    `plan` is the plan as it is now, `failed` the step that failed for good, and `held` the ids of the broken part, the
    failed step first. `steps` holds every step as it is now, running ones too.
    """

    plan: Plan
    failed: str
    held: tuple[str, ...]
    steps: Mapping[str, StepResult]
    error: StepError


Replanner = Callable[[ReplanRequest], Awaitable[Plan]]
"""Returns the recovery plan, the replacing steps alone. Raises `ReplanError` when there is no way around."""


@dataclass(frozen=True, slots=True)
class EffectRequest:
    """A call with an effect that a person is asked about before it is made. `args` have their values.

    `digest` is the hash of it all: a word is good for exactly that.
    """

    step_id: str
    tool: str
    args: dict[str, Any]
    digest: str = ""


class Person(Protocol):
    """Who is asked while a run goes on. None means no answer: then the step waits, and the run ends `waiting`."""

    asks_before_effects: bool
    """Whether each call of a tool that is not read-only needs this person's approval."""

    def said(self, digest: str) -> bool | None:
        """Return the word that was given before for a call with this hash, in an earlier process too."""
        ...

    async def approve(self, request: EffectRequest) -> bool | None:
        """Say whether a call may be made."""
        ...

    async def answer(self, step_id: str, question: str) -> Any:
        """Answer a question that a tool asks."""
        ...


@dataclass(frozen=True, slots=True)
class Hooks:
    """Who decides what the executor does not decide itself; None where nobody does."""

    replanner: Replanner | None = None
    person: Person | None = None
    account: Account | None = None
    """Pays for the start of each call (`Budget.steps`)."""

    @property
    def is_gate(self) -> bool:
        """Whether something may be in the way of a call that is ready: approval, or the budget."""
        return self.account is not None or (self.person is not None and self.person.asks_before_effects)


NO_HOOKS = Hooks()
