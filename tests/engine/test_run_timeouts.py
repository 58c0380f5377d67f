"""Time limits, retries, and effects that may or may not have happened."""

from __future__ import annotations

import asyncio
import contextlib
import http
import random
import socket
import urllib.error
from typing import Any

import pytest
from engine_cases import kinds, lines, run, run_with_events, statuses, tool_of

from planloom import ArgumentsError, PlanloomError, Retry, Step, Tool, UsageError
from planloom.engine.failures import BACKOFF_MAX_S, backoff_s, describe_exception
from planloom.testing import HANG, PlanBuilder, ScriptedTool, VirtualClock


class HttpError(Exception):
    """What libraries raise for an HTTP status, in one of their ways."""

    def __init__(self, **fields: Any) -> None:
        super().__init__("http")
        self.__dict__.update(fields)


class Response:
    """A response with a status."""

    def __init__(self, status_code: int) -> None:
        self.status_code = status_code


def named(name: str) -> Exception:
    """An exception of a library that is not imported: only its name is known."""
    return type(name, (Exception,), {})("down")


PASSING = [
    ConnectionError("refused"),
    ConnectionResetError("reset"),
    BrokenPipeError("broken"),
    TimeoutError("late"),
    TimeoutError("late"),
    TimeoutError("late"),
    socket.gaierror(socket.EAI_AGAIN, "try again"),
    Retry(),
    Retry(after_s=3),
    *(HttpError(status_code=status) for status in (408, 425, 429, 500, 502, 503, 504, 599)),
    HttpError(status=503),
    HttpError(code=503),
    HttpError(status_code=http.HTTPStatus.TOO_MANY_REQUESTS),
    HttpError(response=Response(503)),
    urllib.error.URLError(ConnectionRefusedError("refused")),
    urllib.error.HTTPError("http://x", 503, "unavailable", {}, None),  # type: ignore[arg-type]
    named("TransportError"),
    named("ClientConnectionError"),
    named("ConnectTimeout"),
    named("ReadTimeout"),
    named("APIConnectionError"),
    named("ConnectionError"),
    ExceptionGroup("several", [ConnectionError("a"), TimeoutError("b")]),
]

LASTING = [
    ValueError("wrong"),
    KeyError("missing"),
    OSError("disk full"),
    FileNotFoundError("gone"),
    PermissionError("no"),
    socket.gaierror(socket.EAI_NONAME, "no such host"),
    ArgumentsError("no such argument"),
    PlanloomError("other"),
    *(HttpError(status_code=status) for status in (200, 301, 400, 401, 403, 404, 409, 410, 418, 422)),
    HttpError(status_code=600),
    HttpError(status_code="503"),
    HttpError(status_code=True),
    urllib.error.URLError("unknown url type"),
    urllib.error.HTTPError("http://x", 404, "not found", {}, None),  # type: ignore[arg-type]
    SystemExit(429),
    KeyboardInterrupt(),
    asyncio.CancelledError(),
    RecursionError("too deep"),
    MemoryError(),
    AssertionError("no"),
    ExceptionGroup("several", [ConnectionError("a"), ValueError("b")]),
]


def words(error: BaseException) -> str:
    """A name that is the same in every process: of what the exception carries, only what has no address."""
    plain = {name: value for name, value in vars(error).items() if isinstance(value, int | str)}
    return f"{type(error).__name__}-{plain or (', '.join(vars(error)) or error)}"


@pytest.mark.parametrize("error", PASSING, ids=words)
def test_what_can_pass_is_tried_again(error: BaseException) -> None:
    """Connections, timeouts, HTTP 408, 425, 429 and 5xx, and `Retry` cost another attempt."""
    tool = ScriptedTool("fetch", [error, error, "there"], read_only=True)
    result = run(PlanBuilder().step("a", "fetch").build(), tool.tool)
    assert ("succeeded", "there", 3) == (result.status, result.steps["a"].output, result.steps["a"].attempts)
    tool.assert_finished()


