"""Opens the client of a provider's library with its own retries off, and wraps it for pydantic-ai.

One function per library. They import it, which takes seconds, so they are called on a thread. Addresses, keys and
limits come from the endpoint alone; what a library would read from the environment for these is passed explicitly.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from planloom.models.base import OutputMode
from planloom.models.providers import Endpoint
from planloom.models.retry import CallLimits

if TYPE_CHECKING:
    from pydantic_ai.models import Model as LibraryModel

CONNECT_TIMEOUT_S: Final = 5.0

# OpenAI's own models want `max_completion_tokens`; most other servers know only the older `max_tokens`.
_WANTS_MAX_COMPLETION_TOKENS: Final = re.compile(r"(?:openai/)?(?:gpt-[5-9]|o\d)")


@dataclass(frozen=True, slots=True)
class Client:
    """An open client. `modes` are the forms of reply its model has, the best first; `close` lets its connections go."""

    model: LibraryModel[Any]
    modes: tuple[OutputMode, ...]
    closes_objects: bool
    takes_temperature: bool
    close: Callable[[], Awaitable[None]]


def open_client(endpoint: Endpoint, limits: CallLimits) -> Client:
    """Import the libraries and make a client. No request is sent yet."""
    model, close = _OPENERS[endpoint.provider.name](endpoint, limits)
    profile: dict[str, Any] = dict(model.profile)
    modes: list[OutputMode] = []
    if endpoint.provider.name != "mistral":  # pydantic-ai's Mistral model sends no response format
        if profile.get("supports_json_schema_output"):
            modes.append("json_schema")
        if profile.get("supports_json_object_output"):
            modes.append("json_object")
    closes_objects = endpoint.provider.name == "anthropic"
    return Client(model, (*modes, "text"), closes_objects, _takes_temperature(profile), close)


def _takes_temperature(profile: dict[str, Any]) -> bool:
    """Whether a temperature is taken; pydantic-ai would leave it out too, with a warning for each call."""
    if profile.get("anthropic_disallows_sampling_settings"):
        return False
    if not profile.get("openai_supports_reasoning"):
        return True
    is_reasoning = profile.get("thinking_enabled_by_default") or profile.get("thinking_always_enabled")
    efforts = profile.get("openai_reasoning_efforts")
    can_be_off = "none" in efforts if efforts is not None else profile.get("openai_supports_reasoning_effort_none")
    return bool(can_be_off) and not is_reasoning


_Opened = tuple["LibraryModel[Any]", Callable[[], Awaitable[None]]]


def _open_openai(endpoint: Endpoint, limits: CallLimits) -> _Opened:
    from openai import AsyncOpenAI, Timeout
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.profiles.openai import OpenAIModelProfile
    from pydantic_ai.providers.openai import OpenAIProvider
    from pydantic_ai.providers.openai_compatible import OpenAICompatibleProvider

    sdk = AsyncOpenAI(
        api_key=endpoint.key.reveal(),
        base_url=endpoint.base_url,
        max_retries=0,
        timeout=Timeout(_read_timeout_s(limits), connect=CONNECT_TIMEOUT_S),
        default_headers=_headers(endpoint),
    )
    # Without this a stream that broke off between two chunks counts as one that ended well.
    profile = OpenAIModelProfile(openai_chat_streaming_requires_finish_reason=True)
    if not endpoint.is_custom:
        return OpenAIChatModel(endpoint.model, provider=OpenAIProvider(openai_client=sdk), profile=profile), sdk.close
    if not _WANTS_MAX_COMPLETION_TOKENS.match(endpoint.model):
        profile["openai_chat_supports_max_completion_tokens"] = False
    provider = OpenAICompatibleProvider("openai-compatible", openai_client=sdk)
    return OpenAIChatModel(endpoint.model, provider=provider, profile=profile), sdk.close


def _open_ollama(endpoint: Endpoint, limits: CallLimits) -> _Opened:
    from openai import AsyncOpenAI, Timeout
    from pydantic_ai.models.ollama import OllamaModel
    from pydantic_ai.profiles.openai import OpenAIModelProfile
    from pydantic_ai.providers.ollama import OllamaProvider

    sdk = AsyncOpenAI(
        api_key=endpoint.key.reveal(),
        base_url=endpoint.base_url,
        max_retries=0,
        timeout=Timeout(_read_timeout_s(limits), connect=CONNECT_TIMEOUT_S),
        default_headers=_headers(endpoint),
    )
    profile = OpenAIModelProfile(
        openai_chat_streaming_requires_finish_reason=True, openai_chat_supports_max_completion_tokens=False
    )
    return OllamaModel(endpoint.model, provider=OllamaProvider(openai_client=sdk), profile=profile), sdk.close


def _open_groq(endpoint: Endpoint, limits: CallLimits) -> _Opened:
    from groq import AsyncGroq, Timeout
    from pydantic_ai.models.groq import GroqModel
    from pydantic_ai.profiles import ModelProfile
    from pydantic_ai.providers.groq import GroqProvider

    sdk = AsyncGroq(
        api_key=endpoint.key.reveal(),
        base_url=endpoint.base_url,
        max_retries=0,
        timeout=Timeout(_read_timeout_s(limits), connect=CONNECT_TIMEOUT_S),
        default_headers=_headers(endpoint),
    )
    # Every text model of Groq has the JSON object mode, though pydantic-ai does not say so of Llama.
    profile = ModelProfile(supports_json_object_output=True)
    return GroqModel(endpoint.model, provider=GroqProvider(groq_client=sdk), profile=profile), sdk.close


def _open_anthropic(endpoint: Endpoint, limits: CallLimits) -> _Opened:
    from anthropic import AsyncAnthropic, Timeout
    from pydantic_ai.models.anthropic import AnthropicModel
    from pydantic_ai.providers.anthropic import AnthropicProvider

    sdk = AsyncAnthropic(
        api_key=endpoint.key.reveal(),
        base_url=endpoint.base_url,
        max_retries=0,
        timeout=Timeout(_read_timeout_s(limits), connect=CONNECT_TIMEOUT_S),
        default_headers=_headers(endpoint),
    )
    return AnthropicModel(endpoint.model, provider=AnthropicProvider(anthropic_client=sdk)), sdk.close


def _open_google(endpoint: Endpoint, limits: CallLimits) -> _Opened:
    from pydantic_ai.models import create_async_httpx2_client
    from pydantic_ai.models.google import GoogleModel
    from pydantic_ai.providers.google import GoogleProvider

    # without `retry_options` this library does not try again by itself
    http = create_async_httpx2_client(timeout=_read_timeout_s(limits))
    http.headers.update(_headers(endpoint))
    provider = GoogleProvider(api_key=endpoint.key.reveal(), base_url=endpoint.base_url, http_client=http)
    return GoogleModel(endpoint.model, provider=provider), http.aclose


def _open_mistral(endpoint: Endpoint, limits: CallLimits) -> _Opened:
    from pydantic_ai.models import create_async_httpx2_client
    from pydantic_ai.models.mistral import MistralModel
    from pydantic_ai.providers.mistral import MistralProvider

    # without a `retry_config` this library does not try again by itself
    http = create_async_httpx2_client(timeout=_read_timeout_s(limits))
    http.headers.update(_headers(endpoint))
    provider = MistralProvider(api_key=endpoint.key.reveal(), base_url=endpoint.base_url, http_client=http)
    return MistralModel(endpoint.model, provider=provider), http.aclose


def _read_timeout_s(limits: CallLimits) -> float:
    """Return the library's own limit, only for the case that ours fails: ours must strike first, for its message."""
    return limits.timeout_s + 1.0


def _headers(endpoint: Endpoint) -> dict[str, str]:
    """Return the caller's headers, with the user and password of the base URL, which no log of a URL may show."""
    headers = {name: value.reveal() for name, value in endpoint.headers.items()}
    if endpoint.login is not None:
        headers["Authorization"] = "Basic " + base64.b64encode(endpoint.login.reveal().encode()).decode()
    return headers


_OPENERS: Final[dict[str, Callable[[Endpoint, CallLimits], _Opened]]] = {
    "groq": _open_groq,
    "openai": _open_openai,
    "anthropic": _open_anthropic,
    "google": _open_google,
    "mistral": _open_mistral,
    "ollama": _open_ollama,
}
