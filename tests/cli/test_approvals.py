"""Approvals and questions at the terminal: no word is no yes, and what is asked about can be seen whole."""

from __future__ import annotations

import asyncio
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from goal_cases import MODEL, answering, plan_text, step

from planloom.agent.people import Approval
from planloom.cli.people import MAX_ARGUMENT_CHARS, TerminalPerson
from planloom.cli.terminal import Terminal
from planloom.testing import ModelServer
from planloom.tools import Toolbox, tool

CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
TOOLS = '''
from planloom import tool
from planloom.standard import ask_person

@tool(read_only=True)
def look(at: str) -> str:
    """Look at something."""
    return at

@tool
def publish(text: str) -> str:
    """Publish a text."""
    open("published.txt", "a").write(text)
    return f"published {text}"

@tool(read_only=True, retries=0)
def fail(text: str) -> str:
    """Fail."""
    raise ValueError("no luck")
'''
PUBLISH = plan_text(
    step("seen", "look", at="tea\x1b[2J"),
    step("title", "ask_person", question="Which title?", choices=["Tea", "Tee"]),
    step("out", "publish", "title", "seen", text="{{title.output}}: {{seen.output}}"),
    answer="{{out.output}}",
)
BROKEN = plan_text(step("seen", "look", at="tea"), step("page", "fail", "seen", text="{{seen.output}}"))
RECOVERY = json.dumps({"steps": [step("other", "look", "seen", at="{{seen.output}} again")]})


def start(command: Any, server: ModelServer, *argv: str) -> Any:
    command.write("people.py", TOOLS)
    return command.in_terminal(
        "run", "publish a note", *MODEL, "--tools", "people.py", "--base-url", server.base_url, *argv, columns=100
    )


def prompt(terminal: Any, words: str = "empty leaves it waiting > ") -> str:
    """Read to the next prompt; return what came before it, without control codes."""
    shown, _, terminal.seen = terminal.until(words).partition(words)
    return CODES.sub("", shown)


def type_in(terminal: Any, text: str) -> None:
    os.write(terminal.control, text.encode())


# ---- nobody is there, or nobody answers ------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["plan", "effects"])
def test_nobody_is_there(inside: Any, kind: str) -> None:
    """Without a terminal the run waits, exit code 5: nothing is published, and it is said what waits."""
    (inside.folder / "people.py").write_text(TOOLS.replace("from planloom.standard import ask_person", ""))
    plan = plan_text(step("out", "publish", text="tea"), answer="{{out.output}}")
    with ModelServer(answering(plan=plan)) as server:
        ended = inside("run", "x", *MODEL, "--tools", "people.py", "--base-url", server.base_url,
                       "--approve", kind, "--json")  # fmt: skip
    assert (5, "waiting") == (ended.code, ended.document["status"])
    assert not (inside.folder / "published.txt").exists()
    said = {"plan": "the plan waits for approval", "effects": "step `out` (publish) waits: may `publish` be called"}
    assert said[kind] in ended.stderr
    assert kind == "plan" or '{"text": "tea"}' in ended.stderr


def test_no_answer_and_typed_ahead(command: Any) -> None:
    """What was typed before the question is no answer to it, and an empty line is none either: exit code 5."""
    with ModelServer(answering(plan=PUBLISH), first_token_s=1.0) as server:
        terminal = start(command, server, "--approve", "plan")
        terminal.until("planning with")
        type_in(terminal, "y\ny\n")
        shown = prompt(terminal)
        type_in(terminal, "perhaps\n")
        assert "please answer y or n" in prompt(terminal)
        type_in(terminal, "\n")
        code, _ = terminal.end()
    assert 5 == code
    assert not (command.folder / "published.txt").exists()
    for words in ("out: publish  (has effects)", "text = {{title.output}}: {{seen.output}}", r"at = tea\x1b[2J"):
        assert words in shown


# ---- yes and no -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("word", "code"), [("n", 1), ("y", 0)])
def test_effects(command: Any, word: str, code: int) -> None:
    """A question of a tool is answered at the terminal; then the call is shown with its arguments, and asked about."""
    with ModelServer(answering(plan=PUBLISH)) as server:
        terminal = start(command, server, "--approve", "effects")
        assert "Which title? (one of: Tea / Tee)" in prompt(terminal, "empty leaves it open) > ")
        type_in(terminal, "My own\n")
        shown = prompt(terminal)
        assert r"text = My own: tea\x1b[2J" in shown
        type_in(terminal, f"{word}\n")
        ended, shown = terminal.end()
    assert code == ended, shown
    assert (code == 0) == (command.folder / "published.txt").exists()
    assert "\x1b[2J" not in shown
    assert ("published My own" in shown) == (code == 0)


def test_recovery_is_asked_again(command: Any) -> None:
    """A recovery plan needs its own word; what was seen before is not shown at length again."""
    with ModelServer(answering(plan=BROKEN, recovery=RECOVERY, answer="Tea again.")) as server:
        terminal = start(command, server, "--approve", "plan")
        assert "the plan has changed" not in prompt(terminal)
        type_in(terminal, "y\n")
        shown = prompt(terminal)
        assert "the plan has changed; as you saw it before: seen" in shown
        assert "\nother: look\r\n    at = {{seen.output}} again" in shown
        type_in(terminal, "y\n")
        code, shown = terminal.end()
    assert 0 == code, shown
    assert "Tea again." in shown


# ---- what is shown ------------------------------------------------------------------------------------------


@tool(destructive=True)
def remove(path: str) -> str:
    """Remove a file."""
    return path


def test_long_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cut is said, with how much is missing; what a call may do is said too."""
    said: list[str] = []
    monkeypatch.setattr(Terminal, "say", lambda _terminal, text, _colour=None: said.append(text))
    reading, writing = os.pipe()
    os.write(writing, b"n\n")
    path = "a" * MAX_ARGUMENT_CHARS + "b" * 1234
    approval = Approval("effects", "digest", None, "clean", "remove", {"path": path, "note": "one\ntwo\x1b[2J"})
    with os.fdopen(reading) as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        assert asyncio.run(TerminalPerson(Terminal(), Toolbox([remove])).approve(approval)) is False
    os.close(writing)
    assert [
        "",
        "step `clean` wants to call `remove` (destructive)",
        f"    path = {'a' * MAX_ARGUMENT_CHARS} … and 1,234 characters more, not shown",
        "    note = one\n        two\\x1b[2J",
    ] == said


def test_nobody_when_input_is_no_terminal(tmp_path: Path) -> None:
    """A person is there only at a terminal, and only where they may be asked."""
    assert TerminalPerson.at(Terminal(), Toolbox([]), may_ask=True) is None
    assert TerminalPerson.at(Terminal(), Toolbox([]), may_ask=False) is None


def test_only_what_waits_is_said(command: Any) -> None:
    """Of two questions the answered one is not said at the end."""
    with ModelServer(answering(plan=PUBLISH)) as server:
        terminal = start(command, server, "--approve", "effects")
        prompt(terminal, "empty leaves it open) > ")
        type_in(terminal, "My own\n")
        prompt(terminal)
        type_in(terminal, "\n")
        code, shown = terminal.end()
    said = CODES.sub("", shown).rpartition(" waits for a person\r\n")[2]
    assert 5 == code
    assert "step `out` (publish) waits: may `publish` be called" in said
    assert "step `title`" not in said
