"""The tools of the data analyst, for the built-in playbook and for any plan that a planner writes.

Every tool is read-only: it reads the named file and writes only into the run's own folder. None asks a model. The work
is done in the modules beside this one; here are the signatures and the words that a planner reads.
"""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field

from planloom.analysis.anomalies import DEFAULT_THRESHOLD, Anomalies, detect_anomalies
from planloom.analysis.loading import ReadOptions, load_table
from planloom.analysis.output_tools import OUTPUT_TOOLS
from planloom.analysis.statistical_tools import STATISTICAL_TOOLS
from planloom.analysis.statistics import Stats, describe_table
from planloom.analysis.summary import Summary, summarise
from planloom.analysis.table_tools import TABLE_TOOLS
from planloom.analysis.tables import Table
from planloom.errors import DataError
from planloom.tools import Toolbox, ToolContext, tool

MAX_NAMED: Final = 20


class OnlyFiles(frozenset[str]):
    """As the `deps` of a run: `load_data` reads these files and no other, whatever the plan says."""


TIMEOUT_S: Final = 1800.0
"""For tables of many gigabytes; a plan may lower it."""


@tool(read_only=True, calls_model=False, retries=0, timeout_s=TIMEOUT_S)
def load_data(
    path: str,
    context: ToolContext,
    separator: str | None = None,
    encoding: str | None = None,
    header: bool | None = None,
    sheet: str | None = None,
) -> Table:
    """Read a CSV, TSV, JSON, Excel or Parquet file (gzip and zip too) as a table that other tools take as `data`.

    Separator, encoding, header and types are found out; `decisions` says how. The output is a handle, never the rows:
    pass it on whole, as `{{load.output}}`.

    Args:
        context: Filled in by the engine.
        path: One file, never a pattern or an address.
        separator: One character; only if the one found was wrong.
        encoding: Such as `cp1252`; likewise.
        header: Whether the first line names the columns; likewise.
        sheet: Of a workbook; the first that holds anything if left out.
    """
    if isinstance(context.deps, OnlyFiles) and path not in context.deps:
        raise DataError(
            f"`{path}` is none of the files that were given to be analysed\n"
            f"hint: they are {', '.join(f'`{name}`' for name in sorted(context.deps)[:MAX_NAMED])}"
        )
    options = ReadOptions(separator, encoding, header, sheet)
    return load_table(path, context.workdir, options, context.report)


@tool(read_only=True, calls_model=False, retries=0, timeout_s=TIMEOUT_S)
def compute_stats(data: Table, context: ToolContext) -> Stats:
    """Describe every column of a table; `numeric` has the figures of numeric ones (std with ddof 1).


    `{{stats.output.numeric["price"].mean}}`

    Args:
        data: A table.
        context: Filled in by the engine.
    """
    return describe_table(data, context.workdir)


@tool(read_only=True, calls_model=False, retries=0, timeout_s=TIMEOUT_S)
def find_anomalies(
    data: Table,
    context: ToolContext,
    threshold: Annotated[float, Field(gt=0, allow_inf_nan=False)] = DEFAULT_THRESHOLD,
) -> Anomalies:
    """Find values that lie far from the mean of their column: |x - mean| > threshold * standard deviation.

    Up to five values per column, the most extreme first. find_outliers has other methods.

    Args:
        data: A table.
        context: Filled in by the engine.
        threshold: In standard deviations.
    """
    return detect_anomalies(data, context.workdir, threshold)


@tool(read_only=True, calls_model=False, retries=0)
def generate_summary(stats: Stats, anomalies: Anomalies, context: ToolContext) -> Summary:
    """Sum up a table in exactly three sentences: what it is, what its numbers are like, what stands out.

    Args:
        stats: Of compute_stats.
        anomalies: Of find_anomalies for the same table.
        context: Filled in by the engine.
    """
    return summarise(stats, anomalies, has_model=context.worker_model is not None)


toolbox: Final = Toolbox(
    [load_data, compute_stats, find_anomalies, generate_summary, *STATISTICAL_TOOLS, *TABLE_TOOLS, *OUTPUT_TOOLS]
)
"""The tools of the data analyst."""
