"""What an exception of a tool means: words for the step's error, and whether another try can help.

Only what can pass is tried again: connections, timeouts, HTTP 408, 425, 429 and 5xx, and `Retry`. Libraries
are recognised by the names of their exceptions and by `status_code`, so that none has to be imported.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from socket import EAI_AGAIN, gaierror
from typing import Any, Final

from planloom.errors import ArgumentsError, AskPerson, BudgetExceededError, PlanloomError, Retry, StillWaiting
from planloom.plan.issues import shorten
from planloom.plan.results import StepError
from planloom.plan.values import OutputError

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
        "ConnectionError",  # requests and urllib3 have their own
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
    try:
        return _describe(error)
    except BaseException:
        return Failure("exception", type(error).__name__, "the tool raised an exception that cannot be read")


def _describe(error: BaseException) -> Failure:
    name = type(error).__name__
    text = read_message(error)
    if isinstance(error, ArgumentsError):
        return Failure("arguments", name, text[:MAX_MESSAGE_CHARS])
    if isinstance(error, OutputError):
        return Failure("output", name, text[:MAX_MESSAGE_CHARS])
    message = shorten(text, MAX_MESSAGE_CHARS) if text.strip() else f"the tool raised {name} without a message"
    if isinstance(error, Retry):
        return Failure("exception", name, message, True, _seconds(error.after_s))
    if isinstance(error, AskPerson):
        return Failure("waiting" if isinstance(error, StillWaiting) else "question", name, message)
    if isinstance(error, BudgetExceededError):
        return Failure("budget", name, message)
    if isinstance(error, KeyboardInterrupt | SystemExit):
        detail = f" ({shorten(text, 80)})" if text.strip() else ""
        return Failure("exception", name, f"the tool raised {name}{detail}; only the step ends, not the program")
    if isinstance(error, RecursionError):
        message = f"the tool called itself too deep: {message}"
    elif not isinstance(error, PlanloomError) and text.strip():
        message = f"{name}: {message}"
    return Failure("exception", name, message, _is_passing(error))


def read_message(error: BaseException) -> str:
    """Return the text of an exception, without the whole trust that `str` has in it."""
    try:
        text = str(error)
        if parts := _parts(error):
            text = "; ".join([text, *(f"{type(part).__name__}: {part}" for part in parts[:3])])
    except BaseException:
        return "(its message could not be read)"
    # what goes into events, JSON and files is Unicode, even if the name of a file is not
    return text[: 8 * MAX_MESSAGE_CHARS].encode(errors="backslashreplace").decode()


def _seconds(after_s: Any) -> float | None:
    if not isinstance(after_s, int | float):
        return None
    return float(min(max(0.0, after_s), RETRY_AFTER_MAX_S))


def _is_passing(error: BaseException) -> bool:
    if isinstance(error, ConnectionError | TimeoutError):
        return True
    if isinstance(error, gaierror):
        return error.errno == EAI_AGAIN
    if parts := _parts(error):
        return all(map(_is_passing, parts))
    status = _http_status(error)
    if status is not None:
        return status in _PASSING_STATUS or 500 <= status <= 599
    if not _PASSING_NAMES.isdisjoint(base.__name__ for base in type(error).__mro__):
        return True
    reason = _attribute(error, "reason")  # urllib wraps what has happened
    return isinstance(reason, OSError) and reason is not error and _is_passing(reason)


def _parts(error: BaseException) -> tuple[BaseException, ...]:
    """Return the exceptions of a group, none for any other exception."""
    return error.exceptions if isinstance(error, BaseExceptionGroup) else ()  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]


def _http_status(error: BaseException) -> int | None:
    for holder in (error, _attribute(error, "response")):
        for name in ("status_code", "status", "code"):
            value = _attribute(holder, name)
            if isinstance(value, int) and 100 <= value <= 599:
                return int(value)
    return None


def _attribute(holder: object, name: str) -> Any:
    try:
        return getattr(holder, name, None)
    except BaseException:  # a property may raise anything
        return None


def backoff_s(failed_attempts: int, chance: random.Random) -> float:
    """Return the wait before the next try: exponential, capped, with half of it left to chance.

    The jitter keeps many steps that failed together from coming back together.
    """
    ceiling = min(BACKOFF_MAX_S, BACKOFF_BASE_S * 2.0 ** (failed_attempts - 1))
    return ceiling * (0.5 + chance.random() / 2)


class Backoff:
    """The waits of one run before its steps are tried again; the same `seed` gives the same waits."""

    def __init__(self, seed: int | None) -> None:
        self._seed = seed
        self._chance: random.Random | None = None

    def after(self, failed_attempts: int, failure: Failure) -> float:
        """Return the seconds until the next try: what the failure itself says, else the back-off."""
        if failure.after_s is not None:
            return failure.after_s
        if self._chance is None:  # seeding one takes as long as a step, and most runs never need it
            self._chance = random.Random(self._seed)  # noqa: S311 - jitter is no secret
        return backoff_s(failed_attempts, self._chance)
