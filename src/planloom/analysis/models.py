"""Fits a model the way scikit-learn does, judges it on rows that it has not seen, and says everything about how.

Rule: whoever runs scikit-learn on the same rows in the same order, with the split, seed and encoding that the output
names, gets the same figures. Only the columns that are used are fetched, as arrays of numbers.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import Field
from typing_extensions import TypedDict

from planloom.analysis.columns import GROUPING, column_kinds, one_column, several_columns
from planloom.analysis.database import Database, import_extra, open_database
from planloom.analysis.model_inference import TESTS, CoefficientTest, coefficient_tests
from planloom.analysis.model_inputs import Inputs, Rows, fetch_given, fetch_rows, plan_inputs
from planloom.analysis.model_metrics import Metrics, classification_metrics, regression_metrics
from planloom.analysis.tables import Kind, Table, table_path
from planloom.analysis.wording import quoted
from planloom.errors import DataError

MAX_FEATURES: Final = 500
MAX_PREDICTIONS: Final = 1_000
"""Predictions that the output shows."""
MAX_FIGURES: Final = 200
"""Coefficients or importances that the output shows, the weightiest first."""
CLASSES_OF_NUMBERS: Final = 10
"""A target of whole numbers with at most so many different values is a class for a tree or forest."""
MAX_ITERATIONS: Final = 1_000
TREES: Final = 100

ModelKind = Literal["linear", "logistic", "tree", "forest"]
Task = Literal["auto", "regression", "classification"]
_filters = threading.Lock()
"""Held while the process's warning filters are changed, so that two fits do not restore each other's."""


class Prediction(TypedDict):
    """What the model says of one row."""

    row: Annotated[int, Field(description="Number of the row in `predict`, from 1")]
    prediction: Annotated[Any, Field(description="A number, or a class; null if a feature is missing")]
    probability: Annotated[float | None, Field(description="Of the class predicted")]


class Model(TypedDict):
    """A fitted model: how well it does, what it is made of, and what it predicts."""

    model: str
    task: Annotated[str, Field(description="regression or classification")]
    target: str
    features: list[str]
    n: Annotated[int, Field(description="Rows used")]
    missing_dropped: Annotated[int, Field(description="Rows left out for a missing value in target or features")]
    train_rows: int
    test_rows: int
    test: Annotated[Metrics | None, Field(description="On the rows held out; null without any")]
    train: Metrics
    intercept: float | list[float] | None
    coefficients: Annotated[
        dict[str, float], Field(description="By input, of a linear or logistic model of two classes")
    ]
    coefficient_tests: Annotated[dict[str, CoefficientTest], Field(description="By input, of a linear model")]
    class_coefficients: Annotated[
        dict[str, dict[str, float]], Field(description="By class, then by input, of three classes or more")
    ]
    importances: Annotated[dict[str, float], Field(description="By input, of a tree or forest; they sum to 1")]
    classes: Annotated[list[Any], Field(description="In order; of two, the last counts as positive")]
    predictions: list[Prediction]
    predictions_left_out: int
    method: Annotated[str, Field(description="Estimator, split, seed and encoding, in words")]
    notes: list[str]


def fit_model(
    data: Table,
    target: str,
    features: Sequence[str],
    folder: Path,
    *,
    kind: ModelKind,
    task: Task,
    test_share: float,
    seed: int,
    predict: Table | Sequence[Mapping[str, Any]] | None,
) -> Model:
    """Split, fit, judge and predict. Raises `DataError` for what cannot be fitted, with the reason."""
    if not 0 <= test_share < 1:
        raise DataError(f"`test_share` is {test_share}, not a share from 0 to under 1\nhint: 0.25 is usual")
    if not 0 <= seed < 2**32:
        raise DataError(f"`seed` is {seed}, not a whole number from 0 to 4,294,967,295")
    with open_database(folder) as database:
        inputs = _plan(database, data, target, features, kind, task, folder)
        rows = fetch_rows(database, table_path(data, folder), inputs)
    given = _fetch_predicted(predict, folder, inputs)
    train, test = _split(len(rows.target), test_share, seed)
    _check_rows(rows, train, inputs)
    final: Literal["regression", "classification"] = "classification" if inputs.classes else "regression"
    estimator, words = _estimator(kind, final, seed)
    notes = [*inputs.notes, *_fit(estimator, rows, train, inputs)]
    tests = _tests(estimator, rows, train, inputs, notes) if kind == "linear" else {}
    shown = list(given[:MAX_PREDICTIONS])
    split = f"train_test_split(test_size={test_share:g}, random_state={seed})" if test_share else "no rows held out"
    return {
        "model": kind,
        "task": final,
        "target": inputs.target,
        "features": [feature.name for feature in inputs.features],
        "n": len(rows.target),
        "missing_dropped": data["rows"] - len(rows.target),
        "train_rows": len(train),
        "test_rows": len(test),
        "test": _judge(estimator, rows, test, inputs) if len(test) else None,
        "train": _judge(estimator, rows, train, inputs),
        **_figures(estimator, inputs, notes),
        "coefficient_tests": tests,
        "classes": list(inputs.classes),
        "predictions": _predict(estimator, inputs, shown),
        "predictions_left_out": len(given) - len(shown),
        "method": f"scikit-learn {words}; {split}; {inputs.words}{f'; {TESTS}' if tests else ''}",
        "notes": notes,
    }


def _plan(
    database: Database,
    data: Table,
    target: str,
    features: Sequence[str],
    kind: ModelKind,
    task: Task,
    folder: Path,
) -> Inputs:
    """Which columns are used and how; whether the target is a number or a class."""
    path = table_path(data, folder)
    kinds = column_kinds(database, path)
    target = one_column(kinds, target, kinds_allowed=GROUPING, argument="target")
    chosen = several_columns(kinds, features, allowed=GROUPING, argument="features")
    if target in chosen:
        raise DataError(f"`features` has the target {quoted(target)}\nhint: predict it from other columns")
    if len(chosen) > MAX_FEATURES:
        raise DataError(f"`features` names {len(chosen):,} columns; at most {MAX_FEATURES} are used")
    decided = _decide_task(kind, task, kinds[target])
    return plan_inputs(
        database,
        path,
        kinds,
        chosen,
        target,
        classes=decided != "regression",
        drop_first=kind in ("linear", "logistic"),
        small=CLASSES_OF_NUMBERS if decided == "auto" else None,
    )


def _decide_task(kind: ModelKind, task: Task, target: Kind) -> Literal["regression", "classification", "auto"]:
    """The task that model, wish and target allow. `auto` is left for whole numbers, whose values must be counted."""
    if kind == "linear" and task == "classification":
        raise DataError('`model` is "linear", which predicts numbers\nhint: use "logistic" for classes')
    if kind == "logistic" and task == "regression":
        raise DataError('`model` is "logistic", which predicts classes\nhint: use "linear" for numbers')
    wanted = "regression" if kind == "linear" else "classification" if kind == "logistic" else task
    if wanted == "regression" and target not in ("integer", "number", "boolean"):
        raise DataError(
            f"`target` is a column of {target}, which is no number to predict\n"
            'hint: use model "logistic", "tree" or "forest" for classes, or convert it with derive_columns'
        )
    if wanted != "auto":
        return wanted
    return {"integer": "auto", "number": "regression"}.get(target, "classification")  # pyright: ignore[reportReturnType]


def _split(rows: int, test_share: float, seed: int) -> tuple[Any, Any]:
    """Positions of the rows to train on and of those held out, in scikit-learn's order."""
    numpy = import_extra("numpy", "models")
    positions = numpy.arange(rows)
    if test_share == 0 or rows == 0:
        return positions, positions[:0]
    try:
        return import_extra("sklearn.model_selection", "models").train_test_split(
            positions, test_size=test_share, random_state=seed
        )
    except ValueError as error:
        raise DataError(f"{rows} rows cannot be split with `test_share` {test_share:g}: {error}") from error


