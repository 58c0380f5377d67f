"""Real client libraries against the loopback server: replies, streams, and every fault as the right error in time."""

from __future__ import annotations

import asyncio
import gc
import time
from contextlib import aclosing
from typing import Any

import pytest

from planloom.errors import (
    ModelError,
    ModelRateLimitError,
    ModelReplyError,
    ModelTimeoutError,
    UsageError,
)
from planloom.models import CallLimits, Message, ModelReply, ModelRequest, ModelUsage
from planloom.testing.server import ModelServer
from planloom.testing.wire import Served

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"steps": {"type": "array", "items": {"type": "object"}}},
    "required": ["steps"],
}
# only the limit that a test is about is short: the machine may be busy, and the others must not come first
FAST = CallLimits(timeout_s=20, first_token_timeout_s=10, max_tries=3, wait_initial_s=0.01, max_wait_s=3)
SHORT_SILENCE = CallLimits(timeout_s=20, first_token_timeout_s=0.25, max_tries=2, wait_initial_s=0.01)
FAIR_SILENCE = CallLimits(timeout_s=20, first_token_timeout_s=1.5, max_tries=2, wait_initial_s=0.01)
SHORT_WHOLE = CallLimits(timeout_s=0.7, first_token_timeout_s=0.25, max_tries=2, wait_initial_s=0.01)
FAIR_WHOLE = CallLimits(timeout_s=2.5, first_token_timeout_s=2.4, max_tries=2, wait_initial_s=0.01)
TEXT = "The answer is 42, and that is that."


def test_a_whole_reply(asker) -> None:
    """`complete` gives text, usage as the provider counts it, name, latency; no first token, since there was none."""
    with ModelServer([Served(TEXT, usage=(120, 34))]) as server:
        reply = asker.complete(server)
        server.assert_finished()
    assert (TEXT, ModelUsage(120, 34), "stop", asker.spec) == (
        reply.text,
        reply.usage,
        reply.finish_reason,
        reply.model,
    )
    assert (None, "text", 1) == (reply.first_token_ms, reply.output_mode, reply.tries)
    assert reply.latency_ms > 0


def test_a_streamed_reply(asker) -> None:
    """`stream` gives pieces that join to the text, then the reply with usage and the time of the first piece."""
    with ModelServer([Served(TEXT, usage=(120, 34))]) as server:
        pieces, reply = asker.stream(server)
    assert [TEXT[at : at + 4] for at in range(0, len(TEXT), 4)] == pieces
    assert (TEXT, ModelUsage(120, 34), "stop") == (reply.text, reply.usage, reply.finish_reason)
    assert reply.first_token_ms is not None
    assert 0 < reply.first_token_ms <= reply.latency_ms


def test_pieces_arrive_as_they_are_sent(asker) -> None:
    """A stream is not gathered: a piece is given out before the next one was sent."""

    async def main(server: ModelServer) -> list[int]:
        model = asker.model(server)
        await model.prepare()
        sent: list[int] = []
        async for piece in model.stream(ModelRequest.of("hello")):
            if isinstance(piece, str):
                sent.append(len(server.requests[0].sent))
        return sent

    with ModelServer(["aaaabbbbccccdddd"], tokens_per_s=20) as server:
        assert [1, 2, 3, 4] == asyncio.run(main(server))


def test_what_is_asked_goes_out(asker) -> None:
    """Messages keep their roles and order; temperature and limit are sent; the library's own retries are off."""
    request = ModelRequest(
        (Message("system", "be brief"), Message("user", "hi"), Message("assistant", "yes?"), Message("user", "bye")),
        temperature=0.2,
        max_output_tokens=77,
    )
    with ModelServer([TEXT]) as server:
        asker.complete(server, request)
        body = server.requests[0].body
    roles = [message["role"] for message in body["messages"]]
    assert ["system", "user", "assistant", "user"] == roles
    assert ["be brief", "hi", "yes?", "bye"] == server.requests[0].texts
    assert 0.2 == body["temperature"]
    assert 77 == body.get("max_tokens", body.get("max_completion_tokens"))
    assert "response_format" not in body


def test_usage_that_nobody_told(asker) -> None:
    """Without usage from the provider the tokens are estimated, said to be so, and have no price."""
    with ModelServer([Served("12345678", tells_usage=False)] * 2) as server:
        whole = asker.complete(server, ModelRequest.of("abcd" * 10))
        _, streamed = asker.stream(server, ModelRequest.of("abcd" * 10))
    for reply in (whole, streamed):
        assert ModelUsage(10, 2, estimated=True) == reply.usage
        assert reply.cost_usd is None


