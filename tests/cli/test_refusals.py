"""Every way to get it wrong, from outside: the exit code, a sentence that helps, and never a traceback."""

# ruff: noqa: E501 (a case stands on one line)

from __future__ import annotations

import shlex
import sys
from typing import Any, NamedTuple

import pytest

TOOLS = ("--tools", "tools.py")
GOOD = {"steps": [{"id": "a", "tool": "add", "args": {"a": 1}, "depends_on": [], "description": "add"}]}
BROKEN = {"steps": [{"id": "a", "tool": "ad", "args": {"b": "x"}, "depends_on": ["b"], "description": "add"}]}


class Case(NamedTuple):
    """A command line that must be refused."""

    argv: tuple[str, ...]
    code: int
    said: tuple[str, ...]
    files: dict[str, Any] = {}  # noqa: RUF012
    stdin: str | None = None
    env: dict[str, str] = {}  # noqa: RUF012
    is_stdin_closed: bool = False


CASES = {
    "unknown command": Case(("excute", "plan.json"), 2, ("no command `excute`", "did you mean `execute`?")),
    "unknown option": Case(("execute", "plan.json", "--jso"), 2, ("--jso", "--json")),
    "no plan named": Case(("execute",), 2, ("name one plan", "--playbook NAME")),
    "plan is not there": Case(("execute", "plam.json", *TOOLS), 2, ("no file `plam.json`", "did you mean `plan.json`?")),
    "plan is a folder": Case(("validate", "."), 2, ("is a folder",)),
    "stdin is closed": Case(("validate", "-"), 2, ("it is closed",), is_stdin_closed=True),
    "plan is not JSON": Case(("validate", "-"), 3, (), stdin="{"),
    "plan is no plan": Case(("execute", "-", *TOOLS), 3, ("plan rejected",), stdin='"hello"'),
    "plan is empty": Case(("execute", "-", *TOOLS), 3, ("the text is empty",), stdin=""),
    "plan is binary": Case(("graph", "plan.bin"), 3, ("not UTF-8",), {"plan.bin": b"\xff\xfe\x00"}),
    "plan is invalid": Case(
        ("execute", "broken.json", *TOOLS), 3, ("plan rejected: ", "unknown-tool", "/steps/0/tool", "hint: "), {"broken.json": BROKEN}
    ),
    "json and events": Case(("execute", "plan.json", "--json", "--events"), 2, ("--json and --events",)),
    "events into a file": Case(("execute", "plan.json", "--events", "--output", "o"), 2, ("--events", "--output")),
    "tools are not there": Case(("execute", "plan.json", "--tools", "tols.py"), 2, ("tols.py", "did you mean `tools.py`?")),
    "module is not there": Case(("tools", "--tools", "no_such_module"), 2, ("no module called `no_such_module`",)),
    "tools do not load": Case(("tools", "--tools", "bad.py"), 2, ("ZeroDivisionError", "bad.py:1"), {"bad.py": "1/0"}),
    "tools call exit": Case(("tools", "--tools", "bad.py"), 2, ("sys.exit(0)",), {"bad.py": "import sys; sys.exit(0)"}),
    "no tool in it": Case(("tools", "--tools", "bad.py"), 2, ("no tool",), {"bad.py": "x = 1"}),
    "two tools of a name": Case(
        ("tools", *TOOLS, "--tools", "more.py"), 2, ("two tools are called `add`",),
        {"more.py": "from planloom import tool\n@tool\ndef add() -> int:\n    return 1\n"},
    ),
    "input without value": Case(("execute", "plan.json", *TOOLS, "--input", "city"), 2, ("name=value", "`city`")),
    "concurrency of none": Case(("execute", "plan.json", "--max-concurrency", "0"), 2, ("--max-concurrency",)),
    "timeout of nothing": Case(("execute", "plan.json", "--timeout", "0"), 2, ("--timeout",)),
    "timeout not a number": Case(("execute", "plan.json", "--timeout", "nan"), 2, ("--timeout",)),
    "wrong variable": Case(
        ("execute", "plan.json"), 2, ("--max-concurrency", "many"), env={"PLANLOOM_MAX_CONCURRENCY": "many"}
    ),
    "no folder for the output": Case(("validate", "plan.json", *TOOLS, "--output", "no/such.json"), 2, ("no folder `no`",)),
    "output is a folder": Case(("tools", *TOOLS, "--output", "."), 2, ("is a folder",)),
    "unknown format": Case(("graph", "plan.json", "--format", "png"), 2, ("png", "mermaid")),
    "question without a model": Case(
        ("analyse", "data.csv", "--ask", "why?"), 2,
        ("`planloom analyse` needs a model", "GROQ_API_KEY", "OPENAI_API_KEY", "--base-url"), {"data.csv": "a\n1\n"},
    ),
    "question without words": Case(("analyse", "data.csv", "--ask", " "), 2, ("it is empty",), {"data.csv": "a\n1\n"}),
    "question with another's key": Case(
        ("analyse", "data.csv", "--ask", "why?", "--model", "openai:x"), 2, ("OPENAI_API_KEY",), {"data.csv": "a\n1\n"},
        env={"GROQ_API_KEY": "secret-value"},
    ),
    "data is not there": Case(("analyse", "dat.csv"), 2, ("no file `dat.csv`", "did you mean `data.csv`?"), {"data.csv": "a\n1\n"}),
    "data is a folder": Case(("analyse", "."), 2, ("is a folder",)),
    "report over the data": Case(("analyse", "data.csv", "--output", "data.csv"), 2, ("overwritten",), {"data.csv": "a\n1\n"}),
    "data is empty": Case(("analyse", "data.csv"), 1, ("empty",), {"data.csv": ""}),
    "settings are not TOML": Case(("validate", "plan.json"), 2, ("planloom.toml is not valid TOML",), {"planloom.toml": "a ="}),
    "settings are binary": Case(("validate", "plan.json"), 2, ("planloom.toml is not UTF-8",), {"planloom.toml": b"\xff"}),
    "unknown setting": Case(
        ("validate", "plan.json"), 2, ("unknown key `max-concurency`", "did you mean `max-concurrency`?"), {"planloom.toml": "max-concurency = 2"}
    ),
    "setting of another command": Case(
        ("validate", "plan.json"), 2, ("unknown key `timeout`", "`planloom graph`"), {"planloom.toml": "[graph]\ntimeout = 2"}
    ),
    "settings for no command": Case(
        ("validate", "plan.json"), 2, ("no command `exec`",), {"planloom.toml": "[exec]\ntimeout = 2"}
    ),
    "unknown tool among the built-in ones": Case(
        ("execute", "plan.json"), 3, ("unknown-tool", "built-in analysis tools\nhint: name yours with --tools FILE.py")
    ),
    "input too large for a number": Case(
        ("execute", "plan.json", *TOOLS, "--input", "x=[1, 1e999]"), 2, ("--input x", "1e999 is too large", "double quotes")
    ),
    "setting of a wrong type": Case(
        ("execute", "plan.json"), 2, ("`max-concurrency` is a whole number",), {"planloom.toml": 'max-concurrency = "2"'}
    ),
    "setting out of range": Case(
        ("execute", "plan.json"), 2, ("`max-concurrency`", "x>=1"), {"planloom.toml": "max-concurrency = 0"}
    ),
    "step fails": Case(
        ("execute", "fails.json", *TOOLS), 1, ("no luck", "1 later step was skipped"),
        {"fails.json": {"steps": [
            {"id": "a", "tool": "boom", "args": {}, "depends_on": [], "description": "d"},
            {"id": "b", "tool": "add", "args": {"a": 1}, "depends_on": ["a"], "description": "d"},
        ]}},
    ),
    "run takes too long": Case(
        ("execute", "slow.json", *TOOLS, "--timeout", "0.2"), 1, ("longer than 0.2 s",),
        {"slow.json": {"steps": [{"id": "a", "tool": "wait", "args": {}, "depends_on": [], "description": "d"}]}},
    ),
    "effect is left open": Case(
        ("execute", "open.json", *TOOLS), 5, ("waits for a person", "may or may not"),
        {"open.json": {"steps": [{"id": "a", "tool": "maybe", "args": {}, "depends_on": [], "description": "d", "timeout_s": 0.1}]}},
    ),
}  # fmt: skip


