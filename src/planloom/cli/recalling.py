"""What a command was told about a run, kept with it, so that the command that goes on need not be told again.

Rule: only from a journal that is a file of the user's own; what stands on a server may have been written by others, and
naming tools means running their code. Keys and passwords are never kept.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
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
REPORT: Final = "report"
REPORT_FORMAT: Final = "report_format"
MARKDOWN: Final = "md"
_FILE: Final = re.compile(r"(?P<file>.+\.py)(?P<name>:[^:]*)?", re.DOTALL)


def remembered(context: click.Context, chosen: Mapping[str, str]) -> dict[str, Any]:
    """Return the options that are worth keeping with a run, as JSON values."""
    params = context.params
    kept: dict[str, Any] = {**chosen, FOLDER: str(Path.cwd())}
    kept |= {name: params[name] for name in REMEMBERED if params.get(name) not in (None, (), "")}
    kept["tools"] = [_absolute(spec) for spec in params.get("tools") or ()]
    if "@" in urlsplit(str(kept.get("base_url", ""))).netloc:
        del kept["base_url"]
    return {name: list(value) if isinstance(value, tuple) else value for name, value in kept.items()}  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]


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
