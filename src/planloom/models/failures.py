"""What can go wrong with a call: the client libraries' exceptions become one value, and the value one sentence.

This is the only place that knows those exceptions. A `Failure` holds no exception, no header and no body, only words
that were cleaned of secrets, and the error is raised where no exception of a library is being handled: so neither a
message, nor a traceback, nor a chained exception can carry a key.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Literal

from planloom.errors import ModelError, ModelRateLimitError, ModelReplyError, ModelTimeoutError
from planloom.models.providers import Endpoint
from planloom.models.retry import CallLimits, parse_retry_after
from planloom.models.secrets import Redactor

FailureKind = Literal[
    "auth", "connection", "context", "cut", "first-token", "malformed", "not-found", "off", "quota", "rate-limit",
    "refusal", "rejected", "server", "total-time",
]  # fmt: skip

TRANSIENT_KINDS: Final = frozenset({"connection", "cut", "first-token", "malformed", "rate-limit", "server"})
TRANSIENT_STATUSES: Final = frozenset({408, 409, 425})

# How providers word that they do not take the form of reply that was asked for.
_FORM: Final = re.compile(
    r"response[\s_-]?format|response_?(?:json_?)?schema|response_?mime|json[\s_-]?schema|json[\s_-]?(?:mode|object)"
    r"|output_?(?:format|config)|structured[\s_-]?output|guided|grammar|invalid schema|failed to generate json",
    re.IGNORECASE,
)
_THIS_SCHEMA: Final = re.compile(
    r"invalid[\s_]*(?:json[\s_]*)?schema|schema is (?:not valid|invalid)|in context=", re.IGNORECASE
)
_TEMPERATURE: Final = re.compile(r"temperature", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a try failed.

    `refuses` says what of the request the provider does not take: "form" (response format or schema), "this-schema",
    "this-reply" (its own JSON came out wrong: not worth remembering), "temperature", or None.
    """

    kind: FailureKind
    detail: str = ""
    status: int | None = None
    retry_after_s: float | None = None
    refuses: Literal["form", "this-schema", "this-reply", "temperature"] | None = None
    suggestion: str = ""
    is_transient: bool = False


def transient(kind: FailureKind, detail: str = "") -> Failure:
    """Return a failure of a kind that may pass."""
    return Failure(kind, detail, is_transient=True)


def classify(error: Exception, redactor: Redactor) -> Failure:
    """Say what an exception of pydantic-ai or of a provider's library means."""
    from pydantic_ai import exceptions as theirs  # loaded long before there is an exception of it

    clean = redactor.clean
    if isinstance(error, theirs.ModelHTTPError):
        return _classify_status(error, clean(_provider_words(error.body)), theirs)
    if isinstance(error, theirs.ContentFilterError):
        return Failure("refusal", clean(str(error)))
    if isinstance(error, theirs.ModelRateLimitError):
        return Failure("rate-limit", clean(str(error)), retry_after_s=error.retry_after, is_transient=True)
    if isinstance(error, theirs.ModelConnectionError) or _is_transport_error(error):
        return transient("connection")
    if isinstance(error, theirs.ModelAPIError | theirs.UnexpectedModelBehavior):
        words = str(error)
        if "finish_reason" in words or "ended without" in words:
            return transient("cut")
        is_told = isinstance(error, theirs.ModelAPIError) and error.in_stream
        if is_told:  # an error object inside a stream that had begun well
            refuses = "this-reply" if _FORM.search(words) else None
            return Failure("server", clean(words), refuses=refuses, is_transient=True)
        return transient("malformed", clean(words))
    if isinstance(error, RuntimeError) and "ALLOW_MODEL_REQUESTS" in str(error):
        return Failure("off")
    # what the libraries trip over when JSON is valid and not what they expect
    return transient("malformed", clean(f"{type(error).__name__}: {error}"))


def _classify_status(error: Any, detail: str, theirs: Any) -> Failure:
    status: int = error.status_code
    retry_after_s = parse_retry_after(error.headers or {})
    if retry_after_s is None:
        retry_after_s = error.retry_after
    kind: FailureKind
    if isinstance(error, theirs.ModelQuotaExceededError):
        kind = "quota"
    elif status == 429:
        kind = "rate-limit"
    elif isinstance(error, theirs.ModelAuthenticationError):
        return Failure("auth", status=status)  # a provider may quote the key here, so its words are not kept
    elif isinstance(error, theirs.ModelContextWindowExceededError):
        kind = "context"
    elif isinstance(error, theirs.ModelNotFoundError) and not _FORM.search(detail):
        kind = "not-found"
    elif status >= 500 or status in TRANSIENT_STATUSES:
        kind = "server"
    else:
        kind = "rejected"
    is_transient = kind in TRANSIENT_KINDS
    if error.provider_retry_hint is not None and kind != "rejected":
        is_transient = error.provider_retry_hint
    return Failure(
        kind,
        detail,
        status,
        retry_after_s,
        refuses=_refused_part(detail, error.provider_error_code) if kind == "rejected" else None,
        suggestion=error.suggested_model_id or "",
        is_transient=is_transient,
    )


