"""References in the styles of other systems (`${s1.output}`, `$1`, `#E1`, `<node-0>`) become `{{…}}`.

Only when the step exists, and only when the whole text or a clearly delimited part of it is meant: text is data
unless it is surely a reference. What looks like one and is left as text is told, so that nothing runs on a
literal "$1" unnoticed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, NamedTuple, cast

from planloom.plan.conditions import ConditionError, read_condition
from planloom.plan.references import Operand, ReferenceSyntaxError, Template, read_template
from planloom.planning.mends import Place
from planloom.planning.naming import Numbered, StepNames, read_number

MAX_DEPTH: Final = 64
_NAME: Final = r"(?:steps?\.|outputs?\.|results?\.)?[A-Za-z_][A-Za-z0-9_-]*|\d{1,6}"
_PATH: Final = r"(?:\.[\w$@-]+|\[\s*(?:-?\d{1,9}|\*|\"[^\"\]\n]{1,80}\"|'[^'\]\n]{1,80}')\s*\])*"
_STYLES = re.compile(
    rf"""(?P<escaped>\\\{{\{{)
       | \{{\{{\s*(?P<braces>[^{{}}\n]{{1,300}}?)\s*\}}\}}
       | \$\{{\s*(?P<dollar_braces>{_NAME})(?P<path_1>{_PATH})\s*\}}
       | (?<!\{{)\{{\s*(?P<single>{_NAME})(?P<path_2>{_PATH})\s*\}}{{1,2}}(?!\}})
       | <\s*(?P<angle>{_NAME})(?P<path_3>{_PATH})\s*>
       | (?<![\w$])\$(?P<dollar>{_NAME})(?P<path_4>{_PATH})
       | (?<![\w\#])\#(?P<hash>E\d{{1,6}})(?P<path_5>{_PATH})(?!\w)""",
    re.VERBOSE,
)
_BARE = re.compile(rf"(?P<name>[A-Za-z_][A-Za-z0-9_-]*)(?P<path>\.(?:output|status|error){_PATH})")
_REWOO = re.compile(r"E\d{1,6}")
_IN_BRACES = re.compile(rf"[$\#]?(?P<name>{_NAME})(?P<path>{_PATH})")
_FACET = re.compile(r"\.(?:output|status|error)(?![\w$@-])")
_QUOTED_OR_BARE = re.compile(rf"\"[^\"]*\"|'[^']*'|\{{\{{[^{{}}]*\}}\}}|(?<![\w.]){_BARE.pattern}")
_PATHS: Final = {
    "dollar_braces": "path_1", "single": "path_2", "angle": "path_3", "dollar": "path_4", "hash": "path_5",
}  # fmt: skip


class Candidate(NamedTuple):
    """Something in a text that may be meant as a reference: where, in which style, to what."""

    start: int
    end: int
    style: str
    name: str
    path: str
    is_whole: bool

    @property
    def has_facet(self) -> bool:
        """Whether the path begins with `.output`, `.status` or `.error`, as only a reference's does."""
        return _FACET.match(self.path) is not None


def candidates(text: str) -> list[Candidate]:
    """Return what in `text` may be a reference in a style other than the plan's own, in order."""
    found: list[Candidate] = []
    body = text.strip()
    if body and (_REWOO.fullmatch(body) or _BARE.fullmatch(body)):
        match = _BARE.fullmatch(body)
        start = text.index(body)
        name, path = (match["name"], match["path"]) if match else (body, "")
        return [Candidate(start, start + len(body), "bare", name, path, True)]
    if not any(mark in text for mark in "${<#"):
        return found
    for match in _STYLES.finditer(text):
        is_whole = match[0] == body
        if match["escaped"] is not None:
            continue
        if match["braces"] is not None:
            found.extend(_inside_braces(match, is_whole))
            continue
        style = next(name for name in _PATHS if match[name] is not None)
        found.append(Candidate(match.start(), match.end(), style, match[style], match[_PATHS[style]] or "", is_whole))
    return found


def _inside_braces(match: re.Match[str], is_whole: bool) -> Iterator[Candidate]:
    """Yield a candidate for what stands in double braces and is no reference, such as `{{$1}}`."""
    try:
        source = read_template(match[0])
    except ReferenceSyntaxError:
        source = None
    inner = _IN_BRACES.fullmatch(match["braces"])
    if source is None and inner is not None:
        # `${{ steps.load.output }}`: the dollar belongs to it, as in GitHub's workflows
        is_dollar = inner["name"].startswith("steps.") and match.string[: match.start()].endswith("$")
        start = match.start() - 1 if is_dollar else match.start()
        yield Candidate(start, match.end(), "braces", inner["name"], inner["path"], is_whole or is_dollar)
    elif source is not None and inner is not None and not isinstance(source, Template):
        # a reference as it should be; of interest only if its step was called differently in this text
        yield Candidate(match.start(), match.end(), "own", inner["name"], inner["path"], is_whole)


class ReferenceRewriter:
    """Rewrites the texts of one plan. `doubt` is called with the place and words of what was left as text."""

    def __init__(
        self,
        names: StepNames,
        *,
        is_fluent: bool,
        changed: Callable[[Place, str], None],
        doubt: Callable[[Place, str, str], None],
    ) -> None:
        self.names = names
        self.is_fluent = is_fluent
        self.changed = changed
        self.doubt = doubt

    def value(self, value: Any, place: Place, declared: set[str]) -> Any:
        """Return `value` with its texts rewritten, at any depth; the same object when there was nothing to do."""
        if isinstance(value, str):
            return self.text(value, place, declared)
        if len(place) > MAX_DEPTH:
            return value
        if isinstance(value, dict):
            fields = cast("dict[str, Any]", value)
            renewed = {key: self.value(inner, (*place, key), declared) for key, inner in fields.items()}
            return renewed if any(renewed[key] is not inner for key, inner in fields.items()) else fields
        if isinstance(value, list):
            elements = cast("list[Any]", value)
            anew = [self.value(inner, (*place, index), declared) for index, inner in enumerate(elements)]
            return anew if any(new is not old for new, old in zip(anew, elements, strict=True)) else elements
        return value

    def text(self, text: str, place: Place, declared: set[str]) -> str:
        """Return `text` with what is surely meant as a reference written as one."""
        pieces: list[str] = []
        position = 0
        for candidate in candidates(text):
            written = text[candidate.start : candidate.end]
            target = self._target(candidate)
            if target is None:
                continue
            step_id, path = target
            reference = _as_reference(step_id, path)
            if reference is None or reference == written:
                continue
            is_sure = place == ("answer",) and candidate.is_whole and candidate.has_facet
            if not (is_sure or self._is_meant(candidate, step_id, declared)):
                if candidate.has_facet or not self.is_fluent:
                    self.doubt(place, written, reference)
                continue
            pieces += (text[position : candidate.start], reference)
            position = candidate.end
            self.changed(place, f"`{written}` was read as the reference {reference}")
        return "".join(pieces) + text[position:] if pieces else text

    def condition(self, text: str, place: Place, declared: set[str]) -> str:
        """Return a `when` whose references are written as such; only for one that cannot be read as it is."""
        if _is_condition(text):
            return text
        messages: list[str] = []

        def rewrite(match: re.Match[str]) -> str:
            step_id = self.names.resolve(match["name"]) if match["name"] else None
            reference = None if step_id is None else _as_reference(step_id, match["path"])
            if reference is None:
                return match[0]
            messages.append(f"`{match[0]}` was read as the reference {reference}")
            return reference

        quiet = ReferenceRewriter(
            self.names, is_fluent=self.is_fluent, changed=lambda _, message: messages.append(message), doubt=self.doubt
        )
        changed = _QUOTED_OR_BARE.sub(rewrite, quiet.text(text, place, declared))
        if changed == text or not _is_condition(changed):
            return text
        for message in messages:
            self.changed(place, message)
        return changed

    def _target(self, candidate: Candidate) -> tuple[str, str] | None:
        """Return the id of the step that is meant, and the path into it."""
        name, path = candidate.name, candidate.path
        if candidate.style == "own" and name in self.names.all_ids:
            return None
        head, _, rest = name.partition(".")
        if rest and head in self.names.all_ids:
            name, path = head, f".{rest}{path}"
        elif rest:
            name = rest
        step_id = self.names.resolve(name)
        if step_id is None and candidate.style not in ("bare", "own", "single"):
            step_id = self.names.resolve(f"#{name}")
        return None if step_id is None else (step_id, path)

    def _is_meant(self, candidate: Candidate, step_id: str, declared: set[str]) -> bool:
        """Return whether a reference is surely meant, not text that happens to look like one."""
        style, is_declared = candidate.style, step_id in declared
        if style in ("braces", "own") or (candidate.has_facet and style != "bare"):
            return True
        # a plan that knows the plan's own grammar means everything else as text
        if self.is_fluent:
            return False
        if style in ("bare", "hash", "dollar_braces"):
            return True
        if candidate.name != step_id and read_number(candidate.name) is not None:
            if not candidate.name.isdecimal():
                return True  # <node-0>
            # $1 is also a price, or a group of a regular expression
            return style != "angle" and (is_declared or (candidate.is_whole and style == "dollar"))
        return candidate.is_whole and (style == "dollar" or is_declared)


def _as_reference(step_id: str, path: str) -> str | None:
    """Return the reference in the plan's own grammar, or None when there is none for this path."""
    written = f"{{{{{step_id}{path or '.output'}}}}}"
    has_facet = path == "" or _FACET.match(path) is not None
    try:
        read_template(written if has_facet else f"{{{{{step_id}.output{path}}}}}")
    except ReferenceSyntaxError:
        return None
    # a path without `.output` stays so here: what it means is decided where the tool's output is known
    return written


def _is_condition(text: str) -> bool:
    try:
        read_condition(text)
    except (ConditionError, ReferenceSyntaxError):
        return False
    return True


def numbers_in(value: Any, ids: set[str], depth: int = 0) -> Iterator[Numbered]:
    """Yield the numbers by which texts inside `value` may name steps; names in `ids` are no numbers."""
    if isinstance(value, str):
        for candidate in candidates(value):
            numbered = None if candidate.name in ids else read_number(candidate.name)
            if numbered is not None and (candidate.is_whole or candidate.style not in ("dollar", "single")):
                yield numbered
    elif depth < MAX_DEPTH:
        for part in _parts(value):
            yield from numbers_in(part, ids, depth + 1)


def is_plain(value: Any, depth: int = 0) -> bool:
    """Return whether no text inside `value` could be rewritten, whatever else the plan holds."""
    if isinstance(value, str):
        return all(candidate.style == "own" for candidate in candidates(value))
    return depth < MAX_DEPTH and all(is_plain(part, depth + 1) for part in _parts(value))


def is_plain_condition(text: str) -> bool:
    """Return whether a `when` can be read as it is, so that it would not be rewritten."""
    return _is_condition(text)


def _parts(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return cast("dict[str, Any]", value).values()
    return cast("list[Any]", value) if isinstance(value, list) else ()


def has_own_references(value: Any, ids: set[str], depth: int = 0) -> bool:
    """Return whether some text inside `value` refers to a step of the plan in the plan's own grammar."""
    if isinstance(value, str):
        if "{{" not in value:
            return False
        try:
            source = read_template(value)
        except ReferenceSyntaxError:
            return False
        references = () if source is None else source.references if isinstance(source, Template) else (source,)
        operands: list[Operand] = [operand for reference in references for operand in reference.operands]
        return any(operand.step_id in ids for operand in operands)
    return depth < MAX_DEPTH and any(has_own_references(part, ids, depth + 1) for part in _parts(value))
