"""The group `planloom`: its commands by name, loaded only when they are asked for, so that help is quick."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final

import click

import planloom
from planloom.cli.options import ENVIRONMENT_PREFIX
from planloom.plan.suggest import did_you_mean

COMMANDS: Final = {
    "run": "Reach a goal: plan it, run it, mend it, answer it.",
    "plan": "Plan a goal and show the plan; run nothing.",
    "compile": "Reach a goal with all calls planned in one pass.",
    "compare": "Reach a goal by three strategies, side by side.",
    "analyse": "Find what is in data files, and what is odd about it.",
    "validate": "Check a plan without running it.",
    "execute": "Run a plan as it is, without a model.",
    "playbooks": "List saved plans and the inputs that they take.",
    "runs": "List the runs that are kept in a journal.",
    "show": "Show a kept run: plan, steps, attempts, timeline.",
    "resume": "Go on with a run that was cut off, failed or waits.",
    "rerun": "Run a step of a kept run again, and all that depends on it.",
    "fork": "Make a new run of a kept one, as it was when a step began.",
    "approve": "Say yes to a plan or a call that a kept run waits for.",
    "deny": "Say no to a plan or a call that a kept run waits for.",
    "graph": "Draw a plan as text, Mermaid or SVG.",
    "tools": "List tools, their arguments and their effects.",
    "doctor": "Say what this installation has, and what it lacks.",
}
"""Every command with its short help. The module `planloom.cli.<name>` holds it as `<name>`."""
MODULES: Final = {
    "runs": "kept_runs",
    "rerun": "forking",
    "fork": "forking",
    "approve": "approving",
    "deny": "approving",
}
"""Modules that are not named like their command."""

_EPILOG: Final = """\b
Examples:
  planloom analyse sales.csv
  planloom run "Sum up notes.txt in three sentences"
  planloom plan "Compare a.csv and b.csv" --output plan.json
  planloom tools --tools my_tools.py
  planloom validate plan.json --tools my_tools.py
  planloom execute plan.json --tools my_tools.py --input city=Oslo
  planloom resume last
  planloom graph plan.json --format svg --output plan.svg

\b
Options may also stand in PLANLOOM_… variables (PLANLOOM_MAX_CONCURRENCY=8,
or for one command PLANLOOM_EXECUTE_MAX_CONCURRENCY=8) and in a planloom.toml,
in this folder or in ~/.config/planloom.

\b
Exit codes: 0 done; 1 the run failed; 2 wrong usage, or something is missing;
3 the plan is invalid; 4 a model or its provider failed; 5 waiting for a person;
6 over budget; 130, 143 interrupted.
"""


class CommandGroup(click.Group):
    """Commands by name. Reads planloom.toml once a command is known and about to be used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Every command, the most useful first."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Load a command, or return None."""
        if cmd_name not in COMMANDS:
            return None
        return getattr(import_module(f"planloom.cli.{MODULES.get(cmd_name, cmd_name)}"), cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; for a name that is none, say which is nearest."""
        name = args[0]
        if name not in COMMANDS and not name.startswith("-") and not ctx.resilient_parsing:
            hint = did_you_mean(name, COMMANDS) or f"commands are {', '.join(COMMANDS)}"
            raise click.UsageError(f"there is no command `{name[:100]}`\nhint: {hint}", ctx)
        command = super().resolve_command(ctx, args)
        if name != "doctor" and not {"--help", "-h"} & set(args[1:]):
            from planloom.cli.settings import read_settings

            ctx.default_map = {name: read_settings(self, ctx, name)}
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the table of commands without loading them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _print_version(context: click.Context, _parameter: click.Parameter, value: Any) -> None:
    if value and not context.resilient_parsing:
        click.echo(f"planloom {planloom.__version__}")
        context.exit()


@click.group(
    cls=CommandGroup,
    epilog=_EPILOG,
    invoke_without_command=True,
    subcommand_metavar="COMMAND [ARGS]...",
    context_settings={
        "help_option_names": ["-h", "--help"],
        "auto_envvar_prefix": ENVIRONMENT_PREFIX,
        "max_content_width": 100,
    },
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="Print the version."
)
@click.pass_context
def group(context: click.Context) -> int:
    """A plan is a graph of tool calls: checked before anything runs, run in parallel, contained when it fails."""
    if context.invoked_subcommand is not None:
        return 0
    click.echo(context.get_help())
    return 2
