"""From the name of a model to the model, the defaults that the environment allows, and what is there and missing."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from planloom.errors import UsageError
from planloom.models.base import Model
from planloom.models.direct import ProviderModel
from planloom.models.providers import PROVIDERS, find_endpoint
from planloom.models.retry import CallLimits


def resolve_model(
    spec: str | Model,
    *,
    base_url: str | None = None,
    api_key: str | None = None,
    headers: Mapping[str, str] | None = None,
    limits: CallLimits | None = None,
    environ: Mapping[str, str] | None = None,
) -> Model:
    """Return the model that `spec` names, or `spec` itself when it is a model already.

    `spec` is PROVIDER:NAME with groq, openai, anthropic, google, mistral or ollama; a server with the OpenAI format is
    openai:NAME with `base_url` or OPENAI_BASE_URL, and needs no key when it is local. The key comes from `api_key` or
    the provider's variable; `headers` are sent along and kept as secret as the key. Nothing is imported or sent yet.

    Raises `UsageError` for a name or address that cannot be, `MissingExtraError`, and `ModelKeyError`.
    """
    if not isinstance(spec, str):
        if not isinstance(spec, Model):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise UsageError(f"a model is PROVIDER:NAME or has `complete` and `stream`, not {type(spec).__name__}")
        return spec
    endpoint = find_endpoint(
        spec,
        base_url=base_url,
        api_key=api_key,
        headers=headers,
        environ=os.environ if environ is None else environ,
    )
    return ProviderModel(endpoint, limits or CallLimits())


def default_models(environ: Mapping[str, str] | None = None) -> tuple[str, str] | None:
    """Return the planner and the worker model for the first provider that has a key, Groq first, or None."""
    environ = os.environ if environ is None else environ
    for provider in PROVIDERS.values():
        if provider.planner and provider.worker and provider.find_key(environ):
            return f"{provider.name}:{provider.planner}", f"{provider.name}:{provider.worker}"
    return None


@dataclass(frozen=True, slots=True)
class ProviderStatus:
    """What there is of one provider. `variable` is the one that holds a key, or None; values are never here."""

    provider: str
    is_installed: bool
    variable: str | None
    variables: tuple[str, ...]
    needs_key: bool
    base_url_variable: str | None
    """The variable that sets another address, when it is set."""

    @property
    def is_ready(self) -> bool:
        """Whether a model of this provider can be asked."""
        return self.is_installed and (bool(self.variable) or not self.needs_key or bool(self.base_url_variable))

    @property
    def missing(self) -> str:
        """What to do to make it ready, or an empty text."""
        steps: list[str] = []
        if not self.is_installed:
            steps.append(f"pip install 'planloom[{self.provider}]'")
        if self.needs_key and not self.variable and not self.base_url_variable:
            steps.append(f"export {self.variables[0]}=…")
        return " and ".join(steps)

    def to_dict(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return {
            "provider": self.provider,
            "ready": self.is_ready,
            "installed": self.is_installed,
            "variable": self.variable,
            "base_url_variable": self.base_url_variable,
            "missing": self.missing,
        }


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """What `planloom doctor` says of models: the defaults that are ready, or None, and every provider."""

    planner_model: str | None
    worker_model: str | None
    providers: tuple[ProviderStatus, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return {
            "planner_model": self.planner_model,
            "worker_model": self.worker_model,
            "providers": [provider.to_dict() for provider in self.providers],
        }


def model_status(environ: Mapping[str, str] | None = None) -> ModelStatus:
    """Say what was found and what is missing, by looking at variables and installed libraries only."""
    environ = os.environ if environ is None else environ
    planner, worker = default_models(environ) or (None, None)
    statuses: list[ProviderStatus] = []
    for provider in PROVIDERS.values():
        found = provider.find_key(environ)
        address = provider.base_url_variable
        statuses.append(
            ProviderStatus(
                provider.name,
                provider.is_installed(),
                found[0] if found else None,
                provider.key_variables,
                provider.needs_key,
                address if address and environ.get(address) else None,
            )
        )
    return ModelStatus(planner, worker, tuple(statuses))
