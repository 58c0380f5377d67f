"""Tables at the border of a call: read for its parameters, kept when it gives them back. Never on the loop's thread."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from planloom.engine.secrecy import read_output
from planloom.plan.limits import Limits
from planloom.plan.redaction import Redactor
from planloom.plan.values import TableFoundError, normalise_output
from planloom.tools import Tool
from planloom.tools.frames import Keeper


class TableFolder(NamedTuple):
    """Where a call finds its tables and leaves them; they are named like its step. `folder` makes it."""

    folder: Callable[[], Path]
    step_id: str

    def read(self, tool: Tool, args: dict[str, Any]) -> dict[str, Any]:
        """Return arguments as the function takes them, its tables read. Raises `ArgumentsError`, `DataError`."""
        return tool.read_tables(args, self.folder())

    def normalise(self, value: Any, limits: Limits, redactor: Redactor | None = None) -> Any:
        """Return what a tool gave back as a JSON value, with handles for tables. Raises `OutputError`."""
        try:
            return normalise_output(value, limits) if redactor is None else read_output(value, limits, redactor)
        except TableFoundError:
            return self.keep(value, limits, redactor)

    def keep(self, value: Any, limits: Limits, redactor: Redactor | None) -> Any:
        """As `normalise`, for a value that is known to hold a table."""
        keep = Keeper(self.folder, self.step_id, redactor)
        if redactor is None:
            return normalise_output(value, limits, keep=keep)
        return read_output(value, limits, redactor, keep)
