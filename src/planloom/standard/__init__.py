"""The standard toolbox: what a plan can use with no code of the user's.

    arithmetic   calculate               asking      ask_model
                                         person      ask_person
    selection    select                  rows        its paths, kinds and order
    files        read_file, write_file   folder      a root that no path gets out of
    web          fetch_url               addresses   which URLs and addresses are public
                                         transfer    one GET, bounded in size and time
                                         readable    HTML reduced to text
    json_text    JSON in text that came from elsewhere

`toolbox` is made on first use, and its file tools then use the current folder. `standard_tools` makes the toolbox for
another folder, `file_tools` and `fetch_tool` single tools with another root, resolver or limit; nothing of that can be
said in a plan.
"""

from __future__ import annotations

import os
import threading
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from planloom.tools import Toolbox

if TYPE_CHECKING:
    from planloom.standard.arithmetic import calculate
    from planloom.standard.asking import ask_model
    from planloom.standard.files import file_tools
    from planloom.standard.person import ask_person
    from planloom.standard.selection import select
    from planloom.standard.web import WebLimits, fetch_tool, fetch_url

    toolbox: Toolbox

__all__ = [
    "WebLimits",
    "ask_model",
    "ask_person",
    "calculate",
    "fetch_tool",
    "fetch_url",
    "file_tools",
    "select",
    "standard_tools",
    "toolbox",
]

_HOME_OF: Final = {
    "WebLimits": "transfer",
    "ask_model": "asking",
    "ask_person": "person",
    "calculate": "arithmetic",
    "fetch_tool": "web",
    "fetch_url": "web",
    "file_tools": "files",
    "select": "selection",
}
_lock: Final = threading.Lock()


def standard_tools(root: str | os.PathLike[str] = ".") -> Toolbox:
    """Make the standard toolbox, its file tools for the files below `root` (default: the current folder, as it is now).

    On Windows it has no file tools; see `file_tools`. Raises UsageError when `root` is not a folder.
    """
    files = import_module("planloom.standard.files")
    tools = [_load(name) for name in ("calculate", "select", "ask_model", "ask_person", "fetch_url")]
    return Toolbox([*tools, files.file_tools(root)] if files.SUPPORTED else tools)


def _load(name: str) -> Any:
    return getattr(import_module(f"planloom.standard.{_HOME_OF[name]}"), name)


def __getattr__(name: str) -> Any:
    if name != "toolbox" and name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with _lock:  # two threads must not make two toolboxes: tools are equal only if they are the same object
        if name not in globals():
            globals()[name] = standard_tools() if name == "toolbox" else _load(name)
    return globals()[name]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
