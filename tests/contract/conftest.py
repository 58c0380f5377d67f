"""The places where journals are kept, as fixtures."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

# under importlib mode pytest adds no folder to the path, and the tests of this folder share their helpers
sys.path.insert(0, str(Path(__file__).parent))

from journal_places import MemoryPlace, PostgresPlace, PostgresServer, SqlitePlace, find_binaries

KINDS = ("memory", "sqlite", "postgres")


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    binaries = find_binaries()
    missing = pytest.fail if os.environ.get("CI") else pytest.skip
    if binaries is None:
        missing("no PostgreSQL here: `initdb` was not found (on Debian: apt-get install postgresql)")
    if find_spec("psycopg") is None:
        missing("psycopg is not installed: pip install 'planloom[postgres]'")
    folder = Path(tempfile.mkdtemp(prefix="planloom-pg-"))  # short: the name of a socket is
    server = PostgresServer(folder, binaries)
    yield server
    server.stop()
    shutil.rmtree(folder)


@pytest.fixture(params=KINDS)
def place(request, tmp_path):
    """A place where no journal has been yet."""
    if request.param == "memory":
        return MemoryPlace()
    if request.param == "sqlite":
        return SqlitePlace(tmp_path)
    return PostgresPlace(request.getfixturevalue("postgres"))


@pytest.fixture
def durable_place(place):
    """A place that other processes can reach."""
    if place.kind == "memory":
        pytest.skip("memory does not outlive its process")
    return place
