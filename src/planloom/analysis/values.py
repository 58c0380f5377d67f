"""Turns what a database gives back into plain JSON values, each of bounded length. Pure.

Rule: no NaN, no infinity; dates in ISO 8601; whole decimals as integers; anything else as text.
"""

from __future__ import annotations

import math
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, Final

TEXT_CHARACTERS: Final = 200
"""Characters that are kept of a text value."""

Plain = str | int | float | bool | None
"""One cell as JSON."""


def plain(value: Any) -> Plain:
    """`value` as a JSON value; None for what is missing or not finite, text cut after `TEXT_CHARACTERS`."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, datetime):
        at_midnight = (value.hour, value.minute, value.second, value.microsecond) == (0, 0, 0, 0)
        return value.date().isoformat() if at_midnight else value.isoformat()
    if isinstance(value, date | time):
        return value.isoformat()
    text = str(value)
    return text if len(text) <= TEXT_CHARACTERS else f"{text[: TEXT_CHARACTERS - 1]}…"


def finite(value: float | None) -> float | None:
    """`value` as a float, None if it is not a finite number."""
    return float(value) if value is not None and math.isfinite(value) else None
