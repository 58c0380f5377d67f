"""What callers use: run a plan to its end, or watch it as a stream of events."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterable, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypedDict, Unpack

from planloom.engine import orphans
from planloom.engine.base import NO_HOOKS, Clock, Hooks, MakeWorkers
from planloom.engine.clock import SystemClock
from planloom.engine.context import Supplies
from planloom.engine.emitter import Emitter, Listener
from planloom.engine.plan_words import PlanPerson, not_run, plan_word
from planloom.engine.run import Run
from planloom.engine.secrecy import (
    check_keepable,
    clean_words,
    cleaned_rejection,
    kept_inputs,
    learn_literals,
    make_redactor,
    read_inputs,
    restored_inputs,
)
from planloom.engine.settings import RunSettings
from planloom.engine.threads import ThreadWorkers
from planloom.engine.watchdog import OnBlocked
from planloom.engine.worker import is_loading
from planloom.errors import PlanValidationError, UsageError
from planloom.plan.events import Event, StepProgress
from planloom.plan.history import NO_WORDS, Words
from planloom.plan.limits import DEFAULT_LIMITS, Limits
from planloom.plan.model import Plan, PlanLike
from planloom.plan.redacted import clean_part
from planloom.plan.redaction import Redactor
from planloom.plan.results import RunResult, StepResult
from planloom.plan.state import RunStatus
from planloom.tools import Toolbox
from planloom.tools.checks import validate_plan

if TYPE_CHECKING:
    from planloom.engine.journaled import JournalLike, RunBook

MAX_QUEUED_EVENTS: Final = 10_000
"""Progress events are dropped from a stream whose reader is this far behind; the others never are."""


class RunOptions(TypedDict, total=False):
    """What `execute_plan` and `stream_plan` take besides plan and toolbox."""

    inputs: Mapping[str, Any] | None
    on_step_complete: Callable[..., Any] | None
    max_concurrency: int | None
    deps: Any
    secrets: Iterable[Any] | None
    journal: JournalLike | None
    meta: Mapping[str, Any] | None
    on_event: Listener | None
    worker_model: Any
    workdir: str | os.PathLike[str] | None
    timeout_s: float | None
    seed: int | None
    run_id: str | None
    limits: Limits
    clock: Clock | None
    workers: MakeWorkers
    on_blocked: OnBlocked | None
    person: PlanPerson | None


async def execute_plan(plan: PlanLike, toolbox: Any, **options: Unpack[RunOptions]) -> RunResult:
    """Validate a plan and run it, without a model. Every step starts as soon as its own dependencies are done.

    `plan` is a `Plan`, JSON text, an object, or a list of steps; `toolbox` a `Toolbox`, tools or functions in
    a list, or a dict of name to function. Options, all by keyword:

    - `inputs`: values over the plan's defaults.
    - `on_step_complete`: called once per step at its end state with its `StepResult`, or with the step's id
      and its `StepResult` when it takes two arguments; sync or async. When it raises, that is logged and
      emitted, and the run goes on.
    - `max_concurrency`: calls at a time. Default None: async calls unbounded, sync ones up to 64 threads.
    - `deps`: anything; tools find it as `ToolContext.deps`. `worker_model` likewise.
    - `secrets`: texts, or `SecretStr`, that reach tools alone: never events, results, errors or a journal. Those of the
      environment, and every `SecretStr` in `inputs` and `deps`, are known without that.
    - `on_event`: called with every `Event`.
    - `workdir`: the run's folder for tools. Default: a temporary one, removed with the run; with a journal one beside
      it, which is there again when the run goes on.
    - `timeout_s`: seconds for the whole run. Default None.
    - `seed`: of the jitter between retries. `run_id`: default random.
    - `limits`: sizes that plans and outputs may have. `clock`, `workers`: for tests.
    - `on_blocked`: called from another thread while an async tool blocks the event loop.
    - `person`: who is asked before the plan and before effects, and who answers what tools ask. Default nobody.
    - `journal`: a file such as "runs.db", the address of a PostgreSQL server, or a `Journal`: the run is kept there,
      and `resume_run` goes on with it after a crash. Default None. `meta`: JSON values that are kept there with it.

    Returns the `RunResult`, also for a run that failed. When the awaiting task is cancelled, running steps
    are cancelled and the complete result is returned with status `cancelled`; a second cancellation raises.
    Raises `PlanValidationError` before anything runs, `UsageError` for options that make no sense.
    """
    return await _execute(plan, toolbox, (), options)


async def stream_plan(plan: PlanLike, toolbox: Any, **options: Unpack[RunOptions]) -> AsyncIterator[Event]:
    """Run a plan like `execute_plan` and yield its events; the last is `RunFinished` with the result.

    Leaving the loop early cancels the run.
    """
    async with aclosing(stream_run(lambda enqueue: _execute(plan, toolbox, (enqueue,), options))) as all_:
        async for event in all_:
            yield event


async def stream_run(start: Callable[[Listener], Coroutine[Any, Any, RunResult]]) -> AsyncGenerator[Event]:
    """Start a run with a listener and yield its events; what the run raises is raised at their end.

    Leaving the loop early cancels the run.
    """
    queue: deque[Event] = deque()
    arrived = asyncio.Event()

    def enqueue(event: Event) -> None:
        if len(queue) < MAX_QUEUED_EVENTS or not isinstance(event, StepProgress):
            queue.append(event)
            arrived.set()

    run = asyncio.ensure_future(start(enqueue))
    run.add_done_callback(lambda _: arrived.set())
    try:
        while not (run.done() and not queue):
            await arrived.wait()
            arrived.clear()
            while queue:
                yield queue.popleft()
        run.result()
    finally:
        if not run.done():
            await _cancel(run)


async def _cancel(run: asyncio.Future[RunResult]) -> None:
    """Cancel a run and wait for its end; a second cancellation leaves at once."""
    run.cancel()
    try:
        await asyncio.wait([run])
    except asyncio.CancelledError:
        run.cancel()
        raise
    finally:
        orphans.keep(run)


async def resume_run(
    run_id: str,
    toolbox: Any,
    /,
    *,
    words: Words = NO_WORDS,
    drop_damaged: bool = False,
    **options: Unpack[RunOptions],
) -> RunResult:
    """Go on with a run of `execute_plan` that was cut off, failed, or waits for a person.

    What has succeeded is never run again. Of the steps that were under way, those of read-only and idempotent tools
    run again with the same idempotency key; the others are `unknown` until `words` say what to do with them. Failed
    steps are tried again. A run that has succeeded is returned as it is. Where the journal is damaged before records
    that are whole, the run goes on only with `drop_damaged`, without what those say: it may be done again.

    Options are those of `execute_plan`, `journal` above all; `inputs` are the run's own, but secret ones have
    to be given again, unless their variable is still set. Raises `RunNotFoundError`, `RunOwnedError` while another
    process drives it, `JournalError`, and `UsageError` for a run that needs a model or a secret input, and for words
    that fit no step.
    """
    journal = options.get("journal")
    if journal is None:
        raise UsageError("resume_run needs the journal that the run is in\nhint: resume_run(…, journal='runs.db')")
    from planloom.engine import journaled  # SQLite and all are for runs that are kept

    history, meta = await journaled.read_history(journal, run_id)
    if meta.get("kind") != "execute":
        raise UsageError(f"run `{run_id}` was made by an agent\nhint: go on with it by agent.resume({run_id!r})")
    if history.status is RunStatus.SUCCEEDED:
        return journaled.finished_result(history, Plan.from_json(meta["plan"]))
    tools = Toolbox.of(toolbox)
    options = {**options, "inputs": restored_inputs(meta, options.get("inputs"), run_id), "run_id": run_id}
    _, _, redactor = _private(options, tools)
    words = clean_words(words, redactor)
    async with journaled.taken_over(journal, run_id, drop_damaged=drop_damaged) as book:
        read = Plan.from_json(book.meta["plan"])
        finished = journaled.settled(book.history, journaled.effects_of(tools), words)
        await book.keep(words, (options.get("clock") or SystemClock()).now())
        result = await _run(read, tools, (), options, book, finished)
        await book.close()
        return result


async def _execute(plan: PlanLike, toolbox: Any, listeners: tuple[Listener, ...], options: RunOptions) -> RunResult:
    journal = options.get("journal")
    if journal is None:
        return await _run(plan, toolbox, listeners, options)
    _check_options(options)
    limits = options.get("limits", DEFAULT_LIMITS)
    read, tools = Plan.from_json(plan, limits), Toolbox.of(toolbox)
    inputs, marked, redactor = _private(options, tools)
    _validate(read, tools, inputs, limits, redactor)
    check_keepable(read, tools, redactor)
    run_id = options.get("run_id") or secrets.token_hex(8)
    own = clean_part(dict(options.get("meta") or {}), redactor)
    meta = {**own, "kind": "execute", "plan": read.to_dict(), **kept_inputs(inputs, marked, redactor)}
    from planloom.engine import journaled  # SQLite and all are for runs that are kept

    meta = journaled.with_workdir(meta, options.get("workdir"))
    async with journaled.new_book(journal, run_id, read.goal, meta) as book:
        result = await _run(read, tools, listeners, {**options, "run_id": run_id}, book)
        await book.close()
        return result


async def _run(
    plan: PlanLike,
    toolbox: Any,
    listeners: tuple[Listener, ...],
    options: RunOptions,
    book: RunBook | None = None,
    finished: Mapping[str, StepResult] | None = None,
) -> RunResult:
    _check_options(options)
    limits = options.get("limits", DEFAULT_LIMITS)
    read = Plan.from_json(plan, limits)
    tools = Toolbox.of(toolbox)
    inputs, _, redactor = _private(options, tools)
    _validate(read, tools, inputs, limits, redactor)
    learn_literals(read, tools, redactor)
    clock = options.get("clock") or SystemClock()
    on_event = options.get("on_event")
    emitter = Emitter(
        options.get("run_id") or secrets.token_hex(8),
        clock,
        listeners if on_event is None else (*listeners, on_event),
        options.get("on_step_complete"),
        0 if book is None else book.history.last_seq,
        redactor,
        None if book is None else book.recorder,
    )
    person = options.get("person")
    settings = RunSettings(
        clock=clock,
        limits=limits,
        max_concurrency=options.get("max_concurrency"),
        supplies=_supplies(options, book),
        timeout_s=options.get("timeout_s"),
        seed=options.get("seed"),
        make_workers=options.get("workers", ThreadWorkers),
        on_blocked=options.get("on_blocked"),
        hooks=NO_HOOKS if person is None else Hooks(person=person),
        finished=finished,
        recorder=None if book is None else book.recorder,
    )
    run = Run(read, tools, inputs, emitter, settings)
    if person is not None and (word := await plan_word(read, person, emitter)) is not True:
        return await not_run(read, word, emitter, clock, finished)
    return await run.execute()


def _supplies(options: RunOptions, book: RunBook | None) -> Supplies:
    workdir = options.get("workdir") or (None if book is None else book.workdir)
    return Supplies(
        options.get("deps"), options.get("worker_model"), None if workdir is None else Path(workdir).absolute()
    )


def _private(options: RunOptions, tools: Toolbox) -> tuple[dict[str, Any], dict[str, str], Redactor | None]:
    """Return the inputs with their real values, those that are marked secret by text, and what takes secrets out."""
    marked: dict[str, str] = {}
    inputs = read_inputs(options.get("inputs") or {}, options.get("limits", DEFAULT_LIMITS), marked)
    return inputs, marked, make_redactor(marked, options.get("deps"), options.get("secrets"), tools)


def _validate(plan: Plan, tools: Toolbox, inputs: Mapping[str, Any], limits: Limits, redactor: Redactor | None) -> None:
    try:
        validate_plan(plan, tools, inputs=inputs, limits=limits)
    except PlanValidationError as error:
        if (cleaned := cleaned_rejection(error, redactor)) is error:
            raise
    else:
        return
    raise cleaned


def refuse_while_loading() -> None:
    """Raise `UsageError` in a worker process that only loads a file to find a tool in it."""
    if is_loading():
        raise UsageError(
            "a plan is run while a worker process loads this file, only to find a tool in it\n"
            'hint: put what is to run once under `if __name__ == "__main__":`'
        )


def _check_options(options: RunOptions) -> None:
    refuse_while_loading()
    unknown = options.keys() - RunOptions.__annotations__.keys()
    if unknown:
        raise TypeError(f"execute_plan() got an unexpected keyword argument {min(unknown)!r}")
    check_bounds(options.get("max_concurrency"), options.get("timeout_s"))


def check_bounds(max_concurrency: Any, timeout_s: Any) -> None:
    """Raise `UsageError` for bounds of a run that are none."""
    if max_concurrency is not None and (type(max_concurrency) is not int or max_concurrency < 1):
        raise UsageError(f"max_concurrency is a whole number above 0, or None for no limit; got {max_concurrency!r}")
    if timeout_s is not None and (type(timeout_s) not in (int, float) or not 0 < timeout_s < float("inf")):
        raise UsageError(f"timeout_s is a number of seconds above 0, or None for no limit; got {timeout_s!r}")
