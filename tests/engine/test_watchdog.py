"""The watchdog on its own: its thread outlives hostile callbacks, and loops that are closed."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import Any

import pytest

from planloom.engine.watchdog import Watchdog, Watched


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A watchdog that needs no patience."""
    monkeypatch.setattr("planloom.engine.watchdog.BLOCKED_AFTER_S", 0.02)


def test_a_blocked_loop_is_told_while_and_after_it_is_blocked(quick: None, caplog: pytest.LogCaptureFixture) -> None:
    """The callback comes from the watchdog's thread during the block; the report from the loop after it."""
    watchdog, told = Watchdog(), threading.Event()
    during: list[tuple[str, bool]] = []
    after: list[tuple[str, float]] = []

    def on_blocked(step_id: str, blocked_s: float) -> None:
        during.append((step_id, threading.current_thread().name == "planloom-watchdog"))
        told.set()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        watched = Watched(loop, lambda task: "step", lambda *report: after.append(report), on_blocked)
        watchdog.watch(watched)
        with caplog.at_level(logging.WARNING, "planloom"):
            assert told.wait(60)  # blocks the loop until the watchdog has noticed
        async with asyncio.timeout(60):
            while not after:
                await asyncio.sleep(0)
        watchdog.forget(watched)

    asyncio.run(main())
    assert ("step", True) == during[0]
    assert "step" == after[0][0]
    assert after[0][1] >= 0.02
    assert "step `step` has blocked the event loop" in caplog.text


def test_a_callback_that_raises_and_a_loop_that_is_closed(quick: None) -> None:
    """Neither ends the watchdog: the next loop is watched as well."""
    watchdog, told = Watchdog(), threading.Event()
    closed = asyncio.new_event_loop()
    closed.close()
    gone = Watched(closed, lambda task: "", lambda *report: None, None)
    watchdog.watch(gone)

    async def block(on_blocked: Any, until: threading.Event) -> None:
        watched = Watched(asyncio.get_running_loop(), lambda task: "step", lambda *report: None, on_blocked)
        watchdog.watch(watched)
        assert until.wait(60)
        watchdog.forget(watched)

    def raises(step_id: str, blocked_s: float) -> None:
        first.set()
        raise SystemExit("callback")

    first = threading.Event()
    asyncio.run(block(raises, first))
    asyncio.run(block(lambda *_: told.set(), told))
    watchdog.forget(gone)
