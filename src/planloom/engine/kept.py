"""Runs that a journal keeps: listed, found by a few characters of their id, read back, and removed.

Rule: nothing in here drives a run. Only runs that have ended are removed, and only artifacts that no record
mentions any more.
"""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from planloom.engine.journaled import JournalLike, artifacts_of, opened_journal, read_history, told, work_folder
from planloom.errors import JournalCorruptError, RunOwnedError, UsageError
from planloom.journal import Journal, RunSummary, SqliteJournal, garbage
from planloom.plan.history import History, Recorded, parent_of
from planloom.plan.model import Plan
from planloom.plan.results import RunResult, StepResult
from planloom.plan.state import RunStatus, StepStatus
from planloom.plan.suggest import did_you_mean

__all__ = ["KeptRun", "Pruned", "RunSummary", "list_runs", "prune_runs", "read_run"]

LAST: Final = "last"
"""Instead of an id: the newest run."""
INTERRUPTED: Final = "interrupted"
"""Status of a run that has not ended and that nobody drives."""
ENDED: Final = (RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.CANCELLED)
"""What may be removed; what waits for a person, or was cut off, may not."""
_OPEN_ENDS: Final = {
    RunStatus.WAITING: "it may or may not have had its effect",
    RunStatus.SUCCEEDED: "a person has said what to do with it since",
}
"""What is to say, by the run's status, of a call whose end was not recorded."""
MAX_RUNS: Final = 1_000_000
"""Runs that are looked through for an id."""
MAX_NAMED: Final = 5
_DELETED_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True)
class KeptRun:
    """One run as it stands in a journal.

    `status` is a `RunStatus` or "interrupted". `meta` is what it was given, its "kind" says by what it was made.
    `notes` say what was left out of the journal because it is damaged.
    """

    run_id: str
    status: str
    history: History
    meta: Mapping[str, Any]
    records: Sequence[Recorded]
    notes: tuple[str, ...]

    @property
    def kind(self) -> str:
        """What made it: "execute", or the method of an agent."""
        return str(self.meta.get("kind", ""))

    @property
    def plan(self) -> Plan:
        """The plan as it was last; one without steps when none was received."""
        if self.history.plan is not None:
            return self.history.plan
        given = self.meta.get("plan")
        return Plan((), self.history.goal) if given is None else Plan.from_json(given)

    def result(self) -> RunResult:
        """Return the run as far as it is known. The status of an interrupted run is `running` here."""
        history, plan = self.history, self.plan
        status = RunStatus.RUNNING if self.status == INTERRUPTED else RunStatus(self.status)
        began, of_elements = history.began_at, self._attempts_of_elements()
        ended = history.ended_at or (self.records[-1].at if self.records else began)
        return RunResult(
            self.run_id,
            status,
            history.answer,
            plan,
            {step.id: self._step(step.id, status, of_elements) for step in plan.steps},
            history.usage,
            history.replans,
            None if began is None else datetime.fromtimestamp(began, UTC),
            0.0 if began is None or ended is None else (ended - began) * 1_000,
            history.error,
        )

    def _step(self, step_id: str, status: RunStatus, of_elements: Mapping[str, int]) -> StepResult:
        history = self.history
        begun = history.in_flight.get(step_id)
        if begun is not None:
            message = _OPEN_ENDS.get(status)
            if message is None:
                return StepResult(step_id, StepStatus.RUNNING, attempts=begun.attempt)
            return StepResult.unknown(
                step_id, begun.attempt, f"`{begun.tool}` had begun when the run was cut off; {message}"
            )
        if step_id in history.waiting:
            return StepResult(step_id, StepStatus.WAITING, reason=history.waiting[step_id])
        if step_id in history.steps:
            return history.steps[step_id]
        if step_id in of_elements:
            return StepResult(step_id, StepStatus.RUNNING, attempts=of_elements[step_id])
        return StepResult(step_id, StepStatus.PENDING)

    def _attempts_of_elements(self) -> dict[str, int]:
        """Return how often the elements of each step with `for_each` were called, of those that have begun."""
        history, found = self.history, Counter[str]()
        calls = {name: step.attempts for name, step in history.steps.items()}
        calls |= {name: call.attempt for name, call in history.in_flight.items()}
        for name, attempts in calls.items():
            if name.endswith("]"):
                found[parent_of(name)] += attempts
        return found