def _check_rows(rows: Rows, train: Any, inputs: Inputs) -> None:
    if len(train) < 2:
        raise DataError(
            f"only {len(rows.target)} rows have a value in the target and every feature, too few to train on\n"
            "hint: fill missing values with impute_missing, or use fewer features"
        )
    if inputs.classes and len(set(rows.target[train].tolist())) < 2:
        raise DataError("the rows to train on hold only one class\nhint: check the target, or change `seed`")


def _estimator(kind: ModelKind, task: str, seed: int) -> tuple[Any, str]:
    """The estimator with scikit-learn's defaults, and how to write it."""
    if kind == "linear":
        return import_extra("sklearn.linear_model", "models").LinearRegression(), "LinearRegression()"
    if kind == "logistic":
        made = import_extra("sklearn.linear_model", "models").LogisticRegression(max_iter=MAX_ITERATIONS)
        return made, f"LogisticRegression(max_iter={MAX_ITERATIONS}), which is penalised with C=1"
    ending = "Classifier" if task == "classification" else "Regressor"
    if kind == "tree":
        library = import_extra("sklearn.tree", "models")
        return getattr(library, f"DecisionTree{ending}")(
            random_state=seed
        ), f"DecisionTree{ending}(random_state={seed})"
    library = import_extra("sklearn.ensemble", "models")
    made = getattr(library, f"RandomForest{ending}")(n_estimators=TREES, random_state=seed)
    return made, f"RandomForest{ending}(n_estimators={TREES}, random_state={seed})"


