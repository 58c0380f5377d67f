"""A model's provider on this machine: the OpenAI chat-completions format over real HTTP, with every fault on demand.

    with ModelServer(["first answer", Served.rate_limit(0.1), "second answer"], tokens_per_s=80) as server:
        model = resolve_model("openai:any", base_url=server.base_url)

It listens on loopback only, on a thread with an event loop of its own, so a test may block or use any loop. It answers
from its script in order; a request that the script does not expect is refused with HTTP 418 and remembered.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import threading
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from email.utils import formatdate
from http import HTTPStatus
from types import TracebackType
from typing import Any, Final, Self, cast

from planloom.models.base import CHARACTERS_PER_TOKEN, OutputMode, estimate_tokens
from planloom.testing.wire import (
    ReceivedRequest,
    Served,
    chunk,
    closing_chunks,
    pieces_of,
    shown_headers,
    sse,
    whole_answer,
    whole_seconds,
)

MAX_HEADER_BYTES: Final = 64 * 1024
MAX_BODY_BYTES: Final = 16 * 1024 * 1024
STOP_TIMEOUT_S: Final = 5.0

ServedEntry = str | Served


class ModelServer:
    """A loopback server that answers from a script. A context manager, plain or async.

    `replies` holds a text or a `Served` for each request, or is a function of the request that gives one (it runs on
    the server's thread). `first_token_s` passes before the first piece, `tokens_per_s` is the rate after it (None for
    at once, a token being four characters). `refuses` are the forms of answer that it does not have: asked for one, it
    answers HTTP 400 without taking a reply from the script. With `api_key`, any other key gets HTTP 401. A streamed
    piece has `piece_characters`; fewer and larger pieces make long answers quick, at the same rate of tokens.
    """

    def __init__(
        self,
        replies: Sequence[ServedEntry] | Callable[[ReceivedRequest], ServedEntry] = (),
        *,
        first_token_s: float = 0.0,
        tokens_per_s: float | None = None,
        refuses: Collection[OutputMode] = (),
        api_key: str | None = None,
        piece_characters: int = CHARACTERS_PER_TOKEN,
    ) -> None:
        self.requests: list[ReceivedRequest] = []
        self.first_token_s = first_token_s
        self.tokens_per_s = tokens_per_s
        self.piece_characters = piece_characters
        self._replies = replies if callable(replies) else tuple(replies)
        self._used = 0
        self._unexpected: list[ReceivedRequest] = []
        self._refuses = frozenset(refuses)
        self._api_key = api_key
        self._port = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._connections: set[asyncio.Task[Any]] = set()
        self._thread: threading.Thread | None = None

    @property
    def base_url(self) -> str:
        """The address for `base_url` of a model; good for `openai:`, `groq:` and `ollama:` models alike."""
        if self._thread is None:
            raise RuntimeError("the server is not running; use it as `with ModelServer(...) as server:`")
        return f"http://127.0.0.1:{self._port}/v1"

    def __repr__(self) -> str:
        state = f"on port {self._port}" if self._thread else "not running"
        return f"<model server {state}: {len(self.requests)} requests>"

    def assert_finished(self) -> None:
        """Raise `AssertionError` when replies of the script are left, or a request came that it did not expect."""
        if self._unexpected:
            first = self._unexpected[0]
            raise AssertionError(
                f"{len(self._unexpected)} requests came after the end of the script; the first was {first.path} and "
                f"ended: {(first.texts or [''])[-1][-200:]!r}"
            )
        if not callable(self._replies) and self._used < len(self._replies):
            raise AssertionError(f"{len(self._replies) - self._used} replies of {len(self._replies)} are left")

    def start(self) -> Self:
        """Start to listen; returns when it does."""
        if self._thread is not None:
            raise RuntimeError("the server is running already")
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(ready,), name="planloom-model-server", daemon=True)
        self._thread.start()
        ready.wait()
        return self

    def stop(self) -> None:
        """Drop every connection and end the thread. Stopping twice is fine."""
        thread, self._thread = self._thread, None
        if thread is None or self._loop is None or self._stop is None:
            return
        with suppress(RuntimeError):  # its loop ended by itself
            self._loop.call_soon_threadsafe(self._stop.set)
        thread.join(STOP_TIMEOUT_S)
        if thread.is_alive():
            raise RuntimeError(f"the server did not stop within {STOP_TIMEOUT_S:g} s")

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        return await asyncio.to_thread(self.start)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.stop)

    def _run(self, ready: threading.Event) -> None:
        asyncio.run(self._listen(ready))

    async def _listen(self, ready: threading.Event) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._on_connection, "127.0.0.1", 0, limit=MAX_HEADER_BYTES)
        self._port = server.sockets[0].getsockname()[1]
        ready.set()
        await self._stop.wait()
        server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _on_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)
        try:
            while await self._on_request(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.CancelledError):
            pass  # the client left, or the server stops
        finally:
            writer.close()
            with suppress(ConnectionError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _on_request(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Read one request and answer it. Returns whether the connection may be used again."""
        head = await reader.readuntil(b"\r\n\r\n")
        line, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = int(headers.get("content-length") or 0)
        if length > MAX_BODY_BYTES:
            raise ConnectionError("more than the server takes")
        body = await reader.readexactly(length)
        request = ReceivedRequest(
            len(self.requests),
            line.split(" ")[1],
            shown_headers({name: value for name, value in headers.items() if name}),
            _object(body),
            time.monotonic(),
        )
        self.requests.append(request)
        served = self._choose(request, headers)
        request.status = served.status
        answer = _Answer(self, request, served, reader, writer)
        return await answer.send()

    def _choose(self, request: ReceivedRequest, headers: dict[str, str]) -> Served:
        if self._api_key is not None and not hmac.compare_digest(
            headers.get("authorization", "").encode(), f"Bearer {self._api_key}".encode()
        ):
            return Served.http_error(401, "Incorrect API key provided", code="invalid_api_key")
        if request.output_mode in self._refuses:
            return Served.refuse_form(request.output_mode)
        if callable(self._replies):
            entry = self._replies(request)
        elif self._used < len(self._replies):
            entry = self._replies[self._used]
            self._used += 1
        else:
            self._unexpected.append(request)
            return Served.http_error(418, "the script of this test server has no reply left")
        return Served(entry) if isinstance(entry, str) else entry


