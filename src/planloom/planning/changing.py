"""Steps that join a plan which is there already: asked for, checked and mended on the merged plan.

Rule: what stays in the plan is never changed by what is added to it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final

from planloom.models import Model, Purpose
from planloom.plan.amendment import merge_recovery, recovery_issues, without_repeats
from planloom.plan.events import PlanMending
from planloom.plan.issues import Issue, pointer, shorten
from planloom.plan.model import Plan, Step
from planloom.plan.results import StepResult
from planloom.plan.state import StepStatus
from planloom.planning.create import Planned, Review, plan_with
from planloom.planning.mechanical import mend_mechanically
from planloom.planning.mends import Mend
from planloom.tools import Toolbox
from planloom.tools.checks import find_issues

MAX_NAMED_IDS: Final = 20
_LOST: Final = frozenset({StepStatus.FAILED, StepStatus.CANCELLED})
"""Of these there will be no output; of an unknown step there may be one, by a person's word."""

Emit = Callable[..., None]
"""Called as `emit(event type, step id or None, *the type's own fields)`."""


class PlanChange:
    """Steps that are to join a running or finished plan: what they are checked against, and how they are asked for.

    `replaced` are the ids of the steps that they take the place of, none when they only add to it. `coming` are ids of
    failed steps that will be planned anew in their turn, so that new steps may need them. A draft is checked on the
    merged plan, once.
    """

    def __init__(
        self,
        plan: Plan,
        replaced: Sequence[str],
        steps: Mapping[str, StepResult],
        tools: Toolbox,
        inputs: Mapping[str, Any],
        emit: Emit | None = None,
        *,
        coming: Collection[str] = (),
    ) -> None:
        self._plan = plan
        self._gone = frozenset(replaced)
        self._steps = steps
        self.tools = tools
        self._inputs = inputs
        self._emit = emit
        self._coming = frozenset(coming)
        self._kept = sum(1 for step in plan.steps if step.id not in self._gone)
        self._checked: tuple[Plan, Plan, list[Issue]] | None = None

    @property
    def replaced_steps(self) -> list[Step]:
        """The steps that leave the plan."""
        return [step for step in self._plan.steps if step.id in self._gone]

    async def ask(
        self,
        model: Model,
        messages: tuple[str, str],
        purpose: Purpose,
        *,
        goal: str,
        max_mends: int,
        look: Callable[[str], None] | None = None,
        schema: dict[str, Any] | None = None,
    ) -> Planned:
        """Ask for the steps, and have them mended until the merged plan is valid. Raises as `plan_with`."""
        review = Review(self._issues, self._mend, look, self._on_mending, schema)
        return await plan_with(model, messages, purpose, self.tools, goal=goal, max_mends=max_mends, review=review)

    def _lost(self) -> frozenset[str]:
        """Return the ids of steps that stay and will never have an output; others may fail while the model thinks."""
        may_come = self._gone | self._coming
        return frozenset(name for name in self._steps if name not in may_come and _is_lost(self._steps, name))

    def _merged(self, recovery: Plan) -> tuple[Plan, list[Issue]]:
        if self._checked is None or self._checked[0] is not recovery:
            merged = merge_recovery(self._plan, self._gone, recovery)
            self._checked = recovery, merged, find_issues(merged, self.tools, inputs=self._inputs)
        return self._checked[1:]

    def _issues(self, recovery: Plan) -> list[Issue]:
        return recovery_issues(self._plan, self._gone, recovery, self._merged(recovery)[1], self._lost())

    def _mend(self, recovery: Plan, _: Sequence[Issue]) -> tuple[Plan, list[Mend]]:
        """Leave out what is only repeated; mend by rule with the ids and tools of the whole merged plan in sight."""
        recovery, repeated = without_repeats(self._plan, self._gone, recovery, self._lost())
        mends: list[Mend] = []
        if repeated:
            names = ", ".join(f"`{shorten(name, 40)}`" for name in repeated[:MAX_NAMED_IDS])
            mends.append(Mend("/steps", f"steps that stay in the plan were written again and left out: {names}"))
        merged, found = self._merged(recovery)
        own = [issue for issue in found if _is_about_recovery(issue, self._kept)]
        mended, by_rule = mend_mechanically(merged, own, self.tools)
        if mended is merged or mended.steps[: self._kept] != merged.steps[: self._kept]:
            return recovery, mends  # nothing to mend, or a mend that would change what stays
        answer = recovery.answer if mended.answer is merged.answer else mended.answer
        anew = Plan(
            mended.steps[self._kept :], recovery.goal, recovery.inputs, answer, recovery.version, recovery.defects
        )
        return anew, [*mends, *(Mend(_moved_path(mend.path, self._kept), mend.message) for mend in by_rule)]

    def _on_mending(self, number: int, issues: Sequence[Issue]) -> None:
        if self._emit is not None:
            self._emit(PlanMending, None, number, tuple(issues))


def _is_lost(steps: Mapping[str, StepResult], step_id: str) -> bool:
    """Whether a step that stays will never have an output: it ended, and not well."""
    result = steps.get(step_id)
    if result is None:
        return False
    return result.status in _LOST or (result.status is StepStatus.SKIPPED and result.error is not None)


def _is_about_recovery(issue: Issue, kept: int) -> bool:
    position = _position(issue.path)
    return position is None or position >= kept


def _moved_path(path: str, kept: int) -> str:
    position = _position(path)
    if position is None or position < kept:
        return path
    return "/".join([pointer("steps", position - kept), *path.split("/", 3)[3:]])


def _position(path: str) -> int | None:
    """Return the position of the step that a JSON pointer leads into, or None."""
    parts = path.split("/")
    return int(parts[2]) if len(parts) > 2 and parts[1] == "steps" and parts[2].isdecimal() else None
