"""Runs SQL that a model or a stranger wrote: one SELECT on registered tables, in a locked DuckDB in its own process.

What is guaranteed, and by what:
- Only a SELECT runs. DuckDB's own parser splits the text (exactly one statement) and gives its syntax tree, in which
  every kind of node, table function and table must be on a list (`sandbox_process`). A SELECT may hold an INSERT in a
  WITH, or a function that writes a log; the lists have neither.
- No other file, no network, no setting. The instance has external access off, allows exactly the registered Parquet
  files, the file for the result and a folder for spilling, loads no extension, sees no Python variable, and its
  configuration is locked before the text is parsed. Its environment is empty.
- It ends. After `TIME_LIMIT_S` the query is interrupted, `GRACE_S` later the process is killed.
- It is bounded. DuckDB keeps to `MEMORY_LIMIT` and spills; what it does not count (one huge text, a list in a list)
  ends at `MEMORY_BYTES` by a limit of the operating system on Linux, and takes that process alone with it. A file is
  at most `FILE_BYTES`. On macOS and Windows only DuckDB's own memory limit holds.

DuckDB's authors say that SQL is code and ask for a process with limits around it when it is not trusted; hence one.
It costs about 0.2 s a query.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from planloom.analysis.database import open_database
from planloom.analysis.limited_process import ask_process, never
from planloom.analysis.loading import described
from planloom.analysis.tables import Table, keep_table, table_path
from planloom.analysis.wording import count, quoted
from planloom.errors import DataError, MissingExtraError

MEMORY_LIMIT: Final = "800MB"
"""What DuckDB may hold in memory in a query; beyond it it spills into the run's folder."""
MEMORY_BYTES: Final = 3 * 1024**3
"""Where the operating system ends a query that holds more than DuckDB counts."""
FILE_BYTES: Final = 16 * 1024**3
TIME_LIMIT_S: Final = 300.0
GRACE_S: Final = 5.0
MAX_SQL_CHARACTERS: Final = 100_000
MAX_TABLES: Final = 20
MAX_VALUES: Final = 100
MAX_VALUE_CHARACTERS: Final = 1_000_000
"""Of all values of a query, as JSON."""
MAX_DEPTH: Final = 200
"""Brackets within brackets; deeper text is refused before a parser sees it."""
ANSWER_CHARACTERS: Final = 2_000
MAX_CHANGES: Final = 20
"""Columns of which it is said that values were kept otherwise than they came."""

_NAME = re.compile(r"[A-Za-z_]\w{0,62}", re.ASCII)
_PROGRAM: Final = Path(__file__).with_name("sandbox_process.py")


def run_select(
    sql: str,
    tables: Mapping[str, Table],
    folder: Path,
    *,
    name: str,
    decisions: Sequence[str],
    expressions: Mapping[str, str] | None = None,
    values: Mapping[str, Any] | None = None,
    argument: str = "sql",
    cancelled: Callable[[], bool] = never,
    time_limit_s: float = TIME_LIMIT_S,
) -> Table:
    """Run one SELECT on `tables` (by the names it uses) and keep what it gives as a table of this run.

    `expressions` are the parts of `sql` that were written by somebody else, by argument: each must be one expression.
    `values` are plain JSON and stand in `sql` as `$name`: bound by DuckDB, never written into the text.
    Raises `DataError`: not one SELECT, something that is not allowed, a mistake in the SQL, too long, too much.
    """
    if find_spec("duckdb") is None:
        raise MissingExtraError("analysis", "queries")
    written = {argument: sql} if expressions is None else expressions
    _check_text(written)
    _check_values(values or {})
    paths = _paths(tables, folder)
    folder = folder.resolve()
    scratch = Path(tempfile.mkdtemp(prefix="query-", dir=folder))
    try:
        linked = _link(paths, scratch)
        request = {
            "tables": linked,
            "sql": sql,
            "values": dict(values or {}),
            "expressions": [] if expressions is None else list(expressions.values()),
            "output": "result.parquet",
            "spill": "spill",
            "memory_limit": MEMORY_LIMIT,
            "memory_bytes": MEMORY_BYTES,
            "file_bytes": FILE_BYTES,
            "time_limit_s": time_limit_s,
        }
        answer = ask_process(_PROGRAM, request, scratch, time_limit_s + GRACE_S, cancelled)
        if answer["problem"] is not None:
            raise _refusal(answer, "`, `".join(written), tables, time_limit_s)
        with open_database(folder) as database:
            columns, rows = described(database, scratch / "result.parquet")
        if not columns:
            raise DataError(f"`{argument}` gives no column")
        kept = scratch / "result.parquet"
        artifact = keep_table(kept.replace(folder / f"{scratch.name}.tmp"))
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return {
        "artifact": artifact,
        "name": name,
        "columns": columns,
        "rows": rows,
        "decisions": [*decisions, *_changes(answer)],
    }


