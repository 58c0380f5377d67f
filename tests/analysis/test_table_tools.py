"""The tools that make tables out of tables, run as plans, against pandas and scikit-learn."""

# ruff: noqa: E501 (a case reads best on one line)
from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sklearn.preprocessing import MinMaxScaler, RobustScaler, StandardScaler
from table_cases import TOOLS, outputs, step

from planloom import DataError, ToolContext, find_issues
from planloom.analysis import load_data
from planloom.analysis.table_tools import TABLE_TOOLS

PEOPLE = "name,sex,age,fare,town\nAnn,f,22,7.25,Rome\nBob,m,38,71.5,Oslo\nCid,m,,8.05,Rome\nDee,f,35,53.1,\nEve,f,54,,Rome\nFay,f,2,21,Bern\n"
ALL = "SELECT * FROM data"


@pytest.fixture
def people(tmp_path: Path) -> Path:
    """A small file with missing cells."""
    path = tmp_path / "people.csv"
    path.write_text(PEOPLE)
    return path


def frame(path: Path) -> pd.DataFrame:
    return pd.read_csv(path)


def rows_of(path: Path, tool: str, /, **args: Any) -> tuple[list[dict[str, Any]], str]:
    """Run one tool on a file, and give the rows of the new table and its last decision."""
    found = outputs(
        [step("made", tool, data="{{t.output}}", **args), step("all", "query", data="{{made.output}}", sql=ALL)], t=path
    )
    return found["all"]["rows"], found["made"]["decisions"][-1]


def refusal(path: Path, tool: str, /, **args: Any) -> str:
    """Run one tool that refuses, and give its reason."""
    context = ToolContext(workdir=path.parent / "run")
    by_name = {item.name: item for item in TABLE_TOOLS}
    with pytest.raises(DataError) as caught:
        by_name[tool](data=load_data(str(path), context), context=context, **args)
    return str(caught.value)


# condition: names of the rows kept
CONDITIONS = {
    "age > 30": ["Bob", "Dee", "Eve"],
    "age IS NULL": ["Cid"],
    "\"Town\" = 'Rome' AND fare < 8": ["Ann"],
    "name IN ('Ann', 'Fay') OR fare >= 71.5 -- a comment": ["Ann", "Bob", "Fay"],
    "age > (SELECT avg(age) FROM data)": ["Bob", "Dee", "Eve"],
    "name LIKE '%e%'": ["Dee", "Eve"],
    "false": [],
}


@pytest.mark.parametrize("where", CONDITIONS)
def test_filter_rows(where: str, people: Path) -> None:
    """Rows stay for which the condition is true; it is said how many."""
    rows, said = rows_of(people, "filter_rows", where=where)
    assert CONDITIONS[where] == [row["name"] for row in rows]
    assert f"{len(rows)} of 6 rows kept" in said


# condition: what the refusal must say
BAD_CONDITIONS = {
    "": "`where` is empty",
    "age >": "`where` is not right",
    "agee > 3": '"age"',
    'sex = "f"': "texts stand in single quotes",
    "true) UNION SELECT * FROM data WHERE (true": "not one expression",
    "true), (true": "not one expression",
    "1) LIMIT (1": "not one expression",
    "1) AS x WHERE (1": "not one expression",
    "1); DROP VIEW data; SELECT (1": "3 statements",
    "EXISTS (FROM '/etc/passwd')": "no table `/etc/passwd`",
    "EXISTS (FROM read_text('/etc/passwd'))": "`read_text`",
    "row_number() OVER () < 3": "QUALIFY",
    "avg(age) > 3": "`where` is not right",
    "/* open": "`where`",
}


@pytest.mark.parametrize("where", BAD_CONDITIONS)
def test_bad_condition(where: str, people: Path) -> None:
    """A condition that is none is refused with a reason, and it cannot leave its brackets."""
    assert BAD_CONDITIONS[where] in refusal(people, "filter_rows", where=where)


