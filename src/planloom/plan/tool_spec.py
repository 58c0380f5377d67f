"""What the pure core needs to know of a tool. `planloom.tools.Tool` is the real one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class ToolSpec(Protocol):
    """The face of a tool that plans are checked against: names, schemas and facts, nothing that runs."""

    @property
    def name(self) -> str: ...
    @property
    def description(self) -> str: ...
    @property
    def parameters(self) -> Mapping[str, Any]: ...
    @property
    def returns(self) -> Mapping[str, Any] | None: ...
    @property
    def read_only(self) -> bool: ...
    @property
    def writes(self) -> tuple[str, ...]: ...
    @property
    def expected_s(self) -> float | None: ...
