"""planloom.toml: options written down once. Keys are option names; a table named like a command is for it alone.

    max-concurrency = 8
    [execute]
    tools = ["tools.py"]

The one in the current folder goes over the one in the user's configuration folder. A file that cannot be read
or says something that no command knows is one clear sentence, never ignored.
"""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, cast

import click

from planloom.cli.options import InputPair, Word
from planloom.errors import UsageError
from planloom.plan.suggest import did_you_mean

FILE_NAME: Final = "planloom.toml"
_MAX_BYTES: Final = 1024 * 1024


def config_folder() -> Path:
    """Return the user's configuration folder for Planloom, which need not exist."""
    named = os.environ.get("XDG_CONFIG_HOME", "")
    return (Path(named) if Path(named).is_absolute() else Path("~/.config").expanduser()) / "planloom"


def settings_files() -> list[Path]:
    """Return the settings files that there are, the stronger one last."""
    found: list[Path] = []
    for folder in (config_folder(), Path()):
        try:
            if (folder / FILE_NAME).is_file():
                found.append(folder / FILE_NAME)
        except OSError:
            continue
    return found


def read_settings(group: click.Group, context: click.Context, command: str) -> dict[str, Any]:
    """Return the settings that are for `command`, by parameter name. Raises UsageError."""
    general: dict[str, Any] = {}
    own: dict[str, Any] = {}
    for path in settings_files():
        settings = _Settings(path, group, context)
        general |= settings.general(command)
        own |= settings.of_command(command)
    known = _options(group, context, command)
    return {name: value for name, value in {**general, **own}.items() if name in known}


class _Settings:
    """One file, checked against what commands there are."""

    def __init__(self, path: Path, group: click.Group, context: click.Context) -> None:
        self.path, self.group, self.context = path, group, context
        self.commands = group.list_commands(context)
        content = _read(path)
        self.tables = {
            key: cast("dict[str, Any]", value) for key, value in content.items() if self._is_command(key, value)
        }
        self.loose = {key: value for key, value in content.items() if key not in self.tables}
        unknown = [key for key, value in self.loose.items() if isinstance(value, dict) and key != "input"]
        if unknown:
            raise self._unknown(unknown[0], f"there is no command `{unknown[0]}`", self.commands)

    def _is_command(self, key: str, value: Any) -> bool:
        return key in self.commands and isinstance(value, dict)

    def general(self, command: str) -> dict[str, Any]:
        """The keys outside of tables, each an option of at least one command."""
        options = _options(self.group, self.context, command)
        if any(key.replace("-", "_") not in options for key in self.loose):  # loading all commands takes a while
            for other in self.commands:
                options = {**_options(self.group, self.context, other), **options}
        return self._values(self.loose, options, "no command has such an option")

    def of_command(self, command: str) -> dict[str, Any]:
        """The keys of a command's table; the tables of other commands are checked too."""
        values: dict[str, dict[str, Any]] = {}
        for name, table in self.tables.items():
            options = _options(self.group, self.context, name)
            values[name] = self._values(table, options, f"`planloom {name}` has no such option")
        return values.get(command, {})

    def _values(self, table: Mapping[str, Any], options: Mapping[str, click.Option], complaint: str) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key, value in table.items():
            name = key.replace("-", "_")
            if name not in options:
                raise self._unknown(key, complaint, [option.replace("_", "-") for option in options])
            values[name] = self._value(key, value, options[name])
        return values

    def _value(self, key: str, value: Any, option: click.Option) -> Any:
        if isinstance(option.type, InputPair) and isinstance(value, dict):
            pairs = cast("dict[str, Any]", value)
            return [
                f"{name}={part if isinstance(part, str) else json.dumps(part, default=str)}"
                for name, part in pairs.items()
            ]
        expected = _expected(option, value)
        if expected is not None:
            raise UsageError(f"{self.path}: `{key}` is {expected}")
        value = [value] if option.multiple and isinstance(value, str) else value
        try:
            option.type_cast_value(self.context, value)
        except click.BadParameter as error:
            raise UsageError(f"{self.path}: `{key}`: {error.message}") from None
        return value

    def _unknown(self, key: str, complaint: str, known: list[str]) -> UsageError:
        hint = did_you_mean(key, known)
        return UsageError(f"{self.path}: unknown key `{key}`: {complaint}" + (f"\nhint: {hint}" if hint else ""))


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            return tomllib.loads(file.read(_MAX_BYTES).decode("utf-8-sig"))
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path} is not valid TOML: {error}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not UTF-8 text") from None
    except RecursionError:
        raise UsageError(f"{path} is nested too deep") from None
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror or error}") from None


def _options(group: click.Group, context: click.Context, command: str) -> dict[str, click.Option]:
    found = group.get_command(context, command)
    parameters = [] if found is None else found.params
    return {
        option.name: option
        for option in parameters
        if isinstance(option, click.Option) and not isinstance(option, Word) and option.name
    }


def _expected(option: click.Option, value: Any) -> str | None:
    """Return what the option takes when TOML holds something of another kind."""
    if option.is_flag:
        return None if isinstance(value, bool) else "true or false"
    if isinstance(option.type, click.types.IntRange):
        return None if type(value) is int else "a whole number"
    if isinstance(option.type, click.types.FloatRange):
        return None if type(value) in (int, float) else "a number"
    if option.multiple and isinstance(value, list):
        return None if all(isinstance(part, str) for part in cast("list[Any]", value)) else "a list of texts"
    return None if isinstance(value, str) else "a list of texts" if option.multiple else "text"
