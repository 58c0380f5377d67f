"""Tools that take and give tables, at the top level of a module, where another process finds them.

Run as a script it is a process that is cut off after its table was made. Arguments: journal.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import decimal
import os
import sys
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa

from planloom import Plan, execute_plan, tool

ROWS = {
    "n": [1, 2, 3],
    "x": [0.5, None, 2.0],
    "name": ["ann", None, "Æ\N{SNOWMAN}"],
    "is_new": [True, False, True],
    "at": [dt.datetime(2024, 5, 1, 12, 30), dt.datetime(2024, 5, 2), None],
    "day": [dt.date(2024, 5, 1), None, dt.date(1900, 1, 1)],
    "price": [decimal.Decimal("1.20"), decimal.Decimal("0.05"), None],
}


def make_pandas() -> pd.DataFrame:
    """Make a table with the types that only pandas has."""
    frame = pd.DataFrame(ROWS)
    frame["kind"] = pd.Categorical(["b", "a", "b"])
    frame["count"] = pd.array([1, None, 3], dtype="Int64")
    frame["here"] = pd.to_datetime(["2024-01-01", "2024-07-01", None]).tz_localize("Europe/Oslo")
    return frame


def make_polars() -> pl.DataFrame:
    """Make a table."""
    kinds = pl.Series(["b", "a", "b"], dtype=pl.Enum(["a", "b"]))
    return pl.DataFrame(ROWS).with_columns(kinds.alias("kind"), pl.Series("list", [[1], [], [2, 3]]))


def make_arrow() -> pa.Table:
    """Make a table."""
    return pa.table(ROWS).append_column("kind", pa.array(["b", "a", "b"]).dictionary_encode())


def make_lazy() -> pl.LazyFrame:
    """Make a table that is not there yet."""
    return make_polars().lazy()


def check_pandas(table: pd.DataFrame) -> str:
    """Say what came."""
    pd.testing.assert_frame_equal(make_pandas(), table)
    return type(table).__name__


def check_polars(table: pl.DataFrame) -> str:
    """Say what came."""
    assert make_polars().schema == table.schema
    assert make_polars().equals(table)
    return type(table).__name__


def check_arrow(table: pa.Table) -> str:
    """Say what came."""
    assert make_arrow().schema == table.schema
    assert make_arrow().equals(table)
    return type(table).__name__


def check_lazy(table: pl.LazyFrame) -> str:
    """Say what came."""
    check_polars(table.collect())
    return type(table).__name__


def leak_pandas(cells: list[str | None]) -> pd.DataFrame:
    """Make a table of what came."""
    return pd.DataFrame({"text": cells, "kind": pd.Categorical(cells)})


def leak_polars(cells: list[str | None]) -> pl.DataFrame:
    """Make a table of what came."""
    return pl.DataFrame({"text": cells, "kind": pl.Series(cells, dtype=pl.Categorical)})


def leak_arrow(cells: list[str | None]) -> pa.Table:
    """Make a table of what came, in two parts."""
    table = pa.table({"text": cells, "kind": pa.array(cells).dictionary_encode()})
    return pa.concat_tables([table[:2], table[2:]])


@tool(read_only=True)
def leave(table: Any, dies: bool) -> str:
    """End the process without a word, as a crash does."""
    if dies:
        os._exit(9)
    return table["artifact"]


def plan(*, dies: bool) -> Plan:
    """A table, a step that may crash, and two that need the table."""
    return Plan.from_json(
        {
            "steps": [
                {"id": "made", "tool": "make_pandas"},
                {"id": "left", "tool": "leave", "args": {"table": "{{made.output}}", "dies": "{{inputs.dies}}"}},
                {"id": "checked", "tool": "check_pandas", "args": {"table": "{{made.output}}"}, "depends_on": ["left"]},
            ],
            "inputs": {"dies": dies},
        }
    )


if __name__ == "__main__":
    tools = [tool(read_only=True)(one) for one in (make_pandas, check_pandas)]
    asyncio.run(execute_plan(plan(dies=True), [leave, *tools], journal=sys.argv[1], run_id="r1"))
