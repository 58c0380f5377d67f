"""Paid models: no branch passes a bound, and whatever becomes of a call, its reservation is settled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planloom.errors import (
    BudgetExceededError,
    MissingExtraError,
    ModelError,
    ModelRateLimitError,
    ModelReplyError,
    ModelTimeoutError,
    PlanloomError,
)
from planloom.models import Model, ModelReply, ModelRequest, ModelUsage
from planloom.models.paid import DEFAULT_OUTPUT_TOKENS, PaidModel, price_usd
from planloom.plan.budget import Account, Budget
from planloom.plan.results import Usage
from planloom.testing import ScriptedModel, VirtualClock

ASK = ModelRequest.of("x" * 40, max_output_tokens=100)
TEXT = "abcd" * 5
CENT = ModelReply(TEXT, ModelUsage(12, 5), cost_usd=0.01)


async def read(model: Model, request: ModelRequest = ASK, pieces: int | None = None) -> list[str | ModelReply]:
    """Read a stream, or leave it after some pieces."""
    found: list[str | ModelReply] = []
    async with aclosing(model.stream(request)) as stream:  # type: ignore[type-var]
        async for piece in stream:
            found.append(piece)
            if pieces is not None and len(found) >= pieces:
                break
    return found


async def both(way: str, model: Model, request: ModelRequest = ASK) -> Any:
    """Ask in one of the two ways and return the reply."""
    return await model.complete(request) if way == "complete" else (await read(model, request))[-1]


WAYS = pytest.mark.parametrize("way", ["complete", "stream"])


@WAYS
@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        pytest.param(ModelRateLimitError("no"), Usage(1, 0, 0, 0.0), id="refused by its rate limit"),
        pytest.param(ModelError("500", status=500), Usage(1, 0, 0, 0.0), id="an error of the server"),
        pytest.param(MissingExtraError("groq", "the model"), Usage(1, 0, 0, 0.0), id="never sent"),
        pytest.param(ModelTimeoutError("late"), Usage(1, 10, 0, None), id="timed out, perhaps after reading all"),
        pytest.param(ModelReplyError("cut", reason="cut", text=TEXT), Usage(1, 10, 5, None), id="cut in the middle"),
        pytest.param(ModelReply("", ModelUsage(12, 0), 0.01), Usage(1, 12, 0, 0.01), id="an empty reply, with usage"),
        pytest.param(ModelReply(TEXT, ModelUsage(12, 5), 0.02, "length"), Usage(1, 12, 5, 0.02), id="at the limit"),
        pytest.param(RuntimeError("a fault"), Usage(1, 10, 0, None), id="whatever a model of one's own raises"),
    ],
)
def test_a_failed_call_is_settled(way: str, failure: Any, expected: Usage) -> None:
    """A failure gives back what it did not use, counts as a call, and comes out as it was."""
    account = Account(Budget(tokens=110))
    with pytest.raises((PlanloomError, RuntimeError)):
        asyncio.run(both(way, PaidModel(ScriptedModel([failure]), account)))
    assert (expected, 0) == (account.usage(), account.under_way)


@WAYS
def test_a_cancelled_call_is_settled(way: str) -> None:
    """A call that is cancelled while it waits pays for what was asked, and holds nothing any more."""
    account = Account()
    model = PaidModel(ScriptedModel([TEXT], first_token_s=10), account)

    async def main() -> None:
        task = asyncio.create_task(both(way, model))
        await asyncio.sleep(1)
        assert 1 == account.under_way
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    VirtualClock().run(main())
    assert (Usage(1, 10, 0, None), 0) == (account.usage(), account.under_way)


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [(1, Usage(1, 10, 1, None)), (5, Usage(1, 10, 5, None)), (6, Usage(1, 12, 5, 0.01)), (None, Usage(1, 12, 5, 0.01))],
)
def test_a_stream_that_is_left_is_settled(pieces: int | None, expected: Usage) -> None:
    """Who stops reading pays for what came so far; with the reply in hand, for what it says."""
    account = Account()
    asyncio.run(read(PaidModel(ScriptedModel([CENT]), account), pieces=pieces))
    assert (expected, 0) == (account.usage(), account.under_way)


def test_a_stream_without_an_end_is_settled() -> None:
    """A model of one's own that never gives its reply is paid by estimate; its iterator need not be closable."""

    class Endless:
        name = "endless"

        async def complete(self, request: ModelRequest) -> ModelReply:
            raise AssertionError

        def stream(self, request: ModelRequest) -> AsyncIterator[str | ModelReply]:
            return Pieces()

    class Pieces:
        left = 2

        def __aiter__(self) -> Pieces:
            return self

        async def __anext__(self) -> str:
            if not self.left:
                raise StopAsyncIteration
            self.left -= 1
            return "abcd"

    account = Account()
    asyncio.run(read(PaidModel(Endless(), account)))
    assert (Usage(1, 10, 2, None), 0) == (account.usage(), account.under_way)


