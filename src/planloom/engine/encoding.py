"""Outputs as a journal holds them, where that is with the record itself.

Rule: what is written is the value as it was at that moment.
"""

from __future__ import annotations

from typing import Any, Final, cast

from planloom.journal.artifacts import ARTIFACT_KEY, MAX_INLINE_BYTES
from planloom.journal.lines import write_json

MAX_BYTES_PER_CHAR: Final = 6
"""Of text as JSON: a control character is written as an escape."""


def inline_json(output: Any) -> str | None:
    """Return the JSON of an output; None for one that may have to stand elsewhere, or is not JSON."""
    if isinstance(output, str) and len(output) * MAX_BYTES_PER_CHAR > MAX_INLINE_BYTES:
        return None
    if isinstance(output, dict) and ARTIFACT_KEY in cast("dict[str, Any]", output):
        return None
    try:
        written = write_json(output)
    except (TypeError, ValueError, RecursionError, OverflowError):
        return None
    size = len(written) if written.isascii() else len(written.encode(errors="backslashreplace"))
    return written if size <= MAX_INLINE_BYTES else None
