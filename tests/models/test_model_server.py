"""The loopback server itself: what it sends, what it records, how it starts and stops."""

from __future__ import annotations

import asyncio
import gc
import json
import threading
import time
import urllib.error
import urllib.request
from typing import Any

import pytest

from planloom.testing.server import ModelServer
from planloom.testing.wire import ReceivedRequest, Served

opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def post(server: ModelServer, **body: Any) -> tuple[int, dict[str, str], bytes]:
    """Post as any HTTP client would."""
    body = {"model": "m", "messages": [{"role": "user", "content": "hello"}], **body}
    request = urllib.request.Request(
        f"{server.base_url}/chat/completions",
        json.dumps(body).encode(),
        {"Content-Type": "application/json", "Authorization": "Bearer canary", "X-Secret": "canary"},
    )
    try:
        with opener.open(request, timeout=5) as response:
            return response.status, dict(response.headers), response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, dict(error.headers), error.read()


def events(data: bytes) -> list[Any]:
    lines = [line.removeprefix("data: ") for line in data.decode().split("\n\n") if line]
    assert "[DONE]" == lines.pop()
    return [json.loads(line) for line in lines]


def test_a_whole_answer() -> None:
    """The body is OpenAI's, with the usage counted four characters to a token."""
    with ModelServer(["a whole answer"]) as server:
        status, _, data = post(server)
    answer = json.loads(data)
    assert (200, "chat.completion", "m") == (status, answer["object"], answer["model"])
    assert {"role": "assistant", "content": "a whole answer"} == answer["choices"][0]["message"]
    assert {"prompt_tokens": 2, "completion_tokens": 4, "total_tokens": 6} == answer["usage"]


@pytest.mark.parametrize("wants_usage", [True, False])
def test_a_streamed_answer(wants_usage: bool) -> None:
    """Chunks of one token, the reason at the end, and usage in a last chunk when it was asked for."""
    with ModelServer(["a whole answer"]) as server:
        _, headers, data = post(server, stream=True, stream_options={"include_usage": wants_usage})
    chunks = events(data)
    assert headers["Content-Type"].startswith("text/event-stream")
    texts = [chunk["choices"][0]["delta"].get("content") for chunk in chunks if chunk["choices"]]
    assert ["", "a wh", "ole ", "answ", "er", None] == texts
    assert "stop" == next(chunk for chunk in reversed(chunks) if chunk["choices"])["choices"][0]["finish_reason"]
    assert wants_usage == ("usage" in chunks[-1])


def test_the_rate_of_tokens() -> None:
    """The first token comes after `first_token_s`, the others at `tokens_per_s`."""
    with ModelServer(["abcd" * 5], first_token_s=0.1, tokens_per_s=50) as server:
        post(server, stream=True)
        request = server.requests[0]
    arrivals = [at_s - request.at_s for at_s, _ in request.sent]
    assert "abcd" * 5 == "".join(piece for _, piece in request.sent)
    for number, arrival in enumerate(arrivals):
        assert 0.1 + number / 50 - 0.005 <= arrival < 0.1 + number / 50 + 0.5


def test_what_is_recorded() -> None:
    """Body, path, form and texts are kept; of headers only the harmless values are."""
    with ModelServer([Served.http_error(500)]) as server:
        post(server, response_format={"type": "json_object"}, messages=[{"role": "user", "content": [{"text": "hi"}]}])
        (request,) = server.requests
    assert ("/v1/chat/completions", 500, "json_object", ["hi"]) == (
        request.path,
        request.status,
        request.output_mode,
        request.texts,
    )
    assert ("***", "***") == (request.headers["authorization"], request.headers["x-secret"])
    assert "application/json" == request.headers["content-type"]
    assert not request.is_streamed
    assert "canary" not in repr(server.requests)


def test_a_function_may_answer() -> None:
    """A function of the request answers every request, whatever their number."""

    def answer(request: ReceivedRequest) -> str | Served:
        return Served.overloaded() if request.number == 1 else f"{request.number}: {request.texts[-1]}"

    with ModelServer(answer) as server:
        assert [200, 503, 200] == [post(server)[0] for _ in range(3)]
        server.assert_finished()


def test_a_request_too_many_and_too_few() -> None:
    """What the script did not expect is refused and remembered; what nobody asked for is left."""
    with ModelServer(["one"]) as server:
        with pytest.raises(AssertionError, match="1 replies of 1 are left"):
            server.assert_finished()
        assert [200, 418] == [post(server)[0] for _ in range(2)]
        with pytest.raises(AssertionError, match="1 requests came after the end of the script"):
            server.assert_finished()


@pytest.mark.parametrize(
    ("served", "expected"),
    [(Served.rate_limit(1.5), "1.5"), (Served.rate_limit(2, as_date=True), "GMT"), (Served.rate_limit(), None)],
)
def test_retry_after(served: Served, expected: str | None) -> None:
    """HTTP 429 tells when to come back, in seconds, as a date, or not."""
    with ModelServer([served]) as server:
        status, headers, data = post(server)
    assert (429, "rate_limit_exceeded") == (status, json.loads(data)["error"]["code"])
    retry_after = headers.get("Retry-After")
    assert retry_after is None if expected is None else str(retry_after).endswith(expected)


def test_a_form_that_it_does_not_have() -> None:
    """`refuses` answers 400 that names the form, and keeps the script for the next request."""
    with ModelServer(["fine"], refuses=("json_schema",)) as server:
        status, _, data = post(server, response_format={"type": "json_schema", "json_schema": {}})
        assert (400, "response_format") == (status, json.loads(data)["error"]["param"])
        assert 200 == post(server)[0]
        server.assert_finished()


def test_it_stops_with_clients_in_the_middle() -> None:
    """Leaving the context drops stalled connections, ends the thread, and leaves nothing open."""
    before = threading.active_count()
    results: list[str] = []

    def stalled(server: ModelServer) -> None:
        try:
            post(server, stream=True)
        except OSError as error:
            results.append(type(error).__name__)
        except Exception as error:
            results.append(type(error).__name__)

    with ModelServer([Served.stall()]) as server:
        thread = threading.Thread(target=stalled, args=(server,))
        thread.start()
        while not server.requests:
            time.sleep(0.005)
    thread.join(5)
    assert 1 == len(results)
    assert before == threading.active_count()
    server.stop()
    gc.collect()


def test_it_works_in_async_code() -> None:
    """As an async context manager it does not block the loop, and the address is there only while it runs."""

    async def main() -> ModelServer:
        async with ModelServer(["fine"]) as server:
            assert 200 == (await asyncio.to_thread(post, server))[0]
            assert "on port" in repr(server)
            with pytest.raises(RuntimeError, match="running already"):
                server.start()
        return server

    server = asyncio.run(main())
    with pytest.raises(RuntimeError, match="not running"):
        _ = server.base_url


def test_larger_pieces_keep_the_rate() -> None:
    """With pieces of several tokens the whole text still takes as long as its tokens do."""
    with ModelServer(["abcd" * 12], tokens_per_s=100, piece_characters=16) as server:
        post(server, stream=True)
        (request,) = server.requests
    assert ["abcd" * 4] * 3 == [piece for _, piece in request.sent]
    first, *_, last = (at_s for at_s, _ in request.sent)
    assert 0.08 <= last - first + 0.001 < 5
