"""Events of planning and replanning as JSON records."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from planloom import Issue, Plan, Step, StepError
from planloom.plan import events

PLAN = Plan((Step("a", "work"),), "a goal")
ERROR = StepError("exception", "ValueError", "no")
ISSUE = Issue("unknown-tool", "error", "/steps/0/tool", "no such tool")

CASES: list[tuple[type[events.Event], tuple[Any, ...], str, dict[str, Any]]] = [
    (events.PlanMending, (1, (ISSUE,)), "plan-mending", {"round": 1, "issues": [ISSUE.to_dict()]}),
    (
        events.PlanCreated, (PLAN, 1, ("a fence was left out",)), "plan-created",
        {"plan": PLAN.to_dict(), "rounds": 1, "mends": ["a fence was left out"]},
    ),
    (
        events.ModelCalled, ("plan", "m", 3, 4, None, 1.5, 1, True), "model-called",
        {"purpose": "plan", "model": "m", "input_tokens": 3, "output_tokens": 4, "cost_usd": None, "latency_ms": 1.5,
         "tries": 1, "estimated": True},
    ),
    (
        events.Replanned, (1, ERROR, ("a",), ("b",), ("c",), PLAN), "replanned",
        {"number": 1, "reason": ERROR.to_dict(), "replaced": ["a"], "kept": ["b"], "added": ["c"],
         "plan": PLAN.to_dict()},
    ),
    (events.ReplanStarted, (ERROR, ("a", "b")), "replan-started", {"reason": ERROR.to_dict(), "held": ["a", "b"]}),
    (
        events.StepWaiting, ("may it?", "pay", {"amount": 1}), "step-waiting",
        {"question": "may it?", "tool": "pay", "args": {"amount": 1}, "needs": "approval"},
    ),
    (events.PlanWaiting, (PLAN, "5f"), "plan-waiting", {"plan": PLAN.to_dict(), "digest": "5f"}),
    (events.ApprovalGiven, ("5f", True), "approval-given", {"digest": "5f", "approved": True}),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "data", "name", "expected"), CASES, ids=[case[2] for case in CASES])
def test_an_event_is_a_json_record(kind: Any, data: tuple[Any, ...], name: str, expected: dict[str, Any]) -> None:
    """Plans, issues and errors inside an event become JSON, and the record reads back as it was written."""
    written = kind(1, "run", 0.0, None, *data).to_dict()
    assert (name, expected) == (written["type"], written["data"])
    assert written == json.loads(json.dumps(written))


def test_every_type_of_event_is_documented() -> None:
    """docs/planning.md has one row per type of event, and no row for one that does not exist."""
    page = (Path(__file__).resolve().parents[2] / "docs" / "planning.md").read_text(encoding="utf-8")
    table = page.split("## Events\n")[1].split("\n## ")[0]
    kinds = [kind for kind in vars(events).values() if isinstance(kind, type) and issubclass(kind, events.Event)]
    assert sorted(kind.type for kind in kinds if kind is not events.Event) == sorted(
        re.findall(r"^\| `([a-z-]+)` \|", table, re.MULTILINE)
    )
