"""What a command was told about a run, kept with it, so that the command that goes on need not be told again.

Rule: only from a journal that is a file of the user's own; what stands on a server may have been written by others, and
naming tools means running their code. Keys and passwords are never kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast
from urllib.parse import urlsplit

import click

from planloom.cli.journals import SERVERS
from planloom.cli.options import ON_THE_COMMAND_LINE, rank_of

REMEMBERED: Final = ("model", "worker_model", "base_url", "approve", "max_replans")
"""Options of a run that hold for going on with it too, by parameter name; beside `tools`."""
FOLDER: Final = "folder"
FILES: Final = "files"
REPORT: Final = "report"
REPORT_FORMAT: Final = "report_format"
MARKDOWN: Final = "md"
_FILE: Final = re.compile(r"(?P<file>.+\.py)(?P<name>:[^:]*)?", re.DOTALL)


def remembered(context: click.Context, chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that are worth keeping with a run, as JSON values."""
    params = context.params
    kept: dict[str, Any] = {**chosen, FOLDER: str(Path.cwd())}
    kept |= {name: params[name] for name in REMEMBERED if params.get(name) not in (None, (), "")}
    kept["tools"] = [_absolute(spec) for spec in params.get("tools") or ()]
    if "@" in urlsplit(str(kept.get("base_url", ""))).netloc:
        del kept["base_url"]
    return {name: list(value) if isinstance(value, tuple) else value for name, value in kept.items()}  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]


def files_to_keep(names: Iterable[str]) -> dict[str, Any]:
    """Return what is kept of the data files of a run, by the names that were given, for `files_of`."""
    return {FILES: {name: _state_of(Path(name)) for name in names}}


@dataclass(frozen=True, slots=True)
class KeptFiles:
    """The data files that a run was given: their names, and what is to say of those that are not as they were."""

    names: frozenset[str]
    notes: tuple[str, ...]


def files_of(meta: Mapping[str, Any], folder: Path) -> KeptFiles | None:
    """Return the data files that a run was given, None when it was given none. Relative names lead from `folder`."""
    kept = meta.get("command")
    given: Any = cast("dict[str, Any]", kept).get(FILES) if isinstance(kept, dict) else None
    if not isinstance(given, dict) or not given:
        return None
    notes: list[str] = []
    for name, before in cast("dict[str, Any]", given).items():
        path = folder / name
        now = _state_of(path)
        if now is None:
            notes.append(f"`{path}` is not there any more, or cannot be read")
        elif now != before:
            notes.append(f"`{path}` has changed since the run began; what reads it from now on finds what is there now")
    return KeptFiles(frozenset(map(str, cast("dict[str, Any]", given))), tuple(notes))


def _state_of(path: Path) -> list[int] | None:
    """Return what tells that a file is still the same: its size, and when it was last written, in nanoseconds."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return [found.st_size, found.st_mtime_ns]


def recall(context: click.Context, journal: str, meta: Mapping[str, Any]) -> Path:
    """Fill in the options of a run that were not named on the command line; return the folder that it ran in."""
    kept = meta.get("command")
    if journal.startswith(SERVERS) or not isinstance(kept, dict):
        return Path.cwd()
    told = cast("dict[str, Any]", kept)
    for name in (*REMEMBERED, "tools"):
        if name in told and name in context.params and rank_of(context, name) < ON_THE_COMMAND_LINE:
            context.params[name] = tuple(told[name]) if isinstance(told[name], list) else told[name]
    folder = Path(str(told.get(FOLDER, "")))
    return folder if folder.is_dir() else Path.cwd()


@dataclass(frozen=True, slots=True)
class KeptReport:
    """Where the findings of a run of `planloom analyse` go besides the screen; without a `path`, nowhere."""

    path: Path | None
    as_markdown: bool


def report_to_keep(report: Path, report_format: str) -> dict[str, str]:
    """Return what is kept with a run of the playbook, for `report_of`."""
    return {REPORT: str(report.absolute()), REPORT_FORMAT: report_format}


def report_of(journal: str, meta: Mapping[str, Any]) -> KeptReport | None:
    """Return the report of a run of the playbook, None for any other run.

    A server's journal, which others may have written, does not say which file is written here.
    """
    kept = meta.get("command")
    if not isinstance(kept, dict):
        return None
    told = cast("dict[str, Any]", kept)
    path = told.get(REPORT)
    if not isinstance(path, str) or not path:
        return None
    return KeptReport(None if journal.startswith(SERVERS) else Path(path), told.get(REPORT_FORMAT) == MARKDOWN)


def _absolute(spec: str) -> str:
    """Return where tools come from so that it means the same in another folder."""
    found = _FILE.fullmatch(spec)
    return spec if found is None else f"{Path(found['file']).absolute()}{found['name'] or ''}"