@dataclass(frozen=True, slots=True)
class Pruned:
    """What was removed: the ids of runs, and how many artifacts."""

    run_ids: tuple[str, ...]
    artifacts: int


async def list_runs(journal: JournalLike, limit: int, status: str | None = None) -> list[RunSummary]:
    """Return the newest runs first. Raises `JournalError`."""
    async with opened_journal(journal) as opened:
        return await opened.runs(limit, status)


async def read_run(journal: JournalLike, name: str) -> KeptRun:
    """Return a run by its id, by the beginning of it when that is one run's alone, or the newest for "last".

    Raises `UsageError` when no run, or more than one, is meant, and `JournalError`.
    """
    async with opened_journal(journal) as opened:
        try:
            found = _named(name, await opened.runs(1 if name == LAST else MAX_RUNS), opened.where)
            run_id, status = found.run_id, found.status
        except JournalCorruptError:  # the list cannot be read; the run itself perhaps can
            run_id, status = name, None
        records = await opened.read(run_id)
        notes = [] if records.dropped is None else [records.dropped.message()]
        history, meta = told(opened, run_id, records, notes)
        if isinstance(opened, SqliteJournal) and opened.notice is not None:
            notes.append(opened.notice)
        if records.dropped is not None and status != RunStatus.RUNNING:
            status = None  # the list knows an end that cannot be read any more
        status = status or (INTERRUPTED if history.status is None else history.status.value)
        return KeptRun(run_id, status, history, meta, records, tuple(notes))


def _named(name: str, runs: Sequence[RunSummary], where: str) -> RunSummary:
    """Return the run that is meant; `runs` are all, the newest first."""
    if not runs:
        raise UsageError(
            f"there is no run in {where} yet\nhint: `planloom execute PLAN` keeps one; --journal FILE says where"
        )
    if name == LAST:
        return runs[0]
    exact = [run for run in runs if run.run_id == name]
    meant = exact or [run for run in runs if name and run.run_id.startswith(name)]
    if len(meant) == 1:
        return meant[0]
    shown = name[:80]
    if meant:
        raise UsageError(f"{len(meant):,} runs in {where} begin with `{shown}`\nhint: {_listed(meant)}")
    near = did_you_mean(name, [run.run_id for run in runs])
    raise UsageError(f"there is no run `{shown}` in {where}\nhint: {near or f'the newest are {_listed(runs)}'}")


def _listed(runs: Sequence[RunSummary]) -> str:
    named = ", ".join(f"`{run.run_id}` ({run.status})" for run in runs[:MAX_NAMED])
    return named + (", …" if len(runs) > MAX_NAMED else "")


async def prune_runs(journal: JournalLike, older_than_s: float) -> Pruned:
    """Remove the runs that ended more than so many seconds ago, and the artifacts that nothing mentions.

    Runs that wait, were interrupted, or leave an effect unknown stay, as does one that somebody goes on with.
    Raises `JournalError`.
    """
    oldest = time.time() - older_than_s
    async with opened_journal(journal) as opened:
        old = [
            run.run_id
            for run in await opened.runs(MAX_RUNS)
            if run.status in ENDED and run.ended_at is not None and run.ended_at <= oldest
        ]
        old = [run_id for run_id in old if not await _is_open(opened, run_id)]
        removed: list[str] = []
        for start in range(0, len(old), _DELETED_AT_ONCE):
            removed += await _delete(opened, old[start : start + _DELETED_AT_ONCE])
        for run_id in removed:
            if (folder := work_folder(opened, run_id)) is not None:
                shutil.rmtree(folder, ignore_errors=True)
        artifacts = artifacts_of(opened)
        count = 0 if artifacts is None else await garbage(opened, artifacts)
        return Pruned(tuple(removed), count)


async def _is_open(journal: Journal, run_id: str) -> bool:
    """Whether a run that has ended leaves open whether an effect has happened: a person may still have to say so."""
    try:
        history, _ = await read_history(journal, run_id)
    except JournalCorruptError:
        return False
    return any(step.status is StepStatus.UNKNOWN for step in history.steps.values())


async def _delete(journal: Journal, run_ids: list[str]) -> list[str]:
    """Delete all that nobody goes on with meanwhile, and return them."""
    left = run_ids
    while left:
        try:
            await journal.delete(left)
        except RunOwnedError as owned:
            left = [run_id for run_id in left if run_id != owned.run_id]
        else:
            return left
    return []
