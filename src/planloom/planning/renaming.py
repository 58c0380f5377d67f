"""Other ids in a plan's references: the text is taken apart by the plan's own grammar and put together again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from planloom.plan.references import Operand, Reference, ReferenceSyntaxError, Template, read_template

_MAX_DEPTH = 64


def renamed_references(value: Any, ids: Mapping[str, str], depth: int = 0) -> Any:
    """Return `value` with the step ids in its references replaced; the same object when none occurs in it."""
    if isinstance(value, str):
        return _renamed_text(value, ids)
    if depth >= _MAX_DEPTH:
        return value
    if isinstance(value, dict):
        fields = cast("dict[str, Any]", value)
        renewed = {key: renamed_references(inner, ids, depth + 1) for key, inner in fields.items()}
        return renewed if any(renewed[key] is not inner for key, inner in fields.items()) else fields
    if isinstance(value, list):
        elements = cast("list[Any]", value)
        anew = [renamed_references(inner, ids, depth + 1) for inner in elements]
        return anew if any(new is not old for new, old in zip(anew, elements, strict=True)) else elements
    return value


def _renamed_text(text: str, ids: Mapping[str, str]) -> str:
    if "{{" not in text:
        return text
    try:
        source = read_template(text)
    except ReferenceSyntaxError:
        return text
    if source is None:
        return text
    parts = source.parts if isinstance(source, Template) else (source,)
    changed = False
    pieces: list[str] = []
    for part in parts:
        if isinstance(part, str):
            pieces.append(part.replace("{{", "\\{{"))
        elif any(operand.step_id in ids for operand in part.operands):
            changed = True
            pieces.append(_render(part, ids))
        else:
            pieces.append(part.text)
    return "".join(pieces) if changed else text


def _render(reference: Reference, ids: Mapping[str, str]) -> str:
    operands = [str(_renamed_operand(operand, ids)) for operand in reference.operands]
    return f"{{{{{' ?? '.join(operands)}}}}}"


def _renamed_operand(operand: Operand, ids: Mapping[str, str]) -> Operand:
    step_id = operand.step_id
    return operand if step_id is None else operand._replace(root=ids.get(step_id, step_id))
