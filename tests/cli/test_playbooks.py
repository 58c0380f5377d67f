"""Playbooks on the command line: listed, run by name with typed inputs, saved from a plan, refused in one sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from goal_cases import MODEL, plan_text, step

from planloom.testing import ModelServer

pytest.importorskip("duckdb")

TOOLS = '''
from planloom import tool

@tool(read_only=True)
def greet(name: str, times: int = 1) -> str:
    """Greet somebody."""
    return ", ".join([f"hello {name}"] * times)
'''
GREET = {
    "version": 1,
    "description": "Greet somebody",
    "tools": "greetings.py",
    "inputs": {"name": {"type": "text"}, "times": {"type": "integer", "default": 1}},
    "plan": {
        "goal": "Greet",
        "steps": [{"id": "a", "description": "Greet", "tool": "greet", "depends_on": [],
                   "args": {"name": "{{inputs.name}}", "times": "{{inputs.times}}"}}],
        "answer": "{{a.output}}",
    },
}  # fmt: skip
DATA = "city,sales\n" + "".join(f"Oslo,{100 + number % 7}\n" for number in range(60)) + "Bergen,9000\n"


@pytest.fixture(autouse=True)
def folder(inside: Any) -> Path:
    """The user's folder of playbooks, with one in it."""
    found = inside.folder / ".config" / "planloom" / "playbooks"
    found.mkdir(parents=True)
    (inside.folder / "greetings.py").write_text(TOOLS)
    (found / "greet.json").write_text(json.dumps(GREET))
    return found


def test_list(inside: Any, folder: Path) -> None:
    """Every playbook is listed with its inputs and types; one that cannot be used says why; an own one goes first."""
    (folder / "broken.json").write_text("{")
    (folder / "analyse.json").write_text(json.dumps({**GREET, "description": "Mine"}))
    ended = inside("playbooks", "--json")
    listed = {entry["name"]: entry for entry in ended.document["playbooks"]}
    assert ["analyse", "analyse-csv", "broken", "greet"] == list(listed)
    assert {"type": "integer", "description": "", "default": 1, "required": False} == listed["greet"]["inputs"]["times"]
    assert listed["analyse-csv"]["inputs"]["path"]["required"]
    assert ("Mine", "built in") == (listed["analyse"]["description"], listed["analyse-csv"]["source"])
    assert "not valid JSON" in listed["broken"]["problem"]
    shown = inside("playbooks")
    assert "times?: integer = 1" in shown.stdout
    assert str(folder) in shown.stderr


def test_execute(inside: Any) -> None:
    """A playbook runs by its name; text stays text, and its own tools are used."""
    ended = inside("execute", "--playbook", "greet", "--input", "name=007", "--input", "times=2", "--no-journal")
    assert (0, "hello 007, hello 007\n") == (ended.code, ended.stdout)


def test_run_without_a_model(inside: Any) -> None:
    """`run --playbook` needs no model for a plan that needs none."""
    (inside.folder / "shop.csv").write_text(DATA)
    ended = inside("run", "--playbook", "analyse-csv", "--input", "path=shop.csv", "--json", "--no-journal")
    assert 0 == ended.code, ended.stderr
    document = ended.document
    assert document["answer"].startswith("`shop.csv` has 61 rows")
    assert "succeeded" == document["steps"]["charts"]["status"]


def test_file_by_path(inside: Any, folder: Path) -> None:
    """A playbook may be named by its file."""
    ended = inside("execute", "--playbook", str(folder / "greet.json"), "--input", "name=x", "--no-journal")
    assert (0, "hello x\n") == (ended.code, ended.stdout)


@pytest.mark.parametrize(
    ("argv", "reason"),
    [
        (["execute", "--playbook", "greet"],
         "error: playbook `greet`: input `name` (text) is missing\nhint: --input name=…\n"),
        (["execute", "--playbook", "greet", "--input", "nam=x", "--input", "times=many"],
         "error: playbook `greet`: it has no input `nam` (did you mean `name`?); input `name` (text) is missing; "
         'input `times` takes a whole number, not "many"\nhint: --input name=…\n'),
        (["run", "--playbook", "gret"], "error: there is no playbook `gret`\nhint: did you mean `greet`?\n"),
        (["run", "--playbook", "greet", "--plan", "x.json"], "cannot be used together"),
        (["execute", "plan.json", "--playbook", "greet"], "name one plan"),
        (["execute"], "name one plan"),
        (["execute", "--playbook", "../greet"], "cannot read the playbook"),
        (["execute", "--playbook", "a b"], "cannot be the name of a playbook"),
        (["execute", "--playbook", "analyse", "--input", "path=no.csv"], "error: there is no file `no.csv`"),
        (["execute", "--playbook", "analyse", "--input", "path=greetings.py", "--input", "threshold=-1"],
         "error: playbook `analyse`: input `threshold` takes a number, above 0, not -1\n"),
        (["run", "--playbook", "analyse-csv", "--input", "path=greetings.py", "--input", "charts=-1", "--input",
          "threshold=0"],
         "error: playbook `analyse-csv`: input `threshold` takes a number, above 0, not 0; "
         "input `charts` takes a whole number, at least 0, at most 20, not -1\n"),
        (["plan", "x", "--save", "greet"], "there is a playbook `greet` already"),
        (["plan", "x", "--save", "../x"], "--save takes the name of a playbook"),
    ],
)  # fmt: skip
def test_refused(inside: Any, argv: list[str], reason: str) -> None:
    """What is wrong is one clear message with every problem, and exit code 2."""
    ended = inside(*argv)
    assert 2 == ended.code
    assert reason in ended.stderr


def test_save_and_run(inside: Any, folder: Path) -> None:
    """A plan that a model made is kept under a name, with its inputs as defaults, and runs by that name."""
    greet = {**step("a", "greet"), "args": {"name": "{{inputs.who}}"}}
    text = plan_text(greet, answer="{{a.output}}")
    with ModelServer(lambda _request: text) as server:
        ended = inside(
            "plan", "Greet Ada", "--tools", "greetings.py", "--input", "who=Ada", "--save", "hello", *MODEL,
            "--base-url", server.base_url,
        )  # fmt: skip
    assert 0 == ended.code, ended.stderr
    assert f"playbook: {folder / 'hello.json'}" in ended.stderr
    assert "text" == json.loads((folder / "hello.json").read_text())["inputs"]["who"]["type"]
    assert "hello Ada\n" == inside("execute", "--playbook", "hello", "--no-journal").stdout
    assert "hello Bo\n" == inside("execute", "--playbook", "hello", "--input", "who=Bo", "--no-journal").stdout
