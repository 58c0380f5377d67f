"""The sandbox for SQL: one SELECT on the tables given, and nothing else, in bounded time and memory."""

# ruff: noqa: E501 (a case reads best on one line)
from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from planloom import DataError, ToolContext
from planloom.analysis import load_data
from planloom.analysis import sandbox_process as process
from planloom.analysis.query import query_tables
from planloom.analysis.sandbox import run_select

pytestmark = pytest.mark.slow  # a process or many queries for each of its cases

Load = Callable[..., dict[str, Any]]
SALES = 'id,"na""me",town,amount\n1,Ann,Rome,2.5\n2,"\'; DROP TABLE data; --",Oslo,3.5\n3,=1+1,Rome,\n'


@pytest.fixture
def ask(load: Load, context: ToolContext) -> Callable[..., Any]:
    """Run a SELECT on a small table under the name `data`, and give the rows."""
    table = load(SALES)

    def run(sql: str, *, limit: int = 1000) -> Any:
        return query_tables(sql, {"data": table}, context.workdir, limit, lambda: False)

    return run


FILES = [
    "COPY data TO '{outside}/stolen.csv'",
    "COPY (SELECT * FROM data) TO '{run}/table0.parquet' (FORMAT parquet, USE_TMP_FILE false)",
    "COPY (SELECT 1) TO 'result.parquet'",
    "COPY data FROM '{outside}/secret.csv'",
    "EXPORT DATABASE '{outside}/all'",
    "IMPORT DATABASE '{outside}/all'",
    "ATTACH '{outside}/other.db'",
    "ATTACH ':memory:' AS m",
    "DETACH memory",
    "INSTALL httpfs",
    "LOAD httpfs",
    "FORCE INSTALL json FROM '{outside}'",
    "SELECT * FROM read_csv('{outside}/secret.csv')",
    "SELECT * FROM read_csv_auto('{outside}/secret.csv')",
    "SELECT * FROM read_text('{outside}/secret.csv')",
    "SELECT * FROM read_blob('{outside}/secret.csv')",
    "SELECT * FROM read_json('{outside}/secret.csv')",
    "SELECT * FROM read_parquet('{outside}/*')",
    "SELECT * FROM read_parquet('table0.parquet')",
    "SELECT * FROM parquet_metadata('table0.parquet')",
    "SELECT * FROM read_duckdb('{outside}/x.db')",
    "SELECT * FROM glob('/*')",
    "SELECT * FROM sniff_csv('{outside}/secret.csv')",
    "SELECT * FROM '{outside}/secret.csv'",
    'SELECT * FROM "{outside}/secret.csv"',
    "FROM '{outside}/secret.csv'",
    "TABLE \"{outside}/secret.csv\"",
    "SELECT * FROM 'table0.parquet'",
    "SELECT * FROM 'https://example.com/a.csv'",
    "SELECT (SELECT count(*) FROM '{outside}/secret.csv') FROM data",
    "SELECT * FROM data WHERE id IN (SELECT x FROM '{outside}/secret.csv')",
    "SELECT * FROM data JOIN '{outside}/secret.csv' USING (id)",
    "SELECT * FROM data UNION ALL FROM '{outside}/secret.csv'",
    "WITH t AS (SELECT * FROM '{outside}/secret.csv') SELECT * FROM t",
    "WITH \"{outside}/secret.csv\" AS (SELECT 1) SELECT * FROM data, (SELECT 1)",
    "SELECT * FROM (SUMMARIZE '{outside}/secret.csv')",
    "DESCRIBE '{outside}/secret.csv'",
    "PIVOT '{outside}/secret.csv' ON id IN (1) USING count(*)",
    "UNPIVOT '{outside}/secret.csv' ON id INTO NAME n VALUE v",
    "SELECT * FROM data AT (VERSION => 1)",
]  # fmt: skip
WRITES = [
    "CREATE TABLE t (a INTEGER)",
    "CREATE OR REPLACE VIEW data AS SELECT 1",
    "CREATE MACRO f(x) AS x",
    "CREATE SECRET s (TYPE s3)",
    "CREATE TABLE t AS SELECT 1",
    "INSERT INTO data VALUES (1, 'x', 'y', 2)",
    "UPDATE data SET id = 0",
    "DELETE FROM data",
    "DROP VIEW data",
    "ALTER VIEW data RENAME TO d",
    "MERGE INTO data USING data d ON true WHEN MATCHED THEN DELETE",
    "WITH x AS (INSERT INTO data VALUES (1) RETURNING *) SELECT * FROM x",
    "WITH x AS (DELETE FROM data RETURNING *) SELECT * FROM x",
    "WITH x AS (UPDATE data SET id = 1 RETURNING *) SELECT * FROM x",
    "SELECT * FROM (WITH x AS (DELETE FROM data RETURNING *) SELECT * FROM x)",
    "TRUNCATE data",
    "BEGIN",
    "COMMIT",
    "CHECKPOINT",
    "VACUUM",
    "ANALYZE",
    "EXPLAIN SELECT * FROM data",
    "EXPLAIN ANALYZE SELECT * FROM data",
    "COMMENT ON VIEW data IS 'x'",
]
SETTINGS = [
    "SET memory_limit = '100GB'",
    "SET enable_external_access = true",
    "SET VARIABLE x = 1",
    "RESET ALL",
    "USE memory",
    "PRAGMA version",
    "PRAGMA database_list",
    "PRAGMA enable_profiling",
    "CALL pragma_version()",
    "CALL enable_logging(storage = 'file')",
    "SELECT * FROM enable_logging('QueryLog')",
    "SELECT * FROM checkpoint()",
    "SELECT current_setting('temp_directory')",
    "SELECT getenv('HOME')",
    "SELECT getvariable('x')",
    "SELECT write_log('x')",
    "SELECT sleep_ms(100000)",
    "SELECT pg_sleep(100)",
    "SELECT nextval('s')",
    "SELECT * FROM duckdb_settings()",
    "SELECT * FROM duckdb_settings",
    "SELECT * FROM duckdb_tables",
    "SELECT * FROM duckdb_secrets()",
    "SELECT * FROM pragma_table_info('data')",
    "SELECT * FROM pragma_database_size()",
    "SELECT * FROM information_schema.tables",
    "SELECT * FROM pg_catalog.pg_class",
    "SELECT * FROM sqlite_master",
    "SELECT * FROM main.data",
    "SELECT * FROM memory.main.data",
    "SELECT * FROM system.main.range(3)",
    "SHOW TABLES",
    "SHOW ALL TABLES",
    "SHOW DATABASES",
    "SELECT * FROM query('SELECT 1')",
    "SELECT * FROM query_table('data')",
    "SELECT * FROM json_execute_serialized_sql('{{}}')",
    "SELECT json_execute_serialized_sql('{{}}')",
    "SELECT * FROM repeat('x', 10)",
    "WITH duckdb_settings AS (SELECT 1) SELECT * FROM (SELECT * FROM duckdb_settings)",
    "WITH a AS (WITH pg_class AS (SELECT 1) SELECT 1) SELECT * FROM pg_class",
    "SELECT * FROM sys",
    "SELECT * FROM request",
    "SELECT * FROM tables",
]
SHAPES = [
    "",
    "  \n ",
    ";",
    "-- nothing",
    "/* nothing",
    "SELECT 1; SELECT 2",
    "SELECT 1; DROP VIEW data",
    "SELECT 1; -- x\n SELECT 2",
    "SELECT 1) TO 'x.csv'; --",
    "SELECT 1) AS result; COPY data TO 'x'; --",
    "SELECT 1)) TO 'result.parquet' --",
    "SELECT * FROM data) AS result, (SELECT 1",
    "SELECT ?",
    "SELECT $1",
    "SELECT $name",
    "PREPARE p AS SELECT 1",
    "EXECUTE p",
    "DEALLOCATE p",
    "PIVOT data ON town USING sum(amount)",
    "SELEC * FROM data",
    "data",
    "import os",
    "SELECT 1\x00",
    "SELECT " + "(" * 5000 + "1" + ")" * 5000,
    "SELECT " + "-" * 0 + "+".join(["1"] * 40_000),
    "SELECT '" + "x" * 200_000 + "'",
    "SELECT * FROM nothing",
    "SELECT nothing FROM data",
]


