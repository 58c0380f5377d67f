"""What of a reply is not in the plan: told as a mend when it is prose, as an issue when it is a piece of the plan."""

from __future__ import annotations

import re
from typing import Any, Final, cast

from planloom.plan.issues import Issue, shorten
from planloom.planning.drafts import Draft, begins_plan
from planloom.planning.locating import locate_steps
from planloom.planning.mends import MendLog
from planloom.planning.passages import END_OF_THOUGHTS, Passage
from planloom.planning.step_fields import looks_like_step

FENCE = re.compile(r"(?:`{3,}|~{3,})[\w+-]*")
_BEHIND_KEY = re.compile(r"(?:[\"'”]|[{,]\s*\w+)\s*[:=]\s*\Z")
_FIELD = re.compile(
    r"[\"'“](?:id|name|tool|args|arguments|depends_on|description|when|for_each|steps|goal|inputs|answer)[\"'”]\s*[:=]"
)
_HINT: Final = "write the plan again as one JSON object"


def report_leftovers(text: str, passages: list[Passage], draft: Draft, log: MendLog, issues: list[Issue]) -> None:
    """Note the text around the plan, and name what of the plan may stand in it."""
    position, pieces = 0, list[str]()
    for passage in draft.used:
        pieces.append(text[position : passage.start])
        position = passage.end if passage.stop is None else len(text)
    pieces.append(text[position:])
    around = " … ".join(piece for piece in pieces if piece.strip())
    words, fences = FENCE.subn(" ", around)
    if fences:
        log.add((), "the marks of a code fence were left out")
    words = " ".join(words.split()).strip(" …\ufeff,;")
    if words:
        log.add((), f"text around the plan was left out: `{shorten(words, 80)}`")
    used = {passage.start for passage in draft.used}
    others = [passage for passage in passages if passage.start not in used]
    plans = sum(1 for passage in others if locate_steps(passage.value) is not None)
    if plans:
        log.add((), f"the text holds {plans + 1} plans; the last was taken")
    _report_pieces(text, others, draft, issues)
    if draft.located.others:
        message = f"there are further lists of steps, which were not used: {', '.join(draft.located.others[:5])}"
        issues.append(Issue("unknown-field", "error", "", message, "put all steps under `steps`"))


def _report_pieces(text: str, others: list[Passage], draft: Draft, issues: list[Issue]) -> None:
    """Name pieces of the plan outside what was read as the plan: it closed too early, or broke before its steps."""
    first = draft.used[0]
    is_object = not draft.is_lines and isinstance(first.value, dict)
    broke_before = any(one.stop is not None and one.start < first.start and begins_plan(one) for one in others)
    if broke_before or _BEHIND_KEY.search(text, max(0, first.start - 80), first.start) is not None:
        message = "the text around the steps is not JSON, so the plan's other fields could not be read"
        issues.append(Issue("wrong-field-type", "error", "", message, _HINT))
    elif all(passage.stop is None for passage in draft.used):
        # what stands in front of a whole object may be an example; around a bare list or single steps it is not
        start = first.end if is_object else _behind_thoughts(text, first.start)
        behind = [one for one in others if one.start >= start]
        piece = _piece(text, start, [*behind, *draft.used])
        lone = next((one.value for one in behind if looks_like_step(one.value)), None)
        if piece is not None or (lone is not None and not draft.is_lines):
            shown = piece or _name_of(lone)
            message = f"a piece of the plan stands outside of it and was not read: `{shorten(shown, 60)}`"
            issues.append(Issue("wrong-field-type", "error", "", message, _HINT))


def _behind_thoughts(text: str, end: int) -> int:
    closings = [match.end() for match in END_OF_THOUGHTS.finditer(text, 0, end)]
    return closings[-1] if closings else 0


def _piece(text: str, start: int, passages: list[Passage]) -> str | None:
    """Return what begins with a field of a plan in the text that is no whole JSON value, or None."""
    position = start
    for passage in sorted((one for one in passages if one.stop is None), key=lambda one: one.start):
        if (found := _FIELD.search(text, position, max(position, passage.start))) is not None:
            return text[found.start() : passage.start]
        position = max(position, passage.end)
    found = _FIELD.search(text, position)
    return None if found is None else text[found.start() :]


def _name_of(step: Any) -> str:
    fields = cast("dict[str, Any]", step)
    return str(fields.get("id") or fields.get("tool") or fields.get("name") or "a step")
