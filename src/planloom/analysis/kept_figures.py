"""Keeps what was computed about the last tables, so that steps that run side by side compute it once.

A table never changes once it is kept (its name is the hash of its content), so neither do its figures. What several
tools need of every numeric column is here: its scale, mean and deviation.
"""

# ruff: noqa: S608 (names and texts enter SQL through `identifier` and `literal` alone)
from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Generic, TypeVar

from planloom.analysis.columns import column_kinds
from planloom.analysis.database import Database, batches
from planloom.analysis.moments import Scale, column_scales
from planloom.analysis.tables import is_numeric

KEPT_TABLES: Final = 32
"""Tables of which figures are kept in memory, those used last."""

_Value = TypeVar("_Value")


@dataclass(slots=True)
class _Entry(Generic[_Value]):
    lock: threading.Lock = field(default_factory=threading.Lock)
    values: list[_Value] = field(default_factory=list[_Value])


class Kept(Generic[_Value]):
    """One value for each of the last tables; whoever asks while it is being computed waits for it."""

    def __init__(self) -> None:
        self._entries: OrderedDict[tuple[str, int], _Entry[_Value]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, path: Path, compute: Callable[[], _Value]) -> _Value:
        """The value of the table at `path`, from `compute` at the first time; what that raises is not kept."""
        key = (str(path.resolve()), path.stat().st_mtime_ns)
        with self._lock:
            entry = self._entries.setdefault(key, _Entry[_Value]())
            self._entries.move_to_end(key)
            while len(self._entries) > KEPT_TABLES:
                self._entries.popitem(last=False)
        with entry.lock:
            if not entry.values:
                entry.values.append(compute())
            return entry.values[0]


@dataclass(frozen=True, slots=True)
class Figures:
    """What is known of a numeric column with at least one value."""

    scale: Scale
    scaled_mean: float
    """The mean of the scaled values, to the last bit, where the mean itself may be rounded."""
    mean: float | None
    std: float | None
    """Of a sample, ddof = 1."""


_FIGURES: Final = Kept[Mapping[str, "Figures | None"]]()


def numeric_figures(database: Database, path: Path) -> Mapping[str, Figures | None]:
    """The figures of every numeric column of a kept table, in its order; None for one without a value."""

    def compute() -> Mapping[str, Figures | None]:
        names = [name for name, kind in column_kinds(database, path).items() if is_numeric(kind)]
        return compute_figures(database, database.parquet(path), names)

    return _FIGURES.get(path, compute)


def compute_figures(database: Database, source: str, names: Sequence[str]) -> dict[str, Figures | None]:
    """The figures of columns that can be calculated with, of any table expression; kept nowhere."""
    scales = column_scales(database, source, names)
    found: dict[str, Figures | None] = dict.fromkeys(names)
    for batch in batches([(name, scale) for name, scale in scales.items() if scale is not None]):
        parts = [scale.sql(name) for name, scale in batch]
        wanted = ", ".join(f"favg({part}), stddev_samp({part})" for part in parts)
        values = iter(database.row(f"SELECT {wanted} FROM {source}"))
        for name, scale in batch:
            mean, std = next(values), next(values)
            found[name] = Figures(scale, mean, scale.back(mean), scale.width(std))
    return found
