"""How well a model does: the usual figures, None where one is not defined, never NaN."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field
from typing_extensions import TypedDict

from planloom.analysis.database import import_extra


class Metrics(TypedDict):
    """Regression has the first four, classification the others."""

    n: int
    r2: float | None
    mse: Annotated[float | None, Field(description="Mean squared error")]
    rmse: float | None
    mae: Annotated[float | None, Field(description="Mean absolute error")]
    accuracy: float | None
    precision: Annotated[float | None, Field(description="Of the positive class; of three classes or more, their mean")]
    recall: float | None
    f1: float | None
    roc_auc: float | None
    confusion: Annotated[list[list[int]] | None, Field(description="Rows: true class, columns: predicted, in order")]


def regression_metrics(truth: Any, guess: Any) -> Metrics:
    """Figures about predicted numbers."""
    errors = truth - guess
    mse = float((errors**2).mean())
    spread = float(((truth - truth.mean()) ** 2).sum())
    metrics = _empty(len(truth))
    metrics["r2"] = _finite(1 - float((errors**2).sum()) / spread) if spread > 0 else None
    metrics["mse"], metrics["rmse"] = _finite(mse), _finite(math.sqrt(mse)) if math.isfinite(mse) else None
    metrics["mae"] = _finite(float(abs(errors).mean()))
    return metrics


def classification_metrics(
    truth: Any, guess: Any, chances: Any, classes: Sequence[Any], known: Sequence[float]
) -> Metrics:
    """Figures about predicted classes. `known` are the codes that the model was trained on, one per column of
    `chances`. Without a prediction of a class its precision counts as 0.
    """
    library = import_extra("sklearn.metrics", "models")
    codes = list(range(len(classes)))
    metrics = _empty(len(truth))
    metrics["accuracy"] = float((truth == guess).mean())
    mean = {"average": "binary", "pos_label": 1} if len(classes) == 2 else {"average": "macro", "labels": codes}
    precision, recall, f1, _ = library.precision_recall_fscore_support(truth, guess, zero_division=0, **mean)
    metrics["precision"], metrics["recall"], metrics["f1"] = float(precision), float(recall), float(f1)
    metrics["confusion"] = library.confusion_matrix(truth, guess, labels=codes).tolist()
    present = set(truth.tolist())
    if len(classes) == 2 and len(present) == 2 and len(known) == 2:
        metrics["roc_auc"] = _finite(float(library.roc_auc_score(truth, chances[:, 1])))
    elif len(classes) > 2 and present == set(known) and len(present) == len(classes):
        metrics["roc_auc"] = _finite(float(library.roc_auc_score(truth, chances, multi_class="ovr")))
    return metrics


def _empty(n: int) -> Metrics:
    return {
        "n": n, "r2": None, "mse": None, "rmse": None, "mae": None, "accuracy": None, "precision": None,
        "recall": None, "f1": None, "roc_auc": None, "confusion": None,
    }  # fmt: skip


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
