"""Arrays that no list of JSON holds: they pass from step to step as what they are, after a crash too."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from engine_cases import run
from numpy.typing import NDArray

from planloom import Plan, Tool, execute_plan, resume_run, tool
from planloom.journal import MemoryJournal
from planloom.testing import PlanBuilder

ARRAYS: dict[str, Any] = {
    "not a number": np.array([[1.0, np.nan], [np.inf, -np.inf]]),
    "short floats": np.array([0.1, np.nan], dtype=np.float32),
    "complex": np.array([1 + 2j, 0j]),
    "nanoseconds": np.array(["2024-05-01T12:30:00.000000001"], dtype="M8[ns]"),
    "no time": np.array(["2024-05-01", "NaT"], dtype="M8[D]"),
    "spans of nanoseconds": np.array([1, 2], dtype="m8[ns]"),
}
PLAN = PlanBuilder().step("make", "make").step("take", "take", of="{{make.output}}").build()


def _tools(name: str, got: list[Any], *, is_async: bool = False) -> list[Tool]:
    def make() -> Any:
        return ARRAYS[name]

    async def make_later() -> Any:
        return ARRAYS[name]

    def take(of: np.ndarray) -> str:
        if got and got[0] is None:
            raise ConnectionError("not now")
        got.append(of)
        return str(of.dtype)

    async def take_later(of: np.ndarray) -> str:
        return take(of)

    facts: dict[str, Any] = {"read_only": True, "retries": 0}
    return [
        Tool.from_function(make_later if is_async else make, name="make", **facts),
        Tool.from_function(take_later if is_async else take, name="take", **facts),
    ]


@pytest.mark.parametrize("name", ARRAYS)
@pytest.mark.parametrize("is_async", [False, True])
def test_the_array_itself_comes(name: str, is_async: bool) -> None:
    """The next step gets an array of the same type and content; the output is a handle that says what it is."""
    got: list[Any] = []
    result = asyncio.run(execute_plan(PLAN, _tools(name, got, is_async=is_async)))
    assert "succeeded" == result.status, result.explain()
    assert (str(ARRAYS[name].dtype), ARRAYS[name].shape) == (str(got[0].dtype), got[0].shape)
    assert ARRAYS[name].tobytes() == got[0].tobytes()
    handle = result.steps["make"].output
    assert ("numpy", list(ARRAYS[name].shape)) == (handle["codec"], handle["shape"])


def test_in_another_process_of_the_run(tmp_path: Path) -> None:
    """A run that goes on later reads it from the run's folder; the step that made it does not run again."""
    journal, got = str(tmp_path / "runs.db"), [None]
    first = asyncio.run(execute_plan(PLAN, _tools("not a number", got), journal=journal, run_id="r1"))
    assert "failed" == first.status
    got.clear()
    done = asyncio.run(resume_run("r1", _tools("not a number", got)[1:] + _broken_maker(), journal=journal))
    assert "succeeded" == done.status, done.explain()
    assert np.array_equal(ARRAYS["not a number"], got[0], equal_nan=True)


def _broken_maker() -> list[Tool]:
    def make() -> Any:
        raise AssertionError("it has succeeded")

    return [Tool.from_function(make, read_only=True)]


def test_inside_lists_and_objects() -> None:
    """Arrays are found wherever they stand."""
    got: list[Any] = []

    @tool(read_only=True)
    def make() -> Any:
        return {"parts": [np.array([np.nan]), np.array([1, 2])]}

    @tool(read_only=True)
    def take(of: list[NDArray[Any]]) -> int:
        got.extend(of)
        return len(of)

    plan = PlanBuilder().step("make", "make").step("take", "take", of="{{make.output.parts}}").build()
    assert 2 == run(plan, make, take).answer
    assert [1, 2] == got[1].tolist()
    assert np.isnan(got[0]).all()


@pytest.mark.parametrize("damage", ["gone", "changed"])
def test_a_file_that_is_not_what_was_written(damage: str, tmp_path: Path) -> None:
    """An array that is lost or damaged is an error of the step that needs it, and never another array."""
    got: list[Any] = []
    tools = _tools("complex", got)

    @tool(read_only=True)
    def spoil() -> None:
        (path,) = tmp_path.glob("*.npy")
        path.unlink() if damage == "gone" else path.write_bytes(path.read_bytes()[:-1] + b"x")

    plan = Plan.from_json(
        [
            {"id": "make", "tool": "make", "args": {}},
            {"id": "spoil", "tool": "spoil", "args": {}, "depends_on": ["make"]},
            {"id": "take", "tool": "take", "args": {"of": "{{make.output}}"}, "depends_on": ["make", "spoil"]},
        ]
    )
    result = asyncio.run(execute_plan(plan, [*tools, spoil], workdir=tmp_path))
    assert ("failed", []) == (result.steps["take"].status, got)
    assert result.steps["take"].error is not None
    assert ("holds no array" if damage == "gone" else "is damaged") in result.steps["take"].error.message


def test_a_handle_that_a_plan_makes_up(tmp_path: Path) -> None:
    """It names content by its hash and nothing else, so it leads to no other file."""
    got: list[Any] = []
    (tmp_path / "other.npy").write_bytes(b"")
    plan = [{"id": "t", "tool": "take", "args": {"of": {"artifact": "../other", "codec": "numpy"}}}]
    with pytest.raises(ValueError, match="expects a list"):
        asyncio.run(execute_plan(plan, _tools("complex", got), journal=MemoryJournal()))

    @tool(read_only=True)
    def forge() -> Any:
        return {"artifact": "../other", "codec": "numpy"}

    plan = PlanBuilder().step("make", "forge").step("take", "take", of="{{make.output}}").build()
    (tmp_path / "run").mkdir()
    result = asyncio.run(execute_plan(plan, [*_tools("complex", got), forge], workdir=tmp_path / "run"))
    assert ("failed", []) == (result.status, got)
    assert result.steps["take"].error is not None
    assert "holds no array" in result.steps["take"].error.message
