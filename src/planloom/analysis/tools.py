"""The tools of the data analyst, for the built-in playbook and for any plan that a planner writes.

Every tool is read-only: it reads the named file and writes only into the run's own folder. None asks a model. The work
is done in the modules beside this one; here are the signatures and the words that a planner reads.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
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


@dataclass(frozen=True, slots=True)
class DataFiles:
    """As the `deps` of a run: what `load_data` reads, whatever the plan says.

    `only` are the names of the files that it may read, None for any; `folder` is where a relative name leads from, by
    default the current one.
    """

    only: frozenset[str] | None = None
    folder: Path | None = None

    def find(self, name: str) -> str:
        """Return where a file is. Raises `DataError` for one that may not be read."""
        if self.only is not None and name not in self.only:
            raise DataError(
                f"`{name}` is none of the files that were given to be analysed\n"
                f"hint: they are {', '.join(f'`{one}`' for one in sorted(self.only)[:MAX_NAMED])}"
            )
        return name if self.folder is None else str(self.folder / name)


TIMEOUT_S: Final = 1800.0
"""For tables of many gigabytes; a plan may lower it."""


@tool(read_only=True, calls_model=False, retries=0, timeout_s=TIMEOUT_S)
def load_data(  # noqa: D417 (a planner pays for every word; names and types say the rest)
    path: str,
    context: ToolContext,
    separator: str | None = None,
    encoding: str | None = None,
    header: bool | None = None,
    sheet: str | None = None,
) -> Table:
    """Read a CSV, TSV, JSON, Excel or Parquet file (gzip, zip too); `path` names one file.

    Separator, encoding and header are found out: give them only if what was found was wrong. The output is a handle,
    never rows: pass it on whole, as `{{load.output}}`.

    Args:
        sheet: Of a workbook.
    """
    found = context.deps.find(path) if isinstance(context.deps, DataFiles) else path
    options = ReadOptions(separator, encoding, header, sheet)
    return load_table(found, context.workdir, options, context.report)


@tool(read_only=True, calls_model=False, retries=0, timeout_s=TIMEOUT_S)
def compute_stats(data: Table, context: ToolContext) -> Stats:
    """Describe every column; `numeric` has the figures of numeric ones (std with ddof 1).

    `{{stats.output.numeric["price"].mean}}`
    """
    return describe_table(data, context.workdir)


@tool(read_only=True, calls_model=False, retries=0, timeout_s=TIMEOUT_S)
def find_anomalies(
    data: Table,
    context: ToolContext,
    threshold: Annotated[float, Field(gt=0, allow_inf_nan=False)] = DEFAULT_THRESHOLD,
) -> Anomalies:
    """Find values far from their column's mean: |x - mean| > threshold * std; suspected codes for missing (-999).

    Up to five values per column. find_outliers has other methods.
    """
    return detect_anomalies(data, context.workdir, threshold)


@tool(read_only=True, calls_model=False, retries=0)
def generate_summary(stats: Stats, anomalies: Anomalies, context: ToolContext) -> Summary:
    """Sum up a table in three sentences, from compute_stats and find_anomalies of it."""
    return summarise(stats, anomalies, has_model=context.worker_model is not None)


toolbox: Final = Toolbox(
    [load_data, compute_stats, find_anomalies, generate_summary, *STATISTICAL_TOOLS, *TABLE_TOOLS, *OUTPUT_TOOLS]
)
"""The tools of the data analyst."""