THROUGH_THE_PROCESS = [FILES[0], FILES[1], FILES[12], FILES[23], WRITES[11], SETTINGS[1], SETTINGS[13], *SHAPES]


def filled_in(sql: str, outside: Path, run: Path) -> str:
    return sql.replace("{outside}", str(outside)).replace("{run}", str(run)).replace("{{}}", "{}")


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder with a secret that no query may see or change."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "secret.csv").write_text("id,x\n1,secret\n")
    return folder


@pytest.mark.parametrize("sql", THROUGH_THE_PROCESS, ids=lambda sql: sql[:60])
def test_refused(sql: str, load: Load, context: ToolContext, outside: Path) -> None:
    """What is not one SELECT on the tables given is refused with a reason, and leaves nothing behind or changed."""
    table = load("id,town,amount\n1,Rome,2.5\n")
    kept = context.workdir / f"{table['artifact']}.parquet"
    with pytest.raises(DataError) as caught:
        query_tables(filled_in(sql, outside, context.workdir), {"data": table}, context.workdir, 10, lambda: False)
    assert "secret\n" not in str(caught.value)
    assert str(caught.value).startswith("`sql`")
    assert table["artifact"] == hashlib.sha256(kept.read_bytes()).hexdigest()
    assert [kept.name] == [path.name for path in context.workdir.iterdir()]
    assert ["secret.csv"] == [path.name for path in outside.iterdir()]


