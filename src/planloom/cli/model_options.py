"""Which models a command asks: those that are named, else those that the keys in the environment allow.

A command takes `options.model_option`, `options.worker_model_option` and `options.base_url_option`, and calls
`chosen_models(context)`. Names are chosen first, without looking at libraries or sending anything.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import click

from planloom.cli.options import rank_of
from planloom.errors import UsageError
from planloom.models import Model, default_models, resolve_model
from planloom.models.providers import PROVIDERS
from planloom.models.retry import CallLimits
from planloom.plan.budget import Budget

OPENAI: Final = "openai"
"""The provider whose models any server with the OpenAI format may serve."""


@dataclass(frozen=True, slots=True)
class ChosenModels:
    """The two models of a command; they are the same object when they have the same name."""

    planner: Model
    worker: Model


@dataclass(frozen=True, slots=True)
class ModelNames:
    """The names of both models, and the base URL for the models of one provider. `is_default`: nobody named one."""

    planner: str
    worker: str
    base_url: str | None = field(default=None, repr=False)  # it may hold a password
    base_url_provider: str | None = None
    is_default: bool = False
    limits: CallLimits | None = None

    def open(self, name: str, environ: Mapping[str, str] | None = None) -> Model:
        """Make the model with this name. Raises `UsageError`, `ModelKeyError` and `MissingExtraError`."""
        is_meant = provider_of(name) == self.base_url_provider
        return resolve_model(name, base_url=self.base_url if is_meant else None, limits=self.limits, environ=environ)


def chosen_models(context: click.Context, environ: Mapping[str, str] | None = None) -> ChosenModels:
    """Return the models that a command was told to use, or the default ones. Imports no library, sends nothing.

    Without a worker model, it is the small one of the planner's provider; at an address of the user's, where that one
    may not exist, it is the planner model itself. Raises `UsageError` (exit code 2; `ModelKeyError` is one) when there
    is no model, a key is missing or a name or address cannot be, and `MissingExtraError` (exit code 2 too).
    """
    names = model_names(context, environ)
    if names is None:
        raise UsageError(_without_model(context.command_path, os.environ if environ is None else environ))
    names = replace(names, limits=_limits(context.params.get("model_timeout")))
    planner = names.open(names.planner, environ)
    return ChosenModels(planner, planner if names.worker == names.planner else names.open(names.worker, environ))


def model_names(context: click.Context, environ: Mapping[str, str] | None = None) -> ModelNames | None:
    """Return the names of the models, or None when none is named and no key is set.

    The base URL is for `openai:` models; where neither is one, for those of the planner's provider, but only if it was
    named as close to the command line as the planner: a base URL in a planloom.toml gets no key of another provider
    because somebody tries another model. Raises `UsageError` for a base URL without a model.
    """
    environ = os.environ if environ is None else environ
    planner: str | None = context.params.get("model")
    worker: str | None = context.params.get("worker_model")
    base_url: str | None = context.params.get("base_url") or None
    if planner is None:
        if base_url is not None:
            raise UsageError(
                "a base URL was given, and no model that is asked there\n"
                "hint: name it too, such as --model openai:NAME, or PLANLOOM_MODEL=openai:NAME"
            )
        defaults = default_models(environ)
        if defaults is None and worker is None:
            return None
        if defaults is None:
            raise UsageError(
                f"a worker model is named, `{worker}`, and no model that plans\n"
                "hint: name it too, with --model or PLANLOOM_MODEL; it may be the same one"
            )
        return ModelNames(defaults[0], worker or defaults[1], is_default=worker is None)
    provider = provider_of(planner)
    base_url_provider: str | None = None
    if base_url is not None:
        if OPENAI in (provider, worker and provider_of(worker)):
            base_url_provider = OPENAI
        elif rank_of(context, "base_url") >= rank_of(context, "model"):
            base_url_provider = provider
    if worker is None:
        worker = _worker_beside(planner, environ, is_elsewhere=base_url_provider == provider)
    return ModelNames(planner, worker, base_url, base_url_provider)


def budget_of(params: Mapping[str, Any]) -> Budget | None:
    """Return the bounds on what models may do that a command was given, or None."""
    bounds = {
        "model_calls": params.get("max_model_calls"),
        "tokens": params.get("max_tokens"),
        "cost_usd": params.get("max_cost"),
    }
    return Budget(**bounds) if any(bound is not None for bound in bounds.values()) else None


def _limits(timeout_s: float | None) -> CallLimits | None:
    """Return the limits of each call of a model, when a command was given one."""
    if timeout_s is None:
        return None
    if not math.isfinite(timeout_s):
        raise UsageError(f"--model-timeout is {timeout_s}, and must be a number of seconds")
    usual = CallLimits()
    first_token_s = timeout_s if timeout_s > usual.timeout_s else min(usual.first_token_timeout_s, timeout_s)
    return replace(usual, timeout_s=timeout_s, first_token_timeout_s=first_token_s)


def provider_of(name: str) -> str:
    """Return the provider in a model's name, which need not exist."""
    return name.partition(":")[0].strip().lower()


def _worker_beside(planner: str, environ: Mapping[str, str], *, is_elsewhere: bool) -> str:
    """Return the worker model to go with a planner model: the small one, where it is sure to exist."""
    provider = PROVIDERS.get(provider_of(planner))
    if provider is None or provider.worker is None or is_elsewhere:
        return planner
    variable = provider.base_url_variable
    return planner if variable and environ.get(variable) else f"{provider.name}:{provider.worker}"


def _without_model(command: str, environ: Mapping[str, str]) -> str:
    """Say that there is no model, and every way to have one."""
    providers = [provider for provider in PROVIDERS.values() if provider.needs_key]
    first, *others = [variable for provider in providers for variable in provider.key_variables]
    lines = [
        f"`{command}` needs a model: no key is set, and no model is named",
        f"Set {first} (or {', '.join(others)}), or name a model with --model or PLANLOOM_MODEL: "
        "ollama:NAME runs on this machine, openai:NAME with --base-url on any server with the OpenAI format.",
    ]
    lines += [
        f"{provider.base_url_variable} is set, but not which model is there: --model {provider.name}:NAME"
        for provider in PROVIDERS.values()
        if provider.base_url_variable and environ.get(provider.base_url_variable)
    ]
    install = f"pip install 'planloom[{providers[0].extra}]'"
    lines.append(f"hint: export {first}=…, with {install}; `planloom doctor` says what was found and what is missing")
    return "\n".join(lines)