def test_derive_columns(people: Path) -> None:
    """Columns are added in order, one may use the one before, and a known name replaces the column."""
    columns = {"Half": "fare / 2", "double half": '"Half" * 2', "AGE": "coalesce(age, 0)", "mean": "avg(fare) OVER ()"}
    rows, said = rows_of(people, "derive_columns", columns=columns)
    assert ["name", "sex", "age", "fare", "town", "Half", "double half", "mean"] == list(rows[0])
    table = frame(people)
    assert table["fare"].dropna().tolist() == [row["double half"] for row in rows if row["fare"] is not None]
    assert table["age"].fillna(0).tolist() == [row["age"] for row in rows]
    assert pytest.approx(table["fare"].mean()) == rows[0]["mean"]
    assert "`mean` is `avg(fare) OVER ()`." == said


@pytest.mark.parametrize(
    ("columns", "piece"),
    [
        ({}, "`columns` is empty"),
        ({" ": "1"}, "empty name"),
        ({"x": ""}, "`columns.x` is empty"),
        ({"x": "age) AS y, (fare"}, "not one expression"),
        ({"x": "age FROM data --"}, "columns.x"),
        ({"x": "1 AS y) AS z, (2"}, "columns.x"),
        ({"x": "getenv('HOME')"}, "`getenv`"),
        ({"x": "agee"}, "age"),
        ({"x": "avg(age)"}, "OVER ()"),
        ({"x": "name::INTEGER"}, "try_cast"),
        ({f"x{n}": "1" for n in range(51)}, "at most 50"),
    ],
)
def test_bad_derivation(columns: dict[str, str], piece: str, people: Path) -> None:
    """An expression that is wrong is refused with the name of its column and a hint."""
    assert piece in refusal(people, "derive_columns", columns=columns)


def test_bin_by_width(people: Path) -> None:
    """Equal widths cut where pandas cuts, each closed on the right."""
    rows, said = rows_of(people, "bin_column", column="age", bins=4, labels=["a", "b", "c", "d"])
    expected = pd.cut(frame(people)["age"], 4, labels=["a", "b", "c", "d"]).astype(object)
    assert [None if pd.isna(label) else label for label in expected] == [row["age_bin"] for row in rows]
    assert "edges 2, 15, 28, 41, 54" in said


def test_bin_by_quantile(people: Path) -> None:
    """Quantiles cut where pandas cuts; the names of the bins are their edges."""
    rows, _ = rows_of(people, "bin_column", column="fare", bins=3, method="quantile", name="third")
    codes = pd.qcut(frame(people)["fare"], 3).cat.codes
    names = sorted({row["third"] for row in rows if row["third"]}, key=lambda name: float(name[1:].split(",")[0]))
    assert [None if code < 0 else names[code] for code in codes] == [row["third"] for row in rows]
    assert names[0].startswith("[7.25, ")


def test_bin_by_edges(people: Path) -> None:
    """Edges may be open at the ends; what lies outside is missing, and that is said."""
    rows, said = rows_of(people, "bin_column", column="age", edges=[None, 18, 30, 50])
    assert ["(18, 30]", "(30, 50]", None, "(30, 50]", None, "<= 18"] == [row["age_bin"] for row in rows]
    assert "1 values outside are missing" in said


@pytest.mark.parametrize(
    ("args", "piece"),
    [
        ({"column": "aeg"}, "did you mean `age`"),
        ({"column": "name"}, "column of text"),
        ({"column": "age", "bins": 0}, "1 to 100"),
        ({"column": "age", "edges": [1]}, "2 to 101"),
        ({"column": "age", "edges": [2, 1]}, "must rise"),
        ({"column": "age", "edges": [1, None, 2]}, "first and last place"),
        ({"column": "age", "labels": ["a"]}, "1 names for 5 bins"),
        ({"column": "age", "name": "Fare"}, "a column `fare` already"),
    ],
)
def test_bad_bins(args: dict[str, Any], piece: str, people: Path) -> None:
    """What cannot be cut is refused with a reason."""
    assert piece in refusal(people, "bin_column", **args)


