"""Models to test: real client libraries against the loopback server, with limits so small that stalls end at once."""

from __future__ import annotations

import asyncio
import functools
import ssl
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest

from planloom.models import CallLimits, Model, ModelReply, ModelRequest, resolve_model
from planloom.models.modes import forget_refusals
from planloom.testing.server import ModelServer

T = TypeVar("T")

SPECS = {"openai": "openai:gpt-4o", "groq": "groq:llama-3.3-70b-versatile"}
CANARY = "sk-canary-5up3r53cr3t"
FAST = CallLimits(timeout_s=20, first_token_timeout_s=10, max_tries=3, wait_initial_s=0.01, max_wait_s=3)
HASTY = CallLimits(timeout_s=0.3, first_token_timeout_s=0.1, max_tries=2, wait_initial_s=0.01, max_wait_s=3)


class Asker:
    """Asks a model of a provider at a server, whole or streamed, from plain tests."""

    def __init__(self, spec: str) -> None:
        self.spec = spec

    def model(self, server: ModelServer, limits: CallLimits = FAST, **options: Any) -> Model:
        options = {"base_url": server.base_url, "api_key": CANARY, "environ": {}, **options}
        return resolve_model(self.spec, limits=limits, **options)

    def complete(self, server: ModelServer, request: ModelRequest | None = None, **options: Any) -> ModelReply:
        return run(self.model(server, **options).complete(request or ModelRequest.of("hello")))

    def stream(
        self, server: ModelServer, request: ModelRequest | None = None, **options: Any
    ) -> tuple[list[str], ModelReply]:
        return run(collect(self.model(server, **options), request))


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(coroutine)


async def collect(model: Model, request: ModelRequest | None = None) -> tuple[list[str], ModelReply]:
    """The pieces of a stream and its reply, which must come last and once."""
    items: list[str | ModelReply] = [item async for item in model.stream(request or ModelRequest.of("hello"))]
    *pieces, reply = items
    assert isinstance(reply, ModelReply)
    assert all(isinstance(piece, str) and piece for piece in pieces)
    return [str(piece) for piece in pieces], reply


@pytest.fixture(autouse=True)
def one_tls_context(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reads the system's certificates once, not for each of a hundred clients that never use them."""
    monkeypatch.setattr(ssl, "create_default_context", _create_default_context)


_create_default_context = functools.cache(ssl.create_default_context)


@pytest.fixture(params=list(SPECS))
def asker(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Asker:
    """One of the providers that speak the server's format."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    forget_refusals()
    return Asker(SPECS[request.param])


@pytest.fixture
def limits_for_stalls() -> CallLimits:
    """Limits so short that a stall ends in less than a second."""
    return HASTY


class Asking:
    """Asks any model from plain tests."""

    @staticmethod
    def complete(model: Model, request: ModelRequest) -> ModelReply:
        return run(model.complete(request))

    @staticmethod
    def stream(model: Model, request: ModelRequest) -> tuple[list[str], ModelReply]:
        return run(collect(model, request))


@pytest.fixture
def asking() -> Asking:
    """Asks any model from plain tests."""
    return Asking()