def run(command: Any, case: Case) -> Any:
    """Run the command in a folder with the case's files."""
    command.write("plan.json", GOOD)
    for name, content in case.files.items():
        command.write(name, content)
    if case.is_stdin_closed:
        return command("-c", f"exec {shlex.join([sys.executable, '-m', 'planloom', *case.argv])} <&-", program=["sh"])
    return command(*case.argv, env=case.env, stdin=case.stdin)


@pytest.mark.parametrize("name", CASES)
def test_refused(command: Any, name: str) -> None:
    """The exit code is the documented one, and stderr says what is wrong, in sentences."""
    case = CASES[name]
    outcome = run(command, case)
    assert case.code == outcome.code, outcome.stderr
    for fragment in case.said:
        assert fragment in outcome.stderr
    assert "Traceback" not in outcome.stderr + outcome.stdout
    assert "internal error" not in outcome.stderr
    assert "secret-value" not in outcome.stderr
    if case.code == 2:
        assert "" == outcome.stdout


def test_missing_extra(command: Any) -> None:
    """Without DuckDB the analysis names the pip line; checking a plan goes on without tools, and says so."""
    command.write("plan.json", GOOD)
    command.write("data.csv", "a\n1\n")
    # a folder in front of everything, in which the packages cannot be found
    command.write("sitecustomize.py", HIDE_ANALYSIS)
    hidden = {"PYTHONPATH": str(command.folder)}
    ended = command("analyse", "data.csv", env=hidden)
    assert (2, "") == (ended.code, ended.stdout)
    assert "pip install 'planloom[analysis]'" in ended.stderr
    ended = command("execute", "plan.json", env=hidden)
    assert 2 == ended.code
    assert "--tools" in ended.stderr
    ended = command("validate", "plan.json", "--json", env=hidden)
    assert (0, True) == (ended.code, ended.document["valid"])
    assert "without tools" in ended.stderr
    ended = command("doctor", "--json", env=hidden)
    assert (0, False) == (ended.code, ended.document["extras"]["analysis"]["installed"])


HIDE_ANALYSIS = """
import importlib.abc, sys
import importlib.util as util
class Hide(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("duckdb", "jinja2"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Hide())
find = util.find_spec
util.find_spec = lambda name, package=None: None if name in ("duckdb", "jinja2") else find(name, package)
"""


def test_internal_error(command: Any) -> None:
    """A fault of the program itself is one line and exit code 1; the traceback comes only when it is asked for."""
    command.write("plan.json", GOOD)
    command.write("sitecustomize.py", BREAK_READER)
    broken = {"PYTHONPATH": str(command.folder)}
    ended = command("validate", "plan.json", env=broken)
    assert (1, "") == (ended.code, ended.stdout)
    assert ended.stderr.startswith("internal error: RuntimeError: bro")
    assert "PLANLOOM_DEBUG=1" in ended.stderr
    assert "\x1b" not in ended.stderr
    assert "Traceback" not in ended.stderr
    ended = command("validate", "plan.json", env={**broken, "PLANLOOM_DEBUG": "1"})
    assert "Traceback" in ended.stderr


BREAK_READER = """
from planloom import Plan
def fail(*_): raise RuntimeError("bro\\x1bken")
Plan.from_json = fail
"""
