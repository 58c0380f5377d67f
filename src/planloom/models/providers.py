"""The providers Planloom knows: which extra, variables, address and models each has, and what is there of it.

Pure look-ups in a given environment. Values of keys are taken only into `Secret`, and never shown.
"""

from __future__ import annotations

import importlib.util
import ipaddress
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote, urlsplit, urlunsplit

from planloom.errors import MissingExtraError, ModelKeyError, UsageError
from planloom.models.secrets import Secret

NO_KEY: Final = Secret("no-key-needed")
"""What is sent to a local server, which asks for no key, by a client library that wants one."""


@dataclass(frozen=True, slots=True)
class Provider:
    """One provider. `library` is the module of its client, which the extra of the same name installs."""

    name: str
    library: str
    key_variables: tuple[str, ...]
    default_base_url: str
    base_url_variable: str | None = None
    planner: str | None = None
    worker: str | None = None
    needs_key: bool = True

    @property
    def extra(self) -> str:
        """The extra of Planloom to install for it."""
        return self.name

    def is_installed(self) -> bool:
        """Whether its libraries can be imported; nothing is imported to find out."""
        return _can_import("pydantic_ai") and _can_import(self.library)

    def find_key(self, environ: Mapping[str, str]) -> tuple[str, Secret] | None:
        """Return the first variable that is set, and its value, or None."""
        return next(((name, Secret(environ[name])) for name in self.key_variables if environ.get(name)), None)


PROVIDERS: Final = {
    provider.name: provider
    for provider in (
        Provider(
            "groq",
            "groq",
            ("GROQ_API_KEY",),
            "https://api.groq.com",
            "GROQ_BASE_URL",
            "llama-3.3-70b-versatile",
            "llama-3.1-8b-instant",
        ),
        Provider(
            "openai",
            "openai",
            ("OPENAI_API_KEY",),
            "https://api.openai.com/v1",
            "OPENAI_BASE_URL",
            "gpt-6.1-sol",
            "gpt-6-luna",
        ),
        Provider(
            "anthropic",
            "anthropic",
            ("ANTHROPIC_API_KEY",),
            "https://api.anthropic.com",
            "ANTHROPIC_BASE_URL",
            "claude-sonnet-5-5",
            "claude-haiku-5-5",
        ),
        Provider(
            "google",
            "google.genai",
            ("GOOGLE_API_KEY", "GEMINI_API_KEY"),
            "https://generativelanguage.googleapis.com",
            None,
            "gemini-3.8-flash",
            "gemini-3.5-flash-lite",
        ),
        Provider(
            "mistral",
            "mistralai",
            ("MISTRAL_API_KEY",),
            "https://api.mistral.ai",
            None,
            "mistral-large-latest",
            "mistral-small-latest",
        ),
        Provider(
            "ollama", "openai", ("OLLAMA_API_KEY",), "http://localhost:11434/v1", "OLLAMA_BASE_URL", needs_key=False
        ),
    )
}
"""By name, in the order in which defaults are looked for."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a model is and how to get in. Its `repr` can be shown to anybody."""

    provider: Provider
    model: str
    base_url: str
    is_custom: bool
    key: Secret
    headers: Mapping[str, Secret]
    login: Secret | None = None
    """`user:password` from the base URL, which is not part of `base_url` any more."""

    @property
    def name(self) -> str:
        """The model as users write it: `groq:llama-3.3-70b-versatile`."""
        return f"{self.provider.name}:{self.model}"

    def secrets(self) -> list[Secret]:
        """Return every secret of it, to be taken out of texts."""
        login = [self.login, *map(Secret, self.login.reveal().split(":", 1))] if self.login else []
        key = [] if self.key == NO_KEY else [self.key]
        return [*key, *self.headers.values(), *login]