@WAYS
def test_what_does_not_fit_is_never_asked(way: str) -> None:
    """A refused call does not reach the model."""
    inner = ScriptedModel([])
    with pytest.raises(BudgetExceededError, match="`model_calls`"):
        asyncio.run(both(way, PaidModel(inner, Account(Budget(model_calls=0)))))
    assert [] == inner.requests


@WAYS
def test_a_reply_comes_through_as_it_is(way: str) -> None:
    """The reply, its pieces and the name are the model's own; `on_reply` hears of the request and the reply once."""
    heard: list[tuple[ModelRequest, ModelReply]] = []
    account = Account()
    model = PaidModel(ScriptedModel([CENT]), account, lambda *one: heard.append(one))
    reply = asyncio.run(both(way, model))
    assert (TEXT, "scripted") == (reply.text, model.name)
    assert [(ASK, reply)] == heard
    assert Usage(1, 12, 5, 0.01) == account.usage()
    assert isinstance(model, Model)


def test_no_account_pays_twice() -> None:
    """A model that is paid above already is paid once, from the account of the inner run; others stay in between."""
    top, other = Account(), Account()
    outer = PaidModel(ScriptedModel([CENT, CENT]), top)
    inner = PaidModel(outer, Account(parent=top))
    asyncio.run(inner.complete(ASK))
    assert [Usage(1, 12, 5, 0.01)] * 2 == [top.usage(), inner.account.usage()]
    asyncio.run(PaidModel(outer, other).complete(ASK))
    assert [2, 1] == [top.model_calls, other.model_calls]


def test_replies_that_are_refused_are_heard_of_too() -> None:
    """A reply inside an error has cost something, and is told."""
    heard: list[ModelReply] = []
    model = PaidModel(
        ScriptedModel([ModelReply("", ModelUsage(12, 0))]), Account(), lambda _, reply: heard.append(reply)
    )
    with pytest.raises(ModelReplyError):
        asyncio.run(model.complete(ASK))
    assert [ModelUsage(12, 0)] == [reply.usage for reply in heard]


@pytest.mark.parametrize(
    ("budget", "expected"),
    [(Budget(model_calls=9), None), (Budget(tokens=9_000), DEFAULT_OUTPUT_TOKENS), (Budget(cost_usd=9), 4_096)],
)
def test_an_output_limit_is_set_where_a_bound_needs_one(budget: Budget, expected: int | None) -> None:
    """Only under a bound on tokens or cost does a request without a limit get one."""
    inner = ScriptedModel([TEXT])
    model = PaidModel(inner, Account(Budget(), Account(budget)), price=lambda *_: 0.001)
    asyncio.run(model.complete(ModelRequest.of("hello")))
    assert expected == inner.requests[0].max_output_tokens


def test_a_price_is_asked_only_where_cost_is_bounded() -> None:
    """An unknown price refuses a call under a bound on cost, and is no matter otherwise."""
    asked: list[tuple[str, int, int]] = []

    def price(name: str, input_tokens: int, output_tokens: int) -> float | None:
        asked.append((name, input_tokens, output_tokens))
        return None

    account = Account(Budget(tokens=900))
    asyncio.run(PaidModel(ScriptedModel([TEXT]), account, price=price).complete(ASK))
    assert ([], None) == (asked, account.usage().cost_usd)
    inner = ScriptedModel([])
    with pytest.raises(BudgetExceededError, match="the price of the model is not known") as caught:
        asyncio.run(PaidModel(inner, Account(Budget(cost_usd=1)), price=price).complete(ASK))
    assert ([("scripted", 10, 100)], None) == (asked, caught.value.wanted)


