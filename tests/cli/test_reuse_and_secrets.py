"""On the command line: what is used again is said, and a secret of the environment is in no stream and no file."""

from __future__ import annotations

import json

import pytest

from conftest import Inside

KEPT = ("--journal", "runs.db", "--tools", "tools.py")
KEY = "canary-55ab/cd81"
TOOLS = '''
from planloom import tool

@tool(read_only=True, version="1", cache=True)
def look(what: str) -> list[str]:
    """Look something up."""
    with open("look.calls", "a") as calls:
        calls.write(what + "\\n")
    return [what]

@tool(read_only=True, retries=0)
def order(key: str) -> str:
    """Order something."""
    with open("order.calls", "a") as calls:
        calls.write(key + "\\n")
    if not __import__("os").path.exists("open"):
        raise ValueError("no order with " + key)
    return "ordered with " + key
'''


def kitchen(inside: Inside, tool: str, **args: str) -> None:
    """The tools, and a plan of one step."""
    (inside.folder / "tools.py").write_text(TOOLS)
    step = {"id": "one", "description": "", "tool": tool, "args": args, "depends_on": []}
    plan = {"version": 1, "goal": "try it", "inputs": {}, "steps": [step]}
    (inside.folder / "plan.json").write_text(json.dumps(plan))


def test_what_is_used_again_is_said(inside: Inside) -> None:
    """In the lines of the run, in its document, and in `show`: the run that the output is from."""
    kitchen(inside, "look", what="tea")
    first = inside("execute", "plan.json", *KEPT, "--json").document
    again = inside("execute", "plan.json", *KEPT)
    assert f"done    one reused from run {first['run_id']}" in again.stderr
    document = inside("execute", "plan.json", *KEPT, "--json").document["steps"]["one"]
    assert (["tea"], first["run_id"]) == (document["output"], document["reused_from"])
    assert f"reused from run {first['run_id']}" in inside("show", "last", "--journal", "runs.db").stdout
    assert "tea\n" == (inside.folder / "look.calls").read_text()


def test_a_secret_of_the_environment(inside: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    """It reaches the tool; it stands in no output, and a run that goes on reads it from its variable."""
    kitchen(inside, "order", key="{{inputs.key}}")
    monkeypatch.setenv("SHOP_KEY", KEY)
    failed = inside("execute", "plan.json", *KEPT, "--input", f"key={KEY}")
    assert (1, True) == (failed.code, "no order with [secret SHOP_KEY]" in failed.stderr)
    monkeypatch.delenv("SHOP_KEY")
    without = inside("resume", "last", *KEPT)
    assert (2, True) == (without.code, "needs its secret input `key` again" in without.stderr), without.stderr
    monkeypatch.setenv("SHOP_KEY", KEY)
    (inside.folder / "open").write_text("")
    done = inside("resume", "last", *KEPT)
    assert (0, True) == (done.code, "ordered with [secret SHOP_KEY]" in done.stdout), done.stderr
    shown = inside("show", "last", "--journal", "runs.db")
    assert f"{KEY}\n{KEY}\n" == (inside.folder / "order.calls").read_text()
    kept = b"".join(path.read_bytes() for path in inside.folder.glob("runs.db*") if path.is_file())
    assert KEY.encode() not in kept
    assert KEY not in "".join(ended.stdout + ended.stderr for ended in (failed, without, done, shown))
