"""`planloom approve` and `planloom deny`: a person's word on what a kept run waits for."""

from __future__ import annotations

import asyncio
import json as json_format
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from planloom.cli import options
from planloom.cli.documents import DOCUMENT_VERSION, write_document
from planloom.cli.journals import command_line, journal_to_read
from planloom.cli.terminal import Terminal
from planloom.cli.text import counted, one_line, visible
from planloom.drawing import plan_text

if TYPE_CHECKING:
    from planloom.engine.approving import Asked

MAX_ARGUMENTS_CHARS: Final = 4_000
_EPILOG: Final = """\b
Examples:
  planloom {name} last pay
  planloom {name} 3f2a pay refund 'mail[2]'
  planloom {name} last                     (the plan)

\b
Exit codes: 0 the word is kept; 1 the journal cannot be written; 2 wrong usage,
or another process drives the run.
"""


def _command(name: str, short: str, help: str) -> click.Command:
    @click.command(name, epilog=_EPILOG.format(name=name), short_help=short, help=help)
    @click.argument("run", metavar="RUN")
    @click.argument("steps", metavar="[STEP]...", nargs=-1)
    @options.journal_option
    @options.json_option
    @options.output_option
    @click.pass_context
    def command(
        context: click.Context, run: str, steps: tuple[str, ...], json: bool, output: Path | None, **_options: object
    ) -> int:
        return _give(context, run, steps, output, approved=name == "approve", as_json=json)

    return command


approve: Final = _command(
    "approve",
    "Say yes to a plan or a call that a kept run waits for.",
    """Say yes to calls with effects that a kept run waits for, or without STEP to its plan.

    RUN is the id of a run, the beginning of one, or `last`. The word is good for exactly the plan or the arguments that
    are shown; `planloom resume` then goes on.
    """,
)
deny: Final = _command(
    "deny",
    "Say no to a plan or a call that a kept run waits for.",
    """Say no to calls with effects that a kept run waits for, or without STEP to its plan.

    RUN is the id of a run, the beginning of one, or `last`. A step that was denied fails and is not planned around;
    `planloom approve` takes it back.
    """,
)


def _give(
    context: click.Context, run: str, steps: Sequence[str], output: Path | None, *, approved: bool, as_json: bool
) -> int:
    journal = journal_to_read(context)
    terminal = Terminal.open(output)
    context.call_on_close(terminal.close)
    from planloom.engine.approving import give_approval  # SQLite and all
    from planloom.engine.kept import read_run

    kept = asyncio.run(read_run(journal, run))
    about = asyncio.run(give_approval(journal, kept.run_id, steps, approved=approved))
    if as_json:
        document = {
            "version": DOCUMENT_VERSION,
            "run_id": kept.run_id,
            "approved": approved,
            "about": [_written(asked) for asked in about],
        }
        terminal.data(write_document(document, for_people=terminal.data_is_terminal))
        return 0
    word = "approved" if approved else "denied"
    for asked in about:
        terminal.text(_shown(terminal, asked, word))
    left = "" if len(about) == 1 else f" ({counted(len(about), 'call')})"
    terminal.say(f"{word}{left}; go on: {command_line('resume', kept.run_id, address=journal)}", "yellow")
    return 0


def _written(asked: Asked) -> dict[str, Any]:
    if asked.plan is not None:
        return {"digest": asked.digest, "plan": asked.plan.to_dict()}
    return {"digest": asked.digest, "step": asked.step_id, "tool": asked.tool, "args": asked.args}


def _shown(terminal: Terminal, asked: Asked, word: str) -> str:
    """Return what the word is about, for people."""
    if asked.plan is not None:
        drawing = plan_text(asked.plan, width=terminal.width, ascii=not terminal.is_unicode).rstrip("\n")
        return f"{word}: the plan {asked.digest[:12]}\n{visible(drawing)}\n"
    arguments = json_format.dumps(asked.args, ensure_ascii=False)
    more = len(arguments) - MAX_ARGUMENTS_CHARS
    shown = arguments if more <= 0 else f"{arguments[:MAX_ARGUMENTS_CHARS]} … and {more:,} characters more, not shown"
    return f"{word}: {one_line(asked.step_id, 80)} ({one_line(asked.tool, 80)}) with {visible(shown)}\n"
