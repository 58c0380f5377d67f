"""What becomes a tool, what is refused, and what the message says."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Annotated, Any, Optional

import pytest
from pydantic import BaseModel

from planloom.errors import ToolDefinitionError
from planloom.tools import Tool, ToolContext, tool

if TYPE_CHECKING:
    from decimal import Decimal

    from elsewhere import Unknown  # type: ignore[import-not-found]


class NotDescribable:
    """A class that pydantic cannot describe."""


class Searcher:
    """Searches things."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix

    def search(self, query: str) -> str:
        """Search by method."""
        return self.prefix + query

    async def __call__(self, query: str) -> str:
        return self.prefix + query


def positional_only(path: str, /) -> str:
    return path


def with_args(*paths: str) -> str:
    return "".join(paths)


def with_unknown_type(amount: Unknown) -> str:
    return str(amount)


def with_bad_type(name: str, thing: NotDescribable) -> str:
    return name


def with_bad_rest(**rest: NotDescribable) -> str:
    return ""


def with_callback(callback: Callable[[int], int]) -> int:
    return callback(1)


def two_contexts(first: ToolContext, second: ToolContext) -> None: ...


REFUSED: list[tuple[Any, list[str]]] = [
    (positional_only, ["positional_only", "`path`", "positional-only", "hint: "]),
    (with_args, ["with_args", "`*paths`", "hint: take one list"]),
    (with_unknown_type, ["with_unknown_type", "`amount`", "'Unknown'", "cannot be resolved", "hint: import"]),
    (with_bad_type, ["with_bad_type", "`thing`", "NotDescribable", "hint: "]),
    (with_bad_rest, ["with_bad_rest", "`**kwargs`", "NotDescribable"]),
    (with_callback, ["with_callback", "`callback`"]),
    (two_contexts, ["two_contexts", "first, second"]),
    (lambda a: a, ["a lambda has no name", "name="]),
    (max, ["max", "hint: wrap it in a function"]),
    (Searcher, ["Searcher", "is a class", "hint: "]),
    (Searcher.search, ["Searcher.search", "nothing would fill `self`", "bound method"]),
    (classmethod(Searcher.search), ["made from a function"]),
    ("search", ["made from a function", "'search'"]),
    (None, ["made from a function", "None"]),
]


@pytest.mark.parametrize(("function", "words"), REFUSED, ids=lambda value: getattr(value, "__name__", None))
def test_a_function_that_no_plan_could_call_is_refused(function: Any, words: list[str]) -> None:
    """The message names the function, the parameter and what to do."""
    with pytest.raises(ToolDefinitionError) as raised:
        Tool.from_function(function)
    message = str(raised.value)
    assert [] == [word for word in words if word not in message], message


def test_decorator_given_a_text_says_how_to_name_a_tool() -> None:
    """`@tool("search")` is a likely slip."""
    with pytest.raises(ToolDefinitionError, match=r"hint: @tool\(name='search'\)"):
        tool("search")  # type: ignore[call-overload]


@pytest.mark.parametrize(
    "name", ["", "  ", " x", "x ", "a\nb", "a\x00b", "a\x7f", "\ud800", "a\u2028b", "x" * 201, 7, None]
)
def test_bad_names_are_refused(name: Any) -> None:
    """Empty names, control characters and blank ends could not be written in a plan."""
    with pytest.raises(ToolDefinitionError, match="name"):
        Tool.from_function(lambda: 1, name=name)


@pytest.mark.parametrize("name", ["Object Detection", "skills.search-web", "große_suche", "a" * 200, "x/y:z", "搜索"])
def test_names_of_real_tool_sets_are_taken(name: str) -> None:
    """Dots, dashes, spaces inside and other scripts are fine."""
    assert name == Tool.from_function(lambda: 1, name=name).name


def test_bare_decorator_takes_name_and_description_from_the_function() -> None:
    """`@tool` needs nothing else."""

    @tool
    def greet(who: str) -> str:
        """Say hello."""
        return f"hello {who}"

    assert isinstance(greet, Tool)
    assert ("greet", "Say hello.") == (greet.name, greet.description)
    assert {"type": "string"} == greet.returns
    assert ["who"] == greet.parameters["required"]
    assert greet.parameters["additionalProperties"] is False


def test_a_tool_is_still_the_function_in_plain_python() -> None:
    """Callable, documented, introspectable, hashable by identity."""

    def greet(who: str, mark: str = "!") -> str:
        """Say hello."""
        return f"hello {who}{mark}"

    one, two = tool(greet), tool(greet)
    assert "hello you?" == one("you", mark="?")
    assert ("greet", "Say hello.") == (one.__name__, one.__doc__)  # type: ignore[attr-defined]
    assert greet is one.__wrapped__  # type: ignore[attr-defined]
    assert ["who", "mark"] == list(inspect.signature(one).parameters)
    assert 2 == len({one, two})
    assert one != two
    assert "<Tool greet(who, mark) run_in=thread>" == repr(one)


