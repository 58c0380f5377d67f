"""What the statistical tools do with columns that cannot be computed with, and with arguments that do not fit."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from planloom import DataError, Toolbox, ToolContext, execute_plan
from planloom.analysis import correlations, distributions, load_data, missing, outliers, profile, series
from planloom.analysis.statistical_tools import STATISTICAL_TOOLS

pytestmark = pytest.mark.slow  # a process or many queries for each of its cases

pytest.importorskip("scipy.special", reason="the extra `analysis` is not installed")

Load = Callable[..., dict[str, Any]]
TOOLS = Toolbox([load_data, *STATISTICAL_TOOLS])

TABLE = """id,text,n,one,empty,day,flag,group,alone
1,a,1.5,7,,2024-01-01,true,g,x
2,b,2.5,7,,2024-01-02,false,g,x
3,c,,7,,2024-01-03,true,h,x
4,d,9,7,,,true,h,x
5,e,4,7,,2024-01-09,false,,x
"""

# (tool, arguments, what the message says)
REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("analyse_distribution", {"column": "m"}, "no such column"),
    ("analyse_distribution", {"column": "grup"}, "did you mean `group`"),
    ("analyse_distribution", {"column": "text"}, "column of text, but only numbers will do.*derive_columns"),
    ("analyse_distribution", {"column": "day"}, "column of dates.*epoch"),
    ("analyse_distribution", {"column": "empty"}, "column of text|no values"),
    ("analyse_distribution", {"column": "n", "bins": 0}, "`bins` is 0"),
    ("correlate", {"columns": ["n"]}, "takes two columns"),
    ("correlate", {"columns": []}, "empty list"),
    ("correlate", {"columns": ["n", "text"]}, "column of text"),
    ("correlate", {"columns": ["n", "id"], "limit": 0}, "`limit` is 0"),
    ("compare_groups", {"column": "n"}, "one of them says what"),
    ("compare_groups", {"column": "n", "by": "group", "value": 3}, "`by` and `value` are given"),
    ("compare_groups", {"column": "n", "by": "alone"}, "one group, 'x', but it takes two"),
    ("compare_groups", {"column": "n", "by": "group", "groups": ["g", "i"]}, "no group 'i'.*groups there are 'g', 'h'"),
    ("compare_groups", {"column": "n", "by": "group"}, "at least 2 values for this test, but 'h' has 1"),
    ("compare_groups", {"column": "n", "by": "id", "test": "t"}, "compares two groups, but there are 5"),
    ("compare_groups", {"column": "n", "by": "group", "test": "paired-t"}, "needs pairs in one row"),
    ("compare_groups", {"column": "n", "by": "group", "test": "one-sample-t"}, "needs `value`"),
    ("compare_groups", {"column": "n", "value": 1, "test": "ks"}, "goes with the test one-sample-t"),
    ("compare_groups", {"column": "n", "value": float("inf")}, "not a finite number"),
    ("compare_groups", {"column": "n", "other": "n"}, "both `n`"),
    ("compare_groups", {"column": "n", "other": "id", "groups": ["g"]}, "which is not given"),
    ("compare_groups", {"column": "id", "by": "flag", "test": "anova", "alternative": "less"}, "has no direction"),
    ("test_independence", {"a": "group", "b": "group"}, "two different columns"),
    ("test_independence", {"a": "group", "b": "alone"}, "`alone` has one value"),
    ("group_summary", {"by": ["empty"], "columns": ["text"]}, "column of text"),
    ("group_summary", {"by": ["group"], "measures": []}, "empty list"),
    ("group_summary", {"by": ["group"], "columns": ["n"], "order_by": "mode"}, "order_by.*give one of group, rows"),
    ("group_summary", {"by": ["group"], "limit": 100_000}, "1 to 1,000"),
    ("count_values", {"columns": []}, "empty list"),
    ("find_outliers", {"columns": ["n"], "threshold": -1}, "not a positive number"),
    ("find_outliers", {"columns": ["n"], "method": "isolation-forest", "threshold": 0.9}, "expected share"),
    ("find_outliers", {"columns": ["n"], "method": "isolation-forest"}, "judges 10 to"),
    ("find_outliers", {"columns": ["n"], "ddof": 2}, "`ddof` is 2"),
    ("find_outliers", {"columns": ["n"], "limit": 10**6}, "0 to 500 rows"),
    ("remove_outliers", {"columns": ["flag"]}, "true and false"),
    ("resample", {"time": "n", "every": "day"}, "only dates will do.*try_strptime"),
    ("resample", {"time": "day", "every": "day", "columns": ["text"]}, "column of text"),
    ("find_trend", {"time": "text", "column": "n"}, "column of text"),
    ("find_trend", {"time": "id", "column": "id"}, "two different columns"),
    ("compute_change", {"time": "day", "column": "n", "periods": 0}, "`periods` is 0"),
    ("compute_change", {"time": "day", "column": "n", "kind": "rolling-mean"}, "over several rows"),
    ("compute_change", {"time": "day", "column": "n", "name": "GROUP"}, "has a column `group` already"),
]


@pytest.mark.parametrize(
    ("tool", "arguments", "message"), REFUSED, ids=[f"{tool}-{text[:30]}" for tool, _, text in REFUSED]
)
def test_refused(tool: str, arguments: dict[str, Any], message: str, load: Load, context: ToolContext) -> None:
    """What cannot be done is refused with what is wrong, and how to mend it."""
    with pytest.raises(DataError, match=f"(?s){message}"):
        TOOLS[tool](data=load(TABLE), context=context, **arguments)


# name: numbers of a column `x`
ODD: dict[str, list[str]] = {
    "one value": ["5"],
    "two values": ["5", "6"],
    "constant": ["0.1"] * 9,
    "constant but for the missing": ["7", "", "7"],
    "the whole range of floats": ["1.7e308", "-1.7e308", "3", "1.7e308"],
    "huge": ["1e300", "2e300", "1e300", "4e300", "5e300", "6e300", "7e300", "8e300"],
    "tiny": ["1e-300", "2e-300", "1e-300", "4e-300", "5e-300", "6e-300", "7e-300", "9e-300"],
    "far from zero": ["1e15", "1000000000000001", "1000000000000003", "1000000000000004"],
    "one far out": ["0"] * 30 + ["1e200"],
    "huge integers": ["12345678901234567890123", "12345678901234567890125", "-3"],
    "two kinds of value": ["1", "2"] * 10,
}
CALLS: list[tuple[str, dict[str, Any]]] = [
    ("profile_table", {}),
    ("count_missing", {}),
    (
        "group_summary",
        {
            "by": ["g"],
            "measures": ["sum", "mean", "std", "std_population", "skewness", "kurtosis", "iqr", "range", "median"],
        },
    ),
    ("group_summary", {"by": [], "measures": ["skewness"], "order_by": "skewness"}),
    ("count_values", {"columns": ["x"]}),
    ("analyse_distribution", {"column": "x"}),
    ("correlate", {"columns": ["x", "n"]}),
    ("correlate", {"columns": ["x", "n"], "method": "spearman"}),
    ("correlate", {"columns": ["x", "n"], "method": "kendall"}),
    *[
        ("compare_groups", {"column": "x", "by": "g", "test": test})
        for test in ("t", "welch", "anova", "welch-anova", "levene", "ks", "mann-whitney", "kruskal")
    ],
    ("compare_groups", {"column": "x", "value": 1}),
    ("compare_groups", {"column": "x", "other": "n", "test": "paired-t"}),
    ("compare_groups", {"column": "x", "other": "n", "test": "wilcoxon"}),
    ("test_independence", {"a": "x", "b": "g"}),
    *[
        ("find_outliers", {"columns": ["x"], "method": method})
        for method in ("iqr", "z-score", "mad", "isolation-forest")
    ],
    ("remove_outliers", {"method": "z-score"}),
    ("resample", {"time": "day", "every": "week", "columns": ["x"], "measure": "sum"}),
    ("resample", {"time": "day", "every": "week", "columns": ["x"], "measure": "std"}),
    ("find_trend", {"time": "day", "column": "x"}),
    *[
        ("compute_change", {"time": "day", "column": "x", "kind": kind, "periods": 2})
        for kind in ("difference", "percent", "log", "rolling-mean", "cumulative-sum")
    ],
]


@pytest.mark.parametrize("name", ODD)
def test_odd_column(name: str, load: Load, context: ToolContext) -> None:
    """At the edge of arithmetic every tool gives finite figures or null, or refuses in words; nothing else happens."""
    lines = [
        f"{cell},{number},{'ab'[number % 2]},2024-01-{number % 28 + 1:02}" for number, cell in enumerate(ODD[name])
    ]
    table = load("x,n,g,day\n" + "\n".join(lines) + "\n")
    refused: list[tuple[str, str]] = []
    for tool, arguments in CALLS:
        try:
            found = TOOLS[tool](data=table, context=context, **arguments)
        except DataError as error:
            refused.append((tool, str(error)))
        else:
            json.dumps(found, allow_nan=False)
    assert [] == [(tool, said) for tool, said in refused if "Error:" in said]


def test_no_rows(load: Load, context: ToolContext) -> None:
    """A table without rows is described as such, or refused in words."""
    table = load("x,g,day\n")
    refused: list[tuple[str, str]] = []
    for tool, arguments in CALLS:
        try:
            json.dumps(TOOLS[tool](data=table, context=context, **arguments), allow_nan=False)
        except DataError as error:
            refused.append((tool, str(error)))
    assert [] == [(tool, said) for tool, said in refused if "Error:" in said]


def test_constant_column(load: Load, context: ToolContext) -> None:
    """A column that never changes has no skewness, correlation, test or outlier, and it is said."""
    table = load("x,n,g\n" + "".join(f"3,{n},{'ab'[n % 2]}\n" for n in range(12)))
    found = TOOLS["analyse_distribution"](data=table, column="x", context=context)
    assert (None, 0.0, "constant") == (found["skewness"], found["std"], found["shape"])
    assert {"not done: all values are the same"} == {test["note"] for test in found["normality"].values()}
    assert None is TOOLS["correlate"](data=table, context=context, columns=["x", "n"])["pairs"][0]["r"]
    compared = TOOLS["compare_groups"](data=table, column="x", by="g", context=context)
    assert (None, None, "the test cannot say") == (
        compared["p_value"],
        compared["significant"],
        compared["verdict"][:19],
    )
    column = TOOLS["find_outliers"](data=table, context=context, columns=["x"], method="z-score")["columns"]["x"]
    assert (0, "the values do not vary") == (column["count"], column["note"])


def test_too_few_for_a_test(load: Load, context: ToolContext) -> None:
    """A normality test that needs more values says how many, and has no verdict."""
    found = TOOLS["analyse_distribution"](data=load("x,y\n1,a\n2,b\n4,c\n"), column="x", context=context)
    assert "not done: needs 8 values, has 3" == found["normality"]["dagostino"]["note"]
    assert None is found["normality"]["dagostino"]["normal"]
    assert found["normality"]["shapiro"]["normal"]


def test_names_are_looked_through(load: Load, context: ToolContext) -> None:
    """Blanks and letter case in a name do not matter unless two columns differ in nothing else; exact names win."""
    table = load("Sales Total ,b,B  \n1,2,3\n2,3,1\n4,1,1\n")
    found = TOOLS["correlate"](data=table, context=context, columns=["sales  total", "b"])
    assert "Sales Total" == found["pairs"][0]["a"].strip()


HOSTILE_NAMES = [
    'x"; DROP TABLE t; --', "value", "number", "place", "mask", "g0", "x0", "p", "t", "row number", "file_row", "k",
    "z", "evil", "moment",
]  # fmt: skip
HOSTILE_VALUE = "'; --\""
HOSTILE_CALLS: list[tuple[str, Callable[[list[str]], dict[str, Any]]]] = [
    ("group_summary", lambda n: {"by": [n[3], n[13]], "columns": [n[0], n[5]], "measures": ["mean", "skewness"]}),
    ("group_summary", lambda n: {"by": [n[12]], "columns": [n[2], n[1]], "measures": ["sum", "max"]}),
    ("count_values", lambda n: {"columns": [n[0], n[4]]}),
    ("count_values", lambda n: {"columns": [n[13]]}),
    ("correlate", lambda n: {"columns": [n[0], n[2], n[12]]}),
    ("analyse_distribution", lambda n: {"column": n[0]}),
    ("analyse_distribution", lambda n: {"column": n[12]}),
    ("compare_groups", lambda n: {"column": n[0], "other": n[6]}),
    ("compare_groups", lambda n: {"column": n[12], "other": n[2]}),
    ("test_independence", lambda n: {"a": n[3], "b": n[4]}),
    ("find_outliers", lambda n: {"columns": [n[0], n[12]], "show": [n[1], n[2]]}),
    ("find_outliers", lambda n: {"columns": [n[12]], "method": "isolation-forest", "threshold": 0.2}),
    ("remove_outliers", lambda n: {"columns": [n[12]], "method": "isolation-forest", "threshold": 0.2}),
    ("resample", lambda n: {"time": n[14], "every": "month", "columns": [n[12], n[7]], "by": [n[8]]}),
    ("find_trend", lambda n: {"time": n[14], "column": n[0]}),
    ("find_trend", lambda n: {"time": n[14], "column": n[12]}),
    ("compute_change", lambda n: {"time": n[14], "column": n[12], "by": [n[11]]}),
    ("profile_table", lambda n: {}),
    ("count_missing", lambda n: {}),
]


@pytest.mark.parametrize("case", range(len(HOSTILE_CALLS)), ids=lambda case: f"{HOSTILE_CALLS[case][0]} {case}")
def test_hostile_names_and_values(case: int, load: Load, context: ToolContext) -> None:
    """Names that look like SQL, or that the queries use themselves, change no figure: it is that of plain names."""
    plain = [f"plain{number:02}" for number in range(len(HOSTILE_NAMES))]
    tool, arguments = HOSTILE_CALLS[case]
    found: list[Any] = []
    for names in (HOSTILE_NAMES, plain):
        lines = [",".join('"' + name.replace('"', '""') + '"' for name in names)]
        for n in range(12):
            numbers = [(n * (place + 3)) % (place + 5) for place in range(12)]
            lines.append(",".join([*map(str, numbers), str(n * n), HOSTILE_VALUE, f"2024-0{n % 9 + 1}-01"]))
        table = load("\n".join(lines) + "\n")
        assert names == [column["name"] for column in table["columns"]]
        output: Any = TOOLS[tool](data=table, context=context, **arguments(names))
        made = "artifact" in output
        found.append([output, TOOLS["profile_table"](data=output, context=context) if made else None])
    hostile, expected = found
    for output in (hostile[0], expected[0]):
        output.pop("artifact", None)  # the hash of a file that holds the names
    assert _renamed(expected, dict(zip(plain, HOSTILE_NAMES, strict=True))) == hostile
    json.dumps(hostile, allow_nan=False)
    if case == 3:
        assert [{"group": {"evil": HOSTILE_VALUE}, "count": 12, "share": 1.0}] == hostile[0]["values"]


def _renamed(value: Any, names: dict[str, str]) -> Any:
    """An output with other names for the columns, wherever they stand in keys and texts; figures to 9 digits."""
    if isinstance(value, dict):
        return {_renamed(key, names): _renamed(inner, names) for key, inner in value.items()}
    if isinstance(value, list):
        return [_renamed(inner, names) for inner in value]
    if isinstance(value, str):
        for name, other in names.items():
            value = value.replace(name, other)
        return value
    return pytest.approx(value, rel=1e-9, abs=1e-12) if isinstance(value, float) else value


def test_limits(load: Load, context: ToolContext, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wide tables are cut with a word about it, or refused with what to do; the limits are made small here."""
    names = [f"c{n}" for n in range(60)]
    rows = "\n".join(",".join(str(n * row % 7) for n in range(60)) for row in range(4))
    table = load(",".join(names) + "\n" + rows + "\n")
    limits = [(profile, "PROFILED"), (missing, "LISTED"), (correlations, ""), (outliers, "OUTLIER"), (series, "SERIES")]
    for module, word in limits:
        monkeypatch.setattr(module, f"MAX_{word}_COLUMNS".replace("__", "_"), 50)
    profiled = TOOLS["profile_table"](data=table, context=context)
    assert (50, 60) == (len(profiled["columns"]), profiled["column_count"])
    assert "Only the first 50 of 60 columns are profiled" in profiled["findings"]
    counted = TOOLS["count_missing"](data=table, context=context)
    assert (4, 50) == (counted["complete_rows"], len(counted["columns"]))
    assert "lists 50 of 60" in counted["method"]
    for tool in ("correlate", "find_outliers"):
        with pytest.raises(DataError, match=r"60 columns are to be .* more than 50"):
            TOOLS[tool](data=table, context=context)
    with pytest.raises(DataError, match="more than 40"):
        TOOLS["group_summary"](data=table, by=["c1"], context=context)
    found = TOOLS["correlate"](data=table, target="c1", context=context, limit=40)
    assert (40, 19) == (len(found["pairs"]), found["left_out"])


