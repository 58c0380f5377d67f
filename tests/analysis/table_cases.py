"""Runs one plan over the table tools, as a planner would write it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from planloom import Plan, Toolbox, execute_plan, find_issues
from planloom.analysis import load_data
from planloom.analysis.table_tools import TABLE_TOOLS

TOOLS = Toolbox([load_data, *TABLE_TOOLS])


def outputs(steps: list[dict[str, Any]], **inputs: Path) -> dict[str, Any]:
    """Run steps and give each one's output; `inputs` are files, loaded under their names."""
    loads = [
        {"id": name, "tool": "load_data", "args": {"path": str(path)}, "depends_on": []}
        for name, path in inputs.items()
    ]
    plan = Plan.from_json({"version": 1, "goal": "test", "steps": [*loads, *steps]})
    errors = [issue for issue in find_issues(plan, TOOLS) if issue.severity == "error"]
    assert [] == errors
    result = asyncio.run(execute_plan(plan, TOOLS)).raise_for_status()
    return {name: step.output for name, step in result.steps.items()}


def step(name: str, tool: str, /, **args: Any) -> dict[str, Any]:
    """One step of a plan."""
    return {"id": name, "tool": tool, "args": args}
