"""Playbooks on the command line: where they stand, which there are, and how one becomes a plan with its inputs.

The user's own stand in the configuration folder, in `playbooks/NAME.json`, and go over the built-in ones of the
analysis. Rule: a name is never a way out of that folder; a file elsewhere is named by its path.
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click

from planloom.cli.options import ON_THE_COMMAND_LINE, rank_of
from planloom.cli.settings import config_folder
from planloom.cli.sources import check_data_file, has_analysis
from planloom.cli.terminal import OutputError
from planloom.errors import UsageError
from planloom.plan.limits import DEFAULT_LIMITS
from planloom.plan.model import Plan
from planloom.plan.playbook import NAME, Playbook
from planloom.plan.suggest import did_you_mean

SUFFIX: Final = ".json"
MAX_PLAYBOOKS: Final = 1_000
"""Files of the user's folder that are looked at."""
BUILT_IN: Final = "built in"


@dataclass(frozen=True, slots=True)
class Saved:
    """A playbook that there is. `playbook` is None when its file cannot be used; `problem` says why."""

    name: str
    source: str
    """Its file, or `BUILT_IN`."""
    playbook: Playbook | None
    problem: str = ""


def playbooks_folder() -> Path:
    """The user's own playbooks; the folder need not exist."""
    return config_folder() / "playbooks"


def all_playbooks() -> list[Saved]:
    """Every playbook by name: the user's own, then the built-in ones that no own one goes over."""
    found = {name: _saved(name, path) for name, path in _own_files()}
    for name in _built_in_names():
        if name not in found:
            found[name] = Saved(name, BUILT_IN, _built_in(name))
    return [found[name] for name in sorted(found)]


def find_playbook(name: str) -> Playbook:
    """The playbook of this name, or in this file. Raises `UsageError`."""
    if name.endswith(SUFFIX) or os.sep in name:
        path = Path(name)
        return _read(path, path.name.removesuffix(SUFFIX))
    if NAME.fullmatch(name) is None:
        raise UsageError(f"`{name[:100]}` cannot be the name of a playbook: letters, digits, `.`, `_` and `-` can")
    path = playbooks_folder() / f"{name}{SUFFIX}"
    if path.is_file():
        return _read(path, name)
    if name in _built_in_names():
        return _built_in(name)
    known = [saved.name for saved in all_playbooks()]
    hint = (
        did_you_mean(name, known) or f"playbooks are {', '.join(known) or 'none yet'}; `planloom playbooks` says more"
    )
    raise UsageError(f"there is no playbook `{name}`\nhint: {hint}")


def take_playbook(context: click.Context, name: str) -> Plan:
    """The plan of a playbook, after its inputs have been put in the place of --input, and its tools of --tools.

    Raises `UsageError` that lists every input that is missing or of the wrong type.
    """
    playbook = find_playbook(name)
    pairs = [_pair(text) for text in context.params.get("input") or ()]
    if rank_of(context, "input") < ON_THE_COMMAND_LINE:  # a planloom.toml may hold inputs of other plans
        known = {given.name for given in playbook.inputs}
        pairs = [(key, text) for key, text in pairs if key in known]
    bound = playbook.bind(playbook.read_texts(pairs))
    for given in playbook.inputs:
        if given.type == "file":
            check_data_file(bound[given.name])
    context.params["input"] = tuple(f"{key}={json.dumps(value)}" for key, value in bound.items())
    if playbook.tools and not context.params.get("tools"):
        context.params["tools"] = tuple(shlex.split(playbook.tools))
    return playbook.plan


def check_new_name(name: str) -> Path:
    """Where a new playbook of this name will stand; refuses a name that is taken. Raises `UsageError`."""
    if NAME.fullmatch(name) is None:
        raise UsageError(
            f"--save takes the name of a playbook, and `{name[:100]}` is none: letters, digits, `.`, `_`, `-` can be"
        )
    path = playbooks_folder() / f"{name}{SUFFIX}"
    if path.exists():
        raise UsageError(f"there is a playbook `{name}` already\nhint: take another name, or remove `{path}`")
    return path


def save_playbook(path: Path, plan: Plan, tools: tuple[str, ...], inputs: dict[str, Any]) -> None:
    """Write a plan as a playbook; what the plan was made with becomes the defaults of its inputs.

    Raises `OutputError`.
    """
    named = Plan(plan.steps, plan.goal, {**plan.inputs, **inputs}, plan.answer)
    spec = shlex.join(_lasting(tool) for tool in tools) if tools else None
    playbook = Playbook.of_plan(named, path.name.removesuffix(SUFFIX), tools=spec)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8", errors="backslashreplace") as file:
            file.write(playbook.to_json())
    except OSError as error:
        raise OutputError(f"`{path}`", error) from error


def _lasting(spec: str) -> str:
    """A file of tools by its whole path, so that the playbook works from any folder."""
    file, colon, name = spec.partition(":")
    return f"{Path(file).absolute()}{colon}{name}" if file.endswith(".py") else spec


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise UsageError(f"--input takes name=value; got `{text[:200]}`\nhint: --input path=sales.csv")
    return key, value


def _own_files() -> Iterator[tuple[str, Path]]:
    try:
        names = sorted(path for path in playbooks_folder().iterdir() if path.name.endswith(SUFFIX))
    except OSError:
        return
    for path in names[:MAX_PLAYBOOKS]:
        yield path.name.removesuffix(SUFFIX), path


def _saved(name: str, path: Path) -> Saved:
    try:
        return Saved(name, str(path), _read(path, name))
    except UsageError as error:
        return Saved(name, str(path), None, str(error).partition("\n")[0])


def _read(path: Path, name: str) -> Playbook:
    try:
        with path.open("rb") as file:
            text = file.read(DEFAULT_LIMITS.text_bytes + 1)
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read the playbook `{path}`: {getattr(error, 'strerror', None) or error}") from None
    if len(text) > DEFAULT_LIMITS.text_bytes:
        raise UsageError(f"the playbook `{path}` is larger than {DEFAULT_LIMITS.text_bytes:,} bytes")
    return Playbook.from_json(text, name)


def _built_in_names() -> list[str]:
    if not has_analysis():
        return []
    from planloom.analysis.playbook import built_in_names

    return built_in_names()


def _built_in(name: str) -> Playbook:
    from planloom.analysis.playbook import built_in_playbook

    return built_in_playbook(name)
