"""What does it cost to import Planloom? Fresh interpreters in turns, processor time of the import alone.

The floor is what any asyncio program with typed data imports anyway. Starting the interpreter is not counted:
it would make every ratio look better.
"""

from __future__ import annotations

import subprocess
import sys

from bench.measure import Row, compare

BOUND = 1.3
_TIMED = "import time; began = time.process_time(); {0}; print(time.process_time() - began)"
_FLOOR = "import asyncio, pydantic"
_FLOOR_IN_USE = "import asyncio, pydantic; pydantic.TypeAdapter"  # pydantic, too, loads its names when they are used
_EVERY_NAME = "import planloom; [getattr(planloom, name) for name in planloom.__all__]"


def rows(*, tiny: bool = False) -> list[Row]:
    """Measure the import, and the use of every public name."""
    pairs = 2 if tiny else 15
    return [
        _row("import planloom over import asyncio, pydantic", _FLOOR, "import planloom", pairs, BOUND),
        _row("every public name over pydantic.TypeAdapter", _FLOOR_IN_USE, _EVERY_NAME, pairs, None),
    ]


def _row(question: str, floor: str, statement: str, pairs: int, bound: float | None) -> Row:
    compared = compare(lambda: _import_s(floor), lambda: _import_s(statement), pairs)
    return compared.row(question, per=1, unit="ms", scale=1e3, bound=bound)


def _import_s(statement: str) -> float:
    command = [sys.executable, "-c", _TIMED.format(statement)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
