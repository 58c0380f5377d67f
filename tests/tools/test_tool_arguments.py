"""The check of arguments before a call: what is coerced, what is refused, and in which words."""

from __future__ import annotations

import dataclasses
import enum
import threading
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import AfterValidator, BaseModel, Field
from typing_extensions import TypedDict

from planloom.errors import ArgumentsError
from planloom.tools import Tool, ToolContext, tool
from planloom.tools.arguments import MAXIMUM_PROBLEMS, MAXIMUM_VALUE_CHARACTERS, show_value


class Color(enum.Enum):
    """A color."""

    RED = "red"
    BLUE = "blue"


class Circle(BaseModel):
    """A circle."""

    kind: Literal["circle"]
    radius: float


class Square(BaseModel):
    """A square."""

    kind: Literal["square"]
    sides: list[int]


@dataclasses.dataclass
class Point:
    """A point."""

    x: int
    y: int = 0


class Options(TypedDict):
    """Options."""

    deep: bool


def must_be_even(value: int) -> int:
    if value % 2:
        raise ValueError("must be even")
    return value


def explodes(value: int) -> int:
    raise RuntimeError("boom")


@tool
def draw(
    shape: Circle | Square,
    points: list[Point] = [],  # noqa: B006
    color: Color = Color.RED,
    width: int | list[int] = 1,
    scores: dict[str, int] | None = None,
    options: Options | None = None,
    even: Annotated[int, AfterValidator(must_be_even)] = 2,
    label: str = "",
) -> None:
    """Draw."""


@tool
def odd(value: Annotated[int, AfterValidator(explodes)] = 1) -> None: ...


@tool
def nothing() -> None: ...


@tool
def opened(context: ToolContext, name: str = "", **rest: int) -> None: ...


CIRCLE = {"kind": "circle", "radius": 1}


@pytest.mark.parametrize(
    ("made", "args", "lines"),
    [
        (draw, {}, ["`shape`: missing"]),
        (draw, [], ["the arguments: expected a valid dictionary; got [] (array)"]),
        (draw, {"shape": CIRCLE, "colour": "red"}, ["`colour`: no such argument; did you mean `color`?"]),
        (
            draw,
            {"shape": CIRCLE, "qqq": 1},
            ["`qqq`: no such argument; it takes shape, points, color, width, scores, options, even, label"],
        ),
        (
            draw,
            {"shape": CIRCLE, "color": "green"},
            ["`color`: expected 'red' or 'blue'; got \"green\" (string)"],
        ),
        (
            draw,
            {"shape": CIRCLE, "points": [{"x": 1}, {"x": "a", "z": 1}, {}]},
            [
                '`points[1].x`: expected a valid integer, unable to parse string as an integer; got "a" (string)',
                "`points[1].z`: no such argument",
                "`points[2].x`: missing",
            ],
        ),
        (
            draw,
            {"shape": CIRCLE, "width": {"a": 1}},
            ["`width`: expected a valid integer or a valid list; got {'a': 1} (object)"],
        ),
        (draw, {"shape": CIRCLE, "scores": {"a": None}}, ["`scores.a`: expected a valid integer; got null"]),
        (
            draw,
            {"shape": CIRCLE, "options": {"deep": []}},
            ["`options.deep`: expected a valid boolean; got [] (array)"],
        ),
        (draw, {"shape": CIRCLE, "even": 3}, ["`even`: must be even; got 3 (integer)"]),
        (draw, {"shape": CIRCLE, "label": True}, ["`label`: expected a valid string; got true"]),
        (draw, {"shape": CIRCLE, "label": b"ab"}, []),
        (odd, {"value": 1}, ["checking its arguments raised RuntimeError: boom"]),
        (nothing, {"a": 1}, ["`a`: no such argument"]),
        (opened, {"context": 1}, ["`context`: no such argument; it takes name"]),
        (opened, {"extra": "a"}, ["`extra`: expected a valid integer, unable to parse"]),
    ],
)
def test_every_bad_argument_has_its_line(made: Tool, args: Any, lines: list[str]) -> None:
    """Where, what was expected, what came; nothing is lost, nothing is said twice."""
    if not lines:
        assert made.prepare(args) is not None
        return
    with pytest.raises(ArgumentsError) as raised:
        made.prepare(args)
    message = str(raised.value)
    assert f"`{made.name}`" in message
    assert [] == [line for line in lines if line not in message], message
    assert len(lines) == max(1, message.count("\n")), message


SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "maxLength": 5},
        "days": {"type": ["integer", "null"]},
        "unit": {"enum": ["c", "f"]},
        "where": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"$ref": "#/$defs/place"}}]},
    },
    "required": ["city"],
    "additionalProperties": False,
    "$defs": {"place": {"type": "object", "required": ["lat"]}},
}
weather = Tool.from_schema(name="weather", description="", parameters=SCHEMA, function=lambda **args: args)


def with_context(context: ToolContext, **args: Any) -> None: ...


anything = Tool.from_schema(name="anything", parameters={}, function=with_context)


