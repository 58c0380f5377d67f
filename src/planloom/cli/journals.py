"""Which journal a command means, and the command that goes on with a run. Quick to import, for a list of runs."""

from __future__ import annotations

import errno
import os
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import click

from planloom.cli.options import rank_of
from planloom.errors import UsageError

SERVERS: Final = ("postgresql://", "postgres://")
IN_MEMORY: Final = ":memory:"
FILE_NAME: Final = "runs.db"


def state_folder() -> Path:
    """Return the folder for what Planloom keeps between commands, by the XDG rules; it need not exist."""
    named = os.environ.get("XDG_STATE_HOME", "")
    return (Path(named) if Path(named).is_absolute() else Path("~/.local/state").expanduser()) / "planloom"


def default_journal() -> str:
    """Return the journal for runs of which nobody says where to keep them."""
    return str(state_folder() / FILE_NAME)


def journal_asked_for(context: click.Context, say: Callable[[str], None]) -> str | None:
    """Return the journal for a new run, None for none. Of --journal and --no-journal the one named closer wins.

    Without either it is the one in the state folder; where that cannot be, the run is not kept, and `say` is told.
    """
    named: str | None = context.params.get("journal")
    if context.params.get("no_journal"):
        asked, refused = rank_of(context, "journal"), rank_of(context, "no_journal")
        if named is not None and asked == refused:
            raise click.UsageError("--journal and --no-journal cannot be used together", context)
        if named is None or refused > asked:
            return None
    if named is not None:
        return _checked(named)
    try:
        folder = state_folder()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not os.access(folder, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except (OSError, RuntimeError) as error:  # RuntimeError: the user has no home
        reason = error.strerror if isinstance(error, OSError) else str(error)
        say(f"note: this run is not kept, for {default_journal_shown()} cannot be written: {reason}")
        return None
    return default_journal()


def default_journal_shown() -> str:
    """Return where the default journal is, also for a user who has no home."""
    try:
        return default_journal()
    except RuntimeError:
        return f"~/.local/state/planloom/{FILE_NAME}"


def journal_to_read(context: click.Context) -> str:
    """Return the journal that a command reads. Raises `UsageError` when there is none."""
    named: str | None = context.params.get("journal")
    address = default_journal() if named is None else _checked(named)
    if address.startswith(SERVERS) or Path(address).exists():
        return address
    if named is None:
        raise UsageError(
            f"no run is kept yet: there is no journal {address}\nhint: one that is elsewhere is named with --journal "
            "FILE, in PLANLOOM_JOURNAL, or as `journal` in planloom.toml"
        )
    from planloom.cli.sources import near_file  # which knows tools and plans

    raise UsageError(f"there is no journal `{address}`{near_file(Path(address))}")


def _checked(address: str) -> str:
    if not address.strip():
        raise UsageError("--journal needs the name of a file, and it is empty")
    if address == IN_MEMORY:
        raise UsageError("--journal needs a file: a journal in memory ends with the command")
    if address.startswith(SERVERS):
        return address
    if "://" in address:
        raise UsageError(
            f"--journal takes a file or a PostgreSQL address, and not `{address.partition('://')[0] + '://…'}`"
        )
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


def command_line(*words: str, address: str) -> str:
    """Return a command about a run in a journal, such as `planloom resume 3f2a`."""
    line = ["planloom", *words]
    if not is_default(address):
        line += ["--journal", shown(address)]
    return shlex.join(line)


def is_default(address: str) -> bool:
    """Whether a journal is the one of which nobody has to say where it is."""
    return address == default_journal_shown()
