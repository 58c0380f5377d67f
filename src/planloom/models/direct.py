"""A real model: one request through pydantic-ai's `direct` functions, tried again as the limits say.

A try ends in a value, a reply or a `Failure`, never in an exception; `_Call.next_try` decides what comes of a failure.
Before the first piece of a stream was given out a try may be repeated; after it, never.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, TypeVar

from planloom.errors import MissingExtraError, ModelError
from planloom.models.base import (
    FinishReason,
    ModelReply,
    ModelRequest,
    ModelUsage,
    OutputMode,
    check_reply,
    estimate_tokens,
)
from planloom.models.clients import Client, open_client
from planloom.models.failures import Failure, classify, to_error, transient
from planloom.models.loops import LoopClients
from planloom.models.modes import is_closed, messages_for, modes_for, remember_refusal
from planloom.models.providers import Endpoint
from planloom.models.retry import CallLimits, next_wait_s
from planloom.models.secrets import Redactor

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelMessage, ModelResponse
    from pydantic_ai.models import ModelRequestParameters, StreamedResponse
    from pydantic_ai.settings import ModelSettings

T = TypeVar("T")

log: Final = logging.getLogger("planloom.models")

_FINISH_REASONS: Final[dict[str | None, FinishReason]] = {
    "stop": "stop",
    "length": "length",
    "content_filter": "refusal",
}


class ProviderModel:
    """A model of a provider, or of a server that speaks OpenAI's format. Made by `resolve_model`."""

    def __init__(self, endpoint: Endpoint, limits: CallLimits) -> None:
        self._endpoint = endpoint
        self._limits = limits
        self._redactor = Redactor(endpoint.secrets())
        self._clients = LoopClients(lambda: open_client(endpoint, limits))

    @property
    def name(self) -> str:
        """The model as users write it: `groq:llama-3.3-70b-versatile`."""
        return self._endpoint.name

    @property
    def limits(self) -> CallLimits:
        """The limits of each call."""
        return self._limits

    def __repr__(self) -> str:
        return f"<model {self.name} at {self._endpoint.base_url}>"

    async def prepare(self) -> None:
        """Import the libraries and open the client, so that the first call does not wait for that. Sends nothing."""
        await self._client()

    async def aclose(self) -> None:
        """Let the connections of the running event loop go; otherwise they end with the loop."""
        await self._clients.aclose()

    async def complete(self, request: ModelRequest) -> ModelReply:
        """Ask and wait for the whole reply. Raises `ModelError` and its subclasses."""
        call = _Call(await self._client(), self._endpoint, self._limits, request, is_streamed=False)
        while True:
            outcome = await self._try_whole(call)
            if isinstance(outcome, ModelReply):
                return call.end(outcome)
            await call.next_try(outcome)

    async def stream(self, request: ModelRequest) -> AsyncIterator[str | ModelReply]:
        """Ask and get the text in pieces, the reply last. Raises `ModelError` and its subclasses."""
        call = _Call(await self._client(), self._endpoint, self._limits, request, is_streamed=True)
        while True:
            failure: Failure | None = None
            async with aclosing(self._try_streamed(call)) as items:
                async for item in items:
                    if isinstance(item, Failure):
                        failure = item
                    elif isinstance(item, ModelReply):
                        yield call.end(item)
                        return
                    else:
                        yield item
            await call.next_try(failure or transient("cut"))

    async def _client(self) -> Client:
        opened = await self._clients.get()
        if isinstance(opened, Client):
            return opened
        if isinstance(opened, ImportError):
            raise MissingExtraError(self._endpoint.provider.extra, f"the model `{self.name}`")
        words = self._redactor.clean(f"{type(opened).__name__}: {opened}")
        raise ModelError(f"{self.name} could not be set up: {words}", model=self.name, tries=0, detail=words)

    async def _try_whole(self, call: _Call) -> ModelReply | Failure:
        from pydantic_ai.direct import model_request  # a heavy library, loaded by the client already

        messages, settings, parameters = call.arguments()
        response = await self._within(
            model_request(call.client.model, messages, model_settings=settings, model_request_parameters=parameters),
            call.deadline,
            Failure("total-time"),
        )
        if isinstance(response, Failure):
            return response
        call.note = self._redactor.clean(_refusal_of(response))
        return _read(response, call.request)

    async def _try_streamed(self, call: _Call) -> AsyncGenerator[str | ModelReply | Failure]:
        from pydantic_ai.direct import model_request_stream  # a heavy library, loaded by the client already

        messages, settings, parameters = call.arguments()
        opening = model_request_stream(
            call.client.model, messages, model_settings=settings, model_request_parameters=parameters
        )
        deadline, on_timeout = call.first_token_deadline()
        stream = await self._within(opening.__aenter__(), deadline, on_timeout)
        if isinstance(stream, Failure):
            yield stream
            return
        try:
            events = aiter(stream)
            while True:
                event = await self._within(anext(events, None), deadline, on_timeout)
                if event is None:
                    response = stream.get()
                    call.note = self._redactor.clean(_refusal_of(response))
                    yield _read_end(response, call)
                    return
                if isinstance(event, Failure):
                    yield event
                    return
                deadline, on_timeout = call.deadline, Failure("total-time")
                if piece := _text_of(event):
                    call.deliver(piece)
                    yield piece
        finally:
            await self._close(opening)

    async def _within(self, step: Awaitable[T], deadline: float, on_timeout: Failure) -> T | Failure:
        """Await one step of a library until the deadline, and turn whatever it raises into a failure."""
        limit = asyncio.timeout_at(deadline)
        try:
            async with limit:
                return await step
        except Exception as error:  # noqa: BLE001 - the one boundary where a library's exceptions end
            return on_timeout if limit.expired() else classify(error, self._redactor)

    async def _close(self, opening: AbstractAsyncContextManager[StreamedResponse]) -> None:
        """Give the connection back, or end it if the stream was left early; the outcome of the try is known already."""
        try:
            await opening.__aexit__(None, None, None)
        except Exception as error:  # noqa: BLE001 - nothing that closing raises changes the outcome
            log.debug("closing a stream of %s: %s", self.name, type(error).__name__)


