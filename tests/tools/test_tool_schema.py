"""JSON Schemas from signatures and docstrings."""

from __future__ import annotations

import dataclasses
import enum
import math
import os
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn, NotRequired, Optional

import pytest
from pydantic import BaseModel, Field, SecretStr
from pydantic.json_schema import SkipJsonSchema
from typing_extensions import Doc, TypedDict

from planloom.tools import Tool, tool
from planloom.tools.docstrings import read_docstring
from planloom.tools.schema import is_plain


class Color(enum.Enum):
    """A color."""

    RED = "red"
    BLUE = "blue"


class Address(BaseModel):
    """Where somebody lives."""

    street: str
    number: int = Field(1, description="House number", title="No.")
    next: Optional[Address] = None  # noqa: UP045


@dataclasses.dataclass
class Point:
    """A point."""

    x: float
    y: float = 0.0


class Options(TypedDict):
    """Options."""

    deep: bool
    limit: NotRequired[int]


def schema_of(annotation: Any, default: Any = dataclasses.MISSING) -> dict[str, Any]:
    """The schema of one parameter `it` with this annotation."""

    def take(it: Any) -> None: ...

    take.__annotations__["it"] = annotation
    take.__defaults__ = () if default is dataclasses.MISSING else (default,)
    return Tool.from_function(take).parameters["properties"]["it"]


@pytest.mark.parametrize(
    ("annotation", "schema"),
    [
        (str, {"type": "string"}),
        (Any, {}),
        (Optional[int], {"anyOf": [{"type": "integer"}, {"type": "null"}]}),  # noqa: UP045
        (int | str, {"anyOf": [{"type": "integer"}, {"type": "string"}]}),
        (list[int], {"type": "array", "items": {"type": "integer"}}),
        (dict[str, float], {"type": "object", "additionalProperties": {"type": "number"}}),
        (Literal["a", "b"], {"enum": ["a", "b"], "type": "string"}),
        (date, {"type": "string", "format": "date"}),
        (Path, {"type": "string", "format": "path"}),
        (
            Annotated[int, Field(ge=1, description="how many")],
            {"type": "integer", "minimum": 1, "description": "how many"},
        ),
        (Annotated[int, Field(title="Count")], {"type": "integer", "title": "Count"}),
        (Annotated[int, "how many"], {"type": "integer", "description": "how many"}),
        (Annotated[int, Doc("how many")], {"type": "integer", "description": "how many"}),
        (Color, {"$ref": "#/$defs/Color"}),
        (Address, {"$ref": "#/$defs/Address"}),
    ],
    ids=str,
)
def test_types_are_described_without_made_up_titles(annotation: Any, schema: dict[str, Any]) -> None:
    """What a type says is written; a title only if the author wrote one."""
    assert schema == schema_of(annotation)


@pytest.mark.parametrize(
    ("annotation", "default", "schema"),
    [
        (int, 3, {"type": "integer", "default": 3}),
        (str, None, {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None}),
        (Any, None, {"default": None}),
        (Color, Color.RED, {"$ref": "#/$defs/Color", "default": "red"}),
        (Point, Point(1), {"$ref": "#/$defs/Point", "default": {"x": 1.0, "y": 0.0}}),
        (float, math.inf, {"type": "number"}),
        (float, math.nan, {"type": "number"}),
        (Any, object(), {}),
        (str, "x" * 2_000, {"type": "string"}),
        (int, Field(3, ge=1), {"type": "integer", "minimum": 1, "default": 3}),
        (Annotated[int, Field(ge=1)], 4, {"type": "integer", "minimum": 1, "default": 4}),
    ],
    ids=lambda value: None if type(value) is object else str(value)[:100],  # an address is no name
)
def test_defaults_are_written_as_json(annotation: Any, default: Any, schema: dict[str, Any]) -> None:
    """What JSON cannot say stays out of the schema; the function still uses it."""
    assert schema == schema_of(annotation, default)


