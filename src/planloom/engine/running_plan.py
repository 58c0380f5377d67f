"""The plan of a run, by position: it may grow while it runs, and lose the part that a recovery plan replaces.

Rule: a position is given once and never moves, so that a call under way always knows its step. A step that is replaced
stays at its position, dropped; the step that takes its place, even under the same id, gets a new one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Any, Final

from planloom.engine.deciding import is_plain
from planloom.engine.slots import Slots, durations
from planloom.plan.graph import graph_of
from planloom.plan.model import Plan, Step
from planloom.plan.results import StepError
from planloom.plan.state import StepStatus
from planloom.tools import Tool

if TYPE_CHECKING:
    from planloom.engine.ledger import Ledger

_MEMO_KEY: Final = "tools"
_LOST: Final = frozenset({StepStatus.FAILED, StepStatus.SKIPPED, StepStatus.CANCELLED})


class RunningPlan:
    """Steps, tools and schedule by position. `may_grow` is said beforehand, as it decides which limits there are."""

    def __init__(
        self, plan: Plan, toolbox: Mapping[str, Tool], max_concurrency: int | None, *, may_grow: bool = False
    ) -> None:
        self.plan = plan
        self.steps: list[Step] = list(plan.steps)
        self.tools: list[Tool] = list(_tools_of(plan, toolbox))
        self._toolbox = toolbox
        self._slots = Slots(toolbox.values() if may_grow else self.tools, max_concurrency)
        self.schedule = self._slots.make_schedule(graph_of(plan), self.tools)
        self.is_plain = is_plain(plan)
        """Whether no step has anything to decide before it is ready."""
        self.has_changed = False
        """Whether the positions are no longer those of the plan."""
        self._position_of: dict[str, int] | None = None

    @property
    def position_of(self) -> dict[str, int]:
        """The positions of the plan's steps by id."""
        if self._position_of is None:
            self._position_of = {
                step.id: position for position, step in enumerate(self.steps) if position not in self.schedule.dropped
            }
        return self._position_of

    def ids(self, positions: Collection[int]) -> tuple[str, ...]:
        """Return the ids of steps."""
        return tuple(self.steps[position].id for position in positions)

    def add(self, steps: Sequence[Step], plan: Plan, ledger: Ledger) -> list[int]:
        """Add steps, which are part of `plan` from now on; return the positions of those that may start.

        What they depend on stands in the plan already, or is added with them. Those that need a step which has failed
        are skipped, or held when that one is held.
        """
        first = len(self.steps)
        self.plan, self.has_changed = plan, True
        self.steps.extend(steps)
        self.tools.extend(self._toolbox[step.tool] for step in steps)
        self.is_plain = self.is_plain and all(step.when is None and step.for_each is None for step in steps)
        position_of = self.position_of
        position_of.update((step.id, position) for position, step in enumerate(steps, first))
        needed = [[position_of[name] for name in step.needs()] for step in steps]
        added = self.tools[first:]
        freed = self.schedule.grow(needed, ledger.has_ended_well, durations(added), self._slots.groups(added))
        ledger.grow()
        for dependency in sorted({position for positions in needed for position in positions if position < first}):
            status = self.schedule.statuses[dependency]
            if ledger.is_held(dependency):
                ledger.hold(dependency)
            elif status in _LOST and not ledger.has_ended_well(dependency):
                ledger.doom(dependency)
        return [position for position in freed if self.schedule.statuses[position] is StepStatus.PENDING]

    def drop(self, positions: Collection[int], ledger: Ledger, error: StepError | None = None) -> None:
        """Take steps out of the plan; what takes their place is added next. Those that have begun get the `error`."""
        ledger.drop(positions, error)
        self.schedule.drop(positions)
        self._position_of = None

    def same_as(self, plan: Plan, changed_inputs: AbstractSet[str]) -> set[str]:
        """Return the ids of the steps that `plan` has unchanged, and whose needs and inputs it has unchanged too."""
        kept: set[str] = set()
        for place in graph_of(plan).order:  # what a step needs comes before it
            step = plan.steps[place]
            position = self.position_of.get(step.id)
            if position is None or _does(self.steps[position]) != _does(step) or not kept.issuperset(step.needs()):
                continue
            if not changed_inputs or changed_inputs.isdisjoint(_inputs_of(step)):
                kept.add(step.id)
        return kept


def _tools_of(plan: Plan, toolbox: Mapping[str, Tool]) -> list[Tool]:
    """Return the tools of a plan's steps, by position; looked up once while the toolbox stays the same."""
    known: tuple[Mapping[str, Tool], list[Tool]] | None = plan.memo.get(_MEMO_KEY)
    if known is None or known[0] is not toolbox:
        known = plan.memo[_MEMO_KEY] = toolbox, [toolbox[step.tool] for step in plan.steps]
    return known[1]


def _inputs_of(step: Step) -> set[str]:
    """Return the names of the inputs that a step refers to."""
    operands = [operand for _, reference, _ in step.wiring().places() for operand in reference.operands]
    return {str(operand.path[0]) for operand in operands if operand.facet == "inputs" and operand.path}


def _does(step: Step) -> tuple[Any, ...]:
    """Return what a step does, whatever is said about it."""
    return step.tool, step.args, step.when, step.for_each, step.timeout_s, step.retries, frozenset(step.needs())
