"""Values that are no plain JSON, from one step's output into a typed parameter of another."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import value_tools
from engine_cases import run, tool_of
from numpy.typing import NDArray
from value_tools import PLAN, VALUES, tools

from planloom import PlanValidationError, resume_run
from planloom.testing import PlanBuilder


def same(value: Any, got: Any) -> bool:
    """Whether a value came back, of its own type."""
    if isinstance(value, np.ndarray):
        is_loose = value.dtype.kind == "M"  # a unit of time is as fine as the text says
        return np.array_equal(value, got) and (is_loose or value.dtype == got.dtype)
    plain = value.item() if isinstance(value, np.generic) else value
    return type(plain) is type(got) and plain == got


@pytest.mark.parametrize("name", VALUES)
def test_the_same_value_comes_back(name: str) -> None:
    """A parameter that says what it takes gets what the other tool has given, equal and of its type."""
    got: list[Any] = []
    result = run(PLAN, *tools(name, got))
    assert "succeeded" == result.status, result.explain()
    assert same(VALUES[name][0], got[0]), (VALUES[name][0], got[0])


@pytest.fixture(scope="module")
def crashed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A journal per value, each of a run that was cut off after its value was made."""
    folder = tmp_path_factory.mktemp("crashed")
    pairs = [part for number, name in enumerate(VALUES) for part in (str(folder / f"{number}.db"), name)]
    done = subprocess.run(
        [sys.executable, value_tools.__file__, *pairs], capture_output=True, text=True, timeout=120, check=False
    )
    assert 0 == done.returncode, done.stderr
    return folder


@pytest.mark.parametrize("number", range(len(VALUES)), ids=[*VALUES])
def test_the_same_value_comes_back_after_a_crash(number: int, crashed: Path) -> None:
    """So it is when another process goes on: what the journal holds is the value."""
    name, got = [*VALUES][number], []
    result = asyncio.run(resume_run("r1", tools(name, got), journal=str(crashed / f"{number}.db")))
    assert ("succeeded", 1) == (result.status, result.steps["made"].attempts), result.explain()
    assert same(VALUES[name][0], got[0]), (VALUES[name][0], got[0])


def given(annotation: Any, value: Any) -> Any:
    """The first step of a plan that gives a value to a parameter, and what it got."""
    got: list[Any] = []

    def take(value: Any) -> None:
        got.append(value)

    take.__annotations__["value"] = annotation
    plan = PlanBuilder().step("a", "take", value="{{inputs.value}}").build()
    return run(plan, tool_of(take), inputs={"value": value}).steps["a"], got


REFUSED = {
    "ragged": (np.ndarray, [[1], [2, 3]], "inhomogeneous"),
    "mixed": (
        np.ndarray,
        [1, "a"],
        "expected numbers alone, or texts alone, within NumPy's bounds; these are int, str",
    ),
    "objects": (np.ndarray, [{"a": 1}], "these are dict"),
    "null among truths": (np.ndarray, [True, None], "these are NoneType, bool"),
    "too large": (np.ndarray, [2**80], "within NumPy's bounds; these are int"),
    "out of range": (NDArray[np.uint8], [256], "out of bounds for uint8"),
    "a fraction": (NDArray[np.int64], [1.5], "expected elements that are int64; these are float64"),
    "texts for numbers": (NDArray[np.float64], ["1.5"], "expected elements that are float64; these are "),
}


@pytest.mark.parametrize("name", REFUSED)
def test_lists_that_are_no_array(name: str) -> None:
    """Nothing is cut, guessed or turned into text on the way into an array."""
    annotation, value, reason = REFUSED[name]
    step, got = given(annotation, value)
    assert ("failed", "arguments", []) == (step.status, step.error.kind, got)
    assert reason in step.error.message


def test_null_among_numbers() -> None:
    """JSON has no NaN: null stands for it."""
    _, got = given(NDArray[np.float64], [1, None])
    assert np.array_equal([1.0, np.nan], got[0], equal_nan=True)
    _, got = given(np.ndarray, [[1.5, None]])
    assert np.array_equal([[1.5, np.nan]], got[0], equal_nan=True)


def test_an_array_is_a_list_to_a_plan() -> None:
    """Before anything runs, a plan that gives something else is refused."""
    with pytest.raises(PlanValidationError, match="expects a list"):
        given(np.ndarray | None, {"a": 1})
    assert given(np.ndarray | None, None)[1] == [None]
