"""Secrets in the cells of tables become marks before a table is written, as in every other output.

Looked for in columns of text, also of few different texts; not in numbers, binary data, lists and objects.
"""

from __future__ import annotations

import re
from importlib import import_module
from typing import Any

from planloom.plan.redaction import Redactor


def clean_arrow(table: Any, redactor: Redactor) -> Any:
    """Return an Arrow table without the secrets; the same object when there is none in it."""
    arrow, types = import_module("pyarrow"), import_module("pyarrow.types")
    for position, field in enumerate(table.schema):
        kind = field.type
        column = table.column(position)
        if types.is_dictionary(kind) and _is_text(types, kind.value_type):
            categories = [part.dictionary for part in column.chunks]
            if all(_clean_texts(arrow, texts, redactor) is texts for texts in categories):
                continue
            column = column.cast(kind.value_type)
        elif not _is_text(types, kind):
            continue
        parts = column.chunks
        cleaned = [_clean_texts(arrow, part, redactor) for part in parts]
        if any(new is not old for new, old in zip(cleaned, parts, strict=True)):
            whole = arrow.chunked_array(cleaned, column.type)
            # encoded anew: two categories may have become the same one
            table = table.set_column(position, field.name, whole if column.type == kind else whole.dictionary_encode())
    return table


def clean_polars(frame: Any, redactor: Redactor) -> Any:
    """Return a polars frame without the secrets; the same object when there is none in it."""
    texts = import_module("polars").String
    starts = redactor.starts()
    for name, kind in frame.schema.items():
        if kind.base_type().__name__ not in ("String", "Categorical", "Enum"):
            continue
        column = frame.get_column(name).cast(texts)
        suspects = column.filter(column.str.contains_any(starts).fill_null(False)).unique().to_list()
        cleaned = {text: redactor.text(text) for text in suspects}
        if any(text != clean for text, clean in cleaned.items()):
            frame = frame.with_columns(column.replace(list(cleaned), list(cleaned.values())))
    return frame


def _clean_texts(arrow: Any, texts: Any, redactor: Redactor) -> Any:
    """Return an array without the secrets. What may be one is found fast, and then looked at as everywhere else."""
    compute = import_module("pyarrow.compute")
    readable = texts.cast(arrow.large_string()) if texts.type == arrow.string_view() else texts
    starts = "|".join(map(re.escape, redactor.starts()))
    may_be_secret = compute.fill_null(compute.match_substring_regex(readable, starts), False)
    suspects: list[str] = readable.filter(may_be_secret).to_pylist()
    cleaned = [redactor.text(text) for text in suspects]
    if cleaned == suspects:
        return texts
    return compute.replace_with_mask(readable, may_be_secret, arrow.array(cleaned, readable.type)).cast(texts.type)


def _is_text(types: Any, kind: Any) -> bool:
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))