class _Call:
    """One call: where it is in its tries and modes, what was given out, and what its clock says."""

    def __init__(
        self, client: Client, endpoint: Endpoint, limits: CallLimits, request: ModelRequest, *, is_streamed: bool
    ) -> None:
        self.client = client
        self.request = request
        self.tries = 0
        self.text: list[str] = []
        self.note = ""
        """What the provider said beside its reply, such as the words of a refusal."""
        self._endpoint = endpoint
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._first_token_ms: float | None = None
        self._place = (endpoint.name, endpoint.base_url, is_streamed)
        self._modes = modes_for(client.modes, request, self._place, closes_objects=client.closes_objects)
        self._lowered: list[tuple[OutputMode, str | None]] = []
        self._forms = 0
        self._before: Failure | None = None
        self._has_temperature = client.takes_temperature and self._place not in _without_temperature
        self.deadline = self._began + limits.timeout_s

    @property
    def mode(self) -> OutputMode:
        """The form of reply that is asked for now."""
        return self._modes[0]

    def arguments(self) -> tuple[list[ModelMessage], ModelSettings, ModelRequestParameters]:
        """Count a try, and return what to call the library with."""
        self.tries += 1
        log.debug("%s: try %d, %s, output %s", self._endpoint.name, self.tries, self.request.purpose, self.mode)
        return _arguments(self.request, self.mode, has_temperature=self._has_temperature)

    def first_token_deadline(self) -> tuple[float, Failure]:
        """Return until when the first token must come, and what it means when it does not."""
        until = self._loop.time() + self._limits.first_token_timeout_s
        if until < self.deadline:
            return until, transient("first-token")
        return self.deadline, Failure("total-time")

    def deliver(self, piece: str) -> None:
        """Note a piece that is given to the caller."""
        if self._first_token_ms is None:
            self._first_token_ms = (self._loop.time() - self._began) * 1000
        self.text.append(piece)

    def end(self, reply: ModelReply) -> ModelReply:
        """Complete the reply with what the call knows, and check that it is whole."""
        for mode, schema_name in self._lowered:
            remember_refusal(self._place, mode, schema_name)
        reply = replace(
            reply,
            model=self._endpoint.name,
            latency_ms=(self._loop.time() - self._began) * 1000,
            first_token_ms=self._first_token_ms,
            output_mode=self.mode,
            tries=self.tries,
        )
        log.debug("%s: %s after %.0f ms, %s", reply.model, reply.finish_reason, reply.latency_ms, reply.usage)
        return check_reply(reply, self.note)

    async def next_try(self, failure: Failure) -> None:
        """Wait until the next try, or raise the error when this failure is the last word."""
        if not self.text and self._give_way(failure):
            return
        wait_s = None
        if failure.is_transient and not self.text:
            wait_s = next_wait_s(
                self._limits,
                tries=self.tries - self._forms,
                retry_after_s=failure.retry_after_s,
                left_s=self.deadline - self._loop.time(),
                jitter=random.random(),  # noqa: S311 - to spread calls, not to keep a secret
            )
        if wait_s is None:
            text = "".join(self.text)
            raise to_error(failure, self._endpoint, self._limits, tries=self.tries, text=text, before=self._before)
        self._before = failure
        what = f"{failure.kind} {failure.status}" if failure.status else failure.kind
        log.info("%s: %s, try %d follows in %.2f s", self._endpoint.name, what, self.tries + 1, wait_s)
        await asyncio.sleep(wait_s)

    def _give_way(self, failure: Failure) -> bool:
        """Ask for less when the provider does not take something of the request, and say whether that is possible."""
        if failure.refuses == "temperature" and self._has_temperature and self.request.temperature is not None:
            self._has_temperature = False
            _without_temperature.add(self._place)
        elif failure.refuses in ("form", "this-schema", "this-reply") and self.mode != "text":
            mode = self._modes.pop(0)
            if failure.refuses != "this-reply":
                only_for = self.request.schema_name if failure.refuses == "this-schema" else None
                self._lowered.append((mode, only_for))
            log.info("%s does not take %s here, asking for %s", self._endpoint.name, mode, self.mode)
        else:
            return False
        self._forms += 1
        return True


