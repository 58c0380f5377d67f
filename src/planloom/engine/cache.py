"""Outputs that are used again: what identifies a call, and which outputs may stand for it in another run.

Rule: a call is the same when tool, version and arguments are. Only the journal that has the output knows of it, so an
entry goes with the run that made it.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any, Final, NamedTuple, cast

from planloom.plan.redaction import Redactor
from planloom.tools import Tool

HANDLE_KEY: Final = "artifact"
_HASH: Final = re.compile(r"[0-9a-f]{64}")


class Recalled(NamedTuple):
    """An output of an earlier call, and the run that made it."""

    run_id: str
    output: Any


def cache_key(tool: Tool, args: dict[str, Any], redactor: Redactor | None) -> str | None:
    """Return what identifies a call, or None for one whose output must not be used again: a secret is in it."""
    if redactor is not None and redactor.clean(args) is not args:
        return None
    function = [getattr(tool, "__module__", None), getattr(tool, "__qualname__", None)]
    call = [tool.name, tool.version, function, args]
    try:
        written = json.dumps(call, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return None
    return hashlib.sha256(written.encode()).hexdigest()


def may_be_reused(output: Any) -> bool:
    """Whether an output means the same in another run: a handle, such as that of a table, is a file of its own run."""
    pending: list[Any] = [output]
    while pending:
        part = pending.pop()
        if isinstance(part, dict):
            parts = cast("dict[str, Any]", part)
            handle = parts.get(HANDLE_KEY)
            if isinstance(handle, str) and _HASH.fullmatch(handle):
                return False
            pending += parts.values()
        elif isinstance(part, list):
            pending += cast("list[Any]", part)
    return True
