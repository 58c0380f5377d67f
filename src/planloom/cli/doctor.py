"""`planloom doctor`: what this installation has, and what it lacks. Never shows the value of a key."""

from __future__ import annotations

import os
import platform
import sys
import tempfile
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import click

import planloom
from planloom.cli import options
from planloom.cli.documents import DOCUMENT_VERSION, write_document
from planloom.cli.model_options import model_names
from planloom.cli.settings import config_folder, read_settings, settings_files
from planloom.cli.terminal import Terminal, paint, wants_control_codes
from planloom.cli.text import visible
from planloom.errors import MissingExtraError, UsageError
from planloom.models import model_status
from planloom.models.providers import PROVIDERS

CORE: Final = {
    "click": "click", "docstring-parser": "docstring_parser", "jsonschema-rs": "jsonschema_rs",
    "json-repair": "json_repair", "pydantic": "pydantic", "rich": "rich", "simpleeval": "simpleeval",
}  # fmt: skip
EXTRAS: Final = {"analysis": {"duckdb": "duckdb", "jinja2": "jinja2"}}
OLDEST_PYTHON: Final = (3, 11)
_MODEL_OPTIONS: Final = ("model", "worker_model", "base_url")

_MARKS: Final = {True: ("ok", "green"), False: ("missing", "red"), None: ("-", "dim")}


@click.command(short_help="Say what this installation has, and what it lacks.")
@options.model_option
@options.worker_model_option
@options.base_url_option
@options.json_option
@click.pass_context
def doctor(context: click.Context, json: bool, **_models: str | None) -> int:
    """Say what this installation has, and what it lacks. Exit code 0 when plans can be run.

    With the options of models it says whether these could be used. It asks no model, and shows no key.
    """
    terminal = Terminal.open()
    context.call_on_close(terminal.close)
    report = examine(context)
    if json:
        terminal.data(write_document(report, for_people=terminal.data_is_terminal))
    else:
        terminal.text(_render(report, terminal))
    return 0 if report["ok"] else 1


def examine(context: click.Context) -> dict[str, Any]:
    """Return everything that `doctor` says, as a JSON object."""
    core = {name: _version(name, module) for name, module in CORE.items()}
    extras = {
        extra: {
            "installed": all(_version(*package) is not None for package in packages.items()),
            "packages": {name: _version(name, module) for name, module in packages.items()},
            "install": f"pip install 'planloom[{extra}]'",
        }
        for extra, packages in EXTRAS.items()
    }
    temporary = _temporary_folder()
    settings, of_models = _settings(context)
    is_python_fine = sys.version_info >= OLDEST_PYTHON
    return {
        "version": DOCUMENT_VERSION,
        "ok": is_python_fine and temporary["writable"] and None not in core.values(),
        "planloom": planloom.__version__,
        "python": {"version": platform.python_version(), "executable": sys.executable, "supported": is_python_fine},
        "platform": platform.platform(),
        "core": core,
        "extras": extras,
        "terminal": _terminal_facts(),
        "settings": settings,
        "folders": _folders(),
        "temporary_folder": temporary,
        "models": _models(context, of_models),
    }


def _version(name: str, module: str) -> str | None:
    """Return the version of an installed package, without importing it; None when it is not there."""
    try:
        if find_spec(module) is None:
            return None
    except (ImportError, ValueError):
        return None
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "unknown version"


def _terminal_facts() -> dict[str, Any]:
    size = None
    for descriptor in (2, 1, 0):
        try:
            size = os.get_terminal_size(descriptor)
            break
        except OSError:
            continue
    return {
        "stdin": _isatty(0),
        "stdout": _isatty(1),
        "stderr": _isatty(2),
        "columns": None if size is None else size.columns,
        "lines": None if size is None else size.lines,
        "encoding": getattr(sys.stdout, "encoding", None),
        "term": os.environ.get("TERM"),
        "no_color": bool(os.environ.get("NO_COLOR")),
        "live_display": wants_control_codes(sys.stderr),
    }


def _isatty(descriptor: int) -> bool:
    try:
        return os.isatty(descriptor)
    except OSError:
        return False


