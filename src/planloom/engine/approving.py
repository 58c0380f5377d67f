"""A person's approval of what a kept run waits for, given while nobody drives the run.

Rule: a word is bound to the hash of what it was asked for: the whole plan, or one call with its arguments. It says
nothing about any other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from planloom.engine.clock import SystemClock
from planloom.engine.journaled import JournalLike, taken_over
from planloom.errors import UsageError
from planloom.plan.events import ApprovalGiven
from planloom.plan.history import History, parent_of
from planloom.plan.model import Plan

MAX_NAMED: Final = 20


@dataclass(frozen=True, slots=True)
class Asked:
    """What a person was asked about: a plan, or one call. `step_id` is that of the element in a `for_each`."""

    digest: str
    plan: Plan | None = None
    step_id: str | None = None
    tool: str = ""
    args: Mapping[str, Any] | None = None


async def give_approval(
    journal: JournalLike, run_id: str, steps: Sequence[str], *, approved: bool
) -> tuple[Asked, ...]:
    """Keep a person's yes or no in a run's journal; return what it is about. The run goes on by being resumed.

    `steps` are ids of steps, or of elements such as `pay[2]`; none means the plan. An earlier no can be taken back.
    Raises `UsageError` for what was not asked about, `RunOwnedError` while somebody drives the run, `JournalError`.
    """
    async with taken_over(journal, run_id) as book:
        asked = [_plan_asked(book.history)] if not steps else _calls_asked(book.history, steps)
        for one in asked:
            book.history.last_seq += 1
            at = SystemClock().now()
            book.recorder(ApprovalGiven(book.history.last_seq, run_id, at, one.step_id, one.digest, approved))
        await book.recorder.flush()
        return tuple(asked)


def open_approvals(history: History) -> list[str]:
    """Return the ids of the steps, and elements of steps, whose calls may be approved or denied now."""
    denied = {name for name, step in history.steps.items() if step.error is not None and step.error.kind == "denied"}
    return [name for name in history.asked if name in history.waiting or name in denied]


def _plan_asked(history: History) -> Asked:
    shown = history.plan_asked
    if shown is not None and history.approvals.get(shown.digest) is not True:
        return Asked(shown.digest, shown.plan)
    open_steps = open_approvals(history)
    if open_steps:
        raise UsageError(
            f"the plan of run `{history.run_id}` needs no approval; calls of its steps do: {_listed(open_steps)}\n"
            "hint: name the steps"
        )
    raise UsageError(f"run `{history.run_id}` waits for no approval")


def _calls_asked(history: History, names: Sequence[str]) -> list[Asked]:
    open_steps = open_approvals(history)
    found: list[Asked] = []
    for name in dict.fromkeys(names):
        meant = [name] if name in open_steps else [step for step in open_steps if parent_of(step) == name]
        if not meant:
            raise UsageError(_not_asked(history, name, open_steps))
        found += [Asked(history.asked[step].digest, None, step, history.asked[step].tool, history.asked[step].args)
                  for step in meant]  # fmt: skip
    return found


def _not_asked(history: History, name: str, open_steps: list[str]) -> str:
    if name in history.waiting:
        return (
            f"step `{name[:80]}` asks something, which takes an answer and no approval: {history.waiting[name][:400]}\n"
            f"hint: give it when the run goes on, with --set '{name[:80]}=\"…\"'"
        )
    hint = f"those that do: {_listed(open_steps)}" if open_steps else "none does"
    return f"step `{name[:80]}` of run `{history.run_id}` waits for no approval\nhint: {hint}"


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(f"`{name}`" for name in names[:MAX_NAMED])
    return shown + (f" and {len(names) - MAX_NAMED:,} more" if len(names) > MAX_NAMED else "")
