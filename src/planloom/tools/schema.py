"""JSON Schemas from Python types, and the check that goes with them.

pydantic describes and checks; a schema that came from elsewhere is checked by jsonschema-rs as it stands.
Both libraries are imported on first use, so that importing this package stays cheap. A type that cannot be
described is an error for a parameter, and merely unknown for a return value.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
import json
import re
import threading
import types
from collections.abc import Callable, Mapping
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Final,
    Literal,
    NotRequired,
    Required,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

from typing_extensions import is_typeddict

from planloom.errors import ToolDefinitionError
from planloom.tools.annotations import for_parameter, for_return
from planloom.tools.arguments import Prepare, check_nothing, check_with_json_schema, check_with_pydantic
from planloom.tools.docstrings import Documentation
from planloom.tools.signature import EMPTY, CallableSignature, Parameter, Unresolved
from planloom.tools.tables import Table

if TYPE_CHECKING:
    from pydantic import TypeAdapter
    from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode

JsonSchema = dict[str, Any]
DescribeReturn = Callable[[], JsonSchema | None]

MAXIMUM_DEFAULT_CHARACTERS: Final = 1_000
"""A default whose JSON text is longer is left out of the schema; the function still uses it."""

_PLAIN_TYPES: Final = (str, int, float, bool, None, types.NoneType, Any, EMPTY, Table)
_PLAIN_CONTAINERS: Final = (list, dict, tuple, Union, types.UnionType, NotRequired, Required)
_OF_BOUNDS: Final = ("annotated_types", "pydantic")
_SHAPE_KEYWORDS: Final = frozenset({"type", "properties", "$ref", "allOf", "anyOf", "oneOf", "additionalProperties"})


def describe_parameters(signature: CallableSignature, documentation: Documentation) -> tuple[JsonSchema, Prepare]:
    """The JSON Schema of a function's arguments, and the function that checks and coerces them.

    Raises ToolDefinitionError that names the parameter whose type cannot be described.
    """
    if not signature.parameters and signature.extra is EMPTY:
        return {"type": "object", "properties": {}, "additionalProperties": False}, check_nothing

    signature = _describable(signature)
    fields = {parameter.name: _field_type(parameter) for parameter in signature.parameters}
    _refuse_unresolved(signature)
    adapter, schema = _describe_fields(signature, fields)
    schema.pop("title", None)
    schema.setdefault("properties", {})
    for parameter, described in _with_properties(signature.parameters, schema["properties"]):
        if "description" not in described and documentation.parameters.get(parameter.name):
            described["description"] = documentation.parameters[parameter.name]
        if "default" not in described:
            described.update(_json_default(parameter.default))
    names = tuple(schema["properties"])
    is_open = signature.extra is not EMPTY
    return schema, check_with_pydantic(adapter, names, hidden=signature.hidden if is_open else frozenset())


def _describable(signature: CallableSignature) -> CallableSignature:
    """The signature with what stands for tables and arrays in the place of those."""
    parameters = tuple(
        dataclasses.replace(parameter, annotation=for_parameter(parameter.annotation))
        for parameter in signature.parameters
    )
    return dataclasses.replace(signature, parameters=parameters, extra=for_parameter(signature.extra))


def _with_properties(
    parameters: tuple[Parameter, ...], properties: dict[str, JsonSchema]
) -> list[tuple[Parameter, JsonSchema]]:
    """Each parameter with its property. An alias renames a property, but their order stays."""
    if len(parameters) == len(properties):
        return list(zip(parameters, properties.values(), strict=True))
    # Something was left out on purpose (`SkipJsonSchema`), so the order says nothing any more.
    return [(parameter, properties[parameter.name]) for parameter in parameters if parameter.name in properties]


def describe_return(annotation: Any, documentation: Documentation) -> JsonSchema | None:
    """The JSON Schema of what a function gives, as its JSON will look, or None when that is unknown."""
    if annotation is EMPTY or isinstance(annotation, Unresolved):
        return None
    annotation = for_return(annotation)
    try:
        schema = _json_schema(_adapter(annotation), "serialization")
    except Exception:  # noqa: BLE001 (a type's own schema hook may raise anything)
        return None
    if schema.get("title") == getattr(annotation, "__name__", None):
        schema.pop("title", None)
    if not schema:
        return None  # `Any` says as little as silence
    if documentation.returns:
        schema.setdefault("description", documentation.returns)
    return schema


def describe_later(annotation: Any, documentation: Documentation) -> DescribeReturn:
    """`describe_return` at the first call, from any thread; tools made of one another share what it gives."""
    lock = threading.Lock()
    found: list[JsonSchema | None] = []

    def describe() -> JsonSchema | None:
        with lock:
            if not found:
                found.append(describe_return(annotation, documentation))
            return found[0]

    return describe


def adopt_parameters(
    tool: str, schema: Mapping[str, Any] | None, hidden: frozenset[str] = frozenset()
) -> tuple[JsonSchema, Prepare]:
    """Take a JSON Schema for arguments that came from elsewhere, and the function that checks against it.

    None means no arguments at all; `hidden` names what a plan must not give. Raises ToolDefinitionError when
    it is not a valid schema of an object or refers to another document: nothing is ever fetched.
    """
    if schema is None:
        return {"type": "object", "properties": {}, "additionalProperties": False}, check_nothing
    adopted = _own_copy(tool, "parameters", schema)
    if adopted and not _SHAPE_KEYWORDS & adopted.keys() and all(isinstance(part, dict) for part in adopted.values()):
        raise ToolDefinitionError(
            f"`{tool}`: parameters looks like a list of properties, not like a JSON Schema\n"
            'hint: write {"type": "object", "properties": {…}, "required": […]}'
        )
    if adopted.setdefault("type", "object") != "object":
        raise ToolDefinitionError(
            f"`{tool}`: parameters must describe an object, not {json.dumps(adopted['type'])}\n"
            'hint: write {"type": "object", "properties": {…}, "required": […]}'
        )
    if not isinstance(adopted.get("properties", {}), dict):
        raise ToolDefinitionError(f"`{tool}`: parameters: `properties` must be an object of schemas")
    return adopted, check_with_json_schema(compile_schema(tool, "parameters", adopted), hidden)


def adopt_return(tool: str, schema: Mapping[str, Any] | None) -> JsonSchema | None:
    """Take a JSON Schema for the value that came from elsewhere; None or an empty one means unknown."""
    if not schema:
        return None
    adopted = _own_copy(tool, "returns", schema)
    compile_schema(tool, "returns", adopted)
    return adopted


def is_secret(schema: JsonSchema | None) -> bool:
    """Whether any part of a schema is `writeOnly`: what stands there goes in and is never shown again."""
    return schema is not None and '"writeOnly": true' in json.dumps(schema, default=str)


def is_plain(annotation: Any) -> bool:
    """Whether a type is made of JSON's own types alone, so that nothing in it is secret: told without its schema.

    False says nothing: the type may be plain all the same.
    """
    return _is_plain(annotation, ())


def _is_plain(annotation: Any, outer: tuple[Any, ...]) -> bool:
    if any(annotation is plain for plain in (*_PLAIN_TYPES, *outer)):
        return True
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return True
    if origin is Annotated:
        return all(map(_says_nothing_secret, parts[1:])) and _is_plain(parts[0], outer)
    if origin in _PLAIN_CONTAINERS:
        return all(_is_plain(part, outer) for part in parts)
    if not is_typeddict(annotation) or hasattr(annotation, "__pydantic_config__"):
        return False
    try:
        fields = get_type_hints(annotation, include_extras=True)
    except Exception:  # noqa: BLE001 (evaluating a text annotation may raise anything)
        return False
    return all(_is_plain(field, (*outer, annotation)) for field in fields.values())


def _says_nothing_secret(metadata: object) -> bool:
    """Whether it is a field of pydantic without JSON Schema of its own: a description, bounds, a pattern."""
    from pydantic.fields import FieldInfo

    if not isinstance(metadata, FieldInfo) or metadata.json_schema_extra is not None:
        return False
    return all(type(part).__module__.partition(".")[0] in _OF_BOUNDS for part in metadata.metadata)


def find_secret_parameters(schema: JsonSchema) -> tuple[str, ...]:
    """Return the names of the parameters that hold a secret."""
    return tuple(name for name, part in schema.get("properties", {}).items() if is_secret(part))


def compile_schema(tool: str, part: str, schema: JsonSchema) -> Any:
    """Compile a JSON Schema that reaches for no other document; raises ToolDefinitionError if not valid."""
    import jsonschema_rs  # 50 ms to import, and only for tools whose schema came from elsewhere

    def refuse(uri: str) -> Any:
        raise ValueError(f"references to other documents are not followed: {uri}")

    try:
        return jsonschema_rs.validator_for(schema, retriever=refuse, mask="it")
    except jsonschema_rs.ValidationError as error:
        where = "/".join(["", *(str(key) for key in error.instance_path)])
        raise ToolDefinitionError(f"`{tool}`: {part}{where} is not a valid JSON Schema: {error.message}") from None
    except Exception as error:  # noqa: BLE001 (values that are not JSON, nesting without end)
        raise ToolDefinitionError(f"`{tool}`: {part} is not a valid JSON Schema: {error}") from None


def _own_copy(tool: str, part: str, schema: Mapping[str, Any]) -> JsonSchema:
    if not isinstance(schema, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ToolDefinitionError(f"`{tool}`: {part} must be a JSON Schema object, not {type(schema).__name__}")
    return copy.deepcopy(dict(schema))


def _field_type(parameter: Parameter) -> Any:
    """One parameter as a field of a TypedDict: absent optional arguments stay absent."""
    from pydantic.fields import FieldInfo

    annotation, default = _with_text_as_description(parameter.annotation), parameter.default
    if isinstance(default, FieldInfo):  # `limit: int = Field(3, ge=1)`, as in pydantic models
        described = Annotated[annotation, default]
        return Required[described] if default.is_required() else NotRequired[described]
    if default is EMPTY:
        # A default inside Annotated makes the argument optional, and pydantic fills it in.
        inner = [part for part in get_args(annotation) if isinstance(part, FieldInfo)]
        filled = any(not part.is_required() for part in inner)
        return NotRequired[annotation] if filled else Required[annotation]
    if default is None and not _allows_none(annotation):
        annotation = annotation | None if isinstance(annotation, type) else Union[annotation, None]  # noqa: UP007
    return NotRequired[annotation]


def _with_text_as_description(annotation: Any) -> Any:
    """`Annotated[int, "how many"]` and `Annotated[int, Doc("how many")]` mean a description."""
    if get_origin(annotation) is not Annotated:
        return annotation
    from pydantic import Field

    texts = [
        part if isinstance(part, str) else getattr(part, "documentation", None) for part in get_args(annotation)[1:]
    ]
    text = next((text for text in texts if isinstance(text, str)), None)
    return annotation if text is None else Annotated[annotation, Field(description=text)]


def _allows_none(annotation: Any) -> bool:
    if annotation is Any or annotation is object or annotation is None or annotation is types.NoneType:
        return True
    origin = get_origin(annotation)
    if origin is Annotated:
        return _allows_none(get_args(annotation)[0])
    return origin in (Union, types.UnionType) and any(_allows_none(member) for member in get_args(annotation))


def _describe_fields(signature: CallableSignature, fields: dict[str, Any]) -> tuple[TypeAdapter[Any], JsonSchema]:
    try:
        adapter = _adapter(_arguments_type(fields, signature.extra))
        return adapter, _json_schema(adapter, "validation")
    except Exception as error:  # not only pydantic's errors: a type's own schema hook may raise anything
        for name, field in fields.items():
            _try_alone(signature, name, {name: field}, EMPTY)
        _try_alone(signature, "**kwargs", {}, signature.extra)
        raise ToolDefinitionError(
            f"`{signature.label}`: its parameters cannot be described: {_first_line(error)}"
        ) from error


def _try_alone(signature: CallableSignature, name: str, fields: dict[str, Any], extra: Any) -> None:
    """Raise ToolDefinitionError if this one parameter is what cannot be described."""
    try:
        _json_schema(_adapter(_arguments_type(fields, extra)), "validation")
    except Exception as error:
        raise ToolDefinitionError(
            f"`{signature.label}`: parameter `{name}` has a type that cannot be written as JSON Schema: "
            f"{_first_line(error)}\n"
            "hint: use JSON-able types, dataclasses, pydantic models, arrays of NumPy, or tables of pandas, polars or "
            "pyarrow; a ToolContext has the rest"
        ) from error


def _refuse_unresolved(signature: CallableSignature) -> None:
    annotated = [(parameter.name, parameter.annotation) for parameter in signature.parameters]
    for name, annotation in [*annotated, ("**kwargs", signature.extra)]:
        if isinstance(annotation, Unresolved):
            raise ToolDefinitionError(
                f"`{signature.label}`: the annotation of parameter `{name}`, {annotation.annotation!r}, "
                f"cannot be resolved: {_first_line(annotation.error)}\n"
                "hint: import or define the type at the top of the module, not only under TYPE_CHECKING"
            ) from annotation.error


def _arguments_type(fields: dict[str, Any], extra: Any) -> Any:
    from pydantic import ConfigDict
    from typing_extensions import TypedDict

    make = cast("Callable[..., Any]", TypedDict)
    if extra is EMPTY or extra is Any:
        arguments = make("arguments", fields)
        arguments.__pydantic_config__ = ConfigDict(extra="forbid" if extra is EMPTY else "allow")
        return arguments
    return make("arguments", fields, extra_items=extra)


def _adapter(annotation: Any) -> TypeAdapter[Any]:
    from pydantic import TypeAdapter

    return TypeAdapter(annotation)


def _json_schema(adapter: TypeAdapter[Any], mode: JsonSchemaMode) -> JsonSchema:
    schema = adapter.json_schema(mode=mode, schema_generator=_quiet_generator())
    for name, definition in schema.get("$defs", {}).items():
        title = re.sub(r"[^a-zA-Z0-9.\-_]", "_", str(definition.get("title", "")))
        if title and name.removesuffix("-Input").removesuffix("-Output").endswith(title):
            definition.pop("title")
    return schema


@functools.cache
def _quiet_generator() -> type[GenerateJsonSchema]:
    from pydantic.json_schema import GenerateJsonSchema

    class QuietGenerator(GenerateJsonSchema):
        """Without titles made up from names, and without warnings: neither tells a planner anything."""

        ignored_warning_kinds = {"skipped-choice", "non-serializable-default"}  # noqa: RUF012

        def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 (pydantic's signature)
            return False

    return QuietGenerator


def _json_default(default: object) -> JsonSchema:
    """`{"default": …}` when the default can be written as JSON of a sensible length, else nothing."""
    if default is EMPTY:
        return {}
    from pydantic_core import to_jsonable_python

    try:
        value = to_jsonable_python(default)
        text = json.dumps(value, allow_nan=False)
    except Exception:  # noqa: BLE001 (NaN, objects of any kind: the function keeps its default, the schema is silent)
        return {}
    return {"default": value} if len(text) <= MAXIMUM_DEFAULT_CHARACTERS else {}


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].partition(". Set `arbitrary_types_allowed")[0] if lines else type(error).__name__
