"""A run that is stopped while a call with an effect is under way: what it says, how it ends, and how it goes on."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from typing import Any

from conftest import Command, finish, read_until

PAYING = """
import time
from pathlib import Path
from planloom import tool

@tool
def pay(amount: int = 1) -> str:
    \"\"\"Pay something; the first time it takes long.\"\"\"
    if Path("paid").exists():
        return "paid"
    Path("paid").touch()
    print("now paying", flush=True)
    time.sleep(60)

@tool(read_only=True)
def look() -> int:
    \"\"\"Look at something.\"\"\"
    return 2
"""
STEPS = ({"id": "pay", "tool": "pay"}, {"id": "look", "tool": "look", "depends_on": ["pay"]})
RUN = ("execute", "plan.json", "--tools", "shop.py")
THREE_WAYS = ("--retry pay (call it again)", "--skip pay (leave it out)", "--set pay=JSON (it is done")


def _paying(command: Command, *options: str) -> Any:
    command.write("shop.py", PAYING)
    command.plan(*STEPS)
    return command.start(*RUN, *options)


def _status_in_list(command: Command) -> str:
    return json.loads(command("runs", "--json").stdout)["runs"][0]["status"]


def _shown(command: Command) -> tuple[str, dict[str, str], str]:
    shown = command("show", "last", "--json").document
    return (
        shown["status"],
        {name: step["status"] for name, step in shown["steps"].items()},
        command("show", "last").stderr,
    )


def test_the_time_limit_of_the_run(command: Command) -> None:
    """A run whose own limit cuts off an effect waits for a person, with exit code 5, wherever one looks."""
    ended = finish(_paying(command, "--timeout", "0.5", "--json"))
    assert (5, "waiting") == (ended.code, ended.document["status"])
    assert {"pay": "unknown", "look": "cancelled"} == {
        name: step["status"] for name, step in ended.document["steps"].items()
    }
    assert ("timeout", "the run took longer than 0.5 s") == (
        ended.document["error"]["kind"],
        ended.document["error"]["message"],
    )
    assert "waits for a person: the run took longer than 0.5 s" in ended.stderr
    assert all(way in ended.stderr for way in THREE_WAYS), ended.stderr
    assert "waiting" == _status_in_list(command)
    status, steps, said = _shown(command)
    assert ("waiting", {"pay": "unknown", "look": "cancelled"}) == (status, steps)
    assert all(way in said for way in THREE_WAYS), said
    done = command("resume", "last", "--json", "--retry", "pay")
    assert (0, "succeeded", 2) == (done.code, done.document["status"], done.document["answer"]), done.stderr


def test_ctrl_c(command: Command, stop_when_seen: Callable[..., Any]) -> None:
    """Ctrl-C ends it with 130 as `cancelled`, and says the three ways on; going on without one waits."""
    ended, _ = stop_when_seen(_paying(command, "--json"), "now paying", (signal.SIGINT,))
    assert (130, "cancelled", "unknown") == (
        ended.code,
        ended.document["status"],
        ended.document["steps"]["pay"]["status"],
    )
    assert all(way in ended.stderr for way in THREE_WAYS), ended.stderr
    assert "cancelled" == _status_in_list(command)
    status, steps, said = _shown(command)
    assert ("cancelled", {"pay": "unknown", "look": "cancelled"}) == (status, steps)
    assert all(way in said for way in THREE_WAYS), said
    assert "removed 0 runs" in command("runs", "prune", "--older-than", "0").stdout
    waiting = command("resume", "last", "--json")
    assert (5, "waiting") == (waiting.code, waiting.document["status"])
    assert "waiting" == _status_in_list(command)
    done = command("resume", "last", "--json", "--set", 'pay="by hand"')
    assert (0, "succeeded") == (done.code, done.document["status"]), done.stderr


def test_the_time_limit_while_the_loop_is_blocked(command: Command) -> None:
    """When the loop never comes back, the result says the same, with the same exit code."""
    steps = ({"id": "a", "tool": "block"}, {"id": "b", "tool": "maybe"})
    command.plan(*steps)
    ended = command("execute", "plan.json", "--tools", "tools.py", "--no-journal", "--json", "--timeout", "0.5")
    assert (5, "waiting") == (ended.code, ended.document["status"])
    assert {"a": "cancelled", "b": "unknown"} == {
        name: step["status"] for name, step in ended.document["steps"].items()
    }


def test_a_document_says_what_a_run_waits_for(command: Command) -> None:
    """Of a step that is unknown, `waiting` of `resume --json` and `show --json` says what may have happened."""
    process = _paying(command)
    read_until(process, "now paying")
    process.kill()
    process.wait()
    waiting = command("resume", "last", "--json")
    assert 5 == waiting.code
    assert ["pay"] == list(waiting.document["waiting"])
    assert "may or may not have had its effect" in waiting.document["waiting"]["pay"]
    assert waiting.document["waiting"] == command("show", "last", "--json").document["waiting"]