class _Answer:
    """One answer on its way to the client."""

    def __init__(
        self,
        server: ModelServer,
        request: ReceivedRequest,
        served: Served,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._request = request
        self._served = served
        self._reader = reader
        self._writer = writer
        self._first_token_s = server.first_token_s if served.first_token_s is None else served.first_token_s
        self._tokens_per_s = server.tokens_per_s if served.tokens_per_s is None else served.tokens_per_s
        self._size = server.piece_characters

    async def send(self) -> bool:
        """Send the answer. Returns whether the connection may be used again."""
        is_streamed = self._request.is_streamed
        if self._served.error is not None and not (is_streamed and self._served.fault == "error"):
            await self._send_json({"error": self._served.error}, self._served.status)
            return True
        self._request.status = 200
        return await (self._send_stream() if is_streamed else self._send_whole())

    async def _send_whole(self) -> bool:
        served = self._served
        tokens = estimate_tokens([served.text])
        await asyncio.sleep(self._first_token_s + (tokens / self._tokens_per_s if self._tokens_per_s else 0))
        answer = whole_answer(self._request, served)
        match served.fault:
            case "stall":
                await self._wait_for_the_client_to_leave()
                return False
            case "cut" | "clean-cut":
                data = json.dumps(answer).encode()
                self._write_head(200, "application/json", f"Content-Length: {len(data)}")
                await self._write(data[: len(data) // 2])
                return False
            case "malformed":
                await self._send_bytes(b'{"id": "chatcmpl-0", "choices": [{"ind', 200)
            case _:
                self._request.sent.append((time.monotonic(), served.text))
                await self._send_json(answer, 200)
        return True

    async def _send_stream(self) -> bool:
        served, request = self._served, self._request
        self._write_head(200, "text/event-stream; charset=utf-8", "Transfer-Encoding: chunked")
        await self._write(b"")
        pieces = pieces_of(served.text, self._size)
        if served.fault and served.after < len(pieces):
            pieces = pieces[: served.after]
        if served.fault != "stall" or pieces:
            await asyncio.sleep(self._first_token_s)
            await self._write_chunk(sse(chunk(request, {"role": "assistant", "content": ""})))
        if served.refusal_text is not None:
            for piece in pieces_of(served.refusal_text, self._size):
                await self._write_chunk(sse(chunk(request, {"refusal": piece})))
        await self._send_pieces(pieces)
        match served.fault:
            case "stall":
                await self._wait_for_the_client_to_leave()
                return False
            case "cut":
                return False
            case "clean-cut":
                await self._write(b"0\r\n\r\n")
                return True
            case "error":
                await self._write_chunk(sse({"error": served.error}))
                await self._write(b"0\r\n\r\n")
                return True
            case "malformed":
                await self._write_chunk(sse('{"id": "chatcmpl-0", "choices": [{"ind'))
            case _:
                pass
        for closing in closing_chunks(request, served):
            await self._write_chunk(sse(closing))
        await self._write_chunk(sse("[DONE]"))
        await self._write(b"0\r\n\r\n")
        return True

    async def _send_pieces(self, pieces: list[str]) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        for number, piece in enumerate(pieces):
            if self._tokens_per_s and number:
                tokens = number * self._size / CHARACTERS_PER_TOKEN
                await asyncio.sleep(max(0.0, began + tokens / self._tokens_per_s - loop.time()))
            data = sse(chunk(self._request, {"content": piece}))
            self._request.sent.append((time.monotonic(), piece))
            await self._write_chunk(data)

    async def _send_json(self, body: dict[str, Any], status: int) -> None:
        await self._send_bytes(json.dumps(body, ensure_ascii=False).encode(), status)

    async def _send_bytes(self, data: bytes, status: int) -> None:
        self._write_head(status, "application/json", f"Content-Length: {len(data)}")
        await self._write(data)

    def _write_head(self, status: int, content_type: str, length: str) -> None:
        now = time.time()
        headers = {"Date": formatdate(now, usegmt=True), "Content-Type": content_type, **self._served.headers}
        if self._served.retry_after_date_s is not None:
            until = int(now) + whole_seconds(self._served.retry_after_date_s)
            headers["Retry-After"] = formatdate(until, usegmt=True)
        lines = [f"{name}: {value}" for name, value in headers.items()]
        head = "\r\n".join([f"HTTP/1.1 {status} {_phrase(status)}", *lines, length])
        self._writer.write(f"{head}\r\n\r\n".encode("latin-1"))

    async def _write_chunk(self, data: bytes) -> None:
        await self._write(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    async def _write(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def _wait_for_the_client_to_leave(self) -> None:
        while await self._reader.read(4096):
            pass


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


def _object(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body or b"{}")
    except ValueError:
        return {}
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}
