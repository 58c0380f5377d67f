"""Every exception that Planloom raises on purpose.

    PlanloomError
    ├── UsageError                 the caller asked for something that cannot be: a wrong option, a missing key
    ├── MissingExtraError          an optional library is not installed
    ├── ToolDefinitionError        a function or its facts cannot become a tool
    ├── ToolLoadError              a module or file of tools could not be loaded
    ├── ArgumentsError             a tool was called with arguments that do not fit its schema
    ├── Retry                      raised *by a tool*: try this call again, after so many seconds
    ├── DataError                  a file or table cannot be read as what it should be
    ├── ModelError                 a model's provider failed: which model, what, after how many tries
    │   ├── ModelKeyError          no key for the provider; a `UsageError` as well
    │   ├── ModelRateLimitError    too many requests, or the account's quota is used up
    │   ├── ModelTimeoutError      no first token in time, or no end in time
    │   └── ModelReplyError        what came is no reply: cut, malformed, refused, empty, at the length limit
    ├── BudgetExceededError        a run wants more than its budget allows: which bound, what is used, what was wanted
    ├── ReplanError                a failure that cannot be planned around: `.reason` says why
    ├── JournalError               a journal or its artifacts cannot be read or written: what, where, why
    │   ├── JournalCorruptError    what is stored is damaged, and more than a torn end
    │   ├── RunNotFoundError       no run of this name is in the journal
    │   ├── RunOwnedError          another process drives this run, or has taken it over
    │   └── NotStorableError       a value that no codec can write down and read back
    ├── PlanValidationError        a plan has errors; `.issues` lists all of them
    │   ├── PlanFormatError        the text is not JSON, or holds no list of steps
    │   └── PlanCycleError         steps wait for each other; `.cycle` is the whole circle
    └── StepExecutionError         a run did not succeed; `.result` is the whole run

Three kinds of trouble stay apart: the caller's mistake is an exception, the plan's mistake is an `Issue`,
and a step's failure is a value in the run. Messages may end with a line that begins with "hint: ".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from planloom.models.base import ModelReply
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


class AskPerson(PlanloomError):  # noqa: N818 - reads as what it does: `raise AskPerson("Which account?")`
    """Raised by a tool that needs a person's word: the step waits, and its output is the answer."""

    def __init__(self, question: str) -> None:
        super().__init__(question)
        self.question = question


class StillWaiting(AskPerson):
    """Raised by a tool whose work waits for a person who was asked already: its step waits too."""


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


class ModelError(PlanloomError):
    """A model's provider failed, and trying again did not help or was not worth it.

    `model` is the model's name, `tries` how many requests were sent, `status` the HTTP status (or None), and
    `detail` what the provider said, shortened, with every known secret taken out; it may be empty.
    """

    def __init__(
        self,
        message: str,
        *,
        model: str = "",
        tries: int = 1,
        status: int | None = None,
        detail: str = "",
    ) -> None:
        super().__init__(message)
        self.model = model
        self.tries = tries
        self.status = status
        self.detail = detail

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (type(self), str(self), dict(self.__dict__))


class ModelKeyError(ModelError, UsageError):
    """The provider needs a key and none was found. The message names the variable and the extra."""


class ModelRateLimitError(ModelError):
    """The provider refused the request for its rate limit, or because the account's quota is used up.

    `retry_after_s` is how many seconds the provider asked to wait, or None when it did not say.
    """

    def __init__(
        self,
        message: str,
        *,
        retry_after_s: float | None = None,
        model: str = "",
        tries: int = 1,
        status: int | None = None,
        detail: str = "",
    ) -> None:
        super().__init__(message, model=model, tries=tries, status=status, detail=detail)
        self.retry_after_s = retry_after_s


class ModelTimeoutError(ModelError):
    """The first token, or the end of the reply, did not come in time. `limit_s` is the limit that ran out."""

    def __init__(
        self,
        message: str,
        *,
        limit_s: float | None = None,
        model: str = "",
        tries: int = 1,
        status: int | None = None,
        detail: str = "",
    ) -> None:
        super().__init__(message, model=model, tries=tries, status=status, detail=detail)
        self.limit_s = limit_s


class ModelReplyError(ModelError):
    """Something came, and it is not a whole reply.

    `reason` is "cut" (the stream broke off), "malformed" (not the provider's format), "refusal", "empty" or
    "length" (stopped at the limit of output tokens). `text` is what had come until then. `reply` is the reply with
    its usage where the provider ended it properly (refusal, empty, length), else None.
    """

    def __init__(
        self,
        message: str,
        *,
        reason: Literal["cut", "malformed", "refusal", "empty", "length"],
        text: str = "",
        reply: ModelReply | None = None,
        model: str = "",
        tries: int = 1,
        status: int | None = None,
        detail: str = "",
    ) -> None:
        super().__init__(message, model=model, tries=tries, status=status, detail=detail)
        self.reason = reason
        self.text = text
        self.reply = reply


BudgetLimit = Literal["model_calls", "tokens", "cost_usd", "steps", "replans", "wall_s"]


