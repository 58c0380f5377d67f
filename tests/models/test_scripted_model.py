"""The scripted model: answers in order, in virtual time, and fails the test on a call it does not expect."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from planloom.errors import ModelRateLimitError, ModelReplyError
from planloom.models import Model, ModelReply, ModelRequest, ModelUsage, resolve_model
from planloom.testing import VirtualClock
from planloom.testing.models import ScriptedModel

HELLO = ModelRequest.of("hello hello!", system="be good!")


async def collect(model: Model, request: ModelRequest = HELLO) -> list[str | ModelReply]:
    return [item async for item in model.stream(request)]


def test_it_is_a_model() -> None:
    """It fits the protocol, so that it goes wherever a model goes."""
    model = ScriptedModel([])
    assert isinstance(model, Model)
    assert model is resolve_model(model)


@pytest.mark.parametrize("text", ["x", "abcd", 'a plan, {"steps": []}', "ünïcödé 🎉 text"])
def test_whole_and_streamed_are_the_same(text: str) -> None:
    """Pieces are tokens of four characters that join to the text; both ways end in the same reply."""
    whole = asyncio.run(ScriptedModel([text]).complete(HELLO))
    *pieces, reply = asyncio.run(collect(ScriptedModel([text])))
    assert [text[at : at + 4] for at in range(0, len(text), 4)] == pieces
    assert isinstance(reply, ModelReply)
    assert (text, text) == (whole.text, reply.text)
    assert whole.usage == reply.usage == ModelUsage(5, -(-len(text) // 4))
    assert (None, True) == (whole.first_token_ms, reply.first_token_ms is not None)


def test_it_takes_its_time_on_the_loops_clock() -> None:
    """Half a second to the first token and 80 tokens a second: 1.4875 s for 80 tokens, and none of it real."""
    clock = VirtualClock()
    model = ScriptedModel(["abcd" * 80] * 2, first_token_s=0.5, tokens_per_s=80)
    whole = clock.run(model.complete(HELLO))
    assert pytest.approx(1487.5) == whole.latency_ms

    async def times() -> list[float]:
        loop = asyncio.get_running_loop()
        return [loop.time() async for item in model.stream(HELLO) if isinstance(item, str)]

    arrivals = clock.run(times())
    assert pytest.approx([0.5 + number / 80 for number in range(80)]) == arrivals


def test_requests_are_recorded() -> None:
    """What was asked is kept, in order, whole."""
    model = ScriptedModel(["a", "b"])
    other = ModelRequest.of("again", purpose="join")
    asyncio.run(model.complete(HELLO))
    asyncio.run(collect(model, other))
    assert [HELLO, other] == model.requests
    model.assert_finished()


def test_a_call_too_many_fails_the_test() -> None:
    """An unexpected call raises an `AssertionError` that says which call it was."""
    model = ScriptedModel(["a"], name="planner")
    asyncio.run(model.complete(HELLO))
    with pytest.raises(AssertionError, match=r"`planner` was called 2 times; its script has 1 replies.*'hello hello!'"):
        asyncio.run(model.complete(HELLO))


def test_a_call_too_few_fails_the_test() -> None:
    """Replies that nobody asked for are an `AssertionError` of `assert_finished`."""
    model = ScriptedModel(["a", "b"])
    asyncio.run(model.complete(HELLO))
    with pytest.raises(AssertionError, match="called 1 times; 1 of its replies are left"):
        model.assert_finished()


async def answer_later(request: ModelRequest) -> str:
    await asyncio.sleep(0)
    return request.purpose


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        (lambda request: request.messages[-1].text.upper(), "HELLO HELLO!"),
        (lambda request: ModelReply("whole"), "whole"),
        (answer_later, "tool"),
    ],
)
def test_an_entry_may_be_a_function(entry: Any, text: str) -> None:
    """A function of the request gives the answer, at once or as an awaitable."""
    assert text == asyncio.run(ScriptedModel([entry]).complete(HELLO)).text


def test_a_reply_keeps_its_usage_and_price() -> None:
    """A `ModelReply` in the script says tokens and cost itself."""
    reply = asyncio.run(ScriptedModel([ModelReply("x", ModelUsage(7, 9), cost_usd=0.25)]).complete(HELLO))
    assert (ModelUsage(7, 9), 0.25, "scripted") == (reply.usage, reply.cost_usd, reply.model)


@pytest.mark.parametrize("entry", [ModelRateLimitError("slow down"), lambda request: ModelRateLimitError("slow down")])
def test_an_exception_is_raised(entry: Any) -> None:
    """An exception in the script, or from its function, is what the call raises."""
    with pytest.raises(ModelRateLimitError, match="slow down"):
        asyncio.run(ScriptedModel([entry]).complete(HELLO))


@pytest.mark.parametrize(
    ("entry", "reason", "streamed"),
    [
        (ModelReplyError("cut", reason="cut", text="some words"), "cut", ["some", " wor", "ds"]),
        (ModelReply("some", finish_reason="length"), "length", ["some"]),
        (ModelReply("", finish_reason="refusal"), "refusal", []),
        ("", "empty", []),
    ],
)
def test_what_is_no_whole_reply_ends_as_with_a_real_model(entry: Any, reason: str, streamed: list[str]) -> None:
    """A cut, a stop at the limit, a refusal and silence come after the text that was streamed until then."""

    async def main() -> tuple[list[str], ModelReplyError]:
        pieces: list[str] = []
        try:
            async for item in ScriptedModel([entry]).stream(HELLO):
                pieces.append(str(item))
        except ModelReplyError as error:
            return pieces, error
        raise AssertionError("the stream ended well")

    pieces, error = asyncio.run(main())
    assert (streamed, reason, "".join(streamed)) == (pieces, error.reason, error.text)
