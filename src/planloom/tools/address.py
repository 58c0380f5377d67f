"""Where a tool's function can be found again by another process.

An address is three texts, so it crosses any process boundary; the function itself never does.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

FILE_MODULE_PREFIX: Final = "planloom_tools_file_"
"""Modules loaded from a path get a name that begins like this, since no import finds them by name."""


@dataclass(frozen=True, slots=True)
class ToolAddress:
    """A function's place: import `module`, or load `file` when it is set, then follow `qualname`."""

    module: str
    file: str | None
    qualname: str


def address_of(function: Callable[..., Any]) -> ToolAddress | str:
    """The address of a module-level function, or the reason, as half a sentence, why it has none."""
    module = getattr(function, "__module__", None)
    qualname = getattr(function, "__qualname__", None)
    if not isinstance(module, str) or not isinstance(qualname, str):
        return "it is an object, not a function of a module"
    if getattr(function, "__self__", None) is not None and not isinstance(function, type(len)):
        return "it is a method bound to an object"
    if "<lambda>" in qualname:
        return "it is a lambda"
    if "<locals>" in qualname:
        return "it is defined inside another function"
    if module == "__main__":
        return _address_in_main(qualname)
    file = getattr(sys.modules.get(module), "__file__", None) if module.startswith(FILE_MODULE_PREFIX) else None
    return ToolAddress(module, file, qualname)


def _address_in_main(qualname: str) -> ToolAddress | str:
    """`__main__` is another module in every process: use its real name, else its file."""
    main = sys.modules["__main__"]
    spec = getattr(main, "__spec__", None)
    if spec is not None:
        return ToolAddress(spec.name, None, qualname)
    file = getattr(main, "__file__", None)
    if file is None:
        return "it is defined in an interactive session, not in a file"
    return ToolAddress("__main__", file, qualname)
