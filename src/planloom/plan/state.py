"""The states of a step and of a run, and the one table of what may follow what.

Rule: a state changes only through `next_status`, so that the table is the whole truth. docs/ARCHITECTURE.md
shows the same table; a test compares the two.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class StepStatus(StrEnum):
    """Where a step stands. The last five can be the state in which a run leaves it."""

    PENDING = "pending"
    READY = "ready"
    RUNNING = "running"
    WAITING = "waiting"
    HELD = "held"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"


class RunStatus(StrEnum):
    """Where a run stands."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    WAITING = "waiting"


_S = StepStatus

TRANSITIONS: Final[dict[StepStatus, frozenset[StepStatus]]] = {
    # a condition that is false skips a step, one that cannot be decided fails it, both before it is ready
    _S.PENDING: frozenset({_S.READY, _S.SKIPPED, _S.FAILED, _S.CANCELLED, _S.HELD}),
    _S.READY: frozenset({_S.RUNNING, _S.WAITING, _S.FAILED, _S.SKIPPED, _S.CANCELLED, _S.HELD}),
    # back to ready: a retry waits for its back-off and then for a slot like any other
    _S.RUNNING: frozenset({_S.SUCCEEDED, _S.FAILED, _S.SKIPPED, _S.CANCELLED, _S.UNKNOWN, _S.WAITING, _S.READY}),
    _S.WAITING: frozenset({_S.READY, _S.RUNNING, _S.FAILED, _S.CANCELLED, _S.HELD}),
    _S.HELD: frozenset({_S.PENDING, _S.READY, _S.SKIPPED, _S.CANCELLED}),
    # what may have happened is settled by a person's word: run it again, leave it out, or give its output
    _S.UNKNOWN: frozenset({_S.READY, _S.SKIPPED, _S.SUCCEEDED, _S.CANCELLED}),
    # a resumed run tries its failed and cancelled steps again, a replan holds them
    _S.FAILED: frozenset({_S.READY, _S.HELD}),
    _S.SKIPPED: frozenset({_S.PENDING, _S.HELD}),
    _S.CANCELLED: frozenset({_S.PENDING, _S.READY}),
    _S.SUCCEEDED: frozenset(),
}

END_STATUSES: Final = frozenset({_S.SUCCEEDED, _S.FAILED, _S.SKIPPED, _S.CANCELLED, _S.UNKNOWN})
"""The states in which a step stays for the rest of this run's process."""


class TransitionError(RuntimeError):
    """A change of state that the table does not allow: a fault of the engine, never of a plan."""


def next_status(current: StepStatus, following: StepStatus) -> StepStatus:
    """Return `following` when it may follow `current`, else raise `TransitionError`."""
    if following in TRANSITIONS[current]:
        return following
    allowed = ", ".join(sorted(TRANSITIONS[current])) or "nothing"
    raise TransitionError(f"a step that is {current} cannot become {following}; it may become {allowed}")