@pytest.fixture
def request_for(load: Load, context: ToolContext, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], dict[str, Any]]:
    """The request that the process would get, in whose folder the test stands."""
    table = load("id,town,amount\n1,Rome,2.5\n")
    (context.workdir / f"{table['artifact']}.parquet").rename(context.workdir / "table0.parquet")
    monkeypatch.chdir(context.workdir)
    return lambda sql: {
        "tables": {"data": "table0.parquet"}, "sql": sql, "expressions": [], "values": {}, "output": "result.parquet",
        "spill": "spill", "memory_limit": "100MB",
    }  # fmt: skip


@pytest.mark.parametrize("sql", [*FILES, *WRITES, *SETTINGS], ids=lambda sql: sql[:60])
def test_refused_by_its_tree(
    sql: str, request_for: Callable[[str], dict[str, Any]], context: ToolContext, outside: Path
) -> None:
    """The check of the syntax tree refuses it before any of it runs."""
    request = request_for(filled_in(sql, outside, context.workdir))
    answer = process.run(process.connect(), request)
    assert answer["problem"] == "refused" or "Parser Error" in answer["message"], answer
    assert not Path("result.parquet").exists()


# what the lock alone must hold, if the check of the tree ever let one through
LOCKED = [
    *FILES[:2], *FILES[3:5], FILES[6], *FILES[9:18], *FILES[20:24],
    "SET memory_limit = '100GB'", "SET enable_external_access = true", "CALL enable_logging(storage = 'file')",
    "PRAGMA enable_profiling = 'json'", "SELECT * FROM hidden",
]  # fmt: skip


@pytest.mark.parametrize("sql", LOCKED, ids=lambda sql: sql[:60])
def test_refused_by_the_lock(
    sql: str, request_for: Callable[[str], dict[str, Any]], context: ToolContext, outside: Path
) -> None:
    """Without the check, the instance by itself still opens no other file and changes no setting."""
    hidden = {"a": [1]}
    connection = process.connect()
    assert process.run(connection, request_for("SELECT 1"))["problem"] is None
    text = filled_in(sql, outside, context.workdir)
    if "table0.parquet" in text:
        text = text.replace("table0.parquet", "table1.parquet")
    with pytest.raises(duckdb.Error):
        connection.execute(text).fetchall()
    assert {"a": [1]} == hidden
    assert ["secret.csv"] == [path.name for path in outside.iterdir()]


BOMBS = [
    "SELECT repeat('x', 4000000000) AS x FROM range(100)",
    "SELECT length(repeat(repeat('x', 100000), 100000)) FROM range(1000)",
    "SELECT list(i) FROM range(100000000000) t(i)",
    "SELECT range(100000000000)",
    "SELECT list_transform(range(1000000), x -> range(1000000))",
    "WITH RECURSIVE t AS (SELECT 'x' AS s UNION ALL SELECT s || s FROM t) SELECT max(length(s)) FROM t",
    "SELECT string_agg(repeat('x', 1000), ',') FROM range(1000000000)",
]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits the memory of a process for good")
@pytest.mark.parametrize("sql", BOMBS)
def test_memory_bomb(sql: str, load: Load, context: ToolContext) -> None:
    """A query that would fill the memory ends by itself and takes nobody with it."""
    with pytest.raises(DataError, match=r"needs more memory|did not end|is not right"):
        run_select(sql, {"data": load("a\n1\n")}, context.workdir, name="r", decisions=[], time_limit_s=4)


