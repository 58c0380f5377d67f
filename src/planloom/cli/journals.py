"""Which journal a command means, and the command that goes on with a run. Quick to import, for a list of runs."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import click

from planloom.cli.options import rank_of
from planloom.errors import UsageError

SERVERS: Final = ("postgresql://", "postgres://")
IN_MEMORY: Final = ":memory:"


def journal_asked_for(context: click.Context) -> str | None:
    """Return the journal for a new run, None for none. Of --journal and --no-journal the one named closer wins."""
    named: str | None = context.params.get("journal")
    if named is None:
        return None
    if context.params.get("no_journal"):
        asked, refused = rank_of(context, "journal"), rank_of(context, "no_journal")
        if asked == refused:
            raise click.UsageError("--journal and --no-journal cannot be used together", context)
        if refused > asked:
            return None
    return _checked(named)


def journal_to_read(context: click.Context) -> str:
    """Return the journal that a command reads. Raises `UsageError` when none was named, or there is none."""
    named: str | None = context.params.get("journal")
    if named is None:
        raise UsageError(
            f"{context.command_path} needs a journal\nhint: name it with --journal FILE, in PLANLOOM_JOURNAL, or as "
            "`journal` in planloom.toml"
        )
    address = _checked(named)
    if not address.startswith(SERVERS) and not Path(address).exists():
        from planloom.cli.sources import near_file  # which knows tools and plans

        raise UsageError(f"there is no journal `{address}`{near_file(Path(address))}")
    return address


def _checked(address: str) -> str:
    if not address.strip():
        raise UsageError("--journal needs the name of a file, and it is empty")
    if address == IN_MEMORY:
        raise UsageError("--journal needs a file: a journal in memory ends with the command")
    if address.startswith(SERVERS):
        return address
    try:
        path = Path(address).expanduser()
    except RuntimeError:  # no such user
        return address
    if path.is_dir():
        raise UsageError(f"--journal needs a file, and `{path}` is a folder\nhint: --journal {path / 'runs.db'}")
    return str(path)


def shown(address: str) -> str:
    """Return an address without its password."""
    if not address.startswith(SERVERS):
        return address
    parts = urlsplit(address)
    user, at, host = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{user.partition(':')[0]}{at}{host}", query="").geturl()


def resume_line(run_id: str, address: str, tools: Iterable[str] = ()) -> str:
    """Return the command that goes on with a run."""
    words = ["planloom", "resume", run_id, "--journal", shown(address)]
    for name in tools:
        words += ["--tools", name]
    return shlex.join(words)
