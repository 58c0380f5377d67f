"""conflict: two steps that may run at the same time and may write the same resource.

What a tool writes is said by its templates, such as `file:{path}`; a reference in an argument leaves the
resource open, and then the conflict is a warning. Steps are ordered when one waits for the other; for each
resource it is enough to look at neighbours in topological order. The work is bounded and what was not
looked at is said.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Final, NamedTuple, cast

from planloom.plan.issues import shorten
from planloom.plan.model import Step
from planloom.plan.references import STAR, Template, follow_path, read_template
from planloom.plan.tool_spec import ToolSpec
from planloom.plan.validation.inspection import Inspection

_FILE: Final = "file:"
_HOLE = re.compile(r"\{(\w+)\}")
_MAX_BITS: Final = 1_000
_MAX_VISITS: Final = 2_000_000
_MAX_OPEN_WRITERS: Final = 50


class Writer(NamedTuple):
    """A step that may write `resource`; when `is_open` only the text before the reference is known."""

    position: int
    resource: str
    is_open: bool


class _BudgetSpentError(Exception):
    pass


def check_conflicts(inspection: Inspection) -> None:
    """Report pairs of steps that may write the same resource at the same time."""
    if inspection.tools is None or inspection.graph.is_cyclic:
        return
    writing = {name: tool for name, tool in inspection.tools.items() if tool.writes}
    if not writing:
        return
    writers = [
        writer
        for position, step in inspection.steps()
        if step.tool in writing
        for writer in _writers(inspection, position, step, writing[step.tool])
    ]
    search = _ParallelSearch(inspection)
    try:
        search.report_same_resource([writer for writer in writers if not writer.is_open])
        search.report_open_resources(writers)
    except _BudgetSpentError:
        inspection.warn(
            "limit", -1, ("steps",), "not every pair of writing steps was compared; the plan is too large for that"
        )


def _writers(inspection: Inspection, position: int, step: Step, tool: ToolSpec) -> list[Writer]:
    found: list[Writer] = []
    for template in tool.writes:
        resource, is_open, per_element = _fill(inspection, template, step, tool)
        found.append(Writer(position, resource, is_open))
        if step.for_each is not None and not per_element and not is_open:
            _report_elements(inspection, position, step, resource)
    return found


def _report_elements(inspection: Inspection, position: int, step: Step, resource: str) -> None:
    count = len(step.for_each) if isinstance(step.for_each, list) else None
    if count is not None and count < 2:
        return
    report = inspection.warn if count is None else inspection.error
    report(
        "conflict", position, ("for_each",), f"every element of step `{shorten(step.id)}` writes `{shorten(resource)}`",
        "make the resource depend on {{item}} or {{index}}",
    )  # fmt: skip


def _fill(inspection: Inspection, template: str, step: Step, tool: ToolSpec) -> tuple[str, bool, bool]:
    """Return the resource, whether a reference leaves its end open, and whether it differs per element."""
    filled: list[str] = []
    position = 0
    for hole in _HOLE.finditer(template):
        filled.append(template[position : hole.start()])
        position = hole.end()
        name = hole[1]
        known, value, per_element = _argument(
            inspection, step.args[name] if name in step.args else _default(tool, name)
        )
        filled.append(value)
        if not known:
            return _normal_start("".join(filled)), True, per_element
    filled.append(template[position:])
    return _normal("".join(filled)), False, False


def _normal(resource: str) -> str:
    """Return one spelling for every way to write the same file."""
    if resource.startswith(_FILE) and len(resource) > len(_FILE):
        return _FILE + posixpath.normpath(resource[len(_FILE) :])
    return resource


def _normal_start(resource: str) -> str:
    """Return the known start of a resource without what one spelling has and another has not."""
    while resource.startswith(f"{_FILE}./"):
        resource = _FILE + resource[len(_FILE) + 2 :]
    return resource


def _default(tool: ToolSpec, name: str) -> Any:
    properties = tool.parameters.get("properties")
    schema = cast("Mapping[str, Any]", properties).get(name) if isinstance(properties, Mapping) else None
    return cast("Mapping[str, Any]", schema).get("default") if isinstance(schema, Mapping) else None


def _argument(inspection: Inspection, value: Any) -> tuple[bool, str, bool]:
    """Return whether the argument is known, its text as far as it is, and whether it differs per element."""
    if not isinstance(value, str):
        is_short = isinstance(value, float | None) or (isinstance(value, int) and value.bit_length() <= _MAX_BITS)
        return (True, str(value), False) if is_short else (False, "", False)
    try:
        source = read_template(value)
        if source is None:
            return True, value, False
        parts = source.parts if isinstance(source, Template) else (source,)
        texts: list[str] = []
        for part in parts:
            if isinstance(part, str):
                texts.append(part)
                continue
            operand = part.operands[0]
            if operand.facet != "inputs" or len(part.operands) > 1 or STAR in operand.path:
                return False, "".join(texts), any(one.facet in ("item", "index") for one in part.operands)
            name = str(operand.path[0])
            found = follow_path(inspection.inputs[name], operand.path[1:], name)
            if not isinstance(found, str):
                return False, "".join(texts), False
            texts.append(found)
        return True, "".join(texts), False
    except (ValueError, LookupError):
        return False, "", False  # a bad reference, which is an issue of its own


class _ParallelSearch:
    """Finds writers that neither wait for each other, within a fixed number of steps looked at."""

    def __init__(self, inspection: Inspection) -> None:
        self.inspection = inspection
        graph = inspection.graph
        self.graph = graph
        self.rank = [0] * len(graph.ids)
        for rank, position in enumerate(graph.order):
            self.rank[position] = rank
        self.visits_left = _MAX_VISITS
        self.pairs_left = inspection.limits.conflict_pairs

    def report_same_resource(self, writers: Sequence[Writer]) -> None:
        groups: dict[str, list[int]] = {}
        for writer in writers:
            groups.setdefault(writer.resource, []).append(writer.position)
        for resource, positions in groups.items():
            ordered = sorted(set(positions), key=self.rank.__getitem__)
            for earlier, later in pairwise(ordered):
                if later not in self._reach(earlier, self.graph.dependents, self.rank[later]):
                    self._report(earlier, later, resource, None)

    def report_open_resources(self, writers: Sequence[Writer]) -> None:
        """Report each writer of an unknown resource once, with the first other that it may meet."""
        open_writers = [writer for writer in writers if writer.is_open]
        seen: set[tuple[int, int]] = set()
        for writer in open_writers[:_MAX_OPEN_WRITERS]:
            related = self._reach(writer.position, self.graph.dependents, len(self.rank))
            related |= self._reach(writer.position, self.graph.dependencies, len(self.rank))
            for other in writers:
                self._spend(1)
                if other.position in related or not _may_meet(writer, other):
                    continue
                pair = (min(writer.position, other.position), max(writer.position, other.position))
                if pair not in seen:
                    seen.add(pair)
                    self._report(*pair, writer.resource + "…", "order them with `depends_on` if they may meet")
                break
        if len(open_writers) > _MAX_OPEN_WRITERS:
            raise _BudgetSpentError

    def _reach(self, start: int, edges: Sequence[Sequence[int]], last_rank: int) -> set[int]:
        """Return the steps that can be reached from `start`, itself too, not looking behind `last_rank`."""
        reached = {start}
        pending = [start]
        while pending:
            position = pending.pop()
            self._spend(1 + len(edges[position]))
            for following in edges[position]:
                if following not in reached and self.rank[following] <= last_rank:
                    reached.add(following)
                    pending.append(following)
        return reached

    def _spend(self, visits: int) -> None:
        self.visits_left -= visits
        if self.visits_left < 0:
            raise _BudgetSpentError

    def _report(self, one: int, other: int, resource: str, hint: str | None) -> None:
        if self.pairs_left <= 0:
            raise _BudgetSpentError
        self.pairs_left -= 1
        first, second = sorted((one, other))
        steps = self.inspection.plan.steps
        # two branches of a choice never both run, and nothing here can tell that they are one
        is_certain = hint is None and not (steps[first].when and steps[second].when)
        report = self.inspection.error if is_certain else self.inspection.warn
        report(
            "conflict", second, ("args",),
            f"`{shorten(steps[first].id)}` and `{shorten(steps[second].id)}` may run at the same time and "
            f"{'both write' if hint is None else 'may both write'} `{shorten(resource)}`",
            hint or f"let one wait for the other: add `{shorten(steps[first].id)}` to `depends_on`",
        )  # fmt: skip


def _may_meet(writer: Writer, other: Writer) -> bool:
    if other.is_open:
        return writer.resource.startswith(other.resource) or other.resource.startswith(writer.resource)
    return other.resource.startswith(writer.resource)
