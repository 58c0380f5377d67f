"""`planloom playbooks`: the saved plans that there are, what each is for, and which inputs it takes."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import Any, Final

import click

from planloom.cli import options
from planloom.cli.documents import DOCUMENT_VERSION, write_document
from planloom.cli.saved import Saved, all_playbooks, playbooks_folder
from planloom.cli.tables import Column, table_text
from planloom.cli.terminal import Terminal
from planloom.cli.text import one_line
from planloom.plan.playbook import PlaybookInput

MAX_SHOWN_INPUTS: Final = 20
_EPILOG = """\b
Examples:
  planloom playbooks
  planloom playbooks --json
  planloom run --playbook analyse-csv --input path=sales.csv
  planloom execute --playbook analyse-csv --input path=sales.csv --input threshold=2.5
  planloom plan "Compare two files" --save compare
"""


@click.command(epilog=_EPILOG, short_help="List saved plans and the inputs that they take.")
@options.json_option
@options.output_option
@click.pass_context
def playbooks(context: click.Context, json: bool, output: Path | None) -> int:
    """List the playbooks: saved plans with typed inputs, built in or your own.

    Your own stand in the configuration folder, each in a JSON file; `planloom plan GOAL --save NAME` writes one.
    """
    terminal = Terminal.open(output)
    context.call_on_close(terminal.close)
    found = all_playbooks()
    if json:
        document = {"version": DOCUMENT_VERSION, "playbooks": [_document(saved) for saved in found]}
        terminal.data(write_document(document, for_people=terminal.data_is_terminal))
        return 0
    columns = [
        Column("name", style="bold"),
        Column("inputs", wraps=True),
        Column("what it does", wraps=True),
        Column("from", wraps=True),
    ]
    rows = [
        [one_line(saved.name), "\n".join(_inputs(saved)), _description(saved), one_line(saved.source, 200)]
        for saved in found
    ]
    if rows:
        terminal.text(table_text(columns, rows, terminal))
    terminal.say(f"your own playbooks: {playbooks_folder()}", "dim")
    return 0


def _document(saved: Saved) -> dict[str, Any]:
    written: dict[str, Any] = {"name": saved.name, "source": saved.source}
    if saved.playbook is None:
        return written | {"problem": saved.problem}
    inputs = {given.name: {**given.to_dict(), "required": given.is_required} for given in saved.playbook.inputs}
    return written | {
        "description": saved.playbook.description,
        "tools": saved.playbook.tools,
        "inputs": inputs,
        "steps": len(saved.playbook.plan.steps),
    }


def _inputs(saved: Saved) -> list[str]:
    if saved.playbook is None:
        return []
    shown = [_input(given) for given in saved.playbook.inputs[:MAX_SHOWN_INPUTS]]
    more = len(saved.playbook.inputs) - len(shown)
    return [*shown, f"… {more} more"] if more > 0 else shown


def _input(given: PlaybookInput) -> str:
    limits = f" ({one_line(given.limits, 60)})" if given.constraints else ""
    if given.is_required:
        return f"{one_line(given.name, 60)}: {given.type}{limits}"
    default = one_line(json_module.dumps(given.default, ensure_ascii=False), 40)
    return f"{one_line(given.name, 60)}?: {given.type} = {default}{limits}"


def _description(saved: Saved) -> str:
    return one_line(saved.problem if saved.playbook is None else saved.playbook.description, 400)