@pytest.mark.parametrize("drop_first", [False, True])
def test_one_hot(drop_first: bool, people: Path) -> None:
    """One-hot columns are those of pandas, a missing value is 0 in all of them."""
    rows, said = rows_of(people, "encode_categories", columns=["town", "sex"], drop_first=drop_first)
    expected = pd.get_dummies(frame(people), columns=["town", "sex"], dtype=int, drop_first=drop_first)
    names = [name for name in expected.columns if name.startswith(("town_", "sex_"))]
    assert expected[names].to_dict("records") == [{name: row[name] for name in names} for row in rows]
    assert {*expected.columns} == {*rows[0]}
    assert "one-hot encoded" in said


def test_ordinal_and_frequency(people: Path) -> None:
    """Ordinal codes are places in order, frequencies shares of filled cells; missing stays missing."""
    rows, said = rows_of(people, "encode_categories", columns=["town"], method="ordinal")
    assert [2, 1, 2, None, 2, 0] == [row["town_code"] for row in rows]
    assert "Bern, Oslo, Rome" in said
    rows, _ = rows_of(people, "encode_categories", columns=["town"], method="frequency")
    assert [0.6, 0.2, 0.6, None, 0.6, 0.2] == [row["town_frequency"] for row in rows]


def test_too_many_categories(tmp_path: Path) -> None:
    """A column with too many values is not made into columns."""
    path = tmp_path / "many.csv"
    path.write_text("id\n" + "\n".join(f"x{n}" for n in range(101)))
    assert "more than 100 different values" in refusal(path, "encode_categories", columns=["id"])


@pytest.mark.parametrize(
    ("method", "scaler"), [("standard", StandardScaler()), ("min-max", MinMaxScaler()), ("robust", RobustScaler())]
)
def test_scale(method: str, scaler: Any, people: Path) -> None:
    """Scaled values are scikit-learn's; missing stays missing."""
    rows, said = rows_of(people, "scale_columns", method=method)
    table = frame(people)[["age", "fare"]]
    expected = scaler.fit_transform(table)
    for column, values in zip(table.columns, expected.T, strict=True):
        found = [math.nan if row[column] is None else row[column] for row in rows]
        assert pytest.approx(values.tolist(), nan_ok=True) == found
    assert "`fare` scaled" in said


def test_scale_a_constant(tmp_path: Path) -> None:
    """A column that never changes becomes 0, and one without a value stays so."""
    path = tmp_path / "constant.csv"
    path.write_text("a,b\n0.1,1\n0.1,2\n")
    assert [0, 0] == [row["a"] for row in rows_of(path, "scale_columns", columns=["a"])[0]]


FILLED: dict[str, tuple[dict[str, Any], str, list[Any]]] = {
    "mean": ({"method": "mean"}, "age", [22, 38, 30.2, 35, 54, 2]),
    "median": ({"method": "median", "columns": ["age"]}, "age", [22, 38, 35, 35, 54, 2]),
    "mode": ({"method": "mode"}, "town", ["Rome", "Oslo", "Rome", "Rome", "Rome", "Bern"]),
    "forward": ({"method": "forward"}, "town", ["Rome", "Oslo", "Rome", "Rome", "Rome", "Bern"]),
    "constant": ({"method": "constant", "value": 0, "columns": ["age"]}, "age", [22, 38, 0, 35, 54, 2]),
    "constant text": ({"method": "constant", "value": "it's", "columns": ["town"]}, "town", ["Rome", "Oslo", "Rome", "it's", "Rome", "Bern"]),
    "drop": ({"method": "drop"}, "name", ["Ann", "Bob", "Fay"]),
    "drop in one": ({"method": "drop", "columns": ["age"]}, "name", ["Ann", "Bob", "Dee", "Eve", "Fay"]),
}  # fmt: skip


@pytest.mark.parametrize("case", FILLED)
def test_impute(case: str, people: Path) -> None:
    """Missing cells are filled as asked, in the order of the table, and it is said with what."""
    args, column, values = FILLED[case]
    rows, said = rows_of(people, "impute_missing", **args)
    assert (
        values == pytest.approx([row[column] for row in rows])
        if case == "mean"
        else values == [row[column] for row in rows]
    )
    assert "missing" in said