def test_models_dataclasses_and_typed_dicts_become_definitions() -> None:
    """One definition per class, with its own words and without titles."""

    def move(address: Address, point: Point, options: Options) -> None: ...

    definitions = Tool.from_function(move).parameters["$defs"]
    assert ["Address", "Options", "Point"] == sorted(definitions)
    assert all("title" not in definition for definition in definitions.values())
    assert "Where somebody lives." == definitions["Address"]["description"]
    assert ({"default": 1, "description": "House number", "title": "No.", "type": "integer"}) == definitions["Address"][
        "properties"
    ]["number"]
    assert ["deep"] == definitions["Options"]["required"]


def test_keyword_arguments_make_the_object_open() -> None:
    """`**kwargs` takes anything, or what its annotation says; without it nothing more is allowed."""

    def closed(a: int) -> None: ...
    def opened(a: int, **rest: Any) -> None: ...
    def typed(**rest: int) -> None: ...

    assert [False, True, {"type": "integer"}] == [
        Tool.from_function(function).parameters["additionalProperties"] for function in (closed, opened, typed)
    ]
    assert {} == Tool.from_function(typed).parameters["properties"]


def test_a_lambda_takes_anything() -> None:
    """No annotation means any value; the output is unknown."""
    made = Tool.from_function(lambda a, b=2: a, name="pick")
    assert {
        "type": "object",
        "properties": {"a": {}, "b": {"default": 2}},
        "required": ["a"],
        "additionalProperties": False,
    } == made.parameters
    assert made.returns is None


def test_an_aliased_parameter_goes_by_its_alias_outside() -> None:
    """The planner writes the alias, the function gets its own name."""

    def find(source: Annotated[str, Field(alias="from")], limit: int = 3) -> None:
        """Find.

        Args:
            source: where from
            limit: how many
        """

    made = Tool.from_function(find)
    assert {"from": "where from", "limit": "how many"} == {
        name: described["description"] for name, described in made.parameters["properties"].items()
    }
    assert {"source": "x"} == made.prepare({"from": "x"})


def test_a_parameter_hidden_from_the_schema_stays_hidden() -> None:
    """pydantic's own way of hiding a parameter works too."""

    def find(limit: SkipJsonSchema[int] = 3, query: str = "x") -> None: ...

    assert {"query": {"type": "string", "default": "x"}} == Tool.from_function(find).parameters["properties"]


class Opaque:
    """A class that pydantic cannot describe."""


@pytest.mark.parametrize(
    ("annotation", "schema"),
    [
        (int, {"type": "integer"}),
        (None, {"type": "null"}),
        (dict, {"type": "object", "additionalProperties": True}),
        (list[Point], None),
        (Any, None),
        (object, None),
        (Opaque, None),
        (NoReturn, None),
        (os.PathLike, None),
        (Color, {"enum": ["red", "blue"], "type": "string", "description": "A color."}),
    ],
    ids=str,
)
def test_output_schema_comes_from_the_return_annotation(annotation: Any, schema: dict[str, Any] | None) -> None:
    """A type that cannot be described is unknown, never an error."""

    def give() -> Any: ...

    give.__annotations__["return"] = annotation
    returns = Tool.from_function(give).returns
    if annotation == list[Point]:
        assert returns is not None
        assert "#/$defs/Point" == returns["items"]["$ref"]
    elif annotation is os.PathLike:
        assert returns is None or returns["type"] == "string"
    else:
        assert schema == returns


def test_a_model_as_output_is_described_without_its_title() -> None:
    """Computed and defaulted fields are always there in what is given."""

    @tool
    def where(name: str) -> Point:
        raise NotImplementedError

    assert where.returns is not None
    assert "title" not in where.returns
    assert ["x", "y"] == list(where.returns["properties"])


GOOGLE = """Search the web.

    Long text,
    two lines.

    Args:
        query: What to
            look for.
        limit (int, optional): How many.
        **rest: Passed on.

    Returns:
        The hits, best first.

    Raises:
        ValueError: never.
    """

NUMPY = """Search the web.

    Long text,
    two lines.

    Parameters
    ----------
    query : str
        What to
        look for.
    limit : int, optional
        How many.
    **rest
        Passed on.

    Returns
    -------
    list of str
        The hits, best first.
    """

