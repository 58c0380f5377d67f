"""Finished elements of a `for_each`, kept when their step is replaced or the run goes on later: they never run again.

Rule: an element is the same when the same tool would be called with the same arguments, whatever its step is called.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from planloom.engine.attempt import Record
from planloom.plan.model import Step
from planloom.plan.resolve import Scope, UnresolvedError, resolve_args
from planloom.plan.results import StepResult
from planloom.plan.state import StepStatus
from planloom.plan.values import copy_json


class FinishedElements:
    """Outputs by what was called. `finished` are results of an earlier run by id, such as `fetch[0]`."""

    def __init__(self, finished: Mapping[str, StepResult] | None = None) -> None:
        self._by_id = {name: result for name, result in (finished or {}).items() if name.endswith("]")}
        self._by_call: dict[str, list[Any]] = {}

    def keep(self, step: Step, record: Record, scope: Scope) -> None:
        """Keep what has finished of a step that leaves the plan."""
        for index, element in enumerate(record.elements or ()):
            if element.status is StepStatus.SUCCEEDED:
                call = _call(step, scope.for_element(record.items[index], index))
                if call is not None:
                    self._by_call.setdefault(call, []).append(element.output)

    def find(self, step: Step, index: int, scope: Scope) -> StepResult | None:
        """Return what an element came to before, or None when it has to run. Each is given once.

        An element that may have had its effect is `unknown`: it does not run either, and waits for a person's word.
        """
        name = f"{step.id}[{index}]"
        if (earlier := self._by_id.pop(name, None)) is not None:
            return earlier
        if not self._by_call:
            return None
        known = self._by_call.get(_call(step, scope) or "")
        return StepResult(name, StepStatus.SUCCEEDED, copy_json(known.pop(0))) if known else None


def _call(step: Step, scope: Scope) -> str | None:
    """Return what an element calls, as text, or None when that cannot be told."""
    try:
        return json.dumps([step.tool, resolve_args(step, scope)], sort_keys=True)
    except (UnresolvedError, ValueError, RecursionError):
        return None
