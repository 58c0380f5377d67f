"""Runs in a journal on the command line: kept, listed, shown, gone on with after a crash, and removed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from conftest import Command, Ended, Inside
from planloom.cli.attempts import MAX_ROWS, Attempt, timeline
from planloom.cli.journals import shown
from planloom.errors import JournalError
from planloom.journal import Record, SqliteJournal
from planloom.journal.sqlite_store import SqliteStore

KEPT = ("--journal", "runs.db")
TOOLS = ("--tools", "tools.py")
BEGAN = 1_700_000_000.0
LATER_TOOLS = '''
from pathlib import Path
from planloom import tool

@tool(read_only=True, retries=0)
def needs(name: str) -> str:
    """Fail until a file is there."""
    Path("needs.calls").open("a").write(name + "\\n")
    return Path(name).read_text()

@tool
def pay(whom: str) -> str:
    """Have an effect."""
    Path("pay.calls").open("a").write(whom + "\\n")
    return "paid " + whom
'''
FORMS = {
    "version": 1,
    "goal": "pay everybody",
    "inputs": {"names": ["ann", "bob"]},
    "steps": [
        {"id": "pay", "description": "", "tool": "pay", "args": {"whom": "cleo"}, "depends_on": []},
        {
            "id": "each", "description": "", "tool": "pay", "args": {"whom": "{{item}}"}, "depends_on": [],
            "for_each": "{{inputs.names}}",
        },
    ],
}  # fmt: skip


def step(id: str, tool: str, depends_on: Iterable[str] = (), **args: Any) -> dict[str, Any]:
    """One step of a plan."""
    return {"id": id, "description": "", "tool": tool, "args": args, "depends_on": list(depends_on)}


def plan_of(*steps: dict[str, Any], goal: str = "try it") -> dict[str, Any]:
    """A plan of steps."""
    return {"version": 1, "goal": goal, "inputs": {}, "steps": list(steps)}


def keep(
    folder: Path,
    run_id: str,
    plan: dict[str, Any],
    *events: tuple[str, str | None, dict[str, Any]],
    kind: str = "execute",
) -> None:
    """Put a run into the journal that a process has left behind, with these events."""

    async def write() -> None:
        async with SqliteJournal(folder / "runs.db") as journal:
            meta = {"kind": kind, "plan": plan, "inputs": {}}
            run = await journal.open_run(run_id, plan["goal"], meta)
            began = ("run-started", None, {"goal": plan["goal"], "steps": len(plan["steps"])})
            records = [
                Record(seq, run_id, BEGAN + seq, type, step_id, data)
                for seq, (type, step_id, data) in enumerate([began, *events], 1)
            ]
            await run.append(records)
            await run.close()

    asyncio.run(write())


def started(step_id: str, tool: str, attempt: int = 1) -> tuple[str, str, dict[str, Any]]:
    """A call that began."""
    return "step-started", step_id, {"tool": tool, "attempt": attempt}


def succeeded(step_id: str, output: Any) -> tuple[str, str, dict[str, Any]]:
    """A step that ended well."""
    return "step-succeeded", step_id, {"output": output, "attempts": 1, "latency_ms": 1_000.0}


def ended(status: str) -> tuple[str, None, dict[str, Any]]:
    """The end of a run."""
    return "run-finished", None, {"status": status, "result": {"answer": None, "error": None}}


@pytest.fixture
def later(inside: Inside) -> Inside:
    """Commands with tools that work later, and with a payment."""
    (inside.folder / "tools.py").write_text(LATER_TOOLS)
    return inside


def write_plan(inside: Inside, *steps: dict[str, Any]) -> None:
    """Write plan.json."""
    (inside.folder / "plan.json").write_text(json.dumps(plan_of(*steps)))


# ---- whole processes -------------------------------------------------------------------------------------------


def test_killed_in_the_middle_of_a_step(command: Command, seen: Callable[..., str]) -> None:
    """After kill -9 the run is listed and shown as interrupted, and waits for a word on the step that was under way."""
    command.plan(
        {"id": "before", "tool": "echo", "args": {"value": "x"}},
        {"id": "slow", "tool": "maybe", "depends_on": ["before"]},
        {"id": "after", "tool": "echo", "args": {"value": "{{slow.output}}"}, "depends_on": ["slow"]},
    )
    process = command.start("execute", "plan.json", *TOOLS, *KEPT)
    said = seen(process, "start   slow")
    time.sleep(0.2)  # the start of a call with an effect is durable before the call, which begins after it was said
    process.send_signal(signal.SIGKILL)
    process.wait(30)
    (listed,) = command("runs", *KEPT, "--json").document["runs"]
    assert ("interrupted", "try it", None) == (listed["status"], listed["goal"], listed["ended_at"])
    run_id = listed["run_id"]
    assert f"kept as run {run_id} in runs.db\n" in said

    document = command("show", run_id[:6], *KEPT, "--json").document
    states = {name: step["status"] for name, step in document["steps"].items()}
    expected = ("interrupted", {"before": "succeeded", "slow": "running", "after": "pending"})
    assert expected == (document["status"], states)

    waiting = command("resume", "last", *TOOLS, *KEPT)
    (line,) = [line for line in waiting.stderr.splitlines() if "go on: " in line]
    assert (5, "") == (waiting.code, waiting.stdout)
    assert (
        f"step `slow` may or may not have had its effect; go on: planloom resume {run_id} --journal runs.db "
        "with --retry slow (call it again), --skip slow (leave it out) or --set slow=JSON "
        "(it is done, this is its output)"
    ) == line
    assert "waits for approval" not in waiting.stderr

    done = command("resume", "last", *TOOLS, *KEPT, "--set", 'slow="by hand"')
    assert (0, "by hand\n") == (done.code, done.stdout), done.stderr
    assert "start   before" not in done.stderr
    assert "start   slow" not in done.stderr


def test_interrupted_in_order(command: Command, stop_when_seen: Callable[..., tuple[Ended, float]]) -> None:
    """Ctrl-C ends with 130 and the line that goes on with the run."""
    command.plan({"id": "slow", "tool": "wait"})
    stopped, _ = stop_when_seen(command.start("execute", "plan.json", *TOOLS, *KEPT), "start   slow", [signal.SIGINT])
    assert 130 == stopped.code
    last = stopped.stderr.splitlines()[-1]
    assert last.startswith("go on: planloom resume ")
    assert last.endswith(" --journal runs.db")


@pytest.mark.parametrize(
    "argv",
    [
        ("--help",),
        ("resume", "--help"),
        ("execute", "plan.json", *TOOLS, "--no-journal"),
    ],
    ids=" ".join,
)
def test_who_keeps_nothing_loads_no_journal(argv: tuple[str, ...], command: Command) -> None:
    """SQLite and the journal are imported only for a run that is kept."""
    command.plan({"id": "a", "tool": "echo", "args": {"value": "x"}})
    program = (
        "import sys, atexit\n"
        "from planloom.cli.main import main\n"
        "try:\n    main()\n"
        "finally:\n"
        "    print([m for m in sys.modules if m.startswith(('planloom.journal', 'sqlite3'))], file=sys.stderr)"
    )
    done = command(*argv, program=(sys.executable, "-c", program))
    assert (0, "[]") == (done.code, done.stderr.splitlines()[-1])


# ---- keeping ---------------------------------------------------------------------------------------------------


def test_a_failed_run_is_gone_on_with(later: Inside) -> None:
    """The end says how to go on; what had succeeded is not called again, and what failed is."""
    (later.folder / "one").write_text("1")
    write_plan(later, step("first", "needs", name="one"), step("second", "needs", ["first"], name="two"))
    failed = later("execute", "plan.json", *TOOLS, *KEPT)
    assert 1 == failed.code
    assert failed.stderr.splitlines()[-1].startswith("go on: planloom resume ")
    (later.folder / "two").write_text("2")
    done = later(*failed.stderr.splitlines()[-1].removeprefix("go on: planloom ").split())
    assert (0, "2\n") == (done.code, done.stdout), done.stderr
    assert ["one", "two", "two"] == (later.folder / "needs.calls").read_text().splitlines()


def test_where_a_run_is_kept(later: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable or planloom.toml names the journal for all commands; --no-journal turns that off for one."""
    (later.folder / "one").write_text("1")
    write_plan(later, step("first", "needs", name="one"))
    (later.folder / "planloom.toml").write_text('journal = "kept/runs.db"\ntools = "tools.py"\n')
    assert "kept" not in later("execute", "plan.json", "--no-journal").stderr
    assert not (later.folder / "kept").exists()
    assert "in kept/runs.db" in later("execute", "plan.json").stderr
    assert 1 == len(json.loads(later("runs", "--json").stdout)["runs"])
    monkeypatch.setenv("PLANLOOM_JOURNAL", "other.db")
    assert "in other.db" in later("execute", "plan.json").stderr
    monkeypatch.setenv("PLANLOOM_NO_JOURNAL", "1")
    monkeypatch.delenv("PLANLOOM_JOURNAL")
    assert "kept as" not in later("execute", "plan.json").stderr
    assert "in kept/runs.db" in later("execute", "plan.json", "--journal", "kept/runs.db").stderr
    both = later("execute", "plan.json", "--no-journal", *KEPT)
    assert (2, True) == (both.code, "--journal and --no-journal cannot be used together" in both.stderr)


