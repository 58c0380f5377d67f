"""The program of the process in which SQL that somebody else wrote runs. It imports DuckDB and nothing of this package.

Reads one JSON request from its standard input, answers with one JSON line, and ends. Rule: nothing of the text runs
before `check` has seen its syntax tree, and the tree may hold only what is listed here; what is not listed is refused.
What that guarantees, and why it is a process, is said in `sandbox`.
"""

# ruff: noqa: S608 (the text is checked as a tree first; names and paths are quoted)
# pyright: basic, reportMissingImports=false
from __future__ import annotations

import json
import os
import re
import sys
import threading
from typing import Any

MAX_THREADS = 4
MAX_COLUMNS = 10_000
PROBLEM_CHARACTERS = 600
MAX_SPILL = "32GB"

QUERY_NODES = {"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"}
TABLE_PARTS = {"BASE_TABLE", "SUBQUERY", "JOIN", "EXPRESSION_LIST", "EMPTY", "PIVOT", "TABLE_FUNCTION", "SHOW_REF"}
OTHER_PARTS = {
    "LIMIT_MODIFIER", "LIMIT_PERCENT_MODIFIER", "ORDER_MODIFIER", "DISTINCT_MODIFIER",
    "ASCENDING", "DESCENDING", "ORDER_DEFAULT",
}  # fmt: skip
EXPRESSIONS = {
    "FUNCTION", "COLUMN_REF", "CONSTANT", "COMPARISON", "STAR", "WINDOW", "SUBQUERY", "OPERATOR", "CAST", "TYPE",
    "POSITIONAL_REFERENCE", "CONJUNCTION", "CASE", "BETWEEN", "COLLATE", "LAMBDA", "LAMBDA_REF", "PARAMETER",
}  # fmt: skip
TABLE_FUNCTIONS = {"range", "generate_series", "unnest", "json_each", "json_tree"}
FORBIDDEN_FUNCTIONS = {
    "current_setting", "getvariable", "getenv", "write_log", "sleep_ms", "nextval", "currval", "setval", "setseed",
    "invoke", "query", "query_table", "current_query", "current_query_id", "parse_duckdb_log_message", "glob",
    "which_secret", "sniff_csv", "add_parquet_key", "json_serialize_sql", "json_serialize_plan",
    "json_deserialize_sql", "json_execute_serialized_sql", "checkpoint", "force_checkpoint",
}  # fmt: skip
FORBIDDEN_PREFIXES = ("pg_", "duckdb_", "pragma_", "read_", "write_", "__internal", "enable_", "disable_", "inet_")
RESERVED_NAMES = re.compile(r"(duckdb|pg|sqlite|pragma|information_schema)(_|$)|(tables|columns|views|schemata)$")
FINITE_KINDS = {"FLOAT", "DOUBLE", "DATE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE"}
"""Types that have values without an end, and numbers that are none."""
SYSTEM_NAME = re.compile(r'"(pg|duckdb|sqlite|pragma|information_schema)(_|\.|")')
PLAIN_NAME = re.compile(r"[\w $-]{1,200}")

ENDING = re.compile(r";\s*(--[^\n]*\s*|/\*[^*]*\*/\s*)*$")

WRITES = (
    "only a SELECT can run here, not {}\n"
    "hint: the tables are read-only; a changed table is what a SELECT gives, and it comes back as `table`"
)
PIVOT_HINT = "PIVOT must name its values\nhint: PIVOT data ON \"column\" IN ('a', 'b') USING sum(\"x\")"


class RefusedError(Exception):
    """The text asks for something that does not run here."""


def check(connection: Any, text: str, tables: set[str], values: Any = ()) -> str:
    """The one SELECT in `text`, without a semicolon at its end; `values` are the names that may stand as `$name`.

    Raises `RefusedError`, or DuckDB's own error.
    """
    statements = connection.extract_statements(text)
    if not statements:
        raise RefusedError("there is no statement in it\nhint: write one SELECT")
    if len(statements) > 1:
        raise RefusedError(f"it has {len(statements)} statements\nhint: write one SELECT; WITH gives its parts names")
    kind = str(statements[0].type).rsplit(".", 1)[-1]
    if kind == "MULTI":
        raise RefusedError(PIVOT_HINT)
    if kind != "SELECT":
        raise RefusedError(WRITES.format(kind))
    found = serialised(connection, text)
    tree = json.loads(found)
    if tree["error"]:
        raise RefusedError(WRITES.format(tree.get("error_message", "this")))
    if len(tree["statements"]) != 1:
        raise RefusedError("it has more than one statement")
    check_tree(tree["statements"][0]["node"], tables)
    check_values(tree["statements"], values)
    return without_end(connection, text, found)


