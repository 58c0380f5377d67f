"""`planloom execute PLAN`: run a plan as it is, without a model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from planloom.cli import options
from planloom.cli.documents import verdict, write_document
from planloom.cli.keeping import keeper_for, starting
from planloom.cli.people import TerminalPerson, run_person
from planloom.cli.runs import check_time_limit, drive, show_answer
from planloom.cli.saved import take_playbook
from planloom.cli.sources import note_on_tools, parse_inputs, read_plan, tools_required, unused_inputs
from planloom.cli.terminal import Terminal
from planloom.engine.execute import RunOptions, execute_plan
from planloom.errors import PlanFormatError
from planloom.plan.issues import has_errors
from planloom.plan.model import Plan
from planloom.tools.checks import find_issues, validate_plan

_EPILOG = """\b
Examples:
  planloom execute plan.json --tools my_tools.py
  planloom execute plan.json --tools my_tools.py --input city=Oslo --input days=3
  planloom execute plan.json --tools shop.tools:toolbox --json > result.json
  cat plan.json | planloom execute - --tools my_tools.py --events
  planloom execute plan.json --tools my_tools.py --journal runs.db
  planloom execute --playbook analyse-csv --input path=sales.csv

\b
Exit codes: 0 done; 1 the run failed; 2 wrong usage; 3 the plan is invalid;
5 it waits for a person, such as for a step that may have had its effect;
130, 143 interrupted.
"""


@click.command(epilog=_EPILOG, short_help="Run a plan as it is, without a model.")
@click.argument("plan", metavar="[PLAN]", required=False)
@options.playbook_option
@options.tools_option
@options.input_option
@options.approve_option
@options.json_option
@options.events_option
@options.output_option
@options.concurrency_option
@options.timeout_option
@options.keep_options
@options.no_input_option
@click.pass_context
def execute(context: click.Context, plan: str | None, playbook: str | None, no_input: bool, **_options: object) -> int:
    """Run a plan as it is, without a model. PLAN is a JSON file, or - for stdin.

    Progress goes to stderr, the answer to stdout.
    """
    if (plan is None) == (playbook is None):
        raise click.UsageError(
            "name one plan: a file, or a playbook\nhint: planloom execute plan.json, or --playbook NAME", context
        )
    if playbook is not None:
        read = take_playbook(context, playbook)
        return run_as_it_is(context, lambda: read, is_playbook=True)
    return run_as_it_is(context, lambda: read_plan(str(plan), may_ask=not no_input))


def run_as_it_is(context: click.Context, read_it: Callable[[], Plan], *, is_playbook: bool = False) -> int:
    """Run a plan without a model, with the options of the command; return the exit code.

    A playbook that names no tools was made with those for every day; a plan is checked against the built-in ones.
    """
    output: Path | None = context.params["output"]
    tools: tuple[str, ...] = context.params.get("tools") or ()
    mode = options.mode_of(context)
    if mode == "events" and output is not None:
        raise click.UsageError("--events writes to stdout; it cannot be used together with --output", context)
    time_limit_s = check_time_limit(context.params["timeout"])
    inputs = parse_inputs(context.params.get("input") or ())
    terminal = Terminal.open(output)
    context.call_on_close(terminal.close)
    keeper = keeper_for(context, terminal)
    try:
        read = read_it()
    except PlanFormatError as error:
        if mode == "json":
            terminal.data(write_document(verdict(error.issues), for_people=terminal.data_is_terminal))
        raise
    if is_playbook and not tools:
        from planloom.cli.everyday import everyday_toolbox  # DuckDB takes 0.3 s to import

        toolbox = everyday_toolbox(Path.cwd())
    else:
        toolbox = tools_required(tools, "execute")
    issues = find_issues(read, toolbox, inputs=inputs)
    if has_errors(issues) and mode == "json":
        terminal.data(write_document(verdict(issues), for_people=terminal.data_is_terminal))
    if note := note_on_tools(tools, issues):
        terminal.say(note)
    validate_plan(read, toolbox, inputs=inputs)
    for sentence in unused_inputs(read, inputs):
        terminal.say(f"note: {sentence}", "yellow")
    person = TerminalPerson.at(terminal, toolbox, may_ask=not context.params.get("no_input"))
    run_options = RunOptions(
        inputs=inputs,
        max_concurrency=context.params["max_concurrency"],
        timeout_s=time_limit_s,
        person=run_person(frozenset(context.params.get("approve") or ()), person),
    )
    return drive(
        terminal,
        mode,
        read,
        toolbox,
        starting(keeper, lambda given: execute_plan(read, toolbox, **{**run_options, **given})),
        lambda result: show_answer(terminal, result),
        time_limit_s,
        person=person,
        say_how_to_go_on=None if keeper is None else keeper.say_how_to_go_on,
    )