def test_the_price_of_a_call(asker) -> None:
    """A known model has a price; an unknown one has None, and nothing is raised."""
    with ModelServer([Served(TEXT, usage=(1_000_000, 0))] * 2) as server:
        known = asker.complete(server)
        asker.spec = asker.spec.partition(":")[0] + ":nobody-knows-me"
        unknown = asker.complete(server)
    assert known.cost_usd is not None
    assert 0.1 < known.cost_usd < 20
    assert unknown.cost_usd is None


@pytest.mark.parametrize(
    "fault",
    [
        Served.rate_limit(),
        Served.rate_limit(0.01),
        Served.http_error(500),
        Served.http_error(502),
        Served.overloaded(),
        Served.malformed(),
        Served.cut(),
        Served.cut(cleanly=True),
        Served.error_in_stream(),
        Served.error_in_stream(code="rate_limit_exceeded"),
    ],
    ids=["429", "429-after", "500", "502", "503", "malformed", "cut", "clean-cut", "error", "error-429"],
)
@pytest.mark.parametrize("way", ["complete", "stream"])
def test_what_can_pass_is_tried_again(asker, fault: Served, way: str) -> None:
    """A fault before the first token is tried again and the next answer is the reply; the server counts the tries."""
    with ModelServer([fault, TEXT]) as server:
        reply = asker.complete(server) if way == "complete" else asker.stream(server)[1]
        assert (TEXT, 2) == (reply.text, reply.tries)
        assert 2 == len(server.requests)


@pytest.mark.parametrize(
    ("fault", "kind", "status"),
    [
        (Served.rate_limit(0.01), ModelRateLimitError, 429),
        (Served.http_error(500), ModelError, 500),
        (Served.overloaded(), ModelError, 503),
        (Served.malformed(), ModelReplyError, None),
        (Served.cut(), (ModelReplyError, ModelError), None),
    ],
    ids=["429", "500", "503", "malformed", "cut"],
)
@pytest.mark.parametrize("way", ["complete", "stream"])
def test_tries_are_bounded(asker, fault: Served, kind: Any, status: int | None, way: str) -> None:
    """A fault that stays ends after `max_tries` requests in the right error, which says the model and the tries."""
    with ModelServer([fault] * 10) as server:
        with pytest.raises(kind) as caught:
            getattr(asker, way)(server)
        assert FAST.max_tries == len(server.requests)
    error = caught.value
    assert (asker.spec, 3, status) == (error.model, error.tries, error.status)
    sentence, hint = str(error).split("\n")
    assert sentence.startswith(asker.spec)
    assert "after 3 tries" in sentence
    assert hint.startswith("hint: ")


@pytest.mark.parametrize(
    ("fault", "reason"),
    [(Served.refusal("no way"), "refusal"), (Served.empty(), "empty"), (Served.length("The answ"), "length")],
    ids=["refusal", "empty", "length"],
)
@pytest.mark.parametrize("way", ["complete", "stream"])
def test_an_answer_that_is_none_is_not_asked_for_again(asker, fault: Served, reason: str, way: str) -> None:
    """Refusal, silence and a stop at the limit are the model's word: an error with text and usage, and one request."""
    if asker.spec.startswith("groq") and reason == "refusal":
        fault = Served("", finish_reason="content_filter")  # Groq has no field for a refusal
    with ModelServer([fault]) as server:
        with pytest.raises(ModelReplyError) as caught:
            getattr(asker, way)(server)
        server.assert_finished()
    error = caught.value
    assert (reason, fault.text) == (error.reason, error.text)
    assert (": no way" in str(error)) == (fault.refusal_text is not None)
    assert error.reply is not None
    assert error.reply.usage.input_tokens > 0


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Served.cut(TEXT, after=3), "cut"),
        (Served.cut(TEXT, after=3, cleanly=True), "cut"),
        (Served.malformed(TEXT, after=3), "malformed"),
        (Served.error_in_stream(TEXT, after=3), "cut"),
        (Served.error_in_stream(TEXT, after=3, code="rate_limit_exceeded"), "cut"),
    ],
    ids=["cut", "clean-cut", "malformed", "error", "error-429"],
)
def test_a_stream_that_had_begun_is_never_started_again(asker, fault: Served, reason: str) -> None:
    """After the first piece a fault is the end: the error has the text so far, and there is one request."""

    async def main(server: ModelServer) -> tuple[list[str], ModelReplyError]:
        pieces: list[str] = []
        try:
            async for piece in asker.model(server).stream(ModelRequest.of("hello")):
                pieces.append(str(piece))
        except ModelReplyError as error:
            return pieces, error
        raise AssertionError("the stream ended well")

    with ModelServer([fault, TEXT]) as server:
        pieces, error = asyncio.run(main(server))
        assert 1 == len(server.requests)
    assert ["The ", "answ", "er i"] == pieces
    assert (reason, "The answer i", None) == (error.reason, error.text, error.reply)


