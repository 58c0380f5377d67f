"""Tools and literal arguments: unknown-tool, missing-argument, unknown-argument, argument-type, placeholder."""

from __future__ import annotations

import re
from typing import Any, Final, cast

from planloom.plan.issues import shorten
from planloom.plan.model import Step
from planloom.plan.tool_checks import Misfit, ToolChecks
from planloom.plan.types import describe_type
from planloom.plan.validation.inspection import Inspection

_HTML_TAGS: Final = "a|abbr|b|body|br|code|div|em|h[1-6]|head|hr|html|i|img|li|ol|p|pre|script|small|span|strong|sub|sup|table|td|th|tr|u|ul"
# each alternative is linear: no nested repetition, and every gap is bounded
_PLACEHOLDER = re.compile(
    rf"""\s*(?:
        TODO | TBD | FIXME | XXX+ | PLACEHOLDER | CHANGE_?ME | \.\.\. | …
      | (?:TODO|FIXME|TBD)\s*:.{{0,200}}
      | <(?!(?:{_HTML_TAGS})\s*>)[A-Za-z][\w .,:'\[\]-]{{0,120}}>
      | \[\s*(?:your|insert|enter|replace)\b[^\[\]]{{0,80}}\]
      | (?:YOUR|INSERT|REPLACE)_[A-Z0-9_]{{1,60}}
      | (?:your|insert)[-_ ][a-z0-9_ -]{{1,60}}[-_ ]here
      | /?path/to/.{{0,200}}
    )\s*""",
    re.VERBOSE,
)
_INSIDE = re.compile(r"<(?:your|insert|enter|replace|add)\b[^<>]{1,80}>", re.IGNORECASE)
_MAX_PLACEHOLDER_TEXT: Final = 10_000


def check_arguments(inspection: Inspection) -> None:
    """Report tools that do not exist, and arguments that their schema would refuse."""
    known = inspection.tools
    checks_by_tool: dict[str, ToolChecks | None] = {}
    for position, step in inspection.steps():
        tool = step.tool
        if tool not in checks_by_tool:
            checks_by_tool[tool] = inspection.checks(tool)
        checks = checks_by_tool[tool]
        if checks is None:
            if known is not None and tool:
                inspection.error(
                    "unknown-tool", position, ("tool",), f"step `{shorten(step.id)}` calls `{shorten(tool)}`, but there is no such tool",
                    inspection.did_you_mean(tool, known),
                )  # fmt: skip
        elif not checks.fit(step.args) or (checks.required and _has_no_args(step)):
            _report_misfits(inspection, position, step, checks)
        if step.defects and _has_no_args(step) and not (checks is not None and checks.required):
            inspection.warn("missing-field", position, ("args",), "the step has no `args`", 'write "args": {}')
        _check_placeholders(inspection, position, step, checks)


def _has_no_args(step: Step) -> bool:
    return any(defect.code == "missing-field" and defect.path == "/args" for defect in step.defects)


def _report_misfits(inspection: Inspection, position: int, step: Step, checks: ToolChecks) -> None:
    if _has_no_args(step) and checks.required:
        names = ", ".join(f"`{shorten(name, 40)}`" for name in checks.required[:10])
        inspection.error(
            "missing-field", position, ("args",), f"the step has no `args`; `{shorten(step.tool)}` needs {names}"
        )
        return
    for misfit in checks.misfits(step.args):
        _report(inspection, position, step, checks, misfit)


def _report(inspection: Inspection, position: int, step: Step, checks: ToolChecks, misfit: Misfit) -> None:
    place = ("args", *misfit.place)
    name = shorten(str(misfit.place[-1])) if misfit.place else ""
    tool = shorten(step.tool)
    if misfit.keyword == "required" and len(misfit.place) == 1:
        wanted = describe_type(checks.target(misfit.place))
        inspection.error(
            "missing-argument",
            position,
            place,
            f"`{tool}` needs the argument `{name}` ({wanted})",
            f"add `{name}` to `args`",
        )
    elif misfit.keyword == "unknown" and len(misfit.place) == 1:
        known = ", ".join(f"`{shorten(other, 40)}`" for other in sorted(checks.names)[:12]) or "no arguments"
        hint = inspection.did_you_mean(str(misfit.place[0]), sorted(checks.names)) or f"it takes {known}"
        inspection.error("unknown-argument", position, place, f"`{tool}` has no argument `{name}`", hint)
    else:
        where = "".join(f"[{part}]" if isinstance(part, int) else f".{shorten(part, 40)}" for part in misfit.place)
        inspection.error(
            "argument-type", position, place, f"`{tool}{where}`: {misfit.message}", _retype(checks, misfit, step.args)
        )


def _retype(checks: ToolChecks, misfit: Misfit, args: dict[str, Any]) -> str | None:
    if misfit.keyword != "type":
        return None
    return f"it expects {describe_type(checks.target(misfit.place))}"


def _check_placeholders(inspection: Inspection, position: int, step: Step, checks: ToolChecks | None) -> None:
    """Report text that a model left for somebody else to fill in, unless the tool's own enum contains it."""
    pending: list[tuple[tuple[str | int, ...], Any]] = [((), step.args)]
    while pending:
        place, value = pending.pop()
        if isinstance(value, dict):
            elements = cast("dict[str, Any]", value).items()
        elif isinstance(value, list):
            elements = enumerate(cast("list[Any]", value))
        else:
            continue
        if len(place) > inspection.limits.depth:
            return
        for key, element in elements:
            if type(element) is str:
                if _is_placeholder(element) and not _is_enumerated(checks, (*place, key), element):
                    inspection.error(
                        "placeholder", position, ("args", *place, key),
                        f"`{shorten(element)}` is a placeholder, not a value",
                        "write the value itself, or a reference to the step that makes it",
                    )  # fmt: skip
            elif type(element) is dict or type(element) is list:
                pending.append(((*place, key), element))


def _is_placeholder(text: str) -> bool:
    # most text can be told from a placeholder by one character, and the expressions cost ten times as much
    if len(text) > _MAX_PLACEHOLDER_TEXT:
        return False
    if "<" in text and _INSIDE.search(text) is not None:
        return True
    return _PLACEHOLDER.fullmatch(text) is not None


def _is_enumerated(checks: ToolChecks | None, place: tuple[str | int, ...], text: str) -> bool:
    if checks is None:
        return False
    for alternative in checks.target(place):
        if text in alternative.schema.get("enum", ()) or text == alternative.schema.get("const"):
            return True
    return False
