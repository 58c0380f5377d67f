"""Options that commands share: one definition each, and where else their values may come from.

An option is taken from the command line, else PLANLOOM_<COMMAND>_<OPTION>, else PLANLOOM_<OPTION>, else
planloom.toml, else its default.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

import click
from click.core import ParameterSource

ENVIRONMENT_PREFIX: Final = "PLANLOOM"
Command = TypeVar("Command", bound=Callable[..., Any])
Mode = Literal["people", "json", "events"]

ON_THE_COMMAND_LINE: Final = 3
"""What `rank_of` returns for a parameter that was named there."""
_RANK: Final = {
    ParameterSource.COMMANDLINE: ON_THE_COMMAND_LINE,
    ParameterSource.ENVIRONMENT: 2,
    ParameterSource.DEFAULT_MAP: 1,
}


class Setting(click.Option):
    """An option that PLANLOOM_<OPTION> sets for every command that has it."""

    def resolve_envvar_value(self, ctx: click.Context) -> str | None:
        """Return the command's own variable, else the one for all commands."""
        own = super().resolve_envvar_value(ctx)
        return own or os.environ.get(f"{ENVIRONMENT_PREFIX}_{(self.name or '').upper()}") or None


class Word(click.Option):
    """A person's word about one run, such as to repeat a call: never from a setting that was meant for another."""

    def __init__(self, *args: Any, **facts: Any) -> None:
        super().__init__(*args, **{**facts, "allow_from_autoenv": False})


class InputPair(click.ParamType):  # pyright: ignore[reportMissingTypeArgument] (generic since click 8.4 only)
    """`name=value`; in an environment variable one per line, because a value may hold blanks."""

    name = "name=value"

    def split_envvar_value(self, rv: str) -> list[str]:
        """Return one pair per line."""
        return [line for line in rv.splitlines() if line.strip()]


class ToolSource(click.ParamType):  # pyright: ignore[reportMissingTypeArgument]
    """Where tools come from; in an environment variable several are separated by blanks."""

    name = "tools"

    def split_envvar_value(self, rv: str) -> list[str]:
        """Return the words, quoted as for a shell."""
        try:
            return shlex.split(rv)
        except ValueError:
            return rv.split()


def _option(*names: str, **facts: Any) -> Callable[[Command], Command]:
    return click.option(*names, cls=Setting, **facts)


tools_option = _option(
    "--tools",
    type=ToolSource(),
    multiple=True,
    metavar="MODULE:NAME|FILE.py",
    help="Where the tools are; may be given several times. Default: the built-in analysis tools.",
)
input_option = _option(
    "--input",
    type=InputPair(),
    multiple=True,
    metavar="NAME=VALUE",
    help="An input of the plan: JSON if it parses, else text. May be given several times.",
)
json_option = _option("--json", is_flag=True, help="Print one JSON document on stdout, and nothing else there.")
events_option = _option("--events", is_flag=True, help="Print every event as a line of JSON on stdout, as it happens.")
output_option = _option(
    "--output",
    "-o",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write to this file what would go to stdout.",
)
concurrency_option = _option(
    "--max-concurrency",
    type=click.IntRange(min=1),
    metavar="N",
    help="Calls that may run at a time. Default: no limit for async tools, 64 threads for others.",
)
timeout_option = _option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="Limit for the whole run. Default: none.",
)
no_input_option = _option("--no-input", is_flag=True, help="Never wait for a person at this terminal.")
model_option = _option(
    "--model",
    metavar="PROVIDER:NAME",
    help="Model that plans, such as groq:llama-3.3-70b-versatile. Default: by the keys that are set, Groq's first.",
)
worker_model_option = _option(
    "--worker-model",
    metavar="PROVIDER:NAME",
    help="Model for the work inside steps and for the answer. Default: a small one of the same provider.",
)
base_url_option = _option(
    "--base-url",
    metavar="URL",
    help="Address of a server with the OpenAI format, for openai: models.",
)

