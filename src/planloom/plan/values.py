"""Values that pass between steps: plain JSON, bounded, never shared.

What a tool returns is brought into that form at the step's boundary, or refused with a reason. Copies are
made on the way in, so that no step can change another's values.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, ItemsView, Iterator, KeysView, Mapping, ValuesView
from decimal import Decimal
from enum import Enum
from typing import Any, Final, cast

from planloom.plan.frames import TableError, kind_of_frame
from planloom.plan.issues import with_article
from planloom.plan.limits import DEFAULT_LIMITS, Limits
from planloom.plan.redaction import MARK
from planloom.plan.references import render_segment
from planloom.plan.secret_sources import is_marked, reveal

_SCALARS: Final = frozenset({str, int, bool, type(None)})
_SIZED: Final = frozenset({dict, list, tuple, set, frozenset, range})
_MAX_INTEGER_BITS: Final = 4_096
_PLAIN_INTEGER: Final = 2**63
_PLAIN_CHARS: Final = 1_000
_MAX_PLACES: Final = 8
"""Segments of a place that a message shows."""
_NODE_BYTES: Final = 8
"""What a number or a container is counted as, whatever its text: it also bounds the work of walking it."""


_LISTED_UNITS: Final = frozenset({"Y", "M", "W", "D", "h", "m", "s", "ms", "us"})
"""Of NumPy's times: those that become dates and times; finer ones would become numbers."""


class OutputError(ValueError):
    """A value that cannot pass between steps."""


class TableFoundError(OutputError):
    """A table of pandas, polars or Arrow, or an array that is no list of JSON, where nobody keeps them."""


KeepTable = Callable[[Any], Any]
"""Keeps a table of pandas, polars or Arrow and returns its handle, a JSON value. Raises `TableError`."""


