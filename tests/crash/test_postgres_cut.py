"""A goal whose connection to PostgreSQL is cut at every statement: before it, or when only the answer is missing."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from crash_goal import agent
from crash_proofs import check_outside, go_on, outcome
from cutting_proxy import CuttingProxy
from journal_places import PostgresServer, find_binaries

from planloom import RunResult
from planloom.errors import JournalError

SAMPLE = 10
SPARE = 5
"""Statements behind the last one that was counted: how many there are depends on which commits come together."""
_NUMBERS = itertools.count()


@dataclass(frozen=True)
class Cut:
    """At which statement, whether the server does it all the same, and whether the server can be reached again."""

    number: int
    executes: bool
    stays_down: bool


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    binaries = find_binaries()
    if binaries is None or find_spec("psycopg") is None:
        missing = "no PostgreSQL here (on Debian: apt-get install postgresql; pip install 'planloom[postgres]')"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    folder = Path(tempfile.mkdtemp(prefix="planloom-pg-"))  # short: the name of a socket is
    started = PostgresServer(folder, binaries)
    yield started
    started.stop()
    shutil.rmtree(folder)


class Place:
    """A database of its own on the server, and the run that is kept there."""

    def __init__(self, server: PostgresServer, folder: Path) -> None:
        self.name = f"cut_{next(_NUMBERS)}"
        self.address = server.database(self.name)
        self.server = server.folder
        self.server_address = server.address("postgres")
        self.calls = folder / f"{self.name}.calls"

    def through(self, proxy: CuttingProxy) -> RunResult | None:
        """Reach the goal by way of a proxy; return what it came to, None when the journal could not be written."""
        address = self.address.replace(str(self.server), str(proxy.folder))
        try:
            return asyncio.run(agent(address, str(self.calls)).run("pay everybody", run_id=self.name))
        except JournalError:
            return None
        finally:
            proxy.close()

    def drop(self) -> None:
        """Give the room back: there are hundreds of places."""
        psycopg = pytest.importorskip("psycopg")
        with psycopg.connect(self.server_address, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {self.name} WITH (FORCE)")


def prove(server: PostgresServer, cut: Cut, folder: Path, expected: dict[str, Any]) -> bool:
    """Cut the connection, go on over another one where that ended the run; return whether it did."""
    place = Place(server, folder)
    proxy = CuttingProxy(place.server, cut.number, executes=cut.executes, stays_down=cut.stays_down)
    result = place.through(proxy)
    was_cut = proxy.statements >= cut.number
    if result is None:
        assert was_cut
        assert cut.stays_down, "a connection that can be made again ended the run"
    check_outside(place.calls, expected, go_on(place.address, place.calls, place.name) if result is None else result)
    # what was written tells the same
    check_outside(place.calls, expected, go_on(place.address, place.calls, place.name))
    place.drop()
    return result is None


def prove_all(server: PostgresServer, cuts: Iterable[Cut], folder: Path, expected: dict[str, Any]) -> int:
    """Prove cuts, some at a time, and return how many ended the run."""
    faults: list[Exception] = []

    def prove_one(cut: Cut) -> bool:
        try:
            return prove(server, cut, folder, expected)
        except Exception as fault:
            fault.add_note(str(cut))
            faults.append(fault)
            return True

    with ThreadPoolExecutor(3) as pool:
        ended = sum(pool.map(prove_one, cuts))
    if faults:
        raise ExceptionGroup(f"{len(faults)} cuts", faults)
    return ended


@pytest.fixture(scope="module")
def undisturbed(server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], int]:
    """What the goal comes to when nothing is cut, and over how many statements."""
    place = Place(server, tmp_path_factory.mktemp("undisturbed"))
    proxy = CuttingProxy(place.server, 0)
    result = place.through(proxy)
    assert result is not None
    check_outside(place.calls, outcome(result), result)
    assert "succeeded" == result.status
    return outcome(result), proxy.statements


def cuts(count: int) -> list[Cut]:
    kinds = itertools.product((False, True), repeat=2)
    return [Cut(number, *kind) for kind in kinds for number in range(1, count + SPARE + 1)]


def test_cut_at_some_statements(server: Any, undisturbed: Any, tmp_path: Path, seed: int, say: Any) -> None:
    """A cut that passes is not noticed; after one that stays, nothing is lost, and nothing is done twice."""
    expected, count = undisturbed
    ended = prove_all(server, random.Random(seed).sample(cuts(count), SAMPLE), tmp_path, expected)
    say(f"cut at {SAMPLE} of {4 * count} places in {count} statements, {ended} ended the run, seed {seed}")


@pytest.mark.crash
def test_cut_at_every_statement(server: Any, undisturbed: Any, tmp_path: Path, say: Any) -> None:
    """The same at each of them."""
    expected, count = undisturbed
    ended = prove_all(server, cuts(count), tmp_path, expected)
    say(f"cut at each of {count} statements in 4 ways, {ended} ended the run")
    assert ended >= count
