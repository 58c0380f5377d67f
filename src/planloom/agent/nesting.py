"""Agents inside agents: which run a goal is part of, whose budget it spends, and how deep it may go."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

from planloom.errors import BudgetExceededError, UsageError
from planloom.plan.budget import Account
from planloom.plan.redaction import Redactor

MAX_DEPTH: Final = 3
"""Agents inside each other, the outermost included."""

_CURRENT: ContextVar[Nesting | None] = ContextVar("planloom_nesting", default=None)


@dataclass(frozen=True, slots=True)
class Nesting:
    """The place of one goal among those it is part of. Tools see it by a context variable of their run."""

    depth: int
    account: Account | None
    """The account that pays along: that of the run which this goal is a step of, or one that the caller gave."""
    ends_at: float | None = None
    """When the time of the goal around this one is up, on the loop's clock."""
    redactor: Redactor | None = None
    """The secrets of the goal around this one, which are this one's too."""

    @classmethod
    def enter(cls, given: Account | None) -> Nesting:
        """Return the place of a goal that begins here. Raises `UsageError` when it is too deep."""
        outer = _CURRENT.get()
        depth = 1 if outer is None else outer.depth + 1
        if depth > MAX_DEPTH:
            raise UsageError(
                f"agents are nested more than {MAX_DEPTH} deep\n"
                "hint: give the inner agent tools of its own instead of other agents; does an agent call itself?"
            )
        if outer is None:
            return cls(depth, given)
        return cls(depth, outer.account if given is None else given, outer.ends_at, outer.redactor)

    @contextmanager
    def of(self, account: Account, ends_at: float | None, redactor: Redactor | None = None) -> Generator[None]:
        """Let what runs inside be part of this goal, spend from its account, and end when its time is up."""
        token = _CURRENT.set(Nesting(self.depth, account, ends_at, redactor or self.redactor))
        try:
            yield
        finally:
            _CURRENT.reset(token)


def secrets_of_outer() -> tuple[str, ...]:
    """Return the secrets of the goal that this call is part of."""
    outer = _CURRENT.get()
    return () if outer is None or outer.redactor is None else outer.redactor.texts()


def refusal_of_outer() -> BudgetExceededError | None:
    """Return what the account around this call, or one above it, has refused; None when there is still room."""
    outer = _CURRENT.get()
    return None if outer is None or outer.account is None else outer.account.refusal
