"""What `planloom compare` does: three runs on one display, then their rows as a table or a document."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import click

from planloom.agent.agent import Agent
from planloom.agent.compare import STRATEGIES, Comparison, StrategyRow, compare
from planloom.agent.settings import GoalOptions
from planloom.cli.documents import write_document
from planloom.cli.driver import exit_code_of_result
from planloom.cli.goals import given
from planloom.cli.keeping import Kept
from planloom.cli.ledger import Ledger
from planloom.cli.runs import drive, error_of, say_outcome
from planloom.cli.tables import Column, table_text
from planloom.cli.terminal import Terminal, paint
from planloom.cli.text import counted, first_line, one_line, seconds, visible
from planloom.errors import BudgetExceededError, ModelError, PlanValidationError, UsageError
from planloom.models.direct import ProviderModel
from planloom.plan.budget import Account
from planloom.plan.model import Plan
from planloom.plan.results import RunResult
from planloom.plan.state import RunStatus

MAX_ANSWER_CHARS: Final = 2_000
"""How much of each answer stands below the table; --json has all of it."""
_DOING: Final = {
    "react": "react: one call after another",
    "plan-and-execute": "plan-and-execute: planning",
    "compile": "compile: planning all calls in one pass",
}


def run_all(context: click.Context, goal: str) -> int:
    """Reach the goal by each strategy, and show what each took; return the exit code."""
    what = given(context, goal)
    terminal = what.terminal
    effects = [name for name, tool in what.toolbox.items() if not tool.read_only]
    if effects and context.params.get("tools"):
        names = ", ".join(one_line(name, 40) for name in effects[:4]) + (" …" if effects[4:] else "")
        terminal.say(f"note: tools with effects may be called by each of the three: {names}", "yellow")
    agent = what.agent()
    ledger = Ledger(Plan((), what.goal), what.toolbox)
    rows: list[StrategyRow] = []
    codes: dict[str, int] = {}

    async def start(on_event: Any, on_blocked: Any, workdir: Path) -> RunResult:
        def by(name: str) -> Callable[[Account], Awaitable[RunResult]]:
            async def reach(account: Account) -> RunResult:
                ledger.begin_again(_DOING[name])
                folder = workdir / name
                folder.mkdir()
                options = what.options(Kept(on_event=on_event, on_blocked=on_blocked, workdir=folder))
                codes[name] = exit_code_of_result(None)
                result = await _reach(agent, name, what.goal, GoalOptions({**options, "account": account}), codes)
                codes[name] = exit_code_of_result(result)
                return result

            return reach

        def on_row(row: StrategyRow) -> None:
            rows.append(row)
            said = f"{row.strategy}: {row.status} in {seconds(row.wall_s)}, {counted(row.model_calls, 'model call')}"
            if terminal.is_interactive:
                ledger.note(said, "green" if row.error is None else "yellow")
            else:
                terminal.say(said)

        ledger.begin_again("getting ready")
        for model in (what.models.planner, what.models.worker):
            if isinstance(model, ProviderModel):  # importing its library is no part of what a strategy takes
                await model.prepare()
        compared = await compare(what.goal, {name: by(name) for name in STRATEGIES}, budget=what.budget, on_row=on_row)
        is_cut = any(row.status in (RunStatus.CANCELLED, "not-run") for row in compared.rows)
        is_reached = any(row.status is RunStatus.SUCCEEDED for row in compared.rows)
        status = RunStatus.CANCELLED if is_cut else RunStatus.SUCCEEDED if is_reached else RunStatus.FAILED
        return RunResult(ledger.run_id, status, None, Plan((), what.goal), {})

    def deliver(_result: RunResult) -> dict[str, Any]:
        compared = Comparison(what.goal, tuple(rows))
        if what.mode == "json":
            terminal.data(write_document(compared.to_dict(), for_people=terminal.data_is_terminal))
        elif rows:
            if terminal.is_interactive and terminal.data_is_terminal:
                terminal.say("")
            terminal.text(_table(terminal, compared))
        return {}

    code = drive(
        terminal,
        "people",
        Plan((), what.goal),
        what.toolbox,
        start,
        lambda _result: None,
        None,
        deliver,
        person=what.person,
        outcome=lambda _terminal, result: None if result.error is None else say_outcome(terminal, result),
        ledger=ledger,
        keeps_display=False,
    )
    return codes.get(STRATEGIES[-1], code) if code == 1 else code


async def _reach(agent: Agent, name: str, goal: str, settings: GoalOptions, codes: dict[str, int]) -> RunResult:
    """Reach the goal by one strategy, and note the exit code of what it raises."""
    try:
        if name == "react":
            return await agent.react(goal, **settings)  # pyright: ignore[reportCallIssue]
        return await (agent.run if name == "plan-and-execute" else agent.compile)(goal, **settings)
    except UsageError:
        codes[name] = 2
        raise
    except (PlanValidationError, ModelError, BudgetExceededError) as error:
        failed = RunResult("", RunStatus.FAILED, None, Plan(()), {}, error=error_of(error))
        codes[name] = exit_code_of_result(failed)
        raise


def _table(terminal: Terminal, compared: Comparison) -> str:
    columns = [
        Column("strategy", style="bold"),
        Column("status"),
        *[Column(name, align="right") for name in ("time", "model calls", "tokens in", "tokens out", "cost", "steps")],
    ]
    rows = [
        [
            row.strategy,
            str(row.status),
            seconds(row.wall_s),
            f"{row.model_calls:,}",
            f"{row.input_tokens:,}",
            f"{row.output_tokens:,}",
            "unknown" if row.cost_usd is None else f"${row.cost_usd:.4f}",
            f"{row.steps:,}",
        ]
        for row in compared.rows
    ]
    parts = [table_text(columns, rows, terminal)]
    ratios = [words for row in compared.rows if (words := _against_the_first(compared, row))]
    if ratios:
        parts.append("\n" + "\n".join(ratios) + "\n")
    for row in compared.rows:
        name = paint(row.strategy, "bold") if terminal.data_has_colour else row.strategy
        parts.append(f"\n{name}\n{_said(row)}\n")
    return "".join(parts)


def _against_the_first(compared: Comparison, row: StrategyRow) -> str:
    """Say how much less than ReAct a strategy took, where both have reached the goal."""
    words = {"wall_s": "time", "model_calls": "model calls", "input_tokens": "tokens in", "cost_usd": "cost"}
    ratios = compared.ratios(row.strategy) if row.strategy != STRATEGIES[0] and len(compared.rows) > 1 else {}
    said = [
        f"{words[name]} {ratio:.1f}x less" if ratio >= 1 else f"{words[name]} {1 / ratio:.1f}x more"
        for name, ratio in ratios.items()
        if name in words and ratio is not None and not 0.95 < ratio < 1.05
    ]
    return f"{row.strategy} against {STRATEGIES[0]}: {', '.join(said)}" if said else ""


def _said(row: StrategyRow) -> str:
    if row.error is not None:
        return "  " + first_line(row.error, 400)
    text = visible(row.answer) if isinstance(row.answer, str) else one_line(row.answer, MAX_ANSWER_CHARS)
    more = len(text) - MAX_ANSWER_CHARS
    cut = text if more <= 0 else f"{text[:MAX_ANSWER_CHARS]} … and {more:,} characters more"
    return "\n".join(f"  {line}" for line in cut.strip().split("\n"))
