"""An agent: tools and models that reach goals by plans."""

from __future__ import annotations

import asyncio
import contextvars
import secrets as randomness
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping
from concurrent.futures import Future
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, TypeVar, Unpack

from planloom.agent.answering import AnswerForm
from planloom.agent.compare import STRATEGIES, Comparison, Strategy, StrategyRow, compare
from planloom.agent.nesting import Nesting, secrets_of_outer
from planloom.agent.people import Answer, ApprovalKind, Approve, Approver
from planloom.agent.react import MAX_STEPS, react
from planloom.agent.rounds import OutOfTime, within
from planloom.agent.session import Mode, Session
from planloom.agent.settings import MAX_ROUNDS, AgentSettings, GoalOptions
from planloom.agent.subagent import make_tool
from planloom.engine.base import Clock
from planloom.engine.execute import RunOptions, check_bounds, refuse_while_loading, stream_run
from planloom.engine.secrecy import make_redactor, read_inputs, restored_inputs
from planloom.errors import BudgetExceededError, ModelKeyError, UsageError
from planloom.models import Model, default_models, resolve_model
from planloom.models.discreet import DiscreetModel
from planloom.models.paid import PaidModel
from planloom.plan.budget import Account, Budget
from planloom.plan.events import Event
from planloom.plan.history import NO_WORDS, Words
from planloom.plan.limits import DEFAULT_LIMITS
from planloom.plan.model import Plan
from planloom.plan.results import RunResult
from planloom.plan.secret_sources import checked_secrets
from planloom.planning.create import MAX_MENDS, create_plan
from planloom.planning.recovery import MAX_REPLANS
from planloom.tools import Tool, Toolbox, ToolboxLike

if TYPE_CHECKING:
    from planloom.agent.recorded import Resumption
    from planloom.engine.journaled import JournalLike

_T = TypeVar("_T")


