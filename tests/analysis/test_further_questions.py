"""Twelve questions that the tools were not built for: each a plan in `tests/fixtures/dabench/further`, against pandas.

Files: the example, readings with times, orders and customers to join, and invoices with dirty headers and cells.
`replies.json` beside them holds what a language model wrote, word for word, for five questions, from the prompt alone.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from planloom import Plan, execute_plan, find_issues
from planloom.analysis import toolbox
from planloom.planning import read_plan_text

numpy = pytest.importorskip("numpy")
pandas = pytest.importorskip("pandas")
stats = pytest.importorskip("scipy.stats")
pytest.importorskip("sklearn", reason="the extra `analysis` is not installed")

REPLIES = {
    entry["name"]: entry
    for entry in json.loads(
        (Path(__file__).resolve().parents[1] / "fixtures" / "dabench" / "replies.json").read_text(encoding="utf-8")
    )
}
REPOSITORY = Path(__file__).resolve().parents[2]
FIXTURES = REPOSITORY / "tests" / "fixtures" / "dabench" / "further"
ORDERS = "order,customer,amount\n1,C1,10.5\n2,C2,20\n3,C1,5.25\n4,C9,7\n5,,1\n6,C3,100\n7,C2,3\n"
CUSTOMERS = "id,name,segment\nC1,Ann O'Hara,home\nC2,Bo,office\nC3,Cy,office\nC4,Di,home\nC5,Ed,\n"
INVOICES = (
    "Invoices 2024;;;\n No. ;  Town ;Amount (EUR) ;Paid?\n"
    "1;Köln;1.234,50;yes\n2;Bern ;99,90;no\n3;Köln;15,00;yes\n4;Bern;2.000,00;yes\n5;Ulm;n/a;no\n6;Ulm;700,25;yes\n"
)


def readings() -> Any:
    """Two sensors, a reading each six hours for a month, slowly warmer, every seventh missing, rows out of order."""
    random = numpy.random.default_rng(3)
    times = pandas.date_range("2024-03-01", periods=120, freq="6h")
    frame = pandas.DataFrame({"taken at": times.repeat(2), "sensor": ["north", "south"] * 120})
    frame["temp C"] = (8 + numpy.arange(240) * 0.02 + random.normal(0, 1.5, 240)).round(2)
    frame.loc[frame.index % 7 == 3, "temp C"] = None
    return frame.sample(frac=1, random_state=1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All the files that the plans name."""
    made = tmp_path_factory.mktemp("files")
    (made / "sales.csv").write_bytes((REPOSITORY / "examples" / "sales.csv").read_bytes())
    readings().to_csv(made / "readings.csv", index=False, date_format="%d/%m/%Y %H:%M")
    (made / "orders.csv").write_text(ORDERS)
    (made / "customers.csv").write_text(CUSTOMERS)
    (made / "invoices.csv").write_bytes(INVOICES.encode("cp1252"))
    return made


def share_of_region(sales: Any) -> Any:
    sums = sales.groupby("region")["revenue"].sum().sort_values()
    return {"region": sums.index[-1], "share": round(100 * sums.iloc[-1] / sums.sum(), 1)}


def best_month(sales: Any) -> Any:
    months = sales.set_index(pandas.to_datetime(sales["order_date"]))["revenue"].resample("MS").sum()
    growth = months.pct_change() * 100
    return {"month": growth.idxmax().strftime("%Y-%m"), "growth": round(growth.max(), 2)}


def two_categories(sales: Any) -> Any:
    a, b = (sales.loc[sales["category"] == name, "revenue"].dropna() for name in ("Lighting", "Seating"))
    pooled = ((len(a) - 1) * a.var() + (len(b) - 1) * b.var()) / (len(a) + len(b) - 2)
    p = stats.ttest_ind(a, b, equal_var=False).pvalue
    return {
        "lighting": a.mean(), "seating": b.mean(), "p": p, "d": (a.mean() - b.mean()) / pooled**0.5, "differ": p < 0.05,
    }  # fmt: skip


def category_and_region(sales: Any) -> Any:
    chi, p, df, _ = stats.chi2_contingency(pandas.crosstab(sales["category"], sales["region"]))
    return {
        "chi_square": round(chi, 3), "df": df, "p": round(p, 4), "verdict": "depends" if p < 0.01 else "no sign of it",
    }  # fmt: skip