@pytest.mark.parametrize(
    ("args", "piece"),
    [
        ({"method": "mean", "columns": ["town"]}, "column of text"),
        ({"method": "constant"}, "`value`"),
        ({"method": "mean", "value": 3}, "`value`"),
        ({"method": "constant", "value": "x", "columns": ["age"]}, "does not fit `age`"),
        ({"method": "drop", "columns": []}, "empty list"),
    ],
)
def test_bad_imputation(args: dict[str, Any], piece: str, people: Path) -> None:
    """A filling that does not fit the column is refused."""
    assert piece in refusal(people, "impute_missing", **args)


TOWNS = "Town,country,name\nRome,IT,x\nOslo,NO,y\nOslo,NO,z\nParis,FR,w\n,XX,v\n"


@pytest.mark.parametrize("how", ["inner", "left", "right", "outer"])
def test_join(how: str, people: Path, tmp_path: Path) -> None:
    """Rows match as in pandas, but that a missing key matches nothing; what matched is counted."""
    (tmp_path / "towns.csv").write_text(TOWNS)
    found = outputs(
        [
            step("j", "join_tables", left="{{a.output}}", right="{{b.output}}", on={"town": "Town"}, how=how),
            step("f", "filter_rows", data="{{j.output.table}}", where="true"),
            step("q", "query", data="{{f.output}}", sql=ALL),
            step("n", "query", data="{{f.output}}", sql="SELECT {{j.output.unmatched_left}} AS n"),
        ],
        a=people,
        b=tmp_path / "towns.csv",
    )
    left, right = frame(people), pd.read_csv(tmp_path / "towns.csv").rename(columns={"Town": "town"})
    left.loc[left["town"].isna(), "town"], right.loc[right["town"].isna(), "town"] = "left", "right"
    expected = left.merge(right, on="town", how=how, suffixes=("", "_right"))
    columns = ["name", "town", "country", "name_right"]
    wanted = [
        tuple(None if pd.isna(x) or x in ("left", "right") else x for x in row) for row in expected[columns].to_numpy()
    ]

    def key(row: tuple[Any, ...]) -> tuple[str, ...]:
        return tuple(map(str, row))

    assert sorted(wanted, key=key) == sorted((tuple(row[c] for c in columns) for row in found["q"]["rows"]), key=key)
    counts = {
        "matched_left": 4,
        "unmatched_left": 2,
        "matched_right": 3,
        "unmatched_right": 2,
        "repeated_keys_left": 1,
        "repeated_keys_right": 1,
    }
    assert counts == {name: found["j"][name] for name in counts}
    assert "4 of 6 rows of `people.csv` and 3 of 5 rows of `towns.csv` matched" in "".join(
        found["j"]["table"]["decisions"]
    )
    assert [{"n": 2}] == found["n"]["rows"]


def test_join_keeps_the_order_of_the_left(people: Path, tmp_path: Path) -> None:
    """A left join gives the rows of the left table in their order."""
    (tmp_path / "towns.csv").write_text("town,country\nRome,IT\nOslo,NO\nBern,CH\n")
    join = step("j", "join_tables", left="{{a.output}}", right="{{b.output}}", on=["town"], how="left")
    found = outputs([join, step("q", "query", data="{{j.output.table}}", sql=ALL)], a=people, b=tmp_path / "towns.csv")
    assert ["IT", "NO", "IT", None, "IT", "CH"] == [row["country"] for row in found["q"]["rows"]]
    assert frame(people)["name"].tolist() == [row["name"] for row in found["q"]["rows"]]


@pytest.mark.parametrize(
    ("args", "piece"),
    [
        ({"on": []}, "`on` names 0 columns"),
        ({"on": ["twon"]}, "did you mean `town`"),
        ({"on": {"town": "nowhere"}}, "`on (right)`"),
        ({"on": {"town": "age"}}, "which is text, with `age`, which is integer"),
        ({"on": ["name"], "suffix": ""}, "give another `suffix`"),
    ],
)
def test_bad_join(args: dict[str, Any], piece: str, people: Path, tmp_path: Path) -> None:
    """Keys that cannot be compared, and names that would clash, are refused with a hint."""
    context = ToolContext(workdir=tmp_path / "run")
    table = load_data(str(people), context)
    with pytest.raises(DataError) as caught:
        {item.name: item for item in TABLE_TOOLS}["join_tables"](left=table, right=table, context=context, **args)
    assert piece in str(caught.value)