def test_an_async_tool_called_in_plain_python_gives_its_coroutine() -> None:
    """Nothing is run behind the caller's back."""

    @tool
    async def double(value: int) -> int:
        return value * 2

    assert 4 == asyncio.run(double(2))


async def plain_async(value: int) -> int:
    return value


def logged(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


def hands_on(value: int) -> Awaitable[int]:
    return plain_async(value)


def plain_sync(value: int) -> int:
    return value


async def async_generator(value: int) -> AsyncIterator[int]:
    yield value


def generator(value: int) -> Iterator[int]:
    yield value


@pytest.mark.parametrize(
    ("function", "is_async"),
    [
        (plain_sync, False),
        (plain_async, True),
        (functools.partial(plain_async), True),
        (functools.partial(functools.partial(plain_async)), True),
        (Searcher("a"), True),
        (functools.partial(Searcher("a")), True),
        (logged(plain_async), True),
        (logged(logged(plain_async)), True),
        (logged(plain_sync), False),
        (functools.lru_cache(plain_sync), False),
        (functools.lru_cache(plain_async), True),
        (staticmethod(plain_async), True),
        (hands_on, True),
        (Searcher("a").search, False),
        (async_generator, True),
        (generator, False),
    ],
)
def test_async_is_seen_through_every_wrapping(function: Any, is_async: bool) -> None:
    """Async tools run in the loop by default, sync ones in a thread."""
    made = Tool.from_function(function, name="made")
    assert (is_async, "loop" if is_async else "thread") == (made.is_async, made.run_in)
    assert ["value" if "value" in made.parameters["properties"] else "query"] == made.parameters["required"]


def test_a_wrapper_that_runs_the_coroutine_itself_may_ask_for_a_thread() -> None:
    """A sync wrapper around an async function is ambiguous, so the author's word counts."""

    @functools.wraps(plain_async)
    def runs_it(value: int) -> int:
        return asyncio.run(plain_async(value))

    assert "thread" == Tool.from_function(runs_it, run_in="thread").run_in


@pytest.mark.parametrize("function", [generator, async_generator])
def test_generators_are_accepted_with_unknown_output(function: Any) -> None:
    """Whether a generator is a usable output is the run's decision, not the definition's."""
    assert Tool.from_function(function).returns is None


def test_awaitable_return_annotation_is_unwrapped() -> None:
    """The output of a function that hands on a coroutine is what the coroutine gives."""
    assert {"type": "integer"} == Tool.from_function(hands_on).returns


def test_bound_methods_partials_and_callable_objects() -> None:
    """Their own names and docstrings are used; what is bound already is not shown."""
    method = Tool.from_function(Searcher("a").search)
    assert ("search", "Search by method.", "ab") == (method.name, method.description, method(query="b"))

    def fetch(url: str, token: str, depth: int = 1) -> str:
        """Fetch a page."""
        return f"{url} {token} {depth}"

    bound = Tool.from_function(functools.partial(fetch, token="secret"))
    assert ("fetch", "Fetch a page.") == (bound.name, bound.description)
    assert ["url", "depth"] == list(bound.parameters["properties"])
    assert "secret" not in str(bound.to_dict())
    assert "u secret 2" == bound.function(**bound.prepare({"url": "u", "depth": "2"}))

    positional = Tool.from_function(functools.partial(fetch, "u"))
    assert ["token", "depth"] == list(positional.parameters["properties"])

    called = Tool.from_function(Searcher("a"))
    assert ("Searcher", "Searches things.") == (called.name, called.description)


def test_static_methods_under_the_decorator() -> None:
    """`@tool` above or below `@staticmethod` gives a tool without `self`."""

    class Box:
        @tool
        @staticmethod
        def above(value: int) -> int:
            return value

        @staticmethod
        @tool
        def below(value: int) -> int:
            return value

    assert (1, 2) == (Box.above(1), Box.below(2))
    assert ["value"] == list(Box.below.parameters["properties"])


def plain_context(query: str, context: ToolContext) -> str:
    return query


def optional_context(query: str, context: ToolContext | None = None) -> str:
    return query


def old_optional_context(query: str, context: Optional[ToolContext] = None) -> str:  # noqa: UP045
    return query


def annotated_context(context: Annotated[ToolContext, "of the run"], query: str) -> str:
    return query


def keyword_context(query: str, *, context: ToolContext) -> str:
    return query


def quoted_context(query: str, context: "ToolContext") -> str:  # noqa: UP037
    return query


@pytest.mark.parametrize(
    "function",
    [
        plain_context,
        optional_context,
        old_optional_context,
        annotated_context,
        keyword_context,
        quoted_context,
    ],
)
def test_a_context_parameter_is_hidden(function: Any) -> None:
    """However it is annotated, the planner never sees it."""
    made = Tool.from_function(function)
    assert "context" == made.context_parameter
    assert ["query"] == list(made.parameters["properties"])


def test_a_context_imported_for_type_checkers_only_is_known_by_name() -> None:
    """Its annotation cannot be evaluated, but what it means is plain."""
    namespace: dict[str, Any] = {}
    exec("def f(q: 'str', c: 'tools.ToolContext | None' = None): ...", namespace)
    assert "c" == Tool.from_function(namespace["f"]).context_parameter


def test_an_unresolved_return_annotation_is_an_unknown_output() -> None:
    """Only parameters must be known."""

    def price(item: str) -> Decimal:  # imported for type checkers only
        raise NotImplementedError

    assert Tool.from_function(price).returns is None


def test_a_model_of_the_enclosing_function_is_found() -> None:
    """Text annotations may name classes that live only inside the function around."""

    class Order(BaseModel):
        amount: int

    @tool
    def place(order: Order) -> list[Order]:
        return [order]

    assert Order(amount=3) == place.prepare({"order": {"amount": "3"}})["order"]
    assert place.returns is not None


def test_with_facts_changes_facts_and_keeps_the_rest() -> None:
    """A tool from elsewhere can be renamed or limited; defaults follow the new facts."""

    @tool(read_only=True, timeout_s=5)
    def look(path: str) -> str:
        """Look."""
        return path

    changed = look.with_facts(name="peek", read_only=False)
    assert ("peek", False, 0, 5.0, "Look.") == (
        changed.name,
        changed.read_only,
        changed.retries,
        changed.timeout_s,
        changed.description,
    )
    assert look is look.with_facts()
    assert "peek" == Tool.from_function(look, name="peek").name
    with pytest.raises(ToolDefinitionError, match="destructive"):
        look.with_facts(destructive=True)


SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string", "title": "City"}},
    "required": ["city"],
}


