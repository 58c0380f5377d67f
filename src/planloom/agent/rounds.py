"""The rounds of one goal: plans run one after another, with what the rounds before have finished.

Rule: the result of a round holds the steps of all rounds, with times counted from the beginning of the goal.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from planloom.agent.people import Approval, RunPerson
from planloom.agent.settings import AgentSettings, GoalOptions
from planloom.engine import orphans
from planloom.engine.base import Hooks, ReplanRequest
from planloom.engine.clock import SystemClock
from planloom.engine.context import Supplies
from planloom.engine.emitter import Emitter
from planloom.engine.failures import describe_exception
from planloom.engine.recorder import Recorder
from planloom.engine.run import Run
from planloom.engine.settings import RunSettings
from planloom.engine.threads import ThreadWorkers
from planloom.errors import BudgetExceededError, ModelError, ReplanError
from planloom.models import Model
from planloom.plan import events
from planloom.plan.amendment import merge_recovery
from planloom.plan.approvals import plan_digest
from planloom.plan.budget import Account
from planloom.plan.limits import DEFAULT_LIMITS
from planloom.plan.model import Plan, Step
from planloom.plan.results import RunResult, StepError, StepResult
from planloom.plan.state import RunStatus, StepStatus
from planloom.planning.recovery import Replanner

_T = TypeVar("_T")


class OutOfTime(Exception):  # noqa: N818 - it never leaves a goal
    """The time of a goal is up; a `TimeoutError` may come from anywhere."""


async def within(ends_at: float | None, phase: Awaitable[_T]) -> _T:
    """Await what has no steps of its own until the loop's clock shows `ends_at`. Raises `OutOfTime`."""
    limit = asyncio.timeout_at(ends_at)
    try:
        async with limit:
            return await phase
    except TimeoutError:
        if limit.expired():
            raise OutOfTime from None
        raise


class Rounds:
    """Runs the plans of one goal. `worker` is what tools get, `workdir` is theirs in all rounds.

    `ends_at` is when the goal's time is up, on the loop's clock: until then a person may approve a plan. `words` are
    those that a person has given before, by the hash of what they are for.
    """

    def __init__(
        self,
        settings: AgentSettings,
        options: GoalOptions,
        inputs: Mapping[str, Any],
        emitter: Emitter,
        account: Account,
        worker: Model,
        workdir: Path,
        ends_at: float | None = None,
        recorder: Recorder | None = None,
        words: Mapping[str, bool] | None = None,
    ) -> None:
        self._settings = settings
        self._options = options
        self._inputs = inputs
        self._emitter = emitter
        self._account = account
        self._ends_at = ends_at
        self._recorder = recorder
        self._supplies = Supplies(settings.deps, worker, workdir)
        self._person = RunPerson(settings.approver, settings.answer, words or {})
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
        self,
        plan: Plan,
        replanner: Replanner | None,
        finished: Mapping[str, StepResult] | None = None,
        *,
        adopted: Mapping[str, StepResult] | None = None,
    ) -> RunResult:
        """Run a whole plan, once it is approved. Those of `finished` that ended well are not run again.

        `adopted` are the results of an earlier process, which are taken over as they are, elements too.
        Raises `OutOfTime` when the time is up before there is a word.
        """
        known = finished or {}
        kept = {step.id: known[step.id] for step in plan.steps if step.id in known and known[step.id].is_success}
        try:
            word = await within(self._ends_at, self._approved(plan))
        except BaseException:  # also a cancellation: the plan that nobody has answered about is in the result
            self._not_run(plan, None, kept)
            raise
        if word is not True:
            return self._not_run(plan, word, kept)
        self._start(plan, replanner, finished=kept if adopted is None else adopted)
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
        """End what was started early of a plan that was rejected, and forget it: it has had no effect."""
        if self._running is not None:
            running, self._run, self._running = self._running, None, None
            running.cancel()
            try:
                await asyncio.wait([running])
            finally:
                running.cancel()  # when this was cancelled too, it leaves at once
                orphans.keep(running)

    async def leave(self, reason: StepError) -> None:
        """End a plan that will not arrive any more: let its early steps finish, and keep what they came to."""
        if self._running is not None:
            self.drain(reason)
            await self._ended()

    async def cancel(self) -> None:
        """Cancel the round that is under way, and keep what its steps came to."""
        if self._running is not None:
            self._running.cancel()
            await self._ended()

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
            recorder=self._recorder,
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
        """Return a person's word for a plan; one that was given for exactly this plan before is asked for no more."""
        approver = self._settings.approver
        if not approver.asks_before_plans:
            return True
        digest = plan_digest(plan)
        word = self._person.said(digest)
        if word is not None:
            return word
        self._emitter.emit(events.PlanWaiting, None, plan, digest)
        try:
            word = await approver.word(Approval("plan", digest, plan))
        except Exception as error:  # noqa: BLE001 - whatever a callback raises, it is no yes
            self._emitter.emit(events.CallbackFailed, None, "approve", describe_exception(error).message)
            word = None
        if word is not None:
            self._emitter.emit(events.ApprovalGiven, None, digest, word)
        self.is_waiting = self.is_waiting or word is None
        return word

    def _not_run(self, plan: Plan, word: bool | None, kept: Mapping[str, StepResult]) -> RunResult:
        """Return the result of a plan that nobody allowed to run."""
        denied = StepError("denied", "Denied", "the plan was denied by a person")
        status, error = (RunStatus.WAITING, None) if word is None else (RunStatus.FAILED, denied)
        steps = {step.id: kept.get(step.id) or StepResult(step.id, StepStatus.PENDING) for step in plan.steps}
        replans = 0 if self.result is None else self.result.replans
        self.result = RunResult(self._emitter.run_id, status, None, plan, steps, replans=replans, error=error)
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