def test_join_that_explodes(tmp_path: Path) -> None:
    """A join of keys that repeat on both sides is refused before it is written."""
    path = tmp_path / "same.csv"
    path.write_text("k\n" + "x\n" * 20_000)
    context = ToolContext(workdir=tmp_path / "run")
    table = load_data(str(path), context)
    with pytest.raises(DataError, match=r"would have 400,000,000 rows"):
        {item.name: item for item in TABLE_TOOLS}["join_tables"](left=table, right=table, on=["k"], context=context)


def test_query_names_its_tables(people: Path) -> None:
    """Several tables have the names that the plan gives them; none, or `data` twice, is refused."""
    sql = "SELECT count(*) AS n FROM a JOIN b ON a.town = b.town"
    tables = {"a": "{{t.output}}", "b": "{{t.output}}"}
    assert [{"n": 11}] == outputs([step("q", "query", tables=tables, sql=sql)], t=people)["q"]["rows"]
    context = ToolContext(workdir=people.parent / "run")
    table = load_data(str(people), context)
    query = TABLE_TOOLS[0]
    with pytest.raises(DataError, match="no table `data` here\nhint: give the step"):
        query(sql="SELECT * FROM data", context=context)
    with pytest.raises(DataError, match="`data` too"):
        query(sql="SELECT 1", context=context, data=table, tables={"DATA": table})


# values: the SQL, and the row that it gives
VALUES: list[tuple[dict[str, Any], str, dict[str, Any]]] = [
    ({"p": 0.03, "r": -0.456}, "SELECT round($r, 2) AS r, $p < 0.05 AS sure", {"r": -0.46, "sure": True}),
    ({"name": "O'Brien\"; DROP VIEW data"}, "SELECT $name || '!' AS x", {"x": "O'Brien\"; DROP VIEW data!"}),
    ({"a": 1, "b": -2}, "SELECT $a-$b AS x, $A + 1 AS y", {"x": 3, "y": 2}),
    ({"none": None, "p": 1e-20}, "SELECT $none AS x, round($p, 4) AS y", {"x": None, "y": 0.0}),
    ({"names": ["b", "a"]}, "SELECT array_to_string(list_sort($names), ', ') AS x", {"x": "a, b"}),
    ({"names": []}, "SELECT array_to_string($names, ', ') AS x, len($names) AS y", {"x": "", "y": 0}),
    ({"rows": [{"a": 1}, {"a": 4}]}, "SELECT sum(r.a) AS x FROM (SELECT unnest($rows) AS r)", {"x": 5}),
    ({"unused": 1}, "SELECT '$unused' AS x", {"x": "$unused"}),
    ({"big": 2**70}, "SELECT $big > 1e20 AS x", {"x": True}),
]


@pytest.mark.parametrize(("values", "sql", "row"), VALUES)
def test_query_of_values(values: dict[str, Any], sql: str, row: dict[str, Any], context: ToolContext) -> None:
    """Figures of other steps stand as $name, bound and never written into the text; no table is needed."""
    context.workdir.mkdir(parents=True, exist_ok=True)
    assert [row] == TABLE_TOOLS[0](sql=sql, values=values, context=context)["rows"]


def test_query_of_a_table_and_values(people: Path) -> None:
    """A value may be one that another step found, and select rows by it."""
    steps = [
        step("most", "query", data="{{t.output}}", sql="SELECT town FROM data GROUP BY 1 ORDER BY count(*) DESC LIMIT 1"),
        step(
            "there", "query", data="{{t.output}}", sql="SELECT name FROM data WHERE town = $town AND fare > 8",
            values={"town": "{{most.output.rows[0].town}}"},
        ),
    ]  # fmt: skip
    assert [{"name": "Cid"}] == outputs(steps, t=people)["there"]["rows"]


