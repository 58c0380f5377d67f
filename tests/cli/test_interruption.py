"""Signals, time limits and tools that will not end: the command line always exits, with what is known."""

# ruff: noqa: E501 (cases are data)

from __future__ import annotations

import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pytest

TOOLS = ("--tools", "tools.py")
DELIVERY_S = 20.0
"""From the signal or the start to the end, at most: the graces of run and command line, on a very busy machine.
Without them the tools here would go on for a minute."""


class Case(NamedTuple):
    """A plan, what is sent to it once stderr has shown `when`, and how it must end."""

    steps: tuple[dict[str, Any], ...]
    code: int
    status: str
    states: dict[str, str]
    said: tuple[str, ...] = ()
    argv: tuple[str, ...] = ("--json",)
    when: str = ""
    signals: tuple[signal.Signals, ...] = ()


WAITING = ({"id": "a", "tool": "wait"}, {"id": "b", "tool": "wait", "depends_on": ["a"]})
CASES = {
    "ctrl-c": Case(
        WAITING, 130, "cancelled", {"a": "cancelled", "b": "cancelled"}, ("asking 1 running step", "was cancelled"),
        when="start   a", signals=(signal.SIGINT,),
    ),
    "sigterm": Case(WAITING, 143, "cancelled", {"a": "cancelled"}, ("stopping: ",), when="start   a", signals=(signal.SIGTERM,)),
    "events": Case(
        WAITING, 130, "cancelled", {"a": "cancelled"}, argv=("--events",), when="", signals=(signal.SIGINT,),
    ),
    "an effect under way": Case(
        ({"id": "a", "tool": "maybe"},), 130, "cancelled", {"a": "unknown"}, ("may or may not",),
        when="start   a", signals=(signal.SIGINT,),
    ),
    "a tool that holds up the loop": Case(
        ({"id": "a", "tool": "block"}, {"id": "b", "tool": "maybe"}, {"id": "c", "tool": "add", "args": {"a": 1}}),
        130, "cancelled", {"a": "cancelled", "b": "unknown"}, ("`a` has blocked the event loop",),
        when="has blocked", signals=(signal.SIGINT,),
    ),
    "a tool that holds it up in Python": Case(
        ({"id": "a", "tool": "spin"},), 143, "cancelled", {"a": "cancelled"}, when="start   a", signals=(signal.SIGTERM,)
    ),
    "events of a run that was cut off": Case(
        ({"id": "a", "tool": "block"}, {"id": "b", "tool": "wait", "depends_on": ["a"]}), 130, "cancelled",
        {"a": "cancelled", "b": "cancelled"}, argv=("--events",), when="has blocked", signals=(signal.SIGINT,),
    ),
    "a tool that does not listen": Case(
        ({"id": "a", "tool": "stubborn"},), 130, "cancelled", {"a": "cancelled"}, ("left behind",),
        when="start   a", signals=(signal.SIGINT,),
    ),
    "a loop held up past the step's limit": Case(
        ({"id": "a", "tool": "spin", "timeout_s": 0.5}, {"id": "b", "tool": "add", "args": {"a": 1}, "depends_on": ["a"]}),
        1, "failed", {"a": "failed", "b": "cancelled"}, ("step `a` still blocks the event loop after its time limit",),
    ),
    "a loop held up past the run's limit": Case(
        ({"id": "a", "tool": "block"},), 1, "failed", {"a": "cancelled"}, ("longer than 0.5 s while step `a` blocked",),
        argv=("--json", "--timeout", "0.5"),
    ),
    "a step that outlives its limit": Case(
        ({"id": "a", "tool": "stubborn", "timeout_s": 0.2},), 1, "failed", {"a": "failed"}, ("left behind", "timed out"),
    ),
    "tasks and threads left behind": Case(({"id": "a", "tool": "litter"},), 0, "succeeded", {"a": "succeeded"}),
    "tasks and threads that fail": Case(
        ({"id": "a", "tool": "spoiled"},), 0, "succeeded", {"a": "succeeded"}, ("a thread went wrong", "a task went wrong"),
    ),
}  # fmt: skip


class Outcome(NamedTuple):
    """How a case ended, and how long that took from the signal, or from the start where there was none."""

    ended: Any
    took_s: float


@pytest.fixture(scope="module")
def outcomes(new_command: Callable[[], Any], stop_when_seen: Callable[..., Any]) -> dict[str, Outcome]:
    """Every case, run side by side, because most of them wait for some grace to pass."""

    def run(case: Case) -> Outcome:
        command = new_command()
        command.plan(*case.steps)
        # not kept: a call with an effect is made only when its start is on the disk, some time after it is told
        process = command.start("execute", "plan.json", *TOOLS, "--no-journal", *case.argv)
        ended, took_s = stop_when_seen(process, case.when, case.signals)
        return Outcome(ended, took_s)

    with ThreadPoolExecutor(max_workers=6) as pool:
        return dict(zip(CASES, pool.map(run, CASES.values()), strict=True))


