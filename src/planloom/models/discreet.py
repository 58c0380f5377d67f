"""A model that is never told a secret: what it is asked has marks in the places of those that are known."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

from planloom.models.base import Message, Model, ModelReply, ModelRequest
from planloom.models.paid import streaming
from planloom.plan.redaction import Redactor


class DiscreetModel:
    """`model`, asked without the secrets that `redactor` knows."""

    def __init__(self, model: Model, redactor: Redactor) -> None:
        self.model = model
        self._redactor = redactor

    @property
    def name(self) -> str:
        """The name of the model that answers."""
        return self.model.name

    def __repr__(self) -> str:
        return f"<discreet {self.model!r}>"

    async def complete(self, request: ModelRequest) -> ModelReply:
        """Ask without secrets. Raises as the model."""
        return await self.model.complete(self._without_secrets(request))

    async def stream(self, request: ModelRequest) -> AsyncIterator[str | ModelReply]:
        """Ask without secrets. Raises as the model."""
        async with streaming(self.model, self._without_secrets(request)) as pieces:
            async for piece in pieces:
                yield piece

    def _without_secrets(self, request: ModelRequest) -> ModelRequest:
        messages = tuple([Message(message.role, self._redactor.text(message.text)) for message in request.messages])
        return replace(request, messages=messages)
