"""What the pure core needs to know of a tool. `planloom.tools.Tool` is the real one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class ToolSpec(Protocol):
    """The face of a tool that plans are checked against: names, schemas and facts, nothing that runs."""

    @property
    def name(self) -> str:
        """What plans call it."""
        ...

    @property
    def description(self) -> str:
        """What the planner reads of it."""
        ...

    @property
    def parameters(self) -> Mapping[str, Any]:
        """The JSON Schema of its arguments, always of an object."""
        ...

    @property
    def returns(self) -> Mapping[str, Any] | None:
        """The JSON Schema of its output, or None when that is unknown."""
        ...

    @property
    def read_only(self) -> bool:
        """Whether it changes nothing anywhere."""
        ...

    @property
    def writes(self) -> tuple[str, ...]:
        """Templates of the resources it writes, such as `file:{path}`."""
        ...

    @property
    def expected_s(self) -> float | None:
        """How long a call usually takes, in seconds, or None when that is unknown."""
        ...
