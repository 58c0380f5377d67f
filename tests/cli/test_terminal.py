"""On a terminal: a display that moves, answers that stay, and no control codes for those who do not want any."""

from __future__ import annotations

import re
import signal
from typing import Any

import pytest

TOOLS = ("--tools", "tools.py")
CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def test_live_display(command: Any) -> None:
    """Every step has a line that says what it does, waits for, and how it ended; what tools print stands above."""
    command.plan(
        {"id": "first", "tool": "wait", "args": {"seconds": 0.6}},
        {"id": "second", "tool": "add", "args": {"a": 1}, "depends_on": ["first"]},
        {"id": "broken", "tool": "boom", "args": {"text": "[red]\x1b[2Jgone"}},
        {"id": "never", "tool": "add", "args": {"a": 1}, "depends_on": ["broken"]},
        {"id": "child", "tool": "shout"},
        goal="show [bold]all[/bold]",
    )
    code, shown = command.in_terminal("execute", "plan.json", *TOOLS, columns=100).end()
    assert 1 == code
    plain = CODES.sub("", shown)
    for words in (
        "show [bold]all[/bold]",
        "waits for first",
        "adding 1 and 1",
        "✓ second",
        "✗ broken",
        r"ValueError: [red]\x1b[2Jgone",
        "» never",
        "5 of 5 steps ended · 1 failed · 1 skipped",
        "from a child\r\n",
    ):
        assert words in plain
    assert "\x1b[2J" not in shown
    assert "1 later step was skipped: `never`\r\n" in shown
    assert "go on: planloom resume " in shown.splitlines()[-1]
    assert "\x1b[?25h" in shown


def test_progress_and_ctrl_c(command: Any) -> None:
    """Progress is shown as it is reported; Ctrl-C leaves the final state and a visible cursor."""
    command.plan({"id": "slow", "tool": "counted"}, {"id": "later", "tool": "wait", "depends_on": ["slow"]})
    terminal = command.in_terminal("execute", "plan.json", *TOOLS)
    terminal.until(r"half \x1b[31mway")
    terminal.process.send_signal(signal.SIGINT)
    code, shown = terminal.end()
    assert 130 == code
    plain = CODES.sub("", shown)
    assert "stopping: asking 1 running step to end" in plain
    assert "0 of 2 steps ended · 2 stopped" in plain
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")


def test_large_plan_does_not_flood(command: Any) -> None:
    """Of a thousand steps a screenful is shown at a time, whatever the size of the screen."""
    steps = [{"id": f"s{number}", "tool": "wait", "args": {"seconds": 0.3}} for number in range(1000)]
    command.plan(*steps, {"id": "bad", "tool": "boom"})
    code, shown = command.in_terminal("execute", "plan.json", *TOOLS, lines=20, stdout=-3).end()
    assert 1 == code
    plain = CODES.sub("", shown)
    assert "1,001 of 1,001 steps ended · 1 failed" in plain
    frames = shown.split("steps ended")
    assert max(frame.count("\n") for frame in frames) <= 20
    assert "✗ bad" in CODES.sub("", frames[-2])


@pytest.mark.parametrize("wish", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_no_control_codes(command: Any, wish: dict[str, str]) -> None:
    """Who wants no colours, or has a terminal that cannot do more, gets plain lines."""
    command.plan({"id": "a", "tool": "echo", "args": {"value": "x\x1b[31m"}})
    code, shown = command.in_terminal("execute", "plan.json", *TOOLS, env=wish).end()
    assert 0 == code
    assert "\x1b" not in shown
    assert "start   a (echo)" in shown


def test_streams_apart(command: Any) -> None:
    """A document can be piped while the display is on the terminal."""
    command.plan({"id": "a", "tool": "shout"})
    terminal = command.in_terminal("execute", "plan.json", *TOOLS, "--json", stdout=-1)
    document = terminal.process.stdout.read()
    code, shown = terminal.end()
    assert (0, b'{"version":1,') == (code, document[:13])
    assert "1 of 1 step ended" in CODES.sub("", shown)


def test_tables_fit_the_terminal(command: Any) -> None:
    """A table is as wide as the terminal."""
    for columns in (60, 120):
        code, shown = command.in_terminal("tools", columns=columns).end()
        assert 0 == code
        widths = [len(line) for line in CODES.sub("", shown).replace("\r", "").split("\n")]
        assert columns - 20 < max(widths) <= columns


def test_stdin_is_a_terminal(command: Any) -> None:
    """With `--no-input` nobody is waited for."""
    code, shown = command.in_terminal("validate", "-", "--no-input").end()
    assert 2 == code
    assert "stdin is a terminal" in shown
