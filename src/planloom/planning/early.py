"""Which steps may start while their plan still arrives.

Rule: a step may start early only if it is complete and valid by itself, all that it depends on has arrived and may
start early too, and its tool is declared read-only, not open-world, and calls no model. Whatever is wrong with the rest
of the plan, no effect has happened then.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from planloom.plan.limits import DEFAULT_LIMITS, Limits
from planloom.plan.model import Plan, Step
from planloom.planning.stream import StreamReader
from planloom.tools import Toolbox
from planloom.tools.checks import find_issues


class EarlySteps:
    """Reads a plan piece by piece and says which of its steps may start. Linear in the text.

    `arrived` holds every step that is complete, whether it may start or not, in the order of arrival.
    """

    def __init__(self, toolbox: Toolbox, inputs: Mapping[str, Any], limits: Limits = DEFAULT_LIMITS) -> None:
        self._toolbox = toolbox
        self._inputs = inputs
        self._limits = limits
        self._reader = StreamReader(limits)
        self.arrived: list[Step] = []
        self._startable: dict[str, Step] = {}
        self._unmet: dict[str, int] = {}
        self._waiting_for: dict[str, list[Step]] = {}
        self._refused: set[str] = set()

    def feed(self, piece: str) -> list[Step]:
        """Take the next piece; return the steps that may start now, each behind those it depends on."""
        started: list[Step] = []
        for arrived in self._reader.feed(piece):
            step = arrived.step
            self.arrived.append(step)
            if step.id in self._unmet or step.id in self._refused or not self._may_ever_start(step):
                self._refused.add(step.id)
                continue
            missing = [name for name in step.needs() if name not in self._startable]
            self._unmet[step.id] = len(missing)
            for name in missing:
                self._waiting_for.setdefault(name, []).append(step)
            if not missing:
                self._release(step, started)
        return started

    def plan(self, goal: str) -> Plan:
        """Return what may start so far as a plan."""
        return Plan(tuple(self._startable.values()), self._reader.goal or goal, dict(self._reader.inputs))

    def _may_ever_start(self, step: Step) -> bool:
        tool = self._toolbox.get(step.tool)
        return tool is not None and tool.may_start_early

    def _release(self, step: Step, started: list[Step]) -> None:
        """Let a step start if it is valid, and then those that have waited for it alone."""
        pending = [step]
        for current in pending:  # grows while it is walked
            if not self._is_valid(current):
                continue
            self._startable[current.id] = current
            started.append(current)
            for waiting in self._waiting_for.pop(current.id, ()):
                self._unmet[waiting.id] -= 1
                if not self._unmet[waiting.id]:
                    pending.append(waiting)

    def _is_valid(self, step: Step) -> bool:
        """Check a step beside the steps that it depends on, which were checked before."""
        needed = [self._startable[name] for name in step.needs()]
        plan = Plan((*needed, step), inputs=dict(self._reader.inputs))
        place = f"/steps/{len(needed)}"
        issues = find_issues(plan, self._toolbox, inputs=self._inputs, limits=self._limits)
        return not any(
            issue.severity == "error" and (issue.path == place or issue.path.startswith(f"{place}/"))
            for issue in issues
        )
