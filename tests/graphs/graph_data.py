"""Real graphs that nobody on this project drew: where they are, and how they become plans."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "data" / "graphs"


def read_lines(name: str) -> list[dict[str, Any]]:
    """Return the objects of one JSON Lines file; without the folder, fail in CI and skip elsewhere."""
    path = FOLDER / name
    if not path.exists():
        message = f"the third-party test data is not here: {path}"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]