def test_in_a_plan(tmp_path: Path) -> None:
    """The tools are steps of a plan: references reach into their outputs, and made tables pass on."""
    plan = {
        "goal": "mean without outliers",
        "inputs": {"path": "x.csv"},
        "steps": [
            {"id": "load", "tool": "load_data", "args": {"path": "{{inputs.path}}"}},
            {"id": "clean", "tool": "remove_outliers", "args": {"data": "{{load.output}}", "columns": ["x"]}},
            {"id": "sum", "tool": "group_summary", "args": {"data": "{{clean.output}}", "by": [], "columns": ["x"]}},
            {"id": "corr", "tool": "correlate", "args": {"data": "{{load.output}}", "columns": ["x", "y"]}},
        ],
        "answer": {"mean": '{{sum.output.groups[0].values["x"].mean}}', "r": '{{corr.output.matrix["x"]["y"]}}'},
    }
    path = tmp_path / "x.csv"
    path.write_text("x,y\n" + "".join(f"{n % 5},{n}\n" for n in range(20)) + "900,3\n", encoding="utf-8")
    result = asyncio.run(execute_plan(plan, TOOLS, inputs={"path": str(path)}))
    result.raise_for_status()
    assert 2.0 == result.answer["mean"]
    assert -1 < result.answer["r"] < 0