class Agent:
    """Tools and models that reach goals. It keeps nothing between goals, so one agent may serve many at once.

    - `tools`: tools or functions in a list, a dict of name to function, or a `Toolbox`.
    - `planner_model`: a name such as "groq:llama-3.3-70b-versatile" or a `Model`; plans and replans. Default: the
      first provider that has a key. `worker_model`: writes answers, and is what tools get; default: the provider's
      small model when `planner_model` is left out too, else the planner model.
    - `budget`: upper bounds of each goal. `approve`: a callback that is asked before a plan runs and before each call
      with an effect, `"plan"` or `"effects"` (nobody is there: the run waits), or None. `ask`: called with a step's id
      and a tool's question, and returns the answer.
    - `instructions`: what planner and joiner are to mind. `output_type`: a pydantic model or any annotation; the answer
      is then of that type.
    - `max_replans` (3), `max_rounds` (2, the first included), `max_mends` (2 per plan), `max_concurrency` (None).
    - `deps`: anything; tools find it as `ToolContext.deps`. `base_url`: an OpenAI-compatible server for models that are
      given by name. `name`, `description`: of `as_tool`.
    - `secrets`: texts, or `SecretStr`, that reach tools alone: see `execute_plan`.
    - `journal`: a file such as "runs.db", the address of a PostgreSQL server, or a `Journal`: every goal is kept there,
      and `resume` goes on with it after a crash. Default None.

    Raises `UsageError` for settings that make no sense, `ToolDefinitionError` for what is no tool.
    """

    def __init__(
        self,
        tools: ToolboxLike,
        planner_model: Model | str | None = None,
        worker_model: Model | str | None = None,
        budget: Budget | None = None,
        journal: JournalLike | None = None,
        approve: Approve | ApprovalKind | Approver | None = None,
        instructions: str = "",
        output_type: Any = None,
        *,
        ask: Answer | None = None,
        max_replans: int = MAX_REPLANS,
        max_rounds: int = MAX_ROUNDS,
        max_mends: int = MAX_MENDS,
        max_concurrency: int | None = None,
        deps: Any = None,
        secrets: Iterable[Any] = (),
        base_url: str | None = None,
        name: str = "agent",
        description: str = "",
    ) -> None:
        check_bounds(max_concurrency, None)
        for label, count, least in (("max_replans", max_replans, 0), ("max_rounds", max_rounds, 1)):
            _check_count(label, count, least)
        _check_count("max_mends", max_mends, 0)
        AnswerForm.of(output_type)
        self.tools = Toolbox.of(tools)
        self.name = name
        self.description = description
        self._journal = journal
        self._planner_model = planner_model
        self._worker_model = worker_model
        self._base_url = base_url
        self._settings: AgentSettings | None = None
        self._parts: dict[str, Any] = {
            "budget": budget,
            "approver": Approver.of(approve),
            "answer": ask,
            "instructions": instructions,
            "output_type": output_type,
            "max_replans": max_replans,
            "max_rounds": max_rounds,
            "max_mends": max_mends,
            "max_concurrency": max_concurrency,
            "deps": deps,
            "secrets": tuple(checked_secrets(secrets)),
        }

    async def run(self, goal: str, **options: Unpack[GoalOptions]) -> RunResult:
        """Reach a goal: plan, run each step as soon as it can, replan what fails, and answer.

        Options, by keyword:

        - `inputs`: values that the plan may refer to. `plan`: run this plan instead of asking for one.
        - `after`: an earlier result; new steps may refer to its finished steps by id, which are not run again.
        - `on_event`, `on_step_complete`, `workdir`, `run_id`, `seed`, `limits`, `clock`, `workers`, `on_blocked`: as
          for `execute_plan`. `timeout_s`: seconds for all of it. `account`: pays along. `meta`: JSON values that are
          kept in the journal with the run.

        Returns a `RunResult`, also for a run that failed, was cancelled, waits for a person (`waiting`), or has spent
        its budget (`error.kind` "budget"). When a model fails after the plan ran, `error.kind` is "model" and the steps
        are there. Raises `PlanValidationError` when there is no valid plan after mending, `ModelError` when the
        planner failed, and `UsageError` for what makes no sense and for a missing key.
        """
        return await self._reach(goal, "plan", options)

    async def compile(self, goal: str, **options: Unpack[GoalOptions]) -> RunResult:
        """Reach a goal with all calls planned in one pass, and nothing planned again: the LLM Compiler.

        The cheapest way for a job whose shape is known beforehand. Options, result and errors as for `run`.
        """
        return await self._reach(goal, "compile", options)

    async def resume(
        self, run_id: str, /, *, words: Words = NO_WORDS, drop_damaged: bool = False, **options: Unpack[GoalOptions]
    ) -> RunResult:
        """Go on with a goal in the agent's journal that was cut off, failed, or waits for a person.

        What a step has done is never done again, and what a model answered is never asked again. Of the steps that were
        under way, those of read-only and idempotent tools run again with the same idempotency key; the others are
        `unknown` until `words` say what to do with them. Failed steps are tried again. A run that has succeeded is
        returned as it is. The agent needs the tools and models that it had; options as for `run`. `drop_damaged` as for
        `resume_run`.

        Raises `RunNotFoundError`, `RunOwnedError` while another process drives the run, `JournalError`, `UsageError`
        without a journal and for words that fit no step, and what `run` raises.
        """
        if self._journal is None:
            raise UsageError(
                "there is nothing to go on with: the agent has no journal\nhint: Agent(…, journal='runs.db')"
            )
        from planloom.agent import recorded

        def make(goal: str, meta: Mapping[str, Any], resumption: Resumption) -> Session:
            mode: Mode = "compile" if meta["kind"] == "compile" else "plan"
            inputs = restored_inputs(meta, options.get("inputs"), run_id)
            given: GoalOptions = {**options, "run_id": run_id, "inputs": inputs}
            return self._session(goal, mode, given, resumption=resumption)

        return await recorded.resume_recorded(
            self._journal, run_id, self._resolved(), words, make, drop_damaged=drop_damaged
        )

    def run_sync(self, goal: str, **options: Unpack[GoalOptions]) -> RunResult:
        """Reach a goal like `run`, from code that is not async; also where a loop runs already, as in a notebook."""
        return _run_anywhere(self.run(goal, **options))

    async def stream(self, goal: str, **options: Unpack[GoalOptions]) -> AsyncIterator[Event]:
        """Reach a goal like `run`, and yield its events; the last is `RunFinished` with the result.

        Leaving the loop early cancels the run.
        """
        session = stream_run(lambda enqueue: self._reach(goal, "plan", options, enqueue))
        async with aclosing(session) as events:
            async for event in events:
                yield event

    async def plan(self, goal: str, *, inputs: dict[str, Any] | None = None) -> Plan:
        """Return a valid plan for a goal, and run nothing.

        Raises as `create_plan`, and `BudgetExceededError` when the budget has no room for a call of the planner, or its
        time is up.
        """
        settings, nesting = self._resolved(), Nesting.enter(None)
        account = Account(settings.budget, nesting.account, guard=threading.Lock())
        paid, marked = PaidModel(settings.planner, account), dict[str, str]()
        real = read_inputs(inputs or {}, DEFAULT_LIMITS, marked)
        redactor = make_redactor(marked, settings.deps, (*settings.secrets, *secrets_of_outer()), settings.toolbox)
        work = create_plan(
            _checked_goal(goal),
            settings.toolbox,
            model=paid if redactor is None else DiscreetModel(paid, redactor),
            inputs=real,
            instructions=settings.instructions,
            max_mends=settings.max_mends,
        )
        if self.wall_s is None:
            return await within(nesting.ends_at, work)
        try:
            return await within(asyncio.get_running_loop().time() + self.wall_s, work)
        except OutOfTime:
            raise BudgetExceededError("wall_s", self.wall_s, self.wall_s) from None

    async def react(
        self, goal: str, *, max_steps: int = MAX_STEPS, account: Account | None = None, **options: Unpack[RunOptions]
    ) -> RunResult:
        """Reach a goal one tool call at a time, with the planner model: the ReAct baseline. Options as for `react`."""
        settings = self._resolved()
        options.setdefault("deps", settings.deps)
        options.setdefault("secrets", settings.secrets)
        options.setdefault("worker_model", settings.worker)
        nesting = Nesting.enter(account)
        account = Account(settings.budget, nesting.account, guard=threading.Lock()) if account is None else account
        with nesting.of(account, nesting.ends_at):
            return await react(
                _checked_goal(goal),
                settings.toolbox,
                model=settings.planner,
                instructions=settings.instructions,
                max_steps=max_steps,
                account=account,
                **options,
            )

    async def compare(
        self,
        goal: str,
        *,
        inputs: Mapping[str, Any] | None = None,
        max_steps: int = MAX_STEPS,
        on_row: Callable[[StrategyRow], None] | None = None,
        clock: Clock | None = None,
    ) -> Comparison:
        """Reach the same goal by ReAct, by plan-and-execute and by the LLM Compiler, one after another.

        Each has an account of its own under the agent's budget. Tools with effects are called by each of them.
        """

        async def by_react(account: Account) -> RunResult:
            return await self.react(goal, max_steps=max_steps, account=account, inputs=inputs, clock=clock)

        async def by_plan(account: Account) -> RunResult:
            return await self.run(goal, account=account, inputs=inputs, clock=clock)

        async def by_calls(account: Account) -> RunResult:
            return await self.compile(goal, account=account, inputs=inputs, clock=clock)

        strategies: dict[str, Strategy] = dict(zip(STRATEGIES, (by_react, by_plan, by_calls), strict=True))
        return await compare(_checked_goal(goal), strategies, budget=self._parts["budget"], on_row=on_row)

    def as_tool(self, name: str | None = None, description: str | None = None) -> Tool:
        """Return a tool that reaches a goal with this agent, for another agent's plans.

        It takes a `goal` and gives the answer. Its budget is its own and is charged to the outer run too; approvals and
        questions that nobody answers make the outer step wait; agents may be nested three deep.
        """
        return make_tool(self, name or self.name, self.description if description is None else description)

    @property
    def wall_s(self) -> float | None:
        """The bound on the wall time of each goal, if there is one."""
        budget: Budget | None = self._parts["budget"]
        return None if budget is None else budget.wall_s

    @property
    def settings(self) -> AgentSettings:
        """The agent with its models at hand. Raises `UsageError` when there is none."""
        return self._resolved()

    async def _reach(self, goal: str, mode: Mode, options: GoalOptions, listener: Any = None) -> RunResult:
        if self._journal is None:
            return await self._session(goal, mode, options, listener).execute()
        from planloom.agent import recorded

        run_id = options.get("run_id") or randomness.token_hex(8)
        named: GoalOptions = {**options, "run_id": run_id}
        kind = "compile" if mode == "compile" else "run"
        return await recorded.run_recorded(
            self._journal,
            run_id,
            _checked_goal(goal),
            kind,
            self._resolved(),
            named,
            lambda resumption: self._session(goal, mode, named, listener, resumption),
        )

    def _session(
        self,
        goal: str,
        mode: Mode,
        options: GoalOptions,
        listener: Any = None,
        resumption: Resumption | None = None,
    ) -> Session:
        refuse_while_loading()
        unknown = options.keys() - GoalOptions.__annotations__.keys()
        if unknown:
            raise TypeError(f"a goal got an unexpected keyword argument {min(unknown)!r}")
        check_bounds(None, options.get("timeout_s"))
        listeners = () if listener is None else (listener,)
        return Session(self._resolved(), _checked_goal(goal), mode, options, listeners, resumption)

    def _resolved(self) -> AgentSettings:
        if self._settings is None:
            planner, worker = self._models()
            self._settings = AgentSettings(toolbox=self.tools, planner=planner, worker=worker, **self._parts)
        return self._settings

    def _models(self) -> tuple[Model, Model]:
        planner, worker = self._planner_model, self._worker_model
        if planner is None:
            defaults = default_models()
            if defaults is None:
                raise ModelKeyError(
                    "no model is named, and no provider's key was found\n"
                    'hint: Agent(…, planner_model="PROVIDER:NAME"), or export GROQ_API_KEY=…',
                    model="",
                )
            planner = defaults[0]
            worker = defaults[1] if worker is None else worker
        planner = resolve_model(planner, base_url=self._base_url if isinstance(planner, str) else None)
        if worker is None:
            return planner, planner
        return planner, resolve_model(worker, base_url=self._base_url if isinstance(worker, str) else None)