ENDLESS = [
    "SELECT count(*) FROM range(1000000000000)",
    "SELECT count(*) FROM range(1000000) a, range(1000000) b WHERE a.range * b.range % 7 = 8",
    "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT max(n) FROM t",
    "SELECT * FROM range(1000000000000)",
]


@pytest.mark.parametrize("sql", ENDLESS)
def test_endless(sql: str, load: Load, context: ToolContext) -> None:
    """A query without an end is ended at its limit; nothing is left of it."""
    table = load("a\n1\n")
    with pytest.raises(DataError, match=r"did not end within 0.5 s"):
        run_select(sql, {"data": table}, context.workdir, name="r", decisions=[], time_limit_s=0.5)
    assert 1 == len(list(context.workdir.iterdir()))


def test_cancelled(load: Load, context: ToolContext) -> None:
    """A query whose step is cancelled is ended, however long it would have gone on."""
    with pytest.raises(DataError, match="cancelled"):
        run_select(
            ENDLESS[0], {"data": load("a\n1\n")}, context.workdir, name="r", decisions=[], cancelled=lambda: True
        )


ALLOWED: list[tuple[str, list[dict[str, Any]]]] = [
    ("SELECT * FROM data ORDER BY id DESC LIMIT 1", [{"id": 3, 'na"me': "=1+1", "town": "Rome", "amount": None}]),
    ('SELECT "na""me" AS n FROM data WHERE id = 2', [{"n": "'; DROP TABLE data; --"}]),
    ("SELECT town, count(*) AS n, avg(amount) AS m FROM data GROUP BY ALL ORDER BY n DESC", [{"town": "Rome", "n": 2, "m": 2.5}, {"town": "Oslo", "n": 1, "m": 3.5}]),
    ("WITH t AS (SELECT max(amount) AS top FROM data) SELECT id FROM data, t WHERE amount = top", [{"id": 2}]),
    ("WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 4) SELECT sum(n) AS s FROM t", [{"s": 10}]),
    ("SELECT id, lag(id) OVER (ORDER BY id) AS before FROM data QUALIFY before = 1", [{"id": 2, "before": 1}]),
    ("SELECT sum(amount) FILTER (WHERE id > 1) AS s FROM Data", [{"s": 3.5}]),
    ("FROM data SELECT id WHERE id = 1;", [{"id": 1}]),
    ("SELECT 1 AS x; -- the end", [{"x": 1}]),
    ("SELECT 'a; -- b' AS x", [{"x": "a; -- b"}]),
    ("SELECT 1 AS x -- the end", [{"x": 1}]),
    ("/* first */ SELECT /* ; DROP */ 1 AS x", [{"x": 1}]),
    ("VALUES (1)", [{"col0": 1}]),
    ("SELECT column_name FROM (DESCRIBE data) LIMIT 1", [{"column_name": "id"}]),
    ("PIVOT (SELECT town, amount FROM data) ON town IN ('Rome', 'Oslo') USING sum(amount)", [{"Rome": 2.5, "Oslo": 3.5}]),
    ("SELECT list_transform([1, 2], lambda x: x + 1) AS l, [y * 2 FOR y IN [1]] AS m", [{"l": [2, 3], "m": [2]}]),
    ("SELECT CASE WHEN id = 1 THEN 'a' ELSE 'b' END AS c, id BETWEEN 1 AND 2 AS d, id IN (1, 2) AS e FROM data LIMIT 1", [{"c": "a", "d": True, "e": True}]),
    ("SELECT * EXCLUDE (town, amount) REPLACE (id + 1 AS id) FROM data LIMIT 1", [{"id": 2, 'na"me': "Ann"}]),
    ("SELECT a.id FROM data a ANTI JOIN (SELECT 1 AS id) b USING (id) ORDER BY 1 LIMIT 1", [{"id": 2}]),
    ("SELECT i FROM range(2) t(i) UNION SELECT unnest([7]) ORDER BY i", [{"i": 0}, {"i": 1}, {"i": 7}]),
    ("SELECT (SELECT count(*) FROM data) AS n, EXISTS (FROM data WHERE id = 9) AS e", [{"n": 3, "e": False}]),
    ("SELECT try_cast('x' AS INTEGER) AS x, '5'::INTEGER AS y, date_diff('day', DATE '2024-01-01', DATE '2024-02-01') AS d", [{"x": None, "y": 5, "d": 31}]),
    ("SELECT quantile_cont(id, 0.5) AS q, stddev_pop(id) > 0 AS s, corr(id, amount) AS c FROM data", [{"q": 2.0, "s": True, "c": 1.0}]),
    ("SELECT 1 AS a, 2 AS a", [{"a": 1, "a_1": 2}]),
    ("SELECT id FROM data WHERE false", []),
]  # fmt: skip


