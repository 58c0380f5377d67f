"""What must hold of a goal whose process died: of what it left, of how it goes on, of what the outside has seen."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

from crash_goal import MENDED_STEPS, NEEDS, PAID, PLAIN, PUT, REPLACED, Seen, agent, seen_in

from planloom import RunResult
from planloom.engine.journaled import read_history
from planloom.errors import RunNotFoundError
from planloom.plan.history import History, Words, parent_of

MAX_WORDS = 3
"""How often one goal may wait for a person's word: once is enough, unless it dies again."""


def outcome(result: RunResult) -> dict[str, Any]:
    """What must be equal however often the process died."""
    return {
        "status": result.status.value,
        "answer": result.answer,
        "replans": result.replans,
        "steps": {name: (step.status.value, step.output) for name, step in result.steps.items()},
    }


def left_by(journal: Any, calls: Path, run_id: str = "r1") -> History | None:
    """Return what a dead process left, checked against what the outside has seen; None when nothing was begun."""
    seen = seen_in(calls)
    try:
        history, _ = asyncio.run(read_history(journal, run_id))
    except RunNotFoundError:
        assert [] == seen, "something happened before the run was durable"
        return None
    ended = {**history.steps, **history.in_flight}
    is_mended = any(each.get("ask") == "replan" for each in seen) and not history.replans
    for each in seen:
        if "tool" not in each:
            continue
        step_id = parent_of(each["step"])
        missing = [name for name in NEEDS[step_id] if name not in history.steps or not history.steps[name].is_success]
        assert [] == missing, f"{each['step']} was called before the results it needs were durable"
        if each["tool"] in PLAIN:
            assert each["step"] in ended, f"{each['step']} was called before its start was durable"
    assert not (is_mended and any(each.get("name") == MENDED_STEPS[0]["args"]["name"] for each in seen))
    if any("told" in each for each in seen):
        assert history.status == seen[-1]["told"]
    return history


def words_for(open_steps: set[str], seen: list[Seen]) -> Words:
    """Return what a person says who asks the outside about each payment that nobody knows of."""
    paid = {each["step"]: each["name"] for each in seen if each.get("tool") in PLAIN}
    return Words.of(
        retry=[name for name in open_steps if name not in paid],
        outputs={name: f"paid {paid[name]}" for name in open_steps if name in paid},
    )


def go_on(journal: Any, calls: Path, run_id: str = "r1") -> RunResult:
    """Go on with a goal to its end, or begin it when there is none, asking the outside where a word is needed."""
    for _ in range(MAX_WORDS):
        history = left_by(journal, calls, run_id)
        if history is None:
            return asyncio.run(agent(journal, str(calls)).run("pay everybody", run_id=run_id))
        unknown = {name for name, call in history.in_flight.items() if call.tool in PLAIN}
        unknown |= {
            name
            for name, step in history.steps.items()
            if step.status.value == "unknown" and not (step.error and step.error.elements)
        }
        before = seen_in(calls)
        result = asyncio.run(agent(journal, str(calls)).resume(run_id))
        after = seen_in(calls)[len(before) :]
        again = {each["step"] for each in after if "step" in each and each["step"] in history.finished()}
        assert set() == again - _put_back(history, after), "what had succeeded ran again"
        if result.status.value != "waiting":
            assert set() == unknown, "a payment that nobody knows of was decided without a word"
            return result
        assert unknown, result.explain()
        words = words_for(unknown, seen_in(calls))
        result = asyncio.run(agent(journal, str(calls)).resume(run_id, words=words))
        if result.status.value != "waiting":
            return result
    raise AssertionError(f"the goal still waits: {result.explain()}")


def _put_back(history: History, after: list[Seen]) -> set[str]:
    """Return the steps that a recovery has replaced since: their ids stand for other calls."""
    return REPLACED if any(each.get("ask") == "replan" for each in after) else set()


def check_outside(calls: Path, expected: dict[str, Any], result: RunResult) -> None:
    """Assert that each effect happened once, each reply was bought once, and the end is that of an undisturbed goal."""
    seen = seen_in(calls)
    assert expected == outcome(result), result.explain()
    paid = Counter((each["step"], each["name"]) for each in seen if each.get("tool") == "pay")
    assert Counter(PAID.items()) == paid
    keyed = {(each["step"], each["name"], each["key"]) for each in seen if each.get("tool") == "put"}
    assert sorted(PUT.items()) == sorted((step, name) for step, name, _ in keyed)
    assert len(PUT) == len({key for _, _, key in keyed})
