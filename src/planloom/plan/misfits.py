"""What a JSON Schema validator complains about, in the words of the plan: where, what was expected, how to mend it.

Of a union the branch that the value comes nearest to is told, not the union. No value is copied into a message.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from planloom.plan.issues import shorten
from planloom.plan.paths import describe
from planloom.plan.patterns import pattern_in_words
from planloom.plan.suggest import did_you_mean
from planloom.plan.types import Alternative, Type, describe_type, kind_of, property_names

if TYPE_CHECKING:
    from jsonschema_rs import ValidationError

Place = tuple[str | int, ...]
MASK: Final = "it"
"""What validators write for a value, so that no value is copied into a message."""
_MAX_UNIONS: Final = 64
_MAX_LISTED: Final = 12
_MAX_REWRITTEN: Final = 60
_MAX_QUOTED: Final = 10**15
_UNIONS: Final = ("anyOf", "oneOf")
_CONSTANTS: Final = ("const", "enum")
_KIND_ERRORS: Final = frozenset({"type", *_UNIONS})
_EXTRA_KEYS: Final = ("additionalProperties", "unevaluatedProperties")
_BOUNDS: Final = {
    "minimum": "at least", "maximum": "at most", "exclusiveMinimum": "more than", "exclusiveMaximum": "less than",
    "multipleOf": "a multiple of",
}  # fmt: skip
_SIZES: Final = {
    "minLength": ("at least", "character"), "maxLength": ("at most", "character"),
    "minItems": ("at least", "element"), "maxItems": ("at most", "element"),
    "minProperties": ("at least", "key"), "maxProperties": ("at most", "key"),
}  # fmt: skip


class Misfit(NamedTuple):
    """One way in which arguments do not fit: a place in them, the broken keyword, and words for a person."""

    place: Place
    keyword: str
    message: str
    hint: str | None = None


class _Complaint(NamedTuple):
    """One complaint, those beside it about the same value, and those of branches of a union that are as near."""

    error: ValidationError
    beside: Sequence[ValidationError]
    rivals: Sequence[ValidationError]


def misfits_in(
    errors: Sequence[ValidationError], args: Any, target: Callable[[Place], Type], required: Sequence[str]
) -> list[Misfit]:
    """Return each of the validator's complaints about `args` in words.

    `target` gives the type that is asked for at a place; `required` are the arguments that may not be left out.
    """
    return [_misfit(_nearest(error, errors), args, target, required) for error in errors]


def _misfit(complaint: _Complaint, args: Any, target: Callable[[Place], Type], required: Sequence[str]) -> Misfit:
    error = complaint.error
    place = tuple(error.instance_path)
    keyword = error.kind.name
    value = value_at(args, place)
    wanted = target(place)
    if keyword in _KIND_ERRORS and wanted and not is_kind_of(value, wanted):
        if value is None and len(place) == 1 and place[0] not in required:
            hint = f"leave `{shorten(str(place[0]))}` out"
        else:
            hint = _as_wanted(value, wanted)
        return Misfit(place, "type", f"expects {describe_type(wanted)}; this is {describe(value)}", hint)
    if keyword == "type":  # another branch of the union would take this kind, and is further away
        kinds: Type = tuple(Alternative({"type": kind}, {}) for kind in cast("Any", error.kind).types)
        message = f"expects {describe_type(kinds)}; this is {describe(value)}"
        return Misfit(place, "type", message, _as_wanted(value, kinds))
    if keyword in _CONSTANTS:
        return _not_listed(place, value, [option for rival in complaint.rivals for option in _options(rival)])
    phrases = [_wanted(rival) for rival in complaint.rivals]
    if all(phrases):
        either = " or ".join(dict.fromkeys(cast("list[str]", phrases)))
        return Misfit(place, keyword, f"takes {either}; this is {_sized(value, keyword)}", _hint_of(error))
    return Misfit(place, keyword, *_other_words(complaint, value, wanted))


def _nearest(error: ValidationError, beside: Sequence[ValidationError]) -> _Complaint:
    """Return the first complaint of the branch of a union that the value comes nearest to, if one is near."""
    for _ in range(_MAX_UNIONS):
        branches: list[list[ValidationError]] = getattr(error.kind, "context", None) or []
        if error.kind.name not in _UNIONS or not branches:
            break
        ranked = sorted((_distance(branch, error.instance_path), number) for number, branch in enumerate(branches))
        (is_other_kind, other_constants, _), number = ranked[0]
        nearest = branches[number]
        if is_other_kind or not nearest:
            break
        same_kind = [branches[position] for rank, position in ranked if not rank[0]]
        if other_constants and len(same_kind) > 1:
            constants = _constants_in_common(same_kind)
            if not constants:
                break
            return _Complaint(constants[0], nearest, constants)
        level = [branches[position] for rank, position in ranked if rank == ranked[0][0]]
        if len(level) > 1 and all(_is_told_in_a_phrase(branch, error.instance_path) for branch in level):
            return _Complaint(nearest[0], nearest, [branch[0] for branch in level])
        error, beside = nearest[0], nearest
    return _Complaint(error, beside, [error])


def _distance(branch: list[ValidationError], place: list[str | int]) -> tuple[bool, int, int]:
    """Return how far a value is from one branch: another kind, then another constant, then anything else."""
    is_other_kind = any(error.kind.name == "type" and error.instance_path == place for error in branch)
    return is_other_kind, sum(error.kind.name in _CONSTANTS for error in branch), len(branch)


def _constants_in_common(branches: list[list[ValidationError]]) -> list[ValidationError]:
    """Return the complaints of all branches about one constant, such as the word that tells them apart."""
    place = next((error.instance_path for error in branches[0] if error.kind.name in _CONSTANTS), None)
    found = [
        error
        for branch in branches
        for error in branch[:_MAX_LISTED]
        if error.kind.name in _CONSTANTS and error.instance_path == place
    ]
    return found if len(found) >= len(branches) else []


def _is_told_in_a_phrase(branch: list[ValidationError], place: list[str | int]) -> bool:
    return len(branch) == 1 and branch[0].instance_path == place and _wanted(branch[0]) is not None


def _wanted(error: ValidationError) -> str | None:
    """Return what is taken, to stand behind "takes"; None for what a phrase cannot say."""
    kind: Any = error.kind
    if kind.name in _BOUNDS:
        limit = kind.multiple_of if kind.name == "multipleOf" else kind.limit
        return f"{_BOUNDS[kind.name]} {_number(limit)}"
    if kind.name in _SIZES:
        bound, noun = _SIZES[kind.name]
        return f"{bound} {kind.limit:,} {noun}{'' if kind.limit == 1 else 's'}"
    if kind.name == "pattern":
        return pattern_in_words(kind.pattern) or "text of another form"
    if kind.name == "propertyNames":
        inner = _wanted(kind.error)
        return f"only keys that are {inner}" if inner else None
    return "no element twice" if kind.name == "uniqueItems" else None


def _number(limit: Any) -> str:
    try:
        return shorten(str(limit), 40)
    except ValueError:  # more digits than Python writes out
        return "a very long number"


def _sized(value: Any, keyword: str) -> str:
    if keyword not in _SIZES:
        return describe(value)
    noun = _SIZES[keyword][1]
    return f"{describe(value)} with {len(value):,} {noun}{'' if len(value) == 1 else 's'}"


def _hint_of(error: ValidationError) -> str | None:
    kind: Any = error.kind
    if kind.name == "propertyNames":
        return _hint_of(kind.error)
    return f"it must match the regular expression {shorten(kind.pattern, 120)}" if kind.name == "pattern" else None


def _other_words(complaint: _Complaint, value: Any, wanted: Type) -> tuple[str, str | None]:
    error = complaint.error
    kind: Any = error.kind
    if kind.name == "required":
        missing = [
            cast("Any", other.kind).property
            for other in complaint.beside
            if other.kind.name == "required" and other.instance_path == error.instance_path
        ]
        return f"needs {_names(missing)} inside", None
    if kind.name in _EXTRA_KEYS:
        known = property_names(wanted)
        hint = did_you_mean(str(kind.unexpected[0]), known) if known else None
        return f"takes no {_names(kind.unexpected)} inside", hint or (f"it takes {_names(known)}" if known else None)
    if kind.name in _UNIONS:
        forms = "more than one of the forms of which it must have one" if _fits_a_branch(error) else _NO_FORM
        return f"was given {describe(value)}, which fits {forms}", None
    if kind.name == "not":
        rule = shorten(json.dumps(kind.schema, ensure_ascii=False), 120)
        return f"was given {describe(value)}, which it must not be", f"it must not fit {rule}"
    if kind.name == "contains":
        return f"was given {describe(value)} without the elements that it must hold", None
    if kind.name == "propertyNames":
        return f"takes no key like `{shorten(str(kind.error.instance), 40)}` inside", None
    if kind.name in ("unevaluatedItems", "additionalItems"):
        return "takes no more elements than it describes; this is a list", None
    if kind.name == "falseSchema":
        return f"was given {describe(value)}, and takes nothing there", None
    message = shorten(error.message, 200)
    if message.startswith(f"{MASK} "):
        return f"was given {describe(value)}, which {message.removeprefix(f'{MASK} ')}", None
    return f"was given {describe(value)}, and {message}", None


_NO_FORM: Final = "none of the forms that it may have"


def _fits_a_branch(error: ValidationError) -> bool:
    branches: list[list[ValidationError]] = getattr(error.kind, "context", None) or []
    return not all(branches)


def _names(names: Sequence[Any]) -> str:
    more = ", …" if len(names) > _MAX_LISTED else ""
    return ", ".join(f"`{shorten(str(name), 40)}`" for name in names[:_MAX_LISTED]) + more


def _options(error: ValidationError) -> list[Any]:
    kind: Any = error.kind
    return [kind.expected_value] if kind.name == "const" else kind.options


def _not_listed(place: Place, value: Any, options: list[Any]) -> Misfit:
    more = ", …" if len(options) > _MAX_LISTED else ""
    written = [shorten(json.dumps(option, ensure_ascii=False), 40) for option in options[:_MAX_LISTED]]
    listed = list(dict.fromkeys(written))
    wanted = (
        f"one of {', '.join(listed)}{more}" if len(listed) > 1 else f"only {listed[0]}{more}" if listed else "nothing"
    )
    hint = None
    if isinstance(value, str):
        hint = did_you_mean(value, [option for option in options if isinstance(option, str)])
    return Misfit(place, "enum", f"takes {wanted}; this is {describe(value)}", hint)


def _as_wanted(value: Any, target: Type) -> str | None:
    """Return how the value would be written in the kind that is wanted, where that is plain to see."""
    wanted = {alternative.schema.get("type") for alternative in target}
    if isinstance(value, str):
        try:
            meant: Any = json.loads(value) if len(value) < _MAX_REWRITTEN else None
        except (ValueError, RecursionError):
            meant = None
        if meant is not None and is_kind_of(meant, target):
            return f"write {shorten(value)}, without quotes"
    elif "string" in wanted and isinstance(value, int | float) and abs(value) < _MAX_QUOTED:
        return f'write "{json.dumps(value)}", in quotes'
    if "array" in wanted:
        is_short = isinstance(value, str) and len(value) < _MAX_REWRITTEN
        return f"put it into a list: [{json.dumps(value, ensure_ascii=False)}]" if is_short else "put it into a list"
    return None


def is_kind_of(value: Any, target: Type) -> bool:
    """Return whether the JSON kind of a value is among those of a type."""
    kind = kind_of(value)
    kinds = {alternative.schema.get("type") for alternative in target}
    return kind in kinds or (kind == "integer" and "number" in kinds)


def value_at(args: Any, place: Place) -> Any:
    """Return the part of `args` at a place that is known to be there."""
    for segment in place:
        args = args[segment]
    return args
