"""A model that follows a script: what to answer, what to raise, how fast to speak, call by call.

It counts tokens in one stated way, four characters to a token, and takes its time on the running loop's own clock, so
that it runs on a `VirtualClock` without a second of real time. An unexpected call fails the test that made it.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace

from planloom.errors import ModelReplyError
from planloom.models.base import (
    CHARACTERS_PER_TOKEN,
    ModelReply,
    ModelRequest,
    ModelUsage,
    check_reply,
    estimate_tokens,
)

ScriptedReply = str | ModelReply | BaseException
ScriptEntry = ScriptedReply | Callable[[ModelRequest], ScriptedReply | Awaitable[ScriptedReply]]


class ScriptedModel:
    """A model that answers from its script, one entry for each call, in the order of the calls.

    An entry is a text, a `ModelReply`, an exception to raise, or a function of the request that gives one of these (or
    an awaitable of it). A `ModelReply` keeps its usage and price; one that says `length` or `refusal`, or is empty,
    ends in `ModelReplyError` as with a real model. A `ModelReplyError` is raised after its `text` was streamed: so a
    stream is cut in the middle. `first_token_s` passes before the first piece; `tokens_per_s` is the rate after it,
    None for at once. A stream has pieces of one token, which is four characters. `requests` are the requests in order.
    """

    def __init__(
        self,
        replies: Sequence[ScriptEntry],
        *,
        first_token_s: float = 0.0,
        tokens_per_s: float | None = None,
        name: str = "scripted",
    ) -> None:
        self.requests: list[ModelRequest] = []
        self.first_token_s = first_token_s
        self.tokens_per_s = tokens_per_s
        self._replies = tuple(replies)
        self._name = name

    @property
    def name(self) -> str:
        """The name in replies and errors."""
        return self._name

    def __repr__(self) -> str:
        return f"<scripted model {self._name}: {len(self.requests)} calls of {len(self._replies)}>"

    async def complete(self, request: ModelRequest) -> ModelReply:
        """Answer the next call with the script's next entry, whole."""
        reply: ModelReply | None = None
        async for item in self._speak(request):
            if isinstance(item, ModelReply):
                reply = replace(item, first_token_ms=None)
        assert reply is not None, "a scripted stream ends with its reply"
        return reply

    async def stream(self, request: ModelRequest) -> AsyncIterator[str | ModelReply]:
        """Answer the next call with the script's next entry, in pieces of a token."""
        async for item in self._speak(request):
            yield item

    def assert_finished(self) -> None:
        """Raise `AssertionError` when replies of the script were never asked for."""
        left = len(self._replies) - len(self.requests)
        if left > 0:
            raise AssertionError(
                f"the model `{self._name}` was called {len(self.requests)} times; {left} of its replies are left"
            )

    async def _speak(self, request: ModelRequest) -> AsyncIterator[str | ModelReply]:
        loop = asyncio.get_running_loop()
        began = loop.time()
        entry = await self._next(request)
        text, ending = _text_and_ending(entry)
        first_token_ms: float | None = None
        await _sleep_until(began + self.first_token_s)
        spoken_since = loop.time()
        for number, piece in enumerate(_pieces(text)):
            if self.tokens_per_s:
                await _sleep_until(spoken_since + number / self.tokens_per_s)
            else:
                await asyncio.sleep(0)
            if first_token_ms is None:
                first_token_ms = (loop.time() - began) * 1000
            yield piece
        if isinstance(ending, BaseException):
            raise ending
        yield check_reply(
            replace(
                ending,
                model=self._name,
                latency_ms=(loop.time() - began) * 1000,
                first_token_ms=first_token_ms,
                usage=self._usage(request, ending),
            )
        )

    async def _next(self, request: ModelRequest) -> ScriptedReply:
        number = len(self.requests)
        self.requests.append(request)
        if number >= len(self._replies):
            last = request.messages[-1].text if request.messages else ""
            raise AssertionError(
                f"the model `{self._name}` was called {number + 1} times; its script has {len(self._replies)} replies. "
                f"The call is for `{request.purpose}` and ends: {last[-200:]!r}"
            )
        entry = self._replies[number]
        if callable(entry) and not isinstance(entry, BaseException):
            answer = entry(request)
            return await answer if inspect.isawaitable(answer) else answer
        return entry

    @staticmethod
    def _usage(request: ModelRequest, reply: ModelReply) -> ModelUsage:
        if reply.usage != ModelUsage():
            return reply.usage
        return ModelUsage(request.estimate_input_tokens(), estimate_tokens([reply.text]))


def _text_and_ending(entry: ScriptedReply) -> tuple[str, ModelReply | BaseException]:
    """Return what is said, and what comes of it."""
    if isinstance(entry, str):
        return entry, ModelReply(entry)
    if isinstance(entry, ModelReply):
        return entry.text, entry
    return (entry.text if isinstance(entry, ModelReplyError) else ""), entry


def _pieces(text: str) -> list[str]:
    return [text[at : at + CHARACTERS_PER_TOKEN] for at in range(0, len(text), CHARACTERS_PER_TOKEN)]


async def _sleep_until(when: float) -> None:
    """Sleep on the loop's own clock, virtual or not, without adding up the errors of many short sleeps."""
    left_s = when - asyncio.get_running_loop().time()
    await asyncio.sleep(max(0.0, left_s))
