"""Goals that go on after a crash: while planning, mending, running, replanning and joining."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from planloom import Agent, Budget, UsageError
from planloom.testing import ScriptedModel

CHILD = Path(__file__).resolve().parent / "recorded_goal.py"
EVERY_PLACE = ["ask plan", "ask mend", "look ann", "look wrong", "ask replan", "look bob", "look end", "ask join"]
SOME_PLACES = ["ask plan", "look bob", "ask join"]


def child(journal: Path, *args: str) -> subprocess.CompletedProcess[str]:
    """Run the goal in a process of its own."""
    return subprocess.run(
        [sys.executable, str(CHILD), str(journal), *args], capture_output=True, text=True, timeout=60, check=False
    )


def calls(journal: Path) -> list[str]:
    """Everything that was really asked and called, over all processes."""
    return Path(f"{journal}.calls").read_text().splitlines()


def resumed(journal: Path, *args: str) -> dict[str, Any]:
    """Go on with the goal, and return the result document."""
    done = child(journal, "resume", *(args or ("",)))
    assert 0 == done.returncode, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    "where",
    # in every suite a cut while a reply is asked for and one in a step; the other places with the long tests
    [pytest.param(place, marks=[pytest.mark.slow] * (place not in SOME_PLACES)) for place in EVERY_PLACE],
)
def test_cut_off_anywhere(where: str, tmp_path: Path) -> None:
    """The goal is reached; nobody is paid twice, and no reply that had come is asked for again."""
    journal = tmp_path / "runs.db"
    assert 9 == child(journal, "r1", where).returncode
    document = resumed(journal)
    assert ("succeeded", "done", 1) == (document["status"], document["answer"], document["replans"])
    made = calls(journal)
    assert 1 == made.count("pay ANN")
    for asked in ("ask plan", "ask mend", "ask replan", "ask join"):
        assert (2 if asked == where else 1) == made.count(asked), made
    assert made == calls(journal)
    assert document["answer"] == resumed(journal)["answer"]
    assert made == calls(journal)  # a run that has succeeded is only told


def test_a_payment_under_way(tmp_path: Path) -> None:
    """It is never repeated by itself: the run waits for a person's word."""
    journal = tmp_path / "runs.db"
    assert 9 == child(journal, "r1", "pay ANN").returncode
    waiting = resumed(journal)
    assert ("waiting", "unknown") == (waiting["status"], waiting["steps"]["p"]["status"])
    done = resumed(journal, "", json.dumps({"outputs": {"p": "paid"}}))
    assert ("succeeded", "paid") == (done["status"], done["steps"]["p"]["output"])
    assert 1 == calls(journal).count("pay ANN")


def test_resume_needs_a_journal() -> None:
    """An agent without one says so."""
    with pytest.raises(UsageError, match="no journal"):
        asyncio.run(Agent([], ScriptedModel([]), ScriptedModel([])).resume("r1"))


def test_a_budget_holds_for_all_processes(tmp_path: Path) -> None:
    """What was spent before counts: a goal that has used up its calls is not given new ones by going on."""
    journal = tmp_path / "runs.db"
    plan = json.dumps({"steps": [{"id": "a", "description": "", "tool": "fine", "args": {}, "depends_on": []}]})

    async def fine() -> int:
        return 1

    def agent(bound: int, *replies: str) -> Agent:
        model = ScriptedModel(list(replies), name="model")
        return Agent([fine], model, model, Budget(model_calls=bound), journal=journal)

    first = asyncio.run(agent(1, plan).run("a goal", run_id="r1"))
    again = asyncio.run(agent(1).resume("r1"))
    more = asyncio.run(agent(2, "the answer").resume("r1"))
    assert ("budget", "budget") == (first.error and first.error.kind, again.error and again.error.kind)
    assert ("succeeded", "the answer", 2) == (more.status, more.answer, more.usage.model_calls)
