"""Every fault of the loopback server, through the real client libraries: one error, one sentence, in time."""

from __future__ import annotations

import asyncio
import inspect
import time
from typing import Any, NamedTuple

import pytest

from planloom.errors import ModelError, ModelRateLimitError, ModelReplyError, ModelTimeoutError
from planloom.models import CallLimits, ModelRequest
from planloom.testing.server import ModelServer
from planloom.testing.wire import Served

TEXT = "The answer is 42, and that is that."
# only the limit that a test is about is short: the machine may be busy, and the others must not come first
ROOMY = CallLimits(timeout_s=20, first_token_timeout_s=15, max_tries=2, wait_initial_s=0.01, max_wait_s=2)
SHORT = {
    "complete": CallLimits(timeout_s=0.7, first_token_timeout_s=0.3, max_tries=2, wait_initial_s=0.01),
    "stream": CallLimits(timeout_s=20, first_token_timeout_s=0.3, max_tries=2, wait_initial_s=0.01),
}
# for a stall after words that have to come in time themselves
FAIR = CallLimits(timeout_s=2.5, first_token_timeout_s=2.4, max_tries=2, wait_initial_s=0.01)
WITHIN_S = 20.0
"""A busy machine may take its time; a fault that is waited out for ever would take longer."""


class Fault(NamedTuple):
    """A fault that stays, what it ends in, and how many requests are made before."""

    served: Served
    error: type[ModelError]
    words: str
    requests: int = 2


# while nothing of the reply has come
BEFORE = {
    "rate_limit, seconds": Fault(Served.rate_limit(0.01), ModelRateLimitError, "rate limit (HTTP 429), after 2 tries"),
    "rate_limit, date": Fault(
        Served.rate_limit(0, as_date=True), ModelRateLimitError, "rate limit (HTTP 429), after 2 tries"
    ),
    "rate_limit, nothing said": Fault(Served.rate_limit(), ModelRateLimitError, "rate limit (HTTP 429), after 2 tries"),
    "rate_limit, too long": Fault(Served.rate_limit(600), ModelRateLimitError, "hint: wait 600 s", 1),
    "rate_limit, far date": Fault(Served.rate_limit(3600, as_date=True), ModelRateLimitError, "hint: wait 3", 1),
    "http_error": Fault(Served.http_error(500), ModelError, "failed on its provider's side (HTTP 500), after 2 tries"),
    "overloaded": Fault(Served.overloaded(), ModelError, "(HTTP 503), after 2 tries"),
    "malformed": Fault(Served.malformed(), ModelReplyError, "is not its provider's format, after 2 tries"),
    "cut": Fault(Served.cut(), ModelError, "after 2 tries"),
    "cut, cleanly": Fault(Served.cut(cleanly=True), ModelError, "after 2 tries"),
    "error_in_stream": Fault(Served.error_in_stream(), ModelError, "(HTTP 500), after 2 tries"),
    "empty": Fault(Served.empty(), ModelReplyError, "gave an empty reply", 1),
    "length": Fault(Served.length("The answ"), ModelReplyError, "stopped at its limit of output tokens", 1),
    "refuse_form": Fault(Served.refuse_form(), ModelError, "rejected the request (HTTP 400)", 1),
}
# after the first words, which only a stream can tell
AFTER = {
    "stall": Fault(Served.stall(TEXT, after=3), ModelTimeoutError, "after 12 characters", 1),
    "cut": Fault(Served.cut(TEXT, after=3), ModelReplyError, "after 12 characters", 1),
    "cut, cleanly": Fault(
        Served.cut(TEXT, after=3, cleanly=True), ModelReplyError, "broke its reply off after 12 characters", 1
    ),
    "malformed": Fault(Served.malformed(TEXT, after=3), ModelReplyError, "after 12 characters", 1),
    "error_in_stream": Fault(Served.error_in_stream(TEXT, after=3), ModelReplyError, "after 12 characters", 1),
    "length": Fault(Served.length(TEXT), ModelReplyError, "stopped at its limit", 1),
}


def ends(asker: Any, fault: Fault, way: str, limits: CallLimits = ROOMY) -> ModelError:
    """Meet a fault that stays, and return the error that it ends in."""
    with ModelServer([fault.served] * 5) as server:
        began = time.monotonic()
        with pytest.raises(fault.error) as caught:
            getattr(asker, way)(server, limits=limits)
        assert time.monotonic() - began < WITHIN_S
        assert fault.requests == len(server.requests)
    return caught.value


