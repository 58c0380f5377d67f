"""Budgets: what does not fit is refused before it is done, and what is reserved is settled in every account above."""

from __future__ import annotations

import contextlib
import pickle
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planloom.errors import BudgetExceededError, UsageError
from planloom.plan.budget import MAX_ANCESTORS, Account, Budget, Reservation
from planloom.plan.results import Usage


@pytest.mark.parametrize(
    ("field", "value", "kind"),
    [
        ("model_calls", -1, "whole number"),
        ("model_calls", 2.5, "whole number"),
        ("tokens", True, "whole number"),
        ("steps", "10", "whole number"),
        ("cost_usd", float("nan"), "number"),
        ("wall_s", float("inf"), "number"),
    ],
)
def test_a_bound_is_a_number(field: str, value: Any, kind: str) -> None:
    """What is no bound is refused when the budget is made, with the name of the field."""
    with pytest.raises(UsageError, match=rf"Budget\({field}=…\) takes a {kind}, 0 or more"):
        Budget(**{field: value})


@pytest.mark.parametrize(
    ("budget", "calls", "message"),
    [
        (
            Budget(model_calls=1),
            [(10, 10, 0.0), (10, 10, 0.0)],
            "the budget of 1 model calls (`model_calls`) has no room for this model call: 1 are used or reserved by "
            "calls under way, and 1 more are wanted\nhint: raise it, Budget(model_calls=2) would do, or None for no "
            "bound",
        ),
        (
            Budget(tokens=1_000),
            [(100, 500, None), (100, 500, None)],
            "the budget of 1,000 tokens (`tokens`) has no room for this model call: 600 are used or reserved by calls "
            "under way, and 600 more are wanted\nhint: raise it, Budget(tokens=1200) would do, or None for no bound",
        ),
        (
            Budget(cost_usd=0.01),
            [(1, 1, 0.006), (1, 1, 0.006)],
            "the budget of $0.01 (`cost_usd`) has no room for this model call: $0.006 is used or reserved by calls "
            "under way, and up to $0.006 more is wanted\nhint: raise it, Budget(cost_usd=0.012) would do, or None for "
            "no bound",
        ),
        (
            Budget(cost_usd=0.5),
            [(1, 1, None)],
            "the budget of $0.5 (`cost_usd`) has no room for this model call: the price of the model is not known, so "
            "its cost cannot be bounded; $0 is used or reserved by calls under way\nhint: use a model whose price is "
            "known, or bound `tokens` or `model_calls` instead of `cost_usd`",
        ),
    ],
)
def test_a_call_that_does_not_fit_is_refused(
    budget: Budget, calls: list[tuple[int, int, float | None]], message: str
) -> None:
    """The refusal names the limit, its bound, what is used, what was wanted and how to raise it."""
    account = Account(budget)
    for call in calls[:-1]:
        account.reserve(*call)
    with pytest.raises(BudgetExceededError) as caught:
        account.reserve(*calls[-1])
    assert message == str(caught.value)
    assert len(calls) - 1 == account.model_calls == account.under_way


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (BudgetExceededError("steps", 5, 5, 1), "Budget(steps=6)"),
        (BudgetExceededError("replans", 0, 0, 1), "the budget of 0 replans (`replans`) is used up: 0 are used"),
        (BudgetExceededError("wall_s", 60, 60.04), "the budget of 60 s (`wall_s`) is used up: 60.0 s have passed"),
    ],
)
def test_refusals_say_themselves_and_travel(error: BudgetExceededError, words: str) -> None:
    """Every limit has its sentence with a hint, and the error survives a trip between processes."""
    assert words in str(error)
    assert "\nhint: " in str(error)
    again = pickle.loads(pickle.dumps(error))
    assert (str(error), error.limit, error.bound, error.used, error.wanted) == (
        str(again),
        again.limit,
        again.bound,
        again.used,
        again.wanted,
    )


def test_a_settled_call_gives_back_what_it_did_not_use() -> None:
    """After the correction only what was really used counts."""
    account = Account(Budget(tokens=1_000))
    first = account.reserve(100, 800, None)
    with pytest.raises(BudgetExceededError):
        account.reserve(100, 100, None)
    account.settle(first, 90, 10, 0.25)
    assert Usage(1, 90, 10, 0.25) == account.usage()
    account.reserve(100, 800, None)


def test_settling_twice_counts_once() -> None:
    """Whoever settles a reservation again changes nothing."""
    account = Account()
    reservation = account.reserve(10, 10, 0.1)
    account.settle(reservation, 5, 5, 0.05)
    account.settle(reservation, 5, 5, None)
    assert Usage(1, 5, 5, 0.05) == account.usage()


def test_a_failed_call_keeps_its_place_and_gives_back_its_tokens() -> None:
    """A call that used nothing still was a call."""
    account = Account(Budget(model_calls=1, tokens=100))
    account.settle(account.reserve(50, 50, None))
    assert Usage(1, 0, 0, 0.0) == account.usage()
    with pytest.raises(BudgetExceededError, match="model_calls"):
        account.reserve(1, 1, None)


def test_an_unknown_cost_stays_unknown_and_counts_as_reserved() -> None:
    """Once nobody knows a price the usage says so; towards the bound the reserved cost counts."""
    account = Account(Budget(cost_usd=1.0))
    account.settle(account.reserve(1, 1, 0.75), 1, 1, None)
    account.settle(account.reserve(1, 1, 0.25), 1, 1, 0.01)
    assert account.usage().cost_usd is None
    with pytest.raises(BudgetExceededError) as caught:
        account.reserve(1, 1, 0.25)
    assert pytest.approx(0.76) == caught.value.used


