"""`planloom rerun` and `planloom fork`: a new run that begins with what another one has done."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import click

from planloom.cli import options
from planloom.cli.everyday import everyday_toolbox
from planloom.cli.journals import journal_to_read
from planloom.cli.options import Word
from planloom.cli.resume import read_words
from planloom.cli.resuming import Opened, go_on, opened
from planloom.cli.sources import parse_inputs, tools_named
from planloom.cli.text import one_line
from planloom.engine.secrecy import restored_inputs
from planloom.errors import UsageError
from planloom.plan.history import NO_WORDS
from planloom.plan.state import RunStatus

if TYPE_CHECKING:
    from planloom.engine.forks import Fork

MAX_NAMED: Final = 6
_CODES = """\b
Exit codes: those of `planloom resume`.
"""
_RERUN = f"""\b
Examples:
  planloom rerun last --from fetch
  planloom rerun 3f2a --from summarise --model groq:llama-3.3-70b-versatile

{_CODES}"""
_FORK = f"""\b
Examples:
  planloom fork last --at decide
  planloom fork 3f2a --at decide --set 'decide="no"'

{_CODES}"""


@click.command(epilog=_RERUN, short_help="Run a step of a kept run again, and all that depends on it.")
@click.argument("run", metavar="RUN")
@click.option("--from", "step", cls=Word, required=True, metavar="STEP", help="The step to begin with.")
@options.journal_option
@options.resuming_options
@click.pass_context
def rerun(context: click.Context, run: str, step: str, **_options: object) -> int:
    """Run a step again, and all that depends on it, in a new run; what else was done stays done.

    RUN is the id of a run, the beginning of one, or `last`. It stays as it is. Calls with effects among those steps are
    made once more: they are named first, and --approve effects asks before each.
    """
    from planloom.engine.forks import rerun_from  # SQLite and all

    start = _source(context, run)
    made = rerun_from(start.journal, start.kept.run_id, step, drop_damaged=start.drops_damaged)
    return _go_on(context, start, asyncio.run(made))


@click.command(epilog=_FORK, short_help="Make a new run of a kept one, as it was when a step began.")
@click.argument("run", metavar="RUN")
@click.option("--at", "step", cls=Word, required=True, metavar="STEP", help="The step at whose beginning it forks.")
@click.option(
    "--set", cls=Word, multiple=True, metavar="STEP=JSON", help="This is the output of a step, in the new run."
)
@options.journal_option
@options.resuming_options
@click.pass_context
def fork(context: click.Context, run: str, step: str, **_options: object) -> int:
    """Make a new run of a kept one as it was when a step began, perhaps with other outputs, and go on with it.

    RUN is the id of a run, the beginning of one, or `last`. It stays as it is. What had begun by then stays, with what
    it came to; everything else runs again, calls with effects too: they are named first.
    """
    from planloom.engine.forks import fork_at  # SQLite and all

    outputs: Mapping[str, Any] = read_words({**context.params, "retry": (), "skip": ()}).outputs or {}
    start = _source(context, run)
    made = fork_at(start.journal, start.kept.run_id, step, outputs, drop_damaged=start.drops_damaged)
    return _go_on(context, start, asyncio.run(made))


def _source(context: click.Context, run: str) -> Opened:
    """Read the run that a new one is made of. Raises `UsageError` for one that goes on, or lacks a secret input."""
    start = opened(context, journal_to_read(context), run)
    if start.kept.status == RunStatus.RUNNING:
        raise UsageError(
            f"run `{start.kept.run_id}` is being driven at this moment, so what it will have done is not known\n"
            "hint: wait for its end, or stop it first"
        )
    restored_inputs(start.kept.meta, parse_inputs(context.params.get("input") or ()), start.kept.run_id)
    return start


def _go_on(context: click.Context, source: Opened, made: Fork) -> int:
    """Say what the new run is, and go on with it."""
    start = opened(context, source.journal, made.run_id, source.terminal)
    say = source.terminal.say
    say(f"run {made.run_id}, from step `{one_line(made.step_id, 80)}` of run {made.source_id}", "dim")
    again = _effects_again(context, source, start)
    if again:
        names = ", ".join(f"`{one_line(name, 80)}`" for name in again[:MAX_NAMED])
        more = f" and {len(again) - MAX_NAMED:,} more" if len(again) > MAX_NAMED else ""
        say(f"note: these steps have effects, and have been called before: {names}{more}", "yellow")
    return go_on(context, start, NO_WORDS)


def _effects_again(context: click.Context, source: Opened, start: Opened) -> list[str]:
    """Return the steps with effects that were called in the other run and will be called in the new one."""
    tools = tools_named(context.params.get("tools") or ()) or everyday_toolbox(start.folder)
    called = {record.step_id for record in source.kept.records if record.type == "step-started"}
    done = start.kept.history.finished()
    return [
        step.id
        for step in start.kept.plan.steps
        if step.id not in done
        and any(name == step.id or (name or "").startswith(f"{step.id}[") for name in called)
        and (tool := tools.get(step.tool)) is not None
        and not tool.read_only
    ]
