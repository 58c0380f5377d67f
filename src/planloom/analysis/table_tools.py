"""The tools that make tables out of tables, query them and fit models: here are the signatures and a planner's words.

Every tool is read-only on its tables and writes new ones into the run's own folder. The work is done in `query`,
`features`, `joins` and `models`; SQL that a planner writes runs in `sandbox`.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import Field

from planloom.analysis.features import (
    Encoding,
    Filling,
    Scaling,
    bin_values,
    derive,
    encode,
    fill,
    filter_table,
    scale,
)
from planloom.analysis.joins import How, Joined, join
from planloom.analysis.models import Model, ModelKind, Task, fit_model
from planloom.analysis.query import MAX_ROWS, QueryResult, query_tables
from planloom.analysis.tables import Table
from planloom.errors import DataError
from planloom.tools import Tool, ToolContext, tool

TIMEOUT_S: Final = 1800.0
"""For tables of many gigabytes; a plan may lower it."""


@tool(read_only=True, calls_model=False, retries=0, timeout_s=TIMEOUT_S)
def query(
    sql: str,
    context: ToolContext,
    data: Table | None = None,
    tables: dict[str, Table] | None = None,
    values: dict[str, Any] | None = None,
    limit: Annotated[int, Field(ge=0, le=MAX_ROWS)] = 1000,
) -> QueryResult:
    """Run one SELECT (DuckDB SQL) on the table `data`, on named `tables`, or on figures of other steps alone.

    Quote names with blanks: "Happiness Score". To round or judge figures: SELECT round($r, 2) AS r, CASE WHEN
    $p < 0.05 THEN 'yes' ELSE 'no' END AS related. Cell: `{{q.output.rows[0].r}}`; column: `{{q.output.rows[*].r}}`;
    all of it as a table: `{{q.output.table}}`.

    Args:
        sql: SELECT.
        context: Filled in by the engine.
        data: A table.
        tables: By name.
        values: What $name stands for, such as {"p": "{{c.output.pairs[0].p_value}}"}.
        limit: Rows to show in `rows`.
    """
    named = dict(tables or {})
    if data is not None:
        if any(name.lower() == "data" for name in named):
            raise DataError("`tables` has a table `data` and there is `data` too\nhint: give it another name")
        named["data"] = data
    return query_tables(sql, named, context.workdir, limit, lambda: context.cancelled, values)


@tool(read_only=True, calls_model=False, retries=0, timeout_s=TIMEOUT_S)
def filter_rows(data: Table, where: str, context: ToolContext) -> Table:
    """Keep the rows for which an SQL condition is true, as a new table.

    Args:
        data: A table.
        where: Such as "Age" >= 18 AND "Sex" = 'male' AND "Fare" IS NOT NULL.
        context: Filled in by the engine.
    """
    return filter_table(data, where, context.workdir, lambda: context.cancelled)


@tool(read_only=True, calls_model=False, retries=0, timeout_s=TIMEOUT_S)
def derive_columns(data: Table, columns: dict[str, str], context: ToolContext) -> Table:
    """Add or replace columns by SQL expressions, as a new table.

    Args:
        data: A table.
        columns: New name to expression, such as {"size": "SibSp + Parch"}; later ones may use earlier ones.
        context: Filled in by the engine.
    """
    return derive(data, columns, context.workdir, lambda: context.cancelled)


@tool(read_only=True, calls_model=False, retries=0, timeout_s=TIMEOUT_S)
def bin_column(
    data: Table,
    column: str,
    context: ToolContext,
    bins: int = 5,
    edges: list[float | None] | None = None,
    method: Literal["width", "quantile"] = "width",
    labels: list[str] | None = None,
    name: str | None = None,
) -> Table:
    """Add a text column that says into which interval (a, b] a number falls, as a new table.

    group_summary lists the bins in their order with order_by min of the column itself.

    Args:
        data: A table.
        column: Numeric.
        context: Filled in by the engine.
        bins: Number.
        method: How.
        edges: The edges instead, rising; null at an end leaves it open.
        labels: One name per bin.
        name: Of the new column; default COLUMN_bin.
    """
    return bin_values(data, column, context.workdir, bins=bins, edges=edges, method=method, labels=labels, name=name)


@tool(read_only=True, calls_model=False, retries=0, timeout_s=TIMEOUT_S)
def encode_categories(
    data: Table,
    context: ToolContext,
    columns: list[str] | None = None,
    method: Encoding = "one-hot",
    drop_first: bool = False,
) -> Table:
    """Turn categories into numbers, as a new table: one-hot replaces a column by 0/1 columns NAME_VALUE,
    ordinal adds NAME_code, frequency adds NAME_frequency.

    Args:
        data: A table.
        context: Filled in by the engine.
        columns: Default: all text and boolean columns.
        method: How.
        drop_first: One-hot.
    """
    return encode(data, columns, method, context.workdir, drop_first=drop_first)


@tool(read_only=True, calls_model=False, retries=0, timeout_s=TIMEOUT_S)
def scale_columns(
    data: Table,
    context: ToolContext,
    columns: list[str] | None = None,
    method: Scaling = "standard",
    ddof: Literal[0, 1] = 0,
) -> Table:
    """Scale numeric columns in place, as a new table: standard (z-score), min-max (0 to 1), robust (median, IQR).

    Args:
        data: A table.
        context: Filled in by the engine.
        columns: Default: all numeric columns.
        method: How.
        ddof: Of the z-score's deviation; 0 as scikit-learn.
    """
    return scale(data, columns, method, context.workdir, ddof)


@tool(read_only=True, calls_model=False, retries=0, timeout_s=TIMEOUT_S)
def impute_missing(
    data: Table,
    method: Filling,
    context: ToolContext,
    columns: list[str] | None = None,
    value: float | str | bool | None = None,
) -> Table:
    """Fill missing cells, or drop the rows that have any, as a new table.

    Args:
        data: A table.
        method: How.
        context: Filled in by the engine.
        columns: Default: all for which the method makes sense.
        value: For the method constant.
    """
    return fill(data, columns, method, value, context.workdir)


@tool(read_only=True, calls_model=False, retries=0, timeout_s=TIMEOUT_S)
def join_tables(
    left: Table,
    right: Table,
    on: list[str] | dict[str, str],
    context: ToolContext,
    how: How = "inner",
    suffix: str = "_right",
) -> Joined:
    """Join two tables on equal keys: `{{j.output.table}}`, and what matched, such as `{{j.output.unmatched_left}}`.

    Args:
        left: A table.
        right: Another.
        on: Key columns, or {"name in left": "name in right"}.
        context: Filled in by the engine.
        how: Kind.
        suffix: For names of right that left has too.
    """
    return join(left, right, on, how, suffix, context.workdir)


@tool(read_only=True, calls_model=False, retries=0, timeout_s=TIMEOUT_S)
def train_model(
    data: Table,
    target: str,
    features: list[str],
    context: ToolContext,
    model: ModelKind = "linear",
    task: Task = "auto",
    test_share: Annotated[float, Field(ge=0, lt=1)] = 0.25,
    seed: int = 42,
    predict: Table | list[dict[str, Any]] | None = None,
) -> Model:
    """Fit a model as scikit-learn does and judge it on held-out rows (train_test_split with random_state=seed).

    `{{m.output.test.mse}}`, `{{m.output.coefficients["age"]}}`, `{{m.output.predictions[0].prediction}}`. Rows with a
    missing value are dropped; text is one-hot encoded, as inputs `town=Rome`. Linear: t tests of the coefficients.

    Args:
        data: A table.
        target: A column.
        features: Columns.
        context: Filled in by the engine.
        model: Kind.
        task: For a tree or forest; default: from the target.
        test_share: 0 trains on all rows.
        seed: Of the split, trees and forests.
        predict: Rows to predict, by feature name.
    """
    return fit_model(
        data,
        target,
        features,
        context.workdir,
        kind=model,
        task=task,
        test_share=test_share,
        seed=seed,
        predict=predict,
    )


TABLE_TOOLS: Final[tuple[Tool, ...]] = (
    query,
    filter_rows,
    derive_columns,
    bin_column,
    encode_categories,
    scale_columns,
    impute_missing,
    join_tables,
    train_model,
)
"""The tools of this module."""
