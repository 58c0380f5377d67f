"""Shared fixtures: a tool context in a folder of its own, and a function that writes a file and loads it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("duckdb", reason="the extra `analysis` is not installed")

from planloom import ToolContext
from planloom.analysis import load_data

# what the tests of this folder share stands in modules beside them, such as `table_cases`
sys.path.insert(0, str(Path(__file__).parent))

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def context(tmp_path: Path) -> ToolContext:
    """A context whose run folder is new and empty."""
    return ToolContext(workdir=tmp_path / "run")


@pytest.fixture
def load(tmp_path: Path, context: ToolContext) -> Callable[..., dict[str, Any]]:
    """Write content to a file and load it; options go to `load_data`."""

    def write_and_load(content: bytes | str, name: str = "table.csv", **options: Any) -> dict[str, Any]:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return load_data(str(path), context, **options)

    return write_and_load


@pytest.fixture(scope="session")
def dabench() -> Path:
    """The folder of real tables; outside CI its absence is a reason to skip."""
    folder = REPOSITORY.parent / "shared" / "data" / "dabench" / "tables"
    if not folder.is_dir():
        message = "the real tables are not there: expected ../shared/data/dabench/tables beside the repository"
        if os.environ.get("CI", "").lower() in ("1", "true"):
            pytest.fail(message)
        pytest.skip(message)
    return folder
