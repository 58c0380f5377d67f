"""Codecs for what needs no other library than pydantic: bytes, times, numbers, enums, dataclasses, models.

A class is never imported because a file names it: it is found among the modules that are loaded.
"""

from __future__ import annotations

import dataclasses
import math
import sys
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any, Final, cast
from uuid import UUID

from planloom.errors import JournalCorruptError, NotStorableError
from planloom.journal.codecs import Codec, Encoded, json_bytes, parsed


@dataclasses.dataclass(frozen=True, slots=True)
class TextCodec:
    """Values of one class that have a text form from which the same value can be made."""

    name: str
    kind: type[Any]
    to_text: Callable[[Any], str]
    from_text: Callable[[str], Any]

    def matches(self, value: Any) -> bool:
        """Return whether the value is of exactly this class."""
        return type(value) is self.kind

    def encode(self, value: Any) -> Encoded:
        """Write the text."""
        text = self.to_text(value)
        back = self.from_text(text)
        # a NaN is not equal to itself; a time keeps its zone only as an offset
        if back != value and back == back:
            raise NotStorableError(f"a {self.kind.__name__} would not come back as it was")
        return Encoded("json", json_bytes(text), text=True)

    def decode(self, encoded: Encoded) -> Any:
        """Read the text."""
        try:
            return self.from_text(parsed(encoded.content))
        except (ValueError, TypeError, ArithmeticError) as error:
            raise JournalCorruptError(f"a kept {self.kind.__name__} cannot be read: {error}") from None


@dataclasses.dataclass(frozen=True, slots=True)
class BytesCodec:
    """Bytes, always in a file of their own."""

    name: str = "bytes"

    def matches(self, value: Any) -> bool:
        """Return whether the value is bytes."""
        return type(value) in (bytes, bytearray, memoryview)

    def encode(self, value: Any) -> Encoded:
        """Return them."""
        kind = cast("type[Any]", type(value))
        return Encoded("bytes", bytes(value), {} if kind is not bytearray else {"class": "bytearray"})

    def decode(self, encoded: Encoded) -> Any:
        """Return them."""
        return bytearray(encoded.content) if encoded.facts.get("class") else encoded.content


@dataclasses.dataclass(frozen=True, slots=True)
class EnumCodec:
    """Members of enums, by name."""

    name: str = "enum"

    def matches(self, value: Any) -> bool:
        """Return whether the value is a member of an enum."""
        return isinstance(value, Enum)

    def encode(self, value: Any) -> Encoded:
        """Write class and name."""
        if value.name is None or "|" in value.name:
            raise NotStorableError(f"{value!r} has no name of its own, so it cannot be written down")
        return Encoded("json", json_bytes(value.name), {"class": _address(cast("type[Any]", type(value)))}, text=True)

    def decode(self, encoded: Encoded) -> Any:
        """Return the member."""
        kind, name = _class(encoded, Enum), parsed(encoded.content)
        try:
            return kind[name]
        except KeyError:
            raise NotStorableError(f"{encoded.facts['class']} has no member `{name}` any more") from None


@dataclasses.dataclass(frozen=True, slots=True)
class SchemaCodec:
    """Pydantic models and dataclasses: the JSON that pydantic writes, checked when it is written."""

    name: str = "model"

    def matches(self, value: Any) -> bool:
        """Return whether the value is an instance of such a class."""
        if isinstance(value, type):
            return False
        return dataclasses.is_dataclass(value) or hasattr(cast("Any", type(value)), "__pydantic_validator__")

    def encode(self, value: Any) -> Encoded:
        """Write it, and make sure that what is read back is equal."""
        kind = cast("type[Any]", type(value))
        address = _address(kind)
        try:
            adapter = _adapter(kind)
            content = adapter.dump_json(value, round_trip=True, by_alias=True, warnings="error")
            is_same = adapter.validate_json(content) == value
        except Exception as error:
            raise NotStorableError(f"a {kind.__name__} cannot be written down: {_first_line(error)}") from error
        if not is_same:
            raise NotStorableError(f"a {kind.__name__} would not come back as it was: some of its fields are not kept")
        return Encoded("json", content, {"class": address}, text=True)

    def decode(self, encoded: Encoded) -> Any:
        """Read it, with the checks of its class."""
        kind = _class(encoded, object)
        try:
            return _adapter(kind).validate_json(encoded.content)
        except Exception as error:
            raise NotStorableError(
                f"a kept {encoded.facts['class']} does not fit its class any more: {_first_line(error)}"
            ) from error


@dataclasses.dataclass(frozen=True, slots=True)
class FloatCodec:
    """What JSON numbers cannot say: NaN and infinities."""

    name: str = "float"

    def matches(self, value: Any) -> bool:
        """Return whether the value is such a number."""
        return type(value) is float and not math.isfinite(value)

    def encode(self, value: Any) -> Encoded:
        """Write its name."""
        return Encoded("json", json_bytes(repr(value)), text=True)

    def decode(self, encoded: Encoded) -> Any:
        """Read its name."""
        return float(parsed(encoded.content))


PLAIN_CODECS: Final[tuple[Codec, ...]] = (
    FloatCodec(),
    BytesCodec(),
    TextCodec("datetime", datetime, datetime.isoformat, datetime.fromisoformat),
    TextCodec("date", date, date.isoformat, date.fromisoformat),
    TextCodec("time", time, time.isoformat, time.fromisoformat),
    TextCodec(
        "timedelta",
        timedelta,
        lambda value: f"{value.days} {value.seconds} {value.microseconds}",
        lambda text: timedelta(*map(int, text.split())),
    ),
    TextCodec("decimal", Decimal, str, Decimal),
    TextCodec("complex", complex, repr, complex),
    TextCodec("uuid", UUID, str, UUID),
    TextCodec("path", type(PurePath()), str, PurePath),
    EnumCodec(),
    SchemaCodec(),
)


def _address(kind: type[Any]) -> str:
    """Return where a class is found again. Raises `NotStorableError` for one inside a function."""
    address = f"{kind.__module__}:{kind.__qualname__}"
    if _found(address) is not kind:
        raise NotStorableError(
            f"a {kind.__qualname__} cannot be written down: its class is not found under that name in the module "
            f"`{kind.__module__}`\nhint: define the class at the top of a module"
        )
    return address


def _found(address: str) -> Any:
    module, _, path = address.partition(":")
    found: Any = sys.modules.get(module)
    for name in path.split("."):
        found = getattr(found, name, None)
    return found


def _class(encoded: Encoded, base: type[Any]) -> Any:
    address = str(encoded.facts.get("class", ""))
    found = _found(address)
    if not (isinstance(found, type) and issubclass(found, base)):
        raise NotStorableError(
            f"a value of the class {address} cannot be read: the class is not there\n"
            f"hint: import `{address.partition(':')[0]}` before resuming"
        )
    return cast("Any", found)


def _adapter(kind: type[Any]) -> Any:
    # pydantic takes 60 ms to import; most values need none of it
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


def _first_line(error: Exception) -> str:
    return " ".join((str(error).strip() or type(error).__name__).split())[:300]