@pytest.mark.parametrize("error", LASTING, ids=words)
def test_what_cannot_pass_is_not_tried_again(error: BaseException) -> None:
    """Anything else fails at once: another try would give the same."""
    tool = ScriptedTool("fetch", [error], read_only=True)
    result = run(PlanBuilder().step("a", "fetch").build(), tool.tool)
    assert ("failed", 1) == (result.steps["a"].status, result.steps["a"].attempts)
    tool.assert_finished()


@pytest.mark.parametrize(
    ("facts", "step", "attempts"),
    [
        ({}, None, 1),
        ({"read_only": True}, None, 3),
        ({"idempotent": True}, None, 3),
        ({"destructive": True}, None, 1),
        ({"retries": 1}, None, 2),
        ({"read_only": True, "retries": 0}, None, 1),
        ({"read_only": True}, 1, 2),
        ({"read_only": True}, 0, 1),
        ({"read_only": True}, 5, 3),  # a plan never raises them
        ({}, 5, 1),
    ],
    ids=str,
)
def test_retries_of_tool_and_plan(facts: Any, step: int | None, attempts: int) -> None:
    """Two retries for read-only and idempotent tools, none for others; a plan lowers them, never raises them."""
    tool = ScriptedTool("fetch", [ConnectionError("down")] * attempts, **facts)
    result = run(PlanBuilder().step("a", "fetch", retries=step).build(), tool.tool)
    assert ("failed", attempts) == (result.steps["a"].status, result.steps["a"].attempts)
    tool.assert_finished()


@pytest.mark.parametrize(
    ("tool_s", "step_s", "limit_s"), [(10, None, 10), (10, 4, 4), (10, 4.5, 4.5), (10, 40, 10)], ids=str
)
def test_time_limit_of_tool_and_plan(tool_s: float, step_s: float | None, limit_s: float) -> None:
    """The limit is per attempt; a plan lowers it, never raises it."""
    tool = ScriptedTool("fetch", [HANG, HANG, "there"], timeout_s=tool_s, read_only=True)
    result = run(PlanBuilder().step("a", "fetch", timeout_s=step_s).build(), tool.tool, seed=1)
    chance = random.Random(1)
    expected_s = 2 * limit_s + backoff_s(1, chance) + backoff_s(2, chance)
    assert ("succeeded", 3) == (result.status, result.steps["a"].attempts)
    assert expected_s * 1_000 == pytest.approx(result.duration_ms, rel=1e-12)


def test_an_attempt_just_in_time_counts() -> None:
    """What ends before the limit is not late, and the limit of one attempt does not run on into the next."""
    tool = ScriptedTool("fetch", [ConnectionError("down"), "there"], takes_s=9.999, timeout_s=10, read_only=True)
    assert "succeeded" == run(PlanBuilder().step("a", "fetch").build(), tool.tool).status


def test_a_retry_says_when() -> None:
    """`Retry(after_s)` replaces the back-off, and an absurd one is bounded."""
    tool = ScriptedTool("fetch", [Retry(after_s=7), Retry(after_s=0), "there"], read_only=True)
    result, events = run_with_events(PlanBuilder().step("a", "fetch").build(), tool.tool)
    assert 7_000 == result.duration_ms
    assert [(1, 7.0), (2, 0.0)] == [(e.attempt, e.delay_s) for e in events if e.type == "step-retrying"]
    for given, expected in ((-5, 0.0), (float("nan"), 0.0), (float("inf"), 3_600.0), (1e9, 3_600.0), ("soon", None)):
        assert expected == describe_exception(Retry(given)).after_s  # type: ignore[arg-type]


def test_a_retry_that_is_used_up_fails_with_its_message() -> None:
    """The step's own number of retries holds for `Retry` too."""
    tool = ScriptedTool("fetch", [Retry(1, "not ready")] * 3, read_only=True)
    result = run(PlanBuilder().step("a", "fetch").build(), tool.tool)
    error = result.steps["a"].error
    assert error is not None
    assert ("exception", "Retry", "not ready") == (error.kind, error.type, error.message)
    assert "step `a` failed on attempt 3: not ready" in result.explain()


