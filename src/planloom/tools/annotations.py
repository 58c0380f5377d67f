"""Annotations that pydantic cannot describe, put in terms of what it can: tables as handles, arrays as lists.

A parameter that is a table of pandas, polars or Arrow takes a handle; one that is a NumPy array takes a list, or the
handle of an array that no list of JSON can hold.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Final, Union, cast, get_args, get_origin

from planloom.plan.frames import FrameKind, frame_kind
from planloom.tools.frames import read_frame
from planloom.tools.tables import Table

ARRAY_CODEC: Final = "numpy"
"""In the handle of an array: what has written it."""
FOLDER_KEY: Final = "planloom_folder"
"""In the context of a check: the folder of the run, whose tables are then read."""


@dataclass(frozen=True, slots=True)
class TableParameter:
    """A parameter that is a table: its handle is checked, and read when the run's folder is known."""

    kind: FrameKind

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema

        return core_schema.with_info_after_validator_function(self._read, handler(source))

    def _read(self, table: Table, info: Any) -> Any:
        context = cast("dict[str, Any]", info.context or {})
        folder: Path | None = context.get(FOLDER_KEY)
        return table if folder is None else read_frame(table, self.kind, folder)


@dataclass(frozen=True, slots=True)
class ArrayParameter:
    """A parameter that is a NumPy array: of this type, or of what its elements have in common."""

    element: type | None

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema

        as_list = handler(source)
        numpy = import_module("numpy")
        is_array = core_schema.is_instance_schema(numpy.ndarray)
        made = core_schema.no_info_after_validator_function(self._make, as_list)
        either = core_schema.union_schema([is_array, made], mode="left_to_right")
        # a handle stays one here: the engine puts the array in its place, on another thread
        checked = core_schema.no_info_wrap_validator_function(_or_handle, either)
        return core_schema.json_or_python_schema(made, checked)

    def _make(self, elements: list[Any]) -> Any:
        """Return the array; null among numbers is NaN. Raises `ValueError`."""
        try:
            return self._array(import_module("numpy"), elements)
        except (TypeError, OverflowError) as error:
            raise ValueError(str(error)) from error

    def _array(self, numpy: Any, elements: list[Any]) -> Any:
        array = numpy.asarray(elements)
        if array.dtype.kind not in "biuf":
            leaves = {cast("type[Any]", type(leaf)) for leaf in numpy.asarray(elements, dtype=object).ravel().tolist()}
            if types.NoneType in leaves and leaves <= {int, float, types.NoneType}:
                array = array.astype(float)
            elif leaves != {str}:  # NumPy would make text of everything
                names = ", ".join(sorted(kind.__name__ for kind in leaves))
                raise ValueError(f"expected numbers alone, or texts alone, within NumPy's bounds; these are {names}")
        if self.element is None:
            return array
        wanted = numpy.dtype(self.element)
        if array.size and array.dtype.kind not in _MAY_BECOME.get(wanted.kind, "U"):
            raise ValueError(f"expected elements that are {wanted.name}; these are {array.dtype.name}")
        return numpy.asarray(elements, dtype=wanted)


def _or_handle(value: Any, check: Callable[[Any], Any]) -> Any:
    """Let the handle of an array pass; check everything else."""
    handle = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
    is_handle = handle.get("codec") == ARRAY_CODEC and isinstance(handle.get("artifact"), str)
    return handle if is_handle else check(value)


_MAY_BECOME: Final = {"b": "b", "i": "iu", "u": "iu", "f": "iuf", "c": "iuf", "m": "iuU"}
"""NumPy's letters for kinds of elements: those that become others without a loss."""


def for_parameter(annotation: Any) -> Any:
    """Return what describes and checks a parameter of this type; the annotation itself when nothing is in its way."""
    return _replaced(
        annotation,
        lambda kind: Annotated[Table, TableParameter(kind)],
        lambda element: Annotated[list[Any], ArrayParameter(element)],
    )


def for_return(annotation: Any) -> Any:
    """Return what describes a value of this type."""
    return _replaced(annotation, lambda _: Table, lambda _: list[Any])


def takes_table(annotation: Any) -> bool:
    """Whether a parameter of this type is a table or an array, or holds some."""
    found: list[Any] = []
    _replaced(annotation, lambda kind: found.append(kind) or Table, lambda kind: found.append(kind) or list[Any])
    return bool(found)


def _replaced(annotation: Any, table: Callable[[FrameKind], Any], array: Callable[[type | None], Any]) -> Any:
    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias):
        kind = frame_kind(annotation)
        if kind is not None:
            return table(kind)
        return array(None) if _is_array(annotation) else annotation
    origin: Any = get_origin(annotation)
    if origin is None:
        return annotation
    if _is_array(origin):
        return array(_element_of(annotation))
    parts = get_args(annotation)
    if origin is Annotated:
        inner = _replaced(parts[0], table, array)
        return annotation if inner is parts[0] else Annotated[(inner, *parts[1:])]
    made = tuple(_replaced(part, table, array) for part in parts)
    if all(new is old for new, old in zip(made, parts, strict=True)):
        return annotation
    if origin is Union or origin is types.UnionType:
        return Union[made]  # noqa: UP007 - there is no other way to write one of a tuple
    return origin[made] if hasattr(origin, "__class_getitem__") else annotation


def _is_array(kind: Any) -> bool:
    return isinstance(kind, type) and kind.__name__ == "ndarray" and kind.__module__ == "numpy"


def _element_of(annotation: Any) -> type | None:
    """The type of the elements in `NDArray[np.float64]`, None for `NDArray[Any]` and the like."""
    of = get_args(get_args(annotation)[-1])
    element = of[0] if of else None
    is_one = isinstance(element, type) and element.__module__ == "numpy" and not element.__subclasses__()
    return element if is_one else None
