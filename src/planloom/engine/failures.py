"""What an exception of a tool means: words for the step's error, and whether another try can help.

Only what can pass is tried again: connections, timeouts, HTTP 408, 425, 429 and 5xx, and `Retry`. Libraries
are recognised by the names of their exceptions and by `status_code`, so that none has to be imported.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any, Final

from planloom.errors import ArgumentsError, PlanloomError, Retry
from planloom.plan.issues import shorten
from planloom.plan.results import StepError

BACKOFF_BASE_S: Final = 0.5
BACKOFF_MAX_S: Final = 30.0
RETRY_AFTER_MAX_S: Final = 3_600.0
MAX_MESSAGE_CHARS: Final = 2_000

_PASSING_STATUS: Final = frozenset({408, 425, 429})
_PASSING_NAMES: Final = frozenset(
    {
        "TransportError",  # httpx
        "ClientConnectionError",  # aiohttp
        "ServerTimeoutError",
        "Timeout",  # requests
        "ConnectTimeout",
        "ReadTimeout",
        "APIConnectionError",  # model clients
        "APITimeoutError",
    }
)


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed attempt. `is_passing` says that another try can help, `after_s` when (None: back-off)."""

    kind: str
    type: str
    message: str
    is_passing: bool = False
    after_s: float | None = None

    def to_error(self) -> StepError:
        """Return the failure as a step's error."""
        return StepError(self.kind, self.type, self.message)


def describe_exception(error: BaseException) -> Failure:
    """Return what a tool's exception means. Never raises, whatever the exception's own methods do."""
    name = type(error).__name__
    try:
        text = str(error)
    except BaseException:
        text = "(its message could not be read)"
    message = shorten(text, MAX_MESSAGE_CHARS) if text.strip() else f"the tool raised {name} without a message"
    if isinstance(error, ArgumentsError):
        return Failure("arguments", name, text[:MAX_MESSAGE_CHARS])
    if isinstance(error, Retry):
        after_s = error.after_s
        return Failure("exception", name, message, True, None if after_s is None else min(max(0.0, after_s), RETRY_AFTER_MAX_S))
    if isinstance(error, KeyboardInterrupt | SystemExit):
        detail = f" ({shorten(text, 80)})" if text.strip() else ""
        return Failure("exception", name, f"the tool raised {name}{detail}; only the step ends, not the program")
    if isinstance(error, RecursionError):
        message = f"the tool called itself too deep: {message}"
    elif not isinstance(error, PlanloomError):
        message = f"{name}: {message}" if text.strip() else message
    return Failure("exception", name, message, _is_passing(error))


def _is_passing(error: BaseException) -> bool:
    if isinstance(error, ConnectionError | TimeoutError):
        return True
    status = _http_status(error)
    if status is not None:
        return status in _PASSING_STATUS or 500 <= status <= 599
    names = {base.__name__ for base in type(error).__mro__}
    if names & _PASSING_NAMES:
        return True
    return "ConnectionError" in names  # requests and urllib3 have their own


def _http_status(error: BaseException) -> int | None:
    for holder in (error, getattr(error, "response", None)):
        for name in ("status_code", "status", "code"):
            try:
                value: Any = getattr(holder, name, None)
            except BaseException:
                continue
            if type(value) is int and 100 <= value <= 599:
                return value
    return None


def backoff_s(failed_attempts: int, chance: random.Random) -> float:
    """Return the wait before the next try: exponential, capped, with half of it left to chance.

    The jitter keeps many steps that failed together from coming back together.
    """
    ceiling = min(BACKOFF_MAX_S, BACKOFF_BASE_S * 2.0 ** (failed_attempts - 1))
    return ceiling * (0.5 + chance.random() / 2)
