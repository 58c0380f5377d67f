"""ReAct: think, call one tool, look at what it gave back, and again. The baseline that plans are measured against.

The same tools as a plan's, contained in the same way: every call is a run of a one-step plan. What the model gets
wrong (no JSON, an unknown tool, bad arguments, a failed call) goes back to it as an observation.
"""

from __future__ import annotations

import asyncio
import math
import re
import secrets
import shutil
import tempfile
from dataclasses import fields, replace
from datetime import UTC, datetime
from typing import Any, Final, Unpack, cast

from planloom.agent.calling import ModelCalls
from planloom.engine.calls import GRACE_S
from planloom.engine.clock import SystemClock
from planloom.engine.emitter import Emitter
from planloom.engine.execute import RunOptions, execute_plan
from planloom.engine.secrecy import make_redactor, read_inputs
from planloom.errors import (
    BudgetExceededError,
    ModelError,
    ModelReplyError,
    PlanValidationError,
    UsageError,
)
from planloom.models import Message, Model, ModelRequest, resolve_model
from planloom.plan.budget import Account
from planloom.plan.events import AnswerReady, Event, RunFinished, RunStarted
from planloom.plan.issues import shorten
from planloom.plan.limits import DEFAULT_LIMITS
from planloom.plan.model import Plan, Step
from planloom.plan.redacted import clean_result
from planloom.plan.results import RunResult, StepError, StepResult
from planloom.plan.state import RunStatus, StepStatus
from planloom.plan.values import OutputError, normalise_output
from planloom.planning.reacting import (
    REPLY_SCHEMA,
    failure_message,
    output_message,
    react_messages,
    shortened,
    unreadable_message,
    with_last_word,
)
from planloom.planning.turns import FinalAnswer, ToolCall, Unreadable, read_turn
from planloom.tools import Toolbox, ToolboxLike
from planloom.tools.checks import validate_plan

MAX_STEPS: Final = 15
"""Turns with a call that a goal may take, unless the caller says otherwise."""
MAX_TURN_TOKENS: Final = 2_000
REACT_TEMPERATURE: Final = 0.0
MAX_UNREAD_CHARS: Final = 8_000
"""How much of a reply that could not be read stays in the transcript."""
MAX_DESCRIPTION_CHARS: Final = 200
"""How much of a thought becomes the description of the step."""
_INPUT = re.compile(r"\\\{\{(?=\s*inputs\b)")
_COMMON_FIELDS: Final = 4
"""Fields that every event has before its own."""


async def react(
    goal: str,
    toolbox: ToolboxLike,
    *,
    model: Model | str,
    instructions: str = "",
    max_steps: int = MAX_STEPS,
    account: Account | None = None,
    **options: Unpack[RunOptions],
) -> RunResult:
    """Reach `goal` by one tool call after another, each decided by `model` from all that it has seen so far.

    `max_steps` bounds the turns in which a tool is called or a reply cannot be read; after them the model is asked
    once more, for the answer, so there are at most `max_steps + 1` model calls. Model calls are paid from `account`,
    tool calls count as its steps. Options are those of `execute_plan`: `inputs` (shown to the model, and whole as
    {{inputs.NAME}}), `worker_model` (a `Model` or a name), `deps`, `workdir`, `on_event`, `timeout_s` (for all of it),
    `run_id`, `clock` …; each call is run with them.

    Returns a `RunResult` whose plan holds the calls that were made, `call_1`, `call_2` … in a row. It has succeeded
    when the model has answered, also after calls that failed. `error.kind` is "react-limit" without an answer within
    the limit, "budget", "timeout", or "model" when the model failed. A call whose effect may or may not
    have happened, or that waits for a person, ends it with status `waiting`. When the awaiting task is cancelled, the
    result has status `cancelled`. Raises `UsageError` for options that make no sense and for a missing key.
    """
    _check(goal, max_steps, options)
    tools = Toolbox.of(toolbox)
    marked: dict[str, str] = {}
    options["inputs"] = read_inputs(options.get("inputs") or {}, options.get("limits", DEFAULT_LIMITS), marked)
    run = _React(goal, tools, resolve_model(model), account or Account(), max_steps, options, marked)
    return await run.execute(instructions)


