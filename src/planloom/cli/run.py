"""`planloom run GOAL`: a goal is planned, run, planned anew where it breaks, and answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from planloom.cli import options
from planloom.cli.documents import verdict, write_document
from planloom.cli.model_options import model_names
from planloom.cli.options import Setting
from planloom.cli.saved import take_playbook
from planloom.cli.sources import read_plan, unused_inputs
from planloom.errors import PlanFormatError
from planloom.plan.issues import has_errors
from planloom.plan.model import Plan
from planloom.tools.checks import find_issues, validate_plan

if TYPE_CHECKING:
    from planloom.cli.goals import Given

_EPILOG = """\b
Examples:
  planloom run "What do a.txt, b.txt and c.txt have in common?"
  planloom run "Sum up notes.txt" --model groq:llama-3.3-70b-versatile
  planloom run "Tidy up the contacts" --tools crm.py --approve effects
  planloom run --plan plan.json --input city=Oslo
  planloom run --playbook analyse-csv --input path=sales.csv
  echo "Which city is largest?" | planloom run - --json > result.json

\b
Exit codes: 0 done; 1 the run failed; 2 wrong usage, or a missing key; 3 there is
no valid plan; 4 a model or its provider failed; 5 waiting for a person;
6 over budget; 130, 143 interrupted.
"""


@click.command(epilog=_EPILOG, short_help="Reach a goal: plan it, run it, mend it, answer it.")
@click.argument("goal", metavar="[GOAL]", required=False)
@click.option(
    "--plan",
    cls=Setting,
    metavar="FILE",
    help="Run this plan instead of asking for one; what fails is still planned around. - for stdin.",
)
@options.playbook_option
@options.goal_tools_option
@options.models_options
@options.input_option
@options.approve_option
@options.budget_options
@options.max_replans_option
@options.json_option
@options.events_option
@options.output_option
@options.concurrency_option
@options.timeout_option
@options.keep_options
@options.no_input_option
@click.pass_context
def run(
    context: click.Context,
    goal: str | None,
    plan: str | None,
    playbook: str | None,
    no_input: bool,
    **_options: object,
) -> int:
    """Reach a goal. A model plans it once, the steps run in parallel, and what fails for good is planned anew.

    GOAL is what you want, in words, or - for stdin. Progress goes to stderr, the answer to stdout.
    """
    if playbook is not None:
        if plan is not None:
            raise click.UsageError("--plan and --playbook cannot be used together: both name the plan to run", context)
        return _run_playbook(context, goal, playbook)
    if goal is None and plan is None:
        raise click.UsageError('name a goal\nhint: planloom run "Sum up notes.txt", or planloom run --plan plan.json')
    if goal == plan == "-":
        raise click.UsageError("goal and plan cannot both come from stdin")
    mode = options.mode_of(context)
    read = None if plan is None else _read(plan, may_ask=not no_input, as_json=mode == "json")
    # what is above is checked in a moment; from here on models and engine are needed
    from planloom.cli.goals import given, reach

    what = given(context, goal, read)
    if read is None:
        return reach(what, lambda agent, settings: agent.run(what.goal, **settings))
    return _run_plan(what, read)


def _run_playbook(context: click.Context, goal: str | None, name: str) -> int:
    """Run a playbook: with a model what fails is planned around, without one it runs as it is."""
    read = take_playbook(context, name)
    if model_names(context) is None:
        from planloom.cli.execute import run_as_it_is

        return run_as_it_is(context, lambda: read, is_playbook=True)
    from planloom.cli.goals import given

    return _run_plan(given(context, goal, read), read)


def _run_plan(what: Given, read: Plan) -> int:
    from planloom.cli.goals import reach

    issues = find_issues(read, what.toolbox, inputs=what.inputs)
    if has_errors(issues) and what.mode == "json":
        what.terminal.data(write_document(verdict(issues), for_people=what.terminal.data_is_terminal))
    validate_plan(read, what.toolbox, inputs=what.inputs)
    for sentence in unused_inputs(read, what.inputs):
        what.terminal.say(f"note: {sentence}", "yellow")
    return reach(what, lambda agent, settings: agent.run(what.goal, **{**settings, "plan": read}), read)


def _read(name: str, *, may_ask: bool, as_json: bool) -> Plan:
    try:
        return read_plan(name, may_ask=may_ask)
    except PlanFormatError as error:
        if as_json:
            click.echo(write_document(verdict(error.issues), for_people=False), nl=False)
        raise
