"""What a run says of itself in words, and where its issues point."""

from __future__ import annotations

import math

import pytest

from planloom import Plan, PlanFormatError, RunResult, RunStatus, StepError, StepResult, StepStatus, find_issues
from planloom.plan.issues import split_hint


@pytest.mark.parametrize(("failed", "last"), [(9, "… and 1 more step"), (10, "… and 2 more steps")])
def test_explain_counts_what_it_leaves_out(failed: int, last: str) -> None:
    """Eight failed steps are named, the others counted."""
    error = StepError("exception", "ValueError", "no luck")
    steps = {f"s{number}": StepResult(f"s{number}", StepStatus.FAILED, error=error) for number in range(failed)}
    lines = RunResult("r", RunStatus.FAILED, None, Plan(()), steps).explain().splitlines()
    assert (10, last) == (len(lines), lines[-1])


@pytest.mark.parametrize("message", ["it is empty\nhint: look again", "it is empty hint: look again"])
def test_explain_sets_hints_apart(message: str) -> None:
    """A hint has a line of its own, also when the error was put on one line."""
    step = StepResult("load", StepStatus.FAILED, error=StepError("exception", "DataError", message))
    expected = "run r failed\nstep `load` failed: it is empty\nhint: look again"
    assert expected == RunResult("r", RunStatus.FAILED, None, Plan(()), {"load": step}).explain()


@pytest.mark.parametrize(
    ("message", "parts"),
    [("", ("", "")), ("why", ("why", "")), ("a\nb\nhint: c\nd", ("a\nb", "c\nd")), ("x hint: y", ("x", "y"))],
)
def test_split_hint(message: str, parts: tuple[str, str]) -> None:
    """What an error says, and its hint, if it has one."""
    assert parts == split_hint(message)


def test_where_an_issue_of_a_bare_list_points() -> None:
    """Into the plan as it is written; only where nothing could be read as one, into what was given."""
    plan = Plan.from_json([{"id": "a", "tool": "t", "args": 5}])
    assert ["/steps/0/args"] == [issue.path for issue in find_issues(plan, None) if issue.severity == "error"]
    with pytest.raises(PlanFormatError) as caught:
        Plan.from_json([{"id": "a", "tool": "t", "args": {"x": math.nan}}])
    assert ["/0/args/x"] == [issue.path for issue in caught.value.issues]