def test_backoff_is_exponential_with_jitter_and_a_ceiling() -> None:
    """The wait doubles, half of it is left to chance, and no wait is longer than the ceiling."""
    chance = random.Random(0)
    waits = [[backoff_s(attempt, chance) for _ in range(200)] for attempt in range(1, 12)]
    for attempt, tries in enumerate(waits, 1):
        ceiling = min(BACKOFF_MAX_S, 0.5 * 2 ** (attempt - 1))
        assert ceiling / 2 <= min(tries)
        assert max(tries) <= ceiling
        assert len(set(tries)) > 150


def test_the_same_seed_gives_the_same_waits() -> None:
    """The jitter is seeded, so that a run can be repeated to the event."""
    plan = PlanBuilder().step("a", "fetch").step("b", "fetch").build()

    def delays(seed: int | None) -> list[float]:
        tool = ScriptedTool("fetch", [ConnectionError()] * 4 + [1, 2], read_only=True)
        return [e.delay_s for e in run_with_events(plan, tool.tool, seed=seed)[1] if e.type == "step-retrying"]

    assert delays(1) == delays(1)
    assert delays(1) != delays(2)
    assert delays(None) != delays(None)


# ---- effects ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "status", "attempts"),
    [
        ({}, "unknown", 1),
        ({"destructive": True}, "unknown", 1),
        ({"open_world": True}, "unknown", 1),
        ({"retries": 5}, "unknown", 1),
        ({"idempotent": True}, "failed", 3),
        ({"idempotent": True, "destructive": True}, "failed", 3),
        ({"read_only": True}, "failed", 3),
        ({"read_only": True, "retries": 0}, "failed", 1),
    ],
    ids=str,
)
def test_a_time_limit_and_effects(facts: Any, status: str, attempts: int) -> None:
    """An effect that is not idempotent and was cut off is `unknown` and never retried; others fail or retry."""
    tool = ScriptedTool("pay", [HANG] * attempts, timeout_s=5, **facts)
    step = run(PlanBuilder().step("a", "pay").build(), tool.tool).steps["a"]
    assert (status, attempts) == (step.status, step.attempts)
    tool.assert_finished()
    assert step.error is not None
    assert "timed out after 5 s" in step.error.message
    assert ("may or may not have had its effect" in step.error.message) == (status == "unknown")


def test_a_run_with_an_unknown_step_waits() -> None:
    """The run waits for a person; what depends on the step stays pending, everything else goes on."""
    pay = ScriptedTool("pay", [HANG], timeout_s=5)
    other = ScriptedTool("other", takes_s=60)
    plan = (
        PlanBuilder()
        .step("pay", "pay")
        .step("receipt", "other", text="{{pay.output}}")
        .step("archive", "other", after=["receipt"])
        .step("beside", "other")
        .step("after", "other", after=["beside"])
        .answer({"beside": "{{after.status}}", "pay": "{{pay.status}}"})
        .build()
    )
    result, events = run_with_events(plan, pay.tool, other.tool)
    assert "waiting" == result.status
    assert {
        "pay": "unknown",
        "receipt": "pending",
        "archive": "pending",
        "beside": "succeeded",
        "after": "succeeded",
    } == statuses(result)
    assert {"pay": "unknown", "receipt": None, "archive": None, "beside": None, "after": None} == kinds(result)
    assert {"beside": "succeeded", "pay": "unknown"} == result.answer
    assert 120_000 == result.duration_ms
    assert ["step-unknown pay"] == [line for line in lines(events) if line.endswith((" pay", " receipt", " archive"))][
        1:
    ]
    assert "waits for a person" in result.explain()
    assert "`pay` unknown" in result.explain()


def test_a_failure_of_a_tool_with_effects_is_a_failure() -> None:
    """A tool that itself says that it failed leaves nothing open, whatever its effects are."""
    for error in (ConnectionError("down"), ValueError("no")):
        tool = ScriptedTool("pay", [error])
        assert {"a": "failed"} == statuses(run(PlanBuilder().step("a", "pay").build(), tool.tool))


