"""What `planloom plan` does: ask for a plan, let a person edit it, show it with its waves and its calls, write it."""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path
from typing import Any, Final

import click

from planloom.agent.people import Approver
from planloom.cli.documents import DOCUMENT_VERSION, verdict, write_document
from planloom.cli.goals import Given, given
from planloom.cli.keeping import Kept
from planloom.cli.options import Mode
from planloom.cli.progress import said_of_usage
from planloom.cli.runs import drive, say_outcome
from planloom.cli.saved import check_new_name, save_playbook
from planloom.cli.terminal import OutputError, Terminal, check_writable, paint
from planloom.cli.text import counted, took, visible
from planloom.drawing import plan_text
from planloom.errors import PlanFormatError, PlanValidationError
from planloom.plan.graph import graph_of
from planloom.plan.issues import Issue, has_errors
from planloom.plan.model import MISSING, Plan
from planloom.plan.results import RunResult
from planloom.plan.state import RunStatus
from planloom.tools import Toolbox
from planloom.tools.checks import find_issues

UNAPPROVED: Final = Approver(frozenset({"plan"}))
"""Nobody says yes to the plan, so that it is made, checked, and not run."""
MAX_EDITS: Final = 100


def make_plan(context: click.Context, goal: str, output: Path | None, *, edit: bool, save: str | None = None) -> int:
    """Plan, edit, show, write and save as a playbook; return the exit code."""
    saved = None if save is None else check_new_name(save)
    if output is not None:
        check_writable(output)
    what = given(context, goal, to_output=False)
    terminal = what.terminal
    planned: list[Plan] = []
    code = _ask(what, planned)
    if not planned:
        return code
    plan = _edited(terminal, planned[0], what) if edit else planned[0]
    if output is not None:
        _write(output, plan)
    if saved is not None:
        save_playbook(saved, plan, context.params.get("tools") or (), what.inputs)
    if what.mode == "json":
        terminal.data(write_document(plan.to_dict(), for_people=terminal.data_is_terminal))
    else:
        _show(terminal, plan, what.toolbox)
    if output is not None:
        terminal.say(f"plan: {output}", "green")
    if saved is not None:
        terminal.say(f"playbook: {saved}", "green")
    return 0


def _ask(what: Given, planned: list[Plan]) -> int:
    """Drive the planning. What failed is said, and with --json is the document."""
    agent, terminal = what.agent(UNAPPROVED), what.terminal
    failures: list[PlanValidationError] = []

    async def start(on_event: Any, on_blocked: Any, workdir: Path) -> RunResult:
        try:
            kept = Kept(on_event=on_event, on_blocked=on_blocked, workdir=workdir)
            result = await agent.run(what.goal, **what.options(kept))
        except PlanValidationError as error:
            failures.append(error)
            raise
        if result.status is not RunStatus.WAITING:
            return result
        planned.append(result.plan)
        return dataclasses.replace(result, status=RunStatus.SUCCEEDED)

    def deliver(result: RunResult) -> dict[str, Any]:
        if what.mode == "json" and not planned:
            _write_failure(terminal, result, failures[0].issues if failures else None)
        return {}

    mode: Mode = "people"
    return drive(
        terminal,
        mode,
        Plan((), what.goal),
        what.toolbox,
        start,
        lambda _result: None,
        what.time_limit_s,
        deliver,
        outcome=_say_planned,
        keeps_display=False,
    )


def _write_failure(terminal: Terminal, result: RunResult, issues: list[Issue] | None) -> None:
    document: dict[str, Any] = {"version": DOCUMENT_VERSION} if issues is None else verdict(issues)
    document |= {
        "status": result.status.value,
        "error": None if result.error is None else result.error.to_dict(),
        "usage": result.usage.to_dict(),
    }
    terminal.data(write_document(document, for_people=terminal.data_is_terminal))


def _say_planned(terminal: Terminal, result: RunResult) -> None:
    if result.status is not RunStatus.SUCCEEDED:
        say_outcome(terminal, result)
        return
    spent = said_of_usage(result.usage)
    terminal.say(f"planned in {took(result.duration_ms)}" + (f"; {spent}" if spent else ""), "dim")


# ---- editing -------------------------------------------------------------------------------------------------


