"""One goal of an agent, from its first event to its result: plan, run, answer, and once more if that is not enough.

Rule: what a plan has done is never lost. When a model fails or a budget is spent after a plan began to run, its steps
and outputs are in the result; only what keeps a plan from being there at all is raised.
"""

from __future__ import annotations

import asyncio
import dataclasses
import secrets
import shutil
import tempfile
import threading
from collections.abc import Awaitable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

from planloom.agent.answering import AnswerForm
from planloom.agent.calling import ModelCalls
from planloom.agent.nesting import Nesting, secrets_of_outer
from planloom.agent.rounds import OutOfTime, Rounds, error_of, within
from planloom.agent.settings import AgentSettings, GoalOptions
from planloom.engine.calls import GRACE_S
from planloom.engine.clock import SystemClock
from planloom.engine.emitter import Emitter, Listener
from planloom.engine.secrecy import cleaned_rejection, learn_literals, make_redactor, read_inputs
from planloom.errors import BudgetExceededError, MissingExtraError, ModelError, PlanValidationError, UsageError
from planloom.plan import events
from planloom.plan.budget import Account
from planloom.plan.history import History
from planloom.plan.issues import Issue, shorten
from planloom.plan.limits import DEFAULT_LIMITS
from planloom.plan.model import MISSING, Plan
from planloom.plan.redacted import clean_result
from planloom.plan.results import RunResult, StepError
from planloom.plan.state import RunStatus
from planloom.planning.create import Planned, plan_with, validation_of
from planloom.planning.early import EarlySteps
from planloom.planning.extending import extend_plan, finished_part
from planloom.planning.joining import join
from planloom.planning.prompts import compiler_messages, planner_messages
from planloom.planning.recovery import Replanner
from planloom.tools import Toolbox
from planloom.tools.checks import validate_plan

if TYPE_CHECKING:
    from planloom.agent.recorded import Resumption

Mode = Literal["plan", "compile"]
_T = TypeVar("_T")
_STOPPED: Final = StepError("cancelled", "CancelledError", "the plan was not accepted")


