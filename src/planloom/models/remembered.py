"""A model whose earlier replies are known: what was answered before is never asked, and never paid for, again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

from planloom.models.base import Model, ModelReply, ModelRequest
from planloom.models.paid import streaming

OnAnswer = Callable[[str, ModelRequest, str], Awaitable[None]]
"""Awaited with the digest of a request, the request and the text of its reply, before anybody acts on the reply."""


class RememberingModel:
    """`model`, with the replies of an earlier process. Each known reply is given once, in the order it came then.

    `known` holds texts by the digest of their request (`digest_of`); `on_answer` hears of each new reply, and
    holds it back until it has been kept. `unused_recovery` is the recovery plan that was received last and not used:
    the first replan gets it, though the other steps have gone on since, and the question would be another.
    """

    def __init__(
        self,
        model: Model,
        known: Mapping[str, Sequence[str]],
        on_answer: OnAnswer | None = None,
        unused_recovery: str | None = None,
    ) -> None:
        self.model = model
        self._unused_recovery = unused_recovery
        self._known = {digest: list(texts) for digest, texts in known.items()}
        self._on_answer = on_answer

    @property
    def name(self) -> str:
        """The name of the model that answers."""
        return self.model.name

    def __repr__(self) -> str:
        return f"<remembering {self.model!r}>"

    async def complete(self, request: ModelRequest) -> ModelReply:
        """Give the reply that is known, else ask. Raises as the model."""
        digest = digest_of(self.name, request)
        text = self._remembered(digest, request)
        if text is not None:
            return ModelReply(text, cost_usd=0.0, model=self.name, tries=0)
        reply = await self.model.complete(request)
        await self._tell(digest, request, reply)
        return reply

    async def stream(self, request: ModelRequest) -> AsyncIterator[str | ModelReply]:
        """Give the reply that is known in one piece, else ask. Raises as the model."""
        digest = digest_of(self.name, request)
        text = self._remembered(digest, request)
        if text is not None:
            yield text
            yield ModelReply(text, cost_usd=0.0, model=self.name, tries=0)
            return
        async with streaming(self.model, request) as pieces:
            async for piece in pieces:
                if isinstance(piece, ModelReply):
                    await self._tell(digest, request, piece)
                yield piece

    def _remembered(self, digest: str, request: ModelRequest) -> str | None:
        """Return the reply that is known, which is then used up."""
        known = self._known.get(digest)
        unused = self._unused_recovery if request.purpose == "replan" else None
        if request.purpose == "replan":
            self._unused_recovery = None
        return known.pop(0) if known else unused

    async def _tell(self, digest: str, request: ModelRequest, reply: ModelReply) -> None:
        if self._on_answer is not None:
            await self._on_answer(digest, request, reply.text)


def digest_of(model: str, request: ModelRequest) -> str:
    """Return a hash of everything that is asked, and of whom."""
    asked = [
        model,
        [[message.role, message.text] for message in request.messages],
        request.schema,
        request.temperature,
        request.max_output_tokens,
        request.purpose,
    ]
    return hashlib.sha256(json.dumps(asked, sort_keys=True, default=str).encode()).hexdigest()
