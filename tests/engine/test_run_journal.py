"""Runs in a journal: what waits for the disk, and what a crash leaves to do."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from recorded_child import PLAN, TOOLS

from planloom import RunResult, UsageError, execute_plan, resume_run
from planloom.engine.journaled import taken_over
from planloom.engine.kept import read_run
from planloom.errors import RunNotFoundError, RunOwnedError
from planloom.journal import SqliteJournal
from planloom.plan.history import Words

CHILD = Path(__file__).resolve().parent / "recorded_child.py"
EVERY_PLACE = [
    "look bob", "before pay bob", "pay bob", "put x", "before pay ann", "pay ann", "pay cleo", "before pay dan",
    "pay dan", "look end",
]  # fmt: skip


def crash(journal: Path, where: str) -> None:
    """Run the plan in a process that is cut off in the middle of a call."""
    done = subprocess.run(
        [sys.executable, str(CHILD), str(journal), "r1", where], capture_output=True, text=True, timeout=60, check=False
    )
    assert 9 == done.returncode, done.stderr


def resume(journal: Path, **words: Any) -> RunResult:
    """Go on with the run in this process."""
    return asyncio.run(
        resume_run("r1", TOOLS, journal=str(journal), words=Words.of(**words), deps=str(journal), max_concurrency=1)
    )


def calls(journal: Path) -> list[str]:
    """Every call that was really made, in order, over all processes."""
    return Path(f"{journal}.calls").read_text().splitlines()


@pytest.mark.parametrize("where", EVERY_PLACE)
def test_cut_off_anywhere(where: str, tmp_path: Path) -> None:
    """Finished work is never done again; a payment that was under way waits for a word; the rest goes on by itself."""
    journal = tmp_path / "runs.db"
    crash(journal, where)
    result = resume(journal)
    if "pay" in where:
        assert ("waiting", "unknown") == (result.status, result.steps["first" if "bob" in where else "each"].status)
        name = where.rpartition(" ")[2]
        step = "first" if name == "bob" else f"each[{('ann', 'cleo', 'dan').index(name)}]"
        # somebody has looked: the payment has gone out, or it has not
        was_paid = not where.startswith("before")
        words: dict[str, Any] = {"outputs": {step: f"paid {name}"}} if was_paid else {"retry": [step]}
        result = resume(journal, **words)
    assert "succeeded" == result.status, result.explain()
    assert ["paid ann", "paid cleo", "paid dan"] == result.steps["each"].output
    paid = [call for call in calls(journal) if call.startswith("pay")]
    assert ["pay ann", "pay bob", "pay cleo", "pay dan"] == sorted(paid)
    looked = [call for call in calls(journal) if call.startswith(("look bob", "put x"))]
    assert len(set(looked)) == 2  # what ran again had the same idempotency key


def test_a_run_that_has_succeeded_is_only_told(tmp_path: Path) -> None:
    """Nothing is called, and the result says what the first process said."""
    journal = tmp_path / "runs.db"
    first = asyncio.run(execute_plan(PLAN, TOOLS, journal=journal, run_id="r1", deps=str(journal)))
    made = calls(journal)
    again = resume(journal)
    assert (first.answer, first.status, made) == (again.answer, again.status, calls(journal))
    assert {k: v.output for k, v in first.steps.items()} == {k: v.output for k, v in again.steps.items()}


def test_words_about_steps_that_need_none(tmp_path: Path) -> None:
    """A word about a step that is settled, or is none, is refused, and says which steps need one."""
    journal = tmp_path / "runs.db"
    crash(journal, "pay bob")
    for wrong in ("who", "nobody"):
        with pytest.raises(UsageError, match=f"`{wrong}` needs no word of a person\nhint: those that do: `first`"):
            resume(journal, retry=[wrong])
    skipped = resume(journal, skip=["first"])
    assert ("succeeded", "skipped") == (skipped.status, skipped.steps["first"].status)
    assert "skipped" == resume(journal).steps["first"].status  # the journal knows the word


def test_a_word_is_not_lost_in_another_crash(tmp_path: Path) -> None:
    """What a person said of a payment holds for the processes after this one."""
    journal = tmp_path / "runs.db"
    crash(journal, "pay bob")
    assert "paid by hand" == resume(journal, outputs={"first": "paid by hand"}).steps["first"].output
    assert "paid by hand" == resume(journal).steps["first"].output


def test_an_unknown_run(tmp_path: Path) -> None:
    """A run that is not there is said."""
    with pytest.raises(RunNotFoundError):
        resume(tmp_path / "runs.db")


def test_two_processes_cannot_drive_one_run(tmp_path: Path) -> None:
    """While its owner lives, nobody else goes on with a run."""
    journal = tmp_path / "runs.db"

    async def main() -> None:
        store = SqliteJournal(journal)
        writer = await store.open_run("r1", "", {"kind": "execute", "plan": PLAN.to_dict(), "inputs": {}})
        with pytest.raises(RunOwnedError):
            await resume_run("r1", TOOLS, journal=str(journal))
        await writer.close()
        await store.close()

    asyncio.run(main())


@pytest.mark.parametrize("where", ["before pay bob", "before pay ann"])
def test_a_word_to_call_again_survives_a_crash(where: str, tmp_path: Path) -> None:
    """`retry` is durable before anything else happens: a process that ends right after it need not be told again."""
    journal = tmp_path / "runs.db"
    crash(journal, where)
    step = "first" if "bob" in where else "each[0]"

    async def give_word_and_end() -> None:
        async with taken_over(str(journal), "r1") as book:
            await book.keep(Words.of(retry=[step]), 1_700_000_000.0)

    asyncio.run(give_word_and_end())
    assert "succeeded" == resume(journal).status
    assert 1 == calls(journal).count(where.removeprefix("before "))


def test_attempts_of_elements(tmp_path: Path) -> None:
    """A step with `for_each` has the attempts of all its elements, also of those that an earlier process has called."""
    journal = tmp_path / "runs.db"
    crash(journal, "pay dan")
    ended = asyncio.run(read_run(str(journal), "r1")).result().steps["each"]
    assert ("running", 3) == (ended.status, ended.attempts)
    waiting = resume(journal).steps["each"]
    assert ("unknown", 3) == (waiting.status, waiting.attempts)
    # what a person says is done was not called
    assert 2 == resume(journal, outputs={"each[2]": "paid"}).steps["each"].attempts