model_timeout_option = _option(
    "--model-timeout",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="Limit for one call of a model, its retries included. Default: 300, of which 60 for the first token.",
)
goal_tools_option = _option(
    "--tools",
    type=ToolSource(),
    multiple=True,
    metavar="MODULE:NAME|FILE.py",
    help="Where the tools are; may be given several times. Default: tools for every day, on files in this folder.",
)
approve_option = _option(
    "--approve",
    type=click.Choice(["plan", "effects"]),
    multiple=True,
    help="Ask at this terminal before a plan runs, or before each call that may change something.",
)
max_model_calls_option = _option(
    "--max-model-calls", type=click.IntRange(min=0), metavar="N", help="At most so many calls of models, all together."
)
max_tokens_option = _option(
    "--max-tokens",
    type=click.IntRange(min=0),
    metavar="N",
    help="At most so many tokens in and out of models, all together.",
)
max_cost_option = _option(
    "--max-cost",
    type=click.FloatRange(min=0),
    metavar="DOLLARS",
    help="What models may cost at most, in US dollars; one whose price is not known is then refused.",
)
max_replans_option = _option(
    "--max-replans",
    type=click.IntRange(min=0),
    metavar="N",
    help="How often a failure may be planned around. Default: 3.",
)


playbook_option = _option(
    "--playbook",
    metavar="NAME|FILE.json",
    help="Run this saved plan on the inputs that --input gives; `planloom playbooks` lists them.",
)


def several(*decorators: Callable[[Any], Any]) -> Callable[[Command], Command]:
    """Return one decorator for several options, in the order in which help lists them."""

    def decorate(command: Command) -> Command:
        for decorator in reversed(decorators):
            command = decorator(command)
        return command

    return decorate


keep_options = several(
    _option(
        "--journal",
        metavar="FILE",
        help="Keep the run in this file, or PostgreSQL server. Default: runs.db in the XDG state folder.",
    ),
    _option("--no-journal", is_flag=True, help="Keep the run nowhere, whatever the settings say."),
)
journal_option = _option(
    "--journal",
    metavar="FILE",
    help="Where runs are kept: a file, or a PostgreSQL server. Default: runs.db in the XDG state folder.",
)
word_options = several(
    click.option(
        "--retry", cls=Word, multiple=True, metavar="STEP", help="Call it again, though it may have had its effect."
    ),
    click.option("--skip", cls=Word, multiple=True, metavar="STEP", help="Leave it out, as if by its condition."),
    click.option("--set", cls=Word, multiple=True, metavar="STEP=JSON", help="It is done, and this is its output."),
)
drop_damaged_option = click.option(
    "--drop-damaged",
    cls=Word,
    is_flag=True,
    help="Go on without what stands behind a damaged record of the journal; it may be done again.",
)
models_options = several(model_option, worker_model_option, base_url_option, model_timeout_option)
budget_options = several(max_model_calls_option, max_tokens_option, max_cost_option)
resuming_options = several(
    _option(
        "--tools",
        type=ToolSource(),
        multiple=True,
        metavar="MODULE:NAME|FILE.py",
        help="Where the tools are; may be given several times. Default: where they were for the run.",
    ),
    click.option(
        "--input",
        cls=Word,
        type=InputPair(),
        multiple=True,
        metavar="NAME=VALUE",
        help="An input of the run that is secret, and so was not kept. May be given several times.",
    ),
    drop_damaged_option,
    models_options,
    approve_option,
    budget_options,
    max_replans_option,
    json_option,
    events_option,
    output_option,
    concurrency_option,
    timeout_option,
    no_input_option,
)
"""Of a command that goes on with a kept run."""


def mode_of(context: click.Context) -> Mode:
    """Return what goes to stdout. Raises click.UsageError when --json and --events are asked for alike.

    The one named closer to the command line wins, so that a planloom.toml does not stand in the way.
    """
    asked = {name: rank_of(context, name) for name in ("json", "events") if context.params.get(name)}
    if not asked:
        return "people"
    if len(set(asked.values())) < len(asked):
        raise click.UsageError("--json and --events cannot be used together", context)
    return "json" if max(asked, key=lambda name: asked[name]) == "json" else "events"


def rank_of(context: click.Context, name: str) -> int:
    """Return how close to the command line a parameter was named: 3 there, 2 in a variable, 1 in a file, else 0."""
    source = context.get_parameter_source(name)
    return 0 if source is None else _RANK.get(source, 0)
