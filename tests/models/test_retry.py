"""When to try again: a pure decision from limits, the server's word, and the time that is left."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from planloom.models.retry import MAX_BACKOFF_S, CallLimits, next_wait_s, parse_retry_after

LIMITS = CallLimits(timeout_s=100, max_tries=4, wait_initial_s=0.5, max_wait_s=30)
NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("tries", "jitter", "expected"),
    [(1, 1.0, 0.5), (1, 0.0, 0.25), (2, 1.0, 1.0), (3, 1.0, 2.0), (4, 1.0, None), (9, 0.0, None)],
)
def test_back_off_doubles_and_ends(tries: int, jitter: float, expected: float | None) -> None:
    """Without a word from the server the wait doubles, is spread down to its half, and ends with the tries."""
    assert expected == next_wait_s(LIMITS, tries=tries, retry_after_s=None, left_s=99, jitter=jitter)


def test_back_off_has_a_ceiling() -> None:
    """However many tries there may be, a wait is bounded."""
    many = CallLimits(max_tries=1000)
    assert MAX_BACKOFF_S == next_wait_s(many, tries=999, retry_after_s=None, left_s=1000, jitter=1.0)


@pytest.mark.parametrize(
    ("retry_after_s", "left_s", "low", "high"),
    [(0.0, 99, 0.0, 0.0), (1.0, 99, 1.0, 1.1), (20.0, 99, 20.0, 20.25), (30.0, 99, 30.0, 30.25)],
)
def test_the_servers_word_is_never_undercut(retry_after_s: float, left_s: float, low: float, high: float) -> None:
    """The wait is what the server asked for, and a little more to spread parallel calls."""
    for jitter, expected in ((0.0, low), (1.0, high)):
        waited = next_wait_s(LIMITS, tries=1, retry_after_s=retry_after_s, left_s=left_s, jitter=jitter)
        assert pytest.approx(expected) == waited


@pytest.mark.parametrize(("retry_after_s", "left_s"), [(30.1, 99), (600, 9999), (5.0, 4.0), (None, 0.1)])
def test_a_wait_that_is_too_long_is_none(retry_after_s: float | None, left_s: float) -> None:
    """Beyond `max_wait_s`, or beyond the end of the call, there is no next try."""
    assert next_wait_s(LIMITS, tries=1, retry_after_s=retry_after_s, left_s=left_s, jitter=0.9) is None


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"retry-after": "2"}, 2.0),
        ({"retry-after": "0.25"}, 0.25),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after-ms": "150", "retry-after": "9"}, 0.15),
        ({"retry-after-ms": "x", "retry-after": "9"}, 9.0),
        ({"retry-after": "Thu, 01 Jan 2026 12:00:07 GMT"}, 7.0),
        ({"retry-after": "Thu, 01 Jan 2026 11:00:00 GMT"}, 0.0),
        ({"retry-after": "Thu Jan  1 12:00:07 2026"}, 7.0),
        ({"retry-after": "Wed, 05 Nov 2031 08:00:07 GMT", "date": "Wed, 05 Nov 2031 08:00:00 GMT"}, 7.0),
        ({"retry-after": "Thu, 99 Foo 2026 12:00:07 GMT"}, None),
    ],
)
def test_reading_retry_after(headers: dict[str, str], expected: float | None) -> None:
    """Seconds, milliseconds and dates of every form; a date against the server's own clock where it tells it."""
    assert expected == parse_retry_after(headers, NOW)