def _changes(answer: Mapping[str, Any]) -> list[str]:
    """What was kept otherwise than the query gave it, a sentence per column."""
    emptied: Mapping[str, int] = answer["emptied"]
    said = [
        f"{quoted(name)}: {count(number, 'value')} that {'is' if number == 1 else 'are'} not finite (NaN or infinite) "
        "became missing."
        for name, number in emptied.items()
    ]
    said += [
        f"{quoted(name)} holds whole numbers of more than 38 digits, so it is kept as floating-point numbers, which "
        "have about 16."
        for name in answer["rounded"]
    ]
    hidden = len(said) - MAX_CHANGES
    return [*said[:MAX_CHANGES], *([f"… and {count(hidden, 'more column')} changed so."] if hidden > 0 else [])]


def _check_text(written: Mapping[str, str]) -> None:
    """Refuse what no parser should be given: nothing, a NUL, a novel, brackets without end."""
    for argument, text in written.items():
        if not text.strip():
            raise DataError(f"`{argument}` is empty\nhint: write SQL there")
        if len(text) > MAX_SQL_CHARACTERS:
            raise DataError(f"`{argument}` has {len(text):,} characters; at most {MAX_SQL_CHARACTERS:,} are read")
        if "\x00" in text:
            raise DataError(f"`{argument}` holds a NUL character")
        depth = deepest = 0
        for character in text:
            depth += (character in "([{") - (character in ")]}")
            deepest = max(deepest, depth)
        if deepest > MAX_DEPTH:
            raise DataError(f"`{argument}` is nested too deeply: {deepest:,} brackets within brackets")


def _check_values(values: Mapping[str, Any]) -> None:
    """Refuse values that cannot be bound: too many, too large, or by a name that SQL cannot hold."""
    if len(values) > MAX_VALUES:
        raise DataError(f"`values` has {len(values)} entries; at most {MAX_VALUES} are taken\nhint: give a list as one")
    for name in values:
        if _NAME.fullmatch(name) is None:
            raise DataError(f"`values`: {name!r} cannot stand as $name in SQL\nhint: use letters, digits, underscores")
    if len({name.lower() for name in values}) < len(values):
        raise DataError("two `values` have the same name; letter case makes no difference in SQL")
    size = len(json.dumps(dict(values)))
    if size > MAX_VALUE_CHARACTERS:
        raise DataError(
            f"`values` has {size:,} characters; at most {MAX_VALUE_CHARACTERS:,} are taken\n"
            "hint: a table goes into `data` or `tables`"
        )


def _paths(tables: Mapping[str, Table], folder: Path) -> dict[str, Path]:
    """The file of each table. Names must be plain, since the SQL uses them."""
    if len(tables) > MAX_TABLES:
        raise DataError(f"{len(tables)} tables are too many for one query; at most {MAX_TABLES} are taken")
    for name in tables:
        if _NAME.fullmatch(name) is None:
            raise DataError(f"{name!r} cannot be the name of a table in SQL\nhint: use letters, digits and underscores")
    if len({name.lower() for name in tables}) < len(tables):
        raise DataError("two tables have the same name; letter case makes no difference in SQL")
    return {name: table_path(table, folder) for name, table in tables.items()}


def _link(paths: Mapping[str, Path], scratch: Path) -> dict[str, str]:
    """A plain name in the scratch folder for each table, so that no name of a folder is read as a pattern."""
    (scratch / "spill").mkdir()
    linked: dict[str, str] = {}
    for number, (name, path) in enumerate(paths.items()):
        target = scratch / f"table{number}.parquet"
        try:
            os.link(path, target)
        except OSError:
            target.symlink_to(path.resolve())
        linked[name] = target.name
    return linked


def _refusal(answer: Mapping[str, Any], argument: str, tables: Mapping[str, Table], limit_s: float) -> DataError:
    """What went wrong, in words that help to mend the SQL."""
    problem, message = answer["problem"], str(answer["message"])
    if problem == "refused":
        return DataError(f"`{argument}`: {message}")
    if problem == "time":
        return DataError(
            f"`{argument}` did not end within {limit_s:g} s\n"
            "hint: look for a join without a condition, or a recursion without an end"
        )
    if problem in ("memory", "ended"):
        return DataError(f"`{argument}` needs more memory than a query may have\nhint: filter or group earlier")
    if problem == "size":
        return DataError(f"`{argument}` gives more than fits a table\nhint: filter or group the rows, or use LIMIT")
    return DataError(f"`{argument}` is not right: {message[:ANSWER_CHARACTERS]}\nhint: {_sql_hint(message, tables)}")


def _sql_hint(message: str, tables: Mapping[str, Table]) -> str:
    if re.search(r"Table with name .* does not exist", message):
        named = ", ".join(f"`{name}`" for name in tables) or "none"
        return f"tables here: {named}; what WITH names is there only in the SELECT that it begins"
    if "not found in FROM clause" in message or "Referenced table" in message:
        shown = [f'"{column["name"]}"' for table in tables.values() for column in table["columns"]][:20]
        return f"texts stand in single quotes, names with blanks in double quotes; columns: {', '.join(shown)}"
    if "GROUP BY" in message and "must appear" in message:
        return "for each row beside all rows write avg(x) OVER (), else put every plain column into GROUP BY"
    if "WHERE clause cannot contain window" in message:
        return "compute it with derive_columns first, or use QUALIFY in a query"
    if "Conversion Error" in message:
        return "try_cast(x AS DOUBLE) gives NULL where a value does not fit"
    return "the SQL is DuckDB's; names with blanks or capitals stand in double quotes, texts in single quotes"
