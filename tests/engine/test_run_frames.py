"""Tables of pandas, polars and Arrow between steps: handles on the way, frames in the tools."""

from __future__ import annotations

import asyncio
import errno
import functools
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import frame_tools
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from engine_cases import run, tool_of

from planloom import PlanValidationError, ToolContext, execute_plan, resume_run
from planloom.analysis.columns import column_kinds
from planloom.analysis.database import open_database
from planloom.analysis.statistical_tools import group_summary
from planloom.analysis.tables import Table
from planloom.plan.redaction import Redactor
from planloom.testing import PlanBuilder
from planloom.tools import Tool, frames
from planloom.tools.frame_secrets import clean_arrow, clean_polars

KINDS = ("pandas", "polars", "arrow", "lazy")
CHILD = Path(frame_tools.__file__)


def placed(function: Callable[..., Any], place: str) -> Tool:
    """A tool of a function that runs in the place that a test asks for."""
    if place != "async":
        return tool_of(function, run_in=place)

    @functools.wraps(function)
    async def call(*args: Any, **named: Any) -> Any:
        await asyncio.sleep(0)
        return function(*args, **named)

    return tool_of(call)


def real(plan: Any, *tools: Any, **options: Any) -> Any:
    """Run a plan in real time, with threads."""
    return asyncio.run(execute_plan(plan, list(tools), **options))


def one_step(function: Callable[..., Any], **options: Any) -> Any:
    """What becomes of a step."""
    return run(PlanBuilder().step("a", "make").build(), tool_of(function, name="make"), **options).steps["a"]


def passed_on(value: Any, annotation: Any) -> Any:
    """What the parameter of a second step gets for a value of a first one."""
    got: list[Any] = []

    def take(table: Any) -> None:
        got.append(table.collect() if isinstance(table, pl.LazyFrame) else table)  # while its file is there

    take.__annotations__["table"] = annotation
    plan = PlanBuilder().step("a", "make").step("b", "take", table="{{a.output}}").build()
    result = run(plan, tool_of(lambda: value, name="make"), tool_of(take))
    assert "succeeded" == result.status, result.explain()
    return got[0]


# ---- what cannot pass ------------------------------------------------------------------------------------


def two_indexes() -> pd.DataFrame:
    return pd.DataFrame({"a": [1], "b": [2], "c": [3]}).set_index(["a", "b"])


def no_polars_type() -> pl.DataFrame:
    return pl.DataFrame({"thing": pl.Series([object()], dtype=pl.Object)})


