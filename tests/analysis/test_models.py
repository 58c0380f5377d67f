"""Models: the figures are those that scikit-learn gives to whoever follows the output's own words."""

# ruff: noqa: E501 (a case reads best on one line)
from __future__ import annotations

import json
import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn import metrics
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from table_cases import outputs, step

from planloom import DataError, ToolContext
from planloom.analysis import load_data
from planloom.analysis.table_tools import train_model

ROWS = 160


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table in which y follows x and z, `won` follows x, and `place` has three values; some cells are missing."""
    chance = random.Random(7)
    rows: list[dict[str, Any]] = []
    for number in range(ROWS):
        x, z, town = chance.gauss(10, 3), chance.gauss(0, 1), chance.choice(["Rome", "Oslo", "Bern"])
        rows.append(
            {
                "x": round(x, 3), "z": round(z, 3), "town": town, "y": round(2 * x - z + (town == "Rome") * 3 + chance.gauss(0, 1), 3),
                "won": "yes" if x + chance.gauss(0, 2) > 10 else "no", "place": 1 + (x > 8) + (x + z > 11),
                "day": f"2024-01-{1 + number % 28:02d}", "flag": x > 9, "id": f"n{number}", "same": 1, "count": number,
            }
        )  # fmt: skip
    rows[3]["x"], rows[5]["y"], rows[5]["town"] = None, None, None
    path = tmp_path_factory.mktemp("models") / "cases.csv"
    pd.DataFrame(rows).to_csv(path, index=False)
    return path


def fitted(path: Path, **args: Any) -> Any:
    """Run train_model in a plan; its output must be plain JSON."""
    model = outputs([step("m", "train_model", data="{{t.output}}", **args)], t=path)["m"]
    json.dumps(model, allow_nan=False)
    return model


def split(path: Path, features: list[str], target: str, drop_first: bool = True) -> list[Any]:
    """The same rows, encoded and split by pandas and scikit-learn."""
    table = pd.read_csv(path).dropna(subset=[*features, target])
    inputs = pd.get_dummies(table[features], drop_first=drop_first).astype(float)
    return [inputs, *train_test_split(inputs, table[target], test_size=0.25, random_state=42)]


REGRESSIONS = {
    "linear": LinearRegression(),
    "tree": DecisionTreeRegressor(random_state=42),
    "forest": RandomForestRegressor(n_estimators=100, random_state=42),
}


@pytest.mark.parametrize("kind", REGRESSIONS)
def test_regression(kind: str, cases: Path) -> None:
    """Split, encoding and every figure are scikit-learn's."""
    features = ["x", "z", "town"]
    model = fitted(cases, target="y", features=features, model=kind)
    inputs, train, test, y_train, y_test = split(cases, features, "y", drop_first=kind == "linear")
    estimator = REGRESSIONS[kind].fit(train, y_train)
    for part, (seen, truth) in {"train": (train, y_train), "test": (test, y_test)}.items():
        guess = estimator.predict(seen)
        wanted = {
            "n": len(truth), "r2": metrics.r2_score(truth, guess), "mse": metrics.mean_squared_error(truth, guess),
            "rmse": math.sqrt(metrics.mean_squared_error(truth, guess)), "mae": metrics.mean_absolute_error(truth, guess),
        }  # fmt: skip
        assert pytest.approx(wanted) == {name: model[part][name] for name in wanted}
    assert (ROWS - 2, 2, len(train), len(test)) == (
        model["n"],
        model["missing_dropped"],
        model["train_rows"],
        model["test_rows"],
    )
    figures = estimator.coef_ if kind == "linear" else estimator.feature_importances_
    assert pytest.approx(list(figures)) == list(model["coefficients" if kind == "linear" else "importances"].values())
    assert [name.replace("town_", "town=") for name in inputs.columns] == list(
        model["coefficients"] or model["importances"]
    )
    assert "random_state=42" in model["method"]
    assert "`town` one-hot encoded" in model["method"]


