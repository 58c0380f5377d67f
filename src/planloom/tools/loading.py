"""Tools from a module or a file that the user names, and functions found again in another process.

Loading runs the user's code, so anything may come out of it, `sys.exit` included: every failure becomes one
ToolLoadError that shows the user's own line. Only Ctrl-C passes through.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import linecache
import os
import re
import sys
import sysconfig
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Final, cast

from planloom.errors import ToolDefinitionError, ToolLoadError
from planloom.plan.suggest import did_you_mean
from planloom.tools.address import FILE_MODULE_PREFIX, ToolAddress
from planloom.tools.definition import Tool
from planloom.tools.toolbox import Toolbox, ToolboxLike

_FILE_SPEC: Final = re.compile(r"(?P<file>.+\.py)(?::(?P<name>[^:]*))?", re.DOTALL)
_FORMS: Final = "write module, module:name, file.py or file.py:name"
_OWN_FOLDER: Final = str(Path(__file__).parents[1])


@dataclass(frozen=True, slots=True)
class _Source:
    """What a specification names: a module or a file, and perhaps one name in it."""

    spec: str
    module: str | None
    file: Path | None
    name: str | None


def load_toolbox(spec: str | os.PathLike[str]) -> Toolbox:
    """Load tools from `pkg.mod`, `pkg.mod:name`, `path/to/file.py` or `path/to/file.py:name`.

    The name may lead to a tool, a toolbox, a function, a list or a dict; without one, every tool and
    toolbox in the module is taken. The current folder counts for modules, a file's own folder for what
    it imports.

    Raises ToolLoadError with one message, whatever goes wrong. The module's code runs in this process.
    """
    source = _parse(os.fspath(spec))
    module = _load_module(source)
    found = module if source.name is None else _follow(module, source.name, source.spec)
    return _as_toolbox(found, source)


def resolve_address(address: ToolAddress) -> Tool | Callable[..., Any]:
    """Find a tool's function again, in this process or in a fresh one.

    Gives the `Tool` where `@tool` has put one in the function's place, else the function. Raises
    ToolLoadError.
    """
    if address.file is None:
        source = _Source(f"{address.module}:{address.qualname}", address.module, None, address.qualname)
    else:
        source = _Source(f"{address.file}:{address.qualname}", None, Path(address.file), address.qualname)
    main = sys.modules["__main__"]
    is_main = address.module == "__main__" and getattr(main, "__file__", None) == address.file
    module = main if is_main else _load_module(source)
    found = _follow(module, address.qualname, source.spec)
    if not callable(found):
        raise ToolLoadError(f"`{source.spec}` is not a function any more, but {type(found).__name__}")
    return cast("Callable[..., Any]", found)


def _parse(spec: str) -> _Source:
    if match := _FILE_SPEC.fullmatch(spec):
        return _Source(spec, None, Path(match["file"]).expanduser(), _checked_name(match["name"], spec))
    module, colon, name = spec.partition(":")
    if all(part.isidentifier() for part in module.split(".")):
        return _Source(spec, module, None, _checked_name(name if colon else None, spec))
    path = Path(module).expanduser()
    if path.with_name(path.name + ".py").is_file() if path.name else False:
        hint = f"did you mean `{module}.py`?"
    elif module and path.is_dir():
        hint = "that is a folder; name one file in it, or a module"
    else:
        hint = _FORMS
    raise ToolLoadError(f"`{spec}` names neither a module nor a .py file\nhint: {hint}")


def _checked_name(name: str | None, spec: str) -> str | None:
    if name is None or all(part.isidentifier() for part in name.split(".")):
        return name
    raise ToolLoadError(f"`{spec}`: `{name}` after the colon is not a Python name\nhint: {_FORMS}")


def _load_module(source: _Source) -> ModuleType:
    if source.module is not None:
        return _import_module(source.spec, source.module)
    assert source.file is not None
    return _load_file(source.spec, source.file)


def _import_module(spec: str, name: str) -> ModuleType:
    folder = str(Path.cwd())
    if folder not in sys.path and "" not in sys.path:
        sys.path.insert(0, folder)  # as `python -m` does; the console script's own folder is all there is else
    importlib.invalidate_caches()
    try:
        return importlib.import_module(name)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        if isinstance(error, ModuleNotFoundError) and error.name and f"{name}.".startswith(f"{error.name}."):
            near = did_you_mean(name, (path.stem for path in Path(folder).glob("*.py")))
            raise ToolLoadError(
                f"cannot load tools from `{spec}`: there is no module called `{error.name}`\n"
                f"hint: {near or f'is it installed, or in the current folder, {folder}?'}"
            ) from None
        raise _import_failed(spec, error) from error


def _load_file(spec: str, file: Path) -> ModuleType:
    """Run a file as a module of its own, once per process.

    Its folder is put at the end of `sys.path`, so that it can import its neighbours while none of them can
    stand in for a library: a file of tools may well be called `email.py`.
    """
    path = file.resolve()
    if not path.is_file():
        what = "it is a folder" if path.is_dir() else "there is no such file"
        near = (
            did_you_mean(path.name, (other.name for other in path.parent.glob("*.py")))
            if path.parent.is_dir()
            else None
        )
        raise ToolLoadError(f"cannot load tools from `{spec}`: {what}\nhint: {near or f'looked for {path}'}")
    digest = hashlib.sha256(str(path).encode("utf-8", "surrogatepass")).hexdigest()[:12]
    name = FILE_MODULE_PREFIX + re.sub(r"\W", "_", path.stem) + "_" + digest
    if name in sys.modules:
        return sys.modules[name]
    module_spec = importlib.util.spec_from_file_location(name, path)
    assert module_spec is not None
    assert module_spec.loader is not None
    module = importlib.util.module_from_spec(module_spec)
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    importlib.invalidate_caches()
    sys.modules[name] = module
    try:
        module_spec.loader.exec_module(module)
    except BaseException as error:
        del sys.modules[name]
        if isinstance(error, KeyboardInterrupt):
            raise
        raise _import_failed(spec, error) from error
    return module


def _import_failed(spec: str, error: BaseException) -> ToolLoadError:
    """One message for whatever the user's code did while it was imported."""
    if isinstance(error, SystemExit):
        what = f"it called sys.exit({'' if error.code is None else repr(error.code)}) while it was imported"
        hint = 'put what should only run as a script under `if __name__ == "__main__":`'
    else:
        message = str(error).strip()
        what = f"{type(error).__name__}: {message}" if message else type(error).__name__
        hint = _import_hint(error)
    if isinstance(error, SyntaxError):
        what = f"{type(error).__name__}: {error.msg}"
    what, own_hint = _split_hint(what)
    lines = [f"cannot load tools from `{spec}`: {what}", *_user_line(error)]
    hint = own_hint or hint
    return ToolLoadError("\n".join([*lines, f"hint: {hint}"] if hint else lines))