REFUSED = {
    "row labels in two levels": (two_indexes, "rows have a MultiIndex, which no plain table has; use frame.reset_i"),
    "columns in two levels": (lambda: two_indexes().unstack(), "columns have a MultiIndex"),
    "two of a name": (lambda: pd.DataFrame([[1, 2]], columns=["a", "a"]), "two columns that are both named `a`"),
    "two of a name in Arrow": (lambda: pa.table([[1], [2]], names=["a", "a"]), "both named `a`; rename one"),
    "two that become the same": (lambda: pd.DataFrame([[1, 2]], columns=["1", 1]), "both named `1`"),
    "an index like a column": (
        lambda: pd.DataFrame({"a": [1]}).rename_axis(index="a"),
        "an index and a column that are both named `a`; rename one",
    ),
    "mixed types": (lambda: pd.DataFrame({"a": [1, "x"]}), "column a with type object; give each column one type"),
    "objects": (lambda: pd.DataFrame({"a": [object()]}), "cannot be written as Parquet: Could not convert <object"),
    "objects in polars": (no_polars_type, "cannot be written as Parquet: cannot write 'Object' datatype"),
    "complex numbers": (lambda: pd.DataFrame({"a": [1j]}), "Conversion failed for column a with type complex128"),
    "half a character": (lambda: pd.DataFrame({"a": ["\ud800"]}, dtype=object), "cannot be written as Parquet"),
    "no columns": (lambda: pd.DataFrame(), "is a table without columns"),
    "no columns in polars": (lambda: pl.DataFrame(), "is a table without columns"),
    "a lazy one that fails": (lambda: pl.LazyFrame({"a": [1]}).select("b"), "is a LazyFrame that cannot be collected"),
    "inside": (lambda: {"all": [pl.DataFrame({"a": [1]}), pl.DataFrame()]}, "output.all[1] is a table without"),
    "a series": (lambda: pd.Series([1]), "is a Series, which has no JSON form; return series.to_list(), or seri"),
    "an array of objects": (lambda: np.array([object()]), "the output[0] is an object, which has no JSON form; "),
    "bytes": (lambda: b"\xff\x00", "is 2 bytes that are no UTF-8 text; write what is large or binary to a file in"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_kept(name: str, tmp_path: Path) -> None:
    """The step fails, says what is in the way and what to do, and nothing half written is left behind."""
    make, reason = REFUSED[name]
    step = one_step(make, workdir=tmp_path)
    assert ("failed", "output", "OutputError") == (step.status, step.error.kind, step.error.type)
    assert reason in step.error.message
    assert [] == [path for path in tmp_path.iterdir() if path.suffix != ".parquet"]


@pytest.mark.parametrize(
    ("limit", "reason"),
    [("MAX_COLUMNS", "with 2 columns, more than 1"), ("MAX_TABLE_BYTES", "more than 1; return a part")],
)
def test_tables_that_are_too_large(limit: str, reason: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Columns and bytes have a limit."""
    monkeypatch.setattr(frames, limit, 1)
    step = one_step(lambda: pl.DataFrame({"a": [1], "b": [2]}), workdir=tmp_path)
    assert reason in step.error.message
    assert [] == list(tmp_path.iterdir())


def test_too_many_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    """So does the number of tables in one output."""
    monkeypatch.setattr(frames, "MAX_TABLES", 2)
    step = one_step(lambda: [pl.DataFrame({"a": [n]}) for n in range(3)])
    assert "the output[2] is one of more than 2 tables" in step.error.message


def test_a_full_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A table that cannot be written fails its step alone; nothing is left of it."""

    def full(_: Path) -> str:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(frames, "keep_table", full)
    step = one_step(frame_tools.make_polars, workdir=tmp_path)
    assert ("failed", "output") == (step.status, step.error.kind)
    assert "No space left on device" in step.error.message
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize("library", ["pyarrow", "pyarrow.types"])
def test_pandas_without_pyarrow(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What has to be installed is named."""
    monkeypatch.setitem(sys.modules, library, None)
    assert "pip install pyarrow" in one_step(frame_tools.make_pandas).error.message


def test_tables_as_inputs_are_refused() -> None:
    """Only a step can give a table; the caller's mistake is told to the caller."""
    with pytest.raises(
        Exception, match="input `table` cannot be used: its value holds a DataFrame, and a table can only"
    ):
        run(
            PlanBuilder().step("a", "make").build(),
            tool_of(lambda: 1, name="make"),
            inputs={"table": pl.DataFrame()},
        )


HANDLE: Table = {"artifact": "0" * 64, "name": "t", "columns": [], "rows": 0, "decisions": []}
NO_TABLES = {
    "gone": (HANDLE, "DataError", "this run holds no table 000000000000… hint: tables belong to one run"),
    "a path": (
        {**HANDLE, "artifact": "../../etc/passwd"},
        "DataError",
        "`artifact` is '../../etc/passwd', not the hash",
    ),
    "half of it": ({"artifact": "0" * 64}, "ArgumentsError", "`table.rows`: missing"),
}


@pytest.mark.parametrize("place", ["thread", "loop", "process"])
@pytest.mark.parametrize("name", NO_TABLES)
def test_handles_without_a_table(name: str, place: str) -> None:
    """A handle of another run, and what is none, fail the step before its tool is reached."""
    value, kind, reason = NO_TABLES[name]
    tool = tool_of(frame_tools.check_pandas, run_in=place, read_only=False)
    plan = PlanBuilder().step("a", "check_pandas", table="{{inputs.table}}").build()
    step = real(plan, tool, inputs={"table": value}).steps["a"]
    assert ("failed", kind) == (step.status, step.error.type)
    assert reason in step.error.message


def test_a_damaged_table(tmp_path: Path) -> None:
    """A file that is no Parquet is said, not guessed at."""
    (tmp_path / f"{'0' * 64}.parquet").write_bytes(b"no parquet")
    plan = PlanBuilder().step("a", "check_pandas", table="{{inputs.table}}").build()
    step = run(plan, tool_of(frame_tools.check_pandas), inputs={"table": HANDLE}, workdir=tmp_path).steps["a"]
    assert step.error.message.startswith("the table 000000000000… cannot be read")


def test_a_table_where_a_number_belongs() -> None:
    """A plan is checked with the types of tables: before anything runs."""
    plan = PlanBuilder().step("a", "make_pandas").step("b", "count", n="{{a.output}}").build()

    def count(n: int) -> int:
        return n

    with pytest.raises(PlanValidationError) as caught:
        run(plan, tool_of(frame_tools.make_pandas), tool_of(count))
    assert ["reference-type"] == [issue.code for issue in caught.value.issues]


# ---- what passes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["thread", "async", "loop", "process"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_same_table_comes_back(kind: str, place: str) -> None:
    """Of the same type, with the same values and types of columns, wherever the tools run."""
    make, check = getattr(frame_tools, f"make_{kind}"), getattr(frame_tools, f"check_{kind}")
    plan = PlanBuilder().step("a", make.__name__).step("b", check.__name__, table="{{a.output}}").build()
    result = real(plan, placed(make, place), placed(check, place))
    assert "succeeded" == result.status, result.explain()
    expected = {"pandas": "DataFrame", "polars": "DataFrame", "arrow": "Table", "lazy": "LazyFrame"}
    assert expected[kind] == result.steps["b"].output
    handle = result.steps["a"].output
    assert (["artifact", "name", "columns", "rows", "decisions"], "a", 3) == ([*handle], handle["name"], handle["rows"])


@pytest.mark.parametrize("kind", KINDS)
def test_virtual_time_needs_no_threads(kind: str) -> None:
    """Async tools give and take tables in virtual time too."""
    make, check = getattr(frame_tools, f"make_{kind}"), getattr(frame_tools, f"check_{kind}")
    plan = PlanBuilder().step("a", make.__name__).step("b", check.__name__, table="{{a.output}}").build()
    result = run(plan, placed(make, "async"), placed(check, "async"))
    assert "succeeded" == result.status, result.explain()


@pytest.mark.parametrize("taken", KINDS)
@pytest.mark.parametrize("given", KINDS)
def test_tables_cross_libraries(given: str, taken: str) -> None:
    """What one library has made another one reads."""
    annotation = {
        "pandas": pd.DataFrame,
        "polars": pl.DataFrame,
        "arrow": pa.Table,
        "lazy": pl.LazyFrame,
    }[taken]
    got = passed_on(getattr(frame_tools, f"make_{given}")(), annotation)
    assert isinstance(got, pl.DataFrame if taken == "lazy" else annotation)
    column = got["n"].to_pylist() if taken == "arrow" else got["n"].to_list()
    assert [1, 2, 3] == column


@pytest.mark.parametrize("kind", KINDS)
def test_columns_are_named_as_the_analysis_names_them(kind: str, tmp_path: Path) -> None:
    """A handle says the same kinds of columns as one that DuckDB has made."""
    handle = one_step(getattr(frame_tools, f"make_{kind}"), workdir=tmp_path).output
    with open_database(tmp_path) as database:
        kinds = column_kinds(database, tmp_path / f"{handle['artifact']}.parquet")
    assert [{"name": name, "type": type} for name, type in kinds.items()] == handle["columns"]


RARE = {
    "arrow": pa.table(
        {
            "u64": pa.array([1], pa.uint64()),
            "f16": pa.array([1.0], pa.float16()),
            "whole": pa.array([1], pa.decimal128(20, 0)),
            "long": pa.array([1], pa.decimal256(50, 0)),
            "date64": pa.array([0], pa.date64()),
            "zoned": pa.array([0], pa.timestamp("ns", "Europe/Oslo")),
            "time": pa.array([0], pa.time32("s")),
            "duration": pa.array([0], pa.duration("us")),
            "view": pa.array(["a"], pa.string_view()),
            "numbers": pa.array([5]).dictionary_encode(),
            "binary": pa.array([b"a"]),
            "fixed": pa.array([b"ab"], pa.binary(2)),
            "uuid": pa.array([b"0123456789abcdef"], pa.uuid()),
            "json": pa.array(["{}"], pa.json_()),
            "list": [[1]],
            "struct": [{"a": 1}],
            "nothing": pa.nulls(1),
        }
    ),
    "polars": pl.DataFrame(
        {
            "i128": pl.Series([1], dtype=pl.Int128),
            "u8": pl.Series([1], dtype=pl.UInt8),
            "f16": pl.Series([1.0], dtype=pl.Float16),
            "whole": pl.Series([1], dtype=pl.Decimal(20, 0)),
            "time": pl.Series([0], dtype=pl.Time),
            "duration": pl.Series([0], dtype=pl.Duration),
            "category": pl.Series(["a"], dtype=pl.Categorical),
            "array": pl.Series([[1, 2]], dtype=pl.Array(pl.Int64, 2)),
            "struct": [{"a": 1}],
            "nothing": [None],
        }
    ),
}


@pytest.mark.parametrize("kind", RARE)
def test_rare_types_of_columns(kind: str, tmp_path: Path) -> None:
    """So it is for the types that few tables have."""
    handle = one_step(lambda: RARE[kind], workdir=tmp_path).output
    with open_database(tmp_path) as database:
        kinds = column_kinds(database, tmp_path / f"{handle['artifact']}.parquet")
    assert kinds == {column["name"]: column["type"] for column in handle["columns"]}
    assert type(RARE[kind]) is type(passed_on(RARE[kind], type(RARE[kind])))


def labelled(index: Any) -> pd.DataFrame:
    return pd.DataFrame({"a": [1, 2, 3]}, index=index)


LABELS = {
    "default": (labelled(None), ["a"], []),
    "filtered": (labelled([4, 7, 9]), ["a"], ["Row numbers (an index without a name) were left out"]),
    "named": (labelled(pd.Index([4, 7, 9], name="id")), ["id", "a"], ["The index became the column `id`"]),
    "texts": (labelled(["x", "y", "z"]), ["index", "a"], ["The index became the column `index`"]),
    "numbered columns": (pd.DataFrame([[1, 2]]), ["0", "1"], ["Column names became text"]),
    "no rows": (labelled(None)[:0], ["a"], []),
    "one column": (pd.Series([1, 2], name="a").to_frame(), ["a"], []),
}


@pytest.mark.parametrize("name", LABELS)
def test_row_labels_of_pandas(name: str) -> None:
    """A plain table has no row labels: those that mean something become a column, and it is said."""
    frame, columns, decisions = LABELS[name]
    handle = one_step(lambda: frame).output
    assert (columns, decisions) == ([column["name"] for column in handle["columns"]], handle["decisions"])
    got = passed_on(frame, pd.DataFrame)
    assert (columns, len(frame)) == (list(got.columns), len(got))
    assert got.index.equals(pd.RangeIndex(len(frame)))


def test_tables_in_lists_and_objects() -> None:
    """Each becomes a handle in its place; a parameter says where it wants tables."""
    parts = {"train": pl.DataFrame({"a": [1, 2]}), "test": pl.DataFrame({"a": [3]})}
    got = passed_on(parts, dict[str, pl.DataFrame])
    assert {"train": [1, 2], "test": [3]} == {name: part["a"].to_list() for name, part in got.items()}
    assert [1, 2, 3] == [len(part) for part in passed_on([labelled(None)[:n] for n in (1, 2, 3)], list[pd.DataFrame])]
    assert passed_on(None, pl.DataFrame | None) is None
    assert 1 == passed_on(parts["test"], Annotated[pl.DataFrame | None, "what to test with"]).height


def test_any_takes_the_handle() -> None:
    """A parameter that does not say that it is a table gets what passes between steps."""
    assert 3 == passed_on(frame_tools.make_polars(), Any)["rows"]
    assert 3 == passed_on(frame_tools.make_polars(), Table)["rows"]


def test_the_analysis_takes_tables_of_tools(tmp_path: Path) -> None:
    """The tools of the analysis and a user's own pass tables to each other."""
    plan = (
        PlanBuilder()
        .step("a", "make_pandas")
        .step("b", "group_summary", data="{{a.output}}", by=["kind"], columns=["n"], measures=["sum"])
        .build()
    )
    result = real(plan, tool_of(frame_tools.make_pandas), group_summary)
    assert "succeeded" == result.status, result.explain()
    assert {"a": 2, "b": 4} == {
        one["group"]["kind"]: one["values"]["n"]["sum"] for one in result.steps["b"].output["groups"]
    }


def test_schemas_are_those_of_the_handle() -> None:
    """A planner sees the same type in a user's tool and in the tools of the analysis."""

    def taken(data: Table) -> Table: ...

    def framed(data: pd.DataFrame) -> pd.DataFrame: ...

    ours, theirs = tool_of(taken), tool_of(framed)
    assert (ours.parameters, ours.returns) == (theirs.parameters, theirs.returns)
    assert (False, True) == (ours.takes_tables, theirs.takes_tables)


def test_equal_tables_are_one_file(tmp_path: Path) -> None:
    """A file is named by its content, is private, and is written once."""
    plan = PlanBuilder().step("a", "make_polars").step("b", "make_polars").build()
    result = real(plan, tool_of(frame_tools.make_polars), workdir=tmp_path)
    a, b = (result.steps[name].output["artifact"] for name in "ab")
    assert (a, [f"{a}.parquet"]) == (b, [path.name for path in tmp_path.iterdir()])
    assert 0 == (tmp_path / f"{a}.parquet").stat().st_mode & 0o077


@pytest.mark.parametrize("place", ["thread", "async", "process"])
@pytest.mark.parametrize("kind", KINDS)
def test_tables_of_a_run_with_secrets(kind: str, place: str) -> None:
    """A table without a secret passes as it is."""
    make, check = getattr(frame_tools, f"make_{kind}"), getattr(frame_tools, f"check_{kind}")
    plan = PlanBuilder().step("a", make.__name__).step("b", check.__name__, table="{{a.output}}").build()
    result = real(plan, placed(make, place), placed(check, place), secrets=["a-long.secret+text", "b\nx|(y)z"])
    assert "succeeded" == result.status, result.explain()


CELLS = ["before SECRET", None, 'x "SECRET"', "clean", "SECRE", "before OTHER-SECRET"]
SECRETS = {"plain": "c2-8831-77", "signs": "a.b+c|(d)[e]*", "lines": "one\ntwo\\three", "wide": "ÆØÅæøå-77"}


@pytest.mark.parametrize("place", ["thread", "async", "process"])
@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "lazy"])
def test_secrets_in_cells(kind: str, name: str, place: str, tmp_path: Path) -> None:
    """What is secret does not reach a file: texts and categories have a mark instead, in whatever spelling."""
    secret = SECRETS[name]
    plan = PlanBuilder().step("a", f"leak_{kind}", cells="{{inputs.cells}}").build()
    inputs = {
        "cells": [
            None if cell is None else cell.replace("OTHER-SECRET", "one more").replace("SECRET", secret)
            for cell in CELLS
        ]
    }
    tool = placed(getattr(frame_tools, f"leak_{kind}"), place)
    result = real(plan, tool, inputs=inputs, secrets=[secret, "one more"], workdir=tmp_path)
    assert "succeeded" == result.status, result.explain()
    kept_at = tmp_path / f"{result.steps['a'].output['artifact']}.parquet"
    kept = pl.read_parquet(kept_at)
    expected = ["before [secret]", None, 'x "[secret]"', "clean", "SECRE", "before [secret]"]
    assert expected == kept["text"].to_list()
    assert expected == kept["kind"].cast(pl.String).to_list()
    assert expected == [None if cell is pd.NA or cell != cell else cell for cell in pd.read_parquet(kept_at)["kind"]]
    assert ["text", "text"] == [column["type"] for column in result.steps["a"].output["columns"]]


def test_a_tool_with_a_context_and_retries() -> None:
    """Each attempt reads its tables anew, and gets a context like any other call."""
    seen: list[tuple[int, int]] = []

    async def take(table: pl.DataFrame, context: ToolContext) -> int:
        seen.append((context.attempt, table.height))
        if context.attempt == 1:
            raise ConnectionError("again")
        return table.height

    plan = PlanBuilder().step("a", "make_polars").step("b", "take", table="{{a.output}}").build()
    assert 3 == run(plan, tool_of(frame_tools.make_polars), tool_of(take)).steps["b"].output
    assert [(1, 3), (2, 3)] == seen


def test_a_table_that_takes_too_long_to_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading counts towards the limit of its call, and the tool that was not reached has had no effect."""

    def slow(*_: Any) -> Any:
        import time

        time.sleep(0.5)

    monkeypatch.setattr("planloom.tools.annotations.read_frame", slow)

    async def take(table: pl.DataFrame) -> None:
        raise AssertionError("never reached")

    plan = PlanBuilder().step("a", "make_polars").step("b", "take", table="{{a.output}}").build()
    take_tool = tool_of(take, read_only=False, timeout_s=0.1)
    step = real(plan, tool_of(frame_tools.make_polars), take_tool).steps["b"]
    assert ("failed", "timeout") == (step.status, step.error.kind)


def test_a_table_survives_a_crash(tmp_path: Path) -> None:
    """A run that was cut off after a table was made goes on with that table."""
    journal = tmp_path / "runs.db"
    done = subprocess.run(
        [sys.executable, str(CHILD), str(journal)], capture_output=True, text=True, timeout=60, check=False
    )
    assert 9 == done.returncode, done.stderr

    def make_pandas() -> pd.DataFrame:
        raise AssertionError("is not made again")

    tools = [
        tool_of(make_pandas),
        tool_of(lambda table, dies: table["artifact"], name="leave"),
        tool_of(frame_tools.check_pandas),
    ]
    result = asyncio.run(resume_run("r1", tools, journal=str(journal)))
    assert ("succeeded", "DataFrame") == (result.status, result.steps["checked"].output), result.explain()


PROBE = """
import asyncio, sys
from planloom import execute_plan, tool

@tool(read_only=True)
def work(n: int) -> dict:
    "Work."
    return {"n": n, "at": {1, 2}, "name": b"x"}

asyncio.run(execute_plan([{"id": "a", "tool": "work", "args": {"n": 1}}], [work]))
print(sorted({"pandas", "polars", "pyarrow", "numpy"} & {name.partition(".")[0] for name in sys.modules}))
"""


def test_nothing_is_imported_for_nothing() -> None:
    """The libraries of tables stay out of a run whose tools do not use them."""
    done = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, timeout=60, check=True)
    assert "[]\n" == done.stdout


def test_a_clean_table_is_not_copied() -> None:
    """Looking for secrets makes nothing new when there is none."""
    redactor = Redactor({"c2-8831-77": ""})
    table, frame = frame_tools.make_arrow(), frame_tools.make_polars()
    assert table is clean_arrow(table, redactor)
    assert frame is clean_polars(frame, redactor)
