"""Tables and arrays at the border of a call: read for its parameters, kept when it gives them back.

Never on the loop's thread.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

from planloom.engine.secrecy import read_output
from planloom.plan.frames import kind_of_frame
from planloom.plan.limits import Limits
from planloom.plan.redaction import Redactor
from planloom.plan.values import TableFoundError, normalise_output
from planloom.tools import Tool
from planloom.tools.annotations import ARRAY_CODEC
from planloom.tools.frames import Keeper

MAX_DEPTH: Final = 200
"""How deep in the arguments of a call arrays are looked for."""


class TableFolder(NamedTuple):
    """Where a call finds its tables and leaves them; they are named like its step. `folder` makes it."""

    folder: Callable[[], Path]
    step_id: str

    def read(self, tool: Tool, args: dict[str, Any]) -> dict[str, Any]:
        """Return arguments as the function takes them, tables and arrays read. Raises `ArgumentsError`, `DataError`."""
        folder = self.folder()
        return tool.read_tables(_with_arrays(args, folder), folder)

    def normalise(self, value: Any, limits: Limits, redactor: Redactor | None = None) -> Any:
        """Return what a tool gave back as a JSON value, with handles for tables. Raises `OutputError`."""
        try:
            return normalise_output(value, limits) if redactor is None else read_output(value, limits, redactor)
        except TableFoundError:
            return self.keep(value, limits, redactor)

    def keep(self, value: Any, limits: Limits, redactor: Redactor | None) -> Any:
        """As `normalise`, for a value that is known to hold a table, or an array that is no list of JSON."""
        keep_frame = Keeper(self.folder, self.step_id, redactor)

        def keep(found: Any) -> Any:
            if kind_of_frame(found) is not None:
                return keep_frame(found)
            from planloom.engine.arrays import keep_array  # the journal, SQLite and all

            return keep_array(found, self.folder, self.step_id)

        if redactor is None:
            return normalise_output(value, limits, keep=keep)
        return read_output(value, limits, redactor, keep)


def _with_arrays(value: Any, folder: Path, depth: int = 0) -> Any:
    """Return arguments with arrays in the place of their handles. Raises `DataError` for one that cannot be read."""
    if depth > MAX_DEPTH:
        return value
    if isinstance(value, list):
        return [_with_arrays(part, folder, depth + 1) for part in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    parts = cast("dict[str, Any]", value)
    if parts.get("codec") == ARRAY_CODEC and isinstance(parts.get("artifact"), str):
        from planloom.engine.arrays import read_array  # the journal, SQLite and all

        return read_array(parts, folder)
    return {name: _with_arrays(part, folder, depth + 1) for name, part in parts.items()}
