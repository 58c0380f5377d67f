"""Tools and literal arguments: unknown-tool, missing-argument, unknown-argument, argument-type, placeholder."""

from __future__ import annotations

import math
import re
from typing import Any, Final

from planloom.plan.issues import shorten
from planloom.plan.misfits import Misfit
from planloom.plan.model import Step
from planloom.plan.references import describe
from planloom.plan.tool_checks import ToolChecks
from planloom.plan.types import describe_type
from planloom.plan.validation.inspection import Inspection
from planloom.plan.validation.references import place_name
from planloom.plan.wiring import LimitError, walk_leaves

_TAGS: Final = (
    "a|abbr|article|aside|audio|b|blockquote|body|br|button|canvas|code|dd|div|dl|dt|em|figure|footer|form|h[1-6]|"
    "head|header|hr|html|i|iframe|img|input|label|li|link|main|meta|nav|ol|option|p|path|pre|script|section|select|"
    "small|span|strong|style|sub|sup|svg|table|tbody|td|textarea|tfoot|th|thead|title|tr|u|ul|video|xml|"
    "bos|cls|eos|eof|mask|pad|s|sep|unk"
)
# each alternative is linear: no nested repetition, and every gap is bounded; text is stripped before
_PLACEHOLDER = re.compile(
    rf"""TODO | TBD | FIXME | XXX+ | PLACEHOLDER | CHANGE_?ME | \.\.\. | …
      | (?:TODO|FIXME|TBD)\s?:.{{0,200}}
      | <(?!(?:{_TAGS})\s?>)[A-Za-z][\w .,:'\[\]-]{{0,120}}>
      | \[\s?(?i:your|insert|enter|replace)\b[^\[\]]{{0,80}}\]
      | (?:YOUR|INSERT|REPLACE)_[A-Z0-9_]{{1,60}}
      | (?i:your|insert)[-_][A-Za-z0-9_-]{{1,60}}[-_](?i:here)
    """,
    re.VERBOSE,
)
# people do write this, so it counts only where it is known that nobody did
_PATH_TO = re.compile(r"(?:\./|/)?path/to/.{0,200}")
_INSIDE = re.compile(r"<(?:your|insert|enter|replace|add)\b[^<>]{1,80}>", re.IGNORECASE)
# <object_name>, in short text that is no markup
_NAME_INSIDE = re.compile(r"(?<![\w<])<[A-Za-z]{1,30}(?:[_-][A-Za-z0-9]{1,30}){1,6}>")
_PATH_STARTS: Final = frozenset({"pat", "/pa", "./p"})
_MAX_PLACEHOLDER_TEXT: Final = 10_000
_MAX_WHOLE_PLACEHOLDER: Final = 250
# how other planners write a reference: $load, ${load.output}, {load.output}, #load, load.output.rows
_OTHER_REFERENCE = re.compile(
    r"(?P<mark>[$#@]\{?|\{|\$\.)?(?:steps\.)?(?P<id>[A-Za-z_][A-Za-z0-9_-]*)(?P<rest>(?:[.\[][\w\]'\"-]{1,40}){0,12})\}?"
)
_MAX_OTHER_REFERENCE: Final = 200


def check_arguments(inspection: Inspection) -> None:
    """Report tools that do not exist, and arguments that their schema would refuse."""
    known = inspection.tools
    for position, step in inspection.steps():
        checks = inspection.checks(step.tool)
        if checks is None:
            if known is not None and step.tool:
                hint = inspection.did_you_mean(step.tool, known)
                if hint is None and len(known) <= _MAX_LISTED:
                    hint = "the tools are " + ", ".join(f"`{shorten(name, 40)}`" for name in known) if known else None
                inspection.error(
                    "unknown-tool", position, ("tool",),
                    f"step `{shorten(step.id)}` calls `{shorten(step.tool)}`, but there is no such tool", hint,
                )  # fmt: skip
        elif not (step.filled and "args" in step.filled):
            wiring = step.wiring()
            has_references = bool(wiring.problems) or any(binding.references for binding in wiring.args)
            if not checks.fit(step.args, has_references):
                for misfit in checks.misfits(step.args, has_references):
                    _report(inspection, position, step, checks, misfit)
        if step.args:
            _check_leaves(inspection, position, "args", step.args, checks)
        if type(step.for_each) is list:
            _check_leaves(inspection, position, "for_each", step.for_each, None)


_MAX_LISTED: Final = 12


