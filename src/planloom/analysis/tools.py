"""The tools of the data analyst, for the built-in playbook and for any plan that a planner writes.

Every tool is read-only: it reads the named file and writes only into the run's own folder. None asks a model. The work
is done in the modules beside this one; here are the signatures and the words that a planner reads.
"""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field

from planloom.analysis.anomalies import DEFAULT_THRESHOLD, Anomalies, detect_anomalies
from planloom.analysis.loading import ReadOptions, load_table
from planloom.analysis.statistics import Stats, describe_table
from planloom.analysis.summary import Summary, summarise
from planloom.analysis.tables import Table
from planloom.tools import Toolbox, ToolContext, tool

TIMEOUT_S: Final = 1800.0
"""For tables of many gigabytes; a plan may lower it."""


@tool(read_only=True, calls_model=False, retries=0, timeout_s=TIMEOUT_S)
def load_data(
    path: str,
    context: ToolContext,
    separator: str | None = None,
    encoding: str | None = None,
    header: bool | None = None,
) -> Table:
    """Read a CSV, TSV or Parquet file (also .csv.gz) as a table that the other tools take as `data`.

    Separator, encoding, header and the type of every column are found out from the file; `decisions` says how,
    and what was done about rows or cells that do not fit. Leave the overrides out unless a decision was wrong.
    The output is a handle (columns, number of rows, an opaque hash), never the rows themselves: pass it on
    whole, as `{{load.output}}`.

    Args:
        context: Filled in by the engine.
        path: The file. One file, never a pattern or an address.
        separator: One character, or `comma`, `semicolon`, `tab`, `pipe`. Found out if left out.
        encoding: Such as `utf-8` or `cp1252`. Found out if left out.
        header: Whether the first line names the columns. Found out if left out.
    """
    options = ReadOptions(separator, encoding, header)
    return load_table(path, context.workdir, options, context.report)


@tool(read_only=True, calls_model=False, retries=0, timeout_s=TIMEOUT_S)
def compute_stats(data: Table, context: ToolContext) -> Stats:
    """Describe every column of a table.

    `columns` has, for each column by name: its type, count, missing and distinct values, the most common text,
    the first and last date. `numeric` has, for each numeric column by name: count, mean, std (of a sample,
    ddof = 1), min, q25, median, q75, max (quartiles interpolated linearly). Take one figure with
    `{{stats.output.numeric["price"].mean}}`.

    Args:
        data: The output of load_data.
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

    `columns` has every numeric column by name with the number of anomalies, their share, the mean and deviation
    used, and up to five of the values with their row numbers, the most extreme first.

    Args:
        data: The output of load_data.
        context: Filled in by the engine.
        threshold: How many standard deviations count as far; 3 is usual.
    """
    return detect_anomalies(data, context.workdir, threshold)


@tool(read_only=True, calls_model=False, retries=0)
def generate_summary(stats: Stats, anomalies: Anomalies, context: ToolContext) -> Summary:
    """Sum up a table in exactly three sentences: what it is, what its numbers are like, what stands out.

    Args:
        stats: The output of compute_stats.
        anomalies: The output of find_anomalies for the same table.
        context: Filled in by the engine.
    """
    return summarise(stats, anomalies, has_model=context.worker_model is not None)


toolbox: Final = Toolbox([load_data, compute_stats, find_anomalies, generate_summary])
"""The four tools of the data analyst."""