class TestFromSchema:
    """Tools whose schema came from elsewhere."""

    @pytest.mark.parametrize(
        ("parameters", "words"),
        [
            ({"city": {"type": "string"}}, ["list of properties", '"properties"']),
            ({"type": "string"}, ["must describe an object", "string"]),
            ({"type": ["object", "null"]}, ["must describe an object"]),
            ({"type": "object", "properties": []}, ["`properties`"]),
            (
                {"properties": {"a": {"type": "strnig"}}},
                ["parameters/properties/a/type", "not a valid JSON Schema"],
            ),
            (
                {"properties": {"a": {"$ref": "https://example.com/a.json"}}},
                ["other documents", "example.com"],
            ),
            ({"properties": {"a": {"$ref": "file:///etc/hostname"}}}, ["other documents"]),
            ({"properties": {"a": {"default": {1, 2}}}}, ["not a valid JSON Schema"]),
            ([], ["must be a JSON Schema object"]),
        ],
    )
    def test_a_bad_schema_is_refused_at_once(self, parameters: Any, words: list[str]) -> None:
        """Not at the first call, and nothing is fetched."""
        with pytest.raises(ToolDefinitionError) as raised:
            Tool.from_schema(name="weather", description="", parameters=parameters, function=lambda **args: args)
        assert [] == [word for word in ["`weather`", *words] if word not in str(raised.value)], str(raised.value)

    def test_a_bad_return_schema_is_refused(self) -> None:
        """The output schema is checked like the other."""
        with pytest.raises(ToolDefinitionError, match="returns/type is not a valid"):
            Tool.from_schema(name="w", parameters=None, returns={"type": "objekt"}, function=lambda: 1)

    def test_the_schema_is_kept_as_it_is_and_apart(self) -> None:
        """Titles stay, and later changes by the caller do not reach the tool."""
        schema = {**SCHEMA, "properties": {**SCHEMA["properties"]}}
        made = Tool.from_schema(
            name="Weather Report",
            description="The weather.",
            parameters=schema,
            returns={"type": "object"},
            function=lambda **args: args,
            read_only=True,
            version="3",
        )
        schema["properties"].clear()
        assert SCHEMA == made.parameters
        assert ("Weather Report", "The weather.", {"type": "object"}) == (
            made.name,
            made.description,
            made.returns,
        )
        assert (True, 2, "3") == (made.read_only, made.retries, made.version)
        assert {"city": "Bern"} == made(city="Bern")

    def test_no_parameters_means_no_arguments(self) -> None:
        """None and a missing type are both read as an object."""
        made = Tool.from_schema(name="now", parameters=None, function=lambda: 1)
        assert {"type": "object", "properties": {}, "additionalProperties": False} == made.parameters
        assert "object" == Tool.from_schema(name="now", parameters={}, function=lambda: 1).parameters["type"]

    def test_only_tools_from_functions_coerce(self) -> None:
        """Another process must know whether to coerce again; facts do not change it."""
        made = Tool.from_schema(name="now", parameters=None, function=plain_sync)
        assert [False, False, True, True] == [
            one.coerces
            for one in (
                made,
                made.with_facts(name="b"),
                tool(plain_sync),
                tool(plain_sync).with_facts(name="b"),
            )
        ]

    def test_async_functions_and_contexts_are_seen(self) -> None:
        """What the function needs is found in its signature even when the schema is given."""

        async def call(context: ToolContext, **args: Any) -> Any:
            """Call it."""

        made = Tool.from_schema(name="call", parameters={"type": "object"}, function=call)
        assert (True, "loop", "context", "Call it.") == (
            made.is_async,
            made.run_in,
            made.context_parameter,
            made.description,
        )