@pytest.mark.parametrize(("sql", "rows"), ALLOWED, ids=lambda value: value[:50] if isinstance(value, str) else "")
def test_allowed(sql: str, rows: list[dict[str, Any]], ask: Callable[..., Any]) -> None:
    """What analysts write runs, whatever the names and the cells look like."""
    result = ask(sql)
    assert rows == result["rows"]
    assert (len(rows), False) == (result["row_count"], result["truncated"])


# expression: (type in the table, value in the rows)
VALUES: dict[str, tuple[str, Any]] = {
    "'nan'::DOUBLE": ("number", None),
    "'-inf'::FLOAT": ("number", None),
    "1 / 0": ("number", None),
    "1.25::DECIMAL(9, 2)": ("number", 1.25),
    "3::DECIMAL(9, 2)": ("number", 3),
    "sum(7::BIGINT)": ("integer", 7),
    "170141183460469231731687303715884105727::HUGEINT": ("number", 1.7014118346046923e38),
    "12345678901234567890123::HUGEINT": ("integer", "12345678901234567890123"),
    "9223372036854775807": ("integer", 9223372036854775807),
    "18446744073709551615::UBIGINT": ("integer", "18446744073709551615"),
    "DATE '2024-02-29'": ("date", "2024-02-29"),
    "'infinity'::DATE": ("date", None),
    "TIMESTAMP '2024-02-29 12:30:00.5'": ("date", "2024-02-29 12:30:00.5"),
    "TIMESTAMPTZ '2024-02-29 12:30:00+02'": ("date", "2024-02-29 10:30:00"),
    "TIME '12:30'": ("time", "12:30:00"),
    "INTERVAL 36 HOUR": ("text", "36:00:00"),
    "UUID '00000000-0000-0000-0000-000000000001'": ("text", "00000000-0000-0000-0000-000000000001"),
    "NULL": ("text", None),
    "true": ("boolean", True),
    "'x'::BLOB": ("other", "x"),
    "{'a': 1, 'b': [1.5, 'nan'::DOUBLE]}": ("other", {"a": 1, "b": [1.5, None]}),
    "MAP {'k': 1}": ("other", {"k": 1}),
    "[DATE '2024-01-01']": ("other", ["2024-01-01"]),
    "'{\"a\": 1}'::JSON": ("text", '{"a": 1}'),
    "'a'::ENUM('a', 'b')": ("text", "a"),
    "'<script>=cmd()'": ("text", "<script>=cmd()"),
}


def test_values(ask: Callable[..., Any]) -> None:
    """Every type ends as plain JSON, and as a kind of column that the other tools know."""
    result = ask("SELECT " + ", ".join(f'{expression} AS "x{n}"' for n, expression in enumerate(VALUES)))
    found = zip(result["columns"], result["rows"][0].values(), strict=True)
    assert VALUES == dict(zip(VALUES, [(column["type"], value) for column, value in found], strict=True))


# a query, and what is said of values that JSON or a table cannot hold
CHANGED: dict[str, list[str]] = {
    "SELECT x FROM (VALUES (1.5), (NULL), (2::DOUBLE)) t(x)": [],
    "SELECT x, 'inf'::DOUBLE AS y FROM (VALUES ('nan'::DOUBLE), (1.5), ('-inf'::DOUBLE), (NULL)) t(x)": [
        "`x`: 2 values that are not finite (NaN or infinite) became missing.",
        "`y`: 4 values that are not finite (NaN or infinite) became missing.",
    ],
    "SELECT sum(x) AS s FROM (VALUES (9223372036854775807), (9)) t(x)": [
        "1 value shown in `rows` as text with all digits: whole numbers beyond 64 bits."
    ],
    "SELECT 170141183460469231731687303715884105727::HUGEINT AS h": [
        "`h` holds whole numbers of more than 38 digits, so it is kept as floating-point numbers, which have about 16."
    ],
    "SELECT [1.0, 'nan'::DOUBLE, 'inf'::DOUBLE] AS l": [
        "2 values shown in `rows` as null: no finite number (NaN or infinite)."
    ],
}


