"""A failure becomes a recovery plan: asked for with what the run has so far, checked and mended on the merged plan.

Rule: whatever a model, its provider, its plan or a budget does here comes to a run as a `ReplanError` that says why.
The model sees states, shapes and short values, never whole outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol, cast

from planloom.errors import (
    BudgetExceededError,
    MissingExtraError,
    ModelError,
    PlanValidationError,
    ReplanError,
    UsageError,
)
from planloom.models import Model, resolve_model
from planloom.plan.amendment import broken_part, fingerprint, merge_recovery, recovery_issues, without_repeats
from planloom.plan.budget import Account
from planloom.plan.events import PlanMending
from planloom.plan.graph import graph_of
from planloom.plan.issues import Issue, pointer, shorten
from planloom.plan.model import Plan, Step
from planloom.plan.results import StepError, StepResult
from planloom.plan.state import StepStatus
from planloom.planning.create import MAX_MENDS, Planned, Review, plan_with
from planloom.planning.mechanical import mend_mechanically
from planloom.planning.mends import Mend
from planloom.planning.passages import find_passages
from planloom.planning.prompts import PLANNER, failure_line, replan_message, with_tools
from planloom.tools import Toolbox, ToolboxLike
from planloom.tools.checks import find_issues

MAX_REPLANS: Final = 3
"""Recovery plans that are asked for in one run, unless the caller says otherwise."""
MAX_NAMED_IDS: Final = 20
_MAX_REASON_CHARS: Final = 500
_LOST: Final = frozenset({StepStatus.FAILED, StepStatus.UNKNOWN, StepStatus.CANCELLED})
_REPLACEABLE: Final = frozenset({StepStatus.FAILED, StepStatus.HELD})

Emit = Callable[..., None]
"""Called as `emit(event type, step id or None, *the type's own fields)`."""


class RecoveryRequest(Protocol):
    """What a run knows when a step has failed for good."""

    @property
    def plan(self) -> Plan:
        """The plan as it is now."""
        ...

    @property
    def failed(self) -> str:
        """The id of the step that failed for good."""
        ...

    @property
    def held(self) -> tuple[str, ...]:
        """The ids of the broken part, the failed step first."""
        ...

    @property
    def steps(self) -> Mapping[str, StepResult]:
        """Every step as it stands at this moment."""
        ...

    @property
    def error(self) -> StepError:
        """Why the step failed."""
        ...


async def replan(
    goal: str,
    toolbox: ToolboxLike,
    *,
    model: Model | str,
    plan: Plan,
    steps: Mapping[str, StepResult],
    failed: str,
    inputs: Mapping[str, Any] | None = None,
    instructions: str = "",
    max_mends: int = MAX_MENDS,
) -> Plan:
    """Ask a model for the steps that replace what a failed step broke, and return that recovery plan once it is valid.

    `plan` and `steps` are those of a run, `failed` is the id of a step in it that failed for good, and `inputs` what
    the run was given. The recovery plan holds the replacing steps alone; it may refer to every step outside the broken
    part (the failed step and its unfinished descendants) and may reuse ids of the broken part.

    Raises `UsageError` when `failed` is no failed step of the plan, `PlanValidationError` with the issues that are left
    after `max_mends` rounds, `ReplanError` when the model gives up or writes what had failed again, and `ModelError`
    when the model or its provider fails.
    """
    tools = Toolbox.of(toolbox)
    error = _failure_of(plan, steps, failed)
    graph = graph_of(plan)
    statuses = [steps[name].status if name in steps else StepStatus.PENDING for name in graph.ids]
    part = broken_part(graph, statuses, graph.index[failed])
    broken = (failed, *(graph.ids[position] for position in part if graph.ids[position] != failed))
    recovery = _Recovery(plan, broken, steps, tools, inputs or {})
    planned = await recovery.ask(goal, resolve_model(model), error, instructions, max_mends)
    _refuse_same(planned.plan, plan, {fingerprint(recovery.broken_steps)})
    return planned.plan


class Replanner:
    """Plans around failures of one run: the `replanner` of `execute_plan`.

    `max_replans` bounds the recovery plans that are asked for; `account` counts them (its model calls are paid by
    `model` itself, see `PaidModel`). `inputs` are those that the run was given. `on_event` hears of mending rounds, as
    `on_event(event type, None, *fields)`.
    """

    def __init__(
        self,
        goal: str,
        toolbox: ToolboxLike,
        model: Model | str,
        *,
        max_replans: int = MAX_REPLANS,
        account: Account | None = None,
        inputs: Mapping[str, Any] | None = None,
        instructions: str = "",
        max_mends: int = MAX_MENDS,
        on_event: Emit | None = None,
    ) -> None:
        self.rounds = 0
        """Recovery plans that were asked for so far."""
        self._goal = goal
        self._tools = Toolbox.of(toolbox)
        self._model = model
        self._max_replans = max_replans
        self._account = account
        self._inputs = dict(inputs or {})
        self._instructions = instructions
        self._max_mends = max_mends
        self._emit = on_event
        self._known: set[str] = set()
        self._earlier: list[str] = []

    async def __call__(self, request: RecoveryRequest) -> Plan:
        """Return a valid recovery plan, the replacing steps alone. Raises `ReplanError` and nothing else of its own."""
        self._count(request)
        steps = request.steps
        recovery = _Recovery(request.plan, request.held, steps, self._tools, self._inputs, self._emit)
        self._known.add(fingerprint(recovery.broken_steps))
        earlier = tuple(self._earlier)
        self._earlier.append(failure_line(request.failed, steps.get(request.failed), request.error))
        try:
            planned = await recovery.ask(
                self._goal, resolve_model(self._model), request.error, self._instructions, self._max_mends, earlier
            )
        except PlanValidationError as error:
            raise _invalid(request.failed, error) from error
        except BudgetExceededError as error:
            raise ReplanError("budget", f"no recovery plan was asked for: {error}") from error
        except (ModelError, MissingExtraError, UsageError) as error:
            raise ReplanError("model", f"the planner could not give a recovery plan: {error}") from error
        self._known.add(_refuse_same(planned.plan, request.plan, self._known))
        return planned.plan

    def _count(self, request: RecoveryRequest) -> None:
        if self.rounds >= self._max_replans:
            said = f"step `{shorten(request.failed)}` failed, and all {self._max_replans} replans are used up"
            if self._max_replans == 0:
                said = f"step `{shorten(request.failed)}` failed, and no replans are allowed"
            raise ReplanError("max-replans", f"{said}\nhint: allow more with max_replans={self._max_replans + 1}")
        if self._account is not None:
            try:
                self._account.charge("replans")
            except BudgetExceededError as error:
                raise ReplanError("budget", f"no recovery plan was asked for: {error}") from error
        self.rounds += 1


class _Recovery:
    """One recovery plan in the making: what it is checked against, kept so that one draft is checked once."""

    def __init__(
        self,
        plan: Plan,
        broken: Sequence[str],
        steps: Mapping[str, StepResult],
        tools: Toolbox,
        inputs: Mapping[str, Any],
        emit: Emit | None = None,
    ) -> None:
        self._plan = plan
        self._broken = tuple(broken)
        self._gone = frozenset(broken)
        self._steps = steps
        self._tools = tools
        self._inputs = inputs
        self._emit = emit
        self._kept = sum(1 for step in plan.steps if step.id not in self._gone)
        self._checked: tuple[Plan, Plan, list[Issue]] | None = None

    @property
    def broken_steps(self) -> list[Step]:
        """The steps of the broken part."""
        return [step for step in self._plan.steps if step.id in self._gone]

    async def ask(
        self,
        goal: str,
        model: Model,
        error: StepError,
        instructions: str,
        max_mends: int,
        earlier: Sequence[str] = (),
    ) -> Planned:
        """Ask for a recovery plan and have it mended until the merged plan is valid."""
        system = with_tools(PLANNER, self._tools.values(), instructions)
        user = replan_message(goal, self._plan, self._steps, self._broken, error, inputs=self._inputs, earlier=earlier)
        review = Review(self._issues, self._mend, _look_for_surrender, self._on_mending, _schema(self._tools))
        return await plan_with(
            model, (system, user), "replan", self._tools, goal=goal, max_mends=max_mends, review=review
        )

    def _lost(self) -> frozenset[str]:
        """Return the ids of steps that stay and will never have an output; others may fail while the model thinks."""
        return frozenset(name for name in self._steps if name not in self._gone and _is_lost(self._steps, name))

    def _merged(self, recovery: Plan) -> tuple[Plan, list[Issue]]:
        if self._checked is None or self._checked[0] is not recovery:
            merged = merge_recovery(self._plan, self._gone, recovery)
            self._checked = recovery, merged, find_issues(merged, self._tools, inputs=self._inputs)
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
        mended, by_rule = mend_mechanically(merged, own, self._tools)
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


def _failure_of(plan: Plan, steps: Mapping[str, StepResult], failed: str) -> StepError:
    """Return why a step failed. Raises `UsageError` for a step that cannot be planned around."""
    if failed not in graph_of(plan).index:
        names = ", ".join(f"`{shorten(step.id, 40)}`" for step in plan.steps[:MAX_NAMED_IDS])
        raise UsageError(f"failed={failed!r} is no step of the plan\nhint: its steps are {names}")
    result = steps.get(failed)
    if result is not None and result.status is StepStatus.UNKNOWN:
        raise UsageError(
            f"step `{failed}` may or may not have had its effect, so it is not planned around\n"
            "hint: find out whether it had, and decide whether to run it again"
        )
    if result is None or result.error is None or result.status not in _REPLACEABLE:
        failures = [name for name, one in steps.items() if one.status is StepStatus.FAILED]
        status = "was not run" if result is None else f"is {result.status.value}"
        shown = ", ".join(f"`{shorten(name, 40)}`" for name in failures[:MAX_NAMED_IDS]) or "none"
        raise UsageError(
            f"step `{failed}` {status}, so there is no failure to plan around\nhint: failed steps: {shown}"
        )
    return result.error


def _is_lost(steps: Mapping[str, StepResult], step_id: str) -> bool:
    """Whether a step that stays will never have an output: it ended, and not well."""
    result = steps.get(step_id)
    if result is None:
        return False
    return result.status in _LOST or (result.status is StepStatus.SKIPPED and result.error is not None)


def _refuse_same(recovery: Plan, plan: Plan, known: set[str]) -> str:
    """Return the fingerprint of a recovery plan. Raises `ReplanError` when it is one of those that are known."""
    new_inputs = {name: value for name, value in recovery.inputs.items() if name not in plan.inputs}
    mark = fingerprint(recovery.steps, new_inputs)
    if recovery.steps and mark in known:
        names = ", ".join(f"`{shorten(step.id, 40)}`" for step in recovery.steps[:MAX_NAMED_IDS])
        raise ReplanError(
            "same-plan",
            f"the planner wrote steps again that were replaced because of a failure: {names}\n"
            "hint: give the planner another tool or other instructions, or mend what made the step fail",
        )
    return mark


def _invalid(failed: str, error: PlanValidationError) -> ReplanError:
    said = str(error).replace("plan rejected", "its recovery plan was rejected", 1)
    return ReplanError("invalid", f"step `{shorten(failed)}` failed, and {said}", error.issues)


def _look_for_surrender(text: str) -> None:
    """Raise `ReplanError` when the reply says that the goal cannot be reached any more, and has no steps."""
    if "give_up" not in text:
        return
    for passage in find_passages(text):
        value: Any = passage.value
        fields = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
        why = fields.get("give_up")
        if why and not fields.get("steps"):
            reason = shorten(why, _MAX_REASON_CHARS) if isinstance(why, str) else "it did not say why"
            raise ReplanError("gave-up", f"the planner sees no way to the goal any more: {reason}")


def _schema(tools: Toolbox) -> dict[str, Any]:
    """Return the JSON Schema of a recovery plan: that of a plan, with a way to give up."""
    schema = Plan.json_schema(tools)
    about = "Only with no steps: why the goal cannot be reached any more."
    return {**schema, "properties": {**schema["properties"], "give_up": {"type": "string", "description": about}}}


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