@pytest.mark.parametrize("name", CASES)
def test_ends(outcomes: dict[str, Outcome], name: str) -> None:
    """The exit code is the documented one, and a complete result comes out, soon."""
    case, (ended, took_s) = CASES[name], outcomes[name]
    assert case.code == ended.code, ended.stderr
    result = ended.events[-1]["data"]["result"] if "--events" in case.argv else ended.document
    assert case.status == result["status"]
    assert {step["id"] for step in case.steps} == result["steps"].keys()
    for step_id, status in case.states.items():
        assert status == result["steps"][step_id]["status"]
    for fragment in case.said:
        assert fragment in ended.stderr
    assert "Traceback" not in ended.stderr
    assert took_s < DELIVERY_S


def test_events_of_a_cut_off_run_are_complete(outcomes: dict[str, Outcome]) -> None:
    """Every step has its end, and the numbers have no gap, although the loop never said so itself."""
    events = outcomes["events of a run that was cut off"].ended.events
    assert list(range(1, len(events) + 1)) == [event["seq"] for event in events]
    ends = {event["step_id"]: event["type"] for event in events if event["step_id"]}
    assert {"a": "step-cancelled", "b": "step-cancelled"} == ends


def test_second_ctrl_c_leaves_at_once(command: Any, seen: Callable[..., str]) -> None:
    """The second Ctrl-C does not wait for any grace."""
    command.plan({"id": "a", "tool": "stubborn"})
    process = command.start("execute", "plan.json", *TOOLS)
    seen(process, "start   a")
    process.send_signal(signal.SIGINT)
    seen(process, "stopping: ")
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=DELIVERY_S)
    assert 130 == process.returncode
    assert b"interrupted" in stderr
    assert b"was cancelled" not in stderr  # what is said once the grace has passed


def test_ctrl_c_before_the_run(command: Any, seen: Callable[..., str]) -> None:
    """While tools are loaded there is nothing to wait for, and no traceback to be shown."""
    command.plan({"id": "a", "tool": "add", "args": {"a": 1}})
    command.write("slow.py", "import sys, time\nprint('loading', file=sys.stderr, flush=True)\ntime.sleep(60)\n")
    process = command.start("execute", "plan.json", "--tools", "slow.py")
    seen(process, "loading")
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=DELIVERY_S)
    assert (130, b"\ninterrupted\n") == (process.returncode, stderr)


@pytest.mark.slow
def test_frozen_interpreter(command: Any) -> None:
    """A process in which no Python code can run any more ends too, and shows where it was held up."""
    command.plan({"id": "a", "tool": "freeze", "timeout_s": 0.1})
    ended = command("execute", "plan.json", *TOOLS)
    assert 1 == ended.code
    assert "tools.py" in ended.stderr
    assert "in freeze" in ended.stderr


def test_reader_who_leaves(command: Any) -> None:
    """A pipe that nobody reads any more changes no exit code, quietly; only a stream of events has its run stopped."""
    command.plan({"id": "a", "tool": "counted"})
    command.plan({"id": "a", "tool": "echo", "args": {"value": "x" * 200_000}}, name="large.json")
    command.plan({"id": "a", "tool": "boom"}, name="fails.json")
    command.plan({"id": "a", "tool": "nobody"}, name="invalid.json")
    for argv, code in (
        (("--help",), 0),
        (("tools", "--json"), 0),
        (("graph", "plan.json"), 0),
        (("validate", "invalid.json", *TOOLS), 3),
        (("execute", "invalid.json", *TOOLS, "--json"), 3),
        (("execute", "large.json", *TOOLS), 0),
        (("execute", "large.json", *TOOLS, "--json"), 0),
        (("execute", "fails.json", *TOOLS, "--json"), 1),
        (("execute", "plan.json", *TOOLS, "--events"), 1),
    ):
        process = command.start(*argv)
        process.stdout.close()
        _, stderr = process.communicate(timeout=DELIVERY_S)
        assert code == process.returncode, argv
        for word in (b"Traceback", b"error:", b"Broken"):
            assert word not in stderr


def test_full_disk(command: Any) -> None:
    """What cannot be written is said, and is a failure."""
    with Path("/dev/full").open("wb") as full:
        for argv in (("tools", *TOOLS, "--json"), ("--help",)):
            ended = command(*argv, stdout=full)
            assert 1 == ended.code
            assert "No space left on device" in ended.stderr
            assert "internal error" not in ended.stderr
