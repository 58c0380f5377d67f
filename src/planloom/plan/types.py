"""Types of values that do not exist yet, as JSON Schema describes them.

A type is a union of alternatives, or UNKNOWN. The rule everywhere: only what is provably wrong is an error;
whatever a schema leaves open passes here and is checked again with the real value before the call.
Every walk is bounded in depth and breadth, because schemas come from elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, Final, NamedTuple, cast
from urllib.parse import unquote

from planloom.plan.issues import shorten
from planloom.plan.references import PathError, Segment, Star, render_segment

_MAX_DEPTH: Final = 12
_MAX_ALTERNATIVES: Final = 64
_MAX_SHOWN: Final = 120
_MAX_SAMPLED: Final = 100
_COMBINERS: Final = ("anyOf", "oneOf")


class Alternative(NamedTuple):
    """One branch of a union: a schema, the document its `$ref`s point into, and what `[*]` put into a list."""

    schema: Mapping[str, Any]
    root: Mapping[str, Any]
    elements: Type | None = None


Type = tuple[Alternative, ...]
UNKNOWN: Final[Type] = ()
_KINDS: Final = {
    "string": "text", "integer": "a whole number", "number": "a number", "boolean": "true or false",
    "array": "a list", "object": "an object", "null": "null",
}  # fmt: skip


def type_of(schema: Any, root: Mapping[str, Any] | None = None) -> Type:
    """Return the type that a JSON Schema describes; UNKNOWN when it leaves everything open.

    The same schema gives the same object again, so that verdicts on types can be kept.
    """
    if not isinstance(schema, Mapping):
        return UNKNOWN
    typed = cast("Mapping[str, Any]", schema)
    whole = typed if root is None else root
    key = (id(typed), id(whole))
    known = _types.get(key)
    if known is not None and known[0] is typed and known[1] is whole:
        return known[2]
    found: list[Alternative] = []
    described = tuple(found) if _expand(typed, whole, found, 0) else UNKNOWN
    if len(_types) >= _MAX_KEPT:
        _types.clear()
    _types[key] = (typed, whole, described)
    return described


_MAX_KEPT: Final = 4_096
_types: dict[tuple[int, int], tuple[Mapping[str, Any], Mapping[str, Any], Type]] = {}
"""Types by the identity of their schema, which is kept beside them so that its id stays its own."""


def _expand(schema: Mapping[str, Any], root: Mapping[str, Any], found: list[Alternative], depth: int) -> bool:
    """Collect the alternatives of `schema`; False when it is open or too tangled to say anything."""
    if depth > _MAX_DEPTH or len(found) > _MAX_ALTERNATIVES:
        return False
    reference = schema.get("$ref")
    if isinstance(reference, str):
        target = _resolve(reference, root)
        return target is not None and _expand(target, root, found, depth + 1)
    for combiner in _COMBINERS:
        branches = schema.get(combiner)
        if isinstance(branches, Sequence) and branches:
            return all(
                isinstance(branch, Mapping) and _expand(cast("Mapping[str, Any]", branch), root, found, depth + 1)
                for branch in cast("Sequence[Any]", branches)
            )
    together = schema.get("allOf")
    if isinstance(together, Sequence) and together:
        only = cast("Sequence[Any]", together)
        first = only[0]
        return (
            len(only) == 1
            and isinstance(first, Mapping)
            and _expand(cast("Mapping[str, Any]", first), root, found, depth + 1)
        )
    kind = schema.get("type")
    if isinstance(kind, str):
        found.append(Alternative(schema, root))
        return True
    if isinstance(kind, Sequence) and kind:
        found.extend(Alternative({**schema, "type": name}, root) for name in cast("Sequence[Any]", kind))
        return True
    if "properties" in schema:
        found.append(Alternative({**schema, "type": "object"}, root))
        return True
    values = schema.get("enum", [schema["const"]] if "const" in schema else None)
    if isinstance(values, Sequence):
        kinds = {kind_of(value) for value in cast("Sequence[Any]", values)}
        found.extend(Alternative({**schema, "type": name}, root) for name in sorted(kinds))
        return bool(kinds)
    return False


def _resolve(reference: str, root: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the schema that a `$ref` into this very document means, or None."""
    if reference != "#" and not reference.startswith("#/"):
        return None
    target: Any = root
    for part in unquote(reference).split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(target, Mapping) and name in target:
            target = cast("Mapping[str, Any]", target)[name]
        elif isinstance(target, list) and name.isdecimal() and int(name) < len(cast("list[Any]", target)):
            target = cast("list[Any]", target)[int(name)]
        else:
            return None
    return cast("Mapping[str, Any]", target) if isinstance(target, Mapping) else None


