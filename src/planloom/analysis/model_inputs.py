"""What a model is fed: how each column becomes numbers, and those numbers as arrays.

Numbers stay, true is 1, dates become days since 1970, text becomes one column of 0 and 1 for each value. The encoding
is SQL, so that only numbers leave DuckDB; rows in which anything is missing are left out there.
"""

# ruff: noqa: S608 (names and texts enter SQL through `identifier` and `literal` alone)
from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Any, Final

from planloom.analysis.database import Database, identifier, import_extra, literal
from planloom.analysis.tables import Kind
from planloom.analysis.wording import quoted
from planloom.errors import DataError
from planloom.plan.suggest import did_you_mean

MAX_CATEGORIES: Final = 100
"""Most values of one text feature."""
MAX_CLASSES: Final = 100
MAX_INPUTS: Final = 5_000
MAX_GIVEN_ROWS: Final = 10_000
_DAY_S: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class Feature:
    """One column and how it becomes numbers."""

    name: str
    kind: Kind
    categories: tuple[str, ...] | None
    """The values that get an input of their own; None for a number."""
    base: str | None = None
    """The value that gets none, as it is 0 in all others."""

    @property
    def inputs(self) -> list[str]:
        """The names of its inputs."""
        return [self.name] if self.categories is None else [f"{self.name}={text}" for text in self.categories]

    @property
    def sql(self) -> list[str]:
        """Its inputs as SQL."""
        cell = identifier(self.name)
        if self.categories is not None:
            return [f"({cell}::VARCHAR = {literal(text)})::INTEGER::DOUBLE" for text in self.categories]
        if self.kind == "date":
            return [f"epoch({cell}::TIMESTAMP) / {_DAY_S}"]
        if self.kind == "time":
            return [f"epoch({cell})::DOUBLE"]
        return [f"{cell}::DOUBLE"]


@dataclass(frozen=True, slots=True)
class Inputs:
    """How a model is fed."""

    features: tuple[Feature, ...]
    target: str
    classes: tuple[Any, ...]
    """The values of the target, in order; empty when it is a number."""
    class_texts: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def names(self) -> list[str]:
        """The names of all inputs, in order."""
        return [name for feature in self.features for name in feature.inputs]

    @property
    def words(self) -> str:
        """The encoding, in words."""
        said: list[str] = ["rows in the order of the table, those with a missing value left out"]
        texts = [feature for feature in self.features if feature.categories is not None]
        for feature in texts[:20]:
            base = f", against {feature.base!r}" if feature.base is not None else ""
            said.append(f"{quoted(feature.name)} one-hot encoded{base}")
        dates = [feature.name for feature in self.features if feature.kind == "date"]
        if dates:
            said.append(f"days since 1970-01-01 for {', '.join(map(quoted, dates[:20]))}")
        if len(self.classes) == 2:
            said.append(f"the positive class is {self.classes[1]!r}")
        elif self.classes:
            said.append("precision, recall and F1 are unweighted means over the classes (macro)")
        return "; ".join(said)


@dataclass(frozen=True, slots=True)
class Rows:
    """Arrays of 64-bit floats: `inputs` is (rows, inputs), `target` is (rows,), as a number or a class's place."""

    inputs: Any
    target: Any

    def whole_rows(self) -> list[list[float] | None]:
        """The rows as lists; None for one in which something is missing."""
        return [None if any(map(math.isnan, row)) else row for row in self.inputs.tolist()]


def plan_inputs(
    database: Database,
    path: Path,
    kinds: Mapping[str, Kind],
    chosen: Sequence[str],
    target: str,
    *,
    classes: bool,
    drop_first: bool,
    small: int | None,
) -> Inputs:
    """Decide how each column is fed. Raises `DataError` for too many categories or classes.

    `classes`: the target's values are classes; with `small`, only if there are at most so many of them.
    """
    source = database.parquet(path)
    features: list[Feature] = []
    notes: list[str] = []
    for name in chosen:
        if kinds[name] != "text":
            features.append(Feature(name, kinds[name], None))
            continue
        values = [text for _, text in _values(database, source, name, MAX_CATEGORIES)]
        if len(values) > MAX_CATEGORIES:
            raise DataError(
                f"`features` names {quoted(name)}, a text with more than {MAX_CATEGORIES} different values\n"
                'hint: leave it out, or turn it into numbers first: encode_categories with method "frequency"'
            )
        dropped = drop_first and bool(values)
        features.append(Feature(name, "text", tuple(values[dropped:]), values[0] if dropped else None))
    found: list[tuple[Any, str]] = []
    if classes:
        found = _values(database, source, target, MAX_CLASSES)
        if small is not None and len(found) > small:
            notes.append(f"{quoted(target)} has more than {small} different numbers, so it is predicted as a number.")
            found = []
        elif len(found) > MAX_CLASSES:
            raise DataError(
                f"`target` is {quoted(target)}, with more than {MAX_CLASSES} different values, too many for classes\n"
                'hint: task "regression" predicts a number; or bin the target first with bin_column'
            )
        elif len(found) < 2:
            raise DataError(f"`target` is {quoted(target)}, which has fewer than two different values to tell apart")
        elif small is not None:
            notes.append(f"{quoted(target)} has {len(found)} different values, so they are predicted as classes.")
    inputs = Inputs(
        tuple(features), target, tuple(value for value, _ in found), tuple(text for _, text in found), tuple(notes)
    )
    if not 1 <= len(inputs.names) <= MAX_INPUTS:
        raise DataError(f"the features make {len(inputs.names):,} inputs; 1 to {MAX_INPUTS:,} are possible")
    return inputs


