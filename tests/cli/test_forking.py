"""New runs out of kept ones, and a person's word on what a kept run waits for."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from goal_cases import MODEL, answering, plan_text, step

from conftest import Command, Ended, Inside
from planloom.testing import ModelServer

SHOP = '''
from pathlib import Path
from planloom import ToolContext, tool

def note(text):
    with Path("calls").open("a") as calls:
        calls.write(text + "\\n")

@tool(read_only=True)
def look(name: str) -> str:
    """Look something up."""
    note("look " + name)
    return name.upper()

@tool
def pay(whom: str, context: ToolContext) -> str:
    """Have an effect."""
    note("pay " + whom + " " + context.idempotency_key)
    return "paid " + whom
'''
TOOLS = ("--tools", "shop.py")
STEPS = (
    {"id": "a", "tool": "look", "args": {"name": "ann"}},
    {"id": "b", "tool": "look", "args": {"name": "bob"}},
    {"id": "p", "tool": "pay", "args": {"whom": "{{a.output}}"}, "depends_on": ["a"]},
    {"id": "z", "tool": "look", "args": {"name": "{{p.output}} {{b.output}}"}, "depends_on": ["p", "b"]},
)


def calls(folder: Path) -> list[str]:
    """What was called, without the keys."""
    path = folder / "calls"
    return [" ".join(line.split()[:2]) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture
def kept(command: Command) -> Command:
    """A folder with a run that has succeeded."""
    command.write("shop.py", SHOP)
    command.plan(*STEPS)
    assert 0 == command("execute", "plan.json", *TOOLS).code
    return command


def outputs(ended: Ended) -> dict[str, Any]:
    """The output of every step."""
    assert 0 == ended.code, ended.stderr
    return {name: found["output"] for name, found in ended.document["steps"].items()}


def test_rerun(kept: Command) -> None:
    """The step and what depends on it run again under new keys; the rest stays done, and the old run as it was."""
    before = kept("show", "last", "--json").document
    done = kept("rerun", "last", "--from", "p", "--json")
    assert {"a": "ANN", "b": "BOB", "p": "paid ANN", "z": "PAID ANN BOB"} == outputs(done)
    made = calls(kept.folder)
    assert {"look ann", "look bob"} == set(made[:2])  # side by side, in two threads
    assert ["pay ANN", "look paid", "pay ANN", "look paid"] == made[2:]
    keys = {line.split()[2] for line in (kept.folder / "calls").read_text().splitlines() if line.startswith("pay")}
    assert (2, True) == (len(keys), "note: these steps have effects, and have been called before: `p`" in done.stderr)
    assert before == kept("show", before["run_id"], "--json").document
    assert done.document["run_id"] == kept("show", "last", "--json").document["run_id"] != before["run_id"]


def test_fork_with_another_output(kept: Command) -> None:
    """What had begun before the step stays; the output that was set is used, and nothing is paid."""
    done = kept("fork", "last", "--at", "z", "--set", 'p="paid by hand"', "--json")
    assert {"a": "ANN", "b": "BOB", "p": "paid by hand", "z": "PAID BY HAND BOB"} == outputs(done)
    assert ["look paid", "look paid"] == [call for call in calls(kept.folder) if call == "look paid"]
    assert 1 == calls(kept.folder).count("pay ANN")


def test_a_fork_of_a_fork(kept: Command) -> None:
    """A new run can be forked like any other."""
    assert 0 == kept("fork", "last", "--at", "z").code
    done = kept("rerun", "last", "--from", "a", "--json")
    assert "PAID ANN BOB" == outputs(done)["z"]
    assert 1 == calls(kept.folder).count("look bob")


@pytest.mark.parametrize(
    ("argv", "texts"),
    [
        (("rerun", "last", "--from", "q"), ("no step `q`", "`a`, `b`, `p`, `z`")),
        (("rerun", "last", "--from", "aa"), ("no step `aa`", "did you mean `a`?")),
        (("rerun", "last"), ("--from",)),
        (("fork", "last", "--at", "q"), ("no step `q`",)),
        (("fork", "last", "--at", "p", "--set", "q=1"), ("no step `q`",)),
        (("fork", "last", "--at", "p", "--set", "a"), ("--set takes STEP=JSON",)),
        (("approve", "last", "p"), ("waits for no approval",)),
        (("deny", "last"), ("waits for no approval",)),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_refused(argv: tuple[str, ...], texts: tuple[str, ...], kept: Command) -> None:
    """One sentence, exit code 2, and no new run."""
    refused = kept(*argv)
    assert (2, "") == (refused.code, refused.stdout), refused.stderr
    for text in texts:
        assert text in refused.stderr
    assert 1 == len(kept("runs", "--json").document["runs"])


EACH = {
    "id": "each", "tool": "pay", "args": {"whom": "{{item}}"}, "for_each": ["ann", "bob"],
}  # fmt: skip


def test_another_output_of_one_element(command: Command) -> None:
    """The other elements stay done: nobody is paid twice."""
    command.write("shop.py", SHOP)
    command.plan(EACH, {"id": "z", "tool": "look", "args": {"name": "{{each.output[1]}}"}, "depends_on": ["each"]})
    assert 0 == command("execute", "plan.json", *TOOLS).code
    done = command("fork", "last", "--at", "z", "--set", 'each[1]="paid by hand"', "--json")
    assert ["paid ann", "paid by hand"] == outputs(done)["each"]
    assert "PAID BY HAND" == outputs(done)["z"]
    assert ["pay ann", "pay bob"] == sorted(call for call in calls(command.folder) if call.startswith("pay"))
    again = command("fork", "last", "--at", "z", "--json")
    assert "PAID BY HAND" == outputs(again)["z"]


def test_an_element_left_out(command: Command) -> None:
    """A person's word on one element ends that element alone; the run goes on."""
    command.write(
        "shop.py",
        SHOP.replace('note("pay " + whom', 'whom == "bob" and __import__("os")._exit(9)\n    note("pay " + whom'),
    )
    command.plan(EACH)
    assert 9 == command("execute", "plan.json", *TOOLS).code
    waiting = command("resume", "last", "--json")
    assert 5 == waiting.code, waiting.stderr
    open_elements = [index for index in (0, 1) if f"each[{index}]" in waiting.stderr]
    words = [word for index in open_elements for word in ("--skip", f"each[{index}]")]
    done = command("resume", "last", *words, "--json")
    assert (0, "succeeded") == (done.code, done.document["status"]), done.stderr
    assert 0 == command("show", "last").code


