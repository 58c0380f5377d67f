"""What a validation pass works with: the plan, its graph, the tools, and the bounded list of issues."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from planloom.plan.graph import PlanGraph, graph_of
from planloom.plan.issues import Issue, IssueCode, Severity, pointer
from planloom.plan.limits import Limits
from planloom.plan.model import Plan, Step
from planloom.plan.suggest import Names, did_you_mean
from planloom.plan.tool_checks import ToolChecks, checks_of
from planloom.plan.tool_spec import ToolSpec
from planloom.plan.wiring import place_pointer

Place = tuple[str | int, ...]


class Inspection:
    """One validation under way.

    `tools` is None when the plan is checked without a toolbox: then nothing that needs one is reported.
    `inputs` are the plan's defaults with the caller's values over them. A position of -1 means the plan
    itself, not one of its steps.
    """

    def __init__(
        self, plan: Plan, tools: Mapping[str, ToolSpec] | None, inputs: Mapping[str, Any], limits: Limits
    ) -> None:
        self.plan = plan
        self.tools = tools
        given = {name: value for name, value in inputs.items() if type(name) is str}
        self.inputs: Mapping[str, Any] = {**plan.inputs, **given}
        self.limits = limits
        self.graph: PlanGraph = graph_of(plan)
        self.used: set[int] = set()
        """Steps whose output something uses, found by the reference pass."""
        self._found: dict[Severity, list[tuple[int, int, Issue]]] = {"error": [], "warning": []}
        self._count = 0
        self._dropped: dict[Severity, int] = {"error": 0, "warning": 0}
        self._names: dict[int, tuple[Iterable[str], Names]] = {}
        self._hints_left = limits.hints
        self._checks: dict[str, ToolChecks | None] = {}

    def error(self, code: IssueCode, position: int, place: Place, message: str, hint: str | None = None) -> None:
        """Report an error at a place in the step at `position`."""
        self._report(code, "error", position, place, message, hint)

    def warn(self, code: IssueCode, position: int, place: Place, message: str, hint: str | None = None) -> None:
        """Report a warning at a place in the step at `position`."""
        self._report(code, "warning", position, place, message, hint)

    def _report(
        self, code: IssueCode, severity: Severity, position: int, place: Place, message: str, hint: str | None
    ) -> None:
        if self._has_room(severity):
            path = place_pointer("steps", position, *place) if position >= 0 else place_pointer(*place)
            self._append(position, Issue(code, severity, path, message, hint))

    def add(self, position: int, issue: Issue) -> None:
        """Report an issue whose pointer is relative to the step at `position`."""
        if self._has_room(issue.severity):
            path = (pointer("steps", position) if position >= 0 else "") + issue.path
            self._append(position, Issue(issue.code, issue.severity, path, issue.message, issue.hint))

    def _append(self, position: int, issue: Issue) -> None:
        order = position if position >= 0 else len(self.plan.steps)
        self._found[issue.severity].append((order, self._count, issue))
        self._count += 1

    def _has_room(self, severity: Severity) -> bool:
        if len(self._found[severity]) < self.limits.issues:
            return True
        self._dropped[severity] += 1
        return False

    def did_you_mean(self, name: str, known: Iterable[str]) -> str | None:
        """Return a hint that names the nearest known name, as long as the budget for look-ups lasts."""
        if self._hints_left <= 0:
            return None
        self._hints_left -= 1
        indexed = self._names.get(id(known))
        if indexed is None:
            indexed = self._names[id(known)] = (known, Names(known))  # keeps `known` alive, so its id stays its own
        return did_you_mean(name, indexed[1])

    def checks(self, tool_name: str) -> ToolChecks | None:
        """Return the compiled checks of a tool, or None when it is not known."""
        try:
            return self._checks[tool_name]
        except KeyError:
            tool = None if self.tools is None else self.tools.get(tool_name)
            checks = self._checks[tool_name] = None if tool is None else checks_of(tool)
            return checks

    def steps(self) -> Iterator[tuple[int, Step]]:
        """Every step with its position."""
        return enumerate(self.plan.steps)

    def issues(self) -> list[Issue]:
        """Return what was found, in the order of the plan, errors before warnings when there are too many.

        A last `limit` issue counts what is not listed; it is an error when an error is among that.
        """
        errors, warnings = self._found["error"], self._found["warning"]
        listed = warnings[: max(self.limits.issues - len(errors), 0)]
        dropped = self._dropped["error"] + self._dropped["warning"] + len(warnings) - len(listed)
        ordered = [issue for _, _, issue in sorted([*errors, *listed], key=lambda entry: entry[:2])]
        if dropped:
            severity: Severity = "error" if self._dropped["error"] else "warning"
            message = f"{dropped:,} more issues are not listed (limit `issues`: {self.limits.issues:,})"
            ordered.append(Issue("limit", severity, "", message))
        return ordered
