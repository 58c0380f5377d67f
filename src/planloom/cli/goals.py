"""A goal on the command line: what the user gave for it, the agent that reaches it, and the run as it is driven.

`run`, `compile`, `plan` and `compare` read the same options here, in the same order: first what is wrong with the
command line, then which models, then the tools, which may take a while to load.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import click

from planloom.agent.agent import Agent
from planloom.agent.people import Approver
from planloom.agent.settings import GoalOptions
from planloom.cli import options
from planloom.cli.everyday import everyday_toolbox
from planloom.cli.keeping import Keeper, Kept, keeper_for, starting
from planloom.cli.ledger import Ledger
from planloom.cli.model_options import ChosenModels, budget_of, chosen_models
from planloom.cli.options import Mode
from planloom.cli.people import TerminalPerson, approver
from planloom.cli.runs import check_time_limit, drive, show_answer
from planloom.cli.sources import parse_inputs, read_goal, tools_named
from planloom.cli.terminal import Terminal
from planloom.errors import UsageError
from planloom.plan.budget import Budget
from planloom.plan.model import Plan
from planloom.plan.results import RunResult
from planloom.planning.recovery import MAX_REPLANS
from planloom.tools import Toolbox

Reach = Callable[[Agent, GoalOptions], Awaitable[RunResult]]
"""Reaches the goal with an agent, given the options of one goal."""


@dataclass(frozen=True, slots=True)
class Given:
    """What the user gave on the command line for a goal."""

    mode: Mode
    goal: str
    inputs: dict[str, Any]
    toolbox: Toolbox
    models: ChosenModels
    terminal: Terminal
    budget: Budget | None
    approver: Approver
    person: TerminalPerson | None
    max_concurrency: int | None
    max_replans: int
    time_limit_s: float | None
    keeper: Keeper | None
    deps: Any = None
    instructions: str = ""
    """What the planner is told beside the goal."""

    def agent(self, approver: Approver | None = None) -> Agent:
        """Return the agent; `approver` in the place of the one that the user asked for."""
        return Agent(
            self.toolbox,
            self.models.planner,
            self.models.worker,
            self.budget,
            approve=self.approver if approver is None else approver,
            ask=None if self.person is None else self.person.answer,
            journal=None if self.keeper is None else self.keeper.address,
            instructions=self.instructions,
            deps=self.deps,
            max_replans=self.max_replans,
            max_concurrency=self.max_concurrency,
        )

    def options(self, kept: Kept) -> GoalOptions:
        """Return the options of one goal."""
        given = {name: value for name, value in kept.items() if name != "journal"}
        return cast("GoalOptions", {**given, "inputs": self.inputs, "timeout_s": self.time_limit_s})


def given(
    context: click.Context,
    goal: str | None,
    plan: Plan | None = None,
    *,
    to_output: bool = True,
    terminal: Terminal | None = None,
    folder: Path | None = None,
    journal: str | None = None,
    own_tools: Toolbox | None = None,
) -> Given:
    """Read the options of a command. `plan` is one to run; `to_output`: stdout's content goes to --output, if named.

    `terminal` is one that is open already; `folder` is where the tools for every day are at home, by default here;
    `journal` is where the run is kept already; `own_tools` are in the place of those for every day. A command with
    --journal and --no-journal keeps its run.

    Raises `UsageError` and `MissingExtraError` (exit code 2), `ToolLoadError`.
    """
    params = context.params
    mode = options.mode_of(context)
    output: Path | None = params.get("output")
    if mode == "events" and output is not None:
        raise click.UsageError("--events writes to stdout; it cannot be used together with --output", context)
    time_limit_s = check_time_limit(params.get("timeout"))
    inputs = parse_inputs(params.get("input") or ())
    may_ask = not params.get("no_input")
    words = read_goal(goal, may_ask=may_ask) if goal is not None else _goal_of(plan)
    budget = budget_of(params)
    models = chosen_models(context)
    if terminal is None:
        terminal = Terminal.open(output if to_output else None)
        context.call_on_close(terminal.close)
    toolbox = tools_named(params.get("tools") or ()) or own_tools or everyday_toolbox(folder or Path.cwd())
    person = TerminalPerson.at(terminal, toolbox, may_ask=may_ask)
    max_replans = params.get("max_replans")
    return Given(
        mode=mode,
        goal=words,
        inputs=inputs,
        toolbox=toolbox,
        models=models,
        terminal=terminal,
        budget=budget,
        approver=approver(frozenset(params.get("approve") or ()), person),
        person=person,
        max_concurrency=params.get("max_concurrency"),
        max_replans=MAX_REPLANS if max_replans is None else max_replans,
        time_limit_s=time_limit_s,
        keeper=_keeper(context, terminal, models, journal),
    )


def _keeper(context: click.Context, terminal: Terminal, models: ChosenModels, journal: str | None) -> Keeper | None:
    if journal is not None:
        return Keeper(terminal, journal, {})
    if "no_journal" not in context.params:
        return None
    return keeper_for(context, terminal, model=models.planner.name, worker_model=models.worker.name)


def reach(what: Given, start: Reach, plan: Plan | None = None, ledger: Ledger | None = None) -> int:
    """Reach the goal and show it as it happens; return the exit code. `ledger` knows what was done before."""
    agent = what.agent()
    return drive(
        what.terminal,
        what.mode,
        Plan((), what.goal) if plan is None else plan,
        what.toolbox,
        starting(what.keeper, lambda kept: start(agent, what.options(kept))),
        lambda result: show_answer(what.terminal, result),
        what.time_limit_s,
        person=what.person,
        streams_answer=True,
        say_how_to_go_on=None if what.keeper is None else what.keeper.say_how_to_go_on,
        ledger=ledger,
    )


def _goal_of(plan: Plan | None) -> str:
    if plan is not None and plan.goal.strip():
        return plan.goal
    raise UsageError(
        "the plan says no goal, and none was given\n"
        "hint: planloom run GOAL --plan FILE, or `planloom execute FILE`, which runs it as it is, without a model"
    )
