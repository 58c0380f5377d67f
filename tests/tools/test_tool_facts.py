"""Facts: their defaults, what follows from what, and what is refused."""

from __future__ import annotations

import functools
import math
from typing import Any

import pytest

from planloom.errors import ToolDefinitionError
from planloom.tools import Tool, ToolContext, tool


def save(path: str, text: str = "") -> None: ...


async def save_async(path: str) -> None: ...


BAD_FACTS: list[tuple[dict[str, Any], str]] = [
    *[
        ({fact: value}, f"{fact} must be a number of seconds")
        for fact in ("timeout_s", "expected_s")
        for value in (0, -1, math.nan, math.inf, -math.inf, "30", True, 10**400, [])
    ],
    ({"timeout_s": None}, "timeout_s must be a number of seconds"),
    *[
        ({"retries": value}, "retries must be a whole number from 0 to 100")
        for value in (-1, 1.5, "2", True, None, 101)
    ],
    *[
        ({"max_concurrency": value}, "max_concurrency must be a whole number of at least 1")
        for value in (0, -1, 1.0, "1", True, math.nan)
    ],
    *[
        ({fact: value}, f"{fact} must be True or False")
        for fact in ("read_only", "idempotent", "destructive", "open_world")
        for value in (1, "yes", None)
    ],
    *[({"calls_model": value}, "calls_model must be True or False") for value in (1, 0, "no", [])],
    *[({"run_in": value}, "run_in must be") for value in ("fork", "", None, 3, ["loop"])],
    *[({"version": value}, "version must be") for value in ("", " ", 3)],
    ({"description": 3}, "description must be a text"),
    ({"writes": "file:{path}"}, "writes must be a tuple"),
    ({"writes": None}, "writes must be a tuple"),
    ({"writes": ("",)}, "not a resource template"),
    ({"writes": (3,)}, "not a resource template"),
    ({"writes": ("file:{pth}",)}, "did you mean `path`"),
    ({"writes": ("file:{}",)}, "not a parameter"),
    ({"writes": ("file:{0}",)}, "its parameters: path, text"),
    ({"writes": ("file:{path",)}, "writes holds"),
    ({"writes": ("file:{path!r}",)}, "one plain parameter name"),
    ({"writes": ("file:{path:>5}",)}, "one plain parameter name"),
    ({"writes": ("file:{path.name}",)}, "not a parameter"),
    ({"read_only": True, "destructive": True}, "contradict"),
    ({"read_only": True, "writes": ("file:{path}",)}, "contradict"),
    ({"readonly": True}, "did you mean `read_only`"),
    ({"zzz": 1}, "known facts: name"),
]


@pytest.mark.parametrize(
    ("facts", "words"), BAD_FACTS, ids=lambda value: "-".join(value) if isinstance(value, dict) else ""
)
def test_a_wrong_fact_is_refused_by_name(facts: dict[str, Any], words: str) -> None:
    """The message names the tool and the fact."""
    with pytest.raises(ToolDefinitionError) as raised:
        Tool.from_function(save, **facts)
    assert "`save`" in str(raised.value)
    assert words in str(raised.value)


def test_a_tool_that_says_nothing_has_effects_and_is_not_repeated() -> None:
    """Silence is read as the worst case."""
    made = Tool.from_function(save)
    assert {
        "read_only": False,
        "idempotent": False,
        "destructive": False,
        "open_world": False,
        "calls_model": None,
        "timeout_s": 300.0,
        "retries": 0,
        "max_concurrency": None,
        "expected_s": None,
        "run_in": "thread",
        "writes": [],
        "version": None,
        "cache": False,
    } == {
        key: value
        for key, value in made.to_dict().items()
        if key not in ("name", "description", "parameters", "returns")
    }


@pytest.mark.parametrize(
    ("facts", "idempotent", "retries"),
    [
        ({}, False, 0),
        ({"read_only": True}, True, 2),
        ({"read_only": True, "idempotent": False}, True, 2),
        ({"idempotent": True}, True, 2),
        ({"idempotent": True, "retries": 0}, True, 0),
        ({"retries": 5}, False, 5),
        ({"open_world": True, "destructive": True}, False, 0),
    ],
)
def test_retries_follow_from_effects(facts: Any, idempotent: bool, retries: int) -> None:
    """Two for what may be repeated, none for the rest, unless said otherwise."""
    made = Tool.from_function(save, **facts)
    assert (idempotent, retries) == (made.idempotent, made.retries)


