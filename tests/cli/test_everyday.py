"""The tools for goals when the user names none, and how `planloom tools` shows what they may do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from planloom.analysis import toolbox
from planloom.cli import everyday
from planloom.cli.everyday import everyday_toolbox
from planloom.cli.tools import effects
from planloom.errors import UsageError
from planloom.standard.folder import SUPPORTED
from planloom.tools import Tool, ToolContext

STANDARD = ["calculate", "select", "ask_model", "ask_person", "fetch_url"]
STANDARD += ["read_file", "write_file"] if SUPPORTED else []
ANALYSIS = list(toolbox)


def test_with_the_analysis(tmp_path: Path) -> None:
    """Standard tools first, then those of the analysis; all of it is JSON for `planloom tools --json`."""
    pytest.importorskip("duckdb")
    made = everyday_toolbox(tmp_path)
    assert [*STANDARD, *ANALYSIS] == list(made)
    assert len(made) == len(json.loads(json.dumps(made.describe())))
    assert all(made[name].may_start_early for name in ANALYSIS)


def test_without_the_analysis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An extra that is not installed is no error: its tools are not there."""
    monkeypatch.setattr(everyday, "has_analysis", lambda: False)
    assert STANDARD == list(everyday_toolbox(tmp_path))


@pytest.mark.skipif(not SUPPORTED, reason="this system cannot open a path part by part")
def test_files_are_those_of_the_folder(tmp_path: Path) -> None:
    """The current folder of the process means nothing, and a folder that is not there is refused."""
    (tmp_path / "note.txt").write_text("hello", encoding="utf-8")
    assert "hello" == everyday_toolbox(tmp_path)["read_file"](path="note.txt")["text"]
    with pytest.raises(UsageError, match="nowhere"):
        everyday_toolbox(tmp_path / "nowhere")


def look(context: ToolContext) -> None:
    """Look."""


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"read_only": True}, "read-only, may call a model"),
        ({"read_only": True, "calls_model": True}, "read-only, calls a model"),
        ({"read_only": True, "calls_model": False}, "read-only"),
        ({"destructive": True, "calls_model": True}, "has effects, destructive, calls a model"),
    ],
)
def test_effects_for_people(facts: dict[str, bool], expected: str) -> None:
    """The table says whether a call may ask a model, because that costs and keeps a step from starting early."""
    assert expected == effects(Tool.from_function(look, **facts))