PARQUET = """
SELECT TIMESTAMPTZ '2024-01-01 00:00:00+00' + to_days(i::INTEGER) AS zoned, DATE '2024-01-01' + i::INTEGER AS day,
TIME '10:00:00' AS clock, (i % 3)::DECIMAL(9, 2) AS price, uuid() AS id, ['a', 'b'][1 + i % 2]::ENUM('a', 'b') AS kind,
{'deep': i} AS nested, 'x'::BLOB AS bytes, i::HUGEINT AS huge, i % 2 = 0 AS even, (i * i)::FLOAT AS f
FROM range(40) t(i)
"""


def test_kinds_of_parquet(tmp_path: Path, context: ToolContext) -> None:
    """Times with a zone, decimals, enumerations, nested and binary columns pass through every tool that takes them."""
    duckdb = pytest.importorskip("duckdb")
    path = tmp_path / "kinds.parquet"
    with duckdb.connect() as connection:
        connection.execute(f"COPY ({PARQUET}) TO '{path}' (FORMAT parquet)")
    table = load_data(str(path), context)
    calls: list[tuple[str, dict[str, Any]]] = [
        ("profile_table", {}),
        ("count_missing", {}),
        (
            "group_summary",
            {"by": ["zoned", "kind", "price"], "columns": ["zoned", "clock", "f"], "measures": ["min", "max", "count"]},
        ),
        ("group_summary", {"by": ["kind"], "columns": ["price", "huge"], "measures": ["sum", "range", "skewness"]}),
        ("count_values", {"columns": ["zoned", "clock", "id", "even"]}),
        ("analyse_distribution", {"column": "price"}),
        ("correlate", {}),
        ("compare_groups", {"column": "f", "by": "kind"}),
        ("compare_groups", {"column": "f", "by": "zoned", "groups": ["2024-01-02", "2024-01-03"], "test": "ks"}),
        ("compare_groups", {"column": "f", "by": "price", "groups": ["1", 2]}),
        ("test_independence", {"a": "kind", "b": "zoned"}),
        ("find_outliers", {"show": ["zoned", "nested", "bytes", "id", "clock"], "method": "z-score", "threshold": 1}),
        ("resample", {"time": "zoned", "every": "week"}),
        ("find_trend", {"time": "zoned", "column": "f"}),
        ("compute_change", {"time": "zoned", "column": "price", "by": ["kind"], "kind": "percent"}),
        ("remove_outliers", {"columns": ["f"], "method": "isolation-forest", "threshold": 0.1}),
    ]
    for tool, arguments in calls:
        json.dumps(TOOLS[tool](data=table, context=context, **arguments), allow_nan=False)
    with pytest.raises(DataError, match="nested or binary"):
        TOOLS["count_values"](data=table, columns=["nested"], context=context)


def test_sampled(load: Load, context: ToolContext, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests on very many values take a sample, the same each time, and say so; moments are those of all values."""
    table = load("x\n" + "\n".join(str(n * n % 1013) for n in range(900)) + "\n")
    whole = TOOLS["analyse_distribution"](data=table, column="x", context=context)
    monkeypatch.setattr(distributions, "MAX_TESTED_VALUES", 300)
    first, second = (TOOLS["analyse_distribution"](data=table, column="x", context=context) for _ in range(2))
    assert first == second
    assert "on 300 of 900 values" in first["normality"]["shapiro"]["note"]
    assert whole["normality"]["dagostino"] == first["normality"]["dagostino"]
    assert whole["normality"]["shapiro"]["statistic"] != first["normality"]["shapiro"]["statistic"]