def _settings(context: click.Context) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the settings files and what is wrong with them; and what they say about models."""
    problem: str | None = None
    values: dict[str, Any] = {}
    group = context.parent.command if context.parent is not None else None
    if isinstance(group, click.Group):
        assert context.parent is not None
        try:
            values = read_settings(group, context.parent, "doctor")
        except UsageError as error:
            problem = str(error)
    of_models = {name: value for name, value in values.items() if name in _MODEL_OPTIONS}
    return {"files": [str(path.absolute()) for path in settings_files()], "problem": problem}, of_models


def _models(context: click.Context, settings: dict[str, Any]) -> dict[str, Any]:
    """Return what there is of each provider, and the models that commands would ask if nothing else is said.

    `chosen_by` is "keys", "options" (or a variable or file that stands for one), or None; a role without a model has
    None as its name, and `problems` has a text for each role whose model could not be asked.
    """
    for name, value in settings.items():
        if context.params.get(name) is None:
            context.params[name] = value
    found: dict[str, Any] = {**model_status().to_dict(), "planner_model": None, "worker_model": None}
    found |= {"chosen_by": None, "problems": {}}
    variables = [name for provider in PROVIDERS.values()
                 for name in (*provider.key_variables, provider.base_url_variable) if name]  # fmt: skip
    found["variables"] = {name: bool(os.environ.get(name)) for name in variables}
    try:
        names = model_names(context)
    except UsageError as error:
        return {**found, "chosen_by": "options", "problems": {"planner": str(error)}}
    if names is None:
        return found
    for role, name in (("planner", names.planner), ("worker", names.worker)):
        found[f"{role}_model"] = name
        try:
            names.open(name)
        except (UsageError, MissingExtraError) as error:
            found["problems"][role] = str(error)
    return {**found, "chosen_by": "keys" if names.is_default else "options"}


def _folders() -> dict[str, dict[str, Any]]:
    folders = {
        "current": Path.cwd(),
        "configuration": config_folder(),
        "data": _xdg("XDG_DATA_HOME", "~/.local/share"),
        "cache": _xdg("XDG_CACHE_HOME", "~/.cache"),
        "state": _xdg("XDG_STATE_HOME", "~/.local/state"),
    }
    return {
        name: {"path": str(path), "exists": path.is_dir(), "writable": os.access(path, os.W_OK)}
        for name, path in folders.items()
    }


def _xdg(variable: str, default: str) -> Path:
    named = os.environ.get(variable, "")
    return (Path(named) if Path(named).is_absolute() else Path(default).expanduser()) / "planloom"


def _temporary_folder() -> dict[str, Any]:
    try:
        folder = tempfile.gettempdir()
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"planloom")
    except OSError as error:
        return {"path": None, "writable": False, "problem": error.strerror or str(error)}
    return {"path": folder, "writable": True, "problem": None}


# ---- for people --------------------------------------------------------------------------------------------


def _render(report: dict[str, Any], terminal: Terminal) -> str:
    lines: list[str] = []

    def add(is_good: bool | None, name: str, *said: str) -> None:
        word, colour = _MARKS[is_good]
        mark = word.ljust(8)
        shown = paint(mark, colour) if terminal.data_has_colour else mark
        lines.append(f"  {shown}{name.ljust(22)}{visible('  '.join(part for part in said if part))}".rstrip())

    def head(title: str) -> None:
        lines.append("")
        lines.append(paint(title, "bold") if terminal.data_has_colour else title)

    lines.append(f"planloom {report['planloom']} on {report['platform']}")
    python = report["python"]
    head("core")
    add(python["supported"], "python", python["version"], python["executable"])
    for name, version in report["core"].items():
        add(version is not None, name, version or "pip install --force-reinstall planloom")
    temporary = report["temporary_folder"]
    add(temporary["writable"], "temporary folder", temporary["path"] or temporary["problem"])
    head("extras")
    for extra, facts in report["extras"].items():
        found = "  ".join(f"{name} {version}" for name, version in facts["packages"].items() if version)
        add(facts["installed"], extra, found, "" if facts["installed"] else facts["install"])
    head("terminal")
    _add_terminal(add, report["terminal"])
    head("settings")
    settings = report["settings"]
    for path in settings["files"]:
        add(None, "planloom.toml", path)
    if settings["problem"]:
        add(False, "problem", settings["problem"].partition("\n")[0])
    elif not settings["files"]:
        add(None, "planloom.toml", "none")
    for name, folder in report["folders"].items():
        state = "" if folder["exists"] else "(not there yet)"
        add(
            None,
            f"{name} folder",
            folder["path"],
            state if not folder["exists"] or folder["writable"] else "(read-only)",
        )
    head("models")
    _add_models(add, report["models"])
    verdict = "plans can be run" if report["ok"] else "something that plans need is missing, see above"
    return "\n".join([*lines, "", verdict]) + "\n"


def _add_models(add: Any, facts: dict[str, Any]) -> None:
    hints: list[str] = []
    is_chosen = facts["chosen_by"] is not None
    for role in ("planner", "worker"):
        name, problem = facts[f"{role}_model"], facts["problems"].get(role)
        if problem is not None:
            what, *others = problem.splitlines()
            add(False, f"{role} model", "" if name is None or name in what else name, what)
            hints += others
        elif name is not None:
            add(True, f"{role} model", name, "by the keys that are set" if facts["chosen_by"] == "keys" else "")
        elif not is_chosen:
            add(None, f"{role} model", "none: no key is set, and none is named with --model or PLANLOOM_MODEL")
    for hint in dict.fromkeys(hints):
        add(None, "hint", hint.removeprefix("hint: "))
    for provider in facts["providers"]:
        variables = [name for name in (provider["variable"], provider["base_url_variable"]) if name]
        said = f"{' and '.join(variables)} {'are' if len(variables) > 1 else 'is'} set" if variables else ""
        if not provider["ready"]:
            add(False if variables else None, provider["provider"], said, provider["missing"])
            continue
        needs_name = not is_chosen and not provider["variable"]
        name_it = f"name a model of it: --model {provider['provider']}:NAME" if needs_name else ""
        add(True, provider["provider"], said or "needs no key, but a server that runs", name_it)


def _add_terminal(add: Any, facts: dict[str, Any]) -> None:
    streams = [name for name in ("stdin", "stdout", "stderr") if facts[name]]
    add(None, "terminals", ", ".join(streams) or "none of stdin, stdout, stderr")
    size = f"{facts['columns']} x {facts['lines']}" if facts["columns"] else "unknown"
    add(
        None,
        "size",
        size,
        f"TERM={facts['term'] or ''}",
        f"encoding {facts['encoding']}",
        "NO_COLOR" if facts["no_color"] else "",
    )
    add(None, "progress", "live display" if facts["live_display"] else "plain lines")
