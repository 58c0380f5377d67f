"""The rounds of one goal: plans run one after another, with what the rounds before have finished.

Rule: the result of a round holds the steps of all rounds, with times counted from the beginning of the goal.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from planloom.agent.people import RunPerson
from planloom.agent.settings import AgentSettings, GoalOptions
from planloom.engine.base import Hooks, ReplanRequest
from planloom.engine.clock import SystemClock
from planloom.engine.context import Supplies
from planloom.engine.emitter import Emitter
from planloom.engine.failures import describe_exception
from planloom.engine.run import Run
from planloom.engine.settings import RunSettings
from planloom.engine.threads import ThreadWorkers
from planloom.errors import BudgetExceededError, ModelError, ReplanError
from planloom.models import Model
from planloom.plan import events
from planloom.plan.amendment import merge_recovery
from planloom.plan.budget import Account
from planloom.plan.limits import DEFAULT_LIMITS
from planloom.plan.model import Plan, Step
from planloom.plan.results import RunResult, StepError, StepResult
from planloom.plan.state import RunStatus, StepStatus
from planloom.planning.recovery import Replanner


class Rounds:
    """Runs the plans of one goal. `worker` is what tools get, `workdir` is theirs in all rounds."""

    def __init__(
        self,
        settings: AgentSettings,
        options: GoalOptions,
        inputs: Mapping[str, Any],
        emitter: Emitter,
        account: Account,
        worker: Model,
        workdir: Path,
    ) -> None:
        self._settings = settings
        self._options = options
        self._inputs = inputs
        self._emitter = emitter
        self._account = account
        self._supplies = Supplies(settings.deps, worker, workdir)
        self._person = RunPerson(settings.approver, settings.answer)
        self._loop = asyncio.get_running_loop()
        self._began = self._run_began = self._loop.time()
        self._task = asyncio.current_task()
        self._cancelled_before = self._task.cancelling() if self._task is not None else 0
        self._run: Run | None = None
        self._running: asyncio.Task[RunResult] | None = None
        self.result: RunResult | None = None
        """What all rounds so far came to."""
        self.trouble: StepError | None = None
        """What kept a replan from being made, when it was not the plan's doing."""
        self.is_waiting = False
        """Whether a plan was shown to a person who has not answered."""

    @property
    def is_running(self) -> bool:
        """Whether a round is under way."""
        return self._running is not None

    async def run(
        self, plan: Plan, replanner: Replanner | None, finished: Mapping[str, StepResult] | None = None
    ) -> RunResult:
        """Run a whole plan, once it is approved. `finished` are results of steps that are not run again."""
        word = await self._approved(plan)
        if word is not True:
            return self._not_run(plan, word)
        kept = {step.id: finished[step.id] for step in plan.steps if step.id in finished} if finished else None
        self._start(plan, replanner, finished=kept)
        return await self._ended()

    def arrive(self, steps: Sequence[Step], plan: Plan, make_replanner: Callable[[], Replanner | None]) -> None:
        """Run steps of a plan that still arrives; `plan` is what may start of it so far."""
        if self._run is None:
            self._start(Plan((), plan.goal, plan.inputs), make_replanner(), is_whole=False)
        assert self._run is not None
        self._run.arrive(steps, plan)

    async def complete(self, plan: Plan) -> RunResult:
        """Run the rest of a plan that has arrived as a whole."""
        assert self._run is not None
        self._run.complete(plan)
        return await self._ended()

    async def abandon(self) -> None:
        """End what was started early of a plan that did not come to be. Its steps have had no effect."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])
            self._run = self._running = None

    def drain(self, reason: StepError) -> None:
        """Start nothing more in the round that is under way, and let what runs finish."""
        if self._run is not None:
            self._run.drain(reason)

    def stop(self, reason: StepError) -> None:
        """End the round that is under way."""
        if self._run is not None:
            self._run.stop(reason)

    def _start(
        self,
        plan: Plan,
        replanner: Replanner | None,
        *,
        finished: Mapping[str, StepResult] | None = None,
        is_whole: bool = True,
    ) -> None:
        settings, options = self._settings, self._options
        run_settings = RunSettings(
            clock=options.get("clock") or SystemClock(),
            limits=options.get("limits", DEFAULT_LIMITS),
            max_concurrency=settings.max_concurrency,
            supplies=self._supplies,
            seed=options.get("seed"),
            make_workers=options.get("workers", ThreadWorkers),
            on_blocked=options.get("on_blocked"),
            hooks=Hooks(None if replanner is None else self._watched(replanner), self._person, self._account),
            finished=finished,
            is_part=True,
        )
        self._run = Run(plan, settings.toolbox, self._inputs, self._emitter, run_settings, is_whole=is_whole)
        self._run_began = self._loop.time()
        self._running = self._loop.create_task(self._run.execute())

    async def _ended(self) -> RunResult:
        """Wait for the round that is under way. Raises `CancelledError` when it was ended by a cancellation."""
        assert self._running is not None
        result = await self._running  # cancelling this cancels the run, which then ends with all its steps
        self._run = self._running = None
        before = self.result
        offset_s = self._run_began - self._began
        known: Mapping[str, StepResult] = {} if before is None else before.steps
        steps = {name: step if known.get(name) is step else step.later(offset_s) for name, step in result.steps.items()}
        replans = result.replans + (0 if before is None else before.replans)
        self.result = dataclasses.replace(result, steps=steps, replans=replans)
        is_cancelled = self._task is not None and self._task.cancelling() > self._cancelled_before
        if result.status is RunStatus.CANCELLED and is_cancelled:
            raise asyncio.CancelledError
        return self.result

    # ---- people -----------------------------------------------------------------------------------------

    async def _approved(self, plan: Plan) -> bool | None:
        try:
            word = await self._settings.approver.approve_plan(plan)
        except Exception as error:  # noqa: BLE001 - whatever a callback raises, it is no yes
            self._emitter.emit(events.CallbackFailed, None, "approve", describe_exception(error).message)
            word = None
        self.is_waiting = self.is_waiting or word is None
        return word

    def _not_run(self, plan: Plan, word: bool | None) -> RunResult:
        """Return the result of a plan that nobody allowed to run."""
        denied = StepError("denied", "Denied", "the plan was denied by a person")
        status, error = (RunStatus.WAITING, None) if word is None else (RunStatus.FAILED, denied)
        known: Mapping[str, StepResult] = {} if self.result is None else self.result.steps
        steps = {step.id: known.get(step.id) or StepResult(step.id, StepStatus.PENDING) for step in plan.steps}
        self.result = RunResult(self._emitter.run_id, status, None, plan, steps, error=error)
        return self.result

    def _watched(self, replanner: Replanner) -> Callable[[ReplanRequest], Any]:
        """Return the replanner, with its plans approved, and with an eye on what keeps it from planning."""

        async def replan(request: ReplanRequest) -> Plan:
            try:
                recovery = await replanner(request)
            except ReplanError as refusal:
                self._note_trouble(refusal.__cause__)
                raise
            word = await self._approved(merge_recovery(request.plan, request.held, recovery))
            if word is not True:
                said = "nobody has said yes to the recovery plan" if word is None else "the recovery plan was denied"
                raise ReplanError("denied", said)
            return recovery

        return replan

    def _note_trouble(self, cause: BaseException | None) -> None:
        if isinstance(cause, BudgetExceededError):
            self.trouble = error_of("budget", cause)
            # not at once: this runs inside the round of replanning that a drained run ends
            self._loop.call_soon(self.drain, self.trouble)
        elif isinstance(cause, ModelError):
            self.trouble = error_of("model", cause)


def error_of(kind: str, error: Exception) -> StepError:
    """Return what went wrong outside of the steps as the error of a run."""
    return StepError(kind, type(error).__name__, str(error))
