"""Tools that do what no tool should, each in a form for the loop, a thread and a process.

The functions stand at the top level, so that another process finds them. Every entry of `CASES` says what the
step's error must be: its kind, and a part of its message.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import decimal
import enum
import json
import math
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn


class OwnBaseException(BaseException):
    """Not an `Exception`: most handlers let it pass."""


class MuteError(Exception):
    """Cannot even say what is wrong."""

    def __str__(self) -> str:
        raise SystemExit("no message for you")


class UnpicklableError(Exception):
    """Cannot cross to another process."""

    def __init__(self) -> None:
        super().__init__("it holds a lock")
        self.lock = asyncio.Lock

    def __reduce__(self) -> NoReturn:
        raise TypeError("never")


class HostileProperty(Exception):
    """Raises when somebody looks at what went wrong."""

    @property
    def response(self) -> NoReturn:
        raise RuntimeError("do not look")

    status_code = response


class HostileText(str):
    """Text whose own methods must not be asked."""

    __slots__ = ()

    def __str__(self) -> NoReturn:
        raise RuntimeError("no text")

    __repr__ = __format__ = encode = isascii = __len__ = __str__  # type: ignore[assignment]


class HostileNumber(int):
    """A number whose own methods must not be asked."""

    def __repr__(self) -> NoReturn:
        raise RuntimeError("no number")

    __str__ = bit_length = __int__ = __index__ = __repr__  # type: ignore[assignment]


class HostileObject(dict[str, Any]):
    """An object that raises when somebody reads it."""

    def items(self) -> NoReturn:
        raise SystemExit("no items")

    __iter__ = keys = values = items  # type: ignore[assignment]


class EndlessObject(dict[str, Any]):
    """An object whose items never end."""

    def items(self) -> Any:
        number = 0
        while True:
            number += 1
            yield str(number), number


class HostileKey(str):
    """A key that compares like a trap."""

    __slots__ = ()

    def __eq__(self, other: object) -> NoReturn:
        raise RuntimeError("no comparison")

    __hash__ = str.__hash__


def raises() -> None:
    raise ValueError("something broke")


def raises_nothing_said() -> None:
    raise ValueError


def raises_system_exit() -> None:
    sys.exit(7)


def raises_keyboard_interrupt() -> None:
    raise KeyboardInterrupt


def raises_generator_exit() -> None:
    raise GeneratorExit("over")


def raises_own_base_exception() -> None:
    raise OwnBaseException("not an Exception")


def raises_cancelled() -> None:
    raise asyncio.CancelledError


def raises_stop_iteration() -> None:
    raise StopIteration(5)


def raises_mute() -> None:
    raise MuteError


def raises_unpicklable() -> None:
    raise UnpicklableError


def raises_hostile_property() -> None:
    raise HostileProperty("look away")


def raises_group() -> None:
    raise ExceptionGroup("several", [ValueError("first part"), TypeError("second part")])


def raises_long_message() -> None:
    raise ValueError("x" * 10_000_000)


def raises_half_a_character() -> None:
    raise ValueError("file \udcff is missing")


def raises_memory_error() -> None:
    raise MemoryError


def recurses() -> Any:
    return recurses()


def returns_object() -> Any:
    return object()


def returns_file() -> Any:
    return sys.__stderr__


def returns_function() -> Any:
    return raises


def returns_class() -> Any:
    return OwnBaseException


def returns_module() -> Any:
    return json


def returns_exception() -> Any:
    return ValueError("returned, not raised")


def returns_lock() -> Any:
    return [{"lock": asyncio.Lock()}]


def returns_nan() -> Any:
    return math.nan


def returns_infinity_inside() -> Any:
    return {"rows": [{"mean": 1.0}, {"mean": -math.inf}]}


def returns_decimal_nan() -> Any:
    return [decimal.Decimal("NaN")]


def returns_cyclic_list() -> Any:
    endless: list[Any] = [1]
    endless.append(endless)
    return endless


def returns_cyclic_object() -> Any:
    endless: dict[str, Any] = {"a": [1]}
    endless["a"].append(endless)
    return endless


def returns_long_text() -> Any:
    return "x" * 100_000_000


def returns_long_bytes() -> Any:
    return bytes(1_000_000_000)


def returns_shared_parts() -> Any:
    value: Any = ["x" * 1_000] * 1_000
    for _ in range(20):
        value = [value, value]
    return value


def returns_generator() -> Any:
    return (number for number in iter(int, 1))


def returns_endless_generator_inside() -> Any:
    return {"numbers": iter(int, 1)}


def returns_endless_range() -> Any:
    return range(10**30)


def returns_coroutine() -> Any:
    return asyncio.sleep(0)


def returns_async_generator() -> Any:
    async def count() -> Any:
        while True:
            yield 1

    return count()


def returns_huge_number() -> Any:
    return [10**5_000]


def returns_object_with_twin_keys() -> Any:
    return {1: "number", "1": "text"}


def returns_object_with_tuple_key() -> Any:
    return {(1, 2): "tuple"}


def returns_deep_list() -> Any:
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]
    return value


def returns_hostile_object() -> Any:
    return HostileObject(a=1)


def returns_endless_object() -> Any:
    return EndlessObject(a=1)


def returns_half_a_character() -> Any:
    return {"name": "\ud800"}


class Endless(enum.Enum):
    """A member whose value never ends."""

    NUMBERS = iter(int, 1)


def returns_endless_enum() -> Any:
    return Endless.NUMBERS


@dataclass(frozen=True)
class Case:
    """What a tool does, and the error that its step must have."""

    function: Callable[[], Any]
    kind: str
    message: str
    type: str | None = None

    @property
    def name(self) -> str:
        """The name of the function."""
        return self.function.__name__


TOO_LARGE = "larger than 4,000,000 bytes (limit `output_bytes`)"

CASES = [
    Case(raises, "exception", "ValueError: something broke", "ValueError"),
    Case(raises_nothing_said, "exception", "raised ValueError without a message"),
    Case(raises_system_exit, "exception", "raised SystemExit (7); only the step ends", "SystemExit"),
    Case(raises_keyboard_interrupt, "exception", "raised KeyboardInterrupt; only the step ends"),
    Case(raises_generator_exit, "exception", "GeneratorExit: over"),
    Case(raises_own_base_exception, "exception", "OwnBaseException: not an Exception"),
    Case(raises_cancelled, "exception", "raised CancelledError without a message", "CancelledError"),
    Case(raises_stop_iteration, "exception", "StopIteration"),
    Case(raises_mute, "exception", "its message could not be read", "MuteError"),
    Case(raises_unpicklable, "exception", "UnpicklableError: it holds a lock"),
    Case(raises_hostile_property, "exception", "HostileProperty: look away"),
    Case(raises_group, "exception", "ValueError: first part; TypeError: second part"),
    Case(raises_long_message, "exception", "ValueError: xxx"),
    Case(raises_half_a_character, "exception", "file \\udcff is missing"),
    Case(raises_memory_error, "exception", "raised MemoryError without a message"),
    Case(recurses, "exception", "called itself too deep", "RecursionError"),
    Case(returns_object, "output", "the output is an object, which has no JSON form", "OutputError"),
    Case(returns_file, "output", "is a TextIOWrapper"),
    Case(returns_function, "output", "is a function, which has no JSON form"),
    Case(returns_class, "output", "is a type, which has no JSON form"),
    Case(returns_module, "output", "is a module, which has no JSON form"),
    Case(returns_exception, "output", "is a ValueError, which has no JSON form"),
    Case(returns_lock, "output", "the output[0].lock is a Lock"),
    Case(returns_nan, "output", "the output is nan, which JSON cannot hold"),
    Case(returns_infinity_inside, "output", "the output.rows[1].mean is -inf"),
    Case(returns_decimal_nan, "output", "the output[0] is nan, which JSON cannot hold"),
    Case(returns_cyclic_list, "output", "the output[1] contains itself"),
    Case(returns_cyclic_object, "output", "the output.a[1] contains itself"),
    Case(returns_long_text, "output", TOO_LARGE),
    Case(returns_long_bytes, "output", TOO_LARGE),
    Case(returns_shared_parts, "output", TOO_LARGE),
    Case(returns_generator, "output", "is a generator; return a list of what it yields"),
    Case(returns_endless_generator_inside, "output", "the output.numbers is a callable_iterator"),
    Case(returns_endless_range, "output", TOO_LARGE),
    Case(returns_coroutine, "output", "is a coroutine that nobody awaited"),
    Case(returns_async_generator, "output", "is an async_generator; return a list"),
    Case(returns_huge_number, "output", "the output[0] is a whole number of more than 4096 bits"),
    Case(returns_object_with_twin_keys, "output", "two keys that are both `1`"),
    Case(returns_object_with_tuple_key, "output", "has a key of type tuple"),
    Case(returns_deep_list, "output", "nested deeper than 200 levels"),
    Case(returns_hostile_object, "output", "could not be read: it raised SystemExit"),
    Case(returns_endless_object, "output", TOO_LARGE),
    Case(returns_half_a_character, "output", "the output.name is text with half a character"),
    Case(returns_endless_enum, "output", "is a callable_iterator; return a list"),
]


def exits_the_process() -> None:
    os._exit(3)


def kills_the_process() -> None:
    os.kill(os.getpid(), 9)


def hangs() -> None:
    while True:
        pass


def hangs_in_a_child() -> None:
    os.system("sleep 1000")


def prints() -> str:
    print("a tool that prints")
    print("and to stderr", file=sys.stderr)
    return "printed"


def closes_its_pipes() -> None:
    os.closerange(0, 50)


def process_id() -> int:
    return os.getpid()


class Colour(enum.Enum):
    """A plain member."""

    RED = "red"


@dataclass
class Point:
    """A plain dataclass."""

    x: int
    when: dt.date


def odd_but_fine() -> Any:
    """Return what looks odd and has a JSON form."""
    return {
        "text": HostileText("text"),
        "number": HostileNumber(5),
        "set": {"b", "a", "c"},
        "tuple": (1, 2),
        "enum": Colour.RED,
        "dataclass": Point(1, dt.date(2024, 2, 29)),
        "bytes": b"abc",
        "decimal": decimal.Decimal("1.50"),
        "range": range(3),
        "views": [{"k": 1}.keys(), {"k": 1}.values()],
        1: True,
        None: None,
        1.5: "float",
        HostileKey("key"): "hostile key",
    }
