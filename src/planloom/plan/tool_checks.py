"""One tool's schemas, compiled once for checking many steps: arguments, places inside them, outputs.

A reference may stand for any value in a plan, so arguments with references are checked against a *loosened*
schema in which text that holds a reference passes everywhere; arguments without any, against the schema as
it is. What cannot be decided passes: the call checks once more.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any, Final, cast
from weakref import WeakKeyDictionary

from planloom.plan.issues import shorten
from planloom.plan.misfits import MASK, Misfit, misfits_in
from planloom.plan.references import PathError, Segment
from planloom.plan.tool_spec import ToolSpec
from planloom.plan.types import UNKNOWN, Type, follow_type, type_of

REFERENCE_PATTERN: Final = r"\{\{"
_MAX_NODES_FOR_ALL_ERRORS: Final = 2_000
_MAX_ERRORS: Final = 50
_MAX_SCHEMA_DEPTH: Final = 64
_MAX_TARGETS: Final = 10_000
_SCHEMA_MAPS: Final = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies")
_SCHEMA_LISTS: Final = ("anyOf", "oneOf", "allOf")
_SCHEMAS: Final = ("items", "additionalProperties", "contains", "unevaluatedItems", "unevaluatedProperties")
_MORE_PROPERTIES: Final = ("anyOf", "oneOf", "allOf", "$ref", "if", "dependentSchemas", "patternProperties")
_CONDITIONAL: Final = ("if", "then", "else", "not")
_SAID_ALREADY: Final = frozenset({"required", "additionalProperties"})


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
                errors: list[ValidationError] = list(islice(validator.iter_errors(args), _MAX_ERRORS))
                return misfits_in(errors, args, self.target, self.required)
            validator.validate(args)
        except ValidationError as error:
            return misfits_in([error], args, self.target, self.required)
        except UnicodeEncodeError:
            return []  # half a surrogate pair, which is looked for in all text
        except ValueError as error:
            return [Misfit((), "type", f"cannot be checked: {shorten(str(error))}")]
        return []


def _compiled_schema(schema: Any) -> Any:
    """Return a validator, or None when the schema cannot be compiled here: then only names are checked."""
    from jsonschema_rs import ValidationError, validator_for  # late: see above

    try:
        return validator_for(schema, offline=True, mask=MASK)
    except (ValidationError, ValueError, TypeError, RecursionError):
        return None


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
