"""The check of arguments just before a call, and how a bad argument is told.

The good path is hot, about a microsecond, and says nothing; all wording happens after a check has failed.
Every problem is listed, one line each: where, what was expected, what came, shortened.
"""

from __future__ import annotations

import json
import reprlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from planloom.errors import ArgumentsError, DataError
from planloom.plan.suggest import nearest
from planloom.tools.annotations import FOLDER_KEY

if TYPE_CHECKING:
    from pydantic import TypeAdapter


class Prepare(Protocol):
    """Takes arguments and the tool's name (for messages); gives checked arguments or raises ArgumentsError.

    Tables are read from `folder`; without one they stay handles.
    """

    def __call__(self, args: dict[str, Any], tool: str, folder: Path | None = None, /) -> dict[str, Any]:
        """Check arguments."""
        ...


MAXIMUM_PROBLEMS: Final = 20
MAXIMUM_VALUE_CHARACTERS: Final = 60


def check_nothing(args: dict[str, Any], tool: str, folder: Path | None = None, /) -> dict[str, Any]:  # noqa: ARG001
    """The check of a tool without parameters."""
    if args:
        raise _arguments_error(tool, [_unexpected(str(name), ()) for name in args])
    return args


def check_with_pydantic(adapter: TypeAdapter[Any], names: tuple[str, ...], hidden: frozenset[str]) -> Prepare:
    """A check that coerces: models, dataclasses and enums arrive as instances, absent arguments stay absent.

    `names` are the arguments a plan may give; `hidden` those it must not, where extra ones are allowed.
    """
    from pydantic import ValidationError

    validate = adapter.validator.validate_python

    def check(args: dict[str, Any], tool: str, folder: Path | None = None, /) -> dict[str, Any]:
        try:
            if hidden and not hidden.isdisjoint(args):
                raise _arguments_error(tool, [_unexpected(name, names) for name in hidden & args.keys()])
            return validate(args) if folder is None else validate(args, context={FOLDER_KEY: folder})
        except ValidationError as error:
            problems = list(_pydantic_problems(error.errors(include_url=False, include_context=False), args, names))
        except (ArgumentsError, DataError):
            raise
        except Exception as error:  # a validator of the user's own type may raise anything
            raise ArgumentsError(f"`{tool}`: checking its arguments raised {type(error).__name__}: {error}") from error
        raise _arguments_error(tool, problems)

    return check


def check_with_json_schema(validator: Any, hidden: frozenset[str]) -> Prepare:
    """A check against a compiled JSON Schema; nothing is coerced, the same object comes back."""

    def check(args: dict[str, Any], tool: str, folder: Path | None = None, /) -> dict[str, Any]:  # noqa: ARG001
        if hidden and not hidden.isdisjoint(args):
            raise _arguments_error(tool, [_unexpected(name, ()) for name in hidden & args.keys()])
        try:
            if validator.is_valid(args):
                return args
            problems = list(_json_schema_problems(islice(validator.iter_errors(args), MAXIMUM_PROBLEMS + 1)))
        except ValueError as error:  # a value that is not JSON, or nested too deep to look at
            raise ArgumentsError(f"`{tool}`: its arguments are not JSON: {error}") from error
        raise _arguments_error(tool, problems)

    return check


def _arguments_error(tool: str, problems: Sequence[str]) -> ArgumentsError:
    count = "an argument that does" if len(problems) == 1 else "arguments that do"
    shown = [*problems[:MAXIMUM_PROBLEMS]]
    if len(problems) > MAXIMUM_PROBLEMS:
        shown.append("… and more")
    return ArgumentsError("\n  ".join([f"`{tool}` was given {count} not fit", *shown]))