def test_a_journal_that_cannot_be_written_any_more(later: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run ends with exit code 1, one sentence, and the line that goes on once there is room."""
    (later.folder / "one").write_text("1")
    write_plan(later, step("first", "needs", name="one"), step("second", "needs", ["first"], name="one"))

    def full(*_: Any) -> None:
        raise JournalError("the journal runs.db cannot be written: the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(SqliteStore, "commit", full)
        failed = later("execute", "plan.json", *TOOLS, *KEPT)
    error, go_on = failed.stderr.splitlines()[-2:]
    assert (1, "error: the journal runs.db cannot be written: the disk is full") == (failed.code, error)
    assert go_on.startswith("go on when that is mended: planloom resume ")
    assert 0 == later("resume", "last", *TOOLS, *KEPT).code


# ---- listing and removing --------------------------------------------------------------------------------------


@pytest.fixture
def several(later: Inside) -> Inside:
    """Commands over a journal with runs of every kind."""
    (later.folder / "other.py").write_text(LATER_TOOLS.replace("def pay", "def refund"))
    plan = plan_of(step("p", "pay", whom="ann"))
    for status in ("succeeded", "failed", "cancelled", "waiting"):
        keep(later.folder, f"{status}-1", plan, started("p", "pay"), ended(status))
    keep(later.folder, "cut-1", plan, started("p", "pay"))
    keep(later.folder, "cut-2", plan)
    return later


def test_runs_are_listed(several: Inside) -> None:
    """The newest first, all or those of one status, and what is left out is said."""
    listed = several("runs", *KEPT)
    ids = [line.split()[0] for line in listed.stdout.splitlines()[2:]]
    assert ["cut-2", "cut-1", "waiting-1", "cancelled-1", "failed-1", "succeeded-1"] == ids
    only = several("runs", *KEPT, "--status", "interrupted", "--json")
    assert ["cut-2", "cut-1"] == [run["run_id"] for run in only.document["runs"]]
    fields = ["run_id", "goal", "status", "started_at", "ended_at", "owner_epoch"]
    assert fields == list(only.document["runs"][0])
    cut = several("runs", *KEPT, "--limit", "1")
    assert ["cut-2"] == [line.split()[0] for line in cut.stdout.splitlines()[2:]]
    assert "there are more runs than 1" in cut.stderr
    none = several("runs", *KEPT, "--status", "running")
    assert (0, "", "there is no run that is running in runs.db\n") == (none.code, none.stdout, none.stderr)


def test_old_runs_are_removed(several: Inside) -> None:
    """Only what has ended goes; what waits or was interrupted is never removed, and young runs stay."""
    young = several("runs", "prune", "--older-than", "1e6", *KEPT)
    assert (0, "removed 0 runs and 0 artifacts from runs.db\n") == (young.code, young.stdout)
    document = several("runs", "prune", "--older-than", "30", *KEPT, "--json").document
    assert {"version": 1, "removed": {"runs": ["cancelled-1", "failed-1", "succeeded-1"], "artifacts": 0}} == document
    left = several("runs", *KEPT, "--json").document["runs"]
    assert ["cut-2", "cut-1", "waiting-1"] == [run["run_id"] for run in left]


def test_artifacts_go_with_their_runs(later: Inside) -> None:
    """A large value stands in a file, and goes with the last run that mentions it once it is not young any more."""
    (later.folder / "one").write_text("x" * 100_000)
    write_plan(later, step("first", "needs", name="one"))
    assert 0 == later("execute", "plan.json", *TOOLS, *KEPT).code
    artifacts = list((later.folder / "runs.db.artifacts").glob("*/*"))
    assert artifacts
    shown = later("show", "last", *KEPT, "--json").document
    assert "x" * 100_000 == shown["steps"]["first"]["output"]
    for path in artifacts:
        os.utime(path, (BEGAN, BEGAN))
    removed = later("runs", "prune", "--older-than", "0", *KEPT, "--json").document["removed"]
    assert (1, len(artifacts)) == (len(removed["runs"]), removed["artifacts"])
    assert not any(path.exists() for path in artifacts)


# ---- showing ---------------------------------------------------------------------------------------------------


def test_everything_about_a_run(later: Inside) -> None:
    """Plan, states, every attempt, replans, cost and the answer are on the screen and in the document."""
    failed = {"kind": "exception", "type": "OSError", "message": "no route"}
    before, after = (
        plan_of(step("a", "needs", name="x")),
        plan_of(step("b", "needs", name="y"), step("c", "pay", ["b"])),
    )
    keep(
        later.folder, "agent-1", {**before, "goal": "be kind"},
        ("plan-created", None, {"plan": before, "rounds": 1, "mends": []}),
        started("a", "needs"), ("step-retrying", "a", {"attempt": 1, "delay_s": 0.0, "error": failed}),
        started("a", "needs", 2), ("step-failed", "a", {"error": failed, "attempts": 2, "latency_ms": 9.0}),
        ("model-called", None, {"input_tokens": 1_200, "output_tokens": 34, "cost_usd": 0.0021}),
        ("replanned", "a", {"replaced": ["a"], "plan": after}),
        started("b", "needs"), succeeded("b", "fine"), ("step-waiting", "c", {"question": "Really?"}), ended("waiting"),
        kind="run",
    )  # fmt: skip
    told = later("show", "agent", *KEPT)
    assert 0 == told.code
    for text in (
        "agent-1  waiting", "be kind", "replans  1\n", "1 model call, 1,200 tokens in, 34 out, $0.0021",
        "a #2", "failed: no route", "retried: no route", "succeeded", "Really?",
    ):  # fmt: skip
        assert text in told.stdout
    document = later("show", "agent", *KEPT, "--json").document
    assert {"b": "succeeded", "c": "waiting"} == {name: step["status"] for name, step in document["steps"].items()}
    assert ("run", 1, {"c": "Really?"}) == (document["kind"], document["replans"], document["waiting"])
    assert [("a", 1, "retried"), ("a", 2, "failed"), ("b", 1, "succeeded")] == [
        (attempt["step_id"], attempt["attempt"], attempt["outcome"]) for attempt in document["attempts"]
    ]


def test_a_damaged_end_is_said(later: Inside) -> None:
    """What can still be read is shown, with what was left out."""
    keep(later.folder, "r1", plan_of(step("p", "pay", whom="ann")), started("p", "pay"))
    with sqlite3.connect(later.folder / "runs.db") as file:
        file.execute("UPDATE records SET line = substr(line, 1, 40) WHERE id = (SELECT max(id) FROM records)")
    file.close()
    told = later("show", "r1", *KEPT)
    assert (0, True) == (told.code, "note: run `r1`: the end was left out, record 2" in told.stderr)


@pytest.mark.parametrize("ascii", [False, True])
@pytest.mark.parametrize("width", [40, 100])
def test_the_timeline_fits(width: int, ascii: bool) -> None:
    """Lines keep to the width, bars to their place, and what does not fit is counted."""
    attempts = [Attempt(f"step-{n}" + "x" * 40, "t", 1, n, n + 1.0, "failed", "é" * 200) for n in range(MAX_ROWS + 3)]
    attempts[1].ended_s = None
    lines = timeline(attempts, width, ascii=ascii)
    assert MAX_ROWS + 1 == len(lines)
    assert "  and 3 more attempts" == lines[-1]
    assert all(len(line) <= width for line in lines)
    assert not ascii or all(line.isascii() for line in lines)


# ---- going on --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "paid", "outputs"),
    [
        (("--retry", "pay", "--retry", "each[1]"), ["cleo", "bob"], ("paid cleo", ["done ann", "paid bob"])),
        (("--skip", "pay", "--set", 'each[1]={"id": 7}'), [], (None, ["done ann", {"id": 7}])),
    ],
    ids=["retry", "skip and set"],
)
def test_words_on_steps_and_elements(
    words: tuple[str, ...], paid: list[str], outputs: tuple[Any, Any], later: Inside
) -> None:
    """The line names every step and element that waits; each word does what it says, and nothing else is called."""
    keep(
        later.folder, "r1", FORMS, started("pay", "pay"), ("step-expanded", "each", {"elements": 2}),
        started("each[0]", "pay"), succeeded("each[0]", "done ann"), started("each[1]", "pay"),
    )  # fmt: skip
    waiting = later("resume", "r1", *TOOLS, *KEPT)
    assert 5 == waiting.code
    assert waiting.stderr.splitlines()[-1].endswith("(it is done, this is its output); likewise for `each[1]`")
    done = later("resume", "r1", *TOOLS, *KEPT, *words, "--json")
    assert 0 == done.code, done.stderr
    assert outputs == tuple(done.document["steps"][name]["output"] for name in ("pay", "each"))
    calls = later.folder / "pay.calls"
    assert sorted(paid) == (sorted(calls.read_text().splitlines()) if calls.exists() else [])


def test_a_run_that_has_succeeded_is_only_told(later: Inside) -> None:
    """Its result is printed in every form, and nothing is called."""
    write_plan(later, step("p", "pay", whom="ann"))
    assert 0 == later("execute", "plan.json", *TOOLS, *KEPT).code
    again = later("resume", "last", *TOOLS, *KEPT)
    assert (0, "paid ann\n") == (again.code, again.stdout)
    assert "paid ann" == later("resume", "last", *TOOLS, *KEPT, "--json").document["answer"]
    assert ["run-finished"] == [event["type"] for event in later("resume", "last", *TOOLS, *KEPT, "--events").events]
    assert ["ann"] == (later.folder / "pay.calls").read_text().splitlines()


def test_words_are_no_settings(later: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    """A word comes from the command line alone: a variable does nothing, a file is refused."""
    keep(later.folder, "r1", plan_of(step("p", "pay", whom="ann")), started("p", "pay"))
    for name in ("PLANLOOM_RETRY", "PLANLOOM_RESUME_RETRY"):
        monkeypatch.setenv(name, "p")
    assert 5 == later("resume", "r1", *TOOLS, *KEPT).code
    (later.folder / "planloom.toml").write_text('[resume]\nretry = ["p"]\n')
    refused = later("resume", "r1", *TOOLS, *KEPT)
    assert (2, True) == (refused.code, "unknown key `retry`" in refused.stderr)
    assert not (later.folder / "pay.calls").exists()


REFUSALS: dict[str, tuple[tuple[str, ...], int, tuple[str, ...]]] = {
    "nothing kept yet": (("runs",), 2, ("no run is kept yet", ".local/state/planloom/runs.db", "PLANLOOM_JOURNAL")),
    "no such journal": (("show", "last", "--journal", "run.db"), 2, ("no journal `run.db`", "did you mean `runs.db`?")),
    "a folder": (("runs", "--journal", "."), 2, ("is a folder",)),
    "in memory": (("execute", "plan.json", *TOOLS, "--journal", ":memory:"), 2, ("ends with the command",)),
    "an empty name": (("runs", "--journal", " "), 2, ("it is empty",)),
    "not a journal": (("runs", "--journal", "tools.py"), 1, ("tools.py",)),
    "unknown run, near": (("show", "failed1", *KEPT), 2, ("no run `failed1`", "did you mean `failed-1`?")),
    "unknown run": (("resume", "zzzzzz", *TOOLS, *KEPT), 2, ("no run `zzzzzz`", "newest are `cut-2` (interrupted)")),
    "more than one": (("resume", "cut", *TOOLS, *KEPT), 2, ("2 runs in runs.db begin with `cut`", "`cut-1`")),
    "prune without days": (("runs", "prune", *KEPT), 2, ("prune needs --older-than",)),
    "days without prune": (("runs", "--older-than", "1", *KEPT), 2, ("runs prune",)),
    "prune with a status": (("runs", "prune", "--older-than", "1", "--status", "failed", *KEPT), 2, ("--status",)),
    "endless days": (("runs", "prune", "--older-than", "inf", *KEPT), 2, ("number of days",)),
    "no JSON": (("resume", "cut-1", *TOOLS, *KEPT, "--set", "p=paid"), 2, ("`paid` is not JSON", "quotes")),
    "no pair": (("resume", "cut-1", *TOOLS, *KEPT, "--set", "p"), 2, ("STEP=JSON",)),
    "two words": (("resume", "cut-1", *TOOLS, *KEPT, "--skip", "p", "--retry", "p"), 2, ("more than one word",)),
    "two outputs": (("resume", "cut-1", *TOOLS, *KEPT, "--set", "p=1", "--set", "p=2"), 2, ("two outputs",)),
    "a needless word": (("resume", "cut-2", *TOOLS, *KEPT, "--skip", "p"), 2, ("`p` needs no word",)),
    "a word too late": (("resume", "succeeded-1", *TOOLS, *KEPT, "--retry", "p"), 2, ("has succeeded", "`p`")),
    "other tools": (("resume", "cut-1", "--tools", "other.py", *KEPT), 3, ("unknown-tool",)),
    "an agent's run": (("resume", "agent-1", *TOOLS, *KEPT), 2, ("needs a model", "GROQ_API_KEY")),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSALS)
def test_refusals(name: str, several: Inside) -> None:
    """One clear sentence, the documented exit code, and nothing is called."""
    if name == "an agent's run":
        keep(several.folder, "agent-1", plan_of(), kind="compile")
    write_plan(several, step("p", "pay", whom="ann"))
    argv, code, texts = REFUSALS[name]
    refused = several(*argv)
    assert (code, "") == (refused.code, refused.stdout), refused.stderr
    for text in texts:
        assert text in refused.stderr
    assert not (several.folder / "pay.calls").exists()


def test_a_run_that_somebody_drives(later: Inside) -> None:
    """It is listed as running, shown, refused with exit code 2, and not removed."""
    plan = plan_of(step("p", "pay", whom="ann"))

    async def drive() -> list[Ended]:
        async with SqliteJournal(later.folder / "runs.db") as journal:
            run = await journal.open_run("r1", "", {"kind": "execute", "plan": plan, "inputs": {}})
            asked = [("runs", *KEPT, "--json"), ("show", "r1", *KEPT), ("resume", "r1", *TOOLS, *KEPT)]
            ended = [await asyncio.to_thread(later, *argv) for argv in asked]
            await run.close()
            return ended

    listed, told, refused = asyncio.run(drive())
    assert "running" == listed.document["runs"][0]["status"]
    assert (0, "") == (told.code, told.stderr)
    assert (2, "") == (refused.code, refused.stdout)
    assert "the run `r1` is being driven by process " in refused.stderr


def test_a_password_is_never_shown() -> None:
    """The line that goes on with a run names a server without its password."""
    assert "postgresql://ann@db:5432/runs" == shown("postgresql://ann:s3cret@db:5432/runs?password=s3cret")
    assert "runs.db" == shown("runs.db")
