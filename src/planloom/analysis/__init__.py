"""A data analyst on tables in files of many forms: what `planloom analyse` runs, and the first thing to try.

    database    a locked DuckDB connection              source, dialect    what a file is, how it is cut
    tables      handles that stand for tables           formats, cells     what its cells mean
    loading     a file becomes a table                  clean              the same in one pass, if nothing is odd
    doubts, totals, decisions                           what is said about how it was read
    statistics, anomalies, sentinels, summary           what is found and said
    kept_figures                                        what several steps need, computed once
    tools       the first four of them as tools         statistical_tools, table_tools, output_tools   the others
    playbook    the saved plan that joins them          analyst            `analyse`: the plan bound and run
    question    a question about files, by a model      tracing            which step gave each number of its answer
    query, sandbox                                      one SELECT, in a process of its own
    charts      drawings for the report                 report             the run as one HTML or Markdown page
    wording     numbers as people write them            written_numbers, figure_marks   and as they are read

Needs the extra `analysis` (DuckDB, Jinja). Names are loaded when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from planloom.analysis.analyst import Analysis, TableAnalysis, analyse, analysis_of
    from planloom.analysis.playbook import load_playbook
    from planloom.analysis.report import render_report
    from planloom.analysis.tools import (
        compute_stats,
        find_anomalies,
        generate_summary,
        load_data,
        toolbox,
    )
    from planloom.errors import DataError

__all__ = [
    "Analysis",
    "DataError",
    "TableAnalysis",
    "analyse",
    "analysis_of",
    "compute_stats",
    "find_anomalies",
    "generate_summary",
    "load_data",
    "load_playbook",
    "render_report",
    "toolbox",
]

_HOMES = {
    "planloom.analysis.analyst": ("Analysis", "TableAnalysis", "analyse", "analysis_of"),
    "planloom.analysis.playbook": ("load_playbook",),
    "planloom.analysis.report": ("render_report",),
    "planloom.analysis.tools": ("compute_stats", "find_anomalies", "generate_summary", "load_data", "toolbox"),
    "planloom.errors": ("DataError",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