@pytest.mark.parametrize(
    ("made", "args", "lines"),
    [
        (weather, {}, ["`city`: missing"]),
        (weather, {"city": 3, "days": "x"}, ["`city`: expected string; got 3 (integer)", "`days`: expected"]),
        (weather, {"city": "too long"}, ['`city`: is longer than 5 characters; got "too long" (string)']),
        (weather, {"city": "a", "unit": "k"}, ['`unit`: is not one of "c" or "f"; got "k" (string)']),
        (weather, {"city": "a", "where": 3}, ["`where`: expected string or array; got 3 (integer)"]),
        (weather, {"city": "a", "where": [{}]}, ["`where`: is not valid under any of the schemas"]),
        (weather, {"city": "a", "town": "b", "x": 1}, ["`town`: no such argument", "`x`: no such argument"]),
        (weather, {"city": {1, 2}}, ["its arguments are not JSON"]),
        (weather, {3: "a"}, ["its arguments are not JSON"]),
        (weather, [], ["the arguments: expected object; got [] (array)"]),
        (weather, {"city": "x" * 10_000_000}, ['`city`: is longer than 5 characters; got "xxx']),
        (anything, {"context": 1}, ["`context`: no such argument"]),
    ],
)
def test_schemas_from_elsewhere_say_the_same(made: Tool, args: Any, lines: list[str]) -> None:
    """The same wording, whatever library checked."""
    with pytest.raises(ArgumentsError) as raised:
        made.prepare(args)
    message = str(raised.value)
    assert [] == [line for line in [f"`{made.name}`", *lines] if line not in message], message
    assert len(lines) == max(1, message.count("\n")), message
    assert len(message) < 1_000


def test_schemas_from_elsewhere_coerce_nothing() -> None:
    """What fits comes back as it is."""
    args = {"city": "Bern", "days": None}
    assert args is weather.prepare(args)


def test_the_number_of_lines_is_bounded() -> None:
    """A thousand bad elements do not make a thousand lines."""
    for made, args in (
        (draw, {"shape": CIRCLE, "points": [{"x": "a"}] * 1_000}),
        (weather, {"city": "a", **{f"x{number}": 1 for number in range(1_000)}}),
    ):
        with pytest.raises(ArgumentsError) as raised:
            made.prepare(args)
        assert MAXIMUM_PROBLEMS + 2 == len(str(raised.value).splitlines())
        assert str(raised.value).endswith("… and more")


def test_arguments_arrive_in_the_function_s_types() -> None:
    """Models, dataclasses and enums are instances; numbers in text become numbers."""
    prepared = draw.prepare(
        {"shape": {"kind": "square", "sides": ["1"]}, "points": [{"x": "1"}], "color": "blue", "width": "3"}
    )
    assert {
        "shape": Square(kind="square", sides=[1]),
        "points": [Point(1)],
        "color": Color.BLUE,
        "width": 3,
    } == prepared


def test_instances_pass_as_they_are() -> None:
    """Code that calls a tool need not go through JSON."""
    assert Circle(kind="circle", radius=2) == draw.prepare({"shape": Circle(kind="circle", radius=2)})["shape"]


def test_absent_optional_arguments_stay_absent() -> None:
    """The function's own default applies, not a copy of it."""

    @tool
    def save(path: Path, day: date, sizes: set[int], text: str = "", when: date | None = None) -> None: ...

    assert {"path": Path("a"), "day": date(2024, 1, 2), "sizes": {1, 2}} == save.prepare(
        {"path": "a", "day": "2024-01-02", "sizes": [1, 2, 2]}
    )


def test_a_default_given_as_a_field_is_filled_in() -> None:
    """A pydantic `Field` as default would otherwise arrive as a Field."""

    @tool
    def save(
        limit: int = Field(3, ge=1), name: Annotated[str, Field(default="x")] = "y", size: int = Field(ge=1)
    ) -> None: ...

    assert 3 == save.prepare({"size": 1})["limit"]
    with pytest.raises(ArgumentsError, match="`size`: missing"):
        save.prepare({})


def test_null_is_taken_where_the_default_is_none() -> None:
    """`name: str = None` is sloppy and common; planners write null for it."""

    @tool
    def save(name: str = None) -> None: ...  # type: ignore[assignment]  # noqa: RUF013

    assert {"name": None} == save.prepare({"name": None})


def test_parameter_names_that_libraries_use_themselves() -> None:
    """A tool may call its parameters what it likes."""

    @tool
    def odd_names(_private: int, schema: str, json: str, model_config: str, copy: int, items: int, args: int) -> int:
        return args

    given = dict.fromkeys(["_private", "copy", "items", "args"], 1) | dict.fromkeys(
        ["schema", "json", "model_config"], "a"
    )
    assert given == odd_names.prepare(given)


def test_the_caller_s_arguments_are_not_changed() -> None:
    """Coercion makes a new object."""
    args = {"shape": dict(CIRCLE), "width": "3"}
    draw.prepare(args)
    assert {"shape": CIRCLE, "width": "3"} == args


def test_no_parameters_no_work() -> None:
    """The same empty object comes back."""
    args: dict[str, Any] = {}
    assert args is nothing.prepare(args)


def test_threads_may_prepare_at_once() -> None:
    """The check is compiled when the tool is made and shared without locks."""
    results: list[Any] = []
    threads = [
        threading.Thread(target=lambda: results.extend(draw.prepare({"shape": CIRCLE})["shape"] for _ in range(50)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [Circle(kind="circle", radius=1)] * 200 == results


class Rude:
    """An object that cannot be shown."""

    def __repr__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "null"),
        (True, "true"),
        (3, "3 (integer)"),
        (1.5, "1.5 (number)"),
        ("ä\n", '"ä\\n" (string)'),
        (b"abc", "3 bytes"),
        ([1, [2, [3, [4]]]], "[1, [2, [3, [...]]]] (array)"),
        (10**5_000, "… (integer)"),
        (Rude(), None),
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_are_shown_shortly(value: object, shown: str | None) -> None:
    """Bounded work, bounded length, never an error."""
    assert shown in (None, show_value(value))


@pytest.mark.parametrize(
    "value",
    ["x" * 10**6, list(range(10**5)), {"k" * 1000: "v" * 1000}, [["x" * 100] * 100] * 100],
    ids=["text", "list", "object", "nested"],
)
def test_large_values_are_cut(value: object) -> None:
    """A message never carries a whole document."""
    assert len(show_value(value)) < MAXIMUM_VALUE_CHARACTERS + 20