def _report(inspection: Inspection, position: int, step: Step, checks: ToolChecks, misfit: Misfit) -> None:
    place = ("args", *misfit.place)
    name = shorten(str(misfit.place[-1])) if misfit.place else ""
    tool = shorten(step.tool)
    if misfit.keyword == "required" and not misfit.message:
        wanted = checks.target(misfit.place)
        message = f"`{tool}` needs the argument `{name}`{f' ({describe_type(wanted)})' if wanted else ''}"
        inspection.error("missing-argument", position, place, message, f"add `{name}` to `args`")
    elif misfit.keyword == "unknown":
        known = ", ".join(f"`{shorten(other, 40)}`" for other in sorted(checks.names)[:_MAX_LISTED]) or "no arguments"
        if misfit.place:
            hint = inspection.did_you_mean(str(misfit.place[0]), checks.names) or f"it takes {known}"
            message = f"`{tool}` has no argument `{name}`"
        else:
            hint, message = f"it takes {known}", f"`{tool}` {misfit.message}"
        inspection.error("unknown-argument", position, place, message, hint)
    else:
        argument = shorten(step.tool + place_name(misfit.place))
        inspection.error("argument-type", position, place, f"`{argument}` {misfit.message}", misfit.hint)


def _check_leaves(inspection: Inspection, position: int, field: str, value: Any, checks: ToolChecks | None) -> None:
    """Report text that a model left for somebody else to fill in, and values that are no JSON."""
    place: list[str | int] = [field]
    try:
        for leaf in walk_leaves(value, place, inspection.limits):
            if type(leaf) is str:
                if not leaf.isascii() and not _is_unicode(leaf):
                    inspection.error(
                        "argument-type", position, tuple(place),
                        f"`{shorten(leaf, 40)}` holds half of a surrogate pair, which is no character",
                        "write the whole character, or leave it out",
                    )  # fmt: skip
                elif len(leaf) <= _MAX_PLACEHOLDER_TEXT:
                    _check_text(inspection, position, leaf, place, checks)
            elif leaf is not None and type(leaf) not in _SCALARS and not _is_number(leaf):
                inspection.error(
                    "argument-type", position, tuple(place), f"{describe(leaf)} is not a JSON value",
                    "arguments are text, numbers, true, false, null, lists and objects",
                )  # fmt: skip
    except LimitError:
        return  # reported with the references, which are looked for in the same way


_SCALARS: Final = frozenset({int, bool, dict, list})


def _is_number(value: Any) -> bool:
    return isinstance(value, int | str) or (isinstance(value, float) and math.isfinite(value))


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _check_text(
    inspection: Inspection, position: int, text: str, place: list[str | int], checks: ToolChecks | None
) -> None:
    stripped = text.strip()
    goal = inspection.plan.goal
    if _is_placeholder(stripped) or (goal and stripped[:3] in _PATH_STARTS and _PATH_TO.fullmatch(stripped)):
        # what the user said is no placeholder, and neither is what the tool itself asks for
        if stripped not in goal and not _is_enumerated(checks, place, text):
            inspection.error(
                "placeholder", position, tuple(place), f"`{shorten(stripped)}` is a placeholder, not a value",
                "write the value itself, or a reference to the step that makes it",
            )  # fmt: skip
    elif len(stripped) <= _MAX_OTHER_REFERENCE:
        _check_other_notation(inspection, position, stripped, place)


def _is_placeholder(text: str) -> bool:
    if len(text) <= _MAX_WHOLE_PLACEHOLDER and _PLACEHOLDER.fullmatch(text) is not None:
        return True
    if "<" not in text:
        return False
    if len(text) <= _MAX_WHOLE_PLACEHOLDER and "</" not in text and _NAME_INSIDE.search(text) is not None:
        return True
    return _INSIDE.search(text) is not None


def _is_enumerated(checks: ToolChecks | None, place: list[str | int], text: str) -> bool:
    if checks is None:
        return False
    for alternative in checks.target(tuple(place[1:])):
        if text in alternative.schema.get("enum", ()) or text == alternative.schema.get("const"):
            return True
    return False


def _check_other_notation(inspection: Inspection, position: int, text: str, place: list[str | int]) -> None:
    """Report text that is a reference in the notation of other planners: the tool would get it as text."""
    written = _OTHER_REFERENCE.fullmatch(text)
    if written is None or written["id"] not in inspection.graph.index:
        return
    mark, rest = written["mark"], written["rest"]
    if not mark and not (rest == ".output" or rest.startswith((".output.", ".output["))):
        return  # a plain word that happens to be the id of a step
    if mark in ("#", "@") and not rest:
        return  # a hashtag or a handle
    path = rest.removeprefix(".output")
    report = inspection.error if mark else inspection.warn
    report(
        "bad-reference", position, tuple(place), f"`{shorten(text)}` is plain text here, not a reference",
        f"write {{{{{written['id']}.output{shorten(path)}}}}} for the output of that step",
    )  # fmt: skip