def find_endpoint(
    spec: str,
    *,
    base_url: str | None,
    api_key: str | None,
    headers: Mapping[str, str] | None,
    environ: Mapping[str, str],
) -> Endpoint:
    """Read `PROVIDER:NAME` and find address and key.

    Raises `UsageError` for an unknown provider or a bad address, `MissingExtraError`, and `ModelKeyError`.
    """
    provider, model = _read_spec(spec)
    given_url = base_url or (environ.get(provider.base_url_variable) if provider.base_url_variable else None)
    url, login = _read_base_url(given_url or provider.default_base_url)
    if login and provider.name in ("google", "mistral"):
        raise UsageError(f"a base URL with a user and a password does not work for `{provider.name}:` models")
    if not provider.is_installed():
        raise MissingExtraError(provider.extra, f"the model `{spec}`")
    found = provider.find_key(environ)
    key = Secret(api_key) if api_key else found[1] if found else None
    if key is None:
        if provider.needs_key and not login and not (given_url and is_local(url)):
            raise _missing_key(provider, spec, url if given_url else None)
        key = NO_KEY
    return Endpoint(
        provider,
        model,
        url,
        is_custom=url.rstrip("/") != provider.default_base_url,
        key=key,
        headers={name: Secret(value) for name, value in (headers or {}).items()},
        login=login,
    )


def _missing_key(provider: Provider, spec: str, base_url: str | None) -> ModelKeyError:
    names = " or ".join(f"`{name}`" for name in provider.key_variables)
    where = f" at {base_url}, which is not on this machine or its network" if base_url else ""
    return ModelKeyError(
        f"the model `{spec}`{where} needs a key, and {names} is not set\n"
        f"hint: export {provider.key_variables[0]}=…, or pass `api_key`; "
        f"the libraries come with pip install 'planloom[{provider.extra}]'",
        model=spec,
        tries=0,
    )


def _read_spec(spec: str) -> tuple[Provider, str]:
    name, colon, model = spec.strip().partition(":")
    provider = PROVIDERS.get(name.strip().lower())
    if provider and model.strip():
        return provider, model.strip()
    known = ", ".join(f"{name}:" for name in PROVIDERS)
    if provider:
        raise UsageError(f"the model `{spec}` names no model\nhint: write it like `{provider.name}:NAME`")
    what = f"names the unknown provider `{name}`" if colon else "names no provider"
    raise UsageError(
        f"the model `{spec}` {what}\nhint: write PROVIDER:NAME with one of {known}; "
        "any server with the OpenAI format is openai:NAME with a base URL"
    )


def _read_base_url(text: str) -> tuple[str, Secret | None]:
    """Return the address without user and password, and these. The address is never shown in a complaint."""
    try:
        parts = urlsplit(text.strip())
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = parts = None
    if parts is None or parts.scheme not in ("http", "https") or not host:
        raise UsageError("the base URL is not an address\nhint: write it like http://127.0.0.1:8000/v1")
    if parts.query or parts.fragment:
        raise UsageError("the base URL has a query or a fragment\nhint: end it with the path; send a key as `api_key`")
    place = (f"[{host}]" if ":" in host else host) + (f":{port}" if port else "")
    login = None
    if parts.username is not None or parts.password is not None:
        login = Secret(f"{unquote(parts.username or '')}:{unquote(parts.password or '')}")
    return urlunsplit((parts.scheme, place, parts.path, "", "")), login


_LOCAL_NAME: Final = re.compile(r"(?:[^.]+|.+\.(?:localhost|local|internal|lan|home\.arpa))\.?", re.IGNORECASE)


def is_local(base_url: str) -> bool:
    """Whether the address is on this machine or its own network, where servers commonly ask for no key."""
    host = urlsplit(base_url).hostname or ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return _LOCAL_NAME.fullmatch(host) is not None
    return address.is_loopback or address.is_private or address.is_link_local


def _can_import(module: str) -> bool:
    if sys.modules.get(module) is not None:
        return True
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False