class Session:
    """One goal. Make it, then await `execute` once. In mode "compile" nothing is planned again."""

    def __init__(
        self,
        settings: AgentSettings,
        goal: str,
        mode: Mode,
        options: GoalOptions,
        listeners: Sequence[Listener] = (),
        resumption: Resumption | None = None,
    ) -> None:
        self._resumption = resumption
        history = self._earlier = History() if resumption is None else resumption.history
        self._settings = settings
        self._goal = goal
        self._mode: Mode = mode
        self._options = options
        self._limits = options.get("limits", DEFAULT_LIMITS)
        marked: dict[str, str] = {}
        self._inputs = read_inputs(options.get("inputs") or {}, self._limits, marked)
        self._nesting = Nesting.enter(options.get("account"))
        given = (*settings.secrets, *secrets_of_outer())
        redactor = self._redactor = make_redactor(marked, settings.deps, given, settings.toolbox)
        self._account = Account(settings.budget, self._nesting.account, guard=threading.Lock())
        self._account.begin_with(history.usage, sum(step.attempts for step in history.steps.values()), history.replans)
        self._clock = options.get("clock") or SystemClock()
        on_event = options.get("on_event")
        recorder = None if resumption is None else resumption.recorder
        self._emitter = Emitter(
            options.get("run_id") or secrets.token_hex(8),
            self._clock,
            listeners if on_event is None else (*listeners, on_event),
            options.get("on_step_complete"),
            history.last_seq,
            redactor,
            recorder,
        )
        self._calls = ModelCalls(self._account, self._emitter, recorder, history.replies, history.unused_recovery)
        self._planner, self._worker = self._calls.of(settings.planner), self._calls.of(settings.worker)
        workdir = options.get("workdir") or (None if resumption is None else resumption.workdir)
        self._given_workdir = None if workdir is None else Path(workdir).absolute()
        self._form = AnswerForm.of(settings.output_type)
        self._replanner: Replanner | None = None

    # ---- the goal as a whole --------------------------------------------------------------------------

    async def execute(self) -> RunResult:
        """Reach the goal and return the result. Raises what keeps a plan from being there: see `Agent.run`."""
        loop = asyncio.get_running_loop()
        self._calls.begin()
        self._began = loop.time()
        self._began_at = datetime.fromtimestamp(self._clock.now(), UTC)
        self._task = asyncio.current_task()
        self._cancelled_before = self._task.cancelling() if self._task is not None else 0
        self._limit_s, self._limit_error = self._time_limit()
        self._ends_at = None if self._limit_s is None else self._began + self._limit_s
        workdir = self._given_workdir or Path(tempfile.mkdtemp(prefix="planloom-"))
        self._rounds = Rounds(
            self._settings,
            self._options,
            self._inputs,
            self._emitter,
            self._account,
            self._worker,
            workdir,
            self._ends_at,
            None if self._resumption is None else self._resumption.recorder,
            self._earlier.approvals,
        )
        timer = None if self._ends_at is None else loop.call_at(self._ends_at, self._time_is_up)
        self._emitter.emit(events.RunStarted, None, self._goal, 0)
        try:
            with self._nesting.of(self._account, self._ends_at, self._redactor):
                return await self._finish(*await self._outcome())
        finally:
            if timer is not None:
                timer.cancel()
            if self._given_workdir is None:
                shutil.rmtree(workdir, ignore_errors=True)

    async def _outcome(self) -> tuple[RunStatus, Any, StepError | None]:
        """Return how the goal ended: status, answer, and what went wrong outside of the steps."""
        try:
            return await self._reach()
        except asyncio.CancelledError:
            if self._task is None or self._task.cancelling() != self._cancelled_before + 1:
                raise  # not this goal's own, or the second one, which leaves at once
            self._task.uncancel()  # the cancellation becomes the result's status, as in a run
            return RunStatus.CANCELLED, None, None
        except BudgetExceededError as exceeded:
            return RunStatus.FAILED, None, error_of("budget", exceeded)
        except OutOfTime:
            return RunStatus.FAILED, None, self._out_of_time()
        except (ModelError, MissingExtraError, UsageError) as failure:
            if self._rounds.result is None:
                raise
            return RunStatus.FAILED, self._answer_of_plan(), error_of("model", failure)
        except PlanValidationError as rejected:
            if self._rounds.result is None:
                if (cleaned := cleaned_rejection(rejected, self._redactor)) is rejected:
                    raise
                raise cleaned from None
            return RunStatus.FAILED, self._answer_of_plan(), error_of("plan", rejected)

    async def _reach(self) -> tuple[RunStatus, Any, StepError | None]:
        result = await self._first_round()
        for number in range(self._earlier.rounds + 1, max(self._settings.max_rounds, self._earlier.rounds) + 2):
            if result.status is not RunStatus.SUCCEEDED:
                return self._status_of(result), result.answer, self._why(result)
            answer, missing = await self._answer(result, is_last=number > self._settings.max_rounds)
            if missing is None:
                return RunStatus.SUCCEEDED, answer, None
            self._emitter.emit(events.RoundStarted, None, number, missing)
            plan = await self._within(self._extend(result, missing))
            result = await self._rounds.run(plan, self._make_replanner(), result.steps)
        raise AssertionError("the last answer asks for nothing more")

    def _answer_of_plan(self) -> Any:
        """Return the answer that the plan itself has, in the type that is wanted; one in words was not written."""
        result = self._rounds.result
        fitting = None if result is None or result.plan.answer is MISSING else self._form.fit(result.answer)
        return None if fitting is None else fitting.value

    def _status_of(self, result: RunResult) -> RunStatus:
        return RunStatus.WAITING if self._rounds.is_waiting and result.status is RunStatus.FAILED else result.status

    def _why(self, result: RunResult) -> StepError | None:
        return result.error if result.error is not None or result.status is RunStatus.WAITING else self._rounds.trouble

    async def _finish(self, status: RunStatus, answer: Any, error: StepError | None) -> RunResult:
        """Make the result of all rounds, and tell it."""
        last = self._rounds.result
        plan = Plan((), self._goal) if last is None else last.plan
        result = RunResult(
            self._emitter.run_id,
            status,
            answer,
            dataclasses.replace(plan, goal=plan.goal or self._goal, inputs={**plan.inputs, **self._inputs}),
            {} if last is None else last.steps,
            self._account.usage(),
            self._earlier.replans + (0 if last is None else last.replans),
            self._began_at,
            (asyncio.get_running_loop().time() - self._began) * 1_000,
            error,
        )
        result = result if self._redactor is None else clean_result(result, self._redactor)
        if status is RunStatus.SUCCEEDED:
            self._emitter.emit(events.AnswerReady, None, result.to_dict()["answer"])
        await self._emitter.drain(GRACE_S)
        self._emitter.emit_last(events.RunFinished, status, result)
        await self._emitter.drain(GRACE_S)
        return result

    # ---- planning -------------------------------------------------------------------------------------

    async def _first_round(self) -> RunResult:
        resumed = self._resumption
        if resumed is not None and resumed.plan is not None:
            return await self._rounds.run(resumed.plan, self._make_replanner(), adopted=resumed.finished)
        given, after = self._options.get("plan"), self._options.get("after")
        if given is not None:
            plan = Plan.from_json(given, self._limits)
            validate_plan(plan, self._settings.toolbox, inputs=self._inputs, limits=self._limits)
            return await self._rounds.run(plan, self._make_replanner())
        if after is not None:
            _refuse_unknown_tools(after, self._settings.toolbox)
            plan = await self._within(self._extend(after, ""))
            return await self._rounds.run(plan, self._make_replanner(), after.steps)
        return await self._plan_and_run()

    async def _plan_and_run(self) -> RunResult:
        """Plan, and run what may start while the plan still arrives."""
        early = EarlySteps(self._settings.toolbox, self._inputs, self._limits)
        starts_early = "plan" not in self._settings.approver.kinds

        def on_piece(piece: str) -> None:
            seen = len(early.arrived)
            steps = early.feed(piece)
            for step in early.arrived[seen:]:
                self._emitter.emit(events.StepArrived, step.id, step.tool)
            if steps and starts_early:
                self._rounds.arrive(steps, early.plan(self._goal), self._make_replanner)

        try:
            plan = await self._within(self._create(on_piece))
        except BudgetExceededError as exceeded:
            await self._rounds.leave(error_of("budget", exceeded))
            raise
        except OutOfTime:
            await self._rounds.leave(self._out_of_time())
            raise
        except asyncio.CancelledError:
            await self._rounds.cancel()
            raise
        except BaseException:
            await self._rounds.abandon()
            raise
        if self._rounds.is_running:
            return await self._rounds.complete(plan)
        return await self._rounds.run(plan, self._make_replanner())

    async def _create(self, on_piece: Any) -> Plan:
        settings, tools = self._settings, self._settings.toolbox
        self._emitter.emit(events.PlanningStarted, None, self._goal, self._mode, self._planner.name)
        messages = compiler_messages if self._mode == "compile" else planner_messages
        planned = await plan_with(
            self._planner,
            messages(self._goal, tools.values(), self._inputs, settings.instructions),
            self._mode,
            tools,
            goal=self._goal,
            inputs=self._inputs,
            max_mends=settings.max_mends,
            review=dataclasses.replace(
                validation_of(tools, self._inputs, self._limits), on_piece=on_piece, on_mending=self._tell_mending
            ),
        )
        self._tell_created(planned)
        return planned.plan

    async def _extend(self, earlier: RunResult, missing: str) -> Plan:
        """Ask for more steps behind those of an earlier round, or of an earlier run."""
        self._emitter.emit(events.PlanningStarted, None, self._goal, self._mode, self._planner.name)
        planned = await extend_plan(
            self._goal,
            self._settings.toolbox,
            self._planner,
            earlier.plan,
            earlier.steps,
            missing=missing,
            inputs=self._inputs,
            instructions=self._settings.instructions,
            max_mends=self._settings.max_mends,
            on_event=self._emitter.emit,
        )
        self._tell_created(planned)
        return planned.plan

    def _tell_created(self, planned: Planned) -> None:
        learn_literals(planned.plan, self._settings.toolbox, self._redactor)
        mends = tuple(mend.message for mend in planned.mends)
        self._emitter.emit(events.PlanCreated, None, planned.plan, planned.rounds, mends)

    def _tell_mending(self, number: int, issues: Sequence[Issue]) -> None:
        self._emitter.emit(events.PlanMending, None, number, tuple(issues))

    def _make_replanner(self) -> Replanner | None:
        """Return the replanner of this goal: one for all rounds, so that `max_replans` bounds them together."""
        settings = self._settings
        if self._replanner is None and self._mode == "plan":
            self._replanner = Replanner(
                self._goal,
                settings.toolbox,
                self._planner,
                max_replans=settings.max_replans,
                account=self._account,
                inputs=self._inputs,
                instructions=settings.instructions,
                max_mends=settings.max_mends,
                on_event=self._emitter.emit,
            )
        return self._replanner

    # ---- answering ------------------------------------------------------------------------------------

    async def _answer(self, result: RunResult, *, is_last: bool) -> tuple[Any, str | None]:
        """Return the answer, or None and what is missing for it."""
        if result.plan.answer is not MISSING and (fitting := self._form.fit(result.answer)) is not None:
            return fitting.value, None
        if not result.steps and result.plan.answer is MISSING:
            return None, None
        self._emitter.emit(events.JoinStarted, None, self._worker.name)
        joined = await self._within(
            join(
                self._goal,
                result.plan,
                result.steps,
                self._worker,
                instructions=self._settings.instructions,
                on_text=lambda text: self._emitter.emit(events.AnswerDelta, None, text),
                output_schema=self._form.schema,
                is_last=is_last or self._mode == "compile",
            )
        )
        if joined.more is not None:
            return None, joined.more
        return self._form.read(joined.answer, self._worker.name), None

    # ---- time and money -------------------------------------------------------------------------------

    def _time_limit(self) -> tuple[float | None, Literal["wall_s", "timeout_s"]]:
        """Return how many seconds there are, and whose bound that is; a goal ends with the one it is part of."""
        bound = None if self._settings.budget is None else self._settings.budget.wall_s
        if (outer := self._nesting.ends_at) is not None:
            left_s = max(0.0, outer - self._began)
            bound = left_s if bound is None else min(bound, left_s)
        timeout_s = self._options.get("timeout_s")
        if timeout_s is not None and (bound is None or timeout_s < bound):
            return timeout_s, "timeout_s"
        return bound, "wall_s"

    def _out_of_time(self) -> StepError:
        limit_s = self._limit_s or 0.0
        if self._limit_error == "wall_s":
            return error_of("budget", BudgetExceededError("wall_s", limit_s, limit_s))
        return StepError("timeout", "TimeoutError", f"the goal took longer than {limit_s:g} s (limit `timeout_s`)")

    def _time_is_up(self) -> None:
        """Let running steps of a spent budget finish; a time limit of the caller ends them."""
        if self._limit_error == "wall_s":
            self._rounds.drain(self._out_of_time())
        else:
            self._rounds.stop(self._out_of_time())

    def _within(self, phase: Awaitable[_T]) -> Awaitable[_T]:
        """Await a phase without steps of its own, within the time that is left. Raises `OutOfTime`."""
        return within(self._ends_at, phase)


def _refuse_unknown_tools(earlier: RunResult, tools: Toolbox) -> None:
    """Raise `UsageError` when a finished step of an earlier run used a tool that this agent does not have."""
    for step in finished_part(earlier.plan, earlier.steps).steps:
        if step.tool not in tools:
            raise UsageError(
                f"`after` holds the step `{shorten(step.id)}` of the tool `{shorten(step.tool)}`, which this agent "
                "does not have\nhint: give the agent that tool too, or hand the output on as one of `inputs`"
            )