def _edited(terminal: Terminal, plan: Plan, what: Given) -> Plan:
    """Let a person edit the plan until it is valid or they give up. Raises `PlanValidationError`."""
    text = plan.to_json() + "\n"
    for _ in range(MAX_EDITS):
        try:
            text = click.edit(text, extension=".json", require_save=False) or text
        except (click.ClickException, OSError) as error:  # the plan was paid for: it is not lost with the editor
            terminal.say_problem(f"the editor did not work, so the plan is as it was written: {_reason(error)}")
            return plan
        try:
            read = Plan.from_json(text)
            issues = find_issues(read, what.toolbox, inputs=what.inputs)
        except PlanFormatError as error:
            read, issues = plan, error.issues
        if not has_errors(issues):
            return read
        rejected = PlanValidationError(issues)
        if what.person is None or not _edits_again(terminal, rejected):
            if what.mode == "json":
                terminal.data(write_document(verdict(issues), for_people=terminal.data_is_terminal))
            terminal.say(f"what you wrote is kept in {_kept(text)}")
            raise rejected
    raise click.UsageError(f"the plan was edited {MAX_EDITS} times and is still not valid")


def _reason(error: click.ClickException | OSError) -> str:
    return error.format_message() if isinstance(error, click.ClickException) else error.strerror or str(error)


def _kept(text: str) -> str:
    """Write a rejected edit where the person finds it, and return where."""
    with tempfile.NamedTemporaryFile("w", prefix="planloom-edit-", suffix=".json", delete=False) as file:
        file.write(text)
    return file.name


def _edits_again(terminal: Terminal, rejected: PlanValidationError) -> bool:
    terminal.say_problem(str(rejected))
    try:
        return click.confirm("edit it again?", default=True, err=True)
    except click.Abort:
        return False


def _write(output: Path, plan: Plan) -> None:
    try:
        output.write_text(plan.to_json() + "\n", encoding="utf-8")
    except OSError as error:
        raise OutputError(f"`{output}`", error) from error


# ---- showing -------------------------------------------------------------------------------------------------


def _show(terminal: Terminal, plan: Plan, toolbox: Toolbox) -> None:
    drawing = plan_text(plan, width=terminal.width, ascii=not terminal.is_unicode).rstrip("\n")
    lines = [visible(drawing), ""]
    for label, words in _estimate(plan, toolbox).items():
        name = label.ljust(12)
        lines.append(f"{paint(name, 'bold') if terminal.data_has_colour else name} {words}")
    terminal.text("\n".join(lines) + "\n")


def _estimate(plan: Plan, toolbox: Toolbox) -> dict[str, str]:
    """Say how large the plan is, and which calls it will make as far as that is known before it runs."""
    graph = graph_of(plan)
    tools = {step.id: toolbox.get(step.tool) for step in plan.steps}
    calls = [1 if step.for_each is None else len(step.for_each) if isinstance(step.for_each, list) else None  # pyright: ignore[reportUnknownArgumentType, reportUnknownMemberType]
             for step in plan.steps]  # fmt: skip
    open_ended = sum(count is None for count in calls)
    known = sum(count or 0 for count in calls)
    asking = [
        (count, tool.calls_model is True)
        for (tool, count) in zip(tools.values(), calls, strict=True)
        if tool is not None and tool.may_call_model
    ]
    sure = sum(count or 0 for count, is_sure in asking if is_sure)
    unsure = sum(not is_sure or count is None for count, is_sure in asking)
    joins = plan.answer is MISSING and bool(plan.steps)
    models = [counted(sure + joins, "call") + (", one for the answer" if joins and sure else "")]
    if joins and not sure:
        models = ["1 call, for the answer"]
    if unsure:
        models.append(f"more in {counted(unsure, 'step')}")
    effects = [step.id for step in plan.steps if (tool := tools[step.id]) is not None and not tool.read_only]
    written = {
        "steps": f"{len(plan.steps):,} in {counted(len(graph.waves()), 'wave')}",
        "tool calls": f"{known:,}" + (f", and one per element in {counted(open_ended, 'step')}" if open_ended else ""),
        "model calls": ", and ".join(models) if sure or joins or unsure else "none to run it",
    }
    if effects:
        shown = ", ".join(f"`{name}`" for name in effects[:6]) + (
            f" and {len(effects) - 6} more" if effects[6:] else ""
        )
        written["effects"] = f"{shown} may change something (--approve effects asks before each)"
    return {label: visible(words) for label, words in written.items()}