def _import_hint(error: BaseException) -> str | None:
    if isinstance(error, ModuleNotFoundError) and error.name:
        return f"install what provides `{error.name.partition('.')[0]}` into this environment, {sys.prefix}"
    if isinstance(error, ImportError) and "relative import" in str(error):
        return "a file with relative imports belongs to a package: name it as a module, package.module"
    return None


def _split_hint(message: str) -> tuple[str, str | None]:
    """A message without its last line, when that is a hint: an error from `@tool` brings its own."""
    head, _, last = message.rpartition("\n")
    return (head, last.removeprefix("hint: ")) if head and last.startswith("hint: ") else (message, None)


def _user_line(error: BaseException) -> list[str]:
    """`  at file:line: code` for the last line of the user's own code, if there is one."""
    if isinstance(error, SyntaxError) and error.filename and error.lineno:
        return [_at(error.filename, error.lineno, error.text or "")]
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not _is_machinery(frame.filename)]
    own = [frame for frame in frames if not _is_library(frame.filename)] or frames
    if not own:
        return []
    number = own[-1].lineno or 0
    return [_at(own[-1].filename, number, linecache.getline(own[-1].filename, number))]


def _at(file: str, line: int, code: str) -> str:
    code = code.strip()
    return f"  at {file}:{line}" + (f": {code[:200]}" if code else "")


def _is_machinery(filename: str) -> bool:
    return filename.startswith(("<frozen ", _OWN_FOLDER + os.sep))


def _is_library(filename: str) -> bool:
    folders = (sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib"))
    return any(filename.startswith(folder + os.sep) for folder in folders)


def _follow(module: ModuleType, name: str, spec: str) -> object:
    found: object = module
    for part in name.split("."):
        if not hasattr(found, part):
            public = [other for other in dir(found) if not other.startswith("_")]
            hint = did_you_mean(part, public) or _what_there_is(module)
            raise ToolLoadError(f"`{spec}`: there is no `{part}` in {_title(found)}\nhint: {hint}")
        found = getattr(found, part)
    return found


def _as_toolbox(found: object, source: _Source) -> Toolbox:
    try:
        toolbox = Toolbox.of(cast("ToolboxLike", found))
    except ToolDefinitionError as error:
        raise ToolLoadError(f"cannot load tools from `{source.spec}`: {error}") from error
    if not toolbox:
        where = _title(found) if isinstance(found, ModuleType) else f"`{source.spec}`"
        hint = _what_there_is(found) if isinstance(found, ModuleType) else "put tools or functions into it"
        raise ToolLoadError(f"there is no tool in {where}\nhint: {hint}")
    return toolbox


def _what_there_is(module: ModuleType) -> str:
    """A hint for a module in which the wanted thing is not: its tools, else a function that could be one."""
    tools = [name for name, value in vars(module).items() if isinstance(value, (Tool, Toolbox))]
    if tools:
        return f"it has {', '.join(tools[:10])}"
    functions = [
        name
        for name, value in vars(module).items()
        if callable(value)
        and not isinstance(value, type)
        and not name.startswith("_")
        and getattr(value, "__module__", None) == module.__name__
    ]
    if functions:
        return f"put @tool above a function such as `{functions[0]}`, or name it after a colon, …:{functions[0]}"
    return "put @tool (from planloom import tool) above the functions that plans may call"


def _title(thing: object) -> str:
    if isinstance(thing, ModuleType):
        by_path = thing.__name__.startswith(FILE_MODULE_PREFIX) and thing.__file__
        return f"`{Path(by_path).name if by_path else thing.__name__}`"
    return f"`{getattr(thing, '__name__', type(thing).__name__)}`"
