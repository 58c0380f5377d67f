"""JSON as commands print it: one document, or one event per line. Pure ASCII, whatever the text holds.

ASCII because a lone surrogate has no UTF-8, and because the reader's encoding is not ours to guess.
"""

from __future__ import annotations

import json
import math
from typing import Any, Final, cast

from planloom.plan.issues import Issue, has_errors

DOCUMENT_VERSION: Final = 1


def write_document(document: dict[str, Any], *, for_people: bool) -> str:
    """Return a document as text that ends with a newline; indented when a person will see it."""
    return _dumps(document, indent=2 if for_people else None) + "\n"


def write_line(document: dict[str, Any]) -> str:
    """Return a document on one line that ends with a newline."""
    return _dumps(document, indent=None) + "\n"


def write_answer(answer: Any) -> str:
    """Return a run's answer for a person: text as it is, anything else as JSON; ends with a newline."""
    if isinstance(answer, str):
        return answer if answer.endswith("\n") else answer + "\n"
    try:
        return json.dumps(answer, indent=2, ensure_ascii=False) + "\n"
    except (ValueError, RecursionError):
        return _dumps(answer, indent=None) + "\n"


def verdict(issues: list[Issue]) -> dict[str, Any]:
    """Return the document of `planloom validate --json`."""
    return {
        "version": DOCUMENT_VERSION,
        "valid": not has_errors(issues),
        "issues": [issue.to_dict() for issue in issues],
    }


def _dumps(value: Any, indent: int | None) -> str:
    separators = (",", ":") if indent is None else None
    try:
        return json.dumps(value, indent=indent, separators=separators, allow_nan=False)
    except ValueError:
        # 1e999 in a plan is read as infinity, for which JSON has no number
        return json.dumps(_finite(value), indent=indent, separators=separators, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in cast("dict[Any, Any]", value).items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in cast("list[Any]", value)]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
