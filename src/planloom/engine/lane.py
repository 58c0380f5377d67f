"""One task that makes calls one after another, as long as none of them waits for anything.

Rule: a call shares its task only with calls that came back without giving the loop a turn and kept no hold of the task,
and only while the context variables are as the run's caller left them. The first call that waits keeps the task as its
own, and what is left goes to another.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from contextvars import Context, copy_context
from sys import getrefcount
from types import CoroutineType
from typing import Any, Final

from planloom.engine.attempt import Attempt, time_limit
from planloom.engine.calls import Calls, awaiting
from planloom.engine.clock import time_of
from planloom.engine.emitter import Emitter
from planloom.engine.ending import Ending
from planloom.engine.failures import Failure, describe_exception
from planloom.engine.ledger import Ledger
from planloom.engine.running_plan import RunningPlan
from planloom.engine.ways import Way
from planloom.plan.events import StepStarted
from planloom.plan.model import Step
from planloom.plan.resolve import UnresolvedError, resolve_args
from planloom.plan.schedule import Unit, plain_unit
from planloom.plan.state import StepStatus
from planloom.plan.values import TableFoundError

MAX_IN_A_ROW: Final = 64
MAX_IN_A_ROW_S: Final = 0.005
"""Calls that one task makes one after another, and the seconds they take, before it gives the loop a turn."""
_RUNNING: Final = StepStatus.RUNNING
_NOTHING: Final[dict[str, Any]] = {}
_Open = tuple[Any, Any]
"""A call that waits: its coroutine, and what that waits for."""


class Lane:
    """Makes the calls of steps that are free, in order.

    `queue` holds their positions; they have their slots already. `succeed` gets a step and its output, `start` one
    whose call is to have a task of its own; `pump` is called after that. Every other end goes the way of all calls.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        running: RunningPlan,
        ledger: Ledger,
        emitter: Emitter,
        calls: Calls,
        ending: Ending,
        succeed: Callable[[int, Any], None],
        start: Callable[[Unit], None],
        pump: Callable[[], None],
    ) -> None:
        self.queue: deque[int] = deque()
        self._loop = loop
        self._steps, self._tools, self._schedule = running.steps, running.tools, running.schedule
        self._ledger = ledger
        self._emitter = emitter
        self._calls = calls
        calls.lane = self
        self._time = time_of(loop)
        self._ending = ending
        self._succeed = succeed
        self._on_end = calls.on_end
        self._start = start
        self._pump = pump
        self.is_going = False
        """Whether there is a task that works, or is about to."""
        self._task: asyncio.Task[None] | None = None
        self._position = -1
        """The step whose call is being made, -1 for none."""
        self._began = 0.0
        self._attempt: Attempt | None = None
        """That call, when somebody needs to know it."""

    def begin(self, positions: Sequence[int]) -> None:
        """Make the calls of steps in the tasks that are right for them. This is hot."""
        ways, tools = self._calls.ways, self._tools
        for position in positions:
            if ways[tools[position]].shares or self._ending.is_cancelled:  # what is left there then never begins
                self.queue.append(position)
                if not self.is_going:
                    self.go()
            else:
                self._start(plain_unit(position))

    def takes(self, position: int) -> bool:
        """Put a step into the queue if its call shares a task; False when it has to have one of its own."""
        if not self._calls.ways[self._tools[position]].shares:
            return False
        self.queue.append(position)
        self.go()
        return True

    def go(self) -> None:
        """Let what is in the queue begin in the loop's next turn."""
        if self.is_going:
            return
        self.is_going = True
        # in a copy of the caller's context variables; not by `context=`, which not every task factory takes
        made = self._calls.caller.copy().run(self._loop.create_task, self._work())
        if self.is_going and self._task is None:  # else a task factory has started it at once
            self._task = made
        made.add_done_callback(self._cut_off)

    def drop(self, positions: AbstractSet[int] | None = None) -> list[Unit]:
        """Take all steps, or some, out of the queue, and return them: they give back their slots."""
        dropped = [position for position in self.queue if positions is None or position in positions]
        kept = [] if positions is None else [position for position in self.queue if position not in positions]
        self.queue.clear()
        self.queue.extend(kept)
        for position in dropped:
            self._schedule.release(position)
        return [Unit(0.0, position, -1) for position in sorted(dropped)]

    def show(self) -> None:
        """Let the call that is being made be seen among those under way: something is about to end them."""
        if self._position >= 0 and self._attempt is None:
            self._attempt = self._make_attempt(self._task)
        if self._attempt is not None:
            self._calls.watch(self._attempt)

    def step_of(self, task: object) -> str:
        """Return the id of the step whose call a task is making, "" for none."""
        position = self._position
        return self._steps[position].id if position >= 0 and task is self._task else ""

    def close(self) -> None:
        """Make no more calls."""
        self.queue.clear()
        if self._task is not None and self._position < 0:
            self._task.cancel()

    def _cut_off(self, task: asyncio.Task[None]) -> None:
        """A task that somebody cancels before its first turn never works: another takes its place."""
        if task is self._task:
            self._task, self.is_going = None, False
            if self.queue:
                self.go()

    async def _work(self) -> None:
        task = self._task = asyncio.current_task()
        assert task is not None
        attempt, left_open = None, None
        try:
            if self._calls.is_full:
                self._refuse()
            left_open = self._work_off(task)
            if left_open is not None:
                attempt = self._take_attempt(task)
                self._calls.watch(attempt)
            self._pass_on(is_sorted=left_open is None)
        except BaseException as fault:
            self._ending.fail(fault)
        else:
            if attempt is not None and left_open is not None:
                await self._calls.wait_for(attempt, *left_open)

    def _work_off(self, task: asyncio.Task[None]) -> _Open | None:
        """Make calls until the queue is empty, one waits, or the task may not make another. This is hot."""
        queue, steps, tools, records = self.queue, self._steps, self._tools, self._ledger.records
        calls, emitter, succeed = self._calls, self._emitter, self._succeed
        run_cancelling, before = self._ending.cancelling, self._ending.cancelled_before
        ways, read = calls.ways, calls.read
        left_as_it_was, references = _left_as(calls.caller), getrefcount(task)
        is_told = emitter.is_listening or emitter.wants_steps
        now = self._time()
        until = now + MAX_IN_A_ROW_S
        for _ in range(MAX_IN_A_ROW):
            if not queue or run_cancelling() > before or now > until:
                return None
            position = self._position = queue.popleft()
            step, way, record = steps[position], ways[tools[position]], records[position]
            record.attempts += 1
            record.status = _RUNNING
            if record.started is None:
                record.started = now
            self._began = now
            if emitter.is_listening:
                emitter.emit(StepStarted, step.id, way.name, record.attempts)
            if way.is_bare and not step.args:
                args = _NOTHING
            elif (args := self._arguments(step, way)) is None:
                now = self._time()
                continue
            value = None
            try:
                value = way.function(**args)
                if way.is_async:
                    call: Any = value
                    if type(value) is not CoroutineType:
                        call = awaiting(value)
                    try:
                        waits_for = call.send(None)
                    except StopIteration as ended:
                        value = ended.value
                    else:
                        way.shares = False
                        return call, waits_for
                if value is not None:
                    value = read(value)
            except BaseException as error:  # also SystemExit and KeyboardInterrupt: asyncio would end the program
                self._end(error, value)
            else:
                if self._attempt is None:
                    record.is_plain = True
                    succeed(position, value)
                else:
                    self._on_end(self._take_attempt(task), None, value)
            now = self._time() if is_told or record.ended is None else record.ended
            # a tool that keeps `current_task()` may cancel it at any time, which must not meet the call of another
            if task.cancelling() or getrefcount(task) > references or not left_as_it_was():
                return None
        return None

    def _arguments(self, step: Step, way: Way) -> dict[str, Any] | None:
        """Return what to call with, or None when the call is over: what has no value never reaches a tool."""
        try:
            args = resolve_args(step, self._ledger.scope) if step.args else {}
            prepared = way.prepare(args)
        except UnresolvedError as error:
            self._on_end(self._take_attempt(), Failure("reference", type(error).__name__, str(error)), None)
        except BaseException as error:  # the argument types of a tool may check themselves, and raise anything
            self._on_end(self._take_attempt(), describe_exception(error), None)
        else:
            if way.context_parameter is None:
                return prepared
            self._attempt = self._make_attempt(self._task)
            return {**prepared, way.context_parameter: self._calls.contexts.make(self._attempt, args)}
        return None

    def _end(self, error: BaseException, value: Any) -> None:
        """End a call that has raised, or has given back what cannot be read."""
        attempt = self._take_attempt(self._task)
        if isinstance(error, TableFoundError):
            self._calls.watch(attempt)
            self._calls.keep_tables(attempt, value)
        else:
            self._on_end(attempt, describe_exception(error), None)

    def _take_attempt(self, task: asyncio.Task[None] | None = None) -> Attempt:
        """Return the call that is being made, which is none of the lane's from here on."""
        attempt = self._attempt or self._make_attempt(task)
        self._position, self._attempt = -1, None
        return attempt

    def _make_attempt(self, task: asyncio.Task[None] | None) -> Attempt:
        position = self._position
        step, tool = self._steps[position], self._tools[position]
        timeout_s = time_limit(step, tool)
        attempt = Attempt(
            Unit(0.0, position, -1), self._ledger.records[position], tool, step.id, timeout_s, self._began + timeout_s
        )
        attempt.task, attempt.has_begun = task, task is not None
        return attempt

    def _refuse(self) -> None:
        """Let the calls say themselves that no more can be made."""
        while self.queue and not self._ending.is_cancelled:
            self._start(Unit(0.0, self.queue.popleft(), -1))
        self._pump()

    def _pass_on(self, *, is_sorted: bool) -> None:
        """Leave what is in the queue to another task; when a call waits, those like it get tasks of their own."""
        self._position, self._task, self.is_going = -1, None, False
        if not is_sorted and not self._ending.is_cancelled:
            queued = tuple(self.queue)
            self.queue.clear()
            self.begin(queued)
            self._pump()  # some calls may be over already
        elif self.queue:
            self.go()


def _left_as(caller: Context) -> Callable[[], bool]:
    """Return what says whether the context variables are the caller's, by identity: values may compare in any way."""
    values = list(caller.items())

    def is_left() -> bool:
        current = copy_context()
        return len(current) == len(values) and all(current.get(name, current) is value for name, value in values)

    return is_left
