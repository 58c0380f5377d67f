"""Replies of a language model to the prompts as they stand, word for word, on goals that they were not written for.

Each reply was given to one prompt and nothing else. They show what a model writes, not what every model would.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from planloom import Agent, RunResult, Tool, Toolbox, create_plan, find_issues
from planloom.planning import read_plan_text
from planloom.standard import standard_tools
from planloom.testing import ScriptedModel

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
REPLIES = {entry["name"]: entry for entry in json.loads((FIXTURES / "raw_replies.json").read_text(encoding="utf-8"))}
CHANGES = {"AAPL": -0.4, "MSFT": -2.5, "NVDA": 1.0, "AMD.O": -3.5}


def toolbox(tmp_path: Path, called: list[str]) -> Toolbox:
    """The toolbox that the prompts described: the everyday tools, and a few of an office."""

    async def get_price(symbol: str) -> dict[str, float]:
        called.append(symbol)
        if symbol not in CHANGES:
            raise ValueError(f"HTTP 404: unknown symbol {symbol}")
        return {"price": 100.0, "change_percent": CHANGES[symbol]}

    async def send_email(to: list[str], subject: str, body: str) -> str:
        called.append(subject)
        return "message-1"

    async def sql(query: str) -> list[dict[str, float | str | None]]:
        return []

    async def web_search(query: str, max_results: int = 5) -> list[dict[str, str]]:
        return []

    office = [
        Tool.from_function(get_price, read_only=True),
        Tool.from_function(send_email),
        Tool.from_function(sql, read_only=True),
        Tool.from_function(web_search, read_only=True, open_world=True),
    ]
    return Toolbox([*standard_tools(tmp_path).values(), *office])


@pytest.mark.parametrize("name", [name for name, entry in REPLIES.items() if entry["purpose"] in ("plan", "compile")])
def test_plans_are_valid_as_they_were_written(name: str, tmp_path: Path) -> None:
    """Every plan is read without a change, and has no error; compiled calls lack only what they need not have."""
    text = read_plan_text(REPLIES[name]["reply"])
    issues = find_issues(text.plan, toolbox(tmp_path, []))
    assert ((), []) == (tuple(text.mends), [issue for issue in issues if issue.severity == "error"])
    assert {"missing-field"} >= {issue.code for issue in issues}


def test_broken_steps_are_mended(tmp_path: Path) -> None:
    """A misspelt tool, a placeholder and a wrong condition go back, and the reply mends exactly those two steps."""
    broken = REPLIES["shares"]["reply"].replace('"get_price"', '"get_prices"').replace('< -2"', '< -2 if true"')
    model = ScriptedModel([broken, REPLIES["shares-mend"]["reply"]])

    async def main() -> Any:
        return await create_plan(REPLIES["shares"]["goal"], toolbox(tmp_path, []), model=model)

    plan = asyncio.run(main())
    assert ["prices", "ranked", "mail"] == [step.id for step in plan.steps]
    model.assert_finished()


def test_a_failure_is_planned_around(tmp_path: Path) -> None:
    """One unknown symbol of four: the recovery plan asks for it by another name, and the mail names the right two."""
    called: list[str] = []
    planner = ScriptedModel([REPLIES["shares"]["reply"], REPLIES["shares-replan"]["reply"]])
    agent = Agent(toolbox(tmp_path, called), planner, ScriptedModel(["Sent."]))

    async def main() -> RunResult:
        return await agent.run(REPLIES["shares"]["goal"])

    result = asyncio.run(main())
    assert ("succeeded", "Sent.", 1) == (result.status, result.answer, result.replans)
    assert "Biggest share price losers today: AMD and Microsoft" == called[-1]
    assert ["AAPL", "AMD", "AMD.O", "MSFT", "NVDA"] == sorted(called[:-1])  # nothing that had finished ran again
