"""The named maximum of everything a plan can make large. All are configurable through `Limits`.

The defaults let a machine-written plan of 100,000 steps through and stop what only an enemy writes.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Upper bounds for reading, validating and running one plan.

    A plan past one of them gets a `limit` issue that names the bound; nothing is cut silently.
    """

    text_bytes: int = 64 * 1024 * 1024
    """Length of a plan's JSON text, in bytes."""
    depth: int = 64
    """Nesting of objects and lists inside `args`, `for_each`, `inputs` and `answer`."""
    steps: int = 100_000
    """Number of steps in one plan."""
    fan_out: int = 10_000
    """Number of elements of one `for_each`, in the plan and in the run."""
    name_chars: int = 200
    """Length of a step id or of one key in `args`."""
    condition_chars: int = 2_000
    """Length of a `when` expression."""
    references: int = 1_000
    """Number of references inside one string."""
    path_segments: int = 64
    """Number of segments in one reference's path."""
    issues: int = 1_000
    """Number of issues listed; the rest is counted in one last `limit` issue."""
    hints: int = 100
    """Number of "did you mean" look-ups per validation; they cost far more than the checks do."""
    conflict_pairs: int = 100
    """Number of conflicting pairs listed."""
    output_bytes: int = 64 * 1024 * 1024
    """Size of one step's output, counted as its JSON text, in bytes."""
    output_depth: int = 200
    """Nesting of one step's output."""


DEFAULT_LIMITS = Limits()