def _pydantic_problems(errors: Iterable[Any], args: object, names: tuple[str, ...]) -> Iterator[str]:
    """One line per place. All branches of a union complain about one place: their wishes are joined."""
    places: dict[str, tuple[list[str], str]] = {}
    for error in errors:
        kind, path = error["type"], _real_path(error["loc"], args)
        if kind == "missing":
            places.setdefault(_place([*path, error["loc"][-1]]), (["missing"], ""))
        elif kind in ("extra_forbidden", "unexpected_keyword_argument"):
            top = len(path) == 1
            places.setdefault(_place(path), ([_unexpected_reason(str(path[-1]), names if top else ())], ""))
        else:
            expected, came = places.setdefault(_place(path), ([], f"; got {show_value(error['input'])}"))
            wish = error["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
            wish = f"expected {wish}" if error["msg"].startswith("Input should be ") and not expected else wish
            if wish not in expected:
                expected.append(wish)
    for place, (expected, came) in places.items():
        yield f"{place}: {' or '.join(expected)}{came}"


def _real_path(location: Sequence[int | str], value: object) -> list[int | str]:
    """The parts of pydantic's location that lead into the value; it names union branches too."""
    path: list[int | str] = []
    for part in location:
        if isinstance(value, dict) and part in value:
            value = cast("dict[Any, Any]", value)[part]
        elif isinstance(part, int) and isinstance(value, (list, tuple)) and part < len(cast("list[Any]", value)):
            value = cast("list[Any]", value)[part]
        else:
            continue
        path.append(part)
    return path


def _json_schema_problems(errors: Iterable[Any]) -> Iterator[str]:
    for error in errors:
        kind = type(error.kind).__name__
        path = list(error.instance_path)
        if kind == "Required":
            yield f"{_place([*path, error.kind.property])}: missing"
        elif kind == "AdditionalProperties":
            for name in error.kind.unexpected:
                yield _unexpected(_place([*path, name]).strip("`"), ())
        elif kind == "Type":
            types = error.kind.types
            yield f"{_place(path)}: expected {' or '.join(types)}; got {show_value(error.instance)}"
        elif kind == "AnyOf" and (types := _types_of_branches(error.kind.context, path)):
            yield f"{_place(path)}: expected {' or '.join(types)}; got {show_value(error.instance)}"
        else:
            yield f"{_place(path)}: {error.message.removeprefix('it ')}; got {show_value(error.instance)}"


def _types_of_branches(context: Iterable[Iterable[Any]], path: list[int | str]) -> list[str]:
    """The types that the branches of an `anyOf` ask for, when that is all they complain about."""
    failures = [failure for branch in context for failure in branch]
    if any(type(failure.kind).__name__ != "Type" or failure.instance_path != path for failure in failures):
        return []
    return list(dict.fromkeys(name for failure in failures for name in failure.kind.types))


def _unexpected(name: str, names: tuple[str, ...]) -> str:
    return f"`{name}`: {_unexpected_reason(name, names)}"


def _unexpected_reason(name: str, names: tuple[str, ...]) -> str:
    near = nearest(name, names)
    if near is not None:
        return f"no such argument; did you mean `{near}`?"
    return "no such argument" + (f"; it takes {', '.join(names)}" if names else "")


def _place(path: Sequence[int | str]) -> str:
    """`options.items[0].name`, or the arguments as a whole."""
    if not path:
        return "the arguments"
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return f"`{text.removeprefix('.')}`"


def show_value(value: object) -> str:
    """A value and its JSON type for a message: bounded work, bounded length, never an error."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        cut = value[:MAXIMUM_VALUE_CHARACTERS]
        return f"{json.dumps(cut, ensure_ascii=False)}{'…' if len(cut) < len(value) else ''} (string)"
    if isinstance(value, (bytes, bytearray)):
        return f"{len(value)} bytes"
    try:
        text = _SHORT.repr(value)
    except Exception:  # noqa: BLE001 (an int too long to print, a __repr__ that raises)
        text = "…"
    if len(text) > MAXIMUM_VALUE_CHARACTERS:
        text = text[: MAXIMUM_VALUE_CHARACTERS - 1] + "…"
    return f"{text} ({_JSON_TYPES.get(type(value), type(value).__name__)})"


_JSON_TYPES: Final[dict[type, str]] = {
    int: "integer",
    float: "number",
    list: "array",
    tuple: "array",
    dict: "object",
}
_SHORT: Final = reprlib.Repr()
_SHORT.maxlevel = 3
