"""Values that are no plain JSON, one of each type, and a run that is cut off between their maker and their taker.

Run as a script it makes one value and dies before the next step. Arguments: journal, name of the value.
"""

from __future__ import annotations

import asyncio
import dataclasses
import enum
import os
import sys
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from planloom import Plan, Tool, execute_plan


class Colour(enum.Enum):
    RED = "r"
    GREEN = "g"


class Order(BaseModel):
    id: int
    at: datetime
    total: Decimal = Decimal("1.20")
    colour: Colour = Colour.RED


@dataclasses.dataclass(frozen=True)
class Place:
    name: str
    at: tuple[float, float]
    since: date | None = None


VALUES: dict[str, tuple[Any, Any]] = {
    "datetime": (datetime(2024, 5, 1, 12, 30, 15, 123456), datetime),
    "datetime in UTC": (datetime(2024, 5, 1, 12, 30, tzinfo=UTC), datetime),
    "datetime with an offset": (datetime(2024, 5, 1, tzinfo=timezone(timedelta(hours=-3, minutes=-30))), datetime),
    "date": (date(1900, 2, 28), date),
    "time": (time(23, 59, 59, 999999), time),
    "timedelta": (timedelta(days=-2, seconds=5, microseconds=7), timedelta),
    "decimal": (Decimal("1234567890.12345678901234567890"), Decimal),
    "decimal with zeros": (Decimal("1.200"), Decimal),
    "decimal with an exponent": (Decimal("1E+30"), Decimal),
    "bytes": ("Æ bytes".encode(), bytes),
    "uuid": (UUID("12345678123456781234567812345678"), UUID),
    "path": (Path("/a b/c.txt"), Path),
    "enum": (Colour.GREEN, Colour),
    "tuple": ((1, "a", 2.5), tuple[int, str, float]),
    "set": ({3, 1, 2}, set[int]),
    "frozenset": (frozenset("ab"), frozenset[str]),
    "float": (0.1 + 0.2, float),
    "long integer": (2**70, int),
    "dataclass": (Place("Oslo", (59.9, 10.75), date(1048, 1, 1)), Place),
    "list of dataclasses": ([Place("a", (0.0, 1.0)), Place("b", (1.0, -1.5))], list[Place]),
    "model": (Order(id=1, at=datetime(2024, 5, 1, tzinfo=UTC)), Order),
    "models by name": ({"a": Order(id=2, at=datetime(2024, 5, 1), colour=Colour.GREEN)}, dict[str, Order]),
    "array": (np.array([[1.5, -2.0], [1e300, 0.0]]), np.ndarray),
    "array of integers": (np.array([1, -(2**62)]), np.ndarray),
    "array of truths": (np.array([[True], [False]]), np.ndarray),
    "array of texts": (np.array(["a", "Æ", ""]), np.ndarray),
    "array of short floats": (np.array([0.1, 3.4e38], dtype=np.float32), NDArray[np.float32]),
    "array of bytes": (np.array([[0, 255]], dtype=np.uint8), NDArray[np.uint8]),
    "array of any": (np.array([1.0]), NDArray[Any]),
    "array of times": (np.array(["2024-05-01T12:30:00.000001"], dtype="M8[us]"), NDArray[np.datetime64]),
    "empty array": (np.array([], dtype=np.int64), NDArray[np.int64]),
    "NumPy's float": (np.float32(0.5), float),
    "NumPy's integer": (np.int16(5), int),
}  # fmt: skip

PLAN = Plan.from_json(
    {
        "steps": [
            {"id": "made", "tool": "make"},
            {"id": "taken", "tool": "take", "args": {"value": "{{made.output}}"}},
        ]
    }
)


def tools(name: str, got: list[Any]) -> list[Tool]:
    """A tool that makes a value, and one that takes it as an argument of its type; None for a crash instead."""
    value, annotation = VALUES[name]

    def make() -> Any:
        return value

    def take(value: Any) -> None:
        got.append(value)

    def die(value: Any) -> None:
        os._exit(9)

    taker = take if got == [] else die
    taker.__annotations__["value"] = annotation
    return [Tool.from_function(make, read_only=True), Tool.from_function(taker, name="take", read_only=True)]


if __name__ == "__main__":
    for journal, name in zip(sys.argv[1::2], sys.argv[2::2], strict=True):
        if not (child := os.fork()):
            asyncio.run(execute_plan(PLAN, tools(name, ["die"]), journal=journal, run_id="r1"))
            os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9, name
