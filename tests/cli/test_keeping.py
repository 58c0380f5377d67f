"""Runs are kept without being asked to, and go on without being told again with what."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
from goal_cases import MODEL, SUM, TOOLS, answering

from conftest import Command, Inside, read_until
from planloom.testing import ModelServer

KEPT_AT = Path(".local/state/planloom/runs.db")
PAYING = '''
import time
from planloom import tool

@tool(read_only=True)
def look() -> int:
    """Look something up."""
    return 2

@tool
def pay() -> str:
    """Have an effect, and take long."""
    print("paying", flush=True)
    time.sleep(60)
    return "paid"
'''


def listed(command: Command, *argv: str) -> list[str]:
    """The ids of the runs that are kept."""
    return [run["run_id"] for run in command("runs", "--json", *argv).document["runs"]]


def test_kept_by_default(command: Command) -> None:
    """A run is kept in the state folder, which only its owner may read, and nothing is said about it."""
    command.plan({"id": "a", "tool": "add", "args": {"a": 1}})
    done = command("execute", "plan.json", *TOOLS, "--json")
    assert (0, False) == (done.code, "kept as" in done.stderr)
    assert [done.document["run_id"]] == listed(command)
    assert 0o700 == (command.folder / KEPT_AT).parent.stat().st_mode & 0o777
    assert done.document["answer"] == command("resume", "last", "--json").document["answer"]


@pytest.mark.parametrize(
    ("argv", "env"),
    [(("--no-journal",), {}), ((), {"PLANLOOM_NO_JOURNAL": "1"})],
    ids=["an option", "a variable"],
)
def test_not_kept(argv: tuple[str, ...], env: dict[str, str], command: Command) -> None:
    """Whoever wants to keep nothing keeps nothing, not even a file."""
    command.plan({"id": "a", "tool": "add", "args": {"a": 1}})
    assert 0 == command("execute", "plan.json", *TOOLS, *argv, env=env).code
    assert not (command.folder / KEPT_AT).exists()


def test_another_state_folder(command: Command) -> None:
    """XDG_STATE_HOME moves the journal."""
    command.plan({"id": "a", "tool": "add", "args": {"a": 1}})
    env = {"XDG_STATE_HOME": str(command.folder / "elsewhere")}
    assert 0 == command("execute", "plan.json", *TOOLS, env=env).code
    assert (command.folder / "elsewhere/planloom/runs.db").exists()


@pytest.mark.parametrize("blocked", [".local", ".local/state/planloom"])
def test_no_place_to_keep_it(blocked: str, command: Command) -> None:
    """A state folder that cannot be made is no reason not to run: it is said, and the run goes on."""
    (command.folder / blocked).parent.mkdir(parents=True, exist_ok=True)
    (command.folder / blocked).write_text("a file, not a folder")
    command.plan({"id": "a", "tool": "add", "args": {"a": 1}})
    done = command("execute", "plan.json", *TOOLS)
    assert (0, "2\n") == (done.code, done.stdout)
    assert 1 == done.stderr.count("note: this run is not kept"), done.stderr


def test_a_default_journal_that_is_none(command: Command) -> None:
    """A file that is no journal is refused, and how to do without it is said."""
    (command.folder / KEPT_AT).parent.mkdir(parents=True)
    (command.folder / KEPT_AT).write_text("not a database, and longer than a page " * 200)
    command.plan({"id": "a", "tool": "add", "args": {"a": 1}})
    refused = command("execute", "plan.json", *TOOLS)
    assert (1, "") == (refused.code, refused.stdout)
    assert "--no-journal" in refused.stderr


def test_killed_and_gone_on_with_from_elsewhere(command: Command) -> None:
    """A killed run goes on in another folder, with its own tools, and what had succeeded is not done again."""
    command.write("shop.py", PAYING)
    command.plan({"id": "look", "tool": "look"}, {"id": "pay", "tool": "pay", "depends_on": ["look"]})
    process = command.start("execute", "plan.json", "--tools", "shop.py")
    read_until(process, "paying")
    process.send_signal(signal.SIGKILL)
    process.wait()
    elsewhere = command.folder / "elsewhere"
    elsewhere.mkdir()
    waiting = command("resume", "last", "--json", cwd=elsewhere)
    assert (5, "unknown") == (waiting.code, waiting.document["steps"]["pay"]["status"])
    done = command("resume", "last", "--json", "--set", 'pay="paid"', cwd=elsewhere)
    assert (0, "paid", 2) == (done.code, done.document["answer"], done.document["steps"]["look"]["output"])


def test_a_goal_goes_on(inside: Inside) -> None:
    """A goal whose joiner failed goes on with its own tools and models; its plan is not paid for again."""
    with ModelServer(answering(SUM, answer="")) as server:
        failed = inside("run", "add up", *TOOLS, *MODEL, "--base-url", server.base_url, "--json")
        assert 4 == failed.code, failed.stderr
        run_id = failed.document["run_id"]
        assert f"go on: planloom resume {run_id}" in failed.stderr
    with ModelServer(answering(SUM, answer="It is 7.")) as server:
        done = inside("resume", "last", "--base-url", server.base_url, "--json")
        assert (0, "It is 7.") == (done.code, done.document["answer"]), done.stderr
        assert 1 == len(server.requests)
    shown = json.loads(inside("show", "last", "--json").stdout)
    assert ("succeeded", "run", run_id) == (shown["status"], shown["kind"], shown["run_id"])