def assert_is_one_sentence(error: ModelError, asker: Any, words: str) -> None:
    sentence, _, hint = str(error).partition("\n")
    assert sentence.startswith(asker.spec)
    assert words in str(error)
    assert hint.startswith("hint: ")
    assert "\n" not in hint
    assert "canary" not in repr(error) + str(error) + error.detail


@pytest.mark.parametrize("way", ["complete", "stream"])
@pytest.mark.parametrize("name", BEFORE)
def test_a_fault_before_the_first_word(asker, name: str, way: str) -> None:
    """What can pass is tried to the limit, what cannot is not, and the end is one sentence with a hint."""
    fault = BEFORE[name]

    assert_is_one_sentence(ends(asker, fault, way), asker, fault.words)


@pytest.mark.parametrize("name", AFTER)
def test_a_fault_after_the_first_words(asker, name: str) -> None:
    """A stream that has begun is never asked for again; the error has the words that came."""
    fault = AFTER[name]
    error = ends(asker, fault, "stream", FAIR if name == "stall" else ROOMY)

    assert_is_one_sentence(error, asker, fault.words)
    if isinstance(error, ModelReplyError):
        assert (fault.served.text if name == "length" else TEXT[:12]) == error.text


@pytest.mark.parametrize("way", ["complete", "stream"])
def test_a_stall_before_the_first_token(asker, way: str) -> None:
    """Silence ends at the limit that is meant for it: a stream's first token, or the whole of a whole reply."""
    streamed = way == "stream"
    fault = Fault(Served.stall(), ModelTimeoutError, "0.3 s" if streamed else "0.7 s", 2 if streamed else 1)
    error = ends(asker, fault, way, SHORT[way])

    assert_is_one_sentence(error, asker, fault.words)
    assert isinstance(error, ModelTimeoutError)
    assert (0.3 if streamed else 0.7) == error.limit_s


@pytest.mark.parametrize("way", ["complete", "stream"])
def test_a_refusal(asker, way: str) -> None:
    """OpenAI's field for a refusal is told with its words; Groq has none, so nothing was said."""
    words = "refused to answer: no way" if asker.spec.startswith("openai") else "gave an empty reply"
    error = ends(asker, Fault(Served.refusal("no way"), ModelReplyError, words, 1), way)

    assert_is_one_sentence(error, asker, words)


def test_a_date_to_come_back_is_honoured_by_streams_too(asker) -> None:
    """The next try comes at the date that the server named, and then the stream goes on as any other."""
    with ModelServer([Served.rate_limit(1, as_date=True), TEXT]) as server:
        _, reply = asker.stream(server)
        first, second = server.requests
    assert (TEXT, 2) == (reply.text, reply.tries)
    assert 1 <= second.at_s - first.at_s < WITHIN_S


def test_tokens_arrive_at_the_set_rate(asker) -> None:
    """Through the client each token comes when its time has come, not before, and the reply says when the first did."""

    async def main(server: ModelServer) -> tuple[list[float], float]:
        model = asker.model(server)
        await model.prepare()
        arrivals: list[float] = []
        first_token_ms = 0.0
        async for piece in model.stream(ModelRequest.of("hello")):
            if isinstance(piece, str):
                arrivals.append(time.monotonic())
            else:
                first_token_ms = piece.first_token_ms
        return [at_s - server.requests[0].at_s for at_s in arrivals], first_token_ms

    with ModelServer(["abcd" * 8], first_token_s=0.2, tokens_per_s=40) as server:
        arrivals, first_token_ms = asyncio.run(main(server))
    assert 8 == len(arrivals)
    assert all(0.2 + number / 40 - 0.005 <= at_s for number, at_s in enumerate(arrivals))
    assert arrivals[-1] < WITHIN_S
    assert first_token_ms >= 195


def test_no_fault_is_forgotten() -> None:
    """Every fault that a `Served` can be made of stands in this file."""
    made = {name for name, member in vars(Served).items() if isinstance(member, classmethod)}
    named = {name.partition(",")[0] for name in (*BEFORE, *AFTER)}

    assert made == named | {"refusal"}
    assert {"stall", "cut", "clean-cut", "malformed", "error", ""} == {
        fault.served.fault for fault in (*BEFORE.values(), *AFTER.values())
    }
    assert all(inspect.getdoc(getattr(Served, name)) for name in made)
