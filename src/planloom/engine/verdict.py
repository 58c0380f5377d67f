"""What the end of a call means for its step: decided here, without a loop, and acted on by `stepping`."""

from __future__ import annotations

from typing import NamedTuple

from planloom.engine.attempt import Attempt
from planloom.engine.failures import Failure
from planloom.plan.model import Step
from planloom.plan.results import StepError
from planloom.plan.state import StepStatus


class Verdict(NamedTuple):
    """The state that a unit comes to. `READY`: it is tried again after a back-off; `WAITING`: a person is asked."""

    status: StepStatus
    error: StepError | None = None
    failure: Failure | None = None


_WELL = Verdict(StepStatus.SUCCEEDED)


def judge(attempt: Attempt, failure: Failure | None, step: Step, *, may_retry: bool) -> Verdict:
    """Judge a call that is over. Whatever it gave back after it was asked to end does not count.

    A step with an effect that is not idempotent and was cut off is `UNKNOWN`: never tried again, never planned around.
    """
    if attempt.cause is not None:
        failure = attempt.cut_off()
        if attempt.may_have_acted:
            message = f"{failure.message}; `{attempt.tool.name}` may or may not have had its effect"
            return Verdict(StepStatus.UNKNOWN, StepError("unknown", failure.type, message), failure)
        if attempt.cause == "cancelled":
            return Verdict(StepStatus.CANCELLED, failure.to_error(), failure)
    elif failure is None:
        return _WELL
    elif failure.kind in ("question", "waiting"):
        return Verdict(StepStatus.WAITING, None, failure)
    retries = attempt.tool.retries if step.retries is None else min(step.retries, attempt.tool.retries)
    goes_on = may_retry and failure.is_passing and attempt.number <= retries
    return Verdict(StepStatus.READY if goes_on else StepStatus.FAILED, failure.to_error(), failure)
