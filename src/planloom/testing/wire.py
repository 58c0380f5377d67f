"""What a `ModelServer` answers, and how OpenAI's chat-completions format spells it. Pure: no sockets, no clock.

A `Served` is one answer or one fault; the functions turn it into the bytes that a real provider would send.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, cast

from planloom.models.base import OutputMode, estimate_tokens

MODEL_CREATED: Final = 1_700_000_000
"""The `created` of every answer, in seconds since 1970: answers are the same in every run."""
SHOWN_HEADERS: Final = frozenset(
    {"accept", "accept-encoding", "connection", "content-length", "content-type", "host", "user-agent"}
)
"""Headers whose value is recorded. Of all others only the name is, since any of them may hold a key."""


@dataclass(frozen=True, slots=True)
class Served:
    """One answer of the server, or one fault. Make the faults with the class methods.

    `after` counts the pieces that are sent before a stall, a cut or a malformed chunk; a piece is one token of four
    characters, unless the server has others. Times are those of the server when they are None.
    """

    text: str = ""
    finish_reason: str = "stop"
    refusal_text: str | None = None
    status: int = 200
    error: dict[str, Any] | None = None
    headers: dict[str, str] = field(default_factory=dict[str, str])
    fault: Literal["", "stall", "cut", "clean-cut", "malformed", "error"] = ""
    after: int = 0
    first_token_s: float | None = None
    tokens_per_s: float | None = None
    usage: tuple[int, int] | None = None
    """Tokens in and out; None to count four characters as one."""
    tells_usage: bool = True
    retry_after_date_s: float | None = None
    """Seconds from now of the date to send as `Retry-After`, rounded up."""

    @classmethod
    def rate_limit(cls, retry_after_s: float | None = None, *, as_date: bool = False) -> Served:
        """HTTP 429, with `Retry-After` in seconds, or as a date (whole seconds), or without it."""
        made = cls.http_error(429, "Rate limit reached for requests", code="rate_limit_exceeded")
        if retry_after_s is None:
            return made
        if as_date:
            return _with(made, retry_after_date_s=retry_after_s)
        return _with(made, headers={"Retry-After": f"{retry_after_s:g}"})

    @classmethod
    def http_error(
        cls, status: int = 500, message: str = "The server had an error", *, code: str | None = None
    ) -> Served:
        """Any HTTP error, with the body that OpenAI gives it."""
        kind = "server_error" if status >= 500 else "invalid_request_error"
        return cls(status=status, error={"message": message, "type": kind, "param": None, "code": code})

    @classmethod
    def overloaded(cls) -> Served:
        """HTTP 503."""
        return cls.http_error(503, "The engine is currently overloaded, please try again later")

    @classmethod
    def stall(cls, text: str = "", *, after: int = 0) -> Served:
        """Accept the request and then send nothing: before the first token, or after so many pieces of the text."""
        return cls(text, fault="stall", after=after)

    @classmethod
    def cut(cls, text: str = "", *, after: int = 0, cleanly: bool = False) -> Served:
        """Break off after so many pieces: the connection is lost, or (`cleanly`) ends as if all had been sent."""
        return cls(text, fault="clean-cut" if cleanly else "cut", after=after)

    @classmethod
    def malformed(cls, text: str = "", *, after: int = 0) -> Served:
        """Send a chunk that is not JSON after so many pieces."""
        return cls(text, fault="malformed", after=after)

    @classmethod
    def error_in_stream(
        cls, text: str = "", *, after: int = 0, message: str = "The server had an error", code: str | None = None
    ) -> Served:
        """Begin well and send an error object after so many pieces; not streamed it is an HTTP 500."""
        return _with(cls.http_error(500, message, code=code), text=text, fault="error", after=after)

    @classmethod
    def refusal(cls, words: str = "I'm sorry, I can't help with that.") -> Served:
        """The model refuses to answer."""
        return cls(refusal_text=words)

    @classmethod
    def empty(cls) -> Served:
        """The model ends its answer without a word."""
        return cls("")

    @classmethod
    def length(cls, text: str) -> Served:
        """The model stops at its limit of output tokens, after this text."""
        return cls(text, finish_reason="length")

    @classmethod
    def refuse_form(cls, mode: OutputMode = "json_schema") -> Served:
        """HTTP 400 because the model has no such response format."""
        message = f"This model does not support response format `{mode}`. See supported models in the documentation"
        made = cls.http_error(400, message)
        return _with(made, error={**(made.error or {}), "param": "response_format"})


def _with(served: Served, **changes: Any) -> Served:
    return replace(served, **changes)


@dataclass(slots=True)
class ReceivedRequest:
    """One request that the server got. `headers` show values that cannot be secret, and `***` for the rest.

    `at_s` and the times in `sent` are on `time.monotonic()`, which is the clock of a real event loop too. `sent` has
    each piece of text with the time at which it was handed to the network.
    """

    number: int
    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    at_s: float
    status: int = 0
    sent: list[tuple[float, str]] = field(default_factory=list[tuple[float, str]])

    @property
    def is_streamed(self) -> bool:
        """Whether the answer was wanted as a stream."""
        return self.body.get("stream") is True

    @property
    def output_mode(self) -> OutputMode:
        """The form of answer that was asked for."""
        wanted: Any = self.body.get("response_format") or {}
        kind = cast("dict[str, Any]", wanted).get("type") if isinstance(wanted, dict) else None
        return kind if kind in ("json_schema", "json_object") else "text"

    @property
    def texts(self) -> list[str]:
        """The text of each message, in order."""
        messages: list[dict[str, Any]] = self.body.get("messages") or []
        return [_text_of(message.get("content")) for message in messages]


def _text_of(content: Any) -> str:
    if isinstance(content, list):
        parts = cast("list[Any]", content)
        return "".join(_text_of(part) for part in parts)
    if isinstance(content, dict):
        return str(cast("dict[str, Any]", content).get("text", ""))
    return content if isinstance(content, str) else ""


def shown_headers(headers: dict[str, str]) -> dict[str, str]:
    """Return the headers with every value that may be a secret replaced by `***`."""
    return {name: value if name in SHOWN_HEADERS else "***" for name, value in headers.items()}


def pieces_of(text: str, characters: int) -> list[str]:
    """Cut the text into pieces of so many characters."""
    return [text[at : at + characters] for at in range(0, len(text), characters)]


def usage_of(request: ReceivedRequest, served: Served) -> dict[str, int]:
    """Return the usage object: as the script says, or four characters to a token."""
    text = served.text if served.refusal_text is None else served.refusal_text
    given, taken = served.usage or (estimate_tokens(request.texts), estimate_tokens([text]))
    return {"prompt_tokens": given, "completion_tokens": taken, "total_tokens": given + taken}


def whole_answer(request: ReceivedRequest, served: Served) -> dict[str, Any]:
    """Return the body of an answer that is not streamed."""
    message: dict[str, Any] = {"role": "assistant", "content": None if served.refusal_text else served.text}
    if served.refusal_text is not None:
        message["refusal"] = served.refusal_text
    answer: dict[str, Any] = {
        **_head(request, "chat.completion"),
        "choices": [{"index": 0, "message": message, "finish_reason": served.finish_reason, "logprobs": None}],
    }
    if served.tells_usage:
        answer["usage"] = usage_of(request, served)
    return answer


def chunk(request: ReceivedRequest, delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
    """Return one chunk of a streamed answer."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason, "logprobs": None}
    return {**_head(request, "chat.completion.chunk"), "choices": [choice]}


def closing_chunks(request: ReceivedRequest, served: Served) -> list[dict[str, Any]]:
    """Return what ends a stream: the reason, and the usage where the provider of this path would tell it."""
    last = chunk(request, {}, served.finish_reason)
    if not served.tells_usage:
        return [last]
    usage = usage_of(request, served)
    if "/openai/" in request.path:  # Groq's own address and way to tell usage
        return [{**last, "x_groq": {"id": f"req_{request.number}", "usage": usage}}]
    options: dict[str, Any] = request.body.get("stream_options") or {}
    if options.get("include_usage"):
        return [last, {**_head(request, "chat.completion.chunk"), "choices": [], "usage": usage}]
    return [last]


def sse(data: dict[str, Any] | str) -> bytes:
    """Return one server-sent event."""
    text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
    return f"data: {text}\n\n".encode()


def whole_seconds(seconds: float) -> int:
    """Return seconds rounded up, since a date in a header has no fraction."""
    return math.ceil(seconds)


def _head(request: ReceivedRequest, kind: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{request.number}",
        "object": kind,
        "created": MODEL_CREATED,
        "model": request.body.get("model", ""),
    }
