"""Where options come from: the command line, then the environment, then planloom.toml here, then the user's own."""

from __future__ import annotations

from typing import Any

import pytest

TOOLS = ("--tools", "tools.py")


@pytest.fixture
def plan(command: Any) -> Any:
    """A plan whose answer is its input `city`, and settings of the user that name the tools."""
    command.plan({"id": "a", "tool": "echo", "args": {"value": "{{inputs.city}}"}}, inputs={"city": "Bergen"})
    (command.folder / "configuration" / "planloom").mkdir(parents=True)
    command.write("configuration/planloom/planloom.toml", 'tools = ["tools.py"]\n[execute.input]\ncity = "Tromsø"\n')
    command.environment["XDG_CONFIG_HOME"] = str(command.folder / "configuration")
    return command


def test_order_of_sources(plan: Any) -> None:
    """Each source goes over the one before it."""
    assert "Tromsø\n" == plan("execute", "plan.json").stdout
    plan.write("planloom.toml", '[execute]\ninput = ["city=Bodø"]\nno-input = true\n')
    assert "Bodø\n" == plan("execute", "plan.json").stdout
    everywhere = {"PLANLOOM_INPUT": "city=Moss\nmore=a b"}
    assert "Moss\n" == plan("execute", "plan.json", env=everywhere).stdout
    own = {**everywhere, "PLANLOOM_EXECUTE_INPUT": "city=Skien"}
    assert "Skien\n" == plan("execute", "plan.json", env=own).stdout
    assert "Oslo\n" == plan("execute", "plan.json", "--input", "city=Oslo", env=own).stdout


def test_modes_from_different_sources(plan: Any) -> None:
    """`--events` on the command line goes over `json` in the settings; named alike, they contradict each other."""
    plan.write("planloom.toml", "json = true\ntimeout = 30\n[tools]\njson = false\n")
    assert "succeeded" == plan("execute", "plan.json").document["status"]
    assert "run-finished" == plan("execute", "plan.json", "--events").events[-1]["type"]
    plan.write("planloom.toml", "json = true\nevents = true\n")
    assert 2 == plan("execute", "plan.json").code
