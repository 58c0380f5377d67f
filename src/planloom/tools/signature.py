"""What a callable says about itself in Python: parameters, return type, async or not, where it lives.

Plain inspection: nothing here knows JSON Schema, and nothing calls the function. Whatever a plan could not
call by keyword is refused here, with the name of the function and the parameter.
"""

from __future__ import annotations

import collections.abc
import functools
import inspect
import re
import sys
import types
import typing
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Final, Union, cast, get_args, get_origin

from planloom.errors import ToolDefinitionError
from planloom.tools.context import ToolContext

EMPTY: Final = inspect.Parameter.empty
"""No default, no annotation, or no `**kwargs`."""

_CONTEXT_TEXT: Final = re.compile(r"(?:\w+\.)*(?:Optional\[)?(?:\w+\.)*ToolContext\]?(?:\|None)?")


@dataclass(frozen=True, slots=True)
class Unresolved:
    """An annotation whose names could not be found; it only matters if somebody needs the type."""

    annotation: object
    error: Exception


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter that a plan may give by keyword. `annotation` is `Any` when the function says nothing."""

    name: str
    annotation: Any
    default: Any = EMPTY


@dataclass(frozen=True, slots=True)
class CallableSignature:
    """A callable, read.

    - `extra`: the annotation of `**kwargs` (`Any` when it has none), or EMPTY without `**kwargs`.
    - `returns`: the annotation of the value, with `Awaitable[...]` taken off, or EMPTY.
    - `hidden`: names a plan must not give: the context parameter and what `functools.partial` has bound.
    """

    label: str
    parameters: tuple[Parameter, ...]
    extra: Any
    returns: Any
    context_parameter: str | None
    hidden: frozenset[str]


def read_signature(function: Callable[..., Any]) -> CallableSignature:
    """Read a function, method, partial or callable object.

    Raises ToolDefinitionError for positional-only parameters, `*args`, an undecided `self`, and callables
    without a signature (some builtins).
    """
    label = label_of(function)
    try:
        signature = inspect.signature(function)
    except (ValueError, TypeError, NameError) as error:
        raise ToolDefinitionError(
            f"`{label}` has no signature that Python can read ({error})\n"
            "hint: wrap it in a function with named, typed parameters"
        ) from None
    _refuse_unbound_method(function, label, signature)

    resolve = _AnnotationResolver(function)
    bound = frozenset(_bound_keywords(function))
    parameters: list[Parameter] = []
    contexts: list[str] = []
    extra: Any = EMPTY
    for parameter in signature.parameters.values():
        annotation = resolve(parameter.annotation)
        if parameter.name in bound:
            continue
        if parameter.kind is parameter.VAR_POSITIONAL:
            raise ToolDefinitionError(
                f"`{label}`: parameter `*{parameter.name}` has no name a plan could use\n"
                "hint: take one list parameter instead; in a decorator, put @functools.wraps on the wrapper"
            )
        if parameter.kind is parameter.POSITIONAL_ONLY:
            raise ToolDefinitionError(
                f"`{label}`: parameter `{parameter.name}` is positional-only; plans pass by name\n"
                "hint: remove the `/` from its signature, or wrap it in a function with named parameters"
            )
        if parameter.kind is parameter.VAR_KEYWORD:
            extra = Any if annotation is EMPTY else annotation
        elif _is_context(annotation):
            contexts.append(parameter.name)
        else:
            annotation = Any if annotation is EMPTY else annotation
            parameters.append(Parameter(parameter.name, annotation, parameter.default))
    if len(contexts) > 1:
        raise ToolDefinitionError(f"`{label}`: two parameters are annotated ToolContext: {', '.join(contexts)}")
    return CallableSignature(
        label=label,
        parameters=tuple(parameters),
        extra=extra,
        returns=_awaited(resolve(signature.return_annotation)),
        context_parameter=contexts[0] if contexts else None,
        hidden=bound | frozenset(contexts),
    )


def find_context_parameter(function: Callable[..., Any]) -> str | None:
    """The name of the parameter annotated `ToolContext`, for a function whose schema came from elsewhere."""
    try:
        signature = inspect.signature(function)
    except (ValueError, TypeError, NameError):
        return None
    resolve = _AnnotationResolver(function)
    names = (name for name, parameter in signature.parameters.items() if _is_context(resolve(parameter.annotation)))
    return next(names, None)


def is_async(function: Callable[..., Any]) -> bool:
    """True when a call gives something to await (or an async generator).

    A plain wrapper around an async function (`functools.wraps`) counts, because it nearly always hands the
    coroutine on; one that runs the coroutine itself needs `run_in="thread"`.
    """
    if inspect.iscoroutinefunction(function):
        return True
    if any(_is_coroutine_function(layer) or inspect.isasyncgenfunction(layer) for layer in _layers(function)):
        return True
    try:
        returns = _AnnotationResolver(function)(inspect.signature(function).return_annotation)
    except (ValueError, TypeError, NameError):
        return False
    return _awaited(returns) is not returns


def is_coroutine_function(function: Callable[..., Any]) -> bool:
    """True when the callable itself is `async def`, whatever it wraps."""
    return _is_coroutine_function(_without_binding(function))


def is_generator(function: Callable[..., Any]) -> bool:
    """True when a call gives a generator, sync or async, instead of a value."""
    return any(inspect.isgeneratorfunction(layer) or inspect.isasyncgenfunction(layer) for layer in _layers(function))


def label_of(function: Callable[..., Any]) -> str:
    """How a message calls this function."""
    bare = function
    while isinstance(bare, functools.partial):
        bare = cast("Callable[..., Any]", bare.func)
    name = getattr(bare, "__name__", None)
    return name if isinstance(name, str) else type(bare).__name__


def docstring_of(function: Callable[..., Any]) -> str | None:
    """The docstring a reader looks at: of the function under a partial, of `__call__`, or of its class."""
    while isinstance(function, functools.partial):
        function = cast("Callable[..., Any]", function.func)
    if inspect.isroutine(function) or "__doc__" in getattr(function, "__dict__", ()):
        return inspect.getdoc(function)
    call = type(function).__call__
    # Not inspect.getdoc: it would inherit "Call self as a function." from object.
    return (call.__doc__ if isinstance(call, types.FunctionType) else None) or type(function).__doc__


def _layers(function: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    """The callable without partials and binding, then everything it wraps, outermost first."""
    seen: set[int] = set()
    while id(function) not in seen:  # a decorator may have set __wrapped__ in a circle
        seen.add(id(function))
        bare = _without_binding(function)
        yield bare
        function = getattr(function, "__wrapped__", None) or getattr(bare, "__wrapped__", bare)


def _without_binding(function: Callable[..., Any]) -> Callable[..., Any]:
    while True:
        if isinstance(function, functools.partial):
            function = cast("Callable[..., Any]", function.func)
        elif isinstance(function, (staticmethod, types.MethodType)):
            function = cast("Callable[..., Any]", function.__func__)
        elif inspect.isroutine(function) or isinstance(function, type):
            return function
        elif isinstance(call := type(function).__call__, types.FunctionType):
            return call
        else:
            return function


def _is_coroutine_function(function: Callable[..., Any]) -> bool:
    # asyncio marked sync functions as async like this before 3.12; importing asyncio to ask is dear.
    marked = isinstance(function, types.FunctionType) and hasattr(function, "_is_coroutine")
    return marked or inspect.iscoroutinefunction(function)


def _bound_keywords(function: Callable[..., Any]) -> Iterator[str]:
    """Keywords bound by partials. They stay out of the schema: the author's choice, and maybe secrets."""
    while isinstance(function, functools.partial):
        yield from function.keywords
        function = cast("Callable[..., Any]", function.func)


