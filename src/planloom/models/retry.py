"""How long a call may take, and when a failed one is tried again. Pure: it decides, the caller waits.

`stamina` was weighed for this. It writes a warning line to stderr for every retry unless the whole process is
configured otherwise, its switches are global to the process, and it wants failures as exceptions in flight; here they
are values, and what is left is the one function below.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from planloom.errors import UsageError

MAX_BACKOFF_S: Final = 20.0


@dataclass(frozen=True, slots=True)
class CallLimits:
    """The limits of one call of a model.

    `timeout_s` bounds the whole call with its tries and waits. `first_token_timeout_s` bounds the silence before the
    first token of a stream, for each try. `max_tries` counts requests, the first included. Back-off starts at
    `wait_initial_s` and doubles, up to 20 s; a server that asks for more than `max_wait_s` is not waited for.
    """

    timeout_s: float = 300.0
    first_token_timeout_s: float = 60.0
    max_tries: int = 4
    wait_initial_s: float = 0.5
    max_wait_s: float = 60.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not math.isfinite(value) or value <= 0:
                raise UsageError(f"`{field.name}` is {value}, and must be a number above 0")


def next_wait_s(
    limits: CallLimits, *, tries: int, retry_after_s: float | None, left_s: float, jitter: float
) -> float | None:
    """Return how long to wait before the next try, in seconds, or None when there must be no next try.

    `tries` were made, `left_s` seconds are left of the call, `jitter` is a random number from 0 to 1. The server's own
    word is never undercut, only stretched a little, so that parallel calls do not all come back at once.
    """
    if tries >= limits.max_tries:
        return None
    if retry_after_s is not None:
        wait_s = retry_after_s + jitter * min(0.25, 0.1 * retry_after_s)
        if retry_after_s > limits.max_wait_s:
            return None
    else:
        wait_s = min(MAX_BACKOFF_S, limits.wait_initial_s * 2 ** (tries - 1)) * (0.5 + jitter / 2)
    return wait_s if wait_s < left_s else None


def parse_retry_after(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Return the seconds that `Retry-After` (or `retry-after-ms`) asks for, or None. `headers` have lower-case names.

    A date is measured against the server's own `Date`, if it sent one, so that a wrong clock here does no harm.
    """
    for name, unit_s in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        seconds = _number(headers.get(name)) * unit_s
        if 0 <= seconds < math.inf:
            return seconds
    until = _date(headers.get("retry-after"))
    if until is None:
        return None
    since = _date(headers.get("date")) or now or datetime.now(UTC)
    return max(0.0, (until - since).total_seconds())


def _number(text: str | None) -> float:
    try:
        return float(text or "")
    except ValueError:
        return math.nan


def _date(text: str | None) -> datetime | None:
    try:
        date = parsedate_to_datetime(text or "")
    except (ValueError, TypeError, OverflowError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)