@pytest.mark.parametrize("sql", CHANGED)
def test_what_json_cannot_hold_is_said(sql: str, ask: Callable[..., Any]) -> None:
    """No value becomes null or text in silence: how many, and how they are written, stands in the notes."""
    result = ask(sql)
    assert CHANGED[sql] == result["notes"]
    decisions = result["table"]["decisions"]
    kept = [note for note in CHANGED[sql] if "shown in `rows`" not in note]  # the table has these values, the rows not
    assert kept == decisions[len(decisions) - len(kept) :]


@pytest.mark.parametrize(
    ("sql", "said", "never"),
    [
        ("SELECT * FROM data AT (VERSION => 1)", "a table has one version here, so AT does not run", "no table `data`"),
        ("SELECT * FROM (WITH c AS (SELECT 1) SELECT * FROM c) a, c", "hint: tables here: `data`", "pg_"),
        ("SELECT * FROM (WITH seq AS (SELECT 1) SELECT * FROM seq) a, seq", "hint: tables here: `data`", "pg_"),
    ],
)
def test_messages_do_not_mislead(sql: str, said: str, never: str, ask: Callable[..., Any]) -> None:
    """A table that is there is not said to be missing, and no table of the system is proposed."""
    with pytest.raises(DataError) as caught:
        ask(sql)
    assert said in str(caught.value)
    assert never not in str(caught.value)


def test_limits(ask: Callable[..., Any]) -> None:
    """Rows, cells and texts that are shown have limits, and it is said when one was met; the table has all."""
    result = ask("SELECT i FROM range(5) t(i)", limit=2)
    assert ([{"i": 0}, {"i": 1}], 5, True, 5) == (
        result["rows"], result["row_count"], result["truncated"], result["table"]["rows"],
    )  # fmt: skip
    result = ask("SELECT repeat('x', 5000) AS t")
    assert (500, True) == (len(result["rows"][0]["t"]), result["truncated"])
    result = ask("SELECT repeat('x', 500) AS t FROM range(10000)", limit=10_000)
    assert (2000, True) == (len(result["rows"]), result["truncated"])
    with pytest.raises(DataError, match="`limit`"):
        ask("SELECT 1", limit=10_001)


def test_order_is_kept(ask: Callable[..., Any], context: ToolContext) -> None:
    """ORDER BY holds for the whole table, also when many threads write it."""
    table = ask("SELECT i, hash(i) AS h FROM range(500000) t(i) ORDER BY h")["table"]
    check = "SELECT count(*) AS n FROM (SELECT h, lag(h) OVER () AS before FROM data) WHERE h < before"
    assert [{"n": 0}] == query_tables(check, {"data": table}, context.workdir, 1, lambda: False)["rows"]


def test_environment_is_empty(load: Load, context: ToolContext, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the environment, and no variable of Python, can be seen."""
    monkeypatch.setenv("PLANLOOM_SECRET", "secret")
    hidden = {"a": [1]}
    for sql in ("SELECT * FROM hidden", "SELECT getenv('PLANLOOM_SECRET')"):
        with pytest.raises(DataError):
            run_select(sql, {"data": load("a\n1\n")}, context.workdir, name="r", decisions=[])
    assert {"a": [1]} == hidden
    assert "secret" == os.environ["PLANLOOM_SECRET"]


@pytest.mark.parametrize("name", ["", "a b", "1a", 'x"; DROP', "ä", "a" * 64, "a.b", "../x"])
def test_table_name(name: str, load: Load, context: ToolContext) -> None:
    """A table must have a plain name in SQL."""
    with pytest.raises(DataError, match="cannot be the name of a table"):
        query_tables("SELECT 1", {name: load("a\n1\n")}, context.workdir, 1, lambda: False)


def test_folder_with_pattern_characters(load: Load, tmp_path: Path) -> None:
    """A run folder whose name looks like a pattern or a quote is taken literally."""
    folder = ToolContext(workdir=tmp_path / "it's [1]*")
    (tmp_path / "t.csv").write_text("n\n1\n2\n")
    table = load_data(str(tmp_path / "t.csv"), folder)
    assert [{"s": 3}] == query_tables(
        "SELECT sum(n) AS s FROM data", {"data": table}, folder.workdir, 1, lambda: False
    )["rows"]
