"""What a model is to Planloom: a request in, a reply out, whole or as a stream. Pure: no clock, no network.

A reply that is returned has ended by itself. One that was refused, is empty, or stopped at the limit of output tokens
is raised as `ModelReplyError` with the reply inside, so that half an answer is never taken for a whole one.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol, runtime_checkable

from planloom.errors import ModelReplyError

Role = Literal["system", "user", "assistant"]
Purpose = Literal["plan", "mend", "replan", "join", "compile", "react", "tool"]
FinishReason = Literal["stop", "length", "refusal", "other"]
OutputMode = Literal["json_schema", "json_object", "text"]

CHARACTERS_PER_TOKEN: Final = 4
"""The stated simple way to count tokens where nobody counted them: four characters are one token."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation with a model."""

    role: Role
    text: str


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """What is asked of a model.

    `temperature` 0.0 to 2.0 and `max_output_tokens` are the provider's defaults when None. `schema` is the JSON Schema
    that the reply should fit; it is enforced by the provider where the model can (`ModelReply.output_mode` says so) and
    asked for in words otherwise, unless `describe_schema` is False because the messages say the form already. A reply
    is never checked against it here. `schema_name` has letters, digits, `_` and `-`, at most 64.
    """

    messages: tuple[Message, ...]
    temperature: float | None = None
    max_output_tokens: int | None = None
    schema: dict[str, Any] | None = None
    schema_name: str = "reply"
    purpose: Purpose = "tool"
    describe_schema: bool = True

    @classmethod
    def of(cls, prompt: str, *, system: str = "", **facts: Any) -> ModelRequest:
        """Make a request of one user message, after a system message if there is one."""
        head = (Message("system", system),) if system else ()
        return cls((*head, Message("user", prompt)), **facts)

    def estimate_input_tokens(self) -> int:
        """Return about how many tokens the request has, its schema included, to reserve a budget with."""
        schema = json.dumps(self.schema) if self.schema else ""
        return estimate_tokens([message.text for message in self.messages]) + estimate_tokens([schema])


@dataclass(frozen=True, slots=True)
class ModelUsage:
    """Tokens of one call. `estimated` is True when the provider did not say and they were counted here."""

    input_tokens: int = 0
    output_tokens: int = 0
    estimated: bool = False


@dataclass(frozen=True, slots=True)
class ModelReply:
    """What a model answered.

    `cost_usd` is None when the price is not known. `latency_ms` runs from the call to the end of the reply, waits and
    tries before it included; `first_token_ms` to the first piece of text, or None when the reply came in one piece.
    `tries` counts the requests that were sent for it.
    """

    text: str
    usage: ModelUsage = ModelUsage()
    cost_usd: float | None = None
    finish_reason: FinishReason = "stop"
    model: str = ""
    latency_ms: float = 0.0
    first_token_ms: float | None = None
    output_mode: OutputMode = "text"
    tries: int = 1


@runtime_checkable
class Model(Protocol):
    """A model that can be asked. Both ways raise `ModelError` and its subclasses, and nothing else of their own."""

    @property
    def name(self) -> str:
        """How messages and events call the model, such as `groq:llama-3.3-70b-versatile`. Never a secret."""
        ...

    async def complete(self, request: ModelRequest) -> ModelReply:
        """Ask and wait for the whole reply."""
        ...

    def stream(self, request: ModelRequest) -> AsyncIterator[str | ModelReply]:
        """Ask and get the text in pieces as they arrive, and the `ModelReply` last.

        A stream is tried again only before its first piece. Leave it early with `contextlib.aclosing`.
        """
        ...


def estimate_tokens(texts: Iterable[str]) -> int:
    """Return about how many tokens the texts have together: one for each four characters, rounded up."""
    return -(-sum(map(len, texts)) // CHARACTERS_PER_TOKEN)


_COMPLAINTS: Final = {
    "refusal": ("refused to answer", "rephrase the goal, or use another model"),
    "length": ("stopped at its limit of output tokens", "allow more output tokens, or ask for less at once"),
    "empty": ("gave an empty reply", "try again, or use another model"),
}


def check_reply(reply: ModelReply, detail: str = "") -> ModelReply:
    """Return the reply if it is whole. Raises `ModelReplyError` for a refusal, a stop at the limit, and no text.

    `detail` is what the provider said about it, cleaned of secrets.
    """
    reason: Literal["refusal", "length", "empty"]
    if reply.finish_reason == "refusal":
        reason = "refusal"
    elif reply.finish_reason == "length":
        reason = "length"
    elif not reply.text.strip():
        reason = "empty"
    else:
        return reply
    what, hint = _COMPLAINTS[reason]
    raise ModelReplyError(
        f"{reply.model or 'the model'} {what}{': ' + detail if detail else ''}\nhint: {hint}",
        reason=reason,
        text=reply.text,
        reply=reply,
        model=reply.model,
        tries=reply.tries,
        detail=detail,
    )
