"""docs/commands.md shows every command that takes a goal, and the exit codes that there are."""

from __future__ import annotations

import re
from pathlib import Path

import click

from planloom.cli import driver, main
from planloom.cli.commands import COMMANDS, group

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "commands.md").read_text(encoding="utf-8")


def test_every_command_with_a_goal_is_shown() -> None:
    """A command with the argument GOAL has a section of its own."""
    context = click.Context(group)
    with_goal = {
        name
        for name in COMMANDS
        if (command := group.get_command(context, name)) and any(param.name == "goal" for param in command.params)
    }
    assert with_goal == set(re.findall(r"^## `planloom ([a-z]+)`$", PAGE, re.MULTILINE))


def test_every_option_that_is_named_exists() -> None:
    """The page names no option that no command has."""
    context = click.Context(group)
    known = {
        option
        for name in COMMANDS
        if (command := group.get_command(context, name))
        for parameter in command.params
        for option in parameter.opts
    }
    assert set() == set(re.findall(r"--[a-z][a-z-]+", PAGE)) - known - {"--help"}


def test_every_exit_code_is_documented() -> None:
    """What the driver and the way out may end with stands in the table."""
    written = {int(code) for row in re.findall(r"^\| ([\d, ]+) \|", PAGE, re.MULTILINE) for code in row.split(",")}
    codes = {*driver.EXIT_CODES.values(), *driver.CODES_BY_ERROR.values(), main.EXIT_USAGE, main.EXIT_FAILED, 130, 143}
    assert codes == written
