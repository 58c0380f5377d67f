"""Sync tools in processes of their own: a hang is killed, a dead worker is replaced.

What crosses the border is data: where the tool is found, its arguments, and an outcome in JSON values. The
function itself, its exceptions and whatever it returned stay on the other side.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

from planloom.engine.failures import Failure, describe_exception
from planloom.plan.limits import Limits
from planloom.plan.values import OutputError, normalise_output
from planloom.tools import Tool, ToolContext
from planloom.tools.address import ToolAddress
from planloom.tools.loading import resolve_address


@dataclass(frozen=True, slots=True)
class ProcessCall:
    """One call to make in another process. `context` holds the plain fields of its `ToolContext`, or None."""

    address: ToolAddress
    args: dict[str, Any]
    context_parameter: str | None
    context: dict[str, Any] | None
    limits: Limits


def make_call(call: ProcessCall) -> tuple[Any, Failure | None]:
    """Make the call, in the worker process. Returns the output as JSON values, or what went wrong."""
    try:
        found = resolve_address(call.address)
        function, args = (found.function, found.prepare(call.args)) if isinstance(found, Tool) else (found, call.args)
        if call.context_parameter is not None:
            args = {**args, call.context_parameter: ToolContext(**(call.context or {}))}
        return _call_in_main_thread(function, args, call.limits)
    except BaseException as error:
        return None, describe_exception(error)


def _call_in_main_thread(function: Any, args: dict[str, Any], limits: Limits) -> tuple[Any, Failure | None]:
    assert threading.current_thread() is threading.main_thread()  # libraries that handle signals need it
    try:
        return normalise_output(function(**args), limits), None
    except OutputError as error:
        return None, Failure("output", "OutputError", str(error))


async def run_in_process(call: ProcessCall) -> tuple[Any, Failure | None]:
    """Make the call in a worker process; when this task is cancelled the process is killed."""
    # 30 ms to import, and few tools ask for a process
    from anyio import BrokenWorkerProcess, CapacityLimiter, to_process

    try:
        # the schedule holds the slots; the limiter only must not add a second, smaller limit
        return await to_process.run_sync(make_call, call, cancellable=True, limiter=CapacityLimiter(1))
    except BrokenWorkerProcess:
        return None, Failure(
            "worker", "BrokenWorkerProcess", "the worker process died (it exited or was killed) before the tool returned"
        )
