"""What a goal may use when the user names no tools: the standard toolbox, and the analysis where it is installed.

The command line puts them together, because neither package knows of the other.
"""

from __future__ import annotations

from pathlib import Path

from planloom.cli.sources import has_analysis
from planloom.standard import standard_tools
from planloom.tools import Toolbox


def everyday_toolbox(root: Path) -> Toolbox:
    """Make the toolbox for everyday goals. Its `read_file` and `write_file` see the files below `root` alone.

    The tools of the analysis are in it when the extra `analysis` is installed. Raises UsageError when `root` is not a
    folder.
    """
    standard = standard_tools(root)
    if not has_analysis():
        return standard
    from planloom.analysis import toolbox  # DuckDB takes 0.3 s to import

    return standard + Toolbox.of(toolbox)