def serialised(connection: Any, text: str) -> str:
    """The syntax tree of a SELECT as JSON, as DuckDB writes it."""
    return str(connection.execute("SELECT json_serialize_sql(?::VARCHAR)", [text]).fetchone()[0])


def without_end(connection: Any, text: str, tree: str) -> str:
    """The text without the semicolon that ends it, and a comment after that; never a change of its tree."""
    found = ENDING.search(text)
    shorter = text if found is None else text[: found.start()]
    return shorter if serialised(connection, shorter) == tree else text


def check_tree(tree: Any, tables: set[str]) -> None:
    """Raise `RefusedError` unless every node of the syntax tree is of a kind that only reads registered tables."""
    known = set(tables)
    parts = list(every_part(tree))
    for part in parts:
        known |= new_names(part)
    for part in parts:
        check_part(part, known, tables)


def every_part(tree: Any) -> Any:
    """Every object in the tree, without recursion, so that no depth can break it."""
    waiting = [tree]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            yield part
            waiting.extend(part.values())
        elif isinstance(part, list):
            waiting.extend(part)


def new_names(part: dict[str, Any]) -> set[str]:
    """Names that the text itself gives to its parts with WITH; one that is a system table's or a path is refused."""
    names = [item["key"] for item in (part.get("cte_map") or {}).get("map", [])]
    if part.get("type") in ("RECURSIVE_CTE_NODE", "CTE_NODE") and isinstance(part.get("cte_name"), str):
        names.append(part["cte_name"])
    for name in names:
        if name and (RESERVED_NAMES.match(name.lower()) or PLAIN_NAME.fullmatch(name) is None):
            raise RefusedError(f"WITH cannot give the name `{name}`\nhint: use letters, digits and underscores")
    return {name.lower() for name in names if name}


def check_values(tree: Any, values: Any) -> None:
    """Raise `RefusedError` unless every `$name` in the tree is one of `values`."""
    for name in sorted(used_values(tree) - {name.lower() for name in values}):
        hint = f"the values are {listed(set(values))}" if values else "write the value itself"
        raise RefusedError(f"`{'?' if name.isdigit() else '$' + name}` has no value here\nhint: {hint}")


def used_values(tree: Any) -> set[str]:
    """The names, in small letters, that stand as `$name` in a tree."""
    return {str(part["identifier"]).lower() for part in every_part(tree) if part.get("class") == "PARAMETER"}


def check_part(part: dict[str, Any], known: set[str], tables: set[str]) -> None:
    """Raise `RefusedError` unless one object of the tree is harmless."""
    kind, family = part.get("type"), part.get("class")
    if family is not None:
        if family not in EXPRESSIONS:
            raise RefusedError(f"an expression of kind {family} does not run here")
    elif isinstance(kind, str) and kind not in QUERY_NODES | TABLE_PARTS | OTHER_PARTS:
        raise RefusedError(WRITES.format(kind.removesuffix("_QUERY_NODE").removesuffix("_NODE")))
    if isinstance(part.get("function_name"), str):
        check_function(part, in_from=False)
    if family is not None:
        return
    if kind == "BASE_TABLE":
        check_table(part, known, tables)
    elif kind == "TABLE_FUNCTION":
        check_function(part["function"], in_from=True)
    elif kind == "SHOW_REF" and not part.get("query"):
        raise RefusedError(
            f"SHOW does not run here\nhint: the tables are {listed(tables)}; DESCRIBE data shows its columns"
        )


def check_table(part: dict[str, Any], known: set[str], tables: set[str]) -> None:
    """Raise `RefusedError` unless the table is registered, or named by WITH."""
    name = ".".join(str(part[key]) for key in ("catalog_name", "schema_name", "table_name") if part.get(key))
    if part.get("at_clause"):
        raise RefusedError(f"a table has one version here, so AT does not run\nhint: write `{name}` without AT (…)")
    if name.lower() not in known:
        hint = f"the tables are {listed(tables)}" if tables else "give the step a table, as `data` or in `tables`"
        raise RefusedError(f"there is no table `{name}` here\nhint: {hint}")


def check_function(function: dict[str, Any], *, in_from: bool) -> None:
    """Raise `RefusedError` unless the function computes a value from its arguments alone."""
    name = str(function.get("function_name")).lower()
    if function.get("catalog") or (in_from and function.get("schema")):
        raise RefusedError(f"the function `{name}` must be named without a schema")
    if name in FORBIDDEN_FUNCTIONS or name.startswith(FORBIDDEN_PREFIXES):
        raise RefusedError(f"the function `{name}` does not run here: it reaches beyond the tables")
    if in_from and name not in TABLE_FUNCTIONS:
        raise RefusedError(
            f"the table function `{name}` does not run here\nhint: of these there are {listed(TABLE_FUNCTIONS)}"
        )