def slow_delivery(sales: Any) -> Any:
    both = sales[["delivery_days", "rating"]].dropna()
    found = stats.spearmanr(both["delivery_days"], both["rating"])
    return {"rho": found.statistic, "p": found.pvalue, "orders": len(both)}


def discount_bands(sales: Any) -> Any:
    bands = pandas.cut(sales["discount_pct"], [-numpy.inf, 0, 10, numpy.inf], labels=["none", "up to 10", "over 10"])
    groups = sales.groupby(bands, dropna=False, observed=True)["rating"]  # bands in order, then none
    names = [*groups.size().index[:-1], None]
    return {"bands": names, "orders": groups.size().tolist(), "ratings": groups.mean().tolist()}


def happy_customers(sales: Any) -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import train_test_split

    rated = sales.dropna(subset=["rating", "delivery_days", "discount_pct", "category"])
    inputs = pandas.get_dummies(rated[["delivery_days", "discount_pct", "category"]], drop_first=True).astype(float)
    train, test, known, asked = train_test_split(inputs, rated["rating"] >= 4, test_size=0.3, random_state=7)
    return {"accuracy": LogisticRegression(max_iter=1000).fit(train, known).score(test, asked), "held_out": len(test)}


def warming(_: Any) -> Any:
    daily = readings().set_index("taken at")["temp C"].resample("D").mean()
    line = stats.linregress(range(len(daily)), daily)
    return {"slope": line.slope, "p": line.pvalue, "hottest": daily.idxmax().strftime("%Y-%m-%d")}


def largest_jump(_: Any) -> Any:
    known = readings().dropna().sort_values("taken at")
    jumps = known.groupby("sensor")["temp C"].diff()
    return {"sensor": known.loc[jumps.idxmax(), "sensor"], "jump": round(jumps.max(), 3)}


# plan: the answer, worked out by hand or by pandas from the example
EXPECTED: dict[str, Callable[[Any], Any]] = {
    "share-of-region": share_of_region,
    "best-month": best_month,
    "two-categories": two_categories,
    "category-and-region": category_and_region,
    "slow-delivery": slow_delivery,
    "discount-bands": discount_bands,
    "happy-customers": happy_customers,
    "warming": warming,
    "largest-jump": largest_jump,
    "segments": lambda _: {"unknown": 2, "segments": ["office", "home", None], "turnover": [123.0, 15.75, 8.0]},
    "never-ordered": lambda _: ["Di", "Ed"],
    "dirty-invoices": lambda _: {"total": 3949.75, "town": "Bern"},
}


def test_every_plan_is_run() -> None:
    """Each plan has an answer to be held against."""
    assert set(EXPECTED) == {path.stem for path in FIXTURES.glob("*.json")}


@pytest.mark.parametrize("name", EXPECTED)
def test_answer(name: str, folder: Path) -> None:
    """The plan is valid without a warning, and answers what pandas, SciPy and scikit-learn say."""
    plan = Plan.from_json((FIXTURES / f"{name}.json").read_text(encoding="utf-8"))
    assert [] == find_issues(plan, toolbox)
    inputs = {key: str(folder / value) for key, value in plan.inputs.items()}
    answer = asyncio.run(execute_plan(plan, toolbox, inputs=inputs)).raise_for_status().answer
    expected = EXPECTED[name](pandas.read_csv(folder / "sales.csv"))
    assert json.loads(json.dumps(expected, default=bool)) == close(answer)


def close(value: Any) -> Any:
    """The same value, with numbers that match what differs in the last digits."""
    if isinstance(value, dict):
        return {key: close(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [close(inner) for inner in value]
    return pytest.approx(value, rel=1e-9) if isinstance(value, float) else value


@pytest.mark.parametrize("name", REPLIES)
def test_replies_of_a_model(name: str, folder: Path, request: pytest.FixtureRequest) -> None:
    """Each is read without a change, has no issue once its file is given, and every step succeeds."""
    text = read_plan_text(REPLIES[name]["reply"])
    plan = replace(text.plan, inputs={"path": REPLIES[name]["file"]})
    assert ((), []) == (tuple(text.mends), find_issues(plan, toolbox))
    if not (folder / REPLIES[name]["file"]).exists():
        folder = request.getfixturevalue("dabench")
    inputs = {"path": str(folder / REPLIES[name]["file"])}
    result = asyncio.run(execute_plan(plan, toolbox, inputs=inputs)).raise_for_status()
    assert all(step.output for step in result.steps.values())
