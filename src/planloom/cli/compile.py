"""`planloom compile GOAL`: all calls planned in one pass and run as a graph; nothing is planned again."""

from __future__ import annotations

import click

from planloom.cli import options

_EPILOG = """\b
Examples:
  planloom compile "Compare the sizes of a.csv and b.csv"
  planloom compile "Fetch these five pages and count their words" --tools web.py --json

\b
Exit codes: those of `planloom run`.
"""


@click.command(epilog=_EPILOG, short_help="Reach a goal with all calls planned in one pass.")
@click.argument("goal", metavar="GOAL")
@options.goal_tools_option
@options.models_options
@options.input_option
@options.approve_option
@options.budget_options
@options.json_option
@options.events_option
@options.output_option
@options.concurrency_option
@options.timeout_option
@options.keep_options
@options.no_input_option
@click.pass_context
def compile(context: click.Context, goal: str, **_options: object) -> int:
    """Reach a goal with all tool calls planned in one pass (LLM Compiler): the cheapest way when no step may fail.

    What fails is not planned around. GOAL is what you want, in words, or - for stdin.
    """
    from planloom.cli.goals import given, reach  # models and engine take a while to import

    what = given(context, goal)
    return reach(what, lambda agent, settings: agent.compile(what.goal, **settings))