def listed(names: set[str]) -> str:
    """Up to twenty names in backticks."""
    return ", ".join(f"`{name}`" for name in sorted(names)[:20])


def check_expression(connection: Any, text: str, tables: set[str]) -> None:
    """Raise `RefusedError` unless `text` is one expression, which cannot leave its brackets."""
    composed = f"SELECT (\n{text}\n)"
    check(connection, composed, tables)
    node = json.loads(serialised(connection, composed))["statements"][0]["node"]
    clauses = ("where_clause", "having", "qualify", "sample")
    is_one = node["type"] == "SELECT_NODE" and len(node["select_list"]) == 1 and not node["modifiers"]
    plain = is_one and node["from_table"]["type"] == "EMPTY" and not any(node.get(clause) for clause in clauses)
    if not plain or node.get("group_expressions") or node["select_list"][0].get("alias"):
        raise RefusedError("it is not one expression\nhint: for a whole SELECT use the tool query")


def connect() -> Any:
    """A new instance, which loads nothing by itself."""
    import duckdb

    return duckdb.connect(
        ":memory:", config={"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}
    )


def run(connection: Any, request: dict[str, Any]) -> dict[str, Any]:
    """Lock the instance, check the text, and write what it gives. The answer to the request."""
    import duckdb

    tables = {name.lower() for name in request["tables"]}
    try:
        for setting in settings(request):
            connection.execute(f"SET {setting}")
        for name, path in request["tables"].items():
            connection.execute(
                f"CREATE VIEW {identifier(name)} AS SELECT * FROM "
                f"read_parquet({literal(path)}, hive_partitioning=false)"
            )
        connection.execute("SET lock_configuration = true")
        for expression in request["expressions"]:
            check_expression(connection, expression, tables)
        values = request["values"]
        return write(connection, check(connection, request["sql"], tables, values), tables, values, request["output"])
    except RefusedError as refusal:
        return {"problem": "refused", "message": str(refusal)}
    except duckdb.InterruptException:
        return {"problem": "time", "message": ""}
    except (duckdb.OutOfMemoryException, MemoryError) as error:
        return {"problem": "memory", "message": reason(error)}
    except RecursionError:
        return {"problem": "refused", "message": "it is nested too deeply"}
    except duckdb.Error as error:
        problem = "size" if "File too large" in str(error) else "sql"
        return {"problem": problem, "message": reason(error)}


def settings(request: dict[str, Any]) -> list[str]:
    """What is allowed, then nothing else. Files may be the tables, the result and the folder for spilling."""
    files = ", ".join(literal(path) for path in [*request["tables"].values(), request["output"]])
    return [
        f"memory_limit = {literal(request['memory_limit'])}",
        f"threads = {max(1, min(MAX_THREADS, os.cpu_count() or 1))}",
        f"temp_directory = {literal(request['spill'])}",
        f"max_temp_directory_size = {literal(MAX_SPILL)}",
        "TimeZone = 'UTC'",
        "python_enable_replacements = false",
        "enable_progress_bar = false",
        f"allowed_paths = [{files}]",
        "enable_external_access = false",
    ]


def write(connection: Any, select: str, tables: set[str], values: dict[str, Any], output: str) -> dict[str, Any]:
    """Run the checked SELECT into a Parquet file. Its columns get types that a table of a run may have."""
    inner = f"SELECT * FROM (\n{select}\n) AS result"
    check(connection, inner, tables, values)  # what is run is the text in brackets, so that is what must be harmless
    used = used_values(json.loads(serialised(connection, inner)))
    given = {name: value for name, value in values.items() if name.lower() in used}
    columns = [(str(row[0]), str(row[1])) for row in connection.execute(f"DESCRIBE {inner}", given).fetchall()]
    if len(columns) > MAX_COLUMNS:
        raise RefusedError(f"the result has {len(columns):,} columns; at most {MAX_COLUMNS:,} are possible")
    source = f"(\n{select}\n) AS result"
    huge = [name for name, kind in columns if kind in ("HUGEINT", "UHUGEINT")]
    widths: dict[str, str] = {}
    if huge:
        # sums of whole numbers have 128 bits, which Parquet has not; they are looked at before they are narrowed
        connection.execute(f"CREATE TEMP TABLE kept_result AS {inner}", given)
        given = {}
        source = "kept_result"
        widths = dict(zip(huge, widths_of(connection, source, huge), strict=True))
    cells = ", ".join(f"{kept_sql(name, kind, widths.get(name))} AS {identifier(name)}" for name, kind in columns)
    copy = f"COPY (SELECT {cells} FROM {source}) TO {literal(output)} (FORMAT parquet)"
    statements = connection.extract_statements(copy)
    if len(statements) != 1 or not str(statements[0].type).endswith("COPY"):
        raise RefusedError("it is not one SELECT")
    connection.execute(copy, given)
    emptied = emptied_cells(connection, source, columns, output, given)
    return {"problem": None, "emptied": emptied, "rounded": [name for name in huge if widths[name] == "DOUBLE"]}


def widths_of(connection: Any, source: str, names: list[str]) -> list[str]:
    """The narrowest type that holds each column of 128-bit whole numbers; more than 38 digits are rounded."""
    kinds = ("BIGINT", "DECIMAL(38,0)")
    fits = ", ".join(
        f"coalesce(bool_and(TRY_CAST({name} AS {kind}) IS NOT NULL OR {name} IS NULL), true)"
        for name in map(identifier, names)
        for kind in kinds
    )
    found = connection.execute(f"SELECT {fits} FROM {source}").fetchone()
    pairs = zip(found[::2], found[1::2], strict=True)
    return [kinds[0] if is_small else kinds[1] if is_exact else "DOUBLE" for is_small, is_exact in pairs]


def emptied_cells(
    connection: Any, source: str, columns: list[tuple[str, str]], output: str, given: dict[str, Any]
) -> dict[str, int]:
    """How many cells of each column were no finite number or date, and are missing in what was kept.

    Counted only where the result has missing cells at all, since the query runs again for it.
    """
    names = [name for name, kind in columns if kind in FINITE_KINDS]
    if not names:
        return {}
    counts = ", ".join(f"count(*) - count({identifier(name)})" for name in names)
    kept = connection.execute(f"SELECT {counts} FROM read_parquet({literal(output)})").fetchone()
    names = [name for name, missing in zip(names, kept, strict=True) if missing]
    if not names:
        return {}
    counts = ", ".join(f"count(*) FILTER (WHERE NOT isfinite({identifier(name)}))" for name in names)
    found = connection.execute(f"SELECT {counts} FROM {source}", given).fetchone()
    return {name: count for name, count in zip(names, found, strict=True) if count}


def kept_sql(name: str, kind: str, width: str | None) -> str:
    """A column of the result as it is kept: finite numbers, and types that Parquet holds without loss.

    `width` is what holds the whole numbers of a column of 128 bits.
    """
    cell = identifier(name)
    if kind in ("FLOAT", "DOUBLE"):
        return f"CASE WHEN isfinite({cell}) THEN {cell} END"
    if width is not None:
        return f"{cell}::{width}"
    if kind in ("DATE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE"):
        return f"CASE WHEN isfinite({cell}) THEN {cell}{'::TIMESTAMP' if kind.endswith('ZONE') else ''} END"
    if kind.startswith("ENUM") or kind in ("INTERVAL", "UUID", "BIT", "JSON", '"NULL"', "NULL", "BIGNUM", "VARIANT"):
        return f"{cell}::VARCHAR"
    if kind in ("TIME WITH TIME ZONE", "TIME_NS"):
        return f"{cell}::TIME"
    return cell


def identifier(name: str) -> str:
    """`name` as a quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """`text` as a quoted SQL string."""
    return "'" + text.replace("'", "''") + "'"


def reason(error: BaseException) -> str:
    """What DuckDB said and what it suggests, without its picture of the query."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    more = (line for line in lines[1:] if line.startswith(("Candidate", "Did you mean")))
    kept = [lines[0], *(line for line in more if SYSTEM_NAME.search(line) is None)]
    return " ".join(kept)[:PROBLEM_CHARACTERS]


def limit_process(memory_bytes: int, file_bytes: int) -> None:
    """Hard limits by the operating system, where it has them: memory, the size of a file, no core file."""
    try:
        import resource
        import signal
    except ImportError:  # Windows has neither; the instance's own limits hold there
        return
    for limit, value in (("RLIMIT_DATA", memory_bytes), ("RLIMIT_FSIZE", file_bytes), ("RLIMIT_CORE", 0)):
        number = getattr(resource, limit, None)
        if number is not None:
            _, most = resource.getrlimit(number)
            resource.setrlimit(number, (value if most == resource.RLIM_INFINITY else min(value, most), most))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write beyond the limit then fails with an error


def end_process() -> None:
    """End at once, even if nobody is left who would kill this process."""
    os._exit(1)


def main() -> None:
    """Answer one request."""
    request = json.loads(sys.stdin.buffer.read())
    sys.path[:] = request["import_path"]
    limit_process(request["memory_bytes"], request["file_bytes"])
    connection = connect()
    for seconds, end in ((request["time_limit_s"], connection.interrupt), (request["kill_s"], end_process)):
        timer = threading.Timer(seconds, end)
        timer.daemon = True
        timer.start()
    answer = run(connection, request)
    sys.stdout.write(json.dumps(answer))
    sys.stdout.flush()
    os._exit(0)  # closing an instance that was interrupted may wait for its threads


if __name__ == "__main__":
    main()