def test_a_late_result_is_dropped() -> None:
    """What a call gives back after its limit does not count, not even inside the grace."""

    async def stubborn() -> str:
        try:
            await asyncio.sleep(100)
        except asyncio.CancelledError:
            await asyncio.sleep(1)
        return "late"

    for facts, status in (({}, "unknown"), ({"read_only": True, "retries": 0}, "failed")):
        tool = Tool.from_function(stubborn, timeout_s=10, **facts)
        step = run(PlanBuilder().step("a", "stubborn").build(), tool).steps["a"]
        assert (status, None, 11_000) == (step.status, step.output, step.latency_ms)


def test_the_whole_run_has_a_time_limit() -> None:
    """At the limit nothing more starts, running steps are cancelled, and the error is the run's own.

    A run that leaves open whether an effect has happened waits for a person.
    """
    slow = ScriptedTool("slow", takes_s=60, read_only=True)
    pay = ScriptedTool("pay", takes_s=60)
    plan = PlanBuilder().step("a", "slow").step("b", "slow", after=["a"]).step("p", "pay", after=["a"]).build()
    result, events = run_with_events(plan, slow.tool, pay.tool, timeout_s=90)
    assert "waiting" == result.status
    assert result.error is not None
    assert ("timeout", "the run took longer than 90 s") == (result.error.kind, result.error.message)
    assert {"a": "succeeded", "b": "cancelled", "p": "unknown"} == statuses(result)
    assert 90_000 == result.duration_ms
    assert "run run waits for a person: the run took longer than 90 s" in result.explain()
    assert "run-finished" == events[-1].type
    harmless = run(PlanBuilder().step("a", "slow").step("b", "slow", after=["a"]).build(), slow.tool, timeout_s=90)
    assert ("failed", "timeout") == (harmless.status, harmless.error and harmless.error.kind)
    in_time = run(plan, slow.tool, pay.tool, timeout_s=121)
    assert "succeeded" == in_time.status


@pytest.mark.parametrize("timeout_s", [0, -1, float("nan"), float("inf"), "5", True], ids=str)
def test_a_time_limit_that_is_none(timeout_s: Any) -> None:
    """What is no number of seconds is the caller's mistake."""
    with pytest.raises(UsageError, match="timeout_s is a number of seconds above 0"):
        run([Step("a", "work").to_dict()], ScriptedTool("work").tool, timeout_s=timeout_s)


def test_abandoned_calls_are_counted_and_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """When too many calls ignore their end, no more are made; when they end after all, calls are made again."""
    monkeypatch.setattr("planloom.engine.calls.MAX_ABANDONED", 2)
    clock = VirtualClock()
    events: list[Any] = []

    async def deaf() -> None:
        while (now := asyncio.get_running_loop().time()) < 50:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(50 - now)

    plan = (
        PlanBuilder()
        .step("a", "deaf")
        .step("b", "deaf")
        .step("early", "wait30")
        .step("refused", "echo", after=["early"])
        .step("late", "wait60")
        .step("allowed", "echo", after=["late"])
        .build()
    )
    tools: list[Any] = [
        tool_of(deaf, timeout_s=10, retries=0),
        ScriptedTool("wait30", takes_s=30, read_only=True).tool,
        ScriptedTool("wait60", takes_s=60, read_only=True).tool,
        ScriptedTool("echo", read_only=True).tool,
    ]
    result = clock.execute(plan, tools, on_event=lambda event: events.append(event))
    assert ["a", "b"] == [event.step_id for event in events if event.type == "call-abandoned"]
    expected = {"a": "timeout", "b": "timeout", "early": None, "refused": "limit", "late": None, "allowed": None}
    assert expected == kinds(result)
    error = result.steps["refused"].error
    assert error is not None
    assert "2 abandoned calls are still running; no more are made" == error.message
