"""62 questions about 14 real files: for each a plan as a planner writes it, whose answer must be the label's.

The questions are InfiAgent-DABench's and stand beside the repository; the plans are `tests/fixtures/dabench/ID.json`.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from planloom import Plan, execute_plan, find_issues
from planloom.analysis import toolbox

pytest.importorskip("sklearn", reason="the extra `analysis` is not installed")
pandas = pytest.importorskip("pandas")
stats = pytest.importorskip("scipy.stats")

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures" / "dabench"
WOMEN = "percent-bachelors-degrees-women-usa.csv"
CALLS = "20170413_000000_group_statistics.csv"
AT_ONCE = 4
"""Plans that run at the same time."""
MISSES: dict[int, str] = {}
"""Questions whose label a right plan does not give, and why."""


@pytest.fixture(scope="module")
def questions(dabench: Path) -> dict[int, dict[str, Any]]:
    """The questions by id."""
    lines = (dabench.parent / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    return {question["id"]: question for question in map(json.loads, lines)}


def plans() -> dict[int, dict[str, Any]]:
    """The plans by the id of their question."""
    return {
        int(path.stem): json.loads(path.read_text(encoding="utf-8")) for path in sorted(FIXTURES.glob("[0-9]*.json"))
    }


def is_same(label: str, answer: Any) -> bool:
    """The benchmark's rule: as numbers equal to 1e-6, else the same text; a list is written with commas."""
    if isinstance(answer, list):
        answer = ", ".join(map(str, answer))
    try:
        return abs(float(label) - float(answer)) < 1e-6
    except (TypeError, ValueError):
        return label.strip().casefold() == str(answer).strip().casefold()


def mistakes(question: dict[str, Any], answer: Any) -> list[str]:
    """What an answer has wrong; a label that is missing in the set is not looked at."""
    if not isinstance(answer, dict):
        return [f"no object: {answer!r}"]
    return [
        f"{name} is {answer.get(name)!r}, not {label!r}"
        for name, label in question["answers"]
        if name not in answer or not is_same(label, answer[name])
    ]


@pytest.mark.parametrize("number", plans())
def test_plan_is_valid(number: int) -> None:
    """Every plan passes validation without an error or a warning."""
    assert [] == find_issues(Plan.from_json(plans()[number]), toolbox)


def test_every_question_has_a_plan(questions: dict[int, dict[str, Any]]) -> None:
    """There is one plan for each question, about its file."""
    assert {number: question["file_name"] for number, question in questions.items()} == {
        number: plan["inputs"]["path"] for number, plan in plans().items()
    }


@pytest.fixture(scope="module")
def answers(questions: dict[int, dict[str, Any]], dabench: Path) -> dict[int, Any]:
    """What the plans answer, run through the real tools; a list of errors where a step failed."""
    known = plans()

    async def answer_all() -> dict[int, Any]:
        room = asyncio.Semaphore(AT_ONCE)

        async def answer(number: int) -> Any:
            async with room:
                inputs = {"path": str(dabench / questions[number]["file_name"])}
                result = await execute_plan(known[number], toolbox, inputs=inputs)
            errors = [f"{name}: {step.error.message}" for name, step in result.steps.items() if step.error]
            return errors or result.answer

        return dict(zip(questions, await asyncio.gather(*map(answer, questions)), strict=True))

    return asyncio.run(answer_all())


@pytest.mark.slow
def test_answers(questions: dict[int, dict[str, Any]], answers: dict[int, Any]) -> None:
    """Every plan answers what the label says, but for the misses that are named; the number is printed."""
    wrong = {number: mistakes(question, answers[number]) for number, question in questions.items()}
    found = {number: said for number, said in wrong.items() if said}
    print(f"\n{len(questions) - len(found)} of {len(questions)} answers match their labels")
    assert {} == {number: said for number, said in found.items() if number not in MISSES}
    assert set(MISSES) == set(found)
    assert 62 - len(MISSES) == len(questions) - len(found)


def unlabelled(tables: Path) -> dict[int, dict[str, Any]]:
    """What the questions ask and the set has no label for, by pandas and SciPy."""

    def read(name: str) -> Any:
        return pandas.read_csv(tables / name, encoding="utf-8-sig")

    beauty, trips, women = read("beauty and the labor market.csv"), read("2014_q4.csv").iloc[:, 1], read(WOMEN)
    calls, stocks, fares = read(CALLS), read("random_stock_data.csv"), read("titanic_train.csv")["Fare"]
    waits, losses = (pandas.to_timedelta(calls.iloc[:, place]).dt.total_seconds() for place in (8, 9))
    ratio = 100 * waits[losses > 0] / losses[losses > 0]  # of nothing there is no share
    upper = fares.quantile(0.75) + 1.5 * (fares.quantile(0.75) - fares.quantile(0.25))
    z = (women["Architecture"] - women["Architecture"].mean()) / women["Architecture"].std()
    per_member = trips / read("2014_q4.csv")["Total Annual Memberships Sold"]
    regions = read("insurance.csv")["region"]
    return {
        28: {"mean_region": round(regions.astype("category").cat.codes.mean(), 4)},
        66: {"p_value": round(stats.pearsonr(beauty["wage"], beauty["exper"]).pvalue, 4)},
        372: {"median": trips.median()},
        376: {"trips_per_day_median": trips.median(), "trips_per_membership_mean": round(per_member.mean(), 2)},
        378: {"pre_median": trips.median(), "post_median": trips.median()},
        411: {"outlier_range_low": round(fares[fares > upper].min(), 2)},
        495: {"outlier_years": women["Year"][z.abs() > 3].tolist()},
        593: {"waiting_ratio_skewness": round(stats.skew(ratio), 2)},
        644: {"p_value": round(stats.shapiro(stocks["Close"]).pvalue, 4)},
        647: {"price_range_p_value": round(stats.shapiro(stocks["High"] - stocks["Low"]).pvalue, 4)},
    }


@pytest.mark.slow
def test_answers_without_a_label(answers: dict[int, Any], dabench: Path) -> None:
    """The plans answer what is asked, not only what is labelled."""
    expected = unlabelled(dabench)
    found = {number: {name: answers[number].get(name) for name in names} for number, names in expected.items()}
    assert expected == found


@pytest.mark.parametrize(
    ("label", "answer", "is_right"),
    [
        ("1.1", 1.1, True), ("0.10", 0.1, True), ("0.10", 0.11, False), ("4440", 4440.0, True), ("Yes", "yes", True),
        ("True", True, True), ("", [], True), ("", ["a"], False), ("a, b", ["a", "b"], True), ("0.1", None, False),
        ("", None, False), ("No", "Yes", False), ("11439.6", 11439.59, False), ("a", {"a": 1}, False),
    ],
)  # fmt: skip
def test_the_rule(label: str, answer: Any, is_right: bool) -> None:
    """Numbers are compared as numbers, nothing else passes for a label."""
    assert is_right == is_same(label, answer)


def test_a_label_that_says_nothing(dabench: Path) -> None:
    """Question 252 asks for the skewness of one value per country: undefined for all, so its label is the first row."""
    table = pandas.read_csv(dabench / "gapminder_gdp_asia.csv")
    assert table["country"].is_unique
    assert not any(value > 0 for value in (pandas.Series([gdp]).skew() for gdp in table["gdpPercap_1992"]))
    assert "Afghanistan" == table["country"][0] == min(table["country"])
