"""Writes what a query gives as a new table of the run, with a sentence about how it came to be."""

# ruff: noqa: S608 (queries come from the modules beside this one, never from a plan)
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from planloom.analysis.columns import column_kinds
from planloom.analysis.database import Database
from planloom.analysis.tables import Table, keep_table, new_table_file


def write_table(database: Database, folder: Path, query: str, *, parent: Table, decisions: Sequence[str]) -> Table:
    """Run `query` and keep its rows as a table; `decisions` are added to those of `parent`, whose name it bears.

    Raises `DataError` if the query fails; then nothing is left behind.
    """
    written = new_table_file(folder)
    try:
        database.write(query, written)
        kinds = column_kinds(database, written)
        (rows,) = database.row(f"SELECT count(*) FROM {database.parquet(written)}")
        artifact = keep_table(written)
    except BaseException:
        written.unlink(missing_ok=True)
        raise
    return {
        "artifact": artifact,
        "name": parent["name"],
        "columns": [{"name": name, "type": kind} for name, kind in kinds.items()],
        "rows": rows,
        "decisions": [*parent["decisions"], *decisions],
    }
