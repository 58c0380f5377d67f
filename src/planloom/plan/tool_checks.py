"""One tool's schemas, compiled once for checking many steps: arguments, places inside them, outputs.

A reference may stand for any value in a plan, so arguments are checked against a *loosened* schema in which
text that holds a reference passes everywhere. The same schema is what a planner model is shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any, Final, NamedTuple, cast
from weakref import WeakKeyDictionary

from jsonschema_rs import ValidationError, validator_for

from planloom.errors import ToolDefinitionError
from planloom.plan.issues import shorten
from planloom.plan.references import PathError, Segment
from planloom.plan.tool_spec import ToolSpec
from planloom.plan.types import UNKNOWN, Type, follow_type, type_of

REFERENCE_PATTERN: Final = r"\{\{"
_MAX_NODES_FOR_ALL_ERRORS: Final = 2_000
_MAX_ERRORS: Final = 50
_MAX_SCHEMA_DEPTH: Final = 64
_SCHEMA_MAPS: Final = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
_SCHEMA_LISTS: Final = ("anyOf", "oneOf", "allOf", "prefixItems")
_SCHEMAS: Final = ("items", "additionalProperties", "then", "else")


class Misfit(NamedTuple):
    """One way in which arguments do not fit: a place in them, the broken keyword, and words for a person."""

    place: tuple[str | int, ...]
    keyword: str
    message: str


class ToolChecks:
    """The compiled checks of one tool."""

    __slots__ = ("_targets", "_validator", "names", "open", "output", "parameters", "required")

    def __init__(self, tool: ToolSpec) -> None:
        parameters = tool.parameters
        properties = parameters.get("properties")
        declared = cast("Mapping[str, Any]", properties) if isinstance(properties, Mapping) else {}
        self.parameters: Type = type_of(parameters)
        self.names: frozenset[str] = frozenset(declared)
        self.required: tuple[str, ...] = tuple(cast("list[str]", parameters.get("required", ())))
        # declared properties are the whole list unless the schema says otherwise, as for outputs
        extra = parameters.get("additionalProperties", properties is None)
        self.open: bool = extra is not False or "patternProperties" in parameters
        self.output: Type = UNKNOWN if tool.returns is None else type_of(tool.returns)
        self._targets: dict[tuple[str | int, ...], Type] = {}
        try:
            self._validator = validator_for(loosened(parameters), offline=True)
        except (ValidationError, ValueError, RecursionError) as error:
            raise ToolDefinitionError(
                f"the parameters of tool `{tool.name}` are not a JSON Schema: {shorten(str(error), 200)}"
            ) from None

    def target(self, place: tuple[str | int, ...]) -> Type:
        """Return the type that the parameters ask for at a place in the arguments."""
        target = self._targets.get(place)
        if target is None:
            try:
                target = follow_type(self.parameters, cast("tuple[Segment, ...]", place), "args")
            except PathError:
                target = UNKNOWN  # an unknown argument, which is an issue of its own
            if len(self._targets) < 10_000:
                self._targets[place] = target
        return target

    def fit(self, args: dict[str, Any]) -> bool:
        """Return whether the arguments fit, with references standing for anything. The fast path."""
        return (self.open or args.keys() <= self.names) and self._validator.is_valid(args)

    def misfits(self, args: dict[str, Any]) -> list[Misfit]:
        """Return every way in which the arguments do not fit; for huge arguments the first one."""
        found: list[Misfit] = []
        if not self.open:
            found.extend(Misfit((name,), "unknown", "") for name in args if name not in self.names)
        found.extend(Misfit((name,), "required", "") for name in self.required if name not in args)
        named = {misfit.place[0] for misfit in found}
        for place, keyword, message in self._errors(args):
            if (place and place[0] in named) or (not place and keyword in ("required", "additionalProperties")):
                continue
            found.append(Misfit(place, keyword, message))
        return found

    def _errors(self, args: dict[str, Any]) -> list[Misfit]:
        # iter_errors builds every error at once, 1.5 KB each: only for arguments whose number of errors is small
        if _is_small(args):
            errors = list(islice(self._validator.iter_errors(args), _MAX_ERRORS))
        else:
            try:
                self._validator.validate(args)
                errors: list[ValidationError] = []
            except ValidationError as error:
                errors = [error]
            except ValueError as error:
                return [Misfit((), "type", shorten(str(error)))]
        return [
            Misfit(tuple(error.instance_path), error.kind.name, shorten(_without_loosening(error.message), 200))
            for error in errors
        ]


def _without_loosening(message: str) -> str:
    return message.replace('{"pattern":"\\\\{\\\\{","type":"string"}', "a reference")


def _is_small(args: dict[str, Any]) -> bool:
    pending: list[Any] = [args]
    count = 0
    while pending:
        value = pending.pop()
        if isinstance(value, dict | list):
            elements = cast("Any", value.values() if isinstance(value, dict) else value)
            count += len(elements)
            if count > _MAX_NODES_FOR_ALL_ERRORS:
                return False
            pending.extend(elements)
    return True


def loosened(schema: Any, depth: int = 0) -> Any:
    """Return `schema` changed so that text with a reference in it passes wherever a value is expected.

    The root of a tool's parameters stays as it is: `args` itself is always an object.
    """
    if not isinstance(schema, Mapping) or depth > _MAX_SCHEMA_DEPTH:
        return schema
    changed: dict[str, Any] = dict(cast("Mapping[str, Any]", schema))
    for name in _SCHEMA_MAPS:
        if isinstance(part := changed.get(name), Mapping):
            inner = cast("Mapping[str, Any]", part)
            changed[name] = {key: _admit(loosened(value, depth + 1)) for key, value in inner.items()}
    for name in _SCHEMA_LISTS:
        if isinstance(part := changed.get(name), list):
            changed[name] = [loosened(value, depth + 1) for value in cast("list[Any]", part)]
    if isinstance(prefix := changed.get("prefixItems"), list):
        changed["prefixItems"] = [_admit(value) for value in cast("list[Any]", prefix)]
    for name in _SCHEMAS:
        if isinstance(part := changed.get(name), Mapping):
            inner = loosened(part, depth + 1)
            changed[name] = _admit(inner) if name in ("items", "additionalProperties") else inner
    return changed


def _admit(schema: Any) -> Any:
    """Return a schema for `schema` or text with a reference; only where text would not pass anyway."""
    if not isinstance(schema, Mapping) or not schema:
        return schema
    typed = cast("Mapping[str, Any]", schema)
    if typed.get("type") == "string" and typed.keys() <= {"type", "title", "description", "default", "examples"}:
        return typed
    return {"if": {"type": "string", "pattern": REFERENCE_PATTERN}, "else": typed}


_compiled: WeakKeyDictionary[ToolSpec, ToolChecks] = WeakKeyDictionary()


def checks_of(tool: ToolSpec) -> ToolChecks:
    """Return the compiled checks of a tool, made once per tool."""
    checks = _compiled.get(tool)
    if checks is None:
        checks = _compiled[tool] = ToolChecks(tool)
    return checks