@pytest.mark.parametrize("name", ["scripted", "groq:no-such-model", "ollama:llama3", "nobody:gpt-4o", ""])
def test_an_unknown_price_is_none(name: str) -> None:
    """No name makes the price table raise."""
    assert price_usd(name, 1_000, 1_000) is None


def test_a_known_price_comes_from_the_table() -> None:
    """The price of a known model grows with its tokens, and a bound on cost uses it."""
    pytest.importorskip("genai_prices")
    name = "groq:llama-3.3-70b-versatile"
    small, large = price_usd(name, 1_000, 1_000), price_usd(name, 10_000, 10_000)
    assert small is not None
    assert pytest.approx(10 * small) == large
    inner = ScriptedModel([], name=name)
    with pytest.raises(BudgetExceededError) as caught:
        asyncio.run(PaidModel(inner, Account(Budget(cost_usd=0))).complete(ASK))
    assert (caught.value.wanted or 0) > 0


@WAYS
def test_fifty_branches_that_wait_never_pass_the_bound(way: str) -> None:
    """Fifty branches ask through accounts of their own while no reply has come: exactly seven calls are made."""
    top = Account(Budget(model_calls=7))
    inner = ScriptedModel([TEXT] * 7, first_token_s=30)

    async def main() -> list[Any]:
        branches = [PaidModel(inner, Account(parent=top)) for _ in range(50)]
        return await asyncio.gather(*(both(way, branch) for branch in branches), return_exceptions=True)

    outcomes = VirtualClock().run(main())
    assert 7 == len(inner.requests) == sum(isinstance(outcome, ModelReply) for outcome in outcomes)
    assert 43 == sum(isinstance(outcome, BudgetExceededError) for outcome in outcomes)
    assert 7 == top.usage().model_calls


BRANCH = st.tuples(
    st.sampled_from(["complete", "stream"]),
    st.floats(0, 3),
    st.sampled_from(["answers", "refuses", "is cut", "is cancelled"]),
    st.integers(0, 3),
)


@settings(max_examples=60, deadline=None)
@given(
    branches=st.lists(BRANCH, min_size=1, max_size=50),
    calls=st.none() | st.integers(0, 60),
    tokens=st.none() | st.integers(0, 6_000),
    cents=st.none() | st.integers(0, 60),
)
def test_no_mix_of_branches_passes_a_bound(branches: Any, calls: Any, tokens: Any, cents: Any) -> None:
    """Branches that answer, fail, are cut or cancelled at any time: no bound is ever passed, and all is settled."""
    top = Account(Budget(model_calls=calls, tokens=tokens, cost_usd=None if cents is None else cents / 64))

    def look(*_: Any) -> None:
        usage = top.usage()
        assert calls is None or usage.model_calls <= calls
        assert tokens is None or usage.input_tokens + usage.output_tokens <= tokens
        assert cents is None or (usage.cost_usd or 0) <= cents / 64

    async def branch(way: str, wait_s: float, end: str, depth: int) -> None:
        entries: dict[str, Any] = {"refuses": ModelRateLimitError("no"), "is cut": ModelTimeoutError("late")}
        inner = ScriptedModel(
            [entries.get(end, ModelReply(TEXT, ModelUsage(10, 5), cost_usd=1 / 64))], first_token_s=1, tokens_per_s=5
        )
        account = top
        for _ in range(depth):
            account = Account(parent=account)
        model = PaidModel(inner, account, look, price=lambda *_: 1 / 64)
        with suppress(BudgetExceededError, ModelError, TimeoutError):
            async with asyncio.timeout(wait_s if end == "is cancelled" else None):
                await asyncio.sleep(wait_s / 2)
                await both(way, model)
        look()

    async def main() -> None:
        await asyncio.gather(*(branch(*one) for one in branches))

    VirtualClock().run(main())
    assert 0 == top.under_way
