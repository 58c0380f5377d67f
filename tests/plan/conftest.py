"""The toolbox that the plans in `tests/fixtures` are written for, and its plans that nothing is wrong with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from planloom import Tool, Toolbox

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"


def never(**arguments: Any) -> None:
    raise AssertionError("validation runs nothing")


@pytest.fixture(scope="session")
def fixture_toolbox() -> Toolbox:
    """Search, fetch, summarise, load, mean, save, notify, ping: typed, and never called."""
    tools: list[Tool] = []
    for spec in json.loads((FIXTURES / "tools.json").read_text(encoding="utf-8")):
        spec["writes"] = tuple(spec.get("writes", ()))
        tools.append(Tool.from_schema(function=never, **spec))
    return Toolbox(tools)
