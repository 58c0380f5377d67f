"""Outputs that are used again: only where everything is the same, only when durable, and never a secret's."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from planloom import RunResult, StepResult, ToolDefinitionError, execute_plan, resume_run
from planloom.engine.kept import prune_runs, read_run
from planloom.journal import MemoryJournal
from planloom.journal.artifacts import MAX_INLINE_BYTES
from planloom.plan.history import Words
from planloom.tools import Tool

HASH = "ab" * 32


class Look:
    """A tool that counts its calls; `outcomes` are given, or raised, one after another, the last one for ever."""

    def __init__(self, *outcomes: Any) -> None:
        self.outcomes = list(outcomes)
        self.calls: list[Any] = []

    def tool(self, **facts: Any) -> Tool:
        """The tool, whose output may be used again unless the facts say otherwise."""

        async def look(what: Any = None) -> Any:
            """Look something up."""
            self.calls.append(what)
            outcome = self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]
            if isinstance(outcome, BaseException):
                raise outcome
            return outcome

        given: dict[str, Any] = {"read_only": True, "version": "1", "cache": True, "retries": 0, **facts}
        return Tool.from_function(look, **given)


def plan(*args: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """Steps `s0`, `s1` … one after another, each with its arguments."""
    return {
        "steps": [
            {"id": f"s{i}", "tool": "look", "args": part, "depends_on": [f"s{i - 1}"] if i else [], **fields}
            for i, part in enumerate(args)
        ]
    }


def run(journal: Any, tool: Tool, written: Any, run_id: str, **options: Any) -> tuple[RunResult, list[Any]]:
    """One run in a journal, and its events."""
    events: list[Any] = []
    work = execute_plan(written, [tool], journal=journal, run_id=run_id, on_event=events.append, **options)
    return asyncio.run(work), events


def reuses(result: RunResult) -> dict[str, str | None]:
    """Where the output of each step is from."""
    return {name: step.reused_from for name, step in result.steps.items()}


@pytest.fixture
def journal(tmp_path: Path) -> str:
    return str(tmp_path / "runs.db")


@pytest.mark.parametrize(
    ("change", "facts"),
    [
        ({"what": "b"}, {}),
        ({"what": 1.0}, {}),
        ({}, {}),
        ({"what": "a"}, {"version": "2"}),
        ({"what": "a"}, {"cache": False}),
    ],
)
def test_what_is_not_the_same_is_called(journal: str, change: dict[str, Any], facts: dict[str, Any]) -> None:
    """Other arguments, another version, or a tool that does not ask for it: the tool is called."""
    first, second = Look("one"), Look("two")
    run(journal, first.tool(), plan({"what": "a"}), "r1")
    run(journal, first.tool(), plan({"what": 1}), "r2")
    result, _ = run(journal, second.tool(**facts), plan(change), "r3")
    assert ("two", None, 1) == (result.steps["s0"].output, result.steps["s0"].reused_from, len(second.calls))


def test_a_failure_is_not_used_again(journal: str) -> None:
    """What failed is called again, and its success is used from then on."""
    look = Look(ValueError("down"), "up")
    assert "failed" == run(journal, look.tool(), plan({"what": "a"}), "r1")[0].status
    assert {"s0": None} == reuses(run(journal, look.tool(), plan({"what": "a"}), "r2")[0])
    assert {"s0": "r2"} == reuses(run(journal, look.tool(), plan({"what": "a"}), "r3")[0])
    assert 2 == len(look.calls)


@pytest.mark.parametrize("output", [{"artifact": HASH, "rows": 3}, [{"tables": [{"artifact": HASH}]}]])
def test_a_handle_is_not_used_again(journal: str, output: Any) -> None:
    """A table is a file of its run: an output that holds the handle of one is made anew."""
    look = Look(output)
    for number in (1, 2):
        assert {"s0": None} == reuses(run(journal, look.tool(), plan({"what": "a"}), f"r{number}")[0])
    assert 2 == len(look.calls)


def test_what_a_secret_went_into_is_not_used_again(journal: str) -> None:
    """Not even for the same secret: nothing that is kept says anything about it."""
    look = Look("one")
    written = plan({"what": "{{inputs.key}}"})
    for number in (1, 2):
        result, _ = run(journal, look.tool(), written, f"r{number}", inputs={"key": SecretStr("canary-1234")})
        assert {"s0": None} == reuses(result)
    assert 2 == len(look.calls)


def test_no_journal_no_cache() -> None:
    """Without a journal every call is made."""
    look = Look("one")
    asyncio.run(execute_plan(plan({"what": "a"}, {"what": "a"}), [look.tool()]))
    assert 2 == len(look.calls)


def test_an_entry_goes_with_its_run(journal: str) -> None:
    """What was pruned is called again; a run that used an output keeps it, and still names the run that made it."""
    look = Look("one")
    run(journal, look.tool(), plan({"what": "a"}), "r1")
    assert {"s0": "r1"} == reuses(run(journal, look.tool(), plan({"what": "a"}), "r2")[0])

    async def prune(*run_ids: str) -> None:
        from planloom.journal import open_journal

        opened = open_journal(journal)
        await opened.delete(run_ids)
        await opened.close()

    asyncio.run(prune("r1"))
    assert {"s0": "r1"} == reuses(run(journal, look.tool(), plan({"what": "a"}), "r3")[0])
    assert (2, 1) == (len(asyncio.run(prune_runs(journal, -1.0)).run_ids), len(look.calls))
    assert {"s0": None} == reuses(run(journal, look.tool(), plan({"what": "a"}), "r4")[0])


def test_an_artifact_that_is_gone(journal: str) -> None:
    """A large output stands in a file; when that is not there any more, the tool is called."""
    large = "x" * (MAX_INLINE_BYTES + 1)
    look = Look(large)
    run(journal, look.tool(), plan({"what": "a"}), "r1")
    result, _ = run(journal, look.tool(), plan({"what": "a"}), "r2")
    assert (large, "r1", 1) == (result.steps["s0"].output, result.steps["s0"].reused_from, len(look.calls))
    shutil.rmtree(f"{journal}.artifacts")
    assert {"s0": None} == reuses(run(journal, look.tool(), plan({"what": "a"}), "r3")[0])


def test_a_hit(journal: str) -> None:
    """The tool is not called; event, result, document and kept run say where the output is from; later steps use it."""
    look = Look({"n": 1})
    run(journal, look.tool(), plan({"what": "a"}), "r1")
    written = plan({"what": "a"}, {"what": "{{s0.output.n}}"})
    result, events = run(journal, look.tool(), written, "r2")
    assert ("succeeded", ["a", 1]) == (result.status, look.calls)
    step = result.steps["s0"]
    assert ({"n": 1}, "r1", 0) == (step.output, step.reused_from, step.attempts)
    told = [event.data for event in events if event.type == "step-succeeded"]
    assert ["r1", None] == [data.get("reused_from") for data in told]
    document = result.to_dict()["steps"]
    assert ("r1", False) == (document["s0"]["reused_from"], "reused_from" in document["s1"])
    kept = asyncio.run(read_run(journal, "r2")).result()
    assert reuses(result) == reuses(kept)


def test_within_one_run(journal: str) -> None:
    """The second of two equal calls in a row uses the output of the first."""
    look = Look("one")
    result, _ = run(journal, look.tool(), plan({"what": "a"}, {"what": "a"}), "r1")
    assert ({"s0": None, "s1": "r1"}, ["a"]) == (reuses(result), look.calls)


def test_elements_are_used_again_one_by_one(journal: str) -> None:
    """Each element of a `for_each` by itself, whatever list it stands in."""
    look = Look("one")
    written = plan({"what": "{{item}}"}, for_each="{{inputs.names}}")
    run(journal, look.tool(), written, "r1", inputs={"names": ["ann", "bob"]})
    result, _ = run(journal, look.tool(), written, "r2", inputs={"names": ["cleo", "bob"]})
    assert ["ann", "bob", "cleo"] == look.calls
    elements: tuple[StepResult, ...] = result.steps["s0"].elements
    assert ([None, "r1"], None) == ([part.reused_from for part in elements], result.steps["s0"].reused_from)
    assert ["one", "one"] == result.steps["s0"].output


def test_a_run_that_is_stopped_while_it_looks(journal: str) -> None:
    """A run that is cancelled before anything could be looked up ends in order, and calls nothing."""
    look = Look("one")

    async def main() -> RunResult:
        work = asyncio.ensure_future(
            execute_plan(plan({"what": "a"}), [look.tool()], journal=journal, on_event=lambda e: stop(e))
        )

        def stop(event: Any) -> None:
            if event.type == "step-started":
                work.cancel()

        return await work

    result = asyncio.run(main())
    assert ("cancelled", "cancelled", []) == (result.status, result.steps["s0"].status, look.calls)


def test_a_run_that_goes_on(journal: str) -> None:
    """A step that failed in the first process is found in another run by the second."""
    look = Look(ValueError("down"), "up")
    run(journal, look.tool(), plan({"what": "a"}), "r1")
    run(journal, look.tool(), plan({"what": "a"}), "r2")
    result = asyncio.run(resume_run("r1", [look.tool()], journal=journal))
    assert ({"s0": "r2"}, "up", 2) == (reuses(result), result.steps["s0"].output, len(look.calls))


def test_an_output_that_a_person_gave_is_not_used_again(journal: str) -> None:
    """A person's word is about one step of one run."""
    look = Look(ValueError("down"), "up")
    run(journal, look.tool(), plan({"what": "a"}), "r1")
    asyncio.run(resume_run("r1", [look.tool()], journal=journal, words=Words.of(outputs={"s0": "by hand"})))
    result, _ = run(journal, look.tool(), plan({"what": "a"}), "r2")
    assert ({"s0": None}, "up") == (reuses(result), result.steps["s0"].output)


def test_in_memory() -> None:
    """A journal in memory remembers as the others do."""
    journal, look = MemoryJournal(), Look("one")
    run(journal, look.tool(), plan({"what": "a"}), "r1")
    assert {"s0": "r1"} == reuses(run(journal, look.tool(), plan({"what": "a"}), "r2")[0])


@pytest.mark.parametrize("facts", [{"version": None}, {"read_only": False}, {"read_only": False, "idempotent": True}])
def test_a_tool_that_may_not_ask_for_it(facts: dict[str, Any]) -> None:
    """What has effects, or does not say when its results change, is refused when it is made."""
    with pytest.raises(
        ToolDefinitionError, match=r"`look`: only the outputs of a tool that is read_only and has a ver"
    ):
        Look("one").tool(**facts)

    def use(key: SecretStr) -> str:
        return "x"

    with pytest.raises(ToolDefinitionError, match="`use`: what a secret went into is never used again"):
        Tool.from_function(use, read_only=True, version="1", cache=True)
