"""The models of one goal as they are called: paid from its account, told as events, and in a journal remembered."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from planloom.engine.emitter import Emitter
from planloom.engine.recorder import Recorder
from planloom.models import Model, ModelReply, ModelRequest
from planloom.models.discreet import DiscreetModel
from planloom.models.paid import PaidModel
from planloom.models.remembered import RememberingModel
from planloom.plan import events
from planloom.plan.budget import Account


class ModelCalls:
    """Makes the models of a goal. A tool on a thread of its own may ask them; events come from the loop alone.

    `recorder` keeps the run in a journal, `known` are replies of an earlier process, by what was asked, and
    `unused_recovery` is a recovery plan of then that was not used. A reply is
    durable before anybody acts on it, so that what was bought once is never bought again.
    """

    def __init__(
        self,
        account: Account,
        emitter: Emitter,
        recorder: Recorder | None = None,
        known: Mapping[str, Sequence[str]] | None = None,
        unused_recovery: str | None = None,
    ) -> None:
        self._account = account
        self._emitter = emitter
        self._recorder = recorder
        self._known = known or {}
        self._unused_recovery = unused_recovery
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0

    def begin(self) -> None:
        """Note where events come from: the running loop."""
        self._loop, self._thread = asyncio.get_running_loop(), threading.get_ident()

    def of(self, model: Model) -> Model:
        """Return a model whose calls are paid and told, hold no secret, and are not made again when it has answered."""
        paid: Model = PaidModel(model, self._account, lambda request, reply: self._told(model, request, reply))
        known = paid
        if self._recorder is not None:
            known = RememberingModel(paid, self._known, self._keep, self._unused_recovery)
        redactor = self._emitter.redactor
        return known if redactor is None else DiscreetModel(known, redactor)

    async def _keep(self, digest: str, request: ModelRequest, text: str) -> None:
        self._emit(events.ModelReplied, digest, text, request.purpose)
        if self._recorder is not None and threading.get_ident() == self._thread:
            await self._recorder.flush()

    def _told(self, model: Model, request: ModelRequest, reply: ModelReply) -> None:
        usage = reply.usage
        self._emit(
            events.ModelCalled,
            request.purpose,
            reply.model or model.name,
            usage.input_tokens,
            usage.output_tokens,
            reply.cost_usd,
            reply.latency_ms,
            reply.tries,
            usage.estimated,
        )

    def _emit(self, kind: Any, *data: Any) -> None:
        if self._loop is None or threading.get_ident() == self._thread:
            self._emitter.emit(kind, None, *data)
        else:
            with suppress(RuntimeError):  # the loop is closed: a call that was left behind still asks
                self._loop.call_soon_threadsafe(self._emitter.emit, kind, None, *data)
