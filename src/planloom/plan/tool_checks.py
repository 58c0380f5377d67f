"""One tool's schemas, compiled once for checking many steps: arguments, places inside them, outputs.

A reference may stand for any value in a plan, so arguments with references are checked against a *loosened*
schema in which text that holds a reference passes everywhere; arguments without any, against the schema as
it is. What cannot be decided passes: the call checks once more.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast
from weakref import WeakKeyDictionary

from planloom.plan.issues import shorten
from planloom.plan.references import PathError, Segment, describe
from planloom.plan.suggest import did_you_mean
from planloom.plan.tool_spec import ToolSpec
from planloom.plan.types import UNKNOWN, Type, describe_type, follow_type, kind_of, type_of

if TYPE_CHECKING:
    from jsonschema_rs import ValidationError

REFERENCE_PATTERN: Final = r"\{\{"
_MAX_NODES_FOR_ALL_ERRORS: Final = 2_000
_MAX_ERRORS: Final = 50
_MAX_SCHEMA_DEPTH: Final = 64
_MAX_LISTED: Final = 12
_MAX_TARGETS: Final = 10_000
_SCHEMA_MAPS: Final = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies")
_SCHEMA_LISTS: Final = ("anyOf", "oneOf", "allOf")
_SCHEMAS: Final = ("items", "additionalProperties", "contains", "unevaluatedItems", "unevaluatedProperties")
_MORE_PROPERTIES: Final = ("anyOf", "oneOf", "allOf", "$ref", "if", "dependentSchemas", "patternProperties")
_CONDITIONAL: Final = ("if", "then", "else", "not")
_SAID_ALREADY: Final = frozenset({"required", "additionalProperties"})
_UNIONS: Final = ("anyOf", "oneOf")
_KIND_ERRORS: Final = frozenset({"type", *_UNIONS})
_MAX_REWRITTEN: Final = 60
_MAX_QUOTED: Final = 10**15


class Misfit(NamedTuple):
    """One way in which arguments do not fit: a place in them, the broken keyword, and words for a person."""

    place: tuple[str | int, ...]
    keyword: str
    message: str
    hint: str | None = None


class ToolChecks:
    """The compiled checks of one tool."""

    __slots__ = ("_loose", "_strict", "_targets", "names", "open", "output", "parameters", "required")

    def __init__(self, tool: ToolSpec) -> None:
        parameters = tool.parameters
        properties: Any = parameters.get("properties")
        declared = cast("Mapping[str, Any]", properties) if isinstance(properties, Mapping) else None
        self.parameters: Type = type_of(parameters)
        self.names: frozenset[str] = frozenset(declared or ())
        self.required: tuple[str, ...] = tuple(cast("list[str]", parameters.get("required", ())))
        # declared properties are the whole list unless the schema says otherwise, as for outputs
        is_open = declared is None or any(name in parameters for name in _MORE_PROPERTIES)
        extra = parameters.get("additionalProperties", is_open)
        self.open: bool = extra is not False or "patternProperties" in parameters
        self.output: Type = UNKNOWN if tool.returns is None else type_of(tool.returns)
        self._targets: dict[tuple[str | int, ...], Type] = {}
        self._loose = _compiled_schema(loosened(parameters))
        self._strict = _compiled_schema(parameters)

    def target(self, place: tuple[str | int, ...]) -> Type:
        """Return the type that the parameters ask for at a place in the arguments."""
        target = self._targets.get(place)
        if target is None:
            try:
                target = follow_type(self.parameters, cast("tuple[Segment, ...]", place), "args")
            except PathError:
                target = UNKNOWN  # an unknown argument, which is an issue of its own
            if target and len(self._targets) < _MAX_TARGETS:
                self._targets[place] = target
        return target

    def fit(self, args: dict[str, Any], has_references: bool) -> bool:
        """Return whether the arguments fit, with references standing for anything. The fast path."""
        if not self.open and not args.keys() <= self.names:
            return False
        validator = self._loose if has_references else self._strict
        if validator is None:
            return all(name in args for name in self.required)
        try:
            return validator.is_valid(args)
        except ValueError:  # a value that is no JSON; `misfits` says so
            return False

    def misfits(self, args: dict[str, Any], has_references: bool) -> list[Misfit]:
        """Return every way in which the arguments do not fit; for huge arguments the first one."""
        found: list[Misfit] = []
        if not self.open:
            unknown = [name for name in args if name not in self.names]
            found.extend(Misfit((name,), "unknown", "") for name in unknown[:_MAX_ERRORS])
            if len(unknown) > _MAX_ERRORS:
                found.append(Misfit((), "unknown", f"takes none of {len(unknown) - _MAX_ERRORS:,} more arguments"))
        found.extend(Misfit((name,), "required", "") for name in self.required if name not in args)
        named = {misfit.place for misfit in found}
        # of several complaints about one value, the one about its kind says most
        for misfit in sorted(self._errors(args, has_references), key=lambda misfit: misfit.keyword != "type"):
            place = misfit.place
            if place in named or place[:1] in named or (not place and misfit.keyword in _SAID_ALREADY):
                continue
            named.add(place)
            found.append(misfit)
        return found

    def _errors(self, args: dict[str, Any], has_references: bool) -> list[Misfit]:
        validator = self._loose if has_references else self._strict
        if validator is None:
            return []
        from jsonschema_rs import ValidationError  # 30 ms to import, and only plans with literals need it

        try:
            # iter_errors builds every error at once, 1.5 KB each: only where their number must be small
            if _is_small(args):
                return [self._misfit(args, error) for error in islice(validator.iter_errors(args), _MAX_ERRORS)]
            validator.validate(args)
        except ValidationError as error:
            return [self._misfit(args, error)]
        except UnicodeEncodeError:
            return []  # half a surrogate pair, which is looked for in all text
        except ValueError as error:
            return [Misfit((), "type", f"cannot be checked: {shorten(str(error))}")]
        return []

    def _misfit(self, args: dict[str, Any], error: ValidationError) -> Misfit:
        error = _innermost(error)
        place = tuple(error.instance_path)
        keyword = error.kind.name
        target = self.target(place)
        value = value_at(args, place)
        if keyword in _KIND_ERRORS and target and not _is_kind_of(value, target):
            if value is None and len(place) == 1 and place[0] not in self.required:
                hint = f"leave `{shorten(str(place[0]))}` out"
            else:
                hint = _as_wanted(value, target)
            return Misfit(place, "type", f"expects {describe_type(target)}; this is {describe(value)}", hint)
        if keyword == "enum":
            return _not_listed(place, value, cast("Any", error.kind).options)
        return Misfit(place, keyword, _problem(error, value))


def _innermost(error: ValidationError) -> ValidationError:
    """Return the first complaint of the branch of a union that the value comes nearest to, if one is near."""
    for _ in range(_MAX_SCHEMA_DEPTH):
        branches: list[list[ValidationError]] = getattr(error.kind, "context", None) or []
        if error.kind.name not in _UNIONS or not branches:
            break
        ranked = sorted((_distance(branch, error.instance_path), number) for number, branch in enumerate(branches))
        (is_other_kind, other_constants, _), number = ranked[0]
        is_alone = len(ranked) == 1 or ranked[1][0][0]
        if is_other_kind or not branches[number] or (other_constants and not is_alone):
            break
        error = branches[number][0]
    return error


def _distance(branch: list[ValidationError], place: list[str | int]) -> tuple[bool, int, int]:
    """Return how far a value is from one branch: another kind, then another constant, then anything else."""
    is_other_kind = any(error.kind.name == "type" and error.instance_path == place for error in branch)
    return is_other_kind, sum(error.kind.name in ("const", "enum") for error in branch), len(branch)


def _as_wanted(value: Any, target: Type) -> str | None:
    """Return how the value would be written in the kind that is wanted, where that is plain to see."""
    wanted = {alternative.schema.get("type") for alternative in target}
    if isinstance(value, str):
        try:
            meant: Any = json.loads(value) if len(value) < _MAX_REWRITTEN else None
        except (ValueError, RecursionError):
            meant = None
        if meant is not None and _is_kind_of(meant, target):
            return f"write {shorten(value)}, without quotes"
    elif "string" in wanted and isinstance(value, int | float) and abs(value) < _MAX_QUOTED:
        return f'write "{json.dumps(value)}", in quotes'
    if "array" in wanted:
        is_short = isinstance(value, str) and len(value) < _MAX_REWRITTEN
        return f"put it into a list: [{json.dumps(value, ensure_ascii=False)}]" if is_short else "put it into a list"
    return None


_MASK: Final = "it"
"""What validators write for a value, so that no value is copied into a message."""


def _problem(error: ValidationError, value: Any) -> str:
    kind: Any = error.kind
    if kind.name == "required":
        return f"needs `{shorten(str(kind.property), 40)}` inside"
    if kind.name == "additionalProperties":
        names = ", ".join(f"`{shorten(str(name), 40)}`" for name in kind.unexpected[:10])
        return f"takes no {names} inside"
    if kind.name in _UNIONS:
        return f"was given {describe(value)}, which fits none of the forms that it may have"
    message = shorten(error.message, 200)
    if message.startswith(f"{_MASK} "):
        return f"was given {describe(value)}, which {message.removeprefix(f'{_MASK} ')}"
    return f"was given {describe(value)}, and {message}"


def _not_listed(place: tuple[str | int, ...], value: Any, options: list[Any]) -> Misfit:
    listed = ", ".join(shorten(json.dumps(option, ensure_ascii=False), 40) for option in options[:_MAX_LISTED])
    more = ", …" if len(options) > _MAX_LISTED else ""
    hint = None
    if isinstance(value, str):
        hint = did_you_mean(value, [option for option in options if isinstance(option, str)])
    return Misfit(place, "enum", f"takes one of {listed}{more}; this is {describe(value)}", hint)


def _compiled_schema(schema: Any) -> Any:
    """Return a validator, or None when the schema cannot be compiled here: then only names are checked."""
    from jsonschema_rs import ValidationError, validator_for  # late: see above

    try:
        return validator_for(schema, offline=True, mask=_MASK)
    except (ValidationError, ValueError, TypeError, RecursionError):
        return None


def _is_kind_of(value: Any, target: Type) -> bool:
    kind = kind_of(value)
    kinds = {alternative.schema.get("type") for alternative in target}
    return kind in kinds or (kind == "integer" and "number" in kinds)


def value_at(args: Any, place: tuple[str | int, ...]) -> Any:
    """Return the part of `args` at a place that is known to be there."""
    for segment in place:
        args = args[segment]
    return args


def _is_small(args: dict[str, Any]) -> bool:
    """Return whether `args` has few values at any depth; looks at no more than it may count."""
    pending: list[Any] = [args]
    count = 0
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            value = list(cast("dict[str, Any]", value).values())
        if isinstance(value, list):
            elements = cast("list[Any]", value)
            count += len(elements)
            if count > _MAX_NODES_FOR_ALL_ERRORS:
                return False
            pending.extend(elements)
    return True


def loosened(schema: Any) -> Any:
    """Return `schema` changed so that text with a reference in it passes wherever a value is expected.

    The root of a tool's parameters stays as it is: `args` itself is always an object. Where a reference
    would make a rule undecidable (which branch of `oneOf` or `if` holds), the rule is left out.
    """
    changed = _loosened(schema, 0)
    return _with_moved_references(changed, cast("dict[str, Any]", changed)) if isinstance(changed, dict) else changed


def _loosened(schema: Any, depth: int) -> Any:
    if not isinstance(schema, Mapping) or depth > _MAX_SCHEMA_DEPTH:
        return cast("Any", schema)
    changed: dict[str, Any] = {
        key: value for key, value in cast("Mapping[str, Any]", schema).items() if key not in _CONDITIONAL
    }
    for name in _SCHEMA_MAPS:
        part: Any = changed.get(name)
        if isinstance(part, Mapping):
            inner = cast("Mapping[str, Any]", part)
            changed[name] = {key: _admit(_loosened(value, depth + 1)) for key, value in inner.items()}
    for name in _SCHEMA_LISTS:
        part = changed.get(name)
        if isinstance(part, list):
            changed[name] = [_loosened(value, depth + 1) for value in cast("list[Any]", part)]
    if "oneOf" in changed and "anyOf" not in changed:
        changed["anyOf"] = changed.pop("oneOf")  # two branches may both admit a reference
    part = changed.get("prefixItems")
    if isinstance(part, list):
        changed["prefixItems"] = [_admit(_loosened(value, depth + 1)) for value in cast("list[Any]", part)]
    for name in _SCHEMAS:
        part = changed.get(name)
        if isinstance(part, Mapping):
            changed[name] = _admit(_loosened(part, depth + 1))
    return changed


def _admit(schema: Any) -> Any:
    """Return a schema for `schema` or text with a reference; only where text would not pass anyway."""
    if not isinstance(schema, Mapping) or not schema:
        return cast("Any", schema)
    typed = cast("Mapping[str, Any]", schema)
    if typed.get("type") == "string" and typed.keys() <= {"type", "title", "description", "default", "examples"}:
        return typed
    return {"if": _IS_REFERENCE, "else": typed}


_IS_REFERENCE: Final = {"type": "string", "pattern": REFERENCE_PATTERN}


def _with_moved_references(value: Any, root: dict[str, Any]) -> Any:
    """Return a loosened schema whose `$ref`s follow what they mean to where loosening has put it."""
    if isinstance(value, list):
        return [_with_moved_references(part, root) for part in cast("list[Any]", value)]
    if not isinstance(value, Mapping) or value is _IS_REFERENCE:
        return cast("Any", value)
    moved: dict[str, Any] = {}
    for key, part in cast("Mapping[str, Any]", value).items():
        is_reference = key == "$ref" and isinstance(part, str) and part.startswith("#/")
        moved[key] = _moved_reference(part, root) if is_reference else _with_moved_references(part, root)
    return moved


def _moved_reference(reference: str, root: dict[str, Any]) -> str:
    node: Any = root
    moved = ["#"]
    for segment in reference.split("/")[1:]:
        name = segment.replace("~1", "/").replace("~0", "~")
        if isinstance(node, Mapping) and cast("Mapping[str, Any]", node).get("if") is _IS_REFERENCE:
            moved.append("else")
            node = cast("Mapping[str, Any]", node)["else"]
        if isinstance(node, Mapping):
            inner = cast("Mapping[str, Any]", node)
            if name == "oneOf" and name not in inner:
                segment = name = "anyOf"
            node = inner.get(name)
        elif isinstance(node, list) and name.isdecimal() and int(name) < len(cast("list[Any]", node)):
            node = cast("list[Any]", node)[int(name)]
        else:
            return reference
        moved.append(segment)
    return "/".join(moved)


_compiled: WeakKeyDictionary[ToolSpec, ToolChecks] = WeakKeyDictionary()


def checks_of(tool: ToolSpec) -> ToolChecks:
    """Return the compiled checks of a tool, made once per tool."""
    checks = _compiled.get(tool)
    if checks is None:
        checks = _compiled[tool] = ToolChecks(tool)
    return checks
