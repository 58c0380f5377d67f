"""The tool: a function a plan can call, with its schema and its facts.

Everything that can be wrong with a tool is refused when it is made. A tool never runs anything by itself:
the engine calls `prepare`, then `function`; calling the tool in plain Python calls the function as it is.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Unpack, cast, overload

from planloom.errors import ToolDefinitionError
from planloom.tools.address import ToolAddress, address_of
from planloom.tools.annotations import takes_table
from planloom.tools.arguments import Prepare
from planloom.tools.docstrings import read_docstring
from planloom.tools.facts import RunIn, ToolFacts, check_facts, check_name
from planloom.tools.schema import (
    DescribeReturn,
    JsonSchema,
    adopt_parameters,
    adopt_return,
    describe_later,
    describe_parameters,
    find_secret_parameters,
    is_plain,
    is_secret,
)
from planloom.tools.signature import (
    EMPTY,
    docstring_of,
    find_context_parameter,
    is_async,
    is_coroutine_function,
    is_generator,
    label_of,
    read_signature,
)


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Tool:
    """One callable with a name, a schema and facts.

    Made by `@tool`, `Tool.from_function` or `Tool.from_schema`, never by its constructor.

    - `parameters`: JSON Schema of the arguments, always of an object.
    - `returns`: JSON Schema of the value, or None when it is unknown; described when it is first asked for.
    - `function`: what the engine calls, with keyword arguments; `is_async`: the result is awaited.
    - `context_parameter`: the name under which a `ToolContext` is passed, or None.
    - `coerces`: `prepare` turns JSON into the function's own types; not so for a schema from elsewhere.
    - `secret_parameters`: those whose schema is `writeOnly`, as that of a `SecretStr`; `has_secrets`: those, or some
      part of a parameter or of the value, are secret.
    - `takes_tables`: some parameter is a table of pandas, polars or Arrow, or a NumPy array: `read_tables` is called
      before the function.
    - `address`: where another process finds the function, or None when none could.

    The facts are described at `ToolFacts`; here they all have a value, but for those that may be None. Two tools
    are equal only if they are the same object. Do not change the schemas in place.
    """

    name: str
    description: str
    parameters: JsonSchema
    function: Callable[..., Any]
    is_async: bool
    context_parameter: str | None
    coerces: bool
    read_only: bool
    idempotent: bool
    destructive: bool
    open_world: bool
    calls_model: bool | None
    timeout_s: float
    retries: int
    max_concurrency: int | None
    expected_s: float | None
    run_in: RunIn
    writes: tuple[str, ...]
    version: str | None
    cache: bool
    secret_parameters: tuple[str, ...]
    takes_tables: bool
    address: ToolAddress | None
    _describe_return: DescribeReturn = field(repr=False)
    _returns_plain: bool = field(repr=False)
    _prepare: Prepare = field(repr=False)
    _given: ToolFacts = field(repr=False)

    def __post_init__(self) -> None:
        # functools.update_wrapper would do this, but it also copies the function's __dict__ over ours.
        for name, value in (
            ("__wrapped__", self.function),
            ("__name__", getattr(self.function, "__name__", self.name)),
            ("__qualname__", getattr(self.function, "__qualname__", self.name)),
            ("__module__", getattr(self.function, "__module__", None) or __name__),
            ("__doc__", docstring_of(self.function)),
        ):
            object.__setattr__(self, name, value)

    @staticmethod
    def from_function(function: Callable[..., Any], /, **facts: Unpack[ToolFacts]) -> Tool:
        """Make a tool from a typed function, sync or async; a method, partial or callable object will do.

        The schema comes from the signature and the docstring (Google, NumPy or reST style); `facts` add to it
        or override it. A tool given here comes back with these facts changed.

        Raises ToolDefinitionError when a plan could not call it: `*args` or positional-only parameters,
        a type without JSON Schema, a wrong fact, a lambda without a name.
        """
        if isinstance(function, Tool):
            return function.with_facts(**facts)
        function = _checked_callable(function)
        signature = read_signature(function)
        name = _name_of(function, facts)
        documentation = read_docstring(docstring_of(function))
        parameters, prepare = describe_parameters(signature, documentation)
        # nothing can be wrong with it, so it waits until someone asks: a plan names few tools of a large toolbox
        returns = describe_later(EMPTY if is_generator(function) else signature.returns, documentation)
        description = documentation.description
        if documentation.returns and returns() is None:
            description = f"{description}\n\nReturns: {documentation.returns}".strip()
        outline = _Outline(
            name=name,
            description=description,
            parameters=parameters,
            returns=returns,
            returns_plain=is_plain(signature.returns),
            function=function,
            context_parameter=signature.context_parameter,
            coerces=True,
            takes_tables=any(map(takes_table, [signature.extra, *(one.annotation for one in signature.parameters)])),
            prepare=prepare,
        )
        return _assemble(outline, facts)

    @staticmethod
    def from_schema(
        *,
        parameters: Mapping[str, Any] | None,
        function: Callable[..., Any],
        returns: Mapping[str, Any] | None = None,
        **facts: Unpack[ToolFacts],
    ) -> Tool:
        """Make a tool whose schema came from elsewhere. `function` is called as `function(**args)`.

        `name` (default: the function's) and `description` are given among the facts. `parameters` is a JSON
        Schema of an object, or None for no arguments; arguments are checked against it and not coerced.
        `returns` is the JSON Schema of the value, or None when it is unknown.

        Raises ToolDefinitionError for a schema that is not valid or refers to another document, and for a
        wrong fact.
        """
        function = _checked_callable(function)
        name = _name_of(function, facts)
        context = find_context_parameter(function)
        adopted, prepare = adopt_parameters(name, parameters, frozenset() if context is None else frozenset({context}))
        documented = docstring_of(function) if inspect.isroutine(function) else None
        adopted_return = adopt_return(name, returns)
        outline = _Outline(
            name=name,
            description=read_docstring(documented).description,
            parameters=adopted,
            returns=lambda: adopted_return,
            returns_plain=False,
            function=function,
            context_parameter=context,
            coerces=False,
            takes_tables=False,
            prepare=prepare,
        )
        return _assemble(outline, facts)

    def with_facts(self, **facts: Unpack[ToolFacts]) -> Tool:
        """The same tool with some facts changed, such as `name`. Raises ToolDefinitionError."""
        if not facts:
            return self
        given = cast("ToolFacts", {**self._given, **facts})
        name = check_name(given.get("name", self.name), f"`{self.name}`")
        outline = _Outline(
            name=name,
            description=self.description,
            parameters=self.parameters,
            returns=self._describe_return,
            returns_plain=self._returns_plain,
            function=self.function,
            context_parameter=self.context_parameter,
            coerces=self.coerces,
            takes_tables=self.takes_tables,
            prepare=self._prepare,
        )
        return _assemble(outline, given)

    @property
    def returns(self) -> JsonSchema | None:
        """JSON Schema of the value, as its JSON will look, or None when it is unknown."""
        return self._describe_return()

    @functools.cached_property
    def has_secrets(self) -> bool:
        """Whether some part of a parameter or of the value is secret."""
        return is_secret(self.parameters) or (not self._returns_plain and is_secret(self.returns))

    @property
    def may_call_model(self) -> bool:
        """Whether a call may ask a language model: as `calls_model` says, and if it says nothing, a tool may
        that takes a `ToolContext`, because nothing else gives it the worker model of the run.
        """
        return self.context_parameter is not None if self.calls_model is None else self.calls_model

    @property
    def may_start_early(self) -> bool:
        """Whether a step of this tool may start while the rest of its plan still arrives.

        The rule: the tool is declared here to be read-only and not open-world, and it calls no model. What was
        started early can then be thrown away if the whole plan is rejected: it has changed nothing, told nobody and
        cost nothing. Whether the step itself may start (complete, valid, its dependencies met) is decided elsewhere.

        A remote server's word about its tools is no declaration: whoever makes tools of them must leave
        `read_only` out, unless the user says it.
        """
        return self.read_only and not self.open_world and not self.may_call_model

    def prepare(self, args: dict[str, Any]) -> dict[str, Any]:
        """Check arguments and coerce them to the function's types; absent optional arguments stay absent.

        The result may share containers with `args`. A table stays a handle, to be read by `read_tables`. Raises
        ArgumentsError that lists every bad argument.
        """
        return self._prepare(args, self.name)

    def read_tables(self, args: dict[str, Any], folder: Path) -> dict[str, Any]:
        """Like `prepare`, and tables are read from the run's folder: this takes as long as they are large.

        Raises DataError too, for a handle whose table is not there, or cannot be read.
        """
        return self._prepare(args, self.name, folder)

    def to_dict(self) -> dict[str, Any]:
        """The tool as a JSON object, as `planloom tools --json` prints it."""
        return {
            "name": self.name,
            "description": self.description,
            "parameters": self.parameters,
            "returns": self.returns,
            "read_only": self.read_only,
            "idempotent": self.idempotent,
            "destructive": self.destructive,
            "open_world": self.open_world,
            "calls_model": self.calls_model,
            "timeout_s": self.timeout_s,
            "retries": self.retries,
            "max_concurrency": self.max_concurrency,
            "expected_s": self.expected_s,
            "run_in": self.run_in,
            "writes": list(self.writes),
            "version": self.version,
            "cache": self.cache,
        }

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function as it is: no check, no context, no limit; an async one gives its coroutine."""
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        facts = [fact for fact in ("read_only", "idempotent", "destructive", "open_world") if getattr(self, fact)]
        arguments = ", ".join(self.parameters.get("properties", {}))
        return f"<Tool {self.name}({arguments}) {' '.join([*facts, f'run_in={self.run_in}'])}>"


@overload
def tool(function: Callable[..., Any], /) -> Tool: ...
@overload
def tool(**facts: Unpack[ToolFacts]) -> Callable[[Callable[..., Any]], Tool]: ...
@overload
def tool(function: Callable[..., Any], /, **facts: Unpack[ToolFacts]) -> Tool: ...
def tool(
    function: Callable[..., Any] | None = None, /, **facts: Unpack[ToolFacts]
) -> Tool | Callable[[Callable[..., Any]], Tool]:
    """Make a tool of the function below: `@tool`, or with facts `@tool(read_only=True, timeout_s=30)`.

    The decorated name is a `Tool` that can still be called like the function. See `Tool.from_function`.
    """
    if function is None:
        return functools.partial(Tool.from_function, **facts)
    if isinstance(function, str):
        raise ToolDefinitionError(f"@tool was given the text {function!r}\nhint: @tool(name={function!r})")
    return Tool.from_function(function, **facts)


def _checked_callable(function: object) -> Callable[..., Any]:
    if isinstance(function, staticmethod):
        function = cast("staticmethod[..., Any]", function).__func__
    if isinstance(function, classmethod) or not callable(function):
        raise ToolDefinitionError(
            f"a tool is made from a function, not from {function!r:.80}\n"
            "hint: put @tool above a function, or write Tool.from_function(function)"
        )
    return function


def _name_of(function: Callable[..., Any], facts: ToolFacts) -> str:
    label = label_of(function)
    if "name" in facts:
        return check_name(facts["name"], f"tool from `{label}`")
    if label == "<lambda>":
        raise ToolDefinitionError("a lambda has no name a plan could use\nhint: Tool.from_function(…, name='double')")
    return check_name(label, f"tool from `{label}`")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outline:
    """A tool before its facts."""

    name: str
    description: str
    parameters: JsonSchema
    returns: DescribeReturn
    returns_plain: bool
    function: Callable[..., Any]
    context_parameter: str | None
    coerces: bool
    takes_tables: bool
    prepare: Prepare


def _assemble(outline: _Outline, facts: ToolFacts) -> Tool:
    """Check the facts against the function and put the tool together."""
    name, function = outline.name, outline.function
    awaited = is_async(function)
    checked = check_facts(name, facts, is_async=awaited, parameters=outline.parameters.get("properties", {}))
    address = address_of(function)
    _check_place(name, checked.run_in, function, awaited, address)
    if checked.cache and is_secret(outline.parameters):
        raise ToolDefinitionError(f"`{name}`: what a secret went into is never used again\nhint: drop cache")
    description = facts.get("description", outline.description)
    if not isinstance(description, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ToolDefinitionError(f"`{name}`: description must be a text, not {description!r:.60}")
    return Tool(
        name=name,
        description=inspect.cleandoc(description).strip(),
        parameters=outline.parameters,
        function=function,
        is_async=awaited,
        context_parameter=outline.context_parameter,
        coerces=outline.coerces,
        takes_tables=outline.takes_tables,
        secret_parameters=find_secret_parameters(outline.parameters),
        address=address if isinstance(address, ToolAddress) else None,
        _describe_return=outline.returns,
        _returns_plain=outline.returns_plain,
        _prepare=outline.prepare,
        _given=facts,
        **{fact.name: getattr(checked, fact.name) for fact in dataclasses.fields(checked)},
    )


def _check_place(
    name: str, run_in: RunIn, function: Callable[..., Any], awaited: bool, address: ToolAddress | str
) -> None:
    """Refuse places where this function cannot run."""
    if run_in == "thread" and is_coroutine_function(function):
        raise ToolDefinitionError(
            f"`{name}`: an async function runs in the loop, not in a thread\n"
            "hint: drop run_in, or make the function sync"
        )
    if run_in != "process":
        return
    if awaited:
        raise ToolDefinitionError(
            f"`{name}`: an async function cannot run in a process of its own\nhint: make it sync, or drop run_in"
        )
    if isinstance(address, str):
        raise ToolDefinitionError(
            f"`{name}`: another process could not find this function: {address}\n"
            'hint: run_in="process" needs a function defined with `def` at the top level of a module'
        )
