"""What a validation pass works with: the plan, its graph, the tools, and the bounded list of issues."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from planloom.plan.graph import PlanGraph, graph_of
from planloom.plan.issues import Issue, IssueCode, Severity, pointer
from planloom.plan.limits import Limits
from planloom.plan.model import Plan, Step
from planloom.plan.suggest import did_you_mean
from planloom.plan.tool_checks import ToolChecks, checks_of
from planloom.plan.tool_spec import ToolSpec
from planloom.plan.wiring import place_pointer


class Inspection:
    """One validation under way.

    `tools` is None when the plan is checked without a toolbox: then nothing that needs one is reported.
    `inputs` are the plan's defaults with the caller's values over them.
    """

    def __init__(
        self, plan: Plan, tools: Mapping[str, ToolSpec] | None, inputs: Mapping[str, Any], limits: Limits
    ) -> None:
        self.plan = plan
        self.tools = tools
        self.inputs: Mapping[str, Any] = {**plan.inputs, **inputs}
        self.limits = limits
        self.graph: PlanGraph = graph_of(plan)
        self.used: set[int] = set()
        """Steps whose output something uses, found by the reference pass."""
        self._issues: list[tuple[int, int, Issue]] = []
        self._hints_left = limits.hints
        self._dropped = 0
        self._dropped_error = False

    def error(
        self, code: IssueCode, position: int, place: tuple[str | int, ...], message: str, hint: str | None = None
    ) -> None:
        """Report an error at a place in the step at `position`."""
        self._add(code, "error", position, place, message, hint)

    def warn(
        self, code: IssueCode, position: int, place: tuple[str | int, ...], message: str, hint: str | None = None
    ) -> None:
        """Report a warning at a place in the step at `position`."""
        self._add(code, "warning", position, place, message, hint)

    def _add(
        self,
        code: IssueCode,
        severity: Severity,
        position: int,
        place: tuple[str | int, ...],
        message: str,
        hint: str | None,
    ) -> None:
        if self._is_full(severity):
            return
        path = place_pointer("steps", position, *place) if position >= 0 else place_pointer(*place)
        self._append(position, Issue(code, severity, path, message, hint))

    def add(self, position: int, issue: Issue) -> None:
        """Report an issue whose pointer is relative to the step at `position`, or absolute when it is -1."""
        if self._is_full(issue.severity):
            return
        if position >= 0:
            path = pointer("steps", position) + issue.path
            issue = Issue(issue.code, issue.severity, path, issue.message, issue.hint)
        self._append(position, issue)

    def _append(self, position: int, issue: Issue) -> None:
        order = position if position >= 0 else len(self.plan.steps)
        self._issues.append((order, len(self._issues), issue))

    def _is_full(self, severity: Severity) -> bool:
        if len(self._issues) < self.limits.issues:
            return False
        self._dropped += 1
        self._dropped_error = self._dropped_error or severity == "error"
        return True

    def did_you_mean(self, name: str, known: Iterable[str]) -> str | None:
        """Return a hint that names the nearest known name, as long as the budget for look-ups lasts."""
        if self._hints_left <= 0:
            return None
        self._hints_left -= 1
        return did_you_mean(name, known)

    def checks(self, tool_name: str) -> ToolChecks | None:
        """Return the compiled checks of a tool, or None when it is not known."""
        tool = None if self.tools is None else self.tools.get(tool_name)
        return None if tool is None else checks_of(tool)

    def steps(self) -> Iterator[tuple[int, Step]]:
        """Every step with its position."""
        return enumerate(self.plan.steps)

    def issues(self) -> list[Issue]:
        """Return what was found, in the order of the plan; a last `limit` issue counts what was not listed."""
        ordered = [issue for _, _, issue in sorted(self._issues, key=lambda entry: entry[:2])]
        if self._dropped:
            severity: Severity = "error" if self._dropped_error else "warning"
            ordered.append(
                Issue(
                    "limit",
                    severity,
                    "",
                    f"{self._dropped:,} more issues are not listed (limit {self.limits.issues:,})",
                )
            )
        return ordered
