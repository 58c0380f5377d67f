"""Handles: a table is reached by its hash inside the run's own folder, and by nothing else."""

# ruff: noqa: E501 (a case reads best on one line)
from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from planloom import DataError, ToolContext
from planloom.analysis import compute_stats, find_anomalies, load_data
from planloom.analysis.database import open_database

Load = Callable[..., dict[str, Any]]

FORGED = ["", "x", "../" * 3 + "etc/passwd", "A" * 64, "0" * 63, "0" * 65, "0" * 64 + "\n", "*", None, 7]


@pytest.mark.parametrize("artifact", FORGED)
def test_forged_handle(artifact: Any, load: Load, context: ToolContext) -> None:
    """Anything but 64 hexadecimal digits is refused before a path is made of it."""
    table = {**load("a\n1\n"), "artifact": artifact}
    for tool in (compute_stats, find_anomalies):
        with pytest.raises(DataError, match="not the hash of a table"):
            tool(table, context)


def test_handle_of_another_run(load: Load, tmp_path: Path) -> None:
    """A handle is worth nothing in another run's folder."""
    table = load("a\n1\n")
    with pytest.raises(DataError, match="this run holds no table"):
        compute_stats(table, ToolContext(workdir=tmp_path / "other"))


def test_planted_link(load: Load, context: ToolContext, tmp_path: Path) -> None:
    """A link with the name of a table is not followed."""
    table = load("a\n1\n")
    outside = tmp_path / "outside.parquet"
    (context.workdir / f"{table['artifact']}.parquet").rename(outside)
    (context.workdir / f"{table['artifact']}.parquet").symlink_to(outside)
    with pytest.raises(DataError, match="this run holds no table"):
        compute_stats(table, context)


REFUSED_QUERIES = [
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM read_csv('https://example.com/a.csv')",
    "COPY (SELECT 1) TO '/tmp/planloom-must-not-exist.csv'",
    "INSTALL httpfs",
    "LOAD httpfs",
    "SET enable_external_access = true",
    "ATTACH '/tmp/planloom-must-not-exist.db'",
]


@pytest.mark.parametrize("query", REFUSED_QUERIES)
def test_database_is_locked(query: str, tmp_path: Path) -> None:
    """Even a query that slipped in could not leave the run's folder, load code or change the settings."""
    with open_database(tmp_path) as database, pytest.raises(DataError):
        database.rows(query)


def test_a_long_query_writes_nothing_on_stdout(tmp_path: Path) -> None:
    """DuckDB draws a progress bar there after two seconds, in the middle of what a command prints."""
    with open_database(tmp_path) as database:
        assert (False,) == database.row("SELECT current_setting('enable_progress_bar')")


def test_parquet(load: Load, context: ToolContext, tmp_path: Path) -> None:
    """A Parquet file keeps its types; NaN and infinity become missing, and that is said."""
    with open_database(tmp_path) as database:
        database.rows(
            "COPY (SELECT * FROM (VALUES (1::INTEGER, 1.5::DOUBLE, 'x', DATE '2024-01-01', 1.25::DECIMAL(10,2), [1, 2]), "
            "(2, 'nan', NULL, NULL, 2.5, NULL), (3, '-inf', 'y', DATE '2024-02-01', NULL, [3])) t(i, f, s, d, m, l)) "
            f"TO '{tmp_path}/t.parquet' (FORMAT parquet)"
        )
    table = load_data(str(tmp_path / "t.parquet"), context)
    types = {column["name"]: column["type"] for column in table["columns"]}
    assert {"i": "integer", "f": "number", "s": "text", "d": "date", "m": "number", "l": "other"} == types
    assert "2 infinite or NaN cells read as missing, in `f`." in table["decisions"]
    stats = compute_stats(table, context)
    assert {"i": 0, "f": 2, "s": 1, "d": 1, "m": 1, "l": 1} == {n: c["missing"] for n, c in stats["columns"].items()}
    assert 1.875 == stats["numeric"]["m"]["mean"]


def test_without_duckdb() -> None:
    """Without the extra, the tools can be listed, and a call says what to install."""
    code = (
        "import sys; sys.modules['duckdb'] = None\n"
        "from planloom.analysis import toolbox, load_data\n"
        "from planloom import MissingExtraError, ToolContext\n"
        "assert len(toolbox) > 20\n"
        "try: load_data(sys.argv[1], ToolContext())\n"
        "except MissingExtraError as error: print(error)\n"
    )
    command = [sys.executable, "-c", code, __file__]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "pip install 'planloom[analysis]'" in done.stdout
