"""Which classes are tables of pandas, polars or Arrow: told by their names, so that none is ever imported."""

from __future__ import annotations

from typing import Final, Literal

FrameKind = Literal["pandas", "polars", "polars-lazy", "arrow"]

_KINDS: Final[dict[tuple[str, str], FrameKind]] = {
    ("pandas", "DataFrame"): "pandas",
    ("polars", "DataFrame"): "polars",
    ("polars", "LazyFrame"): "polars-lazy",
    ("pyarrow", "Table"): "arrow",
}


class TableError(ValueError):
    """A table that cannot be kept. Its message goes on after "the output": "has two columns …"."""


def frame_kind(kind: type) -> FrameKind | None:
    """Return what kind of table a class itself is, not one that it inherits from; None for anything else."""
    name = kind.__name__
    if name not in ("DataFrame", "LazyFrame", "Table"):
        return None
    return _KINDS.get((kind.__module__.partition(".")[0], name))


def kind_of_frame(value: object) -> FrameKind | None:
    """Return what kind of table a value is, its class or one that this inherits from; None for anything else."""
    return next((found for kind in type(value).__mro__ if (found := frame_kind(kind)) is not None), None)
