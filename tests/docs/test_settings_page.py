"""docs/settings.md names every option, variable and folder, the README every command, and nothing that is not there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click
import pytest

from planloom.cli.commands import COMMANDS, group
from planloom.cli.options import ENVIRONMENT_PREFIX, Word
from planloom.cli.settings import read_settings
from planloom.models.providers import PROVIDERS

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
NAME = r"[A-Z][A-Z0-9_]+"


def section(title: str) -> str:
    return PAGE.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def commands() -> dict[str, click.Command]:
    context = click.Context(group)
    found = {name: group.get_command(context, name) for name in COMMANDS}
    return {name: command for name, command in found.items() if command is not None}


def written_options() -> dict[str, tuple[str, list[str]]]:
    rows = re.findall(rf"^\| `(--[a-z-]+)` \| `({NAME})` \| .* \| (.*) \|$", section("Options"), re.MULTILINE)
    return {option: (variable, re.findall(r"`([a-z]+)`", names)) for option, variable, names in rows}


def test_every_option_is_documented() -> None:
    """One row per option with its variable and the commands that have it, and no row for one that does not exist."""
    expected: dict[str, tuple[str, list[str]]] = {}
    for name, command in commands().items():
        for parameter in command.params:
            if isinstance(parameter, click.Option) and not isinstance(parameter, Word):
                variable = f"{ENVIRONMENT_PREFIX}_{(parameter.name or '').upper()}"
                expected.setdefault(parameter.opts[0], (variable, []))[1].append(name)
    assert expected == written_options()


def test_every_word_is_documented() -> None:
    """Options that no setting may give are named as such."""
    words = [option for command in commands().values() for option in command.params if isinstance(option, Word)]
    named = re.findall(r"`(--[a-z-]+)`", section("Options").split("command line alone", 1)[1].split("\n\n", 1)[0])
    assert [option.opts[0] for option in words] == named


def test_every_variable_is_documented() -> None:
    """What the source asks the environment for, and the variables of every provider, stand on the page."""
    asked: set[str] = set()
    for path in (ROOT / "src").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        asked |= set(re.findall(rf'environ(?:\.get\(|\[)"({NAME})"', text))
        asked |= set(re.findall(r'"(PLANLOOM_[A-Z_]+|XDG_[A-Z_]+)"', text))
    for provider in PROVIDERS.values():
        asked |= {*provider.key_variables, *filter(None, [provider.base_url_variable])}
    rows = re.findall(r"^\| (`.*?) \|", section("Other variables"), re.MULTILINE)
    assert sorted(asked) == sorted(re.findall(rf"`({NAME})`", " ".join(rows)))


def test_the_example_is_read_as_it_is_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The planloom.toml on the page is valid, and gives each command what the page says."""
    example = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)[0]
    (tmp_path / "planloom.toml").write_text(example, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))
    general: dict[str, Any] = {
        "tools": ["shop.tools:toolbox"], "max_concurrency": 8, "no_input": True, "input": ["city=Oslo", "days=3"],
    }  # fmt: skip
    context = click.Context(group)
    assert {**general, "timeout": 120} == read_settings(group, context, "execute")
    assert {"max_concurrency": 8, "no_input": True} == read_settings(group, context, "analyse")


def test_the_readme_leads_here() -> None:
    """Who looks for settings finds the page from the first one."""
    assert "(docs/settings.md)" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_command_is_in_the_readme() -> None:
    """The README shows each command at least once, and none that does not exist."""
    shown = re.findall(r"^\$ planloom ([a-z]+)", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(COMMANDS) == set(shown)
