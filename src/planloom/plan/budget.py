"""What a run may spend, and the account that holds it: reserved before, corrected after.

A reservation counts in full until it is settled, so parallel branches cannot overshoot together. An account with a
parent charges every ancestor too: an agent that is a tool of another spends its caller's budget.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, fields
from typing import Any, Final, Literal

from planloom.errors import BudgetExceededError, BudgetLimit, UsageError
from planloom.plan.results import Usage

MAX_ANCESTORS: Final = 64
"""Accounts above one account; a longer chain is a circle of agents that call each other."""
_COUNTED: Final = ("model_calls", "tokens", "steps", "replans")


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Upper bounds of one run; None means no bound, 0 means none at all.

    `model_calls` counts calls, however often one was tried; a call that failed counts. `tokens` counts input and output
    together; both are reserved before a call, the input as an estimate, so that a bound can be passed only by the error
    of that estimate. `cost_usd` is in US dollars and needs known prices: a call whose price is unknown is refused when
    this bound is set. `steps` counts calls of tools: each element of a `for_each` and each retry is one. `replans`
    counts recovery plans that were asked for, `wall_s` seconds of wall time.
    """

    model_calls: int | None = None
    tokens: int | None = None
    cost_usd: float | None = None
    steps: int | None = None
    replans: int | None = None
    wall_s: float | None = None

    def __post_init__(self) -> None:
        for entry in fields(self):
            value: Any = getattr(self, entry.name)
            if value is None:
                continue
            is_counted = entry.name in _COUNTED
            is_number = isinstance(value, int if is_counted else int | float) and not isinstance(value, bool)
            if not is_number or not math.isfinite(value) or value < 0:
                kind = "whole number" if is_counted else "number"
                raise UsageError(
                    f"Budget({entry.name}=…) takes a {kind}, 0 or more, or None for no bound; got {value!r}"
                )


@dataclass(slots=True, eq=False)
class Reservation:
    """The part of a budget that one model call may use. Settle it once, whatever becomes of the call."""

    tokens: int
    cost_usd: float
    is_open: bool = True


