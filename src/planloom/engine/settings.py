"""How a run goes, whatever its plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from planloom.engine.base import NO_HOOKS, Clock, Hooks, MakeWorkers
from planloom.engine.clock import SystemClock
from planloom.engine.context import Supplies
from planloom.engine.recorder import Recorder
from planloom.engine.threads import ThreadWorkers
from planloom.engine.watchdog import OnBlocked
from planloom.plan.limits import DEFAULT_LIMITS, Limits
from planloom.plan.results import StepResult

_SYSTEM_CLOCK = SystemClock()
_NO_SUPPLIES = Supplies()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """What `execute_plan` is told by its options.

    `finished` are results of steps of the plan that are not to be run again, by id. A run that `is_part` of something
    larger leaves the first and the last event to that.
    """

    clock: Clock = _SYSTEM_CLOCK
    limits: Limits = DEFAULT_LIMITS
    max_concurrency: int | None = None
    supplies: Supplies = _NO_SUPPLIES
    timeout_s: float | None = None
    seed: int | None = None
    make_workers: MakeWorkers = ThreadWorkers
    on_blocked: OnBlocked | None = None
    hooks: Hooks = NO_HOOKS
    finished: Mapping[str, StepResult] | None = None
    is_part: bool = False
    recorder: Recorder | None = None
    """Keeps the run in a journal."""
