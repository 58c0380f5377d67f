"""The toolbox: tools by name, fixed once made.

Anything a user may have at hand becomes one by `Toolbox.of`: a list of functions, a dict, a module. Two
different tools under one name are refused, because a plan could not say which it means.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType, ModuleType
from typing import Any, Union, cast

from planloom.errors import ToolDefinitionError
from planloom.tools.definition import Tool

ToolLike = Union[Tool, Callable[..., Any]]  # noqa: UP007 (evaluated at run time)
ToolboxLike = Union["Toolbox", Iterable["ToolLike | Toolbox"], Mapping[str, ToolLike], ModuleType, ToolLike]


class Toolbox(Mapping[str, Tool]):
    """An immutable mapping of name to `Tool`. Boxes are equal when they hold the same tools.

    `Toolbox([search, fetch])` takes tools, plain functions and other toolboxes; `Toolbox.of` takes more.
    Boxes are joined with `+` or `|`. Raises ToolDefinitionError for two different tools under one name.
    """

    __slots__ = ("__weakref__", "_hash", "_tools")

    def __init__(self, tools: Iterable[ToolLike | Toolbox] | Mapping[str, ToolLike] = ()) -> None:
        self._tools = MappingProxyType(_by_name(_each(tools)))
        self._hash: int | None = None

    @classmethod
    def of(cls, source: ToolboxLike) -> Toolbox:
        """Make a toolbox of whatever holds tools; a toolbox comes back as it is.

        Takes a toolbox; a list or tuple of tools and functions; a dict of name to function or tool, where the
        dict's name wins; a module, for every tool and toolbox in it; a single tool or function.
        """
        if isinstance(source, Toolbox):
            return source
        if isinstance(source, ModuleType):
            found = [value for value in vars(source).values() if isinstance(value, (Tool, Toolbox))]
            return cls(found)
        if isinstance(source, Tool) or (callable(source) and not isinstance(source, Iterable)):
            return cls([source])
        return cls(cast("Iterable[ToolLike]", source))

    def describe(self) -> list[dict[str, Any]]:
        """Every tool as a JSON object, in order, as `planloom tools --json` prints them."""
        return [tool.to_dict() for tool in self._tools.values()]

    def __getitem__(self, name: str) -> Tool:
        return self._tools[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tools)

    def __len__(self) -> int:
        return len(self._tools)

    def __contains__(self, name: object) -> bool:
        return name in self._tools

    def __add__(self, other: ToolboxLike) -> Toolbox:
        return Toolbox([self, Toolbox.of(other)])

    __or__ = __add__

    def __radd__(self, other: ToolboxLike) -> Toolbox:
        return Toolbox([Toolbox.of(other), self])

    __ror__ = __radd__

    def __eq__(self, other: object) -> bool:
        return self._tools == other._tools if isinstance(other, Toolbox) else NotImplemented

    def __hash__(self) -> int:
        if self._hash is None:
            self._hash = hash(frozenset(self._tools.items()))
        return self._hash

    def __repr__(self) -> str:
        return f"<Toolbox {', '.join(self._tools) or 'empty'}>"


def _each(tools: object) -> Iterator[Tool]:
    """Every tool in what was given, made from functions where need be."""
    if isinstance(tools, Toolbox):
        yield from tools.values()
    elif isinstance(tools, Mapping):
        for name, item in cast("Mapping[str, ToolLike]", tools).items():
            if isinstance(item, Tool) and item.name == name:
                yield item
            else:
                yield Tool.from_function(_checked_item(item), name=name)
    elif isinstance(tools, Iterable) and not isinstance(tools, (str, bytes)):
        for item in cast("Iterable[object]", tools):
            if isinstance(item, Toolbox):
                yield from item.values()
            else:
                yield Tool.from_function(_checked_item(item))
    else:
        raise _not_tools(tools)


def _checked_item(item: object) -> Callable[..., Any]:
    if not callable(item):
        raise _not_tools(item)
    return item


def _not_tools(value: object) -> ToolDefinitionError:
    return ToolDefinitionError(
        f"a toolbox holds tools and functions, not {value!r:.80}\n"
        "hint: Toolbox([search, fetch]), or a dict of name to function"
    )


def _by_name(tools: Iterable[Tool]) -> dict[str, Tool]:
    named: dict[str, Tool] = {}
    for tool in tools:
        other = named.setdefault(tool.name, tool)
        if other is not tool:
            raise ToolDefinitionError(
                f"two tools are called `{tool.name}`: {other!r} and {tool!r}\n"
                "hint: give one of them another name, tool.with_facts(name='…')"
            )
    return named
