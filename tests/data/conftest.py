"""Third-party material: where it lies, and that CI never passes for want of it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).resolve().parents[2].parent / "shared" / "data"


@pytest.fixture(scope="session")
def data_file() -> Callable[[str], Any]:
    """Read one file of the third-party data by name: `.jsonl` as a list of objects, `.json` as it is."""

    def read(name: str) -> Any:
        path = FOLDER / name
        if not path.is_file():
            message = f"the third-party test data is missing: {path} (see the data folder's README)"
            if os.environ.get("CI"):
                pytest.fail(message)
            pytest.skip(message)
        text = path.read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines()] if name.endswith(".jsonl") else json.loads(text)

    return read
