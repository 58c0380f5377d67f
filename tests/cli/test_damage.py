"""A journal or an artifact that is damaged: what is shown all the same, and how a person goes on without the rest."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from conftest import Ended, Inside

SHOP = """
from pathlib import Path
from planloom import tool

@tool(read_only=True)
def load(letter: str) -> str:
    \"\"\"Load much.\"\"\"
    note("load " + letter)
    return letter * 100_000

@tool
def pay(whom: str) -> str:
    \"\"\"Have an effect.\"\"\"
    note("pay " + whom)
    return "paid " + whom

@tool(read_only=True, retries=0)
def needs(name: str) -> str:
    \"\"\"Fail until a file is there.\"\"\"
    return Path(name).read_text()

def note(text):
    with Path("calls").open("a") as calls:
        calls.write(text + "\\n")
"""
PLAN = """{"steps": [
    {"id": "big", "tool": "load", "args": {"letter": "x"}},
    {"id": "p", "tool": "pay", "args": {"whom": "ann"}, "depends_on": ["big"]},
    {"id": "z", "tool": "needs", "args": {"name": "later"}, "depends_on": ["p"]}
], "answer": "{{z.output}}"}"""
OPTIONS = ("--tools", "shop.py", "--journal", "runs.db")
KEPT = ("--journal", "runs.db")


@pytest.fixture
def failed(inside: Inside) -> Inside:
    """A folder with a run that has loaded something large, paid, and failed."""
    (inside.folder / "shop.py").write_text(SHOP)
    (inside.folder / "plan.json").write_text(PLAN)
    assert 1 == inside("execute", "plan.json", *OPTIONS).code
    return inside


def _calls(folder: Path) -> list[str]:
    return (folder / "calls").read_text().splitlines()


def _damage_record(folder: Path, kind: str) -> None:
    with sqlite3.connect(folder / "runs.db") as file:
        row, line = next(
            (row, line)
            for row, line in file.execute("SELECT id, line FROM records ORDER BY id")
            if f'"type":"{kind}"'.encode() in line
        )
        file.execute("UPDATE records SET line = ? WHERE id = ?", (line.replace(b'"seq"', b'"sEq"', 1), row))
    file.close()


def _damage_artifact(folder: Path) -> None:
    (path,) = (folder / "runs.db.artifacts").glob("*/*")
    path.write_bytes(b"y" + path.read_bytes()[1:])


def _refused(ended: Ended) -> str:
    assert 1 == ended.code, ended.stderr
    assert "Traceback" not in ended.stderr
    return ended.stderr


@pytest.mark.parametrize(
    "command", [("resume", "last"), ("rerun", "last", "--from", "z"), ("fork", "last", "--at", "z")]
)
def test_damage_before_whole_records(command: tuple[str, ...], failed: Inside) -> None:
    """Nobody goes on unasked; with --drop-damaged it is said what was dropped, and what it said is done again."""
    _damage_record(failed.folder, "step-succeeded")
    (failed.folder / "later").write_text("at last")
    said = _refused(failed(*command, *KEPT))
    assert "--drop-damaged" in said
    done = failed(*command, *KEPT, "--drop-damaged", "--json")
    if command[0] == "fork":  # of `z` nothing is known any more, so that there is nothing to fork at
        assert (2, True) == (done.code, "has not begun" in done.stderr)
        return
    assert (0, "at last") == (done.code, done.document["answer"]), done.stderr
    assert "the end was left out, records " in done.stderr
    assert ["load x", "pay ann", "load x", "pay ann"] == _calls(failed.folder)
    assert 0 == failed("show", "last", *KEPT).code


def test_an_effect_that_was_under_way_before_the_damage(failed: Inside) -> None:
    """What had begun before the damage is unknown, and waits for a person, also with --drop-damaged."""
    with sqlite3.connect(failed.folder / "runs.db") as file:
        rows = file.execute("SELECT id, line FROM records ORDER BY id").fetchall()
        row, line = next(r for r in rows if b'"step-succeeded"' in r[1] and b"paid ann" in r[1])
        file.execute("UPDATE records SET line = ? WHERE id = ?", (line.replace(b"paid", b"laid"), row))
    file.close()
    waiting = failed("resume", "last", *KEPT, "--drop-damaged", "--json")
    assert (5, "unknown") == (waiting.code, waiting.document["steps"]["p"]["status"])
    assert ["load x", "pay ann"] == _calls(failed.folder)


def test_dropping_where_nothing_is_damaged(failed: Inside) -> None:
    """The option then changes nothing."""
    (failed.folder / "later").write_text("at last")
    done = failed("resume", "last", *KEPT, "--drop-damaged")
    assert (0, "at last") == (done.code, done.stdout.strip())
    assert "left out" not in done.stderr
    assert ["load x", "pay ann"] == _calls(failed.folder)


def test_a_damaged_artifact_is_shown_as_such(failed: Inside) -> None:
    """`show` marks the value that cannot be read, says why, and shows the rest; in JSON too."""
    _damage_artifact(failed.folder)
    shown = failed("show", "last", *KEPT)
    assert 0 == shown.code, shown.stderr
    assert "paid ann" in shown.stdout or "text of 8 characters" in shown.stdout, shown.stdout
    assert any(line.startswith("big ") and "damaged: " in line for line in shown.stdout.splitlines()), shown.stdout
    assert "the output of step `big` cannot be read" in shown.stderr
    document = failed("show", "last", *KEPT, "--json").document
    assert ["$damaged"] == list(document["steps"]["big"]["output"])
    assert "its content is not what was written" in document["steps"]["big"]["output"]["$damaged"]
    assert ("succeeded", "paid ann") == (document["steps"]["p"]["status"], document["steps"]["p"]["output"])


def test_a_damaged_artifact_is_never_taken_for_an_output(failed: Inside) -> None:
    """Going on is refused, and the way that is left is named; it works."""
    _damage_artifact(failed.folder)
    (failed.folder / "later").write_text("at last")
    run_id = failed("show", "last", *KEPT, "--json").document["run_id"]
    said = _refused(failed("resume", "last", *KEPT))
    assert "the output of step `big` cannot be read" in said
    assert f"planloom rerun {run_id} --from big" in said
    done = failed("rerun", "last", *KEPT, "--from", "big", "--json")
    assert (0, "at last") == (done.code, done.document["answer"]), done.stderr
    assert "x" * 100_000 == done.document["steps"]["big"]["output"]


def test_an_artifact_of_the_run_itself(failed: Inside) -> None:
    """Where the damaged value is not an output, such as a large plan, it is said, and the rest shown."""
    steps = ",".join(f'{{"id": "s{n}", "tool": "needs", "args": {{"name": "{"n" * 500}"}}}}' for n in range(200))
    (failed.folder / "plan.json").write_text(f'{{"steps": [{steps}]}}')
    run = failed("execute", "plan.json", *OPTIONS)
    assert 1 == run.code
    for path in (failed.folder / "runs.db.artifacts").glob("*/*"):
        path.write_bytes(b"damaged")
    shown = failed("show", "last", *KEPT)
    assert 0 == shown.code, shown.stderr
    assert "s199" in shown.stdout