def test_a_stall_before_the_first_token(asker) -> None:
    """Silence ends at `first_token_timeout_s`, is tried again, and is a timeout when it stays."""
    with ModelServer([Served.stall(), TEXT]) as server:
        assert TEXT == asker.stream(server, limits=FAIR_SILENCE)[1].text
    with ModelServer([Served.stall()] * 2) as server:
        began = time.monotonic()
        with pytest.raises(ModelTimeoutError, match=r"no first token within 0\.25 s, after 2 tries") as caught:
            asker.stream(server, limits=SHORT_SILENCE)
        assert time.monotonic() - began < 10
        server.assert_finished()
    assert (0.25, 2) == (caught.value.limit_s, caught.value.tries)


def test_a_stall_after_the_first_token(asker) -> None:
    """A stream that stops in the middle ends at `timeout_s`, and is not asked for again."""
    with ModelServer([Served.stall(TEXT, after=2), TEXT]) as server:
        with pytest.raises(
            ModelTimeoutError, match=r"did not end its reply within 2\.5 s after 8 characters"
        ) as caught:
            asker.stream(server, limits=FAIR_WHOLE)
        assert 1 == len(server.requests)
    assert 2.5 == caught.value.limit_s


def test_a_stall_of_a_whole_reply(asker) -> None:
    """A reply that is not streamed has the limit of the whole call, and no second try after it."""
    with ModelServer([Served.stall(), TEXT]) as server:
        with pytest.raises(ModelTimeoutError, match=r"within 0\.7 s"):
            asker.complete(server, limits=SHORT_WHOLE)
        assert 1 == len(server.requests)


def test_time_that_runs_out_in_a_later_try(asker) -> None:
    """The limit is what ended the call, and the failure before is why there was a later try: both are said."""
    with ModelServer([Served.overloaded(), Served.stall()]) as server:
        with pytest.raises(ModelTimeoutError) as caught:
            asker.complete(server, limits=FAIR_WHOLE)
        assert 2 == len(server.requests)
    assert "within 2.5 s, after 2 tries; before that it failed on its provider's side (HTTP 503)" in str(caught.value)


@pytest.mark.parametrize("way", ["complete", "stream"])
def test_retry_after_in_seconds_is_honoured(asker, way: str) -> None:
    """The next try comes after the seconds the server asked for, not before and not much later."""
    with ModelServer([Served.rate_limit(0.3), TEXT]) as server:
        getattr(asker, way)(server)
        first, second = server.requests
    assert 0.3 <= second.at_s - first.at_s < 3


def test_retry_after_as_a_date_is_honoured(asker) -> None:
    """A date is as good as seconds; it has whole seconds, so the wait is the one until it by the server's own clock."""
    with ModelServer([Served.rate_limit(1, as_date=True), TEXT]) as server:
        asker.complete(server)
        first, second = server.requests
    assert 1 <= second.at_s - first.at_s < 4


def test_a_server_that_asks_for_too_long_is_not_waited_for(asker) -> None:
    """A wait beyond `max_wait_s`, or beyond what is left of the call, is an error at once that says how long."""
    with ModelServer([Served.rate_limit(600)]) as server:
        with pytest.raises(ModelRateLimitError, match="wait 600 s") as caught:
            asker.complete(server)
        server.assert_finished()
    assert (600.0, 1) == (caught.value.retry_after_s, caught.value.tries)


@pytest.mark.parametrize(
    ("status", "code", "kind", "words"),
    [
        (401, "invalid_api_key", ModelError, r"refused the key \(HTTP 401\)\nhint: check (OPENAI|GROQ)_API_KEY"),
        (404, "model_not_found", ModelError, r"was not found at http://127\.0\.0\.1:\d+/v1 \(HTTP 404\)"),
        (429, "insufficient_quota", ModelRateLimitError, "its quota is used up"),
        (400, "context_length_exceeded", ModelError, "more than it can read"),
        (400, None, ModelError, r"rejected the request \(HTTP 400\): what a mess"),
    ],
)
def test_what_cannot_pass_is_not_tried_again(asker, status: int, code: str, kind: Any, words: str) -> None:
    """The caller's or the account's trouble is said at once, after one request."""
    with ModelServer([Served.http_error(status, "what a mess", code=code)] * 2) as server:
        with pytest.raises(kind, match=words):
            asker.stream(server)
        assert 1 == len(server.requests)


