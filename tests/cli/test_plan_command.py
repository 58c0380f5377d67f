"""`planloom plan`: a goal becomes a plan that is shown, written and edited, and nothing runs."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from goal_cases import MODEL, SUM, TOOLS, answering, plan_text, step

from planloom.testing import ModelServer, Served

FANNED = plan_text(
    step("names", "echo", value="x"),
    {**step("each", "echo", "names", value="{{item}}"), "for_each": ["a", "b", "c"]},
    {**step("open", "echo", "names", value="{{item}}"), "for_each": "{{each.output}}"},
    step("effect", "maybe", "each", seconds=1),
)


def plan(inside: Any, *argv: str, reply: Any = SUM) -> Any:
    with ModelServer(answering(plan=reply)) as server:
        return inside("plan", "add up", *MODEL, *TOOLS, "--base-url", server.base_url, *argv)


def editor(inside: Any, monkeypatch: pytest.MonkeyPatch, *edits: tuple[str, str]) -> None:
    """An editor that makes one replacement each time it is opened."""
    (inside.folder / "edits.json").write_text(json.dumps(edits))
    (inside.folder / "editor.py").write_text(
        "import json, sys\n"
        "edits = json.load(open('edits.json'))\n"
        "(old, new), rest = edits[0], edits[1:]\n"
        "json.dump(rest, open('edits.json', 'w'))\n"
        "text = open(sys.argv[1]).read()\n"
        "assert old in text, text\n"
        "open(sys.argv[1], 'w').write(text.replace(old, new))\n"
    )
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", f"{sys.executable} {inside.folder / 'editor.py'}")


@pytest.mark.parametrize(
    ("reply", "code", "key"), [(Served.refusal(), 4, "error"), ("just words", 3, "issues"), (plan_text(), 3, "issues")]
)
def test_no_plan(inside: Any, reply: Any, code: int, key: str) -> None:
    """Without a valid plan there is the exit code, a sentence, and with `--json` a document that says why."""
    ended = plan(inside, "--output", "plan.json", reply=reply)
    assert (code, "") == (ended.code, ended.stdout)
    assert not (inside.folder / "plan.json").exists()
    ended = plan(inside, "--json", reply=reply)
    assert code == ended.code
    assert ended.document[key]
    assert "failed" == ended.document["status"]


def test_over_budget(inside: Any) -> None:
    """Planning has its budget too."""
    assert 6 == plan(inside, "--max-model-calls", "0").code


def test_shown(inside: Any) -> None:
    """The graph with its waves, how many calls of tools and models it will make, and what may change something."""
    ended = plan(inside, reply=FANNED)
    assert 0 == ended.code, ended.stderr
    for words in (
        "wave 1 ── names",
        "steps        4 in 3 waves",
        "tool calls   5, and one per element in 1 step",
        "model calls  1 call, for the answer",
        "effects      `effect` may change something",
    ):
        assert words in ended.stdout
    assert "planned in " in ended.stderr
    assert "start " not in ended.stderr


def test_written_and_run(inside: Any) -> None:
    """What `--output` has written is what `run --plan` takes; `--json` prints the same."""
    ended = plan(inside, "-o", "plan.json")
    assert 0 == ended.code
    assert "plan: plan.json" in ended.stderr
    assert json.loads((inside.folder / "plan.json").read_text()) == plan(inside, "--json").document
    with ModelServer(["It is 7."]) as server:
        ended = inside("run", "--plan", "plan.json", *MODEL, *TOOLS, "--base-url", server.base_url)
    assert (0, "It is 7.\n") == (ended.code, ended.stdout), ended.stderr


def test_edited(inside: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes back from the editor is checked and is the plan; when it is not valid, it is said, and exit code 3."""
    editor(inside, monkeypatch, ('"b": 4', '"b": 40'))
    ended = plan(inside, "--edit", "--json")
    assert (0, 40) == (ended.code, ended.document["steps"][1]["args"]["b"]), ended.stderr
    editor(inside, monkeypatch, ('"add"', '"subtract"'))
    ended = plan(inside, "--edit", "--json", "--output", "plan.json")
    assert (3, False) == (ended.code, ended.document["valid"])
    assert "unknown-tool" in ended.stderr
    assert not (inside.folder / "plan.json").exists()


def test_edited_again(command: Any) -> None:
    """At a terminal a plan that is not valid after editing may be edited again, with the issues in view."""

    class Folder:
        folder = command.folder

    with pytest.MonkeyPatch.context() as patch:
        editor(Folder, patch, ('"add"', '"subtract"'), ('"subtract"', '"add"'))
        with ModelServer(answering()) as server:
            terminal = command.in_terminal(
                "plan", "add up", *MODEL, *TOOLS, "--base-url", server.base_url, "--edit",
                env={"EDITOR": f"{sys.executable} editor.py"}, columns=110,
            )  # fmt: skip
            assert "unknown-tool" in terminal.until("edit it again?")
            import os

            os.write(terminal.control, b"y\n")
            code, shown = terminal.end()
    assert 0 == code
    assert "wave 2" in shown
