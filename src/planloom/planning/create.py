"""A goal becomes a plan: one call of the planner, then mending until the plan is valid or the rounds are spent."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, cast

from planloom.errors import ModelReplyError, PlanFormatError, PlanValidationError
from planloom.models import Message, Model, ModelReply, ModelRequest, Purpose, resolve_model
from planloom.models.paid import streaming
from planloom.plan.issues import Issue, has_errors
from planloom.plan.limits import DEFAULT_LIMITS, Limits
from planloom.plan.model import MISSING, Plan, Step
from planloom.planning.mechanical import mend_mechanically
from planloom.planning.mends import Mend
from planloom.planning.prompts import compiler_messages, mend_message, planner_messages
from planloom.planning.text import read_plan_text
from planloom.tools import Toolbox, ToolboxLike
from planloom.tools.checks import find_issues

MAX_MENDS: Final = 2
"""Rounds in which a model may mend its plan before it is refused."""
PLAN_TEMPERATURE: Final = 0.1
MAX_PLAN_TOKENS: Final = 8_000


@dataclass(frozen=True, slots=True)
class Planned:
    """A valid plan, and how it came about: what was mended by rule, and how often the model was asked again."""

    plan: Plan
    mends: tuple[Mend, ...] = ()
    rounds: int = 0


Check = Callable[[Plan], list[Issue]]
Mending = Callable[[Plan, Sequence[Issue]], tuple[Plan, Sequence[Mend]]]


@dataclass(frozen=True, slots=True)
class Review:
    """What a plan from a model must stand: `check` finds its issues, `mend` mends by rule what they allow.

    `look` sees the text of every reply before it is read, and may raise; `on_mending` hears of each round, counted from
    1, and its issues. `schema` is the JSON Schema of the first reply, None for the plan's own.
    """

    check: Check
    mend: Mending
    look: Callable[[str], None] | None = None
    on_mending: Callable[[int, Sequence[Issue]], None] | None = None
    schema: dict[str, Any] | None = None
    on_piece: Callable[[str], None] | None = None
    """Gets the text of the first reply piece by piece, as it arrives."""


async def create_plan(
    goal: str,
    toolbox: ToolboxLike,
    *,
    model: Model | str,
    inputs: Mapping[str, Any] | None = None,
    instructions: str = "",
    max_mends: int = MAX_MENDS,
) -> Plan:
    """Ask a model for a plan that reaches `goal` with the tools of `toolbox`, and return it once it is valid.

    `model` is a name such as "groq:llama-3.3-70b-versatile" or a `Model`. Issues go back to the model at most
    `max_mends` times; only the broken steps are asked for again. Raises `PlanValidationError` with the issues
    that are left, and `ModelError` when the model or its provider fails.
    """
    tools = Toolbox.of(toolbox)
    messages = planner_messages(goal, tools.values(), inputs or {}, instructions)
    planned = await plan_with(
        resolve_model(model), messages, "plan", tools, goal=goal, inputs=inputs, max_mends=max_mends
    )
    return planned.plan


async def compile_plan(
    goal: str,
    toolbox: ToolboxLike,
    *,
    model: Model | str,
    inputs: Mapping[str, Any] | None = None,
    instructions: str = "",
    max_mends: int = MAX_MENDS,
) -> Plan:
    """Ask a model for all tool calls in one pass, at temperature 0: the LLM Compiler (Kim et al. 2023).

    The cheapest way for a job whose shape is known beforehand: calls that refer to each other form a graph,
    `when` and `for_each` let it branch and fan out, and nothing is planned again. Raises as `create_plan`.
    """
    tools = Toolbox.of(toolbox)
    messages = compiler_messages(goal, tools.values(), inputs or {}, instructions)
    planned = await plan_with(
        resolve_model(model), messages, "compile", tools, goal=goal, inputs=inputs, max_mends=max_mends
    )
    return planned.plan


async def plan_with(
    model: Model,
    messages: tuple[str, str],
    purpose: Purpose,
    tools: Toolbox,
    *,
    goal: str,
    inputs: Mapping[str, Any] | None = None,
    max_mends: int = MAX_MENDS,
    review: Review | None = None,
) -> Planned:
    """Ask for a plan and mend it until its review (default: validation against `tools`) finds no error.

    Raises `PlanValidationError` with the issues that are left after `max_mends` rounds, and `ModelError`.
    """
    review = validation_of(tools, inputs) if review is None else review
    schema = Plan.json_schema(tools) if review.schema is None else review.schema
    system, user = messages
    request = ModelRequest(
        (Message("system", system), Message("user", user)),
        temperature=0.0 if purpose == "compile" else PLAN_TEMPERATURE,
        max_output_tokens=MAX_PLAN_TOKENS,
        schema=schema if purpose != "compile" else None,
        schema_name="plan",
        purpose=purpose,
        describe_schema=False,
    )
    draft, issues, mends = _read(await _ask(model, request, review), Plan((), goal), review)
    rounds = 0
    while has_errors(issues) and rounds < max_mends:
        rounds += 1
        if review.on_mending is not None:
            review.on_mending(rounds, issues)
        broken = broken_ids(draft, issues)
        asked = (*request.messages, Message("user", mend_message(draft, issues, broken)))
        again = dataclasses.replace(request, messages=asked, purpose="mend", schema=None)
        draft, issues, more = _read(await _ask(model, again, review), draft, review, replacing=broken)
        mends = (*mends, *more)
    if has_errors(issues):
        raise PlanValidationError(issues)
    return Planned(draft if draft.goal else dataclasses.replace(draft, goal=goal), mends, rounds)


def validation_of(tools: Toolbox, inputs: Mapping[str, Any] | None, limits: Limits = DEFAULT_LIMITS) -> Review:
    """Return the review of a plan that stands by itself."""
    return Review(
        lambda plan: find_issues(plan, tools, inputs=inputs, limits=limits),
        lambda plan, issues: mend_mechanically(plan, issues, tools),
    )


class _Answer(NamedTuple):
    text: str
    is_whole: bool


async def _ask(model: Model, request: ModelRequest, review: Review) -> _Answer:
    """Ask, and take what came before a length limit: its whole steps are good, and the cut one is an issue."""
    try:
        if review.on_piece is None or request.purpose == "mend":
            reply = await model.complete(request)
        else:
            reply = await _stream(model, request, review.on_piece)
        answer = _Answer(reply.text, True)
    except ModelReplyError as error:
        if error.reason != "length" or not error.text.strip():
            raise
        return _Answer(error.text, False)
    if review.look is not None:
        review.look(answer.text)
    return answer


async def _stream(model: Model, request: ModelRequest, on_piece: Callable[[str], None]) -> ModelReply:
    reply: ModelReply | None = None
    async with streaming(model, request) as pieces:
        async for piece in pieces:
            if isinstance(piece, ModelReply):
                reply = piece
            else:
                on_piece(piece)
    assert reply is not None, "a model ends its stream with the reply"
    return reply


def _read(
    answer: _Answer, before: Plan, review: Review, *, replacing: Sequence[str] | None = None
) -> tuple[Plan, list[Issue], tuple[Mend, ...]]:
    """Read a reply into a plan, mend it by rule, and check it. A reply without a plan leaves the plan as it was."""
    try:
        found = read_plan_text(answer.text, finished=answer.is_whole)
    except PlanFormatError as error:
        return before, [*error.issues, *review.check(before)], ()
    plan = found.plan if replacing is None else apply_patch(before, found.plan, replacing, removed_ids(answer.text))
    plan, by_rule = review.mend(plan, review.check(plan))
    return plan, review.check(plan), (*found.mends, *by_rule)


def broken_ids(plan: Plan, issues: Iterable[Issue]) -> list[str]:
    """Return the ids of the steps that errors point into, in the order of the plan."""
    positions: set[int] = set()
    for issue in issues:
        parts = issue.path.split("/")
        if issue.severity == "error" and len(parts) > 2 and parts[1] == "steps" and parts[2].isdecimal():
            positions.add(int(parts[2]))
    return [step.id for position, step in enumerate(plan.steps) if position in positions]


def apply_patch(plan: Plan, patch: Plan, broken: Sequence[str], removed: Iterable[str] = ()) -> Plan:
    """Return the plan with the patch's steps in the place of those with the same id, new ones at the end.

    Only broken steps are replaced or removed, so that a mending round cannot change what was right.
    """
    allowed = set(broken)
    fresh = {step.id: step for step in patch.steps if step.id in allowed or not _has(plan, step.id)}
    gone = {step_id for step_id in removed if step_id in allowed}
    steps: list[Step] = []
    for step in plan.steps:
        if step.id in fresh:
            steps.append(fresh.pop(step.id))
        elif step.id not in gone:
            steps.append(step)
    answer = plan.answer if patch.answer is MISSING else patch.answer
    return dataclasses.replace(
        plan,
        steps=(*steps, *fresh.values()),
        answer=answer,
        inputs={**plan.inputs, **patch.inputs},
        defects=patch.defects,
    )


def _has(plan: Plan, step_id: str) -> bool:
    return any(step.id == step_id for step in plan.steps)


def removed_ids(text: str) -> list[str]:
    """Return the ids under "remove" in a mending reply, when the reply is plain JSON."""
    try:
        value = json.loads(text)
    except ValueError:
        return []
    listed = cast("dict[str, Any]", value).get("remove") if isinstance(value, dict) else None
    return [name for name in cast("list[Any]", listed) if isinstance(name, str)] if isinstance(listed, list) else []