def _fit(estimator: Any, rows: Rows, train: Any, inputs: Inputs) -> list[str]:
    """Fit, and say if that did not come to rest, or if the target has too many classes to learn."""
    if not inputs.classes:
        estimator.fit(rows.inputs[train], rows.target[train])
        return []
    with _filters, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimator.fit(rows.inputs[train], rows.target[train])
    notes: list[str] = []
    if 2 * len(inputs.classes) > len(rows.target):
        notes.append("The target has few rows per class; a number is predicted by task regression.")
    if max(getattr(estimator, "n_iter_", [0])) >= MAX_ITERATIONS:
        notes.append(f"The fit did not converge in {MAX_ITERATIONS:,} iterations; scale the features (scale_columns).")
    return notes


def _judge(estimator: Any, rows: Rows, part: Any, inputs: Inputs) -> Metrics:
    truth, guess = rows.target[part], estimator.predict(rows.inputs[part])
    if not inputs.classes:
        return regression_metrics(truth, guess)
    return classification_metrics(
        truth, guess, estimator.predict_proba(rows.inputs[part]), inputs.classes, estimator.classes_
    )


class _Figures(TypedDict):
    intercept: float | list[float] | None
    coefficients: dict[str, float]
    class_coefficients: dict[str, dict[str, float]]
    importances: dict[str, float]


def _figures(estimator: Any, inputs: Inputs, notes: list[str]) -> _Figures:
    """Coefficients or importances by input, the weightiest first if there are too many to show."""
    figures: _Figures = {"intercept": None, "coefficients": {}, "class_coefficients": {}, "importances": {}}
    if hasattr(estimator, "feature_importances_"):
        figures["importances"] = _named(inputs, estimator.feature_importances_, notes)
        return figures
    table = estimator.coef_ if estimator.coef_.ndim == 2 else [estimator.coef_]
    if len(table) == 1:
        figures["coefficients"] = _named(inputs, table[0], notes)
        intercept = estimator.intercept_
        figures["intercept"] = float(intercept if getattr(intercept, "ndim", 0) == 0 else intercept[0])
        return figures
    figures["intercept"] = [float(value) for value in estimator.intercept_]
    for code, values in zip(estimator.classes_, table, strict=True):
        figures["class_coefficients"][str(inputs.classes[int(code)])] = _named(inputs, values, notes)
    return figures


def _tests(estimator: Any, rows: Rows, train: Any, inputs: Inputs, notes: list[str]) -> dict[str, CoefficientTest]:
    """Tests of the coefficients that are shown; without any a note why."""
    used, truth = rows.inputs[train], rows.target[train]
    tests, note = coefficient_tests(used, truth, estimator.predict(used), inputs.names, estimator.coef_)
    notes += [note] if note else []
    if len(tests) <= MAX_FIGURES:
        return tests
    weights = dict(zip(inputs.names, estimator.coef_, strict=True))
    return {name: tests[name] for name in sorted(tests, key=lambda name: -abs(weights[name]))[:MAX_FIGURES]}


def _named(inputs: Inputs, values: Sequence[float], notes: list[str]) -> dict[str, float]:
    pairs = [(name, float(value)) for name, value in zip(inputs.names, values, strict=True)]
    if len(pairs) <= MAX_FIGURES:
        return dict(pairs)
    note = f"Of {len(pairs):,} inputs the {MAX_FIGURES} with the weightiest figures are shown."
    if note not in notes:
        notes.append(note)
    return dict(sorted(pairs, key=lambda pair: -abs(pair[1]))[:MAX_FIGURES])


def _fetch_predicted(
    predict: Table | Sequence[Mapping[str, Any]] | None, folder: Path, inputs: Inputs
) -> Sequence[Sequence[float] | None]:
    """The inputs of the rows to predict; None for a row in which one is missing."""
    if predict is None:
        return ()
    if not isinstance(predict, Mapping):
        return fetch_given(predict, inputs)
    path = table_path(predict, folder)
    with open_database(folder) as database:
        kinds = column_kinds(database, path)
        missing = [feature.name for feature in inputs.features if feature.name not in kinds]
        if missing:
            raise DataError(f"`predict` has no column {quoted(missing[0])}\nhint: it needs every feature by its name")
        return fetch_rows(database, path, inputs, to_predict=True).whole_rows()


def _predict(estimator: Any, inputs: Inputs, rows: Sequence[Sequence[float] | None]) -> list[Prediction]:
    numpy = import_extra("numpy", "models")
    whole = [row for row in rows if row is not None]
    if not whole:
        return [{"row": number, "prediction": None, "probability": None} for number, _ in enumerate(rows, 1)]
    matrix = numpy.asarray(whole, dtype=float)
    guesses = iter(estimator.predict(matrix))
    chances = iter(estimator.predict_proba(matrix).max(axis=1)) if inputs.classes else None
    found: list[Prediction] = []
    for number, row in enumerate(rows, 1):
        if row is None:
            found.append({"row": number, "prediction": None, "probability": None})
            continue
        guess = float(next(guesses))
        found.append(
            {
                "row": number,
                "prediction": inputs.classes[int(guess)] if inputs.classes else guess,
                "probability": None if chances is None else float(next(chances)),
            }
        )
    return found