def think(context: ToolContext, text: str = "") -> str:
    return text


MODEL_CALLS: list[tuple[Any, bool | None, bool]] = [
    (save, None, False),
    (save, True, True),
    (save, False, False),
    (think, None, True),
    (think, True, True),
    (think, False, False),
]


@pytest.mark.parametrize(("function", "said", "expected"), MODEL_CALLS)
def test_who_may_call_a_model(function: Any, said: bool | None, expected: bool) -> None:
    """What the tool says counts; if it says nothing, only a context could give it the model of the run."""
    made = Tool.from_function(function, calls_model=said)
    assert (said, expected) == (made.calls_model, made.may_call_model)
    by_hand = Tool.from_schema(parameters=None, function=function, calls_model=said)
    assert (said, expected) == (by_hand.calls_model, by_hand.may_call_model)


EARLY: list[tuple[Any, dict[str, Any], bool]] = [
    (save, {}, False),
    (save, {"idempotent": True}, False),
    (save, {"idempotent": True, "calls_model": False}, False),
    (save, {"read_only": True}, True),
    (save_async, {"read_only": True}, True),
    (save, {"read_only": True, "open_world": True}, False),
    (save, {"read_only": True, "calls_model": True}, False),
    (think, {"read_only": True}, False),
    (think, {"read_only": True, "calls_model": True}, False),
    (think, {"read_only": True, "calls_model": False}, True),
    (think, {"read_only": True, "calls_model": False, "open_world": True}, False),
    (think, {"calls_model": False}, False),
]


@pytest.mark.parametrize(("function", "facts", "expected"), EARLY)
def test_who_may_start_before_the_plan_is_whole(function: Any, facts: Any, expected: bool) -> None:
    """Only what is read-only, not open-world and calls no model; silence is never taken for a yes."""
    assert expected == Tool.from_function(function, **facts).may_start_early


def test_facts_about_models_can_be_changed() -> None:
    """`with_facts` says it, takes it back, and what follows from it follows."""
    made = Tool.from_function(think, read_only=True)
    assert made.with_facts(calls_model=False).may_start_early
    assert made.with_facts(calls_model=False).with_facts(calls_model=None).may_call_model
    assert not made.with_facts(calls_model=False, name="other").may_call_model


def test_given_facts_are_kept() -> None:
    """Every fact arrives on the tool, in its own type."""

    @tool(
        name="store",
        description="  Store it.  ",
        timeout_s=3,
        max_concurrency=2,
        expected_s=0.5,
        writes=["file:{path}", "index", "literal:{{}}"],  # type: ignore[arg-type]
        version="2",
        run_in="loop",
    )
    def keep(path: str) -> None:
        """Keep it."""

    assert ("store", "Store it.", 3.0, 2, 0.5, ("file:{path}", "index", "literal:{{}}"), "2", "loop") == (
        keep.name,
        keep.description,
        keep.timeout_s,
        keep.max_concurrency,
        keep.expected_s,
        keep.writes,
        keep.version,
        keep.run_in,
    )
    assert isinstance(keep.timeout_s, float)


class Saver:
    """An object with a method."""

    def save(self, path: str) -> None: ...

    def __call__(self, path: str) -> None: ...


def local_function() -> Any:
    """Return a function that another process could not import."""

    def inner(path: str) -> None: ...

    return inner


@pytest.mark.parametrize(
    ("function", "run_in", "reason"),
    [
        (lambda path: None, "process", "lambda"),
        (local_function(), "process", "inside another function"),
        (Saver().save, "process", "bound to an object"),
        (Saver(), "process", "not a function of a module"),
        (functools.partial(save, text="x"), "process", "not a function of a module"),
        (save_async, "process", "async function cannot run in a process"),
        (save_async, "thread", "async function runs in the loop"),
    ],
)
def test_a_place_where_the_function_cannot_run_is_refused(function: Any, run_in: Any, reason: str) -> None:
    """The message says why and what would do."""
    with pytest.raises(ToolDefinitionError, match=reason) as raised:
        Tool.from_function(function, name="save", run_in=run_in)
    assert "hint: " in str(raised.value)


def test_a_module_level_function_may_run_in_a_process() -> None:
    """It has an address by which the other process finds it."""
    made = Tool.from_function(save, run_in="process")
    assert made.address is not None
    assert ("process", __name__, None, "save") == (
        made.run_in,
        made.address.module,
        made.address.file,
        made.address.qualname,
    )
