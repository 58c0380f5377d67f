"""The other side of `processes.py`: a process that makes one call after another until its input ends.

What crosses the border is data: where the tool is found, its arguments, and an outcome in JSON values. The
function itself, its exceptions and whatever it returned stay on this side. What a tool prints goes to stderr.
"""

from __future__ import annotations

import functools
import importlib
import os
import pickle
import runpy
import struct
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import IO, Any, Final

from planloom.engine.failures import Failure, describe_exception
from planloom.engine.tables import TableFolder
from planloom.plan.limits import Limits
from planloom.plan.redaction import Redactor
from planloom.tools import Tool, ToolContext
from planloom.tools.address import ToolAddress
from planloom.tools.loading import resolve_address

_LENGTH: Final = struct.Struct("!Q")
_MAIN_AGAIN: Final = "__mp_main__"
"""What `multiprocessing` calls the main module in another process, so that both share one guard and one habit."""


@dataclass(frozen=True, slots=True)
class ProcessCall:
    """One call to make in another process.

    `context` holds the pickled plain fields of its `ToolContext`, or None; `main` says where the caller's main
    module is, as a module's name or a file. `coerces` is as in `Tool`. Tables are read from `folder` and kept there,
    with the `step_id` as their name, without what the `redactor` knows.
    """

    address: ToolAddress
    coerces: bool
    args: dict[str, Any]
    context_parameter: str | None
    context: bytes | None
    main: tuple[str | None, str | None]
    limits: Limits
    folder: str
    step_id: str
    redactor: Redactor | None


Outcome = tuple[Any, Failure | None]
"""The output as JSON values, or what went wrong."""


def write_frame(stream: IO[bytes], content: bytes) -> None:
    """Write one message. Raises `OSError` when nobody reads."""
    stream.write(_LENGTH.pack(len(content)))
    stream.write(content)
    stream.flush()


def read_frame(stream: IO[bytes]) -> bytes | None:
    """Read one message; None when the other side has gone."""
    header = stream.read(_LENGTH.size)
    if len(header) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(header)
    content = stream.read(length)
    return content if len(content) == length else None


def main() -> None:
    """Make calls until the input ends. Runs in the worker process only."""
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    os.dup2(2 if sys.stderr is not None else nowhere, 1)  # pyright: ignore[reportUnnecessaryComparison]
    while (request := read_frame(requests)) is not None:
        write_frame(replies, pickle.dumps(answer(request), pickle.HIGHEST_PROTOCOL))
    os._exit(0)  # a thread that a tool has left behind would keep the process


def answer(request: bytes) -> Outcome:
    """Make the call that a request holds. Whatever happens is an outcome."""
    try:
        call: ProcessCall = pickle.loads(request)  # noqa: S301 - it comes from the process that started this one
        if call.address.module == "__main__" or b"__main__" in (call.context or b""):
            _load_main(call.main)
        found = _find(call.address, call.coerces)
        tables = TableFolder(lambda: Path(call.folder), call.step_id)
        args = call.args
        if isinstance(found, Tool) and call.coerces:
            args = tables.read(found, args) if found.takes_tables else found.prepare(args)
        if call.context_parameter is not None:
            fields = pickle.loads(call.context or b"")  # noqa: S301 - likewise
            args = {**args, call.context_parameter: ToolContext(**fields)}
        function = found.function if isinstance(found, Tool) else found
        return tables.normalise(function(**args), call.limits, call.redactor), None
    except BaseException as error:
        return None, describe_exception(error)


class _Loading:
    """Whether this process is loading the caller's code, which must not start runs of its own."""

    is_going_on = False


def is_loading() -> bool:
    """Whether the caller's files are being loaded here, just to find a tool in them."""
    return _Loading.is_going_on


@functools.cache
def _find(address: ToolAddress, coerces: bool) -> Any:
    _Loading.is_going_on = True
    try:
        found = resolve_address(address)
    finally:
        _Loading.is_going_on = False
    return Tool.from_function(found) if coerces and not isinstance(found, Tool) else found


@functools.cache
def _load_main(source: tuple[str | None, str | None]) -> None:
    """Load the caller's main module under another name, so that what it guards does not run."""
    name, file = source
    _Loading.is_going_on = True
    try:
        if name is not None:
            module = importlib.import_module(name)
        elif file is not None:
            module = ModuleType(_MAIN_AGAIN)
            module.__dict__.update(runpy.run_path(file, run_name=_MAIN_AGAIN))
        else:
            return
    finally:
        _Loading.is_going_on = False
    sys.modules["__main__"] = sys.modules[_MAIN_AGAIN] = module