def kind_of(value: Any) -> str:
    """Return the JSON Schema type name of a JSON value."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
        case list() | tuple():
            return "array"
        case _:
            return "object"


def literal_type(value: Any) -> Type:
    """Return the type of a JSON value: its kind, and for a list the kinds of its first elements."""
    if isinstance(value, list):
        kinds = sorted({kind_of(element) for element in islice(cast("list[Any]", value), _MAX_SAMPLED)})
        if not kinds or "object" in kinds or "array" in kinds:
            return type_of({"type": "array"})
        return type_of({"type": "array", "items": {"type": kinds}})
    return type_of({"type": kind_of(value)})


def list_of(elements: Type) -> Type:
    """Return the type of a list whose elements have the given type."""
    return (Alternative({"type": "array"}, {}, elements),)


def elements_of(whole: Type) -> Type:
    """Return the type of the elements, for the alternatives of `whole` that are lists."""
    found: list[Alternative] = []
    for alternative in whole:
        if _kind(alternative) != "array":
            continue
        inner = _elements(alternative)
        if not inner:
            return UNKNOWN
        found.extend(inner)
    return tuple(found)


def may_be(whole: Type, kind: str) -> bool:
    """Return whether a value of this type can be of the JSON kind `kind`."""
    return not whole or any(_kind(alternative) == kind for alternative in whole)


def _kind(alternative: Alternative) -> str:
    return alternative.schema.get("type", "")


def _elements(alternative: Alternative, index: int | None = None) -> Type:
    if alternative.elements is not None:
        return alternative.elements
    prefix = alternative.schema.get("prefixItems")
    if isinstance(prefix, Sequence) and prefix:
        members = cast("Sequence[Any]", prefix)
        return type_of(members[index], alternative.root) if index is not None and 0 <= index < len(members) else UNKNOWN
    return type_of(alternative.schema.get("items"), alternative.root)


def follow_type(whole: Type, path: Sequence[Segment], name: str) -> Type:
    """Return the type at the end of `path`. Raises `PathError` when no alternative has such a part.

    An object with declared properties is taken as closed unless it says otherwise: a key that the schema
    does not name would most likely be missing at run time, in the middle of the run.
    """
    for position, segment in enumerate(path):
        if not whole:
            return UNKNOWN
        if isinstance(segment, Star):
            if not may_be(whole, "array"):
                raise PathError(f"{shorten(name, _MAX_SHOWN)} gives {describe_type(whole)}, and [*] needs a list")
            return list_of(follow_type(elements_of(whole), path[position + 1 :], f"{name}[*]"))
        whole = _follow_segment(whole, segment, name)
        name += render_segment(segment)
    return whole


def _follow_segment(whole: Type, segment: str | int, name: str) -> Type:
    parts: list[Type] = []
    for alternative in whole:
        part = _part(alternative, segment)
        if part is None:
            continue
        if not part:
            return UNKNOWN
        parts.append(part)
    if not parts:
        raise _no_part(whole, segment, name)
    if len(parts) == 1:
        return parts[0]  # the same object for the same schema, so that verdicts on it can be kept
    return tuple([alternative for part in parts for alternative in part][:_MAX_ALTERNATIVES])


def _part(alternative: Alternative, segment: str | int) -> Type | None:
    """Return the type of one part, UNKNOWN when the schema leaves it open, None when there is no such part."""
    kind = _kind(alternative)
    if kind == "array":
        if isinstance(segment, str):
            return _elements(alternative, int(segment)) if segment.isdecimal() and len(segment) < 10 else None
        return _elements(alternative, segment)
    if kind != "object":
        return None
    schema = alternative.schema
    if "patternProperties" in schema:
        return UNKNOWN
    properties = schema.get("properties")
    key = str(segment)
    if isinstance(properties, Mapping) and properties:
        declared = cast("Mapping[str, Any]", properties)
        if key in declared:
            return type_of(declared[key], alternative.root)
        extra = schema.get("additionalProperties", False)
    else:
        extra = schema.get("additionalProperties", True)
    return None if extra is False else type_of(extra, alternative.root)


def _no_part(whole: Type, segment: str | int, name: str) -> PathError:
    name, path = shorten(name, _MAX_SHOWN), shorten(render_segment(segment))
    if may_be(whole, "array"):
        return PathError(
            f"{name} gives a list, and `{shorten(str(segment))}` is a key",
            f"take one element, {{{{{name}[0]{path}}}}}, or all of them, {{{{{name}[*]{path}}}}}",
        )
    keys = property_names(whole)
    if not keys:
        return PathError(f"{name} gives {describe_type(whole)}, which has no part {path}")
    shown = ", ".join(f"`{shorten(key, 40)}`" for key in keys[:12])
    hint = f"it has {shown}{' …' if len(keys) > 12 else ''}"
    return PathError(f"{name} has no key `{shorten(str(segment), 60)}`", hint, str(segment), keys)


def property_names(whole: Type) -> list[str]:
    """Return the declared keys of the object alternatives, in order."""
    names: dict[str, None] = {}
    for alternative in whole:
        properties = alternative.schema.get("properties")
        if _kind(alternative) == "object" and isinstance(properties, Mapping):
            names.update(dict.fromkeys(cast("Mapping[str, Any]", properties)))
    return list(names)


def fits(source: Type, target: Type) -> bool:
    """Return whether some value of type `source` could be accepted where `target` is asked for."""
    return Fitting().fits(source, target)


class Fitting:
    """Compares types, as many as its budget lasts for. Past it everything fits: the call itself will tell."""

    def __init__(self) -> None:
        self._all_left = _MAX_COMPARISONS
        self._left = 0

    def fits(self, source: Type, target: Type) -> bool:
        """Return whether some value of type `source` could be accepted where `target` is asked for."""
        self._left = granted = min(_MAX_COMPARISONS_EACH, self._all_left)
        answer = self._fits(source, target, 0)
        self._all_left -= granted - max(self._left, 0)
        return answer

    def _fits(self, source: Type, target: Type, depth: int) -> bool:
        if not source or not target or depth > _MAX_DEPTH or (source is target and depth):
            return True
        real = [alternative for alternative in source if _kind(alternative) != "null"] or list(source)
        return any(self._alternative_fits(given, wanted, depth) for given in real for wanted in target)

    def _alternative_fits(self, given: Alternative, wanted: Alternative, depth: int) -> bool:
        self._left -= 1
        if self._left < 0:
            return True
        have, want = _kind(given), _kind(wanted)
        if have != want and {have, want} != {"integer", "number"}:
            return False
        given_values, wanted_values = _values(given), _values(wanted)
        if given_values is not None and wanted_values is not None:
            return any(value in wanted_values for value in given_values)
        if have == "array":
            return self._fits(_elements(given), _elements(wanted), depth + 1)
        if have == "object":
            return self._object_fits(given, wanted, depth)
        return True

    def _object_fits(self, given: Alternative, wanted: Alternative, depth: int) -> bool:
        for key in cast("Iterable[Any]", wanted.schema.get("required", ())):
            if isinstance(key, str) and _part(given, key) is None:
                return False
        properties = wanted.schema.get("properties")
        if not isinstance(properties, Mapping):
            return True
        for key, schema in cast("Mapping[str, Any]", properties).items():
            have = _part(given, key)
            if have and not self._fits(have, type_of(schema, wanted.root), depth + 1):
                return False
        return True


_MAX_COMPARISONS_EACH: Final = 1_000
_MAX_COMPARISONS: Final = 200_000


def _values(alternative: Alternative) -> Sequence[Any] | None:
    schema = alternative.schema
    if "const" in schema:
        return [schema["const"]]
    values = schema.get("enum")
    return cast("Sequence[Any]", values) if isinstance(values, Sequence) else None


def describe_type(whole: Type) -> str:
    """Say in words what a type is: "a list", "text or null"."""
    if not whole:
        return "anything"
    kinds = dict.fromkeys(_KINDS.get(_kind(alternative), "anything") for alternative in whole)
    return " or ".join(kinds)