def _refused_part(detail: str, code: str | None) -> Literal["form", "this-schema", "this-reply", "temperature"] | None:
    if code == "json_validate_failed":
        return "this-reply"
    if _THIS_SCHEMA.search(detail):
        return "this-schema"
    if _FORM.search(detail):
        return "form"
    return "temperature" if _TEMPERATURE.search(detail) else None


def _provider_words(body: object) -> str:
    """Return the message in an error body, in any of the shapes that providers give it, with the part it blames."""
    if isinstance(body, dict):
        table: dict[str, Any] = body  # pyright: ignore[reportUnknownVariableType]
        inner = table.get("error")
        if isinstance(inner, dict | str):
            return _provider_words(inner)  # pyright: ignore[reportUnknownArgumentType]
        words = [str(table[name]) for name in ("message", "detail", "param") if table.get(name)]
        return " ".join(words)
    if isinstance(body, str) and body.lstrip().startswith("{"):
        with suppress(ValueError):
            return _provider_words(json.loads(body))
    return body if isinstance(body, str) else ""


def _is_transport_error(error: BaseException) -> bool:
    """Whether the error, or what it was raised from, is one of an HTTP library's or the system's connection errors."""
    for _ in range(10):
        names = {(base.__module__.partition(".")[0], base.__name__) for base in type(error).__mro__}
        if names & {("httpx", "TransportError"), ("httpx2", "TransportError"), ("builtins", "ConnectionError")}:
            return True
        if error.__cause__ is None:
            return False
        error = error.__cause__
    return False


def to_error(
    failure: Failure, endpoint: Endpoint, limits: CallLimits, *, tries: int, text: str, before: Failure | None = None
) -> ModelError:
    """Make the exception for a failure that is final.

    `text` is what had already been given to the caller, `before` the failure of the try before: when time runs out
    during a later try, it is what tells a person why there was one.
    """
    sentence, hint = _words(failure, endpoint, limits, text)
    count = f", after {tries} tries" if tries > 1 else ""
    if failure.kind == "total-time" and before is not None:
        count += f"; before that it {_words(before, endpoint, limits, '')[0]}"
    message = f"{endpoint.name} {sentence}{count}{': ' + failure.detail if failure.detail else ''}\nhint: {hint}"
    facts: dict[str, Any] = {
        "model": endpoint.name,
        "tries": tries,
        "status": failure.status,
        "detail": failure.detail,
    }
    match failure.kind:
        case "malformed" | "refusal" | "cut":
            return ModelReplyError(message, reason=failure.kind, text=text, **facts)
        case "rate-limit" | "quota" if not text:
            return ModelRateLimitError(message, retry_after_s=failure.retry_after_s, **facts)
        case "first-token":
            return ModelTimeoutError(message, limit_s=limits.first_token_timeout_s, **facts)
        case "total-time":
            return ModelTimeoutError(message, limit_s=limits.timeout_s, **facts)
        case _ if text:
            return ModelReplyError(message, reason="cut", text=text, **facts)
        case _:
            return ModelError(message, **facts)


def _words(failure: Failure, endpoint: Endpoint, limits: CallLimits, text: str) -> tuple[str, str]:
    """Return what happened and how to mend it."""
    status = f" (HTTP {failure.status})" if failure.status else ""
    after = f" after {len(text)} characters" if text else ""
    if text and failure.kind not in ("malformed", "refusal", "first-token", "total-time"):
        return f"broke its reply off{after}{status}", "try again, or use another model"
    match failure.kind:
        case "rate-limit":
            wait = f"wait {failure.retry_after_s:.0f} s" if failure.retry_after_s else "wait a little"
            return f"refused the request for its rate limit{status}", f"{wait} and try again, or use another model"
        case "quota":
            return f"refused the request because its quota is used up{status}", "look at the account's plan and billing"
        case "auth":
            names = " or ".join(endpoint.provider.key_variables)
            return f"refused the key{status}", f"check {names}, and that this key may use this model"
        case "not-found":
            near = f"did you mean `{failure.suggestion}`?" if failure.suggestion else "check the model's name"
            return f"was not found at {endpoint.base_url}{status}", f"{near}, and the base URL"
        case "context":
            return f"was sent more than it can read{status}", "send less, or use a model with a longer context"
        case "rejected":
            return f"rejected the request{status}", "check the model's name and what it supports"
        case "connection":
            return f"could not be reached at {endpoint.base_url}", "check the network, the base URL and that it runs"
        case "server":
            return f"failed on its provider's side{status}", "try again later, or use another model"
        case "cut":
            return "broke its reply off before a word of it had come", "try again later, or use another model"
        case "malformed":
            return f"sent something that is not its provider's format{after}", "check the base URL, or try again"
        case "refusal":
            return "refused to answer", "rephrase the goal, or use another model"
        case "first-token":
            limit = f"{limits.first_token_timeout_s:g} s"
            return f"sent no first token within {limit}", "try again later, or raise `first_token_timeout_s`"
        case "total-time":
            return f"did not end its reply within {limits.timeout_s:g} s{after}", "raise `timeout_s`, or ask for less"
        case "off":
            return (
                "was not asked, because `pydantic_ai.models.ALLOW_MODEL_REQUESTS` is off",
                "use a scripted model here",
            )
