"""What a run in a journal writes, and when: in groups, as values were at that moment, and nothing of what tools set."""

from __future__ import annotations

import asyncio
import contextvars
from pathlib import Path
from typing import Any

import pytest

from planloom import Plan, Toolbox, execute_plan, resume_run, tool
from planloom.engine import recorder
from planloom.engine.durability import Durability
from planloom.engine.kept import read_run
from planloom.journal import Journal, MemoryJournal, Record, SqliteJournal
from planloom.plan.graph import graph_of
from planloom.plan.schedule import Schedule
from planloom.testing import chain, layered


@tool(read_only=True)
async def look() -> dict[str, Any]:
    """Return what can be changed."""
    return {"rows": [1, 2]}


@tool
async def act() -> str:
    """Do nothing, with an effect as far as anybody knows."""
    return "done"


TOOLBOX = Toolbox([look, act])


@pytest.fixture(autouse=True)
def never_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is written because time has passed."""
    monkeypatch.setattr(recorder, "LATER_S", 3_600.0)


def commits_of(plan: Plan, path: Path) -> int:
    """Run a plan and return how many groups were written."""

    async def work() -> int:
        async with SqliteJournal(path) as journal:
            (await execute_plan(plan, TOOLBOX, journal=journal)).raise_for_status()
            return journal.commits

    return asyncio.run(work())


@pytest.mark.parametrize(
    ("plan", "groups"),
    [
        (layered(4, 10, "look"), 4),
        (layered(4, 10, "act"), 8),
        (chain(5, "look"), 5),
        (chain(5, "act"), 10),
    ],
    ids=["wide", "wide with effects", "narrow", "narrow with effects"],
)
def test_what_waits_together_is_written_together(plan: Plan, groups: int, tmp_path: Path) -> None:
    """Steps that end in one turn of the loop share a commit, as do calls that begin in one; the disk is what costs."""
    assert groups == commits_of(plan, tmp_path / "runs.db")


def test_nothing_goes_on_before_its_group_is_durable() -> None:
    """What joins a group waits for its commit, also a change of the plan that frees nothing; the next has its own."""
    told: list[str] = []

    async def work() -> None:
        async with MemoryJournal() as journal:
            book = await journal.open_run("r1", "", {})
            keeper = recorder.Recorder(book, Record.from_event)
            schedule = Schedule(graph_of(chain(3)))
            durability = Durability(
                keeper,
                asyncio.get_running_loop(),
                schedule,
                lambda freed: told.append(f"go on with {freed}"),
                lambda attempt, args, prepared: told.append("make"),
                lambda fault: told.append(repr(fault)),
                lambda attempt, failure, value: told.append("ended"),
                None,
            )
            durability.free([])  # nothing is kept, so there is nothing to wait for
            assert (["go on with []"], False) == (told, durability.is_open)
            keeper.started(1, 1.0, "s", "look", 1)
            durability.free([])
            durability.free([0, 1])  # the second waits for another step, and is not free by then
            keeper.hand_over()
            keeper.started(2, 1.0, "s", "look", 1)
            durability.free([0])
            assert (1, True) == (len(told), durability.is_open)
            await book.flush()
            await asyncio.sleep(0)
            assert ["go on with []", "go on with [0]"] == told
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert (["go on with []", "go on with [0]", "go on with [0]"], False) == (told, durability.is_open)
            await keeper.flush()

    asyncio.run(work())


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_an_output_is_kept_as_it_was(kind: str, tmp_path: Path) -> None:
    """What a listener does to an output after it was told is not in the journal."""

    def spoil(event: Any) -> None:
        if event.type == "step-succeeded":
            event.output["rows"].append("spoilt")

    async def work() -> Any:
        journal: Journal = MemoryJournal() if kind == "memory" else SqliteJournal(tmp_path / "runs.db")
        plan = Plan.from_json([{"id": "a", "tool": "look", "args": {}}])
        await execute_plan(plan, TOOLBOX, journal=journal, run_id="r1", on_event=spoil)
        kept = await read_run(journal, "r1")
        await journal.close()
        return kept.result().steps["a"].output

    assert {"rows": [1, 2]} == asyncio.run(work())


SEEN: contextvars.ContextVar[str] = contextvars.ContextVar("SEEN", default="nothing")


@pytest.mark.parametrize("effect", [False, True])
def test_later_steps_have_the_context_of_the_caller(effect: bool, tmp_path: Path) -> None:
    """A step that has waited for the disk sees the context variables of the caller, none that another tool has set."""
    seen: list[str] = []

    @tool(read_only=not effect)
    async def note() -> None:
        seen.append(SEEN.get())
        SEEN.set("set by a tool")

    async def work() -> None:
        SEEN.set("set by the caller")
        plan = Plan.from_json(
            [{"id": f"s{n}", "tool": "note", "args": {}, "depends_on": [f"s{n - 1}"] if n else []} for n in range(3)]
        )
        (await execute_plan(plan, [note], journal=tmp_path / "runs.db")).raise_for_status()

    asyncio.run(work())
    assert ["set by the caller"] * 3 == seen


@pytest.mark.parametrize(
    "output", ["é" * 30_000, "\x00" * 20_000, [["é" * 40_000]], {"$artifact": "sha256:no"}, 1e300, -0.0]
)
def test_outputs_of_every_size_come_back(output: Any, tmp_path: Path) -> None:
    """A run that goes on has the value, whether it stood in a record or in a file, or only looks like a place."""
    calls: list[int] = []

    @tool(read_only=True)
    async def give() -> Any:
        return output

    @tool(read_only=True)
    async def take(value: Any) -> Any:
        calls.append(1)
        if len(calls) == 1:
            raise ValueError("not yet")
        return value

    async def work() -> Any:
        plan = Plan.from_json(
            [{"id": "a", "tool": "give", "args": {}}, {"id": "b", "tool": "take", "args": {"value": "{{a.output}}"}}]
        )
        path = tmp_path / "runs.db"
        assert "failed" == (await execute_plan(plan, [give, take], journal=path, run_id="r1")).status
        return (await resume_run("r1", [give, take], journal=path)).steps["b"].output

    assert repr(output) == repr(asyncio.run(work()))