CLASSIFICATIONS = {
    "logistic": LogisticRegression(max_iter=1000),
    "tree": DecisionTreeClassifier(random_state=42),
    "forest": RandomForestClassifier(n_estimators=100, random_state=42),
}


@pytest.mark.parametrize("kind", CLASSIFICATIONS)
def test_two_classes(kind: str, cases: Path) -> None:
    """Of two classes the last one in order is the positive one."""
    model = fitted(cases, target="won", features=["x", "z", "flag"], model=kind)
    _, train, test, y_train, y_test = split(cases, ["x", "z", "flag"], "won")
    estimator = CLASSIFICATIONS[kind].fit(train, y_train)
    guess = estimator.predict(test)
    precision, recall, f1, _ = metrics.precision_recall_fscore_support(y_test, guess, average="binary", pos_label="yes")
    wanted = {
        "accuracy": metrics.accuracy_score(y_test, guess), "precision": precision, "recall": recall, "f1": f1,
        "roc_auc": metrics.roc_auc_score(y_test == "yes", estimator.predict_proba(test)[:, 1]),
    }  # fmt: skip
    assert pytest.approx(wanted) == {name: model["test"][name] for name in wanted}
    assert metrics.confusion_matrix(y_test, guess).tolist() == model["test"]["confusion"]
    assert ("classification", ["no", "yes"], None) == (model["task"], model["classes"], model["test"]["mse"])
    if kind == "logistic":
        assert pytest.approx(list(estimator.coef_[0])) == list(model["coefficients"].values())
        assert pytest.approx(estimator.intercept_[0]) == model["intercept"]


def test_three_classes(cases: Path) -> None:
    """Of three classes the figures are means over the classes, and each has its coefficients."""
    model = fitted(cases, target="place", features=["x", "z"], model="logistic")
    _, train, test, y_train, y_test = split(cases, ["x", "z"], "place")
    estimator = LogisticRegression(max_iter=1000).fit(train, y_train)
    guess = estimator.predict(test)
    assert pytest.approx(metrics.f1_score(y_test, guess, average="macro")) == model["test"]["f1"]
    assert (
        pytest.approx(metrics.roc_auc_score(y_test, estimator.predict_proba(test), multi_class="ovr"))
        == model["test"]["roc_auc"]
    )
    assert pytest.approx(list(estimator.coef_[2])) == list(model["class_coefficients"]["3"].values())
    assert [1, 2, 3] == model["classes"]


@pytest.mark.parametrize(
    ("target", "kind", "task"),
    [("y", "tree", "regression"), ("won", "tree", "classification"), ("flag", "tree", "classification"),
     ("place", "forest", "classification"), ("count", "tree", "regression"), ("flag", "linear", "regression")],
)  # fmt: skip
def test_task_is_found_out(target: str, kind: str, task: str, cases: Path) -> None:
    """Without a word, the target decides: text, true and false and few whole numbers are classes."""
    model = fitted(cases, target=target, features=["x", "z"], model=kind)
    assert task == model["task"]
    assert (target in ("place", "count")) == bool(model["notes"])


def test_no_rows_held_out(cases: Path) -> None:
    """A test share of 0 trains on every row, and there is no test."""
    model = fitted(cases, target="y", features=["x"], test_share=0)
    assert (None, 0, ROWS - 2) == (model["test"], model["test_rows"], model["train_rows"])
    table = pd.read_csv(cases).dropna(subset=["x", "y"])
    slope, intercept = np.polyfit(table["x"], table["y"], 1)
    assert pytest.approx((slope, intercept)) == (model["coefficients"]["x"], model["intercept"])


