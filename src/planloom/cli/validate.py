"""`planloom validate PLAN`: every issue of a plan at once, before anything runs."""

from __future__ import annotations

from pathlib import Path

import click

from planloom.cli import options
from planloom.cli.documents import verdict, write_document
from planloom.cli.sources import note_on_tools, parse_inputs, read_plan, tools_or_default, unused_inputs
from planloom.cli.terminal import Terminal, paint
from planloom.cli.text import counted, visible
from planloom.errors import PlanFormatError
from planloom.plan.graph import graph_of
from planloom.plan.issues import Issue, has_errors
from planloom.plan.model import Plan
from planloom.tools.checks import find_issues

EXIT_INVALID = 3
_EPILOG = """\b
Examples:
  planloom validate plan.json --tools my_tools.py
  cat plan.json | planloom validate - --tools shop.tools:toolbox --json

\b
Exit codes: 0 valid, perhaps with warnings; 2 wrong usage; 3 invalid.
"""


@click.command(epilog=_EPILOG, short_help="Check a plan without running it.")
@click.argument("plan", metavar="PLAN")
@options.tools_option
@options.input_option
@options.json_option
@options.output_option
@options.no_input_option
@click.pass_context
def validate(
    context: click.Context,
    plan: str,
    tools: tuple[str, ...],
    input: tuple[str, ...],
    json: bool,
    output: Path | None,
    no_input: bool,
) -> int:
    """Check a plan without running it: every error and warning at once. PLAN is a JSON file, or - for stdin."""
    inputs = parse_inputs(input)
    terminal = Terminal.open(output)
    context.call_on_close(terminal.close)
    read: Plan | None = None
    try:
        read = read_plan(plan, may_ask=not no_input)
    except PlanFormatError as error:
        issues = error.issues
    else:
        toolbox = tools_or_default(tools)
        issues = find_issues(read, toolbox, inputs=inputs)
        if toolbox is None:
            terminal.say(
                "note: checked without tools, so only structure and references\nhint: name them with --tools FILE.py"
            )
        elif note := note_on_tools(tools, issues):
            terminal.say(note)
        for sentence in unused_inputs(read, inputs):
            terminal.say(f"note: {sentence}", "yellow")
    if json:
        terminal.data(write_document(verdict(issues), for_people=terminal.data_is_terminal))
    else:
        _show(terminal, read, issues)
    return EXIT_INVALID if has_errors(issues) else 0


def _show(terminal: Terminal, plan: Plan | None, issues: list[Issue]) -> None:
    errors = [issue for issue in issues if issue.severity == "error"]
    warnings = [issue for issue in issues if issue.severity == "warning"]
    lines: list[str] = []
    if errors:
        lines.append(_coloured(terminal, f"plan rejected: {counted(len(errors), 'problem')}", "red"))
        lines += [visible(issue.render()) for issue in errors]
        if warnings:
            lines.append(_coloured(terminal, f"and {counted(len(warnings), 'warning')}", "yellow"))
    else:
        assert plan is not None
        facts = [counted(len(plan.steps), "step"), counted(len(graph_of(plan).waves()), "wave")]
        if warnings:
            facts.append(counted(len(warnings), "warning"))
        lines.append(_coloured(terminal, f"plan is valid: {', '.join(facts)}", "green"))
    lines += [visible(issue.render()) for issue in warnings]
    terminal.text("\n".join(lines) + "\n")


def _coloured(terminal: Terminal, text: str, colour: str) -> str:
    return paint(text, colour) if terminal.data_has_colour else text
