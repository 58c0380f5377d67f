"""The docs say what is: snippets run, and every code, state, command and public name that exists is named."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import planloom
from planloom.plan import events
from planloom.plan.issues import ISSUE_CODES
from planloom.plan.state import TRANSITIONS

ROOT = Path(__file__).resolve().parent.parent.parent


PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SNIPPETS = [
    pytest.param(snippet, id=f"{page.name}-{number}")
    for page in PAGES
    for number, snippet in enumerate(re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL))
]


@pytest.mark.parametrize("snippet", SNIPPETS)
def test_snippet_runs(snippet: str, tmp_path: Path) -> None:
    """Every Python snippet runs as it stands and prints what the comments behind its prints say."""
    script = tmp_path / "example.py"
    script.write_text(snippet, encoding="utf-8")
    done = subprocess.run([sys.executable, "-W", "error", script], capture_output=True, text=True, timeout=60)
    expected = re.findall(r"print\(.*\)  # (.*)", snippet)
    assert expected, "a snippet shows what it prints"
    assert ("".join(f"{line}\n" for line in expected), "") == (done.stdout, done.stderr)


def test_readme_begins_with_the_two_commands() -> None:
    """The two commands are the first code block of the README."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    first = re.findall(r"```\w*\n(.*?)```", readme, re.DOTALL)[0]
    assert ["make demo", "make test"] == re.findall(r"make \w+", first)


def test_every_issue_code_is_documented() -> None:
    """docs/issues.md has one row per code, and no row for a code that does not exist."""
    page = (ROOT / "docs" / "issues.md").read_text(encoding="utf-8")
    assert sorted(ISSUE_CODES) == sorted(re.findall(r"^\| `([a-z-]+)` \|", page, re.MULTILINE))


def test_transition_table_is_documented() -> None:
    """The table of states in docs/ARCHITECTURE.md is the one that runs follow."""
    page = (ROOT / "docs" / "ARCHITECTURE.md").read_text(encoding="utf-8")
    table = page.split("<!-- transitions", 1)[1]
    rows = re.findall(r"^\| (\w+) \| ?(.*?) ?\|$", table, re.MULTILINE)
    written = {name: set(filter(None, following.split(", "))) for name, following in rows if name != "from"}
    assert {str(k): {str(s) for s in v} for k, v in TRANSITIONS.items()} == written


def test_public_names_resolve() -> None:
    """Every public name can be loaded, and is listed where `dir` looks."""
    for name in planloom.__all__:
        assert getattr(planloom, name) is not None or name == "MISSING"
        assert name in dir(planloom)


def test_event_types_are_distinct() -> None:
    """Every event type has its own name in the stream."""
    kinds = [kind for kind in vars(events).values() if isinstance(kind, type) and issubclass(kind, events.Event)]
    assert len(kinds) == len({kind.type for kind in kinds})
