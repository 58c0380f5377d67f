"""`planloom graph PLAN`: a plan as text, Mermaid or SVG, also when it is not valid."""

from __future__ import annotations

from pathlib import Path

import click

from planloom.cli import options
from planloom.cli.options import Setting
from planloom.cli.sources import read_plan, tools_named
from planloom.cli.terminal import Terminal
from planloom.cli.text import counted
from planloom.drawing import plan_mermaid, plan_svg, plan_text
from planloom.plan.issues import Issue
from planloom.plan.model import Plan
from planloom.tools.checks import find_issues

_EPILOG = """\b
Examples:
  planloom graph plan.json
  planloom graph plan.json --format svg --output plan.svg
  cat plan.json | planloom graph - --format mermaid
"""


@click.command(epilog=_EPILOG, short_help="Draw a plan as text, Mermaid or SVG.")
@click.argument("plan", metavar="PLAN")
@click.option(
    "--format",
    cls=Setting,
    type=click.Choice(["text", "mermaid", "svg"]),
    default="text",
    show_default=True,
    help="What to draw.",
)
@click.option(
    "--tools",
    cls=Setting,
    type=options.ToolSource(),
    multiple=True,
    metavar="MODULE:NAME|FILE.py",
    help="Check the plan against these tools too.",
)
@options.output_option
@options.no_input_option
@click.pass_context
def graph(
    context: click.Context, plan: str, format: str, tools: tuple[str, ...], output: Path | None, no_input: bool
) -> int:
    """Draw a plan, valid or not: its steps, and what each waits for. PLAN is a JSON file, or - for stdin.

    What is wrong with it is counted on stderr.
    """
    terminal = Terminal.open(output)
    context.call_on_close(terminal.close)
    read = read_plan(plan, may_ask=not no_input)
    issues = find_issues(read, tools_named(tools))
    terminal.data(_draw(terminal, read, format))
    _say_issues(terminal, issues, plan)
    return 0


def _draw(terminal: Terminal, plan: Plan, format: str) -> str:
    if format == "svg":
        drawing = plan_svg(plan)
    elif format == "mermaid":
        drawing = plan_mermaid(plan)
    else:
        drawing = plan_text(plan, width=terminal.width, ascii=not terminal.is_unicode)
    return drawing if drawing.endswith("\n") else drawing + "\n"


def _say_issues(terminal: Terminal, issues: list[Issue], name: str) -> None:
    errors = sum(issue.severity == "error" for issue in issues)
    counts = [counted(count, word) for count, word in ((errors, "error"), (len(issues) - errors, "warning")) if count]
    if counts:
        terminal.say(
            f"the plan has {' and '.join(counts)}\nhint: planloom validate {name}", "red" if errors else "yellow"
        )
