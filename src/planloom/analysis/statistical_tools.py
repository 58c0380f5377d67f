"""The statistical tools of the data analyst: their signatures, and the words that a planner reads.

Every tool is read-only on the data; some make a new table in the run's own folder. The work is in the modules beside.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field

from planloom.analysis.comparisons import Comparison, Request, Test, compare
from planloom.analysis.correlations import Correlations, correlate_columns
from planloom.analysis.correlations import Method as CorrelationMethod
from planloom.analysis.distributions import Distribution, describe_distribution
from planloom.analysis.groups import (
    MEASURES,
    GroupSummary,
    Measure,
    ValueCounts,
    count_column_values,
    summarise_groups,
)
from planloom.analysis.independence import Independence, check_independence
from planloom.analysis.missing import MissingValues, count_missing_values
from planloom.analysis.outliers import Keep, Outliers, detect_outliers, drop_outliers
from planloom.analysis.outliers import Method as OutlierMethod
from planloom.analysis.probability import Alternative
from planloom.analysis.profile import Profile, profile
from planloom.analysis.series import ChangeKind, Every, PeriodMeasure, add_change, resample_table
from planloom.analysis.tables import Table
from planloom.analysis.trends import Trend, find_line
from planloom.tools import ToolContext, tool

TIMEOUT_S: Final = 1800.0
"""For tables of many gigabytes; a plan may lower it."""

Alpha = Annotated[float, Field(gt=0, lt=1)]
Value = str | int | float | bool
NumericColumns = Annotated[list[str] | None, Field(description="All numeric ones if left out.")]
Threshold = Annotated[
    float | None,
    Field(description="Default 1.5 for iqr, 3 for z-score, 3.5 for mad; for isolation-forest the expected share."),
]
Ddof = Annotated[Literal[0, 1], Field(description="Of the z-score's deviation: 1 sample, 0 population.")]


@tool(read_only=True, calls_model=False, retries=0, timeout_s=TIMEOUT_S)
def profile_table(data: Table, context: ToolContext) -> Profile:
    """Get to know a table: per column type, missing, distinct, figures, commonest values; duplicate rows; findings."""
    return profile(data, context.workdir)


@tool(read_only=True, calls_model=False, retries=0, timeout_s=TIMEOUT_S)
def count_missing(data: Table, context: ToolContext, columns: list[str] | None = None) -> MissingValues:
    """Count missing values per column, complete rows, and which columns are missing together.

    `{{m.output.columns["Age"].missing}}`
    """
    return count_missing_values(data, context.workdir, columns)


@tool(read_only=True, calls_model=False, retries=0, timeout_s=TIMEOUT_S)
def group_summary(
    data: Table,
    by: list[str],
    context: ToolContext,
    columns: NumericColumns = None,
    measures: list[Measure] = list(MEASURES),  # noqa: B006  # copied with every call
    order_by: Annotated[str, Field(description='"group", "rows" or a measure (of the first column).')] = "group",
    descending: bool = False,
    limit: int = 100,
) -> GroupSummary:
    """Measure columns per group of rows; by [] means the whole table.

    `{{g.output.groups[0].values["price"].mean}}`. std has ddof 1; a group of null comes last.
    """
    return summarise_groups(data, context.workdir, by, columns, measures, order_by, descending=descending, limit=limit)


@tool(read_only=True, calls_model=False, retries=0, timeout_s=TIMEOUT_S)
def count_values(data: Table, columns: list[str], context: ToolContext, limit: int = 20) -> ValueCounts:
    """Count how often each value of a column, or combination of several, occurs, the most frequent first."""
    return count_column_values(data, context.workdir, columns, limit)


@tool(read_only=True, calls_model=False, retries=0, timeout_s=TIMEOUT_S)
def analyse_distribution(
    data: Table, column: str, context: ToolContext, alpha: Alpha = 0.05, bins: int | None = None
) -> Distribution:
    """Describe a numeric column: moments, skewness, kurtosis, quantiles, histogram, normality tests.

    `{{d.output.normality.shapiro.p_value}}`, `{{d.output.quantiles["0.9"]}}`; dagostino is scipy's normaltest.
    """
    return describe_distribution(data, context.workdir, column, alpha, bins)


@tool(read_only=True, calls_model=False, retries=0, timeout_s=TIMEOUT_S)
def correlate(
    data: Table,
    context: ToolContext,
    columns: NumericColumns = None,
    target: Annotated[str | None, Field(description="Only pairs with this column.")] = None,
    method: CorrelationMethod = "pearson",
    limit: int = 50,
) -> Correlations:
    """Correlate numeric columns in pairs, with two-sided p-values, the strongest first.

    `{{c.output.pairs[0].r}}`, `{{c.output.matrix["a"]["b"]}}`
    """
    return correlate_columns(data, context.workdir, columns, target, method, limit)


@tool(read_only=True, calls_model=False, retries=0, timeout_s=TIMEOUT_S)
def compare_groups(
    data: Table,
    column: str,
    context: ToolContext,
    by: Annotated[str | None, Field(description="Column whose values make the groups.")] = None,
    groups: Annotated[list[Value] | None, Field(description="Only these values of `by`.")] = None,
    other: Annotated[str | None, Field(description="Compare with this column (paired-t, wilcoxon: in pairs).")] = None,
    value: Annotated[float | None, Field(description="Compare the mean with this number.")] = None,
    test: Test = "auto",
    alternative: Alternative = "two-sided",
    alpha: Alpha = 0.05,
) -> Comparison:
    """Test whether a numeric column differs between groups of rows, from another column, or from a value.

    auto: welch for two groups, anova for more. t assumes equal variances.
    """
    request = Request(column, by, groups, other, value, test, alternative, alpha)
    return compare(data, context.workdir, request)


@tool(name="test_independence", read_only=True, calls_model=False, retries=0, timeout_s=TIMEOUT_S)
def independence_test(  # a function called test_… would be taken for a test where it is imported
    data: Table,
    a: str,
    b: str,
    context: ToolContext,
    alpha: Alpha = 0.05,
    yates: Annotated[bool, Field(description="Correct a 2x2 table for continuity.")] = True,
) -> Independence:
    """Test whether two columns of categories depend on each other: chi-square, Cramér's V, Fisher's exact for 2x2."""
    return check_independence(data, context.workdir, a, b, alpha, yates=yates)


@tool(read_only=True, calls_model=False, retries=0, timeout_s=TIMEOUT_S)
def find_outliers(
    data: Table,
    context: ToolContext,
    columns: NumericColumns = None,
    method: OutlierMethod = "iqr",
    threshold: Threshold = None,
    ddof: Ddof = 1,
    show: Annotated[list[str] | None, Field(description="Other columns to show of each row, such as its name.")] = None,
    limit: int = 20,
) -> Outliers:
    """Find values that lie far out, with bounds, counts and rows.

    `{{o.output.columns["fare"].count}}`, `{{o.output.examples[*].shown.name}}`
    """
    return detect_outliers(data, context.workdir, columns, method, threshold, ddof, show, limit)


@tool(read_only=True, calls_model=False, retries=0, timeout_s=TIMEOUT_S)
def remove_outliers(
    data: Table,
    context: ToolContext,
    columns: NumericColumns = None,
    method: OutlierMethod = "iqr",
    threshold: float | None = None,
    ddof: Literal[0, 1] = 1,
    keep: Keep = "rest",
) -> Table:
    """Make a table without the rows that have an outlier (see find_outliers); keep "outliers": of those rows alone."""
    return drop_outliers(data, context.workdir, columns, method, threshold, ddof, keep)


@tool(read_only=True, calls_model=False, retries=0, timeout_s=TIMEOUT_S)
def resample(
    data: Table,
    time: str,
    every: Every,
    context: ToolContext,
    columns: list[str] | None = None,
    measure: PeriodMeasure = "mean",
    by: list[str] | None = None,
) -> Table:
    """Make a table with one row per period of a date column (and per group of `by`), columns named as before."""
    return resample_table(data, context.workdir, time, every, columns, measure, by)


@tool(read_only=True, calls_model=False, retries=0, timeout_s=TIMEOUT_S)
def find_trend(data: Table, time: str, column: str, context: ToolContext, alpha: Alpha = 0.05) -> Trend:
    """Find the trend of a column over time: slope per day (or unit of a numeric time), r2, p, Mann-Kendall, change."""
    return find_line(data, context.workdir, time, column, alpha)


@tool(read_only=True, calls_model=False, retries=0, timeout_s=TIMEOUT_S)
def compute_change(
    data: Table,
    time: str,
    column: str,
    context: ToolContext,
    periods: Annotated[int, Field(description="Rows back; for rolling-mean rows in the window.")] = 1,
    kind: ChangeKind = "difference",
    by: list[str] | None = None,
    name: Annotated[str | None, Field(description='Of the new column; else "COLUMN KIND".')] = None,
) -> Table:
    """Sort by time and add a column that says how another changed since `periods` rows before (percent: 5 is 5 %)."""
    return add_change(data, context.workdir, time, column, periods, kind, by, name)


STATISTICAL_TOOLS: Final = (
    profile_table,
    count_missing,
    group_summary,
    count_values,
    analyse_distribution,
    correlate,
    compare_groups,
    independence_test,
    find_outliers,
    remove_outliers,
    resample,
    find_trend,
    compute_change,
)