REST = """Search the web.

    Long text,
    two lines.

    :param query: What to look for.
    :param int limit: How many.
    :param rest: Passed on.
    :returns: The hits, best first.
    """


@pytest.mark.parametrize("docstring", [GOOGLE, NUMPY, REST], ids=["google", "numpy", "rest"])
def test_docstrings_of_every_style_say_the_same(docstring: str) -> None:
    """Description, parameters and output are described; sections do not leak into the description."""

    def search(query: str, limit: int = 3, **rest: str) -> list[str]: ...  # type: ignore[empty-body]

    search.__doc__ = docstring
    made = Tool.from_function(search)
    assert "Search the web.\n\nLong text,\ntwo lines." == made.description
    assert {"query": "What to look for.", "limit": "How many."} == {
        name: described["description"] for name, described in made.parameters["properties"].items()
    }
    assert {
        "type": "array",
        "items": {"type": "string"},
        "description": "The hits, best first.",
    } == made.returns


def test_the_output_of_an_unannotated_function_is_told_in_words() -> None:
    """Without a schema, what the docstring says about the output is all a planner has."""

    def search(query):  # type: ignore[no-untyped-def]
        """Search.

        Returns:
            An object with `hits`.
        """

    made = Tool.from_function(search)
    assert "Search.\n\nReturns: An object with `hits`." == made.description
    assert made.returns is None


def test_annotated_descriptions_win_over_the_docstring() -> None:
    """What stands at the parameter is nearer than what stands in the text."""

    def search(query: Annotated[str, Field(description="near")]) -> None:
        """Search.

        Args:
            query: far
        """

    assert "near" == Tool.from_function(search).parameters["properties"]["query"]["description"]


@pytest.mark.parametrize(
    ("text", "description"),
    [
        (None, ""),
        ("", ""),
        ("One line.", "One line."),
        ("Note: http://example.com: fine", "Note: http://example.com: fine"),
        ("First.\n\n- a: b\n- c: d", "First.\n\n- a: b\n- c: d"),
        (":param", ":param"),
        ("Do.\n\n:param x", "Do.\n\n:param x"),
        ("Args:\n\n----\n:::", None),
    ],
)
def test_prose_is_never_an_error(text: str | None, description: str | None) -> None:
    """A docstring in no style is all description."""
    read = read_docstring(text)
    if description is not None:
        assert description == read.description


def test_numpy_parameters_documented_together() -> None:
    """`a, b : int` describes both."""
    read = read_docstring("Add.\n\nParameters\n----------\na, b : int\n    A summand.\n")
    assert {"a": "A summand.", "b": "A summand."} == read.parameters


class Drawn:
    """A type that counts how often its schema is asked for."""

    asked = 0

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        cls.asked += 1
        return handler(str)


def test_value_described_when_asked() -> None:
    """The value of a tool is described once, when someone asks; the same tool under another name shares it."""

    def draw() -> Drawn:
        return Drawn()

    made = Tool.from_function(draw)
    assert Drawn.asked == 0
    assert made.returns == {"type": "string"}
    asked = Drawn.asked
    assert made.with_facts(name="other").returns is made.returns
    assert asked == Drawn.asked


class _Row(TypedDict):
    name: Annotated[str, Field(description="a name", max_length=9)]
    cells: list[float | None]
    rest: NotRequired[dict[str, Any]]


class _Login(TypedDict):
    user: str
    word: Annotated[str, Field(json_schema_extra={"writeOnly": True})]


class _Kept(TypedDict):
    rows: list[SecretStr]


@pytest.mark.parametrize(
    ("returned", "plain", "secret"),
    [
        (_Row, True, False),
        (list[_Row] | None, True, False),
        (dict[str, Literal["a", "b"]], True, False),
        (Drawn, False, False),
        (_Login, False, True),
        (_Kept, False, True),
        (dict[str, list[_Login]], False, True),
    ],
)
def test_secret_value_found(returned: Any, plain: bool, secret: bool) -> None:
    """A value with a secret in it is found, whether or not its type alone tells that it has none."""

    def give() -> Any: ...

    give.__annotations__["return"] = returned
    assert plain == is_plain(returned)
    assert secret == Tool.from_function(give).has_secrets