class BudgetExceededError(PlanloomError):
    """A run wants more than its budget allows, so it was not done.

    `limit` names the field of `Budget`, `bound` its value, `used` what is spent or reserved by calls under way, and
    `wanted` what was asked for on top: calls, tokens, US dollars, steps, replans or seconds. `wanted` is None when
    that is not known: a model whose price nobody knows, or time that has run out.
    """

    def __init__(self, limit: BudgetLimit, bound: float, used: float, wanted: float | None = None) -> None:
        super().__init__(_budget_message(limit, bound, used, wanted))
        self.limit: BudgetLimit = limit
        self.bound = bound
        self.used = used
        self.wanted = wanted

    def __reduce__(self) -> tuple[type[BudgetExceededError], tuple[BudgetLimit, float, float, float | None]]:
        return BudgetExceededError, (self.limit, self.bound, self.used, self.wanted)


_COUNTED_WORDS = {"model_calls": "model calls", "tokens": "tokens", "steps": "steps", "replans": "replans"}


def _budget_message(limit: BudgetLimit, bound: float, used: float, wanted: float | None) -> str:
    """Say which bound is met, what is used and wanted, and with what bound it would have gone on."""
    if limit == "wall_s":
        said = f"the budget of {bound:g} s (`wall_s`) is used up: {used:.1f} s have passed"
        return f"{said}\nhint: allow more time, Budget(wall_s=…), or None for no bound"
    if limit == "cost_usd":
        said = f"the budget of ${bound:g} (`cost_usd`) has no room for this model call"
        spent = f"${used:.4g} is used or reserved by calls under way"
        if wanted is None:
            return (
                f"{said}: the price of the model is not known, so its cost cannot be bounded; {spent}\n"
                "hint: use a model whose price is known, or bound `tokens` or `model_calls` instead of `cost_usd`"
            )
        enough = f"Budget(cost_usd={_rounded_up(used + wanted)}) would do"
        return (
            f"{said}: {spent}, and up to ${wanted:.4g} more is wanted\nhint: raise it, {enough}, or None for no bound"
        )
    words = _COUNTED_WORDS[limit]
    if wanted is None:
        said, more = f"the budget of {bound:,} {words} (`{limit}`) is used up: {used:,} are used", 1.0
    elif limit in ("model_calls", "tokens"):
        said = f"the budget of {bound:,} {words} (`{limit}`) has no room for this model call"
        said += f": {used:,} are used or reserved by calls under way, and {wanted:,} more are wanted"
        more = wanted
    else:
        said, more = f"the budget of {bound:,} {words} (`{limit}`) is used up: {used:,} are used", wanted
    return f"{said}\nhint: raise it, Budget({limit}={used + more:.0f}) would do, or None for no bound"


def _rounded_up(dollars: float) -> str:
    """Return an amount with enough digits for small prices, never less than it is."""
    places = 6 if dollars < 0.01 else 4
    return f"{math.ceil(dollars * 10**places) / 10**places:.{places}f}".rstrip("0").rstrip(".")


ReplanReason = Literal["max-replans", "same-plan", "gave-up", "invalid", "model", "budget", "denied"]


class ReplanError(PlanloomError):
    """A failure that cannot be planned around, so the part of the plan that it broke stays broken.

    `reason` is "max-replans" (the number of rounds is used up), "same-plan" (the planner wrote again what had failed),
    "gave-up" (the planner says that the goal cannot be reached), "invalid" (the recovery plan has errors that mending
    did not remove; `issues` lists them), "model" (the planner model failed; it is the `__cause__`), "budget" (no room
    for the call; the `BudgetExceededError` is the `__cause__`) or "denied" (a person has not approved it).
    """

    def __init__(self, reason: ReplanReason, message: str, issues: Sequence[Issue] = ()) -> None:
        super().__init__(message)
        self.reason: ReplanReason = reason
        self.issues: tuple[Issue, ...] = tuple(issues)

    def __reduce__(self) -> tuple[type[ReplanError], tuple[ReplanReason, str, tuple[Issue, ...]]]:
        return ReplanError, (self.reason, str(self), self.issues)


class JournalError(PlanloomError):
    """A journal, or an artifact beside it, cannot be read or written. The message names the file or server."""


class JournalCorruptError(JournalError):
    """What a journal holds is damaged by more than a torn end, so nothing may be decided from it."""


class RunNotFoundError(JournalError):
    """The journal holds no run of this name. `run_id` is the name."""

    def __init__(self, run_id: str, where: str) -> None:
        super().__init__(f"there is no run `{run_id}` in {where}\nhint: `planloom runs` lists those that are there")
        self.run_id = run_id
        self.where = where

    def __reduce__(self) -> tuple[type[RunNotFoundError], tuple[str, str]]:
        return RunNotFoundError, (self.run_id, self.where)


class RunOwnedError(JournalError):
    """A run belongs to another owner: it is alive, or it has taken the run over and this one may write no more.

    `run_id` is the run. Nothing of what was refused is in the journal.
    """

    def __init__(self, run_id: str, message: str) -> None:
        super().__init__(message)
        self.run_id = run_id

    def __reduce__(self) -> tuple[type[RunOwnedError], tuple[str, str]]:
        return RunOwnedError, (self.run_id, str(self))


class NotStorableError(JournalError):
    """A value cannot be written down so that the same comes back. It stays usable in memory."""


def _restored(kind: type[ModelError], message: str, state: dict[str, Any]) -> ModelError:
    """Build a model error again from a pickle, without its constructor."""
    error = kind.__new__(kind, message)
    error.args = (message,)
    error.__dict__.update(state)
    return error
