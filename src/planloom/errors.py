"""Every exception that Planloom raises on purpose.

    PlanloomError
    ├── UsageError                 the caller asked for something that cannot be: a wrong option, a missing key
    ├── MissingExtraError          an optional library is not installed
    ├── ToolDefinitionError        a function or its facts cannot become a tool
    ├── ToolLoadError              a module or file of tools could not be loaded
    ├── ArgumentsError             a tool was called with arguments that do not fit its schema
    ├── Retry                      raised *by a tool*: try this call again, after so many seconds
    ├── DataError                  a file or table cannot be read as what it should be
    ├── PlanValidationError        a plan has errors; `.issues` lists all of them
    │   ├── PlanFormatError        the text is not JSON, or holds no list of steps
    │   └── PlanCycleError         steps wait for each other; `.cycle` is the whole circle
    └── StepExecutionError         a run did not succeed; `.result` is the whole run

Three kinds of trouble stay apart: the caller's mistake is an exception, the plan's mistake is an `Issue`,
and a step's failure is a value in the run. Messages may end with a line that begins with "hint: ".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from planloom.plan.issues import Issue
    from planloom.plan.results import RunResult


class PlanloomError(Exception):
    """Base of every exception that Planloom raises on purpose."""


class UsageError(PlanloomError):
    """The caller asked for something that cannot be done as asked."""


class MissingExtraError(PlanloomError):
    """An optional library is needed and not installed."""

    def __init__(self, extra: str, needed_for: str) -> None:
        super().__init__(
            f"{needed_for} needs the optional extra `{extra}`, which is not installed\n"
            f"hint: pip install 'planloom[{extra}]'"
        )
        self.extra = extra
        self.needed_for = needed_for

    def __reduce__(self) -> tuple[type[MissingExtraError], tuple[str, str]]:
        return MissingExtraError, (self.extra, self.needed_for)


class ToolDefinitionError(PlanloomError):
    """A function, its signature or its facts cannot become a tool."""


class ToolLoadError(PlanloomError):
    """A module or file of tools could not be loaded."""


class ArgumentsError(PlanloomError):
    """A tool was called with arguments that do not fit its schema."""


class Retry(PlanloomError):  # noqa: N818 - reads as what it asks for: `raise Retry(after_s=2)`
    """Raised by a tool that wants its call tried again.

    `after_s` is the wait in seconds, or None for the usual exponential back-off. The step's own number of
    retries still holds; when they are used up, the step fails with `message`.
    """

    def __init__(self, after_s: float | None = None, message: str = "the tool asked for another try") -> None:
        super().__init__(message)
        self.after_s = after_s
        self.message = message

    def __reduce__(self) -> tuple[type[Retry], tuple[float | None, str]]:
        return Retry, (self.after_s, self.message)


class DataError(PlanloomError):
    """A file or table cannot be read as what it should be."""


class PlanValidationError(PlanloomError, ValueError):
    """A plan has errors. `issues` lists every one of them, warnings included."""

    def __init__(self, issues: Sequence[Issue]) -> None:
        self.issues: list[Issue] = list(issues)
        errors = [issue for issue in self.issues if issue.severity == "error"]
        count = f"{len(errors)} problem{'' if len(errors) == 1 else 's'}"
        super().__init__("\n".join([f"plan rejected: {count}", *(issue.render() for issue in errors)]))

    def __reduce__(self) -> tuple[type[PlanValidationError], tuple[list[Issue]]]:
        return type(self), (self.issues,)


class PlanFormatError(PlanValidationError):
    """The text is not JSON, or holds no list of steps, so there is no plan to check."""


class PlanCycleError(PlanValidationError):
    """Steps wait for each other. `cycle` holds their ids, the first one repeated at the end."""

    def __init__(self, issues: Sequence[Issue], cycle: Sequence[str] = ()) -> None:
        super().__init__(issues)
        self.cycle: list[str] = list(cycle)

    def __reduce__(self) -> tuple[type[PlanCycleError], tuple[list[Issue], list[str]]]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return PlanCycleError, (self.issues, self.cycle)


class StepExecutionError(PlanloomError):
    """A run did not succeed. `result` is the whole run, every step with its state and error."""

    def __init__(self, result: RunResult) -> None:
        super().__init__(result.explain())
        self.result = result