def _check(goal: str, max_steps: int, options: RunOptions) -> None:
    if not isinstance(goal, str) or not goal.strip():  # pyright: ignore[reportUnnecessaryIsInstance]
        raise UsageError("a goal is a text that says what is wanted; got none")
    if type(max_steps) is not int or max_steps < 1:
        raise UsageError(f"max_steps is a whole number above 0; got {max_steps!r}")
    unknown = options.keys() - RunOptions.__annotations__.keys()
    if unknown:
        raise TypeError(f"react() got an unexpected keyword argument {min(unknown)!r}")
    if options.get("journal") is not None:
        raise UsageError("the ReAct baseline keeps no journal\nhint: leave `journal` out, or run a plan")
    timeout_s: Any = options.get("timeout_s")
    if timeout_s is not None and (type(timeout_s) not in (int, float) or not 0 < timeout_s < math.inf):
        raise UsageError(f"timeout_s is a number of seconds above 0, or None for no limit; got {timeout_s!r}")


class _End(Exception):  # noqa: N818 - carries how the loop ended out of it, and is never seen outside
    """The loop is over without an answer: the run's status, and why."""

    def __init__(self, status: RunStatus, error: StepError | None) -> None:
        super().__init__(status, error)
        self.status = status
        self.error = error


class _React:
    """One ReAct loop. Make it, then await `execute` once."""

    def __init__(
        self,
        goal: str,
        tools: Toolbox,
        model: Model,
        account: Account,
        max_steps: int,
        options: RunOptions,
        marked: dict[str, str],
    ) -> None:
        self._goal = goal
        self._tools = tools
        self._account = account
        self._max_steps = max_steps
        self._options = options
        self._inputs = dict(options.get("inputs") or {})
        self._clock = options.get("clock") or SystemClock()
        on_event = options.get("on_event")
        redactor = self._redactor = make_redactor(marked, options.get("deps"), options.get("secrets"), tools)
        options["secrets"] = () if redactor is None else redactor.texts()
        run_id = options.get("run_id") or secrets.token_hex(8)
        listeners = () if on_event is None else (on_event,)
        self._emitter = Emitter(run_id, self._clock, listeners, None, redactor=redactor)
        self._calls = ModelCalls(account, self._emitter)
        self._model = self._calls.of(model)
        worker = options.get("worker_model")
        self._worker = None if worker is None else self._calls.of(resolve_model(worker))
        self._messages: list[Message] = []
        self._steps: list[Step] = []
        self._results: dict[str, StepResult] = {}
        self._folder: str | None = None
        self._limit_s, self._is_limit_of_budget = _limit_of(options.get("timeout_s"), account)

    async def execute(self, instructions: str) -> RunResult:
        """Run the loop to its end and return the result, whatever the model and the tools do."""
        self._loop = asyncio.get_running_loop()
        self._calls.begin()
        self._began = self._loop.time()
        began_at = datetime.fromtimestamp(self._clock.now(), UTC)
        self._emitter.emit(RunStarted, None, self._goal, 0)
        answer, status, error = None, RunStatus.SUCCEEDED, None
        try:
            answer = await self._until_answered(instructions)
        except _End as end:
            status, error = end.status, end.error
        except BudgetExceededError as exceeded:
            status, error = RunStatus.FAILED, StepError("budget", type(exceeded).__name__, str(exceeded))
        except TimeoutError:
            status, error = RunStatus.FAILED, self._out_of_time()
        except asyncio.CancelledError:
            status = RunStatus.CANCELLED
            if (task := asyncio.current_task()) is not None:
                task.uncancel()  # the cancellation has become the result's status, as in a run
        except ModelError as failed:
            if isinstance(failed, UsageError):
                raise
            status, error = RunStatus.FAILED, StepError("model", type(failed).__name__, str(failed))
        finally:
            if self._folder is not None:
                shutil.rmtree(self._folder, ignore_errors=True)
        result = RunResult(
            self._emitter.run_id,
            status,
            answer,
            Plan(tuple(self._steps), self._goal, self._inputs),
            self._results,
            self._account.usage(),
            started_at=began_at,
            duration_ms=(self._loop.time() - self._began) * 1000,
            error=error,
        )
        result = result if self._redactor is None else clean_result(result, self._redactor)
        if status is RunStatus.SUCCEEDED:
            self._emitter.emit(AnswerReady, None, result.answer)
        await self._emitter.drain(GRACE_S)
        self._emitter.emit_last(RunFinished, status, result)
        await self._emitter.drain(GRACE_S)
        return result

    async def _until_answered(self, instructions: str) -> Any:
        """Take turns until the model answers. Raises what ends the loop otherwise."""
        system, user = react_messages(
            self._goal, self._tools.values(), self._inputs, instructions, max_steps=self._max_steps
        )
        self._messages = [Message("system", system), Message("user", user)]
        said_words_alone = False
        for turns_left in range(self._max_steps, -1, -1):
            text, turn = await self._take_turn()
            if isinstance(turn, FinalAnswer):
                try:
                    return normalise_output(turn.value, self._options.get("limits", DEFAULT_LIMITS))
                except OutputError as error:
                    turn = Unreadable(str(error).replace("the output", "the answer", 1))
            if isinstance(turn, Unreadable):
                # a model that was told the form and still answers in words means them as its answer
                if turn.is_prose and (said_words_alone or not turns_left):
                    return text.strip()
                said_words_alone = turn.is_prose
                # providers refuse an empty message
                shown = text[:MAX_UNREAD_CHARS] if text.strip() else "(nothing)"
                message = unreadable_message(turn.problem)
            else:
                if not turns_left:
                    break
                said_words_alone = False
                shown, message = text[: turn.end], await self._call(turn)
            self._messages.append(Message("assistant", shown))
            self._messages.append(Message("user", with_last_word(message) if turns_left == 1 else message))
            self._messages = shortened(self._messages)
        limit = f"there was no answer after {self._max_steps} turns (limit `max_steps`)"
        hint = "hint: allow more with max_steps=…, or ask for less at once"
        raise _End(RunStatus.FAILED, StepError("react-limit", "ReactLimitError", f"{limit}\n{hint}"))

    async def _take_turn(self) -> tuple[str, ToolCall | FinalAnswer | Unreadable]:
        """Ask the model once; return what it wrote and what that means."""
        request = ModelRequest(
            tuple(self._messages),
            temperature=REACT_TEMPERATURE,
            max_output_tokens=MAX_TURN_TOKENS,
            schema=REPLY_SCHEMA,
            schema_name="turn",
            purpose="react",
            describe_schema=False,
        )
        text, is_whole = "", True
        async with asyncio.timeout_at(None if self._limit_s is None else self._began + self._limit_s):
            try:
                text = (await self._model.complete(request)).text
            except ModelReplyError as error:
                if error.reason not in ("length", "empty"):
                    raise
                text, is_whole = error.text, False
        return text, read_turn(text, self._tools, finished=is_whole)

    async def _call(self, call: ToolCall) -> str:
        """Make one call and return the message that tells of it."""
        number = len(self._steps) + 1
        try:
            literal = cast("dict[str, Any]", _as_literal(call.args, keeps_inputs=bool(self._inputs)))
            step = Step(f"call_{number}", call.tool, literal, (), shorten(call.thought, MAX_DESCRIPTION_CHARS))
            plan = Plan((step,), self._goal)
            validate_plan(plan, self._tools, inputs=self._inputs, limits=self._options.get("limits", DEFAULT_LIMITS))
        except RecursionError:
            return failure_message("the call was not made: its arguments are nested too deep", has_more=call.has_more)
        except PlanValidationError as error:
            return failure_message(f"the call was not made: {_problems(error)}", has_more=call.has_more)
        left_s = None if self._limit_s is None else self._began + self._limit_s - self._loop.time()
        if left_s is not None and left_s <= 0:
            raise TimeoutError
        self._account.charge("steps")
        offset_s = self._loop.time() - self._began
        result = await self._execute(plan, left_s)
        self._steps.append(replace(step, depends_on=tuple(s.id for s in self._steps[-1:])))
        outcome = result.steps[step.id].later(offset_s)
        self._results[step.id] = outcome
        is_late = result.error is not None and result.error.kind == "timeout"
        if result.error is not None or result.status in (RunStatus.WAITING, RunStatus.CANCELLED):
            raise _End(result.status, self._out_of_time() if is_late else result.error)
        if outcome.status is StepStatus.SUCCEEDED:
            return output_message(outcome.output, has_more=call.has_more)
        message = "it did not succeed" if outcome.error is None else outcome.error.message
        return failure_message(f"{call.tool} failed: {message}", has_more=call.has_more)

    async def _execute(self, plan: Plan, left_s: float | None) -> RunResult:
        workdir = self._options.get("workdir")
        if workdir is None:
            # one folder for all calls, as in a run: what one tool writes there, the next may read
            self._folder = self._folder or tempfile.mkdtemp(prefix="planloom-")
            workdir = self._folder
        options: RunOptions = {
            **self._options,
            "run_id": self._emitter.run_id,
            "on_event": self._forward if self._emitter.is_listening else None,
            "timeout_s": left_s,
            "worker_model": self._worker,
            "workdir": workdir,
        }
        return await execute_plan(plan, self._tools, **options)

    def _forward(self, event: Event) -> None:
        """Hand on what happens inside a call, numbered as part of this run."""
        if not isinstance(event, RunStarted | RunFinished):
            own = [getattr(event, entry.name) for entry in fields(event)[_COMMON_FIELDS:]]
            self._emitter.emit(type(event), event.step_id, *own)

    def _out_of_time(self) -> StepError:
        limit_s = self._limit_s or 0.0
        if self._is_limit_of_budget:
            exceeded = BudgetExceededError("wall_s", limit_s, self._loop.time() - self._began)
            return StepError("budget", type(exceeded).__name__, str(exceeded))
        return StepError("timeout", "TimeoutError", f"the run took longer than {limit_s:g} s")


def _limit_of(timeout_s: float | None, account: Account) -> tuple[float | None, bool]:
    """Return the shorter of two limits in seconds, and whether it is the budget's."""
    wall_s = account.budget.wall_s
    if wall_s is None or (timeout_s is not None and timeout_s <= wall_s):
        return timeout_s, False
    return wall_s, True


def _problems(error: PlanValidationError) -> str:
    """Return what is wrong with a call, for the model that wrote it."""
    problems = [issue for issue in error.issues if issue.severity == "error"]
    return "; ".join(f"{issue.message} ({issue.hint})" if issue.hint else issue.message for issue in problems)


def _as_literal(value: Any, *, keeps_inputs: bool) -> Any:
    """Return arguments in which braces mean themselves, as the model means them, but for references to inputs."""
    if isinstance(value, str):
        return _INPUT.sub("{{", value.replace("{{", "\\{{")) if keeps_inputs else value.replace("{{", "\\{{")
    if isinstance(value, dict):
        entries = cast("dict[str, Any]", value).items()
        return {key: _as_literal(part, keeps_inputs=keeps_inputs) for key, part in entries}
    if isinstance(value, list):
        return [_as_literal(part, keeps_inputs=keeps_inputs) for part in cast("list[Any]", value)]
    return value
