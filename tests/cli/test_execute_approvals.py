"""`planloom execute --approve`: a person's word before a plan without a model, and before its effects."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from conftest import Command, Ended, Inside

SHOP = """
from pathlib import Path
from planloom import tool

@tool(read_only=True)
def look(name: str) -> str:
    \"\"\"Look something up.\"\"\"
    return name.upper()

@tool
def pay(whom: str) -> str:
    \"\"\"Have an effect.\"\"\"
    with Path("calls").open("a") as calls:
        calls.write("pay " + whom + "\\n")
    return "paid " + whom
"""
PLAN = """{"steps": [
    {"id": "a", "tool": "look", "args": {"name": "ann"}},
    {"id": "p", "tool": "pay", "args": {"whom": "{{a.output}}"}, "depends_on": ["a"]}
]}"""
EXECUTE = ("execute", "plan.json", "--tools", "shop.py")
STATES = {"plan": {"a": "pending", "p": "pending"}, "effects": {"a": "succeeded", "p": "waiting"}}
NAMED = {"plan": (), "effects": ("p",)}


@pytest.fixture
def shop(inside: Inside) -> Inside:
    (inside.folder / "shop.py").write_text(SHOP)
    (inside.folder / "plan.json").write_text(PLAN)
    return inside


def _calls(folder: Path) -> list[str]:
    return (folder / "calls").read_text().splitlines() if (folder / "calls").exists() else []


def _states(ended: Ended) -> dict[str, str]:
    return {name: step["status"] for name, step in ended.document["steps"].items()}


@pytest.mark.parametrize("kind", ["plan", "effects"])
def test_nobody_is_there(kind: str, shop: Inside) -> None:
    """The run waits with exit code 5, and goes on once there is a word; it is not asked for again."""
    waiting = shop(*EXECUTE, "--approve", kind, "--json")
    assert (5, "waiting", STATES[kind]) == (waiting.code, waiting.document["status"], _states(waiting)), waiting.stderr
    assert "planloom approve" in waiting.stderr
    again = shop("resume", "last", "--json")
    assert (5, "waiting") == (again.code, again.document["status"])
    assert [] == _calls(shop.folder)
    assert 0 == shop("approve", "last", *NAMED[kind]).code
    done = shop("resume", "last", "--json")
    assert (0, "paid ANN") == (done.code, done.document["answer"]), done.stderr
    assert ["pay ANN"] == _calls(shop.folder)


@pytest.mark.parametrize("kind", ["plan", "effects"])
def test_denied(kind: str, shop: Inside) -> None:
    """A no fails the run and nothing is called; it can be taken back."""
    assert 5 == shop(*EXECUTE, "--approve", kind).code
    assert 0 == shop("deny", "last", *NAMED[kind]).code
    failed = shop("resume", "last", "--json")
    assert (1, "failed", []) == (failed.code, failed.document["status"], _calls(shop.folder)), failed.stderr
    assert "what was denied stays so" in failed.stderr
    assert 0 == shop("approve", "last", *NAMED[kind]).code
    assert (0, ["pay ANN"]) == (shop("resume", "last").code, _calls(shop.folder))


def test_at_a_terminal(command: Command) -> None:
    """A person who is there is asked, and the run goes on at once."""
    command.write("shop.py", SHOP)
    command.write("plan.json", PLAN)
    terminal = command.in_terminal(*EXECUTE, "--approve", "plan", "--approve", "effects")
    for asked in ("Run this plan? [y]es, [n]o, empty leaves it waiting > ", "Call `pay`? [y]es, [n]o, empty"):
        terminal.until(asked)
        terminal.until("waiting > ")
        os.write(terminal.control, b"y\n")
    code, seen = terminal.end()
    assert 0 == code, seen
    assert ["pay ANN"] == _calls(command.folder)