def _checked_goal(goal: object) -> str:
    if not isinstance(goal, str) or not goal.strip():
        raise UsageError("a goal is a text that says what is wanted; got none")
    return goal


def _check_count(label: str, count: object, least: int) -> None:
    if type(count) is not int or count < least:
        raise UsageError(f"{label} is a whole number, {least} or more; got {count!r}")


def _run_anywhere(work: Coroutine[Any, Any, _T]) -> _T:
    """Run a coroutine to its end: on a loop of its own, and on a thread of its own where a loop runs already.

    An interruption of the waiting thread, as by Ctrl-C in a notebook, cancels the coroutine and is raised once that
    has ended.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    done: Future[_T] = Future()
    tasks: list[asyncio.Task[_T]] = []
    is_interrupted = False

    async def run() -> None:
        task = asyncio.ensure_future(work)
        tasks.append(task)
        if is_interrupted:
            task.cancel()
        try:
            done.set_result(await task)
        except BaseException as error:  # noqa: BLE001 - it goes on in the caller's thread
            done.set_exception(error)

    context = contextvars.copy_context()
    thread = threading.Thread(target=context.run, args=(asyncio.run, run()), name="planloom-run-sync", daemon=True)
    try:
        thread.start()
        return done.result()
    except BaseException:
        is_interrupted = True
        if not done.done() and tasks:
            tasks[0].get_loop().call_soon_threadsafe(tasks[0].cancel)
        raise
    finally:
        if thread.ident is not None:
            thread.join()