def _values(database: Database, source: str, name: str, most: int) -> list[tuple[Any, str]]:
    """The values of a column in order, as JSON and as text, and one more than `most` if there are more."""
    cell = identifier(name)
    rows = database.rows(
        f"SELECT {cell}, {cell}::VARCHAR FROM {source} WHERE {cell} IS NOT NULL GROUP BY {cell} ORDER BY {cell} "
        f"LIMIT {most + 1}"
    )
    return [(value if isinstance(value, bool | int | float | str) else text, str(text)) for value, text in rows]


def fetch_rows(database: Database, path: Path, inputs: Inputs, *, to_predict: bool = False) -> Rows:
    """The rows as numbers, in the order of the table; to train on, those with a missing value left out."""
    numpy = import_extra("numpy", "models")
    parts = [f"{sql} AS i{n}" for n, sql in enumerate(sql for feature in inputs.features for sql in feature.sql)]
    where = ""
    if not to_predict:
        parts.append(f"{_target_sql(inputs)} AS target")
        names = [inputs.target, *(feature.name for feature in inputs.features)]
        where = " WHERE " + " AND ".join(f"{identifier(name)} IS NOT NULL" for name in names)
    arrays = database.arrays(f"SELECT {', '.join(parts)} FROM {database.parquet(path)}{where}")
    target = arrays.pop("target", None)
    return Rows(numpy.column_stack(list(arrays.values())), target)


def _target_sql(inputs: Inputs) -> str:
    cell = identifier(inputs.target)
    if not inputs.classes:
        return f"{cell}::DOUBLE"
    values = ", ".join(map(literal, inputs.class_texts))
    return f"(list_position([{values}], {cell}::VARCHAR) - 1)::DOUBLE"


def fetch_given(rows: Sequence[Mapping[str, Any]], inputs: Inputs) -> list[list[float] | None]:
    """Rows that stand in the plan, as numbers. Raises `DataError` for a wrong name or kind."""
    if len(rows) > MAX_GIVEN_ROWS:
        raise DataError(f"`predict` has {len(rows):,} rows; at most {MAX_GIVEN_ROWS:,} are taken")
    known = [feature.name for feature in inputs.features]
    found: list[list[float] | None] = []
    for number, row in enumerate(rows, 1):
        for name in row:
            if name not in known:
                hint = did_you_mean(name, known) or f"the features are {', '.join(map(quoted, known[:20]))}"
                raise DataError(f"`predict` has {quoted(name)} in row {number}, which is no feature\nhint: {hint}")
        values = [_given(feature, row.get(feature.name), number) for feature in inputs.features]
        whole = [value for value in values if value is not None]
        found.append([x for value in whole for x in value] if len(whole) == len(values) else None)
    return found


def _given(feature: Feature, value: Any, row: int) -> list[float] | None:
    """One cell as its inputs, None if it is missing."""
    if value is None:
        return None
    wrong = f"`predict` has {value!r} for {quoted(feature.name)} in row {row}, which is not of kind {feature.kind}"
    if feature.categories is not None:
        text = str(value)
        if text not in feature.categories and text != feature.base:
            known = ", ".join(repr(item) for item in (feature.base, *feature.categories)[:20] if item is not None)
            raise DataError(f"{wrong[: wrong.rindex(', which')]}, a value that the model never saw\nhint: {known}")
        return [float(text == category) for category in feature.categories]
    try:
        if feature.kind == "date":
            moment = datetime.fromisoformat(str(value))
            return [moment.replace(tzinfo=moment.tzinfo or UTC).timestamp() / _DAY_S]
        if feature.kind == "time":
            clock = time.fromisoformat(str(value))
            return [clock.hour * 3600.0 + clock.minute * 60.0 + clock.second + clock.microsecond / 1e6]
        figure = float(value)
    except (TypeError, ValueError):
        raise DataError(wrong) from None
    return [figure] if math.isfinite(figure) else None
