"""What the pure core needs to know of a tool. `planloom.tools.Tool` is the real one.

How functions become tools is not known here: the package itself says so when it is imported, before anything
in it can be used, so that the core takes whatever a toolbox can be made of and imports nothing for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import ModuleType
from typing import Any, Final, Protocol, cast


class ToolSpec(Protocol):
    """The face of a tool that plans are checked against: names, schemas and facts, nothing that runs."""

    @property
    def name(self) -> str:
        """What plans call it."""
        ...

    @property
    def description(self) -> str:
        """What the planner reads of it."""
        ...

    @property
    def parameters(self) -> Mapping[str, Any]:
        """The JSON Schema of its arguments, always of an object."""
        ...

    @property
    def returns(self) -> Mapping[str, Any] | None:
        """The JSON Schema of its output, or None when that is unknown."""
        ...

    @property
    def read_only(self) -> bool:
        """Whether it changes nothing anywhere."""
        ...

    @property
    def writes(self) -> tuple[str, ...]:
        """Templates of the resources it writes, such as `file:{path}`."""
        ...

    @property
    def expected_s(self) -> float | None:
        """How long a call usually takes, in seconds, or None when that is unknown."""
        ...


ToolsLike = Mapping[str, Any] | Iterable[Any] | ModuleType | Callable[..., Any]
"""What holds tools: a toolbox, a dict of name to function or tool, a list of them, a module, one of them alone."""

_readers: Final[list[Callable[[Any], Mapping[str, ToolSpec]]]] = []


def read_tools_with(reader: Callable[[Any], Mapping[str, ToolSpec]]) -> None:
    """Set what makes tools of whatever holds some: `Toolbox.of`, or something that loads it when it is called."""
    _readers[:] = [reader]


def tools_of(source: ToolsLike) -> Mapping[str, ToolSpec]:
    """Return the tools that `source` holds, by name; a mapping of tools under their own names comes back as it is.

    Raises `ToolDefinitionError` for what is no tool.
    """
    if isinstance(source, Mapping):
        named = cast("Mapping[str, Any]", source)
        if all(getattr(tool, "name", None) == name for name, tool in named.items()):
            return named
    return _readers[0](source)