class Account:
    """What was spent and what is reserved under one budget.

    `parent` is the account of the run that this one is part of: whatever is spent here is spent there too. `guard` is a
    lock for accounts that are used from several threads; a child uses that of its parent. Without one, all calls
    must come from one thread. Nothing in here waits: what does not fit is refused at once.
    """

    def __init__(
        self,
        budget: Budget | None = None,
        parent: Account | None = None,
        *,
        guard: AbstractContextManager[Any] | None = None,
    ) -> None:
        self.budget: Budget = budget or Budget()
        self.parent = parent
        self.model_calls = 0
        self.input_tokens = 0
        self.output_tokens = 0
        self.steps = 0
        self.replans = 0
        self._spent_usd = 0.0
        self._has_unknown_cost = False
        self._reserved_tokens = 0
        self._open: set[Reservation] = set()
        self._refusal: BudgetExceededError | None = None
        self._guard: AbstractContextManager[Any] = nullcontext() if guard is None else guard
        if parent is not None:
            self._guard = parent._guard
            if sum(1 for _ in self._chain()) > MAX_ANCESTORS:
                raise UsageError(
                    f"an account has more than {MAX_ANCESTORS} accounts above it; do agents call each other?"
                )

    def begin_with(self, usage: Usage, steps: int, replans: int) -> None:
        """Count what an earlier process has spent for the same goal: a bound holds for all of it.

        Accounts above this one are not charged; they belong to runs of this process.
        """
        with self._guard:
            self.model_calls += usage.model_calls
            self.input_tokens += usage.input_tokens
            self.output_tokens += usage.output_tokens
            self.steps += steps
            self.replans += replans
            self._spent_usd += usage.cost_usd or 0.0
            self._has_unknown_cost = self._has_unknown_cost or usage.cost_usd is None

    @property
    def bounds_cost(self) -> bool:
        """Whether this budget or one above it bounds the cost, so that a call needs a known price."""
        return any(account.budget.cost_usd is not None for account in self._chain())

    @property
    def bounds_tokens(self) -> bool:
        """Whether this budget or one above it bounds tokens or the cost, so that a call needs an output limit."""
        return self.bounds_cost or any(account.budget.tokens is not None for account in self._chain())

    @property
    def under_way(self) -> int:
        """How many model calls are reserved and not settled."""
        return len(self._open)

    @property
    def refusal(self) -> BudgetExceededError | None:
        """What this account, or one above it, has refused last because of its own bound; None when nothing was."""
        return next((account._refusal for account in self._chain() if account._refusal is not None), None)

    def is_within(self, other: Account) -> bool:
        """Whether what is spent here is spent in `other` too: it is this account, or one above it."""
        return any(account is other for account in self._chain())

    def reserve(self, input_tokens: int, output_limit: int, cost_usd: float | None) -> Reservation:
        """Reserve one model call: its estimated input, its output limit, its estimated cost (None: not known).

        Raises `BudgetExceededError` when this account or one above it has no room for it; then nothing is reserved.
        """
        reservation = Reservation(input_tokens + output_limit, cost_usd or 0.0)
        with self._guard:
            for account in self._chain():
                try:
                    account._check_room(reservation.tokens, cost_usd)
                except BudgetExceededError as error:
                    account._refusal = error
                    raise
            for account in self._chain():
                account.model_calls += 1
                account._reserved_tokens += reservation.tokens
                account._open.add(reservation)
        return reservation

    def _check_room(self, tokens: int, cost_usd: float | None) -> None:
        budget = self.budget
        if budget.model_calls is not None and self.model_calls + 1 > budget.model_calls:
            raise BudgetExceededError("model_calls", budget.model_calls, self.model_calls, 1)
        if budget.tokens is not None:
            used = self.input_tokens + self.output_tokens + self._reserved_tokens
            if used + tokens > budget.tokens:
                raise BudgetExceededError("tokens", budget.tokens, used, tokens)
        if budget.cost_usd is not None:
            # summed anew, so that no rounding is left behind by what was reserved and given back
            used_usd = self._spent_usd + math.fsum(reservation.cost_usd for reservation in self._open)
            if cost_usd is None or used_usd + cost_usd > budget.cost_usd:
                raise BudgetExceededError("cost_usd", budget.cost_usd, used_usd, cost_usd)

    def settle(
        self, reservation: Reservation, input_tokens: int = 0, output_tokens: int = 0, cost_usd: float | None = 0.0
    ) -> None:
        """Replace a reservation by what the call really used; `cost_usd` None means that nobody knows.

        A cost that is not known counts as the reserved one towards the bound, and makes the cost in `usage` None.
        Settling twice does nothing.
        """
        with self._guard:
            if not reservation.is_open:
                return
            reservation.is_open = False
            for account in self._chain():
                account._open.discard(reservation)
                account._reserved_tokens -= reservation.tokens
                account.input_tokens += input_tokens
                account.output_tokens += output_tokens
                account._spent_usd += reservation.cost_usd if cost_usd is None else cost_usd
                account._has_unknown_cost = account._has_unknown_cost or cost_usd is None

    def charge(self, limit: Literal["steps", "replans"]) -> None:
        """Count one step or one replan, here and in every account above.

        Raises `BudgetExceededError` when one of them has no room for it; then nothing is counted.
        """
        with self._guard:
            for account in self._chain():
                bound, used = account._count_of(limit)
                if bound is not None and used + 1 > bound:
                    account._refusal = BudgetExceededError(limit, bound, used, 1)
                    raise account._refusal
            for account in self._chain():
                if limit == "steps":
                    account.steps += 1
                else:
                    account.replans += 1

    def _count_of(self, limit: BudgetLimit) -> tuple[int | None, int]:
        return (self.budget.steps, self.steps) if limit == "steps" else (self.budget.replans, self.replans)

    def usage(self) -> Usage:
        """Return what was spent so far, by this run and those inside it; the cost is None once a price was unknown."""
        with self._guard:
            cost = None if self._has_unknown_cost else self._spent_usd
            return Usage(self.model_calls, self.input_tokens, self.output_tokens, cost)

    def _chain(self) -> Iterator[Account]:
        """Yield this account and every one above it."""
        account: Account | None = self
        while account is not None:
            yield account
            account = account.parent