def test_coefficients_are_tested(cases: Path) -> None:
    """One input: SciPy's line; two: an input's test is that of what the other leaves of target and input."""
    table = pd.read_csv(cases).dropna(subset=["x", "y", "z"])
    model = fitted(cases, target="y", features=["x"], test_share=0)
    test = model["coefficient_tests"]["x"]
    reach = stats.t.ppf(0.975, model["n"] - 2) * test["standard_error"]
    one = pd.read_csv(cases).dropna(subset=["x", "y"])
    line = stats.linregress(one["x"], one["y"])
    assert pytest.approx((line.stderr, line.pvalue)) == (test["standard_error"], test["p_value"])
    assert pytest.approx([line.slope - reach, line.slope + reach]) == test["interval"]
    assert "ordinary least squares" in model["method"]
    both = fitted(cases, target="y", features=["x", "z"], test_share=0)["coefficient_tests"]["x"]
    design = np.column_stack([np.ones(len(table)), table["x"], table["z"]])
    fit, residual, _, _ = np.linalg.lstsq(design, table["y"].to_numpy(), rcond=None)
    freedom = len(table) - 3
    error = math.sqrt(residual[0] / freedom * np.linalg.inv(design.T @ design)[1, 1])
    assert pytest.approx((error, fit[1] / error, 2 * stats.t.sf(abs(fit[1] / error), freedom))) == (
        both["standard_error"],
        both["t"],
        both["p_value"],
    )


@pytest.mark.parametrize(
    ("content", "note"),
    [
        ("x,z,y\n1,2,1\n2,4,3\n3,6,2\n4,8,9\n5,10,4\n", "follows from the others"),
        ("x,z,y\n1,2,1\n2,2,3\n3,2,2\n4,2,9\n5,2,4\n", "is constant"),
        ("x,z,y\n1,2,1\n2,5,3\n3,2,2\n", "too few"),
    ],
)
def test_coefficients_that_cannot_be_tested(content: str, note: str, tmp_path: Path) -> None:
    """Without a test there is a reason, and the coefficients stand."""
    path = tmp_path / "few.csv"
    path.write_text(content)
    model = fitted(path, target="y", features=["x", "z"], test_share=0)
    assert {} == model["coefficient_tests"]
    assert ["x", "z"] == list(model["coefficients"])
    assert any(note in line for line in model["notes"])


def test_a_class_for_nearly_every_row(tmp_path: Path) -> None:
    """A tree is trained on it without a warning, and it is said that this is hardly meant."""
    path = tmp_path / "names.csv"
    path.write_text("x,name\n" + "".join(f"{x},name {x}\n" for x in range(30)))
    model = fitted(path, target="name", features=["x"], model="tree")
    assert any("few rows per class" in note for note in model["notes"])


def test_an_exact_line(tmp_path: Path) -> None:
    """A line without any error has coefficients and a certain test."""
    path = tmp_path / "exact.csv"
    path.write_text("x,y\n" + "".join(f"{x},{2 * x}\n" for x in range(8)))
    test = fitted(path, target="y", features=["x"], test_share=0)["coefficient_tests"]["x"]
    assert pytest.approx([2, 2]) == test["interval"]
    assert test["p_value"] in (None, pytest.approx(0))


def test_predictions_of_given_rows(cases: Path) -> None:
    """Rows in the plan are predicted; one with a missing value is not."""
    rows = [
        {"x": 12, "town": "Rome", "day": "2024-01-05"},
        {"x": None, "town": "Rome", "day": "2024-01-05"},
        {"town": "Bern", "x": "7.5", "day": "2024-01-20"},
    ]
    model = fitted(cases, target="y", features=["x", "town", "day"], predict=rows)
    days = {"2024-01-05": 19727, "2024-01-20": 19742}
    for row, found in zip(rows, model["predictions"], strict=True):
        if row["x"] is None:
            assert found["prediction"] is None
            continue
        coefficients = model["coefficients"]
        wanted = model["intercept"] + coefficients["x"] * float(row["x"]) + coefficients["day"] * days[row["day"]]
        assert pytest.approx(wanted + coefficients.get(f"town={row['town']}", 0)) == found["prediction"]


