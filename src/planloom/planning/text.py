"""A model's whole reply becomes a plan: strict JSON first, then what models write instead, nothing in silence.

Text that is valid JSON is taken as it is. Whatever was changed is a mend; whatever was lost (a cut-off end, an
unreadable piece, `...`) is an issue, which the plan carries too, so that it can never pass validation unnoticed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final, cast

from planloom.errors import PlanFormatError
from planloom.plan.issues import Issue, IssueCode, pointer, shorten
from planloom.plan.limits import DEFAULT_LIMITS, Limits
from planloom.plan.model import MISSING, Plan
from planloom.plan.reader import STEP_FIELDS, WRAPPERS, read_step
from planloom.planning.drafts import Draft, Source, choose_draft
from planloom.planning.leftovers import FENCE, report_leftovers
from planloom.planning.locating import Located
from planloom.planning.mends import Mend, MendLog, Place
from planloom.planning.passages import Passage, find_passages
from planloom.planning.relaxed import Stop
from planloom.planning.step_fields import fold
from planloom.planning.steps import normalise_steps

_HEADER_ALIASES: Final = {
    "answer": ("finalanswer", "result", "output", "response"),
    "goal": ("objective", "question", "query"),
}


@dataclass(frozen=True)
class PlanText:
    """A plan as it was read from a model's reply.

    `mends` are all changes that were made, `issues` what was lost or could not be decided (also carried by
    `plan`, so that validation names them). Both are empty for a reply that is the plan's own JSON.
    """

    plan: Plan
    mends: list[Mend]
    issues: list[Issue]


def read_plan_text(text: str, *, finished: bool = True, limits: Limits = DEFAULT_LIMITS) -> PlanText:
    """Read a plan from a model's whole reply.

    `finished=False` says that the model did not end by itself (a length limit, a lost connection): then an end
    that only looks complete is an issue too. Raises `PlanFormatError` when the text holds no plan at all, or
    is longer than `limits.text_bytes`.
    """
    if len(text) > limits.text_bytes:
        raise _no_plan(f"the text has more than {limits.text_bytes:,} characters", "limit")
    passages = find_passages(text)
    draft = choose_draft(passages)
    if draft is None:
        raise _no_plan(_describe_reply(text))
    log = MendLog()
    issues: list[Issue] = []
    if draft.is_lines and len(draft.used) > 1:
        log.add((), f"{len(draft.used):,} objects one after another were read as one plan")
    elif draft.is_lines:
        log.add((), "one step on its own was put into a list")
    report_leftovers(text, passages, draft, log, issues)
    steps = draft.located.steps
    for source in draft.sources:
        if finished and steps and _lacks_only_a_bracket(text, source.passage, draft.located):
            log.add((), "the last closing bracket was missing and was put in")
            source = Source(source.passage._replace(stop=None), source.position)
        steps = _report_passage(draft, source, steps, log, issues)
    for passage, position in draft.broken:
        assert passage.stop is not None
        is_cut = passage.stop.kind == "cut"
        issues.append(_broken_step(position, passage.value, is_cut, passage.stop.place, is_alone=not is_cut))
    if not finished and draft.is_lines and not issues:
        issues.append(_cut(len(steps), "the reply was cut off, perhaps before its last steps"))
    header, steps = _normalise(draft.located, steps, log, issues)
    return _plan_text(header, steps, log, issues, limits)


def _plan_text(header: dict[str, Any], steps: list[Any], log: MendLog, issues: list[Issue], limits: Limits) -> PlanText:
    plan = Plan.from_json({**header, "steps": []}, limits)
    if len(steps) > limits.steps:
        message = f"{len(steps):,} steps are more than {limits.steps:,}"
        issues.append(Issue("limit", "error", "/steps", message))
        steps = steps[: limits.steps]
    plan = replace(plan, steps=tuple(map(read_step, steps)), defects=(*plan.defects, *issues))
    return PlanText(plan, log.mends(), issues)


def _report_passage(draft: Draft, source: Source, steps: list[Any], log: MendLog, issues: list[Issue]) -> list[Any]:
    """Note what was done to read one passage; return the steps without one that was not read to its end."""
    passage = source.passage
    for place in passage.elisions:
        path = pointer(*draft.place_in_plan(source, place))
        message = "the text says `...` here instead of what belongs here"
        issues.append(Issue("placeholder", "error", path, message, "write everything out"))
    for place, value in passage.lost:
        position = draft.place_in_plan(source, place)[-1]
        issues.append(_broken_step(int(position), value, is_cut=False, place=(), is_alone=True))
    for place, names in passage.repeated:
        path = pointer(*draft.place_in_plan(source, place))
        shown = ", ".join(f"`{shorten(name, 40)}`" for name in names[:5])
        message = f"one object has {shown} twice; only the last of each was read"
        issues.append(Issue("wrong-field-type", "error", path, message, "perhaps `},{` is missing between two steps"))
    kept = steps
    if passage.stop is not None:
        kept = _without_broken(passage.stop, draft.place_in_plan(source, passage.stop.place), steps, issues)
    for note, times in passage.notes:
        place = draft.place_in_plan(source, note.place)
        if place[:1] == ("steps",) and len(place) > 1 and int(place[1]) >= len(kept):
            continue  # about a step that is not there
        is_of_step = place[:1] == ("steps",)
        # what concerns the form is told once per step, and so is what stood under another name
        if not note.is_value or (is_of_step and len(place) > 2 and place[2] not in STEP_FIELDS):
            place = place[:2] if is_of_step else place[:1]
        log.add(place, note.message, times)
    return kept


def _lacks_only_a_bracket(text: str, passage: Passage, located: Located) -> bool:
    """Return whether the text ends behind a whole list of steps, with nothing begun and only `}` missing."""
    stop = passage.stop
    if stop is None or stop.kind != "cut" or len(stop.place) >= len(located.place):
        return False
    rest = text[stop.position :].lstrip()
    return text[: stop.position].rstrip()[-1:] in ("]", "}", '"') and (not rest or FENCE.match(rest) is not None)


def _without_broken(stop: Stop, place: Place, steps: list[Any], issues: list[Issue]) -> list[Any]:
    """Return the whole steps, with an issue that names what the text was cut off or unreadable at."""
    is_cut = stop.kind == "cut"
    if place and place[0] != "steps":
        name = shorten(str(place[0]), 60)
        what = "is cut off: the text ends inside it" if is_cut else "cannot be read: the text is not JSON inside it"
        issues.append(_unreadable(pointer(*place[:1]), f"`{name}` {what}"))
        return steps
    position = place[1] if len(place) > 1 else len(steps)
    if isinstance(position, int) and position < len(steps):
        issues.append(_broken_step(position, steps[position], is_cut, place[2:]))
        return steps[:position]
    where = f"after step {len(steps)}" if steps else "before the first step"
    what = "the list of steps" if place else "the plan"
    if is_cut:
        issues.append(_cut(len(steps), f"the text ends {where}, and {what} is not closed"))
    else:
        issues.append(_unreadable(pointer("steps", len(steps)), f"{what} cannot be read {where}: the text is not JSON"))
    return steps


def _broken_step(position: int, step: Any, is_cut: bool, place: Place, *, is_alone: bool = False) -> Issue:
    """Return the issue for a step that is not in the plan because it was not read to its end."""
    fields = cast("dict[str, Any]", step) if isinstance(step, dict) else {}
    name = next((fields[key] for key in ("id", "name", "tool") if key in fields), None)
    shown = f" (`{shorten(str(name), 60)}`)" if isinstance(name, str | int) else ""
    inside = f" inside `{shorten('.'.join(map(str, place)), 60)}`" if place else ""
    if is_cut:
        return _cut(position, f"step {position + 1}{shown} is cut off: the text ends{inside}")
    message = f"step {position + 1}{shown} cannot be read and was left out: the text is not JSON{inside}"
    hint = "write this step again as JSON; the steps around it were read" if is_alone else _AGAIN
    return Issue("wrong-field-type", "error", pointer("steps", position), message, hint)


_AGAIN: Final = "write this step and all that follow it again; the steps before it were read"


def _cut(position: int, message: str) -> Issue:
    return Issue("missing-field", "error", pointer("steps", position), message, _AGAIN)


def _unreadable(path: str, message: str) -> Issue:
    return Issue("wrong-field-type", "error", path, message, "write the plan again as JSON")


def _normalise(
    located: Located, steps: list[Any], log: MendLog, issues: list[Issue]
) -> tuple[dict[str, Any], list[Any]]:
    """Return the plan's own fields and its steps, as the plan's format has them."""
    header = _with_own_names(located.header, log)
    if located.is_mapping:
        log.add(("steps",), "the steps stood in an object by id and were put into a list")
    elif any(name not in WRAPPERS for name in located.place):
        name = shorten(".".join(map(str, located.place)), 60)
        log.add(("steps",), f"the steps were found under `{name}`")
    if located.edges is not None:
        log.add(("steps",), f"dependencies were read from `{located.edges_name}`")
    elif located.edges_name:
        message = f"dependencies under `{shorten(located.edges_name, 40)}` are not read"
        hint = "name in each step's `depends_on` the steps that it waits for"
        issues.append(Issue("unknown-field", "error", pointer(located.edges_name), message, hint))
    steps, answer = normalise_steps(steps, header.get("answer", MISSING), log, issues, located.edges)
    return (header if answer is MISSING else {**header, "answer": answer}), steps


def _with_own_names(header: dict[str, Any], log: MendLog) -> dict[str, Any]:
    """Return the plan's fields under their own names, as far as they are missing: `final_answer`, `objective`."""
    renamed = dict(header)
    for field, aliases in _HEADER_ALIASES.items():
        alias = next((name for name in renamed if fold(name) in aliases), None)
        if field not in renamed and alias is not None:
            renamed[field] = renamed.pop(alias)
            log.add((field,), f"`{shorten(alias, 40)}` was read as `{field}`")
    return renamed


def _describe_reply(text: str) -> str:
    body = text.strip()
    if not body:
        return "the model's reply is empty, so there is no plan in it"
    return f"the model's reply holds no plan; it begins `{shorten(body, 100)}`"


def _no_plan(message: str, code: IssueCode = "wrong-field-type") -> PlanFormatError:
    return PlanFormatError([Issue(code, "error", "", message, 'answer with the plan as JSON only: {"steps": […]}')])