class _RefusedError(Exception):
    """A part of an output that has no JSON form. `place` is filled on the way out, innermost first."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.place: list[str] = []

    def to_message(self) -> str:
        """Say what is wrong, and where in the output."""
        outermost = self.place[: -_MAX_PLACES - 1 : -1]
        return f"the output{''.join(outermost)}{'…' if len(self.place) > _MAX_PLACES else ''} {self.problem}"


def copy_json(value: Any) -> Any:
    """Return a deep copy of a JSON value; scalars are returned as they are."""
    kind = type(value)  # pyright: ignore[reportUnknownVariableType]
    if kind is dict:
        return {key: element if type(element) in _SCALARS else copy_json(element) for key, element in value.items()}
    if kind is list:
        return [element if type(element) in _SCALARS else copy_json(element) for element in value]
    return value


def normalise_output(
    value: Any,
    limits: Limits = DEFAULT_LIMITS,
    found: list[str] | None = None,
    *,
    reveals: bool = False,
    keep: KeepTable | None = None,
) -> Any:
    """Return what a tool gave back as a JSON value that shares nothing with it.

    Pydantic models, dataclasses, tuples, enums, dates, decimals and the like become the JSON that pydantic
    writes for them; sets become sorted lists, so that their order never depends on the hash seed. Raises
    `OutputError` for what has no JSON form, NaN and infinities, circles, generators, text that is not
    Unicode, values past `limits.output_bytes` or `limits.output_depth`, and values whose own methods raise.

    A value that is marked secret, such as a `SecretStr`, becomes `[secret]`, or its own text if this `reveals` it;
    its text is added to `found`. A table of pandas, polars or Arrow becomes what `keep` returns; without that,
    `TableFoundError` is raised.
    """
    kind = type(value)  # pyright: ignore[reportUnknownVariableType]
    if value is None or kind is bool or (kind is int and -_PLAIN_INTEGER < value < _PLAIN_INTEGER):
        return value
    if kind is str and len(value) < _PLAIN_CHARS and value.isascii():
        return value
    try:
        return _Normaliser(limits, found, reveals=reveals, keep=keep).normalise(value, 0)
    except OutputError:
        raise
    except _RefusedError as refused:
        raise OutputError(refused.to_message()) from None
    except RecursionError:
        raise OutputError("the output is nested too deep to be read") from None
    except BaseException as error:  # a value's own methods may raise anything, SystemExit included
        raise OutputError(f"the output could not be read: it raised {type(error).__name__}") from error


class _Normaliser:
    """Walks one output, counting its size and the containers it is inside of."""

    def __init__(self, limits: Limits, found: list[str] | None, *, reveals: bool, keep: KeepTable | None) -> None:
        self.limits = limits
        self.found = found
        self.reveals = reveals
        self.keep = keep
        self.bytes_left = limits.output_bytes
        self.inside: set[int] = set()

    def normalise(self, value: Any, depth: int) -> Any:
        kind = type(value)  # pyright: ignore[reportUnknownVariableType]
        if kind is str:
            self._check_text(value)
        elif kind is int:
            # text of a huge integer takes quadratic time to write, and no JSON reader takes it
            if value.bit_length() > _MAX_INTEGER_BITS:
                raise _RefusedError(f"is a whole number of more than {_MAX_INTEGER_BITS} bits")
            self._count(_NODE_BYTES)
        elif kind is float:
            if not math.isfinite(value):
                raise _RefusedError(f"is {value}, which JSON cannot hold; use None where there is no number")
            self._count(_NODE_BYTES)
        elif kind is bool or value is None:
            self._count(_NODE_BYTES)
        else:
            return self._container(value, depth)
        return value

    def _count(self, size: int) -> None:
        self.bytes_left -= size
        if self.bytes_left < 0:
            raise self._too_large()

    def _too_large(self) -> OutputError:
        return OutputError(
            f"the output is larger than {self.limits.output_bytes:,} bytes (limit `output_bytes`); "
            "write it to a file and return its name, or return a part"
        )

    def _check_text(self, text: str) -> None:
        self._count(len(text) + 2)
        if not text.isascii():
            try:
                self._count(len(text.encode()) - len(text))
            except UnicodeEncodeError:
                raise _RefusedError("is text with half a character (a lone surrogate), which is not Unicode") from None

    def _container(self, value: Any, depth: int) -> Any:
        if depth >= self.limits.output_depth:
            raise _RefusedError(f"is nested deeper than {self.limits.output_depth} levels")
        identity = id(value)
        if identity in self.inside:
            raise _RefusedError("contains itself, so it has no JSON form")
        # also bounds values that share parts: a list of two references to one list, sixty times over
        self._count(2 * _NODE_BYTES)
        if type(value) in _SIZED and not _fits(value, self.bytes_left // 2):
            raise self._too_large()  # before a walk that could not end well
        self.inside.add(identity)
        try:
            if isinstance(value, Mapping):
                return self._object(cast("Mapping[Any, Any]", value), depth)
            if isinstance(value, list | tuple | deque | range | KeysView | ValuesView | ItemsView):
                return self._list(value, depth)
            if isinstance(value, set | frozenset):
                return _sorted(self._list(value, depth))
            return self.normalise(self._convert(value), depth + 1)
        finally:
            self.inside.discard(identity)

    def _object(self, value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        copied: dict[str, Any] = {}
        for key, element in value.items():
            name = key if type(key) is str else self._key(key)
            if name in copied:
                raise _RefusedError(f"has two keys that are both `{name:.80}` in JSON")
            try:
                self._check_text(name)
                copied[name] = self.normalise(element, depth + 1)
            except _RefusedError as refused:
                refused.place.append(render_segment(name[:80]))
                raise
        return copied

    def _key(self, key: Any) -> str:
        converted = key if isinstance(key, float) or key is None else self._convert(key)
        if isinstance(converted, str):
            return str.__str__(converted)
        if converted is None or isinstance(converted, bool | int | float):
            self.normalise(converted, 0)
            return json.dumps(converted)
        raise _RefusedError(f"has a key of type {type(key).__name__}; JSON keys are text")

    def _secret(self, held: Any) -> Any:
        if self.found is not None:
            self.found.append(held if isinstance(held, str) else str(held))
        return held if self.reveals else MARK

    def _list(self, value: Any, depth: int) -> list[Any]:
        copied: list[Any] = []
        index = 0
        try:
            for element in value:
                copied.append(self.normalise(element, depth + 1))
                index += 1
        except _RefusedError as refused:
            refused.place.append(f"[{index}]")
            raise
        return copied

    def _convert(self, value: Any) -> Any:
        """Return the JSON-like form of one value that is no plain JSON, without looking into its parts."""
        if isinstance(value, Enum):
            return value.value
        if is_marked(value):
            return self._secret(reveal(value))
        for plain in (str, int, float):  # a subclass: its own methods are not asked
            if isinstance(value, plain):
                return getattr(plain, f"__{plain.__name__}__")(value)
        if isinstance(value, bytes | bytearray):
            self._count(len(value))
        if isinstance(value, Decimal) and not value.is_finite():
            return float(value)  # is refused there
        _refuse_promise(value)
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
        array = path = cast("Any", value)
        if hasattr(path, "__fspath__"):
            return path.__fspath__()
        if type(array).__module__ == "numpy" and hasattr(array, "tolist"):
            self._count(int(array.nbytes))
            return array.tolist() if _is_list(array) else self._table(array)
        if kind_of_frame(value) is not None:
            return self._table(value)
        return _convert_with_pydantic(value)

    def _table(self, frame: Any) -> Any:
        if self.keep is None:
            if kind_of_frame(frame) is None:
                raise TableFoundError(
                    f"the output holds an array of {frame.dtype} that is no list of JSON numbers, and such a one can "
                    "only come from a step of a plan; use None where there is no number"
                )
            raise TableFoundError(
                f"the output holds {with_article(type(frame).__name__)}, and a table can only come from a step of a "
                "plan; give its rows as a list of objects, or the name of its file"
            )
        try:
            return self.keep(frame)
        except TableError as error:
            raise _RefusedError(str(error)) from error


def _is_list(array: Any) -> bool:
    """Whether a list of JSON holds all that a NumPy array does: finite numbers, texts, times to the microsecond."""
    if array.ndim == 0 or not array.size:
        return True
    kind = array.dtype.kind
    if kind == "f":
        return math.isfinite(array.max()) and math.isfinite(array.min())  # NaN is the largest and the smallest
    if kind in "mM":
        unit = array.dtype.str.partition("[")[2].strip("0123456789]")
        return unit in _LISTED_UNITS and bool((array == array).all())  # which "not a time" is not
    return kind != "c"


def _fits(value: Any, most: int) -> bool:
    try:
        return len(value) <= most
    except OverflowError:  # a range of more than 2**63 numbers
        return False


def _refuse_promise(value: Any) -> None:
    """Refuse what only promises values: nobody would ever ask it for them."""
    name = type(value).__name__
    if isinstance(value, AsyncIterator | Iterator):
        raise _RefusedError(f"is {with_article(name)}; return a list of what it yields")
    if isinstance(value, Awaitable):
        promise = cast("Any", value)
        close = getattr(promise, "close", None) or getattr(promise, "cancel", None)
        if callable(close):
            close()
        raise _RefusedError(f"is {with_article(name)} that nobody awaited; make the tool `async def`")


def _convert_with_pydantic(value: Any) -> Any:
    # pydantic takes 60 ms to import; only values that are no plain JSON need it
    from pydantic import BaseModel, RootModel
    from pydantic_core import PydanticSerializationError, to_jsonable_python

    if isinstance(value, RootModel):
        return cast("Any", value).root
    if isinstance(value, BaseModel):
        names = [*type(value).model_fields, *type(value).model_computed_fields]
        return {name: getattr(value, name) for name in names} | (value.model_extra or {})
    try:
        return to_jsonable_python(value, inf_nan_mode="constants")
    except (PydanticSerializationError, ValueError, RecursionError, TypeError):
        raise _RefusedError(_no_json(value)) from None


def _no_json(value: Any) -> str:
    """Say that a value has no JSON form, and what to return instead of it."""
    name = type(value).__name__
    if isinstance(value, bytes | bytearray):
        return f"is {len(value):,} {name} that are no UTF-8 text; {_ANOTHER_WAY}, or return base64 text"
    if name == "Series":
        return "is a Series, which has no JSON form; return series.to_list(), or series.to_frame() for a table"
    return (
        f"is {with_article(name)}, which has no JSON form; return text, numbers, lists, objects, dataclasses, pydantic "
        f"models, or a table of pandas, polars or pyarrow; {_ANOTHER_WAY}, and keep what must stay open in `deps`"
    )


_ANOTHER_WAY: Final = "write what is large or binary to a file in `context.workdir` and return its name"


def _sorted(elements: list[Any]) -> list[Any]:
    try:
        return sorted(elements)
    except TypeError:
        return sorted(elements, key=lambda element: json.dumps(element, sort_keys=True))
