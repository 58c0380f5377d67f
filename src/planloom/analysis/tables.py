"""Tables of a run as the analysis sees them: the handle that all tools share, and the kinds of DuckDB's types."""

from __future__ import annotations

from typing import Final

from planloom.tools.tables import HASH, Column, Kind, Table, keep_table, new_table_file, table_path

__all__ = [
    "HASH",
    "Column",
    "Kind",
    "Table",
    "is_numeric",
    "keep_table",
    "kind_of",
    "new_table_file",
    "table_path",
]

_KINDS: Final[dict[str, Kind]] = {
    "BOOLEAN": "boolean", "DATE": "date", "TIME": "time", "VARCHAR": "text", "UUID": "text",
    "FLOAT": "number", "DOUBLE": "number",
    **dict.fromkeys(("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT"), "integer"),
    **dict.fromkeys(("UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT"), "integer"),
}  # fmt: skip


def kind_of(type_name: str) -> Kind:
    """The kind of a DuckDB type."""
    if type_name.startswith("DECIMAL"):
        return "integer" if type_name.endswith(",0)") else "number"
    if type_name.startswith("TIMESTAMP"):
        return "date"
    if type_name.startswith("TIME"):
        return "time"
    if type_name.startswith("ENUM"):
        return "text"
    return _KINDS.get(type_name, "other")


def is_numeric(kind: Kind) -> bool:
    """Whether a mean of the column makes sense."""
    return kind in ("integer", "number")
