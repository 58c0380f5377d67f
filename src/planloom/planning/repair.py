"""The last resort for one broken step: `json-repair`, which guesses. Never given text that is JSON."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any, Final, cast

MAX_REPAIRED_CHARS: Final = 4_000
"""Length of one repaired piece; json-repair takes quadratic time on some texts, 3 s for 10,000 characters."""

_STEP_FIELDS: Final = frozenset({"tool", "args", "depends_on", "for_each"})
_WORD = re.compile(r"\w+")
_KEY_MARKS = re.compile(r"[\"'“”{}\[\]\n:,]")
_STRUCTURE = re.compile(r"[\"'”]\s*:|[{\[]\s*[\"'“]|[}\]]\s*,\s*[{\"'“]|,\s*[\"'“]|[}\]]\Z")


def repair_fields(text: str) -> dict[str, Any] | None:
    """Return the one object that `text` was probably meant to be, or None."""
    # json-repair takes 120 ms to import, and nearly no reply needs it
    import json_repair

    if len(text) > MAX_REPAIRED_CHARS:
        return None
    try:
        value: Any = json_repair.loads(f"[{text.strip().rstrip(',')}]", skip_json_loads=True)
    except (ValueError, RecursionError, TypeError, IndexError):
        return None
    if not isinstance(value, list):
        return None
    elements = cast("list[Any]", value)
    if len(elements) != 1 or not isinstance(elements[0], dict) or not _is_finite(elements[0]):
        return None
    fields = cast("dict[str, Any]", elements[0])
    if any(_is_muddled(value) for value in fields.values()) or any(map(_KEY_MARKS.search, fields)):
        return None
    lost = Counter(_WORD.findall(text)) - Counter(_WORD.findall(json.dumps(fields, ensure_ascii=False)))
    return None if lost else fields


def _is_muddled(value: Any) -> bool:
    """Return whether structure ended up in text, or fields of a step deeper inside: a wrong guess, surely."""
    if isinstance(value, str):
        return _STRUCTURE.search(value) is not None
    if isinstance(value, dict):
        fields = cast("dict[str, Any]", value)
        if not _STEP_FIELDS.isdisjoint(fields) or any(map(_KEY_MARKS.search, fields)):
            return True
        return any(map(_is_muddled, fields.values()))
    return isinstance(value, list) and any(map(_is_muddled, cast("list[Any]", value)))


def _is_finite(value: Any) -> bool:
    """Return whether every number inside is one that JSON can hold, and every key is text."""
    if isinstance(value, float):
        return value - value == 0
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_finite(inner) for key, inner in cast("dict[Any, Any]", value).items())
    return not isinstance(value, list) or all(_is_finite(inner) for inner in cast("list[Any]", value))