def test_a_price_is_needed_only_where_cost_is_bounded() -> None:
    """A bound on cost anywhere above refuses a call without a price; other bounds do not."""
    free = Account(Budget(model_calls=9, tokens=9_000), Account(Budget(steps=1)))
    assert not free.bounds_cost
    free.reserve(1, 1, None)
    bounded = Account(Budget(), Account(Budget(cost_usd=9)))
    assert bounded.bounds_cost
    with pytest.raises(BudgetExceededError, match="price of the model is not known"):
        bounded.reserve(1, 1, None)


def test_every_ancestor_is_charged() -> None:
    """What an agent inside an agent spends, its callers spend too."""
    top = Account(Budget(model_calls=3))
    middle = Account(Budget(), top)
    leaf = Account(Budget(model_calls=9, steps=9), middle)
    leaf.settle(leaf.reserve(10, 20, 0.5), 7, 8, 0.4)
    leaf.charge("steps")
    leaf.charge("replans")
    for account in (top, middle, leaf):
        assert Usage(1, 7, 8, 0.4) == account.usage()
        assert (1, 1) == (account.steps, account.replans)


def test_what_an_ancestor_refuses_is_counted_nowhere() -> None:
    """A refusal from above leaves every account as it was."""
    top = Account(Budget(model_calls=1, steps=0))
    leaf = Account(Budget(), top)
    leaf.reserve(1, 1, 0.0)
    with pytest.raises(BudgetExceededError):
        leaf.reserve(1, 1, 0.0)
    with pytest.raises(BudgetExceededError, match="`steps`"):
        leaf.charge("steps")
    assert [(1, 1, 0), (1, 1, 0)] == [(one.model_calls, one.under_way, one.steps) for one in (top, leaf)]


def test_agents_that_call_each_other_for_ever_are_refused() -> None:
    """The chain of accounts is bounded."""
    account = Account()
    with pytest.raises(UsageError, match="do agents call each other"):  # noqa: PT012 - the loop is what is tested
        for _ in range(MAX_ANCESTORS + 1):
            account = Account(parent=account)


@pytest.mark.parametrize("limit", ["steps", "replans"])
def test_counted_limits(limit: Any) -> None:
    """Steps and replans are counted up to their bound and no further."""
    account = Account(Budget(**{limit: 2}))
    account.charge(limit)
    account.charge(limit)
    with pytest.raises(BudgetExceededError) as caught:
        account.charge(limit)
    assert (limit, 2, 2, 1) == (caught.value.limit, caught.value.bound, caught.value.used, caught.value.wanted)


CALLS = st.tuples(st.integers(0, 50), st.integers(0, 50), st.integers(0, 100), st.integers(0, 100), st.booleans())


@given(
    bounds=st.tuples(*[st.none() | st.integers(0, 300)] * 3),
    calls=st.lists(CALLS, max_size=60),
    leaves=st.integers(1, 4),
    order=st.randoms(use_true_random=False),
)
def test_branches_never_overshoot_together(bounds: Any, calls: Any, leaves: int, order: Any) -> None:
    """Whatever the order of calls and ends in many branches: no bound is passed, and nothing stays reserved."""
    calls_bound, tokens_bound, cents_bound = bounds
    top = Account(
        Budget(model_calls=calls_bound, tokens=tokens_bound, cost_usd=None if cents_bound is None else cents_bound / 64)
    )
    branches = [Account(Budget(), top) for _ in range(leaves)]
    open_calls: list[tuple[Account, Reservation, int, int, float]] = []
    for asked, limit, answered, cents, ends_one in calls:
        branch = order.choice(branches)
        with contextlib.suppress(BudgetExceededError):
            reservation = branch.reserve(asked, limit, cents / 64)
            open_calls.append((branch, reservation, asked, min(answered, limit), cents / 64))
        if ends_one and open_calls:
            settle(open_calls.pop(order.randrange(len(open_calls))))
        usage = top.usage()
        assert calls_bound is None or usage.model_calls <= calls_bound
        assert tokens_bound is None or usage.input_tokens + usage.output_tokens <= tokens_bound
        assert cents_bound is None or (usage.cost_usd or 0) <= cents_bound / 64
    for one in open_calls:
        settle(one)
    assert 0 == top.under_way == sum(branch.under_way for branch in branches)
    assert top.usage().output_tokens == sum(branch.usage().output_tokens for branch in branches)


def settle(call: tuple[Account, Reservation, int, int, float]) -> None:
    account, reservation, asked, answered, cost_usd = call
    account.settle(reservation, asked, answered, cost_usd)


class Meeting(Account):
    """An account in which two threads that check for room at the same time wait until both have found some."""

    both: threading.Barrier

    def _check_room(self, tokens: int, cost_usd: float | None) -> None:
        super()._check_room(tokens, cost_usd)
        with contextlib.suppress(threading.BrokenBarrierError):
            self.both.wait(timeout=0.05)


def test_a_guard_keeps_threads_apart() -> None:
    """With a lock, threads never find the same room together, also through child accounts."""
    top = Meeting(Budget(model_calls=1), guard=threading.Lock())
    top.both = threading.Barrier(2)
    refused: list[BudgetExceededError] = []

    def branch() -> None:
        try:
            Account(parent=top).reserve(1, 1, 0.0)
        except BudgetExceededError as error:
            refused.append(error)

    threads = [threading.Thread(target=branch) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (1, 1) == (top.model_calls, len(refused))
