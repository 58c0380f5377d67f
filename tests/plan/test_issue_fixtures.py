"""One file of plans per issue code in `tests/fixtures/plans`, each plan with every issue that it has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from planloom import Plan, Toolbox, find_issues
from planloom.plan.issues import ISSUE_CODES

FOLDER = Path(__file__).resolve().parents[1] / "fixtures" / "plans"
FILES = sorted(FOLDER.glob("*.json"))
CASES = [
    pytest.param(path.stem, case, id=f"{path.stem}: {case['name']}")
    for path in FILES
    for case in json.loads(path.read_text(encoding="utf-8"))["cases"]
]


def test_every_code_has_its_fixture() -> None:
    """A code without a plan that shows it cannot be added, nor a file without a code."""
    assert sorted(ISSUE_CODES) == [path.stem for path in FILES]


@pytest.mark.parametrize(("code", "case"), CASES)
def test_fixture(code: str, case: dict[str, Any], fixture_toolbox: Toolbox) -> None:
    """Exactly the expected issues: code, severity, pointer, and a hint where there should be one."""
    issues = find_issues(case["plan"], fixture_toolbox)
    found = [
        {"code": issue.code, "severity": issue.severity, "path": issue.path, "hint": bool(issue.hint)}
        for issue in issues
    ]
    order = ("path", "code")
    assert sorted(case["issues"], key=lambda issue: [issue[name] for name in order]) == sorted(
        found, key=lambda issue: [issue[name] for name in order]
    ), "\n".join(issue.render() for issue in issues)
    assert case["issues"] == [] or code in {issue.code for issue in issues}


@pytest.mark.parametrize(("code", "case"), CASES)
def test_pointers_lead_into_the_plan(code: str, case: dict[str, Any], fixture_toolbox: Toolbox) -> None:
    """Every pointer leads to something in the plan as `to_dict` writes it, or to what is missing there."""
    plan = Plan.from_json(case["plan"])
    for issue in find_issues(plan, fixture_toolbox):
        *parents, last = issue.path.split("/")[1:] or [""]
        value: Any = plan.to_dict()
        for segment in parents:
            segment = segment.replace("~1", "/").replace("~0", "~")
            value = value[int(segment) if isinstance(value, list) else segment]
        if isinstance(value, list):
            assert int(last) < len(value)
        else:
            assert isinstance(value, dict)
            is_about_absence = issue.code in ("missing-argument", "missing-field", "unknown-field")
            assert is_about_absence or last in value or issue.path == "" or plan.defects


@pytest.mark.parametrize(("code", "case"), CASES)
def test_issues_read_well(code: str, case: dict[str, Any], fixture_toolbox: Toolbox) -> None:
    """What, where, how to mend: one line each, no full stop, nothing of Python in it."""
    for issue in find_issues(case["plan"], fixture_toolbox):
        lines = issue.render().splitlines()
        assert 2 + (issue.hint is not None) == len(lines)
        assert not issue.message.endswith(".")
        for word in ("None", "dict", "NoneType", "True", "False", "object at 0x", "MISSING"):
            assert word not in issue.message
        assert {"code", "severity", "path", "message", "hint"} == issue.to_dict().keys()
