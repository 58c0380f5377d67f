"""What an agent is, and what one goal of it is given: the same words for every strategy."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypedDict

from planloom.agent.people import Answer, Approver
from planloom.engine.base import Clock, MakeWorkers
from planloom.engine.emitter import Listener
from planloom.engine.watchdog import OnBlocked
from planloom.models import Model
from planloom.plan.budget import Account, Budget
from planloom.plan.limits import Limits
from planloom.plan.model import PlanLike
from planloom.plan.results import RunResult
from planloom.planning.create import MAX_MENDS
from planloom.planning.recovery import MAX_REPLANS
from planloom.tools import Toolbox

MAX_ROUNDS: Final = 2
"""Rounds of planning and running for one goal, the first included, unless the caller says otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSettings:
    """An agent with its models at hand. See `Agent` for what each means."""

    toolbox: Toolbox
    planner: Model
    worker: Model
    budget: Budget | None = None
    approver: Approver = Approver(frozenset())  # noqa: RUF009 - frozen
    answer: Answer | None = None
    instructions: str = ""
    output_type: Any = None
    max_replans: int = MAX_REPLANS
    max_rounds: int = MAX_ROUNDS
    max_mends: int = MAX_MENDS
    max_concurrency: int | None = None
    deps: Any = None
    secrets: tuple[Any, ...] = ()


class GoalOptions(TypedDict, total=False):
    """What one goal is given, by keyword."""

    inputs: Mapping[str, Any] | None
    plan: PlanLike | None
    after: RunResult | None
    on_event: Listener | None
    on_step_complete: Callable[..., Any] | None
    workdir: str | os.PathLike[str] | None
    run_id: str | None
    seed: int | None
    timeout_s: float | None
    limits: Limits
    clock: Clock | None
    workers: MakeWorkers
    on_blocked: OnBlocked | None
    account: Account | None
    meta: Mapping[str, Any] | None