def _refuse_unbound_method(function: Callable[..., Any], label: str, signature: inspect.Signature) -> None:
    if isinstance(function, type):
        raise ToolDefinitionError(
            f"`{label}` is a class, not a function\nhint: give an instance with __call__, or a function that makes one"
        )
    owner = getattr(function, "__qualname__", "").rpartition(".")[0]
    first = next(iter(signature.parameters), "")
    if first in ("self", "cls") and owner and not owner.endswith("<locals>"):
        raise ToolDefinitionError(
            f"`{owner}.{label}` is a method without its object: nothing would fill `{first}`\n"
            f"hint: make it from a bound method: Tool.from_function(instance.{label})"
        )


def _is_context(annotation: object) -> bool:
    if annotation is ToolContext:
        return True
    if isinstance(annotation, Unresolved):  # imported under TYPE_CHECKING only
        text = re.sub(r"[\s'\"]", "", str(annotation.annotation))
        return _CONTEXT_TEXT.fullmatch(text) is not None
    origin = get_origin(annotation)
    if origin is Annotated:
        return _is_context(get_args(annotation)[0])
    if origin is Union or origin is types.UnionType:
        return any(_is_context(member) for member in get_args(annotation))
    return False


def _awaited(annotation: Any) -> Any:
    """`T` for `Awaitable[T]` and `Coroutine[Any, Any, T]`; anything else as it is."""
    origin = get_origin(annotation)
    if origin in (collections.abc.Awaitable, collections.abc.Coroutine):
        return get_args(annotation)[-1]
    if annotation in (collections.abc.Awaitable, collections.abc.Coroutine):
        return EMPTY
    return annotation


class _AnnotationResolver:
    """Turns one annotation, text or not, into the type it names."""

    def __init__(self, function: Callable[..., Any]) -> None:
        *_, innermost = _layers(function)
        self._globals: dict[str, Any] = getattr(innermost, "__globals__", {})
        self._function = innermost
        self._locals: dict[str, Any] | None = None

    def __call__(self, annotation: Any) -> Any:
        if annotation is EMPTY or annotation is Any:
            return annotation
        if self._locals is None:
            self._locals = self._local_names()
        holder = types.SimpleNamespace(__annotations__={"it": annotation})
        try:
            return typing.get_type_hints(holder, self._globals, self._locals, include_extras=True)["it"]
        except Exception as error:  # noqa: BLE001 (evaluating a text annotation may raise anything)
            return Unresolved(annotation, error)

    def _local_names(self) -> dict[str, Any]:
        """Names an annotation may use beyond the globals: type parameters and the enclosing function's.

        The enclosing function is still running while its inner function is decorated, so its frame is found
        on the stack by qualified name and globals; this is how a model defined in a test is found.
        """
        names = {parameter.__name__: parameter for parameter in getattr(self._function, "__type_params__", ())}
        enclosing, _, _ = getattr(self._function, "__qualname__", "").rpartition(".<locals>.")
        frame = sys._getframe() if enclosing else None  # pyright: ignore[reportPrivateUsage]
        while frame is not None:
            if frame.f_code.co_qualname == enclosing and frame.f_globals is self._globals:
                return {**frame.f_locals, **names}
            frame = frame.f_back
        return names