def test_predictions_of_a_table(cases: Path, tmp_path: Path) -> None:
    """Rows of a table are predicted in order, with the probability of the class."""
    (tmp_path / "new.csv").write_text("z,x\n0,2\n0,\n0,20\n")
    step_ = step(
        "m",
        "train_model",
        data="{{t.output}}",
        target="won",
        features=["x", "z"],
        model="logistic",
        predict="{{n.output}}",
    )
    found = outputs([step_], t=cases, n=tmp_path / "new.csv")["m"]["predictions"]
    assert ["no", None, "yes"] == [row["prediction"] for row in found]
    assert all(row["probability"] is None or 0.9 < row["probability"] <= 1 for row in found)


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"target": "yy"}, "did you mean `y`"),
    ({"features": ["x", "yy"]}, "no such column"),
    ({"features": ["y", "x"]}, "has the target"),
    ({"features": []}, "empty list"),
    ({"features": ["id"]}, "more than 100 different values"),
    ({"target": "id", "model": "logistic"}, "more than 100 different values"),
    ({"target": "town"}, "no number to predict"),
    ({"model": "linear", "task": "classification"}, 'use "logistic"'),
    ({"model": "logistic", "task": "regression"}, 'use "linear"'),
    ({"target": "same", "model": "logistic"}, "fewer than two"),
    ({"test_share": 1.0}, "`test_share`"),
    ({"test_share": 0.999}, "`test_share`"),
    ({"seed": -1}, "`seed`"),
    ({"predict": [{"xx": 1}]}, "did you mean `x`"),
    ({"predict": [{"x": "far"}]}, "not of kind number"),
    ({"features": ["town"], "predict": [{"town": "Paris"}]}, "never saw"),
    ({"predict": [{"x": 1}] * 10_001}, "at most 10,000"),
]  # fmt: skip


@pytest.mark.parametrize(("args", "piece"), REFUSED)
def test_refused(args: dict[str, Any], piece: str, cases: Path, tmp_path: Path) -> None:
    """What cannot be fitted or predicted is refused with a reason."""
    context = ToolContext(workdir=tmp_path / "run")
    with pytest.raises(DataError) as caught:
        train_model(
            **{"data": load_data(str(cases), context), "target": "y", "features": ["x"], "context": context, **args}
        )
    assert piece in str(caught.value)


def test_too_few_rows(tmp_path: Path) -> None:
    """A table in which no row is complete is refused with the way out."""
    path = tmp_path / "holes.csv"
    path.write_text("a,b\n1,\n,2\n3,\n")
    context = ToolContext(workdir=tmp_path / "run")
    for share in (0, 0.25):
        with pytest.raises(DataError, match="impute_missing"):
            train_model(
                data=load_data(str(path), context), target="a", features=["b"], context=context, test_share=share
            )


def test_published_error(dabench: Path) -> None:
    """A published error of a regression with a 70-30 split and seed 42 is met."""
    model = fitted(dabench / "unemployement_industry.csv", target="Mar.2020", features=["Mar.2019"], test_share=0.3)
    assert 11439.6 == round(model["test"]["mse"], 2)


def test_published_prediction(dabench: Path) -> None:
    """A published prediction for one row of the table is met."""
    features = [
        "timestamp",
        "num. calls answered",
        "num. calls abandoned",
        "num. calls transferred",
        "num. calls timed out",
        "avg. num. agents talking",
    ]
    steps = [
        step("f", "filter_rows", data="{{t.output}}", where="\"timestamp\" = TIMESTAMP '2017-04-13 12:00:00'"),
        step("m", "train_model", data="{{t.output}}", target="avg. num. agents staffed", features=features, test_share=0, predict="{{f.output}}"),
    ]  # fmt: skip
    found = outputs(steps, t=dabench / "20170413_000000_group_statistics.csv")["m"]["predictions"]
    assert [4] == [round(row["prediction"]) for row in found]
