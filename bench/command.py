"""How long until the command answers? Whole processes in turns, processor time, interpreter included.

The floor is a process that imports the two libraries any such command needs.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import sysconfig
from pathlib import Path

from bench.measure import Row, compare

_FLOOR = [sys.executable, "-c", "import click, rich.console"]
_COMMAND = [str(Path(sysconfig.get_path("scripts")) / "planloom"), "--help"]


def rows(*, tiny: bool = False) -> list[Row]:
    """Measure `planloom --help`."""
    compared = compare(lambda: _process_s(_FLOOR), lambda: _process_s(_COMMAND), 2 if tiny else 15)
    return [compared.row("planloom --help over a process with click and rich", per=1, unit="ms", scale=1e3)]


def _process_s(command: list[str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