_without_temperature: set[tuple[Any, ...]] = set()
"""Where a temperature was refused; one entry for each model of the process at most."""


def _arguments(
    request: ModelRequest, mode: OutputMode, *, has_temperature: bool
) -> tuple[list[ModelMessage], ModelSettings, ModelRequestParameters]:
    from pydantic_ai import messages as parts
    from pydantic_ai.models import ModelRequestParameters
    from pydantic_ai.output import OutputObjectDefinition
    from pydantic_ai.settings import ModelSettings

    turns: list[ModelMessage] = []
    for message in messages_for(request, mode):
        if message.role == "assistant":
            turns.append(parts.ModelResponse(parts=[parts.TextPart(message.text)]))
            continue
        part = (parts.SystemPromptPart if message.role == "system" else parts.UserPromptPart)(message.text)
        if turns and isinstance(turns[-1], parts.ModelRequest):
            turns[-1] = replace(turns[-1], parts=[*turns[-1].parts, part])
        else:
            turns.append(parts.ModelRequest(parts=[part]))
    settings = ModelSettings()
    if request.temperature is not None and has_temperature:
        settings["temperature"] = request.temperature
    if request.max_output_tokens is not None:
        settings["max_tokens"] = request.max_output_tokens
    if mode == "text" or request.schema is None:
        return turns, settings, ModelRequestParameters()
    return (
        turns,
        settings,
        ModelRequestParameters(
            output_mode="native" if mode == "json_schema" else "prompted",
            # unless told, pydantic-ai closes the objects that the schema leaves open
            output_object=OutputObjectDefinition(
                request.schema, name=request.schema_name, strict=is_closed(request.schema)
            ),
            prompted_output_template=False,  # the words about the schema are ours
        ),
    )


def _text_of(event: object) -> str:
    """Return the text that an event of the stream brings; the end event, which repeats all of it, brings none."""
    from pydantic_ai import messages as parts

    if isinstance(event, parts.PartStartEvent) and isinstance(event.part, parts.TextPart):
        return event.part.content
    if isinstance(event, parts.PartDeltaEvent) and isinstance(event.delta, parts.TextPartDelta):
        return event.delta.content_delta
    return ""


def _refusal_of(response: ModelResponse) -> str:
    """Return the words of a refusal, which are not the text of the reply."""
    words: object = (response.provider_details or {}).get("refusal")
    return words if isinstance(words, str) else ""


def _read_end(response: ModelResponse, call: _Call) -> ModelReply | Failure:
    """Read the end of a stream; one that says no reason for its end was cut off."""
    if response.finish_reason is None:
        return transient("cut")
    return replace(_read(response, call.request), text="".join(call.text))


def _read(response: ModelResponse, request: ModelRequest) -> ModelReply:
    """Read a whole response: its text, usage and price."""
    from pydantic_ai.messages import TextPart

    text = "".join(part.content for part in response.parts if isinstance(part, TextPart))
    usage = ModelUsage(response.usage.input_tokens, response.usage.output_tokens)
    if not usage.input_tokens and not usage.output_tokens:
        usage = ModelUsage(request.estimate_input_tokens(), estimate_tokens([text]), estimated=True)
    return ModelReply(
        text,
        usage,
        cost_usd=None if usage.estimated else _price_usd(response),
        finish_reason=_FINISH_REASONS.get(response.finish_reason, "other"),
    )


def _price_usd(response: ModelResponse) -> float | None:
    """Return what the call cost, or None where the price is not known. Never raises: a price is never worth a reply."""
    try:
        return float(response.cost().total_price)
    except Exception:  # noqa: BLE001 - look-up errors, and what a price table may trip over
        return None
