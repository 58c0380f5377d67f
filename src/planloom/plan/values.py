"""Values that pass between steps: plain JSON, bounded, never shared.

What a tool returns is brought into that form at the step's boundary, or refused with a reason. Copies are
made on the way in, so that no step can change another's values.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import AsyncIterator, Awaitable, Iterator, Mapping
from typing import Any, Final, cast

from planloom.plan.limits import DEFAULT_LIMITS, Limits
from planloom.plan.references import render_segment

_SCALARS: Final = frozenset({str, int, bool, type(None)})
_MAX_INTEGER_BITS: Final = 4_096


class OutputError(ValueError):
    """A value that cannot pass between steps."""


def copy_json(value: Any) -> Any:
    """Return a deep copy of a JSON value; scalars are returned as they are."""
    kind = type(value)
    if kind is dict:
        return {key: element if type(element) in _SCALARS else copy_json(element) for key, element in value.items()}
    if kind is list:
        return [element if type(element) in _SCALARS else copy_json(element) for element in value]
    return value


def normalise_output(value: Any, limits: Limits = DEFAULT_LIMITS) -> Any:
    """Return what a tool gave back as a JSON value.

    Pydantic models, dataclasses, tuples, sets, enums, dates, decimals and the like become the JSON that
    pydantic writes for them. Raises `OutputError` for what has no JSON form, NaN and infinities, circles,
    generators, and values past `limits.output_bytes` or `limits.output_depth`.
    """
    kind = type(value)
    if kind is str:
        if len(value) > limits.output_bytes:
            raise OutputError(_too_large(limits))
        return value
    if kind is bool or value is None:
        return value
    return _Normaliser(limits).normalise(value, "", 0)


def _too_large(limits: Limits) -> str:
    return (
        f"the output is larger than {limits.output_bytes:,} bytes (limit `output_bytes`); "
        "write it to a file and return its name, or return a part"
    )


class _Normaliser:
    """Walks one output, counting its size and the containers it is inside of."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.bytes_left = limits.output_bytes
        self.inside: set[int] = set()

    def normalise(self, value: Any, place: str, depth: int) -> Any:
        kind = type(value)
        if kind is str:
            self.bytes_left -= len(value) + 2
        elif kind is int:
            # text of a huge integer takes quadratic time to write, and no JSON reader takes it
            if value.bit_length() > _MAX_INTEGER_BITS:
                raise OutputError(f"{_at(place)}is a whole number of more than {_MAX_INTEGER_BITS} bits")
            self.bytes_left -= 8
        elif kind is float:
            if not math.isfinite(value):
                raise OutputError(f"{_at(place)}is {value}, which JSON cannot hold; return None where there is no number")
            self.bytes_left -= 8
        elif kind is bool or value is None:
            self.bytes_left -= 4
        else:
            return self._container(value, place, depth)
        if self.bytes_left < 0:
            raise OutputError(_too_large(self.limits))
        return value

    def _container(self, value: Any, place: str, depth: int) -> Any:
        if depth >= self.limits.output_depth:
            raise OutputError(f"the output is nested deeper than {self.limits.output_depth} levels")
        if id(value) in self.inside:
            raise OutputError(f"{_at(place)}contains itself, so it has no JSON form")
        # also bounds values that share parts: a list of two references to one list, sixty times over
        self.bytes_left -= 16
        if self.bytes_left < 0:
            raise OutputError(_too_large(self.limits))
        self.inside.add(id(value))
        try:
            if isinstance(value, dict):
                return self._object(cast(dict[Any, Any], value), place, depth)
            if isinstance(value, list | tuple | set | frozenset):
                return self._list(value, place, depth)
            return self.normalise(self._convert(value, place), place, depth + 1)
        finally:
            self.inside.discard(id(value))

    def _object(self, value: Mapping[Any, Any], place: str, depth: int) -> dict[str, Any]:
        copied: dict[str, Any] = {}
        for key, element in value.items():
            name = key if type(key) is str else self._key(key, place)
            self.bytes_left -= len(name) + 4
            copied[name] = self.normalise(element, place + render_segment(name) if depth < 8 else place, depth + 1)
        return copied

    def _key(self, key: Any, place: str) -> str:
        if isinstance(key, bool):
            return "true" if key else "false"
        if isinstance(key, str | int):
            return str(key.value) if hasattr(key, "value") else str(key)
        if key is None:
            return "null"
        if isinstance(key, float) and math.isfinite(key):
            return repr(key)
        converted = self._convert(key, place)
        if isinstance(converted, str):
            return converted
        raise OutputError(f"{_at(place)}has a key of type {type(key).__name__}; JSON keys are text")

    def _list(self, value: Any, place: str, depth: int) -> list[Any]:
        copied: list[Any] = []
        for index, element in enumerate(value):
            copied.append(self.normalise(element, f"{place}[{index}]" if depth < 8 else place, depth + 1))
        return copied

    def _convert(self, value: Any, place: str) -> Any:
        """Return the JSON-like form of one value that is no plain JSON, without looking into its parts."""
        if isinstance(value, Iterator | AsyncIterator):
            raise OutputError(f"{_at(place)}is a {type(value).__name__}; return a list of what it yields")
        if isinstance(value, Awaitable):
            close = getattr(value, "close", None)
            if callable(close):
                close()
            raise OutputError(f"{_at(place)}is a coroutine that nobody awaited; make the tool `async def`")
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
        # pydantic takes 60 ms to import; only values that are no plain JSON need it
        from pydantic import BaseModel
        from pydantic_core import PydanticSerializationError, to_jsonable_python

        if isinstance(value, BaseModel):
            return {name: getattr(value, name) for name in [*type(value).model_fields, *type(value).model_computed_fields]} | (
                value.model_extra or {}
            )
        try:
            return to_jsonable_python(value, inf_nan_mode="constants")
        except (PydanticSerializationError, ValueError, RecursionError, TypeError):
            raise OutputError(
                f"{_at(place)}is a {type(value).__name__}, which has no JSON form; "
                "return text, numbers, lists, objects, dataclasses or pydantic models"
            ) from None


def _at(place: str) -> str:
    return f"the output{place} " if place else "the output "
