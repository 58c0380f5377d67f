"""Text, bytes or Python objects become plain JSON values, bounded in size and depth.

What is not JSON is refused here, with its place, so that nothing behind this file has to think of it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final, cast

from planloom.errors import PlanFormatError
from planloom.plan.issues import Issue, IssueCode, pointer, shorten, with_article
from planloom.plan.limits import DEFAULT_LIMITS, Limits
from planloom.plan.step import Step

_CONTAINER_BYTES: Final = 32
"""What a container counts for in the size of an object: it takes far more memory than its two brackets."""
_MAX_LEVELS_AROUND: Final = 8
"""Levels that a plan may have around its `args`, which have their own limit."""


def parse_json(text: str | bytes | bytearray, limits: Limits = DEFAULT_LIMITS) -> Any:
    """Parse strict JSON (RFC 8259: no NaN, no infinity). Raises `PlanFormatError` with the place."""
    if len(text) > limits.text_bytes:
        raise format_error(f"the text has more than {limits.text_bytes:,} bytes", code="limit")
    if not isinstance(text, str):
        try:
            text = text.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise format_error(f"the text is not UTF-8 (byte {error.start})") from None
    text = text.removeprefix("\ufeff")
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        raise format_error("the text is nested too deep to be a plan", code="limit") from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        near = shorten(text[error.pos : error.pos + 40], 40)
        what = "the text is empty" if not text.strip() else f"the text is not JSON: {error.msg} ({where}, at `{near}`)"
        raise format_error(what) from None
    except ValueError as error:
        raise format_error(f"the text is not JSON: {shorten(str(error))}") from None


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")


def copy_json_like(value: Any, limits: Limits) -> Any:
    """Copy an object that the caller may go on changing, as plain JSON values.

    Works without recursion, goes no deeper than JSON text of a plan could, and makes no more than such text
    could hold, however often the object contains itself or shares its parts. Raises for what is not JSON.
    """
    root: list[Any] = []
    bytes_left = limits.text_bytes
    deepest = limits.depth + _MAX_LEVELS_AROUND
    pending: list[tuple[Any, Iterator[tuple[Any, Any]]]] = [(root, iter([(0, value)]))]
    place: list[Any] = [""]
    while pending:
        parent, elements = pending[-1]
        for key, element in elements:
            place[-1] = key
            if isinstance(element, Step):
                element = element.to_dict()
            inner: Iterator[tuple[Any, Any]] | None = None
            copied: Any
            if isinstance(element, Mapping):
                copied, inner = {}, iter(cast("Mapping[Any, Any]", element).items())
            elif isinstance(element, list | tuple) or (len(pending) == 1 and isinstance(element, Sequence)):
                copied, inner = [], iter(enumerate(cast("Sequence[Any]", element)))
            else:
                copied = _copy_scalar(element, place)
            if isinstance(parent, dict):
                name = key if type(key) is str else _copy_key(key, place)
                cast("dict[str, Any]", parent)[name] = copied
                bytes_left -= len(name)
            else:
                parent.append(copied)
            bytes_left -= len(copied) if type(copied) is str else 2 if inner is None else _CONTAINER_BYTES
            if bytes_left < 0:
                raise format_error(f"the plan has more than {limits.text_bytes:,} bytes", code="limit")
            if inner is not None:
                if len(pending) > deepest:
                    raise format_error(f"the plan is nested deeper than {limits.depth} levels", code="limit")
                pending.append((copied, inner))
                place.append("")
                break
        else:
            pending.pop()
            place.pop()
    return root[0]


def _copy_scalar(value: Any, place: list[Any]) -> Any:
    if value is None or type(value) in (str, bool, int):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return float(value)
    if isinstance(value, str):
        return str.__str__(value)  # an enum of texts becomes its text
    if isinstance(value, int):
        return int(value)
    what = f"the number {value}" if isinstance(value, float) else with_article(type(value).__name__)
    raise format_error(f"a plan is made of JSON values, and {what} is none", _shown_place(place))


def _copy_key(key: Any, place: list[Any]) -> str:
    if isinstance(key, str):
        return str.__str__(key)
    if isinstance(key, int | float | None) and not (isinstance(key, int) and key.bit_length() > 1_000):
        return json.dumps(key)  # as json.dumps itself would write the object
    raise format_error(
        f"the keys of a plan are text, and {with_article(type(key).__name__)} is none", _shown_place(place[:-1])
    )


def _shown_place(place: list[Any]) -> str:
    return pointer(*(shorten(str(part), 40) for part in islice(place, 1, None) if isinstance(part, str | int)))


def format_error(
    message: str, path: str = "", hint: str | None = None, code: IssueCode = "wrong-field-type"
) -> PlanFormatError:
    """Return the error for something that is no plan at all."""
    return PlanFormatError([Issue(code, "error", path, message, hint)])
