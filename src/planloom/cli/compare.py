"""`planloom compare GOAL`: the same goal by ReAct, by plan-and-execute and by the LLM Compiler, as one table."""

from __future__ import annotations

import click

from planloom.cli import options

_EPILOG = """\b
Examples:
  planloom compare "Which of a.csv, b.csv and c.csv has most rows?"
  planloom compare "Which page is longest?" --tools web.py --json > compared.json

\b
Exit codes: 0 at least one strategy reached the goal; else that of the last one:
1 failed; 3 no valid plan; 4 a model failed; 5 waiting for a person; 6 over budget.
2 wrong usage, or a missing key; 130, 143 interrupted.
"""


@click.command(epilog=_EPILOG, short_help="Reach a goal by three strategies, side by side.")
@click.argument("goal", metavar="GOAL")
@options.goal_tools_option
@options.models_options
@options.input_option
@options.budget_options
@options.max_replans_option
@options.json_option
@options.output_option
@options.concurrency_option
@options.timeout_option
@options.no_input_option
@click.pass_context
def compare(context: click.Context, goal: str, **_options: object) -> int:
    """Reach a goal three times, with the same models and tools, and say what each way took.

    One tool call after another (ReAct), a plan that runs in parallel and is mended, and all calls planned in one pass.
    Each has the whole budget and the whole time limit for itself. Tools with effects are called by each of them.
    GOAL is what you want, in words, or - for stdin.
    """
    from planloom.cli.compared import run_all  # models and engine take a while to import

    return run_all(context, goal)
