"""`planloom runs`: the runs that a journal keeps, and `planloom runs prune`, which removes old ones."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from planloom.cli import options
from planloom.cli.documents import DOCUMENT_VERSION, write_document
from planloom.cli.journals import journal_to_read, shown
from planloom.cli.options import Setting
from planloom.cli.tables import Column, table_text
from planloom.cli.terminal import Terminal
from planloom.cli.text import counted, first_line, one_line, took
from planloom.errors import UsageError

if TYPE_CHECKING:
    from planloom.engine.kept import RunSummary

DEFAULT_LIMIT: Final = 100
DAY_S: Final = 86_400.0
STATUSES: Final = ("running", "interrupted", "waiting", "failed", "cancelled", "succeeded")
_EPILOG = """\b
Examples:
  planloom runs
  planloom runs --status interrupted --json
  planloom runs --journal runs.db
  planloom runs prune --older-than 30
"""


@click.command(epilog=_EPILOG, short_help="List the runs that are kept in a journal.")
@click.argument("action", metavar="[prune]", required=False, type=click.Choice(["prune"]))
@options.journal_option
@click.option("--status", cls=Setting, type=click.Choice(STATUSES), help="Only runs that are at this.")
@click.option(
    "--limit",
    cls=Setting,
    type=click.IntRange(min=1),
    default=DEFAULT_LIMIT,
    show_default=True,
    metavar="N",
    help="At most so many, the newest.",
)
@click.option(
    "--older-than",
    cls=Setting,
    type=click.FloatRange(min=0),
    metavar="DAYS",
    help="For prune: remove what ended more than so many days ago.",
)
@options.json_option
@options.output_option
@click.pass_context
def runs(
    context: click.Context,
    action: str | None,
    status: str | None,
    limit: int,
    older_than: float | None,
    json: bool,
    output: Path | None,
    **_options: object,
) -> int:
    """List the runs that are kept in a journal, the newest first.

    With prune, remove those that ended long ago, and what only they had stored. Runs that wait for a person or were
    interrupted are never removed.
    """
    if action is None and older_than is not None and options.rank_of(context, "older_than") > 2:
        raise click.UsageError("--older-than is for `planloom runs prune`", context)
    if action is not None and older_than is None:
        raise click.UsageError("prune needs --older-than DAYS, such as --older-than 30", context)
    if action is not None and status is not None and options.rank_of(context, "status") > 2:
        raise click.UsageError("--status is not for prune, which removes runs that have ended", context)
    journal = journal_to_read(context)
    terminal = Terminal.open(output)
    context.call_on_close(terminal.close)
    if action is not None:
        assert older_than is not None
        return _prune(terminal, journal, older_than, as_json=json)
    return _list(terminal, journal, limit, status, as_json=json)


def _list(terminal: Terminal, journal: str, limit: int, status: str | None, *, as_json: bool) -> int:
    from planloom.engine.kept import list_runs  # SQLite and all

    found = asyncio.run(list_runs(journal, limit + 1, status))
    listed = found[:limit]
    if as_json:
        document = {"version": DOCUMENT_VERSION, "runs": [_written(run) for run in listed]}
        terminal.data(write_document(document, for_people=terminal.data_is_terminal))
    elif listed:
        terminal.text(_table(terminal, listed))
    else:
        which = "" if status is None else f" that is {status}"
        terminal.say(f"there is no run{which} in {shown(journal)}")
    if len(found) > limit:
        terminal.say(f"note: there are more runs than {limit:,}\nhint: --limit {limit * 10}")
    return 0


def _written(run: RunSummary) -> dict[str, Any]:
    return {
        "run_id": run.run_id,
        "goal": run.goal,
        "status": run.status,
        "started_at": _iso(run.started_at),
        "ended_at": None if run.ended_at is None else _iso(run.ended_at),
        "owner_epoch": run.owner_epoch,
    }


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()


def _table(terminal: Terminal, listed: list[RunSummary]) -> str:
    columns = [
        Column("run", style="bold"),
        Column("status"),
        Column("started"),
        Column("took", align="right"),
        Column("goal", wraps=True),
    ]
    rows = [
        [
            one_line(run.run_id, 40),
            run.status,
            local_time(run.started_at),
            "" if run.ended_at is None else took(max(0.0, run.ended_at - run.started_at) * 1_000),
            first_line(run.goal, 120),
        ]
        for run in listed
    ]
    return table_text(columns, rows, terminal)


def local_time(at: float) -> str:
    """Return a time as people here read it: "2026-03-01 17:05:09"."""
    return datetime.fromtimestamp(at, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _prune(terminal: Terminal, journal: str, older_than: float, *, as_json: bool) -> int:
    if older_than == float("inf") or older_than != older_than:
        raise UsageError("--older-than is a number of days")
    from planloom.engine.kept import prune_runs  # SQLite and all

    pruned = asyncio.run(prune_runs(journal, older_than * DAY_S))
    if as_json:
        removed = {"runs": list(pruned.run_ids), "artifacts": pruned.artifacts}
        document = {"version": DOCUMENT_VERSION, "removed": removed}
        terminal.data(write_document(document, for_people=terminal.data_is_terminal))
    else:
        what = f"{counted(len(pruned.run_ids), 'run')} and {counted(pruned.artifacts, 'artifact')}"
        terminal.text(f"removed {what} from {shown(journal)}\n")
    return 0
