"""A failure becomes a recovery plan: asked for with what the run has so far, checked and mended on the merged plan.

Rule: whatever a model, its provider, its plan or a budget does here comes to a run as a `ReplanError` that says why.
The model sees states, shapes and short values, never whole outputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Protocol, cast

from planloom.engine.replans import NEVER_REPLANNED
from planloom.errors import (
    BudgetExceededError,
    MissingExtraError,
    ModelError,
    PlanValidationError,
    ReplanError,
    UsageError,
)
from planloom.models import Model, resolve_model
from planloom.plan.amendment import broken_part, fingerprint
from planloom.plan.budget import Account
from planloom.plan.graph import graph_of
from planloom.plan.issues import shorten
from planloom.plan.model import Plan
from planloom.plan.results import StepError, StepResult
from planloom.plan.state import StepStatus
from planloom.planning.changing import MAX_NAMED_IDS, Emit, PlanChange
from planloom.planning.create import MAX_MENDS, Planned
from planloom.planning.passages import find_passages
from planloom.planning.prompts import PLANNER, failure_line, replan_message, with_tools
from planloom.tools import Toolbox, ToolboxLike

MAX_REPLANS: Final = 3
"""Recovery plans that are asked for in one run, unless the caller says otherwise."""
_MAX_REASON_CHARS: Final = 500
_REPLACEABLE: Final = frozenset({StepStatus.FAILED, StepStatus.HELD})


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
    change = PlanChange(plan, broken, steps, tools, inputs or {})
    message = replan_message(goal, plan, steps, broken, error, inputs=inputs)
    planned = await _ask(change, goal, resolve_model(model), message, instructions, max_mends)
    _refuse_same(planned.plan, plan, {fingerprint(change.replaced_steps)})
    return planned.plan


async def _ask(change: PlanChange, goal: str, model: Model, message: str, instructions: str, max_mends: int) -> Planned:
    """Ask for a recovery plan and have it mended until the merged plan is valid."""
    return await change.ask(
        model,
        (with_tools(PLANNER, change.tools.values(), instructions), message),
        "replan",
        goal=goal,
        max_mends=max_mends,
        look=_look_for_surrender,
        schema=_schema(change.tools),
    )


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
        self._refused: set[str] = set()
        """Failed steps that were not planned around: a run asks about each failure once, one after another."""

    async def __call__(self, request: RecoveryRequest) -> Plan:
        """Return a valid recovery plan, the replacing steps alone. Raises `ReplanError` and nothing else of its own."""
        steps = request.steps
        self._refused.add(request.failed)  # until there is a recovery plan for it
        self._count(request)
        coming = [name for name, result in steps.items() if name not in self._refused and _will_be_asked(result)]
        change = PlanChange(request.plan, request.held, steps, self._tools, self._inputs, self._emit, coming=coming)
        self._known.add(fingerprint(change.replaced_steps))
        message = replan_message(
            self._goal,
            request.plan,
            steps,
            request.held,
            request.error,
            inputs=self._inputs,
            earlier=tuple(self._earlier),
            coming=coming,
        )
        self._earlier.append(failure_line(request.failed, steps.get(request.failed), request.error))
        try:
            model = resolve_model(self._model)
            planned = await _ask(change, self._goal, model, message, self._instructions, self._max_mends)
        except PlanValidationError as error:
            raise _invalid(request.failed, error) from error
        except BudgetExceededError as error:
            raise ReplanError("budget", f"no recovery plan was asked for: {error}") from error
        except (ModelError, MissingExtraError, UsageError) as error:
            raise ReplanError("model", f"the planner could not give a recovery plan: {error}") from error
        self._known.add(_refuse_same(planned.plan, request.plan, self._known))
        self._refused.discard(request.failed)
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


def _will_be_asked(result: StepResult) -> bool:
    """Whether a step has failed in a way that a run asks about, in its turn."""
    return result.status is StepStatus.FAILED and result.error is not None and result.error.kind not in NEVER_REPLANNED


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
