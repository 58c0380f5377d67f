"""The answer in the type that the caller wants."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from planloom.errors import ModelReplyError, UsageError
from planloom.planning.joining import check_output_schema


class Fitting(NamedTuple):
    """An answer that fits."""

    value: Any


@dataclass(frozen=True, slots=True)
class AnswerForm:
    """What an answer has to be. `schema` None: anything."""

    schema: dict[str, Any] | None = None
    _adapter: Any = None

    @classmethod
    def of(cls, output_type: Any) -> AnswerForm:
        """Read what `Agent(output_type=…)` takes: None, a pydantic model, a dataclass, or any annotation."""
        if output_type is None:
            return cls()
        from pydantic import PydanticSchemaGenerationError, PydanticUserError, TypeAdapter

        try:
            adapter = TypeAdapter[Any](output_type)
            schema = adapter.json_schema()
        except (PydanticSchemaGenerationError, PydanticUserError) as error:
            raise UsageError(f"output_type={output_type!r:.80} has no JSON Schema: {error}") from None
        check_output_schema(schema)  # now, and not when everything has run
        return cls(schema, adapter)

    def fit(self, value: Any) -> Fitting | None:
        """Return a plan's own answer in the wanted type, or None when it does not fit."""
        if self._adapter is None:
            return Fitting(value)
        try:
            return Fitting(self._adapter.validate_python(value))
        except Exception:  # noqa: BLE001 - a validator of the caller's type may raise anything
            return None

    def read(self, value: Any, model: str) -> Any:
        """Return a model's answer in the wanted type. Raises `ModelReplyError`."""
        fitting = self.fit(value)
        if fitting is None:
            raise ModelReplyError(
                f"{model} gave an answer that fits its JSON Schema but not the type that was asked for\n"
                "hint: say in the type's docstring or in `instructions` what its validators want",
                reason="malformed",
                text=str(value)[:2_000],
                reply=None,
                model=model,
                tries=1,
            )
        return fitting.value
