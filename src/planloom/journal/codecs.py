"""Codecs: values become JSON that a record can hold, and the same values come back. No pickle, no code from files.

JSON stands as it is; other values become `{"$value": codec, …}` when they are small, else a reference to an artifact.
An object of the user that has such a key itself is wrapped, so that what a tool returns is never taken for ours.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, cast

from planloom.errors import JournalCorruptError, NotStorableError
from planloom.journal.artifacts import ARTIFACT_KEY, MAX_INLINE_BYTES, ArtifactRef, Artifacts

VALUE_KEY: Final = "$value"
LITERAL_KEY: Final = "$literal"
MAX_DEPTH: Final = 200
"""Nesting of a value."""
JSON_CODEC: Final = "json"
"""What reads an artifact that is the JSON of a long value."""
_MARKS: Final = (ARTIFACT_KEY, VALUE_KEY, LITERAL_KEY)


@dataclass(frozen=True, slots=True)
class Encoded:
    """A value in bytes: `type` says what they are, `facts` (a JSON object) is kept beside them.

    `text` says that they are JSON text, which may stand in the record itself when it is short.
    """

    type: str
    content: bytes
    facts: Mapping[str, Any] = field(default_factory=dict[str, Any])
    text: bool = False


class Codec(Protocol):
    """Writes down the values of some types and reads them back. Asked only for values that are no plain JSON."""

    @property
    def name(self) -> str:
        """Its name in records; it must not change."""
        ...

    def matches(self, value: Any) -> bool:
        """Return whether it is for this value."""
        ...

    def encode(self, value: Any) -> Encoded:
        """Write a value down. Raises `NotStorableError` when the same would not come back."""
        ...

    def decode(self, encoded: Encoded) -> Any:
        """Read a value back. Raises `JournalCorruptError` or `NotStorableError`."""
        ...


class Codecs:
    """An ordered set of codecs: the first that matches a value writes it."""

    def __init__(self, codecs: tuple[Codec, ...]) -> None:
        self._codecs = list(codecs)
        self._by_name = {codec.name: codec for codec in codecs}

    def register(self, codec: Codec) -> None:
        """Add a codec of your own; it is asked before the others."""
        if codec.name in self._by_name or codec.name in _CONTAINER_NAMES or codec.name == JSON_CODEC:
            raise ValueError(f"there is a codec `{codec.name}` already")
        self._codecs.insert(0, codec)
        self._by_name[codec.name] = codec

    def encode(self, value: Any) -> tuple[str, Encoded]:
        """Return the name of the codec for a value, and what it wrote. Raises `NotStorableError`."""
        for codec in self._codecs:
            if codec.matches(value):
                return codec.name, codec.encode(value)
        raise NotStorableError(
            f"a value of type {type(value).__module__}.{type(value).__qualname__} cannot be written down: "
            "no codec is for it\nhint: return JSON, a dataclass, a pydantic model or a table, or register a codec"
        )

    def decode(self, name: str, encoded: Encoded) -> Any:
        """Return the value that the codec of this name wrote."""
        codec = self._by_name.get(name)
        if codec is None:
            raise NotStorableError(
                f"a value was written with the codec `{name}`, which is not there\nhint: register it before resuming"
            )
        return codec.decode(encoded)

    async def keep(self, value: Any, artifacts: Artifacts) -> Any:
        """Return JSON for a record that `restore` turns into the same value; what is large goes to the artifacts.

        Short JSON is returned as it is, at once; everything else is done off the event loop. Raises
        `NotStorableError` for a value that has no codec, and `JournalError` when a file cannot be written.
        """
        if _is_short_json(value):
            return value
        return await asyncio.to_thread(_Keeper(self, artifacts).kept, value)

    async def restore(self, kept: Any, artifacts: Artifacts) -> Any:
        """Return the value that `keep` was given. Raises `JournalCorruptError` for an artifact that is damaged."""
        if _is_short_json(kept):
            return kept
        return await asyncio.to_thread(_Restorer(self, artifacts).restored, kept, 0)


_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)
_SCALARS: Final = frozenset({int, bool, type(None)})
_NODE_BYTES: Final = 8


def json_bytes(value: Any) -> bytes:
    """Return canonical JSON text. Halves of characters stay what they are."""
    return _ENCODER.encode(value).encode(errors="surrogatepass")


def parsed(content: bytes) -> Any:
    """Return what `json_bytes` wrote."""
    return json.loads(content.decode(errors="surrogatepass"))


def _is_short_json(value: Any) -> bool:
    """Return whether a value is JSON that may stand in a record, with no key that means something here."""
    left = MAX_INLINE_BYTES
    todo: list[Any] = [value]
    while todo:
        part = todo.pop()
        kind = cast("type[Any]", type(part))
        if kind is str:
            left -= 4 * len(part)  # as many bytes as a character can have
        elif kind is list:
            todo += part
        elif kind is dict:
            keys = cast("dict[Any, Any]", part)
            if not all(type(key) is str and key not in _MARKS for key in keys):
                return False
            left -= sum([4 * len(key) for key in keys])
            todo += keys.values()
        elif kind not in _SCALARS and not (kind is float and math.isfinite(part)):
            return False
        left -= _NODE_BYTES
        if left < 0 or len(todo) * _NODE_BYTES > left:
            return False
    return True


class _Keeper:
    """Writes one value down, on a thread."""

    def __init__(self, codecs: Codecs, artifacts: Artifacts) -> None:
        self._codecs = codecs
        self._artifacts = artifacts
        self._parts: list[str] = []

    def kept(self, value: Any) -> Any:
        written = self._written(value, 0)
        content = json_bytes(written)
        if len(content) <= MAX_INLINE_BYTES:
            return written
        # what the JSON mentions is named beside it, for whoever looks for artifacts that nothing mentions
        facts = {"parts": [{ARTIFACT_KEY: name} for name in self._parts]} if self._parts else {}
        return self._artifact(JSON_CODEC, Encoded("json", content, facts))

    def _written(self, value: Any, depth: int) -> Any:
        kind = cast("type[Any]", type(value))
        if kind is str or kind in _SCALARS or (kind is float and math.isfinite(value)):
            return value
        if depth > MAX_DEPTH:
            raise NotStorableError(f"a value that is nested deeper than {MAX_DEPTH} levels cannot be written down")
        if kind is list:
            return [self._written(element, depth + 1) for element in value]
        if kind is dict and all(type(key) is str for key in value):
            made = {key: self._written(element, depth + 1) for key, element in value.items()}
            return {LITERAL_KEY: made} if any(mark in made for mark in _MARKS) else made
        if kind in _CONTAINERS:
            parts = [list(pair) for pair in value.items()] if kind is dict else list(value)
            made_parts = [self._written(part, depth + 2) for part in parts]
            if kind in (set, frozenset):
                made_parts.sort(key=json_bytes)  # so that the same set is always the same text
            return {VALUE_KEY: kind.__name__, "is": made_parts}
        name, encoded = self._codecs.encode(value)
        if encoded.text and len(encoded.content) <= MAX_INLINE_BYTES:
            return {VALUE_KEY: name, "is": parsed(encoded.content), **encoded.facts}
        return self._artifact(name, encoded)

    def _artifact(self, name: str, encoded: Encoded) -> dict[str, Any]:
        hash = self._artifacts.put(encoded.content)
        made = ArtifactRef(hash, encoded.type, name, len(encoded.content), encoded.facts).to_dict()
        self._parts.append(made[ARTIFACT_KEY])
        return made


class _Restorer:
    """Reads one value back, on a thread."""

    def __init__(self, codecs: Codecs, artifacts: Artifacts) -> None:
        self._codecs = codecs
        self._artifacts = artifacts

    def restored(self, kept: Any, depth: int) -> Any:
        if depth > 2 * MAX_DEPTH + 2:
            raise JournalCorruptError(f"a kept value is nested deeper than {MAX_DEPTH} levels")
        if isinstance(kept, list):
            return [self.restored(element, depth + 1) for element in cast("list[Any]", kept)]
        if not isinstance(kept, dict):
            return kept
        written = cast("dict[str, Any]", kept)
        if ARTIFACT_KEY in written:
            return self._from_artifact(ArtifactRef.from_dict(written), depth)
        if VALUE_KEY in written:
            return self._value(dict(written), depth)
        if LITERAL_KEY in written:
            written = cast("dict[str, Any]", written[LITERAL_KEY])
        return {key: self.restored(element, depth + 1) for key, element in written.items()}

    def _value(self, facts: dict[str, Any], depth: int) -> Any:
        name, body = str(facts.pop(VALUE_KEY)), facts.pop("is", None)
        make = _CONTAINER_NAMES.get(name)
        if make is None:
            return self._codecs.decode(name, Encoded("json", json_bytes(body), facts, text=True))
        if not isinstance(body, list):
            raise JournalCorruptError(f"a kept {name} is not a list of its parts")
        return make([self.restored(part, depth + 1) for part in cast("list[Any]", body)])

    def _from_artifact(self, reference: ArtifactRef, depth: int) -> Any:
        content = self._artifacts.get(reference.hash)
        if reference.codec == JSON_CODEC:
            return self.restored(parsed(content), depth + 1)
        return self._codecs.decode(reference.codec, Encoded(reference.type, content, reference.facts))


_CONTAINERS: Final = frozenset({tuple, set, frozenset, dict})
_CONTAINER_NAMES: Final[dict[str, Callable[[list[Any]], Any]]] = {
    "tuple": tuple,
    "set": set,
    "frozenset": frozenset,
    "dict": dict,
}
