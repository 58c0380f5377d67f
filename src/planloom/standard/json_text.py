"""JSON in text that came from elsewhere: read strictly, so that every value can pass between steps.

NaN, infinities, numbers too large for a float and nesting without end are "not JSON" here, as they are to the engine.
"""

from __future__ import annotations

import json
import math
from typing import Any, Final, NoReturn

MAX_INTEGER_DIGITS: Final = 1_000


def read_json(text: str) -> Any:
    """Return the value that `text` is the JSON of. Raises ValueError, with a place in its message."""
    try:
        return _checked(_DECODER.decode(text.removeprefix("\ufeff")), text)
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def read_first_json(text: str) -> Any:
    """Return the first JSON object or list inside other text, such as a fenced one. Raises ValueError."""
    starts = [start for start in (text.find("{"), text.find("[")) if start >= 0]
    if not starts:
        raise ValueError("there is no JSON object or list in it")
    try:
        return _checked(_DECODER.raw_decode(text, min(starts))[0], text)
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def _checked(value: Any, text: str) -> Any:
    """Refuse half a character (a lone surrogate), which JSON can spell and no file or database takes."""
    if "\\ud" in text or "\\uD" in text:
        json.dumps(value, ensure_ascii=False).encode("utf-8")  # UnicodeEncodeError is a ValueError
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError("it holds a number that is too large")
    return number


def _whole(digits: str) -> int:
    if len(digits) > MAX_INTEGER_DIGITS:
        raise ValueError("it holds a number that is too large")
    return int(digits)


_DECODER: Final = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite, parse_int=_whole)