@pytest.mark.parametrize(
    ("values", "sql", "piece"),
    [
        (None, "SELECT $p", "`$p` has no value here\nhint: write the value itself"),
        ({"q": 1}, "SELECT $p", "`$p` has no value here\nhint: the values are `q`"),
        ({"p": 1}, "SELECT ?", "`?` has no value here"),
        ({"p": 1}, "SELECT $1", "`?` has no value here"),
        ({"1": 1}, "SELECT $1", "letters, digits, underscores"),
        ({"p q": 1}, "SELECT 1", "letters, digits, underscores"),
        ({"p": 1, "P": 2}, "SELECT $p", "letter case"),
        ({f"v{n}": n for n in range(101)}, "SELECT 1", "at most 100"),
        ({"p": "x" * 1_000_001}, "SELECT $p", "a table goes into `data`"),
        ({"p": "data"}, "SELECT * FROM $p", "`sql` is not right"),
        ({"p": 1}, "SELECT abs($p, $p, 'x')", "`sql` is not right"),
    ],
)
def test_bad_values(values: dict[str, Any] | None, sql: str, piece: str, context: ToolContext) -> None:
    """What has no value, or cannot have one, is refused with a hint."""
    context.workdir.mkdir(parents=True, exist_ok=True)
    with pytest.raises(DataError) as caught:
        TABLE_TOOLS[0](sql=sql, values=values, context=context)
    assert piece in str(caught.value)


def test_wrong_references_are_caught() -> None:
    """The validator sees a reference that the output of these tools cannot have."""
    from planloom import Plan

    steps = [
        step("t", "load_data", path="x.csv"),
        step("q", "query", data="{{t.output}}", sql=ALL),
        step("f", "filter_rows", data="{{q.output}}", where="true"),
        step("m", "train_model", data="{{q.output.tabel}}", target="a", features=["b"]),
    ]
    codes = {issue.code for issue in find_issues(Plan.from_json({"goal": "x", "steps": steps}), TOOLS)}
    assert {"reference-type", "reference-path"} <= codes


# question: (file, steps, reference in the last step to rows, answers published with the questions)
PUBLISHED: dict[int, tuple[str, list[dict[str, Any]], list[float]]] = {
    412: ("titanic_train.csv", [
        step("d", "derive_columns", data="{{t.output}}", columns={"FamilySize": '"SibSp" + "Parch"'}),
        step("q", "query", data="{{d.output}}", sql='SELECT avg("FamilySize") AS m FROM data GROUP BY "Survived" ORDER BY "Survived"'),
    ], [0.88, 0.94]),
    496: ("percent-bachelors-degrees-women-usa.csv", [
        step("d", "derive_columns", data="{{t.output}}", columns={"STEM": '"Computer Science" + Engineering + "Math and Statistics" + "Physical Sciences"'}),
        step("f", "filter_rows", data="{{d.output}}", where='"Year" >= 2000'),
        step("q", "query", data="{{f.output}}", sql='SELECT unnest([avg("STEM"), max("STEM") - min("STEM")]) AS m FROM data'),
    ], [125.11, 17.7]),
    572: ("tr_eikon_eod_data.csv", [
        step("q", "query", data="{{t.output}}", sql='SELECT ("AAPL.O" / lag("AAPL.O") OVER (ORDER BY "Date") - 1) * 100 AS m FROM data ORDER BY ".SPX" DESC NULLS LAST LIMIT 1'),
    ], [0.23]),
    574: ("tr_eikon_eod_data.csv", [
        step("i", "impute_missing", data="{{t.output}}", method="drop"),
        step("s", "scale_columns", data="{{i.output}}", method="min-max"),
        step("q", "query", data="{{s.output}}", sql='SELECT unnest([corr("MSFT.O", "SPY"), corr("MSFT.O", ".VIX"), corr("SPY", ".VIX")]) AS m FROM data'),
    ], [0.94, -0.43, -0.58]),
}  # fmt: skip


@pytest.mark.parametrize("question", PUBLISHED)
def test_published_answer(question: int, dabench: Path) -> None:
    """Plans over these tools give the answers that were published for these tables."""
    name, steps, answers = PUBLISHED[question]
    assert answers == [round(row["m"], 2) for row in outputs(steps, t=dabench / name)["q"]["rows"]]
