"""Lets the tests of this folder share their helpers: under importlib mode pytest adds no folder to the path."""

import os
import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.append(str(Path(__file__).parent.parent / "contract"))  # a PostgreSQL server is started there

SEED = 270_117
STRACE = shutil.which("strace")


@pytest.fixture
def strace() -> str:
    """The program that kills and refuses at calls of the system."""
    if STRACE is None:
        missing = "no `strace` here (on Debian: apt-get install strace), so nothing dies at a call of the system"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    return STRACE


@pytest.fixture
def say(capfd):
    """Prints a line that is seen also when tests pass, also from a worker of pytest."""

    def print_line(line: str) -> None:
        with capfd.disabled():
            os.write(2, f"\n{line}\n".encode())

    return print_line


@pytest.fixture
def seed() -> int:
    """What chance begins with: always the same number, unless PLANLOOM_CRASH_SEED names another."""
    return int(os.environ.get("PLANLOOM_CRASH_SEED") or SEED)


def pytest_collection_modifyitems(config, items):
    """What takes minutes runs when it is asked for: `pytest tests/crash -m "crash or not crash"`."""
    if "crash" not in config.option.markexpr:
        long = [item for item in items if item.get_closest_marker("crash")]
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item not in long]