def test_a_damaged_run_is_not_forked(kept: Command) -> None:
    """Effects that stand behind the damage would be had again, so nobody goes on unasked."""
    journal = kept.folder / ".local/state/planloom/runs.db"
    with sqlite3.connect(journal) as connection:
        row, line = connection.execute("SELECT id, line FROM records ORDER BY id LIMIT 1 OFFSET 3").fetchone()
        connection.execute("UPDATE records SET line = ? WHERE id = ?", (line.replace(b"step", b"stop", 1), row))
    connection.close()
    refused = kept("rerun", "last", "--from", "z")
    assert 1 == refused.code, refused.stderr
    assert 1 == calls(kept.folder).count("pay ANN")


def test_an_open_effect_is_not_removed(command: Command) -> None:
    """A run that ended by its time limit with a payment under way stays, for a person may have to say what happened."""
    command.write("shop.py", SHOP.replace('note("pay', "__import__('time').sleep(30)\n    note(\"pay"))
    command.plan({"id": "p", "tool": "pay", "args": {"whom": "ann"}})
    ended = command("execute", "plan.json", *TOOLS, "--timeout", "0.5")
    assert 5 == ended.code, ended.stderr
    assert "removed 0 runs" in command("runs", "prune", "--older-than", "0").stdout


# ---- approvals -------------------------------------------------------------------------------------------------

PAYING = plan_text(
    {**step("a", "look"), "args": {"name": "ann"}}, step("p", "pay", "a", whom="{{a.output}}"), answer="{{p.output}}"
)


def wait_for(kind: str, inside: Inside) -> Ended:
    """A goal whose plan, or whose payment, nobody has approved."""
    (inside.folder / "shop.py").write_text(SHOP)
    with ModelServer(answering(PAYING)) as server:
        argv = ("run", "pay ann", *TOOLS, *MODEL, "--base-url", server.base_url, "--approve", kind)
        waiting = inside(*argv, "--no-input")
    assert 5 == waiting.code, waiting.stderr
    assert 0 == calls(inside.folder).count("pay ANN")
    return waiting


@pytest.mark.parametrize(("kind", "steps"), [("effects", ("p",)), ("plan", ())])
def test_approved_later(kind: str, steps: tuple[str, ...], inside: Inside) -> None:
    """The word is kept with the run: resuming it makes the call, and asks nobody again, not even a model."""
    waiting = wait_for(kind, inside)
    assert "planloom approve " in waiting.stderr, waiting.stderr
    again = inside("resume", "last", "--json")
    assert (5, 0) == (again.code, calls(inside.folder).count("pay ANN")), again.stderr
    said = inside("approve", "last", *steps, "--json")
    assert (0, True) == (said.code, said.document["approved"]), said.stderr
    (about,) = said.document["about"]
    assert ({"whom": "ANN"} == about["args"]) if steps else (2 == len(about["plan"]["steps"]))
    done = inside("resume", "last", "--json")
    assert (0, "paid ANN") == (done.code, done.document["answer"]), done.stderr
    assert 1 == calls(inside.folder).count("pay ANN")


def test_denied_later(inside: Inside) -> None:
    """A denied step fails, and is not called when the run goes on; the word can be taken back."""
    wait_for("effects", inside)
    assert 0 == inside("deny", "last", "p").code
    failed = inside("resume", "last", "--json")
    assert (1, "denied") == (failed.code, failed.document["steps"]["p"]["error"]["kind"]), failed.stderr
    assert 0 == calls(inside.folder).count("pay ANN")
    assert 0 == inside("approve", "last", "p").code
    assert 0 == inside("resume", "last").code
    assert 1 == calls(inside.folder).count("pay ANN")


def test_an_approval_is_for_its_arguments_alone(inside: Inside) -> None:
    """In a fork in which the arguments are others, it does not hold, and the run waits again."""
    wait_for("effects", inside)
    assert 0 == inside("approve", "last", "p").code
    forked = inside("fork", "last", "--at", "p", "--set", 'a="EVE"', "--json")
    assert (5, []) == (forked.code, [call for call in calls(inside.folder) if call.startswith("pay")])
    assert "EVE" in json.dumps(inside("show", "last", "--json").document["waiting"]) or "EVE" in forked.stderr


def test_a_question_takes_no_approval(command: Command) -> None:
    """A tool that asks something needs an answer; how to give it is said."""
    command.plan({"id": "q", "tool": "ask_person", "args": {"question": "Which one?"}})
    assert 5 == command("execute", "plan.json", "--tools", "planloom.standard:toolbox").code
    refused = command("approve", "last", "q")
    assert (2, True) == (refused.code, "--set" in refused.stderr), refused.stderr