def test_a_server_that_is_not_there(asker) -> None:
    """A refused connection is tried again, and then an error that names the address."""
    server = ModelServer([])
    with server:
        model = asker.model(server)
    with pytest.raises(ModelError, match=r"could not be reached at http://127\.0\.0\.1:\d+/v1, after 3 tries"):
        asyncio.run(model.complete(ModelRequest.of("hello")))


@pytest.mark.parametrize("way", ["complete", "stream"])
def test_the_best_form_is_asked_for(asker, way: str) -> None:
    """A model with JSON Schema gets it; one without gets the JSON object mode and the schema in words."""
    with ModelServer(["{}"]) as server:
        getattr(asker, way)(server, ModelRequest.of("plan", schema=SCHEMA, schema_name="plan"))
        request = server.requests[0]
    expected = {"openai": "json_schema", "groq": "json_object"}[asker.spec.partition(":")[0]]
    assert expected == request.output_mode
    if expected == "json_schema":
        assert "plan" == request.body["response_format"]["json_schema"]["name"]
        assert ["plan"] == request.texts
    else:
        assert any('"required":["steps"]' in text for text in request.texts)


@pytest.mark.parametrize("way", ["complete", "stream"])
def test_a_refused_form_falls_back_and_is_remembered(asker, way: str) -> None:
    """HTTP 400 for the form leads to the next one within the call; the next call starts with what worked."""
    request = ModelRequest.of("plan", schema=SCHEMA)
    with ModelServer(["{}", "{}"], refuses=("json_schema", "json_object")) as server:
        first, second = (
            (asker.complete(server, request) if way == "complete" else asker.stream(server, request)[1])
            for _ in range(2)
        )
        server.assert_finished()
        seen = [received.output_mode for received in server.requests]
    forms = ["json_schema", "json_object"] if asker.spec.startswith("openai") else ["json_object"]
    assert [*forms, "text", "text"] == seen
    assert ("text", "text") == (first.output_mode, second.output_mode)
    assert any("JSON Schema" in text for text in server.requests[-1].texts)


def test_a_form_is_remembered_apart_for_streams(asker) -> None:
    """Some providers have a form for whole replies only, so a refusal in a stream says nothing about those."""
    request = ModelRequest.of("plan", schema=SCHEMA)
    script = [Served.refuse_form(), "{}", "{}"]
    with ModelServer(script) as server:
        asker.stream(server, request)
        asker.complete(server, request)
        first, _, third = (received.output_mode for received in server.requests)
    assert first == third


def test_a_schema_that_is_refused_does_not_spoil_another(asker) -> None:
    """When the schema itself is what the provider cannot take, the next schema is tried with the best form again."""
    refusal = Served.http_error(400, "Invalid schema for response_format 'one': In context=(), 'x' is not permitted.")
    with ModelServer([refusal, "{}", "{}", "{}"]) as server:
        for name in ("one", "one", "two"):
            asker.complete(server, ModelRequest.of("plan", schema=SCHEMA, schema_name=name))
        seen = [received.output_mode for received in server.requests]
    best = {"openai": "json_schema", "groq": "json_object"}[asker.spec.partition(":")[0]]
    assert best == seen[0] == seen[3]
    assert best not in seen[1:3]


def test_json_that_came_out_wrong_is_asked_for_in_another_form_once(asker) -> None:
    """Groq's `json_validate_failed` is about one reply: the call goes on with less, the next starts with the best."""
    failed = Served.http_error(400, "Failed to generate JSON. Please adjust your prompt.", code="json_validate_failed")
    with ModelServer([failed, "{}", "{}"]) as server:
        asker.complete(server, ModelRequest.of("plan", schema=SCHEMA))
        asker.complete(server, ModelRequest.of("plan", schema=SCHEMA))
        first, second, third = (received.output_mode for received in server.requests)
    assert first == third != second


def test_a_schema_that_the_messages_describe_is_not_described_again(asker) -> None:
    """`describe_schema=False` leaves the messages as they are in every form."""
    request = ModelRequest.of("answer in JSON", schema=SCHEMA, describe_schema=False)
    with ModelServer(["{}"], refuses=("json_schema", "json_object")) as server:
        asker.complete(server, request)
        assert {("answer in JSON",)} == {tuple(received.texts) for received in server.requests}


