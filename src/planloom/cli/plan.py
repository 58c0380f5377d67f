"""`planloom plan GOAL`: a goal becomes a valid plan, shown with its waves and what it will cost; nothing runs."""

from __future__ import annotations

from pathlib import Path

import click

from planloom.cli import options
from planloom.cli.options import Setting, Word

_EPILOG = """\b
Examples:
  planloom plan "Compare a.csv and b.csv"
  planloom plan "Compare a.csv and b.csv" --output plan.json
  planloom plan "Tidy up the contacts" --tools crm.py --edit --output plan.json
  planloom run --plan plan.json
  planloom plan "Sum up a folder of notes" --save notes

\b
Exit codes: 0 there is a plan; 2 wrong usage, or a missing key; 3 there is no valid
plan; 4 the model or its provider failed; 6 over budget; 130, 143 interrupted.
"""


@click.command(epilog=_EPILOG, short_help="Plan a goal and show the plan; run nothing.")
@click.argument("goal", metavar="GOAL")
@click.option(
    "--edit", cls=Setting, is_flag=True, help="Open the plan in $VISUAL or $EDITOR, and check what comes back."
)
@click.option(
    "--output",
    "-o",
    cls=Setting,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the plan to this file, as JSON.",
)
@click.option("--save", cls=Word, metavar="NAME", help="Keep the plan as a playbook of this name.")
@options.goal_tools_option
@options.models_options
@options.input_option
@options.budget_options
@options.json_option
@options.timeout_option
@options.no_input_option
@click.pass_context
def plan(
    context: click.Context,
    goal: str,
    edit: bool,
    output: Path | None,
    save: str | None,
    no_input: bool,
    **_options: object,
) -> int:
    """Plan a goal and show the plan: what waits for what, and how many calls it will make. Nothing runs.

    GOAL is what you want, in words, or - for stdin. With --json stdout is the plan itself, as `planloom run --plan`
    takes it.
    """
    if edit and no_input:
        raise click.UsageError("--edit opens an editor, and --no-input says that nobody is there", context)
    from planloom.cli.planned import make_plan  # models and engine take a while to import

    return make_plan(context, goal, output, edit=edit, save=save)