def test_a_refused_temperature_is_left_out(asker) -> None:
    """A model that takes no temperature is asked without it, and the next time at once."""
    asker.spec += "-no-temperature"
    refusal = Served.http_error(400, "Unsupported value: 'temperature' does not support 0.1 with this model.")
    with ModelServer([refusal, TEXT, TEXT]) as server:
        for _ in range(2):
            asker.complete(server, ModelRequest.of("hello", temperature=0.1))
        assert [True, False, False] == ["temperature" in received.body for received in server.requests]


def test_parallel_calls_share_a_model(asker) -> None:
    """Fifty calls at once on a new model open one client and each get their own reply."""

    async def main(server: ModelServer) -> list[str]:
        model = asker.model(server)
        calls = (model.complete(ModelRequest.of(f"number {number}")) for number in range(50))
        return [reply.text for reply in await asyncio.gather(*calls)]

    with ModelServer(lambda request: request.texts[-1].upper()) as server:
        assert [f"NUMBER {number}" for number in range(50)] == asyncio.run(main(server))


def test_a_model_serves_one_loop_after_another(asker) -> None:
    """Each event loop has connections of its own, which are closed with it: nothing is left open."""
    with ModelServer(lambda request: TEXT) as server:
        model = asker.model(server)
        for _ in range(3):
            assert TEXT == asyncio.run(model.complete(ModelRequest.of("hello"))).text
    gc.collect()


def test_a_model_can_be_closed_and_used_again(asker) -> None:
    """`aclose` lets the connections go; the next call opens new ones."""

    async def main(server: ModelServer) -> None:
        model = asker.model(server)
        for _ in range(2):
            await model.complete(ModelRequest.of("hello"))
            await model.aclose()
        await model.aclose()

    with ModelServer(lambda request: TEXT) as server:
        asyncio.run(main(server))
    gc.collect()


def test_a_stream_that_is_left_early_is_closed(asker) -> None:
    """Leaving a stream ends the connection: the server notices, and nothing is left open."""

    async def main(server: ModelServer) -> str | ModelReply:
        async with aclosing(asker.model(server).stream(ModelRequest.of("hello"))) as stream:
            return await anext(stream)

    with ModelServer([Served.stall(TEXT, after=4)]) as server:
        assert "The " == asyncio.run(main(server))
    gc.collect()


@pytest.mark.parametrize("way", ["complete", "stream"])
def test_a_cancelled_call_stays_cancelled(asker, way: str) -> None:
    """Cancellation from outside is not taken for a timeout, is not retried, and leaves nothing open."""

    async def ask(server: ModelServer) -> None:
        model = asker.model(server)
        if way == "complete":
            await model.complete(ModelRequest.of("hello"))
        else:
            async for _ in model.stream(ModelRequest.of("hello")):
                pass

    async def main(server: ModelServer) -> None:
        call = asyncio.create_task(ask(server))
        while not server.requests:
            await asyncio.sleep(0.005)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

    with ModelServer([Served.stall()]) as server:
        asyncio.run(main(server))
        assert 1 == len(server.requests)
    gc.collect()


def test_the_switch_against_real_requests_is_respected(asker, monkeypatch: pytest.MonkeyPatch) -> None:
    """With pydantic-ai's `ALLOW_MODEL_REQUESTS` off nothing is sent, and the error says which switch it is."""
    import pydantic_ai.models

    monkeypatch.setattr(pydantic_ai.models, "ALLOW_MODEL_REQUESTS", False)
    with ModelServer([TEXT]) as server:
        with pytest.raises(ModelError, match="ALLOW_MODEL_REQUESTS"):
            asker.complete(server)
        assert [] == server.requests


def test_a_local_server_needs_no_key(asker) -> None:
    """At a local address a model works without a key."""
    with ModelServer([TEXT]) as server:
        assert TEXT == asker.complete(server, api_key=None).text


def test_the_key_is_sent(asker) -> None:
    """The key that was given is the key that goes out; another one is refused."""
    with ModelServer([TEXT], api_key="right") as server:
        assert TEXT == asker.complete(server, api_key="right").text
        with pytest.raises(ModelError, match="refused the key"):
            asker.complete(server, api_key="wrong")


@pytest.mark.parametrize("limit", [0, -1, float("inf"), float("nan")])
def test_limits_are_checked(limit: float) -> None:
    """A limit that is no limit is refused when it is set."""
    with pytest.raises(UsageError, match="`timeout_s` is"):
        CallLimits(timeout_s=limit)
